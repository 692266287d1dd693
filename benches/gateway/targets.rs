//! Who is asked: the upstream itself, the proxies in front of it, PlexiChat and LiteLLM. Starts each as a process, with the
//! settings that it needs. Knows no figures.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::process::{Process, Start, UNLIMITED, get, post};
use crate::servers::SERVE;

/// Names LiteLLM's executable.
const LITELLM: &str = "PLEXICHAT_LITELLM";

/// The upstream, asked without anything between.
pub(crate) const DIRECT: &str = "direct";
/// The proxy that passes bytes on.
pub(crate) const PASSING: &str = "passing proxy";
/// The proxy that reads and writes every piece.
pub(crate) const TYPED: &str = "typed proxy";
/// PlexiChat as it comes.
pub(crate) const PLEXICHAT: &str = "PlexiChat";
/// PlexiChat without its scanners.
pub(crate) const UNSCANNED: &str = "PlexiChat, no scanners";
/// The peer.
pub(crate) const PEER: &str = "LiteLLM";

/// One who is asked.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    pub(crate) token: String,
    /// What the model is called there.
    pub(crate) model: &'static str,
}

impl Target {
    /// Starts all that can be started here; tells who takes no part.
    pub(crate) fn start_all() -> Vec<Self> {
        let upstream = server(&["upstream"]);
        let (address, url) = (upstream.address, format!("http://{}", upstream.address));
        let plain = |name, process| Self { name, process, token: "none".to_owned(), model: "stub" };
        let mut targets = vec![
            plain(DIRECT, upstream),
            plain(PASSING, server(&["passing", &url])),
            plain(TYPED, server(&["typed", &url])),
            plexichat(PLEXICHAT, address, ""),
            plexichat(UNSCANNED, address, &without_scanners()),
        ];
        match std::env::var(LITELLM) {
            Ok(executable) => targets.push(litellm(&executable, address)),
            Err(_) => eprintln!("{PEER} takes no part: set {LITELLM} to its executable"),
        }
        targets
    }
}

fn server(arguments: &[&str]) -> Process {
    let mut start = Start::server(&std::env::current_exe().unwrap(), &[], "");
    start.arguments = std::iter::once(&SERVE).chain(arguments).map(ToString::to_string).collect();
    start.start()
}

/// The bundle as it is built, with both plugins set to the upstream.
fn plexichat(name: &'static str, upstream: SocketAddr, more: &str) -> Target {
    let config = format!(
        "{UNLIMITED}
        [plugins.openai]
        enabled = true
        private_network = true
        hosts = [\"{upstream}\"]
        [plugins.openai.config]
        base_url = \"http://{upstream}/v1\"
        models = [{{ id = \"stub\" }}]
        [plugins.openai-gateway]
        enabled = true
        {more}"
    );
    let process = Start::bundle(&config).start();
    let body = "{\"user\":\"benchmark\",\"name\":\"gateway\",\"scopes\":[\"ai\"]}";
    let answer = post(process.address, &process.token(), "/api/v1/tokens", body);
    let (_, after) = answer.split_once("\"token\":\"").unwrap_or_else(|| panic!("{answer}"));
    let token = after.split('"').next().unwrap().to_owned();
    Target { name, process, token, model: "openai/stub" }
}

fn without_scanners() -> String {
    ["word-filter", "moderation", "antivirus"].map(|name| format!("[plugins.{name}]\nenabled = false\n")).concat()
}

fn litellm(executable: &str, upstream: SocketAddr) -> Target {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let settings = format!(
        "model_list:\n  - model_name: stub\n    litellm_params:\n      model: openai/stub\n      api_base: \
         http://{upstream}/v1\n      api_key: none\n"
    );
    std::fs::write(&config, settings).unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(executable)
        .args(["--host", "127.0.0.1", "--num_workers", "1", "--port", &port.to_string(), "--config"])
        .arg(&config)
        .envs([
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
            ("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"),
            ("LITELLM_LOG", "ERROR"),
            ("NO_PROXY", "127.0.0.1"),
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{executable}: {error}"));
    let (began, address) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], port)));
    let process = Process::of(child, address, folder);
    while !listens(address) {
        let log = || process.file("log");
        assert!(began.elapsed() < Duration::from_secs(240), "{PEER} does not listen:\n{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
    Target { name: PEER, process, token: "none".to_owned(), model: "stub" }
}

fn listens(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok() && get(address, "/health/liveliness").starts_with("HTTP/1.1 200 ")
}
