//! The cookie that carries a browser's session. Knows no session.

use axum::http::{HeaderMap, HeaderValue, header};
use plexichat::secret::Secret;

use super::edge::EdgeSettings;
use crate::auth::SESSION_TIME;

/// The cookie of this server: how it is called, and whether it goes over https only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionCookie {
    secure: bool,
}

impl SessionCookie {
    /// The cookie of a server that people reach like this.
    pub(crate) fn of(edge: &EdgeSettings) -> Self {
        Self { secure: edge.https }
    }

    /// Its name. With the prefix a browser holds it to https, this host and every path.
    pub(crate) fn name(self) -> &'static str {
        if self.secure { "__Host-plexichat" } else { "plexichat" }
    }

    /// What a request's cookies have under that name.
    pub(crate) fn find(self, headers: &HeaderMap) -> Option<&str> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.find_map(|pair| {
            pair.split_once('=').filter(|(name, _)| name.trim() == self.name()).map(|(_, it)| it.trim())
        })
    }

    /// The header that has a browser keep a secret.
    pub(crate) fn keep(self, secret: &Secret) -> HeaderValue {
        self.header(secret.expose(), SESSION_TIME.as_secs())
    }

    /// The header that has a browser forget it.
    pub(crate) fn forget(self) -> HeaderValue {
        self.header("", 0)
    }

    fn header(self, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.name());
        // Names, letters and digits of ours: this is always a header's value.
        let mut header = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(https: bool) -> SessionCookie {
        SessionCookie::of(&EdgeSettings { https, ..EdgeSettings::default() })
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let plain = cookie(false).keep(&Secret::new("pls_1"));
        assert_eq!(plain, "plexichat=pls_1; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
        assert!(plain.is_sensitive());
        let secure = cookie(true);
        assert_eq!(
            secure.keep(&Secret::new("pls_1")),
            "__Host-plexichat=pls_1; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(secure.forget(), "__Host-plexichat=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    }

    #[track_caller]
    fn check(cookies: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        assert_eq!(cookie(false).find(&headers), expected, "{cookies:?}");
    }

    #[test]
    fn it_is_found_among_others() {
        check(&[], None);
        check(&["plexichat=a"], Some("a"));
        check(&["x=1; plexichat=a; y=2"], Some("a"));
        check(&["x=1", " plexichat = a "], Some("a"));
        check(&["myplexichat=a; plexichat2=b; __Host-plexichat=c"], None);
        check(&["plexichat"], None);
        check(&["plexichat=a; plexichat=b"], Some("a"));
    }
}
