//! Edits of `Cargo.toml` and `config/bundle.toml` that keep comments and layout. Text in, text out.

use plexichat::permission::Permission;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use crate::failure::{Explain, Failure, Result};

/// A plugin to add to a bundle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addition<'a> {
    /// Its name, which is its feature's too.
    pub(crate) name: &'a str,
    /// Its package.
    pub(crate) package: &'a str,
    /// Its version.
    pub(crate) version: &'a str,
    /// Its folder, from the workspace's root.
    pub(crate) path: &'a str,
    /// What it is granted.
    pub(crate) grant: &'a [Permission],
}

/// The bundle's manifest with the plugin as an optional dependency behind a feature of its name, on by default.
pub(crate) fn add_to_manifest(manifest: &str, addition: &Addition<'_>) -> Result<String> {
    let mut document = parse(manifest, "Cargo.toml")?;

    let dependencies = table(&mut document, "dependencies", "Cargo.toml")?;
    if dependencies.contains_key(addition.package) {
        return Err(Failure::usage(format!("`Cargo.toml` already depends on `{}`", addition.package)));
    }
    let mut dependency = InlineTable::new();
    dependency.insert("version", addition.version.into());
    dependency.insert("path", addition.path.into());
    dependency.insert("optional", true.into());
    dependencies.insert(addition.package, Item::Value(Value::InlineTable(dependency)));

    let features = table(&mut document, "features", "Cargo.toml")?;
    if features.contains_key(addition.name) {
        return Err(Failure::usage(format!("`Cargo.toml` already has a feature `{}`", addition.name)));
    }
    let enables: Array = std::iter::once(format!("dep:{}", addition.package)).collect();
    features.insert(addition.name, Item::Value(Value::Array(enables)));
    for set in ["default", "full"] {
        match features.get_mut(set) {
            Some(item) => match item.as_array_mut() {
                Some(list) => push(list, addition.name),
                None => return Err(Failure::found(format!("`features.{set}` in `Cargo.toml` is no list"))),
            },
            // `full` is a habit of this repository; `default` is what `run` serves.
            None if set == "default" => {
                features.insert(set, Item::Value(Value::Array(std::iter::once(addition.name).collect())));
            }
            None => {}
        }
    }
    Ok(document.to_string())
}

/// The bundle's embedded configuration with the plugin enabled and granted what it declares.
pub(crate) fn add_to_configuration(configuration: &str, addition: &Addition<'_>) -> Result<String> {
    let mut document = parse(configuration, "config/bundle.toml")?;
    if !document.contains_key("plugins") {
        let mut plugins = Table::new();
        plugins.set_implicit(true);
        document.insert("plugins", Item::Table(plugins));
    }
    let plugins = table(&mut document, "plugins", "config/bundle.toml")?;
    if plugins.contains_key(addition.name) {
        return Err(Failure::usage(format!("`config/bundle.toml` already has a section `plugins.{}`", addition.name)));
    }
    let mut section = Table::new();
    section.insert("enabled", true.into());
    section.insert("grant", addition.grant.iter().map(|permission| permission.as_str()).collect::<Array>().into());
    plugins.insert(addition.name, Item::Table(section));
    // Comments at the end of the file stay above what is new.
    let above = document.trailing().as_str().unwrap_or_default().to_owned();
    document.set_trailing("");
    if let Some(section) = document["plugins"][addition.name].as_table_mut() {
        section.decor_mut().set_prefix(if configuration.trim().is_empty() { above } else { above + "\n" });
    }
    Ok(document.to_string())
}

fn parse(text: &str, file: &str) -> Result<DocumentMut> {
    text.parse::<DocumentMut>().explain(|| format!("`{file}` is no valid TOML"))
}

fn table<'a>(document: &'a mut DocumentMut, name: &str, file: &str) -> Result<&'a mut Table> {
    document
        .entry(name)
        .or_insert(Item::Table(Table::new()))
        .as_table_mut()
        .ok_or_else(|| Failure::found(format!("`{name}` in `{file}` is no table")))
}

