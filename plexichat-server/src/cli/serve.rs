//! `plexichat serve`: builds the parts, runs them, takes them down in order.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use plexichat::catalog::Catalog;
use plexichat::event::Event;
use plexichat::event::catalog::{SystemStarted, SystemStopping};
use plexichat::host::{Host, Ports};
use plexichat::id::PluginName;
use plexichat::message::Time;
use plexichat::pipeline::{Announcer, Limits};
use plexichat::secret::Secret;
use plexichat::settings::Settings;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Failure;
use super::client::ADDRESS_FILE;
use super::reload::Reloading;
use super::settings::{SettingsArgs, load};
use crate::Bundle;
use crate::auth::{Authenticator, FirstAdministrator, SignIn, first_administrator};
use crate::backup;
use crate::data_dir::DataDir;
use crate::directories::Directories;
use crate::egress::socket::SocketEgress;
use crate::egress::{Egress, Reach};
use crate::files::{self, Files};
use crate::http::accept::Service;
use crate::http::edge::{Edge, EdgeSettings};
use crate::http::places::Places;
use crate::http::tls::{Tls, TlsError};
use crate::http::{self, App, BundleInfo, accept};
use crate::indexer;
use crate::ledger::Counted;
use crate::live::hub::Hub;
use crate::live::{beat, entry};
use crate::outbox::Outbox;
use crate::overview::ServerAdmin;
use crate::ports::SystemClock;
use crate::retention;
use crate::scheduler;
use crate::stop::{Asked, Signals, stopped};
use crate::store::{Broken, Store};
use crate::telemetry::{self, LogFormat};

/// How long all may take to end but the store, which keeps what was acknowledged: less than service managers wait.
const STOP: Duration = Duration::from_secs(28);
/// How long requests in flight and WebSockets may take to end, so that there is time left for what comes after them.
const DRAIN: Duration = Duration::from_secs(15);
/// How long what has begun in plugins may take to end.
const DISPATCH_DRAIN: Duration = Duration::from_secs(10);
/// How long answers of assistants may take to end; what does not is kept and asked again at the next start.
const ANSWERS_DRAIN: Duration = Duration::from_secs(4);
/// How long attempts at runs of workflows may take to end; others go on with them at the next start.
const RUNS_DRAIN: Duration = Duration::from_secs(5);
/// How long plugins may take over the news that the server stops.
const GOODBYE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  plexichat serve\n  plexichat serve --config plexichat.toml --log-format json\n\n\
                        The first line on stdout is `listening on http://…`. SIGTERM and SIGINT drain and end, a second one \
                        ends at once; SIGHUP reads the settings again.")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// How log lines on stderr look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter as RUST_LOG takes it.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

