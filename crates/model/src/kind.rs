//! What a kind of object is: the facts that generic code needs, as data, and the checks of the kind behind function pointers.
//!
//! The list itself is in [`crate::kinds`]. A kind is one file there: its struct (`wire!`), its [`Index`] table, and its
//! [`Behaviour`], whose methods have defaults that suit a plain object.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::check::{Cross, Delete, Fill};
use crate::shape::{Shape, Type, Wire};
use crate::{Kind, Problems, Record, View};

/// A typed object of the model.
pub trait Object:
    Wire + Envelope + Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static
{
    /// Its kind.
    const KIND: Kind;

    /// Its native key.
    fn key(&self) -> String;
}

/// The computed fields of the envelope, filled from a record when an object is parsed out of it.
pub trait Envelope {
    /// Copies Validated, Available, Errors, ReadOnly and Bundle from `record`.
    fn take_computed(&mut self, _record: &Record) {}
}

/// Where a kind lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In the store only: jobs, leases.
    Stored,
    /// In the store and in content layers.
    Layered,
    /// Nowhere: the server computes it when asked (interfaces, info).
    Computed,
    /// In the store, but written by the server only.
    ReadMostly,
}

/// Which of the generic verbs the API offers for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbs {
    /// GET of the list and of one.
    pub read: bool,
    /// POST.
    pub create: bool,
    /// PUT and PATCH.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
}

impl Verbs {
    /// All of them.
    pub const ALL: Self = Self { read: true, create: true, update: true, delete: true };
    /// Reading only.
    pub const READ: Self = Self { read: true, create: false, update: false, delete: false };
    /// Reading and deleting.
    pub const READ_DELETE: Self = Self { read: true, create: false, update: false, delete: true };
    /// None: the kind has end points of its own.
    pub const NONE: Self = Self { read: false, create: false, update: false, delete: false };
}

/// Which computed fields the envelope of a kind shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Validated, Available, Errors, ReadOnly, Bundle.
    Plain,
    /// The same with Partial: kinds that carry parameters.
    Params,
    /// The same without Bundle: catalog items.
    NoBundle,
    /// None: preferences, info.
    Bare,
}

/// What the values of an index are, in the words of the `/indexes` answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexType {
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A UUID.
    Uuid,
    /// An IP address; the text is the error text for a bad value, `{}` being the value.
    Address(&'static str),
    /// An IP address that selects by network: subnets containing it, or with it in their active range.
    Within(&'static str),
    /// A network in CIDR form.
    Cidr,
    /// An instant; the text goes before Go's parse error.
    Time(&'static str),
    /// A list of strings (or the names of a map).
    List,
}

/// One way to find objects of a kind by value, for list filters, sorting, unique names and reverse references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// The name in queries.
    pub name: &'static str,
    /// Where the value is: wire names from the top, `*` for every element. Empty: the field of the index's name.
    pub path: &'static [&'static str],
    /// What the values are.
    pub ty: IndexType,
    /// No two objects share a value.
    pub unique: bool,
    /// Cannot be sorted by.
    pub unordered: bool,
    /// Can be matched by regular expression.
    pub regex: bool,
    /// Held ready in the View. The others are found by scanning.
    pub kept: bool,
    /// Held, and looked up, in lower case.
    pub folded: bool,
    /// The values are keys of that kind.
    pub refers: Option<Kind>,
    /// Shown by `/indexes` and usable as a filter.
    pub listed: bool,
}

impl Index {
    const fn new(name: &'static str, ty: IndexType) -> Self {
        Self {
            name,
            path: &[],
            ty,
            unique: false,
            unordered: false,
            regex: false,
            kept: false,
            folded: false,
            refers: None,
            listed: true,
        }
    }

    /// A string index that takes regular expressions.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        let mut index = Self::new(name, IndexType::Text);
        index.regex = true;
        index
    }

    /// A boolean index, which has no order.
    #[must_use]
    pub const fn flag(name: &'static str) -> Self {
        let mut index = Self::new(name, IndexType::Bool);
        index.unordered = true;
        index
    }

    /// A list index, which has no order.
    #[must_use]
    pub const fn list(name: &'static str) -> Self {
        let mut index = Self::new(name, IndexType::List);
        index.unordered = true;
        index
    }

    /// An index of the given type.
    #[must_use]
    pub const fn of(name: &'static str, ty: IndexType) -> Self {
        Self::new(name, ty)
    }

    /// No two objects share a value; held in the View.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self.kept = true;
        self
    }

    /// Held in the View.
    #[must_use]
    pub const fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Held in the View in lower case: who looks for a value gives it so, and finds it however it was written.
    #[must_use]
    pub const fn folded(mut self) -> Self {
        self.folded = true;
        self.kept = true;
        self
    }

    /// Can be sorted by, although its type says otherwise.
    #[must_use]
    pub const fn ordered(mut self) -> Self {
        self.unordered = false;
        self
    }

    /// Cannot be sorted by.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// Its values are keys of `kind`; held in the View, for that is how reverse references are found.
    #[must_use]
    pub const fn refers(mut self, kind: Kind) -> Self {
        self.refers = Some(kind);
        self.kept = true;
        self
    }

    /// Its values are keys of `kind`, but there are too many to hold them: found by scanning.
    #[must_use]
    pub const fn refers_scanned(mut self, kind: Kind) -> Self {
        self.refers = Some(kind);
        self.kept = false;
        self
    }

    /// The value lies elsewhere than in the field of the index's name.
    #[must_use]
    pub const fn at(mut self, path: &'static [&'static str]) -> Self {
        self.path = path;
        self
    }

    /// For the model's own use: neither listed nor usable as a filter.
    #[must_use]
    pub const fn internal(mut self) -> Self {
        self.listed = false;
        self
    }

    /// The word of `/indexes`.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        match self.ty {
            IndexType::Text => "string",
            IndexType::Bool => "boolean",
            IndexType::Int => "integer",
            IndexType::Uuid => "UUID string",
            IndexType::Address(_) | IndexType::Within(_) => "IP Address",
            IndexType::Cidr => "CIDR Address",
            IndexType::Time("") => "dateTime",
            IndexType::Time(_) => "Date/Time string",
            IndexType::List => "list",
        }
    }
}

