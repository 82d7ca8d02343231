//! Query strings into [`Query`]s, with the texts of API §5.3.

use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value;

use super::value::Val;
use super::{Query, Subject, Term, Test};
use crate::kind::{Index, IndexType};
use crate::net::Network;
use crate::{Address, Kind, Param, Time, Uuid, View};

/// Query parameters that are not filters.
const OTHERS: [&str; 5] = ["slim", "params", "decode", "token", "Token"];

pub(super) fn query<'a>(
    view: &View,
    kind: Kind,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Query, String> {
    let mut query =
        Query { kind, terms: Vec::new(), sort: Vec::new(), reverse: false, offset: 0, limit: None };
    for (name, value) in pairs {
        match name {
            "reverse" => query.reverse = true,
            "offset" => query.offset = count("Offset", value)?,
            "limit" => query.limit = Some(count("Limit", value)?),
            "sort" => query.sort.push(sortable(kind, value)?),
            name if OTHERS.contains(&name) => {}
            name => add(&mut query.terms, view, kind, name, value)?,
        }
    }
    let order = kind.spec().order;
    if query.sort.is_empty() && !order.is_empty() {
        query.sort.push(sortable(kind, order)?);
    }
    Ok(query)
}

fn count(what: &str, value: &str) -> Result<usize, String> {
    let bad = || format!("{what} not valid: strconv.Atoi: parsing {value:?}: invalid syntax");
    let number: i64 = value.parse().map_err(|_| bad())?;
    usize::try_from(number).map_err(|_| format!("{what} cannot be negative"))
}

fn sortable(kind: Kind, name: &str) -> Result<&'static Index, String> {
    kind.spec()
        .index(name)
        .filter(|index| index.listed && !index.unordered)
        .ok_or_else(|| format!("Not sortable: {name}"))
}

fn add(terms: &mut Vec<Term>, view: &View, kind: Kind, name: &str, value: &str) -> Result<(), String> {
    let subject = subject(view, kind, name)?;
    let test = Reader { view, subject: &subject, name }.test(value)?;
    match terms.iter_mut().find(|term| term.subject == subject) {
        Some(term) => term.tests.push(test),
        None => terms.push(Term { subject, tests: vec![test] }),
    }
    Ok(())
}

fn subject(view: &View, kind: Kind, name: &str) -> Result<Subject, String> {
    if let Some(index) = kind.spec().index(name).filter(|index| index.listed) {
        return Ok(Subject::Index(index));
    }
    if let Some(key) = name.strip_prefix("Meta.")
        && kind.spec().shape.field("Meta").is_some()
    {
        return Ok(Subject::Meta(key.to_owned()));
    }
    match view.object::<Param>(name) {
        Some(param) if kind.spec().params => {
            Ok(Subject::Param { name: name.to_owned(), is_flag: param.schema_type() == "boolean" })
        }
        _ => Err(format!("Filter not found: {name}")),
    }
}

/// Reads the value of one filter.
struct Reader<'a> {
    view: &'a View,
    subject: &'a Subject,
    name: &'a str,
}

