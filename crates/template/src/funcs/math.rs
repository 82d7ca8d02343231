//! Numbers. Sprig computes in `int64` after a forgiving conversion; overflow wraps around.

use super::args::{ANY, INT, STR, int, str, to_f64, to_i64};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt;
use crate::object::Signature;
use crate::value::{Elem, List, Type, Value, grown_capacity};

const ONE: Signature = Signature::exact(&[ANY]);
const TWO: Signature = Signature::exact(&[ANY, ANY]);
const SOME: Signature = Signature::variadic(&[ANY, ANY]);

pub(super) static ROWS: &[Row] = &[
    row(
        "atoi",
        Signature::exact(&[STR]),
        atoi,
        "atoi STRING",
        "The decimal number that the string is, 0 if it is none.",
    ),
    row("int", ONE, |_, a| Ok(Value::Int(to_i64(&a[0]))), "int VALUE", "As an int, 0 if that cannot be."),
    row(
        "int64",
        ONE,
        |_, a| Ok(Value::Int64(to_i64(&a[0]))),
        "int64 VALUE",
        "As an int64, 0 if that cannot be.",
    ),
    row(
        "float64",
        ONE,
        |_, a| Ok(Value::Float(to_f64(&a[0]))),
        "float64 VALUE",
        "As a float64, 0 if that cannot be.",
    ),
    row("toDecimal", ONE, to_decimal, "toDecimal VALUE", "The octal number that the text of the value is."),
    row("add1", ONE, |_, a| Ok(Value::Int64(to_i64(&a[0]).wrapping_add(1))), "add1 NUMBER", "One more."),
    row("add", Signature::variadic(&[ANY]), add, "add NUMBER...", "The sum."),
    row(
        "sub",
        TWO,
        |_, a| Ok(Value::Int64(to_i64(&a[0]).wrapping_sub(to_i64(&a[1])))),
        "sub A B",
        "A less B.",
    ),
    row("div", TWO, div, "div A B", "A divided by B, without remainder."),
    row("mod", TWO, modulo, "mod A B", "The remainder of A divided by B."),
    row("mul", SOME, mul, "mul NUMBER...", "The product."),
    row("max", SOME, max, "max NUMBER...", "The greatest."),
    row("biggest", SOME, max, "biggest NUMBER...", "Old name of max."),
    row("min", SOME, min, "min NUMBER...", "The least."),
    row("ceil", ONE, |_, a| Ok(Value::Float(to_f64(&a[0]).ceil())), "ceil NUMBER", "Rounded up, as a float."),
    row(
        "floor",
        ONE,
        |_, a| Ok(Value::Float(to_f64(&a[0]).floor())),
        "floor NUMBER",
        "Rounded down, as a float.",
    ),
    row(
        "round",
        Signature::variadic(&[ANY, INT, Type::Float64]),
        round,
        "round NUMBER PLACES [FROM]",
        "Rounded to so many places; up when the rest is FROM (0.5) or more.",
    ),
    row("until", Signature::exact(&[INT]), until, "until COUNT", "The list 0 to COUNT-1."),
    row(
        "untilStep",
        Signature::exact(&[INT, INT, INT]),
        until_step,
        "untilStep START STOP STEP",
        "The list from START to before STOP.",
    ),
    row(
        "seq",
        Signature::variadic(&[INT]),
        seq,
        "seq [FROM [STEP]] TO",
        "The numbers as text with spaces between, as the shell's seq.",
    ),
];

/// Size of an int in Go, in bytes.
const INT_SIZE: usize = 8;

/// `strconv.ParseInt(text, base, 64)`: the value, clamped when out of range; `None` for no number.
pub(super) fn parse_clamped(text: &[u8], base: u32) -> Option<(i64, bool)> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n: i128 = 0;
    for &b in digits {
        if !(b as char).is_digit(base) {
            return None;
        }
        n = n * i128::from(base) + i128::from(b - b'0');
        if n > i128::from(u64::MAX) {
            // Go looks no further: what follows need not be digits.
            break;
        }
    }
    match i64::try_from(if negative { -n } else { n }) {
        Ok(n) => Some((n, true)),
        Err(_) => Some((if negative { i64::MIN } else { i64::MAX }, false)),
    }
}

fn atoi(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int(parse_clamped(str(&args[0]), 10).map_or(0, |(n, _)| n)))
}

