//! `plexichat user …`: people who have an account on a running server.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use plexichat::id::UserId;
use plexichat::secret::Secret;
use serde_json::{Value, json};

use super::client::{Client, escaped};
use super::output::{Output, cell, table};
use super::token::{RoleArg, seconds};
use super::{ClientArgs, Failure};

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  plexichat user add ann --password-file secret.txt\n  plexichat user invite\n  plexichat user list\n\n\
                  A person is named by the name or the identifier."
)]
pub(super) struct UserArgs {
    #[command(flatten)]
    client: ClientArgs,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make an account and print its identifier. Without a password the person comes in with tokens only.
    #[command(after_help = "Examples:\n  plexichat user add ann --password-file secret.txt\n  \
                            openssl rand -base64 18 | tee secret.txt | plexichat user add ann --role moderator --password-file -")]
    Add {
        /// The name to show.
        name: String,
        /// What the person may do.
        #[arg(long, value_enum, default_value_t)]
        role: RoleArg,
        /// A file whose first line is the password; `-` reads it from stdin.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List the people.
    #[command(after_help = "Example:\n  plexichat user list")]
    List,
    /// Give a person another role.
    #[command(after_help = "Example:\n  plexichat user role ann moderator")]
    Role {
        /// The person.
        user: String,
        /// What the person may do from now on.
        #[arg(value_enum)]
        role: RoleArg,
    },
    /// Shut a person out. Sessions and tokens end at once.
    #[command(after_help = "Example:\n  plexichat user disable ann")]
    Disable {
        /// The person.
        user: String,
    },
    /// Let a person in again who was shut out.
    #[command(after_help = "Example:\n  plexichat user enable ann")]
    Enable {
        /// The person.
        user: String,
    },
    /// Set a person's password. What the person had come in with ends at once.
    #[command(
        after_help = "Examples:\n  plexichat user password ann --password-file secret.txt\n  plexichat user password ann"
    )]
    Password {
        /// The person.
        user: String,
        /// A file whose first line is the password; `-`, or nothing, reads it from stdin.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Delete an account. What the person wrote stays, and the name is free.
    #[command(after_help = "Example:\n  plexichat user delete ann --yes")]
    Delete {
        /// The person.
        user: String,
        /// Do it: it cannot be undone.
        #[arg(long)]
        yes: bool,
    },
    /// Make an invitation, with which somebody registers. It is shown this once.
    #[command(after_help = "Examples:\n  plexichat user invite\n  plexichat user invite --uses 20 --expires-in 2d")]
    Invite {
        /// What whoever uses it may do.
        #[arg(long, value_enum, default_value_t)]
        role: RoleArg,
        /// How many accounts may be made with it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how long it counts, such as 12h or 30d.
        #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "7d")]
        expires_in: u64,
    },
    /// List the invitations that count, without their secrets.
    #[command(after_help = "Example:\n  plexichat user invitations")]
    Invitations,
    /// Take an invitation back.
    #[command(after_help = "Example:\n  plexichat user uninvite 01890c6e-8b5a-7cc0-98c4-dc0c0c07398f")]
    Uninvite {
        /// Its identifier, as `plexichat user invitations` shows it.
        id: String,
    },
}

pub(super) async fn run(arguments: UserArgs, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.client)?;
    match arguments.command {
        UserCommand::Add { name, role, password_file } => {
            let mut body = json!({ "name": name, "role": role.as_str() });
            if let Some(file) = password_file {
                body["password"] = password(Some(&file))?.expose().into();
            }
            let user = client.post("/api/v1/users", &body).await?;
            output.show(&user, |user| cell(user, "id"))
        }
        UserCommand::List => {
            let list = all(&client).await?;
            output.show(&list, |list| {
                let rows = list["users"].as_array().into_iter().flatten().map(row);
                table(["ID", "NAME", "ROLE", "STATE", "CREATED"], rows)
            })
        }
        UserCommand::Role { user, role } => {
            let user = change(&client, &user, &json!({ "role": role.as_str() })).await?;
            output.show(&user, |user| format!("{} has the role {}", cell(user, "name"), cell(user, "role")))
        }
        UserCommand::Disable { user } => {
            let user = change(&client, &user, &json!({ "disabled": true })).await?;
            output.show(&user, |user| format!("{} is shut out; sessions and tokens have ended", cell(user, "name")))
        }
        UserCommand::Enable { user } => {
            let user = change(&client, &user, &json!({ "disabled": false })).await?;
            output.show(&user, |user| format!("{} may come in", cell(user, "name")))
        }
        UserCommand::Password { user, password_file } => {
            let user = find(&client, &user).await?;
            let password = password(password_file.as_deref())?;
            let path = format!("/api/v1/users/{}/password", cell(&user, "id"));
            client.put(&path, &json!({ "password": password.expose() }), None).await?;
            output.show(&user, |user| format!("{} has another password", cell(user, "name")))
        }
        UserCommand::Delete { user, yes } => {
            let user = find(&client, &user).await?;
            let name = cell(&user, "name");
            if !yes {
                return Err(Failure::usage(format!("the account of {name} would be gone for good"))
                    .hint("say so with `--yes`, or shut the person out with `plexichat user disable`"));
            }
            client.delete(&format!("/api/v1/users/{}", cell(&user, "id"))).await?;
            output.show(&json!({ "deleted": user["id"] }), |_| format!("the account of {name} is gone"))
        }
        UserCommand::Invite { role, uses, expires_in } => {
            let body = json!({ "role": role.as_str(), "uses": uses, "expires_in": expires_in });
            let made = client.post("/api/v1/invitations", &body).await?;
            output.show(&made, |made| cell(made, "invitation"))
        }
        UserCommand::Invitations => {
            let list = client.get("/api/v1/invitations").await?;
            output.show(&list, |list| {
                let columns = ["id", "role", "uses_left", "expires_at"];
                let rows = list["invitations"].as_array().into_iter().flatten();
                let rows = rows.map(|invitation| columns.map(|name| cell(invitation, name)));
                table(["ID", "ROLE", "USES LEFT", "EXPIRES"], rows)
            })
        }
        UserCommand::Uninvite { id } => {
            let id: crate::store::InvitationId =
                id.parse().map_err(|error: plexichat::id::InvalidId| Failure::usage(format!("`{id}`: {error}")))?;
            client.delete(&format!("/api/v1/invitations/{id}")).await?;
            output.show(&json!({ "revoked": id }), |_| format!("{id} counts no more"))
        }
    }
}

