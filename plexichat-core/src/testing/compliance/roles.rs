//! The part of the compliance suite that asks providers, tools, routes and the scanners of answers and logins.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use super::Subject;
use crate::ai::{AiDelta, AiRequest, Turn};
use crate::capability::triggers::TriggerPort;
use crate::descriptor::{FailMode, Hook, Registered, Role};
use crate::login::{LoginAttempt, LoginMethod};
use crate::pipeline::Refusal;
use crate::plugin::interface::{RouteCall, RouteKind, RouteSpec};
use crate::testing::http::{self, StreamFeed};
use crate::testing::running::RunningPlugin;
use crate::testing::{MODEL, TestResult};
use crate::trigger::{On, Scope, TriggerSpec};

/// How long an answer may take that comes from nowhere but the test.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long a provider may take to let go of its service once nobody wants the answer.
const CANCEL_MAX: Duration = Duration::from_secs(1);

impl<P: Registered> Subject<P> {
    /// An answer of each provider comes to an end, which is one `Finish` or one error, and nothing comes after it.
    ///
    /// # Errors
    /// Where it does not.
    pub fn answers_end_once(&self) -> TestResult {
        crate::testing::run(async {
            if !P::DESCRIPTOR.provides.contains(&Role::AiProvider) {
                return Ok(());
            }
            let plugin = self.start().await?;
            // A provider without a service has no models to ask, and one whose service is down says so: both are ends.
            let models = plugin.models().await.unwrap_or_default();
            let Some(model) = models.iter().find(|model| model.abilities.chat) else { return self.is_well(&plugin) };
            let Ok(mut answer) = plugin.stream(question(&model.id)).await else { return self.is_well(&plugin) };
            let read = async {
                let mut ends = 0;
                while let Some(piece) = answer.next().await {
                    ends += u32::from(!matches!(piece, Ok(ref delta) if !matches!(delta, AiDelta::Finish { .. })));
                }
                ends
            };
            match tokio::time::timeout(ANSWER_MAX, read).await {
                Ok(1) => self.is_well(&plugin),
                Ok(ends) => Err(format!("an answer of `{}` ended {ends} times", P::DESCRIPTOR.name).into()),
                Err(_) => Err(format!("an answer of `{}` has no end after {ANSWER_MAX:?}", P::DESCRIPTOR.name).into()),
            }
        })
    }

    /// Once nobody wants an answer, a provider lets go of the service that it asked over HTTP.
    ///
    /// # Errors
    /// Where the connection stays open.
    pub fn a_dropped_answer_cancels_its_request(&self) -> TestResult {
        crate::testing::run(async {
            if !P::DESCRIPTOR.provides.contains(&Role::AiProvider) {
                return Ok(());
            }
            // A service that begins to answer and never goes on.
            let feeds: Arc<Mutex<Vec<StreamFeed>>> = Arc::default();
            let keep = feeds.clone();
            let host = self.host().http_stream(move |_| {
                let (stream, feed) = http::fed_events();
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(feed);
                Ok(stream)
            });
            let plugin = host.start::<P>().await?;
            let models = plugin.models().await.unwrap_or_default();
            let model = models.first().map_or("model", |model| model.id.as_str());
            let asked = async {
                if let Ok(mut answer) = plugin.stream(question(model)).await {
                    answer.next().await;
                }
            };
            // The answer is dropped with the question, wherever it is by now.
            drop(tokio::time::timeout(Duration::from_millis(200), asked).await);
            let feeds = std::mem::take(&mut *feeds.lock().unwrap_or_else(PoisonError::into_inner));
            for feed in feeds {
                if tokio::time::timeout(CANCEL_MAX, feed.dropped()).await.is_err() {
                    let name = P::DESCRIPTOR.name;
                    return Err(format!("nobody wants an answer of `{name}` and it still reads it").into());
                }
            }
            Ok(())
        })
    }

    /// A tool that is called without arguments answers, if only with what it lacks.
    ///
    /// # Errors
    /// Where a call panics or takes too long.
    pub fn tools_answer_without_arguments(&self) -> TestResult {
        crate::testing::run(async {
            for tool in P::DESCRIPTOR.tools {
                let plugin = self.start().await?;
                // What it answers is its own affair.
                drop(plugin.tool("alice", tool.name, json!({})).await);
                drop(plugin.tool("alice", tool.name, json!({ "not_an_argument": [1] })).await);
                self.is_well(&plugin).map_err(|error| format!("the tool `{}`: {error}", tool.name))?;
            }
            Ok(())
        })
    }

