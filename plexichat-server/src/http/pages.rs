//! `/`: what this bundle is and where to go next, for people and programs. `/docs`: the API to browse and try. `/ui`: rooms, and what
//! plugins add to pages. Knows no plugin.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, StatusCode as DocumentedStatus};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::app::App;
use super::output::{self, Shown};
use crate::error::ApiError;

/// What the server is, for anybody who asks: no name of a person, no setting, no reason of a failure.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Home {
    /// The bundle's name.
    name: String,
    /// The bundle's version.
    version: String,
    /// The plugins in it.
    plugins: Vec<HomePlugin>,
    /// Where to go next.
    links: Vec<HomeLink>,
}

/// A plugin, as anybody may know it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HomePlugin {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// What it does.
    description: String,
    /// One word: `running`, `disabled`, `failed` and so on.
    state: String,
}

/// Where to go next.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct HomeLink {
    /// The address.
    href: &'static str,
    /// What is there.
    about: &'static str,
}

const LINKS: &[HomeLink] = &[
    HomeLink { href: "/ui", about: "sign in: rooms, and what plugins add to pages" },
    HomeLink { href: "/docs", about: "the API, to browse and try" },
    HomeLink { href: "/openapi.json", about: "the same for programs (OpenAPI 3.1)" },
    HomeLink { href: "/readyz", about: "whether the server can serve" },
    HomeLink { href: "/metrics", about: "counters, for Prometheus" },
];

const STEPS: &[(&str, &str)] = &[
    ("Make a token for yourself", "plexichat token create alice"),
    ("Make a room", "plexichat room create general"),
    ("See what runs", "plexichat plugin list"),
    ("Print a settings file to begin with", "plexichat config example > plexichat.toml"),
];

/// Which of the two is asked for.
pub(crate) enum Asked {
    Page,
    Json,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
        let place = |kind: &str| accept.split(',').position(|part| part.trim().starts_with(kind));
        Ok(match (place("text/html"), place("application/json")) {
            (None, Some(_)) => Self::Json,
            (Some(page), Some(json)) if json < page => Self::Json,
            _ => Self::Page,
        })
    }
}

impl aide::OperationInput for Asked {}

/// A page, or the same as JSON.
pub(crate) enum HomeAnswer {
    Page(String),
    Json(Home),
}

pub(crate) async fn home(State(app): State<Arc<App>>, asked: Asked) -> Result<HomeAnswer, ApiError> {
    let plugin = |info: plexichat::manager::PluginInfo| HomePlugin {
        name: info.name.to_string(),
        version: info.version,
        description: info.description,
        state: info.state.as_str().to_owned(),
    };
    let home = Home {
        name: app.bundle.name.clone(),
        version: app.bundle.version.clone(),
        plugins: app.host.manager.list().into_iter().map(plugin).collect(),
        links: LINKS.to_vec(),
    };
    Ok(match asked {
        Asked::Page => HomeAnswer::Page(page(&home)),
        Asked::Json => HomeAnswer::Json(home),
    })
}

fn page(home: &Home) -> String {
    let mut text = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let title = format!("{} {}", escaped(&home.name), escaped(&home.version));
    // Writing into a string does not fail.
    let _ = write!(
        text,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/page.css\">\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p>A chat server made of plugins. It runs.</p>\n<h2>Where to go next</h2>\n<ul>\n"
    );
    for link in &home.links {
        let _ = writeln!(text, "<li><a href=\"{0}\">{0}</a>: {1}</li>", escaped(link.href), escaped(link.about));
    }
    text.push_str("</ul>\n<table>\n");
    for (about, command) in STEPS {
        let _ = writeln!(text, "<tr><td>{}</td><td><code>{}</code></td></tr>", escaped(about), escaped(command));
    }
    text.push_str("</table>\n<h2>Plugins in this bundle</h2>\n");
    if home.plugins.is_empty() {
        text.push_str("<p>None. Link one: <code>cargo xtask new-plugin</code></p>\n");
    } else {
        text.push_str("<table>\n<tr><th>name</th><th>version</th><th>state</th><th>what it does</th></tr>\n");
        for plugin in &home.plugins {
            let cells = [&plugin.name, &plugin.version, &plugin.state, &plugin.description].map(|cell| escaped(cell));
            let _ = writeln!(text, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
        }
        text.push_str("</table>\n");
    }
    text.push_str("</body>\n</html>\n");
    text
}

/// Text as it may stand in a page and in a quoted attribute: what somebody wrote into a name stays a name.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            character => safe.push(character),
        }
    }
    safe
}

