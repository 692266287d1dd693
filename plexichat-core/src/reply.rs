//! The words of answers on their way from a model to people, as scanners see them. Knows no pipeline and no provider.

use crate::id::RoomId;
use crate::message::{Actor, Origin};

/// A part of a model's answer as a security plugin sees it, before people do.
///
/// In the mode [`ReplyMode::Buffer`] it is the whole answer. In [`ReplyMode::Window`] it is what has come since the last
/// call, with the end of what was judged before in front of it: what begins in one window and ends in the next is in
/// [`text`](Self::text) as a whole.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ReplyView<'a> {
    /// The model, as it would sign a message: its identifier is `plugin/model`.
    pub author: &'a Actor,
    /// Who asked.
    pub asked_by: &'a Actor,
    /// The room that it is for; nothing where it was asked elsewhere.
    pub room_id: Option<RoomId>,
    /// By which road the question came.
    pub origin: Origin,
    /// The end of what was judged before, then what is new, as one text.
    text: &'a str,
    /// Where the new part begins.
    new_at: usize,
    /// Whether the answer ends here.
    pub last: bool,
}

impl<'a> ReplyView<'a> {
    /// A part of an answer: what was judged before and is shown again, and what is new, are one text that is cut at `new_at`.
    /// Hosts and tests make these.
    ///
    /// # Panics
    /// Where `new_at` is no place between two characters of the text.
    pub fn new(author: &'a Actor, asked_by: &'a Actor, text: &'a str, new_at: usize) -> Self {
        assert!(text.is_char_boundary(new_at), "a reply is cut between two characters");
        Self { author, asked_by, room_id: None, origin: Origin::System, text, new_at, last: true }
    }

    /// The room that it is for, and by which road the question came.
    #[must_use]
    pub fn of(mut self, room_id: Option<RoomId>, origin: Origin) -> Self {
        self.room_id = room_id;
        self.origin = origin;
        self
    }

    /// More is to come.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.last = false;
        self
    }

    /// What is to be judged: [`seen`](Self::seen) and [`new_text`](Self::new_text) as one text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The end of what was judged before: at most as many characters as the overlap has.
    pub fn seen(&self) -> &'a str {
        &self.text[..self.new_at]
    }

    /// What was not judged before.
    pub fn new_text(&self) -> &'a str {
        &self.text[self.new_at..]
    }
}

/// How a scanner wants to see answers. One answer has one mode: the strictest that any scanner wants which judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Nothing is shown before all of it was judged. The default.
    #[default]
    Buffer,
    /// It is judged and shown piece by piece.
    Window {
        /// How many characters are judged at once.
        chars: usize,
        /// How many of those that were judged are kept back, and seen again with the next ones: as many as the longest thing
        /// that the scanner looks for. Nothing of at most that length is shown before it was judged as a whole.
        overlap: usize,
    },
    /// It is shown at once. What the scanner objects to is told to operators, and nothing is withheld.
    AuditOnly,
}

impl ReplyMode {
    /// The stricter of two. Of two windows the longer one, with the longer overlap.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Buffer, _) | (_, Self::Buffer) => Self::Buffer,
            (Self::AuditOnly, other) => other,
            (one, Self::AuditOnly) => one,
            (Self::Window { chars, overlap }, Self::Window { chars: more, overlap: longer }) => {
                Self::Window { chars: chars.max(more), overlap: overlap.max(longer) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_mode_wins() {
        let window = |chars, overlap| ReplyMode::Window { chars, overlap };
        let check = |one: ReplyMode, other: ReplyMode, stricter: ReplyMode| {
            assert_eq!((one.and(other), other.and(one)), (stricter, stricter));
        };
        check(ReplyMode::AuditOnly, ReplyMode::AuditOnly, ReplyMode::AuditOnly);
        check(ReplyMode::AuditOnly, window(10, 2), window(10, 2));
        check(window(10, 2), window(4, 8), window(10, 8));
        check(window(10, 2), ReplyMode::Buffer, ReplyMode::Buffer);
        check(ReplyMode::AuditOnly, ReplyMode::Buffer, ReplyMode::Buffer);
    }

    #[test]
    fn a_view_is_cut_where_the_new_text_begins() {
        let (model, asker) = (Actor::plugin("model"), Actor::user("1", "alice"));
        let view = ReplyView::new(&model, &asker, "grüße dich", 7).unfinished();
        assert_eq!((view.seen(), view.new_text(), view.text(), view.last), ("grüße", " dich", "grüße dich", false));
    }
}
