//! What a patch may cost: a few operations that copy the document into itself would otherwise double it without end, and many
//! that shift a long list would hold up every other write.

use json_patch::jsonptr::Pointer;
use serde_json::Value;

use crate::check::DEEPEST;

/// More operations that change something are refused: no change that a person or a program means has so many. A `test` costs no
/// more than its own bytes, and clients send one with each change.
pub(super) const MOST_OPERATIONS: usize = 10_000;
/// One for about each byte of JSON that is put somewhere and for every [`SHIFTED`] elements of lists that make room.
const BUDGET: usize = 8 << 20;
/// Elements are moved faster than values are copied.
const SHIFTED: usize = 8;

/// What is left to spend.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(BUDGET)
    }
}

impl Budget {
    fn spend(&mut self, cost: usize) -> Result<(), String> {
        let left = self.0.checked_sub(cost);
        self.0 = left.ok_or(
            "the patch copies and moves too much; send a part of it at a time, or the whole object by PUT",
        )?;
        Ok(())
    }

    /// Pays for putting `value` at `path`.
    pub(super) fn put(&mut self, path: &Pointer, value: &Value) -> Result<(), String> {
        let above = path.count();
        if above > DEEPEST {
            return Err(too_deep(above));
        }
        self.weigh(value, above)
    }

    /// Pays for the elements that make room, or close up, when the element at `path` comes or goes.
    pub(super) fn shift(&mut self, document: &Value, path: &Pointer) -> Result<(), String> {
        let Some((parent, last)) = path.split_back() else { return Ok(()) };
        let Some(Value::Array(items)) = document.pointer(parent.as_str()) else { return Ok(()) };
        let at = last.decoded().parse().unwrap_or(items.len());
        self.spend(items.len().saturating_sub(at) / SHIFTED)
    }

    /// Pays as it goes, so that a value too large is not walked to its end.
    fn weigh(&mut self, value: &Value, above: usize) -> Result<(), String> {
        if above > DEEPEST {
            return Err(too_deep(above));
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.spend(2),
            Value::String(text) => self.spend(2 + text.len()),
            Value::Array(items) => {
                self.spend(2)?;
                items.iter().try_for_each(|item| self.weigh(item, above + 1))
            }
            Value::Object(map) => {
                self.spend(2)?;
                map.iter().try_for_each(|(name, item)| {
                    self.spend(2 + name.len())?;
                    self.weigh(item, above + 1)
                })
            }
        }
    }
}

fn too_deep(depth: usize) -> String {
    format!("the value would be nested {depth} deep, at most {DEEPEST} are possible")
}
