//! What a model is told: the system prompt, the room's messages as turns, the question; cut to what fits. Knows no store.

use std::collections::{BTreeSet, HashMap};

use crate::ai::{ImageSource, Part, Turn, TurnRole};
use crate::id::FileId;
use crate::message::{Actor, ActorKind, Attachment, StoredRow};
use crate::plugin::ai_provider::estimated_tokens;

/// The identifier under which the host itself speaks as the assistant: what it says of failures is no part of a conversation.
pub(super) const HOST: &str = "assistant";

/// The largest picture that a model is shown, in bytes.
pub(super) const PICTURE_MAX: u64 = 5 << 20;

/// How many pictures a model is shown, the newest.
pub(super) const PICTURES_MAX: usize = 8;

/// The room for an answer where neither the room nor the model says how long one may be, in tokens.
const ANSWER: u32 = 1024;

/// The types of pictures that services know.
const PICTURE_TYPES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// A conversation to be told.
pub(super) struct Conversation<'a> {
    /// What the assistant is called.
    pub(super) name: &'a str,
    /// What the room wants it to be told.
    pub(super) system_prompt: Option<&'a str>,
    /// The messages before the question, the oldest first.
    pub(super) history: &'a [StoredRow],
    /// Who asks what.
    pub(super) asker: &'a Actor,
    pub(super) question: &'a str,
    pub(super) attachments: &'a [Attachment],
    /// The pictures that the model is shown, in base64.
    pub(super) pictures: &'a HashMap<FileId, String>,
    /// How many tokens question, history and answer may have, where that is known.
    pub(super) context_tokens: Option<u32>,
    /// How many of them are the answer's.
    pub(super) answer_tokens: Option<u32>,
    /// How many of them the tools take.
    pub(super) tools_tokens: u32,
}

impl Conversation<'_> {
    /// The turns: the system prompt, as much of the history as fits, the newest of it, and the question.
    pub(super) fn turns(&self) -> Vec<Turn> {
        let people: BTreeSet<(&str, &str)> =
            self.history.iter().filter(|row| row.author.kind == ActorKind::User).map(|row| of(&row.author)).collect();
        let several = people.iter().any(|person| *person != of(self.asker));
        let system = Turn::system(self.system());
        let question = self.turn(self.asker, self.question, self.attachments, several);
        let spent = estimated_tokens(&[system.clone(), question.clone()]).saturating_add(self.tools_tokens);
        let budget = self.context_tokens.map(|context| {
            let answer = self.answer_tokens.unwrap_or(ANSWER).min(context / 2);
            context.saturating_sub(answer).saturating_sub(spent)
        });
        let mut left = budget.unwrap_or(u32::MAX);
        let mut turns = Vec::new();
        for row in self.history.iter().rev() {
            let turn = self.turn(&row.author, &row.text, &row.attachments, several);
            let cost = estimated_tokens(std::slice::from_ref(&turn));
            if cost > left {
                break;
            }
            left -= cost;
            turns.push(turn);
        }
        turns.reverse();
        turns.insert(0, system);
        turns.push(question);
        turns
    }

    fn system(&self) -> String {
        match self.system_prompt {
            Some(prompt) => prompt.to_owned(),
            None => format!(
                "You are {}, an assistant in a chat room. Answer the last message; those before it are what was said. Where \
                 several people talk, their names stand before their messages.",
                self.name
            ),
        }
    }

    fn turn(&self, author: &Actor, text: &str, attachments: &[Attachment], several: bool) -> Turn {
        let role = if author.kind == ActorKind::Ai { TurnRole::Assistant } else { TurnRole::User };
        let mut parts = Vec::new();
        // What is no person is always named: it is none of those who talk.
        let named = role == TurnRole::User && (several || author.kind != ActorKind::User);
        let mut said = match named {
            true => format!("{}: {text}", author.name),
            false => text.to_owned(),
        };
        let mut pictures = Vec::new();
        for attachment in attachments {
            if let Some(base64) = self.pictures.get(&attachment.id) {
                let source = ImageSource::Data { mime: attachment.mime.clone(), base64: base64.clone() };
                pictures.push(Part::Image { source });
            } else {
                let Attachment { name, mime, size, .. } = attachment;
                let before = if said.is_empty() { "" } else { "\n" };
                said.push_str(&format!("{before}[attached: {name}, {mime}, {size} bytes]"));
            }
        }
        if !said.is_empty() {
            parts.push(Part::Text { text: said });
        }
        parts.extend(pictures);
        Turn { role, parts }
    }
}

/// The pictures that a model may be shown of these messages, the newest first.
pub(super) fn wanted_pictures<'a>(attachments: impl Iterator<Item = &'a Attachment>) -> Vec<FileId> {
    let wanted = attachments.filter(|file| PICTURE_TYPES.contains(&file.mime.as_str()) && file.size <= PICTURE_MAX);
    wanted.take(PICTURES_MAX).map(|file| file.id).collect()
}

fn of(actor: &Actor) -> (&str, &str) {
    (&actor.id, &actor.name)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MessageId, RoomId};
    use crate::message::{MessageState, Time};

    fn row(author: &Actor, text: &str) -> StoredRow {
        StoredRow {
            id: MessageId::new(),
            room_id: RoomId::new(),
            seq: 1,
            text: text.to_owned(),
            author: author.clone(),
            reply_to: None,
            state: MessageState::Stored,
            revision: 1,
            created_at: Time::from_micros(0),
            edited_at: None,
            attachments: Vec::new(),
            reactions: Vec::new(),
        }
    }

    fn told(history: &[StoredRow], asker: &Actor, context_tokens: Option<u32>) -> Vec<String> {
        let conversation = Conversation {
            name: "bot",
            system_prompt: Some("Be kind."),
            history,
            asker,
            question: "why?",
            attachments: &[],
            pictures: &HashMap::new(),
            context_tokens,
            answer_tokens: Some(10),
            tools_tokens: 0,
        };
        let turns = conversation.turns();
        turns.iter().map(|turn| format!("{:?} {}", turn.role, turn.joined_text())).collect()
    }

    #[test]
    fn names_stand_before_what_people_say_where_there_are_several() {
        let (ann, bob) = (Actor::user("1", "ann"), Actor::user("2", "bob"));
        let bot = Actor { kind: ActorKind::Ai, id: "a/b".into(), name: "bot".into() };
        let alone = [row(&ann, "hi"), row(&bot, "hello")];
        assert_eq!(told(&alone, &ann, None), ["System Be kind.", "User hi", "Assistant hello", "User why?"]);
        assert_eq!(told(&alone, &bob, None), ["System Be kind.", "User ann: hi", "Assistant hello", "User bob: why?"]);
    }

    #[test]
    fn what_does_not_fit_is_cut_at_its_oldest_end() {
        let ann = Actor::user("1", "ann");
        let long = "x".repeat(100);
        let history: Vec<_> = (0..10).map(|n| row(&ann, &format!("{n} {long}"))).collect();
        let fits = told(&history, &ann, Some(100));
        assert_eq!(fits.len(), 4, "{fits:?}");
        assert!(fits[1].starts_with("User 8") && fits[2].starts_with("User 9"), "{fits:?}");
        assert_eq!(told(&history, &ann, Some(1)), ["System Be kind.", "User why?"], "these two are always there");
        assert_eq!(told(&history, &ann, None).len(), 12);
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
