//! `#[plexichat::plugin(..)]`: registers a struct as a plugin and writes its descriptor.

mod check;
mod expand;
mod parse;
#[cfg(test)]
mod tests;

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemStruct;

use crate::errors::Errors;
use crate::item;

/// The crate that is being compiled.
pub(crate) struct Place<'a> {
    /// Its name.
    pub(crate) package: &'a str,
    /// Where it is: what it embeds is below.
    pub(crate) folder: Option<&'a Path>,
}

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream, place: &Place<'_>) -> TokenStream {
    let errors = Errors::default();
    let Ok(item) = syn::parse2::<ItemStruct>(tokens.clone()) else {
        errors.under(item::first(&tokens), "`#[plexichat::plugin]` stands on the struct that is the plugin");
        return item::with_errors(tokens, errors);
    };
    if !item.generics.params.is_empty() {
        errors
            .under(&item.generics, "a plugin has no generic parameters: there is one instance of it, made by the host");
        return item::with_errors(tokens, errors);
    }
    let args = parse::Args::parse(attribute, &errors);
    let spec = check::check(args, &item, place, &errors);
    let registration = if errors.is_empty() { expand::registration(&spec) } else { expand::stand_in(&spec) };
    let errors = errors.into_tokens();
    quote!(#item #registration #errors)
}
