//! `plexichat doctor`: looks at everything that keeps a server from working well, and says of each what to do next.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use plexichat::message::Time;
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, geteuid, getrlimit};
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{ADDRESS_FILE, Client};
use super::output::{Output, cell};
use super::settings::{SettingsArgs, load};
use super::{ClientArgs, Failure};
use crate::Bundle;
use crate::store::{check_file, database_facts, verify_audit_file};

const GIB: u64 = 1 << 30;
/// Below so much free space the operator is warned, and below the other nothing goes on for long.
const SPACE_LOW: u64 = GIB;
const SPACE_GONE: u64 = 64 << 20;
/// A write-ahead log that has grown so large is not written back as it should be.
const LOG_LARGE: u64 = 256 << 20;
/// Fewer open files than this are few for a server of many connections.
const FILES_FEW: u64 = 4096;
/// How far the clock may be behind the last message.
const CLOCK_BEHIND: i64 = 60 * 1_000_000;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat doctor\n  plexichat doctor --config plexichat.toml --json\n\n\
                        Exit status 1 where something keeps the server from working, 0 where there are warnings at most. \
                        Nothing is changed; it may run beside a server that works.")]
pub(super) struct DoctorArgs {
    /// The settings file. Without it, plexichat.toml in the current directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory. [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// The running server's address. Without it, the one that a server left in the data directory.
    #[arg(long, value_name = "URL", env = "PLEXICHAT_SERVER")]
    server: Option<String>,
    /// A file with the API token. Without it, PLEXICHAT_TOKEN, else `admin-token` in the data directory.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grade {
    Good,
    Warning,
    Wrong,
}

/// What was looked at, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    grade: Grade,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Finding {
    fn good(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, grade: Grade::Good, message: message.into(), next: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, grade: Grade::Warning, message: message.into(), next: Some(next.into()) }
    }

    fn wrong(check: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { grade: Grade::Wrong, ..Self::warning(check, message, next) }
    }
}

pub(super) async fn run(arguments: DoctorArgs, bundle: &Bundle, output: &mut Output) -> Result<(), Failure> {
    let named = SettingsArgs::of(arguments.config.clone(), arguments.data_dir.clone());
    let mut findings = Vec::new();
    let data_dir = match load(bundle, &named) {
        Ok((catalog, settings)) => {
            let plugins = catalog.plugins().len();
            findings.push(Finding::good("settings", format!("are good, with {plugins} plugins linked")));
            settings.server.data_dir
        }
        Err(problems) => {
            let wrong = |problem: &plexichat::problem::Problem| {
                Finding::wrong(
                    "settings",
                    problem.to_string(),
                    "mend it: `plexichat config check` says when it is good",
                )
            };
            findings.extend(problems.iter().map(wrong));
            arguments.data_dir.clone().unwrap_or_else(|| "data".to_owned()).into()
        }
    };
    findings.push(clock(&data_dir, Time::now()));
    findings.push(open_files());
    findings.extend(directory(&data_dir));
    if data_dir.is_dir() {
        findings.push(space(&data_dir));
        findings.extend(database(&data_dir));
    }
    findings.extend(running(&arguments, &data_dir).await);

    let worst = findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Good);
    output.show(&json!({ "findings": findings, "good": worst < Grade::Wrong }), text)?;
    match worst {
        Grade::Good | Grade::Warning => Ok(()),
        Grade::Wrong => Err(Failure::found()),
    }
}

fn text(report: &Value) -> String {
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let width = findings.iter().map(|finding| cell(finding, "check").len()).max().unwrap_or(0);
    let line = |finding: &Value| {
        let mark = match finding["grade"].as_str() {
            Some("good") => "good   ",
            Some("warning") => "warning",
            _ => "WRONG  ",
        };
        let mut line = format!("{mark}  {:width$}  {}\n", cell(finding, "check"), cell(finding, "message"));
        if !finding["next"].is_null() {
            line.push_str(&format!("{:width$}  next: {}\n", "", cell(finding, "next"), width = width + 9));
        }
        line
    };
    findings.iter().map(line).collect()
}

/// Whether the clock can be right: neither before this program was written nor before the last message.
fn clock(data_dir: &Path, now: Time) -> Finding {
    const WRITTEN: i64 = 1_767_225_600_000_000;
    let next = "set it: `timedatectl` says whether it is kept by the network; tokens and times depend on it";
    if now.as_micros() < WRITTEN {
        return Finding::wrong("clock", "it is before the year 2026", next);
    }
    let last = database_facts(&data_dir.join("plexichat.db")).ok().and_then(|facts| facts.last_message);
    match last.map(|last| last.as_micros() - now.as_micros()) {
        Some(behind) if behind > CLOCK_BEHIND => {
            Finding::warning("clock", format!("it is {} s behind the last message", behind / 1_000_000), next)
        }
        _ => Finding::good("clock", "is not behind what is stored"),
    }
}

fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < FILES_FEW => Finding::warning(
            "open files",
            format!("at most {limit} may be open, and each connection is one"),
            "raise the limit: `LimitNOFILE=` of systemd, `ulimit -n` of a shell",
        ),
        Some(limit) => Finding::good("open files", format!("{limit} may be open")),
        None => Finding::good("open files", "as many as wanted may be open"),
    }
}

/// The data directory: there, ours, for us alone.
fn directory(path: &Path) -> Vec<Finding> {
    const CHECK: &str = "data directory";
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            return vec![if access(parent, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
                Finding::good(CHECK, format!("{shown} is not there: the first start makes it"))
            } else {
                Finding::wrong(
                    CHECK,
                    format!("{shown} is not there, and {} cannot be written", parent.display()),
                    "make it for the server's user, or choose another with `--data-dir`",
                )
            }];
        }
        Err(error) => {
            let next = "check the path, and who owns it and the directories above: `ls -ld`";
            return vec![Finding::wrong(CHECK, format!("{shown} cannot be looked at: {error}"), next)];
        }
    };
    if !metadata.is_dir() {
        let next = "move that file away, or choose another with `--data-dir`";
        return vec![Finding::wrong(CHECK, format!("{shown} is not a directory"), next)];
    }
    let mut findings = Vec::new();
    let us = geteuid().as_raw();
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        findings.push(Finding::wrong(
            CHECK,
            format!("{shown} cannot be read and written by user {us}"),
            format!("run it as user {}, or `chown -R {us} {shown}`", metadata.uid()),
        ));
    } else if metadata.uid() != us && us != 0 {
        let next = format!("run it as user {}, or `chown -R {us} {shown}`", metadata.uid());
        findings.push(Finding::warning(
            CHECK,
            format!("{shown} is user {}'s, and this is user {us}", metadata.uid()),
            next,
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let message = format!("others may look into {shown}, which has what people wrote");
        findings.push(Finding::warning(CHECK, message, format!("`chmod 700 {shown}`")));
    }
    if findings.is_empty() {
        findings.push(Finding::good(CHECK, format!("{shown} can be written, and by nobody else")));
    }
    findings
}

fn space(path: &Path) -> Finding {
    const CHECK: &str = "disk space";
    let system = match statvfs(path) {
        Ok(system) => system,
        Err(error) => {
            return Finding::warning(CHECK, format!("cannot be told: {error}"), "look yourself: `df -h`");
        }
    };
    graded_space(system.f_bavail.saturating_mul(system.f_frsize))
}

fn graded_space(free: u64) -> Finding {
    const CHECK: &str = "disk space";
    let message = format!("{:.1} GiB are free", free as f64 / GIB as f64);
    let next = "make room, or keep less: `[server.retention]` in plexichat.toml";
    match free {
        ..SPACE_GONE => Finding::wrong(CHECK, message, next),
        SPACE_GONE..SPACE_LOW => Finding::warning(CHECK, message, next),
        _ => Finding::good(CHECK, message),
    }
}

fn database(data_dir: &Path) -> Vec<Finding> {
    let path = data_dir.join("plexichat.db");
    if !path.exists() {
        return vec![Finding::good("database", "is not there: the first start makes it")];
    }
    let mut findings = Vec::new();
    match check_file(&path) {
        Ok(()) => findings.push(Finding::good("database", "is whole")),
        Err(error) => {
            findings.push(Finding::wrong("database", error.to_string(), error.hint()));
            return findings;
        }
    }
    findings.push(match database_facts(&path) {
        Ok(facts) if facts.pending > 0 => Finding::warning(
            "tables",
            format!("are {} steps behind this server's", facts.pending),
            "the next start takes them; take a backup before: `plexichat backup --offline`",
        ),
        Ok(_) => Finding::good("tables", "are this server's"),
        Err(error) => Finding::wrong("tables", error.to_string(), error.hint()),
    });
    findings.extend(log(data_dir));
    match verify_audit_file(&path, None) {
        Ok(report) if report.intact => {
            findings.push(Finding::good("audit log", format!("is intact: {} rows", report.rows)));
        }
        Ok(report) => {
            let found = report.findings.len();
            let next = "`plexichat audit verify` says what; compare with a backup";
            findings.push(Finding::wrong("audit log", format!("is not as it was written: {found} findings"), next));
        }
        // Older tables have none yet.
        Err(_) => {}
    }
    findings
}

fn log(data_dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "write-ahead log";
    let mut findings = Vec::new();
    match fs::metadata(data_dir.join("plexichat.db-wal")).map_or(0, |metadata| metadata.len()) {
        size if size > LOG_LARGE => findings.push(Finding::warning(
            CHECK,
            format!("has grown to {} MiB", size >> 20),
            "end what reads the database for long, a `sqlite3` shell say, or restart the server",
        )),
        size => findings.push(Finding::good(CHECK, format!("has {} MiB", size >> 20))),
    }
    let kept = fs::read_dir(data_dir).into_iter().flatten().flatten();
    for entry in kept.filter(|entry| entry.file_name().to_string_lossy().contains("-wal.damaged-")) {
        findings.push(Finding::warning(
            CHECK,
            format!("{} was damaged at a start, and writes were lost", entry.path().display()),
            "`plexichat audit list --action store.damage` says how many; restore a backup, or move that file away",
        ));
    }
    findings
}

/// What the running server says of itself, if there is one.
async fn running(arguments: &DoctorArgs, data_dir: &Path) -> Vec<Finding> {
    const CHECK: &str = "server";
    let left = data_dir.join(ADDRESS_FILE).exists();
    if arguments.server.is_none() && !left {
        return vec![Finding::good(CHECK, "none runs over this data directory")];
    }
    let client = Client::new(&ClientArgs {
        server: arguments.server.clone(),
        token_file: arguments.token_file.clone(),
        data_dir: data_dir.to_path_buf(),
    });
    let wrong = |failure: &Failure, next: &str| Finding::wrong(CHECK, failure.message(), next);
    let client = match client {
        Ok(client) => client,
        Err(failure) => return vec![wrong(&failure, "name it with `--server`")],
    };
    let mut findings = Vec::new();
    match client.get("/readyz").await {
        Ok(_) => findings.push(Finding::good(CHECK, "is ready")),
        // A killed one leaves its address behind.
        Err(failure) if arguments.server.is_none() => {
            let next = "start it with `plexichat serve`, if it should run";
            return vec![Finding::warning(CHECK, failure.message(), next)];
        }
        Err(failure) => return vec![wrong(&failure, "its log says why: `journalctl`, or where its stderr goes")],
    }
    match client.get("/api/v1/plugins").await {
        Ok(list) => findings.extend(list["plugins"].as_array().into_iter().flatten().filter_map(plugin)),
        Err(failure) => {
            let next = "give an administrator's token with `--token-file`";
            findings.push(Finding::warning("plugins", failure.message(), next));
        }
    }
    // Where it may not be asked, the plugins told why.
    if let Ok(list) = client.get("/api/v1/ai/models").await {
        findings.extend(models(&list));
    }
    if let Ok(list) = client.get("/api/v1/workflows/dead-letters?limit=500").await {
        findings.extend(dead_letters(&list));
    }
    findings
}

/// Whether workflows failed for good.
fn dead_letters(list: &Value) -> Option<Finding> {
    let runs = list["runs"].as_array()?;
    let first = runs.first()?;
    let more = if list["next"].is_null() { "" } else { " or more" };
    let (count, error) = (runs.len(), cell(first, "error"));
    Some(Finding::warning(
        "workflows",
        format!("{count}{more} runs failed for good, the last one of {}: {error}", cell(first, "plugin")),
        format!(
            "`plexichat workflow dead-letters` lists them; once the cause is mended, `plexichat workflow replay --all {}`",
            cell(first, "plugin")
        ),
    ))
}

/// Whether there are models where somebody counts on them.
fn models(list: &Value) -> Vec<Finding> {
    const CHECK: &str = "AI";
    let names: Vec<String> = list["models"].as_array().into_iter().flatten().map(|model| cell(model, "id")).collect();
    let wanted: Vec<&str> = list["default_models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_there = |wanted: &str| names.iter().any(|name| name == wanted || name.split('/').next() == Some(wanted));
    let missing: Vec<&str> = wanted.iter().copied().filter(|wanted| !is_there(wanted)).collect();
    if names.is_empty() && wanted.is_empty() {
        return Vec::new();
    }
    if missing.is_empty() {
        return vec![Finding::good(CHECK, format!("{} models can be asked", names.len()))];
    }
    let next = "`plexichat ai models` lists those that there are; a provider may not run, or its key may be wrong";
    vec![Finding::warning(CHECK, format!("{} of server.ai.default_models is not there", missing.join(", ")), next)]
}

/// A plugin that does not do what it should.
fn plugin(plugin: &Value) -> Option<Finding> {
    let (name, state) = (cell(plugin, "name"), cell(plugin, "state"));
    let cause =
        plugin["cause"].as_str().or_else(|| plugin["last_error"]["message"].as_str()).unwrap_or("no cause is told");
    let next = match state.as_str() {
        "quarantined" => format!("mend the cause, then `plexichat plugin enable {name}`"),
        "failed" => format!("`plexichat plugin info {name}` tells more; mend its configuration, then enable it again"),
        "blocked" => format!("grant or install what it lacks: `plexichat plugin info {name}`"),
        _ if plugin["breaker"] == "open" => format!("`plexichat plugin info {name}` tells what fails"),
        _ if plugin["health"]["status"].as_str().is_some_and(|status| status != "healthy") => {
            return Some(Finding::warning(
                "plugins",
                format!("{name} says that it is {}", cell(&plugin["health"], "status")),
                format!("`plexichat plugin info {name}` tells more"),
            ));
        }
        _ => return None,
    };
    let state = if plugin["breaker"] == "open" { "not asked for now".to_owned() } else { state };
    Some(Finding::warning("plugins", format!("{name} is {state}: {cause}"), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_models(models: Value, wanted: Value, expected: &[(Grade, &str)]) {
        let list = json!({ "models": models, "default_models": wanted });
        let found: Vec<_> = super::models(&list).into_iter().map(|found| (found.grade, found.message)).collect();
        assert_eq!(found, expected.iter().map(|(grade, words)| (*grade, (*words).to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn default_models_are_looked_for() {
        let there = json!([{ "id": "openai/a" }, { "id": "openai/b" }]);
        check_models(json!([]), json!([]), &[]);
        check_models(there.clone(), json!(["openai", "openai/b"]), &[(Grade::Good, "2 models can be asked")]);
        let missing = [(Grade::Warning, "openai/c, echo of server.ai.default_models is not there")];
        check_models(there, json!(["openai/c", "openai", "echo"]), &missing);
    }

    #[test]
    fn space_is_graded() {
        assert_eq!(graded_space(0).grade, Grade::Wrong);
        assert_eq!(graded_space(SPACE_GONE).grade, Grade::Warning);
        assert_eq!(graded_space(SPACE_LOW).grade, Grade::Good);
    }

    #[track_caller]
    fn check(path: &Path, grade: Grade, words: &str) {
        let found = directory(path);
        let worst = found.iter().max_by_key(|finding| finding.grade).expect("one at least");
        assert_eq!(worst.grade, grade, "{found:?}");
        assert!(worst.message.contains(words), "{found:?}");
        assert_eq!(worst.next.is_none(), grade == Grade::Good, "each has a next step: {found:?}");
    }

    #[test]
    fn a_directory_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        check(folder.path(), Grade::Good, "can be written");
        check(&folder.path().join("data"), Grade::Good, "the first start makes it");
        check(&folder.path().join("no/such"), Grade::Wrong, "cannot be written");
        fs::write(folder.path().join("file"), "x").unwrap();
        check(&folder.path().join("file"), Grade::Wrong, "is not a directory");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        check(folder.path(), Grade::Warning, "others may look into");
    }

    #[tokio::test]
    async fn a_database_is_looked_through() {
        let place = crate::store::testing::Place::new();
        let grades =
            || database(place.directory()).iter().map(|finding| (finding.check, finding.grade)).collect::<Vec<_>>();
        assert_eq!(grades(), [("database", Grade::Good)]);
        let store = place.open();
        store.audit(crate::store::Act::system().audit("test.act", "x", json!({}))).await.unwrap();
        store.close().await;
        assert!(grades().iter().all(|(_, grade)| *grade == Grade::Good), "{:?}", grades());
        let shell = rusqlite::Connection::open(place.database()).unwrap();
        shell.execute("UPDATE audit SET subject = 'y'", []).unwrap();
        assert!(grades().contains(&("audit log", Grade::Wrong)), "{:?}", grades());
        drop(shell);
        fs::write(place.directory().join("plexichat.db-wal.damaged-1"), "x").unwrap();
        assert!(grades().contains(&("write-ahead log", Grade::Warning)), "{:?}", grades());
        fs::write(place.database(), "this is a letter to my aunt, and it is rather longer than a header").unwrap();
        assert_eq!(grades(), [("database", Grade::Wrong)]);
    }

    #[test]
    fn a_clock_behind_what_is_stored_is_told() {
        let nowhere = Path::new("/nowhere");
        assert_eq!(clock(nowhere, Time::from_micros(0)).grade, Grade::Wrong);
        assert_eq!(clock(nowhere, Time::from_micros(1_800_000_000_000_000)).grade, Grade::Good);
    }

    #[test]
    fn plugins_that_do_not_run_are_told_with_their_cause() {
        assert_eq!(plugin(&json!({ "name": "echo", "state": "enabled", "health": { "status": "healthy" } })), None);
        assert_eq!(plugin(&json!({ "name": "echo", "state": "disabled" })), None);
        let found = plugin(&json!({ "name": "echo", "state": "failed", "cause": "no key" })).unwrap();
        assert_eq!((found.grade, found.message.as_str()), (Grade::Warning, "echo is failed: no key"));
        let found = plugin(&json!({ "name": "echo", "state": "enabled", "breaker": "open" })).unwrap();
        assert!(found.message.contains("not asked for now"), "{found:?}");
    }
}
