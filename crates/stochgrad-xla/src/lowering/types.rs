//! The types of values: an element type and a shape.

use std::fmt;
use stochgrad_tensor::{Real, Shape};

/// The type of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Truth values.
    Bool,
    /// Signed integers of 32 bits.
    I32,
    /// Signed integers of 64 bits.
    I64,
    /// Unsigned integers of 32 bits.
    U32,
    /// Unsigned integers of 64 bits.
    U64,
    /// Floating-point numbers of 32 bits.
    F32,
    /// Floating-point numbers of 64 bits.
    F64,
}

impl Element {
    /// The element type of tensors of `F`.
    pub fn of<F: Real>() -> Self {
        if F::NAME == "f32" { Element::F32 } else { Element::F64 }
    }

    /// Its name in StableHLO.
    pub fn name(self) -> &'static str {
        match self {
            Element::Bool => "i1",
            Element::I32 => "i32",
            Element::I64 => "i64",
            Element::U32 => "ui32",
            Element::U64 => "ui64",
            Element::F32 => "f32",
            Element::F64 => "f64",
        }
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Element::F32 | Element::F64)
    }

    /// The number of bits of an element.
    pub fn bits(self) -> usize {
        match self {
            Element::Bool => 1,
            Element::I32 | Element::U32 | Element::F32 => 32,
            Element::I64 | Element::U64 | Element::F64 => 64,
        }
    }

    /// The integers without sign that have as many bits, into which elements are cast bit by bit.
    pub fn word(self) -> Self {
        match self {
            Element::Bool => Element::Bool,
            Element::I32 | Element::U32 | Element::F32 => Element::U32,
            Element::I64 | Element::U64 | Element::F64 => Element::U64,
        }
    }
}

/// The type of a value.
///
/// ```
/// use stochgrad_xla::lowering::types::{Element, TensorType};
///
/// assert_eq!(TensorType::new(Element::F32, [2, 3]).to_string(), "tensor<2x3xf32>");
/// assert_eq!(TensorType::scalar(Element::Bool).to_string(), "tensor<i1>");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The type of the elements.
    pub element: Element,
    /// The sizes of the axes.
    pub shape: Shape,
}

impl TensorType {
    /// The type of tensors with these elements and axes.
    pub fn new(element: Element, shape: impl Into<Shape>) -> Self {
        TensorType { element, shape: shape.into() }
    }

    /// The type of tensors without axes.
    pub fn scalar(element: Element) -> Self {
        TensorType { element, shape: Shape::scalar() }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor<")?;
        for size in self.shape.iter() {
            write!(f, "{size}x")?;
        }
        write!(f, "{}>", self.element.name())
    }
}
