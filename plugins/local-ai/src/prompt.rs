//! Makes one text of a conversation, as the model was taught to read it: by the Jinja template of its file. Knows no tokens.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use crate::error::ModelError;

/// The name of the only template.
const NAME: &str = "chat";

/// How much work a template may be: far more than any conversation needs, far less than one notices.
const FUEL: u64 = 10_000_000;

/// What one side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    /// What it said.
    pub content: String,
}

/// The template of a model.
pub struct Prompts {
    environment: Environment<'static>,
    begin: String,
    end: String,
    /// What ends an answer beside the model's own tokens.
    pub stops: Vec<String>,
}

/// Where a file has no template: every turn in lines of its own.
const PLAIN: &str =
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:";

impl Prompts {
    /// The template with this source, or a plain one.
    ///
    /// # Errors
    /// Where it is no Jinja, with the line.
    pub fn new(source: Option<&str>, begin: &str, end: &str) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        // As Hugging Face's own library renders them.
        if source.is_some() {
            environment.set_syntax(
                SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the usual marks"),
            );
        }
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |why: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, why))
        });
        let added = environment.add_template_owned(NAME, source.unwrap_or(PLAIN).to_owned());
        added.map_err(|error| ModelError::Template { problem: told(&error) })?;
        let stops = if source.is_some() { Vec::new() } else { vec!["\nuser:".to_owned(), "\nsystem:".to_owned()] };
        Ok(Self { environment, begin: begin.to_owned(), end: end.to_owned(), stops })
    }

    /// The prompt for what was said so far. Some templates refuse two turns of one side in a row, or a system's: these are
    /// put together before anything else is refused.
    ///
    /// # Errors
    /// Why the template takes no such conversation, in its own words.
    pub fn prompt(&self, said: &[Said]) -> Result<String, String> {
        let as_given = self.render(said);
        let joined = || self.render(&without_neighbours(said));
        let without_system = || self.render(&without_neighbours(&without_system(said)));
        as_given.or_else(|refused| joined().or_else(|_| without_system()).map_err(|_| told(&refused)))
    }

    fn render(&self, said: &[Said]) -> Result<String, Error> {
        let template = self.environment.get_template(NAME)?;
        let turn = |said: &Said| context! { role => said.role, content => said.content.as_str() };
        let messages: Vec<Value> = said.iter().map(turn).collect();
        template.render(context! {
            messages,
            bos_token => self.begin.as_str(),
            eos_token => self.end.as_str(),
            add_generation_prompt => true,
        })
    }
}

/// Turns of one side in a row as one turn.
fn without_neighbours(said: &[Said]) -> Vec<Said> {
    let mut joined: Vec<Said> = Vec::new();
    for turn in said {
        match joined.last_mut() {
            Some(last) if last.role == turn.role => last.content = format!("{}\n{}", last.content, turn.content),
            _ => joined.push(turn.clone()),
        }
    }
    joined
}

/// The system's words as the first of a person's.
fn without_system(said: &[Said]) -> Vec<Said> {
    let as_user = |turn: &Said| Said { role: if turn.role == "system" { "user" } else { turn.role }, ..turn.clone() };
    said.iter().map(as_user).collect()
}

/// What went wrong in a template, and where.
fn told(error: &Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    error.line().map_or(what.clone(), |line| format!("{what} (line {line})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(turns: &[(&'static str, &str)]) -> Vec<Said> {
        turns.iter().map(|(role, content)| Said { role, content: (*content).to_owned() }).collect()
    }

    #[track_caller]
    fn check(source: Option<&str>, turns: &[(&'static str, &str)], expected: Result<&str, &str>) {
        let prompts = Prompts::new(source, "<s>", "</s>").unwrap();
        let prompt = prompts.prompt(&said(turns));
        assert_eq!(prompt.as_deref().map_err(String::as_str), expected);
    }

    /// Llama 3's own, shortened by tools.
    const LLAMA3: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = \
        '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}\
        {% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

    /// Mistral 7B Instruct v0.1's own.
    const MISTRAL: &str = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != \
        (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') \
        }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif \
        message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}{% else %}\
        {{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";

    /// SmolLM2's own.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
        {{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}\
        {% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn templates_of_known_models_give_what_they_were_taught_with() {
        let turns = [("system", "Be brief."), ("user", " Hi ")];
        check(
            Some(LLAMA3),
            &turns,
            Ok("<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user\
                <|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"),
        );
        check(
            Some(SMOLLM2),
            &[("user", "Hi")],
            Ok("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
                <|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        );
        let turns = [("user", "one"), ("assistant", "two"), ("user", "three")];
        check(Some(MISTRAL), &turns, Ok("<s>[INST] one [/INST]two</s> [INST] three [/INST]"));
    }

    #[test]
    fn turns_are_put_together_where_the_template_wants_it() {
        check(Some(MISTRAL), &[("user", "one"), ("user", "two")], Ok("<s>[INST] one\ntwo [/INST]"));
        check(Some(MISTRAL), &[("system", "Be brief."), ("user", "Hi")], Ok("<s>[INST] Be brief.\nHi [/INST]"));
        let refused = "Conversation roles must alternate user/assistant/user/assistant/... (line 1)";
        check(Some(MISTRAL), &[("assistant", "one"), ("user", "two")], Err(refused));
    }

    #[test]
    fn blocks_take_no_lines_and_methods_of_python_are_known() {
        let source = "{% if true %}\n  {%- set said = messages[0].content.strip().split(' ') %}\n    {% endif %}\n{{ said[-1] }}\n";
        check(Some(source), &[("user", " one two ")], Ok("two"));
    }

    #[test]
    fn without_a_template_every_turn_has_a_line() {
        check(None, &[("system", "Be brief."), ("user", "Hi")], Ok("<s>system: Be brief.\nuser: Hi\nassistant:"));
    }

    #[test]
    fn a_template_that_is_none_is_refused_and_one_without_end_ends() {
        let broken = Prompts::new(Some("{% if %}"), "", "").err().unwrap();
        assert!(broken.to_string().contains("(line 1)"), "{broken}");
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        check(Some(endless), &[], Err("engine ran out of fuel (line 1)"));
    }
}
