//! Finds every mistake that the attribute alone shows. What comes out can be trusted where no mistake was found.

use proc_macro2::{Ident, Span};
use syn::{ItemStruct, LitStr, Path};

use super::Place;
use super::parse::{Args, Emit, Policy};
use crate::errors::Errors;
use crate::words::{self, Hook};
use crate::{duration, files, locales, names, size, suggest};

/// The category of a plugin that names none.
const CATEGORY: &str = "other";

/// A plugin, checked.
pub(crate) struct Spec {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) core: String,
    pub(crate) category: String,
    pub(crate) tags: Vec<String>,
    pub(crate) provides: Vec<Ident>,
    pub(crate) permissions: Vec<Ident>,
    pub(crate) requires: Vec<(String, String)>,
    pub(crate) emits: Vec<Emitted>,
    pub(crate) absolute: Vec<String>,
    pub(crate) policies: Vec<HookPolicy>,
    /// The paths of the embedded files.
    pub(crate) assets: Vec<String>,
    /// The languages of the texts.
    pub(crate) languages: Vec<String>,
}

/// An event that the plugin emits.
pub(crate) enum Emitted {
    /// A type made by `#[plexichat::event]`.
    Typed(Path),
    /// A name with its prefix.
    Json(String),
}

/// The policy of a hook.
pub(crate) struct HookPolicy {
    /// The option, for messages about it.
    pub(crate) option: Ident,
    /// The variant of `plexichat::descriptor::Hook`.
    pub(crate) variant: &'static str,
    pub(crate) timeout_ms: Option<u64>,
    /// The largest file, for a hook that sees files.
    pub(crate) max_bytes: Option<u64>,
    /// The variant of `plexichat::descriptor::FailMode`.
    pub(crate) on_error: Option<&'static str>,
    pub(crate) required: bool,
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

/// Checks the attribute of `item` in a crate, and what the crate embeds.
pub(crate) fn check(args: Args, item: &ItemStruct, place: &Place<'_>, errors: &Errors) -> Spec {
    let name = name(args.name.as_ref(), place.package, errors);
    let (assets, languages) = embedded(place, errors);
    Spec {
        ident: item.ident.clone(),
        provides: provides(args.provides, errors),
        permissions: permissions(args.permissions, errors),
        category: args.category.map_or_else(|| CATEGORY.to_owned(), |category| word(&category, "category", errors)),
        tags: distinct(&args.tags, "tag", errors).into_iter().map(|tag| word(tag, "tag", errors)).collect(),
        core: args.core.map_or_else(this_core, |core| requirement(&core, errors)),
        requires: requires(&args.requires, &name, errors),
        emits: emits(args.emits, errors),
        absolute: absolute(&args.absolute, errors),
        policies: Vec::new(),
        assets,
        languages,
        name,
    }
    .with_policies(args.policies, errors)
}

impl Spec {
    fn with_policies(mut self, policies: Vec<Policy>, errors: &Errors) -> Self {
        self.policies = policies.into_iter().filter_map(|policy| self.policy(policy, errors)).collect();
        self
    }

    fn policy(&self, policy: Policy, errors: &Errors) -> Option<HookPolicy> {
        let option = policy.hook.to_string();
        let hook = words::SECURITY_HOOKS.iter().find(|hook| hook.method == option)?;
        if !self.provides.iter().any(|role| role == "Security") {
            errors.under(
                &policy.hook,
                format!("`{option}` is a hook of the role `Security`; add `provides(Security)` to the attribute"),
            );
        }
        let neighbours = |names: &[LitStr], side: &str| -> Vec<String> {
            let names = distinct(names, "plugin", errors);
            names.into_iter().filter_map(|name| self.neighbour(name, side, errors)).collect()
        };
        let before = neighbours(&policy.before, "before");
        let after = neighbours(&policy.after, "after");
        for name in policy.after.iter().filter(|name| before.contains(&name.value())) {
            errors.under(name, format!("`{}` cannot run both before and after this plugin", name.value()));
        }
        Some(HookPolicy {
            option: policy.hook,
            variant: hook.variant,
            timeout_ms: policy.timeout.and_then(|text| timeout(&text, hook, errors)),
            max_bytes: policy.max_bytes.and_then(|text| max_bytes(&text, errors)),
            on_error: policy.on_error.and_then(|text| fail_mode(&text, errors)),
            required: policy.required,
            before,
            after,
        })
    }

