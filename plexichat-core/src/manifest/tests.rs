//! The manifest of a descriptor as text, its own schema, and what each mistake gets.

use std::time::Duration;

use expect_test::{Expect, expect, expect_file};
use serde_json::{Value, json};

use super::*;
use crate::command::CommandSpec;
use crate::descriptor::sample::plugin as bare;
use crate::descriptor::{Entry, EventSpec, HookPolicy, HookSpec, Package, Requirement};
use crate::plugin::gui::{Gui, RoomKind};
use crate::plugin::interface::Auth;
use crate::text::Text;

const PLUGIN: Descriptor = Descriptor {
    package: Package { authors: "Ada <ada@example.org>", rust_version: "1.95", ..bare("word-filter").package },
    category: "testing",
    tags: &["moderation", "words"],
    core: "0.1",
    provides: &[Role::Security, Role::Interface],
    permissions: &[Permission::PostMessages, Permission::UserDataAccess],
    requires: &[Requirement { name: "echo", version: "0.1" }],
    hooks: &[HookSpec {
        hook: Hook::ScanMessage,
        policy: HookPolicy {
            timeout: Duration::from_millis(250),
            before: &["other"],
            ..Hook::ScanMessage.default_policy()
        },
    }],
    events: &[
        EventSpec { method: "greet", patterns: &["user_message", "user_login"], own: false },
        EventSpec { method: "count", patterns: &["user_message"], own: true },
    ],
    commands: &[CommandSpec {
        name: "roll",
        help: " Rolls a die.",
        method: "roll",
        arguments: || json!({"type": "object"}),
        fields: &[],
    }],
    emits: &["custom.word_found"],
    absolute_routes: &["/v1/models"],
    tools: &[ToolSpec {
        name: "look_up",
        help: " Looks a word up.",
        method: "look",
        arguments: || json!({"type": "object"}),
        approval: Approval::FirstUse,
    }],
    entry: Entry {
        routes: || {
            let route = |path, auth| RouteSpec::new("GET", path, auth, "answer");
            vec![route("/v1/models", Auth::Scope("ai")), route("/words/{word}", Auth::Moderator)]
        },
        gui: || {
            let gui =
                Gui::<()>::new().settings_panel("panel", "Panel", "ui/panel.html").config_panel(Text::key("settings"));
            let gui = gui.right_sidebar("words", "Words", "ui/words.html").in_rooms(&[RoomKind::Public]);
            gui.specs().cloned().collect()
        },
        ..bare("word-filter").entry
    },
    ..bare("word-filter")
};

