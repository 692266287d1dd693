//! Writes the registration of a checked plugin: data, and no logic that a function could hold.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, Path};

use super::check::{Emitted, HookPolicy, Spec};
use crate::{files, locales, words};

/// The descriptor, what ties it to the type, and the assertions that only the compiler can make.
pub(crate) fn registration(spec: &Spec) -> TokenStream {
    let ident = &spec.ident;
    let descriptor = descriptor(spec);
    let registered = registered(ident);
    let permissions = spec.permissions.iter().map(|permission| {
        quote! {
            // SAFETY: the descriptor above names the permission.
            unsafe impl ::plexichat::permission::Has<::plexichat::permission::#permission> for #ident {}
        }
    });
    let emits = emitted_by(spec);
    let assertions = assertions(spec);
    quote! {
        #descriptor
        const _: () = {
            #registered
            #(#permissions)*
            #emits
            ::plexichat::__register!(&PLEXICHAT_PLUGIN);
        };
        #assertions
    }
}

/// What stands in for the registration while the attribute has mistakes: the type is a plugin that may do anything, so
/// that the mistakes in the attribute are the only ones shown.
pub(crate) fn stand_in(spec: &Spec) -> TokenStream {
    let ident = &spec.ident;
    let name = &spec.name;
    let registered = registered(ident);
    let emits = emitted_by(spec);
    quote! {
        #[doc(hidden)]
        pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = ::plexichat::__private::stand_in::<#ident>(#name);
        const _: () = {
            #registered
            // SAFETY: the crate does not compile.
            unsafe impl<P: ::plexichat::permission::PermissionType> ::plexichat::permission::Has<P> for #ident {}
            #emits
        };
    }
}

/// The proof that the plugin may emit each of its types.
fn emitted_by(spec: &Spec) -> TokenStream {
    let ident = &spec.ident;
    let proofs = spec.emits.iter().filter_map(|emitted| match emitted {
        Emitted::Typed(path) => Some(quote_spanned! {place(path)=>
            impl ::plexichat::capability::events::EmittedBy<#ident> for #path {}
        }),
        Emitted::Json(_) => None,
    });
    proofs.collect()
}

/// Where a path's last word stands.
fn place(path: &Path) -> Span {
    path.segments.last().map_or_else(Span::call_site, |segment| segment.ident.span())
}

fn registered(ident: &Ident) -> TokenStream {
    quote! {
        #[allow(unused_imports, reason = "an inherent constant of the same name wins over the default")]
        use ::plexichat::__private::{
            DefaultAiProvider as _, DefaultAutomation as _, DefaultHandlers as _, DefaultInterface as _,
            DefaultSecurity as _,
        };
        impl ::plexichat::descriptor::Registered for #ident {
            const DESCRIPTOR: &'static ::plexichat::Descriptor = &PLEXICHAT_PLUGIN;
            const HANDLERS: ::plexichat::descriptor::Handlers<Self> = <#ident>::PLEXICHAT_HANDLERS;
            const SECURITY: ::plexichat::descriptor::SecurityRole<Self> = <#ident>::PLEXICHAT_SECURITY;
            const AI_PROVIDER: ::plexichat::descriptor::AiProviderRole<Self> = <#ident>::PLEXICHAT_AI_PROVIDER;
            const INTERFACE: ::plexichat::descriptor::InterfaceRole<Self> = <#ident>::PLEXICHAT_INTERFACE;
            const AUTOMATION: ::plexichat::descriptor::AutomationRole<Self> = <#ident>::PLEXICHAT_AUTOMATION;
        }
    }
}

