//! `/ui/{plugin}/{path}`: the files that plugins embed, each with its type, its tag and, where that helps, packed. Knows no
//! page of the host's.
//!
//! An address is compared with the table of what is embedded and with nothing else: no path is decoded, joined or looked up on a
//! disk, so none leads anywhere. The files are for everybody, as a page in a sandboxed frame has no session to show.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use plexichat::asset::Asset;
use sha2::{Digest, Sha256};

use super::app::App;
use super::extract::discard;
use crate::error::ApiError;

/// Where they are, as the router says it.
pub(crate) const ADDRESS: &str = "/ui/{plugin}/{*path}";

/// What pages call to reach the host: see `/ui`.
const BRIDGE: &str = "/ui/-/bridge.js";

/// What is this small is not worth a second copy.
const PACKED_FROM: usize = 1024;

/// Types by the end of a name: what is served, and whether packing helps.
const TYPES: &[(&str, &str, bool)] = &[
    ("css", "text/css; charset=utf-8", true),
    ("csv", "text/csv; charset=utf-8", true),
    ("gif", "image/gif", false),
    ("html", "text/html; charset=utf-8", true),
    ("ico", "image/x-icon", true),
    ("jpeg", "image/jpeg", false),
    ("jpg", "image/jpeg", false),
    ("js", "text/javascript; charset=utf-8", true),
    ("json", "application/json", true),
    ("md", "text/markdown; charset=utf-8", true),
    ("mjs", "text/javascript; charset=utf-8", true),
    ("mp3", "audio/mpeg", false),
    ("ogg", "audio/ogg", false),
    ("otf", "font/otf", true),
    ("pdf", "application/pdf", false),
    ("png", "image/png", false),
    ("svg", "image/svg+xml", true),
    ("ttf", "font/ttf", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("wasm", "application/wasm", true),
    ("wav", "audio/wav", true),
    ("webm", "video/webm", false),
    ("webmanifest", "application/manifest+json", true),
    ("webp", "image/webp", false),
    ("woff", "font/woff", false),
    ("woff2", "font/woff2", false),
    ("xml", "application/xml", true),
];

/// What was computed of embedded files: as many entries as there are files that were asked for.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<(&'static str, &'static str), Arc<Kept>>>);

/// A file as it is served.
struct Kept {
    bytes: &'static [u8],
    kind: &'static str,
    packs: bool,
    tag: OnceLock<String>,
    packed: OnceLock<Option<Bytes>>,
}

/// A file in the form that was asked for.
struct Chosen {
    body: Bytes,
    tag: String,
    packed: bool,
}

impl Shelf {
    fn kept(&self, plugin: &'static str, asset: &'static Asset) -> Arc<Kept> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry((plugin, asset.path)).or_insert_with(|| Arc::new(Kept::of(asset))).clone()
    }
}

impl Kept {
    fn of(asset: &'static Asset) -> Self {
        let (kind, packs) = kind(asset.path);
        Self { bytes: asset.bytes, kind, packs, tag: OnceLock::new(), packed: OnceLock::new() }
    }

    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            let hash = Sha256::digest(self.bytes);
            hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
        })
    }

    /// The form to send; takes a while the first time.
    fn choose(&self, may_pack: bool) -> Chosen {
        let packed = self.packed.get_or_init(|| self.packs.then(|| pack(self.bytes)).flatten());
        match packed {
            Some(packed) if may_pack => {
                Chosen { body: packed.clone(), tag: format!("\"{}-gzip\"", self.tag()), packed: true }
            }
            _ => Chosen { body: Bytes::from_static(self.bytes), tag: format!("\"{}\"", self.tag()), packed: false },
        }
    }
}

/// The bytes packed; nothing where they would not be much fewer.
fn pack(bytes: &[u8]) -> Option<Bytes> {
    if bytes.len() < PACKED_FROM {
        return None;
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).ok()?;
    let packed = packer.finish().ok()?;
    (packed.len() < bytes.len() / 10 * 9).then(|| packed.into())
}

fn kind(path: &str) -> (&'static str, bool) {
    let end = path.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let known = end.and_then(|end| TYPES.iter().find(|(name, ..)| *name == end));
    known.map_or(("application/octet-stream", false), |(_, kind, packs)| (kind, *packs))
}

