//! The engine held against two others: a forward pass written down here, without memory, blocks or speed, and llama.cpp.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;
use std::io::Cursor;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use plexichat_local_ai::gguf::Head;
use plexichat_local_ai::network::{Memory, Network};
use plexichat_local_ai::shape::Shape;
use plexichat_local_ai::tokens::Tokens;
use plexichat_local_ai::weights::{Weights, check as check_weights};
use plexichat_tiny_gguf::{File, Kind, Storage, Tensor as TinyTensor, TinyModel, Value};

fn load(file: &File) -> (Network, Tokens) {
    let mut source = Cursor::new(file.to_bytes());
    let head = Head::read(&mut source).unwrap();
    let shape = Shape::read(&head).unwrap();
    check_weights(&head, &shape).unwrap();
    let weights = Weights::read(&mut source, &head, &shape).unwrap();
    (Network::new(shape, weights), Tokens::read(&head).unwrap())
}

/// How likely each token is after these, as logarithms of shares.
fn log_shares(likely: &[f32]) -> Vec<f64> {
    let largest = likely.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = likely.iter().map(|number| f64::from(number - largest).exp()).sum();
    likely.iter().map(|number| f64::from(number - largest) - sum.ln()).collect()
}

/// What is in each tensor, in double precision.
type Numbers = HashMap<String, Vec<f64>>;

fn numbers_of(file: &File) -> Numbers {
    let numbers = |tensor: &TinyTensor| tensor.numbers().into_iter().map(f64::from).collect();
    file.tensors.iter().map(|tensor| (tensor.name.clone(), numbers(tensor))).collect()
}

/// The forward pass, as the papers write it: every token from the beginning, in double precision.
fn naive(file: &File, numbers: &Numbers, tokens: &[u32]) -> Vec<f64> {
    let count = |key: &str| match file.metadata.iter().find(|(known, _)| known == &format!("llama.{key}")) {
        Some((_, Value::U32(number))) => *number as usize,
        _ => panic!("{key}"),
    };
    let (width, layers) = (count("embedding_length"), count("block_count"));
    let (heads, key_heads) = (count("attention.head_count"), count("attention.head_count_kv"));
    let head = width / heads;
    let times = |matrix: &[f64], vector: &[f64]| -> Vec<f64> {
        matrix.chunks(vector.len()).map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
    };
    let norm = |vector: &[f64], weights: &[f64]| -> Vec<f64> {
        let mean = vector.iter().map(|number| number * number).sum::<f64>() / vector.len() as f64;
        vector.iter().zip(weights).map(|(number, weight)| number / (mean + 1e-5).sqrt() * weight).collect()
    };
    let turned = |mut vector: Vec<f64>, position: usize| {
        for (at, pair) in vector.chunks_mut(2).enumerate() {
            let angle = position as f64 / 10_000_f64.powf(2.0 * (at % (head / 2)) as f64 / head as f64);
            let (sine, cosine) = angle.sin_cos();
            (pair[0], pair[1]) = (pair[0] * cosine - pair[1] * sine, pair[0] * sine + pair[1] * cosine);
        }
        vector
    };
    let input = &numbers["token_embd.weight"];
    let mut inside: Vec<Vec<f64>> =
        tokens.iter().map(|token| input[*token as usize * width..][..width].to_vec()).collect();
    for layer in 0..layers {
        let weights = |name: &str| &numbers[&format!("blk.{layer}.{name}.weight")];
        let normed: Vec<Vec<f64>> = inside.iter().map(|vector| norm(vector, weights("attn_norm"))).collect();
        let of_all = |name: &str| -> Vec<Vec<f64>> {
            let matrix = weights(name);
            normed.iter().map(|vector| times(matrix, vector)).collect()
        };
        let at_place = |vectors: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            vectors.into_iter().enumerate().map(|(position, vector)| turned(vector, position)).collect()
        };
        let (questions, keys, values) = (at_place(of_all("attn_q")), at_place(of_all("attn_k")), of_all("attn_v"));
        for token in 0..tokens.len() {
            let mut seen = Vec::new();
            for number in 0..heads {
                let question = &questions[token][number * head..][..head];
                let column = number * key_heads / heads * head;
                let scores = (0..=token).map(|other| {
                    let key = &keys[other][column..][..head];
                    (question.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() / (head as f64).sqrt()).exp()
                });
                let scores: Vec<f64> = scores.collect();
                let sum: f64 = scores.iter().sum();
                seen.extend(
                    (0..head).map(|at| {
                        (0..=token).map(|other| scores[other] / sum * values[other][column + at]).sum::<f64>()
                    }),
                );
            }
            let attention = times(weights("attn_output"), &seen);
            inside[token].iter_mut().zip(attention).for_each(|(to, what)| *to += what);
        }
        for vector in &mut inside {
            let normed = norm(vector, weights("ffn_norm"));
            let (gate, up) = (times(weights("ffn_gate"), &normed), times(weights("ffn_up"), &normed));
            let inner: Vec<f64> = gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
            vector.iter_mut().zip(times(weights("ffn_down"), &inner)).for_each(|(to, what)| *to += what);
        }
    }
    let last = norm(inside.last().unwrap(), &numbers["output_norm.weight"]);
    let output = numbers.get("output.weight").unwrap_or(input);
    times(output, &last)
}

