//! What every store must do where stored messages are changed: edits, deletions, reactions, and what is held back.

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::messages::{Bench, Rooms, incoming};
use crate::event::Event;
use crate::event::catalog::{
    MessageDeleted, MessageQuarantined, MessageReleased, MessageUpdated, ReactionAdded, ReactionRemoved,
};
use crate::id::MessageId;
use crate::message::{Actor, MessageState, Origin, StoredRow};
use crate::pipeline::{Altered, ChangeRow, Changed, Edit, MessageStore, Pipeline, React, Refusal, Told};

/// Checks what befalls stored messages. `make` gives an empty store.
pub(super) async fn message_changes<S: MessageStore>(make: impl AsyncFn() -> Rooms<S>) {
    an_edit_replaces_the_text(make().await).await;
    one_of_many_edits_of_one_revision_counts(make().await).await;
    a_deletion_leaves_the_place_alone(make().await).await;
    each_reacts_once_with_each_emoji(make().await).await;
    what_is_held_back_is_released_or_rejected(make().await).await;
    an_edit_that_is_held_back_hides_the_message(make().await).await;
    missed_changes_are_read_in_pages(make().await).await;
    changes_and_messages_have_one_order(make().await).await;
}

async fn an_edit_replaces_the_text<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let posted = bench.post(incoming(&writer, room, "before")).await.row;
    bench.post(incoming(&writer, room, "next")).await;
    let edited = edit(&bench.pipeline, &writer, posted.id, "after", Some(1)).await.expect("is edited");
    let row = (*edited.row).clone();
    assert_eq!((&*row.text, row.revision, row.state, row.seq), ("after", 2, MessageState::Stored, 1));
    assert_eq!((row.created_at, row.edited_at.is_some()), (posted.created_at, true));
    assert_eq!(bench.history(room).await[0], row, "history shows it in its place");
    assert_eq!(bench.rooms.store.message(posted.id).await, Ok(Some(row.clone())));
    assert_eq!(bench.delivered().len(), 2, "it is no new message");

    let number = edited.change.expect("clients are told");
    let change = ChangeRow { number, room_id: room, what: Changed::Updated(edited.row.clone()) };
    assert_eq!(bench.changes(), std::slice::from_ref(&change));
    let missed = bench.rooms.store.changes(room, 0, 10).await.expect("reads");
    assert_eq!((missed.rows, missed.upto, missed.more, missed.gone), (vec![change], number, false, false));
    let told = last_event(&bench, number);
    let updated = told.payload::<MessageUpdated>().expect("it was edited");
    assert_eq!((updated.revision, &*updated.text, &*updated.old_text_hash), (2, "after", &*hash("before")));
    assert_eq!((&told.actor, told.room_id, told.seq), (&writer, Some(room), Some(1)));

    let stale = edit(&bench.pipeline, &writer, posted.id, "late", Some(1)).await;
    assert_eq!(stale.err(), Some(Refusal::Stale { revision: 2 }));
    let other = edit(&bench.pipeline, &bench.rooms.other_writer, posted.id, "not mine", None).await;
    assert_eq!(other.err(), Some(Refusal::NotAuthor));
    let nothing = edit(&bench.pipeline, &writer, MessageId::new(), "nothing", None).await;
    assert_eq!(nothing.err(), Some(Refusal::NoMessage));
    assert_eq!(bench.rooms.store.message(posted.id).await, Ok(Some(row)), "what is refused changes nothing");
    assert_eq!(bench.changes().len(), 1);
}

async fn one_of_many_edits_of_one_revision_counts<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let writer = bench.rooms.writer.clone();
    let posted = bench.post(incoming(&writer, bench.rooms.room, "before")).await.row;
    let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let edits = texts.iter().map(|text| edit(&bench.pipeline, &writer, posted.id, text, Some(1)));
    let outcomes = join_all(edits).await;
    let mut won = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
    let (first, second) = (won.next().expect("one counts"), won.next());
    assert!(second.is_none(), "and the others saw what is not there any more");
    assert_eq!(bench.rooms.store.message(posted.id).await, Ok(Some((*first.row).clone())));
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(*refused, Refusal::Stale { revision: 2 });
    }
}

