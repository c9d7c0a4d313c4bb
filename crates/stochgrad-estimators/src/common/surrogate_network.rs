//! A small network: the learned control variate of RELAX and LAX, and the learned baseline of NVIL.

use crate::common::learned_parameters::LearnedParameters;
use stochgrad_tape::{Tape, TapeResult, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::Key;

/// The network $w^\top \tanh(W x + v)$ on a tape, some single learned numbers beside it, and the names of all arrays.
///
/// It has no bias in the last layer, because a constant cancels in the estimators that use it.
#[derive(Debug)]
pub struct SurrogateNetwork<'t, F: Real> {
    arrays: Vec<(String, Var<'t, F>)>,
    width: usize,
}

/// How many arrays the network itself has.
const LAYERS: usize = 3;

impl<'t, F: Real> SurrogateNetwork<'t, F> {
    /// Records the network of a node with inputs of `width` numbers and `hidden` hidden units, and single numbers with
    /// their initial values. The last layer starts at zero, so that the network is 0 before it has learned.
    ///
    /// # Errors
    /// If the weights would exceed the memory limit of the tape.
    pub fn record(
        own: &LearnedParameters,
        tape: &'t Tape<F>,
        node: &str,
        [width, hidden]: [usize; 2],
        singles: &[(&str, f64)],
    ) -> TapeResult<Self> {
        tape.check_memory("a network with hidden units", &[], width.max(1).saturating_mul(hidden))?;
        // The first layer has Glorot's uniform initialisation.
        let mut uniforms = vec![0.0_f64; width * hidden];
        Key::new(0, 0, 0).uniform(0, &mut uniforms);
        let bound = (6.0 / (width + hidden) as f64).sqrt();
        let array = |what: &str, shape: &[usize], initial: &dyn Fn(usize) -> f64| {
            let name = format!("{node} / {what}");
            let var = own.record(tape, &name, shape, initial);
            (name, var)
        };
        let mut arrays = vec![
            array("weight", &[width, hidden], &|i| bound * (2.0 * uniforms[i] - 1.0)),
            array("bias", &[hidden], &|_| 0.0),
            array("output", &[hidden], &|_| 0.0),
        ];
        arrays.extend(singles.iter().map(|&(what, start)| array(what, &[], &|_| start)));
        Ok(SurrogateNetwork { arrays, width })
    }

    /// The value of the network for each member.
    pub fn value(&self, input: Var<'t, F>) -> Var<'t, F> {
        let [weight, bias, output] = [0, 1, 2].map(|i| self.arrays[i].1);
        ((input.reshape([1, self.width]).matmul(weight).index(0, 0) + bias).tanh() * output).sum()
    }

    /// The single number at a position of the list.
    pub fn single(&self, position: usize) -> Var<'t, F> {
        self.arrays[LAYERS + position].1
    }

    /// All arrays with their names, for [`LearnedParameters::learn`].
    pub fn into_arrays(self) -> Vec<(String, Var<'t, F>)> {
        self.arrays
    }
}
