//! Floats as Go's `strconv.FormatFloat` writes them.

/// Decimal digits without leading zeros, and the position of the point before or behind them.
struct Digits {
    digits: Vec<u8>,
    /// The value is `0.DIGITS * 10^point`.
    point: i32,
}

/// `strconv.AppendFloat(out, x, verb, precision, 64)`; no precision means as many digits as it takes.
pub(crate) fn append(out: &mut Vec<u8>, x: f64, verb: u8, precision: Option<usize>) {
    if x.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if x.is_infinite() {
        return out.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    if verb == b'g' && precision.is_none() && (small_integer(out, x) || plain(out, x)) {
        return;
    }
    if x.is_sign_negative() {
        out.push(b'-');
    }
    let x = x.abs();
    match verb {
        b'b' => binary(out, x),
        b'x' | b'X' => hexadecimal(out, x, verb, precision),
        b'e' | b'E' => {
            let digits = digits(x, precision.map(|p| p + 1));
            let count = precision.unwrap_or(digits.digits.len().saturating_sub(1));
            exponential(out, &digits, count, verb);
        }
        b'f' => {
            let (digits, count) = match precision {
                Some(count) => (fixed_digits(x, count), count),
                None => {
                    let digits = digits(x, None);
                    let count = (digits.digits.len() as i32 - digits.point).max(0) as usize;
                    (digits, count)
                }
            };
            fixed(out, &digits, count);
        }
        _ => general(out, x, verb, precision),
    }
}

/// The usual case: an integer that prints without an exponent.
fn small_integer(out: &mut Vec<u8>, x: f64) -> bool {
    if x.abs() >= 1e6 || x.trunc() != x || x == 0.0 && x.is_sign_negative() {
        return false;
    }
    super::append_int(out, x as i64);
    true
}

/// A number that prints without an exponent and with few digits, as Rust prints it: the shortest digits that read back as it.
fn plain(out: &mut Vec<u8>, x: f64) -> bool {
    use std::io::Write;
    let before = out.len();
    // Writing to a vector does not fail.
    let fits = (1e-4..1e6).contains(&x.abs()) && write!(out, "{x}").is_ok() && out.len() - before < LONG;
    if !fits {
        out.truncate(before);
    }
    fits
}

fn general(out: &mut Vec<u8>, x: f64, verb: u8, precision: Option<usize>) {
    let precision = precision.map(|p| p.max(1));
    let digits = digits(x, precision);
    let len = digits.digits.len() as i32;
    let mut limit = precision.map_or(6, |p| p as i32);
    if precision.is_some() && limit > len && len >= digits.point {
        limit = len;
    }
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= limit {
        return exponential(out, &digits, (len - 1).max(0) as usize, verb + b'e' - b'g');
    }
    fixed(out, &digits, (len - digits.point).max(0) as usize);
}

/// From so many characters on, the shortest digits may be one of two that are equally near.
const LONG: usize = 16;

/// The shortest digits that read back as `x`. Of two that are equally near, Go takes the even one, Rust any.
fn shortest(x: f64) -> String {
    let text = format!("{x:e}");
    let Some((mantissa, exponent)) = text.split_once('e').filter(|_| text.len() >= LONG) else { return text };
    let Some(last @ (b'1' | b'3' | b'5' | b'7' | b'9')) = mantissa.bytes().last() else { return text };
    let stem = &mantissa[..mantissa.len() - 1];
    // All digits that `x` has: no double has more than 767.
    let exact = format!("{x:.767e}");
    let exact = exact.split_once('e').map_or("", |(digits, _)| digits.trim_end_matches('0'));
    [last - 1, last + 1]
        .into_iter()
        .filter(|&even| exact.strip_prefix(stem) == Some(&format!("{}5", char::from(even.min(last)))))
        .map(|even| format!("{stem}{}e{exponent}", char::from(even)))
        .find(|other| other.parse() == Ok(x))
        .unwrap_or(text)
}

/// The shortest digits that read back as `x`, or `count` correctly rounded ones; trailing zeros are
/// dropped.
fn digits(x: f64, count: Option<usize>) -> Digits {
    let text = match count {
        None => shortest(x),
        // No double has more than 767 significant digits.
        Some(count) => format!("{x:.*e}", count.clamp(1, 800) - 1),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    trimmed(digits, exponent.parse::<i32>().unwrap_or(0) + 1)
}

/// The digits of `x` rounded at `count` places after the point.
fn fixed_digits(x: f64, count: usize) -> Digits {
    // No double has more than 1074 places after the point.
    let text = format!("{x:.*}", count.min(1100));
    let whole = text.find('.').unwrap_or(text.len());
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let leading = digits.iter().take_while(|&&d| d == b'0').count();
    trimmed(digits[leading..].to_vec(), whole as i32 - leading as i32)
}

fn trimmed(mut digits: Vec<u8>, point: i32) -> Digits {
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    let point = if digits.is_empty() { 0 } else { point };
    Digits { digits, point }
}

fn exponential(out: &mut Vec<u8>, digits: &Digits, count: usize, verb: u8) {
    let digit = |i: usize| digits.digits.get(i).copied().unwrap_or(b'0');
    out.push(digit(0));
    if count > 0 {
        out.push(b'.');
        out.extend((1..=count).map(digit));
    }
    let exponent = if digits.digits.is_empty() { 0 } else { digits.point - 1 };
    out.push(verb);
    push_exponent(out, exponent);
}

fn push_exponent(out: &mut Vec<u8>, exponent: i32) {
    out.push(if exponent < 0 { b'-' } else { b'+' });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    super::append_int(out, exponent.abs().into());
}

fn fixed(out: &mut Vec<u8>, digits: &Digits, count: usize) {
    let digit = |i: i32| usize::try_from(i).ok().and_then(|i| digits.digits.get(i)).copied().unwrap_or(b'0');
    if digits.point > 0 {
        out.extend((0..digits.point).map(digit));
    } else {
        out.push(b'0');
    }
    if count > 0 {
        out.push(b'.');
        out.extend((0..count).map(|i| digit(digits.point + i as i32)));
    }
}

/// Mantissa and exponent of a finite, non-negative number: `mantissa * 2^exponent`.
fn parts(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7ff) as i32 {
        0 => (mantissa, -1074),
        exponent => (mantissa | 1 << 52, exponent - 1075),
    }
}

fn binary(out: &mut Vec<u8>, x: f64) {
    let (mantissa, exponent) = parts(x);
    super::append_uint(out, mantissa);
    out.push(b'p');
    if exponent >= 0 {
        out.push(b'+');
    }
    super::append_int(out, exponent.into());
}

fn hexadecimal(out: &mut Vec<u8>, x: f64, verb: u8, precision: Option<usize>) {
    let (mut mantissa, mut exponent) = parts(x);
    exponent += 52;
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading one goes to bit 60.
        let up = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= up;
        exponent -= up - 8;
    }
    if let Some(count) = precision.filter(|&count| count < 15) {
        let shift = count as u32 * 4;
        let rest = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if rest | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits: &[u8; 16] = if verb == b'X' { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.extend_from_slice(&[b'0', verb, digits[(mantissa >> 60) as usize & 15]]);
    mantissa <<= 4;
    if precision.map_or(mantissa != 0, |count| count > 0) {
        out.push(b'.');
    }
    let mut left = precision.unwrap_or(usize::MAX);
    while left > 0 && (precision.is_some() || mantissa != 0) {
        out.push(digits[(mantissa >> 60) as usize & 15]);
        mantissa <<= 4;
        left -= 1;
    }
    out.push(if verb == b'X' { b'P' } else { b'p' });
    push_exponent(out, exponent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(x: f64, verb: u8, precision: Option<usize>) -> String {
        let mut out = Vec::new();
        append(&mut out, x, verb, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shortest_switches_to_exponents_at_a_million() {
        for (x, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (2_147_483_648.0, "2.147483648e+09"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5, "1.5"),
            (1e21, "1e+21"),
            (123_456.789, "123456.789"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(show(x, b'g', None), want);
        }
    }

    #[test]
    fn of_two_shortest_forms_the_even_one_is_taken() {
        for (x, want) in [
            (1_311_589_297_676_021.0 + 0.25, "1.3115892976760212e+15"),
            (-(1_311_589_297_676_021.0 + 0.25), "-1.3115892976760212e+15"),
            (1_311_589_297_676_021.0 + 0.75, "1.3115892976760218e+15"),
            (131_071.0 + 1.0 / 4096.0, "131071.00024414062"),
            (131_071.0 + 3.0 / 4096.0, "131071.00073242188"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(show(x, b'g', None), want);
        }
        assert_eq!(show(1_311_589_297_676_021.0 + 0.25, b'f', None), "1311589297676021.2");
        assert_eq!(show(131_071.0 + 1.0 / 4096.0, b'e', None), "1.3107100024414062e+05");
    }

    #[test]
    fn verbs_and_precisions() {
        for (x, verb, precision, want) in [
            (3.0, b'f', Some(6), "3.000000"),
            (2.5, b'f', Some(0), "2"),
            (0.05, b'f', Some(1), "0.1"),
            (1234.5678, b'e', Some(3), "1.235e+03"),
            (0.0, b'e', Some(2), "0.00e+00"),
            (1234.5678, b'g', Some(3), "1.23e+03"),
            (100.0, b'g', Some(3), "100"),
            (1.0, b'b', None, "4503599627370496p-52"),
            (1.0, b'x', None, "0x1p+00"),
            (3.75, b'x', None, "0x1.ep+01"),
            (3.75, b'X', Some(0), "0X1P+02"),
            (0.1, b'x', Some(3), "0x1.99ap-04"),
            (0.0, b'x', None, "0x0p+00"),
        ] {
            assert_eq!(show(x, verb, precision), want, "{x} {} {precision:?}", verb as char);
        }
    }
}
