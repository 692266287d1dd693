//! The role of security plugins: what sees every message before it is stored. Knows no pipeline.

use async_trait::async_trait;

use crate::message::{MessagePatch, MessageView, ScanError, Verdict};

/// Judges messages before they are stored.
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
}
