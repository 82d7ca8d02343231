//! From the file as served to the raw image.

use super::spec::Format;
use std::io::{self, BufRead, Read};

/// Largest zstd window, as a power of two: 128 MiB, what `zstd --long` makes at most by default. A
/// machine may have as little as 512 MiB of memory.
const MAX_WINDOW: u32 = 27;

/// The format of a stream by its first bytes; what is none of the known ones is raw.
pub fn detect(start: &[u8]) -> Format {
    match start {
        [0x1f, 0x8b, ..] => Format::Gz,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zst,
        _ => Format::Raw,
    }
}

/// A reader of the raw image.
pub fn reader<'a, R: BufRead + 'a>(format: Format, mut input: R) -> io::Result<Box<dyn Read + 'a>> {
    let format = if format == Format::Auto { detect(input.fill_buf()?) } else { format };
    Ok(match format {
        Format::Auto | Format::Raw => Box::new(input),
        Format::Gz => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Format::Xz => Box::new(lzma_rust2::XzReader::new(input, true)),
        Format::Zst => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(MAX_WINDOW)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpack(format: Format, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        reader(format, bytes)?.read_to_end(&mut all)?;
        Ok(all)
    }

    fn packed() -> Vec<(Format, Vec<u8>)> {
        let text = b"gantry ".repeat(1000);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text).expect("gz");
        let zst = zstd::stream::encode_all(&text[..], 3).expect("zst");
        vec![(Format::Gz, gz.finish().expect("gz")), (Format::Zst, zst), (Format::Raw, text)]
    }

    #[test]
    fn each_format_is_recognised() {
        for (format, bytes) in packed() {
            assert_eq!(detect(&bytes), format);
            assert_eq!(unpack(Format::Auto, &bytes).expect("unpack"), b"gantry ".repeat(1000), "{format:?}");
        }
        assert_eq!(detect(b"\xfd7zXZ\0\0\x04"), Format::Xz);
    }

    #[test]
    fn joined_and_broken_streams() {
        for (format, bytes) in packed().into_iter().filter(|(format, _)| *format != Format::Raw) {
            let twice = [bytes.clone(), bytes.clone()].concat();
            assert_eq!(unpack(format, &twice).expect("joined").len(), 14_000, "{format:?}");
            assert!(unpack(format, &bytes[..bytes.len() / 2]).is_err(), "{format:?} cut");
        }
        assert!(unpack(Format::Xz, b"no xz at all").is_err());
    }

    /// `printf 'hello hello hello\n' | xz`.
    #[test]
    fn xz_of_the_reference_tool() {
        let hex = concat!(
            "fd377a585a000004e6d6b4460200210116000000742fe5a3e00011000c5d0034",
            "1949ee8de94f7e2121b000001f01d9c887c143c800012812c96a628e1fb6f37d",
            "010000000004595a",
        );
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
            .collect();
        assert_eq!(unpack(Format::Auto, &bytes).expect("xz"), b"hello hello hello\n");
        assert!(unpack(Format::Xz, &bytes[..bytes.len() - 20]).is_err(), "cut");
    }
}
