//! Judges what is in a file: its bytes, and what is packed in them. Blocks, so it runs where that holds nobody up. Knows no host.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;
use plexichat::archive::{ArchiveEntry, ArchiveLimits, Unscannable, is_archive, visit};
use plexichat::message::{Finding, ScanError, Verdict};
use sha2::{Digest, Sha256};

use crate::config::{Archives, Names};
use crate::names::{judge_name, judge_type};
use crate::reload::Loaded;
use crate::verdict::worse;

/// Up to here a good ratio is no bomb: a file of zeros is not.
const RATIO_FROM: u64 = 1 << 20;

/// Who looks, and how far.
pub(crate) struct Content<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) archives: &'a Archives,
    pub(crate) names: &'a Names,
    /// Whether anybody waits for the answer.
    pub(crate) wanted: &'a Wanted,
}

/// Says whether anybody waits for an answer: looked at between pieces, since a thread cannot be stopped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Nobody waits any more once what this returns is dropped.
    pub(crate) fn until_dropped(&self) -> GivesUp {
        GivesUp(self.clone())
    }

    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Held by whoever waits.
pub(crate) struct GivesUp(Wanted);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Reads as long as anybody waits.
struct Heeding<'a, R> {
    wanted: &'a Wanted,
    reader: R,
}

impl<R: Read> Read for Heeding<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wanted.is_given_up() {
            return Err(io::Error::other("nobody waits any more"));
        }
        self.reader.read(buffer)
    }
}

impl Content<'_> {
    /// Judges a file.
    ///
    /// # Errors
    /// `Timeout` where it takes too long or nobody waits any more, `Internal` where an engine fails.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Result<Verdict, ScanError> {
        if self.wanted.is_given_up() {
            return Err(ScanError::Timeout);
        }
        let verdict = self.loaded.rules.judge(bytes)?;
        if !self.archives.enabled || matches!(verdict, Verdict::Reject(_)) || !is_packed(bytes) {
            return Ok(verdict);
        }
        let mut unpacking = Unpacking { content: self, used: 0, entries: 0, verdict, failed: None };
        let unpacked = unpacking.packed(bytes, 1);
        let Unpacking { verdict, failed, .. } = unpacking;
        match (failed, unpacked) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(verdict),
            (None, Err(why)) => Ok(worse(verdict, self.archives.unscannable.verdict(why.finding()))),
        }
    }
}

/// Whether there is something to unpack.
fn is_packed(bytes: &[u8]) -> bool {
    is_archive(bytes) || is_gzip(bytes)
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

/// One file being unpacked, with all that is packed within.
struct Unpacking<'a> {
    content: &'a Content<'a>,
    /// Unpacked bytes so far.
    used: u64,
    /// Files so far.
    entries: usize,
    verdict: Verdict,
    failed: Option<ScanError>,
}

