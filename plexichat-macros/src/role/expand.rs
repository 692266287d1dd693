//! Writes the block with async-trait applied, and the constant that says which hooks it has.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{ImplItem, ItemImpl};

use super::check::Spec;

/// The block again, and what the host reads of it.
pub(crate) fn block(mut block: ItemImpl, spec: &Spec, good: bool) -> TokenStream {
    let strangers = strangers(&mut block, spec);
    let plugin = &spec.plugin;
    let constant = constant(spec);
    let provided = good.then(|| provided(spec));
    quote! {
        #[::plexichat::__private::async_trait]
        #block
        #strangers
        impl #plugin {
            #[doc(hidden)]
            #constant
        }
        #provided
    }
}

/// What the host reads of the block.
fn constant(spec: &Spec) -> TokenStream {
    let name = format_ident!("{}", spec.words.constant);
    let role = format_ident!("{}Role", spec.words.name);
    let (module, of) = (format_ident!("{}", spec.words.module), &spec.role);
    let body = match spec.words.name {
        "Interface" => quote! {
            role: ::core::option::Option::Some(|| {
                <Self as ::plexichat::plugin::interface::Interface>::register_routes(
                    ::plexichat::plugin::interface::Routes::new(),
                )
            }),
            error_body: <Self as ::plexichat::plugin::interface::Interface>::error_body,
            gui: || {
                <Self as ::plexichat::plugin::interface::Interface>::register_gui_components(
                    ::plexichat::plugin::gui::Gui::new(),
                )
            },
        },
        "Automation" => quote! {
            role: ::core::option::Option::Some(
                |plugin: &Self| -> &dyn ::plexichat::plugin::automation::Automation { plugin },
            ),
            triggers: || {
                <Self as ::plexichat::plugin::automation::Automation>::register_triggers(
                    ::plexichat::plugin::automation::Triggers::new(),
                )
            },
        },
        _ => {
            let hooks = spec.hooks.iter().map(|hook| format_ident!("{}", hook.variant));
            let hooks =
                (!spec.words.hooks.is_empty()).then(|| quote!(hooks: &[#(::plexichat::descriptor::Hook::#hooks),*],));
            quote! {
                #hooks
                role: ::core::option::Option::Some(|plugin: &Self| -> &dyn ::plexichat::plugin::#module::#of { plugin }),
            }
        }
    };
    quote! {
        pub(crate) const #name: ::plexichat::descriptor::#role<Self> = ::plexichat::descriptor::#role { #body };
    }
}

/// The struct's attribute must name the role: a bundle's description and its checks come from there.
fn provided(spec: &Spec) -> TokenStream {
    let Spec { plugin, role, .. } = spec;
    let message = format!(
        "the role `{role}` is filled and not declared; add `provides({role})` to the `#[plexichat::plugin(..)]` of the type"
    );
    quote_spanned! {role.span()=>
        const _: () = if !::plexichat::__private::provides(
            <#plugin as ::plexichat::descriptor::Registered>::DESCRIPTOR,
            ::plexichat::descriptor::Role::#role,
        ) {
            ::core::panic!(#message);
        };
    }
}

/// Methods that do not fit the trait move to a block of their own, so that the one message about each is ours.
fn strangers(block: &mut ItemImpl, spec: &Spec) -> Option<TokenStream> {
    let is_stranger =
        |item: &ImplItem| matches!(item, ImplItem::Fn(method) if spec.strangers.contains(&method.sig.ident));
    let (strangers, items) = std::mem::take(&mut block.items).into_iter().partition::<Vec<_>, _>(is_stranger);
    block.items = items;
    let plugin = &spec.plugin;
    (!strangers.is_empty()).then(|| {
        quote! {
            #[allow(dead_code, reason = "the crate does not compile")]
            impl #plugin { #(#strangers)* }
        }
    })
}
