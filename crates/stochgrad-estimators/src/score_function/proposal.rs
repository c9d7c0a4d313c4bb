//! Proposals: the distributions that importance sampling draws from.

use crate::enumeration::constant_support::independent_elements;
use crate::enumeration::enumerate::element_values;
use stochgrad_distributions::{Distribution, DistributionError, DistributionResult, Family, Tempered};
use stochgrad_tape::{IdMap, PlateKind, Tape};
use stochgrad_tensor::{Real, instantiated};

/// The largest number of states of an element at which a proposal is compared with the distribution.
const MOST_STATES: u128 = 1 << 24;

/// The part of a proposal that does not depend on the distribution.
pub trait ProposalKind: Clone + Send + Sync + 'static {
    /// The name of the proposal, for messages.
    fn name(&self) -> String;

    /// Whether the support is that of the distribution by construction, so that it need not be checked.
    fn has_same_support(&self) -> bool {
        false
    }
}

/// A distribution to draw the samples of [`ImportanceSampling`](crate::ImportanceSampling) from, for distributions of a
/// family.
pub trait Proposal<F: Real, D: Family<F>>: ProposalKind {
    /// Makes the proposal for a distribution, and passes it to `then`.
    ///
    /// # Errors
    /// If there is no such proposal, and those of `then`.
    fn propose<'t>(
        &self,
        tape: &'t Tape<F>,
        distribution: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()>;
}

/// A distribution given by the user, on the same tape.
#[derive(Clone, Copy, Debug)]
pub struct GivenProposal<R> {
    pub(crate) distribution: R,
    /// The generation of the tape that it was recorded on.
    pub(crate) generation: u32,
}

impl<R: Clone + Send + Sync + 'static> ProposalKind for GivenProposal<R> {
    fn name(&self) -> String {
        "given proposal".into()
    }
}

impl<F: Real, D: Family<F>, R: Family<F> + Send + Sync> Proposal<F, D> for GivenProposal<R> {
    fn propose<'t>(
        &self,
        tape: &'t Tape<F>,
        distribution: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()> {
        if tape.generation() != self.generation {
            return Err(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: "the proposal was recorded on another tape, or before this one was cleared; make the method \
                          anew with each recording"
                    .into(),
            });
        }
        then(&self.distribution.bind(tape, &IdMap::identity())?)
    }
}

/// The distribution itself with its density raised to a power below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverdispersedProposal {
    pub(crate) temperature: f64,
}

impl ProposalKind for OverdispersedProposal {
    fn name(&self) -> String {
        format!("overdispersed, temperature {}", self.temperature)
    }

    fn has_same_support(&self) -> bool {
        true
    }
}

impl<F: Real, D: Family<F>> Proposal<F, D> for OverdispersedProposal
where
    for<'t> D::On<'t>: Tempered<'t, F>,
{
    fn propose<'t>(
        &self,
        _tape: &'t Tape<F>,
        distribution: &D::On<'t>,
        then: &mut dyn FnMut(&dyn Distribution<'t, F>) -> DistributionResult<()>,
    ) -> DistributionResult<()> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(DistributionError::Unsupported {
                distribution: distribution.name(),
                problem: format!(
                    "expected a temperature above 0 for the proposal (above 1 it is wider than the distribution), got \
                     {}",
                    self.temperature
                ),
            });
        }
        then(&*distribution.tempered(self.temperature))
    }
}

/// Checks, as far as possible, that the proposal is positive wherever the distribution is.
pub(crate) fn check_support<'t, F: Real>(
    tape: &'t Tape<F>,
    distribution: &dyn Distribution<'t, F>,
    proposal: &dyn Distribution<'t, F>,
) -> Result<(), String> {
    instantiated!(
        F: for<'t> fn(&'t Tape<F>, &dyn Distribution<'t, F>, &dyn Distribution<'t, F>) -> Result<(), String> =
            check_support_body
    )(tape, distribution, proposal)
}

fn check_support_body<'t, F: Real>(
    tape: &'t Tape<F>,
    distribution: &dyn Distribution<'t, F>,
    proposal: &dyn Distribution<'t, F>,
) -> Result<(), String> {
    let name = proposal.name();
    if proposal.event_shape() != distribution.event_shape() {
        return Err(format!(
            "expected a proposal of event shape {}, got {name} of event shape {}",
            distribution.event_shape(),
            proposal.event_shape()
        ));
    }
    let support = distribution.support();
    if proposal.support() != support || support.depends_on_parameters() {
        return Err(format!(
            "expected a proposal with the support {:?}, which no parameter decides, got {name} with {:?}; take one of \
             the same family, or another with that support",
            support,
            proposal.support()
        ));
    }
    let plates = |distribution: &dyn Distribution<'t, F>| {
        distribution.parameters().iter().flat_map(|parameter| parameter.var.plates()).collect::<Vec<_>>()
    };
    let own = plates(distribution);
    if let Some(plate) = plates(proposal).into_iter().find(|plate| !own.contains(plate)) {
        return Err(format!(
            "the proposal {name} depends on plate \"{}\", which the distribution does not; give the distribution \
             parameters on that plate, with expand_plates",
            tape.plate_name(plate)
        ));
    }
    let finite = (distribution.capabilities().finite_support, proposal.capabilities().finite_support);
    match finite {
        (None, Some(_)) => Err(format!(
            "the proposal {name} has a finite support, and the distribution has not: values beyond it would be missed"
        )),
        (None, None) => Ok(()),
        (Some(finite), _) => {
            let problem = |error: DistributionError| error.to_string();
            let states = finite.states().map_err(problem)?;
            if states > MOST_STATES {
                return Err(format!(
                    "expected a proposal for a distribution with at most {MOST_STATES} states of an element, at \
                     each of which the two are compared, got {states}; use another method"
                ));
            }
            let support = finite.element_support().map_err(problem)?;
            let states = support.shape().first().copied().unwrap_or(1);
            let elements = independent_elements(finite);
            let each = tape.plate("states", states, PlateKind::Enumerated, &[]);
            let value =
                tape.constant_on(&[each], element_values(&support, states, elements, &distribution.event_shape()));
            let tape_problem = |error: stochgrad_tape::TapeError| error.to_string();
            let zero = tape.constant(0.0);
            let given = proposal.log_prob_each(value).exp().gt(zero);
            let missed = given.select(zero, finite.probability_each(value)).inspect().map_err(tape_problem)?;
            match missed.as_slice().iter().any(|&missed| missed > F::ZERO) {
                false => Ok(()),
                true => Err(format!(
                    "the proposal {name} has probability 0 (to working precision) where the distribution has not: \
                     those states would be missed; use a proposal that is positive wherever the distribution is"
                )),
            }
        }
    }
}
