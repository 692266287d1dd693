//! Says plugins' texts in the language that is read: which one that is, and Fluent. Knows no page and no request.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentNumber;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use crate::asset::Locale;
use crate::capability::texts::TextPort;
use crate::descriptor::Descriptor;
use crate::text::Text;

/// The language that every plugin with texts has.
pub const DEFAULT_LANGUAGE: &str = "en";

/// So many languages of a header count: people read few.
const LANGUAGES_MAX: usize = 32;

/// Languages that are written from right to left, and those scripts of others.
const RIGHT_TO_LEFT: &[&str] = &["ar", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"];

/// The texts of every linked plugin.
pub struct Translator(BTreeMap<&'static str, Speech>);

impl Translator {
    /// Over the linked plugins.
    pub fn new<'a>(plugins: impl IntoIterator<Item = &'a &'static Descriptor>) -> Self {
        Self(plugins.into_iter().map(|plugin| (plugin.name, Speech::of(plugin.locales))).collect())
    }

    /// A text of a plugin's in the first of these languages that has it, else in English, else its key. `languages` is one such
    /// as `de`, or what an `Accept-Language` header says.
    pub fn text(&self, plugin: &str, languages: &str, text: &Text) -> String {
        match (self.0.get(plugin), text) {
            (Some(speech), text) => speech.text(languages, text),
            (None, Text::Plain(text)) => text.to_string(),
            (None, Text::Key { key, .. }) => key.to_string(),
        }
    }

    /// The language in which a plugin's texts are said to somebody who reads these.
    pub fn language(&self, plugin: &str, languages: &str) -> &'static str {
        let spoken = self.0.get(plugin).map(|speech| speech.in_order(languages));
        spoken.and_then(|spoken| spoken.first().map(|spoken| spoken.language)).unwrap_or(DEFAULT_LANGUAGE)
    }
}

/// The texts of one plugin.
pub struct Speech(Vec<Spoken>);

struct Spoken {
    language: &'static str,
    source: &'static str,
    /// Parsed when it is first asked for.
    bundle: OnceLock<FluentBundle<FluentResource>>,
}

impl Speech {
    /// In the languages that a plugin embeds.
    pub fn of(locales: &'static [Locale]) -> Self {
        let spoken =
            |locale: &Locale| Spoken { language: locale.language, source: locale.source, bundle: OnceLock::new() };
        Self(locales.iter().map(spoken).collect())
    }

    /// The languages that may be used for somebody who reads these, the best first; English is the last resort.
    fn in_order(&self, languages: &str) -> Vec<&Spoken> {
        let available: Vec<&str> = self.0.iter().map(|spoken| spoken.language).collect();
        let chosen = negotiate(languages, &available);
        chosen.into_iter().filter_map(|language| self.0.iter().find(|spoken| spoken.language == language)).collect()
    }
}

impl TextPort for Speech {
    fn text(&self, languages: &str, text: &Text) -> String {
        match text {
            Text::Plain(text) => text.to_string(),
            Text::Key { key, arguments } => {
                let arguments = arguments.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
                let said = self.in_order(languages).into_iter().find_map(|spoken| spoken.say(key, &arguments));
                said.unwrap_or_else(|| key.to_string())
            }
        }
    }
}

impl Spoken {
    fn bundle(&self) -> &FluentBundle<FluentResource> {
        self.bundle.get_or_init(|| {
            let mut bundle = FluentBundle::new_concurrent(vec![self.language.parse().unwrap_or_default()]);
            // Between texts of one direction the marks would only be in the way of whoever copies them.
            bundle.set_use_isolating(is_right_to_left(self.language));
            // Parsed at build; where a part does not parse nevertheless, the rest is there.
            let resource = FluentResource::try_new(self.source.to_owned()).unwrap_or_else(|(resource, _)| resource);
            bundle.add_resource_overriding(resource);
            // It has this one function, and no second one of that name: nothing to do where it refuses.
            let _ = bundle.add_builtins();
            bundle
        })
    }

