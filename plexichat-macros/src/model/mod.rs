//! `#[plexichat::model]`: makes a type one that crosses the boundary between people and plugins.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::data::{derives, fields, validate};
use crate::errors::Errors;
use crate::{item, options};

/// Expands the attribute.
pub(crate) fn expand(attribute: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    options::none(attribute, "`#[plexichat::model]`", &errors);
    let Ok(mut item) = syn::parse2::<DeriveInput>(tokens.clone()) else {
        errors.under(item::first(&tokens), "`#[plexichat::model]` stands on a struct or an enum");
        return item::with_errors(tokens, errors);
    };
    check(&item, &errors);
    let model = model(&item);
    let validate = (!derives::has(&item.attrs, "Validate")).then(|| validate::implementation(&item, &errors));
    derives::add(&mut item, derives::Unknown::Refused);
    let errors = errors.into_tokens();
    quote!(#item #model #validate #errors)
}

fn check(item: &DeriveInput, errors: &Errors) {
    if !item.generics.params.is_empty() {
        errors.under(&item.generics, "a model has no generic parameters: it has one schema");
    }
    match &item.data {
        Data::Struct(data) => {
            if let Fields::Named(named) = &data.fields {
                fields::refuse_flatten(named, errors);
            }
        }
        Data::Enum(_) => {}
        Data::Union(_) => errors.under(&item.ident, "`#[plexichat::model]` stands on a struct or an enum"),
    }
}

/// `Model`, for structs whose fields have names: a command's words fill them.
fn model(item: &DeriveInput) -> Option<TokenStream> {
    let Data::Struct(data) = &item.data else { return None };
    let names = match &data.fields {
        Fields::Named(named) => fields::wire_names(&item.attrs, named),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => return None,
    };
    let ident = &item.ident;
    Some(quote! {
        const _: () = {
            impl ::plexichat::command::Model for #ident {
                const FIELDS: &'static [&'static str] = &[#(#names),*];
            }
        };
    })
}
