//! What a plugin embeds: whether that is what its folders have, and what its components show. Knows no host.

use std::collections::BTreeSet;
use std::path::Path;

use super::Subject;
use crate::asset::{Asset, Locale};
use crate::descriptor::Registered;
use crate::plugin::gui::ViewKind;
use crate::testing::TestResult;

impl<P: Registered> Subject<P> {
    /// What was built in is what is in `assets/`, `ui/` and `locales/`: Cargo does not see that a file was added. Texts that a
    /// language lacks, and that are shown in English therefore, are listed.
    ///
    /// # Errors
    /// With each file that is not built in.
    pub fn embedded_files_are_up_to_date(&self) -> TestResult {
        let descriptor = P::DESCRIPTOR;
        for line in untranslated(descriptor.locales) {
            println!("note: {line}");
        }
        let missing = not_embedded(&self.folder, descriptor.assets, descriptor.locales)?;
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "Cargo did not see that these files of `{}` were added: {}; have it built anew with: touch {}",
                descriptor.name,
                missing.join(", "),
                self.folder.join("src/lib.rs").display()
            )
            .into()),
        }
    }

    /// Each page that a component names is embedded.
    ///
    /// # Errors
    /// With each that is not.
    pub fn pages_that_are_shown_are_embedded(&self) -> TestResult {
        let assets = P::DESCRIPTOR.assets;
        let components = (P::DESCRIPTOR.entry.gui)();
        let missing = components.iter().filter_map(|component| match &component.view {
            ViewKind::Page { path } if !assets.iter().any(|asset| asset.path == path) => {
                Some(format!("component `{}` shows `{path}`", component.id))
            }
            _ => None,
        });
        let missing: Vec<String> = missing.collect();
        match missing.is_empty() {
            true => Ok(()),
            false => {
                let has: Vec<&str> = assets.iter().map(|asset| asset.path).collect();
                Err(format!("{}, and there are: {}", missing.join(", "), has.join(", ")).into())
            }
        }
    }
}

fn not_embedded(folder: &Path, assets: &[Asset], locales: &[Locale]) -> TestResult<Vec<String>> {
    let languages = locales.iter().map(|locale| format!("locales/{}.ftl", locale.language));
    let embedded: BTreeSet<String> = assets.iter().map(|asset| asset.path.to_owned()).chain(languages).collect();
    let mut missing = Vec::new();
    let mut open: Vec<String> = ["assets", "ui", "locales"].map(str::to_owned).into();
    while let Some(path) = open.pop() {
        let place = folder.join(&path);
        if place.is_dir() {
            for entry in std::fs::read_dir(&place).map_err(|error| format!("reading {}: {error}", place.display()))? {
                open.push(format!("{path}/{}", entry?.file_name().to_string_lossy()));
            }
        } else if place.exists() && !embedded.contains(&path) {
            missing.push(path);
        }
    }
    missing.sort();
    Ok(missing)
}

/// A line for each language that lacks texts of the first one's.
fn untranslated(locales: &[Locale]) -> Vec<String> {
    let keys = |source: &str| -> BTreeSet<String> {
        let lines = source.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
        lines.filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim().to_owned()).collect()
    };
    let Some(english) = locales.iter().find(|locale| locale.language == "en") else { return Vec::new() };
    let all = keys(english.source);
    let lacking = locales.iter().filter_map(|locale| {
        let has = keys(locale.source);
        let lacks: Vec<&str> = all.difference(&has).map(String::as_str).collect();
        (!lacks.is_empty()).then(|| {
            let language = locale.language;
            format!("`locales/{language}.ftl` lacks these texts, which are shown in English: {}", lacks.join(", "))
        })
    });
    lacking.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_added_is_missed() {
        let folder = std::env::temp_dir().join(format!("plexichat-files-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(folder.join("ui/deep")).unwrap();
        std::fs::create_dir_all(folder.join("locales")).unwrap();
        for path in ["ui/page.html", "ui/deep/new.js", "locales/en.ftl", "locales/de.ftl", "unrelated.txt"] {
            std::fs::write(folder.join(path), "").unwrap();
        }
        let missing = not_embedded(
            &folder,
            &[Asset { path: "ui/page.html", bytes: b"" }],
            &[Locale { language: "en", source: "" }],
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(missing.unwrap(), ["locales/de.ftl", "ui/deep/new.js"]);
    }

    #[test]
    fn texts_that_a_language_lacks_are_listed() {
        let english = Locale { language: "en", source: "a = A\n# c = C\nb =\n    B = b\nd = D\n" };
        let german = Locale { language: "de", source: "a = A\n" };
        let expected = ["`locales/de.ftl` lacks these texts, which are shown in English: b, d"];
        assert_eq!(untranslated(&[german, english]), expected);
    }
}