pub(super) fn run(arguments: &ServeArgs, bundle: &Bundle) -> Result<(), Failure> {
    telemetry::start_logging(arguments.log_format, arguments.log_level.as_deref())
        .map_err(|error| Failure::usage(format!("what is to be logged cannot be read: {error}")))?;
    let (catalog, settings) = load(bundle, &arguments.settings).map_err(|problems| Failure::of_problems(&problems))?;
    let log_level_is_given = arguments.log_level.is_some() || telemetry::level_is_in_environment();
    if !log_level_is_given {
        telemetry::set_level(settings.server.log_level.as_deref())
            .map_err(|error| Failure::cannot_work(format!("server.log_level cannot be read: {error}")))?;
    }
    let data_dir = DataDir::open(&settings.server.data_dir)
        .map_err(|error| Failure::cannot_work(error.to_string()).hint(error.hint()))?;
    backup::remove_left_overs(data_dir.path());
    let store = Store::open(&data_dir.database())
        .map_err(|error| Failure::cannot_work(error.to_string()).hint(error.hint()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("server").build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(serve(bundle, arguments, catalog, settings, &data_dir, store));
    // Everything that must end has ended; a thread that nobody can stop must not keep the process.
    runtime.shutdown_background();
    result
}

async fn serve(
    linked: &Bundle,
    arguments: &ServeArgs,
    catalog: Catalog,
    settings: Settings,
    data_dir: &DataDir,
    store: Store,
) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::new(format!("cannot take signals over: {error}")))?;
    let tls = settings.server.tls.as_ref().map(Tls::new).transpose();
    let tls = tls
        .map_err(|error| {
            let hint = error.hint();
            Failure::cannot_work(of_tls(&error)).hint(hint)
        })?
        .map(Arc::new);
    let (listener, address) = listen(settings.server.listen)?;
    let metrics = telemetry::start_metrics().map_err(|error| Failure::new(format!("cannot count: {error}")))?;
    make_first_administrator(&store, data_dir).await?;

    let kept = store.file_bytes().await.map_err(|error| Failure::cannot_work(error.to_string()))?;
    let files = Files::open(data_dir.path(), store.clone(), settings.server.files, kept)
        .map_err(|error| Failure::cannot_work(error.to_string()).hint("the server's user must own what is in it"))?;
    let egress = Egress::new(reach(&settings)).map_err(|error| Failure::new(error.to_string()))?;
    let sockets = SocketEgress::new(reach(&settings));
    let directories = Directories::new(directories(&settings));
    let bundle = BundleInfo::of(linked);
    let version = bundle.version.clone();
    let public_url = settings.server.public_url.clone();
    let limits = Limits::from(settings.server.limits);
    let edge = Arc::new(Edge::new(EdgeSettings::of(&settings.server)));
    let (reloaded, live_settings) = watch::channel(Arc::new(settings.clone()));
    let accounts = settings.server.accounts;
    let hub = Hub::new(Arc::new(store.clone()));
    let outbox = Outbox::new();
    store.set_outbox(Arc::new(outbox.clone()));
    let admin = Arc::new(ServerAdmin::default());
    let host = Host::new(
        catalog,
        settings,
        limits,
        Ports {
            plugins: Arc::new(store.clone()),
            messages: Arc::new(store.clone()),
            storage: Arc::new(store.clone()),
            users: Arc::new(store.clone()),
            http: Arc::new(egress),
            sockets: Arc::new(sockets),
            files: Arc::new(directories),
            automations: Arc::new(store.clone()),
            admin: admin.clone(),
            node: "main".to_owned(),
            clock: Arc::new(SystemClock),
            ai: Arc::new(Counted(store.clone())),
            approvals: Arc::new(store.clone()),
            questions: Arc::new(store.clone()),
            pictures: Arc::new(files.clone()),
            fanout: Arc::new(hub.clone()),
            outbox: Arc::new(outbox.clone()),
        },
    );
    let clashes = http::clashes(&host.routes);
    if !clashes.is_empty() {
        return Err(Failure::of_problems(&clashes));
    }
    host.manager.start_all().await.map_err(|error| Failure::new(format!("cannot start the plugins: {error}")))?;
    // The data directory is ours alone: what was attempted when the last process ended is attempted by nobody.
    match store.release_runs(Time::now()).await {
        Ok(0) => {}
        Ok(runs) => tracing::info!(runs, "attempts at workflows ended with the last process: they are made again"),
        Err(error) => return Err(Failure::cannot_work(error.to_string())),
    }
    // Before anything is told that may start workflows.
    let automating = tokio::spawn(host.automations.clone().run());
    // Before anything new is told, so that a room's questions keep their order.
    host.dispatcher.ask_again().await;
    // It stops after the last request, which may still store something.
    let (stop_telling, mut telling_stops) = watch::channel(false);
    let telling = tokio::spawn({
        let (store, dispatcher) = (store.clone(), host.dispatcher.clone());
        async move {
            #[expect(
                clippy::async_yields_async,
                reason = "the outbox waits for the hand-over, then for what it yields"
            )]
            let hand_over = |delivery| {
                let dispatcher = dispatcher.clone();
                async move { dispatcher.hand_over(&delivery).await }
            };
            outbox.run(store, hand_over, stopped(&mut telling_stops), DISPATCH_DRAIN).await;
        }
    });

    let (stop, stopping) = watch::channel(false);
    let document = http::document(&bundle, &host.routes)
        .map_err(|error| Failure::new(format!("cannot describe the API: {error}")))?;
    let authenticator = Authenticator::new(store.clone());
    let app = Arc::new(App {
        sign_in: SignIn::new(store.clone(), authenticator.clone(), host.pipeline.clone(), accounts),
        authenticator,
        host: host.clone(),
        store: store.clone(),
        files: files.clone(),
        hub,
        bundle,
        public_url,
        route_rates: Default::default(),
        route_places: Default::default(),
        edge,
        hooks: http::HookRates::default(),
        settings: live_settings,
        metrics: metrics.clone(),
        stopping: stopping.clone(),
        shelf: Default::default(),
        document,
    });
    admin.set(&app);
    let filing = tokio::spawn(files::upkeep(files, host.pipeline.clone(), {
        let mut stopping = stopping.clone();
        async move { stopped(&mut stopping).await }
    }));
    let presence = tokio::spawn(beat::tell_presence(app.hub.clone(), host.bus.clone(), stopping.clone()));
    let scheduling = tokio::spawn(scheduler::run(store.clone(), host.pipeline.clone(), stopping.clone()));
    let indexing = tokio::spawn(indexer::run(store.clone(), stopping.clone()));
    let entry = tokio::spawn(entry::keep(app.hub.clone(), app.store.clone(), stopping.clone()));
    let retaining = tokio::spawn(retention::run(store.clone(), app.settings.clone(), stopping.clone()));
    let places = Arc::new(Places::default());
    let service =
        Service { router: http::service(&app), edge: app.edge.clone(), tls: tls.clone(), places: places.clone() };
    let mut serving = tokio::spawn(accept::serve(listener, service, stopping, DRAIN));
    let upkeep = tokio::spawn(async move {
        loop {
            tokio::time::sleep(telemetry::UPKEEP_INTERVAL).await;
            metrics.run_upkeep();
        }
    });
    announce(data_dir, address, tls.is_some())?;
    host.bus.announce(Event::new(SystemStarted::new(version, running(&host))));

    let reloading = Reloading {
        bundle: linked,
        arguments: &arguments.settings,
        log_level_is_given: arguments.log_level.is_some() || telemetry::level_is_in_environment(),
        settings: reloaded,
        host: host.clone(),
        edge: app.edge.clone(),
        tls,
        places,
    };
    let asked_to_stop = async {
        loop {
            match signals.next().await {
                Asked::Stop(signal) => return signal,
                Asked::Reload => reloading.reload().await,
            }
        }
    };
    // What the accept loop ended with, where it has: a task can be awaited once.
    let mut left = None;
    let reason;
    let ended = tokio::select! {
        signal = asked_to_stop => {
            tracing::info!(signal, "stopping: what has begun is finished first");
            reason = "signal";
            Ok(())
        }
        broken = store.broken() => {
            reason = "store_broken";
            Err(of_broken(broken))
        }
        ended = &mut serving => {
            left = Some(ended);
            reason = "accept_loop_ended";
            Err(Failure::new("the accept loop ended"))
        }
    };
    let _ = stop.send(true);
    let take_down = async {
        let left = match left {
            Some(left) => left,
            None => serving.await,
        };
        if let Ok(left @ 1..) = left {
            tracing::warn!(left, "connections did not end in time");
        }
        let _ = tokio::join!(scheduling, indexing, retaining);
        // Plugins before the store: what they still say must be kept.
        let _ = stop_telling.send(true);
        let _ = tokio::join!(telling, host.assistants.stop(ANSWERS_DRAIN), host.automations.stop(RUNS_DRAIN));
        let _ = automating.await;
        let _ = filing.await;
        say_goodbye(&host, reason).await;
        host.manager.stop_all().await;
    };
    let take_down = async {
        if tokio::time::timeout(STOP, take_down).await.is_err() {
            tracing::warn!("not all has ended within {} s: the rest is broken off", STOP.as_secs());
        }
        store.close().await;
    };
    tokio::select! {
        () = take_down => {}
        signal = signals.next_stop() => {
            return Err(Failure::new(format!("ended at once by a second signal ({signal})"))
                .hint("what was acknowledged is stored"));
        }
    }
    upkeep.abort();
    presence.abort();
    entry.abort();
    let _ = std::fs::remove_file(data_dir.path().join(ADDRESS_FILE));
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

