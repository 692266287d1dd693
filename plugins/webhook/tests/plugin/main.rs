//! The plugin on the test kit's real host.

mod incoming;
mod outgoing;
mod panel;
mod support;

use plexichat_webhook::Webhook;

plexichat::compliance!(Webhook);
