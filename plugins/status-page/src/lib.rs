//! Shows how the server is: on a page, in a widget, and to programs that watch over it.
//!
//! The lesson for interfaces, in reading order: what is looked at (`watch.rs`), how it is judged (`health.rs`), what people
//! and programs are told (`report.rs`, `widget.rs`), and in this file how the plugin says all of that to the host. The page
//! itself is `ui/status.html`; the words are in `locales/`.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod health;
mod report;
mod watch;
mod widget;

use std::sync::Arc;

use plexichat::plugin::gui::Audience;
use plexichat::prelude::*;
use plexichat::t;

pub use crate::config::{Config, Thresholds};
pub use crate::health::Level;
pub use crate::report::{Cached, ComponentReport, Figures, PluginFigures, Report};
use crate::watch::Watch;

/// Shows how the server is.
///
/// `AdminAccess` opens `ctx.admin()`, which is all that it needs: it reads no message and knows no person.
#[plexichat::plugin(
    provides(Interface),
    permissions(AdminAccess),
    category = "administration",
    tags("example", "status", "monitoring", "interface")
)]
pub struct StatusPage {
    config: Config,
    watch: Arc<Watch>,
    context: Context<Self>,
}

impl Plugin for StatusPage {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        let watch = Arc::new(Watch::new(context.admin()));
        // Rates need two looks. The task ends with the plugin, so there is nothing to clean up.
        context.spawn(Watch::keep_looking(watch.clone(), context.clone()))?;
        Ok(Self { config, watch, context })
    }
}

/// What it adds to the server. Both functions run without an instance: that is how manifest, menu and OpenAPI know what
/// is there before the plugin runs.
#[plexichat::role]
impl Interface for StatusPage {
    /// Below `/api/v1/plugins/status-page`. Every route says who may call it.
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .get("/status", Auth::Public, Self::status)
            .summary("Whether the server and its parts work, for anybody")
            .get("/metrics", Auth::Admin, Self::metrics)
            .summary("The same with every figure, for administrators")
    }

    /// A label made by `t!` is shown in the language of whoever looks.
    fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
        gui
            // A file of `ui/` is shown in a frame that can do nothing but ask this plugin.
            .menu_item("status", t!("menu"), "ui/status.html")
            // A method is asked for blocks, which the host draws.
            .dashboard_widget("overview", t!("widget"), Self::overview)
            .audience(Audience::Admins)
            // A form that the host makes of `Config`; what is sent becomes the configuration.
            .config_panel(t!("settings"))
    }
}

impl StatusPage {
    /// `GET /status`: anybody may ask, so it says nothing but names and states, and asks the server at most every few
    /// seconds however often it is asked itself.
    async fn status(self: Arc<Self>, call: RouteCall) -> Result<Cached<Report>> {
        if !self.config.public {
            // As if there were nothing: whoever is not to know learns nothing.
            return Err(PluginError::not_found("this status page is not public"));
        }
        let seen = self.watch.recent(self.context.now()).await?;
        Ok(Cached(self.report(&seen, &language(&call))))
    }

    /// `GET /metrics`: the host lets administrators alone in, so there is no check here to forget.
    async fn metrics(self: Arc<Self>, call: RouteCall) -> Result<Json<Figures>> {
        let seen = self.watch.look(self.context.now()).await?;
        let report = self.report(&seen, &language(&call));
        Ok(Json(Figures::of(report, &seen)))
    }

    /// The widget: also called again when its button is pressed, since all that the button does is to look anew.
    async fn overview(self: Arc<Self>, _: Interaction) -> Result<GuiReply> {
        let seen = self.watch.look(self.context.now()).await?;
        let judged = health::judge(&seen, &self.config);
        Ok(GuiReply::Blocks { blocks: widget::blocks(&self.config, &seen, &judged) })
    }

    fn report(&self, seen: &watch::Seen, language: &str) -> Report {
        let judged = health::judge(seen, &self.config);
        Report::of(&self.config.title, &judged, |text| self.context.text(language, text))
    }
}

/// What the caller reads, as browsers say it.
fn language(call: &RouteCall) -> String {
    call.header("accept-language").unwrap_or_default().to_owned()
}
