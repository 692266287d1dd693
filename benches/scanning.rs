//! What the bundle's scanners cost: a message of about 200 bytes through the guard, beside the scanner alone. Run it with
//! `cargo bench --bench scanning`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

mod common;
// Not part of `common`: the plugin in it is linked into every executable that has it.
#[path = "common/plugins.rs"]
mod plugins;

use std::hint::black_box;
use std::time::Duration;

use common::{Candidate, Table, in_turn};
use plexichat::descriptor::Instance;
use plexichat::id::RoomId;
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
        table.row(format!("moderation, {settings}: {name}"), figures[0].1, figures[1].1, "<= 2");
    }
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
