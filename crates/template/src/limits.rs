//! [`Limits`]: how far a render may go. Templates are written by people who make mistakes and come
//! from outside; whatever they say, a render ends, in bounded memory, with a clear error.

use crate::error::Fail;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::value::Value;

/// Bounds of one render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep templates may call templates.
    pub depth: usize,
    /// Bytes of output.
    pub output: usize,
    /// Bytes of values that functions made and the render still holds.
    pub produced: usize,
    /// Nodes walked and functions called. A million take about a tenth of a second.
    pub steps: u64,
    /// Bytes of machine stack. A render needs a thread with more than this left.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1000, output: 64 << 20, produced: 256 << 20, steps: 20_000_000, stack: 768 << 10 }
    }
}

/// What is left of the limits during one render.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    steps: u64,
    ledger: Ledger,
    pub(crate) depth: usize,
    pub(crate) stack: Stack,
}

/// How far the machine stack may grow. Values nest as deep as templates make them, and one may contain itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    base: usize,
    limit: usize,
}

impl Stack {
    /// At most `limit` bytes more than now.
    pub(crate) fn here(limit: usize) -> Self {
        Self { base: stack_pointer(), limit }
    }

    /// Whether there is room for more.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.base.abs_diff(stack_pointer()) <= self.limit
    }

    /// Checked at every recursion.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if self.has_room() { Ok(()) } else { Err(self.exceeded()) }
    }

    #[cold]
    pub(crate) fn exceeded(&self) -> Fail {
        Fail::limit(format!("exceeded the limit of {} bytes of stack", self.limit))
    }
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, steps: 0, ledger: Ledger::default(), depth: 0, stack: Stack::here(limits.stack) }
    }

    /// Counts steps of work; asks the host about its deadline now and then.
    #[inline]
    pub(crate) fn step(&mut self, count: u64, host: &dyn Host) -> Result<(), Fail> {
        let before = self.steps;
        self.steps = before.saturating_add(count);
        if self.steps > self.limits.steps {
            return Err(Fail::limit(format!("exceeded the limit of {} steps", self.limits.steps)));
        }
        if before >> 10 != self.steps >> 10 && host.expired() {
            return Err(Fail::limit("exceeded the time limit"));
        }
        Ok(())
    }

    /// Accounts for `bytes` that are held to the end of the render, before they are made.
    pub(crate) fn produce(&mut self, bytes: usize) -> Result<(), Fail> {
        self.reserve(bytes)?;
        self.ledger.charge(bytes);
        Ok(())
    }

    /// Makes sure that `bytes` may be made now. Making them is work: a step for each 1,024.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fail> {
        let limit = self.limits.produced;
        self.steps = self.steps.saturating_add((bytes >> 10) as u64);
        if self.ledger.bytes().saturating_add(bytes) > limit {
            self.ledger.sweep(limit);
        }
        if self.ledger.bytes().saturating_add(bytes) > limit {
            return Err(Fail::limit(format!("exceeded the limit of {limit} bytes of values")));
        }
        Ok(())
    }

    /// Accounts for what a function gave.
    pub(crate) fn enter(&mut self, value: &Value) -> Result<(), Fail> {
        let before = self.ledger.bytes();
        self.ledger.enter(value, self.limits.produced);
        let made = self.ledger.bytes().saturating_sub(before);
        self.steps = self.steps.saturating_add((made >> 10) as u64);
        self.reserve(0)
    }

    /// How many more bytes may be produced.
    pub(crate) fn room(&self) -> usize {
        self.limits.produced.saturating_sub(self.ledger.bytes())
    }
}

/// An address in the current stack frame.
#[inline]
pub(crate) fn stack_pointer() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)) as usize
}
