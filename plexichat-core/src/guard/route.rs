//! A call of a plugin's route: the handler runs where the plugin does, and so does the stream of its answer. Knows no HTTP.

use std::time::Duration;

use super::stream::GuardedStream;
use super::{CallError, PluginHandle};
use crate::error::Result as PluginResult;
use crate::plugin::interface::{RouteBody, RouteCall, RouteSpec};

/// What a route answered.
#[derive(Debug)]
pub struct GuardedAnswer {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: GuardedBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum GuardedBody {
    /// All of it.
    Whole(Vec<u8>),
    /// One piece after the other. Dropping it drops the plugin's own stream, on the plugin's thread.
    Stream(GuardedStream<PluginResult<Vec<u8>>>),
}

impl PluginHandle {
    /// How long a route may take until its answer begins.
    pub fn route_timeout(&self, route: &RouteSpec) -> Duration {
        self.timeouts().route.unwrap_or(route.timeout)
    }

    /// Calls the route with this index, within this time until its answer begins. How long a stream may take is the
    /// reader's to watch.
    ///
    /// # Errors
    /// [`CallError`] where the call gives no result; what the plugin's own error is, within.
    ///
    /// # Cancel safety
    /// The plugin's call, or its stream, is dropped with this one, on the plugin's own thread.
    pub async fn route(
        &self,
        index: usize,
        call: RouteCall,
        timeout: Duration,
    ) -> Result<PluginResult<GuardedAnswer>, CallError> {
        let asked = self.call("route", timeout, move |instance| instance.route(index, call));
        let answer = match asked.await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        let body = match answer.body {
            RouteBody::Whole(bytes) => GuardedBody::Whole(bytes),
            RouteBody::Stream(stream) => GuardedBody::Stream(self.pump(None, "route", timeout, stream).await?),
        };
        Ok(Ok(GuardedAnswer { status: answer.status, headers: answer.headers, body }))
    }
    /// Calls the route with this index, which answers with events without end. They end when the plugin stops.
    ///
    /// # Errors
    /// As [`route`](Self::route); `Busy` also where too many are open.
    ///
    /// # Cancel safety
    /// As [`route`](Self::route).
    pub async fn events(
        &self,
        index: usize,
        call: RouteCall,
        timeout: Duration,
    ) -> Result<PluginResult<GuardedAnswer>, CallError> {
        let place = self.connection_place()?;
        let asked = self.call("events", timeout, move |instance| instance.route(index, call));
        let answer = match asked.await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        let body = match answer.body {
            RouteBody::Whole(bytes) => GuardedBody::Whole(bytes),
            RouteBody::Stream(stream) => GuardedBody::Stream(self.pump_until_closed("events", place, stream)?),
        };
        Ok(Ok(GuardedAnswer { status: answer.status, headers: answer.headers, body }))
    }
}
