//! The tensors of a model: which there must be, of which lengths, and their data as candle's quantised blocks. Knows what
//! they are called, not what is computed with them.

use std::borrow::Cow;
use std::io::SeekFrom;

use candle_core::CpuStorage;
use candle_core::quantized::{GgmlDType, QuantizedType};

use crate::error::ModelError;
use crate::gguf::{Head, Source, seek};
use crate::shape::Shape;

/// A matrix, its rows in blocks.
pub struct Matrix {
    blocks: Box<dyn QuantizedType>,
    columns: usize,
    rows: usize,
}

impl Matrix {
    /// Each row times each of these vectors, which lie one behind the other.
    pub fn times(&self, vectors: &[f32]) -> Vec<f32> {
        let count = vectors.len() / self.columns;
        let mut products = vec![0.0; count * self.rows];
        self.blocks
            .matmul_t((count, self.columns, self.rows), vectors, &mut products)
            .expect("lengths were compared when the file was read");
        products
    }

    /// These rows, one behind the other.
    pub fn rows(&self, numbers: &[u32]) -> Vec<f32> {
        match self.blocks.embedding(numbers, self.rows, self.columns) {
            Ok(CpuStorage::F32(rows)) => rows,
            _ => unreachable!("a token's number is below the length of the vocabulary, and rows are floats"),
        }
    }
}

/// The tensors of one layer.
pub struct Layer {
    pub(crate) before_attention: Vec<f32>,
    pub(crate) questions: Matrix,
    pub(crate) keys: Matrix,
    pub(crate) values: Matrix,
    pub(crate) attention: Matrix,
    pub(crate) before_inner: Vec<f32>,
    pub(crate) gate: Matrix,
    pub(crate) up: Matrix,
    pub(crate) down: Matrix,
}

/// All tensors.
pub struct Weights {
    pub(crate) input: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) before_output: Vec<f32>,
    /// Nothing where it is that of the input.
    pub(crate) output: Option<Matrix>,
    /// By which each speed of turning is divided; nothing where by one.
    pub(crate) turn_divisors: Option<Vec<f32>>,
}

const INPUT: &str = "token_embd.weight";
const OUTPUT: &str = "output.weight";
const BEFORE_OUTPUT: &str = "output_norm.weight";
const TURN_DIVISORS: &str = "rope_freqs.weight";

/// Holds every tensor that the file describes against what the model needs, and against the file's length; reads none.
///
/// # Errors
/// The first that is missing, of other lengths or of an unknown type, lies beyond the end, or is none of this architecture.
pub fn check(head: &Head, shape: &Shape) -> Result<(), ModelError> {
    let needed = names(shape);
    for (name, lengths) in &needed {
        place(head, name, lengths)?;
    }
    for (name, lengths) in [(OUTPUT, vec![shape.width, shape.vocabulary]), (TURN_DIVISORS, vec![shape.turned / 2])] {
        if head.tensor(name).is_some() {
            place(head, name, &lengths)?;
        }
    }
    let known = |name: &str| [OUTPUT, TURN_DIVISORS].contains(&name) || needed.iter().any(|(known, _)| known == name);
    match head.tensor_names().filter(|name| !known(name)).min() {
        Some(foreign) => Err(ModelError::tensor(foreign, "is none of a plain llama model, and would be left out")),
        None => Ok(()),
    }
}

/// How many bytes all tensors have.
pub fn size(head: &Head) -> u64 {
    let lengths = head.tensor_names().filter_map(|name| {
        let info = head.tensor(name)?;
        bytes_of(name, info.kind, &info.lengths).ok().map(|(_, bytes)| bytes)
    });
    lengths.sum()
}

/// The tensors without which there is no model, and their lengths.
fn names(shape: &Shape) -> Vec<(String, Vec<usize>)> {
    let Shape { width, inner, vocabulary, .. } = *shape;
    let (questions, keys) = (shape.questions(), shape.keys());
    let of_layer: [(&str, &[usize]); 9] = [
        ("attn_norm", &[width]),
        ("attn_q", &[width, questions]),
        ("attn_k", &[width, keys]),
        ("attn_v", &[width, keys]),
        ("attn_output", &[questions, width]),
        ("ffn_norm", &[width]),
        ("ffn_gate", &[width, inner]),
        ("ffn_up", &[width, inner]),
        ("ffn_down", &[inner, width]),
    ];
    let mut names = vec![(INPUT.to_owned(), vec![width, vocabulary]), (BEFORE_OUTPUT.to_owned(), vec![width])];
    for layer in 0..shape.layers {
        names.extend(of_layer.map(|(name, lengths)| (format!("blk.{layer}.{name}.weight"), lengths.to_vec())));
    }
    names
}

/// Where a tensor's data lie, once all that the file says of it is found right.
struct Place {
    kind: GgmlDType,
    begins: u64,
    bytes: usize,
}