async fn a_deletion_leaves_the_place_alone<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let first = bench.post(incoming(&writer, room, "first")).await.row;
    let second = bench.post(incoming(&writer, room, "secret")).await.row;
    edit(&bench.pipeline, &writer, second.id, "secret still", None).await.expect("is edited");
    react(&bench.pipeline, &writer, second.id, "👍", true).await.expect("reacts");
    let refused = bench.pipeline.delete(bench.rooms.other_writer.clone(), second.id, Origin::Rest).await;
    assert_eq!(refused.err(), Some(Refusal::NotModerator));
    let deleted = bench.pipeline.delete(writer.clone(), second.id, Origin::Rest).await.expect("is deleted");
    let row = (*deleted.row).clone();
    assert_eq!((&*row.text, row.state, row.seq), ("", MessageState::Deleted, 2));
    assert!(row.reactions.is_empty() && row.attachments.is_empty());
    assert_eq!(bench.rooms.store.message(second.id).await, Ok(Some(row)));
    assert_eq!(bench.rooms.store.has_message(room, second.id).await, Ok(false), "nothing can answer it");
    let third = bench.post(incoming(&writer, room, "third")).await.row;
    assert_eq!(third.seq, 3, "its place is not given again");
    assert_eq!(texts(&bench.history(room).await), ["first", "third"]);

    let number = deleted.change.expect("clients are told");
    let what = Changed::Deleted { id: second.id, seq: 2 };
    let change = ChangeRow { number, room_id: room, what };
    assert_eq!(bench.changes().last(), Some(&change));
    let missed = bench.rooms.store.changes(room, 0, 10).await.expect("reads");
    assert_eq!(missed.rows, [change], "who missed the edit and the reaction is only told that the message is gone");
    let event = last_event(&bench, number);
    let told = event.payload::<MessageDeleted>().expect("it was deleted");
    assert_eq!((told.message_id, &told.by, told.hard), (second.id, &writer, true));

    for again in [
        bench.pipeline.delete(writer.clone(), second.id, Origin::Rest).await,
        edit(&bench.pipeline, &writer, second.id, "back", None).await,
        react(&bench.pipeline, &writer, second.id, "👍", true).await,
        bench.pipeline.release(Actor::system(), second.id, Origin::System).await,
    ] {
        assert_eq!(again.err(), Some(Refusal::NoMessage), "what is gone stays gone");
    }
    assert!(bench.pipeline.delete(Actor::system(), first.id, Origin::System).await.is_ok(), "the server may");
}

