//! The guard against everything that names a private address, and one request from end to end.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap as Headers;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};

use super::*;

fn reach(hosts: &[&str], private_network: bool) -> Reach {
    Reach { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), private_network }
}

#[track_caller]
fn check_url(reach: &Reach, url: &str, refusal: Option<&str>) {
    let found = check(reach, &Url::parse(url).unwrap(), is_public);
    match refusal {
        None => assert_eq!(found, Ok(()), "{url}"),
        Some(part) => {
            let reason = found.expect_err(url);
            assert!(reason.contains(part), "{url}: {reason:?} does not contain {part:?}");
        }
    }
}

#[test]
fn by_default_any_public_host_over_https() {
    let reach = Reach::default();
    check_url(&reach, "https://api.example.org/v1", None);
    check_url(&reach, "https://8.8.8.8/", None);
    check_url(&reach, "http://api.example.org/", Some("only https"));
    check_url(&reach, "https://api.example.org:8443/", Some("port 8443"));
    check_url(&reach, "ftp://api.example.org/", Some("no address for HTTP"));
    check_url(&reach, "file:///etc/passwd", Some("no address for HTTP"));
}

#[test]
fn literal_private_addresses_are_refused_however_they_are_written() {
    let reach = Reach::default();
    let texts =
        ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]"];
    for host in texts {
        check_url(&reach, &format!("https://{host}/"), Some("not a public address"));
    }
}

#[test]
fn hosts_narrow() {
    let some = reach(&["api.example.org", "*.cdn.example.org", "other.example.org:8443"], false);
    check_url(&some, "https://api.example.org/", None);
    check_url(&some, "https://API.example.org./", None);
    check_url(&some, "https://a.cdn.example.org/", None);
    check_url(&some, "https://other.example.org:8443/", None);
    check_url(&some, "https://cdn.example.org/", Some("do not name"));
    check_url(&some, "https://evilcdn.example.org/", Some("do not name"));
    check_url(&some, "https://api.example.org.evil.org/", Some("do not name"));
    check_url(&some, "https://other.example.org/", Some("do not name"));
    check_url(&some, "https://api.example.org:8443/", Some("port 8443"));
    check_url(&some, "https://user@evil.org/#api.example.org", Some("do not name"));
    // A named private address still needs the operator's `private_network`.
    check_url(&reach(&["127.0.0.1"], false), "https://127.0.0.1/", Some("not a public address"));
    check_url(&reach(&["127.0.0.1:11434"], true), "http://127.0.0.1:11434/", None);
    check_url(&reach(&["[::1]:11434"], true), "http://[::1]:11434/", None);
    check_url(&reach(&["127.0.0.1:11434"], true), "http://127.0.0.1:22/", Some("do not name"));
    check_url(&reach(&[], true), "http://192.168.1.1:8080/", None);
}

#[tokio::test]
async fn names_of_this_machine_are_refused_where_they_are_resolved() {
    let egress = Egress::new(HashMap::new()).unwrap();
    for url in ["https://localhost/", "https://localhost./", "https://a.localhost/"] {
        let error = send(&egress, url, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{url}: {error}");
        assert!(error.to_string().contains("not at a public address"), "{error}");
    }
}

fn plugin() -> PluginName {
    "fetcher".parse().unwrap()
}

async fn send(egress: &Egress, url: &str, headers: &[(&str, &str)]) -> Result<HttpResponse> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let timeout = Duration::from_secs(5);
    let request =
        HttpRequest { method: "GET".into(), url: url.into(), headers, body: Vec::new(), timeout, redirects: true };
    egress.send(&plugin(), request).await
}

