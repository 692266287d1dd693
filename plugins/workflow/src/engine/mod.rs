//! Carries a run out, step by step: what is done is kept before the next step begins, so that a run that goes on after a crash
//! or a wait does nothing twice. Knows the host only through [`World`] and the run.

mod act;
pub(crate) mod origin;
pub(crate) mod state;
pub(crate) mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use plexichat::error::{ErrorKind, PluginError};
use plexichat::message::Time;
use plexichat::workflow::{Outcome, WorkflowError, WorkflowRun};
use serde_json::{Map, Value, json};

use self::state::{Kept, Open};
use self::world::{Failure, World};
use crate::definition::check::STEP_TIMEOUT;
use crate::definition::{Definition, Kind, OnError, Retry, Step};
use crate::expression::{Language, Scrubber, Use, Wrong};

/// A wait that is not longer is waited for in place.
const SHORT: Duration = Duration::from_secs(5);

/// No wait before another try is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(3600);

/// How much a run keeps at most, in bytes of JSON: the host takes 1 MiB.
const KEPT_MAX: usize = 1000 * 1024;

/// How many letters of a text the timeline shows.
const SHOWN: usize = 300;

/// What a run is carried out with.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) version: &'a str,
    pub(crate) world: &'a dyn World,
    pub(crate) language: &'a Language,
    pub(crate) scrubber: &'a Scrubber,
}

/// Why a run does not go on to the next step.
enum Halt {
    /// Not now.
    Wait(Time),
    /// A step says so.
    Stop(String),
    /// A step failed for good.
    Failed(String),
    /// The host does not keep what happened: another attempt has to.
    Host(PluginError),
}

impl From<PluginError> for Halt {
    fn from(error: PluginError) -> Self {
        Self::Host(error)
    }
}

type Went = Result<(), Halt>;

/// Loops' variables, the innermost last.
type Locals = Vec<(String, Value)>;

struct Going<'a> {
    engine: Engine<'a>,
    run: &'a WorkflowRun,
    kept: Mutex<Kept>,
    /// Whoever saves waits for whoever saves before: the last one saved is the last one kept.
    saving: futures_util::lock::Mutex<()>,
    /// Whether a step was carried out since this attempt began.
    moved: AtomicBool,
}

/// Carries out one attempt.
///
/// # Errors
/// Whether it may work later.
pub(crate) async fn execute(engine: Engine<'_>, run: &WorkflowRun) -> Result<Outcome, WorkflowError> {
    let kept = run.state_as::<Kept>()?;
    let is_new = kept.is_none();
    let kept = kept.unwrap_or_else(|| Kept::new(engine.version, engine.world.now()));
    let going =
        Going { engine, run, kept: Mutex::new(kept), saving: Default::default(), moved: AtomicBool::new(false) };
    if is_new && let Some(outcome) = going.begin().await? {
        return Ok(outcome);
    }
    let went = going.steps("", &engine.definition.steps, &Vec::new()).await;
    match went {
        Ok(()) => {
            let output = going.output().map_err(WorkflowError::permanent)?;
            Ok(Outcome::Done(output))
        }
        Err(Halt::Wait(until)) => Ok(Outcome::Wait { until: Some(until), state: going.state()? }),
        Err(Halt::Stop(why)) => Ok(Outcome::Done(json!({ "stopped": why }))),
        Err(Halt::Failed(why)) => Err(WorkflowError::Permanent(why)),
        Err(Halt::Host(error)) => Err(match error.kind() {
            ErrorKind::Input => WorkflowError::Permanent(error.to_string()),
            _ => WorkflowError::retry(error.to_string()),
        }),
    }
}

impl<'a> Going<'a> {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn how(&self) -> Use {
        if self.run.dry_run { Use::Dry } else { Use::Plain }
    }

    fn with_secrets(&self) -> Use {
        if self.run.dry_run { Use::Dry } else { Use::Secrets }
    }

    /// Whether the trigger's condition holds, and what the variables begin with.
    async fn begin(&self) -> Result<Option<Outcome>, WorkflowError> {
        let definition = self.engine.definition;
        // The definition may be another one than the trigger fired for: of one that is gone no condition is known.
        let trigger = definition.trigger(&self.run.trigger);
        if trigger.is_some() && !definition.enabled && !self.run.dry_run {
            return Ok(Some(Outcome::Skip("the workflow is disabled".to_owned())));
        }
        let scope = self.scope(&Vec::new());
        if let Some(when) = trigger.and_then(|trigger| trigger.when.as_deref()) {
            let holds = self.engine.language.holds(when, self.how(), &scope);
            match holds {
                Ok(true) => {}
                Ok(false) => return Ok(Some(Outcome::Skip(format!("`{when}` is false")))),
                Err(wrong) => {
                    let wrong = self.engine.scrubber.text(&wrong.to_string());
                    return Err(WorkflowError::permanent(format!("`when` of trigger `{}`: {wrong}", self.run.trigger)));
                }
            }
        }
        let vars = self.engine.language.fill(&Value::Object(definition.vars.clone()), self.how(), &scope);
        let vars = vars.map_err(|wrong| WorkflowError::permanent(format!("`vars`: {wrong}")))?;
        if let Value::Object(vars) = self.engine.scrubber.value(vars) {
            self.kept().vars = vars;
        }
        self.save().await.map_err(|halt| match halt {
            Halt::Host(error) => WorkflowError::from(error),
            _ => WorkflowError::retry("the run's state was not kept"),
        })?;
        Ok(None)
    }

