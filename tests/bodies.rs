//! Bodies that are slow, endless, packed, or made to be costly, and texts that are no texts or pass for others.

use std::fmt::Write;
use std::time::{Duration, Instant};

use hyper::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::load::UNLIMITED;
use crate::support::{Client, Server, Setup};

const MIB: usize = 1024 * 1024;

async fn started() -> (Server, Client, String) {
    let server = Setup::new().config(UNLIMITED).start();
    let client = server.client();
    let room = client.room("lobby").await;
    (server, client, room)
}

/// The head of a message's request, with these lines more.
fn head(client: &Client, room: &str, lines: &str) -> String {
    let token = client.bearer().unwrap();
    format!(
        "POST /api/v1/rooms/{room}/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: \
         application/json\r\n{lines}\r\n\r\n"
    )
}

/// Posts these bytes as JSON; the status and the error's code.
async fn post(client: &Client, path: &str, body: Vec<u8>) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/json").body(body).unwrap();
    let answer = client.send(request).await.unwrap();
    let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

/// Fault 63: bodies that pause are given up after 10 s, and others wait for none of them.
#[tokio::test]
async fn fault_63_slow_bodies_are_cut_and_disturb_nobody() {
    let (_server, client, room) = started().await;
    let began = Instant::now();
    let begun = head(&client, &room, "content-length: 100") + "{\"text\":";
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let (client, begun) = (client.clone(), begun.clone());
            tokio::spawn(async move { client.raw(begun.as_bytes(), Duration::from_secs(20)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.say(&room, "quick").await;
    assert!(began.elapsed() < Duration::from_secs(2), "others wait for nobody");
    for slow in slow {
        let answer = slow.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_timeout"), "{answer}");
    }
    // `raw` reads until the server closes: so long, and no longer, did the connections last.
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(15), "cut after {took:?}");
    assert_eq!(client.history(&room).await.len(), 1);
}

/// Fault 65: 100 MiB are refused by what is announced, before any of it came.
#[tokio::test]
async fn fault_65_what_is_announced_too_large_is_refused_unread() {
    let (_server, client, room) = started().await;
    let announced = head(&client, &room, &format!("content-length: {}", 100 * MIB));
    let answer = client.raw(announced.as_bytes(), Duration::from_secs(1)).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("too_large"), "{answer}");
}

/// Fault 65: 100 MiB that nobody announced are refused on the way, and never held.
#[tokio::test]
async fn fault_65_an_endless_body_is_refused_on_the_way() {
    let (server, client, room) = started().await;
    client.say(&room, "warm").await;
    let before = held(&server);
    let (mut reader, mut writer) = TcpStream::connect(client.address()).await.unwrap().into_split();
    let head = head(&client, &room, "transfer-encoding: chunked");
    let sender = tokio::spawn(async move {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
        let _ = writer.write_all(head.as_bytes()).await;
        for _ in 0..1600 {
            // The server may have enough at any time.
            if writer.write_all(&chunk).await.is_err() {
                break;
            }
        }
        writer
    });
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(10), reader.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(sender.await.unwrap());
    let grown = held(&server) - before;
    assert!(grown < 32 * MIB, "{grown} bytes more were held");
    client.say(&room, "after").await;
}

/// The most memory that the server ever held, in bytes.
fn held(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Fault 65: what is packed is not unpacked.
#[tokio::test]
async fn fault_65_packed_bodies_are_not_taken() {
    let (_server, client, room) = started().await;
    for path in [format!("/api/v1/rooms/{room}/messages"), format!("/api/v1/rooms/{room}/files?name=a.txt")] {
        let packed = Request::post(&path).header("content-type", "application/json").header("content-encoding", "gzip");
        let answer = client.send(packed.body(b"\x1f\x8b\x08\0\0\0\0\0".to_vec()).unwrap()).await.unwrap();
        answer.error(415, "unsupported_encoding");
        assert_eq!(answer.headers["accept-encoding"], "identity");
    }
}

/// Fault 66: JSON that is made to be costly costs little.
#[tokio::test]
async fn fault_66_costly_json_is_refused_cheaply() {
    let (server, client, room) = started().await;
    let deep = |open: &str| format!("{{\"text\":{}", open.repeat(100_000)).into_bytes();
    let keys = |count: usize| {
        let mut body = "{\"text\":\"x\"".to_owned();
        for key in 0..count {
            write!(body, ",\"{key:x}\":0").unwrap();
        }
        (body + "}").into_bytes()
    };
    let nuls = |count: usize| format!("{{\"text\":\"{}\"}}", "\\u0000".repeat(count)).into_bytes();
    check(&server, &client, &room, deep("["), 400, "bad_json").await;
    check(&server, &client, &room, deep("{\"a\":"), 400, "bad_json").await;
    check(&server, &client, &room, keys(1_000_000), 413, "too_large").await;
    check(&server, &client, &room, keys(100_000), 422, "invalid_input").await;
    check(&server, &client, &room, nuls(170_000), 413, "message_too_large").await;
    check(&server, &client, &room, nuls(5_000), 422, "invalid_message").await;
    assert!(client.history(&room).await.is_empty(), "nothing of it was stored");

    async fn check(server: &Server, client: &Client, room: &str, body: Vec<u8>, status: u16, code: &str) {
        let shown = String::from_utf8_lossy(&body[..40]).into_owned();
        let before = used(server);
        assert_eq!(
            post(client, &format!("/api/v1/rooms/{room}/messages"), body).await,
            (status, code.to_owned()),
            "{shown}"
        );
        let took = used(server) - before;
        // Ten times as much where nothing is optimised.
        let most = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });
        assert!(took <= most, "{shown}… took {took:?} of a processor");
    }
}

