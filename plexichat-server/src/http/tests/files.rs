//! Files over HTTP: how they come in, who gets them, and under which headers.

use axum::http::HeaderMap;

use super::*;

struct Files {
    fixture: Fixture,
    ann: String,
    bob: String,
    room: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Files {
    async fn new() -> Self {
        let fixture = Fixture::new();
        let ann = fixture.token("ann", Role::User, &[Scope::Read, Scope::Write]).await;
        let bob = fixture.token("bob", Role::User, &[Scope::Read, Scope::Write]).await;
        let (status, room) = fixture.send("POST", "/api/v1/rooms", Some(&ann), Some(json!({ "name": "lobby" }))).await;
        assert_eq!(status, 201, "{room}");
        let room = room["id"].as_str().unwrap().to_owned();
        Self { fixture, ann, bob, room }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "here");
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.fixture.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10_000_000).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        let path = format!("/api/v1/rooms/{}/files?name={name}", self.room);
        self.ask("POST", &path, &self.ann, &[("content-type", "application/x-made-up")], bytes).await
    }

    async fn get(&self, id: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", &format!("/api/v1/files/{id}"), &self.ann, headers, b"").await
    }
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.json());
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_comes_in_and_is_handed_out_safely() {
    let files = Files::new().await;
    let made = files.upload("a%20b.png", b"\x89PNG\r\n\x1a\nimage").await;
    let info = made.json();
    assert_eq!((&info["name"], &info["mime"], &info["size"]), (&json!("a b.png"), &json!("image/png"), &json!(13)));
    assert_eq!((&info["mime_declared"], &info["state"]), (&json!("application/x-made-up"), &json!("clean")));
    let answer = files.get(&id(&made), &[]).await;
    assert_eq!((answer.status, &*answer.body), (200, &b"\x89PNG\r\n\x1a\nimage"[..]));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-disposition", "inline; filename=\"a b.png\""),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-cache"),
        ("content-length", "13"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.header("etag"), format!("\"{}\"", info["sha256"].as_str().unwrap()));
}

/// Fault 68: a page that somebody uploads is never shown as one.
#[tokio::test]
async fn a_page_is_handed_out_as_bytes() {
    let files = Files::new().await;
    for page in [&b"<!DOCTYPE html><script>alert(1)</script>"[..], b"<?xml version=\"1.0\"?><svg/>"] {
        let answer = files.get(&id(&files.upload("page.html", page).await), &[]).await;
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(answer.header("content-disposition").starts_with("attachment;"));
    }
}

#[tokio::test]
async fn parts_of_a_file_are_sent() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"0123456789").await);
    let part = files.get(&id, &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, &*part.body, part.header("content-range")), (206, &b"234"[..], "bytes 2-4/10"));
    assert_eq!(part.header("content-length"), "3");
    let tail = files.get(&id, &[("range", "bytes=-2")]).await;
    assert_eq!((tail.status, &*tail.body), (206, &b"89"[..]));
    let nothing = files.get(&id, &[("range", "bytes=10-")]).await;
    assert_eq!((nothing.status, nothing.header("content-range")), (416, "bytes */10"));
    assert_eq!(nothing.json()["error"]["code"], "bad_range");
    let etag = files.get(&id, &[]).await.header("etag").to_owned();
    let known = files.get(&id, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, &*etag));
}

