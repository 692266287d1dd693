//! Which of two verdicts counts. Knows no engine.

use plexichat::message::Verdict;

/// The one that does more about it; of two alike the first, with the threats of both.
pub(crate) fn worse(first: Verdict, second: Verdict) -> Verdict {
    if rank(&second) > rank(&first) {
        return second;
    }
    match (first, second) {
        (Verdict::Reject(mut finding), Verdict::Reject(other)) => {
            let new: Vec<String> =
                other.threats.into_iter().filter(|threat| !finding.threats.contains(threat)).collect();
            finding.threats.extend(new);
            Verdict::Reject(finding)
        }
        (first, _) => first,
    }
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Flag(_) => 1,
        Verdict::Quarantine(_) => 2,
        // Whatever comes to be known later is worse than nothing.
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use plexichat::message::Finding;

    use super::*;

    #[test]
    fn the_worst_counts_and_threats_add_up() {
        let reject = |threat: &str| Verdict::Reject(Finding { threats: vec![threat.into()], ..Finding::new("virus") });
        let flag = Verdict::Flag(Finding::new("type_mismatch"));
        assert_eq!(worse(Verdict::Allow, flag.clone()), flag);
        assert_eq!(worse(flag.clone(), reject("a")), reject("a"));
        assert_eq!(worse(reject("a"), flag), reject("a"));
        let Verdict::Reject(both) = worse(worse(reject("a"), reject("b")), reject("a")) else { panic!("rejects") };
        assert_eq!(both.threats, ["a", "b"]);
    }
}
