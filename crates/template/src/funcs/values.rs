//! Defaults and types of values.

use super::args::{ANY, STR, str};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::Signature;
use crate::value::{Type, Value};

const ONE: Signature = Signature::exact(&[ANY]);
const NAME_VALUE: Signature = Signature::exact(&[STR, ANY]);

pub(super) static ROWS: &[Row] = &[
    row(
        "default",
        Signature::variadic(&[ANY, ANY]),
        default,
        "default VALUE GIVEN",
        "GIVEN, or VALUE when that is empty.",
    ),
    row(
        "empty",
        ONE,
        |_, a| Ok(Value::Bool(!a[0].truth())),
        "empty VALUE",
        "Whether the value is nil, false, 0, or without content.",
    ),
    row(
        "coalesce",
        Signature::variadic(&[ANY]),
        coalesce,
        "coalesce VALUE...",
        "The first value that is not empty, else nil.",
    ),
    row(
        "ternary",
        Signature::exact(&[ANY, ANY, Type::Bool]),
        ternary,
        "ternary YES NO CONDITION",
        "YES if the condition is true, else NO.",
    ),
    row(
        "fail",
        Signature::exact(&[STR]),
        |_, a| Err(Fail::text(crate::rune::lossy(str(&a[0])))),
        "fail MESSAGE",
        "Ends the render with this error.",
    ),
    row("typeOf", ONE, |_, a| Ok(a[0].type_name().into()), "typeOf VALUE", "The name of its Go type."),
    row("typeIs", NAME_VALUE, type_is, "typeIs NAME VALUE", "Whether its Go type is named so."),
    row("typeIsLike", NAME_VALUE, type_is_like, "typeIsLike NAME VALUE", "As typeIs, or a pointer to it."),
    row(
        "kindOf",
        ONE,
        |_, a| Ok(a[0].kind().name().into()),
        "kindOf VALUE",
        "The kind of its Go type: string, slice, map, float64 and so on.",
    ),
    row(
        "kindIs",
        NAME_VALUE,
        |_, a| Ok((a[1].kind().name().as_bytes() == str(&a[0])).into()),
        "kindIs KIND VALUE",
        "Whether it is of this kind.",
    ),
];

fn default(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(args.get(1).filter(|given| given.truth()).unwrap_or(&args[0]).clone())
}

fn coalesce(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(args.iter().find(|value| value.truth()).cloned().unwrap_or_default())
}

fn ternary(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(args[usize::from(!args[2].truth())].clone())
}

fn type_is(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(args[1].type_name().as_bytes() == str(&args[0])))
}

fn type_is_like(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let name = args[1].type_name();
    let want = str(&args[0]);
    Ok(Value::Bool(name.as_bytes() == want || name.strip_prefix('*').is_some_and(|n| n.as_bytes() == want)))
}
