//! The files that plugins embed, over the whole service: which addresses lead to one, and what is said with it.

use axum::body::Body;
use axum::http::{Request, header};
use plexichat::asset::Asset;
use plexichat::catalog::Catalog;
use plexichat::descriptor::{Descriptor, Registered};
use plexichat::id::PluginName;
use plexichat::message::Actor;
use plexichat::settings::{AccountSettings, Settings, Sources};
use tower::ServiceExt;

use super::Fixture;
use super::plugin_routes::Subject;

const PAGE: &str = "<!doctype html><script src=\"page.js\"></script>";

/// A server with a plugin that embeds some files.
async fn fixture() -> Fixture {
    let script: &'static [u8] = "console.log(1);\n".repeat(200).leak().as_bytes();
    let assets: &'static [Asset] = Box::leak(Box::new([
        Asset { path: "assets/logo.svg", bytes: b"<svg/>" },
        Asset { path: "ui/page.html", bytes: PAGE.as_bytes() },
        Asset { path: "ui/page.js", bytes: script },
    ]));
    let descriptor: &'static Descriptor = Box::leak(Box::new(Descriptor { assets, ..*Subject::DESCRIPTOR }));
    let linked = [descriptor];
    let bundle = "[plugins.fixture]\nenabled = true\ngrant = []\n";
    let settings = Settings::load(&Sources { bundle, linked: &linked, ..Sources::default() }).unwrap();
    let fixture = Fixture::of(AccountSettings::default(), Catalog::of(&linked).unwrap(), settings);
    fixture.app.host.manager.start_all().await.unwrap();
    fixture
}

