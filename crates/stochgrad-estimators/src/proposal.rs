//! Laws that importance sampling draws from in the place of a node's own.

use crate::enumerate::{element_values, independent_elements};
use stochgrad_distributions::{Distribution, DistributionError, DistributionResult, Family, Support, Tempered};
use stochgrad_tape::{IdMap, PlateKind, Tape};
use stochgrad_tensor::Real;

/// What of a proposal does not depend on the law.
pub trait ProposalKind: Clone + Send + Sync + 'static {
    /// In words.
    fn name(&self) -> String;

    /// Whether the support is that of the law by construction, so that it need not be checked.
    fn has_same_support(&self) -> bool {
        false
    }
}

/// Where the samples of [`ImportanceSampling`](crate::ImportanceSampling) come from, for laws of a family.
pub trait Proposal<F: Real, D: Family<F>>: ProposalKind {
    /// Hands the live proposal for a live law on.
    ///
    /// # Errors
    /// If there is none, and those of `then`.
    fn propose<'t>(
        &self,
        tape: &'t Tape<F>,
        law: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()>;
}

/// A law of the user's, on the same recording.
#[derive(Clone, Copy, Debug)]
pub struct GivenLaw<R> {
    pub(crate) law: R,
    /// Of the tape that it was recorded on.
    pub(crate) generation: u32,
}

impl<R: Clone + Send + Sync + 'static> ProposalKind for GivenLaw<R> {
    fn name(&self) -> String {
        "given proposal".into()
    }
}

impl<F: Real, D: Family<F>, R: Family<F> + Send + Sync> Proposal<F, D> for GivenLaw<R> {
    fn propose<'t>(
        &self,
        tape: &'t Tape<F>,
        law: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()> {
        if tape.generation() != self.generation {
            return Err(DistributionError::Unsupported {
                distribution: law.name(),
                problem: "the proposal was recorded on another tape, or before this one was cleared; make the method anew with each recording".into(),
            });
        }
        then(&self.law.bind(tape, &IdMap::identity())?)
    }
}

/// The law itself with its density to a power below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverdispersedLaw {
    pub(crate) temperature: f64,
}

impl ProposalKind for OverdispersedLaw {
    fn name(&self) -> String {
        format!("overdispersed, temperature {}", self.temperature)
    }

    fn has_same_support(&self) -> bool {
        true
    }
}

impl<F: Real, D: Family<F>> Proposal<F, D> for OverdispersedLaw
where
    for<'t> D::On<'t>: Tempered<'t, F>,
{
    fn propose<'t>(
        &self,
        _tape: &'t Tape<F>,
        law: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(DistributionError::Unsupported {
                distribution: law.name(),
                problem: format!(
                    "expected a temperature above 0 for the proposal (above 1 it is wider than the law), came {}",
                    self.temperature
                ),
            });
        }
        then(&*law.tempered(self.temperature))
    }
}

/// Checks that the proposal can give every value that the law can, as far as it can be known.
pub(crate) fn check_support<'t, F: Real>(
    tape: &'t Tape<F>,
    law: &dyn Distribution<'t, F>,
    proposal: &dyn Distribution<'t, F>,
) -> Result<(), String> {
    let name = proposal.name();
    if proposal.event_shape() != law.event_shape() {
        return Err(format!(
            "expected a proposal of event shape {}, came {name} of event shape {}",
            law.event_shape(),
            proposal.event_shape()
        ));
    }
    let depends = matches!(law.support(), Support::Interval | Support::Values);
    if proposal.support() != law.support() || depends {
        return Err(format!(
            "expected a proposal with the support {:?}, which no parameter decides, came {name} with {:?}; take one of the same family, or another \
             with that support",
            law.support(),
            proposal.support()
        ));
    }
    let plates = |law: &dyn Distribution<'t, F>| {
        law.parameters().iter().flat_map(|parameter| parameter.var.plates()).collect::<Vec<_>>()
    };
    let own = plates(law);
    if let Some(plate) = plates(proposal).into_iter().find(|plate| !own.contains(plate)) {
        return Err(format!(
            "the proposal {name} depends on plate \"{}\", which the law does not; give the law parameters on that plate, with expand_plates",
            tape.plate_name(plate)
        ));
    }
    let finite = (law.capabilities().finite_support, proposal.capabilities().finite_support);
    match finite {
        (None, Some(_)) => Err(format!(
            "the proposal {name} has a finite support, and the law has not: values beyond it would be missed"
        )),
        (None, None) => Ok(()),
        (Some(finite), _) => {
            let problem = |error: DistributionError| error.to_string();
            let support = finite.element_support().map_err(problem)?;
            let states = support.shape().first().copied().unwrap_or(1);
            let elements = independent_elements(finite);
            let each = tape.plate("states", states, PlateKind::Enumerated, &[]);
            let value = tape.constant_on(&[each], element_values(&support, states, elements, &law.event_shape()));
            let tape_problem = |error: stochgrad_tape::TapeError| error.to_string();
            let zero = tape.constant(0.0);
            let given = proposal.log_prob_each(value).exp().gt(zero);
            let missed = given.select(zero, finite.probability_each(value)).inspect().map_err(tape_problem)?;
            match missed.as_slice().iter().any(|&missed| missed > F::ZERO) {
                false => Ok(()),
                true => Err(format!(
                    "the proposal {name} has probability 0 (to working precision) where the law has not: those states would be missed; use a proposal \
                     that is positive wherever the law is"
                )),
            }
        }
    }
}
