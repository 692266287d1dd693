//! `#[plexichat::config]`: makes a struct a plugin's settings, whose fields are the manual.

mod check;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::data::{derives, validate};
use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::config]`", &errors);
    let Ok(mut item) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        errors.under(item::first(&tokens), check::PLACE);
        return item::with_errors(tokens, errors);
    };
    check::check(&item, &errors);
    let validate = (!derives::has(&item.attrs, "Validate")).then(|| validate::implementation(&item, &errors));
    derives::add(&mut item, derives::Unknown::Refused);
    let errors = errors.into_tokens();
    quote!(#item #validate #errors)
}
