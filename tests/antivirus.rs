//! The antivirus of the bundle from outside: what is uploaded and posted is judged by its rules, its lists and a clamd. The
//! daemon of Debian is asked in `clamav.rs`; the one here is a stand-in that can be killed at will.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use plexichat::canary::Canary;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::support::client::Answer;
use crate::support::server::PATIENCE;
use crate::support::{Client, Server, Setup};

/// SHA-256 of EICAR's test file.
const EICAR_SHA256: &str = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f";
/// And the sum that zip archives use.
const EICAR_CRC32: u32 = 0x6851_cf3c;

pub(crate) async fn upload(client: &Client, room: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Answer {
    let request = Request::post(format!("/api/v1/rooms/{room}/files?name={name}"));
    let request = request.header("content-type", "application/octet-stream").body(bytes.into()).unwrap();
    client.send(request).await.unwrap_or_else(|error| panic!("upload {name}: {error}"))
}

/// What moderators see of the file that was held back last: who found what, and where.
pub(crate) async fn last_finding(client: &Client) -> Value {
    let held = client.get("/api/v1/quarantine/files").await.expect(200);
    let newest = held["files"].as_array().unwrap().iter().max_by_key(|held| held["file"]["id"].to_string()).unwrap();
    newest["findings"][0].clone()
}

/// Uploads until it is answered so: rules are read every second, a scanner recovers within moments.
pub(crate) async fn upload_until(client: &Client, room: &str, name: &str, bytes: &[u8], status: u16) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = upload(client, room, name, bytes).await;
        if answer.status.as_u16() == status {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "not {status}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn started(setup: &Setup) -> (Server, Client, String) {
    let server = setup.start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

/// A zip archive with EICAR's test file in it, stored as it is.
fn zip_of_eicar(name: &str) -> Vec<u8> {
    let bytes = Canary::eicar_text().into_bytes();
    let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    for number in [EICAR_CRC32, bytes.len() as u32, bytes.len() as u32] {
        common.extend_from_slice(&number.to_le_bytes());
    }
    common.extend_from_slice(&(name.len() as u16).to_le_bytes());
    common.extend_from_slice(&[0, 0]);
    let mut archive = [b"PK\x03\x04", &*common, name.as_bytes(), &bytes].concat();
    let start = archive.len() as u32;
    let directory = [b"PK\x01\x02\x14\x00", &*common, &[0; 14], name.as_bytes()].concat();
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    archive.extend_from_slice(&start.to_le_bytes());
    archive.extend_from_slice(&[0, 0]);
    archive
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_it_comes_it_finds_the_test_file_and_names_that_deceive() {
    let (_server, client, room) = started(&Setup::new()).await;
    let infected = [vec![b'.'; 100_000], Canary::eicar_text().into_bytes()].concat();
    upload(&client, &room, "a.bin", infected).await.error(422, "rejected");
    let finding = last_finding(&client).await;
    assert_eq!(
        (&finding["plugin"], &finding["finding"]["threats"]),
        (&json!("antivirus"), &json!(["EICAR_Test_File"]))
    );

    upload(&client, &room, "invoice.pdf.exe", "x").await.error(422, "rejected");
    assert_eq!(last_finding(&client).await["finding"]["code"], "deceptive_name");
    // A program with a picture's name: its first bytes and where they say that its head is.
    let mut program = vec![0; 0x80];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 0x40;
    program[0x40..0x44].copy_from_slice(b"PE\0\0");
    upload(&client, &room, "photo.jpg", program).await.error(422, "rejected");
    assert_eq!(last_finding(&client).await["finding"]["code"], "deceptive_name");
    upload(&client, &room, "photo.jpg", b"\xff\xd8\xff\xe0 a picture".to_vec()).await.expect(201);

    let path = format!("/api/v1/rooms/{room}/messages");
    let refused = client.post(&path, json!({ "text": "log in at https://xn--80ak6aa92e.com" })).await;
    assert_eq!(refused.error(422, "rejected")["details"][0]["message"], "lookalike_link");
    client.post(&path, json!({ "text": "see https://example.org" })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_block_list_looks_into_archives() {
    let config = format!(
        "[plugins.antivirus.config]\nyara.builtin = false\nhashes.blocked = [\"{EICAR_SHA256} Eicar.Listed\"]\n\
         archives.unscannable = \"reject\"\n"
    );
    let (_server, client, room) = started(&Setup::new().config(&config)).await;
    for (name, bytes, place) in [
        ("eicar.com", Canary::eicar_text().into_bytes(), ""),
        ("eicar.zip", zip_of_eicar("deep/in/eicar.com"), "in `deep/in/eicar.com`: "),
    ] {
        upload(&client, &room, name, bytes).await.error(422, "rejected");
        let finding = last_finding(&client).await["finding"].clone();
        assert_eq!(finding["threats"], json!(["Eicar.Listed"]));
        assert_eq!(finding["detail"], format!("{place}its SHA-256 is on the block list"));
    }
    let mut locked = zip_of_eicar("secret.txt");
    // In the entry's own head, and in the directory's.
    let directory = locked.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    locked[6] |= 1;
    locked[directory + 8] |= 1;
    upload(&client, &room, "locked.zip", locked).await.error(422, "rejected");
    let finding = last_finding(&client).await["finding"].clone();
    assert_eq!((&finding["code"], &finding["detail"]), (&json!("unscannable"), &json!("an entry is encrypted")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_read_again_while_it_runs() {
    let setup = Setup::new();
    let rules = setup.folder().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("own.yar"), "rule First { strings: $a = \"first\" condition: $a }").unwrap();
    let setup = setup.config(&format!(
        "[plugins.antivirus]\ndirectories = [{rules:?}]\n[plugins.antivirus.config]\nyara.directory = {rules:?}\nreload.secs = 1\n"
    ));
    let (server, client, room) = started(&setup).await;
    upload(&client, &room, "a.txt", "first").await.error(422, "rejected");
    assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["First"]));
    upload(&client, &room, "b.txt", "second").await.expect(201);

    std::fs::write(rules.join("own.yar"), "rule First {\n  condition:\n    nothing\n}").unwrap();
    server.wait_for_log(&["own.yar:3:5: error: unknown identifier", "its rules from before go on"]);
    upload(&client, &room, "a.txt", "first").await.error(422, "rejected");

    std::fs::write(rules.join("own.yar"), "rule Second { strings: $a = \"second\" condition: $a }").unwrap();
    upload_until(&client, &room, "b.txt", b"second", 422).await;
    assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["Second"]));
    upload(&client, &room, "a.txt", "first").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_not_granted_is_told_and_nothing_is_let_through() {
    let setup = Setup::new();
    let rules = setup.folder().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("own.yar"), "rule A { condition: true }").unwrap();
    let setup = setup.config(&format!("[plugins.antivirus.config]\nyara.directory = {rules:?}\n"));
    let (server, client, room) = started(&setup).await;
    upload(&client, &room, "a.txt", "x").await.error(503, "scanner_unavailable");
    let shown = server.cli_ok(&["plugin", "info", "antivirus"]);
    assert!(shown.contains("yara.directory") && shown.contains("`directories` of `[plugins.antivirus]`"), "{shown}");

    // A link that leads out of what is granted is no way in either.
    let elsewhere = setup.folder().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(rules.join("own.yar"), elsewhere.join("own.yar")).unwrap();
    drop(server);
    let setup = Setup::new().config(&format!(
        "[plugins.antivirus]\ndirectories = [{elsewhere:?}]\n[plugins.antivirus.config]\nyara.directory = {elsewhere:?}\n"
    ));
    let (_server, client, room) = started(&setup).await;
    upload(&client, &room, "a.txt", "x").await.expect(201);
}

/// A daemon that speaks as clamd does, and knows one word.
struct StandIn {
    dies: Arc<AtomicBool>,
    listening: Vec<tokio::task::JoinHandle<()>>,
}

impl StandIn {
    async fn start(path: &PathBuf, port: u16) -> Self {
        let dies = Arc::new(AtomicBool::new(false));
        let (unix, tcp) = (UnixListener::bind(path).unwrap(), TcpListener::bind(("127.0.0.1", port)).await.unwrap());
        let (over_unix, over_tcp) = (dies.clone(), dies.clone());
        let listening = vec![
            tokio::spawn(async move {
                while let Ok((stream, _)) = unix.accept().await {
                    tokio::spawn(talk(stream, over_unix.clone()));
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = tcp.accept().await {
                    tokio::spawn(talk(stream, over_tcp.clone()));
                }
            }),
        ];
        Self { dies, listening }
    }

    /// Ends, and lets go of its addresses.
    async fn stop(self) {
        for listening in self.listening {
            listening.abort();
            let _ = listening.await;
        }
    }
}

/// One conversation. Where it is to die it goes after the first chunk.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, dies: Arc<AtomicBool>) -> Option<()> {
    let mut command = Vec::new();
    while command.last() != Some(&0) {
        command.push(stream.read_u8().await.ok()?);
    }
    if command != b"zINSTREAM\0" {
        stream.write_all(b"ClamAV stand-in\0").await.ok()?;
        return Some(());
    }
    let mut bytes = Vec::new();
    loop {
        let length = stream.read_u32().await.ok()? as usize;
        if length == 0 {
            break;
        }
        let start = bytes.len();
        bytes.resize(start + length, 0);
        stream.read_exact(&mut bytes[start..]).await.ok()?;
        if dies.load(Ordering::Relaxed) {
            return None;
        }
    }
    let evil = bytes.windows(4).any(|window| window == b"EVIL");
    stream.write_all(if evil { b"stream: Stand.In.Evil FOUND\0".as_slice() } else { b"stream: OK\0" }).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_of_clamd_nothing_is_let_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clamd.ctl");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (host, address, private) in [
        (format!("unix:{}", path.display()), format!("unix://{}", path.display()), false),
        (format!("127.0.0.1:{port}"), format!("tcp://127.0.0.1:{port}"), true),
    ] {
        let daemon = StandIn::start(&path, port).await;
        let setup = Setup::new().config(&format!(
            "[plugins.antivirus]\nhosts = [\"{host}\"]\nprivate_network = {private}\n\
             [plugins.antivirus.config]\nclamd.address = \"{address}\"\n"
        ));
        let (server, client, room) = started(&setup).await;
        let infected = [vec![b'.'; 3_000_000], b"EVIL".to_vec()].concat();
        upload(&client, &room, "a.bin", infected.clone()).await.error(422, "rejected");
        assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["Stand.In.Evil"]));
        upload(&client, &room, "b.bin", vec![b'.'; 3_000_000]).await.expect(201);

        daemon.dies.store(true, Ordering::Relaxed);
        let refused = upload(&client, &room, "b.bin", vec![b'.'; 3_000_000]).await;
        refused.error(503, "scanner_unavailable");
        assert!(refused.headers.contains_key("retry-after"));
        server.wait_for_log(&["antivirus", "clamd"]);
        daemon.stop().await;
        let _ = std::fs::remove_file(&path);
        upload(&client, &room, "b.bin", "fine").await.error(503, "scanner_unavailable");

        let daemon = StandIn::start(&path, port).await;
        upload_until(&client, &room, "b.bin", b"fine", 201).await;
        upload(&client, &room, "a.bin", infected).await.error(422, "rejected");
        daemon.stop().await;
        let _ = std::fs::remove_file(&path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_was_not_named_is_not_reached() {
    let setup = Setup::new();
    let path = setup.folder().join("clamd.ctl");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let _daemon = StandIn::start(&path, port).await;
    let address = format!("unix://{}", path.display());
    let setup = setup.config(&format!("[plugins.antivirus.config]\nclamd.address = \"{address}\"\n"));
    let (server, client, room) = started(&setup).await;
    upload(&client, &room, "a.txt", "x").await.error(503, "scanner_unavailable");
    server.wait_for_log(&["clamd.ctl` in `hosts` of `[plugins.antivirus]`"]);
}
