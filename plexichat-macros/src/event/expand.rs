//! Writes the derives and the `Payload` of an event's data.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use super::check::Spec;
use crate::data::derives;

/// Adds the derives to the item; gives what goes beside it.
pub(crate) fn payload(item: &mut DeriveInput, spec: &Spec) -> TokenStream {
    // Unknown keys are allowed: an event may come from a newer version of the plugin that emitted it.
    derives::add(item, derives::Unknown::Allowed);
    let ident = &item.ident;
    let Spec { name, schema_version } = spec;
    quote! {
        const _: () = {
            impl ::plexichat::event::Payload for #ident {
                const NAME: &'static str = #name;
                const SCHEMA_VERSION: u32 = #schema_version;
            }
        };
    }
}
