//! The service, as the settings say: where it is, and how one gets in. Knows no model and no request's content.

use std::time::Duration;

use plexichat::ai::service::{AiService, Dialect};
use plexichat::prelude::*;

use crate::config::Config;
use crate::error;

/// The service behind these settings.
pub(crate) fn of(http: HttpClient, config: &Config) -> AiService {
    let dialect = Dialect { name: "Anthropic", refused: error::refused, told: error::told };
    let mut service = AiService::new(http, &config.base_url, dialect).within(Duration::from_secs(config.timeout));
    match &config.api_key {
        Some(key) => service = service.secret_header("x-api-key", "", key),
        None if config.headers.is_empty() => service = service.lacking("Anthropic wants a key: set `api_key`"),
        None => {}
    }
    service.header("anthropic-version", &config.version).extra_headers(&config.headers)
}
