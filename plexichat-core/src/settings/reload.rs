//! Settings read again while the server runs: what of them counts at once, and what keeps its old value until the next start.
//! Knows no file.

use super::{ServerSettings, Settings};
use crate::id::PluginName;

impl Settings {
    /// These settings with the values of `running` wherever a server that runs cannot change, and the names of what was
    /// kept so.
    pub fn reloaded(mut self, running: &Self) -> (Self, Vec<String>) {
        let mut kept = Vec::new();
        let mut keep = |name: &str, differs: bool| {
            if differs {
                kept.push(name.to_owned());
            }
        };
        let ServerSettings { listen, public_url, data_dir, accounts, files, tls, .. } = &running.server;
        let new = &mut self.server;
        keep("server.listen", new.listen != *listen);
        keep("server.public_url", new.public_url != *public_url);
        keep("server.data_dir", new.data_dir != *data_dir);
        keep("server.accounts", new.accounts != *accounts);
        keep("server.files", new.files != *files);
        // Other files may be read; but a listener that speaks http goes on with it.
        keep("server.tls", new.tls.is_some() != tls.is_some());
        (new.listen, new.accounts, new.files) = (*listen, *accounts, *files);
        new.public_url.clone_from(public_url);
        new.data_dir.clone_from(data_dir);
        if new.tls.is_some() != tls.is_some() {
            new.tls.clone_from(tls);
        }
        let names: Vec<PluginName> = self.plugins.keys().chain(running.plugins.keys()).cloned().collect();
        for name in names {
            let old = running.plugin(&name);
            let new = self.plugins.entry(name.clone()).or_default();
            let mut keep = |field: &str, differs: bool| {
                let field = format!("plugins.{name}.{field}");
                if differs && !kept.contains(&field) {
                    kept.push(field);
                }
            };
            keep("enabled", new.enabled != old.enabled);
            keep("grant", new.grant != old.grant);
            keep("hosts", new.hosts != old.hosts);
            keep("private_network", new.private_network != old.private_network);
            keep("directories", new.directories != old.directories);
            keep("isolation", new.isolation != old.isolation);
            (new.enabled, new.grant, new.isolation) = (old.enabled, old.grant, old.isolation);
            (new.hosts, new.private_network, new.directories) = (old.hosts, old.private_network, old.directories);
        }
        (self, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;

    fn load(file: &str) -> Settings {
        Settings::load(&Sources { file: Some(("plexichat.toml", file.as_bytes())), ..Sources::default() }).unwrap()
    }

    #[track_caller]
    fn check(running: &str, new: &str, kept: &[&str]) -> Settings {
        let (settings, found) = load(new).reloaded(&load(running));
        assert_eq!(found, kept);
        settings
    }

    #[test]
    fn what_cannot_change_is_kept_and_named() {
        let settings = check(
            "server.listen = '127.0.0.1:1'",
            "[server]\nlisten = '127.0.0.1:2'\ndata_dir = 'x'\ntls = { cert = 'a', key = 'b' }\nlimits.message_burst = 5",
            &["server.listen", "server.data_dir", "server.tls"],
        );
        assert_eq!(settings.server.listen.port(), 1);
        assert_eq!((settings.server.tls, settings.server.data_dir.to_str()), (None, Some("data")));
        assert_eq!(settings.server.limits.message_burst.get(), 5);
    }

    #[test]
    fn other_files_of_a_certificate_count_at_once() {
        let settings = check(
            "server.tls = { cert = 'a', key = 'b' }",
            "server.tls = { cert = 'c', key = 'd' }\nserver.trusted_proxies = ['10.0.0.0/8']",
            &[],
        );
        assert_eq!(settings.server.tls.unwrap().cert.to_str(), Some("c"));
        assert_eq!(settings.server.trusted_proxies.len(), 1);
    }
}
