//! What a model of the llama architecture is made of: lengths and constants, read from a file's metadata and held against
//! each other. Knows no tensor's data.

use crate::error::ModelError;
use crate::gguf::{Head, Value};

/// The lengths and constants of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// How many layers.
    pub layers: usize,
    /// The length of what stands for a token inside.
    pub width: usize,
    /// The inner length of the feed-forward part.
    pub inner: usize,
    /// How many heads ask.
    pub heads: usize,
    /// How many heads answer them.
    pub key_heads: usize,
    /// The length of one head.
    pub head: usize,
    /// How much of a head is turned by the position.
    pub turned: usize,
    /// How fast it is turned.
    pub turn_base: f32,
    /// By how much positions are pressed together.
    pub turn_factor: f32,
    /// What keeps a norm from dividing by zero.
    pub epsilon: f32,
    /// How many tokens the model was made for.
    pub context: usize,
    /// How many tokens there are.
    pub vocabulary: usize,
}

impl Shape {
    /// Reads it.
    ///
    /// # Errors
    /// Where the architecture is another, a key is missing, or values do not fit each other or this plugin.
    pub fn read(head: &Head) -> Result<Self, ModelError> {
        match head.text("general.architecture")? {
            Some("llama") => {}
            Some(other) => return Err(ModelError::Architecture { found: other.to_owned() }),
            None => return Err(missing("general.architecture")),
        }
        let width = length(head, "llama.embedding_length")?;
        let heads = length(head, "llama.attention.head_count")?;
        let key_heads = match head.get("llama.attention.head_count_kv") {
            None => heads,
            Some(_) => length(head, "llama.attention.head_count_kv")?,
        };
        let own = match head.count("llama.attention.key_length")? {
            Some(length) => length,
            None if width.is_multiple_of(heads) => width / heads,
            None => return Err(ModelError::key("llama.embedding_length", format!("does not divide by {heads} heads"))),
        };
        let shape = Self {
            layers: length(head, "llama.block_count")?,
            width,
            inner: length(head, "llama.feed_forward_length")?,
            heads,
            key_heads,
            head: own,
            turned: head.count("llama.rope.dimension_count")?.unwrap_or(own),
            turn_base: head.number("llama.rope.freq_base")?.unwrap_or(10_000.0) as f32,
            turn_factor: turn_factor(head)?,
            epsilon: positive(head, "llama.attention.layer_norm_rms_epsilon")?,
            context: length(head, "llama.context_length")?,
            vocabulary: head.texts("tokenizer.ggml.tokens")?.ok_or_else(|| missing("tokenizer.ggml.tokens"))?.len(),
        };
        shape.check(head)?;
        Ok(shape)
    }

    fn check(&self, head: &Head) -> Result<(), ModelError> {
        if !self.heads.is_multiple_of(self.key_heads) {
            let problem = format!("{} does not divide the {} heads", self.key_heads, self.heads);
            return Err(ModelError::key("llama.attention.head_count_kv", problem));
        }
        if self.turned > self.head || self.turned % 2 == 1 {
            let problem = format!("{} is odd, or more than the {} of a head", self.turned, self.head);
            return Err(ModelError::key("llama.rope.dimension_count", problem));
        }
        let values = head.count("llama.attention.value_length")?.unwrap_or(self.head);
        if values != self.head {
            let problem = format!("{values} is not the {} of `llama.attention.key_length`", self.head);
            return Err(ModelError::key("llama.attention.value_length", problem));
        }
        if head.count("llama.expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(ModelError::key(
                "llama.expert_count",
                "says that it is a mixture of experts, which is not run",
            ));
        }
        Ok(())
    }

    /// The length of all keys of one token in one layer.
    pub fn keys(&self) -> usize {
        self.key_heads * self.head
    }

    /// The length of all questions of one token in one layer.
    pub fn questions(&self) -> usize {
        self.heads * self.head
    }
}

fn missing(key: &str) -> ModelError {
    ModelError::key(key, "is missing")
}

/// No length of any model comes near to this one: products of three fit into 64 bits.
const MOST: usize = 1 << 20;

fn length(head: &Head, key: &str) -> Result<usize, ModelError> {
    match head.count(key)? {
        Some(length) if (1..=MOST).contains(&length) || key == "llama.context_length" && length > 0 => Ok(length),
        Some(length) => Err(ModelError::key(key, format!("is {length}, which no model has"))),
        None => Err(missing(key)),
    }
}

fn positive(head: &Head, key: &str) -> Result<f32, ModelError> {
    match head.number(key)? {
        Some(number) if number > 0.0 && number.is_finite() => Ok(number as f32),
        Some(number) => Err(ModelError::key(key, format!("is {number}, not more than zero"))),
        None => Err(missing(key)),
    }
}

fn turn_factor(head: &Head) -> Result<f32, ModelError> {
    let linear = match head.text("llama.rope.scaling.type")? {
        None | Some("none") => false,
        Some("linear") => true,
        Some(other) => {
            let problem = format!("is `{other}`; `none` and `linear` are known");
            return Err(ModelError::key("llama.rope.scaling.type", problem));
        }
    };
    match head.get("llama.rope.scaling.factor") {
        Some(Value::Float(_) | Value::Integer(_)) if linear => positive(head, "llama.rope.scaling.factor"),
        _ => Ok(1.0),
    }
}
