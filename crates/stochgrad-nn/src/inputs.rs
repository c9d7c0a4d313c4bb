//! The inputs of a step.

use std::sync::Arc;

use smallvec::SmallVec;
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
    entries: SmallVec<[Input<F>; 4]>,
    /// The number of members of the data set of which the minibatch is a part.
    data_set_size: Option<usize>,
    /// The position of the first member in the minibatch, and the number of all of its members, if these are a part.
    part: Option<(usize, usize)>,
}

/// One input. Names are shared by clones, so that a source of data allocates nothing for a minibatch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input<F: Real> {
    pub(crate) name: Arc<str>,
    /// The plate of its leading axis.
    pub(crate) plate: Option<Arc<str>>,
    pub(crate) tensor: Tensor<F>,
}

impl<F: Real> Default for Inputs<F> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), data_set_size: None, part: None }
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
        let (name, plate) = (name.into().into(), plate.into().into());
        self.with(Input { name, plate: Some(plate), tensor: value.into_tensor() })
    }

    /// Adds a value without plates. An input of the same name is replaced.
    pub fn value(self, name: impl Into<String>, value: impl IntoTensor<F>) -> Self {
        self.with(Input { name: name.into().into(), plate: None, tensor: value.into_tensor() })
    }

    /// Sets the number of members of the data set of which the minibatch is a part.
    /// [`Record::cost`](crate::Record::cost) divides costs that all members share by it, and
    /// [`Record::data_set_size`](crate::Record::data_set_size) returns it.
    pub fn of_data_set(self, size: usize) -> Self {
        Self { data_set_size: Some(size), ..self }
    }

    /// States that these are the members from position `first` on of a minibatch of `members` members, for a rank that
    /// reads only the members that it needs. [`Step::own_members`](crate::Step::own_members) says which they are.
    ///
    /// ```
    /// use stochgrad_nn::Inputs;
    ///
    /// let inputs = Inputs::<f32>::new().batch("labels", [3.0, 1.0]).part_of_batch(4, 6);
    /// assert_eq!((inputs.members(), inputs.batch_members()), (Some(2), Some(6)));
    /// ```
    pub fn part_of_batch(self, first: usize, members: usize) -> Self {
        Self { part: Some((first, members)), ..self }
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

    /// The value of an input, to be changed. A source of data that keeps the inputs of a minibatch whose step has ended
    /// writes the next one into their memory.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor<F>> {
        self.entries.iter_mut().find(|input| *input.name == *name).map(|input| &mut input.tensor)
    }

    /// Names and values, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor<F>)> {
        self.entries.iter().map(|input| (&*input.name, &input.tensor))
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|input| &*input.name)
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

    /// The number of members of the whole minibatch, of which these inputs may be a [part](Self::part_of_batch).
    pub fn batch_members(&self) -> Option<usize> {
        self.part.map(|(_, members)| members).or_else(|| self.members())
    }

    pub(crate) fn part(&self) -> Option<(usize, usize)> {
        self.part
    }

    /// The plate of which these are a part, the position of the first member, and the number of all members.
    pub(crate) fn shard(&self) -> Option<(&str, usize, usize)> {
        let (first, members) = self.part?;
        Some((self.members_plate()?, first, members))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Input<F>> {
        self.entries.iter()
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Input<F>> {
        self.entries.iter_mut()
    }

    /// The first input that lies on the plate of the members.
    fn minibatch(&self) -> Option<&Input<F>> {
        let on_batch = self.entries.iter().find(|input| input.plate.as_deref() == Some(BATCH));
        on_batch.or_else(|| self.entries.iter().find(|input| input.plate.is_some()))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Input<F>> {
        self.entries.iter().find(|input| *input.name == *name)
    }

    pub(crate) fn data_set_size(&self) -> Option<usize> {
        self.data_set_size
    }

    pub(crate) fn signature(&self) -> Signature {
        let entries = self.entries.iter();
        let inputs = entries.map(|input| (input.name.clone(), input.plate.clone(), input.tensor.shape().clone()));
        Signature { inputs: inputs.collect(), data_set_size: self.data_set_size, part: self.part }
    }
}

/// Everything about some inputs but their values.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Names, plates and shapes.
    inputs: Vec<(Arc<str>, Option<Arc<str>>, Shape)>,
    data_set_size: Option<usize>,
    part: Option<(usize, usize)>,
}

impl Signature {
    /// Whether some inputs have these names, plates and shapes, in this order, are of a data set of this size, and are this
    /// part of a minibatch.
    pub(crate) fn fits<F: Real>(&self, inputs: &Inputs<F>) -> bool {
        self.inputs.len() == inputs.entries.len()
            && self.data_set_size == inputs.data_set_size
            && self.part == inputs.part
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
