//! The settings one by one, each with its value and where it was set, secrets masked: as commands and routes show them.

use std::collections::BTreeMap;
use std::time::Duration;

use plexichat::id::PluginName;
use plexichat::settings::Settings;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Setting {
    /// Its name, as in `server.listen`.
    pub(crate) key: String,
    /// What counts; null where nothing is set.
    pub(crate) value: Value,
    /// Where it was set.
    pub(crate) origin: String,
}

impl Setting {
    fn new(pointer: &str, value: Value, origin: String) -> Self {
        Self { key: pointer.trim_start_matches('/').replace('/', "."), value, origin }
    }
}

/// The server's own settings.
pub(crate) fn of_server(settings: &Settings) -> Vec<Setting> {
    let server = &settings.server;
    let proxies: Vec<String> = server.trusted_proxies.iter().map(ToString::to_string).collect();
    [
        ("/server/listen", json!(server.listen.to_string())),
        ("/server/public_url", json!(server.public_url)),
        ("/server/data_dir", json!(server.data_dir.display().to_string())),
        ("/server/trusted_proxies", json!(proxies)),
        ("/server/log_level", json!(server.log_level)),
        ("/server/tls/cert", json!(server.tls.as_ref().map(|tls| tls.cert.display().to_string()))),
        ("/server/tls/key", json!(server.tls.as_ref().map(|tls| tls.key.display().to_string()))),
        ("/server/limits/text_bytes", json!(server.limits.text_bytes)),
        ("/server/limits/messages_per_second", json!(server.limits.messages_per_second)),
        ("/server/limits/message_burst", json!(server.limits.message_burst)),
        ("/server/limits/connections", json!(server.edge.connections)),
        ("/server/limits/connections_per_address", json!(server.edge.connections_per_address)),
        ("/server/limits/requests_per_second", json!(server.edge.requests_per_second)),
        ("/server/limits/request_burst", json!(server.edge.request_burst)),
        ("/server/accounts/registration", json!(server.accounts.registration)),
        ("/server/accounts/bad_tokens_per_minute", json!(server.accounts.bad_tokens_per_minute)),
        ("/server/retention/messages", json!(server.retention.messages.map(days))),
        ("/server/retention/audit", json!(server.retention.audit.map(days))),
        ("/server/retention/changes", json!(days(server.retention.changes))),
        ("/server/retention/ai_usage", json!(days(server.retention.ai_usage))),
        ("/server/retention/runs", json!(days(server.retention.runs))),
        ("/server/retention/dead_letters", json!(days(server.retention.dead_letters))),
        ("/server/ai/default_models", json!(server.ai.default_models)),
        ("/server/ai/person_tokens_per_day", json!(server.ai.person_tokens_per_day)),
        ("/server/ai/person_requests_per_day", json!(server.ai.person_requests_per_day)),
        ("/server/ai/room_tokens_per_day", json!(server.ai.room_tokens_per_day)),
        ("/server/ai/room_requests_per_day", json!(server.ai.room_requests_per_day)),
        ("/server/ai/assistant/name", json!(server.ai.assistant.name)),
        ("/server/ai/assistant/system_prompt", json!(server.ai.assistant.system_prompt)),
        ("/server/ai/assistant/models", json!(server.ai.assistant.models)),
        ("/server/ai/assistant/trigger", json!(server.ai.assistant.trigger)),
        ("/server/ai/assistant/history", json!(server.ai.assistant.history)),
        ("/server/ai/assistant/tools", json!(server.ai.assistant.tools)),
        ("/server/ai/assistant/max_output_tokens", json!(server.ai.assistant.max_output_tokens)),
        ("/server/files/max_bytes", json!(server.files.max_bytes)),
        ("/server/files/quota_per_user", json!(server.files.quota_per_user)),
        ("/server/files/quota_total", json!(server.files.quota_total)),
    ]
    .into_iter()
    .map(|(pointer, value)| Setting::new(pointer, value, settings.origin(pointer).to_string()))
    .collect()
}

/// A length of time in the largest unit that tells it exactly.
fn days(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let exact = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit) && time.subsec_nanos() == 0);
    exact.map_or_else(|| format!("{}ms", time.as_millis()), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// What is set of a plugin: `config` with secrets masked, and where each value in it was set.
pub(crate) fn of_plugin(
    settings: &Settings,
    name: &PluginName,
    config: &Value,
    origins: &BTreeMap<String, impl ToString>,
) -> Vec<Setting> {
    let plugin = settings.plugin(name);
    let root = format!("/plugins/{name}");
    let grant: Option<Vec<_>> = plugin.grant.map(|grant| grant.iter().collect());
    let named = [
        ("enabled", json!(plugin.enabled)),
        ("grant", json!(grant)),
        ("hosts", json!(plugin.hosts)),
        ("private_network", json!(plugin.private_network)),
        ("directories", json!(plugin.directories)),
        ("isolation", json!(plugin.isolation)),
    ]
    .map(|(name, value)| {
        let pointer = format!("{root}/{name}");
        let origin = settings.origin(&pointer).to_string();
        Setting::new(&pointer, value, origin)
    });
    let configured = origins.iter().map(|(pointer, origin)| {
        let value = config.pointer(pointer).cloned().unwrap_or(Value::Null);
        Setting::new(&format!("{root}/config{pointer}"), value, origin.to_string())
    });
    named.into_iter().chain(configured).collect()
}