/// Answers with a file.
pub(crate) async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    discard(body);
    let Some((plugin, asset)) = find(&app, parts.uri.path()) else {
        let message = "no plugin that runs has this file";
        let error = ApiError::new(StatusCode::NOT_FOUND, "not_found", message);
        return error
            .hint("files are at `/ui/<plugin>/<path in its crate>`, such as `/ui/board/ui/page.html`")
            .into_response();
    };
    let kept = app.shelf.kept(plugin, asset);
    let may_pack = takes_gzip(&parts.headers);
    let (kind, packs) = (kept.kind, kept.packs);
    let Ok(chosen) = tokio::task::spawn_blocking(move || kept.choose(may_pack)).await else {
        return ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    let unchanged = is_known(&parts.headers, &chosen.tag);
    let mut response = Response::new(match (unchanged, &parts.method) {
        (false, &Method::GET) => Body::from(chosen.body.clone()),
        _ => Body::empty(),
    });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut set = |name: HeaderName, value: &str| {
        // Each is a constant, a number, a hash or what `policy` let through.
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::ETAG, &chosen.tag);
    // Asked for anew each time, and answered with 304 until a bundle brings another: no address says a version.
    set(header::CACHE_CONTROL, "no-cache");
    if packs {
        set(header::VARY, "accept-encoding");
    }
    set(header::CONTENT_SECURITY_POLICY, &policy(plugin, &places(&parts.headers, app.public_url.as_deref())));
    // The host's page shows it in a frame.
    set(header::X_FRAME_OPTIONS, "SAMEORIGIN");
    // A sandboxed page is of no origin, so that what it loads is asked for from another: modules and fonts need to be let.
    set(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    if !unchanged {
        set(header::CONTENT_TYPE, kind);
        set(header::CONTENT_LENGTH, &chosen.body.len().to_string());
        if chosen.packed {
            set(header::CONTENT_ENCODING, "gzip");
        }
    }
    response
}

/// The file at an address, if its plugin runs.
fn find(app: &App, path: &str) -> Option<(&'static str, &'static Asset)> {
    let (plugin, path) = path.strip_prefix("/ui/")?.split_once('/')?;
    let descriptor = app.host.running(plugin)?.descriptor();
    let asset = descriptor.assets.iter().find(|asset| asset.path == path)?;
    Some((descriptor.name, asset))
}

/// Whether a client takes gzip: it says so, and does not weigh it with nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for part in values.flat_map(|value| value.split(',')) {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let taken = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return taken,
            "*" => any = Some(taken),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// Whether a client has the file already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Where the server is, as the one who asks sees it, and as the operator says: what a policy can name.
fn places(headers: &HeaderMap, public_url: Option<&str>) -> Vec<String> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // As `http:`: in a policy that is `https:` of the same host too.
    let seen = host.map(|host| format!("http://{host}"));
    let said = public_url.map(str::to_owned);
    let plain = |place: &String| {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || ":/.-_[]".contains(letter);
        place.chars().all(letter)
    };
    let mut places: Vec<String> = said.into_iter().chain(seen).filter(plain).collect();
    places.dedup();
    places
}

/// What a plugin's page may do: run its own scripts in an origin of its own, and load its own files. It reaches the server by the
/// bridge alone. The policy stands on every file, since a picture too can be opened as a page.
fn policy(plugin: &str, places: &[String]) -> String {
    // No origin matches `'self'` in a sandbox.
    let own = places.iter().map(|place| format!(" {place}/ui/{plugin}/")).collect::<String>();
    let bridge = places.iter().map(|place| format!(" {place}{BRIDGE}")).collect::<String>();
    format!(
        "sandbox allow-scripts allow-forms; default-src 'none'; script-src{own}{bridge}; style-src{own}; img-src{own} data:; \
         font-src{own}; media-src{own}; connect-src{own}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn types_follow_the_name() {
        for (path, expected) in [
            ("ui/page.html", "text/html; charset=utf-8"),
            ("ui/a.b.MJS", "text/javascript; charset=utf-8"),
            ("assets/logo.svg", "image/svg+xml"),
            ("assets/LICENSE", "application/octet-stream"),
            ("assets/x.exe", "application/octet-stream"),
            ("assets/html", "application/octet-stream"),
        ] {
            assert_eq!(kind(path).0, expected, "{path}");
        }
        assert!(TYPES.is_sorted_by_key(|(end, ..)| *end), "sorted, so that nothing is there twice unseen");
    }

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (accepted, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, *", true),
            ("", false),
            ("br", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("gzip;q=nonsense", false),
        ] {
            assert_eq!(takes_gzip(&headers(&[(header::ACCEPT_ENCODING, accepted)])), expected, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_file_is_packed_where_that_helps() {
        let words = "word ".repeat(1000).leak();
        let kept = |path, bytes| Kept::of(Box::leak(Box::new(Asset { path, bytes })));
        let text = kept("ui/words.txt", words.as_bytes());
        let (packed, plain) = (text.choose(true), text.choose(false));
        assert!(packed.packed && packed.body.len() < 200 && !plain.packed && plain.body.len() == 5000);
        assert_ne!(packed.tag, plain.tag, "two forms of a file are two things to a cache");
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).unwrap();
        assert_eq!(unpacked, words.as_bytes());
        assert!(!kept("ui/words.png", words.as_bytes()).choose(true).packed, "its type is packed already");
        assert!(!kept("ui/short.txt", b"word word").choose(true).packed);
    }

    #[test]
    fn a_tag_is_known_by_itself() {
        let known = |value| is_known(&headers(&[(header::IF_NONE_MATCH, value)]), "\"a\"");
        assert!(known("\"a\"") && known("\"b\", W/\"a\"") && known("*"));
        assert!(!known("\"b\"") && !known("a") && !known(""));
    }

    #[test]
    fn a_page_may_load_its_own_files_and_the_bridge() {
        let seen = headers(&[(header::HOST, "127.0.0.1:8080")]);
        let places = places(&seen, Some("https://chat.example.org"));
        expect![[r#"
            sandbox allow-scripts allow-forms;
            default-src 'none';
            script-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/ https://chat.example.org/ui/-/bridge.js http://127.0.0.1:8080/ui/-/bridge.js;
            style-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/;
            img-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/ data:;
            font-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/;
            media-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/;
            connect-src https://chat.example.org/ui/board/ http://127.0.0.1:8080/ui/board/;
            base-uri 'none';
            form-action 'none';
            frame-ancestors 'self'"#]].assert_eq(&policy("board", &places).replace("; ", ";\n"));
    }

    #[test]
    fn a_host_that_would_say_more_than_a_place_is_left_out() {
        for host in ["a;script-src *", "a b", "a,b", "a'b"] {
            assert_eq!(places(&headers(&[(header::HOST, host)]), None), Vec::<String>::new(), "{host}");
        }
        let both = places(&headers(&[(header::HOST, "a")]), Some("http://a"));
        assert_eq!(both, ["http://a"]);
    }
}
