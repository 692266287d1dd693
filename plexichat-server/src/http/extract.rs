//! What a request carries, read strictly: every refusal is in the error shape and says where. Knows no route.

use std::time::Duration;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Finding};

/// The largest body of a request, in bytes.
pub(crate) const BODY_MAX: usize = 1024 * 1024;
/// How deep a JSON body may nest.
const DEPTH_MAX: usize = 64;
/// How long a client may pause within a body.
pub(crate) const BODY_GAP: Duration = Duration::from_secs(10);
/// How much of a body that was refused is still read, so that the client comes to read the refusal.
const DISCARD_MAX: usize = 256 * BODY_MAX;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_content_type(&request)?;
        let body = read_body(request.into_body()).await?;
        parse_json(&body).map(Self)
    }
}

/// A JSON body where one may be missing: `T::default()` then.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let typed = check_content_type(&request);
        let body = read_body(request.into_body()).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        parse_json(&body).map(Self)
    }
}

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(ApiError::bad_request("bad_query", format!("the query string: {}", innermost(&error)))),
        }
    }
}

/// The variable segments of the path. What does not parse names nothing: 404.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(error) => Err(ApiError::not_found(format!("the address names nothing: {}", innermost(&error)))),
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Nothing is unpacked: what a compressed body holds would be seen only once it filled the memory.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let Some(found) = encodings.iter().find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) else {
        return Ok(());
    };
    let found = String::from_utf8_lossy(found.as_bytes());
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        format!("the body is encoded as `{found}`, and none of that is taken"),
    )
    .hint("send it as it is, without `Content-Encoding`")
    .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

fn check_content_type(request: &Request) -> Result<(), ApiError> {
    check_encoding(request.headers())?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let found = if essence.is_empty() { "no content type".to_owned() } else { format!("`{essence}`") };
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("a JSON body is expected, and the request has {found}"),
    )
    .hint("send `Content-Type: application/json`"))
}

/// Reads a body whole, within the limits on size and pauses.
async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    read_body_up_to(body, BODY_MAX).await
}

/// Reads a body whole that may be as large as this, within the limit on pauses.
pub(super) async fn read_body_up_to(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let declared = http_body_size(&body);
    if declared.is_some_and(|size| size > limit as u64) {
        discard(body);
        return Err(too_large(limit));
    }
    // What is announced was not sent yet: memory is taken as it comes.
    let mut read = Vec::with_capacity(declared.unwrap_or(0).min(BODY_MAX as u64) as usize);
    let mut frames = body.into_data_stream();
    loop {
        match tokio::time::timeout(BODY_GAP, frames.next()).await {
            Ok(None) => return Ok(read.into()),
            Ok(Some(Ok(frame))) if read.len() + frame.len() > limit => {
                discard(Body::from_stream(frames));
                return Err(too_large(limit));
            }
            Ok(Some(Ok(frame))) => read.extend_from_slice(&frame),
            Ok(Some(Err(error))) => {
                return Err(ApiError::bad_request(
                    "bad_body",
                    format!("the body cannot be read: {}", innermost(&error)),
                ));
            }
            Err(_) => {
                return Err(ApiError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "body_timeout",
                    format!("the body paused for more than {} s", BODY_GAP.as_secs()),
                ));
            }
        }
    }
}

fn http_body_size(body: &Body) -> Option<u64> {
    axum::body::HttpBody::size_hint(body).exact()
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body is larger than {limit} bytes"))
}

/// Reads on for a while: a client that sends everything before it reads would otherwise see a reset connection instead of
/// the answer. The task ends with the body, at a limit or after a time.
pub(crate) fn discard(body: Body) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIME, async move {
        let mut left = DISCARD_MAX;
        let mut frames = body.into_data_stream();
        while let Some(Ok(frame)) = frames.next().await {
            match left.checked_sub(frame.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }));
}

/// Any JSON value, within the limits of all bodies.
pub(crate) fn parse_any_json(text: &[u8]) -> Result<serde_json::Value, ApiError> {
    check_json(text)?;
    serde_json::from_slice(text)
        .map_err(|error| ApiError::bad_request("bad_json", format!("the body is not JSON: {error}")))
}

fn check_json(text: &[u8]) -> Result<(), ApiError> {
    if let Err(error) = std::str::from_utf8(text) {
        let at = error.valid_up_to();
        return Err(ApiError::bad_request("bad_encoding", format!("the body is not UTF-8 (at byte {at})")));
    }
    if nests_deeper_than(text, DEPTH_MAX) {
        return Err(ApiError::bad_request("bad_json", format!("the body nests deeper than {DEPTH_MAX} levels")));
    }
    // Before the shape is looked at, so that what is no JSON is told so wherever its first mistake stands.
    serde_json::from_slice::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| ApiError::bad_request("bad_json", format!("the body is not JSON: {error}")))
}

