//! Unified kernel images: kernel, initramfs and command line as one EFI program, bootable by UEFI HTTP boot alone.
//!
//! systemd's stub (package `systemd-boot-efi`) finds the parts by the names of PE sections. Adding sections means
//! appending their data to the file and their headers to the section table, for which the stub leaves room.
//! Format: Microsoft PE/COFF specification, "Section Table"; names: UAPI group, "Unified Kernel Image".
//! Left out: signing, for which `sbsign` is made.

/// What goes into an image.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Text in the form of `os-release`.
    pub release: &'a str,
    /// Kernel command line.
    pub command_line: &'a str,
    /// The kernel.
    pub kernel: &'a [u8],
    /// The initramfs.
    pub initrd: &'a [u8],
}

/// Why the stub cannot be extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is no PE program for 64-bit machines, or is cut off.
    #[error("not a 64-bit PE program")]
    NotPe,
    /// No space is left between the section table and the first section.
    #[error("no room for more section headers")]
    NoRoom,
    /// The sections together exceed what PE can address.
    #[error("the parts are too large for one program")]
    TooLarge,
}

const SECTION_HEADER_LEN: usize = 40;
/// Initialised data, readable.
const CHARACTERISTICS: u32 = 0x4000_0040;

/// Adds the parts to the stub.
///
/// # Errors
/// When the stub is not one.
pub fn assemble(stub: &[u8], parts: &Parts<'_>) -> Result<Vec<u8>, Error> {
    let mut pe = Pe::parse(stub)?;
    pe.add(b".osrel\0\0", parts.release.as_bytes())?;
    pe.add(b".cmdline", parts.command_line.as_bytes())?;
    pe.add(b".initrd\0", parts.initrd)?;
    pe.add(b".linux\0\0", parts.kernel)?;
    Ok(pe.finish())
}

/// A program and the places in it that change.
struct Pe {
    bytes: Vec<u8>,
    /// Offset of the COFF header.
    coff: usize,
    /// Offset of the optional header.
    optional: usize,
    /// Offset of the section table and number of its entries.
    table: usize,
    sections: usize,
    /// First byte of the first section's data.
    headers_end: usize,
    section_alignment: u32,
    file_alignment: u32,
    /// First free address.
    address: u32,
}

impl Pe {
    fn parse(stub: &[u8]) -> Result<Self, Error> {
        let offset = u32_at(stub, 0x3C)? as usize;
        let coff = offset.checked_add(4).filter(|_| stub.starts_with(b"MZ")).ok_or(Error::NotPe)?;
        let optional = coff.checked_add(20).ok_or(Error::NotPe)?;
        let is_pe = stub.get(offset..coff) == Some(b"PE\0\0") && u16_at(stub, optional)? == 0x20B;
        let table = optional.checked_add(usize::from(u16_at(stub, coff + 16)?)).ok_or(Error::NotPe)?;
        let (section_alignment, file_alignment) =
            (u32_at(stub, optional + 32)?, u32_at(stub, optional + 36)?);
        let aligned = section_alignment.is_power_of_two() && file_alignment.is_power_of_two();
        if !is_pe || !aligned || file_alignment > 1 << 16 {
            return Err(Error::NotPe);
        }
        let sections = usize::from(u16_at(stub, coff + 2)?);
        let (mut address, mut headers_end) = (0, u32_at(stub, optional + 60)? as usize);
        for at in (0..sections).map(|n| table + n * SECTION_HEADER_LEN) {
            let end = u32_at(stub, at + 12)?.checked_add(u32_at(stub, at + 8)?).ok_or(Error::NotPe)?;
            address = address.max(end);
            let data = u32_at(stub, at + 20)? as usize;
            headers_end = if data == 0 { headers_end } else { headers_end.min(data) };
        }
        // A trailing symbol table (from objcopy) would stay behind our sections: harmless, nothing refers to its place.
        let bytes = stub.to_vec();
        Ok(Self {
            bytes,
            coff,
            optional,
            table,
            sections,
            headers_end,
            section_alignment,
            file_alignment,
            address,
        })
    }

