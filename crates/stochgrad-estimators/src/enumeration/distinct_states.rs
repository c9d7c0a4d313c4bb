//! Sets of distinct joint states of a node: the common part of unordered sets and of sum and sample.

use crate::enumeration::enumerate::joint_probabilities;
use stochgrad_distributions::{DistributionResult, Draw, FiniteSupport};
use stochgrad_graph::{GraphResult, SampleContext, SampleSet};
use stochgrad_tape::{Plate, Tape, Var};
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::{Real, Shape, Tensor};

/// A lower bound for probabilities, since a set may have to contain states that never occur.
const TINY: f64 = 1e-30;

/// The joint states of a node, some of which have been picked one after the other.
pub(crate) struct DistinctStates<'t, F: Real> {
    tape: &'t Tape<F>,
    /// All joint states, shape `[total, event]`.
    values: Tensor<F>,
    /// The probabilities of all of them, event shape `[total]`.
    chances: Var<'t, F>,
    /// The same, detached and kept above a lower bound.
    probabilities: Var<'t, F>,
    /// 1 for states that have not been picked, and 0 for the others.
    free: Var<'t, F>,
    picked: Vec<Var<'t, F>>,
}

impl<'t, F: Real> DistinctStates<'t, F> {
    pub(crate) fn new(
        tape: &'t Tape<F>,
        distribution: &dyn FiniteSupport<'t, F>,
        limit: usize,
    ) -> DistributionResult<Self> {
        let (values, chances) = joint_probabilities(tape, distribution, limit)?;
        let probabilities = chances.stop_gradient().maximum(tape.constant(TINY));
        let free = probabilities * 0.0 + 1.0;
        Ok(DistinctStates { tape, values, chances, probabilities, free, picked: Vec::new() })
    }

    /// How many joint states there are.
    pub(crate) fn total(&self) -> usize {
        self.values.shape().first().copied().unwrap_or(0)
    }

    /// The probabilities of the states that were not picked, 0 for the others.
    fn remaining(&self) -> Var<'t, F> {
        self.probabilities * self.free
    }

    fn pick(&mut self, position: Var<'t, F>) {
        let chosen = position.one_hot(self.total());
        self.free = self.free * (1.0 - chosen);
        self.picked.push(chosen);
    }

    /// Picks the most likely one of the remaining states.
    pub(crate) fn pick_likeliest(&mut self) {
        // Picked states must lose against states of the smallest probability.
        self.pick((self.remaining() + self.free).argmax(-1));
    }

    /// Picks one of the remaining states at random, by their probabilities.
    pub(crate) fn pick_randomly(&mut self, draw: &Draw<'_, F>) -> DistributionResult<()> {
        let position = self.draw(draw)?;
        self.pick(position);
        Ok(())
    }

    /// Draws one of the remaining states without picking it, and returns its one-hot vector.
    pub(crate) fn draw_rest(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        Ok(self.draw(draw)?.one_hot(self.total()))
    }

    fn draw(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        draw.record_categorical(self.tape, &Shape::scalar(), self.remaining())
    }

    /// The one-hot vectors of the picked states.
    pub(crate) fn picked(&self) -> &[Var<'t, F>] {
        &self.picked
    }

    /// The probability of all states that were not picked. It is accurate even if it is small.
    pub(crate) fn rest(&self) -> Var<'t, F> {
        self.remaining().sum()
    }

    /// The probability of the state with this one-hot vector.
    pub(crate) fn probability(&self, chosen: Var<'t, F>) -> Var<'t, F> {
        (chosen * self.probabilities).sum()
    }

    /// The probability of the state with this one-hot vector, with its derivatives.
    pub(crate) fn chance(&self, chosen: Var<'t, F>) -> Var<'t, F> {
        (chosen * self.chances).sum()
    }

    /// The positions of the states that were not picked, in their order, and their probabilities with the derivatives.
    pub(crate) fn others(&self) -> (Var<'t, F>, Var<'t, F>) {
        let total = self.total();
        // The keys differ, so that the order of equal ones does not matter.
        let places = self.tape.constant(Tensor::from_fn([total], F::from_usize));
        let order = (self.free * total as f64 - places).argsort(-1, Order::Descending);
        let positions = order.slice(-1, 0..total - self.picked.len());
        (positions, self.chances.gather(-1, positions))
    }

    /// The joint states as the rows of a matrix.
    pub(crate) fn table(&self) -> Var<'t, F> {
        let total = self.total();
        let width = self.values.len() / total.max(1);
        self.tape.constant(self.values.clone().with_shape([total, width]))
    }

    /// The states with these one-hot vectors along a first axis.
    pub(crate) fn rows(&self, chosen: &[Var<'t, F>], event: &Shape) -> GraphResult<Var<'t, F>> {
        let shape: Shape = std::iter::once(chosen.len()).chain(event.iter().copied()).collect();
        Ok(Var::stack(chosen)?.matmul(self.table()).reshape(shape))
    }

    /// The states with these one-hot vectors as the members of a plate.
    pub(crate) fn members(&self, chosen: &[Var<'t, F>], plate: Plate, event: &Shape) -> GraphResult<Var<'t, F>> {
        Ok(self.rows(chosen, event)?.event_to_plate(plate).drawn())
    }

    /// The one-hot vector of a joint state.
    pub(crate) fn position_of(&self, value: Var<'t, F>) -> Var<'t, F> {
        let width = self.values.len() / self.total().max(1);
        let row = value.stop_gradient().reshape([1, width]);
        // States are exact numbers, so that only the state's own row has distance zero.
        1.0 - (self.table() - row).square().sum_axis(-1).gt(self.tape.constant(0.0))
    }

    /// Marks the first `members` states of an earlier set as picked, in their order.
    pub(crate) fn pick_members(&mut self, value: Var<'t, F>, plate: Plate, members: usize) {
        for member in 0..members {
            let chosen = self.position_of(value.member(plate, member));
            self.free = self.free * (1.0 - chosen);
            self.picked.push(chosen);
        }
    }
}

/// A sample set with detached weights.
pub(crate) fn weighted<'t, F: Real>(
    value: Var<'t, F>,
    weights: &[Var<'t, F>],
    plate: Plate,
) -> GraphResult<SampleSet<'t, F>> {
    let weights = Var::stack(weights)?.event_to_plate(plate).stop_gradient();
    Ok(SampleSet { value, plate: Some(plate), weights: Some((weights, false)) })
}

/// A request for the noise of the pick with this number.
pub(crate) fn pick_draw<'a, F: Real>(context: &'a SampleContext<'_, '_, F>, number: usize) -> Draw<'a, F> {
    context.draw(None).purpose(&format!("pick {number}"))
}
