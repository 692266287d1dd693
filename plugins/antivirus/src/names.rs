//! Names of files that make people open what they would not: programs with a document's name, types that do not fit. Knows no
//! file but its name and its type.

use plexichat::message::{Finding, Verdict};

use crate::config::Names as Config;
use crate::verdict::worse;

/// Extensions that a click runs.
const PROGRAMS: &[&str] = &[
    "apk", "app", "appx", "bat", "chm", "cmd", "com", "cpl", "deb", "desktop", "dll", "dmg", "exe", "gadget", "hta",
    "iso", "img", "jar", "js", "jse", "lnk", "msi", "msix", "msp", "pif", "pkg", "ps1", "reg", "rpm", "run", "scf",
    "scr", "sh", "sys", "url", "vb", "vbe", "vbs", "vhd", "wsf", "wsh", "xll",
];

/// Extensions that people take for harmless.
const DOCUMENTS: &[&str] = &[
    "7z", "avi", "bmp", "csv", "doc", "docx", "eml", "gif", "gz", "heic", "htm", "html", "jpeg", "jpg", "md", "mkv",
    "mov", "mp3", "mp4", "odp", "ods", "odt", "ogg", "pdf", "png", "ppt", "pptx", "rar", "rtf", "svg", "tiff", "txt",
    "wav", "webm", "webp", "xls", "xlsx", "xml", "zip",
];

/// Judges a file's name by itself.
pub(crate) fn judge_name(name: &str, config: &Config) -> Verdict {
    // What stands behind the last separator: entries of archives have folders.
    let name = name.rsplit('/').next().unwrap_or(name);
    if name.chars().any(turns_writing) {
        return deceptive(config, "its name turns the direction of writing");
    }
    let mut parts = name.rsplit('.').map(|part| part.trim().to_ascii_lowercase());
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // The first part of a name is no extension.
    let has_two = parts.next().is_some();
    if has_two && PROGRAMS.contains(&&*last) && DOCUMENTS.contains(&&*before) {
        return deceptive(config, &format!("its name is a document's and it is a program: `.{before}.{last}`"));
    }
    Verdict::Allow
}

/// Judges a file's name and declared type by the type that its content shows.
pub(crate) fn judge_type(name: &str, declared: Option<&str>, mime: &str, config: &Config) -> Verdict {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.trim().to_ascii_lowercase());
    let Some(shown) = family(mime) else { return Verdict::Allow };
    let mut verdict = Verdict::Allow;
    if let Some(extension) = &extension {
        if shown == Family::Program && DOCUMENTS.contains(&&**extension) {
            return deceptive(config, &format!("it is a program ({mime}) and is called `.{extension}`"));
        }
        if family_of_extension(extension).is_some_and(|claimed| claimed != shown) {
            verdict = worse(verdict, mismatch(config, &format!("it is called `.{extension}` and is {mime}")));
        }
    }
    let claimed = declared.and_then(|declared| family(declared.split(';').next().unwrap_or("").trim()));
    if claimed.is_some_and(|claimed| claimed != shown) {
        verdict = worse(verdict, mismatch(config, &format!("its sender's program declares another type than {mime}")));
    }
    verdict
}

fn deceptive(config: &Config, why: &str) -> Verdict {
    config.deceptive.verdict(Finding { detail: Some(why.to_owned()), ..Finding::new("deceptive_name") })
}

fn mismatch(config: &Config, why: &str) -> Verdict {
    config.mismatch.verdict(Finding { detail: Some(why.to_owned()), ..Finding::new("type_mismatch") })
}

/// What makes `exe.txt` of `txt.exe`.
fn turns_writing(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Types that are not taken for each other by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Image,
    Media,
    Pdf,
    Zip,
    Text,
    Program,
}

