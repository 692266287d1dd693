//! Calls the plugin's routes as the server does. Knows no hook.

use std::time::Duration;

use plexichat::guard::{GuardedAnswer, GuardedBody};
use plexichat::plugin::interface::Caller;
use plexichat::prelude::*;
use plexichat::routes::Lookup;
use plexichat::testing::{RunningPlugin, TestResult};
use plexichat_webhook::Webhook;

/// A call.
pub(crate) struct Asked {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    by: Option<&'static str>,
}

impl Asked {
    fn new(method: &'static str, path: &str, body: Vec<u8>, by: Option<&'static str>) -> Self {
        let headers = vec![
            ("host".to_owned(), "chat.example.org".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        Self { method, path: path.to_owned(), headers, body, by }
    }

    /// A person asks.
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path, Vec::new(), Some("ann"))
    }

    /// A person posts.
    pub(crate) fn post(path: &str, body: Value) -> Self {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Self::new("POST", path, body, Some("ann"))
    }

    /// A person deletes.
    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path, Vec::new(), Some("ann"))
    }

    /// A program that nobody knows posts.
    pub(crate) fn program(path: &str, body: String) -> Self {
        Self::new("POST", path, body.into_bytes(), None)
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Told {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, where the status is this.
    pub(crate) fn json(&self, status: u16) -> TestResult<Value> {
        if self.status != status {
            return Err(format!("{} instead of {status}: {}", self.status, self.text()).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Calls a route; an error of the plugin is an error.
pub(crate) async fn ask(plugin: &RunningPlugin<Webhook>, asked: Asked) -> TestResult<Told> {
    let (host, path) = (plugin.host(), format!("/api/v1/plugins/webhook{}", asked.path));
    let Lookup::Found(route, parameters) = host.routes.find(asked.method, &path) else {
        return Err(format!("{} {path}: no route", asked.method).into());
    };
    let caller = asked.by.map_or_else(Caller::nobody, |person| Caller::known(plugin.actor(person)));
    let mut call = RouteCall::new(asked.method, &path, caller);
    (call.parameters, call.headers, call.body) = (parameters, asked.headers, asked.body);
    call.request_id = "r1".to_owned();
    let running = host.running("webhook").ok_or("the plugin does not run")?;
    let GuardedAnswer { status, headers, body, .. } =
        running.route(route.index, call, Duration::from_secs(20)).await??;
    let GuardedBody::Whole(body) = body else { return Err("it is a stream".into()) };
    Ok(Told { status, headers, body })
}
