//! The antivirus as people meet it: on the test kit's real host, with a clamd of its own.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use plexichat::capability::sockets::SocketLink;
use plexichat::pipeline::{FileVerdict, Refusal};
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};
use plexichat_antivirus::Antivirus;

plexichat::compliance!(Antivirus);

const RULES: &str = "/etc/rules";

fn infected() -> FileVerdict {
    FileVerdict::Infected("antivirus".parse().expect("a name"))
}

fn unavailable(too_large: bool) -> FileVerdict {
    FileVerdict::Unavailable { plugin: "antivirus".parse().expect("a name"), too_large }
}

async fn threats(plugin: &RunningPlugin<Antivirus>, name: &str, bytes: impl Into<Vec<u8>>) -> TestResult<Vec<String>> {
    let report = plugin.scan_file(name, bytes).await?;
    Ok(report.findings.into_iter().flat_map(|(_, finding)| finding.threats).collect())
}

async fn health(plugin: &RunningPlugin<Antivirus>) -> TestResult<String> {
    Ok(match plugin.plugin()?.health().await {
        Health::Healthy => String::new(),
        Health::Degraded(why) => why,
        other => format!("{other:?}"),
    })
}

/// Lets the plugin look at its files once more.
async fn look_again(plugin: &RunningPlugin<Antivirus>) {
    plugin.clock().advance(Duration::from_secs(10));
    // It sleeps again once it has looked.
    for _ in 0..1000 {
        if plugin.clock().sleepers() > 0 {
            return;
        }
        // By the machine's clock: the plugin's stands still.
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it looks for too long");
}

#[plexichat::test]
async fn as_it_comes_it_knows_the_test_file_names_and_links() -> TestResult {
    let plugin = TestHost::new().start::<Antivirus>().await?;
    let eicar = Canary::eicar_text();
    for (before, after) in [(0, 0), (70_000, 70_000)] {
        let bytes = [vec![b'.'; before], eicar.clone().into_bytes(), vec![b'.'; after]].concat();
        let report = plugin.scan_file("a.com", bytes).await?;
        assert_eq!((report.verdict, &*report.findings[0].1.threats), (infected(), &["EICAR_Test_File".to_owned()][..]));
    }
    assert_eq!(plugin.scan_file("invoice.pdf.exe", "x").await?.findings[0].1.code, "deceptive_name");
    assert_eq!(plugin.scan_file("a.txt", vec![b'.'; 1 << 20]).await?.verdict, FileVerdict::Clean);
    plugin.post("alice", "see https://example.org").await?;
    let refused = plugin.post("alice", "see https://xn--80ak6aa92e.com").await;
    let Err(Refusal::Rejected { finding, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(finding.code, "lookalike_link");
    assert_eq!((plugin.check_canaries().await, health(&plugin).await?.as_str()), (vec![], ""));
    Ok(())
}

#[plexichat::test]
async fn rules_are_read_again_and_a_bad_file_keeps_its_old_ones() -> TestResult {
    let rule = |name: &str, text: &str| format!("rule {name} {{ strings: $a = \"{text}\" condition: $a }}");
    let host = TestHost::new().config(json!({ "yara": { "directory": RULES } })).directory(RULES);
    let host = host.file("/etc/rules/a.yar", rule("First", "first")).file("/etc/rules/.b.yar", "broken");
    let host = host.file("/etc/rules/notes.txt", "broken").file("/etc/rules/deep/c.YARA", rule("Deep", "deep"));
    let plugin = host.start::<Antivirus>().await?;
    assert_eq!(threats(&plugin, "x", "first and deep").await?, ["First", "Deep"]);
    assert_eq!(health(&plugin).await?, "");

    plugin.disk().write("/etc/rules/a.yar", "rule First {\n  condition: nothing\n}");
    plugin.disk().write("/etc/rules/new.yar", rule("New", "new"));
    look_again(&plugin).await;
    assert_eq!(threats(&plugin, "x", "first and deep and new").await?, ["First", "Deep", "New"]);
    let told = "a.yar:2:14: error: unknown identifier \"nothing\" (its rules from before go on)";
    assert_eq!(health(&plugin).await?, told);
    look_again(&plugin).await;
    assert_eq!(health(&plugin).await?, told, "a file that stays as it is stays told");

    plugin.disk().write("/etc/rules/a.yar", rule("Second", "second"));
    plugin.disk().remove("/etc/rules/deep/c.YARA");
    look_again(&plugin).await;
    assert_eq!(threats(&plugin, "x", "first, second, deep").await?, ["Second"]);
    assert_eq!(health(&plugin).await?, "");

    plugin.disk().remove("/etc/rules/a.yar");
    plugin.disk().remove("/etc/rules/new.yar");
    look_again(&plugin).await;
    assert_eq!(threats(&plugin, "x", "second").await?, Vec::<String>::new());
    assert!(health(&plugin).await?.contains("`/etc/rules` has no *.yar"));
    assert_eq!(plugin.check_canaries().await, [], "the built-in rule stays");
    Ok(())
}

#[plexichat::test]
async fn a_bad_file_at_the_start_leaves_the_others() -> TestResult {
    let host = TestHost::new().config(json!({ "yara": { "directory": RULES } })).directory(RULES);
    let host = host.file("/etc/rules/a.yar", "rule {").file("/etc/rules/b.yar", "rule All { condition: filesize < 5 }");
    let plugin = host.start::<Antivirus>().await?;
    assert_eq!(threats(&plugin, "x", "1").await?, ["All"]);
    let told = health(&plugin).await?;
    assert!(told.starts_with("a.yar:1:6: error: ") && told.ends_with("(none of its rules is used)"), "{told}");
    Ok(())
}

#[plexichat::test]
async fn lists_are_read_again() -> TestResult {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 Empty.File";
    let config = json!({
        "hashes": { "file": "/lists/files.txt", "blocked": [empty] },
        "links": { "blocked_hosts_file": "/lists/hosts.txt", "blocked_hosts": ["first.example"] }
    });
    let host = TestHost::new().config(config).directory("/lists");
    let host = host.file("/lists/files.txt", format!("{abc} Abc.Listed\n")).file("/lists/hosts.txt", "# none\n");
    let plugin = host.start::<Antivirus>().await?;
    assert_eq!(threats(&plugin, "x", "abc").await?, ["Abc.Listed"]);
    assert_eq!(threats(&plugin, "x", "").await?, ["Empty.File"]);
    plugin.post("alice", "https://second.example").await?;
    assert_eq!(plugin.post("alice", "https://first.example").await.unwrap_err().code(), "rejected");

    plugin.disk().write("/lists/files.txt", format!("{abc} Abc.Renamed\n\nnonsense"));
    plugin.disk().write("/lists/hosts.txt", "second.example\n");
    look_again(&plugin).await;
    assert_eq!(threats(&plugin, "x", "abc").await?, ["Abc.Listed"], "a list with a mistake does not count");
    assert!(health(&plugin).await?.starts_with("/lists/files.txt:3: this is no SHA-256"), "{}", health(&plugin).await?);
    for host in ["first", "second"] {
        assert_eq!(plugin.post("alice", &format!("https://{host}.example")).await.unwrap_err().code(), "rejected");
    }
    plugin.disk().write("/lists/files.txt", "");
    look_again(&plugin).await;
    assert_eq!((threats(&plugin, "x", "abc").await?, health(&plugin).await?), (vec![], String::new()));
    plugin.disk().remove("/lists/files.txt");
    look_again(&plugin).await;
    assert!(health(&plugin).await?.contains("there is no `/lists/files.txt`; what was read before goes on"));
    assert_eq!(threats(&plugin, "x", "").await?, ["Empty.File"]);
    Ok(())
}

#[plexichat::test]
async fn a_directory_that_was_not_granted_is_named() -> TestResult {
    let config = json!({ "yara": { "directory": RULES } });
    let refused = TestHost::new().config(config.clone()).start::<Antivirus>().await;
    let error = refused.err().ok_or("it starts")?.to_string();
    assert!(error.contains("yara.directory: ") && error.contains("`directories` of `[plugins.antivirus]`"), "{error}");
    let refused = TestHost::new().config(json!({ "hashes": { "file": "/etc/rules/none" } })).directory(RULES);
    let error = refused.start::<Antivirus>().await.err().ok_or("it starts")?.to_string();
    assert!(error.contains("there is no `/etc/rules/none`"), "{error}");
    Ok(())
}

/// How the daemon of a test behaves.
#[derive(Default)]
struct Daemon {
    mood: AtomicU8,
    /// The sizes of what was sent to it.
    sent: Mutex<Vec<usize>>,
}

const WELL: u8 = 0;
const DOWN: u8 = 1;
const DIES: u8 = 2;
const SMALL: u8 = 3;
const EMPTY: u8 = 4;

/// A connection to it.
struct Talk {
    daemon: Arc<Daemon>,
    heard: Vec<u8>,
    answered: bool,
}

fn upstream(message: &str) -> PluginError {
    PluginError::new(plexichat::error::ErrorKind::Upstream { retry_after: None }, message)
}

impl Talk {
    /// What INSTREAM's chunks hold, once the last one has come.
    fn stream(&self) -> Option<Vec<u8>> {
        let mut rest = self.heard.strip_prefix(b"zINSTREAM\0")?;
        let mut bytes = Vec::new();
        loop {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = u32::from_be_bytes(*length) as usize;
            if length == 0 {
                return Some(bytes);
            }
            bytes.extend_from_slice(after.get(..length)?);
            rest = &after[length..];
        }
    }
}

#[async_trait]
impl SocketLink for Talk {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.heard.extend_from_slice(bytes);
        match self.daemon.mood.load(Ordering::Relaxed) {
            DIES if self.heard.len() > 20 => Err(upstream("the connection broke: broken pipe")),
            SMALL if self.heard.len() > 1000 => Err(upstream("the connection broke: broken pipe")),
            _ => Ok(()),
        }
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        if self.answered {
            return Ok(());
        }
        self.answered = true;
        if self.heard == b"zVERSION\0" {
            buffer.extend_from_slice(b"ClamAV 1.4.3/1\0");
            return Ok(());
        }
        match (self.daemon.mood.load(Ordering::Relaxed), self.stream()) {
            (SMALL, None) => buffer.extend_from_slice(b"INSTREAM size limit exceeded. ERROR\0"),
            (DIES, _) | (_, None) => return Err(upstream("the connection broke: reset by peer")),
            (mood, Some(bytes)) => {
                self.daemon.sent.lock().expect("no panic").push(bytes.len());
                let bad = mood != EMPTY && bytes.windows(4).any(|window| window == b"EVIL");
                let eicar = mood != EMPTY && bytes.starts_with(Canary::eicar_text().as_bytes());
                buffer.extend_from_slice(if bad || eicar {
                    b"stream: Own.Evil.UNOFFICIAL FOUND\0"
                } else {
                    b"stream: OK\0"
                });
            }
        }
        Ok(())
    }
}

fn with_clamd(config: Value) -> (Arc<Daemon>, TestHost) {
    let daemon = Arc::new(Daemon::default());
    let here = daemon.clone();
    let host = TestHost::new().config(config).sockets(move |_| match here.mood.load(Ordering::Relaxed) {
        DOWN => Err(upstream("unix:///clamd cannot be reached: connection refused")),
        _ => Ok(Box::new(Talk { daemon: here.clone(), heard: Vec::new(), answered: false })),
    });
    (daemon, host)
}

#[plexichat::test]
async fn clamd_is_asked_and_without_it_nothing_passes() -> TestResult {
    let (daemon, host) = with_clamd(json!({ "clamd": { "address": "unix:///clamd" } }));
    let plugin = host.start::<Antivirus>().await?;
    let large = [vec![b'.'; 200_000], b"EVIL".to_vec()].concat();
    assert_eq!(threats(&plugin, "x", large).await?, ["Own.Evil.UNOFFICIAL"]);
    assert_eq!(plugin.scan_file("x", "fine").await?.verdict, FileVerdict::Clean);
    assert!(daemon.sent.lock().expect("no panic").ends_with(&[200_004, 4]));
    assert_eq!(plugin.sockets().connected()[0].to_string(), "unix:///clamd");
    assert_eq!(health(&plugin).await?, "");

    for (mood, told) in [(DOWN, "connection refused; files are refused"), (DIES, "broke")] {
        daemon.mood.store(mood, Ordering::Relaxed);
        assert_eq!(plugin.scan_file("x", "fine").await?.verdict, unavailable(false));
        assert!(health(&plugin).await?.contains(told), "{}", health(&plugin).await?);
        // What another engine knows is known without clamd.
        assert_eq!(threats(&plugin, "x", Canary::eicar_text()).await?, ["EICAR_Test_File"]);
        daemon.mood.store(WELL, Ordering::Relaxed);
        assert_eq!(plugin.scan_file("x", "fine").await?.verdict, FileVerdict::Clean, "it recovers by itself");
    }
    daemon.mood.store(EMPTY, Ordering::Relaxed);
    assert!(health(&plugin).await?.contains("lets EICAR's test file pass: load its signatures"));
    Ok(())
}

#[plexichat::test]
async fn what_is_too_large_for_clamd_is_not_let_through() -> TestResult {
    let (daemon, host) = with_clamd(json!({ "clamd": { "address": "tcp://127.0.0.1:3310", "max_bytes": 100_000 } }));
    let plugin = host.start::<Antivirus>().await?;
    assert_eq!(plugin.scan_file("x", vec![b'.'; 100_000]).await?.verdict, FileVerdict::Clean);
    assert_eq!(plugin.scan_file("x", vec![b'.'; 100_001]).await?.verdict, unavailable(true));
    daemon.mood.store(SMALL, Ordering::Relaxed);
    assert_eq!(plugin.scan_file("x", vec![b'.'; 10_000]).await?.verdict, unavailable(true));
    Ok(())
}

#[track_caller]
fn check(config: Value, pointer: &str) {
    let problems = (plexichat_antivirus::PLEXICHAT_PLUGIN.entry.check_config)(&config);
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{problems:?}");
}

#[test]
fn bad_settings_are_found_before_anything_starts() {
    check(json!({ "yara": { "directory": "rules" } }), "/yara/directory");
    check(json!({ "yara": { "directory": "/etc/../rules" } }), "/yara/directory");
    check(json!({ "yara": { "timeout_secs": 0 } }), "/yara/timeout_secs");
    check(json!({ "hashes": { "blocked": ["d41d8cd98f00b204e9800998ecf8427e"] } }), "/hashes/blocked/0");
    check(json!({ "clamd": { "address": "localhost:3310" } }), "/clamd/address");
    check(json!({ "archives": { "depth": 0 } }), "/archives/depth");
    check(json!({ "archives": { "unscannable": "ignore" } }), "/archives/unscannable");
    check(json!({ "links": { "blocked_hosts": ["https://a.example"] } }), "/links/blocked_hosts/0");
    check(json!({ "links": { "blocked_host": [] } }), "/links/blocked_host");
}
