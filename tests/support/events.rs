//! A client of server-sent events: reads a stream's events one by one, each wait with an end.

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Client;
use super::server::PATIENCE;

pub(crate) struct Events {
    body: Incoming,
    read: String,
    /// What a browser would say as `Last-Event-ID`.
    pub(crate) last_id: Option<String>,
}

impl Events {
    /// Asks for a room's stream, which must be given.
    pub(crate) async fn follow(client: &Client, room: &str, query: &str, last_id: Option<&str>) -> Self {
        let mut events = Self::open(client, &format!("/api/v1/rooms/{room}/stream{query}"), last_id).await;
        // The first says how far one is, so that the room is listened to once it is here.
        assert_eq!(events.block().await.as_deref().map(|block| block.contains(": listening")), Some(true));
        events
    }

    /// Asks for the stream at an address, which must be given.
    pub(crate) async fn open(client: &Client, path: &str, last_id: Option<&str>) -> Self {
        let stream = TcpStream::connect(client.address()).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        // Ends with the stream.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::get(path)
            .header("host", client.address().to_string())
            .header("authorization", format!("Bearer {}", client.bearer().unwrap()));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { body: answer.into_body(), read: String::new(), last_id: None }
    }

    /// The next event's data; nothing where the server ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            let data = block.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.read = rest;
                let id = block.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned);
                self.last_id = id.or(self.last_id.take());
                return Some(block);
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event")?.ok()?;
            self.read.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }
}
