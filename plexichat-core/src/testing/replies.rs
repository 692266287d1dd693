//! A model's answer and an attempt to sign in, shown to the plugin under test by the real pipeline. Knows no provider.

use super::TestResult;
use super::running::RunningPlugin;
use crate::descriptor::Registered;
use crate::id::RoomId;
use crate::login::LoginAttempt;
use crate::message::{Actor, ActorKind, Origin};
use crate::pipeline::{Refusal, ReplyAbout};

/// What people were shown of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// What was shown, and behind how many pieces of the model's: the number of all of them and one more for what came at the
    /// end.
    pub shown: Vec<(usize, String)>,
    /// Why nothing more was.
    pub refusal: Option<Refusal>,
}

impl Heard {
    /// All that was shown.
    pub fn text(&self) -> String {
        self.shown.iter().map(|(_, text)| text.as_str()).collect()
    }
}

impl<P: Registered> RunningPlugin<P> {
    /// Has a model say these pieces to somebody outside of rooms, through everyone who judges answers.
    ///
    /// # Errors
    /// Where a scanner whose word is needed does not run.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn hear(&self, pieces: &[&str]) -> TestResult<Heard> {
        self.hear_in(None, pieces).await
    }

    /// The same for a room, whose policy counts.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn hear_in(&self, room_id: Option<RoomId>, pieces: &[&str]) -> TestResult<Heard> {
        let author = Actor { kind: ActorKind::Ai, id: "test/model".into(), name: "model".into() };
        let about = ReplyAbout { author, asked_by: self.actor("alice"), room_id, origin: Origin::Rest };
        let mut scanner = self.host().pipeline.reply_scanner(about).await?;
        let mut heard = Heard { shown: Vec::new(), refusal: None };
        for (index, piece) in pieces.iter().enumerate() {
            match scanner.push(piece).await {
                Ok(delta) => heard.shown.extend(delta.map(|delta| (index + 1, delta.text().to_owned()))),
                Err(refusal) => {
                    heard.refusal = Some(refusal);
                    return Ok(heard);
                }
            }
        }
        match scanner.finish().await {
            Ok(delta) => heard.shown.extend(delta.map(|delta| (pieces.len() + 1, delta.text().to_owned()))),
            Err(refusal) => heard.refusal = Some(refusal),
        }
        Ok(heard)
    }

    /// Has everyone who judges that look at an attempt to sign in.
    ///
    /// # Errors
    /// Where it is refused.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn sign_in(&self, attempt: LoginAttempt) -> Result<(), Refusal> {
        self.host().pipeline.check_login(attempt).await
    }
}
