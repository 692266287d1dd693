//! What kind of file it is, by its first bytes and never by what its sender says. Knows no file.

/// How many bytes of a file's beginning are looked at.
pub(crate) const HEAD: usize = 8192;

/// What nothing is known of.
const BYTES: &str = "application/octet-stream";
/// Text that nothing runs.
const TEXT: &str = "text/plain";

/// The type that these first bytes of a file show.
pub(crate) fn sniff(head: &[u8]) -> &'static str {
    match infer::get(head) {
        Some(found) => found.mime_type(),
        None if is_text(head) => TEXT,
        None => BYTES,
    }
}

/// How the name of a file of this type ends, where its sender gave none.
pub(crate) fn extension(mime: &str) -> &'static str {
    match mime {
        TEXT => "txt",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        _ => "bin",
    }
}

/// Whether a browser may show it in its place: images without scripts, and plain text. Never HTML, SVG, PDF or XML.
pub(crate) fn is_shown_inline(mime: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp") || mime == TEXT
}

/// The type under which a file of this type is handed out. What a browser might run is bytes to it.
pub(crate) fn handed_out_as(mime: &str) -> &str {
    let (kind, rest) = mime.split_once('/').unwrap_or((mime, ""));
    match kind {
        "text" if mime == TEXT => "text/plain; charset=utf-8",
        "image" if !rest.contains("xml") => mime,
        "audio" | "video" => mime,
        _ if matches!(mime, "application/pdf" | "application/zip") => mime,
        _ => BYTES,
    }
}

/// Whether it is UTF-8 without control characters other than those of text. The last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => match std::str::from_utf8(&head[..error.valid_up_to()]) {
            Ok(text) => text,
            Err(_) => return false,
        },
        Err(_) => return false,
    };
    !text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\x0c'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], mime: &str, handed_out: &str, inline: bool) {
        let found = sniff(head);
        assert_eq!((found, handed_out_as(found), is_shown_inline(found)), (mime, handed_out, inline));
    }

    #[test]
    fn the_content_says_what_a_file_is() {
        check(b"\x89PNG\r\n\x1a\n", "image/png", "image/png", true);
        check(b"\xff\xd8\xff\xe0", "image/jpeg", "image/jpeg", true);
        check(b"GIF89a", "image/gif", "image/gif", true);
        check(b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "image/webp", true);
        check(b"%PDF-1.7", "application/pdf", "application/pdf", false);
        check(b"PK\x03\x04", "application/zip", "application/zip", false);
        check("Grüße,\nann".as_bytes(), "text/plain", "text/plain; charset=utf-8", true);
        check(&"ü".as_bytes()[..1], "text/plain", "text/plain; charset=utf-8", true);
        check(b"", "text/plain", "text/plain; charset=utf-8", true);
        check(b"\0\x01\x02", BYTES, BYTES, false);
        check(b"a\x1b[2J", BYTES, BYTES, false);
        check(b"\xff\xfe\x80", BYTES, BYTES, false);
    }

    /// Fault 68: what a browser would run is bytes to it, whatever its sender calls it.
    #[test]
    fn what_a_browser_runs_is_never_handed_out_as_such() {
        for page in ["<!DOCTYPE html><script>", "  <html>", "<?xml version=\"1.0\"?><svg>", "#!/bin/sh"] {
            let found = sniff(page.as_bytes());
            assert_eq!((handed_out_as(found), is_shown_inline(found)), (BYTES, false), "{page} is {found}");
        }
        // Without a head that says so it is text, and `nosniff` keeps it that.
        assert_eq!(handed_out_as(sniff(b"<svg onload=alert(1)>")), "text/plain; charset=utf-8");
        for mime in ["image/svg+xml", "text/html", "text/javascript", "application/xhtml+xml", "multipart/x", "x"] {
            assert_eq!((handed_out_as(mime), is_shown_inline(mime)), (BYTES, false), "{mime}");
        }
    }
}
