//! A plugin's components in the test kit: what they show, dialogs with steps, and what a component that fails does to the others.

#![cfg(feature = "testing")]

use std::time::Duration;

use plexichat::plugin::gui::{GuiReply, OPEN, Slot};
use plexichat::testing::{TestHost, TestResult};
use serde_json::{Value, json};

use self::notes::Notes;

mod notes {
    use std::sync::{Arc, Mutex, MutexGuard};

    use plexichat::plugin::gui::Audience;
    use plexichat::prelude::*;
    use serde_json::json;

    /// Keeps notes.
    #[plexichat::plugin(name = "notes", provides(Interface))]
    pub(crate) struct Notes {
        kept: Mutex<Vec<String>>,
    }

    impl Plugin for Notes {
        type Config = NoConfig;

        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { kept: Mutex::default() })
        }
    }

    #[plexichat::role]
    impl Interface for Notes {
        fn register_gui_components(gui: Gui<Self>) -> Gui<Self> {
            gui.dashboard_widget("count", "Notes", Self::count)
                .message_action("keep", "Keep as a note", Self::keep)
                .settings_panel("broken", "Broken", |_, interaction: Interaction| async move {
                    match interaction.action.as_str() {
                        "panic" => panic!("the test wants it"),
                        "hang" => std::future::pending().await,
                        _ => Err(PluginError::input("this does not go")),
                    }
                })
                .audience(Audience::Admins)
        }
    }

    #[plexichat::model]
    struct Named {
        /// What it is called.
        #[garde(length(chars, min = 3))]
        name: String,
    }

    #[plexichat::model]
    struct Sure {
        name: String,
        /// Whether it is to be kept.
        sure: bool,
    }

    impl Notes {
        fn kept(&self) -> Result<MutexGuard<'_, Vec<String>>> {
            self.kept.lock().map_err(|_| PluginError::internal("the notes are lost"))
        }

        async fn count(self: Arc<Self>, _: Interaction) -> Result<GuiReply> {
            let kept = self.kept()?.join(", ");
            Ok(GuiReply::blocks(vec![Block::text(kept)]))
        }

        async fn keep(self: Arc<Self>, interaction: Interaction) -> Result<GuiReply> {
            match interaction.action.as_str() {
                "named" => match interaction.read::<Named>() {
                    Ok(Named { name }) => {
                        Ok(Form::of::<Sure>("Sure?", "keep").carry(json!({ "name": name })).submit("Keep").into())
                    }
                    Err(errors) => Ok(errors),
                },
                "keep" => match interaction.read::<Sure>() {
                    Ok(Sure { sure: false, .. }) => Ok(GuiReply::Done),
                    Ok(Sure { name, .. }) => {
                        let message = interaction.message_id.map(|id| id.to_string()).unwrap_or_default();
                        self.kept()?.push(format!("{name} {message}"));
                        Ok(GuiReply::notice("Kept"))
                    }
                    Err(errors) => Ok(errors),
                },
                _ => Ok(Form::of::<Named>("A note", "named").submit("Next").into()),
            }
        }
    }
}

#[plexichat::test]
async fn a_dialog_has_steps_and_errors_at_its_fields() -> TestResult {
    let plugin = TestHost::new().start::<Notes>().await?;
    let slots: Vec<Slot> = plugin.components().iter().map(|component| component.slot).collect();
    assert_eq!(slots, [Slot::DashboardWidget, Slot::MessageAction, Slot::SettingsPanel]);

    let refused = plugin.interact("alice", "keep", OPEN, json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("nobody has posted"), "{refused}");
    let posted = plugin.post("alice", "milk").await?.row;

    let ask = async |action: &str, values: Value| plugin.interact("alice", "keep", action, values).await;
    let GuiReply::Form(form) = ask(OPEN, json!({})).await? else { panic!("a form was expected") };
    assert_eq!(form.action, "named");
    let GuiReply::Errors { errors } = ask("named", json!({ "name": "x" })).await? else {
        panic!("errors were expected")
    };
    assert_eq!(errors[0].pointer, "/name");
    let GuiReply::Form(form) = ask("named", json!({ "name": "shopping" })).await? else {
        panic!("a step was expected")
    };
    assert_eq!((form.action.as_str(), &form.carry), ("keep", &json!({ "name": "shopping" })));
    assert_eq!(ask("keep", json!({ "name": "shopping", "sure": true })).await?, GuiReply::notice("Kept"));

    let GuiReply::Blocks { blocks } = plugin.interact("alice", "count", OPEN, json!({})).await? else {
        panic!("blocks")
    };
    assert_eq!(blocks, [plexichat::plugin::gui::Block::text(format!("shopping {}", posted.id))]);
    Ok(())
}

#[plexichat::test]
async fn a_component_that_fails_is_the_only_one_that_does() -> TestResult {
    let hasty = TestHost::new().settings(|settings| settings.timeouts.interaction = Duration::from_millis(50));
    let error = hasty.start::<Notes>().await?.interact("alice", "broken", "hang", json!({})).await.unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");

    // To tell of a panic may take a while where its trace is written.
    let plugin = TestHost::new().settings(|settings| settings.timeouts.interaction = Duration::from_secs(60));
    let plugin = plugin.start::<Notes>().await?;
    for (action, words) in [("panic", "panicked"), (OPEN, "this does not go")] {
        let error = plugin.interact("alice", "broken", action, json!({})).await.unwrap_err();
        assert!(error.to_string().contains(words), "{action}: {error}");
    }
    plugin.event("plugin_error").await?;
    assert!(plugin.interact("alice", "count", OPEN, json!({})).await.is_ok());
    let unknown = plugin.interact("alice", "other", OPEN, json!({})).await.unwrap_err();
    assert!(unknown.to_string().contains("there are: count, keep, broken"), "{unknown}");
    Ok(())
}
