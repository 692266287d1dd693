//! What the bundle's scanners cost: a message of about 200 bytes through the guard, beside the scanner alone, and a file's bytes
//! through guard and `FileBody`, beside the bare engine on a slice. Run it with `cargo bench --bench scanning`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;
// Not part of `common`: the plugin in it is linked into every executable that has it.
#[path = "common/plugins.rs"]
mod plugins;

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use boreal::Compiler;
use common::{Candidate, Table, in_turn};
use plexichat::descriptor::Instance;
use plexichat::file::{BytesSource, FileBody, FileMeta};
use plexichat::id::{FileId, RoomId};
use plexichat::message::{Actor, MessageView, Verdict};
use plexichat::settings::IsolationLevel;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

const TIMEOUT: Duration = Duration::from_secs(5);

/// About 200 bytes each: what people write, in an alphabet of their own, and what looks like something everywhere.
const TEXTS: [(&str, &str); 3] = [
    (
        "English",
        "Good morning! I have looked at the build: it fails in step 3, see https://ci.example.org/runs/4711. Could somebody \
         restart it after lunch, around 12:30? I will write the notes for the release then. Bye",
    ),
    (
        "Russian",
        "Доброе утро! Я посмотрел сборку: она падает на шаге 3, смотри журнал 4711. Кто может перезапустить её после обеда?",
    ),
    (
        "digits and tokens",
        "1234 5678 9012 3456 7890 sk-token password: eyJ AKIA plx_ ghp_ 1234 5678 9012 3456 7890 sk-token password: eyJ AKIA \
         plx_ ghp_ 1234 5678 9012 3456 7890 sk-token password: eyJ AKIA plx_",
    ),
];

fn main() {
    let host = Builder::new_current_thread().enable_all().build().unwrap();
    let mut table = Table::new("one message through `scan_message`, inline", "ns");
    moderation(&host, "as it comes", json!({}), &mut table);
    moderation(&host, "all detectors", all_detectors(), &mut table);
    antivirus(&host, &mut table);
    table.print();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut table = Table::new("a clean file through `scan_file`, 100 YARA rules", "MB/s");
    for mebibytes in [1, 16, 48] {
        file(&runtime, mebibytes, &mut table);
    }
    table.print();
}

fn all_detectors() -> Value {
    let detectors = [
        "private_keys",
        "tokens",
        "json_web_tokens",
        "assigned_secrets",
        "card_numbers",
        "ibans",
        "email_addresses",
        "phone_numbers",
        "ip_addresses",
        "national_ids",
    ];
    let flagged: Value = detectors.iter().map(|name| ((*name).to_owned(), json!("flag"))).collect();
    json!({ "detectors": flagged })
}

/// The moderation behind the guard, beside the moderation alone.
fn moderation(host: &Runtime, settings: &str, config: Value, table: &mut Table) {
    let linked = vec![(&plexichat_moderation::PLEXICHAT_PLUGIN, config)];
    let running = host.block_on(plugins::start_linked(linked, IsolationLevel::Inline));
    messages(host, &running, &format!("moderation, {settings}"), table);
}

/// The antivirus' look at links behind the guard, beside that look alone.
fn antivirus(host: &Runtime, table: &mut Table) {
    let linked = vec![(&plexichat_antivirus::PLEXICHAT_PLUGIN, json!({}))];
    let running = host.block_on(plugins::start_linked(linked, IsolationLevel::Inline));
    messages(host, &running, "antivirus, as it comes", table);
}

fn messages(host: &Runtime, running: &plugins::Running, who: &str, table: &mut Table) {
    let plugin = running.handles[0].clone();
    let (room, author) = (RoomId::new(), Actor::user("1", "ada"));
    for (name, text) in TEXTS {
        let message = MessageView::new(room, &author, text);
        let figures = in_turn(vec![
            Candidate::new("guarded", |times| {
                host.block_on(async {
                    for _ in 0..times {
                        let inline = plugin.inline().unwrap();
                        let call = inline.call("scan_message", TIMEOUT, |instance| scan(instance, &message, 1));
                        black_box(call.await).unwrap().unwrap();
                    }
                });
            }),
            Candidate::new("alone", |times| {
                host.block_on(async {
                    let inline = plugin.inline().unwrap();
                    // One call that scans all of them, so that the guard's part is nothing.
                    let call = inline.call("scan_message", TIMEOUT, |instance| scan(instance, &message, times));
                    black_box(call.await).unwrap().unwrap();
                });
            }),
        ]);
        table.row(format!("{who}: {name}"), figures[0].1, figures[1].1, "<= 2");
    }
}

