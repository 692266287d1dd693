//! What every plugin must do, whatever it is for: `plexichat::compliance!(MyPlugin)` in a crate's tests runs it all.

mod files;
mod roles;
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::TestResult;
use crate::descriptor::Registered;
use crate::manifest::{self, Manifest};

/// The environment variable that makes `describe` write what it finds into the folder that it names.
pub const DESCRIBE_VARIABLE: &str = "PLEXICHAT_DESCRIBE";

/// A plugin's compliance with what the host expects of every plugin, as a module of tests.
///
/// `plexichat::compliance!(Echo)` starts the plugin with its default configuration, with something that fits its schema
/// for what is required; where that does not do, give one: `plexichat::compliance!(Echo, json!({"prefix": "> "}))`.
#[macro_export]
macro_rules! compliance {
    ($plugin:ty) => {
        $crate::compliance!($plugin, $crate::__private::serde_json::json!({}));
    };
    ($plugin:ty, $config:expr) => {
        mod compliance {
            #[allow(
                unused_imports,
                reason = "the plugin and what the configuration names may be local to the outer module"
            )]
            use super::*;

            fn subject() -> $crate::testing::compliance::Subject<$plugin> {
                $crate::testing::compliance::Subject::new($config, env!("CARGO_MANIFEST_DIR"))
            }

            #[test]
            fn the_manifest_is_valid() {
                subject().the_manifest_is_valid();
            }

            #[test]
            fn the_default_configuration_is_valid() {
                subject().the_default_configuration_is_valid();
            }

            #[test]
            fn embedded_files_are_up_to_date() -> $crate::testing::TestResult {
                subject().embedded_files_are_up_to_date()
            }

            #[test]
            fn pages_that_are_shown_are_embedded() -> $crate::testing::TestResult {
                subject().pages_that_are_shown_are_embedded()
            }

            #[test]
            fn unknown_keys_are_refused() {
                subject().unknown_keys_are_refused();
            }

            #[test]
            fn starts_stops_and_starts_again() -> $crate::testing::TestResult {
                subject().starts_stops_and_starts_again()
            }

            #[test]
            fn does_not_start_without_its_grant() -> $crate::testing::TestResult {
                subject().does_not_start_without_its_grant()
            }

            #[test]
            fn panics_are_contained() -> $crate::testing::TestResult {
                subject().panics_are_contained()
            }

            #[test]
            fn samples_are_objected_to() -> $crate::testing::TestResult {
                subject().samples_are_objected_to()
            }

            #[test]
            fn commands_answer_without_arguments() -> $crate::testing::TestResult {
                subject().commands_answer_without_arguments()
            }

            #[test]
            fn tools_answer_without_arguments() -> $crate::testing::TestResult {
                subject().tools_answer_without_arguments()
            }

            #[test]
            fn routes_answer_without_a_body() -> $crate::testing::TestResult {
                subject().routes_answer_without_a_body()
            }

            #[test]
            fn workflows_answer_without_input() -> $crate::testing::TestResult {
                subject().workflows_answer_without_input()
            }

            #[test]
            fn answers_end_once() -> $crate::testing::TestResult {
                subject().answers_end_once()
            }

            #[test]
            fn a_dropped_answer_cancels_its_request() -> $crate::testing::TestResult {
                subject().a_dropped_answer_cancels_its_request()
            }

            #[test]
            fn secrets_stay_secret() -> $crate::testing::TestResult {
                subject().secrets_stay_secret()
            }

            #[test]
            fn describe() -> $crate::testing::TestResult {
                subject().describe()
            }
        }
    };
}

/// A plugin under test. [`compliance!`](crate::compliance) calls it.
pub struct Subject<P> {
    config: Value,
    folder: PathBuf,
    plugin: std::marker::PhantomData<fn() -> P>,
}

impl<P: Registered> Subject<P> {
    /// The plugin with what its required settings are to be, and its crate's folder.
    pub fn new(config: Value, folder: &str) -> Self {
        Self { config, folder: folder.into(), plugin: std::marker::PhantomData }
    }

    /// Its manifest is whole: every field that a registry asks for is there and has its form.
    ///
    /// # Panics
    /// With every finding.
    pub fn the_manifest_is_valid(&self) {
        let problems = manifest::check(&Manifest::of(P::DESCRIPTOR));
        assert!(problems.is_empty(), "the manifest of `{}`: {problems:#?}", P::DESCRIPTOR.name);
    }

