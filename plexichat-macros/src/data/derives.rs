//! Adds the derives of serde and schemars to a type, with the paths by which a plugin reaches them. Knows no attribute.

use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Meta, Path, Token, parse_quote};

/// What becomes of keys that the type does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are refused.
    Refused,
    /// They are passed over.
    Allowed,
}

/// Adds what is not there yet: `Debug`, `Clone`, `Serialize`, `Deserialize` and `JsonSchema`.
pub(crate) fn add(item: &mut DeriveInput, unknown: Unknown) {
    let there = derived(&item.attrs);
    let wanted = [
        ("Debug", quote!(::core::fmt::Debug)),
        ("Clone", quote!(::core::clone::Clone)),
        ("Serialize", quote!(::plexichat::__private::serde::Serialize)),
        ("Deserialize", quote!(::plexichat::__private::serde::Deserialize)),
        ("JsonSchema", quote!(::plexichat::__private::schemars::JsonSchema)),
    ];
    let missing = wanted.into_iter().filter(|(name, _)| !there.contains(&(*name).to_owned())).map(|(_, path)| path);
    let mut added: Vec<Attribute> = vec![parse_quote!(#[derive(#(#missing),*)])];
    if !says(&item.attrs, "serde", "crate") {
        added.push(parse_quote!(#[serde(crate = "::plexichat::__private::serde")]));
    }
    if !says(&item.attrs, "schemars", "crate") {
        added.push(parse_quote!(#[schemars(crate = "::plexichat::__private::schemars")]));
    }
    if unknown == Unknown::Refused && !says(&item.attrs, "serde", "deny_unknown_fields") {
        added.push(parse_quote!(#[serde(deny_unknown_fields)]));
    }
    // In front of the author's: `#[serde(..)]` and `#[garde(..)]` must come after the derives that read them.
    added.append(&mut item.attrs);
    item.attrs = added;
}

/// The last words of what is derived already.
fn derived(attributes: &[Attribute]) -> Vec<String> {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    let paths =
        lists.filter_map(|attribute| attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok());
    paths.flatten().filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string())).collect()
}

/// Whether a derive of this name is there already.
pub(crate) fn has(attributes: &[Attribute], name: &str) -> bool {
    derived(attributes).iter().any(|there| there == name)
}

/// The entries of every `#[attribute(..)]`.
pub(crate) fn metas(attributes: &[Attribute], attribute: &str) -> Vec<Meta> {
    let lists = attributes.iter().filter(|candidate| candidate.path().is_ident(attribute));
    let metas = lists.filter_map(|list| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok());
    metas.flatten().collect()
}

fn says(attributes: &[Attribute], attribute: &str, word: &str) -> bool {
    metas(attributes, attribute).iter().any(|meta| meta.path().is_ident(word))
}
