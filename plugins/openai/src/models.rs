//! Which models there are: those that are listed, else those that the service tells, with what can be known of them. Knows no
//! request.

use plexichat::ai::ModelAbilities;
use plexichat::ai::service::AiService;
use plexichat::message::Time;
use plexichat::prelude::*;
use serde::Deserialize;

use crate::config::{Config, ListedModel};

/// The models to offer.
pub(crate) async fn models(service: &AiService, config: &Config, now: Time) -> Result<Vec<Model>, AiError> {
    let listed = &config.models;
    if !listed.is_empty() {
        return Ok(listed.iter().map(of_settings).collect());
    }
    let told: Told = service.get("/models", now).await?;
    let mut models: Vec<Model> = told.data.iter().filter_map(of_service).collect();
    // One that chats comes first: it is what a room without a choice gets.
    models.sort_by_key(|model| !model.abilities.chat);
    Ok(models)
}

#[derive(Deserialize)]
struct Told {
    data: Vec<Value>,
}

fn of_settings(listed: &ListedModel) -> Model {
    let chat = listed.chat.unwrap_or(!listed.embeddings);
    let mut model = Model::new(&listed.id);
    model.name = listed.name.clone().unwrap_or_else(|| listed.id.clone());
    model.context_tokens = listed.context_tokens;
    model.max_output_tokens = listed.max_output_tokens;
    model.abilities = ModelAbilities {
        chat,
        tools: listed.tools.unwrap_or(chat),
        images: listed.images,
        embeddings: listed.embeddings,
    };
    model
}

/// Makers of names that do neither: they speak, draw, listen or judge.
const OTHERS: [&str; 12] = [
    "whisper",
    "tts",
    "transcribe",
    "dall-e",
    "image",
    "moderation",
    "audio",
    "realtime",
    "sora",
    "rerank",
    "babbage",
    "davinci",
];

/// Names of OpenAI's own models that see pictures.
const SEEING: [&str; 6] = ["gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4"];

/// What a service says of a model. OpenAI says its name and nothing else; others each have fields of their own.
fn of_service(told: &Value) -> Option<Model> {
    let id = told.get("id")?.as_str().filter(|id| !id.is_empty())?;
    let number =
        |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).and_then(|number| number.try_into().ok());
    let says = |pointer: &str| told.pointer(pointer).and_then(Value::as_bool);
    let lists = |pointer: &str, word: &str| {
        let list = told.pointer(pointer).and_then(Value::as_array)?;
        Some(list.iter().any(|item| item == word))
    };
    let name = id.to_lowercase();
    let embeddings = name.contains("embed") || name.contains("bge-");
    let other =
        OTHERS.iter().any(|word| name.split(['-', '/', ':', '_']).any(|part| part == *word) || name.starts_with(word));
    if other && says("/capabilities/completion_chat") != Some(true) {
        return None;
    }
    let mut model = Model::new(id);
    // OpenRouter; Mistral; Groq; vLLM; llama.cpp.
    let context = ["/context_length", "/max_context_length", "/context_window", "/max_model_len", "/meta/n_ctx"];
    model.context_tokens = context.iter().find_map(|pointer| number(pointer));
    model.max_output_tokens =
        ["/top_provider/max_completion_tokens", "/max_completion_tokens"].iter().find_map(|pointer| number(pointer));
    let chat = says("/capabilities/completion_chat").unwrap_or(!embeddings);
    let tools = says("/capabilities/function_calling").or_else(|| lists("/supported_parameters", "tools"));
    let images = says("/capabilities/vision").or_else(|| lists("/architecture/input_modalities", "image"));
    model.abilities = ModelAbilities {
        chat,
        tools: chat && tools.unwrap_or(true),
        images: chat && images.unwrap_or_else(|| SEEING.iter().any(|known| name.starts_with(known))),
        embeddings,
    };
    Some(model)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(told: Value, expected: Expect) {
        let shown = match of_service(&told) {
            None => "nothing".to_owned(),
            Some(model) => {
                let ModelAbilities { chat, tools, images, embeddings } = model.abilities;
                let words = [(chat, "chat"), (tools, "tools"), (images, "images"), (embeddings, "embeddings")];
                let words: Vec<&str> = words.into_iter().filter_map(|(can, word)| can.then_some(word)).collect();
                format!("{}: {} {:?} {:?}", model.id, words.join(" "), model.context_tokens, model.max_output_tokens)
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn services_tell_much_or_little() {
        check(
            json!({"id": "gpt-5-mini", "object": "model", "owned_by": "openai"}),
            expect!["gpt-5-mini: chat tools images None None"],
        );
        check(json!({"id": "gpt-3.5-turbo"}), expect!["gpt-3.5-turbo: chat tools None None"]);
        check(json!({"id": "text-embedding-3-small"}), expect!["text-embedding-3-small: embeddings None None"]);
        for id in ["whisper-1", "tts-1-hd", "gpt-4o-transcribe", "dall-e-3", "gpt-image-1", "omni-moderation-latest"] {
            check(json!({ "id": id }), expect!["nothing"]);
        }
        check(
            json!({"id": "llama3.2:latest", "owned_by": "library"}),
            expect!["llama3.2:latest: chat tools None None"],
        );
        check(
            json!({"id": "meta-llama/Llama-3", "max_model_len": 8192}),
            expect!["meta-llama/Llama-3: chat tools Some(8192) None"],
        );
        check(
            json!({"id": "tiny.gguf", "meta": {"n_ctx_train": 4096, "n_ctx": 512}}),
            expect!["tiny.gguf: chat tools Some(512) None"],
        );
        let mistral = json!({"completion_chat": true, "function_calling": false, "vision": true});
        check(
            json!({"id": "pixtral", "max_context_length": 131_072, "capabilities": mistral}),
            expect!["pixtral: chat images Some(131072) None"],
        );
        let router = json!({
            "id": "a/b", "context_length": 1000, "top_provider": {"max_completion_tokens": 100},
            "architecture": {"input_modalities": ["text", "image"]}, "supported_parameters": ["tools"]
        });
        check(router, expect!["a/b: chat tools images Some(1000) Some(100)"]);
        check(json!({"name": "without an id"}), expect!["nothing"]);
    }
}