    fn output(&self) -> Result<Value, String> {
        let definition = self.engine.definition;
        if definition.output.is_null() {
            let kept = self.kept();
            return Ok(json!({ "vars": kept.vars }));
        }
        let output = self.engine.language.fill(&definition.output, self.how(), &self.scope(&Vec::new()));
        output.map(|output| self.engine.scrubber.value(output)).map_err(|wrong| format!("`output`: {wrong}"))
    }

    /// What expressions see.
    fn scope(&self, locals: &Locals) -> Value {
        let run = self.run;
        let kept = self.kept();
        let now = self.engine.world.now();
        let mut scope = Map::new();
        scope.insert("event".to_owned(), run.input.get("event").cloned().unwrap_or(Value::Null));
        scope.insert("input".to_owned(), run.input.clone());
        scope.insert("steps".to_owned(), json!(kept.steps));
        scope.insert("vars".to_owned(), Value::Object(kept.vars.clone()));
        scope.insert(
            "run".to_owned(),
            json!({
                "id": run.id,
                "attempt": run.attempt,
                "workflow": run.workflow,
                "trigger": run.trigger,
                "scheduled_at": run.scheduled_at,
                "room_id": origin::room(run),
                "dry_run": run.dry_run,
                "by": origin::by(run),
            }),
        );
        scope.insert("now".to_owned(), json!(now));
        for (name, value) in locals {
            scope.insert(name.clone(), value.clone());
        }
        Value::Object(scope)
    }

    fn state(&self) -> Result<Value, PluginError> {
        let kept = self.kept();
        Ok(serde_json::to_value(&*kept)?)
    }

    /// Keeps how far the run is.
    async fn save(&self) -> Went {
        let _turn = self.saving.lock().await;
        let state = self.state()?;
        let size = state.to_string().len();
        if size > KEPT_MAX {
            let message =
                format!("the results and variables of the run have {size} bytes, at most {KEPT_MAX} are kept");
            return Err(Halt::Failed(message));
        }
        Ok(self.run.save(&state).await?)
    }

    async fn record(&self, name: &str, status: &str, detail: Value) -> Went {
        Ok(self.run.record(name, status, self.engine.scrubber.value(detail)).await?)
    }

    fn steps<'s>(&'s self, path: &'s str, steps: &'s [Step], locals: &'s Locals) -> BoxFuture<'s, Went> {
        Box::pin(async move {
            for (index, step) in steps.iter().enumerate() {
                let name = step.id.clone().unwrap_or_else(|| index.to_string());
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                self.step(&path, step, locals).await?;
            }
            Ok(())
        })
    }

    async fn step(&self, path: &str, step: &Step, locals: &Locals) -> Went {
        let has_begun = {
            let kept = self.kept();
            if kept.done.contains(path) {
                return Ok(());
            }
            kept.open.contains_key(path)
        };
        if !has_begun && let Some(when) = &step.when {
            match self.engine.language.holds(when, self.how(), &self.scope(locals)) {
                Ok(true) => {}
                Ok(false) => {
                    self.kept().finish(path);
                    self.record(path, "skipped", json!(format!("`{when}` is false"))).await?;
                    return self.save().await;
                }
                Err(wrong) => return self.failed(path, step, format!("`when`: {wrong}")).await,
            }
        }
        let kinds = step.kinds();
        let Some((_, kind)) = kinds.first() else { return Ok(()) };
        let went = match kind {
            Kind::If(condition) => self.condition(path, step, condition, locals).await,
            Kind::Loop(each) => self.each(path, step, each, locals).await,
            Kind::Parallel(branches) => {
                if !has_begun {
                    self.kept().open.insert(path.to_owned(), Open::Branches);
                    let names: Vec<&String> = branches.keys().collect();
                    self.record(path, "started", json!({ "branches": names })).await?;
                }
                let paths: Vec<String> = branches.keys().map(|name| format!("{path}/{name}")).collect();
                let all = paths.iter().zip(branches.values()).map(|(path, steps)| self.steps(path, steps, locals));
                match first_halt(join_all(all).await) {
                    Some(halt) => Err(halt),
                    None => self.done(path, step, Value::Null).await,
                }
            }
            Kind::Wait(wait) => return self.wait(path, step, wait, locals).await,
            Kind::Approve(approve) => return self.approve(path, step, approve, locals).await,
            Kind::Set(values) => return self.set(path, step, values, locals).await,
            Kind::Stop(text) => {
                let text = match self.render(text, locals) {
                    Ok(text) => text,
                    Err(wrong) => return self.failed(path, step, wrong.to_string()).await,
                };
                self.record(path, "stopped", json!(short(&text))).await?;
                return Err(Halt::Stop(text));
            }
            Kind::Fail(text) => {
                let text = self.render(text, locals).unwrap_or_else(|wrong| wrong.to_string());
                return self.failed(path, step, text).await;
            }
            Kind::Post(_) | Kind::Ai(_) | Kind::Tool(_) | Kind::Http(_) => {
                return self.act(path, step, kind, locals).await;
            }
        };
        // What failed within it is its own failure where the next step follows all the same.
        match went {
            Err(Halt::Failed(why)) if step.on_error == OnError::Continue => self.failed(path, step, why).await,
            went => went,
        }
    }

