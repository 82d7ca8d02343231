//! Numbers as Go's `strconv` reads them: base prefixes, underscores, hexadecimal floats, and the
//! untyped constants of templates, which may be several types at once.

/// An untyped constant: what it is as each type that it can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
    pub(crate) text: Box<str>,
}

impl Number {
    /// A character constant.
    pub(crate) fn from_char(text: &str, code: u32) -> Self {
        Self {
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
            complex: None,
            text: text.into(),
        }
    }

    /// A plain or imaginary number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(imaginary) = text.strip_suffix('i').and_then(parse_float) {
            return Ok(Self::from_complex(text, 0.0, imaginary));
        }
        let mut number = Self {
            int: parse_int(text),
            uint: parse_uint(text),
            float: None,
            complex: None,
            text: text.into(),
        };
        if number.int == Some(0) {
            number.uint = Some(0);
        }
        if let Some(n) = number.int {
            number.float = Some(n as f64);
        } else if let Some(n) = number.uint {
            number.float = Some(n as f64);
        } else if let Some(x) = parse_float(text) {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", crate::fmt::quote::text(text.as_bytes())));
            }
            number.set_float(x);
        }
        if number.float.is_none() {
            return Err(format!("illegal number syntax: {}", crate::fmt::quote::text(text.as_bytes())));
        }
        Ok(number)
    }

    /// A complex constant such as `1+2i`, as `fmt.Sscan` reads it.
    pub(crate) fn parse_complex(text: &str) -> Result<Self, String> {
        const BAD: &str = "syntax error scanning complex number";
        let (re, rest) = text.split_at(float_token(text));
        let imaginary = rest.strip_prefix(['+', '-']).ok_or(BAD)?;
        let (im, rest) = rest.split_at(1 + float_token(imaginary));
        if !rest.starts_with('i') {
            return Err(BAD.to_owned());
        }
        let part = |text: &str| {
            float(text).map_err(|fault| {
                let shown = crate::fmt::quote::text(text.as_bytes());
                format!("strconv.ParseFloat: parsing {shown}: {fault}")
            })
        };
        Ok(Self::from_complex(text, part(re)?, part(im)?))
    }

    fn from_complex(text: &str, re: f64, im: f64) -> Self {
        let mut number =
            Self { int: None, uint: None, float: None, complex: Some((re, im)), text: text.into() };
        if im == 0.0 {
            number.set_float(re);
        }
        number
    }

    fn set_float(&mut self, x: f64) {
        self.float = Some(x);
        if float_to_i64(x) as f64 == x {
            self.int = Some(float_to_i64(x));
        }
        if float_to_u64(x) as f64 == x {
            self.uint = Some(float_to_u64(x));
        }
    }
}

/// Go's conversion of a float to an int64 on amd64: what does not fit becomes the smallest number.
pub(crate) fn float_to_i64(x: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) { x as i64 } else { i64::MIN }
}

fn float_to_u64(x: f64) -> u64 {
    if x < 9_223_372_036_854_775_808.0 {
        float_to_i64(x) as u64
    } else if x < 18_446_744_073_709_551_616.0 {
        x as u64
    } else {
        1 << 63
    }
}

/// `strconv.ParseUint(text, 0, 64)`
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    let (digits, base) = split_base(text);
    if text.contains('_') && !underscores_ok(text) {
        return None;
    }
    let digits = if digits.contains('_') { digits.replace('_', "") } else { digits.to_owned() };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(&digits, base).ok()
}

/// `strconv.ParseInt(text, 0, 64)`
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let n = parse_uint(digits)?;
    if negative {
        return (n <= 1 << 63).then(|| (n as i64).wrapping_neg());
    }
    i64::try_from(n).ok()
}

fn split_base(text: &str) -> (&str, u32) {
    let bytes = text.as_bytes();
    if bytes.len() < 2 || bytes[0] != b'0' {
        return (text, 10);
    }
    match bytes[1] {
        b'b' | b'B' if bytes.len() > 2 => (&text[2..], 2),
        b'o' | b'O' if bytes.len() > 2 => (&text[2..], 8),
        b'x' | b'X' if bytes.len() > 2 => (&text[2..], 16),
        _ => (&text[1..], 8),
    }
}

/// Underscores may stand between digits, and between a base prefix and a digit.
fn underscores_ok(text: &str) -> bool {
    let body = text.trim_start_matches(['+', '-']);
    let bytes = body.as_bytes();
    let mut last = b'^';
    let mut at = 0;
    let mut hex = false;
    if bytes.len() >= 2 && bytes[0] == b'0' && matches!(bytes[1] | 32, b'b' | b'o' | b'x') {
        at = 2;
        last = b'0';
        hex = bytes[1] | 32 == b'x';
    }
    for &b in &bytes[at..] {
        if b.is_ascii_digit() || hex && b.is_ascii_hexdigit() {
            last = b'0';
        } else if b == b'_' {
            if last != b'0' {
                return false;
            }
            last = b'_';
        } else {
            if last == b'_' {
                return false;
            }
            last = b'!';
        }
    }
    last != b'_'
}

/// The length of what `fmt.Sscan` takes for a float at the start of a text.
fn float_token(text: &str) -> usize {
    let run = |from: usize, hex: bool| {
        let digit = |b: &u8| *b == b'_' || b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
        from + text.as_bytes()[from..].iter().take_while(|b| digit(b)).count()
    };
    let skip =
        |at: usize, set: &[u8]| at + usize::from(text.as_bytes().get(at).is_some_and(|b| set.contains(b)));
    // The first letter of an infinity is taken, whatever follows.
    let sign = skip(skip(0, b"+-"), b"iI");
    let hex = matches!(text.as_bytes()[sign..], [b'0', b'x' | b'X', ..]);
    let whole = run(if hex { sign + 2 } else { sign }, hex);
    let point = skip(whole, b".");
    let digits = if point > whole { run(point, hex) } else { whole };
    let exponent = skip(digits, if hex { b"pP" } else { b"eEpP" });
    if exponent > digits { run(skip(exponent, b"+-"), false) } else { digits }
}

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

