//! What cannot work does not start: exit 78 within a second, with what is wrong and what to do, and nothing is harmed.

use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Setup;

/// Starts it and holds that it refuses: these words and a hint on stderr, nothing on stdout.
#[track_caller]
fn refuses(setup: &Setup, words: &[&str]) {
    let failed = setup.fail();
    assert_eq!(failed.status.code(), Some(78), "{failed:#?}");
    assert!(failed.took < Duration::from_secs(1), "{failed:#?}");
    assert_eq!(failed.stdout, "", "data goes to stdout, and there is none");
    says(&failed.stderr, words);
}

#[track_caller]
fn says(stderr: &str, words: &[&str]) {
    for word in words.iter().chain(&["error: ", "hint: "]) {
        assert!(stderr.contains(word), "{word:?} is not in\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn the_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(&Setup::new().argument("--listen").argument(&address), &[&address, "in use"]);
}

#[test]
fn the_address_is_not_ours() {
    refuses(&Setup::new().argument("--listen").argument("192.0.2.1:8080"), &["192.0.2.1:8080"]);
}

/// Fault 50: a second server on the same data.
#[test]
fn a_second_server_works_on_the_same_data() {
    let server = Setup::new().start();
    let path = server.setup().data_dir().display().to_string();
    refuses(server.setup(), &[&path, "in use by another server", &server.id().to_string()]);
    // The first is not disturbed, and its place is free once it is gone, however it went.
    let server = server.kill_and_restart();
    assert!(server.stop().status.success());
}

/// Fault 52: a data directory that is none.
#[test]
fn the_data_directory_is_a_file() {
    let setup = Setup::new();
    std::fs::remove_dir(setup.data_dir()).unwrap();
    std::fs::write(setup.data_dir(), "mine").unwrap();
    refuses(&setup, &[&setup.data_dir().display().to_string(), "not a directory"]);
    assert_eq!(std::fs::read_to_string(setup.data_dir()).unwrap(), "mine");
}

/// Fault 52: a data directory that cannot be made.
#[test]
fn the_data_directory_has_no_parent() {
    let setup = Setup::new();
    let missing = setup.folder().join("no/such/data").display().to_string();
    refuses(&setup.clone().argument("--data-dir").argument(&missing), &[&missing]);
}

/// Fault 52: a data directory without rights.
#[test]
fn the_data_directory_cannot_be_written() {
    let setup = Setup::new();
    let data = setup.data_dir();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555)).unwrap();
    std::fs::set_permissions(setup.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Root may write anywhere, so it steps down first; nobody else's folders are on the way to a copy in /tmp.
    let binary = setup.folder().join("plexichat");
    std::fs::copy(env!("CARGO_BIN_EXE_plexichat"), &binary).unwrap();
    let mut command = setup.command_of(&binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    says(&stderr, &[&data.display().to_string(), "ermission denied"]);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_database_is_no_database() {
    let setup = Setup::new();
    let database = setup.data_dir().join("plexichat.db");
    let garbage = "no database, but somebody's text\n".repeat(1000);
    std::fs::write(&database, &garbage).unwrap();
    refuses(&setup, &["plexichat.db", "not a database"]);
    assert_eq!(std::fs::read_to_string(&database).unwrap(), garbage, "it was left as it is");
}

/// Fault 45: a damaged database.
#[tokio::test]
async fn the_database_is_damaged() {
    let setup = stopped_server_with_messages().await;
    let database = setup.data_dir().join("plexichat.db");
    let before = std::fs::read(&database).unwrap();
    let middle = before.len() / 4096 / 2 * 4096;
    overwrite(&database, middle as u64, &[0xA5; 8192]);
    let failed = setup.fail();
    assert_eq!(failed.status.code(), Some(78), "{failed:#?}");
    says(&failed.stderr, &["plexichat.db", "damaged"]);
    assert_eq!(std::fs::metadata(&database).unwrap().len(), before.len() as u64, "no empty one took its place");
}

/// Fault 47: a database of a newer server.
#[tokio::test]
async fn the_database_is_of_a_newer_server() {
    let setup = stopped_server_with_messages().await;
    // SQLite keeps `user_version` in the header, at byte 60, big end first.
    overwrite(&setup.data_dir().join("plexichat.db"), 60, &999_u32.to_be_bytes());
    refuses(&setup, &["plexichat.db", "999", "newer"]);
}

async fn stopped_server_with_messages() -> Setup {
    let server = Setup::new().start();
    let client = server.client();
    let room = client.room("lobby").await;
    for number in 0..50 {
        client.say(&room, &format!("{number} {}", "text ".repeat(200))).await;
    }
    let setup = server.setup().clone();
    let stopped = server.stop();
    assert!(stopped.status.success(), "{stopped:?}");
    setup
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn the_arguments_are_wrong() {
    let setup = Setup::new();
    for arguments in [&["serve", "--no-such-flag"][..], &["no-such-command"], &["plugin", "lst"]] {
        let output = setup.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