#[test]
fn everything_a_plugin_adds_is_in_its_manifest() {
    expect![[r#"
        {
          "schema_version": 1,
          "name": "word-filter",
          "version": "0.1.0",
          "description": "A plugin of the tests",
          "author": "Ada",
          "email": "ada@example.org",
          "license": "MIT",
          "type": "security",
          "category": "testing",
          "tags": [
            "moderation",
            "words"
          ],
          "plexichat_version": "0.1",
          "rust_version": "1.95",
          "dependencies": {},
          "permissions": [
            "user_data_access",
            "post_messages"
          ],
          "entry_point": "plexichat_test::Test",
          "config_schema": {
            "additionalProperties": false,
            "type": "object"
          },
          "ui_components": {
            "settings_panel": "ui/panel.html",
            "components": [
              {
                "id": "panel",
                "slot": "settings_panel",
                "label": "Panel",
                "view": "page",
                "page": "ui/panel.html",
                "audience": "everyone"
              },
              {
                "id": "config",
                "slot": "settings_panel",
                "label": "settings",
                "view": "config",
                "audience": "admins"
              },
              {
                "id": "words",
                "slot": "right_sidebar",
                "label": "Words",
                "view": "page",
                "page": "ui/words.html",
                "audience": "everyone",
                "room_kinds": [
                  "public"
                ]
              }
            ]
          },
          "api_endpoints": [
            {
              "path": "/v1/models",
              "method": "GET",
              "handler": "answer",
              "absolute": true,
              "auth": "scope:ai"
            },
            {
              "path": "/words/{word}",
              "method": "GET",
              "handler": "answer",
              "absolute": false,
              "auth": "moderator"
            }
          ],
          "provides": [
            "security",
            "interface"
          ],
          "hooks": [
            {
              "hook": "scan_message",
              "timeout_ms": 250,
              "on_error": "closed",
              "required": false,
              "before": [
                "other"
              ],
              "after": []
            }
          ],
          "events": [
            "user_login",
            "user_message"
          ],
          "emits": [
            "custom.word_found"
          ],
          "commands": [
            {
              "name": "roll",
              "help": "Rolls a die.",
              "arguments": {
                "type": "object"
              }
            }
          ],
          "tools": [
            {
              "name": "look_up",
              "help": "Looks a word up.",
              "arguments": {
                "type": "object"
              },
              "approval": "first_use"
            }
          ],
          "requires": [
            {
              "name": "echo",
              "version": "0.1"
            }
          ]
        }
    "#]]
    .assert_eq(&Manifest::of(&PLUGIN).to_json());
}

#[test]
fn a_manifest_that_was_written_can_be_read() {
    for plugin in [PLUGIN, Descriptor { name: "bare", provides: &[Role::Interface], hooks: &[], ..PLUGIN }] {
        let manifest = Manifest::of(&plugin);
        let written: Value = serde_json::from_str(&manifest.to_json()).unwrap();
        assert_eq!(Manifest::parse(&written).unwrap(), manifest);
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_type() {
    let mut schema = serde_json::to_string_pretty(&json_schema()).unwrap();
    schema.push('\n');
    expect_file!["../../manifest.schema.json"].assert_eq(&schema);
}

#[track_caller]
fn check_with(change: Value, expected: Expect) {
    let mut manifest: Value = serde_json::from_str(&Manifest::of(&PLUGIN).to_json()).unwrap();
    for (key, value) in change.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    let problems = Manifest::parse(&manifest).err().unwrap_or_default();
    expected.assert_eq(&problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_does_not_fit_the_shape() {
    check_with(
        json!({"name": 5, "typ": "x", "permissions": ["netwrk_access"], "type": "securty"}),
        expect![[r#"
        /name: expected text, found a whole number
        /permissions/0: expected one of `network_access`, `file_system_read`, `file_system_write`, `user_data_access`, `post_messages`, `ai_access`, `admin_access` (did you mean `network_access`?)
        /typ: unknown key `typ` (did you mean `type`?)
        /type: expected one of `ai_provider`, `security`, `interface`, `automation` (did you mean `security`?)"#]],
    );
    check_with(
        json!({"hooks": [{"hook": "scan_everything", "timeout_ms": -1}], "name": "Echo"}),
        expect![[r#"
            /hooks/0/on_error: is required and missing (What happens when the call fails)
            /hooks/0/required: is required and missing (Whether messages are refused while the plugin is disabled)
            /hooks/0/before: is required and missing (Plugins whose same hook runs after this one)
            /hooks/0/after: is required and missing (Plugins whose same hook runs before this one)
            /hooks/0/hook: expected one of `rewrite_message`, `scan_message`, `scan_file`, `scan_reply`, `check_login`
            /hooks/0/timeout_ms: must be at least 0"#]],
    );
    check_with(
        json!({"name": "Echo"}),
        expect![
            "/name: `Echo` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at most 40 characters"
        ],
    );
}

#[test]
fn what_no_manifest_may_say() {
    check_with(
        json!({
            "schema_version": 2, "version": "1", "description": " ", "author": "", "license": "", "email": "nobody",
            "rust_version": "new", "plexichat_version": "latest", "entry_point": "main", "category": "Fun!",
            "tags": ["a b", "ok", "ok"], "type": "automation", "config_schema": true
        }),
        expect![[r#"
            /schema_version: this version of the manifest's shape is unknown (this version reads manifests of version 1)
            /version: this is no version (three numbers as SemVer writes them: `1.2.3`)
            /description: is empty (set `description` in the plugin's Cargo.toml)
            /author: is empty (set `authors` in the plugin's Cargo.toml)
            /license: is empty (set `license` in the plugin's Cargo.toml)
            /email: this is no address (Cargo.toml writes authors as `Name <name@example.org>`)
            /rust_version: this is no version of Rust (two or three numbers: `1.95`)
            /plexichat_version: this is no range of versions (as Cargo writes it: `0.1` or `>=0.1, <0.3`)
            /entry_point: this is no path of a type (`crate_name::Type`)
            /category: this is no category (lower-case words joined by `-`: `category = "productivity"`)
            /tags/0: this is no tag (lower-case words joined by `-`)
            /tags/2: `ok` stands here twice
            /type: has to be the first of `provides`, or `automation` where there is none
            /config_schema: has to describe a table: `"type": "object"`"#]],
    );
    check_with(
        json!({"provides": [], "type": "automation", "ui_components": {}}),
        expect!["/hooks: only a plugin that provides `security` has these hooks"],
    );
    check_with(
        json!({"permissions": [], "events": ["user_mesage", "message_received", "*", "user_login", "user_login"]}),
        expect![[r#"
            /events/0: unknown event `user_mesage`; did you mean `user_message`?
            /events/1: `message_received` carries what people wrote, and `user_data_access` is not asked for (add `permissions(UserDataAccess)` to the attribute)
            /events/2: `*` carries what people wrote, and `user_data_access` is not asked for (add `permissions(UserDataAccess)` to the attribute)
            /events/4: `user_login` stands here twice"#]],
    );
    check_with(
        json!({"emits": ["report", "custom.", "custom.A", "custom.a.b", "custom.a.b"]}),
        expect![[r#"
        /emits/0: this is no name of a plugin's own event (`custom.` and lower-case words joined by `_`: `custom.report_ready`)
        /emits/1: this is no name of a plugin's own event (`custom.` and lower-case words joined by `_`: `custom.report_ready`)
        /emits/2: this is no name of a plugin's own event (`custom.` and lower-case words joined by `_`: `custom.report_ready`)
        /emits/4: `custom.a.b` stands here twice"#]],
    );
    let command = |name: &str, help: &str| json!({"name": name, "help": help, "arguments": true});
    check_with(
        json!({"commands": [command("/roll", "x"), command("roll", ""), command("roll", "x")]}),
        expect![[r#"
        /commands/0/name: this is no name of a command (lower-case letters, digits, `-` and `_`, starting with a letter, no slash)
        /commands/1/help: is empty (the method's documentation is the help)
        /commands/2: `roll` stands here twice"#]],
    );
    let required = |name: &str, version: &str| json!({"name": name, "version": version});
    check_with(
        json!({"requires": [required("word-filter", "*"), required("Echo", "new"), required("echo", "1")]}),
        expect![[r#"
            /requires/0/name: this is the plugin itself
            /requires/1/name: `Echo` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at most 40 characters
            /requires/1/version: this is no range of versions (as Cargo writes it: `0.1` or `*`)"#]],
    );
    let route = |path: &str, method: &str| json!({"path": path, "method": method, "handler": "h", "auth": "user"});
    check_with(
        json!({"api_endpoints": [route("x", "GET"), route("/../x", "get"), route("/config/x", "GET"), route("/a", "PUT"), route("/a", "PUT")]}),
        expect![[r#"
            /api_endpoints/0/path: this is no path (it begins with `/`)
            /api_endpoints/1/path: this is no path (it begins with `/`)
            /api_endpoints/1/method: this is no method (did you mean `GET`?)
            /api_endpoints/2/path: `/config` is the server's own
            /api_endpoints/4: `PUT /a` stands here twice"#]],
    );
    let by = |auth: &str| json!({"path": format!("/{auth}"), "method": "GET", "handler": "h", "auth": auth});
    check_with(
        json!({"api_endpoints": [by("public"), by("scope:ai"), by("scope:"), by("everybody")]}),
        expect![[r#"
        /api_endpoints/2/auth: nobody is known by this name (one of public, user, moderator, admin, or `scope:` and a scope)
        /api_endpoints/3/auth: nobody is known by this name (one of public, user, moderator, admin, or `scope:` and a scope)"#]],
    );
    let component = |id: &str, view: &str, page: Value| json!({"id": id, "slot": "dashboard_widget", "label": "x", "view": view, "page": page, "audience": "everyone"});
    check_with(
        json!({"ui_components": {"settings_panel": "ui/x.html", "components": [
            component("A", "handler", json!(null)), component("b", "page", json!(null)), component("b", "config", json!("ui/x.html")),
            component("c", "page", json!("../x.html")),
        ]}}),
        expect![[r#"
            /ui_components/components/0/id: this is no name of a component (words of lower-case letters and digits joined by `-`, 40 characters at most: `send-later`)
            /ui_components/components/1/page: is missing
            /ui_components/components/2/page: only what is shown as a page has one
            /ui_components/components/3/page: this is no page (a file of the crate's `ui/` folder: `ui/page.html`)
            /ui_components/components/2: `b` stands here twice
            /ui_components/settings_panel: has to be the page of the first such component, or missing where none has a page
            /ui_components/dashboard_widget: has to be the page of the first such component, or missing where none has a page"#]],
    );
    check_with(
        json!({"provides": ["security"], "ui_components": {"components": [component("a", "handler", json!(null))]}}),
        expect!["/ui_components/components: only a plugin that provides `interface` adds to the pages"],
    );
    let tool = |name: &str, help: &str, kind: &str| json!({"name": name, "help": help, "arguments": {"type": kind}, "approval": "never"});
    check_with(
        json!({"tools": [tool("a", "x", "object"), tool("a", " ", "string"), tool("A-b", "x", "object")]}),
        expect![[r#"
            /tools/1/help: is empty (the method's documentation is what models read)
            /tools/1/arguments: has to describe an object (a tool's arguments are a `#[plexichat::model]` struct)
            /tools/2/name: this is no name of a tool (lower-case letters and digits in words joined by `_`, starting with a letter, at most 20 characters: with the plugin's name it has to fit into what models know)
            /tools/1: `a` stands here twice"#]],
    );
    let hook = |timeout: u64| {
        json!({"hook": "scan_message", "timeout_ms": timeout, "on_error": "closed", "required": true,
               "before": ["word-filter"], "after": ["?"]})
    };
    check_with(
        json!({"hooks": [hook(0), hook(5001)]}),
        expect![[r#"
        /hooks/1: `scan_message` stands here twice
        /hooks/0/timeout_ms: must be more than nothing and at most 5000 ms
        /hooks/0/before/0: this is the plugin itself
        /hooks/0/after/0: `?` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at most 40 characters
        /hooks/1/timeout_ms: must be more than nothing and at most 5000 ms
        /hooks/1/before/0: this is the plugin itself
        /hooks/1/after/0: `?` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at most 40 characters"#]],
    );
    let hook = |hook: &str, most: Value| {
        json!({"hook": hook, "timeout_ms": 60_000, "max_bytes": most, "on_error": "closed", "required": false,
               "before": [], "after": []})
    };
    check_with(
        json!({"hooks": [hook("scan_message", json!(1)), hook("scan_file", json!(0)), hook("scan_file", json!(null))]}),
        expect![[r#"
            /hooks/2: `scan_file` stands here twice
            /hooks/0/timeout_ms: must be more than nothing and at most 5000 ms
            /hooks/0/max_bytes: `scan_message` sees no files
            /hooks/1/max_bytes: has to be more than nothing
            /hooks/2/max_bytes: a hook that sees files needs it"#]],
    );
}

#[test]
fn authors_become_names_and_an_address() {
    let check = |text: &str, names: &str, email: Option<&str>| {
        assert_eq!(authors(text), (names.to_owned(), email.map(str::to_owned)), "{text:?}");
    };
    check("", "", None);
    check("Ada", "Ada", None);
    check("Ada <ada@example.org>:Bob <bob@example.org>: ", "Ada, Bob", Some("ada@example.org"));
    check("<ada@example.org>", "", Some("ada@example.org"));
    check("Ada <ada", "Ada <ada", None);
}
