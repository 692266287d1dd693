//! The templates of `new-plugin`, embedded, and how one becomes a crate's files. Writes nothing.

use minijinja::{Environment, UndefinedBehavior, context};
use plexichat::permission::Permission;

use crate::failure::{Explain, Result};

/// A kind of plugin to begin with.
#[derive(Debug)]
pub(crate) struct Template {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it begins.
    pub(crate) about: &'static str,
    /// How to see it work once it is served, where `NAME` stands for the plugin's name.
    pub(crate) next: &'static str,
    /// What its plugin asks for, and so what the bundle grants it.
    pub(crate) permissions: &'static [Permission],
    /// Paths in the crate, and their text before rendering.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($template:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../templates/", $template, "/", $path, ".j2")))),*]
    };
}

/// Every template there is.
pub(crate) const TEMPLATES: &[Template] = &[
    Template {
        name: "minimal",
        about: "one command, one setting",
        next: "post: /NAME Ada",
        permissions: &[],
        files: files!["minimal": "Cargo.toml", "README.md", "src/lib.rs", "src/config.rs", "tests/plugin.rs"],
    },
    Template {
        name: "ai-provider",
        about: "answers prompts with the models of a service",
        next: "run: plexichat ai models",
        permissions: &[Permission::NetworkAccess],
        files: files!["ai-provider": "Cargo.toml", "README.md", "src/lib.rs", "src/config.rs", "tests/plugin.rs"],
    },
    Template {
        name: "security",
        about: "judges messages and answers of models",
        next: "post: abracadabra",
        permissions: &[],
        files: files!["security": "Cargo.toml", "README.md", "src/lib.rs", "src/config.rs", "tests/plugin.rs"],
    },
    Template {
        name: "interface",
        about: "adds routes, a page and a widget",
        next: "open: http://127.0.0.1:8080/ui",
        permissions: &[],
        files: files!["interface": "Cargo.toml", "README.md", "src/lib.rs", "src/config.rs", "ui/page.html", "ui/page.css", "tests/plugin.rs"],
    },
    Template {
        name: "automation",
        about: "runs workflows on events, commands and at times",
        next: "post: /NAME tea",
        permissions: &[Permission::PostMessages],
        files: files!["automation": "Cargo.toml", "README.md", "src/lib.rs", "src/config.rs", "tests/plugin.rs"],
    },
];

/// What a template is told.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    /// The plugin's name, such as `word-filter`.
    pub(crate) name: String,
    /// Its package, such as `plexichat-word-filter`.
    pub(crate) package: String,
    /// What Rust calls its crate.
    pub(crate) crate_name: String,
    /// Its type, such as `WordFilter`.
    pub(crate) type_name: String,
}

impl Values {
    /// The values for a plugin of this name.
    pub(crate) fn new(name: &str) -> Self {
        let package = format!("plexichat-{name}");
        Self { name: name.to_owned(), crate_name: package.replace('-', "_"), package, type_name: type_name(name) }
    }
}

impl Template {
    /// A template for tests.
    #[cfg(test)]
    pub(crate) const fn fixture(files: &'static [(&'static str, &'static str)]) -> Self {
        Self { name: "fixture", about: "", next: "", permissions: &[], files }
    }

    /// The crate's files: path and text.
    pub(crate) fn render(&self, values: &Values) -> Result<Vec<(&'static str, String)>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        self.files
            .iter()
            .map(|(path, text)| {
                let values = context! {
                    name => &values.name,
                    package => &values.package,
                    crate_name => &values.crate_name,
                    type_name => &values.type_name,
                };
                let mut rendered = environment
                    .render_str(text, values)
                    .explain(|| format!("the template `{}` is broken at `{path}`", self.name))?;
                // The engine drops the last line's end.
                rendered.push('\n');
                Ok((*path, rendered))
            })
            .collect()
    }
}

/// Types that a template's code names itself, and so no plugin's type may be called.
const TAKEN: &[&str] = &[
    "Add",
    "AiDelta",
    "AiError",
    "AiErrorKind",
    "AiProvider",
    "AiRequest",
    "AiStream",
    "Arc",
    "Auth",
    "Automation",
    "Block",
    "Button",
    "Canary",
    "Config",
    "Context",
    "Count",
    "Event",
    "Finding",
    "FinishReason",
    "Gui",
    "GuiReply",
    "HttpClient",
    "Interaction",
    "Interface",
    "Json",
    "MessageView",
    "Misfire",
    "Model",
    "Option",
    "Outcome",
    "Plugin",
    "PluginError",
    "Post",
    "ReplyMode",
    "ReplyView",
    "Result",
    "RoomId",
    "RouteBody",
    "RouteCall",
    "Routes",
    "RunState",
    "ScanError",
    "Scope",
    "Secret",
    "Security",
    "Self",
    "String",
    "TestHost",
    "TestResult",
    "Time",
    "Triggers",
    "Turn",
    "Value",
    "Vec",
    "Verdict",
    "WorkflowError",
    "WorkflowRun",
];

/// `word-filter` → `WordFilter`.
fn type_name(name: &str) -> String {
    let mut type_name: String = name
        .split('-')
        .flat_map(|word| word.chars().enumerate())
        .map(|(index, letter)| if index == 0 { letter.to_ascii_uppercase() } else { letter })
        .collect();
    if TAKEN.contains(&type_name.as_str()) {
        type_name.push_str("Plugin");
    }
    type_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(type_name(name), expected);
    }

    #[test]
    fn types_are_named_after_the_plugin() {
        check("echo", "Echo");
        check("word-filter", "WordFilter");
        check("a1-2b", "A12b");
        check("self", "SelfPlugin");
        check("config", "ConfigPlugin");
        check("ai-provider", "AiProviderPlugin");
    }

    #[test]
    fn every_template_renders_whole() {
        for template in TEMPLATES {
            for (path, text) in template.render(&Values::new("some-thing")).unwrap() {
                assert!(!text.contains("{{") || path.ends_with(".rs"), "{}/{path} keeps a placeholder", template.name);
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}/{path} ends badly", template.name);
            }
        }
    }
}
