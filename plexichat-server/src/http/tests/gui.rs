//! What plugins add to pages: who sees which component where, what becomes of buttons and forms, and settings as a form.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use plexichat::Descriptor;
use plexichat::asset::Asset;
use plexichat::catalog::Catalog;
use plexichat::id::PluginName;
use plexichat::message::Actor;
use plexichat::plugin::gui::{Audience, RoomKind};
use plexichat::prelude::*;
use plexichat::secret::Secret;
use plexichat::settings::{AccountSettings, Settings, Sources};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Fixture;
use crate::store::{Role, Scope};

/// Has a component for every slot.
#[plexichat::plugin(name = "parts", provides(Interface))]
struct Parts;

/// What it is set to.
#[plexichat::config]
struct PartsConfig {
    /// What it says.
    #[serde(default = "hello")]
    #[garde(length(min = 2))]
    greeting: String,
    /// How often.
    #[serde(default)]
    times: u8,
    /// Known to few.
    #[serde(default)]
    key: Option<Secret>,
}

fn hello() -> String {
    "hello".to_owned()
}

impl Plugin for Parts {
    type Config = PartsConfig;

    async fn initialize(_: Context<Self>, config: PartsConfig) -> Result<Self> {
        let _ = (config.greeting, config.times, config.key);
        Ok(Self)
    }
}

#[plexichat::role]
impl Interface for Parts {
    fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
        gui.menu_item("front", "Front", "ui/front.html")
            .dashboard_widget("first", "First", Self::mirror)
            .weight(-1)
            .dashboard_widget("moderators", "Moderators", Self::mirror)
            .audience(Audience::Moderators)
            .dashboard_widget("admins", "Admins", Self::mirror)
            .audience(Audience::Admins)
            .message_action("message", "Message", Self::mirror)
            .room_action("room", "Room", Self::mirror)
            .in_rooms(&[RoomKind::Private])
            .composer_action("composer", "Composer", Self::mirror)
            .right_sidebar("sidebar", "Sidebar", Self::mirror)
            .config_panel("Settings")
            .audience(Audience::Everyone)
    }
}

impl Parts {
    async fn mirror(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
        match interaction.action.as_str() {
            "hang" => std::future::pending().await,
            "panic" => panic!("hunter2"),
            "refuse" => Err(PluginError::input("that does not go")),
            "fail" => Err(PluginError::internal("hunter2")),
            "elsewhere" => Ok(GuiReply::Open { path: "//evil.example".to_owned() }),
            "picture" => Ok(GuiReply::blocks(vec![Block::Image { path: "assets/a.svg".into(), alt: "A".into() }])),
            action => {
                let place = format!("{:?} {:?}", interaction.room_id.is_some(), interaction.message_id.is_some());
                let name = interaction.caller.actor().map(|actor| actor.name.to_string()).unwrap_or_default();
                Ok(GuiReply::notice(format!(
                    "{action} by {name} {place} {} {}",
                    interaction.language, interaction.values
                )))
            }
        }
    }
}

/// With the page that its crate would embed.
static LINKED: Descriptor = Descriptor {
    assets: &[Asset { path: "ui/front.html", bytes: b"" }],
    ..*<Parts as plexichat::descriptor::Registered>::DESCRIPTOR
};

async fn fixture(settings: &str) -> Fixture {
    let linked = [&LINKED];
    let bundle = "[plugins.parts]\nenabled = true\ngrant = []\ntimeouts.interaction = \"2s\"\n";
    let file = (!settings.is_empty()).then_some(("plexichat.toml", settings.as_bytes()));
    let settings = Settings::load(&Sources { bundle, file, linked: &linked, ..Sources::default() });
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings.unwrap());
    fixture.app.host.manager.start_all().await.unwrap();
    fixture
}

const BOTH: &[Scope] = &[Scope::Read, Scope::Write];

