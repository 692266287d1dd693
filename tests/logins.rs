//! Scanners that judge who signs in: one that objects, one that fails, and that nobody is locked out for ever.

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{Client, Server, Setup, bundle};

const PASSWORD: &str = "correct horse battery staple";

fn server(mood: &str) -> Server {
    let config = format!(
        "[server.accounts]\nregistration = \"open\"\n[plugins.moody.config]\nword = \"mallory\"\nmood = \"{mood}\"\n"
    );
    let server = Setup::of(bundle::fixtures()).config(&config).start();
    for act in ["install", "enable"] {
        server.cli_ok(&["plugin", act, "moody"]);
    }
    server
}

async fn make(server: &Server, name: &str) {
    server.client().post("/api/v1/users", json!({ "name": name, "password": PASSWORD })).await.expect(201);
}

async fn sign_in(client: &Client, name: &str, password: &str) -> Answer {
    client.post("/api/v1/auth/login", json!({ "name": name, "password": password })).await
}

fn error(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json()["error"]["code"].clone())
}

#[tokio::test]
async fn who_is_rejected_learns_nothing_of_the_password() {
    let server = server("calm");
    make(&server, "mallory").await;
    make(&server, "ann").await;
    let visitor = server.client().with_token(None);
    let right = sign_in(&visitor, "mallory", PASSWORD).await;
    let wrong = sign_in(&visitor, "mallory", "something else").await;
    assert_eq!(error(&right), (403, json!("login_rejected")), "{}", right.text());
    let message = |answer: &Answer| answer.json()["error"]["message"].clone();
    assert_eq!((error(&right), message(&right)), (error(&wrong), message(&wrong)));
    assert!(!right.text().contains("moody"), "what judged it is the operator's to know: {}", right.text());
    assert_eq!(sign_in(&visitor, "ann", PASSWORD).await.status, 200);
    let registered = visitor.post("/api/v1/auth/register", json!({ "name": "mallory2", "password": PASSWORD })).await;
    assert_eq!(error(&registered), (403, json!("login_rejected")));
    let found = server.client().get("/api/v1/users?name=mallory2").await.expect(200);
    assert_eq!(found["users"], json!([]), "no account was made");

    let rows = server.client().get("/api/v1/audit?action=user.login_failed").await.expect(200);
    let row = &rows["rows"].as_array().unwrap().iter().find(|row| row["subject"] == "mallory").expect("a row");
    assert_eq!(row["detail"]["reason"], "rejected", "{rows}");
    server.wait_for_log(&["INFO", "moody", "mallory", "was rejected"]);
}

#[tokio::test]
async fn a_broken_scanner_keeps_passwords_out_and_no_administrator() {
    let server = server("fail");
    let admin = server.client();
    let name = "mallory";
    make(&server, name).await;
    let visitor = admin.with_token(None);
    let refused = sign_in(&visitor, name, PASSWORD).await;
    assert_eq!(error(&refused), (503, json!("scanner_unavailable")), "{}", refused.text());
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    let registered = visitor.post("/api/v1/auth/register", json!({ "name": "mallory2", "password": PASSWORD })).await;
    assert_eq!(error(&registered), (503, json!("scanner_unavailable")));

    // A token needs no login: whoever has one switches the scanner off.
    let shown = server.cli_ok(&["plugin", "disable", "moody"]);
    assert!(shown.contains("moody"), "{shown}");
    assert_eq!(sign_in(&visitor, name, PASSWORD).await.status, 200);
}
