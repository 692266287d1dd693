//! Looks into zip archives for scanners, within limits, in memory: nothing is ever written anywhere, whatever an entry calls
//! itself. Knows no file and no scanner.

use std::io::{Cursor, Read};
use std::ops::{ControlFlow, Range};

use zip::result::ZipError;

use crate::message::Finding;

/// How far into an archive is looked. What has more is [`Unscannable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Archives within archives: 1 looks into the outermost only.
    pub depth: u32,
    /// Entries of all archives together.
    pub entries: usize,
    /// Bytes of all entries together, unpacked.
    pub bytes: u64,
    /// Unpacked bytes for each byte of the outermost archive.
    pub ratio: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { depth: 2, entries: 1000, bytes: 256 << 20, ratio: 100 }
    }
}

/// The record at an archive's end, without the comment behind it.
const END_BYTES: usize = 22;

/// The longest comment.
const COMMENT_BYTES: usize = 0xffff;

/// What stands before the end of a large archive.
const LOCATOR_BYTES: usize = 20;

/// Up to here a good ratio is no bomb: a file of zeros is not.
const RATIO_FROM: u64 = 1 << 20;

/// An unpacked file of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveEntry<'a> {
    /// Its name in its archive. It is no path of this machine.
    pub name: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
    /// In how many archives it is.
    pub depth: u32,
}

/// Why nobody can say what is in an archive. A scanner should not let it pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unscannable {
    /// An entry is encrypted.
    #[error("an entry is encrypted")]
    Encrypted,
    /// It is cut off, or its parts contradict each other.
    #[error("it is damaged or cut off")]
    Damaged,
    /// An entry is packed in a way that is not known here.
    #[error("an entry is packed in an unknown way")]
    Method,
    /// An entry's name leads out of the folder that it would be unpacked into.
    #[error("an entry's name is a path that leads elsewhere")]
    Path,
    /// An entry is a link.
    #[error("an entry is a link")]
    Link,
    /// Archives are nested too deep.
    #[error("archives are nested too deep")]
    Depth,
    /// There are too many entries.
    #[error("it has too many entries")]
    Entries,
    /// Unpacked it is too large.
    #[error("it is too large when unpacked")]
    Bytes,
    /// It unpacks to much more than it is.
    #[error("it unpacks to many times its size")]
    Ratio,
}

impl Unscannable {
    /// What a scanner reports: the code `unscannable`, and why.
    pub fn finding(self) -> Finding {
        Finding { detail: Some(self.to_string()), ..Finding::new("unscannable") }
    }
}

/// Whether these bytes begin as a zip archive does, or end with one: programs that unpack look for the end first, so an
/// archive behind a picture or behind a program that unpacks it is one as well.
pub fn is_archive(bytes: &[u8]) -> bool {
    place(bytes).is_some()
}

/// Where an archive lies in these bytes.
fn place(bytes: &[u8]) -> Option<Range<usize>> {
    // The third is an archive in several parts of which there is one.
    let begins = [b"PK\x03\x04".as_slice(), b"PK\x05\x06", b"PK00PK\x03\x04"];
    if begins.iter().any(|begin| bytes.starts_with(begin)) {
        return Some(0..bytes.len());
    }
    let from = bytes.len().saturating_sub(END_BYTES + COMMENT_BYTES);
    let ends = bytes[from..].windows(4).enumerate().rev().filter(|(_, mark)| *mark == b"PK\x05\x06");
    ends.map(|(at, _)| from + at).find_map(|end| before_end(bytes, end))
}

