//! Answers on their way: who hears of them, and what gives way first.

use plexichat::assistant::ReplyError;
use plexichat::id::{ApprovalId, ReplyId};
use plexichat::tool::Approval;
use serde_json::json;

use super::*;

fn frame(room_id: RoomId, step: ReplyStep) -> ReplyFrame {
    ReplyFrame {
        reply_id: ReplyId::from_bytes([1; 16]),
        room_id,
        message_id: MessageId::from_bytes([2; 16]),
        asked_by: Actor::user("ann", "Ann"),
        author: Actor { kind: plexichat::message::ActorKind::Ai, id: "parrot/one".into(), name: "polly".into() },
        step,
    }
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().expect("a type")).collect()
}

fn ended() -> ReplyStep {
    let error = ReplyError { code: "cancelled".to_owned(), message: "somebody wanted no more".to_owned() };
    ReplyStep::Ended { messages: Vec::new(), error: Some(error) }
}

#[tokio::test]
async fn who_listens_hears_of_an_answer() {
    let fixture = Fixture::new();
    let (room, other) = (RoomId::new(), RoomId::new());
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, None).expect("room");
    fixture.hub.deliver_delta(&frame(other, ReplyStep::Waiting));
    fixture.hub.deliver_delta(&frame(room, ReplyStep::Waiting));
    fixture.hub.deliver_delta(&frame(room, ended()));
    let heard = all(&mut frames).await;
    assert_eq!(types(&heard), ["reply_start", "typing", "reply_end"]);
    assert_eq!((&heard[0]["asked_by"]["name"], &heard[0]["author"]["id"]), (&json!("Ann"), &json!("parrot/one")));
    assert_eq!(heard[1]["user"], json!({ "id": "parrot/one", "name": "polly" }));
    assert_eq!((&heard[2]["messages"], &heard[2]["error"]["code"]), (&json!([]), &json!("cancelled")));
}

#[tokio::test]
async fn leave_is_asked_of_one_person_alone() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (ann, bob) = (somebody(), somebody());
    let (at_home, mut home) = fixture.hub.connect(&ann);
    let (on_phone, mut phone) = fixture.hub.connect(&ann);
    let (bobs, mut others) = fixture.hub.connect(&bob);
    [&at_home, &on_phone, &bobs].into_iter().for_each(|it| it.subscribe(room, None, None).expect("room"));
    let request = ApprovalRequest {
        id: ApprovalId::from_bytes([3; 16]),
        reply_id: ReplyId::from_bytes([1; 16]),
        room_id: room,
        message_id: MessageId::from_bytes([2; 16]),
        asked: ann.actor(),
        model: "parrot/one".to_owned(),
        tool: "parrot__deed".to_owned(),
        help: "Does it".to_owned(),
        arguments: json!({ "what": "it" }),
        approval: Approval::Always,
        created_at: Time::from_micros(0),
        expires_at: Time::from_micros(1),
        state: plexichat::assistant::ApprovalState::Pending,
        decided_at: None,
    };
    fixture.hub.deliver_delta(&frame(room, ReplyStep::Approval(Arc::new(request))));
    fixture.hub.deliver_delta(&frame(room, ended()));
    for frames in [&mut home, &mut phone] {
        let heard = all(frames).await;
        assert_eq!(types(&heard), ["tool_approval", "reply_end"]);
        assert_eq!((&heard[0]["tool"], &heard[0]["state"]), (&json!("parrot__deed"), &json!("pending")));
    }
    assert_eq!(types(&all(&mut others).await), ["reply_end"]);
}

/// Whoever is slow misses what is shown on the way, is told that it is over, and misses no message.
#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_gives_way_before_its_end_does() {
    let fixture = Fixture::new();
    let room = RoomId::new();
    let (subscriber, mut frames) = fixture.hub.connect(&somebody());
    subscriber.subscribe(room, None, None).expect("room");
    (0..QUEUE_FRAMES).for_each(|_| fixture.hub.deliver_delta(&frame(room, ReplyStep::Waiting)));
    fixture.hub.deliver_delta(&frame(room, ended()));
    fixture.post(room);
    let heard = all(&mut frames).await;
    let waiting = types(&heard).into_iter().filter(|kind| matches!(*kind, "reply_start" | "typing")).count();
    assert_eq!(waiting, QUEUE_PASSING);
    assert_eq!(types(&heard)[waiting..], ["reply_end", "message"]);
}