/// `strconv.ParseFloat(text, 64)`; `None` for a syntax error and for a value out of range.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    float(text).ok()
}

/// The same, with Go's words for what is wrong.
fn float(text: &str) -> Result<f64, &'static str> {
    let value = read_float(text).ok_or(SYNTAX)?;
    let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I', 'n', 'N']);
    if named || value.is_finite() { Ok(value) } else { Err(RANGE) }
}

/// A float of any size: what is too large is infinite.
fn read_float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_ok(text) {
        return None;
    }
    let plain = text.replace('_', "");
    let (sign, body) = match plain.as_bytes().first()? {
        b'-' => (-1.0, &plain[1..]),
        b'+' => (1.0, &plain[1..]),
        _ => (1.0, plain.as_str()),
    };
    match body.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" if body.len() == plain.len() => return Some(f64::NAN),
        _ => {}
    }
    let hex = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X"));
    let value = if let Some(digits) = hex {
        parse_hex_float(digits)?
    } else {
        let fine = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
        // There is one sign at most, and it is not in the body.
        if body.starts_with(['+', '-']) || !body.bytes().all(fine) {
            return None;
        }
        body.parse::<f64>().ok()?
    };
    Some(sign * value)
}

/// The digits after `0x`; the exponent is mandatory. Rounds to nearest even.
fn parse_hex_float(body: &str) -> Option<f64> {
    let (digits, exponent) = body.split_once(['p', 'P'])?;
    let exponent: i64 = match exponent.parse::<i64>() {
        Ok(e) => e.clamp(-100_000, 100_000),
        Err(_) => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut scale = exponent;
    let mut sticky = false;
    for (i, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = c.to_digit(16)?;
        let is_fraction = i >= whole.len();
        if mantissa >> 58 != 0 {
            sticky |= digit != 0;
            scale += if is_fraction { 0 } else { 4 };
        } else {
            mantissa = mantissa << 4 | u64::from(digit);
            scale -= if is_fraction { 4 } else { 0 };
        }
    }
    Some(scale_binary(mantissa << 1 | u64::from(sticky), scale - 1))
}

/// `mantissa * 2^exponent`, correctly rounded; the lowest bit of the mantissa may be sticky.
fn scale_binary(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let bits = 64 - i64::from(mantissa.leading_zeros());
    let top = bits + exponent;
    if top > 1024 {
        return f64::INFINITY;
    }
    // How many bits the result keeps: 53, fewer when it is subnormal.
    let keep = (top + 1074).min(53);
    if keep < 0 {
        return 0.0;
    }
    let drop = bits - keep;
    let (kept, exponent) = if drop <= 0 {
        (mantissa, exponent)
    } else {
        let rest = mantissa & ((1u64 << drop) - 1);
        let half = 1u64 << (drop - 1);
        let base = mantissa.checked_shr(drop as u32).unwrap_or(0);
        (base + u64::from(rest > half || rest == half && base & 1 == 1), exponent + drop)
    };
    let step = exponent.clamp(-1000, 1000);
    kept as f64 * 2f64.powi(step as i32) * 2f64.powi((exponent - step) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_every_base_and_underscores() {
        assert_eq!(parse_int("0x1F"), Some(31));
        assert_eq!(parse_int("-0b101"), Some(-5));
        assert_eq!(parse_int("017"), Some(15));
        assert_eq!(parse_int("0o17"), Some(15));
        assert_eq!(parse_int("1_000"), Some(1000));
        assert_eq!(parse_int("1__0"), None);
        assert_eq!(parse_int("08"), None);
        assert_eq!(parse_int("9223372036854775808"), None);
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn floats_follow_go_syntax() {
        assert_eq!(parse_float("0x1p-2"), Some(0.25));
        assert_eq!(parse_float("0x1.8p1"), Some(3.0));
        assert_eq!(parse_float("1_0.5"), Some(10.5));
        assert_eq!(parse_float(".5"), Some(0.5));
        assert_eq!(parse_float("1e400"), None);
        assert_eq!(parse_float("-Inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_float("0x10"), None);
        assert_eq!(parse_float(""), None);
        assert_eq!(parse_float("1.5x"), None);
        assert_eq!(parse_float("+-4"), None);
        assert_eq!(parse_float("日本"), None);
    }

    #[test]
    fn a_constant_is_every_type_it_can_be() {
        let n = Number::parse("1e3").unwrap();
        assert_eq!((n.int, n.float), (Some(1000), Some(1000.0)));
        let n = Number::parse("1.5").unwrap();
        assert_eq!((n.int, n.float), (None, Some(1.5)));
        let n = Number::parse_complex("1+2i").unwrap();
        assert_eq!((n.complex, n.float), (Some((1.0, 2.0)), None));
        assert_eq!(Number::parse_complex("1+i").unwrap_err(), "syntax error scanning complex number");
        let fault = Number::parse_complex("0x1+2i").unwrap_err();
        assert_eq!(fault, "strconv.ParseFloat: parsing \"0x1\": invalid syntax");
        let fault = Number::parse_complex("1-1e400i").unwrap_err();
        assert_eq!(fault, "strconv.ParseFloat: parsing \"-1e400\": value out of range");
        assert_eq!(Number::parse("1e999").unwrap_err(), "illegal number syntax: \"1e999\"");
        assert!(Number::parse("99999999999999999999").unwrap_err().starts_with("integer overflow"));
    }
}
