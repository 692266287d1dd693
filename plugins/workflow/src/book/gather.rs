//! Gathers the texts of definitions from files and from storage. Knows not what they say.

use plexichat::capability::files::{FileInfo, FilesError, ListLimits};
use plexichat::prelude::*;
use plexichat::problem::Problem;

use super::{Source, Stored, Trouble};
use crate::Workflow;
use crate::config::Config;
use crate::definition::check::DEFINITION_MAX;
use crate::definition::located::Format;

/// Where definitions that administrators gave are kept.
const STORED: &str = "definition/";

/// How much of a directory is looked at.
const LIMITS: ListLimits = ListLimits { depth: 4, entries: 2000 };

/// A definition's text.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) format: Format,
    /// What it is called in errors.
    pub(super) name: String,
}

/// A text and where it stands.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) text: Text,
}

pub(super) fn stored_key(name: &str) -> String {
    format!("{STORED}{name}")
}

/// Everything that there is, and what could not be looked at.
pub(super) async fn all(context: &Context<Workflow>, config: &Config) -> (Vec<Found>, Vec<Trouble>) {
    let (mut found, mut troubles) = (Vec::new(), Vec::new());
    let mut trouble = |source: Source, message: String| {
        troubles.push(Trouble { source, problems: vec![Problem::new("", message)], goes_on: None });
    };
    for directory in &config.directories {
        let shown = directory.display().to_string();
        let files = match context.files().list(directory, LIMITS).await {
            Ok(files) => files,
            Err(error) => {
                trouble(Source::File(shown), told(error));
                continue;
            }
        };
        for file in files {
            let path = file.path.display().to_string();
            let Some(format) = Format::of_path(&path) else { continue };
            let source = Source::File(path.clone());
            match context.files().read(&file.path, DEFINITION_MAX as u64).await {
                // It went since it was listed.
                Err(FilesError::NotFound { .. }) => {}
                Err(error) => trouble(source, told(error)),
                Ok(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => found.push(Found { source, text: Text { text, format, name: path } }),
                    Err(_) => trouble(source, "it is no text in UTF-8".to_owned()),
                },
            }
        }
    }
    let storage = context.storage();
    match storage.keys(STORED).await {
        Err(error) => trouble(Source::Stored("*".to_owned()), error.to_string()),
        Ok(keys) => {
            for key in keys {
                let name = key.trim_start_matches(STORED).to_owned();
                match storage.get::<Stored>(&key).await {
                    Ok(None) => {}
                    Err(error) => trouble(Source::Stored(name), error.to_string()),
                    Ok(Some(kept)) => {
                        let Stored { text, json } = kept.value;
                        let format = if json { Format::Json } else { Format::Toml };
                        let text = Text { text, format, name: format!("{name}.{}", format.as_str()) };
                        found.push(Found { source: Source::Stored(name), text });
                    }
                }
            }
        }
    }
    (found, troubles)
}

/// What can be known of the files without reading them: where it is the same, they most likely are, too.
pub(super) async fn fingerprint(context: &Context<Workflow>, config: &Config) -> Vec<FileInfo> {
    let mut files = Vec::new();
    for directory in &config.directories {
        files.extend(context.files().list(directory, LIMITS).await.unwrap_or_default());
    }
    files
}

fn told(error: FilesError) -> String {
    PluginError::from(error).to_string()
}

/// Whether a trouble with a place is why nothing was found at this source.
pub(super) fn hides(trouble: &Trouble, source: &Source) -> bool {
    match (&trouble.source, source) {
        (Source::File(place), Source::File(path)) => path == place || path.starts_with(&format!("{place}/")),
        (Source::Stored(place), Source::Stored(name)) => place == "*" || place == name,
        _ => false,
    }
}