    /// The text; nothing where it is not there or cannot be filled in.
    fn say(&self, key: &str, arguments: &FluentArgs<'_>) -> Option<String> {
        let bundle = self.bundle();
        let (message, attribute) = match key.split_once('.') {
            Some((message, attribute)) => (message, Some(attribute)),
            None => (key, None),
        };
        let message = bundle.get_message(message)?;
        let pattern = match attribute {
            Some(attribute) => message.get_attribute(attribute)?.value(),
            None => message.value()?,
        };
        let mut errors = Vec::new();
        let said = bundle.format_pattern(pattern, Some(arguments), &mut errors);
        errors.is_empty().then(|| said.into_owned())
    }
}

/// What stands for a variable: a number where it is written as Fluent would write it, so that plurals are chosen by it, and
/// nothing is shown differently from how the plugin gave it.
fn value(text: &str) -> FluentValue<'static> {
    let number: Option<FluentNumber> = text.parse().ok();
    match number.filter(|number| number.as_string() == text) {
        Some(number) => FluentValue::Number(number),
        None => FluentValue::String(text.to_owned().into()),
    }
}

fn is_right_to_left(language: &str) -> bool {
    let mut parts = language.split('-');
    parts.next().is_some_and(|language| RIGHT_TO_LEFT.contains(&language))
        || parts.any(|part| matches!(part, "Arab" | "Hebr" | "Thaa" | "Syrc"))
}

/// The available languages for somebody who reads these, the best first, the default one at the end. `de-AT` is also served by
/// `de`, and `de` by `de-AT` where nothing is closer.
pub fn negotiate<'a>(wanted: &str, available: &[&'a str]) -> Vec<&'a str> {
    let mut ranges: Vec<(&str, u16)> = wanted.split(',').take(LANGUAGES_MAX).filter_map(range).collect();
    // Stable: of equal weights the first one was meant more.
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let mut chosen: Vec<&'a str> = Vec::new();
    let found = ranges.iter().flat_map(|(tag, _)| matching(tag, available));
    let default = available.iter().copied().filter(|tag| *tag == DEFAULT_LANGUAGE);
    for tag in found.chain(default) {
        if !chosen.contains(&tag) {
            chosen.push(tag);
        }
    }
    chosen
}

/// `de-AT;q=0.8` with its weight in thousandths; nothing of what is not wanted at all.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight: f32 = weight.map_or(Ok(1.0), str::parse).unwrap_or(0.0);
    let thousandths = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
    (thousandths > 0).then_some((tag, thousandths))
}

