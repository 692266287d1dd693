//! A model, whole: a conversation in, an answer out, token by token. Knows no plugin, no thread and no queue.

use std::io::SeekFrom;
use std::sync::Arc;

use crate::error::ModelError;
use crate::gguf::{Head, Source, seek};
use crate::network::{Memory, Network};
use crate::prompt::{Prompts, Said};
use crate::sampling::{Choice, Sampler};
use crate::shape::Shape;
use crate::text::{Growing, Grown};
use crate::tokens::Tokens;
use crate::weights::{self, Weights};

/// How many tokens of a prompt are taken in at once: between two, it is asked whether anybody still wants the answer.
const AT_ONCE: usize = 16;

/// A model whose file was looked through, and whose weights are still in it.
pub struct Plan {
    head: Head,
    shape: Shape,
    tokens: Arc<Tokens>,
    prompts: Prompts,
    context: usize,
}

impl Plan {
    /// Looks through a file: whether all is there, of the right kind and length. Reads no weights, so it takes no longer for
    /// a large model. `context` is how many tokens it may have at most, `template` stands in for the file's own.
    ///
    /// # Errors
    /// The first thing that is not as this plugin needs it.
    pub fn read(source: &mut dyn Source, context: usize, template: Option<&str>) -> Result<Self, ModelError> {
        let head = Head::read(source)?;
        let shape = Shape::read(&head)?;
        weights::check(&head, &shape)?;
        let tokens = Tokens::read(&head)?;
        let own = head.text("tokenizer.chat_template")?;
        let prompts = Prompts::new(template.or(own), tokens.begin_text(), tokens.end_text())?;
        let context = context.min(shape.context);
        Ok(Self { head, shape, tokens: Arc::new(tokens), prompts, context })
    }

    /// What the file calls the model.
    pub fn title(&self) -> Option<&str> {
        self.head.text("general.name").ok().flatten()
    }

    /// How many tokens question and answer may have together.
    pub fn context(&self) -> usize {
        self.context
    }

    /// How text becomes tokens.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.tokens.clone()
    }

    /// How many bytes of weights there are to be read.
    pub fn size(&self) -> u64 {
        weights::size(&self.head)
    }

    /// Reads the weights.
    ///
    /// # Errors
    /// Where the file cannot be read any more.
    pub fn load(self, source: &mut dyn Source) -> Result<Model, ModelError> {
        if seek(source, SeekFrom::End(0))? != self.head.length {
            return Err(ModelError::Broken {
                what: "the file".to_owned(),
                at: 0,
                problem: "it was changed while it was read".to_owned(),
            });
        }
        let weights = Weights::read(source, &self.head, &self.shape)?;
        let Self { shape, tokens, prompts, context, .. } = self;
        Ok(Model { network: Network::new(shape, weights), tokens, prompts, context })
    }
}

/// A model that answers.
pub struct Model {
    network: Network,
    tokens: Arc<Tokens>,
    prompts: Prompts,
    context: usize,
}

/// What was last taken in, so that a conversation that goes on is not read from the beginning.
pub struct Past {
    memory: Memory,
    tokens: Vec<u32>,
}

/// How an answer is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How its tokens are chosen.
    pub choice: Choice,
    /// Where chance begins.
    pub seed: u64,
    /// At most so many tokens.
    pub most: usize,
    /// It ends before any of these.
    pub stops: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The template takes no such conversation.
    #[error("the model's template takes no such conversation: {0}")]
    Template(String),
    /// It is too long.
    #[error("the conversation has {tokens} tokens; with an answer, at most {limit} are possible")]
    TooLong {
        /// Its length.
        tokens: usize,
        /// What is possible.
        limit: usize,
    },
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was at its end.
    Complete,
    /// It had as many tokens as it may.
    Length,
    /// Nobody wanted it any more.
    Unwanted,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The tokens of the conversation.
    pub asked: usize,
    /// Of these, those that were known from the answer before.
    pub known: usize,
    /// The tokens of the answer.
    pub answered: usize,
}

/// Whoever waits for an answer.
pub trait Listener {
    /// Whether anybody waits.
    fn waits(&self) -> bool;
    /// Takes more text, which may be empty; whether any more is wanted.
    fn hear(&mut self, text: String) -> bool;
}

impl Model {
    /// Nothing taken in yet.
    pub fn past(&self) -> Past {
        Past { memory: Memory::new(&self.network.shape), tokens: Vec::new() }
    }

    /// The tokens of a conversation. What people wrote is text, whatever it looks like.
    ///
    /// # Errors
    /// Where the template refuses it, or it leaves no room for an answer.
    pub fn prompt(&self, said: &[Said]) -> Result<Vec<u32>, Refusal> {
        let shield = |said: &Said| Said { role: said.role, content: self.tokens.shielded(&said.content) };
        let said: Vec<Said> = said.iter().map(shield).collect();
        let prompt = self.tokens.of_prompt(&self.prompts.prompt(&said).map_err(Refusal::Template)?);
        match prompt.len() {
            0 => Err(Refusal::Template("it makes nothing of it".to_owned())),
            tokens if tokens >= self.context => Err(Refusal::TooLong { tokens, limit: self.context }),
            _ => Ok(prompt),
        }
    }

    /// Answers a [`prompt`](Self::prompt), until the answer is at its end or nobody wants it any more.
    pub fn answer(&self, past: &mut Past, prompt: &[u32], wish: &Wish, listener: &mut dyn Listener) -> Report {
        let known = self.recall(past, prompt);
        let mut report = Report { end: End::Unwanted, asked: prompt.len(), known, answered: 0 };
        let mut likely = Vec::new();
        for tokens in prompt[known..].chunks(AT_ONCE) {
            if !listener.waits() {
                return report;
            }
            likely = self.take_in(past, tokens);
        }
        let stops: Vec<String> = wish.stops.iter().chain(&self.prompts.stops).cloned().collect();
        let mut growing = Growing::new(&stops, self.tokens.begins_with_space());
        let mut sampler = Sampler::new(wish.choice.clone(), wish.seed);
        let most = wish.most.min(self.context - prompt.len());
        let mut said = Vec::new();
        loop {
            if said.len() == most {
                report.end = End::Length;
                break;
            }
            let token = sampler.next(likely, &said);
            said.push(token);
            report.answered = said.len();
            if self.tokens.ends(token) {
                report.end = End::Complete;
                break;
            }
            match growing.push(&self.tokens.bytes_of(token)) {
                Grown::Stopped(text) => {
                    listener.hear(text);
                    report.end = End::Complete;
                    return report;
                }
                Grown::Text(text) => {
                    if !listener.hear(text) {
                        return report;
                    }
                }
            }
            if said.len() == most {
                report.end = End::Length;
                break;
            }
            likely = self.take_in(past, &[token]);
        }
        listener.hear(growing.rest());
        report
    }

    /// Keeps what the past has in common with a prompt; how many tokens that are. The last is always taken in again, since
    /// what is likely after it is not kept.
    fn recall(&self, past: &mut Past, prompt: &[u32]) -> usize {
        let same = past.tokens.iter().zip(prompt).take_while(|(one, other)| one == other).count();
        let known = same.min(prompt.len() - 1);
        past.tokens.truncate(known);
        past.memory.keep(known, &self.network.shape);
        known
    }

    fn take_in(&self, past: &mut Past, tokens: &[u32]) -> Vec<f32> {
        past.tokens.extend(tokens);
        self.network.next(&mut past.memory, tokens)
    }
}