    async fn condition(&self, path: &str, step: &Step, condition: &str, locals: &Locals) -> Went {
        let known = match self.kept().open.get(path) {
            Some(Open::Way(way)) => Some(*way),
            _ => None,
        };
        let way = match known {
            Some(way) => way,
            None => match self.engine.language.holds(condition, self.how(), &self.scope(locals)) {
                Err(wrong) => return self.failed(path, step, format!("`if`: {wrong}")).await,
                Ok(way) => {
                    self.kept().open.insert(path.to_owned(), Open::Way(way));
                    let name = if way { "then" } else { "else" };
                    self.record(path, "started", json!({ "goes": name })).await?;
                    self.save().await?;
                    way
                }
            },
        };
        let (name, steps) = if way { ("then", &step.then) } else { ("else", &step.otherwise) };
        self.steps(&format!("{path}/{name}"), steps, locals).await?;
        self.done(path, step, json!(way)).await
    }

    async fn each(&self, path: &str, step: &Step, each: &crate::definition::LoopStep, locals: &Locals) -> Went {
        let known = match self.kept().open.get(path) {
            Some(Open::Loop { items, index }) => Some((items.clone(), *index)),
            _ => None,
        };
        let (items, first) = match known {
            Some(known) => known,
            None => {
                let list = self.engine.language.evaluate(&each.list, self.how(), &self.scope(locals));
                let items = match list {
                    Ok(Value::Array(items)) => items,
                    // A dry run does not know what a list would hold.
                    Ok(Value::Null) if self.run.dry_run => Vec::new(),
                    Ok(other) => {
                        return self
                            .failed(path, step, format!("`{}` is no list, it is {}", each.list, kind_of(&other)))
                            .await;
                    }
                    Err(wrong) => return self.failed(path, step, format!("`in`: {wrong}")).await,
                };
                if items.len() > each.max as usize {
                    let why = format!("the list has {} parts, `max` is {}", items.len(), each.max);
                    return self.failed(path, step, why).await;
                }
                let Value::Array(items) = self.engine.scrubber.value(Value::Array(items)) else { return Ok(()) };
                self.kept().open.insert(path.to_owned(), Open::Loop { items: items.clone(), index: 0 });
                self.record(path, "started", json!({ "parts": items.len() })).await?;
                self.save().await?;
                (items, 0)
            }
        };
        for (index, item) in items.iter().enumerate().skip(first) {
            // Also a loop that reaches nothing outside ends before the attempt's time does, and goes on in another one.
            self.check_time(self.timeout(step))?;
            let mut locals = locals.clone();
            locals.push((each.name.clone(), item.clone()));
            locals.push(("loop_index".to_owned(), json!(index)));
            self.steps(&format!("{path}/{index}"), &each.steps, &locals).await?;
            {
                let mut kept = self.kept();
                kept.forget_below(path);
                kept.open.insert(path.to_owned(), Open::Loop { items: items.clone(), index: index + 1 });
            }
            self.moved.store(true, Ordering::Relaxed);
            self.save().await?;
        }
        self.done(path, step, json!({ "count": items.len() })).await
    }

