//! What stands in for keys and certificates in a build without the feature `keys`: templates that use
//! them parse, and fail when they run.

use super::super::Result;
use crate::error::Fail;
use crate::exec::Scope;
use crate::value::Value;

fn missing() -> Result {
    Err(Fail::text("not available: built without the feature keys"))
}

pub(super) fn generate(_: &mut Scope<'_>, _: &[Value]) -> Result {
    missing()
}

pub(super) fn authority(_: &mut Scope<'_>, _: &[Value]) -> Result {
    missing()
}

pub(super) fn self_signed(_: &mut Scope<'_>, _: &[Value]) -> Result {
    missing()
}

pub(super) fn signed(_: &mut Scope<'_>, _: &[Value]) -> Result {
    missing()
}

pub(super) fn build(_: &mut Scope<'_>, _: &[Value]) -> Result {
    missing()
}
