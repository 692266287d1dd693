//! Accepts connections and drives each to its end: no delay, limits on heads, numbers and handshakes, a drain that ends.
//! Knows no route.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use super::address::{self, Peer};
use super::edge::Edge;
use super::places::{Place, Places};
use super::socket::{Watched, WriteDeadline};
use super::tls::Tls;
use crate::stop::stopped;

/// How long a client may take for a request's head, and how long a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take until its connection is encrypted.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEADER_MAX: usize = 64 * 1024;
/// What the kernel keeps for a client that does not read. Its own adaptive limit is some megabytes.
const SEND_BUFFER: u32 = 64 * 1024;
/// Files that are left for the store, logs and plugins' runtimes.
const FILES_SPARE: usize = 64;
/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Of so many failed accepts in a row one is logged: one in ten seconds.
const WARN_EVERY: u32 = 100;
/// Of so many refused connections one is logged, so that a flood does not fill the log.
const REFUSED_EVERY: u64 = 1000;

/// What an encrypted connection begins with.
const HANDSHAKE: u8 = 0x16;
const NOT_ENCRYPTED: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    this server speaks https: begin the address with https://\n";
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/plain\r\nretry-after: 10\r\nconnection: \
    close\r\n\r\nthis address has too many connections open\n";

/// The connection's place among those that are allowed. Who takes a connection over keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    _place: Arc<Place>,
    // The drain waits until every sender is gone.
    _open: mpsc::Sender<()>,
}

/// What is served, to how many, and how it is encrypted.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) edge: Arc<Edge>,
    /// Nothing: plain http.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Who is here now.
    pub(crate) places: Arc<Places>,
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
    service: Service,
    mut stopping: watch::Receiver<bool>,
    drain: Duration,
) -> usize {
    let files = files();
    let Service { router, edge, tls, places } = service;
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let mut failed = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            () = places.below(|| files.min(edge.now().limits.connections.get() as usize)) => {}
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
        let now = edge.now();
        let counted = counted(peer.ip(), |address| now.trusts(address));
        let Some(place) = places.take(counted, now.limits.connections_per_address.get() as usize) else {
            refuse(&stream, peer, tls.is_some());
            continue;
        };
        let permit = Permit { _place: Arc::new(place), _open: open.clone() };
        let connection = Connection { peer, router: router.clone(), permit, stopping: stopping.clone() };
        tokio::spawn(connection.drive(stream, tls.clone()));
    }
    drop(listener);
    drop(open);
    match tokio::time::timeout(drain, all_closed.recv()).await {
        Ok(_) => 0,
        Err(_) => places.taken(),
    }
}

/// Under which address a connection is counted. Behind a proxy are many people, and who is on this machine needs no
/// connection to hold it up.
fn counted(address: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let address = address.to_canonical();
    (!address.is_loopback() && !trusted(address)).then(|| address::bucket(address))
}

/// Says why, where that costs nothing, and hangs up.
fn refuse(stream: &TcpStream, peer: SocketAddr, encrypted: bool) {
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    metrics::counter!("plexichat_http_refused_connections_total").increment(1);
    let before = REFUSED.fetch_add(1, Ordering::Relaxed);
    if before.is_multiple_of(REFUSED_EVERY) {
        tracing::warn!(%peer, refused = before + 1, "an address has too many connections open: more are refused");
    }
    if !encrypted {
        let _ = stream.try_write(TOO_MANY);
    }
}

/// A client that was gone before it was accepted says nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// How many connections the process may have as files.
fn files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Each connection is a file: ask for as many as we may have. Where that is refused, what we have must do.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    files.saturating_sub(FILES_SPARE).max(16)
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    permit: Permit,
    stopping: watch::Receiver<bool>,
}

impl Connection {
    async fn drive(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        let peer = self.peer;
        // Without it, what is written in pieces waits 40 ms for the other side's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "a connection was gone at once");
            return;
        }
        let Some(tls) = tls else { return self.converse(WriteDeadline::new(stream)).await };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, encrypt(stream, &tls)).await {
            Ok(Ok(stream)) => self.converse(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a connection was not encrypted"),
            Err(_) => tracing::debug!(%peer, "a handshake took too long"),
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { peer, router, permit, mut stopping } = self;
        let switched = Arc::new(AtomicBool::new(false));
        let answered = switched.clone();
        let service = router.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(permit.clone());
            request.extensions_mut().insert(Peer(peer));
            request.map(axum::body::Body::new)
        });
        let service = TowerToHyperService::new(service.map_response(move |response: Response| {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                answered.store(true, Ordering::Relaxed);
            }
            response
        }));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_header_size(HEADER_MAX)
            .max_buf_size(HEADER_MAX)
            .serve_connection(TokioIo::new(Watched::new(stream, switched)), service)
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
}

