//! The road of plugins to models: for themselves, or for whoever called them. Knows no provider.

use async_trait::async_trait;
use futures_util::stream;

use super::{Answer, Ask, Broker, Piece};
use crate::ai::{AiDelta, AiError, AiRequest, AiStream, EmbedRequest, Embeddings, Model};
use crate::capability::ai::{AiCall, AiPort};
use crate::cause;
use crate::id::PluginName;
use crate::message::Actor;

#[async_trait]
impl AiPort for Broker {
    async fn models(&self, _: &PluginName) -> Result<Vec<Model>, AiError> {
        Ok(Self::models(self).await)
    }

    async fn stream(&self, plugin: &PluginName, call: AiCall<AiRequest>) -> Result<AiStream, AiError> {
        let model = call.request.model.clone();
        let mut answer = self.ask(of(plugin, call, model)).await?;
        // An answer that a scanner withholds before any of it is shown is an error here, and no stream that begins well.
        let first = match answer.next().await {
            Some(first) => shown(first?),
            None => AiDelta::finish(crate::ai::FinishReason::Incomplete),
        };
        let rest = stream::unfold(answer, |mut answer: Answer| async move {
            let piece = answer.next().await?;
            Some((piece.map(shown), answer))
        });
        Ok(AiStream::new(futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest)))
    }

    async fn embed(&self, plugin: &PluginName, call: AiCall<EmbedRequest>) -> Result<Embeddings, AiError> {
        let model = call.request.model.clone();
        Self::embed(self, of(plugin, call, model)).await
    }
}

fn of<R>(plugin: &PluginName, call: AiCall<R>, model: String) -> Ask<R> {
    let actor = call.caller.actor().cloned().unwrap_or_else(|| Actor::plugin(plugin.as_str()));
    Ask {
        models: if model.is_empty() { Vec::new() } else { vec![model] },
        request: call.request,
        actor,
        room_id: call.room_id,
        origin: call.origin,
        judged: false,
        cause: cause::current(),
    }
}

fn shown(piece: Piece) -> AiDelta {
    match piece {
        Piece::Text(delta) => AiDelta::text(delta.text()),
        Piece::Other(delta) => delta,
    }
}
