//! Batch normalisation.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Plates, SetId, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::NnResult;
use crate::layers::Layer;
use crate::layers::input::{expect_last, unfit};
use crate::layers::norm::affine::{Affine, EPSILON, check_sizes, checked_epsilon, scaled};
use crate::parameters::Scope;
use crate::record::Record;

/// Batch normalisation (Ioffe & Szegedy 2015): shifts and scales each channel to mean 0 and variance 1 over the members
/// of a minibatch, then multiplies by `name.weight` and adds `name.bias`, both of shape `[channels]`.
///
/// The channels are the last event axis. In training, the mean and the variance are taken over the plate `batch`, or
/// over the plates that [`over`](Self::over) states, and over all other event axes. The running mean and the running
/// variance, the buffers `name.running_mean` and `name.running_var`, move towards them by a tenth
/// ([`momentum`](Self::momentum)) in each step. [`Step::train`](crate::Step::train) updates the buffers; in a training
/// loop of your own, call [`Parameters::advance`](crate::Parameters::advance). Evaluation and prediction use the
/// running statistics in place of those of the minibatch.
///
/// In training, each output depends on all members of the minibatch. Behind a stochastic node, a cost of one member is
/// then a cost of the samples of all members, so that the variance of most gradient methods grows with the size of the
/// minibatch, and some methods refuse it. A warning is logged in this case: use [`GroupNorm`](crate::GroupNorm) there.
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{BatchNorm, Inputs, Layer, Parameters, Record, Sgd, Step};
///
/// let mut parameters = Parameters::<f64>::new();
/// let norm = BatchNorm::new(&mut parameters, "norm", 1)?;
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
///     let y = norm.forward(record, record.input("x")?)?;
///     record.output("y", y)?;
///     record.cost("loss", y.square().sum())
/// });
/// let inputs = Inputs::new().batch("x", [[1.0], [3.0]]);
/// step.train(&mut parameters, &mut Sgd::new(0.0), &inputs, Seed::new(7))?;
/// // A tenth of the mean 2, and nine tenths of 1 plus a tenth of the variance 2.
/// assert!((parameters.buffer("norm.running_mean").unwrap().as_slice()[0] - 0.2).abs() < 1e-12);
/// assert!((parameters.buffer("norm.running_var").unwrap().as_slice()[0] - 1.1).abs() < 1e-12);
///
/// let y = step.predict(&parameters, &inputs, Seed::new(7))?.get("y")?.as_slice()[0];
/// assert!((y - (1.0 - 0.2) / 1.1_f64.sqrt()).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm {
    affine: Affine,
    running_mean: String,
    running_var: String,
    channels: usize,
    plates: Vec<String>,
    momentum: f64,
    epsilon: f64,
    /// Whether the warning was logged.
    has_warned: Arc<AtomicBool>,
}

