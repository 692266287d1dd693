//! Tools, the methods with `#[tool(..)]`: what may be wrong with one, and what is written for it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{LitStr, Signature, Type};

use super::check::{returns, typed_arguments};
use crate::errors::Errors;
use crate::{item, names, suggest, words};

const SHAPE: &str =
    "a tool is `async fn name(&self, call: ToolCall, args: Args) -> Result<ToolAnswer>`, or takes no `args`";

/// A tool, checked.
pub(crate) struct Tool {
    pub(crate) method: Ident,
    pub(crate) name: LitStr,
    help: String,
    arguments: Option<Type>,
    /// The variant of `plexichat::tool::Approval`.
    approval: &'static str,
    /// Where what it returns is written.
    returned: Span,
}

/// Checks a method with the attribute.
pub(crate) fn check(
    signature: &Signature,
    name: LitStr,
    approval: Option<LitStr>,
    help: String,
    errors: &Errors,
) -> Option<Tool> {
    if let Err(message) = names::tool(&name.value()) {
        errors.under(&name, message);
    }
    if help.is_empty() {
        errors.under(
            &signature.ident,
            format!(
                "tool `{}` has no documentation; write `/// ..` above it: models read when to call it, and people what they \
                 allow",
                name.value()
            ),
        );
    }
    // Whoever says nothing has people asked every time.
    let approval = approval.map_or(Some("Always"), |word| self::approval(&word, errors));
    let taken = typed_arguments(signature, SHAPE, errors)?;
    let ([call] | [call, _]) = taken[..] else {
        errors.under(&signature.ident, SHAPE);
        return None;
    };
    if item::last_word(call).as_deref() != Some("ToolCall") {
        errors.under(call, format!("a tool takes `ToolCall` first; {SHAPE}"));
    }
    returns(signature, "ToolAnswer", SHAPE, errors);
    Some(Tool {
        method: signature.ident.clone(),
        name,
        help,
        arguments: taken.get(1).map(|ty| (*ty).clone()),
        approval: approval?,
        returned: signature.output.span(),
    })
}

fn approval(word: &LitStr, errors: &Errors) -> Option<&'static str> {
    let value = word.value();
    let found = words::APPROVALS.iter().find(|(word, _)| *word == value);
    if found.is_none() {
        let known: Vec<&str> = words::APPROVALS.iter().map(|(word, _)| *word).collect();
        errors.under(word, suggest::unknown("approval", &value, &known));
    }
    found.map(|(_, variant)| *variant)
}

/// The name of the function that calls it.
pub(crate) fn function(index: usize) -> Ident {
    format_ident!("tool_{index}")
}

/// What the descriptor says of it.
pub(crate) fn spec(tool: &Tool) -> TokenStream {
    let Tool { method, name, help, arguments, approval, .. } = tool;
    let (method, approval) = (method.to_string(), format_ident!("{approval}"));
    let schema = match arguments {
        None => quote!(::plexichat::__private::no_arguments),
        Some(ty) => quote!(::plexichat::__private::arguments_schema::<#ty>),
    };
    quote! {
        ::plexichat::tool::ToolSpec {
            name: #name,
            help: #help,
            method: #method,
            arguments: #schema,
            approval: ::plexichat::tool::Approval::#approval,
        }
    }
}

/// The function that calls it.
pub(crate) fn call(plugin: &Type, index: usize, tool: &Tool) -> TokenStream {
    let function = function(index);
    let method = &tool.method;
    let (arguments, passed) = match &tool.arguments {
        None => (None, None),
        Some(ty) => (
            Some(quote! {
                let arguments = ::plexichat::tool::parse_arguments::<#ty>(&call.tool, &call.arguments)?;
            }),
            Some(quote!(, arguments)),
        ),
    };
    let body = quote_spanned!(tool.returned=> <#plugin>::#method(plugin, call #passed).await);
    quote! {
        fn #function(
            plugin: &#plugin,
            call: ::plexichat::tool::ToolCall,
        ) -> ::plexichat::__private::BoxFuture<'_, ::plexichat::error::Result<::plexichat::tool::ToolAnswer>> {
            ::std::boxed::Box::pin(async move {
                #arguments
                let outcome: ::plexichat::error::Result<::plexichat::tool::ToolAnswer> = #body;
                outcome
            })
        }
    }
}
