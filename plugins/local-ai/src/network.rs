//! The llama architecture: from tokens to how likely each next one is. Norms, attention over what was said before, the
//! feed-forward part. Knows no text and no file.

use crate::shape::Shape;
use crate::weights::{Layer, Weights};

/// The keys and values of the tokens so far, by layer: what attention looks back at.
pub struct Memory {
    layers: Vec<Kept>,
    tokens: usize,
}

#[derive(Default)]
struct Kept {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Memory {
    /// Nothing said yet.
    pub fn new(shape: &Shape) -> Self {
        Self { layers: (0..shape.layers).map(|_| Kept::default()).collect(), tokens: 0 }
    }

    /// How many tokens it knows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Forgets all but the first tokens.
    pub fn keep(&mut self, tokens: usize, shape: &Shape) {
        for layer in &mut self.layers {
            layer.keys.truncate(tokens * shape.keys());
            layer.values.truncate(tokens * shape.keys());
        }
        self.tokens = self.tokens.min(tokens);
    }
}

/// A model that can be run.
pub struct Network {
    /// Its lengths and constants.
    pub shape: Shape,
    weights: Weights,
    /// How far one position turns each pair of a head.
    speeds: Vec<f32>,
}

impl Network {
    /// A model of these tensors.
    pub fn new(shape: Shape, weights: Weights) -> Self {
        let pairs = shape.turned / 2;
        let speeds = (0..pairs).map(|pair| {
            let speed = f64::from(shape.turn_base).powf(-(2.0 * pair as f64) / shape.turned as f64);
            let divisor = weights.turn_divisors.as_ref().map_or(1.0, |divisors| f64::from(divisors[pair]));
            (speed / divisor / f64::from(shape.turn_factor)) as f32
        });
        let speeds = speeds.collect();
        Self { shape, weights, speeds }
    }

    /// Takes in the next tokens; how likely each token is to follow, not yet as shares of one.
    ///
    /// # Panics
    /// Where there is no token, or one is not of the vocabulary.
    pub fn next(&self, memory: &mut Memory, tokens: &[u32]) -> Vec<f32> {
        let width = self.shape.width;
        let turns = self.turns(memory.tokens, tokens.len());
        let mut inside = self.weights.input.rows(tokens);
        for (layer, kept) in self.weights.layers.iter().zip(&mut memory.layers) {
            let seen = self.attend(layer, kept, &self.normed(&inside, &layer.before_attention), &turns);
            add(&mut inside, &layer.attention.times(&seen));
            let normed = self.normed(&inside, &layer.before_inner);
            let mut gate = layer.gate.times(&normed);
            for (gate, up) in gate.iter_mut().zip(layer.up.times(&normed)) {
                *gate = *gate / (1.0 + (-*gate).exp()) * up;
            }
            add(&mut inside, &layer.down.times(&gate));
        }
        memory.tokens += tokens.len();
        let last = self.normed(&inside[inside.len() - width..], &self.weights.before_output);
        self.weights.output.as_ref().unwrap_or(&self.weights.input).times(&last)
    }

    /// Sine and cosine of each pair at each of these positions.
    fn turns(&self, first: usize, count: usize) -> Vec<(f32, f32)> {
        let positions = first..first + count;
        positions
            .flat_map(|position| self.speeds.iter().map(move |speed| (position as f32 * speed).sin_cos()))
            .collect()
    }

    fn normed(&self, vectors: &[f32], weights: &[f32]) -> Vec<f32> {
        let width = self.shape.width;
        let mut normed = Vec::with_capacity(vectors.len());
        for vector in vectors.chunks_exact(width) {
            let mean = vector.iter().map(|number| number * number).sum::<f32>() / width as f32;
            let scale = 1.0 / (mean + self.shape.epsilon).sqrt();
            normed.extend(vector.iter().zip(weights).map(|(number, weight)| number * scale * weight));
        }
        normed
    }

    /// What each new token sees of itself and of those before it.
    fn attend(&self, layer: &Layer, kept: &mut Kept, inside: &[f32], turns: &[(f32, f32)]) -> Vec<f32> {
        let Shape { heads, key_heads, head, .. } = self.shape;
        let row = self.shape.keys();
        let mut questions = layer.questions.times(inside);
        let mut keys = layer.keys.times(inside);
        self.turn(&mut questions, heads, turns);
        self.turn(&mut keys, key_heads, turns);
        let before = kept.keys.len() / row;
        kept.keys.extend_from_slice(&keys);
        kept.values.extend(layer.values.times(inside));

        let scale = 1.0 / (head as f32).sqrt();
        let mut seen = vec![0.0; questions.len()];
        let mut shares = Vec::new();
        for (at, (question, seen)) in questions.chunks_exact(head).zip(seen.chunks_exact_mut(head)).enumerate() {
            let (token, number) = (at / heads, at % heads);
            let column = number / (heads / key_heads) * head;
            let known = before + token + 1;
            shares.clear();
            let keys = kept.keys.chunks_exact(row).take(known);
            shares.extend(keys.map(|key| dot(question, &key[column..column + head]) * scale));
            make_shares(&mut shares);
            for (share, value) in shares.iter().zip(kept.values.chunks_exact(row)) {
                for (seen, value) in seen.iter_mut().zip(&value[column..column + head]) {
                    *seen += share * value;
                }
            }
        }
        seen
    }

    /// Turns the neighbouring pairs of each head by the position of its token.
    fn turn(&self, vectors: &mut [f32], heads: usize, turns: &[(f32, f32)]) {
        let Shape { head, turned, .. } = self.shape;
        let tokens = vectors.chunks_exact_mut(heads * head).zip(turns.chunks_exact((turned / 2).max(1)));
        for (token, turns) in tokens {
            for vector in token.chunks_exact_mut(head) {
                for (pair, (sine, cosine)) in vector[..turned].chunks_exact_mut(2).zip(turns) {
                    let (one, other) = (pair[0], pair[1]);
                    pair[0] = one * cosine - other * sine;
                    pair[1] = one * sine + other * cosine;
                }
            }
        }
    }
}

/// Makes numbers into shares that add up to one.
pub fn make_shares(numbers: &mut [f32]) {
    let largest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for number in numbers.iter_mut() {
        *number = (*number - largest).exp();
        sum += *number;
    }
    for number in numbers.iter_mut() {
        *number /= sum;
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    // Eight sums side by side: a single one would have each step wait for the one before.
    let mut sums = [0.0_f32; 8];
    let (one, other) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest: f32 = one.remainder().iter().zip(other.remainder()).map(|(one, other)| one * other).sum();
    for (one, other) in one.zip(other) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
    }
}