/// Fault 69: a path in a name is refused in every way to give one.
#[tokio::test]
async fn a_path_is_no_name() {
    let files = Files::new().await;
    for name in ["..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "..", "a%5Cb", "a%00b", "a%E2%80%AEb"] {
        let answer = files.upload(name, b"x").await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (422, &json!("invalid_input")), "{name}");
        assert_eq!(answer.json()["error"]["details"][0]["pointer"], "/name");
    }
    let path = format!("/api/v1/rooms/{}/files", files.room);
    let header = [("content-disposition", "attachment; filename=\"../x\"")];
    assert_eq!(files.ask("POST", &path, &files.ann, &header, b"x").await.status, 422);
    let form = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../x\"\r\n\r\nx\r\n--b--\r\n";
    let header = [("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(files.ask("POST", &path, &files.ann, &header, form).await.status, 422);
    assert_eq!(files.ask("GET", "/api/v1/files/..%2F..%2Fplexichat.db", &files.ann, &[], b"").await.status, 404);
}

#[tokio::test]
async fn a_form_brings_a_file_and_a_file_without_a_name_gets_one() {
    let files = Files::new().await;
    let path = format!("/api/v1/rooms/{}/files", files.room);
    let form = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\xc3\xa4.txt\"\r\n\r\ntext\r\n--b--\r\n";
    let header = [("content-type", "multipart/form-data; boundary=b")];
    let made = files.ask("POST", &path, &files.ann, &header, form).await;
    assert_eq!((made.status, &made.json()["name"], &made.json()["size"]), (201, &json!("ä.txt"), &json!(4)));
    let unnamed = files.ask("POST", &path, &files.ann, &[], b"%PDF-1.7").await;
    assert_eq!((unnamed.status, &unnamed.json()["name"]), (201, &json!("file.pdf")));
    let empty = files.ask("POST", &path, &files.ann, &[], b"").await;
    assert_eq!((empty.status, &empty.json()["size"]), (201, &json!(0)));
    assert_eq!(files.get(&id(&empty), &[]).await.status, 200);
}

/// Fault 77: what hangs on no message is its uploader's alone.
#[tokio::test]
async fn a_file_that_was_not_posted_is_its_uploaders() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"secret").await);
    let path = format!("/api/v1/files/{id}");
    for (method, path) in [("GET", path.clone()), ("GET", format!("{path}/info")), ("DELETE", path.clone())] {
        let answer = files.ask(method, &path, &files.bob, &[], b"").await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("file_not_found")),
            "{method} {path}"
        );
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
    let list = files.ask("GET", "/api/v1/files", &files.bob, &[], b"").await;
    assert_eq!((&list.json()["files"], &list.json()["used_bytes"]), (&json!([]), &json!(0)));
    let list = files.ask("GET", "/api/v1/files", &files.ann, &[], b"").await;
    assert_eq!((&list.json()["files"][0]["id"], &list.json()["used_bytes"]), (&json!(id), &json!(6)));
    assert_eq!(files.ask("DELETE", &path, &files.ann, &[], b"").await.status, 204);
    assert_eq!(files.get(&id, &[]).await.status, 404);
    let nowhere = format!("/api/v1/rooms/{}/files", plexichat::id::RoomId::new());
    assert_eq!(files.ask("POST", &nowhere, &files.ann, &[], b"x").await.status, 404);
}

/// Fault 65: what is announced to be too large is refused before it is read.
#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let files = Files::new().await;
    let path = format!("/api/v1/rooms/{}/files", files.room);
    let limit = plexichat::settings::FileLimits::default().max_bytes.get() as usize;
    let frames = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 1 << 20])).take((limit >> 20) + 1);
    let body = Body::from_stream(futures_util::stream::iter(frames));
    let request = Request::post(&path).header(header::HOST, "here");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", files.ann)).body(body).unwrap();
    let response = files.fixture.service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
    let announced = vec![0; limit + 1];
    let answer = files.ask("POST", &path, &files.ann, &[], &announced).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (413, &json!("file_too_large")));
    let list = files.ask("GET", "/api/v1/files", &files.ann, &[], b"").await;
    assert_eq!(list.json()["used_bytes"], 0);
}

#[tokio::test]
async fn what_is_not_held_back_cannot_be_released() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"text").await);
    let moderator = files.fixture.token("mod", Role::Admin, &Scope::ALL).await;
    let list = files.ask("GET", "/api/v1/quarantine/files", &moderator, &[], b"").await;
    assert_eq!((list.status, &list.json()["files"]), (200, &json!([])));
    assert_eq!(files.ask("GET", "/api/v1/quarantine/files", &files.ann, &[], b"").await.status, 403);
    for act in ["release", "reject"] {
        let path = format!("/api/v1/quarantine/files/{id}/{act}");
        assert_eq!(files.ask("POST", &path, &files.ann, &[], b"").await.status, 403);
        let answer = files.ask("POST", &path, &moderator, &[], b"").await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (409, &json!("not_quarantined")), "{act}");
    }
}

impl Files {
    /// What a scanner would do: this fixture has none.
    fn hold(&self, table: &str) {
        let database = self.fixture._directory.path().join("plexichat.db");
        let connection = rusqlite::Connection::open(database).unwrap();
        assert!(connection.execute(&format!("UPDATE {table} SET state = 'quarantined'"), []).unwrap() > 0);
    }
}

