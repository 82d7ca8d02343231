//! The name of a file as a client asked for it, made safe: one clean relative path, or a refusal.
//!
//! Firmware writes `//`, `./`, leading slashes and, on Windows loaders, backslashes; all mean the same file. What would climb
//! above the root, or holds control characters, is refused rather than bent into something else.

/// Longest name taken, in bytes; also a TFTP request must fit into one datagram.
pub const MAX: usize = 1024;

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `..` beyond the root.
    #[error("the path climbs above the root")]
    Climbs,
    /// Bytes below 32 or 127.
    #[error("the path holds control characters")]
    Control,
    /// More than [`MAX`] bytes.
    #[error("the path is longer than 1024 bytes")]
    TooLong,
}

/// `\a//b/./c/../d` becomes `a/b/d`. The root is the empty text.
///
/// # Errors
/// [`Refused`].
pub fn clean(requested: &str) -> Result<String, Refused> {
    if requested.len() > MAX {
        return Err(Refused::TooLong);
    }
    if requested.chars().any(char::is_control) {
        return Err(Refused::Control);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in requested.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(Refused::Climbs)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_name() {
        for (asked, want) in [
            ("ipxe.efi", "ipxe.efi"),
            ("/sb//grubx64.efi", "sb/grubx64.efi"),
            ("\\EFI\\BOOT\\grub.cfg", "EFI/BOOT/grub.cfg"),
            ("./a/../b", "b"),
            ("/", ""),
            ("a/..b/...", "a/..b/..."),
        ] {
            assert_eq!(clean(asked).as_deref(), Ok(want), "{asked}");
        }
    }

    #[test]
    fn nothing_above_the_root() {
        for asked in ["..", "../etc/passwd", "/../etc", "a/../../b", "..\\..\\windows"] {
            assert_eq!(clean(asked), Err(Refused::Climbs), "{asked}");
        }
        assert_eq!(clean("a\0b"), Err(Refused::Control));
        assert_eq!(clean(&"a".repeat(1025)), Err(Refused::TooLong));
    }
}
