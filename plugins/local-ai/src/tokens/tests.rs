//! Tokens of both kinds of vocabulary, held against those that llama.cpp's `/tokenize` gave for the same files.

use std::io::Cursor;

use plexichat_tiny_gguf::{Kind, TinyModel};

use super::*;

fn tokens(kind: Kind) -> Tokens {
    let file = TinyModel::new(1, kind).file().to_bytes();
    Tokens::read(&Head::read(&mut Cursor::new(file)).unwrap()).unwrap()
}

#[track_caller]
fn check(kind: Kind, text: &str, expected: &[u32]) {
    let tokens = tokens(kind);
    let mut found = Vec::new();
    tokens.cut(text, true, &mut found);
    assert_eq!(found, expected, "{text:?}");
    let bytes: Vec<u8> = found.iter().flat_map(|token| tokens.bytes_of(*token)).collect();
    let space = if kind == Kind::SentencePiece && !text.is_empty() { " " } else { "" };
    assert_eq!(String::from_utf8(bytes).unwrap(), format!("{space}{text}"));
}

#[test]
fn sentence_pieces_are_those_of_llama_cpp() {
    let kind = Kind::SentencePiece;
    check(kind, "hello the user", &[307, 261, 272]);
    check(kind, "  two  spaces", &[337, 337, 259, 370, 362, 337, 292, 363, 348, 350, 352, 366]);
    check(
        kind,
        "Hello, wörld! 12345 €uro\n\n  x",
        &[
            316, 341, 329, 198, 185, 365, 359, 351, 338, 337, 401, 402, 403, 404, 405, 337, 417, 368, 365, 362, 336,
            336, 337, 337, 371,
        ],
    );
    check(kind, "assistant assistants", &[283, 283, 366]);
    check(kind, "日本語 ok", &[337, 233, 154, 168, 233, 159, 175, 235, 173, 161, 337, 362, 358]);
    check(kind, "", &[]);
    check(kind, "\n", &[337, 336]);
    check(kind, "xxxxxxx", &[337, 371, 371, 371, 371, 371, 371, 371]);
    check(
        kind,
        "don't WHAT'S 'Re",
        &[337, 351, 362, 361, 340, 367, 337, 396, 381, 374, 393, 340, 392, 337, 340, 391, 352],
    );
    check(kind, "tab\there  \n  z", &[259, 348, 349, 12, 308, 365, 352, 337, 337, 336, 337, 337, 373]);
    check(kind, "a  b   c    ", &[264, 337, 337, 349, 337, 337, 337, 350, 337, 337, 337, 337]);
    check(kind, "emoji 🙂 end", &[337, 352, 360, 362, 357, 356, 337, 243, 162, 156, 133, 337, 352, 361, 351]);
}

#[test]
fn byte_pairs_are_those_of_llama_cpp() {
    let kind = Kind::ByteLevel;
    check(kind, "hello the user", &[308, 258, 269]);
    check(kind, "  two  spaces", &[32, 256, 119, 111, 32, 289, 112, 97, 99, 101, 115]);
    check(
        kind,
        "Hello, wörld! 12345 €uro\n\n  x",
        &[
            317, 44, 326, 195, 182, 114, 108, 100, 33, 32, 49, 50, 51, 52, 53, 32, 226, 130, 172, 117, 114, 111, 10,
            10, 32, 32, 120,
        ],
    );
    check(kind, "assistant assistants", &[288, 277, 264, 116, 115]);
    check(kind, "日本語 ok", &[230, 151, 165, 230, 156, 172, 232, 170, 158, 32, 111, 107]);
    check(kind, "", &[]);
    check(kind, "the", &[260]);
    check(kind, "don't WHAT'S 'Re", &[100, 111, 110, 39, 116, 32, 87, 72, 65, 84, 39, 83, 32, 39, 82, 101]);
    check(kind, "tab\there  \n  z", &[116, 97, 98, 9, 305, 114, 101, 32, 32, 10, 32, 32, 122]);
    check(kind, "a  b   c    ", &[97, 32, 32, 98, 32, 32, 32, 99, 32, 32, 32, 32]);
    check(kind, "emoji 🙂 end", &[101, 109, 111, 106, 105, 32, 240, 159, 153, 130, 32, 101, 110, 100]);
}

