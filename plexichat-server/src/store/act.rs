//! Who does something and by which request: what events and the audit log tell of an act. Knows no act.

use plexichat::event::{Event, Payload};
use plexichat::id::RoomId;
use plexichat::message::{Actor, Origin};
use serde_json::Value;

use super::Audit;

/// Who does something, and by which request.
#[derive(Debug, Clone)]
pub struct Act {
    by: Actor,
    ip: Option<String>,
    request_id: Option<String>,
}

impl Act {
    /// Somebody's, over the API.
    pub fn new(by: Actor, ip: Option<String>, request_id: Option<String>) -> Self {
        Self { by, ip, request_id }
    }

    /// The server's own.
    pub fn system() -> Self {
        Self::new(Actor::system(), None, None)
    }

    /// The same request, as somebody who was not known before: who logs in, say.
    #[must_use]
    pub fn done_by(&self, by: Actor) -> Self {
        Self { by, ..self.clone() }
    }

    /// Who.
    pub fn by(&self) -> &Actor {
        &self.by
    }

    /// From which address.
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }

    /// A row for the audit log: `action` is `noun.verb`, `subject` an identifier or a name, `detail` has no secrets and
    /// nothing that people wrote.
    pub fn audit(&self, action: &'static str, subject: impl ToString, detail: Value) -> Audit {
        Audit {
            actor: self.by.clone(),
            action,
            subject: subject.to_string(),
            detail,
            ip: self.ip.clone(),
            request_id: self.request_id.clone(),
        }
    }

    /// An event that tells of it.
    pub fn event<P: Payload>(&self, room_id: Option<RoomId>, payload: P) -> Event {
        let mut event = Event::new(payload);
        event.origin = if self.request_id.is_some() { Origin::Rest } else { Origin::System };
        event.actor = self.by.clone();
        event.room_id = room_id;
        event
    }
}

#[cfg(test)]
mod tests {
    use plexichat::event::catalog::UserDeleted;
    use plexichat::id::UserId;

    use super::*;

    #[test]
    fn an_act_is_told_as_who_did_it() {
        let ann = Actor::user("1", "ann");
        let act = Act::new(ann.clone(), Some("10.0.0.1".into()), Some("r-1".into()));
        let audit = act.audit("user.delete", "bob", Value::Null);
        assert_eq!((audit.actor, audit.subject.as_str()), (ann.clone(), "bob"));
        assert_eq!((audit.ip.as_deref(), audit.request_id.as_deref()), (Some("10.0.0.1"), Some("r-1")));
        let event = act.event(None, UserDeleted::new(UserId::new(), ann.clone()));
        assert_eq!((event.actor, event.origin), (ann, Origin::Rest));
        let event = Act::system().event(None, UserDeleted::new(UserId::new(), Actor::system()));
        assert_eq!(event.origin, Origin::System);
    }
}
