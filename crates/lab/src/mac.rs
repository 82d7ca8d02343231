//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A 48-bit Ethernet address, written as six hexadecimal pairs with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Everybody on the segment.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// Is it a group address (multicast or broadcast, IEEE 802-2014 §8.2.2)?
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The `n`th address of QEMU's own prefix, `52:54:00`.
    pub fn numbered(n: u32) -> Mac {
        let [_, a, b, c] = n.to_be_bytes();
        Mac([0x52, 0x54, 0, a, b, c])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mac, Error> {
        let wrong = || Error::Invalid {
            field: "mac",
            value: text.to_owned(),
            right: "six hexadecimal pairs, such as 52:54:00:00:00:01".to_owned(),
        };
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| is_hexadecimal_pair(pair)).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        if pairs.next().is_some() { Err(wrong()) } else { Ok(Mac(bytes)) }
    }
}

/// `from_str_radix` alone would take a sign.
fn is_hexadecimal_pair(pair: &str) -> bool {
    pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl TryFrom<String> for Mac {
    type Error = Error;

    fn try_from(text: String) -> Result<Mac, Error> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mac = Mac([0x52, 0x54, 0, 0xab, 1, 0xff]);
        assert_eq!(mac.to_string(), "52:54:00:ab:01:ff");
        assert_eq!("52-54-00-AB-01-FF".parse::<Mac>().unwrap(), mac);
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in [
            "",
            "52:54:00:00:00",
            "52:54:00:00:00:00:00",
            "5254:00:00:00:0:1",
            "52:54:00:00:00:0g",
            "+2:54:00:00:00:00",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text:?}");
        }
    }
}