async fn serve(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

fn everywhere() -> Egress {
    Egress::new(HashMap::from([(plugin(), reach(&[], true))])).unwrap()
}

#[tokio::test]
async fn a_local_service_is_reached_where_the_operator_says_so() {
    let port = serve(Router::new().route("/", get(|| async { "here" }))).await;
    let response = send(&everywhere(), &format!("http://localhost:{port}/"), &[]).await.unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "here"));
    let error =
        send(&Egress::new(HashMap::new()).unwrap(), &format!("http://127.0.0.1:{port}/"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    let port =
        serve(Router::new().route("/", get(|| async { Redirect::temporary("http://127.0.0.2:9/secret") }))).await;
    let named = format!("127.0.0.1:{port}");
    let egress = Egress::new(HashMap::from([(plugin(), reach(&[&named], true))])).unwrap();
    let error = send(&egress, &format!("http://{named}/"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("127.0.0.2"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_the_answer_where_it_is_not_to_be_followed() {
    let port = serve(Router::new().route("/", get(|| async { Redirect::temporary("/elsewhere") }))).await;
    let stays = HttpRequest { redirects: false, ..request(&format!("http://127.0.0.1:{port}/")) };
    let response = everywhere().send(&plugin(), stays).await.unwrap();
    assert_eq!((response.status, response.header("location")), (307, Some("/elsewhere")));
}

#[test]
fn a_redirect_from_a_public_to_a_private_address_is_refused() {
    let request = HttpRequest {
        method: "POST".into(),
        url: "https://example.org/a".into(),
        headers: vec![("authorization".into(), "Bearer x".into()), ("content-type".into(), "text/plain".into())],
        body: b"body".to_vec(),
        timeout: Duration::from_secs(1),
        redirects: true,
    };
    let first = Hop::of(request).unwrap();
    let next = first.redirected(StatusCode::FOUND, first.url.join("https://169.254.169.254/latest").unwrap()).unwrap();
    assert!(check(&Reach::default(), &next.url, is_public).unwrap_err().contains("169.254.169.254"));
    // Neither credentials nor the body go to the other host.
    assert_eq!((next.method, next.headers.len(), next.body.len()), (Method::GET, 0, 0));
    let same = first.redirected(StatusCode::TEMPORARY_REDIRECT, first.url.join("/b").unwrap()).unwrap();
    assert_eq!((same.method, same.headers.len(), same.body.len()), (Method::POST, 2, 4));
}

/// Tells the method, the names of the headers that a plugin may set, and the body.
async fn seen(request: axum::extract::Request) -> String {
    let (parts, body) = request.into_parts();
    let own = ["host", "content-length"];
    let mut names: Vec<&str> =
        parts.headers.keys().map(|name| name.as_str()).filter(|name| !own.contains(name)).collect();
    names.sort_unstable();
    let body = axum::body::to_bytes(body, 1_000).await.unwrap();
    format!("{} {} {}", parts.method, names.join(","), String::from_utf8_lossy(&body))
}

async fn send_all(url: &str, method: &str, body: &str) -> Result<HttpResponse> {
    let headers = ["accept", "content-type", "user-agent", "authorization", "cookie", "x-api-key", "x-my-key"];
    let headers = headers.map(|name| (name.to_owned(), "a/b".to_owned())).to_vec();
    everywhere()
        .send(&plugin(), HttpRequest { method: method.into(), headers, body: body.into(), ..request(url) })
        .await
}

#[tokio::test]
async fn what_was_meant_for_one_host_is_not_told_to_another() {
    let other = serve(Router::new().route("/", any(seen))).await;
    let elsewhere = format!("http://127.0.0.1:{other}/");
    let redirect = move |status: u16| {
        let location = elsewhere.clone();
        any(move || async move { (axum::http::StatusCode::from_u16(status).unwrap(), [("location", location)]) })
    };
    let router = Router::new()
        .route("/302", redirect(302))
        .route("/307", redirect(307))
        .route("/308", redirect(308))
        .route("/here", any(|| async { Redirect::temporary("/seen") }))
        .route("/seen", any(seen));
    let first = format!("http://127.0.0.1:{}", serve(router).await);
    for (path, method, expected) in [
        ("307", "GET", "GET accept,content-type,user-agent "),
        ("302", "GET", "GET accept,content-type,user-agent "),
        ("302", "POST", "GET accept,user-agent "),
    ] {
        let body = if method == "POST" { "secret" } else { "" };
        let answer = send_all(&format!("{first}/{path}"), method, body).await.unwrap();
        assert_eq!(answer.text(), expected, "{method} {path}");
    }
    // The same host gets everything again.
    let all = "POST accept,authorization,content-type,cookie,user-agent,x-api-key,x-my-key secret";
    assert_eq!(send_all(&format!("{first}/here"), "POST", "secret").await.unwrap().text(), all);
    for (path, method, body) in
        [("307", "POST", "secret"), ("308", "PUT", "secret"), ("307", "GET", "b"), ("302", "GET", "b")]
    {
        let error = send_all(&format!("{first}/{path}"), method, body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Upstream { retry_after: None }, "{method} {path}: {error}");
        let told = format!("redirects to `http://127.0.0.1:{other}`");
        assert!(error.to_string().contains(&told), "{method} {path}: {error}");
    }
}

#[tokio::test]
async fn redirects_end() {
    let port = serve(Router::new().route("/", get(|| async { Redirect::temporary("/") }))).await;
    let error = send(&everywhere(), &format!("http://127.0.0.1:{port}/"), &[]).await.unwrap_err();
    assert!(error.to_string().contains("redirects more than 5 times"), "{error}");
}

#[tokio::test]
async fn an_answer_is_bounded_in_size_and_time() {
    let endless = || async {
        let frames = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 65_536]));
        axum::body::Body::from_stream(frames).into_response()
    };
    let hangs = any(std::future::pending::<()>);
    let port = serve(Router::new().route("/endless", get(endless)).route("/hangs", hangs)).await;
    let error = send(&everywhere(), &format!("http://127.0.0.1:{port}/endless"), &[]).await.unwrap_err();
    assert!(error.to_string().contains("more than 8388608 bytes"), "{error}");
    let url = format!("http://127.0.0.1:{port}/hangs");
    let timeout = Duration::from_millis(100);
    let request =
        HttpRequest { method: "GET".into(), url, headers: Vec::new(), body: Vec::new(), timeout, redirects: true };
    let error = everywhere().send(&plugin(), request).await.unwrap_err();
    assert!(error.to_string().contains("within 100 ms"), "{error}");
}

#[tokio::test]
async fn headers_go_out_and_errors_do_not_repeat_them() {
    let echo = get(|headers: Headers| async move { headers["x-mine"].to_str().unwrap_or("").to_owned() });
    let port = serve(Router::new().route("/", echo)).await;
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(send(&everywhere(), &url, &[("x-mine", "1")]).await.unwrap().text(), "1");
    let error = send(&everywhere(), &url, &[("x-key", "se\ncret")]).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Input && !error.to_string().contains("cret"), "{error}");
}

fn request(url: &str) -> HttpRequest {
    let timeout = Duration::from_secs(5);
    HttpRequest {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout,
        redirects: true,
    }
}

/// What a plugin's own thread is like: it has no I/O of its own.
fn on_a_plugins_runtime<R: Send + 'static>(work: impl Future<Output = R> + Send + 'static) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    runtime.block_on(work)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_own_runtime_needs_no_io() {
    let port = serve(Router::new().route("/", get(|| async { "here" }))).await;
    let (egress, url) = (everywhere(), format!("http://127.0.0.1:{port}/"));
    let (whole, mut stream) = tokio::task::spawn_blocking(move || {
        on_a_plugins_runtime(async move {
            (egress.send(&plugin(), request(&url)).await.unwrap(), egress.open(&plugin(), request(&url)).await.unwrap())
        })
    })
    .await
    .unwrap();
    assert_eq!((whole.status, whole.text().as_str()), (200, "here"));
    assert_eq!(stream.next().await.unwrap(), Some(b"here".to_vec()));
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece_and_has_no_time_limit() {
    let pieces = || async {
        let later = futures_util::stream::unfold(0_u8, |count| async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            (count < 5).then_some((Ok::<_, std::io::Error>(vec![b'0' + count]), count + 1))
        });
        axum::body::Body::from_stream(later).into_response()
    };
    let port = serve(Router::new().route("/", get(pieces))).await;
    let short = HttpRequest { timeout: Duration::from_millis(200), ..request(&format!("http://127.0.0.1:{port}/")) };
    let mut stream = everywhere().open(&plugin(), short).await.unwrap();
    let mut seen = Vec::new();
    while let Some(piece) = stream.next().await.unwrap() {
        seen.push(piece);
    }
    // 300 ms, and each piece as it came.
    assert_eq!(seen, [b"0", b"1", b"2", b"3", b"4"]);
}

