//! Echo as people meet it: on the test kit's real host.

use plexichat::prelude::*;
use plexichat::testing::{TestHost, TestResult};
use plexichat_echo::Echo;

plexichat::compliance!(Echo);

#[plexichat::test]
async fn repeats_behind_its_prefix() -> TestResult {
    let plugin = TestHost::new().config(json!({"prefix": "> "})).start::<Echo>().await?;
    let reply = plugin.say("alice", "/echo hello,   world ").await?;
    assert_eq!(reply.text, "> hello,   world");
    Ok(())
}

#[plexichat::test]
async fn a_reply_answers_its_message() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    let reply = plugin.say("alice", "/echo hello").await?;
    let messages = plugin.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(reply.reply_to, Some(messages[0].id));
    assert_eq!(&*reply.author.name, "echo");
    Ok(())
}

#[plexichat::test]
async fn nothing_to_repeat_is_explained() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    let reply = plugin.say("alice", "/echo").await?;
    assert!(reply.text.contains("/echo hello"), "{}", reply.text);
    Ok(())
}

#[plexichat::test]
async fn rolls_dice_within_their_sides() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    for _ in 0..20 {
        let reply = plugin.say("alice", "/roll").await?;
        let rolled: u32 = reply.text.strip_prefix("d6: ").ok_or("no roll of a d6")?.parse()?;
        assert!((1..=6).contains(&rolled), "{}", reply.text);
    }
    let reply = plugin.say("alice", "/roll 2d1").await?;
    assert_eq!(reply.text, "2d1: 1 + 1 = 2");
    let reply = plugin.say("alice", "/roll a banana").await?;
    assert!(reply.text.contains("2d6"), "{}", reply.text);
    Ok(())
}

#[plexichat::test]
async fn hears_its_name() -> TestResult {
    let plugin = TestHost::new().config(json!({"name": "parrot", "prefix": "> "})).start::<Echo>().await?;
    assert_eq!(plugin.say("alice", "@Parrot, good morning").await?.text, "> good morning");
    assert_eq!(plugin.say("alice", "@parrot").await?.text, "Yes? Try `@parrot hello`.");
    Ok(())
}

#[plexichat::test]
async fn a_command_that_mentions_it_is_answered_once() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    assert_eq!(plugin.say("alice", "/echo @echo hello").await?.text, "@echo hello");
    plugin.idle().await?;
    assert_eq!(plugin.messages().len(), 2);
    Ok(())
}

#[plexichat::test]
async fn stays_silent_where_nobody_speaks_to_it() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    plugin.post("alice", "echo is a nice word").await?;
    plugin.post("alice", "@bob hello").await?;
    plugin.idle().await?;
    assert_eq!(plugin.messages().len(), 2);
    Ok(())
}

#[plexichat::test]
async fn a_new_configuration_needs_no_restart() -> TestResult {
    let plugin = TestHost::new().start::<Echo>().await?;
    plugin.reconfigure(json!({"prefix": "# "})).await?;
    assert_eq!(plugin.say("alice", "/echo hello").await?.text, "# hello");
    assert!(plugin.reconfigure(json!({"name": "not a name"})).await.is_err());
    assert_eq!(plugin.say("alice", "/echo still").await?.text, "# still");
    Ok(())
}
