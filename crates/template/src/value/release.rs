//! Lists and maps that nest deeper than the machine stack is long are taken apart level by level when the last holder lets go:
//! a template makes a million levels with `{{$x = list $x}}` in a loop.

use super::list::Items;
use super::map::Cell;
use super::{Entries, Value};
use std::sync::{Arc, PoisonError};

/// Takes the containers out of a list that nobody else holds.
pub(super) fn list(items: &mut Items) {
    let mut nested = Vec::new();
    from_list(items, &mut nested);
    apart(nested);
}

/// Takes the containers out of a map that nobody else holds.
pub(super) fn map(cell: &mut Cell) {
    let mut nested = Vec::new();
    from_map(cell, &mut nested);
    apart(nested);
}

fn apart(mut nested: Vec<Value>) {
    while let Some(mut value) = nested.pop() {
        match &mut value {
            Value::List(list) => from_list(list.data_mut(), &mut nested),
            Value::Map(map) => from_map(map.cell_mut(), &mut nested),
            _ => {}
        }
    }
}

fn from_list(items: &mut Items, nested: &mut Vec<Value>) {
    if let Some(mut items) = items.take() {
        take(items.iter_mut(), nested);
    }
}

fn from_map(cell: &mut Cell, nested: &mut Vec<Value>) {
    let entries: Option<&mut Entries> = match cell {
        Cell::Frozen(entries) => alone(entries),
        Cell::Live(lock) => {
            alone(lock).and_then(|lock| alone(lock.get_mut().unwrap_or_else(PoisonError::into_inner)))
        }
    };
    if let Some(entries) = entries {
        take(entries.values_mut(), nested);
    }
}

/// What is behind a pointer that is the only one to it. A look at the count is much cheaper than `get_mut`.
fn alone<T: ?Sized>(shared: &mut Arc<T>) -> Option<&mut T> {
    if Arc::strong_count(shared) > 1 { None } else { Arc::get_mut(shared) }
}

fn take<'v>(values: impl Iterator<Item = &'v mut Value>, nested: &mut Vec<Value>) {
    let containers = values.filter(|value| matches!(value, Value::List(_) | Value::Map(_)));
    nested.extend(containers.map(std::mem::take));
}
