//! Writes the constant that the descriptor reads: the handlers, commands and tools, and how to call each.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::check::{Command, Event, Spec};
use super::tool;
use crate::item;

/// The constant, and the assertions that only the compiler can make.
pub(crate) fn handlers(spec: &Spec) -> TokenStream {
    let plugin = &spec.plugin;
    let event_calls = spec.events.iter().enumerate().map(|(index, event)| event_call(plugin, index, event));
    let command_calls = spec.commands.iter().enumerate().map(|(index, command)| command_call(plugin, index, command));
    let tool_calls = spec.tools.iter().enumerate().map(|(index, tool)| tool::call(plugin, index, tool));
    let event_names = (0..spec.events.len()).map(event_name);
    let command_names = (0..spec.commands.len()).map(command_name);
    let tool_names = (0..spec.tools.len()).map(tool::function);
    let tool_specs = spec.tools.iter().map(tool::spec);
    let event_specs = spec.events.iter().map(event_spec);
    let command_specs = spec.commands.iter().map(command_spec);
    let assertions = spec.events.iter().map(|event| assertions(plugin, event));
    let span = plugin.span();
    let registered = quote_spanned! {span=>
        const _: () = {
            const fn is_plugin<T: ::plexichat::descriptor::Registered>() {}
            is_plugin::<#plugin>();
        };
    };
    quote! {
        impl #plugin {
            #[doc(hidden)]
            pub(crate) const PLEXICHAT_HANDLERS: ::plexichat::descriptor::Handlers<Self> = {
                #(#event_calls)*
                #(#command_calls)*
                #(#tool_calls)*
                ::plexichat::descriptor::Handlers {
                    events: &[#(#event_specs),*],
                    event_calls: &[#(#event_names),*],
                    commands: &[#(#command_specs),*],
                    command_calls: &[#(#command_names),*],
                    tools: &[#(#tool_specs),*],
                    tool_calls: &[#(#tool_names),*],
                }
            };
        }
        #registered
        #(#assertions)*
    }
}

fn event_name(index: usize) -> syn::Ident {
    format_ident!("event_{index}")
}

fn command_name(index: usize) -> syn::Ident {
    format_ident!("command_{index}")
}

fn event_spec(event: &Event) -> TokenStream {
    let Event { method, names, own, .. } = event;
    let method = method.to_string();
    quote!(::plexichat::descriptor::EventSpec { method: #method, patterns: &[#(#names),*], own: #own })
}

fn event_call(plugin: &Type, index: usize, event: &Event) -> TokenStream {
    let function = event_name(index);
    let method = &event.method;
    // Under what the method returns: that it is another type is said there.
    let body = match &event.payload {
        None => quote_spanned!(event.returned=> <#plugin>::#method(plugin, event).await),
        Some(payload) => quote_spanned! {event.returned=>
            <#plugin>::#method(plugin, &*event.payload::<#payload>()?).await
        },
    };
    quote! {
        fn #function<'a>(
            plugin: &'a #plugin,
            event: &'a ::plexichat::event::Event,
        ) -> ::plexichat::__private::BoxFuture<'a, ::plexichat::error::Result<()>> {
            ::std::boxed::Box::pin(async move {
                let outcome: ::plexichat::error::Result<()> = #body;
                outcome
            })
        }
    }
}

fn command_spec(command: &Command) -> TokenStream {
    let Command { method, name, help, arguments, .. } = command;
    let method = method.to_string();
    let (schema, fields) = match arguments {
        None => (quote!(::plexichat::__private::no_arguments), quote!(&[])),
        Some(ty) => (
            quote!(::plexichat::__private::arguments_schema::<#ty>),
            quote!(<#ty as ::plexichat::command::Model>::FIELDS),
        ),
    };
    quote! {
        ::plexichat::command::CommandSpec {
            name: #name,
            help: #help,
            method: #method,
            arguments: #schema,
            fields: #fields,
        }
    }
}

fn command_call(plugin: &Type, index: usize, command: &Command) -> TokenStream {
    let function = command_name(index);
    let method = &command.method;
    let (arguments, passed) = match &command.arguments {
        None => (None, None),
        Some(ty) => (
            Some(quote! {
                let arguments = ::plexichat::command::parse_arguments::<#ty>(&call.command, &call.arguments)?;
            }),
            Some(quote!(, arguments)),
        ),
    };
    let body = quote_spanned!(command.returned=> <#plugin>::#method(plugin, call #passed).await);
    quote! {
        fn #function(
            plugin: &#plugin,
            call: ::plexichat::command::CommandCall,
        ) -> ::plexichat::__private::BoxFuture<'_, ::plexichat::error::Result<::plexichat::command::CommandReply>> {
            ::std::boxed::Box::pin(async move {
                #arguments
                let outcome: ::plexichat::error::Result<::plexichat::command::CommandReply> = #body;
                outcome
            })
        }
    }
}

/// The type must be that event's, and events with content need the permission: each under the name.
fn assertions(plugin: &Type, event: &Event) -> TokenStream {
    let bounds = event.with_content().map(|name| {
        let plugin = item::at(plugin, name.span());
        quote_spanned! {name.span()=>
            const _: () = {
                const fn sees_content<T: ::plexichat::permission::Has<::plexichat::permission::UserDataAccess>>() {}
                sees_content::<#plugin>();
            };
        }
    });
    let types = event.payload.as_ref().zip(event.names.first()).map(|(payload, name)| {
        let shown = item::last_word(payload).unwrap_or_else(|| "this type".to_owned());
        let message = format!(
            "`#[on(\"{0}\")]` and the type of `{1}` do not fit: `{shown}` is the data of another event; take `&Event`, or the \
             type of `{0}`",
            name.value(),
            event.method
        );
        quote_spanned! {name.span()=>
            const _: () = if !::plexichat::__private::same(<#payload as ::plexichat::event::Payload>::NAME, #name) {
                ::core::panic!(#message);
            };
        }
    });
    quote!(#(#bounds)* #types)
}
