//! A root directory with nothing in it but the executable and a folder for its data, and processes in it that have no
//! rights. Knows no server.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Gid, Signal, Uid};

use crate::failure::{Explain, Result};

/// The user and group without rights, by habit called `nobody`.
pub(crate) const NOBODY: u32 = 65534;

/// The root; removed when dropped.
#[derive(Debug)]
pub(crate) struct EmptyRoot {
    path: PathBuf,
}

impl EmptyRoot {
    /// Makes one below `folder`, with the executable as `/plexichat` and an empty `/data`.
    pub(crate) fn new(folder: &Path, executable: &Path) -> Result<Self> {
        let path = folder.join(format!("empty-root-{}", std::process::id()));
        let root = Self { path };
        let make = || {
            let data = root.data();
            fs::create_dir_all(&data)?;
            let inside = root.path.join("plexichat");
            fs::copy(executable, &inside)?;
            fs::set_permissions(&inside, fs::Permissions::from_mode(0o755))?;
            if rustix::process::geteuid().is_root() {
                chown(&data, Some(NOBODY), Some(NOBODY))?;
            }
            fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
            // Nothing else can be written there, not even where the root is the caller's own.
            fs::set_permissions(&root.path, fs::Permissions::from_mode(0o555))
        };
        make().explain(|| format!("cannot make the empty root `{}`", root.path.display()))?;
        Ok(root)
    }

    /// Where `/data` is from outside.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The executable, to be started with this root, as a user without rights and with an empty environment.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new("/plexichat");
        command.env_clear().stdin(Stdio::null());
        let path =
            CString::new(self.path.as_os_str().as_bytes()).explain(|| "the target folder's name is odd".into())?;
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let maps = (!user.is_root())
            .then(|| (format!("{NOBODY} {} 1", user.as_raw()), format!("{NOBODY} {} 1", group.as_raw())));
        let enter = move || {
            if let Some((users, groups)) = &maps {
                // Without root's rights, a user namespace of our own lends the right to change the root.
                own_namespace(users, groups)?;
            }
            rustix::process::chroot(&*path)?;
            rustix::process::chdir(c"/")?;
            if maps.is_none() {
                rustix::thread::set_thread_groups(&[])?;
                let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
                rustix::thread::set_thread_res_gid(group, group, group)?;
                rustix::thread::set_thread_res_uid(user, user, user)?;
            }
            // After the change of user, which resets it.
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes system calls on data that was made before, and allocates
        // nothing. The child has one thread, so what is set for a thread is set for the process.
        unsafe { command.pre_exec(enter) };
        Ok(command)
    }
}

/// Moves the process into a user namespace in which it is `nobody`.
fn own_namespace(users: &str, groups: &str) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let write = |path: &std::ffi::CStr, text: &str| {
        let file = rustix::fs::open(path, OFlags::WRONLY, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes()).map(drop)
    };
    // SAFETY: a namespace of users leaves memory and open files as they are.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) }?;
    write(c"/proc/self/setgroups", "deny")?;
    write(c"/proc/self/uid_map", users)?;
    write(c"/proc/self/gid_map", groups)?;
    Ok(())
}

impl Drop for EmptyRoot {
    fn drop(&mut self) {
        let writable = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755));
        if let Err(error) = writable.and_then(|()| fs::remove_dir_all(&self.path)) {
            eprintln!("warning: cannot remove `{}`: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it sees and as whom.
    const PROGRAM: &str = r#"
        use std::os::unix::fs::MetadataExt;
        fn main() {
            let mut names: Vec<_> = std::fs::read_dir("/").unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            std::fs::write("/data/mine", "").unwrap();
            let owner = std::fs::metadata("/data/mine").unwrap().uid();
            let root = std::fs::write("/elsewhere", "").is_ok();
            println!("{names:?} {owner} {root} {}", std::env::vars().count());
        }
    "#;

    /// Runs the program in an empty root; what it wrote, or why it could not be put there.
    fn run(static_: bool) -> io::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let (source, executable) = (folder.path().join("see.rs"), folder.path().join("see"));
        fs::write(&source, PROGRAM).unwrap();
        let mut rustc = Command::new("rustc");
        if static_ {
            rustc.args(["-C", "target-feature=+crt-static"]);
        }
        assert!(rustc.arg("--edition=2024").arg("-o").arg(&executable).arg(source).status().unwrap().success());
        let root = EmptyRoot::new(folder.path(), &executable).unwrap();
        let output = root.command().unwrap().output();
        let path = root.path.clone();
        drop(root);
        assert!(!path.exists());
        output.map(|output| String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn nobody_sees_nothing_but_the_executable_and_its_data() {
        match run(true) {
            Ok(seen) => assert_eq!(seen, "[\"data\", \"plexichat\"] 65534 false 0\n"),
            // Neither root nor allowed a namespace: the proof says so in the same way.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }

    #[test]
    fn what_needs_a_loader_does_not_start() {
        let error = run(false).unwrap_err();
        assert!([io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind()), "{error}");
    }
}
