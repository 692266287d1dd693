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
    let request = HttpRequest { method: "GET".into(), url: url.into(), headers, body: Vec::new(), timeout };
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

#[test]
fn a_redirect_from_a_public_to_a_private_address_is_refused() {
    let request = HttpRequest {
        method: "POST".into(),
        url: "https://example.org/a".into(),
        headers: vec![("authorization".into(), "Bearer x".into()), ("content-type".into(), "text/plain".into())],
        body: b"body".to_vec(),
        timeout: Duration::from_secs(1),
    };
    let first = Hop::of(request).unwrap();
    let next = first.redirected(StatusCode::FOUND, first.url.join("https://169.254.169.254/latest").unwrap());
    assert!(check(&Reach::default(), &next.url, is_public).unwrap_err().contains("169.254.169.254"));
    // Neither credentials nor the body go to the other host.
    assert_eq!((next.method, next.headers.len(), next.body.len()), (Method::GET, 0, 0));
    let same = first.redirected(StatusCode::TEMPORARY_REDIRECT, first.url.join("/b").unwrap());
    assert_eq!((same.method, same.headers.len(), same.body.len()), (Method::POST, 2, 4));
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
    let request = HttpRequest { method: "GET".into(), url, headers: Vec::new(), body: Vec::new(), timeout };
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
