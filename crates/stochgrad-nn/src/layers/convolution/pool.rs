//! Pooling over windows.

use std::panic::Location;

use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;
use stochgrad_tensor::pooling::Pooling;

use crate::layers::Layer;
use crate::record::Record;

/// The largest elements of windows along `N` axes: [`MaxPool1d`] for signals, [`MaxPool2d`] for images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool<const N: usize> {
    pooling: Pooling<N>,
}

impl<const N: usize> MaxPool<N> {
    /// Pooling with these windows.
    pub fn new(pooling: Pooling<N>) -> Self {
        Self { pooling }
    }
}

/// The largest elements of windows of signals, for each channel: see [`Var::max_pool1d`]. Its derivative flows to the
/// first of equal elements, so that it has a kink.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, MaxPool1d, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_tensor::pooling::Pooling;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let pool = MaxPool1d::new(Pooling::new([2]));
/// let y = pool.forward(&Parameters::new().on(&graph), graph.constant(Tensor::ones([6, 8])))?;
/// assert_eq!(y.shape()[..], [3, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type MaxPool1d = MaxPool<1>;

impl<F: Real> Layer<F> for MaxPool<1> {
    /// The event shape `[.., length, channels]` becomes that with the sizes of [`Pooling::output_size`].
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        recorded(record, Location::caller(), || x.max_pool1d(self.pooling))
    }
}

/// The largest elements of windows of images, for each channel: see [`Var::max_pool2d`]. Its derivative flows to the
/// first of equal elements, so that it has a kink.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, MaxPool2d, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_tensor::pooling::Pooling;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let pool = MaxPool2d::new(Pooling::new([2, 2]));
/// let y = pool.forward(&Parameters::new().on(&graph), graph.constant(Tensor::ones([6, 4, 8])))?;
/// assert_eq!(y.shape()[..], [3, 2, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type MaxPool2d = MaxPool<2>;

impl<F: Real> Layer<F> for MaxPool<2> {
    /// The event shape `[.., height, width, channels]` becomes that with the sizes of [`Pooling::output_size`].
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        recorded(record, Location::caller(), || x.max_pool2d(self.pooling))
    }
}

/// The averages of windows along `N` axes: [`AvgPool1d`] for signals, [`AvgPool2d`] for images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool<const N: usize> {
    pooling: Pooling<N>,
}

impl<const N: usize> AvgPool<N> {
    /// Pooling with these windows.
    pub fn new(pooling: Pooling<N>) -> Self {
        Self { pooling }
    }
}

/// The averages of windows of signals, for each channel: see [`Var::avg_pool1d`]. Positions outside count as zeros.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, AvgPool1d, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_tensor::pooling::Pooling;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let pool = AvgPool1d::new(Pooling::new([2]));
/// let y = pool.forward(&Parameters::new().on(&graph), graph.constant(Tensor::ones([6, 8])))?;
/// assert_eq!(y.shape()[..], [3, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type AvgPool1d = AvgPool<1>;

impl<F: Real> Layer<F> for AvgPool<1> {
    /// The event shape `[.., length, channels]` becomes that with the sizes of [`Pooling::output_size`].
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        recorded(record, Location::caller(), || x.avg_pool1d(self.pooling))
    }
}

/// The averages of windows of images, for each channel: see [`Var::avg_pool2d`]. Positions outside count as zeros.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, AvgPool2d, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_tensor::pooling::Pooling;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let pool = AvgPool2d::new(Pooling::new([2, 2]));
/// let y = pool.forward(&Parameters::new().on(&graph), graph.constant(Tensor::ones([6, 4, 8])))?;
/// assert_eq!(y.shape()[..], [3, 2, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type AvgPool2d = AvgPool<2>;

impl<F: Real> Layer<F> for AvgPool<2> {
    /// The event shape `[.., height, width, channels]` becomes that with the sizes of [`Pooling::output_size`].
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        recorded(record, Location::caller(), || x.avg_pool2d(self.pooling))
    }
}

/// What `pool` records.
fn recorded<'t, F: Real>(
    record: &Record<'_, 't, F>,
    at: &'static Location<'static>,
    pool: impl FnOnce() -> Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let tape = record.tape();
    tape.check()?;
    let y = tape.located(at, pool);
    tape.check()?;
    Ok(y)
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    #[test]
    fn derivatives_plates_and_programs() {
        let none = Parameters::new;
        let images = Pooling::new([2, 3]).stride([1, 2]).padding([1, 1]);
        let signals = Pooling::new([3]).stride([2]).padding([1]);
        LayerCheck::new(none(), values([2, 3, 4, 2])).first_order_only().run(&MaxPool2d::new(images));
        LayerCheck::new(none(), values([2, 3, 4, 2])).run(&AvgPool2d::new(images));
        LayerCheck::new(none(), values([2, 2, 5, 2])).first_order_only().run(&MaxPool1d::new(signals));
        LayerCheck::new(none(), values([2, 2, 5, 2])).run(&AvgPool1d::new(signals));
    }

    #[test]
    fn inputs_that_do_not_fit_are_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let pool = MaxPool2d::new(Pooling::new([3, 3]));
        let message = pool.forward(&Parameters::new().on(&graph), graph.constant(values([2, 4, 2]))).unwrap_err();
        assert!(message.to_string().contains("expected a window of at most 2 positions"), "{message}");
    }
}