/// The archive of this record of its end. Nothing where no directory stands where the record says, so that four bytes by
/// chance make no archive.
fn before_end(bytes: &[u8], end: usize) -> Option<Range<usize>> {
    let record = bytes.get(end..end + END_BYTES)?;
    let number = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?) as usize);
    let (size, offset) = (number(12)?, number(16)?);
    let comment = usize::from(u16::from_le_bytes([record[20], record[21]]));
    let until = (end + END_BYTES + comment).min(bytes.len());
    let is_directory = |at: usize| bytes.get(at..end).is_some_and(|rest| rest.starts_with(b"PK\x01\x02"));
    if let Some(directory) = end.checked_sub(size).filter(|at| is_directory(*at)) {
        // What it says of places counts from its own beginning, or from that of everything.
        return Some(directory.saturating_sub(offset)..until);
    }
    // A large archive says it elsewhere, and a record may lie about its directory's size.
    let is_large = end >= LOCATOR_BYTES && bytes[end - LOCATOR_BYTES..].starts_with(b"PK\x06\x07");
    (is_large || is_directory(offset)).then_some(0..until)
}

/// Shows every file in an archive and in the archives within it, the inner archives themselves included, until `visit` breaks.
///
/// # Errors
/// [`Unscannable`]; what came before it was shown.
pub fn visit(
    archive: &[u8],
    limits: &ArchiveLimits,
    mut visit: impl FnMut(ArchiveEntry<'_>) -> ControlFlow<()>,
) -> Result<(), Unscannable> {
    let allowed = (archive.len() as u64).saturating_mul(limits.ratio).max(RATIO_FROM);
    let mut walk = Walk { limits, allowed, entries: 0, bytes: 0, visit: &mut visit };
    walk.archive(archive, 1).map(|_| ())
}

struct Walk<'a> {
    limits: &'a ArchiveLimits,
    /// How many bytes the ratio allows.
    allowed: u64,
    entries: usize,
    bytes: u64,
    visit: &'a mut dyn FnMut(ArchiveEntry<'_>) -> ControlFlow<()>,
}

impl Walk<'_> {
    fn archive(&mut self, archive: &[u8], depth: u32) -> Result<ControlFlow<()>, Unscannable> {
        if depth > self.limits.depth {
            return Err(Unscannable::Depth);
        }
        let archive = &archive[place(archive).unwrap_or(0..archive.len())];
        // Before the directory is read into memory, which takes much more of it than the directory has.
        if heads_in(archive) > self.limits.entries {
            return Err(Unscannable::Entries);
        }
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| of_zip(&error))?;
        for index in 0..zip.len() {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Unscannable::Entries);
            }
            let (name, bytes) = self.entry(&mut zip, index)?;
            if let Some(bytes) = bytes {
                let entry = ArchiveEntry { name: &name, bytes: &bytes, depth };
                if (self.visit)(entry).is_break() || (is_archive(&bytes) && self.archive(&bytes, depth + 1)?.is_break())
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An entry's name, and what it holds unless it is a folder.
    fn entry(
        &mut self,
        zip: &mut zip::ZipArchive<Cursor<&[u8]>>,
        index: usize,
    ) -> Result<(String, Option<Vec<u8>>), Unscannable> {
        let raw = zip.by_index_raw(index).map_err(|error| of_zip(&error))?;
        if raw.encrypted() {
            return Err(Unscannable::Encrypted);
        }
        if raw.is_symlink() {
            return Err(Unscannable::Link);
        }
        let name = raw.name().map_err(|error| of_zip(&error))?.into_owned();
        if leads_elsewhere(&name) {
            return Err(Unscannable::Path);
        }
        drop(raw);
        let entry = zip.by_index(index).map_err(|error| of_zip(&error))?;
        let left = self.limits.bytes.saturating_sub(self.bytes).min(self.allowed.saturating_sub(self.bytes));
        // What an entry says of its size is not believed: one byte more than is left is read.
        let mut bytes = Vec::new();
        entry.take(left.saturating_add(1)).read_to_end(&mut bytes).map_err(|_| Unscannable::Damaged)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.bytes {
            return Err(Unscannable::Bytes);
        }
        if self.bytes > self.allowed {
            return Err(Unscannable::Ratio);
        }
        let is_folder = name.ends_with('/') && bytes.is_empty();
        Ok((name, (!is_folder).then_some(bytes)))
    }
}

