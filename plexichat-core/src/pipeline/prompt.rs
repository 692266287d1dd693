//! What is asked of a model outside of rooms: judged like a message, and kept nowhere.

use super::message::{Incoming, Message};
use super::scan::Refused;
use super::{Pipeline, Refusal, scan, told};
use crate::descriptor::Hook;
use crate::event::Event;
use crate::id::{PluginName, RoomId};
use crate::message::{Actor, Finding, Origin};

impl Pipeline {
    /// Shows what is asked of a model to everyone who judges messages: what comes back is the text to send, as rewriting
    /// hooks left it. Nothing is stored.
    ///
    /// # Errors
    /// [`Refusal::Rejected`]: a scanner objects, or would hold it back, and there is nobody to hold it for.
    /// [`Refusal::ScannerUnavailable`]: one whose word is needed gives none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn clear_prompt(
        &self,
        author: &Actor,
        room_id: Option<RoomId>,
        text: String,
        origin: Origin,
    ) -> Result<String, Refusal> {
        let scanning = match room_id {
            Some(room_id) => self.scanning(room_id).await?,
            None => self.scanning_everywhere(),
        };
        let incoming = Incoming {
            author: author.clone(),
            // No room has this identifier.
            room_id: room_id.unwrap_or_else(|| RoomId::from_bytes([0; 16])),
            text,
            reply_to: None,
            attachments: Vec::new(),
            origin,
            key: None,
            cause_id: None,
            cause_depth: 0,
        };
        let mut admitted = Message::receive_prompt(incoming).admit();
        let passed = scan::rewrite(&scanning, &mut admitted, usize::MAX).await?;
        let about = Prompt { author, room_id, origin };
        let cleared = match scan::scan(&scanning, admitted, passed).await {
            Ok(cleared) => cleared,
            Err(Refused { refusal, .. }) => return Err(self.withhold(&about, refusal)),
        };
        if cleared.state().is_shown() {
            for (plugin, finding) in cleared.findings().iter().filter(|(_, finding)| finding.code != scan::UNSCANNED) {
                self.alert_prompt(&about, "low", plugin, finding);
            }
            return Ok(cleared.text().to_owned());
        }
        let objects = cleared.findings().iter().find(|(_, finding)| finding.code != scan::UNAVAILABLE);
        Err(match (objects, cleared.findings().first()) {
            (Some((plugin, finding)), _) => {
                let refusal = Refusal::Rejected { plugin: plugin.clone(), finding: finding.clone() };
                self.withhold(&about, refusal)
            }
            // Its policy is to hold back what it cannot judge: that is something to try again.
            (None, Some((plugin, _))) => {
                Refusal::ScannerUnavailable { plugin: plugin.clone(), hook: Hook::ScanMessage }
            }
            (None, None) => Refusal::Held,
        })
    }

    fn withhold(&self, about: &Prompt<'_>, refusal: Refusal) -> Refusal {
        if let Refusal::Rejected { plugin, finding } = &refusal {
            let (author, code) = (&*about.author.id, &*finding.code);
            tracing::info!(%plugin, author, code, "what was asked of a model was rejected");
            self.alert_prompt(about, "medium", plugin, finding);
        }
        refusal
    }

    fn alert_prompt(&self, about: &Prompt<'_>, severity: &str, plugin: &PluginName, finding: &Finding) {
        let subject = format!("what `{}` asks of a model", about.author.name);
        let mut event = Event::new(told::alert(severity, plugin, finding, subject));
        event.actor = about.author.clone();
        event.origin = about.origin;
        event.room_id = about.room_id;
        self.tail.announcer.announce(event);
    }
}

struct Prompt<'a> {
    author: &'a Actor,
    room_id: Option<RoomId>,
    origin: Origin,
}
