//! Parameters that a method learns by itself, with Adam, from an auxiliary loss.

use stochgrad_graph::{AuxiliaryLoss, MethodSlots, SlotDomain, SlotPart, SlotSet, Update};
use stochgrad_tape::descent::Adam;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape};

const VALUE: SlotPart = SlotPart { name: "value", domain: SlotDomain::Finite };
const FIRST: SlotPart = SlotPart { name: "first moment", domain: SlotDomain::Finite };
const SECOND: SlotPart = SlotPart { name: "second moment", domain: SlotDomain::NotNegative };
const STEPS: SlotPart = SlotPart { name: "steps", domain: SlotDomain::Count };
const PARTS: &[SlotPart] = &[VALUE, FIRST, SECOND, STEPS];

/// Named arrays of numbers that a method learns with Adam: the scale of a control variate, or the weights of a network.
/// Clones share them.
///
/// [`record`](Self::record) puts an array on the tape, and [`learn`](Self::learn) makes the auxiliary loss that trains
/// it. The arrays change only when the user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance).
///
/// ```
/// use stochgrad_estimators::extension::LearnedParameters;
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let learned = LearnedParameters::new(0.1);
/// for _ in 0..200 {
///     let tape = Tape::<f64>::new();
///     let scale = learned.record(&tape, "scale", [], |_| 1.0);
///     let loss = learned.learn((scale - 3.0).square(), vec![("scale".into(), scale)]);
///     // In a method, return the loss in `Terms::auxiliary` instead; `advance` then does the following.
///     let gradients = tape.gradients(loss.loss, &loss.parameters)?;
///     for update in (loss.rule)(&gradients) {
///         update.slot.write(update.value.peek()?.as_slice());
///     }
/// }
/// assert!((learned.slots().state()["scale / value"][0] - 3.0).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LearnedParameters {
    learning_rate: f64,
    slots: SlotSet,
}

impl LearnedParameters {
    /// No arrays yet; they will be learned with this step size.
    pub fn new(learning_rate: f64) -> Self {
        LearnedParameters { learning_rate, slots: SlotSet::new(PARTS).with_learned(VALUE.name) }
    }

    /// The arrays with the moments of Adam, for [`Method::slots`](stochgrad_graph::Method::slots).
    pub fn slots(&self) -> MethodSlots {
        MethodSlots::from(&self.slots)
    }

    /// Records the array with this name on the tape. A compiled graph reads it again in every run.
    ///
    /// Before the first step, `initial` gives the value at each position. A known array of another shape is given up,
    /// and starts again.
    pub fn record<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        name: &str,
        shape: impl Into<Shape>,
        initial: impl Fn(usize) -> f64,
    ) -> Var<'t, F> {
        tape.slot(&self.slots.slot(name, VALUE.name, shape, initial))
    }

    /// The auxiliary loss that trains recorded arrays, given with their names. It takes one step of Adam each time the
    /// user calls [`Gradients::advance`](stochgrad_graph::Gradients::advance).
    pub fn learn<'t, F: Real>(&self, loss: Var<'t, F>, recorded: Vec<(String, Var<'t, F>)>) -> AuxiliaryLoss<'t, F> {
        let parameters = recorded.iter().map(|(_, parameter)| *parameter).collect();
        let learned = self.clone();
        let rule = move |gradients: &[Var<'t, F>]| {
            let arrays = recorded.iter().zip(gradients);
            arrays.flat_map(|((name, value), gradient)| learned.step(name, *value, *gradient)).collect()
        };
        AuxiliaryLoss { loss, parameters, rule: Box::new(rule) }
    }

    /// One step of Adam for one array.
    fn step<'t, F: Real>(&self, name: &str, value: Var<'t, F>, gradient: Var<'t, F>) -> [Update<'t, F>; 4] {
        let tape = value.tape();
        let slot = |part: SlotPart, shape: Shape| self.slots.slot(name, part.name, shape, |_| 0.0);
        let moments = [FIRST, SECOND].map(|part| slot(part, value.shape()));
        let count = slot(STEPS, Shape::scalar());
        let steps = tape.slot(&count) + 1.0;
        let adam = Adam::DEFAULT;
        let coefficients = adam.coefficients(tape.constant(self.learning_rate), steps);
        let moved = adam.step(coefficients, gradient, moments.each_ref().map(|moment| tape.slot(moment)), value);
        [
            Update::new(&slot(VALUE, value.shape()), moved.parameter),
            Update::new(&moments[0], moved.moments[0]),
            Update::new(&moments[1], moved.moments[1]),
            Update::new(&count, steps),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One step, and the array before it.
    fn step(own: &LearnedParameters) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let x = own.record(&tape, "x", [2], |i| i as f64);
        let loss = own.learn((x - tape.constant([3.0, -1.0])).square().sum(), vec![("x".into(), x)]);
        let gradients = tape.gradients(loss.loss, &loss.parameters).unwrap();
        for update in (loss.rule)(&gradients) {
            update.slot.write(update.value.peek().unwrap().as_slice());
        }
        x.peek().unwrap().to_vec()
    }

    #[test]
    fn a_quadratic_is_learned_and_the_state_returns() {
        let own = LearnedParameters::new(0.05);
        assert_eq!(step(&own), [0.0, 1.0]);
        for _ in 0..1000 {
            step(&own);
        }
        let found = step(&own);
        assert!((found[0] - 3.0).abs() < 1e-3 && (found[1] + 1.0).abs() < 1e-3, "{found:?}");
        let other = LearnedParameters::new(0.05);
        other.slots().load("test", &own.slots().state()).unwrap();
        assert_eq!(other.slots().state(), own.slots().state());
        step(&own);
        step(&other);
        assert_eq!(own.slots().state(), other.slots().state());
        assert!(other.slots().load("test", &[("x / value".to_string(), vec![1.0, 2.0])].into()).is_err());
        let mut short = own.slots().state();
        short.insert("x / value".into(), vec![1.0]);
        assert!(other.slots().load("test", &short).is_err(), "the array has two elements");
    }
}