    fn add(&mut self, name: &[u8; 8], data: &[u8]) -> Result<(), Error> {
        let header = self.table + self.sections * SECTION_HEADER_LEN;
        if header + SECTION_HEADER_LEN > self.headers_end.min(self.bytes.len()) {
            return Err(Error::NoRoom);
        }
        let address = self.address.checked_next_multiple_of(self.section_alignment).ok_or(Error::TooLarge)?;
        let len = u32::try_from(data.len()).map_err(|_| Error::TooLarge)?;
        self.align_file();
        let place = u32::try_from(self.bytes.len()).map_err(|_| Error::TooLarge)?;
        self.bytes.extend_from_slice(data);
        self.align_file();
        let stored = self.bytes.len() as u64 - u64::from(place);
        let stored = u32::try_from(stored).map_err(|_| Error::TooLarge)?;
        self.address = address.checked_add(len).ok_or(Error::TooLarge)?;
        self.bytes[header..header + 8].copy_from_slice(name);
        let fields = [len, address, stored, place, 0, 0, 0, CHARACTERISTICS];
        for (n, field) in fields.into_iter().enumerate() {
            self.put(header + 8 + 4 * n, field);
        }
        self.sections += 1;
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        let count = (self.sections as u16).to_le_bytes();
        self.bytes[self.coff + 2..self.coff + 4].copy_from_slice(&count);
        let image = self.address.checked_next_multiple_of(self.section_alignment).unwrap_or(u32::MAX);
        self.put(self.optional + 56, image);
        // The checksum is checked for drivers only; zero means "none".
        self.put(self.optional + 64, 0);
        self.bytes
    }

    fn put(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn align_file(&mut self) {
        let len = self.bytes.len().next_multiple_of(self.file_alignment as usize);
        self.bytes.resize(len, 0);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Error> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Error::NotPe)?;
    Ok(u16::from_le_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Error::NotPe)?;
    Ok(u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The smallest thing that is a PE32+ program with one section.
    fn stub() -> Vec<u8> {
        let mut pe = vec![0; 0x600];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3C] = 0x40;
        pe[0x40..0x44].copy_from_slice(b"PE\0\0");
        pe[0x46] = 1;
        pe[0x54] = 240;
        let optional = 0x58;
        pe[optional..optional + 2].copy_from_slice(&[0x0B, 2]);
        let mut put = |at: usize, value: u32| pe[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(optional + 32, 4096);
        put(optional + 36, 512);
        put(optional + 60, 0x400);
        let section = optional + 240;
        for (n, value) in [0x123, 0x1000, 0x200, 0x400].into_iter().enumerate() {
            put(section + 8 + 4 * n, value);
        }
        pe
    }

    fn parts() -> Parts<'static> {
        Parts { release: "ID=x", command_line: "quiet", kernel: &[1; 5000], initrd: &[2; 600] }
    }

    #[test]
    fn sections_are_added_with_their_data() {
        let image = assemble(&stub(), &parts()).unwrap();
        assert_eq!(u16_at(&image, 0x46).unwrap(), 5);
        let table = 0x58 + 240;
        let seen: Vec<_> = (1..5)
            .map(|n| {
                let at = table + 40 * n;
                let field = |k: usize| u32_at(&image, at + 8 + 4 * k).unwrap();
                let data = &image[field(3) as usize..][..field(0) as usize];
                (String::from_utf8_lossy(&image[at..at + 8]).into_owned(), field(1), data.len(), data[0])
            })
            .collect();
        let expected = [
            (".osrel\0\0".into(), 0x2000, 4, b'I'),
            (".cmdline".into(), 0x3000, 5, b'q'),
            (".initrd\0".into(), 0x4000, 600, 2),
            (".linux\0\0".into(), 0x5000, 5000, 1),
        ];
        assert_eq!(seen, expected);
        assert_eq!(u32_at(&image, 0x58 + 56).unwrap(), 0x7000, "size of the image in memory");
    }

    #[test]
    fn a_full_table_and_other_files_are_refused() {
        let mut full = stub();
        full[0x58 + 60..0x58 + 64].copy_from_slice(&0x180_u32.to_le_bytes());
        assert_eq!(assemble(&full, &parts()), Err(Error::NoRoom));
        assert_eq!(assemble(b"MZ", &parts()), Err(Error::NotPe));
        assert_eq!(assemble(b"", &parts()), Err(Error::NotPe));
    }

    proptest! {
        #[test]
        fn damaged_stubs_never_panic(damage in proptest::collection::vec((0usize..0x200, any::<u8>()), 1..8)) {
            let mut bytes = stub();
            for (at, value) in damage {
                bytes[at] = value;
            }
            let _ = assemble(&bytes, &parts());
        }
    }
}