/// Processor time that the server has used.
fn used(server: &Server) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Fault 67: bytes that are no UTF-8 are taken nowhere, whatever they are meant to be.
#[tokio::test]
async fn fault_67_what_is_no_unicode_is_refused() {
    let (_server, client, room) = started().await;
    let messages = format!("/api/v1/rooms/{room}/messages");
    for (path, field) in [(messages.as_str(), "text"), ("/api/v1/rooms", "name"), ("/api/v1/tokens", "user")] {
        // Not UTF-8, overlong, half a pair of surrogates, beyond the last character, cut short.
        for bad in
            [&b"\xff\xfe"[..], b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\xa6"]
        {
            let body = [format!("{{\"{field}\":\"a").as_bytes(), bad, b"\"}"].concat();
            assert_eq!(post(&client, path, body).await, (400, "bad_encoding".to_owned()), "{path}: {bad:?}");
        }
        let half = format!("{{\"{field}\":\"\\ud800\"}}").into_bytes();
        assert_eq!(post(&client, path, half).await, (400, "bad_json".to_owned()), "{path}");
    }
    assert!(client.history(&room).await.is_empty(), "nothing of it was stored");
}

/// Fault 67: a message is kept to the letter; a name that would pass for another is none.
#[tokio::test]
async fn fault_67_texts_are_kept_and_names_do_not_pass_for_others() {
    let (_server, client, room) = started().await;
    for text in ["\u{202e}nimda\u{202c}", "\u{2066}x\u{2069}", "ad\u{200b}min", "\u{feff}x", "🦀👩\u{200d}💻"] {
        assert_eq!(client.say(&room, text).await["text"], text);
        assert_eq!(client.history(&room).await.last().unwrap()["text"], text);
    }
    for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\0', '\n'] {
        let name = format!("ad{hidden}min");
        client.post("/api/v1/rooms", json!({ "name": name })).await.error(422, "invalid_input");
        client.post("/api/v1/tokens", json!({ "user": name })).await.error(422, "invalid_input");
    }
    // A name counts characters, a text bytes.
    assert_eq!(client.post("/api/v1/rooms", json!({ "name": "🦀".repeat(80) })).await.status.as_u16(), 201);
    client.post("/api/v1/rooms", json!({ "name": "🦀".repeat(81) })).await.error(422, "invalid_input");
    client.say(&room, &"🦀".repeat(4096)).await;
    let longer: Value = json!({ "text": "🦀".repeat(4096) + "x" });
    client.post(&format!("/api/v1/rooms/{room}/messages"), longer).await.error(413, "message_too_large");
}
