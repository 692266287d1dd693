//! Reads from an ELF file what it needs to start: an interpreter, other libraries. Knows 64-bit little-endian files.

use crate::failure::{Failure, Result};

/// What a file needs before its own code runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The dynamic loader that it asks for.
    pub(crate) interpreter: Option<String>,
    /// The libraries that it asks for.
    pub(crate) libraries: Vec<String>,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// One line of the program header.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// What the file needs.
pub(crate) fn needs(file: &[u8]) -> Result<Needs> {
    read(file).ok_or_else(|| Failure::found("this is no 64-bit little-endian ELF file, or it is cut off"))
}

fn read(file: &[u8]) -> Option<Needs> {
    // Magic number, 64 bits, little-endian.
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64_at(file, 0x20)?;
    let line_size = u64::from(u16_at(file, 0x36)?);
    let count = u64::from(u16_at(file, 0x38)?);
    let segments: Vec<Segment> = (0..count)
        .map(|index| {
            let at = table.checked_add(index.checked_mul(line_size)?)?;
            Some(Segment {
                kind: u32_at(file, at)?,
                offset: u64_at(file, at.checked_add(8)?)?,
                address: u64_at(file, at.checked_add(16)?)?,
                size: u64_at(file, at.checked_add(32)?)?,
            })
        })
        .collect::<Option<_>>()?;
    let interpreter = match segments.iter().find(|segment| segment.kind == PT_INTERP) {
        Some(segment) => Some(text_at(file, segment.offset)?),
        None => None,
    };
    let libraries = match segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        Some(dynamic) => libraries(file, &segments, dynamic)?,
        None => Vec::new(),
    };
    Some(Needs { interpreter, libraries })
}

fn libraries(file: &[u8], segments: &[Segment], dynamic: &Segment) -> Option<Vec<String>> {
    let mut entries = Vec::new();
    for at in (0..dynamic.size / 16).map(|index| dynamic.offset.checked_add(index * 16)) {
        let at = at?;
        match (u64_at(file, at)?, u64_at(file, at.checked_add(8)?)?) {
            (0, _) => break,
            entry => entries.push(entry),
        }
    }
    let names: Vec<u64> = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, value)| *value).collect();
    if names.is_empty() {
        return Some(Vec::new());
    }
    // The table of names is given by its address in memory.
    let address = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?.1;
    let segment = segments.iter().find(|segment| {
        segment.kind == PT_LOAD && address.checked_sub(segment.address).is_some_and(|inside| inside < segment.size)
    })?;
    let table = segment.offset.checked_add(address - segment.address)?;
    names.into_iter().map(|name| text_at(file, table.checked_add(name)?)).collect()
}

fn text_at(file: &[u8], offset: u64) -> Option<String> {
    let rest = file.get(usize::try_from(offset).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

fn bytes_at<const N: usize>(file: &[u8], offset: u64) -> Option<[u8; N]> {
    let start = usize::try_from(offset).ok()?;
    file.get(start..start.checked_add(N)?)?.try_into().ok()
}

fn u16_at(file: &[u8], offset: u64) -> Option<u16> {
    bytes_at(file, offset).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], offset: u64) -> Option<u32> {
    bytes_at(file, offset).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], offset: u64) -> Option<u64> {
    bytes_at(file, offset).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_executable_names_its_loader_and_its_libraries() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&this_test).unwrap();
        assert!(needs.interpreter.is_some_and(|loader| loader.contains("ld-")));
        assert!(needs.libraries.iter().any(|library| library.starts_with("libc.")), "{:?}", needs.libraries);
    }

    #[test]
    fn a_static_one_needs_nothing() {
        // The header, one segment to load and nothing else.
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(0x40, 0);
        file[0x20] = 0x40;
        file[0x36] = 56;
        file[0x38] = 1;
        file.extend([1, 0, 0, 0]);
        file.resize(0x40 + 56, 0);
        assert_eq!(needs(&file).unwrap(), Needs { interpreter: None, libraries: Vec::new() });
    }

    #[test]
    fn what_is_no_such_file_is_refused_without_a_panic() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [0, 4, 6, 0x20, 0x3a, 0x80, 0x200] {
            assert!(needs(&this_test[..length]).is_err(), "{length} bytes");
        }
        assert!(needs(b"#!/bin/sh\n").is_err());
        let mut absurd = this_test[..0x400].to_vec();
        absurd[0x20..0x28].fill(0xff);
        assert!(needs(&absurd).is_err());
    }
}
