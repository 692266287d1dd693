//! The transitions as a table, and what holds whatever happens.

use super::*;

fn name(text: &str) -> PluginName {
    text.parse().unwrap()
}

/// Plugins from text: `a`, `b>a` (requires a), `s!` (required), `p?` (lacks a permission), `x-` (not linked).
fn plugins(text: &str) -> Lifecycle {
    let mut lifecycle = Lifecycle::default();
    for word in text.split_whitespace() {
        let (word, needs) = word.split_once('>').unwrap_or((word, ""));
        let own = word.trim_end_matches(['!', '?', '-']);
        let needs = needs.split(',').filter(|need| !need.is_empty());
        let facts = Facts {
            linked: !word.contains('-'),
            needs: needs.map(|need| Need { name: name(need), unfit: None }).collect(),
            missing: if word.contains('?') { vec![Permission::NetworkAccess] } else { Vec::new() },
            required: word.contains('!'),
        };
        lifecycle.add(name(own), State::Installed, false, facts);
    }
    lifecycle
}

fn command(word: &str) -> Command {
    let (verb, own) = word.split_once(':').unwrap_or((word, ""));
    match verb {
        "boot" => Command::Boot,
        "install" => Command::Install(name(own), Facts { linked: true, ..Facts::default() }),
        "uninstall" => Command::Uninstall(name(own)),
        "enable" => Command::Enable(name(own)),
        "disable" => Command::Disable(name(own)),
        "ok" => Command::Started(name(own)),
        "no" => Command::StartFailed(name(own), "no".to_owned()),
        "lost" => Command::Lost(name(own), "lost".to_owned()),
        "quarantine" => Command::Quarantine(name(own), Time::from_micros(0), "often".to_owned()),
        "release" => Command::Release(name(own)),
        other => panic!("no command {other}"),
    }
}

fn run(text: &str, commands: &str) -> (Lifecycle, String) {
    let mut lifecycle = plugins(text);
    let mut last = String::new();
    for word in commands.split_whitespace() {
        let (next, result) = step(lifecycle, command(word));
        lifecycle = next;
        last = match result {
            Ok(effects) => effects.iter().map(show).collect::<Vec<_>>().join(" "),
            Err(refusal) => refusal.to_string(),
        };
    }
    (lifecycle, last)
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::Start(name) => format!("start:{name}"),
        Effect::Stop(name) => format!("stop:{name}"),
        Effect::Save(name) => format!("save:{name}"),
        Effect::Remove(name) => format!("remove:{name}"),
    }
}

/// What the last command answers, and the states afterwards.
#[track_caller]
fn check(text: &str, commands: &str, answer: &str, states: &str) {
    let (lifecycle, last) = run(text, commands);
    let shown: Vec<String> = lifecycle
        .states()
        .map(|(name, state)| match state.cause() {
            Some(cause) => format!("{name}={}({cause})", state.as_str()),
            None => format!("{name}={}", state.as_str()),
        })
        .collect();
    assert_eq!((last.as_str(), shown.join(" ").as_str()), (answer, states), "{text}: {commands}");
}

#[test]
fn one_plugin_is_enabled_and_disabled() {
    check("a", "enable:a", "save:a start:a", "a=starting");
    check("a", "enable:a ok:a", "", "a=enabled");
    check("a", "enable:a ok:a enable:a", "", "a=enabled");
    check("a", "enable:a no:a", "", "a=failed(no)");
    check("a", "enable:a no:a enable:a", "save:a start:a", "a=starting");
    check("a", "enable:a ok:a disable:a", "save:a stop:a", "a=disabled");
    check("a", "enable:a ok:a disable:a disable:a", "", "a=disabled");
    check("a", "enable:a ok:a disable:a enable:a ok:a", "", "a=enabled");
    check("a", "ok:a", "", "a=installed");
    check("a", "enable:b", "no plugin named `b` is linked into this binary", "a=installed");
}

#[test]
fn installing_and_uninstalling() {
    check("a", "install:a", "plugin `a` is installed already", "a=installed");
    check("a", "uninstall:a", "stop:a remove:a", "a=linked");
    check("a", "uninstall:a enable:a", "plugin `a` is not installed", "a=linked");
    check("a", "uninstall:a uninstall:a", "plugin `a` is not installed", "a=linked");
    check("a", "uninstall:a install:a", "save:a", "a=installed");
    check("a", "install:b", "no plugin named `b` is linked into this binary", "a=installed");
    check("x-", "install:x", "no plugin named `x` is linked into this binary", "x=installed");
    check("x-", "enable:x", "save:x", "x=blocked(it is not linked into this binary)");
    check("x-", "uninstall:x", "stop:x remove:x", "");
}

#[test]
fn what_is_missing_blocks() {
    check("p?", "enable:p", "save:p", "p=blocked(it was not granted network_access)");
    check("b>a", "enable:b", "save:b", "b=blocked(it requires `a`, which is not linked into this binary)");
    check("a b>a", "enable:b", "save:b", "a=installed b=blocked(it requires `a`, which is installed)");
    check("a b>a", "enable:b enable:a ok:a", "start:b", "a=enabled b=starting");
    check("a b>a", "enable:b enable:a no:a", "", "a=failed(no) b=blocked(it requires `a`, which is failed)");
    check("a b>a c>b", "enable:c enable:b enable:a ok:a ok:b", "start:c", "a=enabled b=enabled c=starting");
    check(
        "a b c>a,b",
        "enable:c enable:a ok:a",
        "",
        "a=enabled b=installed c=blocked(it requires `b`, which is installed)",
    );
}

