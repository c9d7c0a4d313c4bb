//! Draws by samplers as operations: each element is computed from its parameters and from noise of its own.

use crate::attempt::{Attempt, DrawKey, draw_elements};
use crate::description::{RecordedAttempt, RecordedProposal};
use crate::error::TapeError;
use crate::id::Inputs;
use crate::noise::NoiseLayout;
use crate::noise_source::NoiseSeed;
use crate::op::Op;
use crate::op::fault::Fault;
use crate::plate::{Plate, Plates, merge};
use crate::tape::{Inner, Tape};
use crate::var::Var;
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tensor::{Pool, Real, Shape, Tensor};

/// A sampler of a distribution that makes attempts until one is accepted, as rejection sampling does.
/// [`Tape::draw`] records a draw.
pub trait Sampler<F: Real>: Send + Sync {
    /// The name, for messages and drawings of graphs.
    fn name(&self) -> &str;

    /// Makes an attempt at each of some elements, up to [`Attempt::LARGEST`]: writes the proposed
    /// [`values`](Attempt::values), and says which of them are [`rejected`](Attempt::rejected). The result for an
    /// element must depend on its parameters, its noise and the number of the attempt only. Parameters outside the
    /// domain of the distribution must give NaN, accepted: an element that is rejected 2¹⁷ times is an error.
    fn attempt(&self, attempt: &mut Attempt<'_, F>);

    /// Records what [`attempt`](Self::attempt) computes, in operations of the tape of the attempt: for back ends that
    /// run a program without calling this code, such as a lowering to an accelerator. `None` means that only `attempt`
    /// can compute it.
    ///
    /// ```
    /// use stochgrad_tape::{Attempt, RecordedAttempt, RecordedProposal, Sampler};
    /// use stochgrad_tensor::Real;
    ///
    /// /// Uniform values below a bound.
    /// struct Below;
    /// impl<F: Real> Sampler<F> for Below {
    ///     fn name(&self) -> &str { "uniform values below a bound" }
    ///     fn attempt(&self, attempt: &mut Attempt<'_, F>) {
    ///         let mut uniform = [F::ZERO; Attempt::<f64>::LARGEST];
    ///         attempt.uniform(0, &mut uniform[..attempt.len()]);
    ///         for element in 0..attempt.len() {
    ///             attempt.values[element] = uniform[element];
    ///             attempt.rejected[element] = uniform[element] >= attempt.parameter(0)[element];
    ///         }
    ///     }
    ///     fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
    ///         let value = attempt.uniforms[0];
    ///         Some(RecordedProposal { value, rejected: value.ge(attempt.parameters[0]) })
    ///     }
    /// }
    /// ```
    fn as_operations<'t>(&self, attempt: &RecordedAttempt<'t, F>) -> Option<RecordedProposal<'t, F>> {
        let _ = attempt;
        None
    }
}

