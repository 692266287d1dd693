//! The files that a plugin's crate embeds: `ctx.assets()`. Needs no permission: they are its own.

use crate::asset::Asset;

/// Reads the plugin's embedded files.
///
/// ```
/// use plexichat::asset::Asset;
/// use plexichat::capability::assets::Assets;
///
/// let assets = Assets::new(&[Asset { path: "assets/words.txt", bytes: b"one\ntwo\n" }]);
/// assert_eq!(assets.text("assets/words.txt").unwrap().lines().count(), 2);
/// assert_eq!(assets.bytes("assets/../Cargo.toml"), None);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Assets(&'static [Asset]);

impl Assets {
    /// Over these files, sorted by their paths; hosts and tests make it.
    pub const fn new(files: &'static [Asset]) -> Self {
        Self(files)
    }

    /// Every file, in the order of their paths.
    pub fn list(&self) -> impl Iterator<Item = &'static Asset> + use<> {
        self.0.iter()
    }

    /// What is in a file, by its path in the crate, such as `assets/words.txt`; nothing where it is not embedded.
    pub fn bytes(&self, path: &str) -> Option<&'static [u8]> {
        self.list().find(|asset| asset.path == path).map(|asset| asset.bytes)
    }

    /// The same as text; nothing too where it is not UTF-8.
    pub fn text(&self, path: &str) -> Option<&'static str> {
        self.bytes(path).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}
