//! The files that plugins embed, from the built server: the status page's own, and whatever else an address might be made to mean.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{Client, Setup};

const PAGE: &str = "/ui/status-page/ui/status.html";
const SCRIPT: &str = "/ui/status-page/ui/status.js";

async fn ask(client: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.request_with(method, path, &Value::Null, headers).await.unwrap()
}

fn source(path: &str) -> Vec<u8> {
    std::fs::read(crate::tidy::root().join("plugins/status-page").join(path)).unwrap()
}

#[tokio::test]
async fn a_page_comes_with_its_type_and_its_policy_to_anybody() {
    let server = Setup::new().start();
    let nobody = server.client().with_token(None);
    let page = nobody.get(PAGE).await;
    assert_eq!((page.status.as_u16(), page.body.to_vec()), (200, source("ui/status.html")));
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let place = format!("http://{}", server.address);
    for part in [
        "sandbox allow-scripts allow-forms;",
        "default-src 'none';",
        &format!("script-src {place}/ui/status-page/ {place}/ui/-/bridge.js;"),
        &format!("style-src {place}/ui/status-page/;"),
        "form-action 'none';",
        "frame-ancestors 'self'",
    ] {
        assert!(policy.contains(part), "`{part}` is not in {policy}");
    }
    for (path, kind) in
        [(SCRIPT, "text/javascript; charset=utf-8"), ("/ui/status-page/ui/status.css", "text/css; charset=utf-8")]
    {
        assert_eq!(nobody.get(path).await.headers["content-type"], kind);
    }
}

#[tokio::test]
async fn a_tag_outlives_the_server_and_spares_the_file() {
    let server = Setup::new().start();
    let client = server.client();
    let first = ask(&client, "GET", SCRIPT, &[]).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.body.to_vec(), source("ui/status.js"));
    let packed = ask(&client, "GET", SCRIPT, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(packed.headers["vary"], "accept-encoding");
    assert!(packed.body.len() < first.body.len() / 2 && packed.body[..2] == [0x1f, 0x8b]);
    let head = ask(&client, "HEAD", SCRIPT, &[]).await;
    assert_eq!(
        (head.body.len(), head.headers["content-length"].to_str().unwrap()),
        (0, first.body.len().to_string().as_str())
    );

    let server = server.restart();
    let client = server.client();
    let known = ask(&client, "GET", SCRIPT, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
}

#[tokio::test]
async fn files_go_with_their_plugin_and_come_back() {
    let server = Setup::new().start();
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(client.get(PAGE).await.status.as_u16(), 200);
        client.post("/api/v1/plugins/status-page/disable", json!({})).await.expect(200);
        client.get(PAGE).await.error(404, "not_found");
        client.post("/api/v1/plugins/status-page/enable", json!({})).await.expect(200);
    }
}

/// Fault 69.
#[tokio::test]
async fn no_address_leads_out_of_the_table() {
    let server = Setup::new().start();
    let client = server.client();
    for path in [
        "/ui/status-page/../../etc/passwd",
        "/ui/status-page/ui/../Cargo.toml",
        "/ui/status-page/ui/../ui/status.html",
        "/ui/status-page/./ui/status.html",
        "/ui/status-page//ui/status.html",
        "/ui/status-page/ui//status.html",
        "/ui/status-page/%2e%2e/%2e%2e/etc/passwd",
        "/ui/status-page/ui/%2e%2e/ui/status.html",
        "/ui/status-page/ui%2fstatus.html",
        "/ui/status-page/ui%5cstatus.html",
        "/ui/status-page/ui\\status.html",
        "/ui/status-page/..\\..\\etc\\passwd",
        "/ui/status-page/ui/status.html%00",
        "/ui/status-page/ui/status.html%00.png",
        "/ui/status-page/ui/%73tatus.html",
        "/ui/status-page//etc/passwd",
        "/ui/status-page/%2Fetc%2Fpasswd",
        "/ui/status-page/file:///etc/passwd",
        "/ui/status-page/src/lib.rs",
        "/ui/status-page/locales/en.ftl",
        "/ui/status-page/ui",
        "/ui/status-page/",
        "/ui/../../etc/passwd",
        "/ui/echo/ui/status.html",
        "/ui/nobody/ui/status.html",
    ] {
        // As it stands here: a client of its own would tidy it up.
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address);
        let answer = client.raw(request.as_bytes(), Duration::from_secs(5)).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") || answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(
            !answer.contains("root:") && !answer.contains("<!doctype") && !answer.contains("[package]"),
            "{path}: {answer}"
        );
    }
    let nul = format!("GET {PAGE}\0 HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address);
    let answer = client.raw(nul.as_bytes(), Duration::from_secs(5)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    ask(&client, "POST", PAGE, &[]).await.error(405, "method_not_allowed");
}
