//! What programs make of `/openapi.json`: a tool that looks for lies in it, and a generator of clients.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::json;

use crate::support::bundle::fixtures;
use crate::support::{Client, Server, Setup};

/// How often each operation is tried in each phase; with it, both tokens are done within some minutes.
const EXAMPLES: &str = "20";
/// How long a run may take altogether, in seconds.
const SECONDS: &str = "120";

/// `PLEXICHAT_TEST_PYTHON` names a Python that has the packages; `cargo xtask test --test api` makes one.
fn tool(name: &str) -> Command {
    let python = PathBuf::from(std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON"));
    Command::new(python.with_file_name(name))
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The seed of a run: printed, and taken from `PLEXICHAT_TEST_SEED` where that is set.
fn seed() -> String {
    let seed = std::env::var("PLEXICHAT_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    println!("seed: {seed} (set PLEXICHAT_TEST_SEED for another)");
    seed
}

/// Every check of schemathesis against a bundle, or against those of its addresses that fit a pattern: no server error, no status
/// and no shape that the document does not tell of.
async fn check(server: &Server, token: &str, only: Option<&'static str>) {
    let (server_address, token) = (server.address, token.to_owned());
    let ran = tokio::task::spawn_blocking(move || {
        let config = crate::tidy::root().join("tests/api/schemathesis.toml");
        let mut schemathesis = tool("schemathesis");
        schemathesis.arg("--config-file").arg(config);
        schemathesis.arg("run").arg(format!("http://{server_address}/openapi.json"));
        schemathesis.arg("--header").arg(format!("Authorization: Bearer {token}"));
        schemathesis.args(["--checks", "all", "--max-examples", EXAMPLES, "--max-time", SECONDS, "--seed", &seed()]);
        schemathesis.args(["--request-timeout", "20", "--continue-on-failure", "--no-color", "--warnings", "off"]);
        if let Some(pattern) = only {
            schemathesis.arg("--include-path-regex").arg(pattern);
        }
        schemathesis.output().unwrap()
    });
    let output = ran.await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let told = told(&output);
    assert!(told.contains("No issues found") || told.contains("passed"), "it tested nothing: {told}");
    server.client().get("/readyz").await.expect(200);
}

/// A server that does not wonder at so many bad tokens from one address; `tests/` elsewhere look at that.
fn setup() -> Setup {
    Setup::new().config("[server.accounts]\nbad_tokens_per_minute = 1000000\n")
}

async fn user_token(client: &Client) -> String {
    let made = client.post("/api/v1/tokens", json!({ "user": "tester" })).await.expect(201);
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `schemathesis`"]
async fn schemathesis_finds_nothing_with_a_users_token() {
    let server = setup().start();
    let token = user_token(&server.client()).await;
    check(&server, &token, None).await;
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `schemathesis`"]
async fn schemathesis_finds_nothing_with_an_administrators_token() {
    let server = setup().start();
    let token = server.token();
    check(&server, &token, None).await;
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `schemathesis`"]
async fn schemathesis_finds_nothing_in_routes_of_every_kind() {
    let plugin = "[plugins.switchboard]\nenabled = true\nroute_rate = 1000000\n[plugins.switchboard.config]\nsecret = \"s3cret\"\n";
    let limits = "[server.accounts]\nbad_tokens_per_minute = 1000000\n";
    let server = Setup::of(fixtures()).config(&format!("{limits}{plugin}")).start();
    for token in [user_token(&server.client()).await, server.token()] {
        check(&server, &token, Some("^/api/v1/plugins/switchboard/")).await;
    }
}

#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `openapi-python-client`"]
async fn a_generated_client_talks() {
    let setup = Setup::new();
    let server = setup.start();
    let document = setup.folder().join("openapi.json");
    std::fs::write(&document, server.client().get("/openapi.json").await.text()).unwrap();
    let folder = setup.folder().join("client");
    let config = setup.folder().join("generator.yaml");
    std::fs::write(&config, "package_name_override: plexichat_client\npost_hooks: []\n").unwrap();
    let (token, address) = (server.token(), server.address.to_string());
    let ran = tokio::task::spawn_blocking(move || {
        let mut generate = tool("openapi-python-client");
        generate.arg("generate").arg("--path").arg(document).arg("--config").arg(config);
        let made =
            generate.args(["--meta", "none", "--overwrite", "--output-path"]).arg(folder.join("plexichat_client"));
        let made = made.output().unwrap();
        assert!(made.status.success(), "{}", told(&made));
        let script = crate::tidy::root().join("tests/api/generated.py");
        tool("python").arg(script).arg(folder).args([&address, &token]).output().unwrap()
    });
    let output = tokio::time::timeout(Duration::from_secs(120), ran).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello from a generated client");
}