impl Unpacking<'_> {
    fn packed(&mut self, bytes: &[u8], depth: u32) -> Result<(), Unscannable> {
        let Archives { depth: depth_max, entries, bytes: bytes_max, ratio, .. } = *self.content.archives;
        if depth > depth_max {
            return Err(Unscannable::Depth);
        }
        if is_gzip(bytes) {
            return self.gzip(bytes, depth);
        }
        let limits = ArchiveLimits {
            depth: depth_max - depth + 1,
            entries: (entries as usize).saturating_sub(self.entries),
            bytes: bytes_max.saturating_sub(self.used),
            ratio,
        };
        let mut inner = Ok(());
        visit(bytes, &limits, |entry| {
            self.entries += 1;
            self.used += entry.bytes.len() as u64;
            inner = self.entry(&entry, depth);
            match self.is_over() || inner.is_err() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        inner
    }

    /// One entry of a zip archive. Zip archives within it are shown by `visit` itself.
    fn entry(&mut self, entry: &ArchiveEntry<'_>, depth: u32) -> Result<(), Unscannable> {
        let depth = depth + entry.depth - 1;
        let mut verdict = judge_name(entry.name, self.content.names);
        if let Some(mime) = program(entry.bytes) {
            verdict = worse(verdict, judge_type(entry.name, None, mime, self.content.names));
        }
        self.add(verdict, entry.name);
        self.bytes(entry.bytes, entry.name);
        match is_gzip(entry.bytes) && !self.is_over() {
            true => self.packed(entry.bytes, depth + 1),
            false => Ok(()),
        }
    }

    fn gzip(&mut self, bytes: &[u8], depth: u32) -> Result<(), Unscannable> {
        let Archives { bytes: bytes_max, ratio, .. } = *self.content.archives;
        let allowed = (bytes.len() as u64).saturating_mul(ratio).max(RATIO_FROM);
        let left = bytes_max.saturating_sub(self.used);
        let mut unpacked = Vec::new();
        let limit = allowed.min(left).saturating_add(1);
        let wanted = self.content.wanted;
        let read = Heeding { wanted, reader: MultiGzDecoder::new(bytes) }.take(limit).read_to_end(&mut unpacked);
        if wanted.is_given_up() {
            self.failed = Some(ScanError::Timeout);
            return Ok(());
        }
        read.map_err(|_| Unscannable::Damaged)?;
        self.used += unpacked.len() as u64;
        if unpacked.len() as u64 > left {
            return Err(Unscannable::Bytes);
        }
        if unpacked.len() as u64 > allowed {
            return Err(Unscannable::Ratio);
        }
        self.entries += 1;
        self.bytes(&unpacked, "the gzip archive");
        match is_packed(&unpacked) && !self.is_over() {
            true => self.packed(&unpacked, depth + 1),
            false => Ok(()),
        }
    }

    /// What the engines say of unpacked bytes.
    fn bytes(&mut self, bytes: &[u8], name: &str) {
        if self.content.wanted.is_given_up() {
            self.failed = Some(ScanError::Timeout);
        }
        if self.is_over() {
            return;
        }
        let loaded = self.content.loaded;
        if !loaded.hashes.is_empty()
            && let Some(finding) = loaded.hashes.find(&Sha256::digest(bytes).into())
        {
            self.add(Verdict::Reject(finding), name);
            return;
        }
        match loaded.rules.judge(bytes) {
            Ok(verdict) => self.add(verdict, name),
            Err(error) => self.failed = Some(error),
        }
    }

    fn add(&mut self, verdict: Verdict, name: &str) {
        let located = |mut finding: Finding| {
            let detail = finding.detail.take().unwrap_or_default();
            finding.detail = Some(format!("in `{}`: {detail}", name.escape_debug()));
            finding
        };
        let verdict = match verdict {
            Verdict::Allow => return,
            Verdict::Flag(finding) => Verdict::Flag(located(finding)),
            Verdict::Quarantine(finding) => Verdict::Quarantine(located(finding)),
            Verdict::Reject(finding) => Verdict::Reject(located(finding)),
            other => other,
        };
        self.verdict = worse(std::mem::replace(&mut self.verdict, Verdict::Allow), verdict);
    }

    /// Whether nothing more can change what is done.
    fn is_over(&self) -> bool {
        self.failed.is_some() || matches!(self.verdict, Verdict::Reject(_))
    }
}

/// The type of a program, by its first bytes: the host looks at whole files only.
fn program(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x7fELF") {
        return Some("application/x-executable");
    }
    let at: [u8; 4] = bytes.starts_with(b"MZ").then(|| bytes.get(60..64))??.try_into().ok()?;
    let header = bytes.get(u32::from_le_bytes(at) as usize..)?;
    header.starts_with(b"PE\0\0").then_some("application/vnd.microsoft.portable-executable")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use plexichat::canary::Canary;

    use super::*;
    use crate::hashes::Hashes;
    use crate::links::Hosts;
    use crate::yara::Rules;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("writes");
        encoder.finish().expect("finishes")
    }

    /// A zip archive of files that are stored as they are.
    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            let mut common = Vec::new();
            common.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
            for number in [crc.sum(), bytes.len() as u32, bytes.len() as u32] {
                common.extend_from_slice(&number.to_le_bytes());
            }
            common.extend_from_slice(&(name.len() as u16).to_le_bytes());
            common.extend_from_slice(&[0, 0]);
            directory.extend_from_slice(b"PK\x01\x02\x14\x00");
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&(archive.len() as u32).to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
            archive.extend_from_slice(b"PK\x03\x04");
            archive.extend_from_slice(&common);
            archive.extend_from_slice(name.as_bytes());
            archive.extend_from_slice(bytes);
        }
        let (start, count) = (archive.len() as u32, files.len() as u16);
        archive.extend_from_slice(&directory);
        archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        for number in [count, count] {
            archive.extend_from_slice(&number.to_le_bytes());
        }
        archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        archive.extend_from_slice(&start.to_le_bytes());
        archive.extend_from_slice(&[0, 0]);
        archive
    }

    fn judge(bytes: &[u8], archives: &Archives) -> Result<Verdict, ScanError> {
        let mut hashes = Hashes::default();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad Abc.Listed";
        hashes.add([abc].into_iter()).expect("a hash");
        let rules = Rules::compile(true, [], Duration::from_secs(10)).expect("compiles");
        let loaded = Loaded { rules: rules.into(), hashes: hashes.into(), hosts: Hosts::default().into() };
        let names = Names::default();
        Content { loaded: &loaded, archives, names: &names, wanted: &Wanted::default() }.judge(bytes)
    }

    #[track_caller]
    fn check(bytes: &[u8], archives: &Archives, expected: &str) {
        let found = match judge(bytes, archives).expect("an opinion") {
            Verdict::Allow => String::new(),
            Verdict::Flag(finding) => format!("flag {} {}", finding.code, finding.detail.unwrap_or_default()),
            Verdict::Quarantine(finding) => format!("hold {} {}", finding.code, finding.detail.unwrap_or_default()),
            Verdict::Reject(finding) => {
                format!("reject {} {:?} {}", finding.code, finding.threats, finding.detail.unwrap_or_default())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_packed_is_looked_at() {
        let eicar = Canary::eicar_text().into_bytes();
        let limits = Archives::default();
        let found = |name: &str| {
            format!(r#"reject virus ["EICAR_Test_File"] in `{name}`: YARA: `EICAR_Test_File` of built-in rules"#)
        };
        check(&gzip(&eicar), &limits, &found("the gzip archive"));
        check(&zip(&[("a/readme.txt", b"hello"), ("a/b.com", &gzip(&eicar))]), &limits, &found("the gzip archive"));
        // What is deep within is packed as gzip, since what a zip archive stores shows from outside.
        let inner = zip(&[("deep.gz", &gzip(&eicar))]);
        check(&zip(&[("inner.zip", &inner)]), &limits, &found("the gzip archive"));
        check(
            &gzip(&zip(&[("x.bin", b"abc")])),
            &limits,
            "reject virus [\"Abc.Listed\"] in `x.bin`: its SHA-256 is on the block list",
        );
        check(&zip(&[("x.bin", b"abcd"), ("y/", b"")]), &limits, "");
        check(b"hello", &limits, "");
        let off = Archives { enabled: false, ..limits };
        check(&gzip(&eicar), &off, "");
    }

    #[test]
    fn names_within_archives_are_judged() {
        let limits = Archives::default();
        let name =
            "reject deceptive_name [] in `b/invoice.pdf.exe`: its name is a document's and it is a program: `.pdf.exe`";
        check(&zip(&[("b/invoice.pdf.exe", b"MZ")]), &limits, name);
        let turned = "reject deceptive_name [] in `a\\u{202e}fdp.scr`: its name turns the direction of writing";
        check(&zip(&[("a\u{202e}fdp.scr", b"")]), &limits, turned);
        let elf =
            "reject deceptive_name [] in `photo.jpg`: it is a program (application/x-executable) and is called `.jpg`";
        check(&zip(&[("photo.jpg", b"\x7fELF\x02")]), &limits, elf);
    }

    #[test]
    fn what_is_beyond_the_limits_is_held_back() {
        let limits = Archives::default();
        let held = |why: &str| format!("hold unscannable {why}");
        let zeros = gzip(&vec![0; 4 << 20]);
        check(&zeros, &limits, &held("it unpacks to many times its size"));
        check(
            &zeros,
            &Archives { ratio: 10_000, bytes: 3 << 20, ..limits.clone() },
            &held("it is too large when unpacked"),
        );
        check(&zeros, &Archives { ratio: 10_000, ..limits.clone() }, "");
        let nested = gzip(&gzip(&gzip(&gzip(b"x"))));
        check(&nested, &limits, &held("archives are nested too deep"));
        check(&nested, &Archives { depth: 4, ..limits.clone() }, "");
        check(
            &zip(&[("a", b""), ("b", b"")]),
            &Archives { entries: 1, ..limits.clone() },
            &held("it has too many entries"),
        );
        check(&gzip(b"hello")[..15], &limits, &held("it is damaged or cut off"));
        check(&zip(&[("../a", b"")]), &limits, &held("an entry's name is a path that leads elsewhere"));
        let mut locked = zip(&[("a", b"secret")]);
        // The bit that says so, in both heads.
        for head in [b"PK\x03\x04".as_slice(), b"PK\x01\x02"] {
            let at = locked.windows(4).position(|window| window == head).expect("a head");
            locked[at + if head[2] == 3 { 6 } else { 8 }] |= 1;
        }
        check(&locked, &limits, &held("an entry is encrypted"));
    }

    #[test]
    fn work_that_nobody_waits_for_ends() {
        let rules = Rules::compile(true, [], Duration::from_secs(10)).expect("compiles");
        let loaded = Loaded { rules: rules.into(), hashes: Hashes::default().into(), hosts: Hosts::default().into() };
        let (archives, names, wanted) = (Archives::default(), Names::default(), Wanted::default());
        let content = Content { loaded: &loaded, archives: &archives, names: &names, wanted: &wanted };
        let eicar = Canary::eicar_text().into_bytes();
        let packed = [zip(&[("a", b"x")]), gzip(b"x"), zip(&[("a", &gzip(&eicar))])];
        let waiting = wanted.until_dropped();
        assert_eq!(content.judge(&packed[0]), Ok(Verdict::Allow));
        drop(waiting);
        for file in &packed {
            assert_eq!(content.judge(file), Err(ScanError::Timeout));
            // The same in the middle of it: between entries, and between pieces of one.
            let mut unpacking =
                Unpacking { content: &content, used: 0, entries: 0, verdict: Verdict::Allow, failed: None };
            assert_eq!(unpacking.packed(file, 1), Ok(()));
            assert_eq!((unpacking.failed, unpacking.entries <= 1), (Some(ScanError::Timeout), true));
        }
    }
}
