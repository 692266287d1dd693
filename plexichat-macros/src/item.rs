//! What several attributes ask of the item they stand on. Knows no attribute.

use proc_macro2::TokenStream;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Type};

/// The documentation of an item as its author wrote it: lines joined, the usual blank in front of each taken away.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let text = text.value();
                Some(text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned())
            }
            // `#[doc = include_str!(..)]` is documentation whose text only the compiler sees.
            _ => Some("…".to_owned()),
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The last word of a type's path: `Event` of `&plexichat::event::Event` is asked with the reference taken off.
pub(crate) fn last_word(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Paren(inner) => last_word(&inner.elem),
        Type::Group(inner) => last_word(&inner.elem),
        _ => None,
    }
}

/// Whether a type is written as `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The tokens of an item that could not be read, followed by the mistakes.
pub(crate) fn with_errors(item: TokenStream, errors: crate::errors::Errors) -> TokenStream {
    let errors = errors.into_tokens();
    quote::quote!(#item #errors)
}

/// The first word of an item, to point at where the whole item is meant.
pub(crate) fn first(tokens: &TokenStream) -> TokenStream {
    tokens.clone().into_iter().find(|token| matches!(token, proc_macro2::TokenTree::Ident(_))).into_iter().collect()
}

/// The same tokens as if they were written at another place, so that a message about them is shown there.
pub(crate) fn at(tokens: impl quote::ToTokens, span: proc_macro2::Span) -> TokenStream {
    let moved = tokens.into_token_stream().into_iter().map(|mut token| {
        if let proc_macro2::TokenTree::Group(group) = &token {
            let mut moved = proc_macro2::Group::new(group.delimiter(), at(group.stream(), span));
            moved.set_span(span);
            return proc_macro2::TokenTree::Group(moved);
        }
        token.set_span(token.span().located_at(span));
        token
    });
    moved.collect()
}

/// Whether a receiver is `&self`.
pub(crate) fn is_shared_self(receiver: &syn::Receiver) -> bool {
    matches!(receiver.kind, syn::ReceiverKind::Reference(_, _, None))
}
