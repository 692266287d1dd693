//! The body of an upload: raw bytes or a form with one file, read piece by piece with a limit on pauses and never whole. Knows
//! neither rooms nor where files go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, SchemaObject};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::extract::{BODY_GAP, check_encoding, discard};
use crate::error::{ApiError, Finding};
use crate::files::{Said, name};

/// How many bytes of a form may stand before, between and after what its parts hold.
const FORM_MAX: usize = 1024 * 1024;

/// An upload that was not read yet.
pub(crate) struct Upload {
    headers: HeaderMap,
    body: Body,
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body })
    }
}

impl OperationInput for Upload {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let media = |schema| {
            let schema = SchemaObject { json_schema: schema, example: None, external_docs: None };
            MediaType { schema: Some(schema), ..MediaType::default() }
        };
        let binary = schemars::json_schema!({ "type": "string", "format": "binary" });
        let form = schemars::json_schema!({
            "type": "object", "properties": { "file": { "type": "string", "format": "binary" } }, "required": ["file"],
            "additionalProperties": false
        });
        // A file may be empty, and so is its body then.
        let description =
            "The file: its bytes with any `Content-Type`, or a form with one file. It is read piece by piece.";
        let mut body = RequestBody { description: Some(description.to_owned()), ..RequestBody::default() };
        body.content.insert("application/octet-stream".to_owned(), media(binary));
        body.content.insert("multipart/form-data".to_owned(), media(form));
        operation.request_body = Some(ReferenceOr::Item(body));
    }
}

/// An upload whose file is about to be read.
pub(crate) struct Pieces {
    source: Source,
    /// How many bytes the file has, where that was announced.
    pub(crate) announced: Option<u64>,
}

enum Source {
    Raw(BodyDataStream),
    Form(Box<Form>),
}

struct Form {
    /// Lets go of the field, which the form wants back, at its end.
    field: Option<multer::Field<'static>>,
    form: multer::Multipart<'static>,
    /// How many bytes may be read until the next field is found.
    left: Arc<AtomicUsize>,
}

impl Upload {
    /// Reads up to where the file's bytes begin. `named` comes before what headers say.
    ///
    /// # Errors
    /// [`ApiError`]; what is left of the body is read and forgotten.
    pub(crate) async fn begin(self, named: Option<String>) -> Result<(Pieces, Said), ApiError> {
        let Self { headers, body } = self;
        if let Err(error) = check_encoding(&headers) {
            discard(body);
            return Err(error);
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let disposed = |headers: &HeaderMap| {
            headers.get(header::CONTENT_DISPOSITION).and_then(|value| name::of_disposition(value.as_bytes()))
        };
        if essence != "multipart/form-data" {
            let name = match clean(named.or_else(|| disposed(&headers))) {
                Ok(name) => name,
                Err(error) => {
                    discard(body);
                    return Err(error);
                }
            };
            let announced = axum::body::HttpBody::size_hint(&body).exact();
            let said = Said { name, mime: declared(&essence) };
            return Ok((Pieces { source: Source::Raw(body.into_data_stream()), announced }, said));
        }
        let Ok(boundary) = multer::parse_boundary(content_type) else {
            discard(body);
            return Err(bad_form("the Content-Type names no boundary"));
        };
        let mut form = Form::new(body, &boundary);
        let Some(field) = form.next_field().await? else {
            return Err(bad_form("the form has no part"));
        };
        let of_part = disposed(field.headers());
        let mime = field.content_type().map(|mime| mime.essence_str().to_owned());
        if of_part.is_none() {
            let part = field.name().unwrap_or("").chars().take(40).collect::<String>();
            return Err(bad_form(format!("the part `{part}` is no file: it has no `filename`")));
        }
        let said = Said { name: clean(named.or(of_part))?, mime: mime.and_then(|mime| declared(&mime)) };
        form.field = Some(field);
        Ok((Pieces { source: Source::Form(Box::new(form)), announced: None }, said))
    }
}

impl Pieces {
    /// The next piece of the file; nothing once it was read whole.
    ///
    /// # Errors
    /// [`ApiError`].
    ///
    /// # Cancel safety
    /// Not cancel safe: give the upload up then.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        match &mut self.source {
            Source::Raw(body) => match patient(body.next()).await? {
                None => Ok(None),
                Some(Ok(piece)) => Ok(Some(piece)),
                Some(Err(error)) => Err(unreadable(&error)),
            },
            Source::Form(form) => form.next_piece().await,
        }
    }

    /// Reads what is left and forgets it, so that the sender comes to read the answer.
    pub(crate) fn give_up(self) {
        match self.source {
            Source::Raw(body) => discard(Body::from_stream(body)),
            Source::Form(form) => {
                let rest = stream::unfold(form, |mut form| async move {
                    let piece = form.next_piece().await.ok()??;
                    Some((Ok::<_, std::io::Error>(piece), form))
                });
                discard(Body::from_stream(rest));
            }
        }
    }
}

