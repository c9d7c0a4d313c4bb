//! Gradient clipping.

use stochgrad_graph::Gradients;
use stochgrad_tape::{Program, Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

use crate::error::{NnError, NnResult};

/// Limits gradients before an optimiser uses them.
///
/// [`record`](Self::record) defines the limit, as recorded operations. They are compiled when [`apply`](Self::apply) is
/// first called, for each set of shapes of the gradients. [`Descent::clip`](crate::optimizers::Descent::clip) makes the
/// limit a part of an optimiser.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::Clip;
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.param("x", [1.5, 2.0])?;
/// graph.cost("square", x.square().sum())?;
/// let mut gradients = graph.backward()?;
/// let mut clip = Clip::by_global_norm(1.0);
/// clip.apply(&mut gradients)?;
/// assert_eq!(clip.norm(), Some(5.0));
/// assert!((gradients.get("x")?.as_slice()[0] - 0.6).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Clip<F: Real> {
    limit: Limit,
    /// For each set of shapes, the last one first.
    compiled: Vec<Compiled<F>>,
}

/// The number of sets of shapes for which the operations stay compiled.
const KEPT: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    GlobalNorm(f64),
    Value(f64),
}

struct Compiled<F: Real> {
    shapes: Vec<Shape>,
    program: Program<F>,
}

/// Recorded gradients after clipping.
#[derive(Clone, Debug)]
pub struct Clipped<'t, F: Real> {
    /// The gradients.
    pub gradients: Vec<Var<'t, F>>,
    /// The Euclidean norm of all elements together before clipping, for clipping by the global norm.
    pub norm: Option<Var<'t, F>>,
}

impl<F: Real> Clip<F> {
    /// Scales all gradients by a common factor so that the Euclidean norm of all their elements together is at most
    /// `max`, which must be positive.
    ///
    /// If the norm is not finite, since a gradient is not, the gradients are not changed. The optimiser then returns an
    /// error that names the parameter.
    pub fn by_global_norm(max: f64) -> Self {
        Clip { limit: Limit::GlobalNorm(max), compiled: Vec::new() }
    }

    /// Clamps every element of every gradient to `[-max, max]`; `max` must be positive.
    ///
    /// NaN and infinities are not changed. The optimiser then returns an error that names the parameter.
    pub fn by_value(max: f64) -> Self {
        Clip { limit: Limit::Value(max), compiled: Vec::new() }
    }

