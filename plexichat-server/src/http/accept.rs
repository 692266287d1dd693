//! Accepts connections and drives each to its end: no delay, limits on heads, writes and numbers, a drain that ends.
//! Knows no route.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

use super::address::Peer;
use crate::stop::stopped;

/// How long a client may take for a request's head, and how long a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave us unable to write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEADER_MAX: usize = 64 * 1024;
/// What the kernel keeps for a client that does not read. Its own adaptive limit is some megabytes.
const SEND_BUFFER: u32 = 64 * 1024;
/// The most connections at a time; fewer where the process may not open so many files.
const CONNECTIONS_MAX: usize = 10_000;
/// Files that are left for the store, logs and plugins' runtimes.
const FILES_SPARE: usize = 64;
/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Of so many failed accepts in a row one is logged: one in ten seconds.
const WARN_EVERY: u32 = 100;

/// The connection's place among those that are allowed. Who takes a connection over keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    _permit: Arc<OwnedSemaphorePermit>,
    // The drain waits until every sender is gone.
    _open: mpsc::Sender<()>,
}

/// Opens the listening socket.
///
/// # Errors
/// Where the address cannot be had.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart does not wait for the old connections' last packets.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts connections until `stopping` turns true, then waits for those that are open, at most `drain`.
/// Gives back how many had to be left.
///
/// # Cancel safety
/// A dropped call leaves open connections to themselves.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    drain: Duration,
) -> usize {
    let limit = connection_limit();
    let places = Arc::new(Semaphore::new(limit));
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let mut failed = 0_u32;
    loop {
        let place = tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            place = places.clone().acquire_owned() => match place {
                Ok(place) => place,
                Err(_) => unreachable!("nobody closes the semaphore"),
            },
        };
        let (stream, peer) = tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    // For want of file descriptors the next call fails as fast: without a pause this would spin.
                    if failed.is_multiple_of(WARN_EVERY) {
                        tracing::warn!(%error, "no connection can be accepted for now");
                    }
                    failed += 1;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        failed = 0;
        metrics::counter!("plexichat_http_connections_total").increment(1);
        let permit = Permit { _permit: Arc::new(place), _open: open.clone() };
        tokio::spawn(drive(stream, peer, router.clone(), permit, stopping.clone()));
    }
    drop(listener);
    drop(open);
    match tokio::time::timeout(drain, all_closed.recv()).await {
        Ok(_) => 0,
        Err(_) => limit - places.available_permits(),
    }
}

/// A client that was gone before it was accepted says nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Each connection is a file: ask for as many as we may have. Where that is refused, what we have must do.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    files.saturating_sub(FILES_SPARE).clamp(16, CONNECTIONS_MAX)
}

async fn drive(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    permit: Permit,
    mut stopping: watch::Receiver<bool>,
) {
    // Without it, what is written in pieces waits 40 ms for the other side's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "a connection was gone at once");
        return;
    }
    let service = TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(permit.clone());
        request.extensions_mut().insert(Peer(peer));
        request.map(axum::body::Body::new)
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(HEADER_MAX)
        .max_buf_size(HEADER_MAX)
        .serve_connection(TokioIo::new(WriteDeadline::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended badly");
    }
}

/// A stream whose writes fail once the other side has not taken anything for a while: a client that does not read holds
/// neither a task nor memory for ever.
struct WriteDeadline {
    stream: TcpStream,
    patience: Pin<Box<Sleep>>,
    waiting: bool,
}

impl WriteDeadline {
    fn new(stream: TcpStream) -> Self {
        Self { stream, patience: Box::pin(tokio::time::sleep(WRITE_TIMEOUT)), waiting: false }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.patience.as_mut().reset(Instant::now() + WRITE_TIMEOUT);
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for WriteDeadline {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteDeadline {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    struct Server {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        ended: tokio::task::JoinHandle<usize>,
    }

    fn start(router: Router) -> Server {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let ended = tokio::spawn(serve(listener, router, stopping, Duration::from_secs(30)));
        Server { address, stop, ended }
    }

    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_in_flight_is_finished_before_the_end() {
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let server = start(Router::new().route("/", slow));
        let asked = tokio::spawn(exchange(server.address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.send(true).unwrap();
        assert!(asked.await.unwrap().ends_with("done"));
        assert_eq!(server.ended.await.unwrap(), 0);
        assert!(TcpStream::connect(server.address).await.is_err(), "nothing is accepted afterwards");
    }

    #[tokio::test]
    async fn idle_connections_do_not_hold_the_end_up() {
        let server = start(Router::new());
        let idle = TcpStream::connect(server.address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.stop.send(true).unwrap();
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap(), 0);
        drop(idle);
    }

    #[tokio::test]
    async fn an_endless_head_is_refused() {
        let server = start(Router::new());
        for length in [HEADER_MAX, 100_000, HEADER_MAX * 2] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(length));
            assert!(exchange(server.address, &head).await.starts_with("HTTP/1.1 431"), "{length}");
        }
        let many = "x: y\r\n".repeat(101);
        assert!(exchange(server.address, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn a_taken_address_is_told() {
        let server = start(Router::new());
        assert_eq!(listen(server.address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
