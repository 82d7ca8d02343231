//! Types as Go's reflection names them: what a value is, what a parameter wants. Only the types that
//! values of this language can have exist.

use std::fmt;

/// The static type of a parameter, and the dynamic type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: any value, nil included.
    Any,
    /// `reflect.Value`: like `Any`, for functions that tell "no value" from nil themselves.
    Value,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// `[]T`
    List(Elem),
    /// `map[string]T`
    Map(Elem),
    /// `func(...)`
    Func,
    /// A type of the embedding program (or of the standard library), by its Go name.
    Named(&'static str),
}

/// What a list or map holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `interface {}`
    Any,
    /// `string`
    String,
    /// `int`
    Int,
    /// `uint8`: a `[]uint8` is Go's `[]byte`.
    Uint8,
    /// A type of the embedding program, by its Go name.
    Named(&'static str),
}

impl Elem {
    /// The element as a type of its own.
    pub fn to_type(self) -> Type {
        match self {
            Elem::Any => Type::Any,
            Elem::String => Type::String,
            Elem::Int => Type::Int,
            Elem::Uint8 => Type::Uint8,
            Elem::Named(name) => Type::Named(name),
        }
    }
}

impl Type {
    /// Whether nil may stand for a value of this type (Go's `canBeNil`).
    pub fn accepts_nil(self) -> bool {
        match self {
            Type::Any | Type::Value | Type::List(_) | Type::Map(_) | Type::Func => true,
            Type::Named(name) => name.starts_with('*') || name.starts_with("[]"),
            _ => false,
        }
    }

    /// The reflected kind of values of this type.
    pub fn kind(self) -> Kind {
        match self {
            Type::Any => Kind::Interface,
            Type::Value => Kind::Struct,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Int64 => Kind::Int64,
            Type::Uint8 => Kind::Uint8,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Uint64,
            Type::Float64 => Kind::Float64,
            Type::Complex128 => Kind::Complex128,
            Type::String => Kind::String,
            Type::List(_) => Kind::Slice,
            Type::Map(_) => Kind::Map,
            Type::Func => Kind::Func,
            Type::Named(name) => named_kind(name),
        }
    }
}

fn named_kind(name: &str) -> Kind {
    if name.starts_with('*') {
        Kind::Ptr
    } else if name.starts_with("[]") {
        Kind::Slice
    } else if name.starts_with("map[") {
        Kind::Map
    } else {
        Kind::Struct
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Any => "interface {}",
            Type::Value => "reflect.Value",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Int64 => "int64",
            Type::Uint8 => "uint8",
            Type::Uint32 => "uint32",
            Type::Uint64 => "uint64",
            Type::Float64 => "float64",
            Type::Complex128 => "complex128",
            Type::String => "string",
            Type::List(elem) => return write!(f, "[]{}", elem.to_type()),
            Type::Map(elem) => return write!(f, "map[string]{}", elem.to_type()),
            Type::Func => "func",
            Type::Named(name) => name,
        })
    }
}

/// Go's `reflect.Kind`, as far as values here have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Go's")]
pub enum Kind {
    Invalid,
    Bool,
    Int,
    Int64,
    Uint8,
    Uint32,
    Uint64,
    Float64,
    Complex128,
    Func,
    Interface,
    Map,
    Ptr,
    Slice,
    String,
    Struct,
}

impl Kind {
    /// Go's word for it, as `kindOf` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Int64 => "int64",
            Kind::Uint8 => "uint8",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Float64 => "float64",
            Kind::Complex128 => "complex128",
            Kind::Func => "func",
            Kind::Interface => "interface",
            Kind::Map => "map",
            Kind::Ptr => "ptr",
            Kind::Slice => "slice",
            Kind::String => "string",
            Kind::Struct => "struct",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
