//! Who started a run, and in which room: as the host knows it, or as `/workflow run` wrote it down. Knows no step.

use plexichat::id::RoomId;
use plexichat::message::{Actor, ActorKind};
use plexichat::workflow::WorkflowRun;
use serde_json::{Map, Value, json};

use crate::definition::check::BY_HAND;

/// Writes into the input of a run that the plugin starts for somebody who they are and where: the host knows only the plugin.
pub(crate) fn write(input: &mut Map<String, Value>, by: &Actor, room: RoomId) {
    input.insert("by".to_owned(), told(by));
    input.insert("room_id".to_owned(), json!(room));
}

/// Who started it, for expressions.
pub(crate) fn by(run: &WorkflowRun) -> Value {
    match &run.cause.actor {
        Some(actor) if actor.kind == ActorKind::Plugin && is_by_hand(run) && run.input["by"].is_object() => {
            run.input["by"].clone()
        }
        actor => actor.as_ref().map_or(Value::Null, told),
    }
}

/// The room in which it was started.
pub(crate) fn room(run: &WorkflowRun) -> Option<RoomId> {
    let written = || run.input["room_id"].as_str().filter(|_| is_by_hand(run))?.parse().ok();
    run.cause.room_id.or_else(written)
}

/// Only then the input is an administrator's or the plugin's own; that of a webhook's caller says nothing.
fn is_by_hand(run: &WorkflowRun) -> bool {
    run.trigger.rsplit('.').next() == Some(BY_HAND)
}

fn told(actor: &Actor) -> Value {
    json!({ "id": *actor.id, "name": *actor.name, "kind": actor.kind })
}
