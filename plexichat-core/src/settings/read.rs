//! Turns the merged layers into [`Settings`], with a finding for everything that is wrong. Reads no file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layer::{Located, Node};
use super::origin::Origin;
use super::shape::Shape;
use super::{
    AccountSettings, AiSettings, EdgeLimits, FileLimits, HookSettings, IsolationLevel, Layers, MessageLimits, Network,
    PluginSettings, Retention, ServerSettings, Settings, Timeouts, TlsSettings, source,
};
use crate::assistant::AssistantPolicy;
use crate::descriptor::{Descriptor, Hook};
use crate::id::PluginName;
use crate::permission::{Permission, PermissionSet};
use crate::problem::{Problem, nearest, push_key};
use crate::schema;

/// The longest time that any timeout may be set to.
const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);
/// The longest time that is told for keeping something: what is to stay for ever is not told.
const KEPT_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);
/// What quotas look back on is kept.
const AI_USAGE_MIN: Duration = Duration::from_secs(86_400);

/// Where settings come from.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The bundle's embedded `config/bundle.toml`. Sections of plugins that are not linked are left out: features choose.
    pub bundle: &'a str,
    /// The operator's file: its path as it is to be shown, and what is in it.
    pub file: Option<(&'a str, &'a [u8])>,
    /// All environment variables; those without the prefix are only looked at where a secret refers to them.
    pub environment: &'a [(OsString, OsString)],
    /// What the command line sets.
    pub arguments: &'a [Argument],
    /// The linked plugins.
    pub linked: &'a [&'static Descriptor],
}

/// A setting on the command line.
#[derive(Debug, Clone)]
pub struct Argument {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// What it sets, as a JSON pointer such as `/server/listen`.
    pub pointer: &'static str,
    /// The value.
    pub value: String,
}

