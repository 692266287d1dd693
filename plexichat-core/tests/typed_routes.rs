//! Typed routes, WebSockets and events of a plugin, as the test kit calls them.

#![cfg(feature = "testing")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use plexichat::guard::{CONNECTIONS_MAX, SocketEnd};
use plexichat::plugin::interface::{Caller, EventStream, Socket, SocketMessage, StreamEvent};
use plexichat::prelude::*;
use plexichat::testing::{RunningPlugin, TestHost, TestResult};

/// Talks.
#[plexichat::plugin(name = "talker", provides(Interface))]
pub struct Talker {
    talking: AtomicUsize,
}

impl Plugin for Talker {
    type Config = NoConfig;

    async fn initialize(_: Context<Self>, _: NoConfig) -> Result<Self> {
        Ok(Self { talking: AtomicUsize::new(0) })
    }
}

/// From where on.
#[plexichat::model]
pub struct From {
    /// The first number.
    #[garde(range(max = 100))]
    pub first: u32,
}

#[plexichat::role]
impl Interface for Talker {
    fn register_routes(routes: Routes<Self>) -> Routes<Self> {
        routes.websocket("/talk/{word}", Auth::User, Self::talk).events("/numbers", Auth::Public, Self::numbers).post(
            "/from",
            Auth::User,
            Self::from,
        )
    }
}

/// Counts who talks.
struct Talking<'a>(&'a AtomicUsize);

impl Drop for Talking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Talker {
    async fn talk(self: Arc<Self>, mut socket: Socket, user: User, Path(word): Path<String>) -> Result<()> {
        self.talking.fetch_add(1, Ordering::SeqCst);
        let _talking = Talking(&self.talking);
        socket.send(format!("{word} {}", user.name())).await?;
        while let Some(message) = socket.recv().await {
            match message.text() {
                Some("enough") => return Ok(()),
                Some("wrong") => return Err(PluginError::input("that is no word")),
                Some("fail") => return Err(PluginError::internal("broken")),
                Some("panic") => panic!("at the disco"),
                _ => socket.sender().send(message).await?,
            }
        }
        // Nobody is there any more: it would wait for ever.
        std::future::pending().await
    }

    async fn numbers(self: Arc<Self>, Query(from): Query<From>) -> Result<EventStream> {
        let numbers = stream::iter(from.first..).take(3);
        let events = numbers.map(|number| Ok(StreamEvent::json(&number)?.id(number.to_string()).name("number")));
        Ok(EventStream::new(events))
    }

    async fn from(self: Arc<Self>, user: User, Json(from): Json<From>) -> Result<Created<String>> {
        Ok(Created(format!("{} from {}", user.name(), from.first)))
    }
}

fn call(plugin: &RunningPlugin<Talker>, path: &str) -> RouteCall {
    RouteCall::new("GET", path, plugin.caller("alice"))
}

#[plexichat::test]
async fn a_websocket_takes_what_it_asks_for_and_ends_as_its_handler_says() -> TestResult {
    let plugin = TestHost::new().start::<Talker>().await?;
    for (said, end) in [
        ("enough", SocketEnd::Done),
        ("wrong", SocketEnd::Refused("that is no word".to_owned())),
        ("fail", SocketEnd::Failed),
        ("panic", SocketEnd::Failed),
    ] {
        let mut socket = plugin.socket(call(&plugin, "/talk/hello")).await?;
        assert_eq!(socket.recv().await, Ok(SocketMessage::from("hello alice")));
        assert!(socket.send(vec![1, 2]).await);
        assert_eq!(socket.recv().await, Ok(SocketMessage::Binary(vec![1, 2])));
        assert!(socket.send(said).await);
        assert_eq!(socket.recv().await, Err(end), "{said}");
    }
    let nobody = RouteCall::new("GET", "/talk/hello", Caller::nobody());
    assert!(plugin.socket(nobody).await.is_err(), "nobody is no user");
    Ok(())
}

#[plexichat::test]
async fn a_handler_whose_other_side_is_gone_is_dropped_a_little_later() -> TestResult {
    let plugin = TestHost::new().start::<Talker>().await?;
    let mut socket = plugin.socket(call(&plugin, "/talk/hello")).await?;
    socket.recv().await.expect("it says hello");
    drop(socket);
    let talker = plugin.plugin()?;
    let dropped = async {
        while talker.talking.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dropped).await?;
    Ok(())
}

#[plexichat::test]
async fn what_is_open_ends_when_the_plugin_is_disabled() -> TestResult {
    let plugin = TestHost::new().start::<Talker>().await?;
    let mut socket = plugin.socket(call(&plugin, "/talk/hello")).await?;
    socket.recv().await.expect("it says hello");
    plugin.disable().await?;
    assert_eq!(socket.recv().await, Err(SocketEnd::Stopped));
    Ok(())
}

#[plexichat::test]
async fn so_many_are_open_at_once_and_hold_up_no_call() -> TestResult {
    let plugin = TestHost::new().start::<Talker>().await?;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        open.push(plugin.socket(call(&plugin, "/talk/hello")).await?);
    }
    let error = plugin.socket(call(&plugin, "/talk/hello")).await.expect_err("it is one too many");
    assert!(error.to_string().contains("too many"), "{error}");
    let mut from = RouteCall::new("POST", "/from", plugin.caller("alice"));
    from.body = br#"{"first":1}"#.to_vec();
    assert_eq!(plugin.route(from).await?.status, 201);
    Ok(())
}

#[plexichat::test]
async fn events_are_read_one_by_one() -> TestResult {
    let plugin = TestHost::new().start::<Talker>().await?;
    let mut numbers = call(&plugin, "/numbers");
    numbers.query = "first=7".to_owned();
    let mut events = plugin.event_stream(numbers.clone()).await?;
    for number in 7..10 {
        let expected = StreamEvent::new(number.to_string()).id(number.to_string()).name("number");
        assert_eq!(events.next().await?, Some(expected));
    }
    assert_eq!(events.next().await?, None);
    numbers.query = "first=many".to_owned();
    let error = plugin.event_stream(numbers).await.expect_err("it is no number");
    assert!(error.to_string().contains("/first"), "{error}");
    Ok(())
}
