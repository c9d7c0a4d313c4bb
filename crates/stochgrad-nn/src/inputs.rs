//! The inputs of a step.

use stochgrad_tape::IntoTensor;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The plate of [`Inputs::batch`].
const BATCH: &str = "batch";

/// The inputs of one step by name: the minibatch, and other values that change from step to step. A model records them
/// with [`Record::input`](crate::Record::input).
///
/// ```
/// use stochgrad_nn::Inputs;
/// use stochgrad_tensor::Tensor;
///
/// let images = Tensor::zeros([50, 64]);
/// let inputs = Inputs::<f32>::new().batch("images", images).batch("labels", Tensor::zeros([50])).value("weight", 0.5);
/// assert_eq!(inputs.get("weight"), Some(&Tensor::scalar(0.5)));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs<F: Real> {
    entries: Vec<Input<F>>,
    /// The number of members of the data set of which the minibatch is a part.
    data_set_size: Option<usize>,
}

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input<F: Real> {
    pub(crate) name: String,
    /// The plate of its leading axis.
    pub(crate) plate: Option<String>,
    pub(crate) tensor: Tensor<F>,
}

impl<F: Real> Default for Inputs<F> {
    fn default() -> Self {
        Self { entries: Vec::new(), data_set_size: None }
    }
}

impl<F: Real> Inputs<F> {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds data whose leading axis is the plate `batch`, over which costs are averaged. All inputs of a minibatch
    /// share the plate. An input of the same name is replaced.
    pub fn batch(self, name: impl Into<String>, value: impl IntoTensor<F>) -> Self {
        self.along(BATCH, name, value)
    }

    /// Adds data whose leading axis is a plate with a name of its own, as for [`batch`](Self::batch).
    pub fn along(self, plate: impl Into<String>, name: impl Into<String>, value: impl IntoTensor<F>) -> Self {
        self.with(Input { name: name.into(), plate: Some(plate.into()), tensor: value.into_tensor() })
    }

    /// Adds a value without plates. An input of the same name is replaced.
    pub fn value(self, name: impl Into<String>, value: impl IntoTensor<F>) -> Self {
        self.with(Input { name: name.into(), plate: None, tensor: value.into_tensor() })
    }

    /// Sets the number of members of the data set of which the minibatch is a part.
    /// [`Record::cost`](crate::Record::cost) divides costs that all members share by it, and
    /// [`Record::data_set_size`](crate::Record::data_set_size) returns it.
    pub fn of_data_set(self, size: usize) -> Self {
        Self { data_set_size: Some(size), ..self }
    }

    fn with(mut self, input: Input<F>) -> Self {
        match self.entries.iter_mut().find(|known| known.name == input.name) {
            Some(known) => *known = input,
            None => self.entries.push(input),
        }
        self
    }

    /// The value of an input.
    pub fn get(&self, name: &str) -> Option<&Tensor<F>> {
        self.find(name).map(|input| &input.tensor)
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|input| input.name.as_str())
    }

    /// The plate of the members of the minibatch: `batch` if an input lies on it, and otherwise that of the first input
    /// with a plate.
    pub fn members_plate(&self) -> Option<&str> {
        self.minibatch().and_then(|input| input.plate.as_deref())
    }

    /// The number of members of the minibatch: the length of [its plate](Self::members_plate).
    ///
    /// ```
    /// use stochgrad_nn::Inputs;
    ///
    /// let inputs = Inputs::<f32>::new().value("weight", 0.5).batch("labels", [3.0, 1.0, 4.0]);
    /// assert_eq!(inputs.members(), Some(3));
    /// ```
    pub fn members(&self) -> Option<usize> {
        self.minibatch().and_then(|input| input.tensor.shape().first().copied())
    }

    /// The first input that lies on the plate of the members.
    fn minibatch(&self) -> Option<&Input<F>> {
        let on_batch = self.entries.iter().find(|input| input.plate.as_deref() == Some(BATCH));
        on_batch.or_else(|| self.entries.iter().find(|input| input.plate.is_some()))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Input<F>> {
        self.entries.iter().find(|input| input.name == name)
    }

    pub(crate) fn data_set_size(&self) -> Option<usize> {
        self.data_set_size
    }

    pub(crate) fn signature(&self) -> Signature {
        let entries = self.entries.iter();
        let inputs = entries.map(|input| (input.name.clone(), input.plate.clone(), input.tensor.shape().clone()));
        Signature { inputs: inputs.collect(), data_set_size: self.data_set_size }
    }
}

/// Everything about some inputs but their values.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Names, plates and shapes.
    inputs: Vec<(String, Option<String>, Shape)>,
    data_set_size: Option<usize>,
}

impl Signature {
    /// Whether some inputs have these names, plates and shapes, in this order, and are of a data set of this size.
    pub(crate) fn fits<F: Real>(&self, inputs: &Inputs<F>) -> bool {
        self.inputs.len() == inputs.entries.len()
            && self.data_set_size == inputs.data_set_size
            && self.inputs.iter().zip(&inputs.entries).all(|((name, plate, shape), input)| {
                *name == input.name && *plate == input.plate && shape == input.tensor.shape()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_of_the_same_name_is_replaced() {
        let inputs = Inputs::<f64>::new().batch("x", [1.0, 2.0]).value("y", 3.0).value("x", 4.0);
        assert_eq!(inputs.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(inputs.get("x"), Some(&Tensor::scalar(4.0)));
        assert!(inputs.get("z").is_none());
    }

    #[test]
    fn the_members_are_those_of_the_batch_or_of_the_first_plate() {
        let inputs = Inputs::<f64>::new().value("y", [1.0, 2.0]);
        assert_eq!((inputs.members_plate(), inputs.members()), (None, None));
        let inputs = inputs.along("points", "z", Tensor::zeros([5, 2]));
        assert_eq!((inputs.members_plate(), inputs.members()), (Some("points"), Some(5)));
        let inputs = inputs.batch("x", Tensor::zeros([3, 2]));
        assert_eq!((inputs.members_plate(), inputs.members()), (Some("batch"), Some(3)));
    }

    #[test]
    fn a_signature_is_of_names_plates_and_shapes() {
        let made = |count: usize, plate: &str| Inputs::<f64>::new().along(plate, "x", Tensor::zeros([count, 2]));
        let signature = made(3, "batch").signature();
        assert!(signature.fits(&Inputs::new().batch("x", Tensor::<f64>::ones([3, 2]))));
        assert!(!signature.fits(&made(4, "batch")) && !signature.fits(&made(3, "points")));
        assert!(!signature.fits(&made(3, "batch").value("y", 1.0)) && !signature.fits(&Inputs::<f64>::new()));
        assert!(!signature.fits(&made(3, "batch").of_data_set(30)));
    }
}
