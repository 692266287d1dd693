//! The texts in `locales/`: read, parsed, compared with those of the default language. Knows no attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use fluent_syntax::ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement, Resource};
use fluent_syntax::parser;

use crate::{files, suggest};

/// The language that every plugin with texts has: what the others are compared with and fall back to.
pub(crate) const DEFAULT: &str = "en";

const FOLDER: &str = "locales";

/// The functions that the host's Fluent has.
const FUNCTIONS: &[&str] = &["NUMBER"];

/// A language's texts.
pub(crate) struct Language {
    /// As BCP 47 writes it.
    pub(crate) tag: String,
    /// Each text's key, `message` or `message.attribute`, with the variables that it uses.
    pub(crate) texts: BTreeMap<String, BTreeSet<String>>,
}

/// Where a language's texts are.
pub(crate) fn path(language: &str) -> String {
    format!("{FOLDER}/{language}.ftl")
}

/// Every language, sorted, and what is wrong with the texts.
pub(crate) fn read(folder: &Path) -> (Vec<Language>, Vec<String>) {
    let (mut paths, mut problems) = (Vec::new(), Vec::new());
    files::walk(folder, FOLDER, &mut paths, &mut problems);
    paths.sort();
    let mut languages = Vec::new();
    for path in &paths {
        match tag(path) {
            Ok(tag) => languages.extend(read_one(folder, path, tag, &mut problems)),
            Err(problem) => problems.push(problem),
        }
    }
    match languages.iter().find(|language| language.tag == DEFAULT) {
        Some(default) => {
            let others = languages.iter().filter(|language| language.tag != DEFAULT);
            problems.extend(others.flat_map(|other| compare(default, other)));
        }
        None if paths.is_empty() || paths.contains(&path(DEFAULT)) => {}
        None => problems.push(format!(
            "`{FOLDER}/` has no `{DEFAULT}.ftl`, to which every other language falls back: add it with all of the plugin's texts"
        )),
    }
    problems.sort();
    (languages, problems)
}

/// The default language's texts alone; nothing where the crate has none.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn default_language(folder: &Path) -> Result<Option<Language>, Vec<String>> {
    let path = path(DEFAULT);
    if !folder.join(&path).exists() {
        return Ok(None);
    }
    let mut problems = Vec::new();
    match read_one(folder, &path, DEFAULT.to_owned(), &mut problems) {
        Some(language) if problems.is_empty() => Ok(Some(language)),
        _ => Err(problems),
    }
}

/// `locales/pt-BR.ftl` is `pt-BR`.
fn tag(path: &str) -> Result<String, String> {
    let name = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    let Some(tag) = name.strip_suffix(".ftl") else {
        return Err(format!("`{path}` is no `<language>.ftl`, and nothing else is in `{FOLDER}/`: move it"));
    };
    let mut parts = tag.split('-');
    let is_language = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match parts.next().is_some_and(is_language) && parts.all(is_part) {
        true => Ok(tag.to_owned()),
        false => Err(format!("`{path}` is not named for a language: write it as in `de.ftl` or `pt-BR.ftl`")),
    }
}

fn read_one(folder: &Path, path: &str, tag: String, problems: &mut Vec<String>) -> Option<Language> {
    let source = match fs::read_to_string(folder.join(path)) {
        Ok(source) => source,
        Err(error) => {
            problems.push(format!("cannot read `{path}`: {error}"));
            return None;
        }
    };
    let resource = match parser::parse(source.as_str()) {
        Ok(resource) => resource,
        Err((_, errors)) => {
            problems.extend(errors.iter().map(|error| {
                let line = 1 + source[..error.pos.start.min(source.len())].matches('\n').count();
                format!(
                    "`{path}`, line {line}: {}; the syntax is at https://projectfluent.org/fluent/guide",
                    error.kind
                )
            }));
            return None;
        }
    };
    let texts = Texts::of(&resource);
    problems.extend(texts.problems.iter().map(|problem| format!("`{path}`: {problem}")));
    let mut seen = BTreeSet::new();
    problems.extend(
        texts
            .keys
            .iter()
            .filter(|key| !seen.insert(**key))
            .map(|key| format!("`{path}` has `{key}` twice: remove one")),
    );
    let found = texts.patterns.keys().map(|key| (key.clone(), texts.variables(key))).collect();
    Some(Language { tag, texts: found })
}