/// How many times the mark of a directory's entry stands anywhere in the archive.
fn heads_in(archive: &[u8]) -> usize {
    archive.windows(4).filter(|mark| *mark == b"PK\x01\x02").count()
}

fn leads_elsewhere(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    name.starts_with('/') || name.contains(['\\', '\0']) || drive || name.split('/').any(|part| part == "..")
}

fn of_zip(error: &ZipError) -> Unscannable {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => Unscannable::Encrypted,
        ZipError::UnsupportedArchive(_) => Unscannable::Method,
        _ => Unscannable::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry as it is written: the head says what a test wants it to.
    struct Written {
        name: &'static str,
        bytes: Vec<u8>,
        /// The general purpose flags; bit 0 is encryption.
        flags: u16,
        /// 0 stored, 8 deflated.
        method: u16,
        /// Of how many bytes the head speaks.
        size: u32,
        crc: u32,
        /// As Unix has it.
        mode: u32,
    }

    fn stored(name: &'static str, bytes: &[u8]) -> Written {
        let size = bytes.len() as u32;
        Written { name, bytes: bytes.to_vec(), flags: 0, method: 0, size, crc: crc(bytes), mode: 0o100644 }
    }

    /// Zeros, deflated by hand: stored blocks would not shrink, so this is a block of fixed codes that repeats a zero.
    fn zeros(name: &'static str, repeats: usize) -> Written {
        let mut bits = Bits::default();
        bits.push(1, 1); // the last block
        bits.push(1, 2); // fixed codes
        bits.push_code(0x30, 8); // the literal 0
        for _ in 0..repeats {
            bits.push_code(0b1100_0101, 8); // the length 258
            bits.push_code(0, 5); // the distance 1
        }
        bits.push_code(0, 7); // the end
        let size = 1 + 258 * repeats;
        let crc = crc(&vec![0; size]);
        Written { name, bytes: bits.bytes, flags: 0, method: 8, size: size as u32, crc, mode: 0o100644 }
    }

    #[derive(Default)]
    struct Bits {
        bytes: Vec<u8>,
        used: u32,
    }

    impl Bits {
        fn push(&mut self, value: u32, length: u32) {
            for bit in 0..length {
                if self.used.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                let last = self.bytes.len() - 1;
                self.bytes[last] |= ((value >> bit & 1) as u8) << (self.used % 8);
                self.used += 1;
            }
        }

        /// Codes stand with their highest bit first.
        fn push_code(&mut self, code: u32, length: u32) {
            self.push(code.reverse_bits() >> (32 - length), length);
        }
    }

    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        };
        !bytes.iter().fold(!0, step)
    }

    fn archive(entries: &[Written]) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for entry in entries {
            let offset = file.len() as u32;
            let mut common = Vec::new();
            for field in [20, entry.flags, entry.method, 0, 0x21] {
                common.extend(u16::to_le_bytes(field));
            }
            for field in [entry.crc, entry.bytes.len() as u32, entry.size] {
                common.extend(u32::to_le_bytes(field));
            }
            common.extend(u16::to_le_bytes(entry.name.len() as u16));
            common.extend(u16::to_le_bytes(0));
            file.extend(b"PK\x03\x04");
            file.extend(&common);
            file.extend(entry.name.as_bytes());
            file.extend(&entry.bytes);
            directory.extend(b"PK\x01\x02");
            directory.extend(u16::to_le_bytes(3 << 8 | 20));
            directory.extend(&common);
            directory.extend([0; 6]);
            directory.extend(u32::to_le_bytes(entry.mode << 16));
            directory.extend(u32::to_le_bytes(offset));
            directory.extend(entry.name.as_bytes());
        }
        let offset = file.len() as u32;
        file.extend(&directory);
        file.extend(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            file.extend(u16::to_le_bytes(entries.len() as u16));
        }
        file.extend(u32::to_le_bytes(directory.len() as u32));
        file.extend(u32::to_le_bytes(offset));
        file.extend([0; 2]);
        file
    }

    fn seen(bytes: &[u8], limits: &ArchiveLimits) -> Result<Vec<String>, Unscannable> {
        let mut seen = Vec::new();
        let visited = visit(bytes, limits, |entry| {
            seen.push(format!("{}:{}:{}", entry.depth, entry.name, entry.bytes.len()));
            ControlFlow::Continue(())
        });
        visited.map(|()| seen)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[&str], Unscannable>) {
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(seen(bytes, &ArchiveLimits::default()), expected);
    }

    #[test]
    fn files_are_shown_and_those_within_archives_too() {
        let inner = archive(&[stored("b.txt", b"inner")]);
        let outer = archive(&[stored("folder/", b""), stored("folder/a.txt", b"outer"), stored("inner.zip", &inner)]);
        assert!(is_archive(&outer) && is_archive(&archive(&[])) && !is_archive(b"PK"));
        let length = inner.len();
        check(&outer, Ok(&["1:folder/a.txt:5", &format!("1:inner.zip:{length}"), "2:b.txt:5"]));
        check(&archive(&[]), Ok(&[]));
        check(&archive(&[zeros("zeros", 10)]), Ok(&["1:zeros:2581"]));
    }

    /// Fault 70: programs that unpack look for the end, so what stands before an archive hides nothing.
    #[test]
    fn what_stands_before_or_behind_an_archive_hides_nothing() {
        let inner = archive(&[stored("b.txt", b"inner")]);
        let expected: &[&str] = &["1:b.txt:5"];
        for before in [b"GIF89a".as_slice(), b"PK00", b"MZ and a program", &[b'.'; 100_000], &inner] {
            let file = [before, &inner].concat();
            assert!(is_archive(&file), "{} bytes before", before.len());
            check(&file, Ok(expected));
            for behind in [1, 700, COMMENT_BYTES] {
                check(&[&file, vec![0; behind].as_slice()].concat(), Ok(expected));
            }
        }
        // As tools write it that unpacks itself: places count from the very beginning.
        let mut adjusted = [b"#!/bin/sh\n".as_slice(), &inner].concat();
        let (end, directory) = (adjusted.len() - END_BYTES, adjusted.len() - END_BYTES - 51);
        for at in [end + 16, directory + 42] {
            let from: [u8; 4] = adjusted[at..at + 4].try_into().expect("four bytes");
            adjusted[at..at + 4].copy_from_slice(&(u32::from_le_bytes(from) + 10).to_le_bytes());
        }
        check(&adjusted, Ok(expected));
        let outer = archive(&[stored("a.gif", &[b"GIF89a".as_slice(), &inner].concat())]);
        let length = inner.len() + 6;
        check(&outer, Ok(&[&format!("1:a.gif:{length}"), "2:b.txt:5"]));
        let bomb = archive(&[zeros("zeros", 8_000)]);
        check(&[b"GIF89a".as_slice(), &bomb].concat(), Err(Unscannable::Ratio));
    }

    #[test]
    fn what_only_has_the_marks_is_no_archive() {
        let end = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        let mut number = 7_u32;
        let mut random = |length: usize| -> Vec<u8> {
            let mut next = || {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (number >> 24) as u8
            };
            (0..length).map(|_| next()).collect()
        };
        for _ in 0..20 {
            let (before, behind) = (random(70_000), random(300));
            assert!(!is_archive(&before));
            for mark in [end.as_slice(), b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"] {
                assert!(!is_archive(&[before.as_slice(), mark, &behind].concat()), "{mark:?}");
            }
        }
        for text in ["", "PK", "GIF89a", "the marks PK\u{5}\u{6} and PK\u{1}\u{2} in a text"] {
            assert!(!is_archive(text.as_bytes()), "{text:?}");
        }
        // Too far from the end for anybody to look.
        let inner = archive(&[stored("b.txt", b"inner")]);
        assert!(!is_archive(&[b"GIF89a".as_slice(), &inner, &[0; COMMENT_BYTES + 1]].concat()));
    }

    #[test]
    fn a_visitor_may_stop() {
        let inner = archive(&[stored("b.txt", b"b"), stored("c.txt", b"c")]);
        let outer = archive(&[stored("inner.zip", &inner), stored("d.txt", b"d")]);
        let mut names = Vec::new();
        let visited = visit(&outer, &ArchiveLimits::default(), |entry| {
            names.push(entry.name.to_owned());
            if entry.name == "b.txt" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((visited, names), (Ok(()), vec!["inner.zip".to_owned(), "b.txt".to_owned()]));
    }

    /// Fault 70: paths that lead elsewhere, links, and what is encrypted or cut off.
    #[test]
    fn what_nobody_should_unpack_is_unscannable() {
        for name in ["../x", "a/../../x", "/etc/passwd", "..", "a\\b", "C:x"] {
            check(&archive(&[stored(name, b"x")]), Err(Unscannable::Path));
        }
        let mut entry = stored("link", b"/etc/passwd");
        entry.mode = 0o120777;
        check(&archive(&[entry]), Err(Unscannable::Link));
        let mut entry = stored("secret", b"secret");
        entry.flags = 1;
        check(&archive(&[entry]), Err(Unscannable::Encrypted));
        let whole = archive(&[stored("a.txt", b"some text")]);
        for length in [whole.len() - 1, whole.len() / 2, 10] {
            check(&whole[..length], Err(Unscannable::Damaged));
        }
        let mut entry = stored("a.txt", b"some text");
        entry.crc ^= 1;
        check(&archive(&[entry]), Err(Unscannable::Damaged));
        let mut entry = stored("a.txt", b"some text");
        entry.method = 99;
        assert!(seen(&archive(&[entry]), &ArchiveLimits::default()).is_err());
        assert_eq!(Unscannable::Link.finding().code, "unscannable");
    }

    /// Fault 70: bombs by ratio, by size whatever the head says, by number, and by nesting as 42.zip has it.
    #[test]
    fn bombs_are_unscannable_within_the_limits() {
        let bomb = archive(&[zeros("zeros", 8_000)]);
        assert!(bomb.len() < 20_000, "two million zeros in {} bytes", bomb.len());
        check(&bomb, Err(Unscannable::Ratio));
        let mut liar = zeros("zeros", 8_000);
        liar.size = 5;
        check(&archive(&[liar]), Err(Unscannable::Damaged));
        let small = ArchiveLimits { bytes: 1000, ..ArchiveLimits::default() };
        assert_eq!(seen(&archive(&[zeros("zeros", 10)]), &small), Err(Unscannable::Bytes));
        assert_eq!(seen(&archive(&[stored("a", &[0; 600]), stored("b", &[0; 600])]), &small), Err(Unscannable::Bytes));

        let many: Vec<Written> = (0..1001).map(|_| stored("a", b"")).collect();
        check(&archive(&many), Err(Unscannable::Entries));
        let inner = archive(&many[..600]);
        let twice = archive(&[stored("a.zip", &inner), stored("b.zip", &inner)]);
        check(&twice, Err(Unscannable::Entries));

        let mut nested = archive(&[stored("a.txt", b"text")]);
        nested = archive(&[stored("1.zip", &nested)]);
        assert!(seen(&nested, &ArchiveLimits::default()).is_ok());
        nested = archive(&[stored("2.zip", &nested)]);
        check(&nested, Err(Unscannable::Depth));
    }

    /// Fault 70: whatever a few bytes of an archive are turned into, it is shown or refused, and nothing panics.
    #[test]
    fn a_damaged_archive_is_shown_or_refused() {
        let whole = archive(&[stored("a.txt", b"some text"), zeros("zeros", 100), stored("b/c.txt", b"more")]);
        for place in 0..whole.len() {
            for value in [0, 0xff, whole[place] ^ 0x80] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                drop(seen(&damaged, &ArchiveLimits::default()));
            }
        }
    }
}
