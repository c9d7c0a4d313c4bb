//! Recurrent cells along a sequence.

use std::panic::Location;

use stochgrad_graph::{GraphResult, ScanValues};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::layers::input::unfit;
use crate::layers::recurrent::gates::Gates;
use crate::parameters::Scope;
use crate::record::Record;

/// A cell whose state is `N` values of the same shape, the first of which is its output.
pub(super) trait Cell<F: Real, const N: usize> {
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

/// Makes the cells of several layers. `make` gets the scope, the end of the names of the parameters, and the sizes of
/// the input and of the state.
///
/// # Errors
///
/// If there are no layers, and those of `make`. Nothing is added in this case.
pub(super) fn stack<F: Real, C>(
    scope: &mut Scope<'_, F>,
    [inputs, size, layers]: [usize; 3],
    make: impl Fn(&mut Scope<'_, F>, &str, [usize; 2]) -> NnResult<C>,
) -> NnResult<Vec<C>> {
    if layers == 0 {
        return Err(NnError::argument(
            "`layers` of a recurrent layer",
            "at least one",
            format!("0 for layer `{}`", scope.name()),
            "pass 1 for a single layer",
        ));
    }
    scope.all_or_none(|scope| {
        (0..layers)
            .map(|layer| make(scope, &format!("_l{layer}"), [if layer == 0 { inputs } else { size }, size]))
            .collect()
    })
}

/// The outputs of the last layer in each step, and the last state of each layer.
pub(super) type Outputs<'t, F, const N: usize> = (Var<'t, F>, Vec<[Var<'t, F>; N]>);

/// The outputs of the last layer in each step, and the states of all layers after the last step. The states before the
/// first step are 0, unless they are given.
pub(super) fn sequence<'t, F: Real, const N: usize>(
    cells: &[impl Cell<F, N>],
    name: &str,
    record: &Record<'_, 't, F>,
    x: Var<'t, F>,
    states: Option<&[[Var<'t, F>; N]]>,
    at: &'static Location<'static>,
) -> GraphResult<Outputs<'t, F, N>>
where
    [Var<'t, F>; N]: ScanValues<'t, F>,
{
    record.tape().check()?;
    let rank = x.shape().rank();
    if let Some(first) = cells.first() {
        let gates = first.gates();
        if rank < 2 {
            return Err(unfit(x, gates.name(), format!("expected the event axes [.., steps, {}]", gates.inputs), at));
        }
        if let Some(states) = states.filter(|states| states.len() != cells.len()) {
            let problem = format!("expected a state for each of {} layers, got {} states", cells.len(), states.len());
            return Err(unfit(x, gates.name(), problem, at));
        }
    }
    // The axis of the steps, the last but one, comes first.
    let to_front: Vec<usize> = [rank - 2].into_iter().chain(0..rank - 2).chain([rank - 1]).collect();
    let to_back: Vec<usize> = (1..rank - 1).chain([0, rank - 1]).collect();
    record.tape().located(at, || {
        let mut values = if rank == 2 { x } else { x.permute(&to_front) };
        let mut last = Vec::with_capacity(cells.len());
        for (layer, cell) in cells.iter().enumerate() {
            let gates = cell.gates();
            let of_inputs = gates.of_input(record, values, at)?;
            let state = match states {
                Some(states) => states[layer],
                None => [gates.initial(record, values); N],
            };
            let steps = values.shape()[0];
            let (state, outputs) = record.scan(&format!("{name}.l{layer}"), steps, state, |record, step, state| {
                let next = cell.next(record, step.of(of_inputs), state, at)?;
                Ok((next, next[0]))
            })?;
            values = outputs;
            last.push(state);
        }
        Ok((if rank == 2 { values } else { values.permute(&to_back) }, last))
    })
}
