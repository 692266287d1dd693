//! The service, as the settings say: where it is, and how one gets in. Knows no model and no request's content.

use std::time::Duration;

use plexichat::ai::service::{AiService, Dialect};
use plexichat::prelude::*;

use crate::config::Config;
use crate::error;

/// The service behind these settings.
pub(crate) fn of(http: HttpClient, config: &Config) -> AiService {
    let Config { api_key, organization, project, headers, .. } = config;
    let dialect = Dialect { name: "the service", refused: error::refused, told: error::told };
    let mut service = AiService::new(http, &config.base_url, dialect).within(Duration::from_secs(config.timeout));
    match api_key {
        Some(key) => service = service.secret_header("authorization", "Bearer ", key),
        None if config.is_openai() => service = service.lacking("OpenAI wants a key: set `api_key`"),
        None => {}
    }
    for (name, value) in [("openai-organization", organization), ("openai-project", project)] {
        if let Some(value) = value {
            service = service.header(name, value);
        }
    }
    service.extra_headers(headers)
}
