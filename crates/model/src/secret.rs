//! Secure parameters: NaCl boxes as `drpcli` seals and opens them (API §8).
//!
//! A sealed value is `{"Key", "Nonce", "Payload"}` in base64: the sender's public key, the nonce, and the box around the
//! compact JSON of the value, made for the key pair of the object that carries the parameter. Where the private keys lie is
//! the shell's matter; this module only seals, opens and recognises.

use crypto_box::aead::Aead;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use serde_json::{Value, json};

use crate::{Bytes, Now};

/// A sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    key: [u8; 32],
    nonce: [u8; 24],
    payload: Vec<u8>,
}

/// The key pair of an object that carries parameters. Prints nothing of the private half.
#[derive(Clone)]
pub struct KeyPair(SecretKey);

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPair(***)")
    }
}

impl KeyPair {
    /// A fresh pair.
    #[must_use]
    pub fn fresh(now: &Now) -> Self {
        let mut bytes = [0; 32];
        now.draw(&mut bytes);
        Self(SecretKey::from(bytes))
    }

    /// The pair of a stored private key.
    #[must_use]
    pub fn from_private(private: [u8; 32]) -> Self {
        Self(SecretKey::from(private))
    }

    /// The private key, for the store alone.
    #[must_use]
    pub fn private(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key, which anybody may seal for.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        *self.0.public_key().as_bytes()
    }

    /// Opens a value that was sealed for this pair.
    ///
    /// # Errors
    /// `SecureData corrupted` when it was sealed for another pair or changed since.
    pub fn open(&self, sealed: &Sealed) -> Result<Value, String> {
        let corrupted = |_| "SecureData corrupted".to_owned();
        let plain = SalsaBox::new(&PublicKey::from(sealed.key), &self.0)
            .decrypt(&sealed.nonce.into(), sealed.payload.as_slice())
            .map_err(corrupted)?;
        serde_json::from_slice(&plain).map_err(|_| "SecureData corrupted".to_owned())
    }
}

impl Sealed {
    /// Seals a value for the owner of a public key, with a fresh key pair of the sender.
    ///
    /// # Errors
    /// None that can occur; the cipher's interface has one.
    pub fn seal(value: &Value, recipient: [u8; 32], now: &Now) -> Result<Self, String> {
        let sender = KeyPair::fresh(now);
        let mut nonce = [0; 24];
        now.draw(&mut nonce);
        let payload = SalsaBox::new(&PublicKey::from(recipient), &sender.0)
            .encrypt(&nonce.into(), value.to_string().as_bytes())
            .map_err(|_| "the value cannot be sealed".to_owned())?;
        Ok(Self { key: sender.public(), nonce, payload })
    }

    /// Reads the form of the wire.
    ///
    /// # Errors
    /// What is wrong with it, in the reference's words.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err(format!(
                "json: cannot unmarshal {} into Go value of type models.SecureData",
                crate::go::word(value)
            ));
        };
        let bytes = |name: &str| {
            let text = map.get(name).and_then(Value::as_str).unwrap_or_default();
            Bytes::parse(text).map(|bytes| bytes.0)
        };
        let key = bytes("Key")?.try_into().map_err(|_| "Key must be 32 bytes long".to_owned())?;
        let nonce = bytes("Nonce")?.try_into().map_err(|_| "Nonce must be 24 bytes long".to_owned())?;
        let payload = bytes("Payload")?;
        if payload.len() < 16 {
            return Err("SecureData corrupted".to_owned());
        }
        Ok(Self { key, nonce, payload })
    }

    /// The form of the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let text = |bytes: &[u8]| Bytes(bytes.to_vec()).to_string();
        json!({"Key": text(&self.key), "Nonce": text(&self.nonce), "Payload": text(&self.payload)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    #[test]
    fn what_is_sealed_for_a_pair_opens_with_it_and_with_no_other() {
        let now = Now::new(Time::ZERO, [3; 32]);
        let (owner, other) = (KeyPair::fresh(&now), KeyPair::fresh(&now));
        let sealed = Sealed::seal(&json!({"password": "x"}), owner.public(), &now).unwrap();
        let sealed = Sealed::parse(&sealed.to_value()).unwrap();
        assert_eq!(KeyPair::from_private(owner.private()).open(&sealed), Ok(json!({"password": "x"})));
        assert_eq!(other.open(&sealed), Err("SecureData corrupted".to_owned()));
        assert_eq!(format!("{owner:?}"), "KeyPair(***)");
    }

    #[test]
    fn malformed_boxes_are_named() {
        let table = [
            (json!("x"), "json: cannot unmarshal string into Go value of type models.SecureData"),
            (json!({}), "Key must be 32 bytes long"),
            (json!({"Key": Bytes(vec![0; 32]).to_string()}), "Nonce must be 24 bytes long"),
            (
                json!({"Key": Bytes(vec![0; 32]).to_string(), "Nonce": Bytes(vec![0; 24]).to_string(), "Payload": "AA=="}),
                "SecureData corrupted",
            ),
        ];
        for (value, message) in table {
            assert_eq!(Sealed::parse(&value), Err(message.to_owned()));
        }
    }
}