/// The plugins that run now.
fn running(host: &Host) -> Vec<PluginName> {
    host.manager.snapshot().plugins().map(|plugin| plugin.name().clone()).collect()
}

/// Tells plugins that the server is about to stop, and gives their handlers a moment.
async fn say_goodbye(host: &Host, reason: &str) {
    let told = async {
        if let Ok(handled) = host.bus.publish(Event::new(SystemStopping::new(reason.to_owned()))).await {
            handled.wait().await;
        }
    };
    if tokio::time::timeout(GOODBYE, told).await.is_err() {
        tracing::warn!("a plugin is not done with `system_stopping`: it is stopped all the same");
    }
}

/// A damaged file is as wrong at the next start; anything else may be over.
fn of_broken(broken: Broken) -> Failure {
    let Broken { error, damage } = broken;
    match damage {
        Some(recovery) => Failure::cannot_work(error.to_string()).hint(recovery),
        None => Failure::new(format!("the store cannot go on: {error}"))
            .hint("nothing that was acknowledged is lost; check the disk, then start again"),
    }
}

/// Why https cannot be spoken, with what lies behind it.
pub(super) fn of_tls(error: &TlsError) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let opened = accept::listen(address).and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    opened.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "stop what listens there, or choose another address with `--listen`",
            io::ErrorKind::PermissionDenied => "ports below 1024 are for root: choose a higher one with `--listen`",
            io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another one with `--listen`",
            _ => "choose another address with `--listen`",
        };
        let what = match error.kind() {
            io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
            _ => error.to_string(),
        };
        Failure::cannot_work(format!("cannot listen on {address}: {what}")).hint(hint)
    })
}

