//! What operators do and what disks, locks and limits do to a server that runs: backup, doctor, events, and the faults of the
//! store that need the built binary. The disk that can be full or fail is `tests/fixtures/bundle/src/power.rs`.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kill::{CLIENTS, Sender, settled};
use crate::support::history::check;
use crate::support::load::UNLIMITED;
use crate::support::seed::Seed;
use crate::support::server::PATIENCE;
use crate::support::{Client, Server, Setup, bundle};

async fn send(client: &Client, room: &str, text: &str) -> u16 {
    let answer = client.request("POST", &format!("/api/v1/rooms/{room}/messages"), &json!({ "text": text })).await;
    answer.map_or(0, |answer| answer.status.as_u16())
}

/// A server over a disk that does what files beside the database say.
async fn over_a_disk() -> (Server, Client, String) {
    let server = Setup::of(bundle::fixtures()).config(UNLIMITED).environment("PLEXICHAT_POWER", "0:0").start();
    let client = server.client();
    let room = client.room("general").await;
    (server, client, room)
}

fn texts(history: &[Value]) -> Vec<&str> {
    history.iter().map(|row| row["text"].as_str().unwrap()).collect()
}

/// Fault 42: the disk is full. 507, nothing acknowledged, reading goes on, and it goes on without a restart.
#[tokio::test]
async fn fault_42_a_full_disk_is_told_and_recovered_from() {
    let (server, client, room) = over_a_disk().await;
    client.say(&room, "before").await;
    let full = server.setup().data_dir().join("disk-is-full");
    std::fs::write(&full, "").unwrap();
    let path = format!("/api/v1/rooms/{room}/messages");
    client.post(&path, json!({ "text": "lost" })).await.error(507, "storage_full");
    assert_eq!(texts(&client.history(&room).await), ["before"]);
    std::fs::remove_file(&full).unwrap();
    client.say(&room, "after").await;
    assert_eq!(texts(&client.history(&room).await), ["before", "after"]);
}

/// Fault 43: a sync fails. The write is not acknowledged, the server ends instead of trying again on the same file, and the
/// next start has everything that was acknowledged.
#[tokio::test]
async fn fault_43_a_failed_sync_ends_the_server() {
    let (server, client, room) = over_a_disk().await;
    client.say(&room, "before").await;
    let fails = server.setup().data_dir().join("disk-fails");
    std::fs::write(&fails, "").unwrap();
    let status = send(&client, &room, "lost").await;
    assert!(matches!(status, 0 | 503), "{status}");
    let setup = server.setup().clone();
    let ended = tokio::task::spawn_blocking(|| server.ended()).await.unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("the store cannot go on") && ended.stderr.contains("hint: "), "{ended:#?}");
    std::fs::remove_file(&fails).unwrap();
    let server = setup.start();
    let history = server.client().history(&room).await;
    // What was not acknowledged may be there or not.
    assert_eq!(texts(&history).first(), Some(&"before"), "{history:#?}");
}

/// Fault 44: another program holds the database's lock. What waits is refused after 10 s with 503, reading goes on, and once
/// the lock goes everything goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_44_a_lock_of_another_program_is_waited_for_and_then_told() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("general").await;
    client.say(&room, "before").await;
    let database = server.setup().data_dir().join("plexichat.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let refused = client.post(&format!("/api/v1/rooms/{room}/messages"), json!({ "text": "lost" })).await;
    refused.error(503, "storage_unavailable");
    assert!(began.elapsed() > Duration::from_secs(8), "it waited {:?} only", began.elapsed());
    assert_eq!(texts(&client.history(&room).await), ["before"]);
    other.execute_batch("ROLLBACK").unwrap();
    client.say(&room, "after").await;
    assert_eq!(texts(&client.history(&room).await), ["before", "after"]);
}

/// Processor time that a process has used.
fn used(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Fault 51: as many files as may be open are open. Accepting pauses without spinning, who is in is served, and it recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_51_without_free_files_it_waits_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let limited = folder.path().join("limited");
    let script = format!("#!/bin/sh\nulimit -n 64\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_plexichat"));
    std::fs::write(&limited, script).unwrap();
    std::fs::set_permissions(&limited, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Setup::of(&limited).config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("general").await;
    client.say(&room, "before").await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(std::net::TcpStream::connect(server.address).unwrap());
    }
    let before = used(server.id());
    client.say(&room, "in the crowd").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = used(server.id()) - before;
    assert!(spent < Duration::from_millis(600), "{spent:?} of 2 s were spent on waiting");
    drop(crowd);
    let recovered = server.client();
    recovered.say(&room, "after").await;
    assert_eq!(recovered.history(&room).await.len(), 3);
}

/// Fault 55: the process is stopped for longer than any patience and goes on. Nobody is switched off for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_55_a_stopped_process_goes_on_with_every_plugin() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("general").await;
    let message = client.say(&room, "/echo before").await;
    client.answer_to(&room, &message).await;
    // In the middle of what plugins do.
    for number in 0..20 {
        client.say(&room, &format!("/echo {number}")).await;
    }
    server.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(13)).await;
    server.signal(Signal::CONT);
    let client = server.client();
    let message = client.say(&room, "/echo after").await;
    client.answer_to(&room, &message).await;
    let list = client.get("/api/v1/plugins").await.expect(200);
    // Those that need a key or a model first do not run from the start.
    let running = |plugin: &&Value| plugin["state"] != "linked";
    let plugins: Vec<_> = list["plugins"].as_array().unwrap().iter().filter(running).collect();
    assert!(plugins.len() >= 4, "{list}");
    for plugin in plugins {
        assert_eq!((&plugin["state"], &plugin["breaker"]), (&json!("enabled"), &json!("closed")), "{plugin}");
    }
}

