//! `plexichat audit …`: who did what, and whether the record of it is whole: of a running server, or of a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, query};
use super::output::{Output, cell, table};
use super::{ClientArgs, Failure};
use crate::store::{Anchor, verify_audit_file};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat audit list --action plugin.\n  plexichat audit verify"
)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List who did what, newest first.
    #[command(
        after_help = "Examples:\n  plexichat audit list\n  plexichat audit list --actor ann --action token.create"
    )]
    List {
        /// At most so many rows.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Only rows before the one with this number.
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
        /// Only what this person or plugin did, by name or identifier.
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Only this action; `plugin.` is every action on plugins.
        #[arg(long)]
        action: Option<String>,
        /// Only what was done to this: a name or an identifier.
        #[arg(long)]
        subject: Option<String>,
    },
    /// Verify that no row was changed, removed, put elsewhere or cut off; exit status 1 where one was.
    #[command(
        after_help = "Examples:\n  plexichat audit verify\n  plexichat audit verify --file data/plexichat.db\n\n\
                            Each row's hash covers the row before it, and the last row is told in a second place. Whoever may \
                            write the file could still write a whole new log: keep the head that this command prints (the \
                            server logs it too, at its start and every hour) on another machine, and give it with --expect."
    )]
    Verify {
        /// Verify this database file, without a server; it is only read.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// A head that was noted before: the log must still have this row.
        #[arg(long, value_name = "HEAD")]
        expect: Option<Anchor>,
    },
}

pub(super) async fn run(arguments: AuditArgs, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        AuditCommand::List { limit, before, actor, action, subject } => {
            let (limit, before) = (Some(limit.to_string()), before.map(|before| before.to_string()));
            let path = query(
                "/api/v1/audit",
                &[("limit", limit), ("before", before), ("actor", actor), ("action", action), ("subject", subject)],
            );
            let list = Client::new(&arguments.client)?.get(&path).await?;
            output.show(&list, |list| {
                let rows = list["rows"].as_array().into_iter().flatten().map(row);
                table(["NUMBER", "WHO", "ACTION", "SUBJECT", "DETAIL", "TIME"], rows)
            })
        }
        AuditCommand::Verify { file, expect } => {
            let report = match file {
                Some(file) => {
                    let report = verify_audit_file(&file, expect)
                        .map_err(|error| Failure::new(error.to_string()).hint(error.hint()))?;
                    serde_json::to_value(report).map_err(|error| Failure::new(error.to_string()))?
                }
                None => {
                    let expect = expect.map(|anchor| anchor.to_string());
                    let path = query("/api/v1/audit/verify", &[("expect", expect)]);
                    Client::new(&arguments.client)?.get(&path).await?
                }
            };
            output.show(&report, text)?;
            match report["intact"].as_bool() {
                Some(true) => Ok(()),
                _ => Err(Failure::new("the audit log is not as it was written")
                    .hint("compare it with a backup: `plexichat audit verify --file …`")),
            }
        }
    }
}

fn row(row: &Value) -> [String; 6] {
    let who = cell(&row["actor"], "name");
    let detail = match &row["detail"] {
        Value::Object(members) if members.is_empty() => "-".to_owned(),
        detail => detail.to_string(),
    };
    [cell(row, "number"), who, cell(row, "action"), cell(row, "subject"), detail, cell(row, "time")]
}

fn text(report: &Value) -> String {
    let mut text = format!("{} rows verified", cell(report, "rows"));
    if report["removed"].as_u64().is_some_and(|removed| removed > 0) {
        text.push_str(&format!(", {} older ones were removed by retention", cell(report, "removed")));
    }
    text.push_str(&format!("\nhead {}\n", cell(report, "head")));
    for finding in report["findings"].as_array().into_iter().flatten() {
        text.push_str(&format!("row {} {}\n", cell(finding, "number"), cell(finding, "message")));
    }
    text
}
