//! Rust source as tidy reads it: without comments, strings and test modules, and the module paths that it names. Not a
//! parser: enough to see which file a `crate::…` or `super::…` path leads to.

use std::path::Path;

/// A file's code.
pub(super) struct Source {
    code: String,
    test_children: Vec<String>,
}

/// A path of modules from the crate's root, such as `["event", "catalog", "NAMES"]`.
pub(super) type ModulePath = Vec<String>;

impl Source {
    pub(super) fn read(file: &Path) -> Self {
        Self::new(&std::fs::read_to_string(file).unwrap())
    }

    pub(super) fn new(text: &str) -> Self {
        let mut test_children = Vec::new();
        let code = without_test_modules(&without_comments_and_strings(text), &mut test_children);
        Self { code, test_children }
    }

    /// The code, comments and strings blanked, without `#[cfg(test)]` modules.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The names of the files below this one that only tests see: `#[cfg(test)] mod name;`.
    pub(super) fn test_children(&self) -> &[String] {
        &self.test_children
    }

    /// The identifiers and keywords in their order.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        tokens(&self.code).filter(|token| is_word(token))
    }

    /// Every path that begins with `crate::` or `super::`, from the crate's root. `module` is this file's own path.
    pub(super) fn own_paths(&self, module: &[String]) -> Vec<ModulePath> {
        let tokens: Vec<&str> = tokens(&self.code).collect();
        let mut paths = Vec::new();
        // How many inline modules are open, and at which depth of braces each began.
        let mut inline: Vec<usize> = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while at < tokens.len() {
            match tokens[at] {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inline.retain(|began| *began < depth + 1);
                }
                "mod" if tokens.get(at + 2) == Some(&"{") => {
                    depth += 1;
                    inline.push(depth);
                    at += 3;
                    continue;
                }
                "crate" if tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "$") => {
                    at = tree(&tokens, at + 2, &mut Vec::new(), &mut paths);
                    continue;
                }
                "super" if tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::") => {
                    let mut base = module.to_vec();
                    let mut steps = inline.len();
                    while tokens.get(at) == Some(&"super") && tokens.get(at + 1) == Some(&"::") {
                        match steps {
                            0 => drop(base.pop()),
                            _ => steps -= 1,
                        }
                        at += 2;
                    }
                    at = tree(&tokens, at, &mut base, &mut paths);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        paths
    }
}

/// Reads `a::b`, `a::{b, c::d}` or `*` from `at` on; returns where it ended.
fn tree(tokens: &[&str], mut at: usize, prefix: &mut ModulePath, paths: &mut Vec<ModulePath>) -> usize {
    let length = prefix.len();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = tree(tokens, at, prefix, paths);
                    if tokens.get(at) == Some(&",") {
                        at += 1;
                    }
                }
                prefix.truncate(length);
                return at + 1;
            }
            Some(word) if is_word(word) => {
                prefix.push((*word).to_owned());
                at += 1;
                if tokens.get(at) == Some(&"::") {
                    at += 1;
                    continue;
                }
                if tokens.get(at) == Some(&"as") {
                    at += 2;
                }
            }
            Some(&"*") => at += 1,
            // Anything else (`::<T>`) ends the path; step over it, so that the caller's loop always moves on.
            _ => at += 1,
        }
        paths.push(prefix.clone());
        prefix.truncate(length);
        return at;
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

/// Blanks comments, string and character literals; lifetimes stay.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(hashes) = raw_string(rest).filter(|_| !code.ends_with(|last: char| last.is_alphanumeric())) {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = rest.find('"').unwrap_or(0) + 1;
            rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The number of `#` where a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let text = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = text.len() - text.trim_start_matches('#').len();
    text[hashes..].starts_with('"').then_some(hashes)
}

/// Whether a quote begins a character, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut letters = text.chars().skip(1);
    match letters.next() {
        Some('\\') => true,
        Some(_) => letters.next() == Some('\''),
        None => false,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return at + letter.len_utf8();
        }
    }
    text.len()
}

/// Cuts out every `#[cfg(test)] mod … { … }`, also where `test` stands with other conditions: tests may import what they like.
/// The names of those that are files of their own are put into `children`.
fn without_test_modules(code: &str, children: &mut Vec<String>) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(") {
        let Some(length) = rest[at..].find(']') else { break };
        let (condition, after) = rest[at..].split_at(length + 1);
        kept.push_str(&rest[..at]);
        rest = after;
        let item_end = rest.find([';', '{']).unwrap_or(rest.len());
        let name = tokens(&rest[..item_end]).skip_while(|token| *token != "mod").nth(1);
        let is_module = name.is_some() && tokens(condition).any(|token| token == "test");
        if is_module && rest[item_end..].starts_with(';') {
            children.extend(name.map(str::to_owned));
        } else if is_module {
            rest = &rest[item_end..];
            let mut depth = 0_usize;
            let end = rest.char_indices().find(|(_, letter)| {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            rest = end.map_or("", |(at, _)| &rest[at + 1..]);
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(module: &[&str], text: &str, expected: &[&str]) {
        let module: ModulePath = module.iter().map(ToString::to_string).collect();
        let found: Vec<String> = Source::new(text).own_paths(&module).iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn finds_the_paths_of_a_use_tree() {
        check(
            &["a"],
            "use crate::event::{Event, catalog::{NAMES, self}};",
            &["event::Event", "event::catalog::NAMES", "event::catalog::self"],
        );
        check(&["a"], "fn f() { crate::problem::nearest::<u8>(1) }", &["problem::nearest"]);
        check(&["a"], "use crate::a::B as C; use crate::d::*;", &["a::B", "d"]);
        check(&["a"], "pub(crate) fn f() {} $crate::x::y", &[]);
    }

    #[test]
    fn resolves_super_through_inline_modules() {
        check(&["event", "catalog"], "use super::Payload;", &["event::Payload"]);
        check(&["registry"], "mod imp { use super::Entry; } use super::x::Y;", &["registry::Entry", "x::Y"]);
        check(&["a", "b", "c"], "use super::super::d;", &["a::d"]);
    }

    #[test]
    fn files_of_tests_are_known() {
        let source =
            Source::new("mod a; #[cfg(test)] mod b; #[cfg(all(test, unix))]\npub(crate) mod c; #[cfg(unix)] mod d;");
        assert_eq!(source.test_children(), ["b", "c"]);
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        check(&["a"], "// crate::b::C\n/* crate::d /* x */ crate::e */ \"crate::f\" r#\"\"crate::g\"\"#", &[]);
        check(&["a"], "#[cfg(test)]\nmod tests { use crate::b::C; fn f() { {} } } use crate::d::E;", &["d::E"]);
        check(
            &["a"],
            "#[cfg(all(test, feature = \"x\"))] mod t { use crate::b; } #[cfg(unix)] mod u { use crate::c; }",
            &["c"],
        );
        check(&["a"], "fn f<'a>(x: &'a str) { '\"'; crate::b::c() }", &["b::c"]);
    }
}
