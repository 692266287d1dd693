//! Files against the built binary: what scanners make of them, what a crash and a full disk leave.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use hyper::Request;
use plexichat::canary::Canary;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::client::Answer;
use crate::support::server::PATIENCE;
use crate::support::{Client, Server, Setup, bundle};

const MIB: usize = 1 << 20;

impl Client {
    async fn upload(&self, room: &str, name: &str, bytes: Vec<u8>) -> Answer {
        let request = Request::post(format!("/api/v1/rooms/{room}/files?name={name}"));
        let request = request.header("content-type", "application/octet-stream").body(bytes).unwrap();
        self.send(request).await.unwrap_or_else(|error| panic!("upload {name}: {error}"))
    }

    async fn post_file(&self, room: &str, file: &Value) -> Answer {
        let path = format!("/api/v1/rooms/{room}/messages");
        self.post(&path, json!({ "text": "look", "attachments": [file] })).await
    }

    async fn file(&self, file: &Value, more: &str) -> Answer {
        self.get(&format!("/api/v1/files/{}{more}", file.as_str().unwrap())).await
    }

    async fn used_bytes(&self) -> u64 {
        self.get("/api/v1/files").await.expect(200)["used_bytes"].as_u64().unwrap()
    }

    /// The files that are held back.
    async fn held(&self) -> Vec<Value> {
        self.get("/api/v1/quarantine/files").await.expect(200)["files"].as_array().unwrap().clone()
    }