async fn each_reacts_once_with_each_emoji<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (one, two, room) = (bench.rooms.writer.clone(), bench.rooms.other_writer.clone(), bench.rooms.room);
    let message = bench.post(incoming(&one, room, "hello")).await.row.id;
    let counted = async |by: &Actor, emoji: &str, on| {
        let altered = react(&bench.pipeline, by, message, emoji, on).await.expect("reacts");
        let counts: Vec<_> = altered.row.reactions.iter().map(|one| (one.emoji.clone(), one.count)).collect();
        assert_eq!(bench.rooms.store.message(message).await, Ok(Some((*altered.row).clone())));
        (counts, altered.change)
    };
    let of =
        |counts: &[(&str, u32)]| counts.iter().map(|(emoji, count)| ((*emoji).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(counted(&one, "🎉", true).await.0, of(&[("🎉", 1)]));
    assert_eq!(counted(&two, "👍", true).await.0, of(&[("🎉", 1), ("👍", 1)]));
    let (counts, change) = counted(&two, "🎉", true).await;
    assert_eq!(counts, of(&[("🎉", 2), ("👍", 1)]), "in the order in which each came first");
    let number = change.expect("clients are told");
    let Some(Changed::Reaction { emoji, on: true, by, reactions, .. }) = bench.changes().pop().map(|row| row.what)
    else {
        panic!("the last change is a reaction that was put on")
    };
    assert_eq!((&*emoji, &by, reactions.len()), ("🎉", &two, 2));
    assert!(last_event(&bench, number).payload::<ReactionAdded>().is_ok());
    let missed = bench.rooms.store.changes(room, 0, 10).await.expect("reads").rows;
    assert_eq!(missed.last(), bench.changes().last(), "read later it is told alike");

    assert_eq!(counted(&two, "🎉", true).await, (of(&[("🎉", 2), ("👍", 1)]), None), "again is nothing new");
    assert_eq!(counted(&one, "👍", false).await, (of(&[("🎉", 2), ("👍", 1)]), None), "nor is what never was");
    let (counts, change) = counted(&two, "👍", false).await;
    assert_eq!(counts, of(&[("🎉", 2)]));
    assert!(last_event(&bench, change.expect("clients are told")).payload::<ReactionRemoved>().is_ok());
    assert_eq!(counted(&one, "🎉", false).await.0, of(&[("🎉", 1)]));
    for text in ["", "hello", "👍👍", "👍 ", ":+1:"] {
        let refused = react(&bench.pipeline, &one, message, text, true).await.expect_err("it is no emoji");
        assert_eq!(refused.code(), "invalid_message", "{text:?}");
    }
}

async fn what_is_held_back_is_released_or_rejected<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let held = bench.holding.send(incoming(&writer, room, "held")).await.expect("is stored").row;
    bench.post(incoming(&writer, room, "shown")).await;
    assert_eq!((held.state, held.seq), (MessageState::Quarantined, 1));
    assert_eq!(texts(&bench.delivered()), ["shown"]);
    assert_eq!(texts(&bench.history(room).await), ["shown"]);
    let told = bench.told();
    let Told::Event(event) = &told[1].what else { panic!("what was found is told behind the message") };
    assert_eq!((told[0].outbox_id + 1, told[1].outbox_id + 1), (told[1].outbox_id, told[2].outbox_id));
    let found = event.payload::<MessageQuarantined>().expect("it is held back");
    assert_eq!((found.message_id, found.plugin_id.as_str()), (held.id, "away"));
    assert_eq!(edit(&bench.pipeline, &writer, held.id, "let me", None).await.err(), Some(Refusal::Held));
    let reaction = react(&bench.pipeline, &writer, held.id, "👍", true).await;
    assert_eq!(reaction.err(), Some(Refusal::NoMessage));
    let by_author = bench.pipeline.release(writer.clone(), held.id, Origin::Rest).await;
    assert_eq!(by_author.err(), Some(Refusal::NotJudge));
    let by_stranger = bench.pipeline.show(&bench.rooms.other_writer, held.id).await;
    assert_eq!(by_stranger.err(), Some(Refusal::NoMessage), "others do not know of it");

    let released = bench.pipeline.release(Actor::system(), held.id, Origin::System).await.expect("is released");
    assert_eq!((released.row.state, released.row.revision), (MessageState::Stored, 1));
    assert_eq!(texts(&bench.history(room).await), ["held", "shown"], "in its place");
    let number = released.change.expect("clients are told");
    let change = ChangeRow { number, room_id: room, what: Changed::Updated(released.row.clone()) };
    assert_eq!(bench.changes(), std::slice::from_ref(&change));
    assert_eq!(bench.rooms.store.changes(room, 0, 10).await.expect("reads").rows, [change]);
    let told = bench.told();
    let [.., first, second] = &told[..] else { panic!("two are told") };
    let Told::Released(posted) = &first.what else { panic!("plugins are told of it as of a new one") };
    assert_eq!((posted.row.id, posted.row.state, first.outbox_id), (held.id, MessageState::Stored, number));
    assert_eq!(second.outbox_id, number + 1);
    assert!(matches!(&second.what, Told::Event(event) if event.payload::<MessageReleased>().is_ok()));
    let again = bench.pipeline.release(Actor::system(), held.id, Origin::System).await;
    assert_eq!(again.err(), Some(Refusal::NotHeld));

    let bad = bench.holding.send(incoming(&writer, room, "bad")).await.expect("is stored").row;
    let rejected = bench.pipeline.reject(Actor::system(), bad.id, Origin::System).await.expect("is rejected");
    assert_eq!((rejected.row.state, &*rejected.row.text), (MessageState::Deleted, ""));
    assert_eq!(bench.changes().len(), 1, "who was not shown it has nothing to take away");
    assert_eq!(bench.rooms.store.changes(room, 0, 10).await.expect("reads").rows.len(), 1);
}

async fn an_edit_that_is_held_back_hides_the_message<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let posted = bench.post(incoming(&writer, room, "before")).await.row;
    let held = edit(&bench.holding, &writer, posted.id, "after", None).await.expect("is stored");
    assert_eq!((held.row.state, held.row.revision), (MessageState::Quarantined, 2));
    assert_eq!(texts(&bench.history(room).await), [""; 0]);
    let number = held.change.expect("clients are told");
    let gone = ChangeRow { number, room_id: room, what: Changed::Deleted { id: posted.id, seq: 1 } };
    assert_eq!(bench.changes(), std::slice::from_ref(&gone));
    assert!(last_event(&bench, number).payload::<MessageQuarantined>().is_ok());

    let released = bench.pipeline.release(Actor::system(), posted.id, Origin::System).await.expect("is released");
    let event = last_event(&bench, released.change.expect("clients are told"));
    let updated = event.payload::<MessageUpdated>().expect("plugins knew the message");
    assert_eq!((&*updated.text, &*updated.old_text_hash), ("after", &*hash("before")));
    assert_eq!(event.actor, writer, "the author edited it, whoever released it");
    assert_eq!(texts(&bench.history(room).await), ["after"]);
    let missed = bench.rooms.store.changes(room, 0, 10).await.expect("reads").rows;
    assert_eq!(missed.first(), Some(&gone));
    assert_eq!(missed, bench.changes());
}

