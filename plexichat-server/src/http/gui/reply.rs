//! What a component answers, as pages take it: its texts in the language that is read, its pictures by their addresses. Knows no
//! request.

use plexichat::id::PluginName;
use plexichat::plugin::gui::{Block, GuiReply};
use plexichat::text::Text;

use super::super::app::App;
use crate::error::ApiError;

/// The address of a file that a plugin embeds.
pub(super) fn address(plugin: &PluginName, path: &str) -> String {
    format!("/ui/{plugin}/{path}")
}

/// A text of a plugin's, in a language that is read.
pub(super) fn words(app: &App, plugin: &PluginName, languages: &str, text: &Text) -> String {
    app.host.texts.text(plugin.as_str(), languages, text)
}

/// The language that a plugin is to answer in.
pub(super) fn language(app: &App, plugin: &PluginName, languages: &str) -> String {
    app.host.texts.language(plugin.as_str(), languages).to_owned()
}

/// The answer as it is sent.
///
/// # Errors
/// Where it opens what is no page of this server.
pub(super) fn shown(
    app: &App,
    plugin: &PluginName,
    languages: &str,
    mut reply: GuiReply,
) -> Result<GuiReply, ApiError> {
    reply.for_each_text(&mut |text| *text = Text::from(words(app, plugin, languages, text)));
    match &mut reply {
        GuiReply::Blocks { blocks } => {
            for block in blocks {
                if let Block::Image { path, .. } = block {
                    *path = address(plugin, path);
                }
            }
        }
        GuiReply::Open { path } if !is_of_this_server(path) => {
            return Err(ApiError::internal(format_args!("`{plugin}` opens `{path}`, which is no page of this server")));
        }
        _ => {}
    }
    Ok(reply)
}

fn is_of_this_server(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\n', '\r', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_server_are_opened() {
        for (path, ours) in [
            ("/ui", true),
            ("/ui#a", true),
            ("//evil.example", false),
            ("/\\evil", false),
            ("https://x", false),
            ("", false),
        ] {
            assert_eq!(is_of_this_server(path), ours, "{path}");
        }
    }
}
