//! Reminds people and rooms: `/remind me in 2 hours to call Ann`.
//!
//! The lesson for automations: a command that makes a trigger, and the workflow that the trigger starts. Each reminder is a
//! trigger of its own, kept by the host; so nothing here waits, and a restart loses nothing.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod appointment;
mod config;
mod person;
mod request;
mod time;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plexichat::capability::triggers::Armed;
use plexichat::error::ErrorKind;
use plexichat::message::{Actor, Time};
use plexichat::prelude::*;
use plexichat::trigger::RunPolicy;

use crate::appointment::{Appointment, moment};
pub use crate::config::Config;
use crate::person::People;
use crate::request::{Request, Which, Whom};
use crate::time::{Reading, When};

/// The workflow that every trigger of this plugin starts.
const REMIND: &str = "remind";

/// The longest text, in characters.
const TEXT_MAX: usize = 1000;

const HELP: &str = "I remind you, or everybody here, at a time that you name:\n\
    `/remind me in 2 hours to call Ann`, `/remind me tomorrow at 9 …`, `/remind me to call Ann on friday at 17:30`\n\
    `/remind me every monday at 10:00 …`, `every weekday`, `every month on the 1st`, `every 2 hours`\n\
    `/remind here at 17:30 …` speaks to the room\n\
    `/remind list`, `/remind cancel 2`, `/remind cancel all`, `/remind zone Europe/Berlin`";

/// Reminds people and rooms at a time that they name.
#[plexichat::plugin(
    provides(Automation),
    permissions(PostMessages),
    category = "productivity",
    tags("example", "reminders", "automation", "commands")
)]
pub struct Reminder {
    context: Context<Self>,
    config: Config,
}

impl Plugin for Reminder {
    type Config = Config;

    async fn initialize(context: Context<Self>, config: Config) -> Result<Self> {
        Ok(Self { context, config })
    }
}

#[plexichat::role]
impl Automation for Reminder {
    // No `register_triggers`: which triggers there are, people decide while it runs.

    async fn execute_workflow(&self, run: WorkflowRun) -> Result<Outcome, WorkflowError> {
        let appointment: Appointment = serde_json::from_value(run.input["input"].clone())
            .map_err(|error| WorkflowError::permanent(format!("this is no reminder: {error}")))?;
        let text = appointment.message(run.scheduled_at.0, self.context.now().0);
        if run.dry_run {
            return Ok(Outcome::Done(json!({ "would_post": text })));
        }
        if appointment.again.is_none() {
            // Its one time has come. The run was stored before it began, with all that it needs: the trigger may go.
            self.end(&appointment.asked_by(&run.trigger), &run.trigger).await?;
        }
        // The plugin may post where somebody may no more: it does not speak for those who were put out of a room.
        if !self.context.chat().may_post(&appointment.asked_by(&run.trigger), appointment.room_id).await? {
            self.end(&appointment.asked_by(&run.trigger), &run.trigger).await?;
            let Appointment { number, person, .. } = &appointment;
            return Ok(Outcome::Skip(format!("{person} may not post there any more: reminder {number} is ended")));
        }
        // The same at every attempt: one that comes again after a crash finds the message that is there.
        let post = Post { key: Some(run.key("post")), ..Post::new(appointment.room_id, text) };
        match self.context.chat().post(post).await {
            Ok(message) => Ok(Outcome::Done(json!({ "message_id": message.id }))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Nobody is left to be reminded there.
                self.end(&appointment.asked_by(&run.trigger), &run.trigger).await?;
                Ok(Outcome::Skip("the room is gone".to_owned()))
            }
            // What may pass is tried again, anything else becomes a dead letter: the conversion decides.
            Err(error) => Err(error.into()),
        }
    }
}

#[plexichat::handlers]
impl Reminder {
    /// /remind me in 2 hours to call Ann; /remind here at 17:30 …; /remind me every monday at 10:00 …; /remind list, cancel 2, zone.
    #[command("remind")]
    async fn remind(&self, call: CommandCall) -> Result<CommandReply> {
        let own_zone = self.people().zone_of(&call.author).await?;
        let zone = own_zone.unwrap_or_else(|| self.config.zone());
        let reading = Reading {
            now: self.context.now().0.to_zoned(zone.clone()),
            morning: self.config.morning(),
            shortest: u64::from(self.config.shortest_minutes) * 60,
        };
        let request = Request::read(&call.arguments, &reading);
        let reply = match request.map_err(|mistake| PluginError::input(mistake.to_string()))? {
            Request::New { whom, when, text } => self.add(&call, &zone, whom, when, text).await?,
            Request::List => self.list(&call, &zone).await?,
            Request::Cancel(which) => self.cancel(&call.author, which).await?,
            Request::Zone(None) => {
                format!("Your time zone is {}. `/remind zone Europe/Berlin` changes it.", person::zone_name(&zone))
            }
            Request::Zone(Some(wanted)) => self.people().set_zone(&call.author, wanted, &self.config.zone).await?,
            Request::Help => HELP.to_owned(),
        };
        Ok(reply.into())
    }

