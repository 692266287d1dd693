//! Which token is next: the likeliest, or one drawn by its share. Knows no text.

use crate::network::make_shares;

/// How a token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// 0 takes the likeliest; the higher, the more even are all.
    pub temperature: f32,
    /// Only the likeliest tokens that make up this share.
    pub top_p: f32,
    /// Only so many of the likeliest; 0 takes all.
    pub top_k: usize,
    /// Against tokens that came, once for each time.
    pub frequency_penalty: f32,
    /// Against tokens that came at all.
    pub presence_penalty: f32,
}

/// Chooses tokens, the same ones for the same seed.
pub struct Sampler {
    choice: Choice,
    state: u64,
}

impl Sampler {
    /// Draws by this seed.
    pub fn new(choice: Choice, seed: u64) -> Self {
        Self { choice, state: seed }
    }

    /// The next token. `said` are those of the answer so far.
    pub fn next(&mut self, mut likely: Vec<f32>, said: &[u32]) -> u32 {
        let Choice { temperature, top_p, top_k, frequency_penalty, presence_penalty } = self.choice;
        if frequency_penalty != 0.0 || presence_penalty != 0.0 {
            for (at, token) in said.iter().enumerate() {
                let likely = &mut likely[*token as usize];
                *likely -= frequency_penalty;
                if !said[..at].contains(token) {
                    *likely -= presence_penalty;
                }
            }
        }
        let mut order: Vec<u32> = (0..likely.len() as u32).collect();
        let likelier = |one: &u32, other: &u32| {
            let (one_likely, other_likely) = (likely[*one as usize], likely[*other as usize]);
            other_likely.total_cmp(&one_likely).then(one.cmp(other))
        };
        let kept = if top_k == 0 { order.len() } else { top_k.min(order.len()) };
        if temperature <= 0.0 || kept == 1 {
            return order.into_iter().min_by(likelier).expect("a vocabulary has a token");
        }
        if kept < order.len() {
            order.select_nth_unstable_by(kept - 1, likelier);
            order.truncate(kept);
        }
        order.sort_unstable_by(likelier);
        let mut shares: Vec<f32> = order.iter().map(|token| likely[*token as usize] / temperature).collect();
        make_shares(&mut shares);
        let mut sum = 0.0;
        let enough = shares.iter().position(|share| {
            sum += share;
            sum >= top_p
        });
        shares.truncate(enough.map_or(shares.len(), |at| at + 1));
        let mut drawn = self.draw() * shares.iter().sum::<f32>();
        let at = shares.iter().position(|share| {
            drawn -= share;
            drawn < 0.0
        });
        order[at.unwrap_or(shares.len() - 1)]
    }

    /// A number from 0 to below 1, by SplitMix64.
    fn draw(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Choice =
        Choice { temperature: 1.0, top_p: 1.0, top_k: 0, frequency_penalty: 0.0, presence_penalty: 0.0 };

    /// How often each of four tokens is drawn, of 10 000 times.
    #[track_caller]
    fn check(choice: Choice, said: &[u32], expected: [u32; 4]) {
        let mut sampler = Sampler::new(choice.clone(), 7);
        // Shares of 0.1, 0.2, 0.3 and 0.4.
        let likely: Vec<f32> = [0.1_f32, 0.2, 0.3, 0.4].iter().map(|share| share.ln()).collect();
        let mut counts = [0; 4];
        for _ in 0..10_000 {
            counts[sampler.next(likely.clone(), said) as usize] += 1;
        }
        for (count, expected) in counts.iter().zip(expected) {
            assert!(u32::abs_diff(*count, expected) <= 150, "{choice:?}: {counts:?}");
        }
    }

    #[test]
    fn tokens_are_drawn_by_their_shares() {
        check(PLAIN, &[], [1000, 2000, 3000, 4000]);
        check(Choice { temperature: 0.0, ..PLAIN }, &[], [0, 0, 0, 10_000]);
        check(Choice { top_k: 2, ..PLAIN }, &[], [0, 0, 4286, 5714]);
        check(Choice { top_k: 1, ..PLAIN }, &[], [0, 0, 0, 10_000]);
        check(Choice { top_p: 0.65, ..PLAIN }, &[], [0, 0, 4286, 5714]);
        check(Choice { top_p: 0.0, ..PLAIN }, &[], [0, 0, 0, 10_000]);
        // At half the temperature shares are squared: 1, 4, 9 and 16 of 30.
        check(Choice { temperature: 0.5, ..PLAIN }, &[], [333, 1333, 3000, 5333]);
        check(Choice { presence_penalty: 20.0, ..PLAIN }, &[3, 3], [1667, 3333, 5000, 0]);
        check(Choice { temperature: 0.0, frequency_penalty: 0.2, ..PLAIN }, &[3, 3], [0, 0, 10_000, 0]);
        check(Choice { temperature: 0.0, presence_penalty: 0.2, ..PLAIN }, &[3, 3], [0, 0, 0, 10_000]);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let drawn = |seed| {
            let mut sampler = Sampler::new(PLAIN, seed);
            (0..50).map(|_| sampler.next(vec![0.0; 100], &[])).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
