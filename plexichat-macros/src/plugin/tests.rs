//! What the attribute writes, and every message that the attribute alone gives.

use expect_test::{Expect, expect, expect_file};
use quote::quote;

use super::*;
use crate::snapshot;

#[track_caller]
fn check(attribute: TokenStream, package: &str, expected: Expect) {
    let errors = Errors::default();
    let item = syn::parse_quote!(
        struct Mine;
    );
    let place = Place { package, folder: None };
    check::check(parse::Args::parse(attribute, &errors), &item, &place, &errors);
    expected.assert_eq(&errors.messages().join("\n"));
}

#[test]
fn expands_with_nothing_said() {
    let code = expand(
        quote!(),
        quote!(
            pub struct Echo;
        ),
        &Place { package: "plexichat-echo", folder: None },
    );
    snapshot::check(code, expect_file!["../../tests/expand/plugin_plain.rs"]);
}

#[test]
fn expands_with_everything_said() {
    let attribute = quote!(
        provides(Security),
        permissions(NetworkAccess, UserDataAccess),
        name = "filter",
        category = "safety",
        tags("words"),
        core = ">=0.1",
        requires("other" = "^1"),
        emits(Filtered, "seen"),
        absolute("/v1/filter"),
        scan_message(timeout = "2s", on_error = "open", required, before("a"), after("b")),
        rewrite_message(timeout = "50ms"),
        scan_file(max_bytes = "2MiB"),
    );
    let code = expand(
        attribute,
        quote!(
            pub struct Filter {
                words: Vec<String>,
            }
        ),
        &Place { package: "plexichat-word-filter", folder: None },
    );
    snapshot::check(code, expect_file!["../../tests/expand/plugin_full.rs"]);
}

#[test]
fn stands_in_while_there_are_mistakes() {
    let attribute = quote!(permissions(NetworkAcess), emits(Ready));
    let code = expand(
        attribute,
        quote!(
            pub struct Echo;
        ),
        &Place { package: "plexichat-echo", folder: None },
    );
    snapshot::check(code, expect_file!["../../tests/expand/plugin_mistaken.rs"]);
}

#[test]
fn embeds_what_is_in_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("ui/page.html", "<p>"),
        ("ui/deep/er.js", ""),
        ("assets/logo.svg", ""),
        ("locales/en.ftl", "hello = Hello\n"),
        ("locales/de.ftl", "hello = Hallo\n"),
        ("src/lib.rs", ""),
    ] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let code = expand(
        quote!(),
        quote!(
            pub struct Pages;
        ),
        &Place { package: "plexichat-pages", folder: Some(folder.path()) },
    );
    snapshot::check(code, expect_file!["../../tests/expand/plugin_files.rs"]);
}

#[test]
fn what_cannot_be_embedded_is_told_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("ui")).unwrap();
    std::fs::write(folder.path().join("ui/.hidden"), "").unwrap();
    let errors = Errors::default();
    let item = syn::parse_quote!(
        struct Mine;
    );
    let place = Place { package: "plexichat-mine", folder: Some(folder.path()) };
    check::check(parse::Args::parse(quote!(tags("A")), &errors), &item, &place, &errors);
    expect![[r#"
        `ui/.hidden` is hidden, and what is in `ui/` is in the executable for everybody to read: remove it
        `A` is no tag: lower-case letters, digits, `-` and `_`, at most 40 characters"#]]
    .assert_eq(&errors.messages().join("\n"));
}

#[test]
fn the_packages_name_is_checked_where_no_other_is_given() {
    check(quote!(), "plexichat-echo", expect![[""]]);
    check(quote!(), "my-plugin", expect![[""]]);
    check(
        quote!(),
        "plexichat-core",
        expect![[
            r#"`core` is reserved and cannot be a plugin's name; it comes from the package's name `plexichat-core`: rename that, or set `name = ".."`"#
        ]],
    );
    check(
        quote!(),
        "Plexi_Chat",
        expect![[
            r#"`Plexi_Chat` is no plugin name: lower-case letters and digits in words joined by `-`, starting with a letter, at most 40 characters; it comes from the package's name `Plexi_Chat`: rename that, or set `name = ".."`"#
        ]],
    );
    check(quote!(name = "echo"), "plexichat-core", expect![[""]]);
}

#[test]
fn every_mistake_is_found_at_once() {
    check(
        quote!(provides(Securty), permissions(NetworkAcess, Everything), core = "x", colour = "red", tags("A")),
        "plexichat-echo",
        expect![[r#"
            unknown option `colour` of `#[plexichat::plugin]`; there are `provides`, `permissions`, `name`, `category`, `tags`, `core`, `requires`, `emits`, `absolute`, `rewrite_message`, `scan_message`, `scan_file`, `scan_reply` and `check_login`
            unknown role `Securty`; did you mean `Security`?
            unknown permission `NetworkAcess`; did you mean `NetworkAccess`?
            unknown permission `Everything`; there are `NetworkAccess`, `FileSystemRead`, `FileSystemWrite`, `UserDataAccess`, `PostMessages`, `AiAccess` and `AdminAccess`
            `A` is no tag: lower-case letters, digits, `-` and `_`, at most 40 characters"#]],
    );
}

#[test]
fn a_later_role_is_offered_only_when_it_was_meant() {
    check(
        quote!(provides(AiProvidr, Kitchen)),
        "plexichat-echo",
        expect![[r#"
            unknown role `AiProvidr`; did you mean `AiProvider`?
            unknown role `Kitchen`; there are `AiProvider`, `Automation`, `Interface` and `Security`"#]],
    );
}