/// The language itself, then with less and less said about it, then any of its kind.
fn matching<'a>(wanted: &str, available: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut wanted = wanted;
    loop {
        found.extend(available.iter().copied().filter(|tag| tag.eq_ignore_ascii_case(wanted)));
        match wanted.rfind('-') {
            Some(end) => wanted = &wanted[..end],
            None => break,
        }
    }
    if found.is_empty() {
        let is_kin = |tag: &&str| tag.split('-').next().is_some_and(|language| language.eq_ignore_ascii_case(wanted));
        found.extend(available.iter().copied().filter(is_kin));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCALES: &[Locale] = &[
        Locale { language: "ar", source: "hello = مرحبا { $name }\n" },
        Locale {
            language: "de",
            source: "hello = Hallo { $name }\nfiles = { $count ->\n    [one] Eine Datei\n   *[other] { $count } Dateien\n }\n",
        },
        Locale {
            language: "en",
            source: "-brand = PlexiChat\nhello = Hello { $name }\n    .title = Greeting\nfiles = { $count ->\n    [0] No file\n    \
                     [one] One file\n   *[other] { $count } files\n }\nonly-english = This is { -brand }\n",
        },
        Locale {
            language: "pl",
            source: "files = { $count ->\n    [one] plik\n    [few] { $count } pliki\n   *[many] { $count } plików\n }\n",
        },
    ];

    #[track_caller]
    fn check(languages: &str, text: Text, expected: &str) {
        assert_eq!(Speech::of(LOCALES).text(languages, &text), expected, "{languages}: {text:?}");
    }

    #[test]
    fn a_text_is_said_in_the_first_language_that_has_it() {
        let hello = || Text::key("hello").with("name", "Ada");
        check("de", hello(), "Hallo Ada");
        check("de-AT,de;q=0.9,en;q=0.8", hello(), "Hallo Ada");
        check("fr, en;q=0.5, de;q=0.7", hello(), "Hallo Ada");
        check("", hello(), "Hello Ada");
        check("tlh", hello(), "Hello Ada");
        check("pl, de;q=0.5", hello(), "Hallo Ada");
        check("de", Text::key("only-english"), "This is PlexiChat");
        check("de", Text::key("hello.title"), "Greeting");
        check("de", Text::key("nowhere"), "nowhere");
        check("de", Text::key("nowhere.title"), "nowhere.title");
        check("de", Text::from("as it is"), "as it is");
    }

    #[test]
    fn plurals_follow_the_language() {
        let files = |count: u32| Text::key("files").with("count", count);
        for (language, count, expected) in [
            ("en", 0, "No file"),
            ("en", 1, "One file"),
            ("en", 7, "7 files"),
            ("de", 1, "Eine Datei"),
            ("de", 1_000_000, "1000000 Dateien"),
            ("pl", 1, "plik"),
            ("pl", 3, "3 pliki"),
            ("pl", 5, "5 plików"),
        ] {
            check(language, files(count), expected);
        }
    }

    #[test]
    fn what_is_filled_in_stays_as_it_was_given() {
        let name = |name: &str| Text::key("hello").with("name", name);
        for text in ["007", "1e3", "3.50", "-0", "+49 30", "NaN", "<b>", "{ $name }", ""] {
            check("en", name(text), &format!("Hello {text}"));
        }
    }

    #[test]
    fn a_text_with_a_hole_gives_way_to_one_without() {
        check("en", Text::key("hello"), "hello");
    }

    #[test]
    fn only_languages_from_right_to_left_isolate_what_is_filled_in() {
        check("ar", Text::key("hello").with("name", "Ada"), "مرحبا \u{2068}Ada\u{2069}");
        assert!(is_right_to_left("az-Arab") && is_right_to_left("fa-IR") && !is_right_to_left("de"));
    }

    #[test]
    fn languages_are_chosen_by_weight_and_by_kin() {
        let available = ["de", "en", "pt-BR", "zh-Hant"];
        for (wanted, expected) in [
            ("de", &["de", "en"] as &[&str]),
            ("DE-at", &["de", "en"]),
            ("pt", &["pt-BR", "en"]),
            ("pt-PT, de;q=0.2", &["pt-BR", "de", "en"]),
            ("de;q=0.2, zh-hant-TW;q=0.3", &["zh-Hant", "de", "en"]),
            ("de;q=0, pt;q=nonsense", &["en"]),
            ("*", &["en"]),
            (";;;,,,-", &["en"]),
        ] {
            assert_eq!(negotiate(wanted, &available), expected, "{wanted}");
        }
        assert_eq!(negotiate("de", &[]), Vec::<&str>::new());
        assert_eq!(negotiate(&"de,".repeat(100_000), &available), ["de", "en"]);
    }

    #[test]
    fn a_plugin_without_texts_says_keys() {
        let translator = Translator(BTreeMap::from([("board", Speech::of(LOCALES))]));
        assert_eq!(translator.text("other", "de", &Text::key("hello")), "hello");
        assert_eq!(translator.text("board", "de", &Text::key("files").with("count", 2)), "2 Dateien");
        assert_eq!((translator.language("board", "de-CH"), translator.language("other", "de")), ("de", "en"));
    }
}
