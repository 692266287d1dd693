//! A WebSocket client: JSON frames in and out, each wait with an end.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Client;
use super::server::PATIENCE;

pub(crate) struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    /// The first frame.
    pub(crate) hello: Value,
}

impl WebSocket {
    /// Connects with the client's token and reads the greeting.
    pub(crate) async fn connect(client: &Client) -> Self {
        Self::connect_with(client, &[]).await
    }

    /// The same with further headers.
    pub(crate) async fn connect_with(client: &Client, headers: &[(&'static str, &str)]) -> Self {
        let mut stream = Self::handshake(client, headers).await.unwrap_or_else(|error| panic!("no WebSocket: {error}"));
        let hello = next(&mut stream).await.expect("a greeting");
        assert_eq!(hello["type"], "hello", "{hello}");
        Self { stream, hello }
    }

    /// The handshake alone, with further headers.
    pub(crate) async fn handshake(
        client: &Client,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, Error> {
        Self::handshake_at(client, "/api/v1/ws", headers).await
    }

    /// The handshake at another address.
    pub(crate) async fn handshake_at(
        client: &Client,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{}{path}", client.address()).into_client_request().unwrap();
        if let Some(token) = client.bearer() {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(client.address()).await?;
        stream.set_nodelay(true)?;
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The same where the server may close before it has read everything.
    pub(crate) async fn try_send_text(&mut self, text: &str) {
        let _ = self.stream.send(Message::text(text)).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, room: &str, after_seq: Option<u64>) {
        let mut frame = json!({ "type": "subscribe", "room_id": room });
        if let Some(after) = after_seq {
            frame["after_seq"] = after.into();
        }
        self.send(frame).await;
    }

    /// The next frame; nothing where the server closed.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        next(&mut self.stream).await
    }

    /// The next frame of this type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed while waiting for {kind:?}"));
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next `message` frame: the message's own fields beside the type.
    pub(crate) async fn message(&mut self) -> Value {
        self.next_of("message").await
    }

    /// The close code, once the server closes.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the server to close") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

async fn next(stream: &mut WebSocketStream<TcpStream>) -> Option<Value> {
    loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await.expect("a frame") {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}
