//! One reminder: what is kept of it, and how it is told. Knows no store and no parser.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plexichat::id::RoomId;
use plexichat::message::Actor;

/// How long after its time a reminder says that it is late.
const LATE_SECONDS: i64 = 60;

/// One reminder, as it is kept in its trigger's input: the trigger is all there is of it.
#[plexichat::model]
pub(crate) struct Appointment {
    /// Its number among those of the same person.
    pub(crate) number: u32,
    /// Who asked for it, by the name of that day.
    pub(crate) person: String,
    /// Who that is to the host. Nothing in those that were made before it was kept: their trigger's identifier begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<Actor>,
    /// The room in which it was asked for.
    pub(crate) room_id: RoomId,
    /// Whether it is for everybody in the room.
    pub(crate) for_all: bool,
    /// What to say.
    pub(crate) text: String,
    /// The zone in which its times were meant.
    pub(crate) zone: String,
    /// What it means, where it comes again and again: `every Monday at 10:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<String>,
}

impl Appointment {
    /// Who asked for it, whose trigger this is.
    pub(crate) fn asked_by(&self, trigger: &str) -> Actor {
        let of_old = || Actor::user(trigger.split('/').next().unwrap_or_default(), &self.person);
        self.author.clone().unwrap_or_else(of_old)
    }

    /// What is posted when it was due at `due` and it is `now`.
    pub(crate) fn message(&self, due: Timestamp, now: Timestamp) -> String {
        let Self { person, text, .. } = self;
        let mut message = match self.for_all {
            true => format!("⏰ {text} (a reminder from {person})"),
            false if person.contains(char::is_whitespace) => format!("⏰ @\"{person}\" {text}"),
            false => format!("⏰ @{person} {text}"),
        };
        if now.as_second() - due.as_second() > LATE_SECONDS {
            let due = moment(due, &self.zone());
            message.push_str(&format!("\nThis is late: it was due on {due}, while I could not speak."));
        }
        message
    }

    /// Its line in a list that is shown in `room`; `next` is when it comes next.
    pub(crate) fn line(&self, next: Option<Timestamp>, room: RoomId, zone: &TimeZone) -> String {
        let next = next.map_or_else(|| "now".to_owned(), |next| moment(next, zone));
        let again = self.again.as_ref().map_or_else(String::new, |again| match self.zone() == *zone {
            true => format!(", {again}"),
            false => format!(", {again} in {}", self.zone),
        });
        // What was asked for elsewhere may be nothing for those who are here.
        let text = if self.room_id == room { self.text.as_str() } else { "(in another room)" };
        format!("{}. {next}{again}: {text}", self.number)
    }

    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC)
    }
}

/// A moment as people read it, in a zone.
pub(crate) fn moment(time: Timestamp, zone: &TimeZone) -> String {
    let time = time.to_zoned(zone.clone());
    let format = if time.second() == 0 { "%A, %-d %B %Y at %H:%M" } else { "%A, %-d %B %Y at %H:%M:%S" };
    format!("{} ({})", time.strftime(format), zone.iana_name().unwrap_or("UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appointment(person: &str, for_all: bool) -> Appointment {
        Appointment {
            number: 3,
            person: person.to_owned(),
            author: None,
            room_id: RoomId::new(),
            for_all,
            text: "call Ann".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            again: None,
        }
    }

    #[track_caller]
    fn check(person: &str, for_all: bool, late: i64, expected: &str) {
        let due: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let now = Timestamp::from_second(due.as_second() + late).unwrap();
        assert_eq!(appointment(person, for_all).message(due, now), expected);
    }

    #[test]
    fn the_person_is_named() {
        check("bob", false, 0, "⏰ @bob call Ann");
        check("Bob Lee", false, 59, "⏰ @\"Bob Lee\" call Ann");
        check("bob", true, 1, "⏰ call Ann (a reminder from bob)");
    }

    #[test]
    fn a_late_one_says_so() {
        let late =
            "This is late: it was due on Monday, 23 November 2026 at 09:00 (Europe/Berlin), while I could not speak.";
        check("bob", false, 61, &format!("⏰ @bob call Ann\n{late}"));
    }

    #[test]
    fn a_list_shows_no_text_of_other_rooms() {
        let (appointment, zone) = (appointment("bob", false), TimeZone::get("Europe/Berlin").unwrap());
        let next = Some("2026-11-23T08:00:00Z".parse().unwrap());
        let line = appointment.line(next, appointment.room_id, &zone);
        assert_eq!(line, "3. Monday, 23 November 2026 at 09:00 (Europe/Berlin): call Ann");
        let line = appointment.line(next, RoomId::new(), &TimeZone::UTC);
        assert_eq!(line, "3. Monday, 23 November 2026 at 08:00 (UTC): (in another room)");
    }
}
