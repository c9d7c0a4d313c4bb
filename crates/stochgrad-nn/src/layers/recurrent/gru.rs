//! Gated recurrent units.

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

/// A gated recurrent unit (Cho et al. 2014): one step from an input $x$ and a state $h$ to the next state,
///
/// $$r = \sigma(x W_r + b_r + h U_r + c_r), \quad z = \sigma(x W_z + b_z + h U_z + c_z),$$
/// $$n = \tanh(x W_n + b_n + r \odot (h U_n + c_n)), \quad h' = (1 - z) \odot n + z \odot h,$$
///
/// with $(W_r, W_z, W_n)$ = `name.weight_ih` of shape `[inputs, 3 size]`, $(U_r, U_z, U_n)$ = `name.weight_hh` of shape
/// `[size, 3 size]`, $b$ = `name.bias_ih` and $c$ = `name.bias_hh`. For whole sequences, see [`Gru`].
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{GruCell, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let cell = GruCell::new(&mut parameters, "cell", 2, 3, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let state = cell.step(&parameters.on(&graph), graph.constant([0.5, -1.0]), graph.constant([0.0, 0.0, 0.0]))?;
/// assert_eq!(state.shape()[..], [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GruCell {
    gates: Gates,
}

impl GruCell {
    /// Adds the parameters, uniform within $\pm 1 / \sqrt{\text{size}}$, for inputs with `inputs` elements on the last
    /// event axis, and states with `size` elements.
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
        scope.all_or_none(|scope| Cell::<F, 1>::with_suffix(scope, "", [inputs, size], seed))
    }

    /// The number of elements of the state.
    pub fn size(&self) -> usize {
        self.gates.size
    }

    /// The next state: from an input of event shape `[.., inputs]` and a state of event shape `[.., size]`.
    ///
    /// # Errors
    ///
    /// For an input or a state of another shape, if parameters are missing, and for earlier errors on the tape.
    #[track_caller]
    pub fn step<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        state: Var<'t, F>,
    ) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        record.tape().located(at, || {
            let of_input = self.gates.of_input(record, x, at)?;
            Ok(self.next(record, of_input, [state], at)?[0])
        })
    }
}

impl<F: Real> Cell<F, 1> for GruCell {
    fn with_suffix(scope: &mut Scope<'_, F>, suffix: &str, [inputs, size]: [usize; 2], seed: Seed) -> NnResult<Self> {
        Ok(Self { gates: Gates::new(scope, suffix, "gated recurrent unit", [3, inputs, size], seed)? })
    }

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn next<'t>(
        &self,
        record: &Record<'_, 't, F>,
        of_input: Var<'t, F>,
        [state]: [Var<'t, F>; 1],
        at: &'static Location<'static>,
    ) -> GraphResult<[Var<'t, F>; 1]> {
        let of_state = self.gates.of_state(record, state, at)?;
        let sum = |block: usize| self.gates.block(of_input, block) + self.gates.block(of_state, block);
        let (reset, update) = (sum(0).sigmoid(), sum(1).sigmoid());
        let new = (self.gates.block(of_input, 2) + reset * self.gates.block(of_state, 2)).tanh();
        Ok([new + update * (state - new)])
    }
}

/// Gated recurrent units along a sequence, in one or several layers: [`GruCell`]s whose state is 0 before the first
/// step. The parameters are `name.weight_ih_l0`, `name.weight_hh_l0`, `name.bias_ih_l0`, `name.bias_hh_l0`, with `l1`
/// for the second layer and so on.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Gru, Layer, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// let gru = Gru::new(&mut parameters, "gru", 2, 3, 1, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([10, 4, 2]))?; // ten sequences of four steps
/// let states = gru.forward(&parameters.on(&graph), x)?;
/// assert_eq!((states.shape()[..].to_vec(), states.plates().len()), (vec![4, 3], 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gru {
    stack: Stack<GruCell>,
}

impl Gru {
    /// Adds the parameters of `layers` layers; see [`GruCell::new`].
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
    /// use stochgrad_nn::{Layer, Gru, Parameters};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// let layer = Gru::bidirectional(&mut parameters, "layer", 2, 3, 1, Seed::new(7))?;
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

