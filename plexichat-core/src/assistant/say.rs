//! What an assistant writes: its answers as messages, in parts where one would be too long, and what the host says in its
//! name. Knows no model.

use std::sync::Arc;

use super::answer::stored;
use super::conversation::HOST;
use super::question::KeptAnswer;
use super::{Assistants, Question};
use crate::ai::{AiError, AiErrorKind};
use crate::dispatch::{Retry, nth, post};
use crate::id::EventId;
use crate::message::{Actor, ActorKind, Origin, StoredRow};
use crate::pipeline::{Incoming, Posted, Refusal};

/// How many messages one answer may become.
const PARTS: usize = 10;

/// The key of the answer to a message, under which it is found again.
pub(super) fn key(posted: &Posted, part: usize) -> String {
    match part {
        0 => format!("ai/{}", posted.row.id),
        part => format!("ai/{}/{part}", posted.row.id),
    }
}

/// The host, as it speaks in the name of the assistant.
pub(super) fn host(name: &str) -> Actor {
    Actor { kind: ActorKind::Ai, id: HOST.into(), name: name.into() }
}

impl Assistants {
    /// Writes one message, however often that has to be tried.
    pub(super) async fn write(
        &self,
        posted: &Posted,
        author: Actor,
        text: String,
        part: usize,
        retry: Retry,
    ) -> Result<Arc<StoredRow>, Refusal> {
        let row = &posted.row;
        let incoming = Incoming {
            author,
            room_id: row.room_id,
            text,
            reply_to: Some(row.id),
            attachments: Vec::new(),
            origin: Origin::System,
            key: Some(key(posted, part)),
            cause_id: Some(EventId::about(row.id, nth::MESSAGE_RECEIVED)),
            cause_depth: posted.cause_depth + 1,
        };
        Ok(post(&self.pipeline, incoming, retry, || {}).await?.row)
    }

    /// Says something in the assistant's name that no model said. Nothing where it is refused: that is logged.
    pub(super) async fn say(&self, posted: &Posted, name: &str, text: String, retry: Retry) -> Option<Arc<StoredRow>> {
        match self.write(posted, host(name), text, 0, retry).await {
            Ok(row) => Some(row),
            Err(refusal) => {
                tracing::warn!(message = %posted.row.id, %refusal, "what the assistant had to say was refused and is given up");
                None
            }
        }
    }

    /// An answer's text as messages.
    pub(super) fn parts(&self, text: &str) -> Vec<String> {
        parts(text, self.pipeline.text_bytes())
    }

    /// Writes an answer: all of it or, where a scanner refuses a part, what came before.
    pub(super) async fn write_answer(
        &self,
        question: &Question,
        author: &Actor,
        parts: Vec<String>,
    ) -> (Vec<Arc<StoredRow>>, Option<Refusal>) {
        if parts.len() > 1 {
            // One message is stored or not; of several, the server may end in between.
            let answer = KeptAnswer { author: author.clone(), parts: parts.clone() };
            stored!(question.retry, self.questions.answered(question.posted.row.id, answer.clone()));
        }
        let mut rows = Vec::new();
        for (part, text) in parts.into_iter().enumerate() {
            match self.write(&question.posted, author.clone(), text, part, question.retry).await {
                Ok(row) => rows.push(row),
                Err(refusal) => return (rows, Some(refusal)),
            }
        }
        (rows, None)
    }
}

/// A text in pieces of at most so many bytes, cut between paragraphs, lines or words where that can be.
fn parts(text: &str, most: usize) -> Vec<String> {
    const CUT: &str = "\n\n[the rest is left out: the answer is too long]";
    let text = text.replace('\0', "");
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let last = parts.len() + 1 == PARTS;
        let most = if last { most.saturating_sub(CUT.len()) } else { most };
        if rest.len() <= most || most == 0 {
            parts.push(rest.to_owned());
            break;
        }
        let end = (0..=most).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let head = &rest[..end];
        // Not so near to its beginning that the parts become many.
        let cut = ["\n\n", "\n", " "].iter().find_map(|gap| head.rfind(gap).filter(|at| *at > end / 2)).unwrap_or(end);
        let (head, tail) = rest.split_at(cut.max(1).min(rest.len()));
        if last {
            parts.push(format!("{}{CUT}", head.trim_end()));
            break;
        }
        parts.push(head.trim_end().to_owned());
        rest = tail.trim_start();
    }
    parts
}

/// What people read where a model gave no answer.
pub(super) fn failure(code: &str, message: &str, hint: &str) -> String {
    format!("I cannot answer ({code}): {message}. {hint}")
}

/// The same for what a provider said: its code, what may be read of it, what to do.
pub(super) fn ai_failure(error: &AiError) -> String {
    failure(error.kind().code(), error.public_message().trim_end_matches('.'), hint(error.kind()))
}

fn hint(kind: AiErrorKind) -> &'static str {
    match kind {
        AiErrorKind::Auth | AiErrorKind::PermissionDenied => "An operator has to look at the provider's key.",
        AiErrorKind::ModelNotFound => "`/ai models` lists the models.",
        AiErrorKind::ContextLength { .. } => "Ask with fewer words, or another model: `/ai models` lists them.",
        AiErrorKind::QuotaExceeded { .. } => "Ask again later, or an operator for more.",
        AiErrorKind::ContentFiltered => "Ask in other words.",
        AiErrorKind::InvalidRequest => "Ask in other words, or another model: `/ai models` lists them.",
        _ => "Try again in a moment; if it stays so, tell an operator.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, most: usize, expected: &[&str]) {
        assert_eq!(parts(text, most), expected, "{text:?} in {most}");
    }

    #[test]
    fn long_texts_are_cut_where_it_hurts_least() {
        check(" short \n", 10, &["short"]);
        check("one two three", 8, &["one two", "three"]);
        check("one\n\ntwo three", 9, &["one\n\ntwo", "three"]);
        check("first line\nsecond", 14, &["first line", "second"]);
        check("abcdefghij", 4, &["abcd", "efgh", "ij"]);
        check("ääää", 3, &["ä", "ä", "ä", "ä"]);
        check("a\0b", 3, &["ab"]);
        let many = parts(&"x".repeat(10_000), 100);
        assert_eq!(many.len(), PARTS);
        assert!(many.iter().all(|part| part.len() <= 100));
        assert!(many[PARTS - 1].ends_with("[the rest is left out: the answer is too long]"));
    }

    #[test]
    fn what_is_the_operators_alone_is_not_said() {
        let error = AiError::new(AiErrorKind::Auth, "the key sk-1 was refused");
        assert_eq!(
            ai_failure(&error),
            "I cannot answer (provider_auth): the provider refused this server's key. An operator has to look at the \
             provider's key."
        );
    }
}
