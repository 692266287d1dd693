//! The whole service over a real store, without a socket: who is let in where, and what each refusal looks like.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use plexichat::catalog::Catalog;
use plexichat::host::{Host, Ports};
use plexichat::pipeline::Limits;
use plexichat::settings::{AccountSettings, FileLimits, Settings};
use plexichat::store::memory::MemoryStore;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::{App, BundleInfo};
use crate::auth::{Authenticator, SignIn, TokenRequest};
use crate::egress::Egress;
use crate::files::Files;
use crate::live::hub::Hub;
use crate::outbox::Outbox;
use crate::ports::SystemClock;
use crate::store::{Act, Role, Scope, Store};

mod assets;
mod files;
mod guarded_routes;
mod gui;
mod people;
mod plugin_routes;
mod schedulers;
mod typed_routes;
mod walk;
mod workflows;

struct Fixture {
    service: axum::Router,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with(AccountSettings::default())
    }

    fn with(accounts: AccountSettings) -> Self {
        Self::of(accounts, Catalog::default(), Settings::default())
    }

    fn of(accounts: AccountSettings, catalog: Catalog, settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("plexichat.db")).unwrap();
        let hub = Hub::new(Arc::new(store.clone()));
        let ports = ports(&store, &hub);
        let bundle = BundleInfo {
            name: "plexichat".to_owned(),
            version: "1.0.0".to_owned(),
            core: "0.1.0".to_owned(),
            plugins: Vec::new(),
        };
        let (stop, stopping) = watch::channel(false);
        let authenticator = Authenticator::new(store.clone());
        let host = Host::new(catalog, settings, Limits::default(), ports);
        let document = super::document(&bundle, &host.routes).unwrap();
        let app = Arc::new(App {
            sign_in: SignIn::new(store.clone(), authenticator.clone(), host.pipeline.clone(), accounts),
            authenticator,
            host,
            files: Files::open(directory.path(), store.clone(), FileLimits::default(), 0).unwrap(),
            store,
            hub,
            document,
            bundle,
            public_url: None,
            route_rates: Default::default(),
            route_places: Default::default(),
            edge: Default::default(),
            hooks: Default::default(),
            settings: watch::channel(Arc::new(Settings::default())).1,
            metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
            stopping,
            shelf: Default::default(),
        });
        Self { service: super::service(&app), app, stop, _directory: directory }
    }

    /// A token of a new person.
    async fn token(&self, name: &str, role: Role, scopes: &[Scope]) -> String {
        let user = self.app.store.create_user(name, role).await.unwrap();
        let request = TokenRequest { name: "test".to_owned(), scopes: Some(scopes.to_vec()), expires_at: None };
        let (secret, _) = self.app.authenticator.create(&user, request, Act::system()).await.unwrap();
        secret.expose().to_owned()
    }

    async fn administrator(&self) -> String {
        self.token("admin", Role::Admin, &Scope::ALL).await
    }

    async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
            }
            None => request.body(Body::empty()).unwrap(),
        };
        let response = self.service.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// What a host runs on over this store.