#[tokio::test]
async fn what_is_held_back_in_any_room_is_the_moderators_to_decide() {
    let mut files = Files::new().await;
    let moderator = files.fixture.token("mo", Role::Moderator, &[Scope::Read, Scope::Write]).await;
    let bob = files.fixture.app.store.user_by_name("bob".into()).await.unwrap().unwrap().id;
    let deleted = files.room.clone();
    let direct = json!({ "kind": "direct", "members": [bob] });
    let (_, direct) = files.fixture.send("POST", "/api/v1/rooms", Some(&files.ann), Some(direct)).await;
    let mut held = Vec::new();
    for room in [direct["id"].as_str().unwrap().to_owned(), deleted.clone()] {
        files.room = room;
        let file = id(&files.upload("a.txt", b"text").await);
        let path = format!("/api/v1/rooms/{}/messages", files.room);
        let (status, message) =
            files.fixture.send("POST", &path, Some(&files.ann), Some(json!({ "text": "held" }))).await;
        assert_eq!(status, 201, "{message}");
        held.push((format!("files/{file}"), message["id"].as_str().unwrap().to_owned()));
    }
    files.hold("files");
    files.hold("messages");
    let gone = format!("/api/v1/rooms/{deleted}");
    assert_eq!(files.ask("DELETE", &gone, &files.ann, &[], b"").await.status, 204);

    let list = files.ask("GET", "/api/v1/quarantine", &moderator, &[], b"").await.json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(list["messages"][1]["message"]["text"], "held");
    let page = files.ask("GET", "/api/v1/quarantine?limit=1", &moderator, &[], b"").await.json();
    let rest = format!("/api/v1/quarantine?after={}", page["next"]);
    let rest = files.ask("GET", &rest, &moderator, &[], b"").await.json();
    assert_eq!((&rest["messages"], &rest["next"]), (&json!([list["messages"][1]]), &Value::Null));
    let list = files.ask("GET", "/api/v1/quarantine/files", &moderator, &[], b"").await.json();
    assert_eq!((list["files"].as_array().unwrap().len(), &list["more"]), (2, &json!(false)), "{list}");

    for (place, (file, message)) in held.iter().enumerate() {
        for what in [file, message] {
            let path = |act: &str| format!("/api/v1/quarantine/{what}/{act}");
            for person in [&files.ann, &files.bob] {
                assert_eq!(files.ask("POST", &path("release"), person, &[], b"").await.status, 403);
            }
            let released = files.ask("POST", &path("release"), &moderator, &[], b"").await;
            if place == 0 {
                assert_eq!(released.status, 200, "{}", released.json());
                continue;
            }
            assert_eq!((released.status, &released.json()["error"]["code"]), (409, &json!("room_deleted")));
            assert_eq!(files.ask("POST", &path("reject"), &moderator, &[], b"").await.status, 204);
        }
    }
}

#[tokio::test]
async fn an_uploader_removes_what_is_held_back() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"text").await);
    files.hold("files");
    let path = format!("/api/v1/files/{id}");
    assert_eq!(files.ask("DELETE", &path, &files.bob, &[], b"").await.status, 404);
    assert_eq!(files.ask("DELETE", &path, &files.ann, &[], b"").await.status, 204);
}

impl Files {
    async fn post(&self, token: &str, attachments: &[&str], key: &str) -> Answer {
        let path = format!("/api/v1/rooms/{}/messages", self.room);
        let body = json!({ "text": "", "attachments": attachments }).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.ask("POST", &path, token, &headers, body.as_bytes()).await
    }
}

#[tokio::test]
async fn a_file_that_was_posted_is_the_rooms() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"text").await);
    let message = files.post(&files.ann, &[&id], "1").await;
    assert_eq!(message.status, 201, "{}", message.json());
    let expected = json!([{ "id": id, "name": "a.txt", "size": 4, "mime": "text/plain" }]);
    assert_eq!(message.json()["attachments"], expected);
    // The same again, since the key is known; with another key the file is taken.
    let again = files.post(&files.ann, &[&id], "1").await;
    assert_eq!((again.status, &again.json()["attachments"]), (200, &expected));
    let taken = files.post(&files.ann, &[&id], "2").await;
    assert_eq!((taken.status, &taken.json()["error"]["details"][0]["pointer"]), (422, &json!("/attachments/0")));

    let path = format!("/api/v1/files/{id}");
    assert_eq!(files.ask("GET", &path, &files.bob, &[], b"").await.body, b"text");
    let info = files.ask("GET", &format!("{path}/info"), &files.bob, &[], b"").await.json();
    assert_eq!((&info["message_id"], &info["expires_at"]), (&message.json()["id"], &Value::Null));
    let history = format!("/api/v1/rooms/{}/messages", files.room);
    let history = files.ask("GET", &history, &files.bob, &[], b"").await.json();
    assert_eq!(history["messages"][0]["attachments"], expected);

    let refused = files.ask("DELETE", &path, &files.ann, &[], b"").await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (409, &json!("file_attached")));
    let message = format!("/api/v1/messages/{}", message.json()["id"].as_str().unwrap());
    assert!(matches!(files.ask("DELETE", &message, &files.ann, &[], b"").await.status, 200 | 204));
    for token in [&files.ann, &files.bob] {
        assert_eq!(files.ask("GET", &path, token, &[], b"").await.status, 404, "the file goes with its message");
    }
}

/// Fault 77: what another uploaded, or to another room, hangs on no message of one's own.
#[tokio::test]
async fn anothers_file_cannot_be_posted() {
    let files = Files::new().await;
    let id = id(&files.upload("a.txt", b"text").await);
    let other = plexichat::id::FileId::new().to_string();
    for (token, file) in [(&files.bob, &id), (&files.ann, &other)] {
        let refused = files.post(token, &[file], "1").await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (422, &json!("invalid_message")));
    }
    let twice = files.post(&files.ann, &[&id, &id], "1").await;
    assert_eq!((twice.status, &twice.json()["error"]["details"][0]["pointer"]), (422, &json!("/attachments/1")));
    assert_eq!(files.get(&id, &[]).await.status, 200, "it is as it was");
}
