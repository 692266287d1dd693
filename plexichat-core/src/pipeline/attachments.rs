//! Stage 5: the files that are to hang on a message. Each came by its own road and was judged there; here is asked whether it
//! may hang on this message.

use super::Pipeline;
use super::files::{FileState, Servable};
use super::message::{Admitted, Message};
use super::refusal::Refusal;
use crate::id::{FileId, RoomId};
use crate::message::{Actor, Attachment};
use crate::problem::Problem;

/// How many files may hang on one message.
pub const ATTACHMENTS_MAX: usize = 10;

/// What a store knows of a file that somebody wants to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachable {
    /// Who uploaded it.
    pub uploader: Actor,
    /// The room it was uploaded to.
    pub room_id: RoomId,
    /// What clients see of it.
    pub attachment: Attachment,
    /// How far it got.
    pub state: FileState,
    /// Whether it hangs on a message.
    pub attached: bool,
}

impl Pipeline {
    /// Finds the files that are to hang on the message, and whether each may.
    pub(super) async fn attach(&self, message: &mut Message<Admitted>) -> Result<(), Refusal> {
        let ids = message.attachments();
        if ids.is_empty() {
            return Ok(());
        }
        check_ids(ids)?;
        let found = self.store.files(ids).await?;
        let attached = check(ids, found, message.author(), message.room_id())?;
        message.attach(attached);
        Ok(())
    }
}

fn check_ids(ids: &[FileId]) -> Result<(), Refusal> {
    let mut problems = Vec::new();
    if ids.len() > ATTACHMENTS_MAX {
        let message = format!("has {} files, at most {ATTACHMENTS_MAX} are possible", ids.len());
        problems.push(Problem::new("/attachments", message));
    }
    let twice = ids.iter().take(ATTACHMENTS_MAX).enumerate().filter(|(place, id)| ids[..*place].contains(id));
    problems.extend(twice.map(|(place, id)| problem(place, format!("the file `{id}` is there twice"))));
    if problems.is_empty() { Ok(()) } else { Err(Refusal::Invalid(problems)) }
}

fn check(
    ids: &[FileId],
    found: Vec<Option<Attachable>>,
    author: &Actor,
    room_id: RoomId,
) -> Result<Vec<Attachment>, Refusal> {
    let (mut attached, mut problems, mut waits) = (Vec::new(), Vec::new(), None);
    for (place, (id, file)) in ids.iter().zip(found).enumerate() {
        // Another's file, or another room's, is as good as none: its state is nobody's business.
        let own = |file: &Attachable| {
            let same = file.uploader.kind == author.kind && file.uploader.id == author.id;
            same && file.room_id == room_id && file.state != FileState::Deleted
        };
        let Some(file) = file.filter(own) else {
            let problem = problem(place, format!("you have no file `{id}` in this room"));
            problems.push(problem.hint("upload it first: POST /api/v1/rooms/{id}/files"));
            continue;
        };
        match file.state {
            FileState::Quarantined => return Err(Refusal::AttachmentInfected { file: *id }),
            _ if file.attached => problems.push(problem(place, format!("the file `{id}` hangs on another message"))),
            state if Servable::of(*id, state).is_none() => waits = Some(*id),
            _ => attached.push(file.attachment),
        }
    }
    match waits {
        _ if !problems.is_empty() => Err(Refusal::Invalid(problems)),
        Some(file) => Err(Refusal::AttachmentPending { file }),
        None => Ok(attached),
    }
}

fn problem(place: usize, message: String) -> Problem {
    Problem::new(format!("/attachments/{place}"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Actor {
        Actor::user("1", "ann")
    }

    fn room() -> RoomId {
        RoomId::from_bytes([7; 16])
    }

    fn file(id: FileId, state: FileState) -> Attachable {
        let attachment = Attachment { id, name: "a.txt".to_owned(), size: 5, mime: "text/plain".to_owned() };
        Attachable { uploader: ann(), room_id: room(), attachment, state, attached: false }
    }

    #[track_caller]
    fn check_one(state: FileState, change: impl FnOnce(&mut Attachable), expected: Result<(), (u16, &str)>) {
        let id = FileId::new();
        let mut found = file(id, state);
        change(&mut found);
        let attached = check(&[id], vec![Some(found)], &ann(), room());
        let attached = attached.map(|attached| assert_eq!(attached[0].id, id));
        assert_eq!(attached.map_err(|refusal| (refusal.http_status(), refusal.code())), expected);
    }

    #[test]
    fn only_ones_own_judged_file_of_the_room_hangs_on_a_message() {
        check_one(FileState::Clean, |_| {}, Ok(()));
        check_one(FileState::Unscanned, |_| {}, Ok(()));
        check_one(FileState::Pending, |_| {}, Err((409, "attachment_pending")));
        check_one(FileState::Quarantined, |_| {}, Err((422, "attachment_infected")));
        check_one(FileState::Deleted, |_| {}, Err((422, "invalid_message")));
        check_one(FileState::Clean, |file| file.attached = true, Err((422, "invalid_message")));
        check_one(FileState::Clean, |file| file.room_id = RoomId::new(), Err((422, "invalid_message")));
    }

    /// Fault 77: of another's file not even its state is told.
    #[test]
    fn anothers_file_is_none() {
        for state in [FileState::Clean, FileState::Pending, FileState::Quarantined] {
            check_one(state, |file| file.uploader = Actor::user("2", "bob"), Err((422, "invalid_message")));
            check_one(state, |file| file.uploader = Actor::plugin("1"), Err((422, "invalid_message")));
        }
        let refused = check(&[FileId::new()], vec![None], &ann(), room());
        assert_eq!(refused.map_err(|refusal| refusal.code()), Err("invalid_message"));
    }

    #[test]
    fn many_files_and_one_file_twice_are_refused() {
        let ids: Vec<FileId> = (0..=ATTACHMENTS_MAX).map(|_| FileId::new()).collect();
        assert!(check_ids(&ids[1..]).is_ok());
        assert!(check_ids(&ids).is_err());
        let Err(Refusal::Invalid(problems)) = check_ids(&[ids[0], ids[1], ids[0]]) else { panic!("it is there twice") };
        assert_eq!(problems[0].pointer, "/attachments/2");
    }
}