impl BatchNorm {
    /// Adds the weights, initially 1, the biases, initially 0, and the running statistics, initially mean 0 and
    /// variance 1.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if there are no channels, or a name is taken.
    /// Nothing is added in this case.
    pub fn new<'a, F: Real>(parameters: impl Into<Scope<'a, F>>, name: &str, channels: usize) -> NnResult<Self> {
        let mut scope = parameters.into().into_scope(name);
        let sizes = Shape::from([channels]);
        check_sizes("`channels` of `BatchNorm::new`", &sizes, &scope)?;
        scope.all_or_none(|scope| {
            Ok(Self {
                affine: Affine::new(scope, &sizes)?,
                running_mean: scope.insert_buffer("running_mean", Tensor::zeros(sizes.clone()))?,
                running_var: scope.insert_buffer("running_var", Tensor::ones(sizes.clone()))?,
                channels,
                plates: vec!["batch".into()],
                momentum: 0.1,
                epsilon: EPSILON,
                has_warned: Arc::default(),
            })
        })
    }

    /// Sets the names of the plates over which the statistics are taken. The input must be on all of them; members of
    /// other plates are not combined, and the running statistics are means over them.
    pub fn over<N: Into<String>>(self, plates: impl IntoIterator<Item = N>) -> Self {
        Self { plates: plates.into_iter().map(N::into).collect(), ..self }
    }

    /// Sets the part of the difference by which the running statistics move towards those of a minibatch in each step.
    ///
    /// # Panics
    ///
    /// If it is outside [0, 1].
    pub fn momentum(self, momentum: f64) -> Self {
        assert!((0.0..=1.0).contains(&momentum), "`momentum`: expected a number in [0, 1], got {momentum}");
        Self { momentum, ..self }
    }

    /// Sets the number that is added to the variance.
    ///
    /// # Panics
    ///
    /// If it is not positive.
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon: checked_epsilon(epsilon), ..self }
    }

    /// The full name of the buffer with the running mean.
    pub fn running_mean(&self) -> &str {
        &self.running_mean
    }

    /// The full name of the buffer with the running variance.
    pub fn running_var(&self) -> &str {
        &self.running_var
    }

    fn name(&self) -> String {
        format!("batch normalisation with weights `{}`", self.affine.weight)
    }

    /// The plates over which the statistics are taken.
    fn plates_of<F: Real>(
        &self,
        record: &Record<'_, '_, F>,
        x: Var<'_, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Plates> {
        let known = x.plates();
        let mut plates = Plates::new();
        for name in &self.plates {
            match record.graph().plate_named(name).filter(|plate| known.contains(plate)) {
                Some(plate) => plates.push(plate),
                None => {
                    let problem = format!(
                        "expected an input on the plate `{name}`, over which the statistics are taken (state others \
                         with `BatchNorm::over`)"
                    );
                    return Err(unfit(x, self.name(), problem, at));
                }
            }
        }
        Ok(plates)
    }

    /// Warns if members of a stochastic node are combined.
    fn warn<F: Real>(&self, x: Var<'_, F>) {
        if x.ancestors() != SetId::EMPTY && !self.has_warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} combines the members of {}, and its input depends on a stochastic node: a cost of one member then \
                 depends on the samples of all members, which increases the variance of the gradient; GroupNorm \
                 normalises each member by itself",
                self.name(),
                self.plates.join(", ")
            );
        }
    }

    /// Sets the next value of a running statistic.
    fn advance<'t, F: Real>(&self, record: &Record<'_, 't, F>, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        let value = value.plates().iter().fold(value.stop_gradient(), |value, &plate| value.mean_over(plate));
        let before = match record.graph().next_value(name) {
            Some(value) => value,
            None => record.buffer(name)?,
        };
        record.set_buffer(name, before * (1.0 - self.momentum) + value * self.momentum)
    }
}

impl<F: Real> Layer<F> for BatchNorm {
    /// The event shape `[.., channels]` stays the same.
    ///
    /// # Errors
    ///
    /// Also for an input that is not on the plates of the statistics, and in training for a single value of each
    /// channel, which has no variance.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, at) = (record.tape(), Location::caller());
        tape.check()?;
        expect_last(x, self.channels, || self.name(), at)?;
        if !record.is_training() {
            return tape.located(at, || {
                let centred = x - record.buffer(&self.running_mean)?;
                self.affine.of(record, scaled(centred, record.buffer(&self.running_var)?, self.epsilon))
            });
        }
        let plates = self.plates_of(record, x, at)?;
        self.warn(x);
        let shape = x.shape();
        let positions: usize = shape[..shape.rank() - 1].iter().product();
        let count = plates.iter().fold(positions, |count, &plate| count * tape.whole_plate_size(plate));
        if count < 2 {
            let problem = format!("expected at least two values of each channel in training, got {count}");
            return Err(unfit(x, self.name(), problem, at));
        }
        tape.located(at, || {
            let x = x.reshape([positions, self.channels]);
            let mean = |x: Var<'t, F>| plates.iter().fold(x.mean_axis(0), |mean, &plate: &Plate| mean.mean_over(plate));
            let centre = mean(x);
            let centred = x - centre;
            let variance = mean(centred.square());
            self.advance(record, &self.running_mean, centre)?;
            self.advance(record, &self.running_var, variance * (count as f64 / (count - 1) as f64))?;
            self.affine.of(record, scaled(centred, variance, self.epsilon).reshape(shape))
        })
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    #[test]
    fn derivatives_and_programs() {
        for shape in [&[4, 3][..], &[2, 3, 2, 3], &[1, 5, 3]] {
            let mut parameters = Parameters::new();
            let norm = BatchNorm::new(&mut parameters, "norm", 3).unwrap().epsilon(0.1).momentum(0.3);
            LayerCheck::new(parameters, values(shape)).combines_members().run(&norm);
        }
    }

