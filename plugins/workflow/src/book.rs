//! The workflows that there are: gathered from configuration, files and storage, checked, and put in force together. What is wrong
//! is told and changes nothing: the version that runs goes on. Knows no step.

mod gather;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use plexichat::error::ErrorKind;
use plexichat::message::Time;
use plexichat::prelude::*;
use plexichat::problem::Problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::gather::{Found, Text};
use crate::Workflow;
use crate::approvals::Approvals;
use crate::config::Config;
use crate::definition::check::{self, Checks, TRIGGERS};
use crate::definition::located::{Format, Places};
use crate::definition::{Definition, Kind};
use crate::expression::Language;

/// How many versions of a workflow are kept in any case for runs that began with them.
const VERSIONS_KEPT: usize = 50;

/// How long every version is kept after another one took its place, in microseconds.
const VERSION_KEPT_AFTER: i64 = 30 * 24 * 3600 * 1_000_000;

/// How often runs are looked after that were not told an answer, and rooms and tools that are missing.
const SWEEP: Duration = Duration::from_secs(60);

/// Where a definition stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// In the configuration, at this place of `definitions`.
    Config(usize),
    /// In a file.
    File(String),
    /// In the plugin's storage: an administrator put it there.
    Stored(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(index) => write!(formatter, "configuration /definitions/{index}"),
            Self::File(path) => formatter.write_str(path),
            Self::Stored(name) => write!(formatter, "stored {name}"),
        }
    }
}

/// A workflow that is in force.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) definition: Arc<Definition>,
    /// A sum of what it says.
    pub(crate) version: String,
    pub(crate) source: Source,
}

/// A definition that is not taken.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) source: Source,
    pub(crate) problems: Vec<Problem>,
    /// The workflow that goes on in its place.
    pub(crate) goes_on: Option<String>,
}

/// What is in force, and what is not.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) workflows: BTreeMap<String, Arc<Active>>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) warnings: Vec<String>,
    /// Why there may be more workflows than these: a place could not be looked at.
    pub(crate) hidden: Option<String>,
}

/// A definition that an administrator put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) text: String,
    pub(crate) json: bool,
}

/// A version as it is kept.
#[derive(Serialize, Deserialize)]
struct Version {
    definition: Definition,
    since: Time,
}

/// Which version of a source was good last.
#[derive(Serialize, Deserialize)]
struct Good {
    name: String,
    version: String,
}

/// What was made of a source, and of which text.
struct Read {
    sum: String,
    result: Result<Arc<Active>, Vec<Problem>>,
}

#[derive(Default)]
struct Desk {
    read: BTreeMap<Source, Read>,
    good: BTreeMap<Source, Arc<Active>>,
    /// Whether tools are checked: not before every plugin had time to start.
    tools: bool,
    /// Whether triggers may be other than they should.
    dirty: bool,
}

/// The workflows.
pub(crate) struct Book {
    context: Context<Workflow>,
    config: Arc<Config>,
    language: Language,
    secrets: Vec<String>,
    fixed: Vec<Arc<Active>>,
    shelf: RwLock<Arc<Shelf>>,
    desk: futures_util::lock::Mutex<Desk>,
}

impl Book {
    /// Gathers and puts in force.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration's definitions. What is wrong with others is told by [`shelf`](Self::shelf).
    pub(crate) async fn open(context: Context<Workflow>, config: Arc<Config>, language: Language) -> Result<Arc<Self>> {
        let secrets = config.secrets.keys().cloned().collect();
        let (shelf, desk) = Default::default();
        let mut book = Self { context, config, language, secrets, fixed: Vec::new(), shelf, desk };
        book.fixed = book.configured()?;
        let book = Arc::new(book);
        book.reload().await;
        Ok(book)
    }

