//! One pass over the text for everything that begins like a secret; only where something does is a detector asked. Knows
//! the beginnings, not what must follow.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{Detector, Found, Guess, Wanted, assignment, jwt, private_key, token};

/// Whose beginning a literal is.
#[derive(Clone, Copy)]
enum Begins {
    PrivateKey(usize),
    Token(usize),
    Jwt,
    Assignment,
}

struct Prefilter {
    automaton: AhoCorasick,
    begins: Vec<Begins>,
}

static PREFILTER: LazyLock<Prefilter> = LazyLock::new(|| {
    let keys =
        private_key::BEGINNINGS.iter().enumerate().map(|(index, (_, literal))| (*literal, Begins::PrivateKey(index)));
    let tokens = token::TOKENS.iter().enumerate().map(|(index, token)| (token.prefix, Begins::Token(index)));
    let names = assignment::NAMES.iter().map(|name| (*name, Begins::Assignment));
    let (literals, begins): (Vec<&str>, Vec<Begins>) =
        keys.chain(tokens).chain([(jwt::PREFIX, Begins::Jwt)]).chain(names).unzip();
    let automaton = AhoCorasick::builder()
        // Names are written in any case; whoever cares looks at the case again.
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(literals)
        .expect("the literals are a few hundred bytes");
    Prefilter { automaton, begins }
});

/// Builds the automaton, so that the first message does not wait for it.
pub(crate) fn warm() {
    LazyLock::force(&PREFILTER);
}

/// Adds what the detectors of secrets find.
pub(super) fn find(text: &str, wanted: Wanted, guess: Guess, found: &mut Vec<Found>) {
    let any = [Detector::PrivateKey, Detector::Token, Detector::JsonWebToken, Detector::Assignment];
    if !any.into_iter().any(|detector| wanted.has(detector)) {
        return;
    }
    // A run that was looked at is not looked at again for the same kind from a later beginning inside it, so each byte is
    // read a few times at most, whatever the text is.
    let mut done = [0; Detector::ALL.len() + private_key::BEGINNINGS.len() + token::TOKENS.len()];
    for hit in PREFILTER.automaton.find_overlapping_iter(text) {
        let begins = PREFILTER.begins[hit.pattern().as_usize()];
        let detector = match begins {
            Begins::PrivateKey(_) => Detector::PrivateKey,
            Begins::Token(_) => Detector::Token,
            Begins::Jwt => Detector::JsonWebToken,
            Begins::Assignment => Detector::Assignment,
        };
        let done = match begins {
            Begins::PrivateKey(index) => &mut done[Detector::ALL.len() + index],
            Begins::Token(index) => &mut done[Detector::ALL.len() + private_key::BEGINNINGS.len() + index],
            _ => &mut done[detector as usize],
        };
        if !wanted.has(detector) || hit.start() < *done {
            continue;
        }
        let looked = match begins {
            Begins::PrivateKey(index) => private_key::at(text, hit.start(), index),
            Begins::Token(index) => token::at(text, hit.start(), index),
            Begins::Jwt => jwt::at(text, hit.start()),
            Begins::Assignment => assignment::at(text, hit.range(), guess),
        };
        *done = looked.upto.max(*done);
        found.extend(looked.found.map(|(name, range)| Found { detector, name, range }));
    }
}

/// What a detector saw from one beginning on.
pub(super) struct Looked {
    /// What it is, and where.
    pub(super) found: Option<(&'static str, std::ops::Range<usize>)>,
    /// Up to where nothing else of its kind begins.
    pub(super) upto: usize,
}

impl Looked {
    /// Nothing, and whatever begins behind the first byte may still be something.
    pub(super) const NOTHING: Self = Self { found: None, upto: 0 };
}
