//! Reads and checks the name of an event and the version of its data.

use proc_macro2::{Span, TokenStream};
use syn::{Data, DeriveInput, LitInt, LitStr};

use crate::errors::Errors;
use crate::names;
use crate::options::{self, Known};
use crate::words::CUSTOM_PREFIX;

const OPTIONS: Known<'_> = Known { owner: "`#[plexichat::event]`", options: &["schema_version"] };

/// Where the attribute stands.
pub(crate) const PLACE: &str = "`#[plexichat::event(\"name\")]` stands on the struct or enum that is the event's data";

/// An event, checked.
pub(crate) struct Spec {
    /// Its name on the wire.
    pub(crate) name: String,
    /// The version of its data's shape.
    pub(crate) schema_version: u32,
}

/// Checks the attribute on `item`; nothing where nothing can be written for it.
pub(crate) fn check(attribute: TokenStream, item: &DeriveInput, errors: &Errors) -> Option<Spec> {
    if !item.generics.params.is_empty() {
        errors.under(&item.generics, "an event's data has no generic parameters: one name, one shape");
        return None;
    }
    if let Data::Union(_) = item.data {
        errors.under(&item.ident, PLACE);
        return None;
    }
    let mut parts = options::split(attribute).into_iter();
    let name = parts.next().and_then(|part| match syn::parse2::<LitStr>(part.clone()) {
        Ok(name) => Some(name),
        Err(_) => {
            errors.under(part, "the event's name comes first, in quotes: `#[plexichat::event(\"report_ready\")]`");
            None
        }
    });
    match &name {
        Some(name) => {
            if let Err(message) = names::event(&name.value()) {
                errors.under(name, message);
            }
        }
        None if errors.is_empty() => {
            errors.at(Span::call_site(), "the event needs a name: `#[plexichat::event(\"report_ready\")]`");
        }
        None => {}
    }
    let name = name.map_or_else(|| item.ident.to_string(), |name| name.value());
    let rest = parts.flat_map(|part| [part, quote::quote!(,)]).collect();
    Some(Spec { name: format!("{CUSTOM_PREFIX}{name}"), schema_version: schema_version(rest, errors) })
}

fn schema_version(rest: TokenStream, errors: &Errors) -> u32 {
    let mut version = 1;
    for entry in options::entries(rest, &OPTIONS, errors) {
        let number = match &entry.value {
            options::Value::Assigned(tokens) => syn::parse2::<LitInt>(tokens.clone()).ok(),
            _ => None,
        };
        match number.and_then(|number| number.base10_parse::<u32>().ok()).filter(|number| *number > 0) {
            Some(number) => version = number,
            None => errors.under(&entry.name, "`schema_version` is a number from 1: `schema_version = 2`"),
        }
    }
    version
}
