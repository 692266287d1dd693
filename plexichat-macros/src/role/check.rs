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
    /// What is known of the role.
    pub(crate) words: &'static words::Role,
    /// The hooks that the block has.
    pub(crate) hooks: Vec<&'static Hook>,
    /// The methods that do not fit the trait: it has none of the name, or an asynchronous one.
    pub(crate) strangers: Vec<Ident>,
}

/// Checks a block; nothing where it is no role's.
pub(crate) fn check(block: &ItemImpl, errors: &Errors) -> Option<Spec> {
    let (role, known) = role(block, errors)?;
    if !block.generics.params.is_empty() {
        errors.under(&block.generics, "a plugin has no generic parameters, so its roles have none");
    }
    let plugin = (*block.self_ty).clone();
    let mut spec = Spec { plugin, role, words: known, hooks: Vec::new(), strangers: Vec::new() };
    let mut methods = 0;
    for method in &block.items {
        let ImplItem::Fn(method) = method else { continue };
        let name = method.sig.ident.to_string();
        methods += 1;
        if known.plain.contains(&name.as_str()) {
            if let Some(token) = method.sig.asyncness {
                errors.under(token, format!("`{name}` is a plain function; write `fn {name}`"));
                spec.strangers.push(method.sig.ident.clone());
            }
            continue;
        }
        let hook = known.hooks.iter().find(|hook| hook.method == name);
        if hook.is_none() && !known.asynchronous.contains(&name.as_str()) {
            errors.under(&method.sig.ident, unknown_method(known, &name));
            spec.strangers.push(method.sig.ident.clone());
            continue;
        }
        if method.sig.asyncness.is_none() {
            errors.under(method.sig.fn_token, format!("`{name}` is asynchronous; write `async fn {name}`"));
            spec.strangers.push(method.sig.ident.clone());
        }
        spec.hooks.extend(hook);
    }
    // A role without hooks has methods that the compiler asks for, or that are called if they are there.
    let idle =
        if known.hooks.is_empty() { methods == 0 && known.asynchronous.is_empty() } else { spec.hooks.is_empty() };
    if idle && spec.strangers.is_empty() {
        let hooks: Vec<&str> = match known.hooks {
            [] => known.methods(),
            hooks => hooks.iter().map(|hook| hook.method).collect(),
        };
        let what = if known.hooks.is_empty() { "method" } else { "hook" };
        errors.under(
            &spec.role,
            format!(
                "this block has no {what}, so nobody would ever call it; `{}` has {}",
                spec.role,
                suggest::list(&hooks)
            ),
        );
    }
    Some(spec)
}

fn role(block: &ItemImpl, errors: &Errors) -> Option<(Ident, &'static words::Role)> {
    let Some((path, _)) = &block.trait_ else {
        errors.under(&block.self_ty, PLACE);
        return None;
    };
    let role = path.segments.last()?.ident.clone();
    let name = role.to_string();
    let known = words::role(&name);
    if known.is_none() {
        errors.under(path, suggest::unknown("role", &name, &words::role_names()));
    }
    known.map(|known| (role, known))
}

fn unknown_method(role: &words::Role, name: &str) -> String {
    let known = role.methods();
    let unknown = suggest::unknown_of("method", name, &format!("`{}`", role.name), &known);
    match suggest::nearest(name, &known) {
        Some(_) => unknown,
        None => format!("{unknown}; helpers belong in an `impl` block of their own"),
    }
}