/// Fault 53: a backup taken under load, put back, has everything that was acknowledged before it, once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_53_a_backup_under_load_is_put_back_whole() {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let rooms = Arc::new(vec![client.room("a").await, client.room("b").await, client.room("c").await]);
    let clock = Instant::now();
    let load = |server: &Server| -> Vec<_> {
        let client = server.client();
        (0..CLIENTS)
            .map(|number| Sender::new(number, Seed::new(number as u64)).run(client.clone(), rooms.clone(), clock))
            .map(tokio::spawn)
            .collect()
    };
    let running = load(&server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let taken = clock.elapsed().as_micros() as u64;
    let archive = server.setup().folder().join("backup.tar");
    let shown = server.cli_ok(&["backup", archive.to_str().unwrap()]);
    assert!(shown.contains("backup.tar has 0 files"), "{shown}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let setup = server.kill();
    let mut sent = Vec::new();
    for sender in running {
        sent.extend(sender.await.unwrap().sent);
    }
    // The directory that is in use is not touched.
    let refused = setup.run(&["restore", archive.to_str().unwrap(), "--data-dir", setup.data_dir().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");

    let token = std::fs::read_to_string(setup.data_dir().join("admin-token")).unwrap();
    let other = Setup::new().config(UNLIMITED);
    let target = other.data_dir();
    std::fs::remove_dir(&target).unwrap();
    let restored = other.run(&["restore", archive.to_str().unwrap(), "--data-dir", target.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    std::fs::write(target.join("admin-token"), token).unwrap();
    let server = other.start();
    let held = settled(&server, &rooms).await;
    let later = sent.iter().filter(|sent| sent.ended > taken).map(|sent| sent.key.clone()).collect::<Vec<_>>();
    let kept: Vec<_> = sent.iter().filter(|sent| !later.contains(&sent.key)).cloned().collect();
    assert!(kept.len() > 20, "there was hardly any load");
    // What came after it is in it or not: all that counts is what was acknowledged before.
    let known: Vec<&str> = sent.iter().map(|sent| sent.text.as_str()).collect();
    let early: Vec<_> = held
        .into_iter()
        .filter(|held| {
            held.by_plugin || kept.iter().any(|sent| sent.text == held.text) || !known.contains(&&*held.text)
        })
        .collect();
    let violations: Vec<String> = check(&kept, &early, |_| false)
        .iter()
        .map(|violation| format!("{violation:?}"))
        .filter(|violation| {
            violation.starts_with("Lost") || violation.starts_with("Twice") || violation.starts_with("Differs")
        })
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
    let verified = server.cli_ok(&["audit", "verify"]);
    assert!(verified.contains("rows verified"), "{verified}");
}

/// The doctor says what is wrong and what to do, and its exit status says whether something is.
#[tokio::test]
async fn the_doctor_looks_and_says() {
    let server = Setup::new().start();
    let data = server.setup().data_dir();
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let doctor = |setup: &Setup, data: &Path| {
        let output = setup.run(&["doctor", "--json", "--data-dir", data.to_str().unwrap()]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code(), report)
    };
    let (code, report) = doctor(server.setup(), &data);
    assert_eq!(code, Some(0), "{report:#}");
    let checks: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    for check in ["settings", "clock", "open files", "data directory", "disk space", "database", "audit log", "server"]
    {
        assert!(checks.contains(&check), "{check} is not in {checks:?}");
    }
    let setup = server.kill();
    std::fs::write(data.join("plexichat.db"), "this is a letter to my aunt, and it is rather longer than a header")
        .unwrap();
    let (code, report) = doctor(&setup, &data);
    assert_eq!(code, Some(1), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let wrong = findings.iter().find(|finding| finding["grade"] == "wrong").unwrap();
    assert!(wrong["next"].as_str().unwrap().contains("restore a backup"), "{wrong}");
}

/// Who looks on sees what happens as it happens, without what people wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_seen_and_emitted() {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("general").await;
    let mut command = server.setup().command();
    command.args(["events", "tail", "--json", "--server", &format!("http://{}", server.address)]);
    command.env("PLEXICHAT_TOKEN", server.token()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tail = command.spawn().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let pipe = std::io::BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(pipe).map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let began = Instant::now();
    let mut seen = String::new();
    // It may look on a moment after the first messages.
    while !(seen.contains("\"message_received\"") && seen.contains("custom.report_ready")) {
        assert!(began.elapsed() < PATIENCE, "{seen}");
        client.say(&room, "words of people").await;
        let emitted = client.post("/api/v1/events", json!({ "name": "custom.report_ready", "data": { "n": 7 } })).await;
        assert_eq!(emitted.expect(202)["heard_by"], json!([]));
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
            seen.push_str(&line);
        }
    }
    assert!(!seen.contains("words of people"), "{seen}");
    let _ = tail.kill();
    let _ = tail.wait();
    client.post("/api/v1/events", json!({ "name": "user_message" })).await.error(422, "invalid_input");
    let listed = server.cli_ok(&["audit", "list", "--action", "event.emit"]);
    assert!(listed.contains("custom.report_ready"), "{listed}");
}
