//! The words of files: what is known of one, and how a scanner reads it. Knows no spool, no store and no runtime.

use std::fmt;
use std::io;

use async_trait::async_trait;

use crate::id::{FileId, RoomId};
use crate::message::{Actor, ScanError};

/// What is known of a file before anybody may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// Its identifier.
    pub id: FileId,
    /// The room it was uploaded to.
    pub room_id: RoomId,
    /// Who uploaded it.
    pub uploader: Actor,
    /// The name that its sender gave it. It is never a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The type that its content shows.
    pub mime: String,
    /// The type that its sender declared, where that was said.
    pub mime_declared: Option<String>,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// Where the bytes of a [`FileBody`] come from: the host's side. Each scanner gets one of its own.
#[async_trait]
pub trait FileSource: Send {
    /// Puts the next piece into `buffer`, which is empty when this is called; left empty at the end of the file. May be
    /// called on a plugin's runtime, which has timers and no I/O driver.
    ///
    /// # Errors
    /// The file cannot be read.
    ///
    /// # Cancel safety
    /// The source is dropped with the call and not read on.
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<()>;
}

/// The content of a file, from its beginning to its end, piece by piece. Each scanner reads with a cursor of its own, so
/// that a slow one holds up nobody else.
///
/// ```
/// # use plexichat::{file::FileBody, message::ScanError};
/// async fn zeros(mut body: FileBody<'_>) -> Result<u64, ScanError> {
///     let mut zeros = 0;
///     while let Some(piece) = body.next().await? {
///         zeros += piece.iter().filter(|byte| **byte == 0).count() as u64;
///     }
///     Ok(zeros)
/// }
/// ```
pub struct FileBody<'a> {
    source: &'a mut dyn FileSource,
    buffer: Vec<u8>,
    position: u64,
}

impl<'a> FileBody<'a> {
    /// What this source gives. The host makes these; plugins do in tests of their own, from bytes.
    pub fn new(source: &'a mut dyn FileSource) -> Self {
        Self { source, buffer: Vec::new(), position: 0 }
    }

    /// The next piece, some ten thousand bytes; nothing at the end.
    ///
    /// # Errors
    /// [`ScanError::Unreadable`] where the host cannot read the file: pass it on with `?`. It does not count against the
    /// plugin.
    ///
    /// # Cancel safety
    /// Not cancel safe: what a dropped call had begun to read is lost.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, ScanError> {
        self.buffer.clear();
        self.source.read(&mut self.buffer).await.map_err(|error| ScanError::Unreadable(error.to_string()))?;
        self.position += self.buffer.len() as u64;
        Ok((!self.buffer.is_empty()).then_some(&*self.buffer))
    }

    /// What is left, as a whole.
    ///
    /// # Errors
    /// [`ScanError::TooLarge`] where that is more than `limit` bytes; then what was read is lost. As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Not cancel safe: what a dropped call had read is lost.
    pub async fn read_to_end(&mut self, limit: u64) -> Result<Vec<u8>, ScanError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            if (whole.len() + piece.len()) as u64 > limit {
                return Err(ScanError::TooLarge);
            }
            whole.extend_from_slice(piece);
        }
        Ok(whole)
    }

    /// How many bytes were read so far.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl fmt::Debug for FileBody<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileBody").field("position", &self.position).finish_non_exhaustive()
    }
}

/// Bytes in memory as a source, in pieces of at most [`PIECE`].
#[derive(Debug, Clone)]
pub struct BytesSource<B> {
    bytes: B,
    position: usize,
}

/// How large a piece of [`BytesSource`] may be.
pub const PIECE: usize = 64 * 1024;

impl<B: AsRef<[u8]>> BytesSource<B> {
    /// These bytes, from the first.
    pub fn new(bytes: B) -> Self {
        Self { bytes, position: 0 }
    }
}

#[async_trait]
impl<B: AsRef<[u8]> + Send> FileSource for BytesSource<B> {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let rest = &self.bytes.as_ref()[self.position..];
        let piece = &rest[..rest.len().min(PIECE)];
        buffer.extend_from_slice(piece);
        self.position += piece.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    struct Torn;

    #[async_trait]
    impl FileSource for Torn {
        async fn read(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
            Err(io::Error::other("the disk is gone"))
        }
    }

    #[track_caller]
    fn now<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("nothing here waits")
    }

    #[test]
    fn a_body_is_read_piece_by_piece_to_its_end() {
        let bytes: Vec<u8> = (0..PIECE + 5).map(|byte| byte as u8).collect();
        let mut source = BytesSource::new(&bytes);
        let mut body = FileBody::new(&mut source);
        let mut lengths = Vec::new();
        while let Some(piece) = now(body.next()).unwrap() {
            lengths.push(piece.len());
        }
        assert_eq!(lengths, [PIECE, 5]);
        assert_eq!(body.position(), bytes.len() as u64);
        assert_eq!(now(body.next()).unwrap(), None);
    }

    #[test]
    fn what_is_more_than_wanted_is_too_large() {
        let mut source = BytesSource::new([7; 10]);
        assert_eq!(now(FileBody::new(&mut source).read_to_end(10)), Ok(vec![7; 10]));
        let mut source = BytesSource::new([7; 11]);
        assert_eq!(now(FileBody::new(&mut source).read_to_end(10)), Err(ScanError::TooLarge));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_fault_of_the_plugin() {
        let read = now(FileBody::new(&mut Torn).next()).map(|piece| piece.map(<[u8]>::to_vec));
        assert_eq!(read, Err(ScanError::Unreadable("the disk is gone".to_owned())));
    }
}
