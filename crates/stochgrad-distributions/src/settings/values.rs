//! The values of a parameter as a file states them.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// The values of a parameter in a file: a number, lists of numbers for its axes, or a tensor with its shape. With the
/// feature `serde`.
///
/// ```
/// use stochgrad_distributions::ParameterValues;
///
/// let values: ParameterValues = serde_json::from_str("[[1, 0], [0.5, 2]]")?;
/// assert_eq!(values.tensor().shape()[..], [2, 2]);
/// assert_eq!(serde_json::to_string(&values)?, "[[1.0,0.0],[0.5,2.0]]");
/// assert!(serde_json::from_str::<ParameterValues>("[[1, 0], [2]]").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterValues(Tensor<f64>);

impl ParameterValues {
    /// The values of a parameter.
    pub fn new(tensor: impl Into<Tensor<f64>>) -> Self {
        ParameterValues(tensor.into())
    }

    /// The values, with their shape.
    pub fn tensor(&self) -> &Tensor<f64> {
        &self.0
    }

    /// The values as a constant.
    pub(super) fn on<'t, F: Real>(&self, tape: &'t Tape<F>) -> Var<'t, F> {
        tape.constant(self.0.cast::<F>())
    }
}

impl Serialize for ParameterValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Lists without elements do not state the sizes of the axes inside.
        if self.0.as_slice().is_empty() {
            return self.0.serialize(serializer);
        }
        Rows { shape: self.0.shape(), elements: self.0.as_slice() }.serialize(serializer)
    }
}

/// Elements in row-major order, as nested lists.
struct Rows<'a> {
    shape: &'a [usize],
    elements: &'a [f64],
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some((&count, shape)) = self.shape.split_first() else {
            return serializer.serialize_f64(self.elements[0]);
        };
        let mut rows = serializer.serialize_seq(Some(count))?;
        for elements in self.elements.chunks(self.elements.len() / count) {
            rows.serialize_element(&Rows { shape, elements })?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for ParameterValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = ParameterValues;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, lists of numbers, or a tensor with its shape")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ParameterValues, E> {
        Ok(ParameterValues(Tensor::scalar(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ParameterValues, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ParameterValues, E> {
        self.visit_f64(number as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<ParameterValues, A::Error> {
        let (mut shape, mut elements, mut count) = (None, Vec::new(), 0);
        while let Some(ParameterValues(row)) = rows.next_element()? {
            let expected: &Shape = shape.get_or_insert_with(|| row.shape().clone());
            if row.shape() != expected {
                let problem = format!("expected lists of one shape, got {expected} and then {}", row.shape());
                return Err(A::Error::custom(problem));
            }
            elements.extend_from_slice(row.as_slice());
            count += 1;
        }
        let inner = shape.unwrap_or_else(Shape::scalar);
        let axes: Vec<usize> = std::iter::once(count).chain(inner.iter().copied()).collect();
        Tensor::new(elements, axes).map(ParameterValues).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ParameterValues, A::Error> {
        Tensor::deserialize(MapAccessDeserializer::new(map)).map(ParameterValues)
    }
}
