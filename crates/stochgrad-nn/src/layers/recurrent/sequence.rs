//! Recurrent cells along a sequence.

use std::panic::Location;

use stochgrad_graph::{GraphResult, ScanValues, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::layers::input::unfit;
use crate::layers::recurrent::gates::Gates;
use crate::parameters::Scope;
use crate::record::Record;

/// A cell whose state is `N` values of the same shape, the first of which is its output.
pub(super) trait Cell<F: Real, const N: usize>: Sized {
    /// Adds the parameters, whose names end with a suffix, for the sizes of the input and of the state.
    fn with_suffix(scope: &mut Scope<'_, F>, suffix: &str, sizes: [usize; 2], seed: Seed) -> NnResult<Self>;

    fn gates(&self) -> &Gates;

    /// The next state, from the contribution of the input to the gates.
    fn next<'t>(
        &self,
        record: &Record<'_, 't, F>,
        of_input: Var<'t, F>,
        state: [Var<'t, F>; N],
        at: &'static Location<'static>,
    ) -> GraphResult<[Var<'t, F>; N]>;
}

/// In which direction the layers go through a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directions {
    Forward,
    /// Each layer has a second cell, which begins with the last step.
    Both,
}

impl Directions {
    /// The ends of the names of the cells of a layer.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Directions::Forward => &[""],
            Directions::Both => &["", "_reverse"],
        }
    }
}

/// The cells of several layers along a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stack<C> {
    name: String,
    /// Those of the first layer come first, and the forward one before the reverse one.
    pub(super) cells: Vec<C>,
    directions: Directions,
}

/// The outputs of the last layer in each step, and the last state of each cell.
pub(super) type Outputs<'t, F, const N: usize> = (Var<'t, F>, Vec<[Var<'t, F>; N]>);

impl<C> Stack<C> {
    /// Adds the parameters of the cells.
    ///
    /// # Errors
    ///
    /// If there are no layers, and those of the cells. Nothing is added in this case.
    pub(super) fn new<F: Real, const N: usize>(
        mut scope: Scope<'_, F>,
        [inputs, size, layers]: [usize; 3],
        directions: Directions,
        seed: Seed,
    ) -> NnResult<Self>
    where
        C: Cell<F, N>,
    {
        if layers == 0 {
            return Err(NnError::argument(
                "`layers` of a recurrent layer",
                "at least one",
                format!("0 for layer `{}`", scope.name()),
                "pass 1 for a single layer",
            ));
        }
        let ends = directions.suffixes();
        let cells = scope.all_or_none(|scope| {
            let mut cells = Vec::new();
            for layer in 0..layers {
                let inputs = if layer == 0 { inputs } else { size.saturating_mul(ends.len()) };
                for end in ends {
                    cells.push(C::with_suffix(scope, &format!("_l{layer}{end}"), [inputs, size], seed)?);
                }
            }
            Ok(cells)
        })?;
        Ok(Self { name: scope.name().into(), cells, directions })
    }

    /// The outputs of the last layer in each step, and the states of all cells after their last step. The states before
    /// their first step are 0, unless they are given.
    pub(super) fn sequence<'t, F: Real, const N: usize>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        states: Option<&[[Var<'t, F>; N]]>,
        at: &'static Location<'static>,
    ) -> GraphResult<Outputs<'t, F, N>>
    where
        C: Cell<F, N>,
        [Var<'t, F>; N]: ScanValues<'t, F>,
    {
        record.tape().check()?;
        let Self { name, cells, directions } = self;
        let rank = x.shape().rank();
        if let Some(first) = cells.first() {
            let gates = first.gates();
            if rank < 2 {
                return Err(unfit(
                    x,
                    gates.name(),
                    format!("expected the event axes [.., steps, {}]", gates.inputs),
                    at,
                ));
            }
            if let Some(states) = states.filter(|states| states.len() != cells.len()) {
                let what = if *directions == Directions::Both { "layers and directions" } else { "layers" };
                let problem =
                    format!("expected a state for each of {} {what}, got {} states", cells.len(), states.len());
                return Err(unfit(x, gates.name(), problem, at));
            }
        }
        // The axis of the steps, the last but one, comes first.
        let to_front: Vec<usize> = [rank - 2].into_iter().chain(0..rank - 2).chain([rank - 1]).collect();
        let to_back: Vec<usize> = (1..rank - 1).chain([0, rank - 1]).collect();
        record.tape().located(at, || {
            let mut values = if rank == 2 { x } else { x.permute(&to_front) };
            let steps = values.shape()[0];
            let backwards: Vec<usize> = (0..steps).rev().collect();
            let mut last = Vec::with_capacity(cells.len());
            let ends = directions.suffixes();
            for (layer, of_layer) in cells.chunks(ends.len()).enumerate() {
                let mut outputs = Vec::with_capacity(ends.len());
                for (cell, end) in of_layer.iter().zip(ends) {
                    let is_reverse = !end.is_empty();
                    let reversed = |values: Var<'t, F>| match is_reverse {
                        true => values.index_select(0, &backwards),
                        false => values,
                    };
                    let of_inputs = cell.gates().of_input(record, reversed(values), at)?;
                    let state = match states {
                        Some(states) => states[last.len()],
                        None => [cell.gates().initial(record, values); N],
                    };
                    let loop_name = format!("{name}.l{layer}{end}");
                    let (state, of_steps) = record.scan(&loop_name, steps, state, |record, step, state| {
                        let next = cell.next(record, step.of(of_inputs), state, at)?;
                        Ok((next, next[0]))
                    })?;
                    outputs.push(reversed(of_steps));
                    last.push(state);
                }
                values = if let [one] = outputs[..] { one } else { Var::concat(&outputs, -1)? };
            }
            Ok((if rank == 2 { values } else { values.permute(&to_back) }, last))
        })
    }
}
