//! Texts made into vectors. Knows no chat.

use plexichat::ai::service::AiService;
use plexichat::ai::{EmbedRequest, Embeddings, Usage};
use plexichat::message::Time;
use plexichat::prelude::*;
use serde::Deserialize;

use crate::config::Config;

/// How many texts are sent at once: the vectors of more may not fit into one answer.
const BATCH: usize = 128;

/// Asks the service for the vectors of these texts, in their order.
pub(crate) async fn embed(
    service: &AiService,
    config: &Config,
    request: EmbedRequest,
    now: Time,
) -> Result<Embeddings, AiError> {
    let model = config.upstream_model(&request.model)?.to_owned();
    let mut body = request.extra;
    body.insert("model".to_owned(), json!(model));
    body.insert("encoding_format".to_owned(), json!("float"));
    if let Some(dimensions) = request.dimensions {
        body.insert("dimensions".to_owned(), json!(dimensions));
    }
    if let Some(user) = request.user {
        body.insert("user".to_owned(), json!(user));
    }
    let mut found = Embeddings::default();
    for texts in request.input.chunks(BATCH) {
        body.insert("input".to_owned(), json!(texts));
        let answer: Answer = service.post("/embeddings", &json!(body), now).await?;
        let part = answer.in_order(texts.len());
        let part = part.map_err(|message| service.nonsense(&message))?;
        found.vectors.extend(part.vectors);
        if let Some(more) = part.usage {
            found.usage.get_or_insert_default().input_tokens += more.input_tokens;
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
}

impl Answer {
    fn in_order(self, texts: usize) -> Result<Embeddings, String> {
        if self.data.len() != texts {
            return Err(format!("the service made {} vectors of {texts} texts", self.data.len()));
        }
        let mut vectors = vec![Vec::new(); texts];
        for (place, vector) in self.data.into_iter().enumerate() {
            let index = vector.index.unwrap_or(place);
            match vectors.get_mut(index) {
                Some(slot) if slot.is_empty() && !vector.embedding.is_empty() => *slot = vector.embedding,
                _ => return Err(format!("the service numbers its vectors wrongly, or vector {index} is empty")),
            }
        }
        let usage = self.usage.map(|tokens| Usage { input_tokens: tokens.prompt_tokens, ..Usage::default() });
        Ok(Embeddings { vectors, usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: Value, expected: Result<&[f32], &str>) {
        let answer: Answer = serde_json::from_value(json!({ "data": data, "usage": {"prompt_tokens": 3} })).unwrap();
        match (answer.in_order(2), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.vectors.concat(), expected),
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn vectors_come_in_the_order_of_their_texts() {
        check(json!([{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]), Ok(&[1.0, 2.0]));
        check(json!([{"embedding": [1.0]}, {"embedding": [2.0]}]), Ok(&[1.0, 2.0]));
        check(json!([{"index": 0, "embedding": [1.0]}]), Err("1 vectors of 2 texts"));
        check(json!([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]), Err("numbers"));
        check(json!([{"index": 0, "embedding": [1.0]}, {"index": 7, "embedding": [2.0]}]), Err("vector 7"));
        check(json!([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": []}]), Err("vector 1 is empty"));
    }
}
