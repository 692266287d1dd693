//! What is kept of people: their time zone, and the number of their newest reminder. Knows no trigger.

use jiff::tz::TimeZone;
use plexichat::capability::storage::Storage;
use plexichat::message::Actor;
use plexichat::prelude::*;

/// How many zones a message suggests.
const SUGGESTED_MAX: usize = 5;

/// How many reminders that are over are remembered of somebody. A server tells a command again after a crash within moments of its
/// first telling: what matters is the last few.
const OVER_MAX: usize = 100;

/// What is kept of people.
pub(crate) struct People {
    storage: Storage,
}

/// What is kept of one.
#[plexichat::model]
#[derive(Default)]
struct Person {
    /// The zone that they named.
    #[serde(default)]
    zone: Option<String>,
    /// The number of their newest reminder.
    #[serde(default)]
    last: u32,
    /// The triggers of their reminders that are over, the newest last.
    #[serde(default)]
    over: Vec<String>,
}

impl People {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// The zone that somebody named.
    pub(crate) async fn zone_of(&self, author: &Actor) -> Result<Option<TimeZone>> {
        let person = self.storage.get::<Person>(&key(author)).await?;
        Ok(person.and_then(|person| TimeZone::get(&person.value.zone?).ok()))
    }

    /// Names another zone for somebody, or none where they want the `usual` one. What to tell them.
    pub(crate) async fn set_zone(&self, author: &Actor, wanted: &str, usual: &str) -> Result<String> {
        let named = match wanted.to_lowercase().as_str() {
            "default" | "none" | "reset" => None,
            _ => Some(find_zone(wanted)?),
        };
        let shown = named.as_deref().unwrap_or(usual);
        let answer = format!("Your time zone is {shown} from now on. Reminders that you have keep their times.");
        self.change(author, |person| person.zone.clone_from(&named)).await?;
        Ok(answer)
    }

    /// A number that no reminder of this person has had, so that one in an old list cancels nothing new.
    pub(crate) async fn next_number(&self, author: &Actor) -> Result<u32> {
        let person = self.change(author, |person| person.last = person.last.saturating_add(1)).await?;
        Ok(person.last)
    }

    /// Remembers that a reminder is over. Before its trigger goes: a command that is told again after a crash finds one or the other.
    pub(crate) async fn end(&self, author: &Actor, trigger: &str) -> Result<()> {
        self.change(author, |person| {
            person.over.retain(|known| known != trigger);
            person.over.push(trigger.to_owned());
            let forgotten = person.over.len().saturating_sub(OVER_MAX);
            person.over.drain(..forgotten);
        })
        .await
        .map(drop)
    }

    /// Whether a reminder was there and is over.
    pub(crate) async fn is_over(&self, author: &Actor, trigger: &str) -> Result<bool> {
        let person = self.storage.get::<Person>(&key(author)).await?;
        Ok(person.is_some_and(|person| person.value.over.iter().any(|known| known == trigger)))
    }

    /// Changes what is kept of somebody, again where another command was faster.
    async fn change(&self, author: &Actor, change: impl Fn(&mut Person)) -> Result<Person> {
        let key = key(author);
        loop {
            let (mut person, version) = match self.storage.get::<Person>(&key).await? {
                Some(known) => (known.value, known.version),
                None => (Person::default(), 0),
            };
            change(&mut person);
            if self.storage.compare_and_set(&key, &person, version).await?.is_some() {
                return Ok(person);
            }
        }
    }
}

/// The name of a zone.
pub(crate) fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

fn key(author: &Actor) -> String {
    format!("person/{}", author.id)
}

/// The zone of this name, in whatever case.
fn find_zone(wanted: &str) -> Result<String> {
    if let Ok(zone) = TimeZone::get(wanted) {
        return Ok(zone_name(&zone).to_owned());
    }
    let part = wanted.trim().replace(' ', "_").to_lowercase();
    let like = |name: &String| !part.is_empty() && name.to_lowercase().contains(&part);
    let known = jiff::tz::db().available().map(|name| name.to_string()).filter(like);
    let suggested: Vec<String> = known.take(SUGGESTED_MAX).map(|name| format!("`/remind zone {name}`")).collect();
    let hint = match suggested.is_empty() {
        true => "the names are like `Europe/Berlin`, `America/New_York` or `UTC`".to_owned(),
        false => format!("do you mean {}?", suggested.join(" or ")),
    };
    let shown: String = wanted.chars().take(40).collect();
    Err(PluginError::input(format!("there is no time zone `{shown}`: {hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, expected: &str) {
        let found = find_zone(wanted).unwrap_or_else(|error| error.message().to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn zones_are_found_or_suggested() {
        check("europe/berlin", "Europe/Berlin");
        check("UTC", "UTC");
        check("berlin", "there is no time zone `berlin`: do you mean `/remind zone Europe/Berlin`?");
        check("New York", "there is no time zone `New York`: do you mean `/remind zone America/New_York`?");
        check(
            "the moon",
            "there is no time zone `the moon`: the names are like `Europe/Berlin`, `America/New_York` or `UTC`",
        );
    }
}
