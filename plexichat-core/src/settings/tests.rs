//! What each layer may say, and what each kind of mistake gets, as text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU64;

use expect_test::{Expect, expect};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::assistant::Trigger;
use crate::descriptor::sample::plugin as bare;
use crate::descriptor::{Descriptor, Entry};
use crate::permission::Permission;
use crate::problem::Problem;
use crate::secret::Secret;

#[derive(Debug, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The key.
    #[garde(length(min = 3))]
    api_key: Secret,
    #[garde(skip)]
    #[serde(default = "prefix")]
    prefix: String,
    #[garde(range(max = 100))]
    #[serde(default)]
    limit: u8,
    #[garde(skip)]
    #[serde(default, rename = "Base-Url")]
    base_url: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    words: Vec<Word>,
    #[garde(skip)]
    #[serde(default = "action")]
    action: Action,
    #[garde(skip)]
    #[serde(default = "map")]
    map: BTreeMap<String, u8>,
}

impl crate::plugin::Config for Config {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Word {
    word: String,
    token: Option<Secret>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Action {
    Replace { with: String },
    Drop,
}

fn prefix() -> String {
    "> ".to_owned()
}

fn action() -> Action {
    Action::Replace { with: "*".to_owned() }
}

fn map() -> BTreeMap<String, u8> {
    BTreeMap::from([("a".to_owned(), 1)])
}

const fn plugin(name: &'static str) -> Descriptor {
    Descriptor {
        entry: Entry {
            config_schema: crate::schema::config_schema::<Config>,
            default_config: || crate::schema::default_config(&crate::schema::config_schema::<Config>()),
            check_config: |value| crate::schema::parse_config::<Config>(value).err().unwrap_or_default(),
            ..bare(name).entry
        },
        ..bare(name)
    }
}

const LINKED: &[&Descriptor] = &[&const { plugin("echo") }, &const { plugin("word-filter") }];

fn load(bundle: &str, file: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
    let environment: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Settings::load(&Sources {
        bundle,
        file: Some(("plexichat.toml", file.as_bytes())),
        environment: &environment,
        arguments: &[],
        linked: LINKED,
    })
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], expected: Expect) {
    let found = match load("", file, variables) {
        Ok(settings) => format!("fine: {:?}", settings.server),
        Err(problems) => lines(&problems),
    };
    expected.assert_eq(&found);
}

#[test]
fn nothing_set_gives_the_defaults() {
    assert_eq!(load("", "", &[]).unwrap().server, ServerSettings::default());
    assert_eq!(load("", "", &[]).unwrap().plugin(&LINKED[0].plugin_name()), PluginSettings::default());
}

#[test]
fn everything_wrong_is_found_at_once() {
    check(
        r#"
[server]
lisen = "127.0.0.1:80"
listen = "localhost"
public_url = "chat.example.org"
data_dir = 5

[plugins.eco]
enabled = true

[plugins.echo]
enabled = "yes"
grant = ["netwrk_access", "post_messages"]
hosts = ["https://example.org", "example.org:443", "a b", "x:0", "[::1]:5", "unix:/run/x", "unix:x"]
directories = ["/etc/rules", "rules", "/etc/../rules"]
isolation = "process"
hooks.scan_message = { timeout = "6s", on_eror = "open" }
hooks.scan_file = { timeout = "2m", max_bytes = "50MB", size = 3 }
timeouts.event = "soon"
[plugins.echo.config]
limit = 101
prefx = "x"
words = [{ word = 1 }, { word = "a", tokn = "hunter2" }]
"#,
        &[
            ("PLEXICHAT__SERVER__DATADIR", "80"),
            ("PLEXICHAT__PLUGINS__WORD_FILTR__ENABLED", "true"),
            ("PLEXICHAT__", "1"),
        ],
        expect![[r#"
            PLEXICHAT__: this variable names no setting; it has to look like `PLEXICHAT__SERVER__LISTEN`
            plexichat.toml:12:1: /plugins/echo/enabled: expected true or false, found text
            plexichat.toml:13:10: /plugins/echo/grant/0: expected one of `network_access`, `file_system_read`, `file_system_write`, `user_data_access`, `post_messages`, `ai_access`, `admin_access` (did you mean `network_access`?)
            plexichat.toml:18:57: /plugins/echo/hooks/scan_file/size: unknown key `size` (there is `max_bytes`, `on_error`, `timeout`)
            plexichat.toml:17:40: /plugins/echo/hooks/scan_message/on_eror: unknown key `on_eror` (did you mean `on_error`?)
            plexichat.toml:6:1: /server/data_dir: expected text, found a whole number
            PLEXICHAT__SERVER__DATADIR: /server/datadir: unknown key `datadir` (did you mean `data_dir`?)
            plexichat.toml:3:1: /server/lisen: unknown key `lisen` (did you mean `listen`?)
            plexichat.toml:4:1: /server/listen: this is no address to listen on (an address and a port, such as `127.0.0.1:8080` or `[::]:8080`)
            plexichat.toml:5:1: /server/public_url: this is no address that people can use (a scheme and a host without a path, such as `https://chat.example.org`)
            plexichat.toml:16:1: /plugins/echo/isolation: a process of its own is not offered in this version (`runtime` gives the plugin threads of its own, `inline` none)
            plexichat.toml:14:10: /plugins/echo/hosts/0: this is no host (a name or an address, with or without a port: `api.example.org:443`)
            plexichat.toml:14:52: /plugins/echo/hosts/2: this is no host (a name or an address, with or without a port: `api.example.org:443`)
            plexichat.toml:14:59: /plugins/echo/hosts/3: this is no host (a name or an address, with or without a port: `api.example.org:443`)
            plexichat.toml:14:92: /plugins/echo/hosts/6: this is no host (a name or an address, with or without a port: `api.example.org:443`)
            plexichat.toml:15:30: /plugins/echo/directories/1: this is no absolute path (from `/` on, without `..`: `/etc/plexichat/rules`)
            plexichat.toml:15:39: /plugins/echo/directories/2: this is no absolute path (from `/` on, without `..`: `/etc/plexichat/rules`)
            plexichat.toml:17:24: /plugins/echo/hooks/scan_message/timeout: must be more than nothing and at most 5 s
            plexichat.toml:18:21: /plugins/echo/hooks/scan_file/timeout: must be more than nothing and at most 60 s
            plexichat.toml:18:37: /plugins/echo/hooks/scan_file/max_bytes: this is no size (a number and `KiB`, `MiB` or `GiB`: `50MiB`)
            plexichat.toml:19:10: /plugins/echo/timeouts/event: this is no length of time (a number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `10s`, `30d`)
            plexichat.toml:8:10: /plugins/eco: no plugin of this name is linked into this binary (did you mean `echo`?)
            PLEXICHAT__PLUGINS__WORD_FILTR__ENABLED: /plugins/word-filtr: no plugin of this name is linked into this binary (did you mean `word-filter`?)
            plexichat.toml:21:1: /plugins/echo/config/limit: must be at most 100
            plexichat.toml:22:1: /plugins/echo/config/prefx: unknown key `prefx` (did you mean `prefix`?)
            plexichat.toml:23:12: /plugins/echo/config/words/0/word: expected text, found a whole number
            plexichat.toml:23:38: /plugins/echo/config/words/1/tokn: unknown key `tokn` (did you mean `token`?)"#]],
    );
}

#[test]
fn broken_toml_is_located() {
    check(
        "[server]\nlisten = \n\"x\"\n[server\n",
        &[],
        expect![[r#"
        plexichat.toml:3:4: key with no value, expected `=`
        plexichat.toml:4:8: unclosed table, expected `]`
        plexichat.toml:2:10: string values must be quoted, expected literal string"#]],
    );
    check("a = 1\na = 2\n", &[], expect!["plexichat.toml:2:1: duplicate key"]);
    let found = Settings::load(&Sources { file: Some(("p.toml", b"a = \"\xc3\xa4\xff\"")), ..Default::default() });
    expect!["p.toml:1:7: this is not UTF-8 text"].assert_eq(&lines(&found.unwrap_err()));
}

#[test]
fn later_layers_win_and_every_value_knows_its_origin() {
    let bundle = r#"
        [plugins.echo]
        enabled = true
        grant = ["post_messages"]
        [plugins.echo.config]
        prefix = "bundle"
        limit = 1
        [plugins.not-in-this-build]
        enabled = true
    "#;
    let file = r#"
        [server]
        listen = "[::1]:1"
        public_url = "https://chat.example.org/"
        [plugins.echo]
        isolation = "inline"
        hooks.scan_message.timeout = "1500ms"
        hooks.scan_file = { timeout = "30s", max_bytes = "2MiB", on_error = "quarantine" }
        [plugins.echo.config]
        limit = 3
        api_key = { file = "/nowhere" }
    "#;
    let variables = [
        ("PLEXICHAT__SERVER__LISTEN", "127.0.0.1:9000"),
        ("PLEXICHAT__PLUGINS__ECHO__CONFIG__API_KEY", "12345"),
        ("PLEXICHAT__PLUGINS__ECHO__CONFIG__BASE_URL", "true"),
        ("PLEXICHAT__PLUGINS__WORD_FILTER__GRANT", r#"["network_access"]"#),
        ("PLEXICHAT_ADMIN_TOKEN", "no setting"),
    ];
    let settings = load(bundle, file, &variables).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.server.public_url.as_deref(), Some("https://chat.example.org"));
    let echo = settings.plugin(&LINKED[0].plugin_name());
    assert_eq!((echo.enabled, echo.isolation), (Some(true), IsolationLevel::Inline));
    assert_eq!(echo.hooks[&Hook::ScanMessage].timeout, Some(Duration::from_millis(1500)));
    let files = HookSettings {
        timeout: Some(Duration::from_secs(30)),
        max_bytes: Some(2 << 20),
        on_error: Some(FailMode::Quarantine),
    };
    assert_eq!(echo.hooks[&Hook::ScanFile], files);
    let filter = settings.plugin(&LINKED[1].plugin_name());
    assert_eq!(filter.grant, Some(PermissionSet::of(&[Permission::NetworkAccess])));
    assert_eq!(settings.pinned("/plugins/echo/enabled"), None);
    assert_eq!(settings.origin("/plugins/echo/enabled").to_string(), "the bundle (config/bundle.toml:3:9)");
    assert_eq!(settings.pinned("/plugins/echo/isolation").unwrap().to_string(), "plexichat.toml:6:9");

    let config = settings.plugin_config(LINKED[0], Some(&json!({"prefix": "stored", "limit": 2})));
    assert_eq!(lines(&config.problems), "");
    let expected = json!({
        "api_key": "12345", "prefix": "stored", "limit": 3, "Base-Url": "true", "words": [],
        "action": {"kind": "replace", "with": "*"}, "map": {"a": 1}
    });
    assert_eq!(config.value, expected);
    let origins: Vec<String> = config.origins.iter().map(|(pointer, origin)| format!("{pointer} {origin}")).collect();
    expect![[r#"
        /Base-Url PLEXICHAT__PLUGINS__ECHO__CONFIG__BASE_URL
        /action default
        /api_key PLEXICHAT__PLUGINS__ECHO__CONFIG__API_KEY
        /limit plexichat.toml:10:9
        /map/a default
        /prefix the API
        /words default"#]]
    .assert_eq(&origins.join("\n"));
    assert!(!format!("{settings:?} {config:?}").contains("12345"));
}

#[test]
fn variables_mean_what_the_setting_wants() {
    let config = |variables: &[(&str, &str)]| {
        let settings = load("", "", variables).unwrap();
        settings.plugin_config(LINKED[0], Some(&json!({"api_key": "abc"}))).value
    };
    let name = |key: &str| format!("PLEXICHAT__PLUGINS__ECHO__CONFIG__{key}");
    assert_eq!(config(&[(&name("PREFIX"), "5")])["prefix"], "5");
    assert_eq!(config(&[(&name("PREFIX"), "\"5\"")])["prefix"], "5");
    assert_eq!(config(&[(&name("PREFIX"), "")])["prefix"], "");
    assert_eq!(config(&[(&name("LIMIT"), "5")])["limit"], 5);
    assert_eq!(config(&[(&name("MAP__B"), "7")])["map"], json!({"b": 7}));
    assert_eq!(config(&[(&name("ACTION"), "{ kind = 'drop' }")])["action"], json!({"kind": "drop"}));
    let words = config(&[(&name("WORDS"), r#"[{ word = "a" }]"#)]);
    assert_eq!(words["words"], json!([{"word": "a"}]));
}

#[test]
fn variables_that_contradict_or_name_nothing() {
    check(
        "",
        &[("PLEXICHAT__SERVER", "1"), ("PLEXICHAT__SERVER__LISTEN", "127.0.0.1:1")],
        expect![[r#"
        PLEXICHAT__SERVER__LISTEN: another variable sets the whole section that this one is in
        PLEXICHAT__SERVER: /server: expected a table, found a whole number"#]],
    );
    check(
        "",
        &[("PLEXICHAT__SERVER__", "x"), ("PLEXICHAT____", "x")],
        expect![[r#"
        PLEXICHAT__SERVER__: this variable names no setting; it has to look like `PLEXICHAT__SERVER__LISTEN`
        PLEXICHAT____: this variable names no setting; it has to look like `PLEXICHAT__SERVER__LISTEN`"#]],
    );
    check(
        "",
        &[(&format!("PLEXICHAT{}", "__A".repeat(10_000)), "x")],
        expect![
            "PLEXICHAT__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A__A: this variable names no setting; it has to look like `PLEXICHAT__SERVER__LISTEN`"
        ],
    );
    check(
        "",
        &[("PLEXICHAT__PLUGINS__ECHO__CONFIG__LIMIT", "many")],
        expect![
            "PLEXICHAT__PLUGINS__ECHO__CONFIG__LIMIT: /plugins/echo/config/limit: expected a whole number, found text"
        ],
    );
}

#[test]
fn the_command_line_wins_over_all() {
    let argument = |value: &str| Argument { flag: "--listen", pointer: "/server/listen", value: value.to_owned() };
    let file = Some(("plexichat.toml", &b"server.listen = '127.0.0.1:1'"[..]));
    let settings = Settings::load(&Sources { file, arguments: &[argument("127.0.0.1:2")], ..Default::default() });
    assert_eq!(settings.unwrap().server.listen.port(), 2);
    let wrong = Settings::load(&Sources { file, arguments: &[argument("x")], ..Default::default() }).unwrap_err();
    expect!["--listen: /server/listen: this is no address to listen on (an address and a port, such as `127.0.0.1:8080` or `[::]:8080`)"].assert_eq(&lines(&wrong));
}

#[track_caller]
fn check_config(file: &str, stored: Value, expected: Expect) {
    let settings = load("", file, &[("KEY", "from the variable"), ("NOTHING", "")]).unwrap();
    let config = settings.plugin_config(LINKED[0], Some(&stored));
    let found = match config.problems.is_empty() {
        true => format!("{}", config.value),
        false => lines(&config.problems),
    };
    expected.assert_eq(&found);
}

#[test]
fn tables_of_two_layers_join_unless_they_are_variants() {
    let file = "plugins.echo.config = { action = { kind = 'drop' }, map = { b = 2 } }";
    check_config(
        file,
        json!({"api_key": "abc", "action": {"kind": "replace", "with": "-"}, "map": {"c": 3}}),
        expect![[
            r#"{"Base-Url":null,"action":{"kind":"drop"},"api_key":"abc","limit":0,"map":{"b":2,"c":3},"prefix":"> ","words":[]}"#
        ]],
    );
    check_config(
        "",
        json!({"api_key": "abc", "prefix": null}),
        expect!["the API: /prefix: expected text, found nothing"],
    );
    check_config("", json!([]), expect!["the API: expected a table, found a list"]);
}

#[test]
fn secrets_come_from_where_they_are_kept() {
    check_config(
        "plugins.echo.config.api_key = { env = 'KEY' }",
        json!({"api_key": {"file": "x"}}),
        expect![[
            r#"{"Base-Url":null,"action":{"kind":"replace","with":"*"},"api_key":"from the variable","limit":0,"map":{"a":1},"prefix":"> ","words":[]}"#
        ]],
    );
    check_config(
        "",
        json!({"api_key": {"env": "KEY"}}),
        expect![
            "the API: /api_key: a reference to a secret cannot be set by the API (send the secret itself, or set the reference in plexichat.toml)"
        ],
    );
    check_config(
        "",
        json!({"words": [{"word": "a", "token": {"env": "KEY"}}]}),
        expect![[r#"
        the API: /words/0/token: a reference to a secret cannot be set by the API (send the secret itself, or set the reference in plexichat.toml)
        the API: /api_key: is required and missing (The key)"#]],
    );
    let path = std::env::temp_dir().join(format!("plexichat-secret-{}", std::process::id()));
    std::fs::write(&path, "from the file\n").unwrap();
    let file = format!("plugins.echo.config.api_key = {{ file = '{}' }}", path.display());
    let config = load("", &file, &[]).unwrap().plugin_config(LINKED[0], None);
    std::fs::remove_file(&path).unwrap();
    assert_eq!((config.value["api_key"].as_str(), config.problems.len()), (Some("from the file"), 0));
}

#[test]
fn secrets_that_cannot_be_had_are_found_at_once() {
    check(
        "plugins.echo.config.api_key = { env = 'NOTHING' }",
        &[("NOTHING", "")],
        expect!["plexichat.toml:1:21: /plugins/echo/config/api_key: the secret that this refers to is empty"],
    );
    check(
        "plugins.echo.config.api_key = { env = 'ABSENT' }",
        &[],
        expect![
            "plexichat.toml:1:21: /plugins/echo/config/api_key: the variable `ABSENT` is not set (it has to be in the server's own environment)"
        ],
    );
    check(
        "plugins.echo.config.api_key = { file = '/nowhere/at/all' }",
        &[],
        expect![
            "plexichat.toml:1:21: /plugins/echo/config/api_key: the file `/nowhere/at/all` cannot be read: No such file or directory (os error 2)"
        ],
    );
    check(
        "plugins.echo.config.api_key = { file = '/dev/zero' }",
        &[],
        expect!["plexichat.toml:1:21: /plugins/echo/config/api_key: the file `/dev/zero` is too large for a secret"],
    );
    check(
        "plugins.echo.config.api_key = { env = 'A', file = 'b' }",
        &[],
        expect![[
            r#"plexichat.toml:1:21: /plugins/echo/config/api_key: a secret is text, or a reference to it (either `{ env = "NAME" }` or `{ file = "path" }`)"#
        ]],
    );
    check(
        "plugins.echo.config.api_key = { env = 'hunter2' }\nplugins.echo.config.limit = 'x'",
        &[],
        expect![[r#"
        plexichat.toml:1:21: /plugins/echo/config/api_key: the variable `hunter2` is not set (it has to be in the server's own environment)
        plexichat.toml:2:21: /plugins/echo/config/limit: expected a whole number, found text"#]],
    );
}

#[test]
fn the_api_cannot_change_what_is_pinned() {
    let file = "plugins.echo.config = { api_key = { env = 'KEY' }, limit = 3 }";
    let settings = load("", file, &[("KEY", "hunter2")]).unwrap();
    let config = settings.plugin_config(LINKED[0], Some(&json!({"prefix": "-"})));
    let mut wanted = config.shown();
    assert_eq!(wanted["api_key"], "***");
    wanted["prefix"] = json!("+");
    let stored = config.to_store(&wanted).unwrap();
    assert_eq!(stored["prefix"], "+");
    assert!(stored.get("api_key").is_none() && stored.get("limit").is_none(), "{stored}");
    wanted["limit"] = json!(4);
    wanted["api_key"] = json!("other");
    expect![[r#"
        /api_key: is set in plexichat.toml:1:25 and cannot be changed here (change it there, or remove it there first)
        /limit: is set in plexichat.toml:1:52 and cannot be changed here (change it there, or remove it there first)"#]]
    .assert_eq(&lines(&config.to_store(&wanted).unwrap_err()));
}

#[test]
fn a_secret_stays_in_the_layer_that_brings_it() {
    let bundle = "plugins.echo.config = { api_key = { env = 'KEY' } }";
    let settings = load(bundle, "", &[("KEY", "hunter2")]).unwrap();
    let config = settings.plugin_config(LINKED[0], None);
    assert!(config.problems.is_empty());
    let stored = config.to_store(&config.shown()).unwrap();
    assert!(!stored.to_string().contains("hunter2") && stored.get("api_key").is_none(), "{stored}");
    let stored = config.to_store(&json!({"api_key": "another"})).unwrap();
    let config = settings.plugin_config(LINKED[0], Some(&stored));
    assert_eq!(config.to_store(&config.shown()).unwrap()["api_key"], "another");
}

#[test]
fn the_rim_is_read_and_checked() {
    let good = load(
        "",
        r#"
[server]
trusted_proxies = ["10.0.0.0/8", "::1"]
log_level = "debug"
tls = { cert = "a.pem", key = "b.pem" }
[server.limits]
connections_per_address = 7
"#,
        &[("PLEXICHAT__SERVER__LIMITS__CONNECTIONS", "9")],
    );
    let server = good.unwrap().server;
    assert_eq!((server.edge.connections.get(), server.edge.connections_per_address.get()), (9, 7));
    assert_eq!(server.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
    assert_eq!(server.tls, Some(TlsSettings::new("a.pem", "b.pem")));
    check(
        "[server]\ntrusted_proxies = [\"10.0.0.1/8\"]\nlimits.connections = 0\ntls.cert = \"a.pem\"\n",
        &[],
        expect![[r#"
            plexichat.toml:3:8: /server/limits/connections: must be at least 1
            plexichat.toml:2:20: /server/trusted_proxies/0: this is no address and no network (an address, or a network with no bits beyond its length: `10.0.0.0/8`, `192.0.2.7`, `::1`)
            plexichat.toml:4:1: /server/tls/key: the key's file is not named (https needs both `cert` and `key`, files with PEM)"#]],
    );
}

#[test]
fn what_is_said_of_ai_is_read_and_checked() {
    let good = load(
        "",
        r#"
[server.ai]
default_models = ["echo/small", "echo"]
person_tokens_per_day = 1000
room_requests_per_day = 5
[server.ai.assistant]
name = "helper"
system_prompt = "Be brief."
models = ["echo/large/v2"]
trigger = "every"
[server.retention]
ai_usage = "90d"
"#,
        &[("PLEXICHAT__SERVER__AI__PERSON_REQUESTS_PER_DAY", "9")],
    );
    let server = good.unwrap().server;
    assert_eq!(server.ai.default_models, ["echo/small", "echo"]);
    let limits = [server.ai.person_tokens_per_day, server.ai.person_requests_per_day, server.ai.room_requests_per_day];
    assert_eq!(limits.map(|limit| limit.map_or(0, NonZeroU64::get)), [1000, 9, 5]);
    assert_eq!(server.ai.room_tokens_per_day, None);
    let assistant = &server.ai.assistant;
    assert_eq!((assistant.name.as_str(), assistant.trigger), ("helper", Trigger::Every));
    assert_eq!(assistant.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(assistant.models, ["echo/large/v2"]);
    assert_eq!(server.retention.ai_usage, Duration::from_secs(90 * 86_400));
    check(
        "[server.ai]\ndefault_models = [\"ecko/x\", \"echo/\", \"/x\"]\nroom_tokens_per_day = 0\n[server.ai.assistant]\nname = \"my/helper\"\ntools = [\"ecko__count\"]\ntrigger = \"always\"\n[server.retention]\nai_usage = \"12h\"\n",
        &[],
        expect![[r#"
            plexichat.toml:7:1: /server/ai/assistant/trigger: expected one of `mention`, `direct`, `every`, `command`, `off`
            plexichat.toml:3:1: /server/ai/room_tokens_per_day: must be at least 1
            plexichat.toml:9:1: /server/retention/ai_usage: must be at least a day (quotas count what was asked within 24 hours: `1d` or more)
            plexichat.toml:2:19: /server/ai/default_models/0: no plugin of this name is linked into this binary (did you mean `echo`?)
            plexichat.toml:2:29: /server/ai/default_models/1: `echo/` names no model (the provider's plugin and its model, `openai/gpt-5`, or the plugin alone)
            plexichat.toml:2:38: /server/ai/default_models/2: `/x` names no model (the provider's plugin and its model, `openai/gpt-5`, or the plugin alone)
            plexichat.toml:6:10: /server/ai/assistant/tools/0: no plugin of this name is linked into this binary (did you mean `echo`?)
            plexichat.toml:5:1: /server/ai/assistant/name: `my/helper` is no name for an assistant (1 to 40 letters, digits, blanks, `-`, `_`, `.`, with no blank at either end)"#]],
    );
}
