//! List queries (API §5): filters over indexes, Meta values and parameters; sorting and paging.
//!
//! A query is parsed once, with all its errors, and then run over a View. One equality on a kept index narrows the search to
//! the objects that have the value; everything else is decided object by object, without parsing more than the field asked.

mod parse;
mod value;

use std::cmp::Ordering;
use std::sync::Arc;

use regex::Regex;

use crate::kind::{Index, IndexType};
use crate::{Error, Key, Kind, Record, View};
use value::{Memo, Val};

/// A list query that was read and can be run.
#[derive(Debug, Clone)]
pub struct Query {
    kind: Kind,
    terms: Vec<Term>,
    sort: Vec<&'static Index>,
    reverse: bool,
    offset: usize,
    limit: Option<usize>,
}

/// One subject and its tests, any of which suffices.
#[derive(Debug, Clone)]
struct Term {
    subject: Subject,
    tests: Vec<Test>,
}

/// What a term looks at.
#[derive(Debug, Clone, PartialEq)]
enum Subject {
    Index(&'static Index),
    Meta(String),
    Param { name: String, is_flag: bool },
}

/// What it asks of it.
#[derive(Debug, Clone)]
enum Test {
    Eq(Vec<Val>),
    Ne(Vec<Val>),
    In(Vec<Val>),
    Nin(Vec<Val>),
    Order(fn(Ordering) -> bool, Val),
    Between(Val, Val),
    Except(Val, Val),
    Re(Regex),
}

/// What a query found.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The objects of the page, in order.
    pub records: Vec<Arc<Record>>,
    /// How many objects match, before offset and limit.
    pub matched: usize,
    /// How many objects of the kind the caller may see at all.
    pub total: usize,
}

impl Query {
    /// Reads the pairs of a query string. Those that are no filters (`slim`, `params`, `decode`, ...) are passed over.
    ///
    /// # Errors
    /// [`Error::Query`] with the reference's text.
    pub fn parse<'a>(
        view: &View,
        kind: Kind,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        parse::query(view, kind, pairs).map_err(|message| Error::Query { kind, message })
    }

    /// Runs the query over all objects.
    #[must_use]
    pub fn run_all(&self, view: &View) -> Selection {
        self.select(view, &|_| true, view.count(self.kind))
    }

    /// Runs the query over all objects that `visible` lets through, which costs a look at each for the total.
    #[must_use]
    pub fn run(&self, view: &View, visible: &dyn Fn(&Record) -> bool) -> Selection {
        let total = view.records(self.kind).filter(|record| visible(record)).count();
        self.select(view, visible, total)
    }

    fn select(&self, view: &View, visible: &dyn Fn(&Record) -> bool, total: usize) -> Selection {
        let mut memo = Memo::new(view);
        let mut holds = |record: &Arc<Record>| {
            visible(record) && self.terms.iter().all(|term| term.holds(record, &mut memo))
        };
        let mut records: Vec<Arc<Record>> = match self.narrow(view) {
            Some(keys) => keys
                .iter()
                .filter_map(|key| view.record(self.kind, key))
                .filter(|record| holds(record))
                .cloned()
                .collect(),
            None => view.records(self.kind).filter(|record| holds(record)).cloned().collect(),
        };
        let matched = records.len();
        self.order(&mut records, &mut memo);
        let page = records.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX));
        Selection { records: page.collect(), matched, total }
    }

    /// Whether one object matches, apart from paging.
    #[must_use]
    pub fn matches(&self, view: &View, record: &Record) -> bool {
        let mut memo = Memo::new(view);
        self.terms.iter().all(|term| term.holds(record, &mut memo))
    }

    /// The keys that a term with a kept index leaves, in order.
    fn narrow(&self, view: &View) -> Option<Vec<Key>> {
        self.terms.iter().find_map(|term| {
            let Subject::Index(index) = &term.subject else { return None };
            let [Test::Eq(values) | Test::In(values)] = term.tests.as_slice() else { return None };
            let [value] = values.as_slice() else { return None };
            let text = value.text().filter(|text| !text.is_empty())?;
            if index.name == "Key" || index.name == "Uuid" {
                return Some(view.lookup(self.kind, &text).into_iter().collect());
            }
            let usable = index.kept && !matches!(index.ty, IndexType::Within(_) | IndexType::Cidr);
            usable.then(|| view.find(self.kind, index.name, &text).cloned().collect())
        })
    }

    fn order(&self, records: &mut [Arc<Record>], memo: &mut Memo<'_>) {
        if !self.sort.is_empty() {
            let subjects: Vec<Subject> = self.sort.iter().map(|index| Subject::Index(index)).collect();
            records.sort_by_cached_key(|record| {
                let values: Vec<Val> = subjects.iter().map(|subject| memo.scalar(subject, record)).collect();
                (values, record.key().clone())
            });
        }
        if self.reverse {
            records.reverse();
        }
    }
}

impl Term {
    fn holds(&self, record: &Record, memo: &mut Memo<'_>) -> bool {
        let is_list = matches!(&self.subject, Subject::Index(index) if index.ty == IndexType::List);
        if is_list {
            let has = memo.list(&self.subject, record);
            return self.tests.iter().any(|test| test.holds_for_list(&has));
        }
        if let Subject::Index(index) = &self.subject
            && matches!(index.ty, IndexType::Within(_))
        {
            return self.tests.iter().any(|test| test.holds_within(index.name, record));
        }
        let has = memo.scalar(&self.subject, record);
        self.tests.iter().any(|test| test.holds_for(&has))
    }
}

impl Test {
    fn holds_for(&self, has: &Val) -> bool {
        match self {
            Self::Eq(values) => values.iter().all(|value| value == has),
            Self::Ne(values) => !values.iter().all(|value| value == has),
            Self::In(values) => values.contains(has),
            Self::Nin(values) => !values.contains(has),
            Self::Order(wanted, value) => wanted(has.cmp(value)),
            Self::Between(low, high) => low <= has && has <= high,
            Self::Except(low, high) => has < low || high < has,
            Self::Re(pattern) => has.text().is_some_and(|text| pattern.is_match(&text)),
        }
    }

    fn holds_for_list(&self, has: &[Val]) -> bool {
        match self {
            Self::Eq(values) => values.iter().all(|value| has.contains(value)),
            Self::Ne(values) => !values.iter().all(|value| has.contains(value)),
            Self::In(values) => values.iter().any(|value| has.contains(value)),
            Self::Nin(values) => !values.iter().any(|value| has.contains(value)),
            Self::Order(..) | Self::Between(..) | Self::Except(..) | Self::Re(_) => false,
        }
    }

    /// Subnets that contain an address, or have it in their active range.
    fn holds_within(&self, index: &str, record: &Record) -> bool {
        let subnet = record.typed::<crate::Subnet>();
        let holds = |value: &Val| match value {
            Val::Address(Some(std::net::IpAddr::V4(address))) if index == "Address" => {
                subnet.contains(*address)
            }
            Val::Address(Some(std::net::IpAddr::V4(address))) => subnet.in_active_range(*address),
            _ => false,
        };
        match self {
            Self::Eq(values) => values.iter().all(holds),
            Self::Ne(values) => !values.iter().all(holds),
            Self::In(values) => values.iter().any(holds),
            Self::Nin(values) => !values.iter().any(holds),
            _ => false,
        }
    }
}
