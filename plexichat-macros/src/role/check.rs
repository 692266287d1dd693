//! Finds every mistake in a role's block: its trait, its methods' names, their `async`.

use proc_macro2::Ident;
use syn::{ImplItem, ItemImpl, Type};

use crate::errors::Errors;
use crate::suggest;
use crate::words::{self, Hook};

/// Where the attribute stands.
pub(crate) const PLACE: &str =
    "`#[plexichat::role]` stands on a role's implementation, such as `impl Security for MyPlugin { .. }`";

/// A role's block, checked.
pub(crate) struct Spec {
    /// The type that fills the role.
    pub(crate) plugin: Type,
    /// The role's trait, the last word of its path.
    pub(crate) role: Ident,
    /// The hooks that the block has.
    pub(crate) hooks: Vec<&'static Hook>,
    /// The methods that do not fit the trait: it has none of the name, or an asynchronous one.
    pub(crate) strangers: Vec<Ident>,
}

/// Checks a block; nothing where it is no role's.
pub(crate) fn check(block: &ItemImpl, errors: &Errors) -> Option<Spec> {
    let role = role(block, errors)?;
    if !block.generics.params.is_empty() {
        errors.under(&block.generics, "a plugin has no generic parameters, so its roles have none");
    }
    let mut spec = Spec { plugin: (*block.self_ty).clone(), role, hooks: Vec::new(), strangers: Vec::new() };
    for method in &block.items {
        let ImplItem::Fn(method) = method else { continue };
        let name = method.sig.ident.to_string();
        if words::SECURITY_METHODS.contains(&name.as_str()) {
            if let Some(token) = method.sig.asyncness {
                errors.under(token, format!("`{name}` is a plain function; write `fn {name}`"));
                spec.strangers.push(method.sig.ident.clone());
            }
            continue;
        }
        let Some(hook) = words::SECURITY_HOOKS.iter().find(|hook| hook.method == name) else {
            errors.under(&method.sig.ident, unknown_method(&spec.role, &name));
            spec.strangers.push(method.sig.ident.clone());
            continue;
        };
        if method.sig.asyncness.is_none() {
            errors.under(method.sig.fn_token, format!("`{name}` is asynchronous; write `async fn {name}`"));
            spec.strangers.push(method.sig.ident.clone());
        }
        spec.hooks.push(hook);
    }
    if spec.hooks.is_empty() && spec.strangers.is_empty() {
        let hooks: Vec<&str> = words::SECURITY_HOOKS.iter().map(|hook| hook.method).collect();
        errors.under(
            &spec.role,
            format!(
                "this block has no hook, so nobody would ever call it; `{}` has {}",
                spec.role,
                suggest::list(&hooks)
            ),
        );
    }
    Some(spec)
}

fn role(block: &ItemImpl, errors: &Errors) -> Option<Ident> {
    let Some((path, _)) = &block.trait_ else {
        errors.under(&block.self_ty, PLACE);
        return None;
    };
    let role = path.segments.last()?.ident.clone();
    let name = role.to_string();
    if words::ROLES.contains(&name.as_str()) {
        return Some(role);
    }
    if words::LATER_ROLES.contains(&name.as_str()) {
        errors.under(&role, format!("this version of the SDK does not have the role `{name}` yet"));
    } else {
        errors.under(path, suggest::unknown("role", &name, words::ROLES));
    }
    None
}

fn unknown_method(role: &Ident, name: &str) -> String {
    if words::LATER_HOOKS.contains(&name) {
        return format!("this version of the SDK does not have the hook `{name}` yet");
    }
    let hooks = words::SECURITY_HOOKS.iter().map(|hook| hook.method);
    let known: Vec<&str> = hooks.chain(words::SECURITY_METHODS.iter().copied()).collect();
    let unknown = suggest::unknown_of("method", name, &format!("`{role}`"), &known);
    match suggest::nearest(name, &known) {
        Some(_) => unknown,
        None => format!("{unknown}; helpers belong in an `impl` block of their own"),
    }
}
