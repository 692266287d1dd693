//! The role of security plugins: what sees every message and every file before it is stored, every answer of a model before it
//! is shown, and every attempt to sign in. Knows no pipeline.

use async_trait::async_trait;

use crate::canary::Canary;
use crate::file::{FileBody, FileMeta};
use crate::login::LoginAttempt;
use crate::message::{MessagePatch, MessageView, ScanError, Verdict};
use crate::reply::{ReplyMode, ReplyView};

/// Judges messages and files before they are stored, answers of models before they are shown, and attempts to sign in.
///
/// Put `#[plexichat::role]` on the implementation: it applies `async_trait` and records which methods the block has, so
/// that a hook nobody implements costs nothing. Times and what happens on failure are set in `#[plexichat::plugin]`.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` says `provides(Security)` and does not implement it",
    note = "add `#[plexichat::role] impl Security for {Self} {{ .. }}`"
)]
pub trait Security: Send + Sync + 'static {
    /// Changes a message before anybody scans it: redact, normalise. All rewriting hooks run one after the other in the
    /// bundle's fixed order; scanners always see what will be stored.
    ///
    /// # Errors
    /// The hook failed; its policy decides (`closed` by default: the message is refused with 503).
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up or the message was refused elsewhere.
    async fn rewrite_message(&self, message: &MessageView<'_>) -> Result<Option<MessagePatch>, ScanError> {
        let _ = message;
        Ok(None)
    }

    /// Judges the final text. All scanners run at once; the first rejection cancels the rest.
    ///
    /// # Errors
    /// The scanner could not form an opinion; its policy decides (`closed` by default: 503 `scanner_unavailable`).
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up or another scanner rejected the message.
    async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
        let _ = message;
        Ok(Verdict::Allow)
    }

    /// Judges a file before anybody may have it. All scanners run at once, each with a reader of its own; the first
    /// rejection cancels the rest. A file larger than the hook's `max_bytes` (50 MiB where the attribute says nothing)
    /// the plugin is not asked about: its policy decides, as if it had returned [`ScanError::TooLarge`].
    ///
    /// # Errors
    /// The scanner could not form an opinion; its policy decides (`closed` by default: nobody gets the file).
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up or another scanner rejected the file.
    async fn scan_file(&self, file: &FileMeta, body: FileBody<'_>) -> Result<Verdict, ScanError> {
        let _ = (file, body);
        Ok(Verdict::Allow)
    }

    /// Judges what a model says, before anybody sees it: all of it, or window by window as
    /// [`reply_mode`](Self::reply_mode) says. All scanners run at once. What is rejected, or would be held back, ends the
    /// answer: there is nobody to hold it for. Flags are told to operators.
    ///
    /// # Errors
    /// The scanner could not form an opinion; its policy decides (`closed` by default: the answer ends with
    /// `scanner_unavailable`, and `quarantine` means the same here).
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up, another scanner rejected the answer, or nobody wants it any more.
    async fn scan_reply(&self, reply: &ReplyView<'_>) -> Result<Verdict, ScanError> {
        let _ = reply;
        Ok(Verdict::Allow)
    }

    /// How this scanner wants to see answers. It is asked once for each instance.
    fn reply_mode(&self) -> ReplyMode {
        ReplyMode::Buffer
    }

    /// Judges an attempt to sign in. All scanners run at once. Who is rejected, or would be held back, is not let in; flags are
    /// told to operators.
    ///
    /// # Errors
    /// The scanner could not form an opinion; its policy decides (`closed` by default: 503 `scanner_unavailable`, and
    /// `quarantine` means the same here).
    ///
    /// # Cancel safety
    /// The call is dropped when its time is up or another scanner rejected the attempt.
    async fn check_login(&self, attempt: &LoginAttempt) -> Result<Verdict, ScanError> {
        let _ = attempt;
        Ok(Verdict::Allow)
    }

    /// Samples that this scanner must object to as it is configured now. The host shows them to it when it starts and every
    /// hour: a scanner that lets one pass has gone blind, and its policy decides until it objects again.
    fn canaries(&self) -> Vec<Canary> {
        Vec::new()
    }
}
