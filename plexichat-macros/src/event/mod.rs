//! `#[plexichat::event("name")]`: makes a struct or enum the data of a plugin's own event.

mod check;
mod expand;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::errors::Errors;
use crate::item;

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let Ok(mut item) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        errors.under(
            item::first(&tokens),
            "`#[plexichat::event(\"name\")]` stands on the struct that is the event's data",
        );
        return item::with_errors(tokens, errors);
    };
    let spec = check::check(attribute, &item, &errors);
    let payload = expand::payload(&mut item, &spec);
    let errors = errors.into_tokens();
    quote!(#item #payload #errors)
}
