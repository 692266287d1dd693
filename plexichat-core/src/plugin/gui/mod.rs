//! What interfaces add to pages: components, what they show, and what their buttons and dialogs call. Knows no HTML.

pub(crate) mod component;
mod interaction;
mod reply;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::{PluginError, Result};
use crate::text::Text;

pub use component::{Audience, ComponentSpec, RoomKind, Slot, ViewKind};
pub use interaction::{Interaction, OPEN};
pub use reply::{Block, Button, FieldError, Form, GuiReply};

type InteractionFn<T> = Arc<dyn Fn(Arc<T>, Interaction) -> BoxFuture<'static, Result<GuiReply>> + Send + Sync>;

/// How a component of `T` is shown: a page's path, or a method `async fn(self: Arc<Self>, Interaction) -> Result<GuiReply>`.
pub trait IntoView<T, Marker> {
    /// What is known of it, and what is called.
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>);
}

/// Tells [`IntoView`] a page.
#[derive(Debug)]
pub struct IsPage;

impl<T> IntoView<T, IsPage> for &'static str {
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>) {
        (ViewKind::Page { path: self.to_owned() }, None)
    }
}

/// Tells [`IntoView`] a method.
#[derive(Debug)]
pub struct IsHandler;

impl<T, F, R> IntoView<T, (IsHandler, R)> for F
where
    F: Fn(Arc<T>, Interaction) -> R + Send + Sync + 'static,
    R: Future<Output = Result<GuiReply>> + Send + 'static,
{
    fn into_view(self) -> (ViewKind, Option<InteractionFn<T>>) {
        (ViewKind::Handler, Some(Arc::new(move |plugin, interaction| Box::pin(self(plugin, interaction)))))
    }
}

/// The components of the plugin `T`, being named. What is said of weight, audience and rooms is said of the one named last.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use plexichat::plugin::gui::{Audience, RoomKind};
/// use plexichat::prelude::*;
/// # use plexichat::plugin::NoConfig;
/// # #[plexichat::plugin(name = "notes", provides(Interface))]
/// # struct Notes;
/// # impl Plugin for Notes {
/// #     type Config = NoConfig;
/// #     async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> { Ok(Self) }
/// # }
///
/// #[plexichat::role]
/// impl Interface for Notes {
///     fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
///         gui.dashboard_widget("count", "Notes", Self::count)
///             .room_action("clear", "Forget all notes", Self::clear)
///             .audience(Audience::Moderators)
///             .in_rooms(&[RoomKind::Public, RoomKind::Private])
///     }
/// }
///
/// impl Notes {
///     async fn count(self: Arc<Self>, _: Interaction) -> Result<GuiReply> {
///         Ok(GuiReply::blocks(vec![Block::text("3 notes")]))
///     }
///
///     async fn clear(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
///         match interaction.action.as_str() {
///             "forget" => Ok(GuiReply::notice("Forgotten")),
///             _ => {
///                 let forget = Button::new("Forget them", "forget", Default::default()).confirm("All of them?");
///                 Ok(GuiReply::blocks(vec![Block::buttons(vec![forget])]))
///             }
///         }
///     }
/// }
/// ```
#[must_use = "a component counts where it is returned"]
pub struct Gui<T> {
    components: Vec<(ComponentSpec, Option<InteractionFn<T>>)>,
}

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident = $slot:ident;)*) => {
        impl<T> Gui<T> {
            $($(#[$doc])*
            pub fn $name<M>(self, id: &str, label: impl Into<Text>, view: impl IntoView<T, M>) -> Self {
                let (view, handler) = view.into_view();
                self.component(Slot::$slot, id, label.into(), view, handler)
            })*
        }
    };
}

slots! {
    /// An entry of the main menu.
    menu_item = MenuItem;
    /// A part of the settings.
    settings_panel = SettingsPanel;
    /// A part of the dashboard.
    dashboard_widget = DashboardWidget;
    /// Something to do with a message: [`Interaction::message_id`] says which.
    message_action = MessageAction;
    /// Something to do with a room: [`Interaction::room_id`] says which.
    room_action = RoomAction;
    /// Something to do while writing; what was written so far is the value `text`.
    composer_action = ComposerAction;
    /// A part of what stands right of a room.
    right_sidebar = RightSidebar;
}

