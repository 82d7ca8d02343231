//! Packets as text: what debug logs print and what test tables are written in (reference network.md §1.19).
//!
//! Five lines: where it was seen, two of header, then `sname`/`file` when set, then one line per option in wire order. The
//! same text reads back, so that a logged packet can be replayed.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::option::{from_text, to_text};
use super::packet::{Hardware, Packet};

/// Where a packet was seen: the interface, the peer, our port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Interface name.
    pub interface: String,
    /// Source of a request, destination of an answer.
    pub peer: SocketAddrV4,
    /// 67 or 4011.
    pub port: u16,
}

/// Prints a packet.
pub fn print(seen: &Seen, packet: &Packet) -> String {
    let Packet { op, htype, hops, xid, secs, flags, .. } = packet;
    let hlen = packet.chaddr.as_bytes().len();
    let mut text = format!("proto:dhcp4 iface:{} ifaddr:{} lport:{}\n", seen.interface, seen.peer, seen.port);
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{args}");
    };
    line(format_args!(
        "op:{op:#04x} htype:{htype:#04x} hlen:{hlen:#04x} hops:{hops:#04x} xid:{xid:#010x} secs:{secs:#06x} flags:{flags:#06x}"
    ));
    line(format_args!(
        "ci:{} yi:{} si:{} gi:{} ch:{}",
        packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr, packet.chaddr
    ));
    for (name, value) in [("sname", &packet.sname), ("file", &packet.file)] {
        if !value.is_empty() {
            line(format_args!("{name}:{}", quote(&String::from_utf8_lossy(value))));
        }
    }
    for (code, value) in packet.options.iter() {
        line(format_args!("option:code:{code:03} val:{}", quote(&to_text(code, value))));
    }
    text
}

/// Reads what [`print()`] wrote. Unknown or missing words are errors that name the line.
///
/// # Errors
/// A sentence with the line and what was expected there.
pub fn parse(text: &str) -> Result<(Seen, Packet), String> {
    let mut packet = Packet::default();
    let mut seen =
        Seen { interface: String::new(), peer: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), port: 67 };
    for (number, line) in text.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty()) {
        parse_line(line, &mut seen, &mut packet)
            .map_err(|what| format!("line {}: `{line}`: {what}", number + 1))?;
    }
    Ok((seen, packet))
}

fn parse_line(line: &str, seen: &mut Seen, packet: &mut Packet) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("option:code:") {
        let (number, value) = rest.split_once(" val:").ok_or("want option:code:NNN val:\"…\"")?;
        let number = parsed(number, "a code up to 255")?;
        packet.options.push(number, from_text(number, &unquote(value)?).map_err(|e| e.to_string())?);
        return Ok(());
    }
    if let Some(value) = line.strip_prefix("sname:") {
        packet.sname = unquote(value)?.into_bytes();
        return Ok(());
    }
    if let Some(value) = line.strip_prefix("file:") {
        packet.file = unquote(value)?.into_bytes();
        return Ok(());
    }
    line.split_whitespace().try_for_each(|word| {
        let (name, value) = word.split_once(':').ok_or("want name:value")?;
        set_field(name, value, seen, packet)
    })
}

fn set_field(name: &str, value: &str, seen: &mut Seen, packet: &mut Packet) -> Result<(), String> {
    match name {
        "proto" | "hlen" => {}
        "iface" => seen.interface = value.to_owned(),
        "ifaddr" => seen.peer = parsed(value, "address:port")?,
        "lport" => seen.port = parsed(value, "a port")?,
        "op" => packet.op = hex(value)?,
        "htype" => packet.htype = hex(value)?,
        "hops" => packet.hops = hex(value)?,
        "xid" => packet.xid = hex(value)?,
        "secs" => packet.secs = hex(value)?,
        "flags" => packet.flags = hex(value)?,
        "ci" => packet.ciaddr = parsed(value, "an address")?,
        "yi" => packet.yiaddr = parsed(value, "an address")?,
        "si" => packet.siaddr = parsed(value, "an address")?,
        "gi" => packet.giaddr = parsed(value, "an address")?,
        "ch" => packet.chaddr = value.parse::<Hardware>()?,
        _ => return Err(format!("unknown word `{name}`")),
    }
    Ok(())
}

fn parsed<T: std::str::FromStr>(value: &str, want: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{value}`: want {want}"))
}

fn hex<T: TryFrom<u64>>(value: &str) -> Result<T, String> {
    let digits = value.strip_prefix("0x").unwrap_or(value);
    let number = u64::from_str_radix(digits, 16).ok().and_then(|n| T::try_from(n).ok());
    number.ok_or_else(|| format!("`{value}`: want a hexadecimal number that fits"))
}

/// Quotes as Go does: what is not printable becomes an escape.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn unquote(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).ok_or("want a quoted text")?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('v') => '\u{b}',
            Some('f') => '\u{c}',
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16)
                    .map(char::from)
                    .map_err(|_| format!("`\\x{digits}`: want two hex digits"))?
            }
            Some(c @ ('"' | '\\')) => c,
            other => return Err(format!("unknown escape `\\{}`", other.unwrap_or(' '))),
        });
    }
    Ok(out)
}
