//! A file on its way out: whole or a range of it, under headers that keep a browser from running it. Knows neither rooms nor
//! rights.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Documented, SchemaObject, StatusCode as DocumentedStatus};
use aide::{OperationInput, OperationOutput};
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plexichat::file::FileMeta;
use tokio::sync::mpsc;

use super::messages::header_parameter;
use crate::error::ApiError;
use crate::files::{name, read_at, sniff};

/// How much is read at once; two of these wait for each client.
const PIECE: usize = 64 * 1024;
/// How long a client may read nothing.
const SEND_GAP: Duration = Duration::from_secs(60);

/// Which part is wanted, and what the client has already.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::of(&parts.headers))
    }
}

impl Conditions {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            range: text(header::RANGE),
            if_range: text(header::IF_RANGE),
            if_none_match: text(header::IF_NONE_MATCH),
        }
    }

    /// Whether the client has this version.
    fn has(&self, etag: &str) -> bool {
        let listed = self.if_none_match.as_deref().unwrap_or("").split(',').map(str::trim);
        listed.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == etag || tag == "*")
    }

    /// Which part is wanted of a file of this size.
    fn part(&self, etag: &str, size: u64) -> Part {
        match &self.range {
            Some(range) if self.if_range.as_ref().is_none_or(|version| version == etag) => part(range, size),
            _ => Part::Whole,
        }
    }
}

impl OperationInput for Conditions {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        for (name, description) in [
            ("Range", "The part that is wanted, as `bytes=0-499`. Of several parts the whole is sent."),
            ("If-Range", "The `ETag` of which a part is wanted; the whole is sent where it is another."),
            ("If-None-Match", "The `ETag` that the client has; 304 where it is the same."),
        ] {
            operation.parameters.push(header_parameter(context, name, description));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// From the first to the last byte, both included.
    Range(u64, u64),
    /// There is nothing there.
    Nothing,
}

/// What a `Range` header asks for. What cannot be read asks for everything (RFC 9110, 14.2).
fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => match last.unwrap_or(u64::MAX) {
            last if last < first => Part::Whole,
            _ if first >= size => Part::Nothing,
            last => Part::Range(first, last.min(size - 1)),
        },
        (Some(None), Some(Some(wanted))) => match wanted.min(size) {
            0 => Part::Nothing,
            length => Part::Range(size - length, size - 1),
        },
        _ => Part::Whole,
    }
}

/// A file, or a part of it, as it is sent.
pub(crate) struct Content {
    response: Response,
}

impl Content {
    /// What these conditions ask of a file.
    ///
    /// # Errors
    /// 416 where it has nothing of what is wanted.
    pub(crate) fn new(meta: &FileMeta, file: std::fs::File, conditions: &Conditions) -> Result<Self, ApiError> {
        let sha256: String = meta.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = format!("\"{sha256}\"");
        let kind = if sniff::is_shown_inline(&meta.mime) { "inline" } else { "attachment" };
        let mut headers = HeaderMap::new();
        let mut set = |name, value: &str| {
            HeaderValue::from_str(value).map(|value| drop(headers.insert(name, value))).map_err(ApiError::internal)
        };
        set(header::ETAG, &etag)?;
        set(header::CACHE_CONTROL, "private, no-cache")?;
        set(header::ACCEPT_RANGES, "bytes")?;
        if conditions.has(&etag) {
            return Ok(Self { response: (StatusCode::NOT_MODIFIED, headers).into_response() });
        }
        set(header::CONTENT_TYPE, sniff::handed_out_as(&meta.mime))?;
        set(header::CONTENT_DISPOSITION, &name::disposition(kind, &meta.name))?;
        set(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'")?;
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
        set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin")?;
        let (status, first, length) = match conditions.part(&etag, meta.size) {
            Part::Whole => (StatusCode::OK, 0, meta.size),
            Part::Range(first, last) => {
                set(header::CONTENT_RANGE, &format!("bytes {first}-{last}/{}", meta.size))?;
                (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
            }
            Part::Nothing => {
                let all = HeaderValue::from_str(&format!("bytes */{}", meta.size)).map_err(ApiError::internal)?;
                let message = format!("the file has {} bytes, and nothing of the range", meta.size);
                let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", message);
                return Err(error.header(header::CONTENT_RANGE, all));
            }
        };
        set(header::CONTENT_LENGTH, &length.to_string())?;
        Ok(Self { response: (status, headers, send(file, first, length)).into_response() })
    }
}

/// Reads a file piece by piece, as fast as the client does. A client that stops reading does not keep it open.
fn send(file: std::fs::File, first: u64, length: u64) -> Body {
    let (sender, pieces) = mpsc::channel::<io::Result<Bytes>>(2);
    tokio::spawn(async move {
        let file = Arc::new(file);
        let (mut position, end) = (first, first + length);
        while position < end {
            let (file, wanted) = (file.clone(), usize::try_from(end - position).unwrap_or(PIECE).min(PIECE));
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; wanted];
                let length = read_at(&file, &mut piece, position)?;
                // What was announced and is not there must not look like an end.
                if length < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Bytes::from(piece)) }
            });
            let piece = read.await.unwrap_or_else(|_| Err(io::Error::other("reading was given up")));
            if let Err(error) = &piece {
                tracing::error!(%error, "reading a file that is handed out");
            }
            position = if piece.is_ok() { position + wanted as u64 } else { end };
            if sender.send_timeout(piece, SEND_GAP).await.is_err() {
                return;
            }
        }
    });
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    }))
}

