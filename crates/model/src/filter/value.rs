//! The values that filters compare, and how they are taken from objects.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use memchr::memmem;
use serde_json::Value;

use super::Subject;
use crate::kind::{Index, IndexType};
use crate::pluck::pluck;
use crate::{Address, Kind, Record, Time, View, params};

/// A value to compare. Unset comes before everything.
#[derive(Debug, Clone)]
pub(super) enum Val {
    Unset,
    Flag(bool),
    Number(f64),
    Time(Time),
    Address(Option<IpAddr>),
    Text(String),
    Json(Value),
}

impl Val {
    /// A value of a parameter. Numbers compare as numbers, whatever their notation.
    pub(super) fn from_json(value: Value) -> Self {
        match value {
            Value::Null => Self::Unset,
            Value::Bool(flag) => Self::Flag(flag),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) => Self::Text(text),
            other => Self::Json(other),
        }
    }

    fn from_field(ty: IndexType, value: Option<Value>) -> Self {
        let text = match value {
            Some(Value::String(text)) => text,
            // A list or map stands for "has any".
            Some(Value::Array(items)) if ty == IndexType::Bool => return Self::Flag(!items.is_empty()),
            Some(value) => return Self::from_json(value),
            None if ty == IndexType::Bool => return Self::Flag(false),
            None => String::new(),
        };
        match ty {
            IndexType::Time(_) => Time::parse(&text).map_or(Self::Unset, Self::Time),
            IndexType::Address(_) => Self::Address(Address::parse(&text).unwrap_or_default().0),
            _ => Self::Text(text),
        }
    }

    /// The value as the text of an index.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Address(Some(address)) => Some(address.to_string()),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Unset => 0,
            Self::Flag(_) => 1,
            Self::Number(_) => 2,
            Self::Time(_) => 3,
            Self::Address(_) => 4,
            Self::Text(_) => 5,
            Self::Json(_) => 6,
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Address(a), Self::Address(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Json(a), Self::Json(b)) if a == b => Ordering::Equal,
            (Self::Json(a), Self::Json(b)) => a.to_string().cmp(&b.to_string()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

/// Profiles in order, and the stage: what an inherited parameter depends on.
type Heritage = (Vec<Arc<str>>, Option<Arc<str>>);

/// Takes values from objects. What profiles and stages give is worked out once for each combination of them.
pub(super) struct Memo<'a> {
    view: &'a View,
    inherited: HashMap<(String, Heritage), Val>,
}

impl<'a> Memo<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self { view, inherited: HashMap::new() }
    }

    pub(super) fn scalar(&mut self, subject: &Subject, record: &Record) -> Val {
        match subject {
            Subject::Index(index) => indexed(index, record),
            Subject::Meta(key) => pluck(record.json(), &["Meta", key]).map_or(Val::Unset, Val::from_json),
            Subject::Param { name, is_flag } => match self.param(name, record) {
                Val::Unset if *is_flag => Val::Flag(false),
                value => value,
            },
        }
    }

    pub(super) fn list(&mut self, subject: &Subject, record: &Record) -> Vec<Val> {
        let Subject::Index(index) = subject else { return Vec::new() };
        if let Some(number) = kept(index, record) {
            let values = record.facts.iter().filter(|(n, _)| *n == number);
            return values.map(|(_, text)| Val::Text(text.to_string())).collect();
        }
        match field(index, record) {
            Some(Value::Array(items)) => items.into_iter().map(Val::from_json).collect(),
            Some(Value::Object(map)) => map.into_iter().map(|(name, _)| Val::Text(name)).collect(),
            _ => Vec::new(),
        }
    }

    /// The object's own value, else what it inherits.
    fn param(&mut self, name: &str, record: &Record) -> Val {
        let needle = format!("{}:", Value::from(name));
        if memmem::find(record.json().as_bytes(), needle.as_bytes()).is_some()
            && let Some(own) = pluck(record.json(), &["Params", name])
        {
            return Val::from_json(own);
        }
        let heritage = heritage(record);
        let key = (name.to_owned(), heritage);
        if let Some(value) = self.inherited.get(&key) {
            return value.clone();
        }
        let value = inherited(self.view, record.kind(), &key.1, name);
        self.inherited.insert(key, value.clone());
        value
    }
}

fn indexed(index: &Index, record: &Record) -> Val {
    match index.name {
        "Key" => Val::Text(record.key().to_string()),
        "Available" => Val::Flag(record.derived().available()),
        "Valid" => Val::Flag(record.derived().validated()),
        "ReadOnly" => Val::Flag(record.read_only()),
        "Bundle" => Val::Text(record.bundle().to_owned()),
        _ => match kept(index, record) {
            Some(number) => {
                let value = record.facts.iter().find(|(n, _)| *n == number);
                Val::from_field(index.ty, value.map(|(_, text)| text.to_string().into()))
            }
            None => Val::from_field(index.ty, field(index, record)),
        },
    }
}

/// The number of the index in the kind's table, when the record holds its values.
fn kept(index: &Index, record: &Record) -> Option<u8> {
    let number = record.kind().spec().indexes.iter().position(|known| known == index)?;
    if index.kept { u8::try_from(number).ok() } else { None }
}

fn field(index: &Index, record: &Record) -> Option<Value> {
    let single = [index.name];
    pluck(record.json(), if index.path.is_empty() { &single } else { index.path })
}

fn heritage(record: &Record) -> Heritage {
    let number = |name: &str| record.kind().spec().indexes.iter().position(|i| i.name == name && i.kept);
    let of = |name: &str| {
        let number = number(name);
        record
            .facts
            .iter()
            .filter(move |(n, _)| Some(usize::from(*n)) == number)
            .map(|(_, text)| Arc::clone(text))
    };
    (of("Profiles").collect(), of("Stage").next())
}

fn inherited(view: &View, kind: Kind, (profiles, stage): &Heritage, name: &str) -> Val {
    let names: Vec<String> = profiles.iter().map(ToString::to_string).collect();
    let found = |layers: &[params::Layer<'_>]| params::lookup(view, layers, name).map(|(value, _)| value);
    let value = if kind == Kind::Machine {
        let machine = crate::Machine {
            profiles: names,
            stage: stage.as_deref().unwrap_or_default().to_owned(),
            ..crate::Machine::default()
        };
        found(&params::layers(view, &machine))
    } else {
        found(&params::profile_layers(view, &names))
    };
    value.map_or(Val::Unset, Val::from_json)
}