impl Form {
    fn new(body: Body, boundary: &str) -> Self {
        let left = Arc::new(AtomicUsize::new(FORM_MAX));
        let bound = left.clone();
        let frames = body.into_data_stream().map_err(std::io::Error::other).and_then(move |frame| {
            let fits = bound.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(frame.len()));
            let frame = fits.map(|_| frame).map_err(|_| std::io::Error::other("its parts' heads are too long"));
            std::future::ready(frame)
        });
        Self { field: None, form: multer::Multipart::new(frames, boundary), left }
    }

    async fn next_field(&mut self) -> Result<Option<multer::Field<'static>>, ApiError> {
        self.left.store(FORM_MAX, Ordering::Relaxed);
        let field = patient(self.form.next_field()).await?.map_err(|error| of_form(&error))?;
        // From here on the file is read, whose size others watch.
        self.left.store(usize::MAX, Ordering::Relaxed);
        Ok(field)
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(field) = &mut self.field else { return Ok(None) };
        if let Some(piece) = patient(field.chunk()).await?.map_err(|error| of_form(&error))? {
            return Ok(Some(piece));
        }
        self.field = None;
        match self.next_field().await? {
            None => Ok(None),
            Some(_) => Err(bad_form("the form has more than one part")),
        }
    }
}

/// Waits, but no longer than a client may pause within a body.
async fn patient<T>(wait: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(BODY_GAP, wait).await.map_err(|_| {
        let message = format!("the body paused for more than {} s", BODY_GAP.as_secs());
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message).hint("nothing was kept: send it again")
    })
}

fn unreadable(error: &dyn std::error::Error) -> ApiError {
    ApiError::bad_request("bad_body", format!("the body cannot be read: {error}"))
}

fn of_form(error: &multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(source) => unreadable(&**source),
        error => bad_form(error.to_string()),
    }
}

fn bad_form(message: impl Into<String>) -> ApiError {
    ApiError::bad_request("bad_form", message)
        .hint("send a form with exactly one part, a file; or the file's bytes as the body")
}

fn clean(name: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    name::clean(&name).map(Some).map_err(|error| {
        let finding = Finding { pointer: "/name".to_owned(), message: error.to_string() };
        ApiError::invalid("the file's name cannot be one", vec![finding])
    })
}

/// What the sender says the type is, where that can be one.
fn declared(essence: &str) -> Option<String> {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (kind, rest) = essence.split_once('/')?;
    (essence.len() <= 100 && token(kind) && token(rest)).then(|| essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(content_type: &str, disposition: Option<&str>, body: Body) -> Result<(Vec<u8>, Said), ApiError> {
        let mut request = Request::builder().header("content-type", content_type);
        if let Some(disposition) = disposition {
            request = request.header("content-disposition", disposition);
        }
        let upload = Upload::from_request(request.body(body).unwrap(), &()).await?;
        let (mut pieces, said) = upload.begin(None).await?;
        let mut whole = Vec::new();
        while let Some(piece) = pieces.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok((whole, said))
    }

    async fn check(content_type: &str, disposition: Option<&str>, body: &str, expected: &str) {
        let found = match read(content_type, disposition, Body::from(body.to_owned())).await {
            Ok((bytes, Said { name, mime })) => {
                format!(
                    "{} {} {:?}",
                    name.unwrap_or_default(),
                    mime.unwrap_or_default(),
                    String::from_utf8(bytes).unwrap()
                )
            }
            Err(error) => format!("{} {}", error.status.as_u16(), error.code),
        };
        assert_eq!(found, expected, "{body}");
    }

    #[tokio::test]
    async fn a_raw_body_is_the_file() {
        check("image/png", Some("attachment; filename=a.png"), "bytes", "a.png image/png \"bytes\"").await;
        check("Text/Plain; charset=utf-8", None, "", " text/plain \"\"").await;
        check("nonsense", None, "bytes", "  \"bytes\"").await;
        check("text/plain", Some("attachment; filename=../x"), "bytes", "422 invalid_input").await;
    }

    #[tokio::test]
    async fn a_form_has_one_file() {
        const FORM: &str = "multipart/form-data; boundary=b";
        let part = |disposition: &str, text: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
            )
        };
        let file = part("name=\"file\"; filename=\"a.txt\"", "by\r\ntes");
        check(FORM, None, &format!("{file}--b--\r\n"), "a.txt text/plain \"by\\r\\ntes\"").await;
        check(FORM, None, &format!("{file}{file}--b--\r\n"), "400 bad_form").await;
        check(FORM, None, &format!("{}--b--\r\n", part("name=\"x\"", "y")), "400 bad_form").await;
        check(FORM, None, "--b--\r\n", "400 bad_form").await;
        check(FORM, None, &file, "400 bad_form").await;
        check(FORM, None, "nonsense", "400 bad_form").await;
        check("multipart/form-data", None, &file, "400 bad_form").await;
        let path = part("name=\"file\"; filename=\"../../etc/passwd\"", "x");
        check(FORM, None, &format!("{path}--b--\r\n"), "422 invalid_input").await;
    }

    /// Fault 65: a form whose heads never end is not gathered in memory.
    #[tokio::test]
    async fn the_head_of_a_part_is_bounded() {
        let head = Ok::<_, std::io::Error>(Bytes::from("--b\r\nContent-Disposition: form-data; name=\""));
        let more = std::iter::repeat_with(|| Ok(Bytes::from(vec![b'x'; 64 * 1024])));
        let body = Body::from_stream(stream::iter(std::iter::once(head).chain(more)));
        let error = read("multipart/form-data; boundary=b", None, body).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.message.contains("too long")), (400, true), "{}", error.message);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_pauses_is_given_up() {
        let first = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"first")) });
        let error = read("text/plain", None, Body::from_stream(first.chain(stream::pending()))).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.code), (408, "body_timeout"));
    }
}
