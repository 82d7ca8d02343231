//! TFTP datagrams. Decoding borrows and never panics.

/// Longest request looked at; RFC 2347 limits it to 512 bytes.
const MAX_REQUEST: usize = 2048;
/// Options looked at in one request.
const MAX_OPTIONS: usize = 32;

/// Error codes of RFC 1350 and 2347.
pub mod error {
    #![expect(missing_docs, reason = "the names are the RFC's")]
    pub const UNDEFINED: u16 = 0;
    pub const NOT_FOUND: u16 = 1;
    pub const ACCESS: u16 = 2;
    pub const ILLEGAL: u16 = 4;
    pub const UNKNOWN_TRANSFER: u16 = 5;
    /// Option negotiation refused; what EDK2 and grub end a size probe with.
    pub const OPTION: u16 = 8;
}

/// How the content travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bytes as they are; also unknown modes, which old ROMs misspell.
    Octet,
    /// Lines with CR LF.
    Netascii,
}

/// A read request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// File name as asked for; see [`crate::path::clean`].
    pub file: String,
    /// Transfer mode.
    pub mode: Mode,
    /// Options in order, names in lower case.
    pub options: Vec<(String, String)>,
}

/// A datagram from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Opcode 1.
    Read(Request),
    /// Opcode 2, which is always refused.
    Write(Request),
    /// Opcode 4.
    Ack(u16),
    /// Opcode 5: code and message.
    Error(u16, String),
}

/// Why a datagram is no TFTP packet for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer than the 4 bytes of the smallest packet.
    #[error("packet of {0} bytes is too small")]
    TooSmall(usize),
    /// An operation that only servers send, or none at all.
    #[error("operation {0} is not for a server")]
    Operation(u16),
    /// File name, mode or options without end mark, or not text.
    #[error("the request holds no file name and mode ending in NUL")]
    Request,
    /// More than 2048 bytes or 32 options.
    #[error("the request is too large")]
    TooLarge,
}

impl Packet {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let [a, b, body @ ..] = bytes else {
            return Err(Malformed::TooSmall(bytes.len()));
        };
        match u16::from_be_bytes([*a, *b]) {
            1 => request(body).map(Self::Read),
            2 => request(body).map(Self::Write),
            4 => number(body).map(Self::Ack).ok_or(Malformed::TooSmall(bytes.len())),
            5 => {
                let code = number(body).ok_or(Malformed::TooSmall(bytes.len()))?;
                let text = body[2..].split(|b| *b == 0).next().unwrap_or_default();
                Ok(Self::Error(code, String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned()))
            }
            other => Err(Malformed::Operation(other)),
        }
    }
}

fn number(body: &[u8]) -> Option<u16> {
    body.first_chunk().map(|b| u16::from_be_bytes(*b))
}

fn request(body: &[u8]) -> Result<Request, Malformed> {
    if body.len() > MAX_REQUEST {
        return Err(Malformed::TooLarge);
    }
    // Every text ends in NUL; what follows the last NUL is padding of a ROM.
    let end = body.iter().rposition(|b| *b == 0).ok_or(Malformed::Request)?;
    let mut texts = body[..end].split(|b| *b == 0).map(|t| String::from_utf8_lossy(t).into_owned());
    let file = texts.next().filter(|f| !f.is_empty()).ok_or(Malformed::Request)?;
    let mode = texts.next().ok_or(Malformed::Request)?;
    let mode = if mode.eq_ignore_ascii_case("netascii") { Mode::Netascii } else { Mode::Octet };
    let mut options = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if name.is_empty() {
            break;
        }
        if options.len() == MAX_OPTIONS {
            return Err(Malformed::TooLarge);
        }
        options.push((name.to_ascii_lowercase(), value));
    }
    Ok(Request { file, mode, options })
}

/// A DATA datagram of a block.
pub fn data(block: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 4);
    bytes.extend_from_slice(&3_u16.to_be_bytes());
    bytes.extend_from_slice(&block.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// An ERROR datagram.
pub fn refusal(code: u16, message: &str) -> Vec<u8> {
    let mut bytes = vec![0, 5];
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend(message.bytes().filter(|b| *b != 0));
    bytes.push(0);
    bytes
}

/// An OACK datagram.
pub fn option_ack(options: &[(String, String)]) -> Vec<u8> {
    let mut bytes = vec![0, 6];
    for text in options.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