    /// What the defaults give works, apart from settings that have none.
    ///
    /// # Panics
    /// With every finding.
    pub fn the_default_configuration_is_valid(&self) {
        let entry = &P::DESCRIPTOR.entry;
        let (schema, config) = ((entry.config_schema)(), (entry.default_config)());
        let required = required(&schema);
        let is_missing = |problem: &&crate::problem::Problem| {
            required.iter().any(|name| problem.pointer == format!("/{name}") && config.get(name).is_none())
        };
        let problems: Vec<_> =
            (entry.check_config)(&config).into_iter().filter(|problem| !is_missing(&problem)).collect();
        assert!(problems.is_empty(), "the default configuration {config} of `{}`: {problems:#?}", P::DESCRIPTOR.name);
    }

    /// A mistyped key is told, not passed over.
    ///
    /// # Panics
    /// Where it is passed over.
    pub fn unknown_keys_are_refused(&self) {
        let mut config = self.sample(None);
        config["not_a_setting"] = json!(true);
        let problems = (P::DESCRIPTOR.entry.check_config)(&config);
        let found = problems.iter().any(|problem| problem.to_string().contains("not_a_setting"));
        assert!(found, "`{}` takes the unknown key `not_a_setting`: {problems:?}", P::DESCRIPTOR.name);
    }

    /// `plugin.json` and `config/default.json` are what the code says. With [`DESCRIBE_VARIABLE`] set it writes them into
    /// that folder instead.
    ///
    /// # Errors
    /// Where a committed one differs, or cannot be read or written; where what the plugin adds does not go together, such as two
    /// routes at one address.
    pub fn describe(&self) -> TestResult {
        let mistakes = crate::catalog::mistakes(&[P::DESCRIPTOR]);
        if !mistakes.is_empty() {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            return Err(mistakes.join("\n").into());
        }
        let mut default_config = (P::DESCRIPTOR.entry.default_config)();
        // In one order, whatever features another crate turns on in `serde_json`.
        default_config.sort_all_objects();
        let mut manifest = Manifest::of(P::DESCRIPTOR);
        // Cargo alone knows them, and `cargo xtask describe` asks it.
        manifest.dependencies = committed_dependencies(&self.folder.join("plugin.json"));
        let files = [
            ("plugin.json", manifest.to_json()),
            ("config/default.json", format!("{}\n", serde_json::to_string_pretty(&default_config)?)),
        ];
        for (name, text) in files {
            match std::env::var_os(DESCRIBE_VARIABLE) {
                Some(folder) => write(&Path::new(&folder).join(name), &text)?,
                None => compare(&self.folder.join(name), &text, P::DESCRIPTOR.name)?,
            }
        }
        Ok(())
    }

    /// The given configuration over the defaults, and something that fits for what is required or secret and is not given.
    fn sample(&self, secret: Option<&str>) -> Value {
        let entry = &P::DESCRIPTOR.entry;
        let schema = (entry.config_schema)();
        let mut config = (entry.default_config)();
        if let (Value::Object(config), Value::Object(given)) = (&mut config, &self.config) {
            config.extend(given.clone());
            fill(config, &schema, secret);
        }
        let problems = (entry.check_config)(&config);
        assert!(
            problems.is_empty(),
            "no configuration of `{name}` can be guessed from its schema: give one, `plexichat::compliance!(.., json!({{..}}))`: \
             {problems:#?}",
            name = P::DESCRIPTOR.name
        );
        config
    }
}

/// The dependencies that a committed manifest names; none where there is none.
fn committed_dependencies(path: &Path) -> BTreeMap<String, String> {
    let committed = std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Manifest>(&text).ok());
    committed.map(|manifest| manifest.dependencies).unwrap_or_default()
}

fn fill(config: &mut Map<String, Value>, schema: &Value, secret: Option<&str>) {
    let required = required(schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_secret = property["x-plexichat-secret"] == true;
        match (is_secret, secret) {
            (true, Some(secret)) => {
                config.insert(name.clone(), secret.into());
            }
            _ if required.contains(name) && !config.contains_key(name) => {
                config.insert(name.clone(), sample_of(property));
            }
            _ => {}
        }
    }
}

fn required(schema: &Value) -> Vec<String> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The simplest value that a schema takes, as far as one can be told from its outside.
fn sample_of(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("boolean") => json!(false),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => schema["enum"].get(0).cloned().unwrap_or(json!("sample-of-a-text")),
    }
}

fn write(path: &Path, text: &str) -> TestResult {
    let told = |error: std::io::Error| format!("writing {}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(told)?;
    }
    std::fs::write(path, text).map_err(told)?;
    Ok(())
}

/// A file that is not there is not compared: a plugin that is being written has none yet.
fn compare(path: &Path, text: &str, plugin: &str) -> TestResult {
    match std::fs::read_to_string(path) {
        Ok(committed) if committed == text => Ok(()),
        Ok(_) => {
            Err(format!("{} is not what the code says; write it with `cargo xtask describe {plugin}`", path.display())
                .into())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("reading {}: {error}", path.display()).into()),
    }
}
