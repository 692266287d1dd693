//! What can be wrong with a model's file: what, where in it, and what to do. Knows nothing of plugins.

/// A file that is no model which this plugin runs.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It cannot be read.
    #[error("cannot read {what} of the file")]
    Read {
        /// What was to be read.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It begins with other bytes.
    #[error("the file is no GGUF file: it begins with {found:?}")]
    NotGguf {
        /// How it begins.
        found: String,
    },
    /// It is GGUF of another version.
    #[error("the file has version {found} of GGUF; versions 2 and 3 are known")]
    Version {
        /// The version.
        found: u32,
    },
    /// It ends too soon.
    #[error("the file ends within {what}: {needed} bytes are needed at byte {at}, and {left} are left")]
    Truncated {
        /// What was to be read.
        what: String,
        /// Where it begins.
        at: u64,
        /// How long it is.
        needed: u64,
        /// How much there is.
        left: u64,
    },
    /// What stands there makes no sense.
    #[error("{what}, at byte {at}: {problem}")]
    Broken {
        /// What was read.
        what: String,
        /// Where it begins.
        at: u64,
        /// What is wrong.
        problem: String,
    },
    /// Another kind of model.
    #[error("`general.architecture` is `{found}`; this plugin runs `llama`")]
    Architecture {
        /// The kind.
        found: String,
    },
    /// A key is missing, or its value is not for this plugin.
    #[error("`{key}` {problem}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor is missing, or is not for this plugin.
    #[error("tensor `{name}` {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The template that makes a prompt of a conversation.
    #[error("`tokenizer.chat_template` is no template: {problem}")]
    Template {
        /// What is wrong, and in which line.
        problem: String,
    },
}

impl ModelError {
    /// A key whose value is wrong or missing.
    pub fn key(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Key { key: key.into(), problem: problem.into() }
    }

    /// A tensor that is wrong or missing.
    pub fn tensor(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Tensor { name: name.into(), problem: problem.into() }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "look whether the server may read the file",
            Self::NotGguf { .. } => "set `path` to a model in GGUF; other formats are converted by llama.cpp's scripts",
            Self::Version { .. } => "take a file that a current llama.cpp has written",
            Self::Truncated { .. } => "the download was cut off: fetch the file again and compare its length",
            Self::Broken { .. } => "the file is damaged: fetch it again and compare its SHA-256",
            Self::Architecture { .. } => {
                "take a model of the llama family, such as Llama, Mistral, TinyLlama or SmolLM2"
            }
            Self::Key { .. } | Self::Tensor { .. } => {
                "take another file of this model, such as one in Q4_K_M or Q8_0, or another model of the llama family"
            }
            Self::Template { .. } => "set `chat_template` to one that works",
        }
    }

    /// What, why and what to do, in one line.
    pub fn whole(&self) -> String {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{self}{cause}; {}", self.hint())
    }
}