    fn neighbour(&self, name: &LitStr, side: &str, errors: &Errors) -> Option<String> {
        let text = name.value();
        if let Err(message) = names::plugin(&text) {
            errors.under(name, message);
            return None;
        }
        if text == self.name {
            errors.under(name, format!("`{text}` is this plugin itself; `{side}` names others"));
            return None;
        }
        Some(text)
    }
}

/// What the crate embeds. What is wrong with it stands under the attribute: no token of the author's is about it.
fn embedded(place: &Place<'_>, errors: &Errors) -> (Vec<String>, Vec<String>) {
    let Some(folder) = place.folder else { return (Vec::new(), Vec::new()) };
    let (assets, of_assets) = files::served(folder);
    let (languages, of_locales) = locales::read(folder);
    for problem in of_assets.into_iter().chain(of_locales) {
        errors.at(Span::call_site(), problem);
    }
    (assets, languages.into_iter().map(|language| language.tag).collect())
}

fn name(given: Option<&LitStr>, package: &str, errors: &Errors) -> String {
    let (name, span) = match given {
        Some(given) => (given.value(), given.span()),
        None => (package.strip_prefix("plexichat-").unwrap_or(package).to_owned(), Span::call_site()),
    };
    if let Err(message) = names::plugin(&name) {
        let way_out = match given {
            Some(_) => String::new(),
            None => format!("; it comes from the package's name `{package}`: rename that, or set `name = \"..\"`"),
        };
        errors.at(span, format!("{message}{way_out}"));
    }
    name
}

fn provides(roles: Vec<Ident>, errors: &Errors) -> Vec<Ident> {
    let roles = distinct_words(roles, "role", errors).into_iter();
    roles
        .filter(|role| {
            let name = role.to_string();
            if words::role(&name).is_some() {
                return true;
            }
            let message = if name == "Automation" {
                "`Automation` is not written in `provides`: a plugin with a `#[plexichat::handlers]` block and no other \
                 role is one"
                    .to_owned()
            } else {
                suggest::unknown("role", &name, &words::role_names())
            };
            errors.under(role, message);
            false
        })
        .collect()
}

fn permissions(permissions: Vec<Ident>, errors: &Errors) -> Vec<Ident> {
    let permissions = distinct_words(permissions, "permission", errors).into_iter();
    permissions
        .filter(|permission| {
            let name = permission.to_string();
            let known = words::PERMISSIONS.contains(&name.as_str());
            if !known {
                errors.under(permission, suggest::unknown("permission", &name, words::PERMISSIONS));
            }
            known
        })
        .collect()
}

fn requires(requires: &[(LitStr, LitStr)], own: &str, errors: &Errors) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for (name, version) in requires {
        let text = name.value();
        if let Err(message) = names::plugin(&text) {
            errors.under(name, message);
        } else if text == own {
            errors.under(name, format!("`{text}` is this plugin itself; `requires` names others"));
        } else if seen.iter().any(|(other, _)| *other == text) {
            errors.under(name, format!("plugin `{text}` is named twice"));
        }
        seen.push((text, requirement(version, errors)));
    }
    seen
}

