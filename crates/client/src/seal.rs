//! Values of secure parameters are sealed before they leave this host (reference: api.md §8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_model::secret::Sealed;
use gantry_model::{Now, Time};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Map, Value};

use crate::{Client, Error};

/// Random numbers of this system, to make keys and to seal with; none when it gives none.
#[must_use]
pub fn dice() -> Option<Now> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).ok()?;
    Some(Now::new(Time::ZERO, seed))
}

impl Client {
    /// Whether the parameter `name` is secure. One that is not defined, or that the caller may not read, is not.
    ///
    /// # Errors
    /// When the server gives no answer.
    pub async fn is_secure(&self, name: &str) -> Result<bool, Error> {
        match self.get(&format!("/params/{name}"), &[]).await {
            Ok(param) => Ok(param.get("Secure") == Some(&Value::Bool(true))),
            Err(Error::Refused(refused)) if !refused.is_login() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `value` sealed for the object at `path`, such as `/machines/Name:m1`; what is sealed already stays as it is.
    ///
    /// # Errors
    /// When the public key of the object cannot be had. The value is in no error.
    pub async fn seal(&self, path: &str, value: Value) -> Result<Value, Error> {
        if Sealed::parse(&value).is_ok() {
            return Ok(value);
        }
        let path = format!("{path}/pubkey");
        let key = self.get(&path, &[]).await?;
        let unusable = |reason: String| Error::Unreadable { url: self.url(&path, &[]), reason };
        let key =
            key.as_str().and_then(|text| STANDARD.decode(text).ok()).and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| unusable("a public key has 32 bytes in base64".into()))?;
        let dice =
            dice().ok_or_else(|| unusable("this system gives no random numbers to seal with".into()))?;
        let sealed = Sealed::seal(&value, key, &dice).map_err(unusable)?;
        Ok(sealed.to_value())
    }

    /// A map of parameters in which the values of secure ones are sealed for the object at `path`.
    ///
    /// # Errors
    /// As [`Client::is_secure`] and [`Client::seal`].
    pub async fn seal_all(&self, path: &str, params: &mut Map<String, Value>) -> Result<(), Error> {
        for (name, value) in params {
            if self.is_secure(name).await? {
                *value = self.seal(path, value.take()).await?;
            }
        }
        Ok(())
    }
}