    /// Statistics over two plates, by a plain loop.
    #[test]
    fn the_statistics_run_over_the_stated_plates() {
        let mut parameters = Parameters::<f64>::new();
        let norm = BatchNorm::new(&mut parameters, "norm", 2).unwrap();
        let both = norm.clone().over(["batch", "samples"]);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let x = graph.data("batch", values([3, 2])).unwrap();
        let samples = graph.plate("samples", 2).unwrap();
        let scales = tape.constant_on(&[samples], [1.0, 3.0]);
        let y = both.forward(&record, x * scales).unwrap().value().unwrap();
        let first = norm.forward(&record, x * scales).unwrap().value().unwrap();
        let (x, scales) = (values([3, 2]), [1.0, 3.0]);
        for channel in 0..2 {
            let all: Vec<f64> = (0..6).map(|i| x.as_slice()[i / 2 * 2 + channel] * scales[i % 2]).collect();
            let normalized = |all: &[f64]| {
                let n = all.len() as f64;
                let mean = all.iter().sum::<f64>() / n;
                let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                all.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect::<Vec<_>>()
            };
            for (i, expected) in normalized(&all).into_iter().enumerate() {
                assert!((y.as_slice()[2 * i + channel] - expected).abs() < 1e-14);
            }
            for sample in 0..2 {
                let part: Vec<f64> = all.iter().copied().skip(sample).step_by(2).collect();
                for (member, expected) in normalized(&part).into_iter().enumerate() {
                    assert!((first.as_slice()[4 * member + 2 * sample + channel] - expected).abs() < 1e-14);
                }
            }
        }
    }

    #[test]
    fn a_layer_that_is_used_twice_advances_twice() {
        let mut parameters = Parameters::<f64>::new();
        let norm = BatchNorm::new(&mut parameters, "norm", 1).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let x = graph.data("batch", [[1.0], [3.0]]).unwrap();
        norm.forward(&record, x).unwrap();
        let y = norm.forward(&record, x * 2.0).unwrap();
        record.cost("cost", (y * record.param("norm.weight").unwrap()).sum()).unwrap();
        parameters.advance(&graph.backward().unwrap()).unwrap();
        let mean = parameters.buffer("norm.running_mean").unwrap().as_slice()[0];
        assert!((mean - (0.9 * 0.2 + 0.1 * 4.0)).abs() < 1e-15, "{mean}");
    }

    #[test]
    fn inputs_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let norm = BatchNorm::new(&mut parameters, "norm", 2).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let message = |x| norm.forward(&record, x).unwrap_err().to_string();
        assert!(message(graph.constant([1.0, 2.0])).contains("expected an input on the plate `batch`"));
        let x = graph.data("batch", [[1.0, 2.0]]).unwrap();
        assert!(message(x).contains("expected at least two values of each channel in training, got 1"));
        assert!(message(x.slice(0, 0..1)).contains("expected 2 elements"));
        for part in ["`norm.weight`", "batch_norm.rs"] {
            assert!(message(x).contains(part));
        }
    }
}