fn emits(emits: Vec<Emit>, errors: &Errors) -> Vec<Emitted> {
    let mut seen: Vec<String> = Vec::new();
    let mut types: Vec<Path> = Vec::new();
    let mut emitted = Vec::new();
    for emit in emits {
        match emit {
            Emit::Typed(path) => {
                if types.contains(&path) {
                    errors.under(&path, "this event is named twice");
                    continue;
                }
                types.push(path.clone());
                emitted.push(Emitted::Typed(path));
            }
            Emit::Json(name) => {
                let text = name.value();
                if let Err(message) = names::event(&text) {
                    errors.under(&name, message);
                } else if seen.contains(&text) {
                    errors.under(&name, format!("event `{text}` is named twice"));
                }
                emitted.push(Emitted::Json(format!("{}{text}", words::CUSTOM_PREFIX)));
                seen.push(text);
            }
        }
    }
    emitted
}

fn absolute(paths: &[LitStr], errors: &Errors) -> Vec<String> {
    let check = |path: &LitStr| {
        let text = path.value();
        let segments_good = text.strip_prefix('/').is_some_and(|rest| {
            !rest.is_empty()
                && rest.split('/').all(|segment| {
                    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
                })
        });
        if !segments_good {
            errors.under(path, format!("`{text}` is no absolute path such as `/v1/models`"));
        } else if text == "/api" || text.starts_with("/api/") {
            errors.under(
                path,
                format!("`{text}` lies below `/api`, which is the server's; a plugin's own routes are relative"),
            );
        }
        text
    };
    distinct(paths, "route", errors).into_iter().map(check).collect()
}

/// The versions of the SDK that a plugin accepts where it says nothing: those that fit the one it was built with.
fn this_core() -> String {
    format!("^{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"))
}

fn requirement(text: &LitStr, errors: &Errors) -> String {
    if let Err(error) = semver::VersionReq::parse(&text.value()) {
        errors.under(text, format!("`{}` is no version requirement such as `^1.2`: {error}", text.value()));
    }
    text.value()
}

fn timeout(text: &LitStr, hook: &Hook, errors: &Errors) -> Option<u64> {
    let milliseconds = match duration::milliseconds(&text.value()) {
        Ok(milliseconds) => milliseconds,
        Err(message) => {
            errors.under(text, message);
            return None;
        }
    };
    if milliseconds > hook.timeout_max {
        let longest = duration::shown(hook.timeout_max);
        errors.under(text, format!("`{}` may take at most {longest}: every {} waits for it", hook.method, hook.waits));
    }
    Some(milliseconds)
}

fn max_bytes(text: &LitStr, errors: &Errors) -> Option<u64> {
    let bytes = size::bytes(&text.value());
    bytes.map_err(|message| errors.under(text, message)).ok()
}

fn fail_mode(text: &LitStr, errors: &Errors) -> Option<&'static str> {
    let value = text.value();
    let found = words::FAIL_MODES.iter().find(|(word, _)| *word == value);
    if found.is_none() {
        let known: Vec<&str> = words::FAIL_MODES.iter().map(|(word, _)| *word).collect();
        errors.under(text, suggest::unknown("failure policy", &value, &known));
    }
    found.map(|(_, variant)| *variant)
}

/// A category or a tag: a short word that a person searches by.
fn word(text: &LitStr, what: &str, errors: &Errors) -> String {
    let value = text.value();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if value.is_empty() || value.len() > 40 || !value.bytes().all(allowed) {
        errors.under(
            text,
            format!("`{value}` is no {what}: lower-case letters, digits, `-` and `_`, at most 40 characters"),
        );
    }
    value
}

fn distinct<'a>(texts: &'a [LitStr], what: &str, errors: &Errors) -> Vec<&'a LitStr> {
    let mut seen: Vec<&LitStr> = Vec::new();
    for text in texts {
        if seen.iter().any(|other| other.value() == text.value()) {
            errors.under(text, format!("{what} `{}` is named twice", text.value()));
        } else {
            seen.push(text);
        }
    }
    seen
}

fn distinct_words(words: Vec<Ident>, what: &str, errors: &Errors) -> Vec<Ident> {
    let mut seen: Vec<Ident> = Vec::new();
    for word in words {
        if seen.contains(&word) {
            errors.under(&word, format!("{what} `{word}` is named twice"));
        } else {
            seen.push(word);
        }
    }
    seen
}
