//! Long short-term memory.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::NnResult;
use crate::layers::Layer;
use crate::layers::recurrent::gates::Gates;
use crate::layers::recurrent::sequence::{Cell, Directions, Stack};
use crate::parameters::Scope;
use crate::record::Record;

/// Long short-term memory (Hochreiter & Schmidhuber 1997): one step from an input $x$, an output $h$ and a memory $c$
/// to the next output and memory,
///
/// $$i = \sigma(a_i), \quad f = \sigma(a_f), \quad g = \tanh(a_g), \quad o = \sigma(a_o),$$
/// $$c' = f \odot c + i \odot g, \quad h' = o \odot \tanh(c'),$$
///
/// with $(a_i, a_f, a_g, a_o) = x W + b + h U + d$, $W$ = `name.weight_ih` of shape `[inputs, 4 size]`, $U$ =
/// `name.weight_hh` of shape `[size, 4 size]`, $b$ = `name.bias_ih` and $d$ = `name.bias_hh`. For whole sequences, see
/// [`Lstm`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{LstmCell, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let cell = LstmCell::new(&mut parameters, "cell", 2, 3, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let zero = graph.constant([0.0, 0.0, 0.0]);
/// let [output, memory] = cell.step(&parameters.on(&graph), graph.constant([0.5, -1.0]), [zero, zero])?;
/// assert_eq!((output.shape()[0], memory.shape()[0]), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LstmCell {
    gates: Gates,
}

impl LstmCell {
    /// Adds the parameters, uniform within $\pm 1 / \sqrt{\text{size}}$, for inputs with `inputs` elements on the last
    /// event axis, and outputs and memories with `size` elements.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if a size is 0, or a name is taken. Nothing is
    /// added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        inputs: usize,
        size: usize,
        seed: Seed,
    ) -> NnResult<Self> {
        let mut scope = parameters.into().into_scope(name);
        scope.all_or_none(|scope| Cell::<F, 2>::with_suffix(scope, "", [inputs, size], seed))
    }

    /// The number of elements of the output and of the memory.
    pub fn size(&self) -> usize {
        self.gates.size
    }

    /// The next output and memory: from an input of event shape `[.., inputs]`, and an output and a memory of event
    /// shape `[.., size]`.
    ///
    /// # Errors
    ///
    /// For an input or a state of another shape, if parameters are missing, and for earlier errors on the tape.
    #[track_caller]
    pub fn step<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        state: [Var<'t, F>; 2],
    ) -> GraphResult<[Var<'t, F>; 2]> {
        let at = Location::caller();
        record.tape().located(at, || {
            let of_input = self.gates.of_input(record, x, at)?;
            self.next(record, of_input, state, at)
        })
    }
}

impl<F: Real> Cell<F, 2> for LstmCell {
    fn with_suffix(scope: &mut Scope<'_, F>, suffix: &str, [inputs, size]: [usize; 2], seed: Seed) -> NnResult<Self> {
        Ok(Self { gates: Gates::new(scope, suffix, "long short-term memory", [4, inputs, size], seed)? })
    }

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn next<'t>(
        &self,
        record: &Record<'_, 't, F>,
        of_input: Var<'t, F>,
        [output, memory]: [Var<'t, F>; 2],
        at: &'static Location<'static>,
    ) -> GraphResult<[Var<'t, F>; 2]> {
        let gates = of_input + self.gates.of_state(record, output, at)?;
        let block = |block: usize| self.gates.block(gates, block);
        let memory = block(1).sigmoid() * memory + block(0).sigmoid() * block(2).tanh();
        Ok([block(3).sigmoid() * memory.tanh(), memory])
    }
}

/// Long short-term memory along a sequence, in one or several layers: [`LstmCell`]s whose output and memory are 0
/// before the first step. The parameters are `name.weight_ih_l0`, `name.weight_hh_l0`, `name.bias_ih_l0`,
/// `name.bias_hh_l0`, with `l1` for the second layer and so on.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, Lstm, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// let lstm = Lstm::new(&mut parameters, "lstm", 2, 3, 2, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([10, 4, 2]))?; // ten sequences of four steps
/// let outputs = lstm.forward(&parameters.on(&graph), x)?;
/// assert_eq!((outputs.shape()[..].to_vec(), outputs.plates().len()), (vec![4, 3], 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lstm {
    stack: Stack<LstmCell>,
}