async fn ask(fixture: &Fixture, method: &str, path: &str, head: &[(&str, &str)]) -> axum::response::Response {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here:8080");
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    fixture.service.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn value(response: &axum::response::Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

async fn length(response: axum::response::Response) -> usize {
    axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap().len()
}

#[tokio::test]
async fn a_file_is_served_as_what_it_is_and_shut_in() {
    let fixture = fixture().await;
    let page = ask(&fixture, "GET", "/ui/fixture/ui/page.html?theme=dark", &[]).await;
    assert_eq!(
        (page.status().as_u16(), value(&page, "content-type").as_deref()),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = value(&page, "content-security-policy").unwrap();
    assert!(policy.starts_with("sandbox allow-scripts allow-forms; default-src 'none'"), "{policy}");
    assert!(policy.contains("script-src http://here:8080/ui/fixture/ http://here:8080/ui/-/bridge.js;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'self'") && !policy.contains("unsafe"), "{policy}");
    for (name, expected) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "SAMEORIGIN"),
        ("cache-control", "no-cache"),
        ("vary", "accept-encoding"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(value(&page, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(length(page).await, PAGE.len());
    // What is no page is shut in too: it can be opened as one.
    let picture = ask(&fixture, "GET", "/ui/fixture/assets/logo.svg", &[]).await;
    assert!(value(&picture, "content-security-policy").unwrap().starts_with("sandbox"));
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_and_what_packs_is_packed() {
    let fixture = fixture().await;
    let script = "/ui/fixture/ui/page.js";
    let plain = ask(&fixture, "GET", script, &[]).await;
    let packed = ask(&fixture, "GET", script, &[("accept-encoding", "br, gzip")]).await;
    assert_eq!(
        (value(&plain, "content-encoding"), value(&packed, "content-encoding").as_deref()),
        (None, Some("gzip"))
    );
    let (tag, packed_tag) = (value(&plain, "etag").unwrap(), value(&packed, "etag").unwrap());
    assert!(tag.starts_with('"') && tag != packed_tag, "{tag} {packed_tag}");
    let (plain_length, packed_length) = (length(plain).await, length(packed).await);
    assert!(packed_length * 4 < plain_length, "{packed_length} of {plain_length}");

    let head = ask(&fixture, "HEAD", script, &[]).await;
    assert_eq!(
        (value(&head, "content-length"), value(&head, "etag")),
        (Some(plain_length.to_string()), Some(tag.clone()))
    );
    assert_eq!(length(head).await, 0);

    let known = ask(&fixture, "GET", script, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status().as_u16(), value(&known, "etag")), (304, Some(tag.clone())));
    assert_eq!(length(known).await, 0);
    let other_form = ask(&fixture, "GET", script, &[("if-none-match", &tag), ("accept-encoding", "gzip")]).await;
    assert_eq!(other_form.status().as_u16(), 200);
    let short = ask(&fixture, "GET", "/ui/fixture/ui/page.html", &[("accept-encoding", "gzip")]).await;
    assert_eq!(value(&short, "content-encoding"), None, "so short a file gets no shorter");
}

#[tokio::test]
async fn no_address_leads_anywhere_else() {
    let fixture = fixture().await;
    for path in [
        "/ui/fixture",
        "/ui/fixture/",
        "/ui/fixture/ui",
        "/ui/fixture/ui/",
        "/ui/fixture/page.html",
        "/ui/fixture//ui/page.html",
        "/ui/fixture/ui//page.html",
        "/ui/fixture/ui/./page.html",
        "/ui/fixture/ui/x/../page.html",
        "/ui/fixture/../fixture/ui/page.html",
        "/ui/fixture/ui/%2e%2e/ui/page.html",
        "/ui/fixture/ui%2fpage.html",
        "/ui/fixture/ui%2Fpage.html",
        "/ui/fixture/ui%5cpage.html",
        "/ui/fixture/ui/page.html%00",
        "/ui/fixture/ui/page.html%00.js",
        "/ui/fixture/ui/p%61ge.html",
        "/ui/fixture/UI/page.html",
        "/ui/fixture/Cargo.toml",
        "/ui/fixture/src/lib.rs",
        "/ui/fixture/../../etc/passwd",
        "/ui/fixture/%2e%2e/%2e%2e/etc/passwd",
        "/ui/fixture//etc/passwd",
        "/ui/fixture/%2fetc%2fpasswd",
        "/ui/%66ixture/ui/page.html",
        "/ui/other/ui/page.html",
        "/ui/-/ui/page.html",
    ] {
        let response = ask(&fixture, "GET", path, &[]).await;
        assert_eq!(response.status().as_u16(), 404, "{path}");
        assert_eq!(value(&response, "content-type").as_deref(), Some("application/json"), "{path}");
    }
    assert_eq!(ask(&fixture, "POST", "/ui/fixture/ui/page.html", &[]).await.status().as_u16(), 405);
}

#[tokio::test]
async fn files_come_and_go_with_their_plugin() {
    let fixture = fixture().await;
    let (manager, name) = (&fixture.app.host.manager, "fixture".parse::<PluginName>().unwrap());
    let status = async || ask(&fixture, "GET", "/ui/fixture/ui/page.html", &[]).await.status().as_u16();
    assert_eq!(status().await, 200);
    manager.disable(&name, &Actor::system()).await.unwrap();
    assert_eq!(status().await, 404);
    manager.enable(&name, &Actor::system()).await.unwrap();
    assert_eq!(status().await, 200);
}

#[tokio::test]
async fn administrators_plugins_see_what_the_server_tells() {
    use plexichat::capability::admin::AdminPort;

    let fixture = fixture().await;
    let admin = crate::overview::ServerAdmin::default();
    assert!(admin.status().await.is_err(), "there is no server yet");
    admin.set(&fixture.app);
    let status = admin.status().await.unwrap();
    assert_eq!((status.ready, status.version.as_str(), status.plugins.len()), (true, "1.0.0", 1));
    assert_eq!((status.plugins[0].state.as_str(), status.plugins[0].health.as_str()), ("enabled", "healthy"));
    fixture.stop.send(true).unwrap();
    assert!(!admin.status().await.unwrap().ready, "as `/readyz` says");
    let shared = std::sync::Arc::strong_count(&fixture.app);
    drop(admin);
    assert_eq!(std::sync::Arc::strong_count(&fixture.app), shared, "it keeps no server alive");
}
