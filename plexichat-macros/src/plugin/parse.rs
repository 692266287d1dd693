//! Takes the attribute's tokens apart. What comes out has the right shape and is not yet checked.

use proc_macro2::{Ident, TokenStream};
use syn::{LitStr, Path};

use crate::errors::Errors;
use crate::options::{self, Entry, Known};
use crate::words;

/// A policy's option is its hook's method.
const OPTIONS: Known<'_> = Known {
    owner: "`#[plexichat::plugin]`",
    options: &[
        "provides",
        "permissions",
        "name",
        "category",
        "tags",
        "core",
        "requires",
        "emits",
        "absolute",
        "rewrite_message",
        "scan_message",
        "scan_file",
        "scan_reply",
        "check_login",
    ],
};

const POLICY_OPTIONS: &[&str] = &["timeout", "on_error", "required", "before", "after"];

/// The policy of a hook that sees files.
const FILE_POLICY_OPTIONS: &[&str] = &["timeout", "max_bytes", "on_error", "required", "before", "after"];

/// The attribute as it was written.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) provides: Vec<Ident>,
    pub(crate) permissions: Vec<Ident>,
    pub(crate) name: Option<LitStr>,
    pub(crate) category: Option<LitStr>,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) core: Option<LitStr>,
    pub(crate) requires: Vec<(LitStr, LitStr)>,
    pub(crate) emits: Vec<Emit>,
    pub(crate) absolute: Vec<LitStr>,
    pub(crate) policies: Vec<Policy>,
}

/// An event that the plugin emits.
pub(crate) enum Emit {
    /// A type made by `#[plexichat::event]`.
    Typed(Path),
    /// A name, for data that is JSON.
    Json(LitStr),
}

/// How the host shall treat a hook.
pub(crate) struct Policy {
    pub(crate) hook: Ident,
    pub(crate) timeout: Option<LitStr>,
    pub(crate) max_bytes: Option<LitStr>,
    pub(crate) on_error: Option<LitStr>,
    pub(crate) required: bool,
    pub(crate) before: Vec<LitStr>,
    pub(crate) after: Vec<LitStr>,
}

impl Args {
    /// Reads the attribute.
    pub(crate) fn parse(attribute: TokenStream, errors: &Errors) -> Self {
        let mut args = Self::default();
        for entry in options::entries(attribute, &OPTIONS, errors) {
            args.take(entry, errors);
        }
        args
    }

    fn take(&mut self, entry: Entry, errors: &Errors) {
        match entry.name.to_string().as_str() {
            "provides" => self.provides = entry.words("Security", errors),
            "permissions" => self.permissions = entry.words("NetworkAccess", errors),
            "name" => self.name = entry.text("my-plugin", errors),
            "category" => self.category = entry.text("productivity", errors),
            "tags" => self.tags = entry.texts("\"chat\", \"fun\"", errors),
            "core" => self.core = entry.text("^0.1", errors),
            "requires" => self.requires = requires(entry, errors),
            "emits" => self.emits = emits(entry, errors),
            "absolute" => self.absolute = entry.texts("\"/v1/models\"", errors),
            _ => self.policies.push(policy(entry, errors)),
        }
    }
}

fn requires(entry: Entry, errors: &Errors) -> Vec<(LitStr, LitStr)> {
    let parts = entry.list("\"other\" = \"^1\"", errors).into_iter();
    parts
        .filter_map(|part| {
            let pair = options::pair(&part);
            if pair.is_none() {
                errors.under(part, "`requires` takes names with versions; write `requires(\"other\" = \"^1\")`");
            }
            pair
        })
        .collect()
}

fn emits(entry: Entry, errors: &Errors) -> Vec<Emit> {
    let parts = entry.list("ReportReady, \"json_name\"", errors).into_iter();
    parts
        .filter_map(|part| {
            let emit = syn::parse2(part.clone()).map(Emit::Json);
            let emit = emit.or_else(|_| syn::parse2(part.clone()).map(Emit::Typed));
            if emit.is_err() {
                errors.under(
                    part,
                    "`emits` takes types made by `#[plexichat::event]`, and names in quotes for events whose data is JSON: \
                     `emits(ReportReady, \"json_name\")`",
                );
            }
            emit.ok()
        })
        .collect()
}

fn policy(entry: Entry, errors: &Errors) -> Policy {
    let hook = entry.name.clone();
    let mut policy = Policy {
        hook,
        timeout: None,
        max_bytes: None,
        on_error: None,
        required: false,
        before: Vec::new(),
        after: Vec::new(),
    };
    let name = policy.hook.to_string();
    let what = format!("`{}`", policy.hook);
    let crate::options::Value::List(group) = entry.value else {
        errors.under(
            &policy.hook,
            format!("{what} takes a policy; write `{}(timeout = \"200ms\", on_error = \"closed\")`", policy.hook),
        );
        return policy;
    };
    let sees_files = words::SECURITY_HOOKS.iter().any(|hook| hook.method == name && hook.sees_files);
    let options = if sees_files { FILE_POLICY_OPTIONS } else { POLICY_OPTIONS };
    let known = Known { owner: &what, options };
    for entry in options::entries(group.stream(), &known, errors) {
        match entry.name.to_string().as_str() {
            "timeout" => policy.timeout = entry.text("200ms", errors),
            "max_bytes" => policy.max_bytes = entry.text("50MiB", errors),
            "on_error" => policy.on_error = entry.text("closed", errors),
            "required" => policy.required = entry.flag(errors).is_some(),
            "before" => policy.before = entry.texts("\"other-plugin\"", errors),
            _ => policy.after = entry.texts("\"other-plugin\"", errors),
        }
    }
    policy
}
