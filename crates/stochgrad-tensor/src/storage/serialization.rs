//! Tensors and shapes as data: a shape is the list of its sizes, and a tensor its shape and its elements in row-major
//! order.

use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::real::Real;
use crate::storage::shape::Shape;
use crate::storage::tensor::Tensor;

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<usize>::deserialize(deserializer).map(Shape::from)
    }
}

impl<F: Real + Serialize> Serialize for Tensor<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tensor = serializer.serialize_struct("Tensor", 2)?;
        tensor.serialize_field("shape", self.shape())?;
        tensor.serialize_field("elements", self.as_slice())?;
        tensor.end()
    }
}

#[derive(Deserialize)]
#[serde(rename = "Tensor", deny_unknown_fields)]
struct Content<F> {
    shape: Shape,
    elements: Vec<F>,
}

impl<'de, F: Real + Deserialize<'de>> Deserialize<'de> for Tensor<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Content { shape, elements } = Content::deserialize(deserializer)?;
        Tensor::new(elements, shape).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        serde_json::from_str::<Tensor<f64>>(text).unwrap_err().to_string()
    }

    #[test]
    fn tensors_and_shapes_come_back() {
        let tensor = Tensor::from([[1.0, -2.5], [0.1, 1e3]]);
        let text = serde_json::to_string(&tensor).unwrap();
        assert_eq!(text, r#"{"shape":[2,2],"elements":[1.0,-2.5,0.1,1000.0]}"#);
        assert_eq!(serde_json::from_str::<Tensor<f64>>(&text).unwrap(), tensor);
        for tensor in [Tensor::scalar(0.5_f32), Tensor::zeros([2, 0])] {
            let text = serde_json::to_string(&tensor).unwrap();
            assert_eq!(serde_json::from_str::<Tensor<f32>>(&text).unwrap(), tensor);
        }
        assert_eq!(serde_json::from_str::<Shape>("[2, 3]").unwrap(), Shape::from([2, 3]));
    }

    #[test]
    fn wrong_content_is_an_error() {
        let message = problem(r#"{"shape": [3], "elements": [1.0, 2.0]}"#);
        assert!(message.contains("expected 3 element(s) for shape [3], got 2"), "{message}");
        let message = problem(r#"{"shape": [1], "elements": [1.0], "plates": 1}"#);
        assert!(message.contains("unknown field `plates`, expected `shape` or `elements`"), "{message}");
        // JSON has no NaN: it is written as null, which is no number.
        let nan = serde_json::to_string(&Tensor::scalar(f64::NAN)).unwrap();
        assert!(problem(&nan).contains("null"));
    }
}