    /// Records the clipped gradients.
    #[track_caller]
    pub fn record<'t>(&self, gradients: &[Var<'t, F>]) -> Clipped<'t, F> {
        match self.limit {
            Limit::GlobalNorm(max) => {
                let Some(Norm { largest, root, norm }) = global_norm(gradients) else {
                    return Clipped { gradients: gradients.to_vec(), norm: None };
                };
                let tape = norm.tape();
                let (one, max, infinity) = (tape.constant(1.0), tape.constant(max), tape.constant(f64::INFINITY));
                // The norm of finite gradients may overflow.
                let share = norm.lt(infinity).select(max / norm, max / largest / root);
                let exceeds = norm.gt(max) * largest.lt(infinity);
                let factor = exceeds.select(share, one);
                Clipped { gradients: gradients.iter().map(|&gradient| gradient * factor).collect(), norm: Some(norm) }
            }
            Limit::Value(max) => {
                let clamped = |&gradient: &Var<'t, F>| {
                    let infinity = gradient.tape().constant(f64::INFINITY);
                    gradient.abs().lt(infinity).select(gradient.clamp(-max, max), gradient)
                };
                Clipped { gradients: gradients.iter().map(clamped).collect(), norm: None }
            }
        }
    }

    /// Clips gradients.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] for a maximum that is not positive.
    pub fn apply(&mut self, gradients: &mut Gradients<F>) -> NnResult<()> {
        self.check()?;
        self.run(|| gradients.iter().map(|(_, gradient)| gradient))?;
        for (number, (_, gradient)) in gradients.iter_mut().enumerate() {
            gradient.clone_from(self.output(number)?);
        }
        Ok(())
    }

    /// Clips some tensors; see [`output`](Self::output).
    pub(crate) fn run<'a, T: Iterator<Item = &'a Tensor<F>>>(&mut self, gradients: impl Fn() -> T) -> NnResult<()> {
        let fits = |compiled: &Compiled<F>| gradients().map(Tensor::shape).eq(&compiled.shapes);
        match self.compiled.iter().position(fits) {
            Some(position) => self.compiled[..=position].rotate_right(1),
            None => {
                let compiled = self.compile(gradients().map(|gradient| gradient.shape().clone()).collect())?;
                self.compiled.truncate(KEPT - 1);
                self.compiled.insert(0, compiled);
            }
        }
        let program = &mut self.compiled[0].program;
        for (input, gradient) in gradients().enumerate() {
            program.set(input, gradient)?;
        }
        Ok(program.run(Default::default())?)
    }

    /// A tensor of the last run, after clipping.
    pub(crate) fn output(&self, number: usize) -> NnResult<&Tensor<F>> {
        Ok(self.compiled[0].program.output(number)?)
    }

    /// Whether the squares of all finite gradients are finite after clipping.
    pub(crate) fn bounds_squares(&self) -> bool {
        let (Limit::GlobalNorm(max) | Limit::Value(max)) = self.limit;
        F::from_f64(max * max).is_finite()
    }

    /// The Euclidean norm of all elements of the last gradients together, before they were clipped; `None` for clipping
    /// by value, and before the first gradients.
    pub fn norm(&self) -> Option<F> {
        let Compiled { shapes, program } = self.compiled.first()?;
        match self.limit {
            Limit::GlobalNorm(_) if shapes.iter().any(|shape| shape.numel() > 0) => {
                program.output(shapes.len()).ok()?.as_slice().first().copied()
            }
            Limit::GlobalNorm(_) => Some(F::ZERO),
            Limit::Value(_) => None,
        }
    }

    fn compile(&self, shapes: Vec<Shape>) -> NnResult<Compiled<F>> {
        let tape = Tape::new();
        let inputs: Vec<Var<'_, F>> =
            shapes.iter().map(|shape| tape.parameter(Tensor::full(shape.clone(), F::ONE))).collect();
        let Clipped { gradients, norm } = self.record(&inputs);
        let outputs: Vec<Var<'_, F>> = gradients.into_iter().chain(norm).collect();
        Ok(Compiled { program: tape.compile(&inputs, &outputs)?, shapes })
    }

    pub(crate) fn check(&self) -> NnResult<()> {
        let (argument, max) = match self.limit {
            Limit::GlobalNorm(max) => ("`max` of `Clip::by_global_norm`", max),
            Limit::Value(max) => ("`max` of `Clip::by_value`", max),
        };
        if max > 0.0 {
            return Ok(());
        }
        Err(NnError::argument(
            argument,
            "a positive number",
            max.to_string(),
            "omit the clipping if nothing should be clipped",
        ))
    }
}

/// Clones are compiled again.
impl<F: Real> Clone for Clip<F> {
    fn clone(&self) -> Self {
        Clip { limit: self.limit, compiled: Vec::new() }
    }
}

impl<F: Real> std::fmt::Debug for Clip<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clip").field(&self.limit).finish()
    }
}

/// The Euclidean norm of all elements together.
struct Norm<'t, F: Real> {
    /// The largest absolute value.
    largest: Var<'t, F>,
    /// The norm divided by the largest absolute value.
    root: Var<'t, F>,
    norm: Var<'t, F>,
}