/// The family of a type; nothing where it may be anything.
fn family(mime: &str) -> Option<Family> {
    let (kind, rest) = mime.split_once('/')?;
    match (kind, rest) {
        // A drawing in XML is text.
        ("image", "svg+xml") => None,
        ("image", _) => Some(Family::Image),
        ("audio" | "video", _) => Some(Family::Media),
        // Scripts are text too, and people send them as such.
        ("text", "plain" | "csv" | "markdown" | "x-shellscript" | "html" | "xml") => Some(Family::Text),
        ("application", "json") => Some(Family::Text),
        ("application", "pdf") => Some(Family::Pdf),
        ("application", rest) if is_zip(rest) => Some(Family::Zip),
        (
            "application",
            "x-executable"
            | "vnd.microsoft.portable-executable"
            | "x-msdownload"
            | "x-mach-binary"
            | "x-elf"
            | "java"
            | "vnd.android.dex"
            | "vnd.android.dey",
        ) => Some(Family::Program),
        _ => None,
    }
}

fn is_zip(rest: &str) -> bool {
    rest == "zip"
        || rest == "x-zip-compressed"
        || rest == "java-archive"
        || rest == "epub+zip"
        || rest.starts_with("vnd.openxmlformats-")
        || rest.starts_with("vnd.oasis.opendocument")
}

fn family_of_extension(extension: &str) -> Option<Family> {
    Some(match extension {
        "jpg" | "jpeg" | "png" | "gif" | "webp" | "bmp" | "tif" | "tiff" | "heic" | "avif" => Family::Image,
        "mp3" | "mp4" | "m4a" | "ogg" | "opus" | "wav" | "flac" | "webm" | "mov" | "mkv" | "avi" => Family::Media,
        "pdf" => Family::Pdf,
        "zip" | "docx" | "xlsx" | "pptx" | "odt" | "ods" | "odp" | "epub" => Family::Zip,
        "txt" | "csv" | "md" | "log" | "json" => Family::Text,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Flag(finding) | Verdict::Reject(finding) => &finding.code,
            _ => "",
        }
    }

    #[track_caller]
    fn check_name(name: &str, expected: &str) {
        assert_eq!(code(&judge_name(name, &Config::default())), expected, "{name:?}");
    }

    #[test]
    fn names_that_deceive_are_found() {
        for name in [
            "invoice.pdf.exe",
            "Invoice.PDF.EXE",
            "photo.jpg        .scr",
            "folder/letter.docx.js",
            "a.b.txt.lnk",
            "photo\u{202e}gpj.exe",
            "a\u{2066}b.txt",
        ] {
            check_name(name, "deceptive_name");
        }
        for name in [
            "invoice.pdf",
            "setup.exe",
            "archive.tar.gz",
            "jquery.min.js",
            "pdf.exe",
            ".bashrc",
            "notes",
            "v1.2.exe",
            "",
            "folder.pdf/tool.exe",
        ] {
            check_name(name, "");
        }
    }

    #[track_caller]
    fn check_type(name: &str, declared: Option<&str>, mime: &str, expected: &str) {
        assert_eq!(code(&judge_type(name, declared, mime, &Config::default())), expected, "{name} {declared:?} {mime}");
    }

    #[test]
    fn content_is_compared_with_what_is_said_of_it() {
        let exe = "application/vnd.microsoft.portable-executable";
        check_type("photo.jpg", None, exe, "deceptive_name");
        check_type("report.doc", None, "application/x-executable", "deceptive_name");
        check_type("tool.exe", None, exe, "");
        check_type("tool", None, exe, "");
        check_type("photo.jpg", None, "text/plain", "type_mismatch");
        check_type("photo.jpg", None, "image/png", "");
        check_type("a.pdf", None, "application/zip", "type_mismatch");
        check_type("a.docx", None, "application/zip", "");
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        check_type("a.docx", Some(docx), docx, "");
        check_type("a.zip", None, docx, "");
        check_type("notes.txt", None, "image/png", "type_mismatch");
        check_type("notes.txt", None, "text/x-shellscript", "");
        check_type("sound.m4a", None, "video/mp4", "");
        check_type("x", Some("image/png"), "text/plain", "type_mismatch");
        check_type("x.png", Some("image/png; q=1"), "image/png", "");
        check_type("x.png", Some("image/png"), "application/octet-stream", "");
        check_type("x.svg", Some("image/svg+xml"), "text/plain", "");
    }
}
