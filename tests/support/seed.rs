//! Random choices from one number that is printed, so that a failed plan can be replayed: `PLEXICHAT_SEED=…`.

/// A small generator (SplitMix64): the same seed gives the same choices everywhere.
#[derive(Clone)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From `PLEXICHAT_SEED`, else from the clock; printed, so that a failure shows it.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("PLEXICHAT_SEED").ok().map(|text| text.parse().expect("PLEXICHAT_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_micros() as u64
        });
        println!("PLEXICHAT_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `every` times, on average.
    pub(crate) fn one_in(&mut self, every: u64) -> bool {
        self.below(every) == 0
    }
}
