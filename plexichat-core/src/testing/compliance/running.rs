//! The part of the compliance suite that runs the plugin.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Subject;
use crate::descriptor::{Descriptor, FailMode, Hook, Registered};
use crate::pipeline::FileVerdict;
use crate::plugin::security::Security;
use crate::testing::fault::{self, Fault};
use crate::testing::host::TestHost;
use crate::testing::running::RunningPlugin;
use crate::testing::{TestResult, logs};

/// How long a plugin may take to stop.
const STOP_MAX: Duration = Duration::from_secs(5);

impl<P: Registered> Subject<P> {
    /// Enabled, disabled, enabled again; and it stops in the time it has.
    ///
    /// # Errors
    /// Where it does not.
    pub fn starts_stops_and_starts_again(&self) -> TestResult {
        crate::testing::run(async {
            let plugin = self.start().await?;
            for _ in 0..2 {
                let began = Instant::now();
                plugin.disable().await?;
                let took = began.elapsed();
                if took >= STOP_MAX {
                    return Err(
                        format!("`{}` took {took:?} to stop, it may take {STOP_MAX:?}", P::DESCRIPTOR.name).into()
                    );
                }
                plugin.enable().await?;
            }
            self.is_well(&plugin)
        })
    }

    /// A plugin that asks for permissions does not run before they are granted.
    ///
    /// # Errors
    /// Where it does.
    pub fn does_not_start_without_its_grant(&self) -> TestResult {
        crate::testing::run(async {
            let Some(permission) = P::DESCRIPTOR.permissions.first() else { return Ok(()) };
            match self.host().grant(&[]).start::<P>().await {
                Ok(_) => Err(format!("`{}` runs without the grant of {permission}", P::DESCRIPTOR.name).into()),
                Err(error) if error.to_string().contains(permission.as_str()) => Ok(()),
                Err(error) => Err(format!("the error does not name {permission}: {error}").into()),
            }
        })
    }

    /// A panic in any method that the host calls ends that call and nothing else; a hook's policy says what becomes of the
    /// message.
    ///
    /// # Errors
    /// Where more ends than the call.
    pub fn panics_are_contained(&self) -> TestResult {
        crate::testing::run(async {
            for method in fault::callable(P::DESCRIPTOR) {
                let plugin = self.host().fault(method, Fault::Panic).start::<P>().await?;
                self.strike(&plugin, method).await.map_err(|error| format!("a panic in `{method}`: {error}"))?;
            }
            Ok(())
        })
    }

    /// A scanner objects to every sample that it names, through a hook that it has.
    ///
    /// # Errors
    /// Where it lets one pass.
    pub fn samples_are_objected_to(&self) -> TestResult {
        crate::testing::run(async {
            let plugin = self.start().await?;
            let running = plugin.host().manager.snapshot().plugin(&P::DESCRIPTOR.plugin_name()).cloned();
            let samples = running.as_ref().and_then(|running| running.instance().security()).map(Security::canaries);
            let homeless = samples.iter().flatten().find(|sample| P::DESCRIPTOR.hook(sample.hook()).is_none());
            if let Some(sample) = homeless {
                let hook = sample.hook().as_str();
                return Err(format!("`{}` names the {sample:?} and has no `{hook}`", P::DESCRIPTOR.name).into());
            }
            match plugin.check_canaries().await.as_slice() {
                [] => self.is_well(&plugin),
                missed => Err(format!("`{}` lets samples pass: {missed:?}", P::DESCRIPTOR.name).into()),
            }
        })
    }

    /// A command that is called without arguments answers, if only with its usage.
    ///
    /// # Errors
    /// Where a call panics or takes too long.
    pub fn commands_answer_without_arguments(&self) -> TestResult {
        crate::testing::run(async {
            for command in P::DESCRIPTOR.commands {
                let plugin = self.start().await?;
                plugin.post("alice", &format!("/{}", command.name)).await?;
                plugin.idle().await?;
                self.is_well(&plugin).map_err(|error| format!("/{}: {error}", command.name))?;
            }
            Ok(())
        })
    }

