//! The small value types of the wire: addresses, UUIDs, instants, bytes. Each parses at the border and prints as DRP does.
//!
//! All of them have an unset state, because the wire has one: `""` for an address or a UUID (which is not the all-zero
//! UUID), the year 1 for an instant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An IP address or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub Option<IpAddr>);

impl Address {
    /// The IPv4 address, if that is what it is.
    #[must_use]
    pub fn v4(self) -> Option<Ipv4Addr> {
        match self.0 {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        }
    }

    /// True when no address is set.
    #[must_use]
    pub fn is_unset(self) -> bool {
        self.0.is_none()
    }

    /// The key of leases and reservations: eight upper-case hex digits for IPv4, thirty-two for IPv6, `""` when unset.
    #[must_use]
    pub fn hex(self) -> String {
        match self.0 {
            None => String::new(),
            Some(IpAddr::V4(address)) => format!("{:08X}", u32::from(address)),
            Some(IpAddr::V6(address)) => format!("{:032X}", u128::from(address)),
        }
    }

    /// Reads an address, `""` being none. An IPv4 address mapped into IPv6 becomes IPv4, as in Go.
    ///
    /// # Errors
    /// The text when it is no address.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(Some(address.to_canonical()))),
            Err(_) => Err(format!("invalid IP address: {text}")),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        Self(Some(IpAddr::V4(address)))
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(Some(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => Ok(()),
        }
    }
}

/// A UUID or nothing. Nothing is `""` on the wire; the all-zero UUID is a value of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub Option<uuid::Uuid>);

impl Uuid {
    /// The all-zero UUID, which is what the first job of a machine names as its predecessor.
    pub const ZERO: Self = Self(Some(uuid::Uuid::nil()));

    /// True when unset or all zero.
    #[must_use]
    pub fn is_nil(self) -> bool {
        self.0.is_none_or(|id| id.is_nil())
    }

    /// Reads a UUID, `""` being none.
    ///
    /// # Errors
    /// `invalid UUID: <text>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        uuid::Uuid::parse_str(text).map(|id| Self(Some(id))).map_err(|_| format!("invalid UUID: {text}"))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.hyphenated().fmt(f),
            None => Ok(()),
        }
    }
}

/// An instant of the wire. The only time type of the house's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl Time {
    /// Go's zero time, `0001-01-01T00:00:00Z`: "not yet".
    pub const ZERO: Self = Self(Timestamp::constant(-62_135_596_800, 0));

    /// True for the zero time.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// An instant from whole seconds since 1970, clamped to what can be represented.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }

    /// This instant plus so many seconds, clamped at the ends of time.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
    }

    /// The time from `earlier` to this one; negative when this one is earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> jiff::SignedDuration {
        self.0.duration_since(earlier.0)
    }

    /// Reads RFC 3339. `""` is refused as Go refuses it.
    ///
    /// # Errors
    /// Go's text for a bad time.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<Timestamp>().map(Self).map_err(|_| {
            format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
            )
        })
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes, base64 on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Reads standard base64 with padding; line breaks are ignored as Go does.
    ///
    /// # Errors
    /// Go's text for bad base64.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        STANDARD.decode(&text).map(Self).map_err(|error| match error {
            base64::DecodeError::InvalidByte(at, _) => format!("illegal base64 data at input byte {at}"),
            _ => format!("illegal base64 data at input byte {}", text.len()),
        })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

macro_rules! textual {
    ($($ty:ident),*) => {
        $(
            impl FromStr for $ty {
                type Err = String;
                fn from_str(text: &str) -> Result<Self, String> {
                    Self::parse(text)
                }
            }

            impl Serialize for $ty {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $ty {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    Self::parse(&text).map_err(de::Error::custom)
                }
            }
        )*
    };
}

textual!(Address, Uuid, Time, Bytes);
