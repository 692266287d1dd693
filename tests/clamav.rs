//! Debian's `clamav-daemon` behind the antivirus, with a few signatures of our own: what it knows is refused, and while it is
//! not there nothing is let through.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plexichat::canary::Canary;
use serde_json::json;

use crate::antivirus::{last_finding, upload, upload_until};
use crate::support::{Client, Server, Setup};

/// clamd, from the packages or from the path; it is no command for everybody.
fn clamd() -> Command {
    let packaged = Path::new("/usr/sbin/clamd");
    Command::new(if packaged.exists() { packaged } else { Path::new("clamd") })
}

/// A daemon in a folder of its own, away from the system's. Dropping it kills it.
struct Clamd {
    child: Child,
    socket: PathBuf,
    port: u16,
}

impl Clamd {
    fn start(folder: &Path, port: u16) -> Self {
        let (database, socket) = (folder.join("signatures"), folder.join("clamd.ctl"));
        std::fs::create_dir_all(&database).unwrap();
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let eicar = hex(&Canary::eicar_text());
        let marker = hex("a marker that only our signatures know");
        let signatures = format!("Own.Eicar:0:*:{eicar}\nOwn.Marker:0:*:{marker}\n");
        std::fs::write(database.join("own.ndb"), signatures).unwrap();
        let _ = std::fs::remove_file(&socket);
        let config = folder.join("clamd.conf");
        let text = format!(
            "Foreground yes\nDatabaseDirectory {}\nLocalSocket {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\n\
             DisableCache yes\nStreamMaxLength 8M\nTemporaryDirectory {}\n",
            database.display(),
            socket.display(),
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.join("clamd.log")).unwrap();
        let mut command = clamd();
        command.arg("--config-file").arg(&config).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let daemon = Self { child, socket, port };
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(&daemon.socket).is_err() {
            let told = || std::fs::read_to_string(folder.join("clamd.log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "clamd does not listen:\n{}", told());
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn started(host: &str, address: &str) -> (Server, Client, String) {
    let setup = Setup::new().config(&format!(
        "[plugins.antivirus]\nhosts = [\"{host}\"]\nprivate_network = true\n\
         [plugins.antivirus.config]\nyara.builtin = false\nclamd.address = \"{address}\"\n"
    ));
    let server = setup.start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs clamd, of Debian's `clamav-daemon`"]
async fn clamd_names_what_it_knows_over_both_kinds_of_socket() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Clamd::start(folder.path(), free_port());
    let socket = daemon.socket.display().to_string();
    let tcp = format!("127.0.0.1:{}", daemon.port);
    for (host, address) in
        [(format!("unix:{socket}"), format!("unix://{socket}")), (tcp.clone(), format!("tcp://{tcp}"))]
    {
        let (_server, client, room) = started(&host, &address).await;
        upload(&client, &room, "eicar.com", Canary::eicar_text()).await.error(422, "rejected");
        assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["Own.Eicar.UNOFFICIAL"]));
        let marked = [vec![b'.'; 1 << 20], b"a marker that only our signatures know".to_vec()].concat();
        upload(&client, &room, "marked.bin", marked).await.error(422, "rejected");
        assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["Own.Marker.UNOFFICIAL"]));
        upload(&client, &room, "clean.bin", vec![b'.'; 4 << 20]).await.expect(201);
        // More than its own StreamMaxLength: it says so in the middle of the stream, and hangs up.
        upload(&client, &room, "large.bin", vec![b'.'; 20 << 20]).await.error(413, "too_large_to_scan");
        upload(&client, &room, "clean.txt", "after that").await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs clamd, of Debian's `clamav-daemon`"]
async fn clamd_killed_in_the_middle_closes_the_road_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Clamd::start(folder.path(), free_port());
    let (socket, port) = (daemon.socket.display().to_string(), daemon.port);
    let (server, client, room) = started(&format!("unix:{socket}"), &format!("unix://{socket}")).await;
    upload(&client, &room, "clean.txt", "clean").await.expect(201);

    // It takes the connection and says nothing: then it is killed, with the file half sent.
    daemon.signal(rustix::process::Signal::STOP);
    let (other, lobby) = (client.clone(), room.clone());
    let waiting = tokio::spawn(async move { upload(&other, &lobby, "half.bin", vec![b'.'; 4 << 20]).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waiting.is_finished(), "it waits for clamd");
    daemon.signal(rustix::process::Signal::KILL);
    waiting.await.unwrap().error(503, "scanner_unavailable");
    server.wait_for_log(&["antivirus", "clamd"]);
    upload(&client, &room, "clean.txt", "clean").await.error(503, "scanner_unavailable");
    drop(daemon);

    let _daemon = Clamd::start(folder.path(), port);
    upload_until(&client, &room, "clean.txt", b"clean", 201).await;
    upload(&client, &room, "eicar.com", Canary::eicar_text()).await.error(422, "rejected");
    assert_eq!(last_finding(&client).await["finding"]["threats"], json!(["Own.Eicar.UNOFFICIAL"]));
}
