//! Which models there are, and which of them is meant. Knows no request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::Broker;
use crate::ai::{AiError, AiErrorKind, Model};
use crate::guard::{CallError, PluginHandle};
use crate::id::PluginName;
use crate::message::Time;

/// How long a provider's models are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long it is remembered that a provider could not say: not every request is to wait for one that is down.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(5);

/// The models of each provider as it told them last, for each instance.
#[derive(Default)]
pub(super) struct Known(Mutex<BTreeMap<PluginName, Told>>);

struct Told {
    /// A new instance may serve others.
    instance: usize,
    at: Time,
    models: Result<Arc<[Model]>, AiError>,
}

/// A provider, and its own name for the model.
pub(super) struct Chosen {
    pub(super) plugin: Arc<PluginHandle>,
    pub(super) model: String,
    /// What the provider says of it, where it says anything.
    pub(super) known: Option<Model>,
}

impl Chosen {
    /// The name that everybody else knows it by.
    pub(super) fn public_name(&self) -> String {
        format!("{}/{}", self.plugin.name(), self.model)
    }
}

impl Broker {
    /// The models of all providers that run, named `plugin/model`. A provider that cannot say which it has is left out.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn models(&self) -> Vec<Model> {
        let providers = self.providers();
        let asked = providers.iter().map(|plugin| async move { (plugin, self.models_of(plugin).await) });
        let mut models = Vec::new();
        for (plugin, told) in join_all(asked).await {
            let Ok(told) = told else { continue };
            models.extend(
                told.iter().map(|model| Model { id: format!("{}/{}", plugin.name(), model.id), ..model.clone() }),
            );
        }
        models
    }

    /// What is known of the model that would be asked first, its name as `plugin/model`.
    ///
    /// # Errors
    /// `ModelNotFound` where there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn first_choice(&self, models: &[String]) -> Result<Model, AiError> {
        let chosen = self.candidates(models, |model| model.abilities.chat).await?.into_iter().next();
        let Some(chosen) = chosen else { return Err(AiError::no_model("")) };
        let id = chosen.public_name();
        Ok(Model { id, ..chosen.known.unwrap_or_else(|| Model::new(chosen.model)) })
    }

    /// The providers that run, in the bundle's order.
    fn providers(&self) -> Vec<Arc<PluginHandle>> {
        let plugins = self.plugins.load();
        plugins.plugins().filter(|plugin| plugin.instance().ai_provider().is_some()).cloned().collect()
    }

    /// A provider's models, as it told them at most a minute ago.
    pub(super) async fn models_of(&self, plugin: &Arc<PluginHandle>) -> Result<Arc<[Model]>, AiError> {
        let (now, instance) = (self.clock.now(), Arc::as_ptr(plugin).addr());
        {
            let known = self.known.0.lock().unwrap_or_else(PoisonError::into_inner);
            let told = known.get(plugin.name()).filter(|told| {
                let age = now.as_micros().saturating_sub(told.at.as_micros());
                let remembered = if told.models.is_ok() { REMEMBERED } else { FAILURE_REMEMBERED };
                told.instance == instance && (0..remembered.as_micros() as i64).contains(&age)
            });
            if let Some(told) = told {
                return told.models.clone();
            }
        }
        let asked = plugin.call("models", plugin.timeouts().connect, |instance| {
            Box::pin(async move {
                match instance.ai_provider() {
                    Some(provider) => provider.models().await,
                    None => Ok(Vec::new()),
                }
            })
        });
        let answer = asked.await.map_err(|error| lost(plugin, &error)).and_then(|answer| answer);
        let models = answer.map(Arc::from);
        let told = Told { instance, at: now, models: models.clone() };
        self.known.0.lock().unwrap_or_else(PoisonError::into_inner).insert(plugin.name().clone(), told);
        models
    }

    /// The provider of one name: `plugin/model`, or `plugin` for the first model of it that chats.
    pub(super) async fn find(&self, name: &str, wanted: fn(&Model) -> bool) -> Result<Chosen, AiError> {
        let (plugin, model) = name.split_once('/').map_or((name, None), |(plugin, model)| (plugin, Some(model)));
        let provider = self.providers().into_iter().find(|provider| provider.name().as_str() == plugin);
        let Some(provider) = provider else {
            let running =
                self.providers().iter().map(|plugin| plugin.name().to_string()).collect::<Vec<_>>().join(", ");
            let message = match running.as_str() {
                "" => format!("there is no model `{name}`: no AI provider runs"),
                running => format!("there is no model `{name}`: the AI providers that run are {running}"),
            };
            return Err(AiError::new(AiErrorKind::ModelNotFound, message));
        };
        let known = self.models_of(&provider).await;
        match model {
            Some(model) => {
                // Where a provider cannot say which models it has, it is asked for this one: it knows best.
                let known = known.ok().map(|known| known.to_vec());
                match known.as_ref().map(|known| known.iter().find(|known| known.id == model)) {
                    Some(None) => Err(AiError::no_model(name)),
                    found => {
                        let known = found.flatten().cloned();
                        Ok(Chosen { plugin: provider, model: model.to_owned(), known })
                    }
                }
            }
            None => match known?.iter().find(|model| wanted(model)) {
                Some(model) => Ok(Chosen { plugin: provider, model: model.id.clone(), known: Some(model.clone()) }),
                None => Err(AiError::new(AiErrorKind::ModelNotFound, format!("`{name}` has no such model"))),
            },
        }
    }

    /// The candidates for a request, in the order in which they are asked: the names, else the default ones, else the first
    /// provider that runs.
    pub(super) async fn candidates(
        &self,
        names: &[String],
        wanted: fn(&Model) -> bool,
    ) -> Result<Vec<Chosen>, AiError> {
        let defaults = self.quotas.load().default_models.clone();
        let names = match (names, defaults.as_slice()) {
            ([], []) => self.providers().iter().map(|plugin| plugin.name().to_string()).collect(),
            ([], defaults) => defaults.to_vec(),
            (names, _) => names.to_vec(),
        };
        let mut first = None;
        let mut candidates = Vec::new();
        for name in &names {
            match self.find(name, wanted).await {
                Ok(chosen) => candidates.push(chosen),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let none = || AiError::new(AiErrorKind::ModelNotFound, "no AI provider runs: an operator has to enable one");
        if candidates.is_empty() { Err(first.unwrap_or_else(none)) } else { Ok(candidates) }
    }
}

/// What it means that a call of a provider gave nothing.
pub(super) fn lost(plugin: &PluginHandle, error: &CallError) -> AiError {
    let kind = match error {
        CallError::Timeout => AiErrorKind::Timeout,
        CallError::Panicked(_) => AiErrorKind::Internal,
        CallError::Busy => AiErrorKind::RateLimited { retry_after: Some(Duration::from_secs(1)) },
        _ => AiErrorKind::Unavailable,
    };
    // A panic's words are the operator's alone, who finds them in the log.
    let message = match error {
        CallError::Panicked(_) => format!("`{}` failed", plugin.name()),
        error => format!("`{}`: {error}", plugin.name()),
    };
    AiError::new(kind, message)
}
