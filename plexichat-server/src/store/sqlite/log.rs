//! The write-ahead log as a process left it, looked at before SQLite reads it: SQLite stops at the first frame that is damaged
//! and says nothing of what stands behind it. Writes nothing.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME: usize = 24;
/// The first number of a log, but for its last bit, which tells the byte order of its sums.
const MAGIC: u32 = 0x377f_0682;

/// What stands behind the first damaged frame of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Behind {
    /// How many groups of writes end there.
    pub(super) groups: u64,
    /// How many pages they wrote.
    pub(super) frames: u64,
}

impl Behind {
    /// Whether something was lost that had been acknowledged. A power cut leaves one group, which nobody was told of; each
    /// before it was on the disk before the next began.
    pub(super) fn is_damage(self) -> bool {
        self.groups > 1
    }
}

/// The log of a database.
pub(super) fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// Finds what SQLite will not: `None` where all of the log can be read, or there is none.
pub(super) fn behind_damage(log: &Path) -> io::Result<Option<Behind>> {
    let mut log = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        log => BufReader::with_capacity(1 << 20, log?),
    };
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? || header == [0; HEADER] {
        return Ok(None);
    }
    let magic = word(&header, 0);
    let big_endian = magic & 1 == 1;
    let mut sum = summed((0, 0), &header[..24], big_endian);
    let mut whole = magic & !1 == MAGIC && sum == (word(&header, 24), word(&header, 28));
    let page = match word(&header, 8) as usize {
        size @ 512..=65536 if size.is_power_of_two() => size,
        _ => 4096,
    };
    // Frames of the log's last filling have its two random numbers; older ones do not count.
    let mut salt = whole.then(|| (word(&header, 16), word(&header, 20)));
    let mut behind = Behind::default();
    let mut frame = vec![0; FRAME + page];
    while fill(&mut log, &mut frame)? {
        let found = (word(&frame, 8), word(&frame, 12));
        let is_ours = *salt.get_or_insert(found) == found;
        if whole {
            sum = summed(sum, &frame[..8], big_endian);
            sum = summed(sum, &frame[FRAME..], big_endian);
            if is_ours && sum == (word(&frame, 16), word(&frame, 20)) {
                continue;
            }
            whole = false;
        }
        if is_ours {
            behind.frames += 1;
            behind.groups += u64::from(word(&frame, 4) != 0);
        }
    }
    Ok((behind.frames > 0).then_some(behind))
}

/// Whether there was as much.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's sum of these bytes behind others.
fn summed(before: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let read = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    bytes.chunks_exact(8).fold(before, |(first, second), eight| {
        let first = first.wrapping_add(read(&eight[..4])).wrapping_add(second);
        let second = second.wrapping_add(read(&eight[4..])).wrapping_add(first);
        (first, second)
    })
}