#[tokio::test]
async fn a_stream_is_checked_and_timed_until_its_head() {
    let port = serve(Router::new().route("/hangs", any(std::future::pending::<()>))).await;
    let url = format!("http://127.0.0.1:{port}/hangs");
    let refused = Egress::new(HashMap::new()).unwrap().open(&plugin(), request(&url)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Permission, "{refused}");
    let short = HttpRequest { timeout: Duration::from_millis(100), ..request(&url) };
    let late = everywhere().open(&plugin(), short).await.unwrap_err();
    assert!(late.to_string().contains("within 100 ms"), "{late}");
}

/// Tells when the service's side of a connection was dropped.
struct TellsDrop(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for TellsDrop {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection() {
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    let tells = Arc::new(std::sync::Mutex::new(Some(TellsDrop(Some(gone)))));
    let endless = get(move || {
        let tells = tells.lock().unwrap().take();
        let ticks = futures_util::stream::unfold(tells, |tells| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::io::Error>(vec![b'.']), tells))
        });
        async { axum::body::Body::from_stream(ticks).into_response() }
    });
    let port = serve(Router::new().route("/", endless)).await;
    let mut stream = everywhere().open(&plugin(), request(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), Some(b".".to_vec()));
    drop(stream);
    tokio::time::timeout(Duration::from_secs(1), is_gone).await.expect("the service sees it within a second").unwrap();
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    });
    let mut stream = everywhere().open(&plugin(), request(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), Some(b"half".to_vec()));
    let error = stream.next().await.unwrap_err();
    assert!(error.to_string().contains("broke its answer off"), "{error}");
}