fn place(head: &Head, name: &str, lengths: &[usize]) -> Result<Place, ModelError> {
    let info = head.tensor(name).ok_or_else(|| ModelError::tensor(name, "is missing"))?;
    let wanted: Vec<u64> = lengths.iter().map(|length| *length as u64).collect();
    if info.lengths != wanted {
        let problem = format!("has the lengths {:?}; {wanted:?} follow from the metadata", info.lengths);
        return Err(ModelError::tensor(name, problem));
    }
    let (kind, bytes) = bytes_of(name, info.kind, &info.lengths)?;
    let left = head.length.saturating_sub(info.begins);
    if bytes > left {
        let what = format!("tensor `{name}`");
        return Err(ModelError::Truncated { what, at: info.begins, needed: bytes, left });
    }
    Ok(Place { kind, begins: info.begins, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) })
}

/// The type of this number, and how many bytes so many numbers are in it.
fn bytes_of(name: &str, kind: u32, lengths: &[u64]) -> Result<(GgmlDType, u64), ModelError> {
    let kind = kind_of(kind).map_err(|known| {
        ModelError::tensor(name, format!("is of type {known}, which is not read; K-quants, Q8_0, F16 and others are"))
    })?;
    let (row, block) = (lengths[0], kind.block_size() as u64);
    if !row.is_multiple_of(block) {
        return Err(ModelError::tensor(name, format!("has rows of {row}, not of whole blocks of {block}")));
    }
    let numbers = lengths.iter().try_fold(1_u64, |product, length| product.checked_mul(*length));
    let bytes = numbers.and_then(|numbers| (numbers / block).checked_mul(kind.type_size() as u64));
    bytes.map(|bytes| (kind, bytes)).ok_or_else(|| ModelError::tensor(name, "has more numbers than can be counted"))
}

/// candle's type for GGML's number, or what GGML calls it.
fn kind_of(kind: u32) -> Result<GgmlDType, String> {
    Ok(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        16..=23 | 29 => return Err(format!("{kind} (one of the IQ types)")),
        34 | 35 => return Err(format!("{kind} (a ternary one)")),
        39 => return Err("39 (MXFP4)".to_owned()),
        other => return Err(other.to_string()),
    })
}

impl Weights {
    /// Reads all data. `head` and `shape` were [checked](check) against each other.
    ///
    /// # Errors
    /// Where the file cannot be read; it may have changed since.
    pub fn read(source: &mut dyn Source, head: &Head, shape: &Shape) -> Result<Self, ModelError> {
        let mut loader = Loader { source, head };
        let Shape { width, inner, vocabulary, .. } = *shape;
        let (questions, keys) = (shape.questions(), shape.keys());
        let layers = (0..shape.layers).map(|number| {
            let name = |part: &str| format!("blk.{number}.{part}.weight");
            Ok(Layer {
                before_attention: loader.vector(&name("attn_norm"), width)?,
                questions: loader.matrix(&name("attn_q"), width, questions)?,
                keys: loader.matrix(&name("attn_k"), width, keys)?,
                values: loader.matrix(&name("attn_v"), width, keys)?,
                attention: loader.matrix(&name("attn_output"), questions, width)?,
                before_inner: loader.vector(&name("ffn_norm"), width)?,
                gate: loader.matrix(&name("ffn_gate"), width, inner)?,
                up: loader.matrix(&name("ffn_up"), width, inner)?,
                down: loader.matrix(&name("ffn_down"), inner, width)?,
            })
        });
        let layers = layers.collect::<Result<_, ModelError>>()?;
        let output = head.tensor(OUTPUT).is_some().then(|| loader.matrix(OUTPUT, width, vocabulary)).transpose()?;
        let divisors = head.tensor(TURN_DIVISORS).is_some();
        Ok(Self {
            input: loader.matrix(INPUT, width, vocabulary)?,
            layers,
            before_output: loader.vector(BEFORE_OUTPUT, width)?,
            output,
            turn_divisors: divisors.then(|| loader.vector(TURN_DIVISORS, shape.turned / 2)).transpose()?,
        })
    }
}

struct Loader<'a> {
    source: &'a mut dyn Source,
    head: &'a Head,
}

impl Loader<'_> {
    fn blocks(&mut self, name: &str, lengths: &[usize]) -> Result<Box<dyn QuantizedType>, ModelError> {
        let Place { kind, begins, bytes } = place(self.head, name, lengths)?;
        seek(self.source, SeekFrom::Start(begins))?;
        let mut data = vec![0; bytes];
        let read = self.source.read_exact(&mut data);
        read.map_err(|source| ModelError::Read { what: format!("tensor `{name}`"), source })?;
        Ok(kind.from_data(Cow::Owned(data)))
    }

    fn matrix(&mut self, name: &str, columns: usize, rows: usize) -> Result<Matrix, ModelError> {
        Ok(Matrix { blocks: self.blocks(name, &[columns, rows])?, columns, rows })
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        match self.blocks(name, &[length])?.dequantize(length) {
            Ok(CpuStorage::F32(numbers)) => Ok(numbers),
            _ => Err(ModelError::tensor(name, "gave no floats")),
        }
    }
}