fn descriptor(spec: &Spec) -> TokenStream {
    let Spec { ident, name, core, category, tags, provides, permissions, absolute, .. } = spec;
    let entry_point = ident.to_string();
    let requires = spec
        .requires
        .iter()
        .map(|(name, version)| quote!(::plexichat::descriptor::Requirement { name: #name, version: #version }));
    let emits = spec.emits.iter().map(|emitted| match emitted {
        Emitted::Typed(path) => quote!(<#path as ::plexichat::event::Payload>::NAME),
        Emitted::Json(name) => quote!(#name),
    });
    let policies = spec.policies.iter().map(policy);
    let package = package();
    let assets = spec.assets.iter().map(|path| {
        let file = files::include(&format_ident!("include_bytes"), path);
        quote!(::plexichat::asset::Asset { path: #path, bytes: #file })
    });
    let locales = spec.languages.iter().map(|language| {
        let file = files::include(&format_ident!("include_str"), &locales::path(language));
        quote!(::plexichat::asset::Locale { language: #language, source: #file })
    });
    quote! {
        /// What is known of the plugin without running it: a bundle names this constant.
        pub const PLEXICHAT_PLUGIN: ::plexichat::Descriptor = {
            #[allow(unused_imports, reason = "an inherent constant of the same name wins over the default")]
            use ::plexichat::__private::{DefaultHandlers as _, DefaultSecurity as _};
            const FOUND: &[::plexichat::descriptor::Hook] = <#ident>::PLEXICHAT_SECURITY.hooks;
            const HOOKS: [::plexichat::descriptor::HookSpec; FOUND.len()] =
                ::plexichat::__private::hooks(FOUND, &[#(#policies),*]);
            ::plexichat::Descriptor {
                name: #name,
                package: #package,
                entry_point: ::core::concat!(::core::module_path!(), "::", #entry_point),
                category: #category,
                tags: &[#(#tags),*],
                core: #core,
                provides: &[#(::plexichat::descriptor::Role::#provides),*],
                permissions: &[#(::plexichat::permission::Permission::#permissions),*],
                requires: &[#(#requires),*],
                hooks: &HOOKS,
                events: <#ident>::PLEXICHAT_HANDLERS.events,
                commands: <#ident>::PLEXICHAT_HANDLERS.commands,
                tools: <#ident>::PLEXICHAT_HANDLERS.tools,
                emits: &[#(#emits),*],
                absolute_routes: &[#(#absolute),*],
                assets: &[#(#assets),*],
                locales: &[#(#locales),*],
                entry: ::plexichat::__private::entry::<#ident>(),
            }
        };
    }
}

fn package() -> TokenStream {
    quote! {
        ::plexichat::descriptor::Package {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            authors: ::core::env!("CARGO_PKG_AUTHORS"),
            license: ::core::env!("CARGO_PKG_LICENSE"),
            repository: ::core::env!("CARGO_PKG_REPOSITORY"),
            rust_version: ::core::env!("CARGO_PKG_RUST_VERSION"),
        }
    }
}

fn policy(policy: &HookPolicy) -> TokenStream {
    let variant = format_ident!("{}", policy.variant);
    let hook = quote!(::plexichat::descriptor::Hook::#variant);
    let timeout = match policy.timeout_ms {
        Some(timeout) => quote!(::core::time::Duration::from_millis(#timeout)),
        None => quote!(#hook.default_policy().timeout),
    };
    let on_error = match policy.on_error.map(|mode| format_ident!("{mode}")) {
        Some(mode) => quote!(::plexichat::descriptor::FailMode::#mode),
        None => quote!(#hook.default_policy().on_error),
    };
    let max_bytes = match policy.max_bytes {
        Some(bytes) => quote!(::core::option::Option::Some(#bytes)),
        None => quote!(#hook.default_policy().max_bytes),
    };
    let HookPolicy { required, before, after, .. } = policy;
    quote! {
        ::plexichat::descriptor::HookSpec {
            hook: #hook,
            policy: ::plexichat::descriptor::HookPolicy {
                timeout: #timeout,
                max_bytes: #max_bytes,
                on_error: #on_error,
                required: #required,
                before: &[#(#before),*],
                after: &[#(#after),*],
            },
        }
    }
}

/// What the attribute promises and only the compiler can see, each under the word that promises it.
fn assertions(spec: &Spec) -> TokenStream {
    let ident = &spec.ident;
    let roles = spec.provides.iter().map(|role| {
        let span = role.span();
        let missing = format!(
            "`impl {role} for {ident}` is there without its attribute: put `#[plexichat::role]` on it, so that the host \
             learns what it has"
        );
        let name = role.to_string();
        let Some(known) = words::role(&name) else { return TokenStream::new() };
        let (module, constant) = (format_ident!("{}", known.module), format_ident!("{}", known.constant));
        let ours = |policy: &&HookPolicy| known.hooks.iter().any(|hook| hook.variant == policy.variant);
        let policies = spec.policies.iter().filter(ours).map(|policy| {
            let span = policy.option.span();
            let variant = format_ident!("{}", policy.variant);
            let message = format!(
                "`{0}(..)` sets the policy of a hook that `{ident}` does not have: write `async fn {0}` in its \
                 `#[plexichat::role] impl {role}`, or take the policy away",
                policy.option
            );
            quote_spanned! {span=>
                if !::plexichat::__private::has_hook(
                    <#ident>::PLEXICHAT_SECURITY.hooks,
                    ::plexichat::descriptor::Hook::#variant,
                ) {
                    ::core::panic!(#message);
                }
            }
        });
        // One constant, so that a missing implementation is one message: nothing is evaluated after a type error.
        quote_spanned! {span=>
            const _: () = {
                #[allow(unused_imports, reason = "an inherent constant of the same name wins over the default")]
                use ::plexichat::__private::{
                    DefaultAiProvider as _, DefaultAutomation as _, DefaultInterface as _, DefaultSecurity as _,
                };
                const fn implements<T: ::plexichat::plugin::#module::#role>() {}
                implements::<#ident>();
                if <#ident>::#constant.role.is_none() {
                    ::core::panic!(#missing);
                }
                #(#policies)*
            };
        }
    });
    let emits = spec.emits.iter().filter_map(|emitted| match emitted {
        Emitted::Typed(path) => {
            Some(quote_spanned! {place(path)=>
                const _: () = if !::plexichat::__private::is_custom(<#path as ::plexichat::event::Payload>::NAME) {
                    ::core::panic!("the server alone emits this event; a plugin emits types made by `#[plexichat::event(..)]`");
                };
            })
        }
        Emitted::Json(_) => None,
    });
    quote!(#(#roles)* #(#emits)*)
}