/// Bytes that no rule matches and no packer shrinks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(length / 8).flatten().collect()
}

/// Rules with a text, a pattern of bytes and an expression each.
fn rules() -> String {
    let mut rules = String::new();
    for (number, bytes) in noise(100 * 32).chunks(32).enumerate() {
        let word: String = bytes[..14].iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X} ")).collect::<String>();
        let (first, second, end) = (hex(&bytes[..6]), hex(&bytes[16..22]), &word[4..12]);
        let strings = format!("$a = \"{word}\" nocase $b = {{ {first}?? ?? {second}}} $c = /{end}[0-9]{{2,5}}/");
        writeln!(rules, "rule r{number} {{ strings: {strings} condition: any of them }}").unwrap();
    }
    rules
}

/// A file through the antivirus on a runtime of its own, beside the engine on the same bytes: as they are, and on a copy that
/// is made piece by piece, since rules ask for the whole file.
fn file(host: &Runtime, mebibytes: usize, table: &mut Table) {
    let bytes: Arc<[u8]> = noise(mebibytes << 20).into();
    let mut compiler = Compiler::new();
    compiler.add_rules_str(plugins::RULES.get_or_init(rules)).unwrap();
    let engine = compiler.finalize();
    let config = json!({ "yara": { "directory": plugins::DIRECTORY } });
    let linked = vec![(&plexichat_antivirus::PLEXICHAT_PLUGIN, config)];
    let running = host.block_on(plugins::start_linked(linked, IsolationLevel::Runtime));
    let plugin = running.handles[0].clone();
    let meta = Arc::new(FileMeta {
        id: FileId::new(),
        room_id: RoomId::new(),
        uploader: Actor::user("1", "ada"),
        name: "noise.bin".to_owned(),
        size: bytes.len() as u64,
        mime: "application/octet-stream".to_owned(),
        mime_declared: None,
        sha256: [0; 32],
    });
    let figures = in_turn(vec![
        Candidate::new("bare", |times| {
            for _ in 0..times {
                assert!(engine.scan_mem(black_box(&bytes)).unwrap().rules.is_empty());
            }
        }),
        Candidate::new("bare, on a copy", |times| {
            for _ in 0..times {
                let mut whole = Vec::with_capacity(bytes.len());
                bytes.chunks(64 * 1024).for_each(|piece| whole.extend_from_slice(piece));
                assert!(engine.scan_mem(black_box(&whole)).unwrap().rules.is_empty());
            }
        }),
        Candidate::new("through the plugin", |times| {
            host.block_on(async {
                for _ in 0..times {
                    let (meta, mut source) = (meta.clone(), BytesSource::new(bytes.clone()));
                    let call = plugin.call("scan_file", TIMEOUT, move |instance| {
                        Box::pin(async move {
                            let security = instance.security().unwrap();
                            security.scan_file(&meta, FileBody::new(&mut source)).await
                        })
                    });
                    assert_eq!(call.await.unwrap(), Ok(Verdict::Allow));
                }
            });
        }),
    ]);
    let speed = |nanoseconds: f64| bytes.len() as f64 * 1000.0 / nanoseconds;
    let bare = speed(figures[0].1);
    table.row(format!("{mebibytes} MiB, through the plugin"), speed(figures[2].1), bare, ">= 0.9");
    table.row(format!("{mebibytes} MiB, bare, on a copy"), speed(figures[1].1), bare, "");
}

type Scanned<'a> = futures_util::future::BoxFuture<'a, Result<Verdict, plexichat::message::ScanError>>;

fn scan<'a>(instance: &'a dyn Instance, message: &'a MessageView<'a>, times: u64) -> Scanned<'a> {
    Box::pin(async move {
        let security = instance.security().unwrap();
        for _ in 1..times {
            black_box(security.scan_message(black_box(message)).await)?;
        }
        security.scan_message(black_box(message)).await
    })
}
