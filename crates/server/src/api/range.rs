//! `Range: bytes=…` (RFC 9110 §14.1.2), one range of it: lists of ranges are answered with the whole, which the RFC allows.

/// What of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All of it.
    Whole,
    /// `length` bytes from `from` on; never empty.
    Part {
        /// Offset of the first byte.
        from: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Nothing that the file has: 416.
    Beyond,
}

/// Reads the header for a file of `size` bytes. A header that cannot be read counts as none.
pub(crate) fn parse(header: Option<&str>, size: u64) -> Range {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Range::Whole };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return Range::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, end) = match (first.trim(), last.trim()) {
        ("", "") => return Range::Whole,
        ("", _) => match number(last) {
            Some(0) => return Range::Beyond,
            Some(count) => (size.saturating_sub(count), size),
            None => return Range::Whole,
        },
        (_, "") => match number(first) {
            Some(from) => (from, size),
            None => return Range::Whole,
        },
        _ => match (number(first), number(last)) {
            (Some(from), Some(last)) if from <= last => (from, last.saturating_add(1).min(size)),
            _ => return Range::Whole,
        },
    };
    if from >= end { Range::Beyond } else { Range::Part { from, length: end - from } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let check = |header: &str, want| assert_eq!(parse(Some(header), 10), want, "{header}");
        let part = |from, length| Range::Part { from, length };
        check("bytes=0-3", part(0, 4));
        check("bytes=4-", part(4, 6));
        check("bytes=-3", part(7, 3));
        check("bytes=-99", part(0, 10));
        check("bytes=8-99", part(8, 2));
        check("bytes=10-", Range::Beyond);
        check("bytes=-0", Range::Beyond);
        check("bytes=5-4", Range::Whole);
        check("bytes=0-1,3-4", Range::Whole);
        check("bytes=18446744073709551615-", Range::Beyond);
        check("bytes=0-18446744073709551615", part(0, 10));
        check("lines=1-2", Range::Whole);
        assert_eq!(parse(None, 10), Range::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Range::Beyond);
    }
}
