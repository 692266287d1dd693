//! Speaks to ClamAV's daemon: PING, VERSION and INSTREAM, one connection for each question. Knows no other engine.

use std::time::Duration;

use plexichat::capability::sockets::{Connection, Sockets};
use plexichat::error::PluginError;
use plexichat::message::{Finding, ScanError, Verdict};

/// How much is sent at once.
const CHUNK: usize = 64 * 1024;

/// More than clamd ever says.
const ANSWER_MAX: usize = 8 * 1024;

/// The way to a daemon.
pub(crate) struct Clamd {
    sockets: Sockets,
    address: String,
    max_bytes: u64,
}

impl Clamd {
    pub(crate) fn new(sockets: Sockets, address: String, timeout: Duration, max_bytes: u64) -> Self {
        Self { sockets: sockets.timeout(timeout), address, max_bytes }
    }

    /// What clamd says of these bytes.
    ///
    /// # Errors
    /// `Unavailable` where it does not answer, or not to the end; `TooLarge` by our limit or its own.
    pub(crate) async fn scan(&self, bytes: &[u8]) -> Result<Verdict, ScanError> {
        if bytes.len() as u64 > self.max_bytes {
            return Err(ScanError::TooLarge);
        }
        let mut connection = self.sockets.connect(&self.address).await.map_err(|error| self.unavailable(&error))?;
        // Where it refuses in the middle it says why before it closes: its answer counts more than our error.
        let sent = send(&mut connection, bytes).await;
        let answer = answer(&mut connection).await;
        match (answer, sent) {
            (Ok(text), sent) if !text.is_empty() => self.verdict(&text, sent.is_ok()),
            (_, Err(error)) | (Err(error), _) => Err(self.unavailable(&error)),
            (Ok(_), Ok(())) => {
                Err(ScanError::Unavailable(format!("clamd at {} closed without an answer", self.address)))
            }
        }
    }

    /// Asks it something that has a short answer, such as `PING`.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) async fn ask(&self, command: &str) -> Result<String, ScanError> {
        let asked = async {
            let mut connection = self.sockets.connect(&self.address).await?;
            connection.write(format!("z{command}\0").as_bytes()).await?;
            answer(&mut connection).await
        };
        match asked.await {
            Ok(text) if !text.is_empty() => Ok(text),
            Ok(_) => Err(ScanError::Unavailable(format!("clamd at {} closed without an answer", self.address))),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    fn verdict(&self, answer: &str, whole: bool) -> Result<Verdict, ScanError> {
        let said = answer.strip_prefix("stream: ").unwrap_or(answer);
        if let Some(threat) = said.strip_suffix(" FOUND") {
            let detail = Some("ClamAV".to_owned());
            return Ok(Verdict::Reject(Finding { threats: vec![threat.to_owned()], detail, ..Finding::new("virus") }));
        }
        match said {
            // It may say so of what it had before the connection broke.
            "OK" if whole => Ok(Verdict::Allow),
            said if said.contains("size limit exceeded") => Err(ScanError::TooLarge),
            said => Err(ScanError::Unavailable(format!("clamd at {} answered `{said}`", self.address))),
        }
    }

    fn unavailable(&self, error: &PluginError) -> ScanError {
        ScanError::Unavailable(format!("clamd does not answer: {error}"))
    }
}

async fn send(connection: &mut Connection, bytes: &[u8]) -> Result<(), PluginError> {
    connection.write(b"zINSTREAM\0").await?;
    let mut piece = Vec::with_capacity(CHUNK + 4);
    for chunk in bytes.chunks(CHUNK) {
        piece.clear();
        piece.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
        piece.extend_from_slice(chunk);
        connection.write(&piece).await?;
    }
    connection.write(&[0; 4]).await
}

/// Everything up to the end of the answer, or of the connection.
async fn answer(connection: &mut Connection) -> Result<String, PluginError> {
    let mut said = Vec::new();
    while !said.contains(&0) && said.len() < ANSWER_MAX {
        if connection.read(&mut said).await? == 0 {
            // Half an answer is none.
            said.clear();
            break;
        }
    }
    let end = said.iter().position(|byte| *byte == 0).unwrap_or(0);
    Ok(String::from_utf8_lossy(&said[..end]).trim().to_owned())
}