fn ports(store: &Store, hub: &Hub) -> Ports {
    Ports {
        plugins: Arc::new(store.clone()),
        messages: Arc::new(store.clone()),
        storage: Arc::new(store.clone()),
        users: Arc::new(store.clone()),
        http: Arc::new(Egress::new(Default::default()).unwrap()),
        sockets: Arc::new(crate::egress::socket::SocketEgress::new(Default::default())),
        files: Arc::new(crate::directories::Directories::new(Default::default())),
        automations: Arc::new(store.clone()),
        admin: Arc::new(crate::overview::ServerAdmin::default()),
        node: "main".to_owned(),
        clock: Arc::new(SystemClock),
        ai: Arc::new(store.clone()),
        approvals: Arc::new(store.clone()),
        questions: Arc::new(store.clone()),
        pictures: Arc::new(MemoryStore::new()),
        fanout: Arc::new(hub.clone()),
        outbox: Arc::new(Outbox::new()),
    }
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let fixture = Fixture::new();
    let administrator = fixture.administrator().await;
    let asked = json!({ "user": "robot", "name": "ci", "expires_in": 3600 });
    let (status, made) = fixture.send("POST", "/api/v1/tokens", Some(&administrator), Some(asked)).await;
    assert_eq!(status, 201, "{made}");
    let robot = made["token"].as_str().unwrap();
    assert_eq!((&made["user"], &made["name"]), (&json!("robot"), &json!("ci")));
    let (_, me) = fixture.send("GET", "/api/v1/auth/me", Some(robot), None).await;
    assert_eq!((&me["user"]["name"], &me["scopes"]), (&json!("robot"), &json!(["read", "write", "ai"])), "{me}");

    // Each sees its own; the administrator all, and nobody a secret.
    let (_, list) = fixture.send("GET", "/api/v1/tokens", Some(robot), None).await;
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1, "{list}");
    let (_, list) = fixture.send("GET", "/api/v1/tokens", Some(&administrator), None).await;
    assert_eq!(list["tokens"].as_array().unwrap().len(), 2, "{list}");
    assert!(!list.to_string().contains(robot));

    let others = list["tokens"][0]["id"].as_str().unwrap();
    let (status, _) = fixture.send("DELETE", &format!("/api/v1/tokens/{others}"), Some(robot), None).await;
    assert_eq!(status, 404, "another's token is not there for who may not know it");
    let own = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &own, Some(robot), None).await.0, 204);
    assert_eq!(fixture.send("GET", "/api/v1/auth/me", Some(robot), None).await.0, 401);

    let asked = json!({ "user": "robot", "role": "admin" });
    let (status, refused) = fixture.send("POST", "/api/v1/tokens", Some(&administrator), Some(asked)).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("role_differs")));
    let asked = json!({ "user": "robot", "scopes": ["admin"] });
    let (status, refused) = fixture.send("POST", "/api/v1/tokens", Some(&administrator), Some(asked)).await;
    assert_eq!((status, &refused["error"]["details"][0]["pointer"]), (422, &json!("/scopes")));
}

#[tokio::test]
async fn rooms_come_in_pages() {
    let fixture = Fixture::new();
    let token = fixture.administrator().await;
    for name in ["b", "a", "c"] {
        let (status, _) = fixture.send("POST", "/api/v1/rooms", Some(&token), Some(json!({ "name": name }))).await;
        assert_eq!(status, 201);
    }
    let (status, refused) = fixture.send("POST", "/api/v1/rooms", Some(&token), Some(json!({ "name": " a " }))).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("name_taken")));
    check(&fixture, &token, "", &["a", "b", "c"], false).await;
    check(&fixture, &token, "?limit=2", &["a", "b"], true).await;
    check(&fixture, &token, "?limit=2&after=b", &["c"], false).await;
    check(&fixture, &token, "?limit=3", &["a", "b", "c"], false).await;

    async fn check(fixture: &Fixture, token: &str, query: &str, names: &[&str], more: bool) {
        let (status, page) = fixture.send("GET", &format!("/api/v1/rooms{query}"), Some(token), None).await;
        assert_eq!(status, 200, "{page}");
        let found: Vec<&str> =
            page["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect();
        assert_eq!((found.as_slice(), &page["more"]), (names, &json!(more)), "{query}");
    }
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready_and_lives() {
    let fixture = Fixture::new();
    assert_eq!(fixture.send("GET", "/readyz", None, None).await.0, 200);
    fixture.stop.send(true).unwrap();
    let (status, body) = fixture.send("GET", "/readyz", None, None).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("not_ready")));
    assert_eq!(fixture.send("GET", "/healthz", None, None).await.0, StatusCode::OK.as_u16());
}

#[tokio::test]
async fn a_bundle_without_plugins_says_so() {
    let fixture = Fixture::new();
    let token = fixture.administrator().await;
    let (_, list) = fixture.send("GET", "/api/v1/plugins", Some(&token), None).await;
    assert_eq!(list, json!({ "plugins": [] }));
    let (status, body) = fixture.send("POST", "/api/v1/plugins/echo/enable", Some(&token), None).await;
    assert_eq!(status, 404, "{body}");
    assert!(body["error"]["hint"].as_str().is_some_and(|hint| hint.contains("bundle")), "{body}");
    assert_eq!(fixture.send("GET", "/api/v1/plugins/No%20Name", Some(&token), None).await.0, 404);
}
