//! A thousand WebSocket clients in one thread, written by hand so that the machine's processors are left to the server: they count
//! frames and note when each came, and look at none.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

/// How much the one that does not read has room for.
const DEAF_BUFFER: u32 = 4096;

/// What the listeners heard, together.
#[derive(Default)]
pub(crate) struct Heard {
    /// Text frames.
    pub(crate) count: Cell<u64>,
    /// Wakes whoever waits for this many.
    wanted: Cell<u64>,
    reached: Notify,
    /// When the message was sent that is on its way alone; deliveries are timed from then.
    sent: Cell<Option<Instant>>,
    took: RefCell<Vec<Duration>>,
}

impl Heard {
    /// Waits until so many frames were heard.
    pub(crate) async fn wait_for(&self, wanted: u64) {
        self.wanted.set(wanted);
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while self.count.get() < wanted {
                self.reached.notified().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{} of {wanted} frames came", self.count.get()));
    }

    /// Times deliveries from now on, or no more.
    pub(crate) fn time_from(&self, sent: Option<Instant>) {
        self.sent.set(sent);
    }

    /// How long the timed deliveries took.
    pub(crate) fn took(&self) -> Vec<Duration> {
        std::mem::take(&mut self.took.borrow_mut())
    }

    fn frame(&self) {
        self.count.set(self.count.get() + 1);
        if let Some(sent) = self.sent.get() {
            self.took.borrow_mut().push(sent.elapsed());
        }
        if self.count.get() == self.wanted.get() {
            self.reached.notify_one();
        }
    }
}

/// Connects so many listeners to a room, one of which does not read. Must be called within a `LocalSet`-like scope: each reads in
/// a task of its own on this thread.
pub(crate) async fn connect(
    address: SocketAddr,
    token: &str,
    room: &str,
    count: usize,
    heard: &Rc<Heard>,
    tasks: &tokio::task::LocalSet,
) -> TcpStream {
    for _ in 1..count {
        let stream = listen(address, token, room, None).await;
        tasks.spawn_local(read(stream, heard.clone()));
    }
    listen(address, token, room, Some(DEAF_BUFFER)).await
}

/// Opens a WebSocket that listens to the room once this returns.
async fn listen(address: SocketAddr, token: &str, room: &str, buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer).unwrap();
    }
    let mut stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET /api/v1/ws HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: upgrade\r\nupgrade: \
         websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for frame in [format!(r#"{{"type":"subscribe","room_id":"{room}"}}"#), r#"{"type":"ping"}"#.to_owned()] {
        // A mask of zeros leaves the text as it is.
        let mut bytes = vec![0x81, 0x80 | u8::try_from(frame.len()).unwrap(), 0, 0, 0, 0];
        bytes.extend_from_slice(frame.as_bytes());
        stream.write_all(&bytes).await.unwrap();
    }
    // The greeting, and the answer to the ping: the subscription before it counts by then.
    for _ in 0..2 {
        let length = match stream.read_u16().await.unwrap() & 0x7f {
            126 => u64::from(stream.read_u16().await.unwrap()),
            length => u64::from(length),
        };
        let mut rest = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut rest).await.unwrap();
    }
    stream
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

async fn read(mut stream: TcpStream, heard: Rc<Heard>) {
    let mut frames = Frames::default();
    loop {
        stream.readable().await.unwrap();
        let read = BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
            Ok(0) => None,
            Ok(length) => Some(frames.take(&buffer[..length], &heard)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(false),
            Err(_) => None,
        });
        match read {
            None => return,
            Some(false) => {}
            // A masked, empty pong.
            Some(true) => stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.unwrap(),
        }
    }
}

/// Where one stands in a stream of frames.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// How many bytes of the payload are still to come.
    left: u64,
}

impl Frames {
    /// Counts the text frames in what came; whether there was a ping.
    fn take(&mut self, mut bytes: &[u8], heard: &Heard) -> bool {
        let mut pinged = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len() as u64);
                self.left -= skipped;
                bytes = &bytes[skipped as usize..];
                if self.left == 0 {
                    pinged |= self.whole(heard);
                }
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            let Some(length) = self.length() else { continue };
            self.left = length;
            if length == 0 {
                pinged |= self.whole(heard);
            }
        }
        pinged
    }

    /// The payload's length, once the head is whole.
    fn length(&self) -> Option<u64> {
        match self.head[..] {
            [_, length @ ..126] => Some(u64::from(length)),
            [_, 126, high, low] => Some(u64::from(u16::from_be_bytes([high, low]))),
            [_, 127, a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => None,
        }
    }

    fn whole(&mut self, heard: &Heard) -> bool {
        let opcode = self.head[0] & 0x0f;
        self.head.clear();
        if opcode == 1 {
            heard.frame();
        }
        opcode == 9
    }
}
