//! Has Cargo build a plugin anew to which a file was added below `assets/`, `ui/` or `locales/`: what is not there yet when a crate is
//! built, Cargo does not watch. Knows no macro.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::failure::{Explain, Result};
use crate::workspace::Workspace;

const FOLDERS: [&str; 3] = ["assets", "locales", "ui"];

/// Touches `src/lib.rs` of each plugin whose folders changed after it. A file that changed is Cargo's own to see.
pub(crate) fn notice_added(workspace: &Workspace) -> Result<()> {
    for plugin in workspace.plugins() {
        let Some(folder) = plugin.folder else { continue };
        let touched = notice(&folder).explain(|| format!("cannot look at what `{}` embeds", plugin.name))?;
        if touched {
            eprintln!("note: `{}` has other files to embed than before: it is built anew", plugin.name);
        }
    }
    Ok(())
}

fn notice(folder: &Path) -> std::io::Result<bool> {
    let source = folder.join("src/lib.rs");
    let Ok(built) = fs::metadata(&source).and_then(|metadata| metadata.modified()) else { return Ok(false) };
    let mut newest = None;
    for name in FOLDERS {
        newest = newest.max(newest_folder(&folder.join(name))?);
    }
    if newest.is_none_or(|newest| newest <= built) {
        return Ok(false);
    }
    fs::File::options().append(true).open(&source)?.set_modified(SystemTime::now())?;
    Ok(true)
}

/// When something was last added to this folder or one below, or taken away; nothing where it is none.
fn newest_folder(folder: &Path) -> std::io::Result<Option<SystemTime>> {
    let metadata = match fs::symlink_metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        // A symbolic link is the macro's to refuse.
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut newest = Some(metadata.modified()?);
    for entry in fs::read_dir(folder)? {
        newest = newest.max(newest_folder(&entry?.path())?);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_was_added_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("src")).unwrap();
        fs::write(path("src/lib.rs"), "//! A plugin.\n").unwrap();
        assert!(!notice(folder.path()).unwrap(), "nothing is embedded");

        fs::create_dir_all(path("ui/deep")).unwrap();
        fs::write(path("ui/deep/page.html"), "").unwrap();
        // Whatever the clock of this file system tells apart.
        let earlier = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().append(true).open(path("src/lib.rs")).unwrap().set_modified(earlier).unwrap();
        assert!(notice(folder.path()).unwrap());
        assert!(!notice(folder.path()).unwrap(), "it was touched");
        assert_eq!(fs::read_to_string(path("src/lib.rs")).unwrap(), "//! A plugin.\n");
    }
}
