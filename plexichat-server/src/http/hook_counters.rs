//! What is counted of each hook of each plugin, as Prometheus reads it. The counts are the host's own: nothing is looked up
//! at a call.

use std::fmt::Write;

use plexichat::standing::{HookCounts, SAMPLED};

/// The histogram's name.
const SECONDS: &str = "plexichat_hook_seconds";

/// Copies the counters.
pub(super) fn count(hooks: &[HookCounts]) {
    for hook in hooks {
        let labels = [("plugin", hook.plugin.to_string()), ("hook", hook.hook.to_owned())];
        metrics::counter!("plexichat_hook_calls_total", &labels).absolute(hook.calls);
        metrics::counter!("plexichat_unscanned_total", &labels).absolute(hook.unscanned);
        for (failure, count) in hook.failures.iter().filter(|(_, count)| *count > 0) {
            let [plugin, hook] = labels.clone();
            let labels = [plugin, hook, ("kind", failure.as_str().to_owned())];
            metrics::counter!("plexichat_hook_failures_total", &labels).absolute(*count);
        }
    }
}

/// The times of the calls that were timed, as text: a histogram that is filled elsewhere cannot be copied into a recorder.
pub(super) fn seconds(hooks: &[HookCounts]) -> String {
    let timed: Vec<_> = hooks.iter().filter(|hook| hook.timed > 0).collect();
    if timed.is_empty() {
        return String::new();
    }
    let mut text =
        format!("# HELP {SECONDS} Time of a hook's call; one call of {SAMPLED} is timed\n# TYPE {SECONDS} histogram\n");
    for hook in timed {
        let labels = format!("plugin=\"{}\",hook=\"{}\"", hook.plugin, hook.hook);
        let mut line = |suffix: &str, more: &str, value: &dyn std::fmt::Display| {
            // Writing to a `String` does not fail.
            let _ = writeln!(text, "{SECONDS}{suffix}{{{labels}{more}}} {value}");
        };
        for (most, count) in &hook.buckets {
            line("_bucket", &format!(",le=\"{}\"", most.as_secs_f64()), count);
        }
        line("_bucket", ",le=\"+Inf\"", &hook.timed);
        line("_sum", "", &hook.time.as_secs_f64());
        line("_count", "", &hook.timed);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    #[test]
    fn times_are_a_histogram() {
        let hook = HookCounts {
            plugin: "word-filter".parse().unwrap(),
            hook: "scan_message",
            calls: 130,
            failures: Vec::new(),
            unscanned: 0,
            buckets: vec![(Duration::from_micros(10), 1), (Duration::from_millis(1), 2)],
            timed: 3,
            time: Duration::from_millis(1500),
        };
        expect![[r##"
            # HELP plexichat_hook_seconds Time of a hook's call; one call of 64 is timed
            # TYPE plexichat_hook_seconds histogram
            plexichat_hook_seconds_bucket{plugin="word-filter",hook="scan_message",le="0.00001"} 1
            plexichat_hook_seconds_bucket{plugin="word-filter",hook="scan_message",le="0.001"} 2
            plexichat_hook_seconds_bucket{plugin="word-filter",hook="scan_message",le="+Inf"} 3
            plexichat_hook_seconds_sum{plugin="word-filter",hook="scan_message"} 1.5
            plexichat_hook_seconds_count{plugin="word-filter",hook="scan_message"} 3
        "##]]
        .assert_eq(&seconds(std::slice::from_ref(&hook)));
        assert_eq!(seconds(&[HookCounts { timed: 0, ..hook }]), "");
    }
}