/// Reads JSON: what is no JSON is 400, what is JSON of another shape 422 with where.
pub(crate) fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    check_json(text)?;
    if text.trim_ascii_start().first() != Some(&b'{') {
        // Serde would read an array into a struct, field by field.
        let finding = Finding { pointer: String::new(), message: "an object is expected".to_owned() };
        return Err(ApiError::invalid("the body does not have the shape that is expected here", vec![finding]));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut track = serde_path_to_error::Track::new();
    let value = T::deserialize(serde_path_to_error::Deserializer::new(&mut reader, &mut track));
    let path = track.path();
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) if error.is_data() => {
            let finding = Finding { pointer: pointer(&path), message: without_place(&error) };
            Err(ApiError::invalid("the body does not have the shape that is expected here", vec![finding]))
        }
        Err(error) => Err(ApiError::bad_request("bad_json", format!("the body is not JSON: {error}"))),
    }
}

/// Whether brackets and braces outside of strings nest deeper than that.
fn nests_deeper_than(text: &[u8], levels: usize) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > levels {
            return true;
        }
    }
    false
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

/// The path as a JSON pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

impl<T: JsonSchema> OperationInput for Json<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        axum::Json::<T>::operation_input(context, operation);
    }
}

impl<T: JsonSchema> OperationInput for OptionalJson<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        axum::Json::<T>::operation_input(context, operation);
        if let Some(aide::openapi::ReferenceOr::Item(body)) = &mut operation.request_body {
            body.required = false;
        }
    }
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        axum::extract::Query::<T>::operation_input(context, operation);
    }
}

impl<T: JsonSchema> OperationInput for Path<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        axum::extract::Path::<T>::operation_input(context, operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its shape counts here")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its shape counts here")]
        parts: Vec<Part>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[expect(dead_code, reason = "only its shape counts here")]
        size: u8,
    }

    #[track_caller]
    fn check(text: impl AsRef<[u8]>, status: u16, where_and_what: &str) {
        let error = parse_json::<Sample>(text.as_ref()).unwrap_err();
        let found = match error.details.first() {
            Some(finding) => format!("{}: {}", finding.pointer, finding.message),
            None => error.message.clone(),
        };
        assert_eq!(error.status.as_u16(), status, "{found}");
        assert!(found.contains(where_and_what), "{found:?} does not contain {where_and_what:?}");
    }

    #[test]
    fn what_is_no_json_is_400() {
        check("", 400, "EOF");
        check("{", 400, "EOF");
        check("{} {}", 400, "trailing characters");
        check(r#"{"name":"x"} {}"#, 400, "trailing characters");
        check(b"{\"name\":\"\xff\"}", 400, "not UTF-8 (at byte 9)");
        check(r#"{"name":"x","parts":1e999}"#, 400, "number out of range");
    }

    #[test]
    fn what_has_another_shape_is_422_and_says_where() {
        check("{}", 422, "missing field `name`");
        check(r#"["x", []]"#, 422, ": an object is expected");
        check(r#"{"name":1}"#, 422, "/name: invalid type: integer `1`, expected a string");
        check(r#"{"name":"x","nam":1}"#, 422, "unknown field `nam`");
        check(r#"{"name":"x","name":"y"}"#, 422, "duplicate field `name`");
        check(r#"{"name":"x","parts":[{"size":1},{"size":300}]}"#, 422, "/parts/1/size: invalid value");
        check(r#"{"name":"x","parts":[{"size":1,"a/b":1}]}"#, 422, "unknown field `a/b`");
    }

    /// Fault 66: by a look at the brackets, before anything is built of them.
    #[test]
    fn depth_is_bounded() {
        check("[".repeat(100_000), 400, "nests deeper than 64");
        check(format!(r#"{{"name":"x","parts":{}"#, r#"{"a":"#.repeat(100_000)), 400, "nests deeper than 64");
        check(format!("{{\"name\":\"{}\"", "[".repeat(100_000)), 400, "EOF");
        let deep = format!("{}1{}", r#"{"a":"#.repeat(64), "}".repeat(64));
        assert!(parse_json::<serde_json::Value>(deep.as_bytes()).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        assert_eq!(read_body(Body::from(vec![b'x'; BODY_MAX])).await.unwrap().len(), BODY_MAX);
        assert_eq!(read_body(Body::from(vec![b'x'; BODY_MAX + 1])).await.unwrap_err().status.as_u16(), 413);
        let frames = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1000])).take(1100);
        let body = Body::from_stream(futures_util::stream::iter(frames));
        assert_eq!(read_body(body).await.unwrap_err().status.as_u16(), 413);
    }

    /// Fault 65: a compressed body is not unpacked, and not read.
    #[tokio::test]
    async fn nothing_is_unpacked() {
        for (encoding, status) in [("gzip", Some(415)), ("br, gzip", Some(415)), ("identity", None), ("Identity", None)]
        {
            let mut headers = HeaderMap::new();
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            let refused = check_encoding(&headers).err().map(|error| error.status.as_u16());
            assert_eq!(refused, status, "{encoding}");
        }
        let unread = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::builder().header("content-type", "application/json").header("content-encoding", "gzip");
        let refused = Json::<serde_json::Value>::from_request(request.body(unread).unwrap(), &()).await.map(|_| ());
        assert_eq!(refused.unwrap_err().code, "unsupported_encoding");
    }

    /// Fault 63: between two pieces of a body.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        assert_eq!(read_body(body).await.unwrap_err().status.as_u16(), 408);
    }
}
