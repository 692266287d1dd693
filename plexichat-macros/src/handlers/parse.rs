//! Takes `#[on(..)]`, `#[command(..)]` and `#[tool(..)]` off the methods. What comes out is not yet checked.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Attribute, ImplItem, ItemImpl, LitStr, Meta, Signature};

use crate::errors::Errors;
use crate::options::Known;
use crate::{item, options, suggest};

/// The options of `#[on]` beside the names.
const ON_OPTIONS: &[&str] = &["own"];

/// The options of `#[tool]` behind the name.
const TOOL_OPTIONS: Known<'_> = Known { owner: "`#[tool]`", options: &["approval"] };

/// How a tool is written.
const TOOL_EXAMPLE: &str = "#[tool(\"forecast\", approval = \"never\")]";

/// A method that the host calls.
pub(crate) struct Method {
    /// How it is called.
    pub(crate) call: Call,
    /// Its signature.
    pub(crate) signature: Signature,
    /// Its documentation.
    pub(crate) documentation: String,
}

/// What calls a method.
pub(crate) enum Call {
    /// `#[on("a", "b", own)]`.
    On {
        /// The events.
        names: Vec<LitStr>,
        /// Whether the plugin's own events are wanted too.
        own: bool,
    },
    /// `#[command("name")]`.
    Command {
        /// The name, without the slash.
        name: LitStr,
    },
    /// `#[tool("name", approval = "never")]`.
    Tool {
        /// The name.
        name: LitStr,
        /// Whether a person is asked first.
        approval: Option<LitStr>,
    },
}

/// The methods with an attribute, which is taken off.
pub(crate) fn methods(block: &mut ItemImpl, errors: &Errors) -> Vec<Method> {
    let mut methods = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let ours = |attribute: &Attribute| ["on", "command", "tool"].iter().any(|word| attribute.path().is_ident(word));
        let (attributes, rest) = std::mem::take(&mut method.attrs).into_iter().partition::<Vec<_>, _>(ours);
        method.attrs = rest;
        let [first, more @ ..] = attributes.as_slice() else { continue };
        for more in more {
            errors.under(
                more,
                "one method, one attribute: name all events in one `#[on(..)]`, and give a command and a tool methods of \
                 their own",
            );
        }
        let call = match first.path().get_ident() {
            Some(word) if word == "on" => on(first, errors),
            Some(word) if word == "tool" => tool(first, errors),
            _ => command(first, errors),
        };
        methods.extend(call.map(|call| Method {
            call,
            signature: method.sig.clone(),
            documentation: item::documentation(&method.attrs),
        }));
    }
    methods
}

fn on(attribute: &Attribute, errors: &Errors) -> Option<Call> {
    let (mut names, mut own) = (Vec::new(), false);
    for part in options::split(arguments(attribute)) {
        if let Ok(name) = syn::parse2::<LitStr>(part.clone()) {
            names.push(name);
            continue;
        }
        match syn::parse2::<Ident>(part.clone()) {
            Ok(word) if word == "own" => own = true,
            Ok(word) => errors.under(&word, unknown_word(&word)),
            Err(_) => errors.under(part, "`#[on(..)]` takes the events' names in quotes: `#[on(\"user_message\")]`"),
        }
    }
    if names.is_empty() && errors.is_empty() {
        errors.at(span(attribute), "`#[on(..)]` needs the name of an event: `#[on(\"user_message\")]`");
    }
    (!names.is_empty()).then_some(Call::On { names, own })
}

fn unknown_word(word: &Ident) -> String {
    let word = word.to_string();
    if crate::words::EVENTS.contains(&word.as_str()) {
        return format!("the names of events stand in quotes: `#[on(\"{word}\")]`");
    }
    suggest::unknown_of("option", &word, "`#[on]`", ON_OPTIONS)
}

fn command(attribute: &Attribute, errors: &Errors) -> Option<Call> {
    let name = syn::parse2::<LitStr>(arguments(attribute)).ok();
    if name.is_none() {
        errors.under(attribute, "`#[command(..)]` takes the command's name in quotes: `#[command(\"roll\")]`");
    }
    name.map(|name| Call::Command { name })
}

fn tool(attribute: &Attribute, errors: &Errors) -> Option<Call> {
    let mut parts = options::split(arguments(attribute)).into_iter();
    let name = parts.next().and_then(|part| syn::parse2::<LitStr>(part).ok());
    let Some(name) = name else {
        errors
            .under(attribute, format!("`#[tool(..)]` takes the tool's name in quotes, then options: `{TOOL_EXAMPLE}`"));
        return None;
    };
    let rest = parts.flat_map(|part| [part, quote::quote!(,)]).collect();
    let mut approval = None;
    for entry in options::entries(rest, &TOOL_OPTIONS, errors) {
        approval = entry.text("never", errors);
    }
    Some(Call::Tool { name, approval })
}

fn arguments(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    }
}

fn span(attribute: &Attribute) -> Span {
    attribute.path().segments.first().map_or_else(Span::call_site, |segment| segment.ident.span())
}
