//! The shape of the settings as TOML writes them: the schema that every layer is held against. Read by `read.rs`.

#![expect(
    dead_code,
    reason = "only the schema of these types is used; `read.rs` reads value by value, to find everything"
)]

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::assistant::{ToolRule, Trigger};
use crate::descriptor::FailMode;
use crate::permission::Permission;

/// The whole file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    server: Option<Server>,
    plugins: Option<BTreeMap<String, Plugin>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Server {
    listen: Option<String>,
    public_url: Option<String>,
    data_dir: Option<String>,
    limits: Option<Limits>,
    accounts: Option<Accounts>,
    files: Option<Files>,
    trusted_proxies: Option<Vec<String>>,
    tls: Option<Tls>,
    retention: Option<Retention>,
    log_level: Option<String>,
    ai: Option<Ai>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Retention {
    messages: Option<String>,
    audit: Option<String>,
    changes: Option<String>,
    ai_usage: Option<String>,
    runs: Option<String>,
    dead_letters: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ai {
    default_models: Option<Vec<String>>,
    assistant: Option<Assistant>,
    person_tokens_per_day: Option<NonZeroU64>,
    person_requests_per_day: Option<NonZeroU64>,
    room_tokens_per_day: Option<NonZeroU64>,
    room_requests_per_day: Option<NonZeroU64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Assistant {
    name: Option<String>,
    system_prompt: Option<String>,
    models: Option<Vec<String>>,
    trigger: Option<Trigger>,
    history: Option<NonZeroU32>,
    tools: Option<Vec<ToolRule>>,
    max_output_tokens: Option<NonZeroU32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert: Option<String>,
    key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limits {
    text_bytes: Option<NonZeroU32>,
    messages_per_second: Option<NonZeroU32>,
    message_burst: Option<NonZeroU32>,
    connections: Option<NonZeroU32>,
    connections_per_address: Option<NonZeroU32>,
    requests_per_second: Option<NonZeroU32>,
    request_burst: Option<NonZeroU32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Files {
    max_bytes: Option<NonZeroU64>,
    quota_per_user: Option<NonZeroU64>,
    quota_total: Option<NonZeroU64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Accounts {
    registration: Option<super::Registration>,
    bad_tokens_per_minute: Option<NonZeroU32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Plugin {
    enabled: Option<bool>,
    grant: Option<Vec<Permission>>,
    hosts: Option<Vec<String>>,
    private_network: Option<bool>,
    directories: Option<Vec<String>>,
    isolation: Option<Isolation>,
    hooks: Option<Hooks>,
    timeouts: Option<Timeouts>,
    max_body: Option<String>,
    route_rate: Option<NonZeroU32>,
    config: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Isolation {
    Inline,
    Runtime,
    /// Refused in words of its own.
    Process,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hooks {
    rewrite_message: Option<Hook>,
    scan_message: Option<Hook>,
    scan_file: Option<FileHook>,
    scan_reply: Option<Hook>,
    check_login: Option<Hook>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hook {
    timeout: Option<String>,
    on_error: Option<FailMode>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileHook {
    timeout: Option<String>,
    max_bytes: Option<String>,
    on_error: Option<FailMode>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    initialize: Option<String>,
    cleanup: Option<String>,
    event: Option<String>,
    command: Option<String>,
    tool: Option<String>,
    route: Option<String>,
    interaction: Option<String>,
    connect: Option<String>,
    first_delta: Option<String>,
    gap: Option<String>,
    answer: Option<String>,
}
