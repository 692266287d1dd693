//! One HTTP/1.1 request and its answer over a plain socket: all that the proof needs. Knows no path of the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Explain, Failure, Result};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where to ask, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl Client {
    /// Asks for a path; the JSON that came with 2xx, `Null` where nothing came.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.exchange("GET", path, None)
    }

    /// Posts JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.exchange("POST", path, Some(body))
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let what = || format!("`{method} {path}` at {}", self.address);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let mut answer = Vec::new();
        let mut talk = || {
            let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.read_to_end(&mut answer)
        };
        talk().explain(what)?;
        let (status, body) =
            parse(&answer).ok_or_else(|| Failure::found(format!("{} was answered with no HTTP", what())))?;
        if !(200..300).contains(&status) {
            return Err(Failure::found(format!(
                "{} was answered with {status}: {}",
                what(),
                String::from_utf8_lossy(&body)
            )));
        }
        // Health checks may answer in plain text.
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// Status and body of a whole answer.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let chunked = head.lines().any(|line| line.to_ascii_lowercase().replace(' ', "") == "transfer-encoding:chunked");
    Some((status, if chunked { unchunk(body)? } else { body.to_vec() }))
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        body = &body[end + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(..size)?);
        body = body.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<(u16, &str)>) {
        let expected = expected.map(|(status, body)| (status, body.as_bytes().to_vec()));
        assert_eq!(parse(answer.as_bytes()), expected, "{answer:?}");
    }

    #[test]
    fn answers_are_read() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some((200, "{}")));
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, "")));
        check(
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
            Some((201, "abcd")),
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        check("", None);
        check("SSH-2.0-OpenSSH_9.2\r\n\r\n", None);
        check("HTTP/1.1 2", None);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc", None);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", None);
    }

    #[test]
    fn nobody_at_the_address_is_an_error() {
        // Bound and dropped: free again, and nobody listens.
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let client = Client { address, token: "secret".into() };
        let failure = client.get("/healthz").unwrap_err().to_string();
        assert!(failure.contains("GET /healthz"), "{failure}");
        assert!(!failure.contains("secret"), "{failure}");
    }
}
