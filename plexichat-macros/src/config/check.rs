//! Finds every mistake in a struct of settings: its shape and its missing documentation.

use syn::{Data, DataStruct, DeriveInput, Fields};

use crate::data::fields;
use crate::errors::Errors;
use crate::item;

/// Where the attribute stands.
pub(crate) const PLACE: &str = "`#[plexichat::config]` stands on a struct with named fields: each field is one setting";

/// Checks an item. Whether anything can be written for it.
pub(crate) fn check(item: &DeriveInput, errors: &Errors) -> bool {
    if !item.generics.params.is_empty() {
        errors.under(&item.generics, "settings have no generic parameters: they have one schema");
        return false;
    }
    let Data::Struct(DataStruct { fields: Fields::Named(named), .. }) = &item.data else {
        errors.under(&item.ident, PLACE);
        return false;
    };
    fields::refuse_flatten(named, errors);
    for field in &named.named {
        let Some(name) = field.ident.as_ref().filter(|_| item::documentation(&field.attrs).is_empty()) else {
            continue;
        };
        errors.under(
            name,
            format!("setting `{name}` has no documentation; write `/// ..` above it: operators read it as the manual"),
        );
    }
    true
}
