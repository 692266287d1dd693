//! Files in a test of a scanner: shown to every scanner that runs, stored nowhere. Knows no message.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::TestResult;
use super::running::RunningPlugin;
use crate::descriptor::Registered;
use crate::file::{BytesSource, FileMeta, FileSource};
use crate::id::FileId;
use crate::manager::Missed;
use crate::message::Actor;
use crate::pipeline::{FileContent, FileReport};

/// A file in memory, to be read as often as there are scanners.
struct InMemory(Arc<[u8]>);

#[async_trait]
impl FileContent for InMemory {
    async fn open(&self) -> io::Result<Box<dyn FileSource>> {
        Ok(Box::new(BytesSource::new(self.0.clone())))
    }
}

impl<P: Registered> RunningPlugin<P> {
    /// Has every scanner look at a file that somebody uploads to the room.
    ///
    /// # Errors
    /// Where the file cannot be read, which it can.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn scan_file(&self, name: &str, bytes: impl Into<Vec<u8>>) -> TestResult<FileReport> {
        let bytes: Arc<[u8]> = bytes.into().into();
        let file = FileMeta {
            id: FileId::new(),
            room_id: self.room(),
            uploader: Actor::user("uploader", "uploader"),
            name: name.to_owned(),
            size: bytes.len() as u64,
            mime: "application/octet-stream".to_owned(),
            mime_declared: None,
            sha256: Sha256::digest(&bytes).into(),
        };
        let content: Arc<dyn FileContent> = Arc::new(InMemory(bytes));
        Ok(self.host().pipeline.scan_file(&Arc::new(file), &content).await?)
    }

    /// Shows every scanner its samples, as the host does each hour, and tells which let one pass.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn check_canaries(&self) -> Vec<Missed> {
        self.host().manager.check_canaries().await
    }
}