    /// A route that is called by nobody in particular and without a body answers, if only with what it lacks.
    ///
    /// # Errors
    /// Where a call panics or takes too long.
    pub fn routes_answer_without_a_body(&self) -> TestResult {
        crate::testing::run(async {
            for route in (P::DESCRIPTOR.entry.routes)() {
                let plugin = self.start().await?;
                for caller in [plugin.caller("alice"), crate::plugin::interface::Caller::nobody()] {
                    let mut call = RouteCall::new(route.method, &path_of(&route), caller);
                    call.query = "not=a&parameter".to_owned();
                    match route.kind {
                        RouteKind::WebSocket => drop(plugin.socket(call).await),
                        RouteKind::Events => drop(plugin.event_stream(call).await),
                        _ => drop(plugin.route(call).await),
                    }
                }
                let (method, path) = (route.method, route.path);
                self.is_well(&plugin).map_err(|error| format!("the route `{method} {path}`: {error}"))?;
            }
            Ok(())
        })
    }

    /// A run of each workflow that its code names comes to an end, or waits, whatever it is given; and so does one that nobody
    /// knows.
    ///
    /// # Errors
    /// Where an attempt panics or takes too long.
    pub fn workflows_answer_without_input(&self) -> TestResult {
        crate::testing::run(async {
            if !P::DESCRIPTOR.provides.contains(&Role::Automation) {
                return Ok(());
            }
            let plugin = self.start().await?;
            let mut specs = (P::DESCRIPTOR.entry.triggers)();
            let unknown = TriggerSpec::new("compliance", On::Manual, "compliance-unknown", Scope::Cluster);
            plugin.host().automations.put(&P::DESCRIPTOR.plugin_name(), unknown.clone()).await?;
            specs.push(unknown);
            for spec in specs {
                plugin.start_trigger(&spec.id, json!({})).await?;
                plugin.idle().await?;
                self.is_well(&plugin).map_err(|error| format!("the workflow `{}`: {error}", spec.workflow))?;
            }
            Ok(())
        })
    }

    /// Provokes a call of a method that no message and no file provokes; nothing where it is none of these.
    pub(super) async fn strike_role(&self, plugin: &RunningPlugin<P>, method: &str) -> TestResult<Option<()>> {
        let descriptor = P::DESCRIPTOR;
        if method == Hook::ScanReply.as_str() {
            let heard = plugin.hear(&["hello"]).await?;
            // `open` needs the operator's word too, who said nothing; there is nobody to hold an answer for.
            return refused(Hook::ScanReply, heard.refusal.as_ref());
        }
        if method == Hook::CheckLogin.as_str() {
            let refusal = plugin.sign_in(LoginAttempt::new("alice", LoginMethod::Password)).await.err();
            return refused(Hook::CheckLogin, refusal.as_ref());
        }
        if method == "execute_workflow" {
            let name = descriptor.plugin_name();
            let spec = TriggerSpec::new("compliance", On::Manual, "compliance", Scope::Cluster);
            plugin.host().automations.put(&name, spec).await?;
            let run = plugin.start_trigger("compliance", json!({})).await?;
            plugin.idle().await?;
            return match plugin.run(run).await?.0 {
                record if record.error.as_deref().is_some_and(|error| error.contains("panicked")) => Ok(Some(())),
                record => Err(format!("`{method}` panicked, and its run is {:?}", record.state).into()),
            };
        }
        let failed = if let Some(tool) = descriptor.tools.iter().find(|tool| tool.method == method) {
            plugin.tool("alice", tool.name, json!({})).await.is_err()
        } else if let Some(route) = (descriptor.entry.routes)().into_iter().find(|route| route.handler == method) {
            let call = RouteCall::new(route.method, &path_of(&route), plugin.caller("alice"));
            match route.kind {
                RouteKind::WebSocket => return Ok(None),
                _ => plugin.route(call).await.is_err(),
            }
        } else if descriptor.provides.contains(&Role::AiProvider) {
            match method {
                "models" => plugin.models().await.is_err(),
                "stream_response" => plugin.stream(question(MODEL)).await.is_err(),
                "embed" => plugin.embed(crate::ai::EmbedRequest::new(MODEL, vec!["hello".to_owned()])).await.is_err(),
                _ => return Ok(None),
            }
        } else {
            return Ok(None);
        };
        match failed {
            true => Ok(Some(())),
            false => Err(format!("`{method}` panicked and gave a result").into()),
        }
    }
}

fn refused(hook: Hook, refusal: Option<&Refusal>) -> TestResult<Option<()>> {
    match refusal {
        Some(Refusal::ScannerUnavailable { .. }) => Ok(Some(())),
        other => {
            Err(format!("`{}` failed, its policy is not {:?}, and there is {other:?}", hook.as_str(), FailMode::Open)
                .into())
        }
    }
}

/// A path that fits the route: what is variable is its own name.
fn path_of(route: &RouteSpec) -> String {
    route.path.replace("...}", "}").replace(['{', '}'], "")
}

fn question(model: &str) -> AiRequest {
    AiRequest::new(model, vec![Turn::user("Say hello")])
}
