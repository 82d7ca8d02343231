//! Is this file an agent that can be process 1? It is looked at before anything is downloaded: a wrong one would only be
//! found out by a machine that panics.

use crate::Error;
use crate::error::Doing;
use std::fs;
use std::path::Path;

/// Machine numbers of the ELF specification that people have programs for.
const MACHINES: [(u16, &str); 5] =
    [(3, "i386"), (40, "arm"), (62, "x86-64"), (183, "arm64"), (243, "riscv64")];
/// What the kernels of the discovery OS are for.
const WANTED: u16 = 62;
/// Type of a program header that names a loader, which static programs do not have.
const PT_INTERP: u32 = 3;

/// Makes sure that the file is a static program for the architecture of the discovery OS.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Agent`] when it is something else.
pub(crate) fn check(file: &Path) -> Result<(), Error> {
    let bytes = fs::read(file).doing("read the agent", file)?;
    judge(&bytes).map_err(|reason| Error::Agent { file: file.display().to_string(), reason })
}

fn judge(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is no program of Linux (ELF)".into());
    }
    let truncated = || "its ELF header is cut off".to_owned();
    let short = |at: usize| bytes.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let machine = short(18).ok_or_else(truncated)?;
    // 64 bits, little-endian: the rest of the header is read as such.
    if machine != WANTED || bytes.get(4..6) != Some(&[2, 1]) {
        let known = MACHINES.iter().find(|(number, _)| *number == machine);
        let name = known.map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned());
        return Err(format!("it is a program for {name}"));
    }
    let at = bytes.get(32..40).and_then(|eight| <[u8; 8]>::try_from(eight).ok()).ok_or_else(truncated)?;
    let at = usize::try_from(u64::from_le_bytes(at)).map_err(|_| truncated())?;
    let (size, count) = (short(54).ok_or_else(truncated)?, short(56).ok_or_else(truncated)?);
    for number in 0..usize::from(count) {
        let header =
            at.checked_add(number * usize::from(size)).and_then(|at| bytes.get(at..)?.first_chunk::<4>());
        if u32::from_le_bytes(*header.ok_or_else(truncated)?) == PT_INTERP {
            return Err("it is linked dynamically".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header with program headers of these types.
    fn program(machine: u16, types: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = types.len() as u8;
        for kind in types {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&[0; 52]);
        }
        bytes
    }

    #[test]
    fn only_a_static_program_for_the_machine_will_do() {
        let reason = |bytes: &[u8]| judge(bytes).err().unwrap_or_default();
        assert_eq!(reason(&program(62, &[1, 2])), "");
        assert_eq!(reason(&program(62, &[1, PT_INTERP])), "it is linked dynamically");
        assert_eq!(reason(&program(183, &[1])), "it is a program for arm64");
        assert_eq!(reason(&program(999, &[1])), "it is a program for machine 999");
        assert_eq!(reason(b"#!/bin/sh\n"), "it is no program of Linux (ELF)");
        assert_eq!(reason(&program(62, &[1])[..80]), "");
        assert_eq!(reason(&program(62, &[1])[..66]), "its ELF header is cut off");
        assert_eq!(reason(b"\x7fELF"), "its ELF header is cut off");
    }

    #[test]
    fn this_very_program_is_dynamic_and_a_missing_one_is_named() {
        let own = std::env::current_exe().unwrap();
        let text = check(&own).unwrap_err().to_string();
        assert!(text.contains("linked dynamically") && text.contains("hint:"), "{text}");
        let text = check(Path::new("/nowhere/agent")).unwrap_err().to_string();
        assert!(text.contains("/nowhere/agent"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
            if header && bytes.len() > 20 {
                bytes[..20].copy_from_slice(&program(62, &[])[..20]);
            }
            let _ = judge(&bytes);
        }
    }
}
