//! `/api/v1/ws`: who may open a WebSocket, and from where. What is spoken on it is `live/websocket.rs`.

use std::sync::Arc;

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented, StatusCode as DocumentedStatus};
use aide::{OperationInput, OperationOutput};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::accept::Permit;
use super::app::App;
use super::auth::Caller;
use super::front::RequestId;
use crate::error::ApiError;
use crate::live::websocket::{self, Session};

/// A request that asks for a WebSocket, and its connection's place.
pub(crate) struct Upgrade {
    upgrade: WebSocketUpgrade,
    origin: Result<(), ApiError>,
    permit: Option<Permit>,
}

impl FromRequestParts<Arc<App>> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let origin = check_origin(&parts.headers, app.public_url.as_deref());
        let permit = parts.extensions.get::<Permit>().cloned();
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await.map_err(|rejection| {
            ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", rejection.body_text())
                .hint("open this address with a WebSocket client")
                .header(header::UPGRADE, axum::http::HeaderValue::from_static("websocket"))
        })?;
        Ok(Self { upgrade, origin, permit })
    }
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
        store: app.store.clone(),
        hub: app.hub.clone(),
        server: websocket::Server { name: app.bundle.name.clone(), version: app.bundle.version.clone() },
        text_bytes: app.text_bytes,
        stopping: app.stopping.clone(),
    };
    let permit = upgrade.permit;
    let response = websocket::limited(upgrade.upgrade).on_upgrade(async move |socket| {
        session.run(socket).await;
        // The connection's place is free only now.
        drop(permit);
    });
    Ok(Switched(response))
}

/// A page of another site must not speak for whoever looks at it. Programs send no origin.
fn check_origin(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    let authority =
        |url: &str| url.parse::<Uri>().ok().and_then(|url| url.authority().map(|it| it.as_str().to_owned()));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let from = authority(origin);
    let here = from.as_deref().is_some_and(|from| from.eq_ignore_ascii_case(host));
    let public = public_url.is_some_and(|public| {
        let public = public.trim_end_matches('/');
        origin.eq_ignore_ascii_case(public)
            || (public.starts_with(origin) && authority(public) == from && from.is_some())
    });
    if here || public {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, "bad_origin", "pages of this origin may not open a WebSocket here")
        .hint("set `server.public_url` to the address that people use"))
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

    #[track_caller]
    fn check(origin: Option<&str>, public_url: Option<&str>, allowed: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "chat.local:8080".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(check_origin(&headers, public_url).is_ok(), allowed, "{origin:?} {public_url:?}");
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        check(None, None, true);
        check(Some("http://chat.local:8080"), None, true);
        check(Some("http://CHAT.local:8080"), None, true);
        check(Some("http://chat.local:8081"), None, false);
        check(Some("http://chat.local"), None, false);
        check(Some("https://evil.example"), None, false);
        check(Some("null"), None, false);
        check(Some(""), None, false);
        check(Some("https://chat.example.org"), Some("https://chat.example.org"), true);
        check(Some("https://chat.example.org"), Some("https://chat.example.org/chat/"), true);
        check(Some("https://chat.example.org.evil.example"), Some("https://chat.example.org"), false);
        check(Some("https://chat.example.or"), Some("https://chat.example.org"), false);
        check(Some("http://chat.example.org"), Some("https://chat.example.org"), false);
    }
}
