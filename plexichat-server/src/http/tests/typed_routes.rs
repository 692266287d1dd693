//! Routes whose handlers say with their types what they take and answer: what does not fit is told, and the document has it.

use std::sync::Arc;

use super::Fixture;
use super::plugin_routes::{ask_at, text};
use crate::store::{Role, Scope};
use plexichat::catalog::Catalog;
use plexichat::plugin::interface::{Caller, Status};
use plexichat::prelude::*;
use plexichat::settings::{AccountSettings, Settings, Sources};

/// Keeps nothing and answers with what it was told.
#[plexichat::plugin(name = "typed", provides(Interface))]
struct Typed;

impl Plugin for Typed {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self)
    }
}

/// A note.
#[plexichat::model]
struct Note {
    /// What it says.
    #[garde(length(min = 1, max = 5))]
    text: String,
    /// How much it matters.
    #[garde(range(max = 9))]
    #[serde(default)]
    weight: u8,
    /// Its parts.
    #[serde(default)]
    parts: Vec<Part>,
}

/// A part of a note.
#[plexichat::model]
struct Part {
    /// Whether it is done.
    done: bool,
}

/// What is looked for.
#[plexichat::model]
struct Wanted {
    /// How many.
    limit: Option<u8>,
    /// Which ones.
    #[serde(default)]
    ids: Vec<u64>,
}

/// Where it is.
#[plexichat::model]
struct Place {
    /// The shelf.
    shelf: u32,
    /// The book.
    book: String,
}

#[plexichat::role]
impl Interface for Typed {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .post("/notes", Auth::User, Self::add)
            .summary("Adds a note")
            .get("/notes", Auth::Public, Self::find)
            .get("/notes/{id}", Auth::Public, Self::one)
            .put("/shelves/{shelf}/{book}", Auth::User, Self::place)
            .delete("/notes/{id}", Auth::User, Self::forget)
            .get("/page", Auth::Public, Self::page)
            .post("/jobs", Auth::Public, Self::begin)
    }
}

impl Typed {
    async fn add(self: Arc<Self>, user: User, Json(note): Json<Note>) -> Result<Created<Note>> {
        Ok(Created(Note { text: format!("{}: {}", user.name(), note.text), ..note }))
    }

    async fn find(self: Arc<Self>, caller: Caller, Query(wanted): Query<Wanted>) -> Result<Json<Wanted>> {
        assert_eq!(caller.actor(), None);
        Ok(Json(wanted))
    }

    async fn one(self: Arc<Self>, Path(id): Path<u64>) -> Result<String> {
        Ok(format!("note {id}"))
    }

    async fn place(
        self: Arc<Self>,
        user: User,
        Path(place): Path<Place>,
        Query(wanted): Query<Wanted>,
        Json(part): Json<Part>,
    ) -> Result<Json<Value>> {
        let found = json!({ "by": user.name(), "shelf": place.shelf, "book": place.book, "limit": wanted.limit });
        Ok(Json(json!({ "found": found, "done": part.done })))
    }

    async fn forget(self: Arc<Self>, Path(id): Path<u64>) -> Result<()> {
        if id == 0 { Err(PluginError::not_found("no such note")) } else { Ok(()) }
    }

    async fn page(self: Arc<Self>) -> Result<Html> {
        Ok(Html("<p>hello</p>".to_owned()))
    }

    async fn begin(self: Arc<Self>, call: RouteCall) -> Result<Status<202, String>> {
        Ok(Status(format!("{} bytes", call.body.len())))
    }
}

async fn fixture() -> (Fixture, String) {
    let linked = [<Typed as plexichat::descriptor::Registered>::DESCRIPTOR];
    let bundle = "[plugins.typed]\nenabled = true\ngrant = []\n";
    let settings = Settings::load(&Sources { bundle, linked: &linked, ..Sources::default() }).unwrap();
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings);
    fixture.app.host.manager.start_all().await.unwrap();
    let token = format!("Bearer {}", fixture.token("ann", Role::User, &[Scope::Write]).await);
    (fixture, token)
}

/// Asks with a token and a body of JSON; status and body.
async fn ask(fixture: &(Fixture, String), request: &str, body: &str) -> (u16, String) {
    let (method, path) = request.split_once(' ').unwrap();
    let mut head = vec![("authorization", fixture.1.as_str())];
    if !body.is_empty() {
        head.push(("content-type", "application/json; charset=utf-8"));
    }
    text(ask_at(&fixture.0, method, &format!("/api/v1/plugins/typed{path}"), &head, body).await).await
}

#[track_caller]
fn check_same((status, body): (u16, String), expected_status: u16, expected: &Value) {
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).ok().as_ref()),
        (expected_status, Some(expected)),
        "{body}"
    );
}

