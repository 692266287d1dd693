//! The outer form of an attribute's options, `name`, `name = value` or `name(..)`, separated by commas. Knows no meaning.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{LitStr, Token};

use crate::errors::Errors;
use crate::suggest;

/// One option.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: Ident,
    /// What follows the name.
    pub(crate) value: Value,
}

/// What follows an option's name.
pub(crate) enum Value {
    /// Nothing: `name`.
    Nothing,
    /// `= value`.
    Assigned(TokenStream),
    /// `(..)`.
    List(Group),
}

/// The options that an attribute, or an option with parts, takes.
pub(crate) struct Known<'a> {
    /// Whose they are, for messages.
    pub(crate) owner: &'a str,
    /// Their names.
    pub(crate) options: &'a [&'a str],
}

/// The parts between top-level commas; an empty part at the end is none.
pub(crate) fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens {
        match (&token, parts.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => parts.push(TokenStream::new()),
            (_, Some(part)) => part.extend([token]),
            (_, None) => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Every option that can be read; the others are mistakes.
pub(crate) fn entries(tokens: TokenStream, known: &Known<'_>, errors: &Errors) -> Vec<Entry> {
    let Known { owner, options } = known;
    let mut seen: Vec<Ident> = Vec::new();
    let parts = split(tokens).into_iter().filter_map(|part| match entry(part.clone()) {
        Some(entry) => Some(entry),
        None => {
            errors.under(
                part,
                format!(
                    "{owner} takes options such as `name`, `name = \"value\"` or `name(..)`; there are {}",
                    suggest::list(options)
                ),
            );
            None
        }
    });
    let known_parts = parts.filter(|entry| {
        let name = entry.name.to_string();
        if !options.contains(&name.as_str()) {
            errors.under(&entry.name, suggest::unknown_of("option", &name, owner, options));
            return false;
        }
        if seen.contains(&entry.name) {
            errors.under(&entry.name, format!("`{name}` is given twice; put everything into one"));
            return false;
        }
        seen.push(entry.name.clone());
        true
    });
    known_parts.collect()
}

fn entry(part: TokenStream) -> Option<Entry> {
    let mut tokens = part.into_iter();
    let Some(TokenTree::Ident(name)) = tokens.next() else { return None };
    let value = match tokens.next() {
        None => Value::Nothing,
        Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => Value::Assigned(tokens.by_ref().collect()),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Value::List(group),
        Some(_) => return None,
    };
    tokens.next().is_none().then_some(Entry { name, value })
}

impl Entry {
    /// The text of `name = "text"`.
    pub(crate) fn text(self, example: &str, errors: &Errors) -> Option<LitStr> {
        let name = self.name;
        if let Value::Assigned(tokens) = &self.value
            && let Ok(text) = syn::parse2::<LitStr>(tokens.clone())
        {
            return Some(text);
        }
        errors.under(&name, format!("`{name}` takes one text; write `{name} = \"{example}\"`"));
        None
    }

    /// The parts of `name(..)`.
    pub(crate) fn list(self, example: &str, errors: &Errors) -> Vec<TokenStream> {
        let name = self.name;
        if let Value::List(group) = self.value {
            let parts = split(group.stream());
            if parts.is_empty() {
                errors.under(&name, format!("`{name}()` is empty; write `{name}({example})` or leave it out"));
            }
            return parts;
        }
        errors.under(&name, format!("`{name}` takes a list; write `{name}({example})`"));
        Vec::new()
    }

    /// The parts of `name("a", "b")`.
    pub(crate) fn texts(self, example: &str, errors: &Errors) -> Vec<LitStr> {
        let name = self.name.clone();
        let parts = self.list(example, errors).into_iter();
        parts
            .filter_map(|part| match syn::parse2::<LitStr>(part.clone()) {
                Ok(text) => Some(text),
                Err(_) => {
                    errors.under(part, format!("`{name}` takes texts in quotes: `{name}({example})`"));
                    None
                }
            })
            .collect()
    }

    /// The parts of `name(One, Two)`.
    pub(crate) fn words(self, example: &str, errors: &Errors) -> Vec<Ident> {
        let name = self.name.clone();
        let parts = self.list(example, errors).into_iter();
        parts
            .filter_map(|part| match syn::parse2::<Ident>(part.clone()) {
                Ok(word) => Some(word),
                Err(_) => {
                    errors.under(part, format!("`{name}` takes plain words: `{name}({example})`"));
                    None
                }
            })
            .collect()
    }

    /// Nothing but the name.
    pub(crate) fn flag(self, errors: &Errors) -> Option<Ident> {
        match self.value {
            Value::Nothing => Some(self.name),
            _ => {
                errors.under(&self.name, format!("`{0}` takes no value; write `{0}` alone", self.name));
                None
            }
        }
    }
}

/// Every part of `"a" = "b", "c" = "d"`.
pub(crate) fn pair(part: &TokenStream) -> Option<(LitStr, LitStr)> {
    let parse = |input: syn::parse::ParseStream<'_>| {
        let left: LitStr = input.parse()?;
        input.parse::<Token![=]>()?;
        let right: LitStr = input.parse()?;
        Ok((left, right))
    };
    syn::parse::Parser::parse2(parse, part.clone()).ok()
}

/// Refuses any option.
pub(crate) fn none(tokens: TokenStream, what: &str, errors: &Errors) {
    if !tokens.is_empty() {
        errors.under(tokens, format!("{what} takes no options"));
    }
}
