//! What is known of a component without an instance: where it stands, who sees it, how it is shown; and what is wrong with it.
//! Knows no page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(any(feature = "host", test))]
use crate::problem::Problem;
use crate::text::Text;

/// The longest name of a component, in characters.
const ID_MAX: usize = 40;

/// A place on the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Slot {
    /// An entry of the main menu.
    MenuItem,
    /// A part of the settings.
    SettingsPanel,
    /// A part of the dashboard.
    DashboardWidget,
    /// Something to do with a message.
    MessageAction,
    /// Something to do with a room.
    RoomAction,
    /// Something to do while writing.
    ComposerAction,
    /// A part of what stands right of a room.
    RightSidebar,
}

impl Slot {
    /// Every slot there is.
    pub const ALL: &'static [Self] = &[
        Self::MenuItem,
        Self::SettingsPanel,
        Self::DashboardWidget,
        Self::MessageAction,
        Self::RoomAction,
        Self::ComposerAction,
        Self::RightSidebar,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MenuItem => "menu_item",
            Self::SettingsPanel => "settings_panel",
            Self::DashboardWidget => "dashboard_widget",
            Self::MessageAction => "message_action",
            Self::RoomAction => "room_action",
            Self::ComposerAction => "composer_action",
            Self::RightSidebar => "right_sidebar",
        }
    }

    /// Whether what stands here belongs to a room.
    pub const fn is_in_room(self) -> bool {
        match self {
            Self::MessageAction | Self::RoomAction | Self::ComposerAction | Self::RightSidebar => true,
            Self::MenuItem | Self::SettingsPanel | Self::DashboardWidget => false,
        }
    }
}

/// Who sees a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody who is signed in.
    Everyone,
    /// Moderators and administrators of the server.
    Moderators,
    /// Administrators.
    Admins,
}

/// A kind of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Everybody finds it.
    Public,
    /// Its members find it.
    Private,
    /// A few people talk in it.
    Direct,
}

/// What is known of a component without an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentSpec {
    /// Its name, unique in its plugin: words of lower-case letters and digits joined by `-`.
    pub id: String,
    /// Where it stands.
    pub slot: Slot,
    /// What it is called.
    pub label: Text,
    /// How it is shown.
    pub view: ViewKind,
    /// Lower ones stand first; plugins' names decide among equals.
    pub weight: i32,
    /// Who sees it.
    pub audience: Audience,
    /// In which kinds of rooms it stands; in all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub room_kinds: Vec<RoomKind>,
}

impl ComponentSpec {
    /// Whether it stands in rooms of this kind.
    pub fn stands_in(&self, kind: RoomKind) -> bool {
        self.room_kinds.is_empty() || self.room_kinds.contains(&kind)
    }
}

/// How a component is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViewKind {
    /// A page of the plugin's `ui/`, in a sandboxed frame.
    Page {
        /// Its path in the crate, such as `ui/page.html`.
        path: String,
    },
    /// What its handler answers.
    Handler,
    /// A form made from the plugin's configuration schema, for administrators.
    Config,
}

/// Why this is no name of a component.
pub(crate) fn id_problem(id: &str) -> Option<&'static str> {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (id.len() > ID_MAX || !id.split('-').all(is_word))
        .then_some("words of lower-case letters and digits joined by `-`, 40 characters at most: `send-later`")
}

/// Why this is no path of a page.
pub(crate) fn page_problem(path: &str) -> Option<&'static str> {
    let is_odd = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        part.is_empty() || part.starts_with('.') || !part.bytes().all(is_plain)
    };
    let is_page = path.strip_prefix("ui/").is_some_and(|rest| rest.ends_with(".html") && !rest.split('/').any(is_odd));
    (!is_page).then_some("a file of the crate's `ui/` folder: `ui/page.html`")
}

/// Everything that is wrong with the components of a plugin which has these files embedded and takes these settings.
#[cfg(any(feature = "host", test))]
pub(crate) fn check(
    plugin: &str,
    components: &[ComponentSpec],
    is_embedded: impl Fn(&str) -> bool,
    has_settings: bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut find = |what: String, hint: &str| problems.push(Problem::new("", what).hint(hint));
    for ComponentSpec { id, view, .. } in components {
        let place = format!("the component `{id}` of plugin `{plugin}`");
        if let Some(hint) = id_problem(id) {
            find(format!("{place} has no name that can be used"), hint);
        }
        if !seen.insert(id.as_str()) {
            find(format!("{place} is there twice"), "each component needs a name of its own");
        }
        match view {
            ViewKind::Page { path } => match page_problem(path) {
                Some(hint) => find(format!("{place} shows `{path}`, which is no page"), hint),
                None if !is_embedded(path) => find(
                    format!("{place} shows `{path}`, which is not in the crate"),
                    "put the file there, below `ui/` beside Cargo.toml",
                ),
                None => {}
            },
            ViewKind::Config if !has_settings => {
                find(
                    format!("{place} shows settings, and the plugin takes none"),
                    "give its configuration a field, or take `config_panel` away",
                );
            }
            ViewKind::Handler | ViewKind::Config => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::plugin::gui::Gui;

    struct Subject;

    #[track_caller]
    fn check(gui: Gui<Subject>, has_settings: bool, expected: Expect) {
        let components: Vec<_> = gui.specs().cloned().collect();
        let problems = super::check("status", &components, |path| path == "ui/page.html", has_settings);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn each_mistake_has_its_words() {
        check(Gui::new().menu_item("page", "Page", "ui/page.html").config_panel("Settings"), true, expect![""]);
        check(
            Gui::new().menu_item("My Page", "Page", "ui/page.html"),
            true,
            expect![
                "the component `My Page` of plugin `status` has no name that can be used (words of lower-case letters and digits joined by `-`, 40 characters at most: `send-later`)"
            ],
        );
        check(
            Gui::new().menu_item("page", "Page", "ui/page.html").room_action("page", "Page", "ui/page.html"),
            true,
            expect!["the component `page` of plugin `status` is there twice (each component needs a name of its own)"],
        );
        check(
            Gui::new().menu_item("page", "Page", "ui/other.html"),
            true,
            expect![
                "the component `page` of plugin `status` shows `ui/other.html`, which is not in the crate (put the file there, below `ui/` beside Cargo.toml)"
            ],
        );
        for odd in ["page.html", "ui/../page.html", "ui/.page.html", "ui//page.html", "ui/page.js", "/ui/page.html"] {
            assert!(page_problem(odd).is_some(), "{odd}");
        }
        check(
            Gui::new().menu_item("page", "Page", "assets/page.html"),
            true,
            expect![
                "the component `page` of plugin `status` shows `assets/page.html`, which is no page (a file of the crate's `ui/` folder: `ui/page.html`)"
            ],
        );
        check(
            Gui::new().config_panel("Settings"),
            false,
            expect![
                "the component `config` of plugin `status` shows settings, and the plugin takes none (give its configuration a field, or take `config_panel` away)"
            ],
        );
    }

    #[test]
    fn every_slot_has_its_word() {
        for slot in Slot::ALL {
            assert_eq!(serde_json::to_value(slot).unwrap(), slot.as_str());
        }
        assert_eq!(Slot::ALL.iter().filter(|slot| slot.is_in_room()).count(), 4);
    }
}