async fn missed_changes_are_read_in_pages<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let before = bench.rooms.store.last_change().await.expect("reads");
    let here = bench.post(incoming(&writer, room, "here")).await.row.id;
    let there = bench.post(incoming(&writer, bench.rooms.other_room, "there")).await.row.id;
    for text in ["1", "2", "3", "4", "5"] {
        edit(&bench.pipeline, &writer, here, text, None).await.expect("is edited");
        edit(&bench.pipeline, &writer, there, text, None).await.expect("is edited");
    }
    let numbers: Vec<u64> = bench.changes().iter().filter(|row| row.room_id == room).map(|row| row.number).collect();
    let (mut after, mut read) = (before, Vec::new());
    loop {
        let page = bench.rooms.store.changes(room, after, 2).await.expect("reads");
        assert!(page.rows.len() <= 2 && !page.gone);
        read.extend(page.rows.iter().map(|row| row.number));
        after = page.upto;
        if !page.more {
            break;
        }
    }
    assert_eq!(read, numbers, "each once, those of the other room left out");
    let last = bench.rooms.store.last_change().await.expect("reads");
    assert_eq!(Some(last), bench.changes().last().map(|row| row.number));
    let nothing = bench.rooms.store.changes(room, last, 2).await.expect("reads");
    assert_eq!((nothing.rows, nothing.upto, nothing.more), (Vec::new(), last, false));
}

async fn changes_and_messages_have_one_order<S: MessageStore>(rooms: Rooms<S>) {
    let bench = Bench::new(rooms);
    let (writer, room) = (bench.rooms.writer.clone(), bench.rooms.room);
    let first = bench.post(incoming(&writer, room, "first")).await.row.id;
    let begun = bench.told().last().map_or(0, |delivery| delivery.outbox_id);
    join_all((0..60).map(async |number| match number % 3 {
        0 => drop(bench.post(incoming(&writer, room, "more")).await),
        1 => drop(edit(&bench.pipeline, &writer, first, &number.to_string(), None).await.expect("is edited")),
        _ => drop(react(&bench.pipeline, &writer, first, "👍", number % 2 == 0).await.expect("reacts")),
    }))
    .await;
    let numbers: Vec<u64> = bench.told().iter().skip(1).map(|delivery| delivery.outbox_id).collect();
    assert!(numbers.len() >= 40);
    assert_eq!(numbers, (begun + 1..=begun + numbers.len() as u64).collect::<Vec<u64>>(), "without a gap");
    let changes = bench.changes();
    assert!(changes.windows(2).all(|pair| pair[0].number < pair[1].number), "listeners hear them in this order");
}

async fn edit(
    pipeline: &Pipeline,
    by: &Actor,
    message_id: MessageId,
    text: &str,
    expected_revision: Option<u32>,
) -> Result<Altered, Refusal> {
    let (by, text) = (by.clone(), text.to_owned());
    pipeline.edit(Edit { by, message_id, text, expected_revision, origin: Origin::Rest }).await
}

async fn react(
    pipeline: &Pipeline,
    by: &Actor,
    message_id: MessageId,
    emoji: &str,
    on: bool,
) -> Result<Altered, Refusal> {
    let (by, emoji) = (by.clone(), emoji.to_owned());
    pipeline.react(React { by, message_id, emoji, on, origin: Origin::Rest }).await
}

/// The event that plugins are told with this number.
fn last_event<S: MessageStore>(bench: &Bench<S>, number: u64) -> Event {
    let told = bench.told();
    let delivery = told.iter().find(|delivery| delivery.outbox_id == number).expect("plugins are told");
    match &delivery.what {
        Told::Event(event) => (**event).clone(),
        what => panic!("no event but {what:?}"),
    }
}

fn texts(rows: &[StoredRow]) -> Vec<&str> {
    rows.iter().map(|row| &*row.text).collect()
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