    /// What a schema marks as secret is in no log and no message.
    ///
    /// # Errors
    /// Where it is.
    pub fn secrets_stay_secret(&self) -> TestResult {
        crate::testing::run(async {
            logs::keep();
            let canary = format!("canary-{}", crate::id::MessageId::new());
            let config = self.sample(Some(&canary));
            let plugin = TestHost::new().config(config.clone()).start::<P>().await?;
            plugin.post("alice", "hello").await.ok();
            plugin.idle().await?;
            plugin.disable().await?;
            let mut wrong = config.clone();
            wrong["not_a_setting"] = json!(1);
            let problems = (P::DESCRIPTOR.entry.check_config)(&wrong);
            let refused = plugin.reconfigure(wrong).await.err().map(|error| error.to_string()).unwrap_or_default();
            let shown = crate::secret::mask(&(P::DESCRIPTOR.entry.config_schema)(), &config);
            for (place, text) in [
                ("a finding", format!("{problems:?}")),
                ("a refusal", refused),
                ("the configuration as it is shown", shown.to_string()),
                ("the log", logs::with(&canary).join("\n")),
            ] {
                if text.contains(&canary) {
                    return Err(format!("{place} of `{}` has a secret: {text}", P::DESCRIPTOR.name).into());
                }
            }
            Ok(())
        })
    }

    pub(super) fn host(&self) -> TestHost {
        TestHost::new().config(self.sample(None))
    }

    pub(super) async fn start(&self) -> TestResult<RunningPlugin<P>> {
        self.host().start::<P>().await
    }

    /// Provokes a call of the method, and looks at what is left of the host.
    async fn strike(&self, plugin: &RunningPlugin<P>, method: &str) -> TestResult {
        let descriptor: &Descriptor = P::DESCRIPTOR;
        let text = match descriptor.commands.iter().find(|command| command.method == method) {
            Some(command) => format!("/{}", command.name),
            None => "hello".to_owned(),
        };
        if method == Hook::ScanFile.as_str() {
            let report = plugin.scan_file("a.txt", *b"hello").await?;
            return match (P::DESCRIPTOR.hook(Hook::ScanFile).map(|policy| policy.on_error), &report.verdict) {
                (Some(FailMode::Quarantine), FileVerdict::Waiting) => Ok(()),
                // `open` needs the operator's word too, who said nothing.
                (Some(FailMode::Closed | FailMode::Open), FileVerdict::Unavailable { .. }) => Ok(()),
                (policy, verdict) => Err(format!("the policy is {policy:?}, and the file is {verdict:?}").into()),
            };
        }
        if self.strike_role(plugin, method).await?.is_some() {
            return self.host_is_up(plugin).await;
        }
        let posted = plugin.post("alice", &text).await;
        let policy = [Hook::RewriteMessage, Hook::ScanMessage]
            .into_iter()
            .find(|hook| hook.as_str() == method)
            .and_then(|hook| descriptor.hook(hook));
        match (policy.map(|policy| policy.on_error), &posted) {
            // `open` needs the operator's word too, who said nothing.
            (Some(FailMode::Closed | FailMode::Open), Ok(_)) => {
                return Err("the message went through, and the hook's policy is `closed`".into());
            }
            (Some(FailMode::Closed | FailMode::Open), Err(_)) | (_, Ok(_)) => {}
            (_, Err(refusal)) => return Err(format!("a message was refused: {refusal}").into()),
        }
        plugin.idle().await?;
        self.host_is_up(plugin).await
    }

    /// Without the plugin, since whatever failed in it may close the road.
    async fn host_is_up(&self, plugin: &RunningPlugin<P>) -> TestResult {
        // The panic may be in `cleanup`, and so show itself here.
        plugin.disable().await?;
        plugin.post("alice", "is anybody there?").await.map_err(|refusal| format!("the host is down: {refusal}"))?;
        Ok(())
    }

    pub(super) fn is_well(&self, plugin: &RunningPlugin<P>) -> TestResult {
        match plugin.last_error() {
            None => Ok(()),
            Some(error) => Err(format!("`{}` failed: {error:?}", P::DESCRIPTOR.name).into()),
        }
    }
}