impl Reader<'_> {
    fn test(&self, text: &str) -> Result<Test, String> {
        let Some((op, args)) = operation(text) else {
            let split = matches!(self.subject, Subject::Index(index) if index.ty == IndexType::List);
            return Ok(Test::Eq(if split { self.values(text)? } else { vec![self.value(text)?] }));
        };
        match op {
            "Eq" => Ok(Test::Eq(self.values(args)?)),
            "Ne" => Ok(Test::Ne(self.values(args)?)),
            "In" => Ok(Test::In(self.values(args)?)),
            "Nin" => Ok(Test::Nin(self.values(args)?)),
            "Re" => self.pattern(args),
            "Lt" => self.order(Ordering::is_lt, args),
            "Lte" => self.order(Ordering::is_le, args),
            "Gt" => self.order(Ordering::is_gt, args),
            "Gte" => self.order(Ordering::is_ge, args),
            "Between" => self.range(op, args).map(|(low, high)| Test::Between(low, high)),
            _ => self.range(op, args).map(|(low, high)| Test::Except(low, high)),
        }
    }

    fn order(&self, wanted: fn(Ordering) -> bool, text: &str) -> Result<Test, String> {
        self.must_order()?;
        Ok(Test::Order(wanted, self.value(text)?))
    }

    fn range(&self, op: &str, args: &str) -> Result<(Val, Val), String> {
        self.must_order()?;
        match args.split(',').collect::<Vec<_>>().as_slice() {
            [low, high] => Ok((self.value(low)?, self.value(high)?)),
            values => Err(format!("{op} takes two values, not {}", values.len())),
        }
    }

    fn must_order(&self) -> Result<(), String> {
        let unordered = match self.subject {
            Subject::Index(index) => {
                matches!(index.ty, IndexType::Bool | IndexType::List | IndexType::Within(_))
            }
            Subject::Param { is_flag, .. } => *is_flag,
            Subject::Meta(_) => false,
        };
        if unordered { Err(format!("{} cannot be ordered", self.name)) } else { Ok(()) }
    }

    fn pattern(&self, text: &str) -> Result<Test, String> {
        let allowed = match self.subject {
            Subject::Index(index) => index.regex,
            Subject::Meta(_) => true,
            Subject::Param { .. } => false,
        };
        if !allowed {
            return Err("cannot match via regular expression".to_owned());
        }
        Regex::new(text).map(Test::Re).map_err(|error| error.to_string())
    }

    fn values(&self, args: &str) -> Result<Vec<Val>, String> {
        args.split(',').map(|text| self.value(text)).collect()
    }

    fn value(&self, text: &str) -> Result<Val, String> {
        match self.subject {
            Subject::Meta(_) => Ok(Val::Text(text.to_owned())),
            Subject::Param { name, .. } => self.param(name, text),
            Subject::Index(index) => self.indexed(index, text),
        }
    }

    fn param(&self, name: &str, text: &str) -> Result<Val, String> {
        let param = self.view.object::<Param>(name).unwrap_or_default();
        if param.schema_type() == "string" {
            return Ok(Val::Text(text.to_owned()));
        }
        serde_json::from_str::<Value>(text).map(Val::from_json).map_err(|error| error.to_string())
    }

    fn indexed(&self, index: &Index, text: &str) -> Result<Val, String> {
        match index.ty {
            IndexType::Text | IndexType::List => Ok(Val::Text(text.to_owned())),
            IndexType::Bool => match text {
                "true" => Ok(Val::Flag(true)),
                "false" => Ok(Val::Flag(false)),
                _ => Err(format!("{} must be true or false", self.name)),
            },
            IndexType::Int => text
                .parse::<i64>()
                .map(|n| Val::Number(n as f64))
                .map_err(|_| format!("Invalid number: {text}")),
            IndexType::Uuid => Uuid::parse(text)
                .map(|id| Val::Text(id.to_string()))
                .map_err(|_| format!("Invalid UUID: {text}")),
            IndexType::Address(error) | IndexType::Within(error) => match Address::parse(text) {
                Ok(address) if !address.is_unset() => Ok(Val::Address(address.0)),
                _ if error.ends_with(": ") => Err(format!("{error}{text}")),
                _ => Err(error.to_owned()),
            },
            IndexType::Cidr => match Network::parse(text) {
                Ok(_) => Ok(Val::Text(text.to_owned())),
                Err(_) => Err(format!("Invalid subnet CIDR: {text}")),
            },
            IndexType::Time(before) => {
                Time::parse(text).map(Val::Time).map_err(|error| format!("{before}{error}"))
            }
        }
    }
}

/// `Op(args)` taken apart, when it is one of the operators; anything else is a literal value.
fn operation(text: &str) -> Option<(&str, &str)> {
    const OPS: [&str; 11] = ["Eq", "Ne", "In", "Nin", "Lt", "Lte", "Gt", "Gte", "Between", "Except", "Re"];
    let (op, rest) = text.split_once('(')?;
    let args = rest.strip_suffix(')')?;
    OPS.contains(&op).then_some((op, args))
}
