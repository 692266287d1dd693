//! What a manifest says of the components that a plugin adds to the pages, and what it may not say. Knows no page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Manifest;
use super::check::distinct;
use crate::descriptor::Role;
use crate::plugin::gui::{Audience, ComponentSpec, RoomKind, Slot, ViewKind, component};
use crate::problem::Problem;
use crate::text::Text;

/// What a plugin adds to the interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UiComponents {
    /// The page with its settings, where they have a page of the plugin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_panel: Option<String>,
    /// The page of its part of the dashboard, where that has a page of the plugin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_widget: Option<String>,
    /// Each component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<UiComponent>,
}

/// A component that a plugin adds to the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UiComponent {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub slot: Slot,
    /// What it is called: a text, or its key in the plugin's `locales/`.
    pub label: String,
    /// How it is shown.
    pub view: UiView,
    /// The page in the crate, where `view` is `page`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Who sees it.
    pub audience: Audience,
    /// In which kinds of rooms it stands; in all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub room_kinds: Vec<RoomKind>,
}

/// How a component is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UiView {
    /// A page of the plugin's own, in a sandboxed frame.
    Page,
    /// Blocks and forms that the plugin answers with.
    Handler,
    /// A form made from the schema of its configuration.
    Config,
}

impl UiComponents {
    pub(super) fn of(components: Vec<ComponentSpec>) -> Self {
        let components: Vec<UiComponent> = components.into_iter().map(UiComponent::from).collect();
        let page = |slot| components.iter().filter(|component| component.slot == slot).find_map(|it| it.page.clone());
        let (settings_panel, dashboard_widget) = (page(Slot::SettingsPanel), page(Slot::DashboardWidget));
        Self { settings_panel, dashboard_widget, components }
    }
}

impl From<ComponentSpec> for UiComponent {
    fn from(spec: ComponentSpec) -> Self {
        let ComponentSpec { id, slot, label, view, audience, room_kinds, .. } = spec;
        let (Text::Plain(label) | Text::Key { key: label, .. }) = label;
        let (view, page) = match view {
            ViewKind::Page { path } => (UiView::Page, Some(path)),
            ViewKind::Handler => (UiView::Handler, None),
            ViewKind::Config => (UiView::Config, None),
        };
        Self { id, slot, label: label.into_owned(), view, page, audience, room_kinds }
    }
}

/// What a manifest may not say of components.
pub(super) fn check(manifest: &Manifest, problems: &mut Vec<Problem>) {
    let ui = &manifest.ui_components;
    if !ui.components.is_empty() && !manifest.provides.contains(&Role::Interface) {
        let message = "only a plugin that provides `interface` adds to the pages";
        problems.push(Problem::new("/ui_components/components", message));
    }
    for (index, entry) in ui.components.iter().enumerate() {
        let place = |field: &str| format!("/ui_components/components/{index}/{field}");
        if let Some(hint) = component::id_problem(&entry.id) {
            problems.push(Problem::new(place("id"), "this is no name of a component").hint(hint));
        }
        if entry.label.trim().is_empty() {
            problems.push(Problem::new(place("label"), "is empty").hint("people see it: say what it is"));
        }
        match (entry.view, &entry.page) {
            (UiView::Page, None) => problems.push(Problem::new(place("page"), "is missing")),
            (UiView::Page, Some(page)) => {
                if let Some(hint) = component::page_problem(page) {
                    problems.push(Problem::new(place("page"), "this is no page").hint(hint));
                }
            }
            (_, Some(_)) => problems.push(Problem::new(place("page"), "only what is shown as a page has one")),
            (_, None) => {}
        }
    }
    let ids: Vec<&str> = ui.components.iter().map(|component| component.id.as_str()).collect();
    distinct("/ui_components/components", &ids, problems);
    for (field, slot, page) in [
        ("settings_panel", Slot::SettingsPanel, &ui.settings_panel),
        ("dashboard_widget", Slot::DashboardWidget, &ui.dashboard_widget),
    ] {
        let first = ui.components.iter().filter(|component| component.slot == slot).find_map(|it| it.page.as_ref());
        if page.as_ref() != first {
            let message = "has to be the page of the first such component, or missing where none has a page";
            problems.push(Problem::new(format!("/ui_components/{field}"), message));
        }
    }
}
