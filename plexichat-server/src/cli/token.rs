//! `plexichat token …`: API tokens of a running server.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::Client;
use super::output::{Output, cell, table};
use super::{ClientArgs, Failure};
use crate::store::Scope;

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat token create alice\n  plexichat token list"
)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token for a person, and the person where there is none of that name. The token is shown this once.
    #[command(after_help = "Examples:\n  plexichat token create alice\n  \
                            plexichat token create deploy --role admin --expires-in 30d --name ci\n  \
                            plexichat token create alice --scope ai --name notebook")]
    Create {
        /// Whose token it is.
        user: String,
        /// What a person who is new may do.
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
        /// What the token is for.
        #[arg(long)]
        name: Option<String>,
        /// What it may be used for; may be given several times. Without it, all that the person may do.
        #[arg(long = "scope", value_enum)]
        scopes: Vec<ScopeArg>,
        /// For how long it counts, such as 90s, 15m, 12h or 30d. Without it, until it is revoked.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        expires_in: Option<u64>,
    },
    /// List the tokens, without their secrets.
    #[command(after_help = "Example:\n  plexichat token list")]
    List,
    /// Revoke a token, at once.
    #[command(after_help = "Example:\n  plexichat token revoke 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Revoke {
        /// Its identifier, as `plexichat token list` shows it.
        id: String,
    },
}

/// What a person may do on the server.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum RoleArg {
    /// Read and write.
    #[default]
    User,
    /// Also look after what others write.
    Moderator,
    /// Everything.
    Admin,
}

impl RoleArg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    /// Read rooms, messages, the list of plugins.
    Read,
    /// Make rooms, post messages.
    Write,
    /// Ask models, as over the gateway, and nothing else.
    Ai,
    /// Change plugins, configuration, people and tokens; for administrators only.
    Admin,
}

impl ScopeArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => Scope::Read,
            Self::Write => Scope::Write,
            Self::Ai => Scope::Ai,
            Self::Admin => Scope::Admin,
        }
        .as_str()
    }
}

/// Reads `90s`, `15m`, `12h`, `30d`, or seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time: write it like 90s, 15m, 12h or 30d");
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

pub(super) async fn run(arguments: TokenArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        TokenCommand::Create { user, role, name, scopes, expires_in } => {
            let mut body = json!({ "user": user });
            if let Some(role) = role {
                body["role"] = role.as_str().into();
            }
            if let Some(name) = name {
                body["name"] = name.into();
            }
            if !scopes.is_empty() {
                body["scopes"] = scopes.into_iter().map(ScopeArg::as_str).collect();
            }
            if let Some(seconds) = expires_in {
                body["expires_in"] = seconds.into();
            }
            let made = client.post("/api/v1/tokens", &body).await?;
            // The token alone, so that `PLEXICHAT_TOKEN=$(plexichat token create alice)` works.
            output.show(&made, |made| cell(made, "token"))
        }
        TokenCommand::List => {
            let list = client.get("/api/v1/tokens").await?;
            output.show(&list, |list| {
                let columns = ["id", "user", "name", "scopes", "expires_at"];
                let row = |token: &Value| columns.map(|name| cell(token, name));
                table(
                    ["ID", "USER", "NAME", "SCOPES", "EXPIRES"],
                    list["tokens"].as_array().into_iter().flatten().map(row),
                )
            })
        }
        TokenCommand::Revoke { id } => {
            let id: crate::store::TokenId =
                id.parse().map_err(|error: plexichat::id::InvalidId| Failure::usage(format!("`{id}`: {error}")))?;
            client.delete(&format!("/api/v1/tokens/{id}")).await?;
            output.show(&json!({ "revoked": id }), |_| format!("{id} is revoked"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(seconds(text).ok(), expected, "{text}");
    }

    #[test]
    fn lengths_of_time() {
        check("90", Some(90));
        check("90s", Some(90));
        check("15m", Some(900));
        check("12h", Some(43_200));
        check("30d", Some(2_592_000));
        check("0d", None);
        check("d", None);
        check("1w", None);
        check("-1s", None);
        check("99999999999999999999d", None);
        check("", None);
    }
}
