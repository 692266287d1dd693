//! `plexichat backup` and `plexichat restore`: one archive with everything, taken while the server works, put back into an
//! empty data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::output::{Output, cell};
use super::settings::{SettingsArgs, load};
use super::{ClientArgs, Failure};
use crate::Bundle;
use crate::backup::{BackupError, Manifest, Snapshot, remove_left_overs, restore, verify};
use crate::data_dir::DataDir;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  plexichat backup plexichat-monday.tar\n  plexichat backup --offline before-upgrade.tar\n\n\
                        The archive has the database and the files; neither plexichat.toml nor admin-token. It holds what \
                        people wrote: keep it where only you can read it."
)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The archive to be written. A file of that name must not be there.
    file: PathBuf,
    /// Read the data directory itself, while no server runs.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat restore plexichat-monday.tar\n  \
                        plexichat restore plexichat-monday.tar --data-dir /srv/plexichat\n\n\
                        The data directory must be empty, or not be there. It appears once every sum is right.")]
pub(super) struct RestoreArgs {
    /// The archive.
    file: PathBuf,
    /// The settings file that names the data directory. Without it, plexichat.toml in the current directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory. [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Only verify the archive: every sum, and that it is whole.
    #[arg(long)]
    check: bool,
}

pub(super) async fn backup(arguments: BackupArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    let target = Target::make(&arguments.file)?;
    let mut progress = Progress::new("taken");
    if arguments.offline {
        let data_dir = &arguments.client.data_dir;
        if !data_dir.is_dir() {
            return Err(Failure::new(format!("there is no data directory {}", data_dir.display()))
                .hint("name it with `--data-dir`"));
        }
        let data_dir = DataDir::open(data_dir).map_err(|error| {
            Failure::new(error.to_string()).hint("without `--offline` the running server takes the backup")
        })?;
        remove_left_overs(data_dir.path());
        let sink = BufWriter::new(Counted { inner: &target.file, count: 0, progress: &mut progress });
        Snapshot::take(data_dir.path()).and_then(|held| held.write(bundle.version, sink)).map_err(failure)?;
    } else {
        let mut received = 0;
        let mut file = &target.file;
        let client = Client::new(&arguments.client)?;
        client
            .download("/api/v1/system/backup", |chunk| {
                received += chunk.len() as u64;
                progress.at(received);
                file.write_all(chunk).map_err(BackupError::Sink).map_err(failure)
            })
            .await?;
    }
    progress.end();
    // As it stands on the disk, and not as it was sent.
    let mut progress = Progress::new("verified");
    let manifest = read(&target.partial, |archive| verify(archive, &mut |bytes| progress.at(bytes)))?;
    progress.end();
    target.keep()?;
    show(output, &manifest, &arguments.file, |shown| {
        format!(
            "{} has {} files, {} bytes, as of {}",
            cell(shown, "file"),
            cell(shown, "files"),
            cell(shown, "bytes"),
            cell(shown, "created_at")
        )
    })
}

pub(super) fn put_back(arguments: &RestoreArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    if arguments.check {
        let mut progress = Progress::new("verified");
        let manifest = read(&arguments.file, |archive| verify(archive, &mut |bytes| progress.at(bytes)))?;
        progress.end();
        return show(output, &manifest, &arguments.file, |shown| {
            format!(
                "{} is whole: {} files, {} bytes, as of {}",
                cell(shown, "file"),
                cell(shown, "files"),
                cell(shown, "bytes"),
                cell(shown, "created_at")
            )
        });
    }
    let named = SettingsArgs::of(arguments.config.clone(), arguments.data_dir.clone());
    let (_, settings) = load(bundle, &named).map_err(|problems| Failure::of_problems(&problems))?;
    let data_dir = settings.server.data_dir;
    let mut progress = Progress::new("put back");
    let manifest = read(&arguments.file, |archive| restore(archive, &data_dir, &mut |bytes| progress.at(bytes)))?;
    progress.end();
    show(output, &manifest, &data_dir, |shown| {
        format!(
            "{} is as of {}: {} files, {} bytes\npeople, passwords and tokens are those of that time",
            cell(shown, "file"),
            cell(shown, "created_at"),
            cell(shown, "files"),
            cell(shown, "bytes")
        )
    })
}

fn show(
    output: &mut Output,
    manifest: &Manifest,
    file: &Path,
    text: impl FnOnce(&Value) -> String,
) -> Result<(), Failure> {
    let shown = json!({
        "file": file.display().to_string(),
        "files": manifest.entries.len() - 1,
        "bytes": manifest.size(),
        "created_at": manifest.created_at,
        "server": manifest.server,
    });
    output.show(&shown, text)
}

fn read(file: &Path, work: impl FnOnce(BufReader<File>) -> Result<Manifest, BackupError>) -> Result<Manifest, Failure> {
    let archive = File::open(file).map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    work(BufReader::with_capacity(1 << 20, archive)).map_err(failure)
}

fn failure(error: BackupError) -> Failure {
    Failure::new(error.to_string()).hint(error.hint())
}

/// The archive under another name until it is whole.
struct Target {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl Target {
    fn make(path: &Path) -> Result<Self, Failure> {
        let cannot = |path: &Path, error| Failure::new(format!("cannot write {}: {error}", path.display()));
        if path.exists() {
            return Err(Failure::new(format!("{} is there already", path.display()))
                .hint("choose another name, or move it away: a backup is never overwritten"));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.map_err(|error| cannot(&partial, error))?;
        Ok(Self { file, partial, path: path.to_path_buf() })
    }

    /// Gives it its name, once it is on the disk.
    fn keep(self) -> Result<(), Failure> {
        let parent = self.path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let kept = self
            .file
            .sync_all()
            .and_then(|()| fs::hard_link(&self.partial, &self.path))
            .and_then(|()| File::open(parent)?.sync_all());
        kept.map_err(|error| Failure::new(format!("cannot write {}: {error}", self.path.display())))?;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Its second name stays, if it got one.
        let _ = fs::remove_file(&self.partial);
    }
}

/// How far it is, for whoever watches.
struct Progress {
    what: &'static str,
    told: Option<Instant>,
    watched: bool,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self { what, told: None, watched: io::stderr().is_terminal() }
    }

    fn at(&mut self, bytes: u64) {
        if self.watched && self.told.is_none_or(|told| told.elapsed() > Duration::from_millis(200)) {
            self.told = Some(Instant::now());
            let _ = write!(io::stderr(), "\r{:.1} MiB {}", bytes as f64 / f64::from(1 << 20), self.what);
        }
    }

    fn end(&mut self) {
        if self.told.take().is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

struct Counted<'a, W> {
    inner: W,
    count: u64,
    progress: &'a mut Progress,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count += written as u64;
        self.progress.at(self.count);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
