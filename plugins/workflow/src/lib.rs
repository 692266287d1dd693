//! What a team automates without writing Rust: triggers, steps, approvals.
//!
//! Start with [`Workflow`], then `definition` for what people write, `book` for where definitions come from, and `engine` for how
//! a run goes on after a crash. `outside` is what steps do.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod approvals;
mod book;
mod commands;
mod config;
mod definition;
mod engine;
mod expression;
mod gui;
mod journal;
mod outside;
mod routes;

use std::sync::Arc;

use plexichat::plugin::gui::Audience;
use plexichat::prelude::*;

use crate::approvals::Approvals;
use crate::book::Book;
pub use crate::config::Config;
pub use crate::definition::Definition;
use crate::engine::Engine;
use crate::engine::state::Kept;
use crate::expression::{Language, Scrubber};
use crate::journal::Journal;
use crate::outside::Outside;

/// The JSON Schema of definitions, for editors.
pub fn editor_schema() -> serde_json::Value {
    definition::schema()
}

/// Carries out what definitions say.
#[plexichat::plugin(
    provides(Automation, Interface),
    permissions(AiAccess, FileSystemRead, NetworkAccess, PostMessages, UserDataAccess),
    category = "automation",
    tags("automation", "workflow", "approval", "cron", "webhook")
)]
pub struct Workflow {
    context: Context<Self>,
    config: Arc<Config>,
    book: Arc<Book>,
    approvals: Approvals,
    language: Language,
    scrubber: Scrubber,
    outside: Outside,
    journal: Journal,
}

impl Plugin for Workflow {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        config.check()?;
        let secrets = Arc::new(config.secrets.clone());
        let config = Arc::new(config);
        let language = Language::new(&secrets);
        let approvals = Approvals::new(context.storage(), context.triggers());
        let book = Book::open(context.clone(), config.clone(), language.clone()).await?;
        context.spawn(book.clone().keep_up(approvals.clone()))?;
        let outside = Outside { context: context.clone(), approvals: approvals.clone() };
        let scrubber = Scrubber::new(secrets);
        Ok(Self { context, config, book, approvals, language, scrubber, outside, journal: Journal::default() })
    }

    /// Tells of definitions that are not taken.
    async fn health(&self) -> Health {
        let shelf = self.book.shelf();
        match shelf.troubles.is_empty() {
            true => Health::Healthy,
            false => Health::Degraded(shelf.troubles.iter().map(book::Trouble::told).collect::<Vec<_>>().join("; ")),
        }
    }
}

#[plexichat::role]
impl Automation for Workflow {
    async fn execute_workflow(&self, run: WorkflowRun) -> Result<Outcome, WorkflowError> {
        let result = self.carry_out(&run).await;
        self.journal.note(&run, self.context.now(), &result);
        result
    }
}

impl Workflow {
    async fn carry_out(&self, run: &WorkflowRun) -> Result<Outcome, WorkflowError> {
        // A run goes on with the version that it began with.
        let shelf = self.book.shelf();
        let (definition, version) = match run.state_as::<Kept>()? {
            Some(kept) => (self.book.version(&run.workflow, &kept.version).await?, kept.version),
            None => match shelf.workflows.get(&run.workflow) {
                Some(active) => (active.definition.clone(), active.version.clone()),
                None if let Some(why) = &shelf.hidden => {
                    return Err(WorkflowError::retry(format!(
                        "workflow `{}` may not be read yet: {why}",
                        run.workflow
                    )));
                }
                None => return Err(WorkflowError::permanent(format!("there is no workflow `{}`", run.workflow))),
            },
        };
        let engine = Engine {
            definition: &definition,
            version: &version,
            world: &self.outside,
            language: &self.language,
            scrubber: &self.scrubber,
        };
        engine::execute(engine, run).await
    }
}

#[plexichat::role]
impl Interface for Workflow {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes
            .get("/definitions", Auth::Admin, Self::list_definitions)
            .post("/definitions/-/check", Auth::Admin, Self::check_definition)
            .post("/definitions/-/reload", Auth::Admin, Self::reload_definitions)
            .get("/definitions/{name}", Auth::Admin, Self::show_definition)
            .put("/definitions/{name}", Auth::Admin, Self::put_definition)
            .delete("/definitions/{name}", Auth::Admin, Self::delete_definition)
            .get("/workflow.schema.json", Auth::User, Self::editor_schema)
            .get("/approvals", Auth::User, Self::my_approvals)
            .post("/approvals/{id}", Auth::User, Self::answer_as_user)
            .get("/moderators/approvals", Auth::Moderator, Self::moderators_approvals)
            .post("/moderators/approvals/{id}", Auth::Moderator, Self::answer_as_moderator)
            .get("/admins/approvals", Auth::Admin, Self::all_approvals)
            .post("/admins/approvals/{id}", Auth::Admin, Self::answer_as_admin)
    }

    fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
        gui.dashboard_widget("approvals", "Approvals for you", Self::show_to_user)
            .dashboard_widget("moderators-approvals", "Approvals for moderators", Self::show_to_moderator)
            .audience(Audience::Moderators)
            .dashboard_widget("all-approvals", "All approvals", Self::show_to_admin)
            .audience(Audience::Admins)
            .right_sidebar("room-approvals", "Approvals", Self::show_in_room)
            .menu_item("workflows", "Workflows", Self::show_workflows)
            .audience(Audience::Admins)
            .config_panel("Workflows")
    }
}

#[plexichat::handlers]
impl Workflow {
    /// /workflow [list|show|run|runs|approve|refuse|reload] tells of workflows, starts them and answers their questions: /workflow approve 1a2b3c4d5e.
    #[command("workflow")]
    async fn workflow(&self, call: CommandCall) -> Result<CommandReply> {
        self.command(&call).await
    }
}