/// The first line on stdout, and the file by which commands beside the server find it.
fn announce(data_dir: &DataDir, address: SocketAddr, encrypted: bool) -> Result<(), Failure> {
    let scheme = if encrypted { "https" } else { "http" };
    // Whoever listens on every address is reached on this machine's own.
    let reached = match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        address => address,
    };
    data_dir
        .write_private(ADDRESS_FILE, format!("{scheme}://{reached}\n").as_bytes())
        .map_err(|error| Failure::new(error.to_string()).hint(error.hint()))?;
    let mut stdout = io::stdout().lock();
    // Whoever started us may not read it: that is no reason to end.
    let _ = writeln!(stdout, "listening on {scheme}://{address}").and_then(|()| stdout.flush());
    tracing::info!(%address, "listening");
    Ok(())
}

async fn make_first_administrator(store: &Store, data_dir: &DataDir) -> Result<(), Failure> {
    let given = std::env::var("PLEXICHAT_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
    let made = first_administrator(store, data_dir, given).await;
    match made.map_err(|error| Failure::cannot_work(error.to_string()).hint(error.hint()))? {
        FirstAdministrator::There => {}
        FirstAdministrator::Given(user) => {
            tracing::info!(user = %user.id, "the first administrator has the token of PLEXICHAT_ADMIN_TOKEN");
        }
        FirstAdministrator::Generated(user, secret) => {
            let path = data_dir.admin_token();
            tracing::info!(user = %user.id, file = %path.display(), "the first administrator's token was made");
            let mut stderr = io::stderr().lock();
            if stderr.is_terminal() {
                let _ = writeln!(stderr, "administrator's token, shown this once: {}", secret.expose());
            }
        }
    }
    Ok(())
}

/// What the settings let each plugin reach.
fn reach(settings: &Settings) -> std::collections::HashMap<PluginName, Reach> {
    let reach = settings.plugins.iter().map(|(name, plugin)| {
        let reach = Reach { hosts: plugin.hosts.clone(), private_network: plugin.private_network };
        (name.clone(), reach)
    });
    reach.collect()
}

/// The directories in which the settings let each plugin read.
fn directories(settings: &Settings) -> std::collections::HashMap<PluginName, Vec<std::path::PathBuf>> {
    settings.plugins.iter().map(|(name, plugin)| (name.clone(), plugin.directories.clone())).collect()
}