async fn listed(fixture: &Fixture, token: &str, query: &str) -> Vec<String> {
    let (status, list) = fixture.send("GET", &format!("/api/v1/gui{query}"), Some(token), None).await;
    assert_eq!(status, 200, "{list}");
    list["components"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

async fn room(fixture: &Fixture, token: &str, kind: &str) -> (String, String) {
    let asked = json!({ "name": kind, "kind": kind });
    let (_, room) = fixture.send("POST", "/api/v1/rooms", Some(token), Some(asked)).await;
    let room = room["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/rooms/{room}/messages");
    let (_, message) = fixture.send("POST", &path, Some(token), Some(json!({ "text": "hello" }))).await;
    (room, message["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn one_sees_what_is_for_one_and_stands_there() {
    let fixture = fixture("").await;
    let user = fixture.token("ann", Role::User, BOTH).await;
    let moderator = fixture.token("mo", Role::Moderator, BOTH).await;
    let admin = fixture.administrator().await;
    assert_eq!(listed(&fixture, &user, "").await, ["first", "front"]);
    assert_eq!(listed(&fixture, &moderator, "").await, ["first", "front", "moderators"]);
    assert_eq!(listed(&fixture, &admin, "").await, ["first", "front", "moderators", "admins", "config"]);
    assert_eq!(listed(&fixture, &admin, "?slot=settings_panel").await, ["config"]);

    let (public, _) = room(&fixture, &user, "public").await;
    let (private, _) = room(&fixture, &user, "private").await;
    let here = ["first", "front", "message", "composer", "sidebar"];
    assert_eq!(listed(&fixture, &user, &format!("?room={public}")).await, here);
    assert_eq!(listed(&fixture, &user, &format!("?room={private}&slot=room_action")).await, ["room"]);

    let (status, refused) = fixture.send("GET", "/api/v1/gui?slot=room_action", Some(&user), None).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("bad_query")));
    let path = format!("/api/v1/gui?room={private}");
    let (status, refused) = fixture.send("GET", &path, Some(&moderator), None).await;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("room_not_found")));

    let (_, list) = fixture.send("GET", "/api/v1/gui?slot=menu_item", Some(&user), None).await;
    let front = &list["components"][0];
    assert_eq!((&front["page"], &front["view"]), (&json!("/ui/parts/ui/front.html"), &json!("page")));
}

async fn check(fixture: &Fixture, token: &str, address: &str, body: Value, status: u16, part: &str) {
    let path = format!("/api/v1/gui/parts/{address}");
    let (found, answer) = fixture.send("POST", &path, Some(token), Some(body)).await;
    let answer = answer.to_string();
    assert_eq!(found, status, "{address}: {answer}");
    assert!(answer.contains(part), "{address}: {answer}");
    assert!(!answer.contains("hunter2"), "{address}: {answer}");
}