/// The Euclidean norm of all elements together; `None` if there are no elements. The sum of squares is scaled by the
/// largest element, so that no square overflows or underflows.
fn global_norm<'t, F: Real>(gradients: &[Var<'t, F>]) -> Option<Norm<'t, F>> {
    let with_elements = || gradients.iter().filter(|gradient| gradient.shape().numel() > 0);
    let largest = with_elements().map(|gradient| gradient.abs().max()).reduce(|left, right| left.maximum(right))?;
    let tape = largest.tape();
    let (zero, one, infinity) = (tape.constant(0.0), tape.constant(1.0), tape.constant(f64::INFINITY));
    let unit = largest.gt(zero).select(largest, one);
    let squares =
        with_elements().map(|&gradient| (gradient / unit).square().sum()).reduce(|sum, square| sum + square)?;
    let root = squares.sqrt();
    Some(Norm { largest, root, norm: largest.lt(infinity).select(largest * root, largest) })
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::parameters::Parameters;
    use crate::testing::gradients;

    fn made(x: [f64; 2], y: f64) -> Gradients<f64> {
        let mut parameters = Parameters::new();
        parameters.insert("x", Tensor::from([1.0, 1.0])).unwrap();
        parameters.insert("y", Tensor::scalar(1.0)).unwrap();
        let slopes = [("x", Tensor::from(x)), ("y", Tensor::scalar(y))];
        gradients(&parameters, &slopes)
    }

    fn elements(gradients: &Gradients<f64>) -> Vec<f64> {
        let tensors = gradients.iter().map(|(_, gradient)| gradient.to_vec());
        tensors.flatten().collect()
    }

    /// Clips by the norm, and returns the norm before.
    fn clipped(gradients: &mut Gradients<f64>, max: f64) -> f64 {
        let mut clip = Clip::by_global_norm(max);
        clip.apply(gradients).unwrap();
        clip.norm().unwrap()
    }

    #[test]
    fn one_clip_serves_gradients_of_several_shapes() {
        let mut clip = Clip::by_global_norm(1.0);
        for _ in 0..2 {
            let mut scalar = Gradients::from_tensors([("x", Tensor::scalar(4.0))]);
            clip.apply(&mut scalar).unwrap();
            assert_eq!((clip.norm(), elements(&scalar)), (Some(4.0), vec![1.0]));
            let mut both = made([0.0, -3.0], 4.0);
            clip.apply(&mut both).unwrap();
            assert_eq!(clip.norm(), Some(5.0));
            assert_abs_diff_eq!(elements(&both)[2], 0.8, epsilon = 1e-15);
        }
    }

    #[test]
    fn a_norm_above_the_maximum_is_scaled_down_to_it() {
        let mut gradients = made([2.0, -3.0], 6.0);
        assert_eq!(clipped(&mut gradients, 3.5), 7.0);
        assert_eq!(elements(&gradients), [1.0, -1.5, 3.0]);
    }

    #[test]
    fn a_norm_below_the_maximum_is_left_alone() {
        for max in [7.0, 100.0, f64::INFINITY] {
            let mut gradients = made([2.0, -3.0], 6.0);
            assert_eq!(clipped(&mut gradients, max), 7.0);
            assert_eq!(elements(&gradients), [2.0, -3.0, 6.0]);
        }
        assert_eq!(clipped(&mut made([0.0, 0.0], 0.0), 1.0), 0.0);
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        for scale in [1e200, 1e-200] {
            let mut gradients = made([2.0 * scale, -3.0 * scale], 6.0 * scale);
            let norm = clipped(&mut gradients, scale);
            assert_abs_diff_eq!(norm / scale, 7.0, epsilon = 1e-12);
            let largest = elements(&gradients)[2] / scale;
            assert_abs_diff_eq!(largest, 6.0 / 7.0, epsilon = 1e-12);
        }
    }

    #[test]
    fn finite_gradients_whose_norm_overflows_are_clipped() {
        let mut gradients = made([1.5e308, -1.5e308], 1.5e308);
        assert_eq!(clipped(&mut gradients, 3.0), f64::INFINITY);
        let third = 3.0_f64.sqrt();
        for (found, expected) in elements(&gradients).into_iter().zip([third, -third, third]) {
            assert_abs_diff_eq!(found, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn infinities_are_left_for_the_optimiser_to_refuse() {
        let mut gradients = made([2.0, f64::INFINITY], 6.0);
        assert_eq!(clipped(&mut gradients, 1.0), f64::INFINITY);
        assert_eq!(elements(&gradients), [2.0, f64::INFINITY, 6.0]);
        Clip::by_value(1.0).apply(&mut gradients).unwrap();
        assert_eq!(elements(&gradients), [1.0, f64::INFINITY, 1.0]);
    }

    #[test]
    fn elements_are_brought_into_the_interval() {
        let mut gradients = made([2.0, -3.0], 0.5);
        Clip::by_value(2.5).apply(&mut gradients).unwrap();
        assert_eq!(elements(&gradients), [2.0, -2.5, 0.5]);
    }

    #[test]
    fn maxima_that_are_not_positive_are_errors() {
        for max in [0.0, -1.0, f64::NAN] {
            let mut gradients = made([2.0, -3.0], 6.0);
            assert!(Clip::by_global_norm(max).apply(&mut gradients).is_err());
            assert!(Clip::by_value(max).apply(&mut gradients).is_err());
            assert_eq!(elements(&gradients), [2.0, -3.0, 6.0]);
        }
    }
}
