//! The server as plugins see it that may look at it as an administrator does. Knows no plugin.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use plexichat::capability::admin::{AdminPort, Metric, PluginStatus, ServerStatus};
use plexichat::error::{PluginError, Result};
use plexichat::message::Time;
use plexichat::plugin::Health;

use crate::http::App;

/// Tells of the server, once it is there.
pub(crate) struct ServerAdmin {
    /// Not its own: the server has the host, the host its plugins, and they have this.
    app: OnceLock<Weak<App>>,
    started_at: Time,
}

impl Default for ServerAdmin {
    fn default() -> Self {
        Self { app: OnceLock::new(), started_at: Time::now() }
    }
}

impl ServerAdmin {
    /// The server is put together.
    pub(crate) fn set(&self, app: &Arc<App>) {
        // A second call changes nothing: there is one server.
        let _ = self.app.set(Arc::downgrade(app));
    }

    fn app(&self) -> Result<Arc<App>> {
        let app = self.app.get().ok_or_else(|| PluginError::transient("the server is still starting"))?;
        app.upgrade().ok_or_else(|| PluginError::transient("the server has stopped"))
    }
}

#[async_trait]
impl AdminPort for ServerAdmin {
    async fn status(&self) -> Result<ServerStatus> {
        let app = self.app()?;
        let plugins = app.host.manager.list().into_iter().filter(|plugin| plugin.state.as_str() != "linked");
        let plugins = plugins.map(|plugin| PluginStatus {
            name: plugin.name.to_string(),
            state: plugin.state.as_str().to_owned(),
            health: plugin.health.as_ref().map_or("", said).to_owned(),
        });
        Ok(ServerStatus {
            version: app.bundle.version.clone(),
            started_at: self.started_at,
            plugins: plugins.collect(),
            ready: app.hindrances().await.is_empty(),
        })
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(self.app()?.counters().lines().filter_map(read).collect())
    }
}

fn said(health: &Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Degraded(_) => "degraded",
        _ => "unhealthy",
    }
}

/// A line such as `name{label="value"} 1`; nothing of a comment.
fn read(line: &str) -> Option<Metric> {
    if line.starts_with('#') {
        return None;
    }
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = head.split_once('{') else {
        return Some(Metric { name: head.to_owned(), labels: Vec::new(), value });
    };
    let mut labels = Vec::new();
    let mut rest = rest.strip_suffix('}')?;
    while let Some((label, after)) = rest.split_once("=\"") {
        let (text, after) = quoted(after)?;
        labels.push((label.trim_start_matches(',').to_owned(), text));
        rest = after;
    }
    Some(Metric { name: name.to_owned(), labels, value })
}

/// What stands before the closing quote, without its escapes, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((read, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => read.push('\n'),
                escaped => read.push(escaped),
            },
            letter => read.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, labels and value.
    type Figure<'t> = (&'t str, &'t [(&'t str, &'t str)], f64);

    #[track_caller]
    fn check(line: &str, expected: Option<Figure<'_>>) {
        let expected = expected.map(|(name, labels, value)| Metric {
            name: name.to_owned(),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value,
        });
        assert_eq!(read(line), expected, "{line}");
    }

    #[test]
    fn lines_of_figures_are_read() {
        check("# TYPE up gauge", None);
        check("", None);
        check("up 1", Some(("up", &[], 1.0)));
        check(
            r#"calls_total{plugin="a \"b\"",hook="x,y=\"z\""} 2.5"#,
            Some(("calls_total", &[("plugin", "a \"b\""), ("hook", "x,y=\"z\"")], 2.5)),
        );
    }
}