/// llama.cpp gives the same, with `<s>` twice where the prompt has it too.
#[test]
fn names_of_commands_are_commands_in_a_prompt_only() {
    let (pieces, pairs) = (tokens(Kind::SentencePiece), tokens(Kind::ByteLevel));
    let rest = [337, 261, 337, 410, 412, 352, 362, 367, 347, 356, 351, 412, 411, 323];
    let expected = [vec![1, 303, 356, 2], rest.to_vec()].concat();
    assert_eq!(pieces.of_prompt("<s>hi</s> the <|eot_id|> you"), expected);
    assert_eq!(pieces.of_prompt("hi</s> the <|eot_id|> you"), expected);
    let expected = [333, 60, 115, 62, 104, 105, 60, 47, 115, 62, 258, 32, 334, 320];
    assert_eq!(pairs.of_prompt("<s>hi</s> the <|eot_id|> you"), expected);
    assert!(pairs.ends(334) && !pairs.ends(333));
    assert_eq!(pairs.bytes_of(334), b"");
}

#[test]
fn what_people_write_is_no_command() {
    for (kind, text) in [(Kind::SentencePiece, "a </s><s> b </s"), (Kind::ByteLevel, "<|eot_id|><|begin_of_text|>")] {
        let tokens = tokens(kind);
        let (shielded, prompt) = (tokens.shielded(text), tokens.of_prompt(&tokens.shielded(text)));
        assert_ne!(shielded, text);
        assert!(prompt[1..].iter().all(|token| tokens.kinds[*token as usize] != CONTROL), "{prompt:?}");
        let bytes: Vec<u8> = prompt.iter().flat_map(|token| tokens.bytes_of(*token)).collect();
        assert_eq!(String::from_utf8(bytes).unwrap().trim(), text);
        // Who writes the shield as well gains nothing.
        assert_eq!(
            tokens.of_prompt(&tokens.shielded(&format!("<{SHIELD}{}", &text[1..]))),
            tokens.of_prompt(&tokens.shielded(&format!("<{}", &text[1..])))
        );
        assert_eq!(tokens.shielded("plain < text"), "plain < text");
    }
}

#[track_caller]
fn check_refused(kind: Kind, spoil: impl Fn(&mut plexichat_tiny_gguf::File), expected: &str) {
    let mut file = TinyModel::new(1, kind).file();
    spoil(&mut file);
    let head = Head::read(&mut Cursor::new(file.to_bytes())).unwrap();
    assert_eq!(Tokens::read(&head).err().unwrap().to_string(), expected);
}

#[test]
fn a_vocabulary_that_is_none_is_refused_by_its_key() {
    use plexichat_tiny_gguf::Value;
    let (pieces, pairs) = (Kind::SentencePiece, Kind::ByteLevel);
    check_refused(pieces, |file| file.remove("tokenizer.ggml.scores"), "`tokenizer.ggml.scores` is missing");
    check_refused(
        pieces,
        |file| file.set("tokenizer.ggml.scores", Value::Floats(vec![0.0])),
        "`tokenizer.ggml.scores` has 1 entries for 418 tokens",
    );
    check_refused(
        pieces,
        |file| file.set("tokenizer.ggml.eos_token_id", Value::U32(999)),
        "`tokenizer.ggml.eos_token_id` is 999, and there is no such token",
    );
    check_refused(
        pieces,
        |file| file.set("tokenizer.ggml.model", Value::Text("bert".to_owned())),
        "`tokenizer.ggml.model` is `bert`; `llama` and `gpt2` are known",
    );
    check_refused(
        pairs,
        |file| file.set("tokenizer.ggml.pre", Value::Text("tekken".to_owned())),
        "`tokenizer.ggml.pre` is `tekken`, a way to cut text that is not known here: default, gpt-2, gpt2, llama-bpe, \
         llama3, llama-v3, smaug-bpe, smollm, qwen2",
    );
    check_refused(
        pairs,
        |file| file.set("tokenizer.ggml.merges", Value::Texts(vec!["qq zz".to_owned()])),
        "`tokenizer.ggml.merges` joins `qq zz`, of which not all are tokens",
    );
}
