//! Implements `garde::Validate` from `#[garde(..)]`. Garde's own derive names `::garde`, which a plugin with one dependency
//! does not have; the rules themselves are garde's functions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Expr, Fields, Member, Meta, Path};

use super::fields;
use crate::errors::Errors;
use crate::options::{self, Entry, Known, Value};

/// The rules of a field.
const RULES: Known<'_> = Known { owner: "`#[garde]`", options: RULE_NAMES };

/// The rules of a whole type.
const WHOLE: Known<'_> = Known { owner: "`#[garde]` on a type", options: &["custom", "allow_unvalidated"] };

const RULE_NAMES: &[&str] = &[
    "range",
    "length",
    "ascii",
    "alphanumeric",
    "contains",
    "prefix",
    "suffix",
    "ip",
    "ipv4",
    "ipv6",
    "required",
    "matches",
    "custom",
    "inner",
    "dive",
    "skip",
];

/// How a length is counted.
const LENGTHS: &[&str] = &["bytes", "chars", "utf16", "simple"];

/// The implementation for a struct or enum.
pub(crate) fn implementation(item: &DeriveInput, errors: &Errors) -> TokenStream {
    let ident = &item.ident;
    let (impl_generics, type_generics, where_clause) = item.generics.split_for_impl();
    let whole = whole(&item.attrs, errors);
    let body = match &item.data {
        Data::Struct(data) => arm(&quote!(Self), &item.attrs, &data.fields, errors).unwrap_or_default(),
        Data::Enum(data) => {
            let arms = data.variants.iter().filter_map(|variant| {
                let name = &variant.ident;
                arm(&quote!(Self::#name), &variant.attrs, &variant.fields, errors)
            });
            let arms: Vec<TokenStream> = arms.collect();
            quote!(#(#arms)*)
        }
        Data::Union(_) => TokenStream::new(),
    };
    // The underscores keep these names apart from those of the author's functions and constants.
    quote! {
        const _: () = {
            use ::plexichat::__private::garde;
            impl #impl_generics garde::Validate for #ident #type_generics #where_clause {
                type Context = ();

                #[allow(unused_variables, unused_mut, clippy::all, reason = "not every type has a rule")]
                fn validate_into(
                    &self,
                    __context: &(),
                    mut __path: &mut dyn ::core::ops::FnMut() -> garde::Path,
                    __report: &mut garde::Report,
                ) {
                    #whole
                    #body
                }
            }
        };
    }
}

/// Takes the rules off, where one has a mistake: schemars reads them too, and would say the same in other words.
pub(crate) fn strip(item: &mut DeriveInput) {
    let strip = |attributes: &mut Vec<Attribute>| attributes.retain(|attribute| !attribute.path().is_ident("garde"));
    strip(&mut item.attrs);
    let fields: Vec<&mut Fields> = match &mut item.data {
        Data::Struct(data) => vec![&mut data.fields],
        Data::Enum(data) => data.variants.iter_mut().map(|variant| &mut variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    };
    fields.into_iter().flatten().for_each(|field| strip(&mut field.attrs));
}

/// The rules of the whole type: `#[garde(custom(check))]`.
fn whole(attributes: &[Attribute], errors: &Errors) -> TokenStream {
    let entries = rules(attributes, &WHOLE, errors).into_iter();
    entries
        .filter(|entry| entry.name != "allow_unvalidated")
        .map(|entry| rule(entry, &Ident::new("self", Span::call_site()), errors))
        .collect()
}

/// The rules of the fields of a struct or variant, with the fields bound; nothing where no field has one.
fn arm(pattern: &TokenStream, container: &[Attribute], fields: &Fields, errors: &Errors) -> Option<TokenStream> {
    let names = match fields {
        Fields::Named(named) => fields::all_wire_names(container, named),
        Fields::Unnamed(_) | Fields::Unit => Vec::new(),
    };
    let mut bindings = Vec::new();
    let mut checks = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let entries = rules(&field.attrs, &RULES, errors);
        let binding = format_ident!("__field_{index}");
        let rules: Vec<TokenStream> = entries
            .into_iter()
            .filter(|entry| entry.name != "skip")
            .map(|entry| rule(entry, &binding, errors))
            .collect();
        if rules.is_empty() {
            continue;
        }
        let member = field.ident.clone().map_or_else(|| Member::from(index), Member::Named);
        let key = names.get(index).map_or_else(|| quote!(&#index), |name| quote!(&#name));
        bindings.push(quote!(#member: #binding,));
        checks.push(quote! {{
            let mut __path = garde::util::nested_path!(__path, #key);
            #(#rules)*
        }});
    }
    (!checks.is_empty()).then(|| {
        quote! {
            if let #pattern { #(#bindings)* .. } = self {
                #(#checks)*
            }
        }
    })
}

fn rules(attributes: &[Attribute], known: &Known<'_>, errors: &Errors) -> Vec<Entry> {
    let mut tokens = TokenStream::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("garde")) {
        match &attribute.meta {
            Meta::List(list) => tokens.extend([list.tokens.clone(), quote!(,)]),
            meta => errors.under(meta, "`#[garde]` names rules: `#[garde(range(min = 1, max = 600))]`"),
        }
    }
    options::entries(tokens, known, errors)
}

/// One rule, applied to a binding that is a reference.
fn rule(entry: Entry, binding: &Ident, errors: &Errors) -> TokenStream {
    let name = entry.name.clone();
    let span = name.span();
    // The rule's place and the binding's own hygiene: that a type cannot have the rule is shown under the rule.
    let binding = &Ident::new(&binding.to_string(), binding.span().located_at(span));
    let rules = quote_spanned!(span=> garde::rules);
    let applied = match name.to_string().as_str() {
        "ascii" | "alphanumeric" | "required" => {
            entry.flag(errors);
            Some(quote_spanned!(span=> #rules::#name::apply(#binding, ())))
        }
        "ip" => ip(entry, "Any", binding, errors),
        "ipv4" => ip(entry, "V4", binding, errors),
        "ipv6" => ip(entry, "V6", binding, errors),
        "contains" | "prefix" | "suffix" => argument::<Expr>(entry, "\"text\"", errors)
            .map(|text| quote_spanned!(span=> #rules::#name::apply(#binding, (&#text,)))),
        "matches" => argument::<Ident>(entry, "other_field", errors).map(
            |other| quote_spanned!(span=> #rules::matches::apply(#binding, (::core::stringify!(#other), &self.#other))),
        ),
        "range" => bounds(entry, &[], errors).map(|Bounds { min, max, .. }| {
            let [min, max] = [min, max].map(|bound| match bound {
                Some(bound) => quote_spanned!(span=> ::core::option::Option::Some(#bound)),
                None => quote_spanned!(span=> ::core::option::Option::None),
            });
            quote_spanned!(span=> #rules::range::apply(#binding, (#min, #max)))
        }),
        "length" => bounds(entry, LENGTHS, errors).map(|Bounds { min, max, mode }| {
            let mode = mode.unwrap_or_else(|| Ident::new("simple", span));
            let min = min.unwrap_or_else(|| quote_spanned!(span=> 0usize));
            let max = max.unwrap_or_else(|| quote_spanned!(span=> usize::MAX));
            quote_spanned!(span=> #rules::length::#mode::apply(#binding, (#min, #max)))
        }),
        "custom" => argument::<Path>(entry, "check_it", errors)
            .map(|function| quote_spanned!(span=> #function(#binding).map_err(::plexichat::__private::invalid))),
        "dive" => {
            entry.flag(errors);
            return quote_spanned!(span=> garde::Validate::validate_into(#binding, __context, &mut __path, __report););
        }
        _ => return inner(entry, binding, errors),
    };
    applied
        .map(|applied| {
            quote_spanned! {span=>
                if let ::core::result::Result::Err(error) = #applied {
                    __report.append(__path(), error);
                }
            }
        })
        .unwrap_or_default()
}

fn ip(entry: Entry, kind: &str, binding: &Ident, errors: &Errors) -> Option<TokenStream> {
    let (span, kind) = (entry.name.span(), format_ident!("{kind}"));
    entry.flag(errors);
    Some(quote_spanned!(span=> garde::rules::ip::apply(#binding, (garde::rules::ip::IpKind::#kind,))))
}

/// `inner(..)`: the rules of every element.
fn inner(entry: Entry, binding: &Ident, errors: &Errors) -> TokenStream {
    let span = entry.name.span();
    let Value::List(group) = entry.value else {
        errors.at(span, "`inner` takes the rules of the elements: `inner(length(min = 1))`");
        return TokenStream::new();
    };
    let element = format_ident!("__element");
    let entries = options::entries(group.stream(), &Known { owner: "`inner`", ..RULES }, errors).into_iter();
    let rules = entries.map(|entry| rule(entry, &element, errors));
    quote_spanned! {span=>
        garde::rules::inner::apply(#binding, |#element, __key| {
            let mut __path = garde::util::nested_path!(__path, __key);
            #(#rules)*
        });
    }
}

/// The one argument of `name(argument)`.
fn argument<T: syn::parse::Parse>(entry: Entry, example: &str, errors: &Errors) -> Option<T> {
    let parsed = match &entry.value {
        Value::List(group) => syn::parse2(group.stream()).ok(),
        _ => None,
    };
    if parsed.is_none() {
        errors.under(&entry.name, format!("`{0}` takes one argument: `{0}({example})`", entry.name));
    }
    parsed
}

struct Bounds {
    min: Option<TokenStream>,
    max: Option<TokenStream>,
    mode: Option<Ident>,
}

/// `name(min = .., max = .., mode)` or `name(equal = ..)`.
fn bounds(entry: Entry, modes: &[&str], errors: &Errors) -> Option<Bounds> {
    let name = entry.name.clone();
    let example = || format!("write `{name}(min = 1, max = 10)` or `{name}(equal = 5)`");
    let Value::List(group) = entry.value else {
        errors.under(&name, format!("`{name}` takes bounds; {}", example()));
        return None;
    };
    let known: Vec<&str> = ["min", "max", "equal"].iter().chain(modes).copied().collect();
    let mut bounds = Bounds { min: None, max: None, mode: None };
    let mut equal = None;
    let known = Known { owner: &format!("`{name}`"), options: &known };
    for part in options::entries(group.stream(), &known, errors) {
        let word = part.name.to_string();
        match (word.as_str(), part.value) {
            ("min", Value::Assigned(value)) => bounds.min = Some(value),
            ("max", Value::Assigned(value)) => bounds.max = Some(value),
            ("equal", Value::Assigned(value)) => equal = Some(value),
            ("min" | "max" | "equal", _) => errors.under(&part.name, format!("`{word}` takes a value; {}", example())),
            (_, Value::Nothing) => bounds.mode = Some(part.name),
            (_, _) => errors.under(&part.name, format!("`{word}` takes no value; write `{name}({word}, max = 10)`")),
        }
    }
    match (equal, &bounds) {
        (Some(equal), Bounds { min: None, max: None, .. }) => {
            bounds.min = Some(equal.clone());
            bounds.max = Some(equal);
        }
        (Some(_), _) => errors.under(&name, "`equal` stands alone: it is both the least and the most"),
        (None, Bounds { min: None, max: None, .. }) if errors.is_empty() => {
            errors.under(&name, format!("`{name}` has no bound; {}", example()));
        }
        (None, _) => {}
    }
    Some(bounds)
}
