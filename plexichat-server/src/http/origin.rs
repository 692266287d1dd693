//! From which site a browser's request comes: pages of others must not act for whoever looks at them. Knows no route.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

use crate::error::ApiError;

/// What a browser says of the site that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// Ours.
    Own,
    /// Another, or one that cannot be told.
    Other,
    /// Nothing is said: programs do not, and neither do browsers with what only reads.
    Silent,
}

/// Whether a page may open a WebSocket, or sign somebody in: ours, or none at all.
///
/// # Errors
/// 403 where it is another site's.
pub(crate) fn check_page(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), ApiError> {
    match site(headers, public_url) {
        Site::Own | Site::Silent => Ok(()),
        Site::Other => Err(cross_site("pages of this origin may not do this here")),
    }
}

/// Whether a request may go by its cookie, which a browser sends whatever page asks: what changes something must say that
/// it comes from us.
///
/// # Errors
/// 403 where it is another site's, or does not say.
pub(crate) fn check_cookie(method: &Method, headers: &HeaderMap, public_url: Option<&str>) -> Result<(), ApiError> {
    match site(headers, public_url) {
        Site::Own => Ok(()),
        // Links of other sites lead here, and may: what only reads changes nothing, and pages of others cannot see it. A
        // WebSocket begins as such a request and is no such thing.
        Site::Silent | Site::Other if method.is_safe() && !headers.contains_key(header::UPGRADE) => Ok(()),
        Site::Silent if method.is_safe() => Ok(()),
        Site::Other => Err(cross_site("another site may not act for whoever is signed in here")),
        Site::Silent => Err(cross_site("a request with a session must say from which page it comes")),
    }
}

fn cross_site(message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "cross_site", message).hint(
        "set `server.public_url` to the address that people use; programs send `Authorization: Bearer plx_…` instead of a \
         cookie",
    )
}

fn site(headers: &HeaderMap, public_url: Option<&str>) -> Site {
    // Only browsers send it, and no page can set it.
    let fetched = headers.get("sec-fetch-site").map(|site| site == "same-origin" || site == "none");
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let origin = origin.to_str().unwrap_or("");
        is_own(origin, headers, public_url)
    });
    match (fetched, origin) {
        (_, Some(false)) | (Some(false), None) => Site::Other,
        // Behind a proxy that changes the host the browser knows better than we do, and still the public address counts.
        (Some(false), Some(true)) => Site::Other,
        (_, Some(true)) | (Some(true), None) => Site::Own,
        (None, None) => Site::Silent,
    }
}

fn is_own(origin: &str, headers: &HeaderMap, public_url: Option<&str>) -> bool {
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
    here || public
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&str>, fetch_site: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "chat.local:8080".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        if let Some(site) = fetch_site {
            headers.insert("sec-fetch-site", site.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(origin: Option<&str>, public_url: Option<&str>, allowed: bool) {
        let headers = headers(origin, None);
        assert_eq!(check_page(&headers, public_url).is_ok(), allowed, "{origin:?} {public_url:?}");
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

    #[track_caller]
    fn check_request(method: Method, origin: Option<&str>, fetch_site: Option<&str>, allowed: bool) {
        let found = check_cookie(&method, &headers(origin, fetch_site), None);
        assert_eq!(found.is_ok(), allowed, "{method} {origin:?} {fetch_site:?}");
        assert!(found.err().is_none_or(|error| error.code == "cross_site"));
    }

    /// Fault 74: a cookie that comes along with another site's request does nothing.
    #[test]
    fn a_cookie_acts_for_our_own_pages_only() {
        let own = Some("http://chat.local:8080");
        let other = Some("https://evil.example");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            check_request(method.clone(), own, None, true);
            check_request(method.clone(), None, Some("same-origin"), true);
            check_request(method.clone(), own, Some("same-origin"), true);
            check_request(method.clone(), other, None, false);
            check_request(method.clone(), other, Some("same-origin"), false);
            check_request(method.clone(), own, Some("cross-site"), false);
            check_request(method.clone(), None, Some("cross-site"), false);
            check_request(method.clone(), None, Some("same-site"), false);
            check_request(method.clone(), Some("null"), None, false);
            check_request(method, None, None, false);
        }
        check_request(Method::GET, None, None, true);
        check_request(Method::GET, None, Some("cross-site"), true);
        check_request(Method::GET, other, None, true);
    }

    /// Fault 74: nor does a WebSocket of another site's page.
    #[test]
    fn a_websocket_begins_on_our_own_pages_only() {
        let mut upgrade = headers(Some("https://evil.example"), None);
        upgrade.insert(header::UPGRADE, "websocket".parse().unwrap());
        assert!(check_cookie(&Method::GET, &upgrade, None).is_err());
        let mut upgrade = headers(Some("http://chat.local:8080"), None);
        upgrade.insert(header::UPGRADE, "websocket".parse().unwrap());
        assert!(check_cookie(&Method::GET, &upgrade, None).is_ok());
    }
}