impl<T> Gui<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { components: Vec::new() }
    }

    /// A settings panel that is a form made from the plugin's configuration schema; what is sent becomes its configuration.
    /// For administrators, whatever else is said of it. Its name is `config`.
    pub fn config_panel(self, label: impl Into<Text>) -> Self {
        self.component(Slot::SettingsPanel, "config", label.into(), ViewKind::Config, None).audience(Audience::Admins)
    }

    /// Lower ones stand first; 0 otherwise.
    pub fn weight(self, weight: i32) -> Self {
        self.with(|spec| spec.weight = weight)
    }

    /// Who sees it; everyone who is signed in otherwise.
    pub fn audience(self, audience: Audience) -> Self {
        self.with(|spec| spec.audience = audience)
    }

    /// In which kinds of rooms it stands; in all otherwise.
    pub fn in_rooms(self, kinds: &[RoomKind]) -> Self {
        self.with(|spec| spec.room_kinds = kinds.to_vec())
    }

    fn component(
        mut self,
        slot: Slot,
        id: &str,
        label: Text,
        view: ViewKind,
        handler: Option<InteractionFn<T>>,
    ) -> Self {
        let (weight, audience, room_kinds) = (0, Audience::Everyone, Vec::new());
        let spec = ComponentSpec { id: id.to_owned(), slot, label, view, weight, audience, room_kinds };
        self.components.push((spec, handler));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut ComponentSpec)) -> Self {
        if let Some((last, _)) = self.components.last_mut() {
            change(last);
        }
        self
    }

    /// What is known of each, in the order in which they were named.
    pub fn specs(&self) -> impl Iterator<Item = &ComponentSpec> {
        self.components.iter().map(|(spec, _)| spec)
    }

    pub(crate) fn call(
        &self,
        index: usize,
        plugin: Arc<T>,
        interaction: Interaction,
    ) -> BoxFuture<'static, Result<GuiReply>> {
        match self.components.get(index) {
            Some((_, Some(handler))) => handler(plugin, interaction),
            _ => Box::pin(std::future::ready(Err(PluginError::not_found("this component has nothing to call")))),
        }
    }
}

impl<T> Default for Gui<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Gui<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.specs()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::plugin::interface::Caller;

    struct Subject;

    async fn answers(_: Arc<Subject>, interaction: Interaction) -> Result<GuiReply> {
        Ok(GuiReply::notice(interaction.action))
    }

    #[test]
    fn what_is_said_is_said_of_the_one_named_last() {
        let gui = Gui::new()
            .menu_item("first", "First", "ui/page.html")
            .message_action("second", "Second", answers)
            .weight(-5)
            .audience(Audience::Moderators)
            .in_rooms(&[RoomKind::Direct])
            .config_panel("Third");
        let specs: Vec<_> = gui.specs().collect();
        let [first, second, third] = specs.as_slice() else { panic!("{specs:?}") };
        assert_eq!((first.weight, first.audience, first.slot), (0, Audience::Everyone, Slot::MenuItem));
        assert!(first.stands_in(RoomKind::Public));
        assert_eq!((second.weight, second.audience, &second.view), (-5, Audience::Moderators, &ViewKind::Handler));
        assert!(second.stands_in(RoomKind::Direct) && !second.stands_in(RoomKind::Public));
        assert_eq!((third.id.as_str(), third.audience), ("config", Audience::Admins));

        let call = |index| gui.call(index, Arc::new(Subject), Interaction::new("second", "go", Caller::nobody()));
        assert_eq!(call(1).now_or_never().unwrap().unwrap(), GuiReply::notice("go".to_owned()));
        for without in [0, 2, 3] {
            assert!(call(without).now_or_never().unwrap().is_err(), "{without}");
        }
    }
}