#[tokio::test]
async fn a_handler_is_given_what_it_asks_for() {
    let fixture = fixture().await;
    let added = ask(&fixture, "POST /notes", r#"{"text":"hi","weight":3}"#).await;
    check_same(added, 201, &json!({ "text": "ann: hi", "weight": 3, "parts": [] }));
    let found = ask(&fixture, "GET /notes?limit=7&ids=1&ids=2", "").await;
    check_same(found, 200, &json!({ "limit": 7, "ids": [1, 2] }));
    let placed = ask(&fixture, "PUT /shelves/3/a%20b?limit=1", r#"{"done":true}"#).await;
    let expected = json!({ "found": { "by": "ann", "shelf": 3, "book": "a b", "limit": 1 }, "done": true });
    check_same(placed, 200, &expected);
    assert_eq!(ask(&fixture, "GET /notes/7", "").await, (200, "note 7".to_owned()));
    assert_eq!(ask(&fixture, "DELETE /notes/7", "").await, (204, String::new()));
    assert_eq!(ask(&fixture, "GET /page", "").await, (200, "<p>hello</p>".to_owned()));
    assert_eq!(ask(&fixture, "POST /jobs", "anything").await, (202, "8 bytes".to_owned()));
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_places() {
    let fixture = fixture().await;
    let (status, body) =
        ask(&fixture, "POST /notes", r#"{"text":7,"parts":[{"done":true},{"done":"no"}],"x":1}"#).await;
    let error = &serde_json::from_str::<Value>(&body).unwrap()["error"];
    assert_eq!(
        (status, &error["code"], &error["message"]),
        (422, &json!("invalid_input"), &json!("the body does not fit"))
    );
    let places: Vec<&str> =
        error["details"].as_array().unwrap().iter().map(|detail| detail["pointer"].as_str().unwrap()).collect();
    assert_eq!(places, ["/parts/1/done", "/text", "/x"], "{body}");
    let pointer = async |request: &str, sent: &str, expected: &str| {
        let (status, body) = ask(&fixture, request, sent).await;
        let error = &serde_json::from_str::<Value>(&body).unwrap()["error"];
        assert_eq!((status, error["details"][0]["pointer"].as_str()), (422, Some(expected)), "{body}");
    };
    pointer("POST /notes", r#"{"text":"too long"}"#, "/text").await;
    pointer("GET /notes?limit=many", "", "/limit").await;
    pointer("GET /notes?limit=1&limit=2", "", "/limit").await;
    pointer("GET /notes?other=1", "", "/other").await;
    for (request, sent, status, part) in [
        ("POST /notes", "{", 422, "the body is no JSON"),
        ("POST /notes", "", 422, "the request has no body"),
        ("GET /notes?limit=%FF", "", 422, "percent-encoded"),
        ("GET /notes/many", "", 404, "not_found"),
        ("DELETE /notes/0", "", 404, "not_found"),
        ("PUT /shelves/top/x", r#"{"done":true}"#, 404, "not_found"),
    ] {
        let (found, body) = ask(&fixture, request, sent).await;
        assert!(found == status && body.contains(part), "{request}: {found} {body}");
    }
}

#[tokio::test]
async fn the_document_says_what_a_handler_takes_and_answers() {
    let (fixture, _) = fixture().await;
    let document: Value = serde_json::from_slice(&fixture.app.document).unwrap();
    let path = |path: &str| &document["paths"][format!("/api/v1/plugins/typed{path}")];
    let add = &path("/notes")["post"];
    assert_eq!(add["summary"], "Adds a note");
    let note = json!({ "$ref": "#/components/schemas/Typed_Note" });
    assert_eq!(add["requestBody"]["content"]["application/json"]["schema"], note);
    assert_eq!(document["components"]["schemas"]["Typed_Note"]["properties"]["text"]["maxLength"], 5);
    assert!(add["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].is_string(), "{add}");
    for status in ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503"] {
        let schema = &add["responses"][status]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/ErrorBody", "{status}");
    }
    assert_eq!(add["responses"]["default"], Value::Null);
    let find = path("/notes")["get"]["parameters"].as_array().unwrap();
    let names: Vec<_> =
        find.iter().map(|parameter| (&parameter["name"], &parameter["in"], &parameter["required"])).collect();
    let (query, no) = (json!("query"), json!(false));
    assert_eq!(names, [(&json!("ids"), &query, &no), (&json!("limit"), &query, &no)]);
    assert_eq!(path("/notes/{id}")["get"]["parameters"][0]["schema"]["type"], "integer");
    let place = path("/shelves/{shelf}/{book}")["put"]["parameters"].as_array().unwrap();
    assert_eq!((&place[0]["name"], &place[0]["schema"]["type"]), (&json!("shelf"), &json!("integer")));
    assert!(path("/notes/{id}")["delete"]["responses"]["204"].is_object());
    assert_eq!(path("/page")["get"]["responses"]["200"]["content"]["text/html"]["schema"]["type"], "string");
}