    fn configured(&self) -> Result<Vec<Arc<Active>>> {
        let (mut fixed, mut problems) = (Vec::<Arc<Active>>::new(), Vec::new());
        for (index, value) in self.config.definitions.iter().enumerate() {
            let places = Places::of_config(format!("/definitions/{index}"));
            match self.with_checks(None, |checks| check::parse_value(value, &places, checks)) {
                Err(found) => problems.extend(found),
                Ok(definition) if fixed.iter().any(|other| other.definition.name == definition.name) => {
                    let message = format!("another definition is called `{}`, too", definition.name);
                    problems.push(Problem::new(format!("/definitions/{index}/name"), message));
                }
                Ok(definition) => fixed.push(Arc::new(Active::new(definition, Source::Config(index))?)),
            }
        }
        if problems.is_empty() { Ok(fixed) } else { Err(check::refused(&problems)) }
    }

    fn with_checks<R>(&self, tools: Option<&[String]>, read: impl FnOnce(&Checks<'_>) -> R) -> R {
        let triggers = self.context.triggers();
        let trigger = move |spec: &TriggerSpec| triggers.check(spec);
        read(&Checks { language: &self.language, secrets: &self.secrets, tools, trigger: &trigger })
    }

    fn tools(&self) -> Vec<String> {
        let tools = self.context.tools().list().unwrap_or_default();
        tools.into_iter().map(|tool| tool.name).collect()
    }

    /// Reads a definition as it would be read from a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn check(&self, name: &str, text: &str, format: Format) -> Result<Definition, Vec<Problem>> {
        let tools = self.tools();
        self.with_checks(Some(&tools), |checks| check::parse_text(name, text, format, checks))
    }

    /// What is in force.
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks after files, answers and what is missing, for as long as the plugin runs.
    pub(crate) async fn keep_up(self: Arc<Self>, approvals: Approvals) {
        let poll = Duration::from_secs(self.config.poll_seconds.into());
        let mut since_sweep = SWEEP;
        let mut seen = gather::fingerprint(&self.context, &self.config).await;
        loop {
            let look = since_sweep >= SWEEP;
            if look {
                since_sweep = Duration::ZERO;
                if let Err(error) = approvals.sweep(self.context.now()).await {
                    tracing::warn!(%error, "approvals were not looked after");
                }
            }
            self.context.sleep(poll).await;
            since_sweep += poll;
            let now = gather::fingerprint(&self.context, &self.config).await;
            let dirty = {
                let mut desk = self.desk.lock().await;
                // The first look with tools: by now every plugin had time to start.
                !std::mem::replace(&mut desk.tools, true) || desk.dirty
            };
            if now != seen || dirty || look {
                seen = now;
                self.reload().await;
            }
        }
    }

    /// Looks at every source again, and puts in force what is new.
    pub(crate) async fn reload(&self) {
        let mut desk = self.desk.lock().await;
        let before = self.shelf();
        let mut shelf = Shelf::default();
        for active in &self.fixed {
            shelf.workflows.insert(active.definition.name.clone(), active.clone());
        }
        let (found, troubles) = gather::all(&self.context, &self.config).await;
        shelf.hidden = troubles.first().map(Trouble::told);
        shelf.troubles = troubles;
        // Where a place could not be looked at, what came from it goes on.
        let missing: Vec<Source> =
            desk.good.keys().filter(|source| !found.iter().any(|found| found.source == **source)).cloned().collect();
        for source in missing {
            let hidden = shelf.troubles.iter().any(|trouble| gather::hides(trouble, &source));
            match desk.good.get(&source).filter(|_| hidden).cloned() {
                Some(active) => self.take(&mut shelf, active),
                None => {
                    desk.good.remove(&source);
                    desk.read.remove(&source);
                }
            }
        }
        let tools = desk.tools.then(|| self.tools());
        for Found { source, text } in found {
            let Text { text, format, name } = text;
            let sum = sum_of(text.as_bytes());
            if desk.read.get(&source).is_none_or(|read| read.sum != sum) {
                let parsed =
                    self.with_checks(tools.as_deref(), |checks| check::parse_text(&name, &text, format, checks));
                let result = parsed.and_then(|definition| {
                    let active = Active::new(definition, source.clone());
                    active.map(Arc::new).map_err(|error| vec![Problem::new("", error.to_string())])
                });
                if let Err(problems) = &result {
                    tracing::warn!(%source, problems = check::told(problems), "a workflow's definition is not taken");
                }
                desk.read.insert(source.clone(), Read { sum, result });
            }
            let result = desk.read.get(&source).map(|read| match &read.result {
                Ok(active) => Ok(active.clone()),
                Err(problems) => Err(problems.clone()),
            });
            match result {
                Some(Ok(active)) => {
                    desk.good.insert(source, active.clone());
                    self.take(&mut shelf, active);
                }
                Some(Err(problems)) => {
                    let good = match desk.good.get(&source) {
                        Some(good) => Some(good.clone()),
                        None => self.remembered(&source).await.unwrap_or_else(|error| {
                            shelf.hidden = Some(format!("{source}: its last version cannot be read: {error}"));
                            None
                        }),
                    };
                    let goes_on = good.as_ref().map(|good| good.definition.name.clone());
                    shelf.troubles.push(Trouble { source: source.clone(), problems, goes_on });
                    if let Some(good) = good {
                        desk.good.insert(source, good.clone());
                        self.take(&mut shelf, good);
                    }
                }
                None => {}
            }
        }
        self.enforce(&mut desk, &before, shelf).await;
    }

