//! What a package is proven to do: start without anything, in an empty root, without rights, and answer a message.

mod elf;
mod empty_root;
mod exchange;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{Explain, Failure, Result};
use empty_root::{EmptyRoot, NOBODY};
use exchange::Client;

/// How long the server may take to listen, to answer, to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Point {
    /// What holds.
    pub(crate) what: String,
    /// Why it could not be looked at here; nothing where it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<String>,
}

impl Point {
    fn holds(what: impl Into<String>) -> Self {
        Self { what: what.into(), left_out: None }
    }
}

/// Shows it all, in order; `scratch` is a folder for the empty root. The first thing that does not hold is an error.
pub(crate) fn prove(executable: &Path, plugins: &[String], scratch: &Path) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    needs_nothing(executable, &mut points)?;
    let root = EmptyRoot::new(scratch, executable)?;
    if let Some(reason) = cannot_enter(&root)? {
        let what = format!("runs in an empty root as user {NOBODY} and answers a message there");
        points.push(Point { what, left_out: Some(reason) });
        return Ok(points);
    }
    commands_answer(&root, plugins, &mut points)?;
    serves(&root, plugins, &mut points)?;
    Ok(points)
}

fn needs_nothing(executable: &Path, points: &mut Vec<Point>) -> Result<()> {
    let file = fs::read(executable).explain(|| format!("cannot read `{}`", executable.display()))?;
    let needs = elf::needs(&file)?;
    if let Some(interpreter) = needs.interpreter {
        return Err(Failure::found(format!("the executable needs the interpreter `{interpreter}`"))
            .hint("it is not static: does a `.cargo/config.toml` set `rustflags` that take `crt-static` away?"));
    }
    points.push(Point::holds("needs no interpreter"));
    if !needs.libraries.is_empty() {
        return Err(Failure::found(format!("the executable needs the libraries {}", needs.libraries.join(", "))));
    }
    points.push(Point::holds("needs no library"));
    Ok(())
}

/// Why no process can be put into the root here; nothing where one can.
fn cannot_enter(root: &EmptyRoot) -> Result<Option<String>> {
    match root.command()?.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(mut child) => {
            child.wait().explain(|| "cannot wait for the package".into())?;
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(Some(format!(
            "this user may not change the root directory, and user namespaces are not allowed ({error}); run it as root"
        ))),
        Err(error) => Err(error).explain(|| "the package does not start in an empty root".into()),
    }
}

fn commands_answer(root: &EmptyRoot, plugins: &[String], points: &mut Vec<Point>) -> Result<()> {
    let info = answer(root, &["bundle", "info", "--json"])?;
    if let Some(missing) = plugins.iter().find(|plugin| !info.contains(&format!("\"{plugin}\""))) {
        return Err(Failure::found(format!("`bundle info` of the package does not name the plugin `{missing}`")));
    }
    points.push(Point::holds(format!("`bundle info` names {} plugins", plugins.len())));
    answer(root, &["config", "check", "--data-dir", "/data"])?;
    points.push(Point::holds("`config check` finds nothing"));
    Ok(())
}

fn answer(root: &EmptyRoot, arguments: &[&str]) -> Result<String> {
    let shown = arguments.join(" ");
    let output = root.command()?.args(arguments).output().explain(|| format!("`{shown}` does not start"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::found(format!("`{shown}` ended with {}: {}", output.status, complaint.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A server in the root; killed when dropped.
struct Server {
    child: Child,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended by itself, as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serves(root: &EmptyRoot, plugins: &[String], points: &mut Vec<Point>) -> Result<()> {
    let began = Instant::now();
    let mut server = start(root)?;
    points.push(Point::holds(format!(
        "serves in an empty root as user {NOBODY}, {} ms after its start",
        began.elapsed().as_millis()
    )));
    server.client.get("/healthz")?;
    points.push(Point::holds("answers a health request"));
    points.push(Point::holds(converse(&server.client, plugins)?));
    stop(&mut server)?;
    points.push(Point::holds("ends with 0 when it is told to stop"));
    Ok(())
}

fn start(root: &EmptyRoot) -> Result<Server> {
    let mut child = root
        .command()?
        .args(["serve", "--data-dir", "/data", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .explain(|| "the package does not start in an empty root".into())?;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                // Nobody waits for the later lines; they are read so that the server can write them.
                let _ = sender.send(line);
            }
        });
    }
    let log = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut log = Vec::new();
            // What was read before an error is still worth showing.
            let _ = stderr.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        })
    });
    let listening = lines.recv_timeout(PATIENCE).ok();
    let address = listening.as_deref().and_then(|line| line.strip_prefix("listening on http://")?.trim().parse().ok());
    let mut server =
        Server { child, client: Client { address: SocketAddr::from(([127, 0, 0, 1], 0)), token: String::new() } };
    let Some(address) = address else {
        // Killed first, so that its log ends.
        let _ = server.child.kill();
        let log = log.and_then(|log| log.join().ok()).unwrap_or_default();
        let line = listening.unwrap_or_else(|| "nothing".to_owned());
        return Err(Failure::found(format!(
            "the server in the empty root does not listen: it said `{line}`\n{}",
            log.trim()
        )));
    };
    let token = root.data().join("admin-token");
    let token = fs::read_to_string(&token).explain(|| format!("cannot read `{}`", token.display()))?;
    server.client = Client { address, token: token.trim().to_owned() };
    Ok(server)
}

/// Makes a room, posts, and reads the answer; what was shown.
fn converse(client: &Client, plugins: &[String]) -> Result<String> {
    let room = client.post("/api/v1/rooms", &json!({ "name": "proof" }))?;
    let room = room["id"].as_str().ok_or_else(|| Failure::found(format!("the new room has no id: {room}")))?;
    let messages = format!("/api/v1/rooms/{room}/messages");
    let has_echo = plugins.iter().any(|plugin| plugin == "echo");
    let (text, author) = if has_echo { ("/echo hello", "plugin") } else { ("hello", "user") };
    client.post(&messages, &json!({ "text": text }))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let history = client.get(&messages)?;
        let answer = find(&history, &|message| {
            message["author"]["kind"] == author && message["text"].as_str().is_some_and(|text| text.ends_with("hello"))
        });
        if let Some(answer) = answer {
            return Ok(match has_echo {
                true => format!("makes a room, takes `{text}`, and the plugin answers {}", answer["text"]),
                false => format!("makes a room, takes `{text}`, and gives it back"),
            });
        }
        if Instant::now() > deadline {
            return Err(Failure::found(format!("nobody answered `{text}` within {PATIENCE:?}: {history}")));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The first object in the document that fits, wherever it stands.
fn find<'a>(document: &'a Value, fits: &dyn Fn(&Value) -> bool) -> Option<&'a Value> {
    match document {
        Value::Object(members) if fits(document) => (!members.is_empty()).then_some(document),
        Value::Object(members) => members.values().find_map(|member| find(member, fits)),
        Value::Array(items) => items.iter().find_map(|item| find(item, fits)),
        _ => None,
    }
}

fn stop(server: &mut Server) -> Result<()> {
    rustix::process::kill_process(Pid::from_child(&server.child), Signal::TERM)
        .explain(|| "cannot tell the server to stop".into())?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match server.child.try_wait().explain(|| "cannot wait for the server".into())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(Failure::found(format!("told to stop, the server ended with {status}"))),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(Failure::found(format!("told to stop, the server still runs after {PATIENCE:?}")))
}
