//! The widget of the dashboard: what was seen, as blocks that the host draws. Knows no HTML.

use std::time::Duration;

use plexichat::prelude::*;
use plexichat::t;

use crate::config::Config;
use crate::health::{Judged, Level};
use crate::report::listeners;
use crate::watch::Seen;

/// The blocks, one below the other.
pub(crate) fn blocks(config: &Config, seen: &Seen, judged: &Judged) -> Vec<Block> {
    let rate = format!("{:.1}", seen.messages_per_second);
    let stored = seen.sum("plexichat_messages_stored_total");
    let working = judged.components.iter().filter(|part| part.level == Level::Operational).count();
    let mut blocks = vec![
        Block::Heading { text: Text::from(config.title.clone()) },
        Block::Text { text: judged.level.summary() },
        Block::Fields {
            fields: vec![
                (t!("uptime"), duration(seen.uptime())),
                (t!("messages-per-second"), Text::from(rate)),
                (t!("messages-stored"), Text::from(stored.to_string())),
                (t!("listeners"), Text::from(listeners(seen).to_string())),
                (t!("version"), Text::from(seen.status.version.clone())),
            ],
        },
        Block::Meter {
            label: t!("working", working = working, all = judged.components.len()),
            value: working as f64,
            max: judged.components.len() as f64,
        },
        Block::Table { columns: vec![t!("component"), t!("state")], rows: judged.components.iter().map(row).collect() },
    ];
    // How much of a plugin's work of the last minute went well.
    let busy = seen.calls.iter().filter(|(_, calls)| calls.all > 0.0);
    blocks.extend(busy.map(|(name, calls)| Block::Meter {
        label: t!("plugin-calls", plugin = name, calls = calls.all, failed = calls.failed),
        value: calls.all - calls.failed,
        max: calls.all,
    }));
    blocks.push(Block::Buttons { buttons: vec![Button::new(t!("look-again"), "look-again", Value::Null)] });
    blocks
}

fn row(part: &crate::health::Component) -> Vec<Text> {
    vec![part.label(), part.level.text()]
}

fn duration(time: Duration) -> Text {
    let minutes = time.as_secs() / 60;
    t!("duration", days = minutes / 1440, hours = minutes / 60 % 24, minutes = minutes % 60)
}
