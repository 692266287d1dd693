//! `/api/v1/ws`: who may open a WebSocket, and from where. What is spoken on it is `live/websocket.rs`.

use std::sync::Arc;

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented, StatusCode as DocumentedStatus};
use aide::{OperationInput, OperationOutput};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::accept::Permit;
use super::app::App;
use super::auth::Caller;
use super::front::RequestId;
use crate::error::ApiError;
use crate::live::websocket::{self, Session};

/// A request that asks for a WebSocket, and its connection's place.
pub(crate) struct Upgrade {
    pub(super) upgrade: OnUpgrade,
    /// What proves to the client that WebSocket is understood here.
    pub(super) accept: HeaderValue,
    pub(super) origin: Result<(), ApiError>,
    pub(super) permit: Option<Permit>,
}

impl Upgrade {
    /// Takes it out of a request.
    ///
    /// # Errors
    /// 426 where no WebSocket is asked for.
    pub(super) fn take(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = super::origin::check_page(&parts.headers, app.public_url.as_deref());
        let permit = parts.extensions.get::<Permit>().cloned();
        let accept = check_handshake(&parts.method, &parts.headers).map_err(not_asked)?;
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let upgrade = upgrade.ok_or_else(|| not_asked("this connection cannot be taken over"))?;
        Ok(Self { upgrade, accept, origin, permit })
    }

    /// 101: from now on WebSocket is spoken.
    pub(super) fn switched(accept: HeaderValue) -> Response {
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

impl FromRequestParts<Arc<App>> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Self::take(parts, app)
    }
}

fn not_asked(what: &str) -> ApiError {
    ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", format!("no WebSocket can be opened: {what}"))
        .hint("open this address with a WebSocket client")
        .header(header::UPGRADE, HeaderValue::from_static("websocket"))
}

/// The handshake of RFC 6455; what is to be answered to its key.
fn check_handshake(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
    let has = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    if method != Method::GET {
        return Err("the method is not GET");
    }
    if !has(header::CONNECTION, "upgrade") {
        return Err("the header `Connection: Upgrade` is missing");
    }
    if !has(header::UPGRADE, "websocket") {
        return Err("the header `Upgrade: websocket` is missing");
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err("the header `Sec-WebSocket-Version: 13` is missing");
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or("the header `Sec-WebSocket-Key` is missing")?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| "its key cannot be answered")
}

impl OperationInput for Upgrade {}

/// 101: from now on WebSocket is spoken.
pub(crate) struct Switched(Response);

pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    id: RequestId,
    upgrade: Upgrade,
) -> Result<Switched, ApiError> {
    upgrade.origin?;
    let session = Session {
        id: id.as_str().to_owned(),
        principal: caller,
        authenticator: app.authenticator.clone(),
        pipeline: app.host.pipeline.clone(),
        assistants: app.host.assistants.clone(),
        store: app.store.clone(),
        hub: app.hub.clone(),
        bus: app.host.bus.clone(),
        server: websocket::Server { name: app.bundle.name.clone(), version: app.bundle.version.clone() },
        text_bytes: app.host.pipeline.text_bytes(),
        stopping: app.stopping.clone(),
    };
    let Upgrade { upgrade, accept, permit, .. } = upgrade;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => session.run(upgraded).await,
            Err(error) => tracing::debug!(%error, "a connection was gone before WebSocket was spoken"),
        }
        // The connection's place is free only now.
        drop(permit);
    });
    Ok(Switched(Upgrade::switched(accept)))
}

impl IntoResponse for Switched {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Switched {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<DocumentedStatus>, Documented)> {
        let description = "WebSocket is spoken: frames of JSON text, the first from the server is `hello`".to_owned();
        vec![(Some(DocumentedStatus::Code(101)), Documented { description, ..Documented::default() })]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_whole() {
        let whole = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = |left_out: usize| {
            let named = whole.iter().enumerate().filter(|(index, _)| *index != left_out);
            named.map(|(_, (name, value))| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        // The example of RFC 6455.
        assert_eq!(check_handshake(&Method::GET, &headers(9)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        (0..4).for_each(|left_out| {
            check_handshake(&Method::GET, &headers(left_out)).unwrap_err();
        });
        check_handshake(&Method::POST, &headers(9)).unwrap_err();
    }
}