/// Everything generic code may know about a kind.
#[derive(Debug)]
pub struct Spec {
    /// The kind.
    pub kind: Kind,
    /// The name in URLs, events and the store: `machines`.
    pub prefix: &'static str,
    /// Its fields.
    pub shape: &'static Shape,
    /// The wire name of the field that holds the key.
    pub key_field: &'static str,
    /// Where it lives.
    pub home: Home,
    /// What the API offers.
    pub verbs: Verbs,
    /// Which computed fields it shows.
    pub shown: Shown,
    /// It has a `Params` map, with the sub-resources of API §7.
    pub params: bool,
    /// Its indexes beyond the generic ones.
    pub indexes: &'static [Index],
    /// The index that lists are in the order of when nobody says otherwise; empty for the key.
    pub order: &'static str,
    pub(crate) erased: Erased,
}

impl Spec {
    /// The index of that name, the kind's own or a generic one.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<&'static Index> {
        self.all_indexes().find(|index| index.name == name)
    }

    /// The kind's indexes, then the generic ones (API §5.6).
    pub fn all_indexes(&self) -> impl Iterator<Item = &'static Index> + use<> {
        let generic: &'static [Index] = match self.shown {
            Shown::Bare => &GENERIC[..1],
            Shown::NoBundle => &GENERIC[..5],
            Shown::Plain | Shown::Params => &GENERIC,
        };
        self.indexes.iter().chain(generic)
    }

    /// Fields that are stored but never shown.
    pub fn hidden_fields(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.shape
            .fields
            .iter()
            .filter(|field| field.role == crate::shape::Role::Hidden)
            .map(|field| field.name)
    }
}

/// The indexes that every kind has; the View answers them from the record itself.
pub(crate) const GENERIC: [Index; 6] = [
    Index { unique: true, ..Index::text("Key") },
    Index::flag("Available"),
    Index::flag("ReadOnly"),
    Index::flag("Valid"),
    Index::text("Endpoint"),
    Index::text("Bundle"),
];

/// What a kind does beyond holding fields. Every method has a default for a plain object.
pub(crate) trait Behaviour: Object {
    /// The indexes beyond the generic ones.
    const INDEXES: &'static [Index] = &[];
    /// The wire name of the key field.
    const KEY: &'static str = "Name";
    /// Where it lives.
    const HOME: Home = Home::Layered;
    /// What the API offers.
    const VERBS: Verbs = Verbs::ALL;
    /// Which computed fields it shows.
    const SHOWN: Shown = Shown::Plain;
    /// See [`Spec::order`].
    const ORDER: &'static str = "";

    /// Puts defaults into a decoded object before it is checked.
    fn fill(_object: &mut Map<String, Value>, _fill: &Fill<'_>) {}

    /// Whether `derive` can find anything; saves parsing objects that are always available.
    const DERIVES: bool = true;

    /// The rules that the object can be judged by alone.
    fn check(&self, _problems: &mut Problems) {}

    /// The rules that need the other objects, for an object about to be stored.
    fn cross(&self, _cross: &Cross<'_>, _problems: &mut Problems) {}

    /// Why the object cannot be used now: the sentences of `Errors`.
    fn derive(&self, _view: &View, _errors: &mut Vec<String>) {}

    /// Who needs the object, so that it cannot be deleted.
    fn delete(&self, _delete: &mut Delete<'_>) {}
}

/// A kind's [`Behaviour`] without its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Erased {
    pub(crate) parse: fn(&Record) -> Arc<dyn Any + Send + Sync>,
    pub(crate) key: fn(&Value) -> Option<String>,
    pub(crate) fill: fn(&mut Map<String, Value>, &Fill<'_>),
    pub(crate) check: fn(&Value, &Cross<'_>, &mut Problems) -> Result<(), String>,
    pub(crate) derive: Option<fn(&Record, &View, &mut Vec<String>)>,
    pub(crate) delete: fn(&Record, &mut Delete<'_>),
}

/// Builds the [`Spec`] of a kind at compile time.
pub(crate) const fn spec<T: Behaviour>(kind: Kind, prefix: &'static str) -> Spec {
    let Type::Struct(shape) = T::TYPE else { panic!("an object is a struct") };
    Spec {
        kind,
        prefix,
        shape,
        key_field: T::KEY,
        home: T::HOME,
        verbs: T::VERBS,
        shown: T::SHOWN,
        params: matches!(T::SHOWN, Shown::Params),
        indexes: T::INDEXES,
        order: T::ORDER,
        erased: Erased {
            parse: |record| Arc::new(record.parse::<T>()),
            key: |value| T::deserialize(value).ok().map(|object| object.key()),
            fill: T::fill,
            check: |value, cross, problems| {
                let object = T::deserialize(value).map_err(|error| error.to_string())?;
                object.check(problems);
                problems.prefix(0, &format!("{}: ", cross.key));
                object.cross(cross, problems);
                Ok(())
            },
            derive: if T::DERIVES {
                Some(|record, view, errors| record.typed::<T>().derive(view, errors))
            } else {
                None
            },
            delete: |record, delete| record.typed::<T>().delete(delete),
        },
    }
}
