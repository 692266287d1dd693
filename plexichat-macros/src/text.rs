//! `t!("key", name = value)`: a text by its key, checked against `locales/en.ftl`. Knows no language but that one.

use std::path::Path;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, LitStr, Token};

use crate::errors::Errors;
use crate::{files, locales, suggest};

struct Call {
    key: LitStr,
    arguments: Vec<(Ident, Expr)>,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.parse()?;
        if input.is_empty() {
            return Ok(Self { key, arguments: Vec::new() });
        }
        input.parse::<Token![,]>()?;
        let arguments = Punctuated::<Argument, Token![,]>::parse_terminated(input)?;
        Ok(Self { key, arguments: arguments.into_iter().map(|argument| (argument.name, argument.value)).collect() })
    }
}

struct Argument {
    name: Ident,
    value: Expr,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse()?;
        // `name` alone is `name = name`, as in `format!("{name}")`.
        if !input.peek(Token![=]) {
            let value = syn::parse_quote!(#name);
            return Ok(Self { name, value });
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: input.parse()? })
    }
}

/// Expands a call in the crate at `folder`.
pub(crate) fn expand(tokens: TokenStream, folder: Option<&Path>) -> TokenStream {
    let errors = Errors::default();
    let code = match syn::parse2::<Call>(tokens) {
        Ok(call) => {
            check(&call, folder, &errors);
            write(&call)
        }
        Err(error) => {
            errors.push(syn::Error::new(
                error.span(),
                format!("{error}; write `t!(\"key\")` or `t!(\"key\", name = value)`"),
            ));
            quote!(::plexichat::text::Text::key(""))
        }
    };
    if errors.is_empty() {
        return code;
    }
    let errors = errors.into_tokens();
    quote!({ #errors ::plexichat::text::Text::key("") })
}

fn check(call: &Call, folder: Option<&Path>, errors: &Errors) {
    let path = locales::path(locales::DEFAULT);
    let key = call.key.value();
    let language = match folder.map(locales::default_language) {
        Some(Ok(Some(language))) => language,
        // The plugin's attribute tells each; one word here keeps the mistake from being a hundred.
        Some(Err(problems)) => {
            let first = problems.first().map(String::as_str).unwrap_or_default();
            return errors.under(&call.key, format!("`{path}` cannot be read: {first}"));
        }
        _ => {
            let message = format!("this crate has no `{path}`: make it, with a line such as `{key} = The text`");
            return errors.under(&call.key, message);
        }
    };
    let Some(variables) = language.texts.get(&key) else {
        let known: Vec<&str> = language.texts.keys().map(String::as_str).collect();
        let way_out = match suggest::nearest(&key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add the line `{key} = The text` there"),
        };
        return errors.under(&call.key, format!("`{path}` has no text `{key}`; {way_out}"));
    };
    let used: Vec<&str> = variables.iter().map(String::as_str).collect();
    for (index, (name, _)) in call.arguments.iter().enumerate() {
        let text = name.to_string();
        if call.arguments[..index].iter().any(|(other, _)| other == name) {
            errors.under(name, format!("`{text}` is given twice"));
        } else if used.is_empty() {
            errors.under(
                name,
                format!("the text `{key}` uses no variable: take `{text}` away, or write `{{ ${text} }}` in it"),
            );
        } else if !variables.contains(&text) {
            errors.under(name, suggest::unknown_of("variable", &text, &format!("the text `{key}`"), &used));
        }
    }
    let missing = used.iter().filter(|variable| !call.arguments.iter().any(|(name, _)| name == *variable));
    for variable in missing {
        let message = format!("the text `{key}` uses `${variable}`: add `{variable} = ..`");
        errors.under(&call.key, message);
    }
}

fn write(call: &Call) -> TokenStream {
    let Call { key, arguments } = call;
    let file = files::include(&format_ident!("include_str"), &locales::path(locales::DEFAULT));
    let arguments = arguments.iter().map(|(name, value)| {
        let name = name.to_string();
        quote!(.with(#name, &(#value)))
    });
    quote!({
        // So that Cargo builds anew, and the key is looked up again, when the texts change.
        const _: &str = #file;
        ::plexichat::text::Text::key(#key)#(#arguments)*
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect, expect_file};

    use super::*;
    use crate::snapshot;

    const ENGLISH: &str = "hello = Hello, { $name }\nup = Up since { $time }, { $count } times\nplain = Plain\n";

    fn expanded(tokens: TokenStream) -> TokenStream {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("locales")).unwrap();
        std::fs::write(folder.path().join("locales/en.ftl"), ENGLISH).unwrap();
        expand(tokens, Some(folder.path()))
    }

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("locales")).unwrap();
        std::fs::write(folder.path().join("locales/en.ftl"), ENGLISH).unwrap();
        let errors = Errors::default();
        super::check(&syn::parse_str(text).unwrap(), Some(folder.path()), &errors);
        expected.assert_eq(&errors.messages().join("\n"));
    }

    #[test]
    fn expands_into_a_text() {
        let plain = expanded(quote!("plain"));
        let with = expanded(quote!("up", count = 1 + 2, time));
        let code = quote!(
            fn texts() {
                #plain;
                #with;
            }
        );
        snapshot::check(code, expect_file!["../tests/expand/text.rs"]);
    }

    #[test]
    fn keys_and_variables_are_the_default_languages() {
        check(r#""plain""#, expect![[""]]);
        check(r#""up", time = 1, count"#, expect![[""]]);
        check(r#""helo", name = 1"#, expect!["`locales/en.ftl` has no text `helo`; did you mean `hello`?"]);
        check(
            r#""something-else""#,
            expect!["`locales/en.ftl` has no text `something-else`; add the line `something-else = The text` there"],
        );
        check(r#""hello""#, expect!["the text `hello` uses `$name`: add `name = ..`"]);
        check(
            r#""hello", nam = 1"#,
            expect![[r#"
            unknown variable `nam` of the text `hello`; did you mean `name`?
            the text `hello` uses `$name`: add `name = ..`"#]],
        );
        check(r#""hello", name = 1, name = 2"#, expect!["`name` is given twice"]);
        check(
            r#""plain", name = 1"#,
            expect!["the text `plain` uses no variable: take `name` away, or write `{ $name }` in it"],
        );
    }

    #[test]
    fn a_crate_without_texts_is_told_how_to_have_some() {
        let errors = Errors::default();
        super::check(&syn::parse_str(r#""a""#).unwrap(), None, &errors);
        let expected = "this crate has no `locales/en.ftl`: make it, with a line such as `a = The text`";
        assert_eq!(errors.messages(), [expected]);
    }
}
