//! Finds every mistake in a struct of settings: its shape and its missing documentation.

use syn::{Data, DeriveInput, Fields};

use crate::data::fields;
use crate::errors::Errors;
use crate::item;

/// Where the attribute stands.
pub(crate) const PLACE: &str = "`#[plexichat::config]` stands on a struct with named fields: each field is one setting";

/// Checks an item.
pub(crate) fn check(item: &DeriveInput, errors: &Errors) {
    if !item.generics.params.is_empty() {
        errors.under(&item.generics, "settings have no generic parameters: they have one schema");
    }
    let Data::Struct(data) = &item.data else {
        errors.under(&item.ident, PLACE);
        return;
    };
    let Fields::Named(named) = &data.fields else {
        errors.under(&item.ident, PLACE);
        return;
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
}