    async fn wait(&self, path: &str, step: &Step, wait: &crate::definition::WaitStep, locals: &Locals) -> Went {
        let known = match self.kept().open.get(path) {
            Some(Open::Until(until)) => Some(*until),
            _ => None,
        };
        let now = self.engine.world.now();
        let until = match known {
            Some(until) => until,
            None => {
                let until = match (&wait.span, &wait.until) {
                    (Some(span), _) => Ok(later(now, span.duration())),
                    (None, Some(text)) => self
                        .render(text, locals)
                        .map_err(|wrong| wrong.to_string())
                        .and_then(|text| crate::definition::check::parse_time(&text)),
                    (None, None) => Ok(now),
                };
                match until {
                    Ok(until) => until,
                    Err(_) if self.run.dry_run => now,
                    Err(why) => return self.failed(path, step, format!("`until`: {why}")).await,
                }
            }
        };
        if self.run.dry_run {
            self.record(path, "would", json!({ "does": "wait", "until": until })).await?;
            return self.done(path, step, Value::Null).await;
        }
        if now >= until {
            return self.done(path, step, Value::Null).await;
        }
        if known.is_none() {
            self.kept().open.insert(path.to_owned(), Open::Until(until));
            self.record(path, "waiting", json!({ "until": until })).await?;
            self.save().await?;
        }
        Err(Halt::Wait(until))
    }

    async fn set(&self, path: &str, step: &Step, values: &Map<String, Value>, locals: &Locals) -> Went {
        let filled = self.engine.language.fill(&Value::Object(values.clone()), self.how(), &self.scope(locals));
        let filled = match filled {
            Ok(filled) => self.engine.scrubber.value(filled),
            Err(wrong) => return self.failed(path, step, wrong.to_string()).await,
        };
        if let Value::Object(entries) = &filled {
            self.kept().vars.extend(entries.clone());
        }
        self.done(path, step, filled).await
    }

    fn render(&self, source: &str, locals: &Locals) -> Result<String, Wrong> {
        let text = self.engine.language.render(source, self.how(), &self.scope(locals))?;
        Ok(self.engine.scrubber.text(&text))
    }

    /// The step is done: that is kept before anything else happens.
    async fn done(&self, path: &str, step: &Step, result: Value) -> Went {
        let result = self.engine.scrubber.value(result);
        let shown = summary(&result);
        {
            let mut kept = self.kept();
            kept.give(step.id.as_deref(), result);
            kept.finish(path);
        }
        self.moved.store(true, Ordering::Relaxed);
        self.save().await?;
        self.record(path, "done", shown).await
    }

    /// The step failed for good.
    async fn failed(&self, path: &str, step: &Step, why: String) -> Went {
        let why = self.engine.scrubber.text(&why);
        self.record(path, "failed", json!({ "error": short(&why), "on_error": step.on_error })).await?;
        if step.on_error == OnError::Continue {
            {
                let mut kept = self.kept();
                kept.give_error(step.id.as_deref(), &short(&why));
                kept.finish(path);
            }
            return self.save().await;
        }
        // A run that is replayed begins with this step.
        self.kept().open.remove(path);
        self.save().await?;
        Err(Halt::Failed(format!("step `{path}`: {why}")))
    }

    fn retry(&self, step: &Step) -> Retry {
        step.retry.or(self.engine.definition.defaults.retry).unwrap_or_default()
    }

    fn timeout(&self, step: &Step) -> Duration {
        step.timeout.or(self.engine.definition.defaults.timeout).unwrap_or(STEP_TIMEOUT).duration()
    }

    /// Where the attempt's time would be up before the step's, the run goes on in another one.
    fn check_time(&self, timeout: Duration) -> Went {
        let now = self.engine.world.now();
        match self.moved.load(Ordering::Relaxed) && later(now, timeout) > self.run.deadline {
            true => Err(Halt::Wait(now)),
            false => Ok(()),
        }
    }
}

/// Of what became of several branches, what counts for the whole: a failure before a stop, a stop before a wait, the first wait.
fn first_halt(went: Vec<Went>) -> Option<Halt> {
    let weight = |halt: &Halt| match halt {
        Halt::Host(_) => (0, Time::from_micros(0)),
        Halt::Failed(_) => (1, Time::from_micros(0)),
        Halt::Stop(_) => (2, Time::from_micros(0)),
        Halt::Wait(until) => (3, *until),
    };
    went.into_iter().filter_map(Result::err).min_by_key(weight)
}

pub(crate) fn later(time: Time, length: Duration) -> Time {
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(time.as_micros().saturating_add(micros))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A result as the timeline shows it.
fn summary(result: &Value) -> Value {
    match result {
        Value::String(text) => json!(short(text)),
        Value::Array(items) => json!({ "parts": items.len() }),
        Value::Object(entries) => {
            let shown = entries.iter().map(|(key, value)| {
                let value = match value {
                    Value::String(text) => json!(short(text)),
                    Value::Array(items) => json!({ "parts": items.len() }),
                    Value::Object(entries) => json!({ "fields": entries.len() }),
                    other => other.clone(),
                };
                (key.clone(), value)
            });
            Value::Object(shown.take(20).collect())
        }
        other => other.clone(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::for_good(wrong.to_string())
    }
}

#[cfg(test)]
pub(crate) mod tests;