#[test]
fn what_others_need_is_not_disabled() {
    let running = "enable:a ok:a enable:b ok:b";
    let refused = "plugin `a` is required by `b`";
    check("a b>a", &format!("{running} disable:a"), refused, "a=enabled b=enabled");
    check("a b>a", &format!("{running} uninstall:a"), refused, "a=enabled b=enabled");
    check("a b>a", &format!("{running} disable:b disable:a"), "save:a stop:a", "a=disabled b=disabled");
    check(
        "s!",
        "enable:s ok:s disable:s",
        "plugin `s` has a required hook: without it every message would be refused",
        "s=enabled",
    );
}

#[test]
fn what_breaks_takes_its_dependants_along_and_back() {
    let running = "enable:a ok:a enable:b ok:b enable:c ok:c";
    check(
        "a b>a c>b",
        &format!("{running} lost:a"),
        "stop:c stop:b stop:a",
        "a=failed(lost) b=blocked(it requires `a`, which is failed) c=blocked(it requires `b`, which is blocked)",
    );
    check(
        "a b>a",
        "enable:a ok:a enable:b ok:b quarantine:a",
        "stop:b stop:a save:a",
        "a=quarantined(often) b=blocked(it requires `a`, which is quarantined)",
    );
    check("a b>a", "enable:a ok:a enable:b ok:b lost:a enable:a ok:a", "start:b", "a=enabled b=starting");
    check("s!", "enable:s ok:s quarantine:s", "stop:s save:s", "s=quarantined(often)");
}

#[test]
fn quarantine_ends_with_a_release() {
    check("a", "enable:a ok:a quarantine:a enable:a", "plugin `a` is quarantined", "a=quarantined(often)");
    check("a", "enable:a ok:a quarantine:a release:a", "save:a start:a", "a=starting");
    check("a", "release:a", "plugin `a` is not quarantined", "a=installed");
    check("a", "enable:a ok:a quarantine:a disable:a", "save:a stop:a", "a=disabled");
    check("a", "enable:a ok:a quarantine:a boot", "", "a=quarantined(often)");
}

#[test]
fn boot_starts_what_is_wanted() {
    let mut lifecycle = plugins("a b>a c");
    for wanted in ["a", "b"] {
        lifecycle.plugins.get_mut(&name(wanted)).unwrap().wanted = true;
    }
    let (lifecycle, effects) = step(lifecycle, Command::Boot);
    assert_eq!(effects, Ok(vec![Effect::Start(name("a"))]));
    assert_eq!(step(lifecycle, Command::Started(name("a"))).1, Ok(vec![Effect::Start(name("b"))]));
}

#[test]
fn plugins_that_require_each_other_stay_blocked() {
    check(
        "a>b b>a",
        "enable:a enable:b",
        "save:b",
        "a=blocked(it requires `b`, which is installed) b=blocked(it requires `a`, which is blocked)",
    );
}

#[test]
fn dependants_stop_first() {
    let (lifecycle, _) = run("a b>a c>b d", "enable:a ok:a enable:b ok:b enable:c ok:c enable:d ok:d");
    assert_eq!(lifecycle.stop_order(), [vec![name("c"), name("d")], vec![name("b")], vec![name("a")]]);
}

/// Random commands on random plugins; after each of them what must hold holds.
#[test]
fn whatever_happens() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    println!("SEED={seed}");
    let mut random = Random(seed | 1);
    for _ in 0..200 {
        let names = ["a", "b", "c", "d", "e"];
        let text: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(index, own)| {
                let needs: Vec<&str> = names[..index].iter().copied().filter(|_| random.below(3) == 0).collect();
                let mark = ["", "", "", "!", "?"][random.below(5)];
                format!("{own}{mark}>{}", needs.join(","))
            })
            .collect();
        let mut lifecycle = plugins(&text.join(" "));
        let mut running = BTreeSet::new();
        for _ in 0..100 {
            let verb =
                ["enable", "disable", "ok", "ok", "ok", "no", "lost", "quarantine", "release", "uninstall", "install"]
                    [random.below(11)];
            let word = format!("{verb}:{}", names[random.below(5)]);
            let before = lifecycle.clone();
            let (next, result) = step(lifecycle, command(&word));
            lifecycle = next;
            match result {
                Err(_) => assert_eq!(lifecycle, before, "refused and changed: {word}"),
                Ok(effects) => {
                    for effect in effects {
                        match effect {
                            Effect::Start(name) => assert!(running.insert(name), "started twice: {word}"),
                            Effect::Stop(name) => {
                                running.remove(&name);
                            }
                            Effect::Save(_) | Effect::Remove(_) => {}
                        }
                    }
                }
            }
            running.retain(|name| !matches!(lifecycle.state(name), Some(State::Failed { cause }) if cause == "no"));
            check_invariants(&lifecycle, &running, &word);
        }
    }
}

#[track_caller]
fn check_invariants(lifecycle: &Lifecycle, running: &BTreeSet<PluginName>, word: &str) {
    for (name, plugin) in &lifecycle.plugins {
        let needs_met = plugin.facts.needs.iter().all(|need| lifecycle.state(&need.name) == Some(&State::Enabled));
        assert_eq!(plugin.state.runs(), running.contains(name), "{word}: `{name}` runs, or not: {plugin:?}");
        assert!(!plugin.state.runs() || needs_met, "{word}: `{name}` runs without what it requires");
        assert!(!plugin.state.runs() || plugin.facts.missing.is_empty(), "{word}: `{name}` runs without its grant");
        assert!(!plugin.state.runs() || plugin.wanted, "{word}: `{name}` runs and nobody wants it");
        if let State::Blocked { cause } = &plugin.state {
            assert!(!needs_met || !plugin.facts.missing.is_empty(), "{word}: `{name}` is blocked by nothing: {cause}");
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