    /// The states of the last layer in each step, of event shape `[.., steps, size]`, and the state of each layer after
    /// the last step. The states before the first step are given, one of event shape `[.., size]` for each layer. A
    /// [bidirectional](Self::bidirectional) layer has two of each, forward and reverse.
    ///
    /// # Errors
    ///
    /// For a sequence or a state of another shape, for another number of states than layers, if parameters are missing,
    /// and for earlier errors on the tape.
    #[track_caller]
    pub fn sequence<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        states: &[Var<'t, F>],
    ) -> GraphResult<(Var<'t, F>, Vec<Var<'t, F>>)> {
        let states: Vec<[Var<'t, F>; 1]> = states.iter().map(|&state| [state]).collect();
        let (outputs, last) = self.stack.sequence(record, x, Some(&states), Location::caller())?;
        Ok((outputs, last.into_iter().map(|[state]| state).collect()))
    }
}

impl<F: Real> Layer<F> for Gru {
    /// The event shape `[.., steps, inputs]` becomes `[.., steps, size]`: the states of the last layer. The states
    /// before the first step are 0; see [`sequence`](Self::sequence) for others.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        Ok(self.stack.sequence(record, x, None, Location::caller())?.0)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::layers::check::{LayerCheck, assert_refused, values};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    #[test]
    fn derivatives_plates_and_programs() {
        for (shape, layers) in [(&[2, 3, 2][..], 2), (&[2, 2, 1, 2], 1)] {
            let mut parameters = Parameters::new();
            let gru = Gru::new(&mut parameters, "gru", 2, 3, layers, SEED).unwrap();
            LayerCheck::new(parameters, values(shape)).run(&gru);
            let mut parameters = Parameters::new();
            let both = Gru::bidirectional(&mut parameters, "gru", 2, 2, layers, SEED).unwrap();
            LayerCheck::new(parameters, values(shape)).run(&both);
        }
    }

    #[test]
    fn a_sequence_is_its_steps() {
        let mut parameters = Parameters::<f64>::new();
        let gru = Gru::new(&mut parameters, "gru", 2, 3, 1, SEED).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let (x, start) = (graph.constant(values([4, 2])), graph.constant(values([3])));
        let (outputs, last) = gru.sequence(&record, x, &[start]).unwrap();
        let mut state = start;
        for step in 0..4 {
            state = gru.stack.cells[0].step(&record, x.index(0, step), state).unwrap();
            let difference = (outputs.index(0, step) - state).abs().max().item().unwrap();
            assert!(difference < 1e-15, "{difference}");
        }
        assert_eq!(last[0].value(), outputs.index(0, 3).value());
    }

    #[test]
    fn the_second_cell_of_a_layer_begins_with_the_last_step() {
        let mut parameters = Parameters::<f64>::new();
        let gru = Gru::bidirectional(&mut parameters, "gru", 2, 3, 1, SEED).unwrap();
        assert_eq!(parameters.get("gru.weight_ih_l0_reverse").unwrap().shape()[..], [2, 9]);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let (x, start) = (graph.constant(values([4, 2])), [0.4, -0.9].map(|scale| graph.constant(values([3])) * scale));
        let (outputs, last) = gru.sequence(&record, x, &start).unwrap();
        assert_eq!((outputs.shape()[..].to_vec(), last.len()), (vec![4, 6], 2));
        for (direction, steps) in [[0, 1, 2, 3], [3, 2, 1, 0]].into_iter().enumerate() {
            let mut state = start[direction];
            for step in steps {
                state = gru.stack.cells[direction].step(&record, x.index(0, step), state).unwrap();
                let part = outputs.index(0, step).slice(-1, 3 * direction..3 * (direction + 1));
                let difference = (part - state).abs().max().item().unwrap();
                assert!(difference < 1e-15, "{difference}");
            }
            assert!((last[direction] - state).abs().max().item().unwrap() < 1e-15);
        }
        let message = gru.sequence(&record, x, &start[..1]).unwrap_err().to_string();
        assert!(message.contains("each of 2 layers and directions, got 1"), "{message}");
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let gru = Gru::new(&mut parameters, "gru", 2, 3, 1, SEED).unwrap();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let cases = [(values([2]), "[.., steps, 2]"), (values([4, 3]), "expected 2 elements")];
        assert_refused(&parameters, &gru, "`gru.weight_ih_l0`", cases);
        let (x, state) = (graph.constant(values([4, 2])), graph.constant(values([2])));
        let message = gru.sequence(&record, x, &[state]).unwrap_err().to_string();
        assert!(message.contains("state of") && message.contains("expected 3 elements"), "{message}");
        let message = gru.sequence(&record, x, &[]).unwrap_err().to_string();
        assert!(message.contains("each of 1 layers, got 0"), "{message}");
        for sizes in [[0, 3, 1], [2, 0, 1], [2, 3, 0]] {
            let message =
                Gru::new(&mut parameters, "other", sizes[0], sizes[1], sizes[2], SEED).unwrap_err().to_string();
            assert!(message.contains("`other`"), "{message}");
        }
        assert_eq!(parameters.len(), 4);
        assert!(parameters.get("gru.weight_hh_l0").unwrap() != &Tensor::zeros([3, 9]));
    }
}
