//! What a plugin's crate embeds: files of `assets/` and `ui/`, texts of `locales/`. Knows no host.

/// An embedded file.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its path in the crate, with `/`: `ui/page.html`, `assets/logo.svg`.
    pub path: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

/// The texts of a plugin in one language: a Fluent resource.
#[derive(Debug, Clone, Copy)]
pub struct Locale {
    /// The language, as BCP 47 writes it: `en`, `pt-BR`.
    pub language: &'static str,
    /// The file's content.
    pub source: &'static str,
}
