//! The network that RELAX and LAX learn as a control variate, and NVIL as a baseline.

use crate::common::own_parameters::OwnParameters;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::random::Key;

/// $w^\top \tanh(W x + v)$ on a tape, some single numbers beside it, and the names of all arrays.
///
/// Constants cancel in the estimators, so that there is no last bias.
pub(crate) struct SurrogateNetwork<'t, F: Real> {
    arrays: Vec<(String, Var<'t, F>)>,
    width: usize,
}

/// How many arrays the network itself has.
const LAYERS: usize = 3;

impl<'t, F: Real> SurrogateNetwork<'t, F> {
    /// The network of a node for inputs of that many numbers, and single numbers with their starts.
    pub(crate) fn record(
        own: &OwnParameters,
        tape: &'t Tape<F>,
        node: &str,
        [width, hidden]: [usize; 2],
        singles: &[(&str, f64)],
    ) -> Self {
        // Glorot's uniform start for the first layer; the second one starts at zero, which is no control variate at
        // all.
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
        SurrogateNetwork { arrays, width }
    }

    /// The value for each member.
    pub(crate) fn value(&self, input: Var<'t, F>) -> Var<'t, F> {
        let [weight, bias, output] = [0, 1, 2].map(|i| self.arrays[i].1);
        ((input.reshape([1, self.width]).matmul(weight).index(0, 0) + bias).tanh() * output).sum()
    }

    /// The single number at a position.
    pub(crate) fn single(&self, position: usize) -> Var<'t, F> {
        self.arrays[LAYERS + position].1
    }

    /// All arrays with their names.
    pub(crate) fn into_arrays(self) -> Vec<(String, Var<'t, F>)> {
        self.arrays
    }
}
