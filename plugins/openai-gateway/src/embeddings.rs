//! `/v1/embeddings`: texts as vectors, in numbers or in base64. Knows no chat.

use plexichat::ai::{EmbedRequest, Embeddings};
use plexichat::prelude::*;

use crate::failure::Failure;
use crate::fields::{Fields, wrong};

/// What was asked, and how the vectors are wanted.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: EmbedRequest,
    /// As bytes in base64 instead of numbers.
    pub(crate) base64: bool,
}

/// Reads a request's body.
///
/// # Errors
/// What is wrong, with the parameter's name.
pub(crate) fn read(body: &[u8]) -> Result<Asked, Failure> {
    let mut fields = Fields::of_body(body)?;
    let model = fields.text("model")?;
    let input = texts(fields.value("input").ok_or_else(|| Failure::missing("input"))?)?;
    let base64 = match fields.take::<String>("encoding_format", "a string")?.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(Failure::bad("encoding_format", "Supported values are: 'float' and 'base64'.")),
    };
    let mut request = EmbedRequest::new(model, input);
    request.dimensions = fields.take("dimensions", "an integer")?;
    request.user = fields.take("user", "a string")?;
    request.extra = fields.rest();
    Ok(Asked { request, base64 })
}

fn texts(input: Value) -> Result<Vec<String>, Failure> {
    let texts = match input {
        Value::String(text) => vec![text],
        Value::Array(items) => {
            let text = |(index, item)| match item {
                Value::String(text) => Ok(text),
                Value::Number(_) | Value::Array(_) => {
                    Err(Failure::unsupported("input", "Tokens are not taken here: each model has its own. Send texts."))
                }
                other => Err(wrong(&format!("input[{index}]"), "a string", &other)),
            };
            items.into_iter().enumerate().map(text).collect::<Result<_, _>>()?
        }
        other => return Err(wrong("input", "a string or an array of strings", &other)),
    };
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Err(Failure::bad(
            "input",
            "'input' is empty: at least one text is needed, and each must have something.",
        ));
    }
    Ok(texts)
}

/// The body of an answer.
pub(crate) fn written(model: &str, found: &Embeddings, base64: bool) -> Vec<u8> {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, vector) in found.vectors.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"object\":\"embedding\",\"index\":");
        out.extend_from_slice(index.to_string().as_bytes());
        out.extend_from_slice(b",\"embedding\":");
        match base64 {
            true => {
                out.push(b'"');
                encode(&mut out, vector);
                out.push(b'"');
            }
            // Numbers are always JSON, and memory takes every byte.
            false => drop(serde_json::to_writer(&mut out, vector)),
        }
        out.push(b'}');
    }
    let tokens = found.usage.map_or(0, |usage| usage.input_tokens);
    let rest = json!({ "model": model, "usage": { "prompt_tokens": tokens, "total_tokens": tokens } }).to_string();
    // The rest of the same object, without the brace that opens it.
    out.extend_from_slice(b"],");
    out.extend_from_slice(&rest.as_bytes()[1..]);
    out
}

/// The numbers' bytes, least first, in base64.
fn encode(out: &mut Vec<u8>, vector: &[f32]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            // As many characters as there are bytes, and one.
            out.push(match place <= three.len() {
                true => ALPHABET[(bits >> (18 - 6 * place)) as usize & 63],
                false => b'=',
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use plexichat::ai::Usage;

    use super::*;

    #[track_caller]
    fn check(body: Value, expected: Result<&[&str], &str>) {
        let found = read(body.to_string().as_bytes());
        let found = found.map(|asked| asked.request.input).map_err(|failure| failure.body()["param"].clone());
        let expected = expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expected.map_err(|param| json!(param)), "{body}");
    }

    #[test]
    fn texts_come_alone_or_as_a_list() {
        check(json!({ "model": "m", "input": "a" }), Ok(&["a"]));
        check(json!({ "model": "m", "input": ["a", "b"], "encoding_format": "base64" }), Ok(&["a", "b"]));
        check(json!({ "input": "a" }), Err("model"));
        check(json!({ "model": "m" }), Err("input"));
        check(json!({ "model": "m", "input": [] }), Err("input"));
        check(json!({ "model": "m", "input": "" }), Err("input"));
        check(json!({ "model": "m", "input": [1, 2] }), Err("input"));
        check(json!({ "model": "m", "input": [[1, 2]] }), Err("input"));
        check(json!({ "model": "m", "input": ["a", null] }), Err("input[1]"));
        check(json!({ "model": "m", "input": {} }), Err("input"));
        check(json!({ "model": "m", "input": "a", "encoding_format": "hex" }), Err("encoding_format"));
        check(json!({ "model": "m", "input": "a", "dimensions": -1 }), Err("dimensions"));
    }

    #[test]
    fn what_is_not_known_passes_through() {
        let asked = read(br#"{"model":"m","input":"a","dimensions":2,"user":"u","input_type":"query"}"#).unwrap();
        assert_eq!((asked.request.dimensions, asked.request.user.as_deref()), (Some(2), Some("u")));
        assert_eq!(Value::from(asked.request.extra), json!({ "input_type": "query" }));
    }

    #[test]
    fn vectors_are_numbers_or_base64() {
        let usage = Some(Usage { input_tokens: 3, ..Usage::default() });
        let found = Embeddings { vectors: vec![vec![0.5, -1.0], vec![1.5]], usage };
        let read = |base64| serde_json::from_slice::<Value>(&written("m", &found, base64)).unwrap();
        let numbers = read(false);
        assert_eq!(numbers["data"][0], json!({ "object": "embedding", "index": 0, "embedding": [0.5, -1.0] }));
        assert_eq!(numbers["usage"], json!({ "prompt_tokens": 3, "total_tokens": 3 }));
        assert_eq!((&numbers["object"], &numbers["model"]), (&json!("list"), &json!("m")));
        let base64 = read(true);
        assert_eq!(base64["data"][0]["embedding"], "AAAAPwAAgL8=");
        assert_eq!(base64["data"][1]["embedding"], "AADAPw==");
    }
}