    async fn add(&self, call: &CommandCall, zone: &TimeZone, whom: Whom, when: When, text: &str) -> Result<String> {
        let length = text.chars().count();
        if length > TEXT_MAX {
            return Err(PluginError::input(format!("that has {length} characters, and I can keep {TEXT_MAX}")));
        }
        // Made of the message, so that a command that is told twice after a crash makes one reminder.
        let id = format!("{}{}", prefix(&call.author), call.message_id);
        let mine = self.reminders_of(&call.author).await?;
        if let Some((armed, known)) = mine.iter().find(|(armed, _)| armed.spec.id == id) {
            return Ok(confirmation(known.number, armed, zone));
        }
        if self.people().is_over(&call.author, &id).await? {
            return Ok("That reminder has come already, or was cancelled.".to_owned());
        }
        if mine.len() >= self.config.per_person {
            return Err(PluginError::input(format!(
                "you have {} reminders, and nobody may have more: `/remind list` shows them, `/remind cancel 2` ends one",
                mine.len()
            )));
        }
        let (on, again) = waits_for(when, zone);
        let number = self.people().next_number(&call.author).await?;
        let appointment = Appointment {
            number,
            person: call.author.name.to_string(),
            author: Some(call.author.clone()),
            room_id: call.room_id,
            for_all: whom == Whom::Room,
            text: text.to_owned(),
            zone: person::zone_name(zone).to_owned(),
            again,
        };
        let spec = TriggerSpec {
            input: serde_json::to_value(appointment)?,
            // A store or a scanner that is away for an hour does not lose it.
            policy: RunPolicy { attempts: 20, backoff_seconds: 2, ..RunPolicy::default() },
            ..TriggerSpec::new(id, on, REMIND, Scope::Cluster)
        };
        // Once this returns it survives every restart.
        let armed = self.context.triggers().put(spec).await?;
        Ok(confirmation(number, &armed, zone))
    }

    async fn list(&self, call: &CommandCall, zone: &TimeZone) -> Result<String> {
        let mut mine = self.reminders_of(&call.author).await?;
        if mine.is_empty() {
            return Ok("You have no reminders. `/remind me in 2 hours to call Ann` makes one.".to_owned());
        }
        mine.sort_by_key(|(armed, kept)| (next(armed), kept.number));
        let lines = mine.iter().map(|(armed, kept)| kept.line(next(armed), call.room_id, zone));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    async fn cancel(&self, author: &Actor, which: Which) -> Result<String> {
        let mut mine = self.reminders_of(author).await?;
        if let Which::Number(number) = which {
            mine.retain(|(_, kept)| kept.number == number);
            if mine.is_empty() {
                return Err(PluginError::input(format!("you have no reminder {number}: `/remind list` shows yours")));
            }
        }
        for (armed, _) in &mine {
            self.end(author, &armed.spec.id).await?;
        }
        Ok(match which {
            Which::Number(number) => format!("Reminder {number} is cancelled."),
            Which::All => format!("Reminders cancelled: {}.", mine.len()),
        })
    }

    /// Somebody's reminders: their triggers, with what each keeps.
    async fn reminders_of(&self, author: &Actor) -> Result<Vec<(Armed, Appointment)>> {
        let armed = self.context.triggers().list(&prefix(author)).await?;
        armed.into_iter().map(|armed| Ok((armed.clone(), serde_json::from_value(armed.spec.input)?))).collect()
    }

    /// Takes a reminder's trigger away, for good.
    async fn end(&self, author: &Actor, trigger: &str) -> Result<()> {
        self.people().end(author, trigger).await?;
        self.context.triggers().remove(trigger).await.map(drop)
    }

    fn people(&self) -> People {
        People::new(self.context.storage())
    }
}

/// What the identifiers of somebody's triggers begin with.
fn prefix(author: &Actor) -> String {
    format!("{}/", author.id)
}

/// What the trigger waits for, and what that means where it comes again.
fn waits_for(when: When, zone: &TimeZone) -> (On, Option<String>) {
    // Of times that passed while the server was down one is told, the last.
    let misfire = Misfire::RunOnce;
    match when {
        When::Once(moment) => (On::At { time: Time(moment) }, None),
        When::Calendar { expression, meaning } => {
            (On::Cron { expression, zone: person::zone_name(zone).to_owned(), misfire }, Some(meaning))
        }
        When::Every { seconds, meaning } => (On::Every { seconds, misfire }, Some(meaning)),
    }
}

/// When it comes next.
fn next(armed: &Armed) -> Option<Timestamp> {
    armed.next_at.map(|time| time.0)
}

fn confirmation(number: u32, armed: &Armed, zone: &TimeZone) -> String {
    let when = next(armed).map_or_else(|| "now".to_owned(), |next| moment(next, zone));
    format!("Reminder {number}: {when}. `/remind cancel {number}` ends it.")
}