/// What a language has that the default one lacks: never shown, or shown with a hole.
fn compare(default: &Language, other: &Language) -> Vec<String> {
    let path = path(&other.tag);
    let known: Vec<&str> = default.texts.keys().map(String::as_str).collect();
    let found = other.texts.iter().flat_map(|(key, variables)| match default.texts.get(key) {
        None => {
            let message = suggest::unknown_of("text", key, &format!("`{FOLDER}/{DEFAULT}.ftl`"), &short(&known));
            vec![format!("`{path}`: {message}")]
        }
        Some(has) => variables
            .difference(has)
            .map(|variable| {
                let has: Vec<&str> = has.iter().map(String::as_str).collect();
                let way_out = match has.as_slice() {
                    [] => "it uses none there".to_owned(),
                    has => suggest::way_out(variable, has),
                };
                format!("`{path}`: `{key}` uses `${variable}`, which it does not in `{DEFAULT}.ftl`; {way_out}")
            })
            .collect(),
    });
    found.collect()
}

/// A list short enough for a message.
pub(crate) fn short<'a>(known: &[&'a str]) -> Vec<&'a str> {
    // All count for what is meant; where nothing is near, the first few show what names look like.
    known.iter().copied().take(60).collect()
}

/// A resource, looked up by key.
struct Texts<'a> {
    /// In their order, with those that are there twice.
    keys: Vec<&'a str>,
    patterns: BTreeMap<String, &'a Pattern<&'a str>>,
    problems: Vec<String>,
}

impl<'a> Texts<'a> {
    fn of(resource: &'a Resource<&'a str>) -> Self {
        let mut texts = Self { keys: Vec::new(), patterns: BTreeMap::new(), problems: Vec::new() };
        let mut terms = BTreeSet::new();
        let mut of_terms = Vec::new();
        for entry in &resource.body {
            match entry {
                Entry::Message(message) => {
                    texts.keys.push(message.id.name);
                    if let Some(pattern) = &message.value {
                        texts.patterns.insert(message.id.name.to_owned(), pattern);
                    }
                    for attribute in &message.attributes {
                        texts.patterns.insert(format!("{}.{}", message.id.name, attribute.id.name), &attribute.value);
                    }
                }
                Entry::Term(term) => {
                    terms.insert(term.id.name);
                    of_terms.push((format!("-{}", term.id.name), &term.value));
                }
                _ => {}
            }
        }
        let messages = texts.patterns.iter().map(|(key, pattern)| (key.clone(), *pattern));
        for (key, pattern) in messages.chain(of_terms).collect::<Vec<_>>() {
            let mut named = Named::default();
            named.pattern(pattern);
            for term in named.terms.iter().filter(|term| !terms.contains(term.as_str())) {
                let terms: Vec<&str> = terms.iter().copied().collect();
                let way_out = suggest::way_out(term, &terms);
                texts.problems.push(format!("`{key}` names the term `-{term}`, which is not there; {way_out}"));
            }
            for message in named.messages.iter().filter(|message| !texts.patterns.contains_key(*message)) {
                let known: Vec<&str> = texts.patterns.keys().map(String::as_str).collect();
                let way_out = suggest::way_out(message, &short(&known));
                texts.problems.push(format!("`{key}` names the text `{message}`, which is not there; {way_out}"));
            }
            for function in named.functions.iter().filter(|function| !FUNCTIONS.contains(&function.as_str())) {
                texts.problems.push(format!("`{key}` calls `{function}()`; there is only `NUMBER()`"));
            }
            for variable in named.variables.iter().filter(|variable| variable.contains('-')) {
                let joined = variable.replace('-', "_");
                texts.problems.push(format!("`{key}` uses `${variable}`, which `t!` cannot name: write `${joined}`"));
            }
        }
        texts
    }

    /// The variables that a text uses, by itself and through the texts that it names.
    fn variables(&self, key: &str) -> BTreeSet<String> {
        let (mut open, mut seen, mut variables) = (vec![key.to_owned()], BTreeSet::new(), BTreeSet::new());
        while let Some(key) = open.pop() {
            let Some(pattern) = self.patterns.get(&key) else { continue };
            if seen.insert(key) {
                let mut named = Named::default();
                named.pattern(pattern);
                variables.extend(named.variables);
                open.extend(named.messages);
            }
        }
        variables
    }
}