type Encrypted = tokio_rustls::server::TlsStream<WriteDeadline<TcpStream>>;

async fn encrypt(mut stream: TcpStream, tls: &Tls) -> io::Result<Encrypted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
        // Somebody wrote http:// where https:// belongs: tell them in the language that they speak.
        stream.write_all(NOT_ENCRYPTED).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
    }
    tls.acceptor().accept(WriteDeadline::new(stream)).await
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
        start_with(router, None)
    }

    fn start_with(router: Router, tls: Option<Arc<Tls>>) -> Server {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let service = Service { router, edge: Arc::default(), tls, places: Arc::default() };
        let ended = tokio::spawn(serve(listener, service, stopping, Duration::from_secs(30)));
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

    /// Fault 64: what hyper would take and others read otherwise is answered with 400, and nothing after it is done.
    #[tokio::test]
    async fn heads_that_others_read_otherwise_are_refused() {
        let server = start(Router::new().route("/", get(|| async { "done" }).post(|body: String| async { body })));
        let good = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        assert!(exchange(server.address, good).await.ends_with("done"));
        for bad in [
            "GET / HTTP/1.1\nhost: a\n\n".to_owned(),
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\n\r\n".to_owned(),
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nabcd".to_owned(),
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n".to_owned(),
        ] {
            let answer = exchange(server.address, &format!("{bad}{good}")).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?}: {answer}");
            assert!(!answer.contains("done"), "{bad:?}: a second request was carried out: {answer}");
        }
        let body = "a\nb\n\nc";
        let post = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}{good}", body.len());
        let answer = exchange(server.address, &post).await;
        assert!(answer.contains(body) && answer.ends_with("done"), "a body may have any line's end: {answer}");
    }

    #[test]
    fn who_is_behind_a_proxy_or_on_this_machine_is_not_counted() {
        let check = |address: &str, expected: Option<&str>| {
            let counted = counted(address.parse().unwrap(), |address| address.to_string().starts_with("10."));
            assert_eq!(counted, expected.map(|address| address.parse().unwrap()), "{address}");
        };
        check("127.0.0.1", None);
        check("::1", None);
        check("10.1.2.3", None);
        check("::ffff:10.1.2.3", None);
        check("192.0.2.1", Some("192.0.2.1"));
        check("2001:db8::1:2:3:4", Some("2001:db8::"));
    }

    mod encrypted {
        use rustls::pki_types::ServerName;
        use rustls::pki_types::pem::PemObject;

        use super::super::super::tls::tests::{Pair, files};
        use super::*;

        fn start_encrypted() -> (Server, Pair) {
            let pair = Pair::new();
            let (_directory, settings) = files(&pair.cert, &pair.key);
            let tls = Arc::new(Tls::new(&settings).unwrap());
            (start_with(Router::new().route("/", get(|| async { "done" })), Some(tls)), pair)
        }

        async fn connect(address: SocketAddr, cert: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(rustls::pki_types::CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let stream = TcpStream::connect(address).await.unwrap();
            connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
        }

        #[tokio::test]
        async fn https_is_spoken() {
            let (server, pair) = start_encrypted();
            let mut stream = connect(server.address, &pair.cert).await;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        }

        #[tokio::test]
        async fn who_speaks_http_is_told_so() {
            let (server, _) = start_encrypted();
            let answer = exchange(server.address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");
        }

        /// Fault 63: a handshake that does not go on is cut.
        #[tokio::test]
        async fn a_handshake_that_does_not_go_on_is_cut() {
            let (server, _) = start_encrypted();
            let began = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(&[HANDSHAKE, 3, 1]).await.unwrap();
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(HANDSHAKE_TIMEOUT * 2, stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "it was left open");
            assert!(began.elapsed() >= HANDSHAKE_TIMEOUT - Duration::from_secs(1));
        }
    }
}
