//! Index values: taking them out of an object, and the ordered sets of (value, key) that hold them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdSet;
use serde_json::Value;

use crate::Key;
use crate::kind::{Index, Spec};
use crate::record::Fact;

/// The values of all kept indexes of an object, in order. Empty values are not kept: nobody is found by having no name.
pub(crate) fn facts(spec: &Spec, value: &Value) -> Box<[Fact]> {
    let mut facts = Vec::new();
    for (number, index) in spec.indexes.iter().enumerate().filter(|(_, index)| index.kept) {
        let number = u8::try_from(number).expect("no kind has 256 indexes");
        each_text(index, value, &mut |text| {
            let text = if index.folded { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
            if !text.is_empty() {
                facts.push((number, Arc::from(&*text)));
            }
        });
    }
    facts.sort_unstable();
    facts.dedup();
    facts.into_boxed_slice()
}

/// Calls `found` with every text of an index in an object: elements of lists, names of maps, texts themselves.
pub(crate) fn each_text(index: &Index, value: &Value, found: &mut dyn FnMut(&str)) {
    let single = [index.name];
    let path = if index.path.is_empty() { &single } else { index.path };
    walk(value, path, found);
}

fn walk(value: &Value, path: &[&str], found: &mut dyn FnMut(&str)) {
    match (path, value) {
        (["*", rest @ ..], Value::Array(items)) => items.iter().for_each(|item| walk(item, rest, found)),
        (["*", rest @ ..], Value::Object(map)) => map.values().for_each(|item| walk(item, rest, found)),
        ([name, rest @ ..], Value::Object(map)) => {
            if let Some(inner) = map.get(*name) {
                walk(inner, rest, found);
            }
        }
        ([], Value::String(text)) => found(text),
        ([], Value::Array(items)) => items.iter().filter_map(Value::as_str).for_each(found),
        ([], Value::Object(map)) => map.keys().for_each(|name| found(name)),
        ([], Value::Bool(flag)) => found(if *flag { "true" } else { "false" }),
        ([], Value::Number(number)) => found(&number.to_string()),
        _ => {}
    }
}

/// One value of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) value: Arc<str>,
    pub(crate) key: Key,
}

/// A place between entries, without owning texts.
struct Place<'a>(&'a str, &'a str);

impl Equivalent<Entry> for Place<'_> {
    fn equivalent(&self, entry: &Entry) -> bool {
        self.compare(entry) == Ordering::Equal
    }
}

impl Comparable<Entry> for Place<'_> {
    fn compare(&self, entry: &Entry) -> Ordering {
        self.0.cmp(&entry.value).then_with(|| self.1.cmp(&entry.key))
    }
}

/// All values of one index, in order.
pub(crate) type Entries = OrdSet<Entry>;

/// The keys of the objects that have `value`, in order.
pub(crate) fn keys_of<'a>(entries: &'a Entries, value: &str) -> impl Iterator<Item = &'a Key> + use<'a> {
    let wanted: Arc<str> = Arc::from(value);
    entries.range(Place(value, "")..).take_while(move |entry| entry.value == wanted).map(|entry| &entry.key)
}

pub(crate) fn remove(entries: &mut Entries, value: &str, key: &Key) {
    entries.remove(&Place(value, key));
}