fn html(body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], body).into_response()
}

impl IntoResponse for HomeAnswer {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Page(page) => html(page),
            Self::Json(home) => Shown(home).into_response(),
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        response
    }
}

impl OperationOutput for HomeAnswer {
    type Inner = Home;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let mut response = output::documented::<Home>(context, "What this server is, as `Accept` asks for it");
        response.content.insert("text/html".to_owned(), MediaType::default());
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}

/// A file of the pages, in the binary.
pub(crate) struct Asset {
    kind: &'static str,
    text: Cow<'static, str>,
}

pub(crate) async fn docs() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/html; charset=utf-8", text: include_str!("pages/docs.html").into() })
}

pub(crate) async fn style() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/css; charset=utf-8", text: include_str!("pages/page.css").into() })
}

pub(crate) async fn script() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/javascript; charset=utf-8", text: include_str!("pages/docs.js").into() })
}

/// The page around rooms and plugins' components.
pub(crate) async fn ui(State(app): State<Arc<App>>) -> Result<Asset, ApiError> {
    let text = include_str!("pages/ui.html").replace("{name}", &escaped(&app.bundle.name));
    Ok(Asset { kind: "text/html; charset=utf-8", text: text.into() })
}

pub(crate) async fn ui_style() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/css; charset=utf-8", text: include_str!("pages/ui.css").into() })
}

pub(crate) async fn ui_script() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/javascript; charset=utf-8", text: include_str!("pages/ui.js").into() })
}

/// What plugins' own pages include to ask their routes.
pub(crate) async fn ui_bridge() -> Result<Asset, ApiError> {
    Ok(Asset { kind: "text/javascript; charset=utf-8", text: include_str!("pages/bridge.js").into() })
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))], self.text.into_owned()).into_response()
    }
}

impl OperationOutput for Asset {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let mut response = Documented { description: "A part of the page".to_owned(), ..Documented::default() };
        for kind in ["text/html", "text/css", "text/javascript"] {
            response.content.insert(kind.to_owned(), MediaType::default());
        }
        vec![(Some(DocumentedStatus::Code(200)), response)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "<script>alert('x')</script>\"&";

    /// Fault 68: what somebody wrote into a name or a description is shown and does nothing.
    #[test]
    fn names_are_shown_and_do_nothing() {
        let evil = || EVIL.to_owned();
        let plugins = vec![HomePlugin { name: evil(), version: evil(), description: evil(), state: evil() }];
        let page = page(&Home { name: evil(), version: evil(), plugins, links: Vec::new() });
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;").count(), 8, "{page}");
    }

    /// Fault 68: the pages write text, never markup, and bring nothing from elsewhere.
    #[test]
    fn the_pages_bring_nothing_from_elsewhere_and_write_no_markup() {
        let scripts = [include_str!("pages/docs.js"), include_str!("pages/ui.js"), include_str!("pages/bridge.js")];
        for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "//cdn"]
        {
            assert!(scripts.iter().all(|script| !script.contains(bad)), "{bad}");
        }
        let pages = [include_str!("pages/docs.html"), include_str!("pages/ui.html")];
        let styles = [include_str!("pages/page.css"), include_str!("pages/ui.css")];
        for text in pages.iter().chain(&scripts).chain(&styles) {
            assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
        }
        // The policy allows no script within the page and no style in an attribute.
        for page in pages {
            assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
            let ours = page.matches("<script src=\"/docs/").count() + page.matches("<script src=\"/ui/-/").count();
            assert_eq!(page.matches("<script").count(), ours);
        }
    }

    /// The page's script refuses what the server keeps for itself below a plugin's routes.
    #[test]
    fn a_plugins_page_is_kept_from_the_servers_own_addresses() {
        let line = include_str!("pages/ui.js").lines().find(|line| line.starts_with("const RESERVED")).unwrap();
        for segment in plexichat::plugin::interface::RESERVED_SEGMENTS {
            assert!(line.contains(&format!("\"{segment}\"")), "{segment}");
        }
    }
}