impl<F: Real> Tape<F> {
    /// Records a draw: a value for each element of an event shape and each member of some plates, computed by a sampler.
    /// The noise of an element is determined by a seed, an address and the position of the element, as for
    /// [`noise`](Self::noise), and does not depend on threads or on other elements. The parameters broadcast to the
    /// plates and the event shape. If one of them carries more plates, the draw carries them too. No gradient flows
    /// through it.
    ///
    /// Returns `None` if this tape already has noise from another seed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stochgrad_tape::{Attempt, NoiseSeed, Sampler, Tape};
    /// use stochgrad_tensor::{Real, Shape};
    ///
    /// /// The number of failures before the first success.
    /// struct Failures;
    /// impl<F: Real> Sampler<F> for Failures {
    ///     fn name(&self) -> &str { "failures" }
    ///     fn attempt(&self, attempt: &mut Attempt<'_, F>) {
    ///         let mut uniform = [F::ZERO; Attempt::<f64>::LARGEST];
    ///         attempt.uniform(0, &mut uniform[..attempt.len()]);
    ///         for element in 0..attempt.len() {
    ///             let probability = attempt.parameter(0)[element];
    ///             let valid = probability > F::ZERO;
    ///             attempt.values[element] = if valid { F::from_usize(attempt.number()) } else { F::NAN };
    ///             attempt.rejected[element] = valid && uniform[element] > probability;
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), stochgrad_tape::TapeError> {
    /// let tape = Tape::<f64>::new();
    /// let probability = tape.parameter([0.5, 1.0]);
    /// let draw = tape.draw(NoiseSeed::default(), Arc::new(Failures), 7, &[probability], &[], &Shape::from([2]));
    /// assert_eq!(draw.expect("the first seed").peek()?.as_slice()[1], 0.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn draw<'t>(
        &'t self,
        seed: NoiseSeed,
        sampler: Arc<dyn Sampler<F>>,
        address: u128,
        parameters: &[Var<'t, F>],
        plates: &[Plate],
        event: &Shape,
    ) -> Option<Var<'t, F>> {
        let location = Location::caller();
        if let Err(error) = self.own_plates(plates, location) {
            return Some(self.fail(error));
        }
        let ids: Inputs = match self.own(parameters, location) {
            Ok(ids) => ids,
            Err(error) => return Some(self.fail(error)),
        };
        if let Some(parameter) = parameters.iter().find(|parameter| !fits(&parameter.shape(), event)) {
            let message = format!(
                "expected parameters of {} that broadcast to event shape {event}, got event shape {}",
                sampler.name(),
                parameter.shape()
            );
            return Some(self.fail(TapeError::Other { message, at: location }));
        }
        let number = {
            let mut inner = self.inner.borrow_mut();
            if *inner.noise.get_or_insert(seed) != seed {
                return None;
            }
            inner.samplers.push(sampler);
            inner.samplers.len() as u32 - 1
        };
        let op = Op::Draw { sampler: number, address, plates: Plates::from_slice(plates), event: event.clone() };
        Some(Var { tape: self, id: self.apply(op, &ids, location) })
    }
}

/// Whether a shape broadcasts to another one without changing it.
fn fits(shape: &Shape, to: &Shape) -> bool {
    shape.len() <= to.len() && shape.iter().rev().zip(to.iter().rev()).all(|(&own, &wide)| own == wide || own == 1)
}

impl<F: Real> Inner<F> {
    /// The value of a draw, on its own plates and those of its parameters.
    pub(crate) fn drawn(
        &self,
        pool: &Pool<F>,
        (sampler, address): (u32, u128),
        (plates, event): (&Plates, &Shape),
        inputs: &[crate::id::Id],
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let mut all = plates.clone();
        inputs.iter().for_each(|id| merge(&mut all, &self.nodes[id.index()].plates));
        let shape = self.full_shape(&all, event);
        let entries = all.iter().map(|plate| self.plates[plate.index as usize].extent());
        let layout = NoiseLayout::of(entries, event.numel());
        let parameters: SmallVec<[(Tensor<F>, bool); 3]> = inputs
            .iter()
            .map(|id| {
                let value = self.spread(&self.nodes[id.index()], &all, event.len());
                match *value.shape() == shape || value.len() == 1 {
                    true => (value, false),
                    false => (stochgrad_tensor::reduce::expand(pool, &value, &shape), true),
                }
            })
            .collect();
        let seed = self.noise.unwrap_or_default();
        let key = DrawKey::new(seed.seed, seed.step, address);
        let mut out = pool.take(shape);
        let drawn = {
            let views: SmallVec<[&[F]; 3]> = parameters.iter().map(|(value, _)| value.as_slice()).collect();
            draw_elements(pool, &*self.samplers[sampler as usize], &key, &layout, &views, out.make_mut())
        };
        parameters.into_iter().filter(|(_, pooled)| *pooled).for_each(|(value, _)| pool.recycle(value));
        match drawn {
            Ok(()) => Ok((out, all)),
            Err(problem) => Err(Fault::Operand { problem, shape: event.clone(), plates: self.words(&all) }),
        }
    }
}