/// Appends as the list is written: one a line, or all on one.
fn push(list: &mut Array, text: &str) {
    let prefix = list.iter().last().and_then(|last| last.decor().prefix()?.as_str().map(str::to_owned));
    list.push(text);
    if let (Some(prefix), Some(last)) = (prefix, list.iter_mut().last())
        && prefix.contains('\n')
    {
        last.decor_mut().set_prefix(prefix);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const HELLO: Addition<'_> = Addition {
        name: "hello",
        package: "plexichat-hello",
        version: "0.1.0",
        path: "plugins/hello",
        grant: &[Permission::PostMessages],
    };

    #[track_caller]
    fn check(edit: fn(&str, &Addition<'_>) -> Result<String>, text: &str, expected: Expect) {
        let shown = match edit(text, &HELLO) {
            Ok(text) => text,
            Err(failure) => format!("{failure}\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn comments_and_layout_stay() {
        check(
            add_to_manifest,
            "# On top.\n[features]\n# What run serves.\ndefault = [\"echo\"] # small\nfull = [\n    \"echo\",\n    \"word-filter\",\n]\necho = [\"dep:plexichat-echo\"]\n\n[dependencies]\n# The plugins.\nplexichat-echo = { path = \"plugins/echo\", optional = true }\n\n[lints]\nworkspace = true\n",
            expect![[r#"
                # On top.
                [features]
                # What run serves.
                default = ["echo", "hello"] # small
                full = [
                    "echo",
                    "word-filter",
                    "hello",
                ]
                echo = ["dep:plexichat-echo"]
                hello = ["dep:plexichat-hello"]

                [dependencies]
                # The plugins.
                plexichat-echo = { path = "plugins/echo", optional = true }
                plexichat-hello = { version = "0.1.0", path = "plugins/hello", optional = true }

                [lints]
                workspace = true
            "#]],
        );
    }

    #[test]
    fn what_is_missing_is_made() {
        check(
            add_to_manifest,
            "[package]\nname = \"chat\"\n",
            expect![[r#"
                [package]
                name = "chat"

                [dependencies]
                plexichat-hello = { version = "0.1.0", path = "plugins/hello", optional = true }

                [features]
                hello = ["dep:plexichat-hello"]
                default = ["hello"]
            "#]],
        );
        check(
            add_to_configuration,
            "# What this bundle grants.\n",
            expect![[r##"
                # What this bundle grants.

                [plugins.hello]
                enabled = true
                grant = ["post_messages"]
            "##]],
        );
    }

    #[test]
    fn a_section_goes_to_the_end() {
        check(
            add_to_configuration,
            "# What this bundle grants.\n[plugins.echo]\nenabled = true # small\n",
            expect![[r#"
                # What this bundle grants.
                [plugins.echo]
                enabled = true # small

                [plugins.hello]
                enabled = true
                grant = ["post_messages"]
            "#]],
        );
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        check(
            add_to_manifest,
            "[features]\nhello = []\n",
            expect![[r#"
                error: `Cargo.toml` already has a feature `hello`
            "#]],
        );
        check(
            add_to_manifest,
            "[dependencies]\nplexichat-hello = \"1\"\n",
            expect![[r#"
                error: `Cargo.toml` already depends on `plexichat-hello`
            "#]],
        );
        check(
            add_to_configuration,
            "[plugins.hello]\n",
            expect![[r#"
                error: `config/bundle.toml` already has a section `plugins.hello`
            "#]],
        );
    }

    #[test]
    fn a_broken_file_is_named() {
        check(
            add_to_configuration,
            "[plugins\n",
            expect![[r#"
                error: `config/bundle.toml` is no valid TOML: TOML parse error at line 1, column 9
                  |
                1 | [plugins
                  |         ^
                unclosed table, expected `]`

            "#]],
        );
        check(
            add_to_manifest,
            "features = 3\n",
            expect![[r#"
                error: `features` in `Cargo.toml` is no table
            "#]],
        );
    }
}