/// Compares the engine with the naive pass after each of some tokens: the share of the result that is wrong. Blocks are
/// multiplied with vectors that are rounded to blocks as well, as in llama.cpp: with them a share of a hundredth is right.
fn difference(file: &File, numbers: &Numbers) -> f64 {
    let (network, _) = load(file);
    let tokens = [1, 300, 261, 270, 9, 9, 200, 33];
    let mut memory = Memory::new(&network.shape);
    // The first five at once, the others one by one.
    let (mut wrong, mut all) = (0.0, 0.0);
    for until in 5..=tokens.len() {
        let known = memory.tokens();
        let likely = network.next(&mut memory, &tokens[known..until]);
        let expected = naive(file, numbers, &tokens[..until]);
        for (found, expected) in likely.iter().zip(&expected) {
            wrong += (f64::from(*found) - expected).powi(2);
            all += expected.powi(2);
        }
    }
    (wrong / all).sqrt()
}

#[test]
fn it_computes_what_a_naive_forward_pass_does() {
    for seed in 1..=2 {
        for tied in [false, true] {
            for (storage, allowed) in [(Storage::F32, 1e-5), (Storage::Q8, 0.03), (Storage::Q4, 0.03)] {
                let model = TinyModel { storage, tied, ..TinyModel::new(seed, Kind::SentencePiece) };
                let file = model.file();
                let wrong = difference(&file, &numbers_of(&file));
                assert!(wrong < allowed, "seed {seed}, {storage:?}, tied {tied}: {wrong}");
            }
        }
    }
}

/// The types that models are mostly found in, in blocks of 256.
#[test]
fn it_reads_k_quants() {
    let mut model = TinyModel::new(5, Kind::SentencePiece);
    (model.shape.width, model.shape.inner, model.shape.layers) = (256, 256, 1);
    for (kind, number) in [(GgmlDType::Q4K, 12), (GgmlDType::Q5K, 13), (GgmlDType::Q6K, 14)] {
        let mut file = model.file();
        let mut numbers = numbers_of(&file);
        for tensor in file.tensors.iter_mut().filter(|tensor| tensor.lengths.len() == 2) {
            let lengths = (tensor.lengths[1], tensor.lengths[0]);
            let floats = Tensor::from_vec(tensor.numbers(), lengths, &Device::Cpu).unwrap();
            let blocks = QTensor::quantize(&floats, kind).unwrap();
            tensor.data = blocks.data().unwrap().into_owned();
            tensor.kind = number;
            let again = blocks.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            numbers.insert(tensor.name.clone(), again.into_iter().map(f64::from).collect());
        }
        let wrong = difference(&file, &numbers);
        assert!(wrong < 0.03, "{kind:?}: {wrong}");
    }
}

/// What llama.cpp (xllamacpp 2026.10.11549) answered for the same files: the likeliest token after each, and the logarithms
/// of the shares of the five likeliest. It keeps the past in half floats, so the last digits differ.
struct Answer {
    model: TinyModel,
    allowed: f64,
    prompt: &'static [u32],
    tokens: &'static [u32],
    likeliest: &'static [&'static [(u32, f64)]],
}

