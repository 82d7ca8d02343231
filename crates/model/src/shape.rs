//! The shape of an object: its fields, their wire names, types and documentation, as data.
//!
//! One declaration (`wire!`) makes both the Rust struct that engines use and the [`Shape`] that everything generic uses:
//! decoding with Go's rules (case-insensitive names, nulls as zero values), zero values, filters, help, OpenAPI.
//! Generic code works on `serde_json::Value` plus a shape, so serde is instantiated once per kind and no more.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// The type of a field, as far as the wire can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A string.
    Text,
    /// An RFC 3339 instant with nanoseconds; zero is `0001-01-01T00:00:00Z`.
    Time,
    /// A UUID in text form; `""` when unset.
    Uuid,
    /// An IP address in text form; `""` when unset.
    Address,
    /// Bytes in base64.
    Bytes,
    /// Any JSON value, null included.
    Any,
    /// An array.
    List(&'static Type),
    /// An object with free keys.
    Map(&'static Type),
    /// An object with known fields.
    Struct(&'static Shape),
}

/// Who writes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Stored as given.
    Stored,
    /// Stored, but left out when it is zero.
    Omitted,
    /// Computed by the View, never stored: `Validated`, `Available`, `Errors`, `ReadOnly`, `Bundle`, `Partial`.
    Derived,
    /// Stored, never shown by the API (a password hash).
    Hidden,
}

/// Which whole numbers a field has room for in clients written in Go. All others are refused: such a client could not read the
/// object any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 64 bits; also for fields that are no numbers.
    Int,
    /// 32 bits with sign.
    Int32,
    /// 8 bits without sign.
    Byte,
}

impl Width {
    /// What fits, where not every `i64` does.
    #[must_use]
    pub fn range(self) -> Option<RangeInclusive<i64>> {
        match self {
            Self::Int => None,
            Self::Int32 => Some(i32::MIN.into()..=i32::MAX.into()),
            Self::Byte => Some(0..=u8::MAX.into()),
        }
    }

    pub(crate) fn go_type(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Int32 => "int32",
            Self::Byte => "uint8",
        }
    }
}

/// One field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name on the wire, exactly.
    pub name: &'static str,
    /// What values it takes.
    pub ty: &'static Type,
    /// Which numbers, if it takes numbers.
    pub width: Width,
    /// Who writes it.
    pub role: Role,
    /// The manual: the doc comment of the field, its lines joined by newlines.
    pub doc: &'static str,
}

/// The fields of an object or of a part of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// The name of the type as Go clients know it, for example `BootEnv`.
    pub name: &'static str,
    /// The same with its Go package, as Go prints it: `models.BootEnv`.
    pub go_name: &'static str,
    /// The doc comment of the type.
    pub doc: &'static str,
    /// In the order of declaration.
    pub fields: &'static [Field],
}

impl Shape {
    /// The field of that exact name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A Rust type that has a [`Type`] on the wire.
pub trait Wire {
    /// The type on the wire.
    const TYPE: &'static Type;
}

macro_rules! plain {
    ($($ty:ty => $variant:ident),* $(,)?) => {
        $(impl Wire for $ty {
            const TYPE: &'static Type = &Type::$variant;
        })*
    };
}

plain! {
    bool => Bool,
    i64 => Int,
    String => Text,
    Value => Any,
    crate::Time => Time,
    crate::Uuid => Uuid,
    crate::Address => Address,
    crate::Bytes => Bytes,
}

impl<T: Wire> Wire for Vec<T> {
    const TYPE: &'static Type = &Type::List(T::TYPE);
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    const TYPE: &'static Type = &Type::Map(T::TYPE);
}

impl Wire for Map<String, Value> {
    const TYPE: &'static Type = &Type::Map(&Type::Any);
}

/// Declares a struct of the wire together with its [`Shape`].
///
/// `object` adds the envelope of a stored object (reference: API §3), `part` does not. Each field names its wire name, and
/// optionally its role: `omitted` when zero, `hidden` from answers; or the width of its number: `int32`, `byte`.
macro_rules! wire {
    (
        $(#[doc = $doc:literal])*
        object $name:ident {
            $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty = $wire:literal $($role:ident)? , )*
        }
    ) => {
        $crate::shape::wire! {
            $(#[doc = $doc])*
            part $name {
                /// True when the object passed its own checks. An object that did not cannot be stored. Computed.
                validated: bool = "Validated" derived,
                /// True when everything that the object refers to is there and usable. Computed.
                available: bool = "Available" derived,
                /// Why the object is not available, one sentence per reason. Computed.
                errors: Vec<String> = "Errors" derived,
                /// True when the object comes from a content pack or is built in. Computed.
                read_only: bool = "ReadOnly" derived,
                /// Free text values by name, for people and user interfaces.
                meta: std::collections::BTreeMap<String, String> = "Meta",
                /// The id of the server that owns the object; empty for this one.
                endpoint: String = "Endpoint",
                /// The content pack that the object comes from; empty for objects made through the API. Computed.
                bundle: String = "Bundle" derived,
                $( $(#[doc = $fdoc])* $field : $ty = $wire $($role)?, )*
            }
        }

        impl $crate::kind::Envelope for $name {
            fn take_computed(&mut self, record: &$crate::Record) {
                self.validated = true;
                self.available = record.derived().available();
                self.errors = record.derived().errors().to_vec();
                self.read_only = record.read_only();
                self.bundle = record.bundle().to_owned();
            }
        }
    };
    (
        $(#[doc = $doc:literal])*
        part $name:ident {
            $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty = $wire:literal $($role:ident)? , )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $( $(#[doc = $fdoc])* #[serde(rename = $wire)] pub $field : $ty, )*
        }

        impl $crate::shape::Wire for $name {
            const TYPE: &'static $crate::shape::Type = &$crate::shape::Type::Struct(&$crate::shape::Shape {
                name: stringify!($name),
                go_name: concat!("models.", stringify!($name)),
                doc: concat!($($doc, "\n"),*),
                fields: &[ $( $crate::shape::Field {
                    name: $wire,
                    ty: <$ty as $crate::shape::Wire>::TYPE,
                    width: $crate::shape::width!($($role)?),
                    role: $crate::shape::role!($($role)?),
                    doc: concat!($($fdoc, "\n"),*),
                } ),* ],
            });
        }
    };
}

/// What a word after a field in `wire!` says about its numbers.
macro_rules! width {
    (int32) => {
        $crate::shape::Width::Int32
    };
    (byte) => {
        $crate::shape::Width::Byte
    };
    ($($role:ident)?) => {
        $crate::shape::Width::Int
    };
}

/// The role word of a field in `wire!`.
macro_rules! role {
    ($(int32)? $(byte)?) => {
        $crate::shape::Role::Stored
    };
    (omitted) => {
        $crate::shape::Role::Omitted
    };
    (derived) => {
        $crate::shape::Role::Derived
    };
    (hidden) => {
        $crate::shape::Role::Hidden
    };
}

pub(crate) use {role, width, wire};
