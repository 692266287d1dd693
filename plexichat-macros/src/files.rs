//! The files that a plugin's crate embeds: found, checked, included. Knows no attribute.

use std::fs;
use std::path::Path;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// The folders whose files are served.
const SERVED: [&str; 2] = ["assets", "ui"];

/// The largest file: it is in the executable, and in memory.
pub(crate) const LARGEST: u64 = 5 << 20;

/// The paths of the files below the folders that are served, sorted, and what is wrong with them.
pub(crate) fn served(folder: &Path) -> (Vec<String>, Vec<String>) {
    let (mut paths, mut problems) = (Vec::new(), Vec::new());
    for name in SERVED {
        walk(folder, name, &mut paths, &mut problems);
    }
    paths.sort();
    problems.sort();
    (paths, problems)
}

/// Code that includes a file of the crate: by its whole path, so that it is found from every module, and Cargo builds anew when
/// it changes.
pub(crate) fn include(how: &Ident, path: &str) -> TokenStream {
    let path = format!("/{path}");
    quote!(::core::#how!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path)))
}

/// Every file below a folder of the crate.
pub(crate) fn walk(folder: &Path, name: &str, paths: &mut Vec<String>, problems: &mut Vec<String>) {
    let kind = match fs::symlink_metadata(folder.join(name)) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return problems.push(unread(name, &error)),
    };
    if kind.is_symlink() {
        return problems.push(symlink(name));
    }
    if !kind.is_dir() {
        return problems
            .push(format!("`{name}` is a file, and files to embed are in a folder of that name: rename it"));
    }
    let entries = match fs::read_dir(folder.join(name)) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unread(name, &error)),
    };
    for entry in entries {
        match entry {
            Ok(entry) => found(folder, name, &entry, paths, problems),
            Err(error) => problems.push(unread(name, &error)),
        }
    }
}

fn found(folder: &Path, parent: &str, entry: &fs::DirEntry, paths: &mut Vec<String>, problems: &mut Vec<String>) {
    let name = entry.file_name();
    let path = format!("{parent}/{}", name.to_string_lossy());
    let top = parent.split('/').next().unwrap_or(parent);
    if path.contains("/.") {
        return problems.push(format!(
            "`{path}` is hidden, and what is in `{top}/` is in the executable for everybody to read: remove it"
        ));
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if !name.to_str().is_some_and(|name| name.chars().all(plain)) {
        return problems.push(format!(
            "`{path}` has a name that is written differently in an address: rename it with letters of ASCII, digits, `.`, `-` \
             and `_`"
        ));
    }
    match entry.metadata() {
        Ok(metadata) if metadata.is_symlink() => problems.push(symlink(&path)),
        Ok(metadata) if metadata.is_dir() => walk(folder, &path, paths, problems),
        Ok(metadata) if !metadata.is_file() => problems.push(format!("`{path}` is no file: remove it from `{top}/`")),
        Ok(metadata) if metadata.len() > LARGEST => problems.push(format!(
            "`{path}` has {} bytes, and an embedded file has at most {LARGEST} (5 MiB): make it smaller, or have it served \
             from elsewhere",
            metadata.len()
        )),
        Ok(_) => paths.push(path),
        Err(error) => problems.push(unread(&path, &error)),
    }
}

fn symlink(path: &str) -> String {
    format!("`{path}` is a symbolic link, which could lead out of the crate: put the file itself there")
}

fn unread(path: &str, error: &std::io::Error) -> String {
    format!("cannot read `{path}`, which is to be embedded: {error}")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(prepare: impl FnOnce(&Path), expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let (paths, problems) = served(folder.path());
        expected.assert_eq(&format!("{}\n--\n{}", paths.join("\n"), problems.join("\n")));
    }

    fn write(folder: &Path, path: &str, bytes: usize) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; bytes]).unwrap();
    }

    #[test]
    fn what_is_there_is_found_sorted() {
        check(
            |_| {},
            expect![[r#"

            --
        "#]],
        );
        let prepare = |folder: &Path| {
            for path in ["ui/z.js", "ui/a/b/c.css", "assets/logo.svg", "src/lib.rs", "ui/Page_2-x.min.html"] {
                write(folder, path, 3);
            }
            fs::create_dir_all(folder.join("ui/empty")).unwrap();
        };
        check(
            prepare,
            expect![[r#"
            assets/logo.svg
            ui/Page_2-x.min.html
            ui/a/b/c.css
            ui/z.js
            --
        "#]],
        );
    }

    #[test]
    fn what_is_not_to_be_served_is_refused_by_its_name() {
        let prepare = |folder: &Path| {
            write(folder, "ui/.DS_Store", 3);
            write(folder, "ui/.git/config", 3);
            write(folder, "ui/a b.js", 3);
            write(folder, "ui/ä.js", 3);
            write(folder, "ui/large.bin", 5 * 1024 * 1024 + 1);
            write(folder, "ui/just.bin", 5 * 1024 * 1024);
            std::os::unix::fs::symlink("/etc/passwd", folder.join("ui/link.txt")).unwrap();
            std::os::unix::fs::symlink("/etc", folder.join("ui/folder")).unwrap();
            write(folder, "assets", 3);
        };
        check(
            prepare,
            expect![[r#"
            ui/just.bin
            --
            `assets` is a file, and files to embed are in a folder of that name: rename it
            `ui/.DS_Store` is hidden, and what is in `ui/` is in the executable for everybody to read: remove it
            `ui/.git` is hidden, and what is in `ui/` is in the executable for everybody to read: remove it
            `ui/a b.js` has a name that is written differently in an address: rename it with letters of ASCII, digits, `.`, `-` and `_`
            `ui/folder` is a symbolic link, which could lead out of the crate: put the file itself there
            `ui/large.bin` has 5242881 bytes, and an embedded file has at most 5242880 (5 MiB): make it smaller, or have it served from elsewhere
            `ui/link.txt` is a symbolic link, which could lead out of the crate: put the file itself there
            `ui/ä.js` has a name that is written differently in an address: rename it with letters of ASCII, digits, `.`, `-` and `_`"#]],
        );
        check(
            |folder| std::os::unix::fs::symlink("/etc", folder.join("ui")).unwrap(),
            expect![[r#"

            --
            `ui` is a symbolic link, which could lead out of the crate: put the file itself there"#]],
        );
    }
}
