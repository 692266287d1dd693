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
    if !check(&item, &errors) {
        return item::with_errors(tokens, errors);
    }
    let model = model(&item);
    let validate = (!derives::has(&item.attrs, "Validate")).then(|| validate::implementation(&item, &errors));
    if !errors.is_empty() {
        validate::strip(&mut item);
    }
    derives::add(&mut item, derives::Unknown::Refused);
    let errors = errors.into_tokens();
    quote!(#item #model #validate #errors)
}

/// Whether anything can be written for the item.
fn check(item: &DeriveInput, errors: &Errors) -> bool {
    if !item.generics.params.is_empty() {
        errors.under(&item.generics, "a model has no generic parameters: it has one schema");
        return false;
    }
    match &item.data {
        Data::Struct(data) => {
            if let Fields::Named(named) = &data.fields {
                fields::refuse_flatten(named, errors);
            }
        }
        Data::Enum(_) => {}
        Data::Union(_) => {
            errors.under(&item.ident, "`#[plexichat::model]` stands on a struct or an enum");
            return false;
        }
    }
    true
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

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use quote::quote;

    use super::*;
    use crate::snapshot;

    #[test]
    fn expands_a_struct() {
        let item = quote! {
            pub struct RollArgs {
                #[garde(range(max = 20))]
                pub count: u8,
                #[serde(rename = "d")]
                pub sides: Option<u8>,
            }
        };
        snapshot::check(expand(quote!(), item), expect_file!["../../tests/expand/model_struct.rs"]);
    }

    #[test]
    fn expands_an_enum() {
        let item = quote! {
            pub enum Action {
                Drop,
                Replace { #[garde(length(min = 1))] with: String },
                Wait(#[garde(range(min = 1))] u8),
            }
        };
        snapshot::check(expand(quote!(), item), expect_file!["../../tests/expand/model_enum.rs"]);
    }
}