fn to_decimal(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut text = Vec::new();
    fmt::print(&mut text, &args[..1], scope.bounds(), false)?;
    let number = parse_clamped(&text, 8).filter(|&(_, fits)| fits);
    Ok(Value::Int64(number.map_or(0, |(n, _)| n)))
}

fn add(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(args.iter().map(to_i64).fold(0, i64::wrapping_add)))
}

fn mul(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(args.iter().map(to_i64).fold(1, i64::wrapping_mul)))
}

fn divisor(value: &Value) -> std::result::Result<i64, Fail> {
    match to_i64(value) {
        0 => Err(Fail::text("runtime error: integer divide by zero")),
        n => Ok(n),
    }
}

fn div(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(to_i64(&args[0]).wrapping_div(divisor(&args[1])?)))
}

fn modulo(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(to_i64(&args[0]).wrapping_rem(divisor(&args[1])?)))
}

fn max(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(args.iter().map(to_i64).max().unwrap_or(0)))
}

fn min(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Int64(args.iter().map(to_i64).min().unwrap_or(0)))
}

/// `math.Pow(10, places)` with Go's own rounding errors.
fn power_of_ten(places: i64) -> f64 {
    match places {
        0 => return 1.0,
        1 => return 10.0,
        _ => {}
    }
    let (mut fraction, mut exponent) = (0.625f64, 4i64);
    let (mut result, mut result_exponent) = (1.0f64, 0i64);
    let mut left = places.unsigned_abs();
    while left != 0 {
        if exponent.abs() > 1 << 12 {
            result_exponent += exponent;
            break;
        }
        if left & 1 == 1 {
            result *= fraction;
            result_exponent += exponent;
        }
        fraction *= fraction;
        exponent <<= 1;
        if fraction < 0.5 {
            fraction += fraction;
            exponent -= 1;
        }
        left >>= 1;
    }
    if places < 0 {
        result = 1.0 / result;
        result_exponent = -result_exponent;
    }
    // Two steps keep the factors inside the range of normal numbers.
    let exponent = result_exponent.clamp(-4000, 4000) as i32;
    let half = exponent / 2;
    result * 2f64.powi(half) * 2f64.powi(exponent - half)
}

fn round(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let from = args.get(2).map_or(0.5, to_f64);
    let power = power_of_ten(int(&args[1]));
    let digits = power * to_f64(&args[0]);
    let rest = if digits.is_infinite() { f64::NAN } else { digits - digits.trunc() };
    let rounded = if rest >= from { digits.ceil() } else { digits.floor() };
    Ok(Value::Float(rounded / power))
}

/// The numbers from `start` to before `stop`.
fn steps(scope: &mut Scope<'_>, start: i64, stop: i64, step: i64) -> std::result::Result<Vec<i64>, Fail> {
    if stop < start && step >= 0 || stop >= start && step <= 0 {
        return Ok(Vec::new());
    }
    let distance = (i128::from(stop) - i128::from(start)).unsigned_abs();
    let count = distance.div_ceil(u128::from(step.unsigned_abs()));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    scope.produce(count.saturating_mul(size_of::<Value>()))?;
    let numbers = std::iter::successors(Some(start), |n| n.checked_add(step));
    Ok(numbers.take(count).collect())
}

/// A `[]int` as appending one number at a time makes it.
fn ints(numbers: Vec<i64>) -> Value {
    let cap = grown_capacity(numbers.len(), INT_SIZE);
    List::with_capacity(Elem::Int, numbers.into_iter().map(Value::Int).collect(), cap).into()
}

fn until(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let count = int(&args[0]);
    Ok(ints(steps(scope, 0, count, if count < 0 { -1 } else { 1 })?))
}

fn until_step(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(ints(steps(scope, int(&args[0]), int(&args[1]), int(&args[2]))?))
}

fn seq(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let numbers: Vec<i64> = args.iter().map(int).collect();
    let numbers = match *numbers.as_slice() {
        [end] => {
            let step = if end < 1 { -1 } else { 1 };
            steps(scope, 1, end.wrapping_add(step), step)?
        }
        [start, end] => {
            let step = if end < start { -1 } else { 1 };
            steps(scope, start, end.wrapping_add(step), step)?
        }
        [start, step, end] => {
            if end < start && step > 0 {
                return Ok("".into());
            }
            let beyond = if end < start { -1 } else { 1 };
            steps(scope, start, end.wrapping_add(beyond), step)?
        }
        _ => return Ok("".into()),
    };
    let mut out = Vec::new();
    for (i, n) in numbers.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        fmt::append_int(&mut out, *n);
    }
    Ok(out.into())
}
