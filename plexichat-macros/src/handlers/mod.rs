//! `#[plexichat::handlers]`: the events a plugin handles, `#[on(..)]`, and the commands it answers, `#[command("..")]`.

mod check;
mod expand;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::handlers]`", &errors);
    let Ok(mut block) = syn::parse2::<ItemImpl>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    let methods = parse::methods(&mut block, &errors);
    let spec = check::check(&block, methods, &errors);
    let handlers = errors.is_empty().then(|| expand::handlers(&spec));
    let errors = errors.into_tokens();
    quote!(#block #handlers #errors)
}
