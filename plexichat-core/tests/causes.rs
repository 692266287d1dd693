//! What plugins post and emit because of an event, from outside: when the event is told again after a crash, nothing is
//! answered twice.

#![cfg(feature = "testing")]

use std::sync::Arc;

use plexichat::message::{Origin, StoredRow};
use plexichat::pipeline::{Delivery, Posted, Told};
use plexichat::testing::{TestHost, TestResult};

/// The message as a server tells it to plugins after a crash.
fn again(posted: &Arc<StoredRow>) -> Delivery {
    let posted = Posted { row: posted.clone(), origin: Origin::Rest, cause_id: None, cause_depth: 0 };
    Delivery { outbox_id: 1, what: Told::Message(posted) }
}

mod relay {
    use plexichat::prelude::*;

    /// Somebody wrote.
    #[plexichat::event("relayed")]
    pub(crate) struct Relayed {
        /// The how manieth time of this message.
        pub(crate) nth: u8,
        /// Where.
        pub(crate) room: plexichat::id::RoomId,
    }

    /// Tells others of each message, twice.
    #[plexichat::plugin(name = "relay", permissions(UserDataAccess), emits(Relayed))]
    pub(crate) struct Relay {
        context: Context<Self>,
    }

    impl Plugin for Relay {
        type Config = NoConfig;
        async fn initialize(context: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { context })
        }
    }

    #[plexichat::handlers]
    impl Relay {
        #[on("user_message")]
        async fn seen(&self, message: &UserMessage) -> Result<()> {
            for nth in 0..2 {
                self.context.events().emit(Relayed { nth, room: message.room_id }).await?;
            }
            Ok(())
        }
    }
}

mod poster {
    use plexichat::prelude::*;

    use super::relay::Relayed;

    /// Posts what it is told of.
    #[plexichat::plugin(name = "poster", permissions(PostMessages))]
    pub(crate) struct Poster {
        context: Context<Self>,
    }

    impl Plugin for Poster {
        type Config = NoConfig;
        async fn initialize(context: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { context })
        }
    }

    #[plexichat::handlers]
    impl Poster {
        #[on("custom.relayed")]
        async fn post(&self, relayed: &Relayed) -> Result<()> {
            self.context.chat().post(Post::new(relayed.room, format!("relayed {}", relayed.nth))).await?;
            Ok(())
        }
    }
}

mod insister {
    use plexichat::prelude::*;

    /// Says what it has to say until it is let.
    #[plexichat::plugin(name = "insister", permissions(PostMessages, UserDataAccess))]
    pub(crate) struct Insister {
        context: Context<Self>,
    }

    impl Plugin for Insister {
        type Config = NoConfig;
        async fn initialize(context: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { context })
        }
    }

    #[plexichat::handlers]
    impl Insister {
        #[on("user_message")]
        async fn answer(&self, message: &UserMessage) -> Result<()> {
            let chat = self.context.chat();
            while chat.post(Post::new(message.room_id, "listen")).await.is_err() {}
            Ok(())
        }
    }
}

mod moody {
    use std::sync::atomic::{AtomicBool, Ordering};

    use plexichat::prelude::*;

    /// Is not available for the first thing that another plugin says.
    #[plexichat::plugin(name = "moody", provides(Security), scan_message(timeout = "200ms"))]
    pub(crate) struct Moody {
        asked: AtomicBool,
    }

    impl Plugin for Moody {
        type Config = NoConfig;
        async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
            Ok(Self { asked: AtomicBool::new(false) })
        }
    }

    #[plexichat::role]
    impl Security for Moody {
        async fn scan_message(&self, message: &MessageView<'_>) -> Result<Verdict, ScanError> {
            if message.text == "listen" && !self.asked.swap(true, Ordering::SeqCst) {
                return Err(ScanError::Unavailable("not yet".to_owned()));
            }
            Ok(Verdict::Allow)
        }
    }
}

#[plexichat::test]
async fn a_post_that_was_refused_does_not_use_up_its_number() -> TestResult {
    let host = TestHost::new().beside::<moody::Moody>().start::<insister::Insister>().await?;
    let posted = host.post("alice", "hello").await?.row;
    host.idle().await?;
    assert_eq!(host.messages().len(), 2, "it is let at the second time");
    host.host().dispatcher.hand_over(&again(&posted)).await.await;
    host.idle().await?;
    assert_eq!(host.messages().len(), 2, "told again, the first time is what the second one was");
    Ok(())
}

#[plexichat::test]
async fn a_message_that_is_told_again_is_answered_once_along_a_chain() -> TestResult {
    let host = TestHost::new().beside::<relay::Relay>().start::<poster::Poster>().await?;
    let posted = host.post("alice", "hello").await?.row;
    let texts = || host.messages().into_iter().map(|row| row.text).collect::<Vec<_>>();
    let events = || host.events().into_iter().filter(|event| event.name == "custom.relayed").map(|event| event.id);
    while texts().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    host.idle().await?;
    let first: Vec<_> = events().collect();

    host.host().dispatcher.hand_over(&again(&posted)).await.await;
    // The second post of the second time would come before this one's.
    host.say("bob", "bye").await?;
    while texts().len() < 6 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    assert_eq!(texts(), ["hello", "relayed 0", "relayed 1", "bye", "relayed 0", "relayed 1"]);
    let all: Vec<_> = events().collect();
    assert_eq!((first.len(), &all[2..4]), (2, &first[..]), "an event has the same identifier again");
    assert_ne!(first[0], first[1], "and each event has another");
    assert!(all[4..].iter().all(|id| !first.contains(id)), "and so has each message");
    Ok(())
}
