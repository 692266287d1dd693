//! The names that a struct's fields have on the wire, as serde gives them. Knows no attribute.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Field, FieldsNamed, Lit, LitStr, Meta, MetaNameValue, Token};

use super::derives;
use crate::errors::Errors;

/// The wire names of the fields that are read, in the order they were written.
pub(crate) fn wire_names(container: &[Attribute], fields: &FieldsNamed) -> Vec<String> {
    let names = all_wire_names(container, fields);
    fields.named.iter().zip(names).filter(|(field, _)| !skipped(field)).map(|(_, name)| name).collect()
}

/// The wire names of all fields, in the order they were written.
pub(crate) fn all_wire_names(container: &[Attribute], fields: &FieldsNamed) -> Vec<String> {
    let rule = renamed(container, "rename_all");
    let name = |field: &Field| {
        renamed(&field.attrs, "rename").unwrap_or_else(|| {
            let name = field.ident.as_ref().map(|ident| ident.unraw().to_string()).unwrap_or_default();
            rule.as_deref().map_or_else(|| name.clone(), |rule| apply(rule, &name))
        })
    };
    fields.named.iter().map(name).collect()
}

/// Refuses `#[serde(flatten)]`: beside it serde cannot refuse unknown keys.
pub(crate) fn refuse_flatten(fields: &FieldsNamed, errors: &Errors) {
    for field in &fields.named {
        let metas = derives::metas(&field.attrs, "serde");
        for meta in metas.iter().filter(|meta| meta.path().is_ident("flatten")) {
            errors.under(
                meta,
                "`flatten` lets unknown keys through, and a mistyped key must be refused; nest the fields",
            );
        }
    }
}

fn skipped(field: &Field) -> bool {
    let words = ["skip", "skip_deserializing", "flatten"];
    derives::metas(&field.attrs, "serde").iter().any(|meta| words.iter().any(|word| meta.path().is_ident(word)))
}

/// The value of `word = ".."`, or of `word(deserialize = "..")`.
fn renamed(attributes: &[Attribute], word: &str) -> Option<String> {
    let metas = derives::metas(attributes, "serde");
    let meta = metas.iter().find(|meta| meta.path().is_ident(word))?;
    match meta {
        Meta::NameValue(pair) => text(&pair.value),
        Meta::List(list) => {
            let pairs = list.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated).ok()?;
            pairs.iter().find(|pair| pair.path.is_ident("deserialize")).and_then(|pair| text(&pair.value))
        }
        Meta::Path(_) => None,
    }
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(LitStr::value(text)),
        _ => None,
    }
}

/// Serde's rules for the names of fields, which are `snake_case` in Rust. An unknown rule is serde's to refuse.
fn apply(rule: &str, name: &str) -> String {
    let pascal = || name.split('_').map(capitalised).collect::<String>();
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let first = pascal.chars().next().map_or(0, char::len_utf8);
            pascal[..first].to_ascii_lowercase() + &pascal[first..]
        }
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

fn capitalised(word: &str) -> String {
    let first = word.chars().next().map_or(0, char::len_utf8);
    word[..first].to_ascii_uppercase() + &word[first..]
}

#[cfg(test)]
mod tests {
    use syn::{Data, DeriveInput, Fields, parse_quote};

    use super::*;

    #[track_caller]
    fn check(item: DeriveInput, expected: &[&str]) {
        let Data::Struct(data) = item.data else { panic!("no struct") };
        let Fields::Named(fields) = data.fields else { panic!("no named fields") };
        assert_eq!(wire_names(&item.attrs, &fields), expected);
    }

    #[test]
    fn follow_serde() {
        check(
            parse_quote!(
                struct A {
                    sides: u8,
                    r#type: u8,
                }
            ),
            &["sides", "type"],
        );
        check(
            parse_quote! {
                #[serde(default, rename_all = "camelCase")]
                struct A { dry_run: bool, #[serde(rename = "n")] number: u8, #[serde(skip)] cache: u8 }
            },
            &["dryRun", "n"],
        );
        check(
            parse_quote! {
                #[serde(rename_all(serialize = "UPPERCASE", deserialize = "kebab-case"))]
                struct A { dry_run: bool, #[serde(rename(deserialize = "in"))] out: u8 }
            },
            &["dry-run", "in"],
        );
        check(
            parse_quote!(
                #[serde(rename_all = "PascalCase")]
                struct A {
                    dry_run: bool,
                }
            ),
            &["DryRun"],
        );
        check(
            parse_quote!(
                #[serde(rename_all = "SCREAMING-KEBAB-CASE")]
                struct A {
                    dry_run: bool,
                }
            ),
            &["DRY-RUN"],
        );
    }
}