#[tokio::test]
async fn every_answer_and_every_failure_has_its_shape() {
    let fixture = fixture("").await;
    let user = fixture.token("ann", Role::User, BOTH).await;
    let values = json!({ "values": { "a": 1 } });
    check(&fixture, &user, "first/open", json!({}), 200, r#""text":"open by ann false false en {}"#).await;
    check(&fixture, &user, "first/go", values, 200, r#"{\"a\":1}"#).await;
    check(&fixture, &user, "first/picture", json!({}), 200, r#""path":"/ui/parts/assets/a.svg""#).await;
    check(&fixture, &user, "first/refuse", json!({}), 422, "that does not go").await;
    check(&fixture, &user, "first/fail", json!({}), 500, "plugin_failed").await;
    check(&fixture, &user, "first/elsewhere", json!({}), 500, "internal_error").await;
    check(&fixture, &user, "first/panic", json!({}), 500, "plugin_failed").await;
    check(&fixture, &user, "first/hang", json!({}), 503, "plugin_timeout").await;
    check(&fixture, &user, "first/open", json!({ "value": {} }), 422, "unknown field").await;
    check(&fixture, &user, "other/open", json!({}), 404, "not_found").await;
    check(&fixture, &user, "front/open", json!({}), 404, "is a page").await;
    check(&fixture, &user, "moderators/open", json!({}), 403, "forbidden").await;
    check(&fixture, &user, "config/open", json!({}), 403, "forbidden").await;
    check(&fixture, &user, "first/open", json!({}), 200, "notice").await;
}

#[tokio::test]
async fn the_room_and_the_message_are_checked_by_the_host() {
    let fixture = fixture("").await;
    let (ann, bob) = (fixture.token("ann", Role::User, BOTH).await, fixture.token("bob", Role::User, BOTH).await);
    let (public, open) = room(&fixture, &ann, "public").await;
    let (private, hidden) = room(&fixture, &ann, "private").await;
    let at = |room: &str| json!({ "room_id": room });
    check(&fixture, &ann, "room/open", at(&private), 200, "true false").await;
    check(&fixture, &ann, "room/open", at(&public), 404, "rooms of this kind").await;
    check(&fixture, &ann, "room/open", json!({}), 422, "/room_id").await;
    check(&fixture, &ann, "message/open", at(&private), 422, "/message_id").await;
    check(&fixture, &ann, "message/open", json!({ "message_id": hidden }), 200, "true true").await;
    check(&fixture, &ann, "message/open", json!({ "message_id": hidden, "room_id": public }), 404, "message_not_found")
        .await;
    check(&fixture, &bob, "message/open", json!({ "message_id": hidden }), 404, "message_not_found").await;
    check(&fixture, &bob, "message/open", json!({ "message_id": open }), 200, "true true").await;
    check(&fixture, &bob, "room/open", at(&private), 404, "room_not_found").await;
    check(&fixture, &bob, "first/open", at(&private), 404, "room_not_found").await;
    check(&fixture, &bob, "composer/open", at(&public), 200, "true false").await;
}

#[tokio::test]
async fn settings_are_a_form() {
    let fixture = fixture("[plugins.parts.config]\ntimes = 3\n").await;
    let admin = fixture.administrator().await;
    let ask = async |action: &str, values: Value| {
        let path = format!("/api/v1/gui/parts/config/{action}");
        fixture.send("POST", &path, Some(&admin), Some(json!({ "values": values }))).await
    };
    let (_, form) = ask("open", json!({})).await;
    assert_eq!((&form["type"], &form["action"]), (&json!("form"), &json!("save")), "{form}");
    assert_eq!(form["values"]["greeting"], "hello");
    let times = &form["schema"]["properties"]["times"];
    assert_eq!(times["readOnly"], true, "{form}");
    assert!(times["description"].as_str().unwrap().contains("plexichat.toml:2:"), "{times}");

    let revision = form["carry"]["$revision"].clone();
    let with = |greeting: &str, times: u8, key: &str, revision: &Value| json!({ "greeting": greeting, "times": times, "key": key, "$revision": revision });
    let (status, saved) = ask("save", with("good day", 3, "hunter2", &revision)).await;
    assert_eq!((status, &saved["type"]), (200, &json!("notice")), "{saved}");
    let (status, stale) = ask("save", with("good night", 3, "***", &revision)).await;
    assert_eq!((status, &stale["error"]["code"]), (412, &json!("precondition_failed")), "{stale}");

    let (_, form) = ask("open", json!({})).await;
    assert_eq!((&form["values"]["greeting"], &form["values"]["key"]), (&json!("good day"), &json!("***")));
    let revision = form["carry"]["$revision"].clone();
    let (status, errors) = ask("save", with("x", 3, "***", &revision)).await;
    assert_eq!((status, &errors["type"]), (200, &json!("errors")), "{errors}");
    assert_eq!(errors["errors"][0]["pointer"], "/greeting");
    let (status, pinned) = ask("save", with("good day", 4, "***", &revision)).await;
    assert_eq!((status, &pinned["error"]["code"]), (409, &json!("pinned")), "{pinned}");
    assert_eq!(ask("other", json!({})).await.0, 404);
}

#[tokio::test]
async fn components_come_and_go_with_their_plugin() {
    let fixture = fixture("").await;
    let user = fixture.token("ann", Role::User, BOTH).await;
    let (manager, name) = (&fixture.app.host.manager, "parts".parse::<PluginName>().unwrap());
    manager.disable(&name, &Actor::system()).await.unwrap();
    assert!(listed(&fixture, &user, "").await.is_empty());
    check(&fixture, &user, "first/open", json!({}), 404, "plugin_not_running").await;
    manager.enable(&name, &Actor::system()).await.unwrap();
    assert_eq!(listed(&fixture, &user, "").await, ["first", "front"]);
}

/// A page of another site presses no button in the name of whoever is signed in.
#[tokio::test]
async fn buttons_are_for_our_own_pages() {
    let fixture = fixture("").await;
    let user = fixture.app.store.create_user("ann", Role::User).await.unwrap();
    let secret = fixture.app.authenticator.session_of(&user).await;
    for (site, origin, status) in
        [("same-origin", "http://here", 200), ("cross-site", "https://evil.example", 403), ("cross-site", "null", 403)]
    {
        let request =
            Request::builder().method("POST").uri("/api/v1/gui/parts/first/open").header(header::HOST, "here");
        let request = request.header("sec-fetch-site", site).header(header::ORIGIN, origin);
        let request = request.header(header::COOKIE, format!("plexichat={}", secret.expose()));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(10), fixture.service.clone().oneshot(request)).await;
        assert_eq!(answered.unwrap().unwrap().status().as_u16(), status, "{origin}");
    }
}