    async fn file_where(&self, file: &Value, state: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let info = self.file(file, "/info").await.expect(200);
            if info["state"] == state {
                return info;
            }
            assert!(tokio::time::Instant::now() < deadline, "it does not become {state}: {info}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How many files there are in a folder of the data directory's files.
fn files_in(setup: &Setup, folder: &str) -> usize {
    std::fs::read_dir(setup.data_dir().join("files").join(folder)).map_or(0, Iterator::count)
}

async fn with(config: &str) -> (Server, Client, String) {
    let server = Setup::of(bundle::fixtures()).config(config).start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

/// EICAR's test file within other bytes, so that it stands across two pieces of what a scanner reads.
fn infected() -> Vec<u8> {
    let mut bytes = vec![b'.'; 64 * 1024 - 30];
    bytes.extend_from_slice(Canary::eicar_text().as_bytes());
    bytes.extend_from_slice(&[b'.'; 1000]);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_infected_file_is_rejected_and_waits_in_quarantine() {
    let (server, client, room) = with("[plugins.eicar]\nenabled = true\n").await;
    let clean = client.upload(&room, "clean.txt", b"hello".to_vec()).await.expect(201);
    assert_eq!(clean["state"], "clean");

    let refused = client.upload(&room, "virus.com", infected()).await.error(422, "rejected");
    assert_eq!(refused["details"][0]["message"], "virus");
    assert_eq!((files_in(server.setup(), "quarantine"), files_in(server.setup(), "spool")), (1, 0));

    // Moderators see what it is and why; nobody gets it.
    let held = client.held().await;
    assert_eq!(held.len(), 1, "{held:?}");
    let (id, finding) = (held[0]["file"]["id"].clone(), &held[0]["findings"][0]);
    assert_eq!((&held[0]["file"]["name"], &held[0]["file"]["state"]), (&json!("virus.com"), &json!("quarantined")));
    assert_eq!((&finding["plugin"], &finding["finding"]["threats"][0]), (&json!("eicar"), &json!("EICAR-Test-File")));
    client.file(&id, "").await.error(403, "forbidden");
    client.post_file(&room, &id).await.error(422, "attachment_infected");
    let audit = client.get("/api/v1/audit").await.expect(200).to_string();
    assert!(audit.contains("file.upload") && audit.contains("quarantined"), "{audit}");

    // Restarting changes nothing; a moderator does.
    let server = server.restart();
    let client = server.client();
    client.file(&id, "").await.error(403, "forbidden");
    let path = |act: &str| format!("/api/v1/quarantine/files/{}/{act}", id.as_str().unwrap());
    assert_eq!(client.post(&path("release"), Value::Null).await.expect(200)["state"], "clean");
    assert_eq!(client.file(&id, "").await.body, infected());
    client.post(&path("reject"), Value::Null).await.error(409, "not_quarantined");
    assert_eq!(files_in(server.setup(), "quarantine"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moderator_rejects_for_good() {
    let (server, client, room) = with("[plugins.eicar]\nenabled = true\n").await;
    client.upload(&room, "virus.com", infected()).await.error(422, "rejected");
    let id = client.held().await[0]["file"]["id"].clone();
    let path = format!("/api/v1/quarantine/files/{}/reject", id.as_str().unwrap());
    assert_eq!(client.post(&path, Value::Null).await.status.as_u16(), 204);
    client.file(&id, "/info").await.error(404, "file_not_found");
    assert!(client.held().await.is_empty());
    // The bytes go soon after, and then they count no more.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while client.used_bytes().await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the bytes stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(files_in(server.setup(), "quarantine"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_larger_than_its_scanner_takes_goes_by_the_policy() {
    let large = vec![0; 60 * MIB];
    let (server, client, room) = with("[plugins.eicar]\nenabled = true\n").await;
    client.upload(&room, "large.bin", large.clone()).await.error(413, "too_large_to_scan");
    assert_eq!((client.used_bytes().await, files_in(server.setup(), "spool")), (0, 0), "closed: nothing is kept");
    drop(server);

    let held = "[plugins.eicar]\nenabled = true\n[plugins.eicar.hooks.scan_file]\non_error = \"quarantine\"\n";
    let (_server, client, room) = with(held).await;
    let kept = client.upload(&room, "large.bin", large).await.expect(202);
    assert_eq!(kept["state"], "quarantined", "scanning it later would not help: a moderator has to look");
    client.file(&kept["id"], "").await.error(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_that_fails_closes_the_road() {
    for mood in ["fail", "panic", "hang"] {
        let config = format!("[plugins.moody]\nenabled = true\n[plugins.moody.config]\nmood = \"{mood}\"\n");
        let (server, client, room) = with(&config).await;
        let refused = client.upload(&room, "a.txt", b"this is forbidden".to_vec()).await;
        refused.error(503, "scanner_unavailable");
        assert!(refused.headers.contains_key("retry-after"), "{mood}");
        assert_eq!((client.used_bytes().await, files_in(server.setup(), "spool")), (0, 0), "{mood}: nothing is kept");
        assert!(client.held().await.is_empty(), "{mood}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_waits_for_a_scanner_and_is_judged_once_it_is_back() {
    let config = |mood: &str| {
        format!(
            "[plugins.moody]\nenabled = true\n[plugins.moody.config]\nmood = \"{mood}\"\n\
             [plugins.moody.hooks.scan_file]\non_error = \"quarantine\"\n"
        )
    };
    let (server, client, room) = with(&config("fail")).await;
    let waiting = client.upload(&room, "a.txt", b"this is forbidden".to_vec()).await.expect(202);
    assert_eq!(waiting["state"], "pending");
    let id = waiting["id"].clone();
    client.file(&id, "").await.error(409, "file_pending");
    client.post_file(&room, &id).await.error(409, "attachment_pending");

    let setup = server.kill().config(&config("calm"));
    let server = setup.start();
    let client = server.client();
    client.file_where(&id, "quarantined").await;
    assert_eq!(files_in(server.setup(), "quarantine"), 1);
    client.post_file(&room, &id).await.error(422, "attachment_infected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_an_upload_leaves_nothing() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    let kept = client.upload(&room, "kept.txt", b"kept".to_vec()).await.expect(201);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v1/rooms/{room}/files?name=half.bin HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        server.address,
        server.token(),
        10 * MIB
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![7; MIB]).await.unwrap();
    let spool = server.setup().data_dir().join("files/spool");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !has_bytes(&spool) {
        assert!(tokio::time::Instant::now() < deadline, "nothing is spooled");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let server = server.kill_and_restart();
    let client = server.client();
    assert_eq!(files_in(server.setup(), "spool"), 0);
    let list = client.get("/api/v1/files").await.expect(200);
    assert_eq!((list["files"].as_array().unwrap().len(), &list["used_bytes"]), (1, &json!(4)), "{list}");
    assert_eq!(client.file(&kept["id"], "").await.body, &b"kept"[..]);
    server.wait_for_log(&["INFO", "removed what uploads had begun"]);
}

fn has_bytes(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    files.flatten().any(|file| file.metadata().is_ok_and(|found| found.len() > 0))
}

/// Fault 42: the disk is full during an upload. The largest file that the process may write stands in for the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_an_upload_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("plexichat");
    let binary = env!("CARGO_BIN_EXE_plexichat");
    // In blocks of 512 bytes: 4 MiB. Without the trap the process would be killed where an error is meant.
    let text = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 8192\nexec '{binary}' \"$@\"\n");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = Setup::of(&script).start();
    let client = server.client();
    let room = client.room("lobby").await;
    client.upload(&room, "large.bin", vec![7; 6 * MIB]).await.error(507, "storage_full");
    assert_eq!((client.used_bytes().await, files_in(server.setup(), "spool")), (0, 0));
    client.say(&room, "still here").await;
    let small = client.upload(&room, "small.bin", vec![7; MIB]).await.expect(201);
    assert_eq!(client.file(&small["id"], "").await.body.len(), MIB);
}
