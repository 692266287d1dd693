//! Logs to stderr and counters for `/metrics`: set up once, before anything else. Knows no part of the server.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines to read.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The level where neither `--log-level` nor `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info";

/// What is logged, to be changed while the server runs.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Sends logs to stderr, and panics into the log.
///
/// # Errors
/// Where the filter cannot be read.
pub(crate) fn start_logging(format: LogFormat, filter: Option<&str>) -> Result<(), ParseError> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = filter.map(str::to_owned).or(from_environment);
    let (filter, handle) = reload::Layer::new(parse(filter.as_deref())?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second call in one process (tests) keeps the first's subscriber.
    let begun = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            registry.with(lines).try_init().is_ok()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(true);
            tracing::subscriber::set_global_default(registry.with(lines)).is_ok()
        }
    };
    if begun {
        let _ = FILTER.set(handle);
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs from now on what this says; the default where nothing is said.
///
/// # Errors
/// Where the filter cannot be read.
pub(crate) fn set_level(filter: Option<&str>) -> Result<(), ParseError> {
    let filter = parse(filter)?;
    if let Some(handle) = FILTER.get() {
        // Refused only where the subscriber is gone, and it never goes.
        let _ = handle.reload(filter);
    }
    Ok(())
}

/// Whether `RUST_LOG` says what is logged.
pub(crate) fn level_is_in_environment() -> bool {
    std::env::var_os("RUST_LOG").is_some_and(|filter| !filter.is_empty())
}

fn parse(filter: Option<&str>) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(filter.unwrap_or(DEFAULT_FILTER))
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("no message");
    // A plugin's own thread bears its name, and the guard around the call tells of the panic in one line already.
    if plexichat::registry::linked().any(|plugin| plugin.name == thread) {
        tracing::debug!(thread, place, message, "a plugin's panic");
    } else {
        tracing::error!(thread, place, message, "a panic");
    }
}

/// Starts counting, and gives back what writes the counters as Prometheus reads them.
///
/// # Errors
/// Where another recorder was installed, or the buckets are wrong.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = exporter()?.install_recorder()?;
    describe();
    Ok(handle)
}

/// What counts, with the bounds of each histogram, not yet in charge of anything.
///
/// # Errors
/// Where the buckets are wrong.
pub(crate) fn exporter() -> Result<PrometheusBuilder, BuildError> {
    let seconds = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let counts = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    // A model may write for minutes.
    let answers = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("plexichat_ai_".to_owned()), &answers)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &counts)
}

/// How often what was counted is folded together; without it, what nobody scrapes would pile up.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What each counter and gauge tells; those that others count are described here too, since this is what is read.
const COUNTERS: &[(&str, &str)] = &[
    ("plexichat_http_requests_total", "Requests answered, by method, route and status"),
    ("plexichat_http_connections_total", "Connections accepted"),
    ("plexichat_messages_stored_total", "Messages stored"),
    ("plexichat_store_failed_commits_total", "Groups of writes that were not stored"),
    ("plexichat_outbox_retries_total", "Attempts to hand a message to plugins that panicked and were made again"),
    ("plexichat_live_gaps_total", "Times a listener was told to read the history itself"),
    ("plexichat_live_lags_total", "Times a listener fell behind and was read to from the store"),
    ("plexichat_hook_calls_total", "Calls of a hook that were begun"),
    ("plexichat_hook_failures_total", "Times a hook gave no opinion, by why"),
    ("plexichat_unscanned_total", "Messages and files that passed without a hook's word, since its policy is `open`"),
    ("plexichat_ai_requests_total", "Requests to AI providers that ended, by why"),
    ("plexichat_ai_tokens_total", "Tokens of questions and answers"),
    ("plexichat_plugin_calls_total", "Calls into a plugin that ended"),
    ("plexichat_plugin_errors_total", "Calls that returned an error that blames the plugin"),
    ("plexichat_plugin_timeouts_total", "Calls that took too long"),
    ("plexichat_plugin_panics_total", "Calls and tasks that panicked"),
    ("plexichat_plugin_refused_total", "Calls that were not made: breaker open, or too many at once"),
    ("plexichat_plugin_events_total", "Events that a plugin's handlers were given"),
    ("plexichat_plugin_shed_events_total", "Events that were left out because too many waited"),
];

const GAUGES: &[(&str, &str)] = &[
    ("plexichat_websocket_connections", "WebSocket connections now"),
    ("plexichat_outbox_open", "Messages that plugins are being told of"),
    ("plexichat_outbox_oldest_seconds", "Age of the oldest message that plugins were not told of"),
    ("plexichat_plugin_calls_in_flight", "Calls into a plugin that run now"),
    ("plexichat_plugin_mailbox_events", "Events that wait for a plugin"),
    ("plexichat_plugin_tasks", "Tasks of a plugin that run now"),
];

fn describe() {
    for (name, what) in COUNTERS {
        metrics::describe_counter!(*name, *what);
    }
    for (name, what) in GAUGES {
        metrics::describe_gauge!(*name, *what);
    }
    metrics::describe_histogram!(
        "plexichat_http_request_seconds",
        "From a request's head to its answer's head, by method and route"
    );
    metrics::describe_histogram!(
        "plexichat_ai_request_seconds",
        "From a request to an AI provider to the end of its answer"
    );
    metrics::describe_histogram!("plexichat_ai_first_delta_seconds", "From there to the first piece of the answer");
    metrics::describe_histogram!("plexichat_store_commit_seconds", "Time of a commit, with its sync to disk");
    metrics::describe_histogram!("plexichat_store_group_size", "Writes in one commit");
}