impl Lstm {
    /// Adds the parameters of `layers` layers; see [`LstmCell::new`].
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) if a size is 0, or a name is taken. Nothing is
    /// added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        inputs: usize,
        size: usize,
        layers: usize,
        seed: Seed,
    ) -> NnResult<Self> {
        let stack = Stack::new(parameters.into().into_scope(name), [inputs, size, layers], Directions::Forward, seed)?;
        Ok(Self { stack })
    }

    /// As [`new`](Self::new), with a second cell in each layer, which begins with the last step. The outputs of both are
    /// concatenated, so that they have 2 `size` elements. The parameters of the second cells are
    /// `name.weight_ih_l0_reverse` and so on.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::{Layer, Lstm, Parameters};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// let layer = Lstm::bidirectional(&mut parameters, "layer", 2, 3, 1, Seed::new(7))?;
    ///
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.data("batch", Tensor::ones([10, 4, 2]))?; // ten sequences of four steps
    /// assert_eq!(layer.forward(&parameters.on(&graph), x)?.shape()[..], [4, 6]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn bidirectional<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        inputs: usize,
        size: usize,
        layers: usize,
        seed: Seed,
    ) -> NnResult<Self> {
        let stack = Stack::new(parameters.into().into_scope(name), [inputs, size, layers], Directions::Both, seed)?;
        Ok(Self { stack })
    }

    /// The outputs of the last layer in each step, of event shape `[.., steps, size]`, and the output and the memory of
    /// each layer after the last step. Those before the first step are given, of event shape `[.., size]` each. A
    /// [bidirectional](Self::bidirectional) layer has two of each, forward and reverse.
    ///
    /// # Errors
    ///
    /// For a sequence or a state of another shape, for another number of states than layers, if parameters are missing,
    /// and for earlier errors on the tape.
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "the outputs, and the two values of each layer")]
    pub fn sequence<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        states: &[[Var<'t, F>; 2]],
    ) -> GraphResult<(Var<'t, F>, Vec<[Var<'t, F>; 2]>)> {
        self.stack.sequence(record, x, Some(states), Location::caller())
    }
}

impl<F: Real> Layer<F> for Lstm {
    /// The event shape `[.., steps, inputs]` becomes `[.., steps, size]`: the outputs of the last layer. Outputs and
    /// memories are 0 before the first step; see [`sequence`](Self::sequence) for others.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        Ok(self.stack.sequence(record, x, None, Location::caller())?.0)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;

    use super::*;
    use crate::layers::check::{LayerCheck, assert_refused, values};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    #[test]
    fn derivatives_plates_and_programs() {
        for (shape, layers) in [(&[2, 3, 2][..], 2), (&[2, 2, 1, 2], 1)] {
            let mut parameters = Parameters::new();
            let lstm = Lstm::new(&mut parameters, "lstm", 2, 3, layers, SEED).unwrap();
            LayerCheck::new(parameters, values(shape)).run(&lstm);
            let mut parameters = Parameters::new();
            let both = Lstm::bidirectional(&mut parameters, "lstm", 2, 2, layers, SEED).unwrap();
            LayerCheck::new(parameters, values(shape)).run(&both);
        }
    }

    #[test]
    fn a_sequence_is_its_steps() {
        let mut parameters = Parameters::<f64>::new();
        let lstm = Lstm::new(&mut parameters, "lstm", 2, 3, 1, SEED).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let (x, start) = (graph.constant(values([4, 2])), [0.3, -0.5].map(|scale| graph.constant(values([3])) * scale));
        let (outputs, last) = lstm.sequence(&record, x, &[start]).unwrap();
        let mut state = start;
        for step in 0..4 {
            state = lstm.stack.cells[0].step(&record, x.index(0, step), state).unwrap();
            let difference = (outputs.index(0, step) - state[0]).abs().max().item().unwrap();
            assert!(difference < 1e-15, "{difference}");
        }
        assert!((last[0][1] - state[1]).abs().max().item().unwrap() < 1e-15);
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let lstm = Lstm::new(&mut parameters, "lstm", 2, 3, 1, SEED).unwrap();
        let cases = [(values([2]), "[.., steps, 2]"), (values([4, 3]), "expected 2 elements")];
        assert_refused(&parameters, &lstm, "`lstm.weight_ih_l0`", cases);
    }
}
