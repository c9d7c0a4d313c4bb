//! Decayed means over past steps, from which most baselines with a state are made.

use stochgrad_graph::{MethodSlots, SlotDomain, SlotPart, SlotSet, Update};
use stochgrad_tape::{Slot, Tape, Var};
use stochgrad_tensor::{Real, Shape};

/// The slot of the weight, which the parts of every [`RunningMeans`] include.
pub const WEIGHT: SlotPart = SlotPart { name: "weight", domain: SlotDomain::Share };

/// Decayed means over past steps: for each owner, such as a node and a cost, a few means $m$ with the common weight $w$,
///
/// $$w_{t+1} = \beta\, w_t + 1 - \beta, \quad m_{t+1} = m_t + \frac{1 - \beta}{w_{t+1}}\, (x_t - m_t),$$
///
/// so that the step `n` steps ago has a weight in proportion to `decayⁿ`. Both start at 0.
///
/// [`mean`](Self::mean) puts a mean of the steps before this one on the tape, and [`updates`](Self::updates) adds this
/// step when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance). Clones share the means.
///
/// ```
/// use stochgrad_estimators::extension::{RunningMeans, WEIGHT};
/// use stochgrad_graph::{SlotDomain, SlotPart};
/// use stochgrad_tape::Tape;
///
/// const PARTS: &[SlotPart] = &[SlotPart { name: "mean", domain: SlotDomain::Finite }, WEIGHT];
/// let means = RunningMeans::new(0.9, PARTS);
/// let tape = Tape::<f64>::new();
/// assert_eq!(means.mean(&tape, "cost", "mean", []).item(), Ok(0.0));
/// let updates = means.updates("cost", &[("mean", tape.constant([1.0, 3.0]).mean())]);
/// // In a method, return the updates in `Terms::updates` instead; `advance` then does the following.
/// for update in updates {
///     update.slot.write(update.value.peek().unwrap().as_slice());
/// }
/// assert_eq!(means.mean(&tape, "cost", "mean", []).item(), Ok(2.0));
/// ```
#[derive(Clone, Debug)]
pub struct RunningMeans {
    /// The decay $\beta$, in $[0, 1)$.
    pub decay: f64,
    slots: SlotSet,
}

impl RunningMeans {
    /// No means yet. `parts` are the means that each owner has, and [`WEIGHT`].
    pub fn new(decay: f64, parts: &'static [SlotPart]) -> Self {
        RunningMeans { decay, slots: SlotSet::new(parts) }
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// If it is not in $[0, 1)$.
    pub fn check(&self) -> Result<(), String> {
        if (0.0..1.0).contains(&self.decay) {
            Ok(())
        } else {
            Err(format!("expected a decay in [0, 1), got {}; 0.9 is a common choice", self.decay))
        }
    }

    /// The slots, for [`Method::slots`](stochgrad_graph::Method::slots).
    pub fn slots(&self) -> MethodSlots {
        MethodSlots::from(&self.slots)
    }

    /// The slot of a mean.
    pub(crate) fn slot(&self, owner: &str, part: &str, shape: impl Into<Shape>) -> Slot {
        self.slots.slot(owner, part, shape, |_| 0.0)
    }

    /// Records a mean. It is 0 before the first step.
    pub fn mean<'t, F: Real>(&self, tape: &'t Tape<F>, owner: &str, part: &str, shape: impl Into<Shape>) -> Var<'t, F> {
        tape.slot(&self.slot(owner, part, shape))
    }

    /// Records the weight of an owner, which is 0 before the first step.
    pub fn weight<'t, F: Real>(&self, tape: &'t Tape<F>, owner: &str) -> Var<'t, F> {
        self.mean(tape, owner, WEIGHT.name, [])
    }

    /// The share of this step in the next means, and the update of the weight.
    pub(crate) fn share<'t, F: Real>(&self, tape: &'t Tape<F>, owner: &str) -> (Var<'t, F>, Update<'t, F>) {
        let rest = 1.0 - self.decay;
        let weight = self.weight(tape, owner) * self.decay + rest;
        (rest / weight, Update::new(&self.slot(owner, WEIGHT.name, []), weight))
    }

    /// The updates that add this step: a value for each mean of the owner, averaged over the plates of the value.
    pub fn updates<'t, F: Real>(&self, owner: &str, values: &[(&str, Var<'t, F>)]) -> Vec<Update<'t, F>> {
        let Some((_, first)) = values.first() else { return Vec::new() };
        let (share, weight) = self.share(first.tape(), owner);
        let mut updates = vec![weight];
        for (part, value) in values {
            let value = mean_over_plates(*value);
            let before = self.mean(value.tape(), owner, part, value.shape());
            updates.push(Update::new(&self.slot(owner, part, value.shape()), before + share * (value - before)));
        }
        updates
    }
}

/// The average over all plates, the inner ones first: the weights of a plate may bring in plates outside it.
pub(crate) fn mean_over_plates<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    let mut value = value.stop_gradient();
    while let Some(&plate) = value.plates().last() {
        value = value.mean_over(plate);
    }
    value.stop_gradient()
}
