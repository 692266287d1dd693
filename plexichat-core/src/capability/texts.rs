//! Texts in the language that somebody reads: what the host does for `ctx.text()`. Needs no permission.

use crate::text::Text;

/// What the host does for [`Context::text`](crate::context::Context::text).
pub trait TextPort: Send + Sync + 'static {
    /// A text of the plugin's in the first of these languages that has it, else in English, else its key.
    fn text(&self, languages: &str, text: &Text) -> String;
}