impl Settings {
    /// Reads every layer but what the API stored.
    ///
    /// # Errors
    /// Everything that is wrong, each with where it stands. What a plugin's configuration lacks is not among it, since the
    /// API may have stored that; see [`plugin_config`](Self::plugin_config).
    pub fn load(sources: &Sources<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let linked: Vec<PluginName> = sources.linked.iter().map(|plugin| plugin.plugin_name()).collect();

        let mut bundle =
            source::toml(sources.bundle.as_bytes(), &|line, column| Origin::Bundle { line, column }, &mut problems);
        let unlinked = bundle.at("/plugins").map(Located::entry_names).unwrap_or_default();
        for name in unlinked.iter().filter(|name| !linked.iter().any(|linked| linked.as_str() == *name)) {
            bundle.take(&pointer(&["plugins", name]));
        }

        let mut pinned = Located::default();
        if let Some((path, content)) = sources.file {
            let path: Arc<str> = path.into();
            let place = |line, column| Origin::File { path: path.clone(), line, column };
            pinned = source::toml(content, &place, &mut problems);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut variables = source::environment(sources.environment, &linked, &mut problems);
        let mut arguments = Located::default();
        for argument in sources.arguments {
            let keys: Vec<String> = crate::problem::pointer_keys(argument.pointer).collect();
            let origin = Origin::Argument(argument.flag);
            if arguments.set(&keys, source::argument(&argument.value), &origin).is_err() {
                problems.push(Problem::new(argument.pointer, "is given twice").origin(argument.flag));
            }
        }

        let shape = schemars::schema_for!(Shape).to_value();
        variables.as_schema_wants(&shape, &[&shape]);
        for plugin in sources.linked {
            variables.fit_config(plugin);
        }
        let joins = |pointer: &str| !is_config_leaf(sources.linked, pointer);
        pinned.put_over(variables, &joins);
        pinned.put_over(arguments, &|_| true);

        let mut merged = bundle.clone();
        merged.put_over(pinned.clone(), &joins);
        let mut reader = Reader { merged: &merged, linked: &linked, problems };
        for problem in schema::findings(&shape, &merged.to_json()) {
            reader.report(problem);
        }
        let server = reader.server();
        let mut settings = Self {
            server,
            plugins: Default::default(),
            layers: Layers { bundle, pinned },
            secrets: Default::default(),
        };
        for name in merged.at("/plugins").map(Located::entry_names).unwrap_or_default() {
            match linked.iter().find(|linked| linked.as_str() == name) {
                Some(plugin) => {
                    let read = reader.plugin(plugin);
                    settings.plugins.insert(plugin.clone(), read);
                }
                None => reader.not_linked(pointer(&["plugins", &name]), &name),
            }
        }
        let mut problems = reader.problems;
        settings.secrets = super::references::Secrets::of(sources.environment);
        for plugin in sources.linked {
            problems.extend(settings.pinned_findings(plugin));
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// What is wrong with the parts of a plugin's configuration that the API cannot change.
    fn pinned_findings(&self, plugin: &Descriptor) -> Vec<Problem> {
        let root = pointer(&["plugins", plugin.name, "config"]);
        let Some(config) = self.layers.pinned.at(&root) else { return Vec::new() };
        let findings = self.plugin_config(plugin, None).problems;
        let set_here = findings.into_iter().filter(|problem| config.settles(&problem.pointer));
        set_here.map(|problem| Problem { pointer: format!("{root}{}", problem.pointer), ..problem }).collect()
    }
}

impl Located {
    /// Whether no other layer can change what stands at a pointer: it stands here, or a list that stands here has no such
    /// thing.
    fn settles(&self, pointer: &str) -> bool {
        let (found, rest) = self.nearest(pointer);
        let above = pointer.match_indices('/').map(|(end, _)| &pointer[..end]);
        rest.is_empty()
            || !matches!(found.node, Node::Table(_))
            || above.filter_map(|above| self.at(above)).any(|above| matches!(above.node, Node::Array(_)))
    }

    /// Fits what variables say of a plugin's configuration to its schema: the keys' spelling and what is text.
    fn fit_config(&mut self, plugin: &Descriptor) {
        let root = pointer(&["plugins", plugin.name, "config"]);
        if let Some(mut config) = self.take(&root) {
            let schema = (plugin.entry.config_schema)();
            config.spell_keys(&schema, &[&schema]);
            config.as_schema_wants(&schema, &[&schema]);
            if let Some(Located { node: Node::Table(entries), .. }) = self.at_mut(&pointer(&["plugins", plugin.name])) {
                entries.insert("config".to_owned(), config);
            }
        }
    }
}

/// Whether a place in a plugin's configuration is to be replaced as a whole.
fn is_config_leaf(linked: &[&'static Descriptor], pointer: &str) -> bool {
    let Some((name, inner)) = pointer.strip_prefix("/plugins/").and_then(|rest| rest.split_once("/config")) else {
        return false;
    };
    let Some(plugin) = linked.iter().find(|plugin| plugin.name == name) else { return false };
    !super::effective::joins(&(plugin.entry.config_schema)(), inner)
}

/// The address with `localhost` in numbers: it is always this machine, and an empty root has no files to look names up.
fn numbered(address: &str) -> String {
    match address.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => address.to_owned(),
    }
}

fn pointer(keys: &[&str]) -> String {
    keys.iter().fold(String::new(), |mut pointer, key| {
        push_key(&mut pointer, key);
        pointer
    })
}

/// Reads values one by one and collects what is wrong. A value of the wrong type was reported by the schema already.
struct Reader<'a> {
    merged: &'a Located,
    linked: &'a [PluginName],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn server(&mut self) -> ServerSettings {
        let defaults = ServerSettings::default();
        ServerSettings {
            listen: self
                .parse("/server/listen", |text| match numbered(text).parse::<SocketAddr>() {
                    Ok(address) => Ok(address),
                    Err(_) => Err(Problem::new("", "this is no address to listen on")
                        .hint("an address and a port, such as `127.0.0.1:8080` or `[::]:8080`")),
                })
                .unwrap_or(defaults.listen),
            public_url: self.parse("/server/public_url", public_url),
            data_dir: self
                .parse("/server/data_dir", |text| match text.is_empty() {
                    true => Err(Problem::new("", "a directory is needed")),
                    false => Ok(PathBuf::from(text)),
                })
                .unwrap_or(defaults.data_dir),
            limits: self.limits(),
            accounts: self.accounts(),
            files: self.files(),
            edge: self.edge_limits(),
            trusted_proxies: self.trusted_proxies(),
            tls: self.tls(),
            retention: self.retention(),
            log_level: self.text("/server/log_level").filter(|level| !level.is_empty()),
            ai: self.ai(),
        }
    }

    fn ai(&mut self) -> AiSettings {
        let limit = |reader: &Self, name: &str| reader.value(&pointer(&["server", "ai", name]));
        AiSettings {
            person_tokens_per_day: limit(self, "person_tokens_per_day"),
            person_requests_per_day: limit(self, "person_requests_per_day"),
            room_tokens_per_day: limit(self, "room_tokens_per_day"),
            room_requests_per_day: limit(self, "room_requests_per_day"),
            default_models: self.models("/server/ai/default_models"),
            assistant: self.assistant(),
        }
    }

    fn assistant(&mut self) -> AssistantPolicy {
        const PLACE: &str = "/server/ai/assistant";
        let at = |name: &str| format!("{PLACE}/{name}");
        let defaults = AssistantPolicy::default();
        let policy = AssistantPolicy {
            models: self.value(&at("models")).unwrap_or_default(),
            name: self.text(&at("name")).unwrap_or(defaults.name),
            trigger: self.value(&at("trigger")).unwrap_or(defaults.trigger),
            system_prompt: self.text(&at("system_prompt")).filter(|prompt| !prompt.trim().is_empty()),
            history: self.value(&at("history")).unwrap_or(defaults.history),
            tools: self.value(&at("tools")).unwrap_or_default(),
            max_output_tokens: self.value(&at("max_output_tokens")),
        };
        let problems = policy.check();
        for (pointer, plugin) in policy.plugins() {
            let is_wrong = problems.iter().any(|problem| problem.pointer == pointer);
            if !is_wrong && !self.linked.iter().any(|linked| linked.as_str() == plugin) {
                self.not_linked(format!("{PLACE}{pointer}"), plugin);
            }
        }
        for problem in problems {
            self.report(Problem { pointer: format!("{PLACE}{}", problem.pointer), ..problem });
        }
        policy
    }

    /// Models by name. Which ones a provider has is not known here, but whose they are.
    fn models(&mut self, list: &str) -> Vec<String> {
        let named: Vec<String> = self.value(list).unwrap_or_default();
        for (index, name) in named.iter().enumerate() {
            let at = format!("{list}/{index}");
            let (plugin, model) = name.split_once('/').map_or((name.as_str(), None), |(a, b)| (a, Some(b)));
            if plugin.parse::<PluginName>().is_err() || model.is_some_and(str::is_empty) {
                let problem = Problem::new(at, format!("`{name}` names no model"));
                self.report(problem.hint("the provider's plugin and its model, `openai/gpt-5`, or the plugin alone"));
            } else if !self.linked.iter().any(|linked| linked.as_str() == plugin) {
                self.not_linked(at, plugin);
            }
        }
        named
    }

    fn edge_limits(&self) -> EdgeLimits {
        let defaults = EdgeLimits::default();
        let limit = |name: &str, default| self.value(&pointer(&["server", "limits", name])).unwrap_or(default);
        EdgeLimits {
            connections: limit("connections", defaults.connections),
            connections_per_address: limit("connections_per_address", defaults.connections_per_address),
            requests_per_second: limit("requests_per_second", defaults.requests_per_second),
            request_burst: limit("request_burst", defaults.request_burst),
        }
    }

    fn trusted_proxies(&mut self) -> Vec<Network> {
        let named: Vec<String> = self.value("/server/trusted_proxies").unwrap_or_default();
        let mut networks = Vec::new();
        for (index, text) in named.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    let at = pointer(&["server", "trusted_proxies", &index.to_string()]);
                    let hint =
                        "an address, or a network with no bits beyond its length: `10.0.0.0/8`, `192.0.2.7`, `::1`";
                    self.report(Problem::new(at, format!("{error}")).hint(hint));
                }
            }
        }
        networks
    }

    fn tls(&mut self) -> Option<TlsSettings> {
        let file = |reader: &mut Self, name: &str, what: &str| {
            let at = pointer(&["server", "tls", name]);
            let found = reader.text(&at).filter(|path| !path.is_empty());
            if found.is_none() && reader.merged.at("/server/tls").is_some() {
                let hint = "https needs both `cert` and `key`, files with PEM";
                reader.report(Problem::new(at, format!("the {what} is not named")).hint(hint));
            }
            found
        };
        let cert = file(self, "cert", "certificate's file");
        let key = file(self, "key", "key's file");
        Some(TlsSettings::new(cert?, key?))
    }

    fn limits(&self) -> MessageLimits {
        let defaults = MessageLimits::default();
        let limit = |name: &str, default| self.value(&pointer(&["server", "limits", name])).unwrap_or(default);
        MessageLimits {
            text_bytes: limit("text_bytes", defaults.text_bytes),
            messages_per_second: limit("messages_per_second", defaults.messages_per_second),
            message_burst: limit("message_burst", defaults.message_burst),
        }
    }

    fn files(&self) -> FileLimits {
        let defaults = FileLimits::default();
        let limit = |name: &str, default| self.value(&pointer(&["server", "files", name])).unwrap_or(default);
        FileLimits {
            max_bytes: limit("max_bytes", defaults.max_bytes),
            quota_per_user: limit("quota_per_user", defaults.quota_per_user),
            quota_total: limit("quota_total", defaults.quota_total),
        }
    }

    fn retention(&mut self) -> Retention {
        let mut kept = |name: &str| self.duration(&pointer(&["server", "retention", name]), KEPT_MAX);
        let (messages, audit, changes) = (kept("messages"), kept("audit"), kept("changes"));
        let (ai_usage, runs, dead_letters) = (kept("ai_usage"), kept("runs"), kept("dead_letters"));
        if ai_usage.is_some_and(|kept| kept < AI_USAGE_MIN) {
            let problem = Problem::new("/server/retention/ai_usage", "must be at least a day");
            self.report(problem.hint("quotas count what was asked within 24 hours: `1d` or more"));
        }
        let defaults = Retention::default();
        Retention {
            messages,
            audit,
            changes: changes.unwrap_or(defaults.changes),
            ai_usage: ai_usage.unwrap_or(defaults.ai_usage),
            runs: runs.unwrap_or(defaults.runs),
            dead_letters: dead_letters.unwrap_or(defaults.dead_letters),
        }
    }

    fn accounts(&self) -> AccountSettings {
        let defaults = AccountSettings::default();
        AccountSettings {
            registration: self.value("/server/accounts/registration").unwrap_or(defaults.registration),
            bad_tokens_per_minute: self
                .value("/server/accounts/bad_tokens_per_minute")
                .unwrap_or(defaults.bad_tokens_per_minute),
        }
    }

    fn plugin(&mut self, name: &PluginName) -> PluginSettings {
        let at = |keys: &[&str]| pointer(&[&["plugins", name.as_str()], keys].concat());
        if self.text(&at(&["isolation"])).as_deref() == Some("process") {
            let problem = Problem::new(at(&["isolation"]), "a process of its own is not offered in this version");
            self.report(problem.hint("`runtime` gives the plugin threads of its own, `inline` none"));
        }
        let hosts: Option<Vec<String>> = self.value(&at(&["hosts"]));
        for (index, host) in hosts.iter().flatten().enumerate() {
            if !is_host(host) {
                let problem = Problem::new(at(&["hosts", &index.to_string()]), "this is no host");
                self.report(problem.hint("a name or an address, with or without a port: `api.example.org:443`"));
            }
        }
        let directories: Option<Vec<PathBuf>> = self.value(&at(&["directories"]));
        for (index, directory) in directories.iter().flatten().enumerate() {
            let leads_up = directory.components().any(|part| part == std::path::Component::ParentDir);
            if !directory.is_absolute() || leads_up {
                let problem = Problem::new(at(&["directories", &index.to_string()]), "this is no absolute path");
                self.report(problem.hint("from `/` on, without `..`: `/etc/plexichat/rules`"));
            }
        }
        let mut settings = PluginSettings {
            enabled: self.value(&at(&["enabled"])),
            grant: self
                .value::<Vec<Permission>>(&at(&["grant"]))
                .map(|grant| grant.into_iter().collect::<PermissionSet>()),
            hosts: hosts.unwrap_or_default(),
            private_network: self.value(&at(&["private_network"])).unwrap_or_default(),
            directories: directories.into_iter().flatten().collect(),
            isolation: self.value::<IsolationLevel>(&at(&["isolation"])).unwrap_or_default(),
            ..PluginSettings::default()
        };
        for hook in Hook::ALL.iter().copied() {
            let place = at(&["hooks", hook.as_str()]);
            if self.merged.at(&place).is_some() {
                let said = HookSettings {
                    timeout: self.duration(&format!("{place}/timeout"), hook.timeout_max()),
                    max_bytes: self.bytes(&format!("{place}/max_bytes")),
                    on_error: self.value(&format!("{place}/on_error")),
                };
                settings.hooks.insert(hook, said);
            }
        }
        settings.max_body = self.bytes(&at(&["max_body"]));
        settings.route_rate = self.value(&at(&["route_rate"]));
        let defaults = Timeouts::default();
        let route = self.duration(&at(&["timeouts", "route"]), TIMEOUT_MAX);
        let mut timeout = |name: &str, default| self.duration(&at(&["timeouts", name]), TIMEOUT_MAX).unwrap_or(default);
        settings.timeouts = Timeouts {
            initialize: timeout("initialize", defaults.initialize),
            cleanup: timeout("cleanup", defaults.cleanup),
            event: timeout("event", defaults.event),
            command: timeout("command", defaults.command),
            tool: timeout("tool", defaults.tool),
            route,
            interaction: timeout("interaction", defaults.interaction),
            connect: timeout("connect", defaults.connect),
            first_delta: timeout("first_delta", defaults.first_delta),
            gap: timeout("gap", defaults.gap),
            answer: timeout("answer", defaults.answer),
        };
        settings
    }

    fn not_linked(&mut self, at: String, name: &str) {
        let problem = Problem::new(at, "no plugin of this name is linked into this binary");
        let near = nearest(name, self.linked.iter().map(PluginName::as_str));
        self.report(problem.hint(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`plexichat plugin list` lists those that are".to_owned(),
        }));
    }

    /// Adds a finding, with where its value was set.
    fn report(&mut self, problem: Problem) {
        let (found, _) = self.merged.nearest(&problem.pointer);
        self.problems.push(match (&problem.origin, &found.origin) {
            (None, origin) if *origin != Origin::Default => problem.origin(origin.to_string()),
            _ => problem,
        });
    }

    fn value<T: DeserializeOwned>(&self, pointer: &str) -> Option<T> {
        serde_json::from_value(self.merged.at(pointer)?.to_json()).ok()
    }

    fn text(&self, pointer: &str) -> Option<String> {
        match &self.merged.at(pointer)?.node {
            Node::Scalar { value: Value::String(text), .. } => Some(text.clone()),
            _ => None,
        }
    }

    fn parse<T>(&mut self, pointer: &str, parse: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        match parse(&self.text(pointer)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report(Problem { pointer: pointer.to_owned(), ..problem });
                None
            }
        }
    }

    fn bytes(&mut self, pointer: &str) -> Option<u64> {
        self.parse(pointer, |text| match bytes(text) {
            Some(0) => Err(Problem::new("", "has to be more than nothing")),
            Some(bytes) => Ok(bytes),
            None => Err(Problem::new("", "this is no size").hint("a number and `KiB`, `MiB` or `GiB`: `50MiB`")),
        })
    }

    fn duration(&mut self, pointer: &str, most: Duration) -> Option<Duration> {
        self.parse(pointer, |text| match duration(text) {
            Some(time) if !time.is_zero() && time <= most => Ok(time),
            Some(_) => Err(Problem::new("", format!("must be more than nothing and at most {} s", most.as_secs()))),
            None => Err(Problem::new("", "this is no length of time")
                .hint("a number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `10s`, `30d`")),
        })
    }
}

/// Reads `512KiB`, `50MiB`, `2GiB` or a plain number of bytes.
fn bytes(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Reads `500ms`, `10s`, `2m`, `12h` or `30d`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

fn public_url(text: &str) -> Result<String, Problem> {
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host)
            if !host.is_empty() && !host.contains(|character: char| character == '/' || character.is_whitespace()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(Problem::new("", "this is no address that people can use")
            .hint("a scheme and a host without a path, such as `https://chat.example.org`")),
    }
}

/// Whether a text is a host name or address, with or without a port.
fn is_host(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/');
    }
    if text.parse::<SocketAddr>().is_ok() || text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.split('.').all(word) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}