/// What a pattern names.
#[derive(Default)]
struct Named {
    variables: BTreeSet<String>,
    messages: BTreeSet<String>,
    terms: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Named {
    fn pattern(&mut self, pattern: &Pattern<&str>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                self.expression(expression);
            }
        }
    }

    fn expression(&mut self, expression: &Expression<&str>) {
        match expression {
            Expression::Inline(inline) => self.inline(inline),
            Expression::Select { selector, variants } => {
                self.inline(selector);
                for variant in variants {
                    self.pattern(&variant.value);
                }
            }
        }
    }

    fn inline(&mut self, inline: &InlineExpression<&str>) {
        match inline {
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
            InlineExpression::FunctionReference { id, arguments } => {
                self.functions.insert(id.name.to_owned());
                self.arguments(arguments);
            }
            InlineExpression::MessageReference { id, attribute } => {
                let attribute = attribute.as_ref().map(|attribute| format!(".{}", attribute.name));
                self.messages.insert(format!("{}{}", id.name, attribute.unwrap_or_default()));
            }
            InlineExpression::TermReference { id, arguments, .. } => {
                self.terms.insert(id.name.to_owned());
                if let Some(arguments) = arguments {
                    self.arguments(arguments);
                }
            }
            InlineExpression::VariableReference { id } => {
                self.variables.insert(id.name.to_owned());
            }
            InlineExpression::Placeable { expression } => self.expression(expression),
        }
    }

    fn arguments(&mut self, arguments: &CallArguments<&str>) {
        for argument in &arguments.positional {
            self.inline(argument);
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(FOLDER).join(name), text).unwrap();
        }
        let (languages, problems) = read(folder.path());
        let told = languages.iter().map(|language| format!("{} {:?}", language.tag, language.texts));
        expected.assert_eq(&told.chain(problems).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn each_text_has_the_variables_that_it_uses() {
        let english = "-brand = PlexiChat\n\
                       hello = Hello, { $name }, this is { -brand }\n\
                       count = { NUMBER($number) ->\n    [one] One of { $all }\n   *[other] { $number }\n }\n\
                       both = { hello } { count }\n    .short = { $short }\n\
                       only =\n    .title = Title\n";
        check(
            &[("en.ftl", english)],
            expect![[
                r#"en {"both": {"all", "name", "number"}, "both.short": {"short"}, "count": {"all", "number"}, "hello": {"name"}, "only.title": {}}"#
            ]],
        );
        check(&[], expect![[r#""#]]);
    }

    #[test]
    fn what_does_not_parse_is_told_with_its_line() {
        check(
            &[("en.ftl", "a = A\n\nb { \nc = C\n"), ("de.ftl", "a = { $x\n")],
            expect![[r#"
            `locales/de.ftl`, line 2: Expected a token starting with "}"; the syntax is at https://projectfluent.org/fluent/guide
            `locales/en.ftl`, line 3: Expected a token starting with "="; the syntax is at https://projectfluent.org/fluent/guide"#]],
        );
    }

    #[test]
    fn languages_are_compared_with_the_default_one() {
        let english = "hello = Hello { $name }\nbye = Bye\nmore = More\n";
        let german = "helo = Hallo { $name }\nbye = Tschüs { $nme }\nhello = Hallo { $nme }\n";
        check(
            &[("en.ftl", english), ("de.ftl", german)],
            expect![[r#"
                de {"bye": {"nme"}, "hello": {"nme"}, "helo": {"name"}}
                en {"bye": {}, "hello": {"name"}, "more": {}}
                `locales/de.ftl`: `bye` uses `$nme`, which it does not in `en.ftl`; it uses none there
                `locales/de.ftl`: `hello` uses `$nme`, which it does not in `en.ftl`; did you mean `name`?
                `locales/de.ftl`: unknown text `helo` of `locales/en.ftl`; did you mean `hello`?"#]],
        );
        check(
            &[("en.ftl", "a = A\nb = B\na = C\n")],
            expect![[r#"
            en {"a": {}, "b": {}}
            `locales/en.ftl` has `a` twice: remove one"#]],
        );
        check(
            &[("de.ftl", "a = A\n")],
            expect![[r#"
            de {"a": {}}
            `locales/` has no `en.ftl`, to which every other language falls back: add it with all of the plugin's texts"#]],
        );
    }

    #[test]
    fn what_a_text_names_must_be_there() {
        let english = "-brand = x\na = { -brnd } { b } { DATETIME($when) } { $user-name }\nbb = B\n";
        check(
            &[("en.ftl", english)],
            expect![[r#"
                en {"a": {"user-name", "when"}, "bb": {}}
                `locales/en.ftl`: `a` calls `DATETIME()`; there is only `NUMBER()`
                `locales/en.ftl`: `a` names the term `-brnd`, which is not there; did you mean `brand`?
                `locales/en.ftl`: `a` names the text `b`, which is not there; did you mean `a`?
                `locales/en.ftl`: `a` uses `$user-name`, which `t!` cannot name: write `$user_name`"#]],
        );
    }

    #[test]
    fn files_are_named_for_languages() {
        let text = "a = A\n";
        check(
            &[("en.ftl", text), ("pt-BR.ftl", text), ("Deutsch.ftl", text), ("de_AT.ftl", text), ("fr.txt", text)],
            expect![[r#"
                en {"a": {}}
                pt-BR {"a": {}}
                `locales/Deutsch.ftl` is not named for a language: write it as in `de.ftl` or `pt-BR.ftl`
                `locales/de_AT.ftl` is not named for a language: write it as in `de.ftl` or `pt-BR.ftl`
                `locales/fr.txt` is no `<language>.ftl`, and nothing else is in `locales/`: move it"#]],
        );
    }
}