#[track_caller]
fn check(answer: &Answer) {
    let (network, tokens) = load(&answer.model.file());
    let prompt = tokens.of_prompt("hello the user, what is this?");
    assert_eq!(prompt, answer.prompt);
    let mut memory = Memory::new(&network.shape);
    let mut likely = network.next(&mut memory, &prompt);
    for (at, token) in answer.tokens.iter().enumerate() {
        let shares = log_shares(&likely);
        let likeliest = (0..).zip(&shares).max_by(|one: &(u32, _), other| one.1.total_cmp(other.1)).unwrap();
        assert_eq!(likeliest.0, *token, "token {at}");
        for (token, expected) in answer.likeliest.get(at).copied().unwrap_or_default() {
            let found = shares[*token as usize];
            assert!((found - expected).abs() < answer.allowed, "token {at}: {found} for {token}, not {expected}");
        }
        likely = network.next(&mut memory, &[*token]);
    }
}

#[test]
fn it_answers_as_llama_cpp_does() {
    let model = |seed, kind, storage| TinyModel { storage, ..TinyModel::new(seed, kind) };
    let pieces = &[1, 307, 261, 272, 341, 332, 327, 260, 328, 346];
    check(&Answer {
        model: model(11, Kind::SentencePiece, Storage::F32),
        allowed: 0.005,
        prompt: pieces,
        tokens: &[411, 386, 105, 23, 55, 171, 55, 171],
        likeliest: &[
            &[(411, -4.02866), (55, -4.24996), (253, -4.36513), (302, -4.52673), (307, -4.53457)],
            &[(386, -3.63332), (298, -3.65133), (124, -3.93239), (251, -4.01454), (115, -4.03884)],
            &[(105, -3.75539), (298, -3.98362), (411, -4.08999), (331, -4.22714), (386, -4.26524)],
            &[(23, -3.56493), (248, -4.0514), (150, -4.0534), (167, -4.46223), (363, -4.49977)],
            &[(55, -4.3239), (397, -4.4299), (226, -4.43338), (13, -4.48082), (310, -4.48873)],
            &[(171, -3.42334), (298, -3.83236), (55, -3.87456), (269, -4.06553), (244, -4.13792)],
            &[(55, -3.96775), (93, -4.04698), (212, -4.14835), (312, -4.42543), (173, -4.44507)],
            &[(171, -3.41623), (55, -3.84026), (248, -3.90767), (93, -4.03742), (253, -4.06344)],
        ],
    });
    check(&Answer {
        model: model(12, Kind::SentencePiece, Storage::Q8),
        allowed: 0.05,
        prompt: pieces,
        tokens: &[163, 163, 163, 163, 163, 103, 416, 14],
        likeliest: &[
            &[(163, -3.66911), (274, -3.91448), (5, -3.95346), (224, -3.97393), (371, -4.09434)],
            &[(163, -3.18823), (212, -3.51688), (79, -3.90946), (274, -3.93647), (298, -4.01658)],
            &[(163, -3.2967), (212, -3.6942), (364, -4.05911), (143, -4.12679), (79, -4.15955)],
            &[(163, -3.40569), (283, -3.89397), (79, -4.01732), (143, -4.03022), (364, -4.11887)],
        ],
    });
    check(&Answer {
        model: model(13, Kind::SentencePiece, Storage::Q4),
        allowed: 0.05,
        prompt: pieces,
        tokens: &[238, 292, 60, 367, 217, 15, 82],
        likeliest: &[],
    });
    check(&Answer {
        model: model(14, Kind::ByteLevel, Storage::Q8),
        allowed: 0.05,
        prompt: &[333, 308, 258, 269, 44, 329, 324, 257, 325, 63],
        tokens: &[78, 167, 191, 72, 23, 302, 113, 196],
        likeliest: &[
            &[(78, -2.97976), (123, -3.56415), (281, -3.6355), (305, -3.72849), (203, -3.88793)],
            &[(167, -2.99971), (257, -3.24363), (232, -4.09156), (16, -4.09897), (175, -4.14943)],
        ],
    });
}

#[test]
fn what_it_forgets_leaves_no_trace() {
    let (network, _) = load(&TinyModel::new(4, Kind::ByteLevel).file());
    let mut memory = Memory::new(&network.shape);
    let expected = network.next(&mut memory, &[333, 1, 2, 3]);
    network.next(&mut memory, &[40, 50, 60]);
    memory.keep(2, &network.shape);
    assert_eq!(memory.tokens(), 2);
    assert_eq!(network.next(&mut memory, &[2, 3]), expected);
}