fn row(user: &Value) -> [String; 5] {
    let state = if user["disabled_at"].is_null() { "active" } else { "disabled" };
    [cell(user, "id"), cell(user, "name"), cell(user, "role"), state.to_owned(), cell(user, "created_at")]
}

/// Every page of the list.
async fn all(client: &Client) -> Result<Value, Failure> {
    let mut users = Vec::new();
    loop {
        let after = users.last().map(|user: &Value| cell(user, "name"));
        let query = after.map(|name| format!("?after={}", escaped(&name))).unwrap_or_default();
        let page = client.get(&format!("/api/v1/users{query}")).await?;
        let found = page["users"].as_array().cloned().unwrap_or_default();
        let more = page["more"].as_bool() == Some(true) && !found.is_empty();
        users.extend(found);
        if !more {
            return Ok(json!({ "users": users }));
        }
    }
}

/// The person of that name or identifier.
async fn find(client: &Client, user: &str) -> Result<Value, Failure> {
    let page = client.get(&format!("/api/v1/users?name={}", escaped(user))).await?;
    if let Some(found) = page["users"].as_array().and_then(|users| users.first()) {
        return Ok(found.clone());
    }
    if let Ok(id) = user.parse::<UserId>() {
        return client.get(&format!("/api/v1/users/{id}")).await;
    }
    Err(Failure::new(format!("there is nobody named `{user}`")).hint("`plexichat user list` lists everybody"))
}

async fn change(client: &Client, user: &str, change: &Value) -> Result<Value, Failure> {
    let user = find(client, user).await?;
    client.patch(&format!("/api/v1/users/{}", cell(&user, "id")), change, None).await
}

/// The first line of a file, or of stdin; never an argument, which others on the machine can see.
fn password(file: Option<&Path>) -> Result<Secret, Failure> {
    let text = match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => std::fs::read_to_string(file)
            .map(Secret::new)
            .map_err(|error| Failure::new(format!("cannot read the password in {}: {error}", file.display())))?,
        None => from_stdin()?,
    };
    match text.expose().lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(Failure::usage("there is no password").hint("put it into the first line of the file, or of stdin")),
    }
}

fn from_stdin() -> Result<Secret, Failure> {
    let failed = |error| Failure::new(format!("cannot read the password from stdin: {error}"));
    let mut text = String::new();
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        stdin.lock().read_to_string(&mut text).map_err(failed)?;
        return Ok(Secret::new(text));
    }
    eprint!("password: ");
    let _hidden = Hidden::new();
    stdin.read_line(&mut text).map_err(failed)?;
    eprintln!();
    Ok(Secret::new(text))
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    fn new() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let Ok(shown) = tcgetattr(&stdin) else { return Self(None) };
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let done = tcsetattr(&stdin, OptionalActions::Flush, &hidden);
        Self(done.is_ok().then_some(shown))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(shown) = &self.0 {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: Option<&str>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let found = password(Some(file.path()));
        assert_eq!(found.as_ref().ok().map(Secret::expose), expected, "{content:?}");
    }

    #[test]
    fn a_password_is_the_first_line_of_a_file() {
        check("correct horse\n", Some("correct horse"));
        check("correct horse\r\nother", Some("correct horse"));
        check(" with blanks ", Some(" with blanks "));
        check("", None);
        check("\nsecond", None);
        assert!(password(Some(Path::new("/nonexistent"))).is_err());
    }
}