    /// Takes a workflow, unless another one has its name.
    fn take(&self, shelf: &mut Shelf, active: Arc<Active>) {
        let name = &active.definition.name;
        match shelf.workflows.get(name) {
            None => {
                shelf.workflows.insert(name.clone(), active);
            }
            Some(other) => {
                let problem =
                    Problem::new("/name", format!("`{name}` is the name of another workflow: {}", other.source));
                shelf.troubles.push(Trouble { source: active.source.clone(), problems: vec![problem], goes_on: None });
            }
        }
    }

    /// The last good version of a source, from before the server started; nothing where none is kept.
    async fn remembered(&self, source: &Source) -> Result<Option<Arc<Active>>> {
        let Some(good) = self.context.storage().get::<Good>(&good_key(source)).await? else { return Ok(None) };
        let Good { name, version } = good.value;
        match self.version(&name, &version).await {
            Ok(definition) => Ok(Some(Arc::new(Active { definition, version, source: source.clone() }))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the versions, shows the shelf, and makes the triggers what they should be.
    async fn enforce(&self, desk: &mut Desk, before: &Shelf, mut shelf: Shelf) {
        for (name, active) in &shelf.workflows {
            let same = before
                .workflows
                .get(name)
                .is_some_and(|old| old.version == active.version && old.source == active.source);
            if same {
                continue;
            }
            desk.dirty = true;
            if let Err(error) = self.keep_version(active).await {
                let problem = Problem::new("", format!("its version is not kept: {error}"));
                shelf.troubles.push(Trouble { source: active.source.clone(), problems: vec![problem], goes_on: None });
            }
            tracing::info!(workflow = name, version = active.version, source = %active.source, "a workflow is in force");
        }
        desk.dirty |= before.workflows.keys().any(|name| !shelf.workflows.contains_key(name));
        // The first time there may be triggers of an earlier start.
        let first = before.workflows.is_empty() && before.troubles.is_empty();
        shelf.warnings = self.warnings(&shelf, desk.tools).await;
        let troubles = match desk.dirty || first {
            true => self.arm(&shelf).await,
            false => Ok(Vec::new()),
        };
        match troubles {
            Ok(troubles) => {
                // What was not removed since a place could not be looked at is removed once that can be.
                desk.dirty = !troubles.is_empty() || shelf.hidden.is_some();
                shelf.troubles.extend(troubles);
            }
            Err(error) => {
                desk.dirty = true;
                tracing::warn!(%error, "triggers of workflows are not as they should be; it is tried again");
            }
        }
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
    }

    /// Makes, replaces and ends triggers. While a place cannot be looked at none is ended: with it would go what was due and the
    /// webhooks' secrets, and its workflow may come back.
    async fn arm(&self, shelf: &Shelf) -> Result<Vec<Trouble>> {
        let book = self.context.triggers();
        let there = book.list(TRIGGERS).await?;
        let mut wanted = BTreeSet::new();
        let mut troubles = Vec::new();
        for active in shelf.workflows.values() {
            for spec in active.definition.specs() {
                wanted.insert(spec.id.clone());
                if there.iter().any(|armed| armed.spec == spec) {
                    continue;
                }
                let id = spec.id.clone();
                if let Err(error) = book.put(spec).await {
                    if error.kind().retryable() {
                        return Err(error);
                    }
                    let problem = Problem::new("/triggers", format!("trigger `{id}` is not taken: {error}"));
                    troubles.push(Trouble { source: active.source.clone(), problems: vec![problem], goes_on: None });
                }
            }
        }
        if shelf.hidden.is_some() {
            return Ok(troubles);
        }
        for armed in there {
            if !wanted.contains(&armed.spec.id) {
                book.remove(&armed.spec.id).await?;
            }
        }
        Ok(troubles)
    }

    /// Rooms and tools that are not there now.
    async fn warnings(&self, shelf: &Shelf, tools: bool) -> Vec<String> {
        let known = if tools { self.tools() } else { Vec::new() };
        let mut warnings = Vec::new();
        for (name, active) in &shelf.workflows {
            let definition = &active.definition;
            let mut rooms: BTreeSet<&str> = definition.defaults.room.as_deref().into_iter().collect();
            for step in check::all_steps(&definition.steps) {
                match step.kinds().first() {
                    Some((_, Kind::Post(post))) => rooms.extend(post.room.as_deref()),
                    Some((_, Kind::Approve(approve))) => rooms.extend(approve.room.as_deref()),
                    Some((_, Kind::Tool(tool))) if tools && !known.contains(&tool.name) => {
                        warnings.push(format!("`{name}`: no plugin that runs has the tool `{}`", tool.name));
                    }
                    _ => {}
                }
            }
            for room in rooms {
                if room.contains("{{") || room.parse::<plexichat::id::RoomId>().is_ok() {
                    continue;
                }
                if let Ok(None) = self.context.chat().room_named(room.trim().trim_start_matches('#')).await {
                    warnings.push(format!("`{name}`: there is no room `{room}`"));
                }
            }
        }
        warnings
    }

    async fn keep_version(&self, active: &Active) -> Result<()> {
        let storage = self.context.storage();
        let (name, version) = (&active.definition.name, &active.version);
        let key = version_key(name, version);
        let kept = Version { definition: (*active.definition).clone(), since: self.context.now() };
        storage.set(&key, &kept).await?;
        storage.set(&good_key(&active.source), &Good { name: name.clone(), version: version.clone() }).await?;
        let keys = storage.keys(&format!("version/{name}/")).await?;
        if keys.len() > VERSIONS_KEPT {
            let mut ages = Vec::new();
            for key in keys {
                if let Ok(Some(kept)) = storage.get::<Version>(&key).await {
                    ages.push((kept.value.since, key));
                }
            }
            for key in outdated(ages, self.context.now()) {
                storage.remove(&key).await?;
            }
        }
        Ok(())
    }

    /// The definition that a run began with.
    ///
    /// # Errors
    /// `NotFound` where it is kept no more; `Transient` where the store is not available.
    pub(crate) async fn version(&self, name: &str, version: &str) -> Result<Arc<Definition>> {
        if let Some(active) = self.shelf().workflows.get(name).filter(|active| active.version == version) {
            return Ok(active.definition.clone());
        }
        match self.context.storage().get::<Version>(&version_key(name, version)).await? {
            Some(kept) => Ok(Arc::new(kept.value.definition)),
            None => Err(PluginError::not_found(format!(
                "version `{version}` of workflow `{name}`, which this run began with, is kept no more"
            ))),
        }
    }

    /// Keeps a definition that an administrator gives; `expected` is the version that they saw, 0 where there was none.
    ///
    /// # Errors
    /// `Input` where somebody was faster or the name is a file's or the configuration's.
    pub(crate) async fn store(&self, name: &str, text: &str, format: Format, expected: Option<u64>) -> Result<u64> {
        if let Some(active) = self.shelf().workflows.get(name)
            && !matches!(active.source, Source::Stored(_))
        {
            let source = &active.source;
            return Err(PluginError::input(format!("workflow `{name}` stands elsewhere: {source}; change it there")));
        }
        let storage = self.context.storage();
        let stored = Stored { text: text.to_owned(), json: format == Format::Json };
        let key = gather::stored_key(name);
        let version = match expected {
            Some(expected) => storage.compare_and_set(&key, &stored, expected).await?,
            None => {
                storage.set(&key, &stored).await?;
                storage.get::<Stored>(&key).await?.map(|kept| kept.version)
            }
        };
        let version = version.ok_or_else(|| {
            PluginError::input(format!("somebody changed workflow `{name}` since you read it: read it again"))
        })?;
        self.reload().await;
        Ok(version)
    }

    /// Forgets a definition that an administrator gave; whether it was there.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    pub(crate) async fn forget(&self, name: &str) -> Result<bool> {
        let was = self.context.storage().remove(&gather::stored_key(name)).await?;
        self.context.storage().remove(&good_key(&Source::Stored(name.to_owned()))).await?;
        self.reload().await;
        Ok(was)
    }

    /// A definition that an administrator gave, with its version.
    ///
    /// # Errors
    /// `Transient` where the store is not available.
    pub(crate) async fn stored(&self, name: &str) -> Result<Option<(Stored, u64)>> {
        let kept = self.context.storage().get::<Stored>(&gather::stored_key(name)).await?;
        Ok(kept.map(|kept| (kept.value, kept.version)))
    }
}

impl Active {
    fn new(definition: Definition, source: Source) -> Result<Self> {
        let version = sum_of(&serde_json::to_vec(&definition)?);
        Ok(Self { definition: Arc::new(definition), version, source })
    }
}

impl Trouble {
    /// What is wrong, on one line each.
    pub(crate) fn told(&self) -> String {
        let goes_on =
            self.goes_on.as_ref().map(|name| format!("; workflow `{name}` goes on as it was")).unwrap_or_default();
        format!("{}: {}{goes_on}", self.source, check::told(&self.problems).replace('\n', "; "))
    }
}

/// Versions that are kept no more: neither among the last ones nor in force until a short time ago. A version was in force from its
/// time until the next one's.
fn outdated(mut ages: Vec<(Time, String)>, now: Time) -> Vec<String> {
    ages.sort();
    let ends: Vec<Time> = ages.iter().skip(1).map(|(since, _)| *since).collect();
    let last = ages.len().saturating_sub(VERSIONS_KEPT);
    let is_old = |end: &Time| end.as_micros().saturating_add(VERSION_KEPT_AFTER) < now.as_micros();
    ages.into_iter().take(last).zip(ends).filter(|(_, end)| is_old(end)).map(|((_, key), _)| key).collect()
}

fn sum_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn version_key(name: &str, version: &str) -> String {
    format!("version/{name}/{version}")
}

fn good_key(source: &Source) -> String {
    format!("good/{}", sum_of(source.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One version on each of so many days, the last one `since_last` days ago: so many are kept no more.
    #[track_caller]
    fn check(versions: i64, since_last: i64, expected: usize) {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        let ages = (0..versions).map(|day| (Time::from_micros(day * DAY), format!("{day:03}"))).collect();
        let gone = outdated(ages, Time::from_micros((versions - 1 + since_last) * DAY));
        assert_eq!(gone, (0..expected).map(|day| format!("{day:03}")).collect::<Vec<_>>());
    }

    #[test]
    fn versions_are_kept_for_a_time_and_a_number() {
        check(50, 1000, 0);
        check(60, 0, 10);
        check(60, 1000, 10);
        // Edited fifty times and more within the month: none goes.
        let ages = (0..200).map(|second| (Time::from_micros(second), second.to_string())).collect();
        assert!(outdated(ages, Time::from_micros(VERSION_KEPT_AFTER)).is_empty());
        // In force for long, and replaced just now: its runs may still go on.
        let old = (0..51).map(|n| (Time::from_micros(if n == 0 { 0 } else { 2 * VERSION_KEPT_AFTER }), n.to_string()));
        assert!(outdated(old.collect(), Time::from_micros(2 * VERSION_KEPT_AFTER + 1)).is_empty());
    }
}