impl IntoResponse for Content {
    fn into_response(self) -> Response {
        self.response
    }
}

impl OperationOutput for Content {
    type Inner = Vec<u8>;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let binary = |description: &str| {
            let json_schema = schemars::json_schema!({ "type": "string", "format": "binary" });
            let schema = SchemaObject { json_schema, example: None, external_docs: None };
            let mut response = Documented { description: description.to_owned(), ..Documented::default() };
            response.content.insert("*/*".to_owned(), MediaType { schema: Some(schema), ..MediaType::default() });
            response
        };
        let nothing = Documented { description: "The client has this version".to_owned(), ..Documented::default() };
        vec![
            (Some(DocumentedStatus::Code(200)), binary("The file")),
            (Some(DocumentedStatus::Code(206)), binary("The part that was asked for")),
            (Some(DocumentedStatus::Code(304)), nothing),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, size: u64, expected: Part) {
        assert_eq!(part(range, size), expected, "{range} of {size}");
    }

    #[test]
    fn a_range_is_within_the_file_or_nothing() {
        check("bytes=0-4", 10, Part::Range(0, 4));
        check("bytes=5-", 10, Part::Range(5, 9));
        check("bytes=5-500", 10, Part::Range(5, 9));
        check("bytes=9-9", 10, Part::Range(9, 9));
        check("bytes=-3", 10, Part::Range(7, 9));
        check("bytes=-30", 10, Part::Range(0, 9));
        check("bytes=10-", 10, Part::Nothing);
        check("bytes=99999999999999999999999-", 10, Part::Nothing);
        check("bytes=-0", 10, Part::Nothing);
        check("bytes=0-", 0, Part::Nothing);
        check("bytes=-5", 0, Part::Nothing);
        for whole in ["bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=+1-2", ""] {
            check(whole, 10, Part::Whole);
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let conditions = |range: &str, if_range: &str, if_none_match: &str| {
            let mut headers = HeaderMap::new();
            let given = [(header::RANGE, range), (header::IF_RANGE, if_range), (header::IF_NONE_MATCH, if_none_match)];
            for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            Conditions::of(&headers)
        };
        assert!(conditions("", "", "\"a\"").has("\"a\""));
        assert!(conditions("", "", "\"b\", W/\"a\"").has("\"a\""));
        assert!(conditions("", "", "*").has("\"a\""));
        assert!(!conditions("", "", "\"b\"").has("\"a\"") && !conditions("", "", "").has("\"a\""));
        assert_eq!(conditions("bytes=0-0", "\"a\"", "").part("\"a\"", 9), Part::Range(0, 0));
        assert_eq!(conditions("bytes=0-0", "\"b\"", "").part("\"a\"", 9), Part::Whole);
    }
}
