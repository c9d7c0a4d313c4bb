//! One tensor of a checkpoint.

use std::any::Any;
use std::io::{self, Write};

use safetensors::Dtype;
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};

/// One tensor of a checkpoint: floating-point numbers of either precision, or integers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CheckpointTensor {
    /// Single precision.
    F32(Tensor<f32>),
    /// Double precision.
    F64(Tensor<f64>),
    /// Integers, such as counters, seeds and steps.
    U64 {
        /// The shape, whose product is the number of values.
        shape: Shape,
        /// The values, in row-major order.
        values: Vec<u64>,
    },
}

impl CheckpointTensor {
    /// The shape.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::F32(tensor) => tensor.shape(),
            Self::F64(tensor) => tensor.shape(),
            Self::U64 { shape, .. } => shape,
        }
    }

    pub(super) fn from_real<F: Real>(tensor: &Tensor<F>) -> NnResult<Self> {
        let any: &dyn Any = tensor;
        if let Some(single) = any.downcast_ref::<Tensor<f32>>() {
            Ok(Self::F32(single.clone()))
        } else if let Some(double) = any.downcast_ref::<Tensor<f64>>() {
            Ok(Self::F64(double.clone()))
        } else {
            Err(NnError::argument(
                "`tensor` of `Checkpoint::insert`",
                "elements of type f32 or f64",
                F::NAME,
                "convert it with `Tensor::cast`",
            ))
        }
    }

    pub(super) fn to_real<F: Real>(&self) -> Option<Tensor<F>> {
        let any: &dyn Any = match self {
            Self::F32(tensor) => tensor,
            Self::F64(tensor) => tensor,
            Self::U64 { .. } => return None,
        };
        any.downcast_ref::<Tensor<F>>().cloned()
    }

    /// Element type and shape, as in `f32 [2, 3]`.
    pub(super) fn type_name(&self) -> String {
        let element = match self {
            Self::F32(_) => f32::NAME,
            Self::F64(_) => f64::NAME,
            Self::U64 { .. } => "u64",
        };
        format!("{element} {}", self.shape())
    }

    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::U64 { .. } => Dtype::U64,
        }
    }

    pub(super) fn byte_length(&self) -> usize {
        match self {
            Self::F32(tensor) => 4 * tensor.len(),
            Self::F64(tensor) => 8 * tensor.len(),
            Self::U64 { values, .. } => 8 * values.len(),
        }
    }

    /// Writes the elements, little-endian; `out` should be buffered.
    pub(super) fn write_bytes(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::F32(tensor) => write_all(tensor.as_slice(), f32::to_le_bytes, out),
            Self::F64(tensor) => write_all(tensor.as_slice(), f64::to_le_bytes, out),
            Self::U64 { values, .. } => write_all(values, u64::to_le_bytes, out),
        }
    }

    /// The tensor with these little-endian elements, or `None` for a type that checkpoints do not use.
    pub(super) fn from_bytes(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Option<NnResult<Self>> {
        let shape = Shape::from(shape);
        match dtype {
            Dtype::F32 => {
                Some(Tensor::new(read_all(bytes, f32::from_le_bytes), shape).map(Self::F32).map_err(NnError::from))
            }
            Dtype::F64 => {
                Some(Tensor::new(read_all(bytes, f64::from_le_bytes), shape).map(Self::F64).map_err(NnError::from))
            }
            Dtype::U64 => Some(Ok(Self::U64 { values: read_all(bytes, u64::from_le_bytes), shape })),
            _ => None,
        }
    }
}

fn write_all<T: Copy, const N: usize>(
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
    out: &mut impl Write,
) -> io::Result<()> {
    values.iter().try_for_each(|&value| out.write_all(&bytes(value)))
}

fn read_all<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (words, _) = bytes.as_chunks::<N>();
    words.iter().map(|&word| value(word)).collect()
}
