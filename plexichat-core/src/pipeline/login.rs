//! Who wants to sign in, shown to every scanner that judges that. Knows no account and no password.

use std::sync::Arc;

use super::judge::Subject;
use super::{Pipeline, Refusal, told};
use crate::descriptor::Hook;
use crate::event::Event;
use crate::id::PluginName;
use crate::login::LoginAttempt;
use crate::message::{Finding, Verdict};

const SUBJECT: Subject = Subject { hook: Hook::CheckLogin, what: "an attempt to sign in" };

impl Pipeline {
    /// Asks every scanner that judges attempts to sign in. Best asked before the password is looked at: then what is answered
    /// tells nothing of it. Where nobody judges them it costs nothing.
    ///
    /// # Errors
    /// [`Refusal::LoginRejected`]: one objects. [`Refusal::ScannerUnavailable`]: one whose word is needed gives none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn check_login(&self, attempt: LoginAttempt) -> Result<(), Refusal> {
        let scanning = self.scanning_everywhere();
        SUBJECT.check_absent(&scanning)?;
        if scanning.entries(SUBJECT.hook).is_empty() {
            return Ok(());
        }
        let attempt = Arc::new(attempt);
        let shown = attempt.clone();
        let judged = SUBJECT.judge(&scanning, move |instance| {
            let attempt = shown.clone();
            Box::pin(async move {
                match instance.security() {
                    Some(security) => security.check_login(&attempt).await,
                    None => Ok(Verdict::Allow),
                }
            })
        });
        match judged.await {
            Ok(flagged) => {
                flagged.iter().for_each(|(plugin, finding)| self.alert_login("low", plugin, finding, &attempt));
                Ok(())
            }
            Err(Refusal::Rejected { plugin, finding }) => {
                self.alert_login("medium", &plugin, &finding, &attempt);
                let (name, address) = (&*attempt.name, attempt.address.map(|address| address.to_string()));
                tracing::info!(%plugin, name, address, code = %finding.code, "an attempt to sign in was rejected");
                Err(Refusal::LoginRejected { plugin, finding })
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn alert_login(&self, severity: &str, plugin: &PluginName, finding: &Finding, attempt: &LoginAttempt) {
        let from = attempt.address.map(|address| format!(" from {address}")).unwrap_or_default();
        let subject = format!("`{}` wants to sign in{from}", attempt.name);
        self.tail.announcer.announce(Event::new(told::alert(severity, plugin, finding, subject)));
    }
}
