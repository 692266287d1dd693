//! What is to be done about a text: every detector and limit that objects, and the strongest of them as one verdict. Knows
//! no host but its words for verdicts.

use plexichat::prelude::{Finding, Verdict};

use crate::config::{Action, Config, Measure};
use crate::detect::{Detector, Found, Guess, Wanted, find, find_unfinished};
use crate::fold::Text;
use crate::redact::Redaction;

/// How often a redacted text is redacted again before it is left to the scan, which refuses it.
const ROUNDS: usize = 3;

/// How many names of what was found a finding lists.
const THREATS_MAX: usize = 10;

/// The detectors with their actions.
pub(crate) struct Judge {
    actions: [Action; Detector::ALL.len()],
    looked_for: Wanted,
    redacted: Wanted,
    rejected: Wanted,
    guess: Guess,
    redaction: Redaction,
}

/// One reason against a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) measure: Measure,
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
}

impl Judge {
    pub(crate) fn new(config: &Config) -> Self {
        let detectors = &config.detectors;
        Self {
            actions: Detector::ALL.map(|detector| detectors.action(detector)),
            looked_for: detectors.with(&[Action::Flag, Action::Redact, Action::Quarantine, Action::Reject]),
            redacted: detectors.with(&[Action::Redact]),
            rejected: detectors.with(&[Action::Reject]),
            guess: (&config.assigned_secrets).into(),
            redaction: Redaction {
                replacement: config.redaction.replacement.clone(),
                keep_last_four: config.redaction.keep_last_four,
            },
        }
    }

    /// The detectors that look for something.
    pub(crate) fn looked_for(&self) -> Wanted {
        self.looked_for
    }

    /// The text without what is to be redacted; nothing where it stays as it is.
    pub(crate) fn redact(&self, original: &str) -> Option<String> {
        let mut text = Text::new(original);
        let mut found = find(&text, self.redacted, self.guess);
        // It will be rejected; redacting a part of it could hide the rest from that.
        if found.is_empty() || !find(&text, self.rejected, self.guess).is_empty() {
            return None;
        }
        let mut redacted = self.redaction.apply(original, &text, &found);
        for _ in 1..ROUNDS {
            text = Text::new(&redacted);
            found = find(&text, self.redacted, self.guess);
            if found.is_empty() {
                break;
            }
            redacted = self.redaction.apply(&redacted, &text, &found);
        }
        Some(redacted)
    }

    /// Whatever detectors have against a text that is not changed any more: what should have been redacted and is still there
    /// must not pass.
    pub(crate) fn objections(&self, text: &Text<'_>) -> Vec<Objection> {
        let found = find(text, self.looked_for, self.guess);
        found.iter().filter_map(|found| self.objection(found)).collect()
    }

    /// Whatever detectors find in a part of an answer, and in the beginning of something.
    pub(crate) fn find_in_reply(&self, text: &Text<'_>, last: bool) -> Vec<Found> {
        match last {
            true => find(text, self.looked_for, self.guess),
            false => find_unfinished(text, self.looked_for, self.guess),
        }
    }

    /// Whether something is to be withheld, not only told of.
    pub(crate) fn withholds(&self) -> bool {
        self.actions.iter().any(|action| !matches!(action, Action::Off | Action::Flag))
    }

    /// What is against it.
    pub(crate) fn objection(&self, found: &Found) -> Option<Objection> {
        let measure = match self.actions[found.detector as usize] {
            Action::Off => return None,
            Action::Flag => Measure::Flag,
            Action::Quarantine => Measure::Quarantine,
            Action::Redact | Action::Reject => Measure::Reject,
        };
        Some(Objection { measure, code: found.detector.code(), name: found.name })
    }
}

/// The strongest of the objections, with everything as strong by name; never a part of the text.
pub(crate) fn verdict(objections: &[Objection]) -> Verdict {
    let Some(measure) = objections.iter().map(|objection| objection.measure).max() else { return Verdict::Allow };
    let strongest = || objections.iter().filter(|objection| objection.measure == measure);
    let first = strongest().next().map_or("", |objection| objection.code);
    let distinct = |of: fn(&Objection) -> &'static str| {
        let mut names: Vec<&'static str> = strongest().map(of).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(THREATS_MAX);
        names
    };
    let codes: Vec<String> = distinct(|objection| objection.code).iter().map(|code| format!("`{code}`")).collect();
    let finding = Finding {
        threats: distinct(|objection| objection.name).into_iter().map(str::to_owned).collect(),
        detail: Some(format!("found by {}", codes.join(", "))),
        ..Finding::new(first)
    };
    match measure {
        Measure::Flag => Verdict::Flag(finding),
        Measure::Quarantine => Verdict::Quarantine(finding),
        Measure::Reject => Verdict::Reject(finding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objection(measure: Measure, code: &'static str) -> Objection {
        Objection { measure, code, name: code }
    }

    #[test]
    fn the_strongest_objection_counts() {
        assert_eq!(verdict(&[]), Verdict::Allow);
        let all = [objection(Measure::Flag, "a"), objection(Measure::Reject, "b"), objection(Measure::Quarantine, "c")];
        let Verdict::Reject(finding) = verdict(&all) else { panic!("{:?}", verdict(&all)) };
        assert_eq!((finding.code.as_str(), finding.threats), ("b", vec!["b".to_owned()]));
        assert!(matches!(verdict(&all[..1]), Verdict::Flag(_)));
    }

    #[test]
    fn what_is_rejected_is_not_redacted() {
        let judge = Judge::new(&Config::default());
        assert_eq!(judge.redact("nothing"), None);
        assert_eq!(judge.redact("4111 1111 1111 1111").as_deref(), Some("[card number removed]"));
        assert_eq!(judge.redact(&format!("4111 1111 1111 1111 {}", crate::samples::text(Detector::Token))), None);
    }
}
