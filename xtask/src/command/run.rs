//! `cargo xtask run`: builds the bundle, serves it, and says how to speak to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use clap::{ArgMatches, Args, FromArgMatches};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Command;
use crate::failure::{Explain, Failure, Result};
use crate::selection::Selection;
use crate::workspace::Workspace;
use crate::{build, process};

pub(super) const COMMAND: Command = Command {
    name: "run",
    about: "Build the bundle and serve it, with an embedded store in data/",
    example: "cargo xtask run\ncargo xtask run --plugins echo -- --listen 127.0.0.1:9000",
    arguments: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Build with optimisations
    #[arg(long)]
    release: bool,
    /// Where messages, settings and the first administrator's token are kept [default: data/ at the workspace's root]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// More arguments for `plexichat serve`
    #[arg(last = true)]
    serve: Vec<String>,
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = Arguments::from_arg_matches(matches).explain(|| "cannot read the command line".into())?;
    let workspace = Workspace::find()?;
    let profile = if arguments.release { "release" } else { "dev" };
    let binary = build::development(&workspace, profile, &arguments.selection)?;
    let data = arguments.data_dir.unwrap_or_else(|| workspace.root.join("data"));
    serve(&binary, &data, &arguments.serve, &arguments.selection.names(&workspace)?)
}

/// Runs the server until it ends or is told to, and passes on what we are told.
fn serve(binary: &Path, data: &Path, more: &[String], plugins: &[String]) -> Result<()> {
    let mut command = std::process::Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(data).args(more);
    // In a group of its own, a Ctrl-C reaches the server once, through us, and not twice.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    // Registered first, so that no signal finds us without it.
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .explain(|| "cannot listen for signals".into())?;
    let mut child =
        die_with_us(&mut command).spawn().explain(|| format!("cannot start `{}`", process::shown(&command)))?;

    let server = Pid::from_child(&child);
    let handle = signals.handle();
    let forwarder = std::thread::spawn(move || {
        for signal in signals.forever() {
            if let Some(signal) = Signal::from_named_raw(signal) {
                // A server that is gone needs no signal.
                let _ = rustix::process::kill_process(server, signal);
            }
        }
    });
    show(&mut child, data, plugins);
    let status = child.wait().explain(|| "cannot wait for the server".into());
    handle.close();
    // It ends with the handle; a panic in it has nothing to tell.
    let _ = forwarder.join();
    let status = status?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::found(format!("the server ended with {status}")))
}

/// Lets the kernel stop the server when we are killed without a chance to. It does so once for each of our threads, which
/// the server takes for two requests and ends at once: nothing that it acknowledged is lost by that.
fn die_with_us(command: &mut std::process::Command) -> &mut std::process::Command {
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec only one system call is made, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(std::io::Error::from)
        });
    }
    command
}

/// Copies what the server writes; once it listens, says how to speak to it.
fn show(child: &mut Child, data: &Path, plugins: &[String]) {
    let Some(stdout) = child.stdout.take() else { return };
    for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
        println!("{line}");
        if let Some(address) = line.strip_prefix("listening on ") {
            eprint!("\n{}", directions(address.trim(), data, &token(data), plugins));
        }
    }
}

/// Where the administrator's token is.
#[derive(Debug)]
enum Token {
    /// The operator chose it.
    Environment,
    /// The server made it.
    File(String),
    /// It was taken away since.
    Gone,
}

fn token(data: &Path) -> Token {
    if let Ok(token) = fs::read_to_string(data.join("admin-token")) {
        return Token::File(token.trim().to_owned());
    }
    match std::env::var_os("PLEXICHAT_ADMIN_TOKEN") {
        Some(_) => Token::Environment,
        None => Token::Gone,
    }
}

/// What to type next.
fn directions(address: &str, data: &Path, token: &Token, plugins: &[String]) -> String {
    let file = data.join("admin-token");
    let file = std::env::current_dir().ok().and_then(|here| file.strip_prefix(here).ok()).unwrap_or(&file).display();
    let (first, take) = match token {
        Token::Environment => (
            "administrator's token: what PLEXICHAT_ADMIN_TOKEN says\n".to_owned(),
            "TOKEN=$PLEXICHAT_ADMIN_TOKEN".to_owned(),
        ),
        Token::File(token) => {
            (format!("administrator's token: {token} (kept in {file})\n"), format!("TOKEN=$(cat '{file}')"))
        }
        Token::Gone => {
            return format!("no administrator's token in {file}: make one with `plexichat token create`\n");
        }
    };
    let text = match plugins {
        _ if plugins.iter().any(|plugin| plugin == "echo") => "/echo hello".to_owned(),
        [] => "hello".to_owned(),
        [plugin, ..] => format!("/{plugin}"),
    };
    format!(
        r#"{first}
Try it in another terminal:
  {take}
  send() {{ curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; echo; }}
  ROOM=$(send {address}/api/v1/rooms -d '{{"name": "room-'$(date +%s)'"}}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
  send {address}/api/v1/rooms/$ROOM/messages -d '{{"text": "{text}"}}'; sleep 1
  send {address}/api/v1/rooms/$ROOM/messages
Ctrl-C stops the server.
"#
    )
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(token: Token, plugins: &[&str], expected: Expect) {
        let plugins: Vec<String> = plugins.iter().map(|name| (*name).to_owned()).collect();
        expected.assert_eq(&directions("http://127.0.0.1:8080", Path::new("/srv/data"), &token, &plugins));
    }

    #[test]
    fn directions_can_be_pasted() {
        check(
            Token::File("plx_x".into()),
            &["echo", "word-filter"],
            expect![[r#"
                administrator's token: plx_x (kept in /srv/data/admin-token)

                Try it in another terminal:
                  TOKEN=$(cat '/srv/data/admin-token')
                  send() { curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; echo; }
                  ROOM=$(send http://127.0.0.1:8080/api/v1/rooms -d '{"name": "room-'$(date +%s)'"}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
                  send http://127.0.0.1:8080/api/v1/rooms/$ROOM/messages -d '{"text": "/echo hello"}'; sleep 1
                  send http://127.0.0.1:8080/api/v1/rooms/$ROOM/messages
                Ctrl-C stops the server.
            "#]],
        );
        check(
            Token::Environment,
            &["hello"],
            expect![[r#"
                administrator's token: what PLEXICHAT_ADMIN_TOKEN says

                Try it in another terminal:
                  TOKEN=$PLEXICHAT_ADMIN_TOKEN
                  send() { curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; echo; }
                  ROOM=$(send http://127.0.0.1:8080/api/v1/rooms -d '{"name": "room-'$(date +%s)'"}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
                  send http://127.0.0.1:8080/api/v1/rooms/$ROOM/messages -d '{"text": "/hello"}'; sleep 1
                  send http://127.0.0.1:8080/api/v1/rooms/$ROOM/messages
                Ctrl-C stops the server.
            "#]],
        );
        check(
            Token::Gone,
            &[],
            expect![[r#"
            no administrator's token in /srv/data/admin-token: make one with `plexichat token create`
        "#]],
        );
    }
}
