//! Sum and sample around another method: sums over the likeliest states, and leaves the others to the method inside.
//!
//! With the set $C$ of the $k$ likeliest states, $P = p(C)$, and the estimates $\hat f$ and $\hat g$ of
//! $\mathbb{E}[f \mid x \notin C]$ and its gradient that the method inside makes on the distribution of the other
//! states,
//!
//! $$g = \sum_{s \in C} f(s)\, \nabla p(s) - \hat f\, \nabla P + (1 - P)\, \hat g.$$
//!
//! In the surrogate the members of $C$ have the weights $p(s)$, those of the method inside $1 - P$ times their own, and
//! both are differentiable, so that derivatives of every order are those of
//! $\sum_C p(s) f(s) + (1 - P)\, \mathbb{E}[f \mid x \notin C]$. What the method inside adds (control variates, gradient
//! terms) has the factor $1 - P$, too. Liu, Regier, Tripuraneni, Jordan and McAuliffe (2019).
//!
//! **Assumptions.** Those of the method inside, for a categorical distribution of the other states, and a finite
//! support. A cost must not depend on the sets of several plate members together.
//!
//! | | |
//! |---|---|
//! | bias | that of the method inside |
//! | order | that of the method inside |
//! | cost evaluations | $k$, and those of the method inside |
//! | requirement on the cost | that of the method inside |

use crate::common::unrolled::check_unrolled;
use crate::enumeration::distinct_states::{DistinctStates, pick_draw};
use crate::enumeration::enumerate::joint_probabilities;
use crate::enumeration::sum_and_sample::rest_family::RestFamily;
use std::marker::PhantomData;
use std::panic::Location;
use stochgrad_distributions::{
    Categorical, Distribution, DistributionError, DistributionResult, Family, FiniteSupport, Id, OneHotCategorical,
};
use stochgrad_graph::{
    Address, CostContext, Count, Extent, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, MethodSlots,
    Path, Profile, SampleContext, SamplePlate, SampleSet, SetPart, Terms,
};
use stochgrad_tape::{Plate, PlateKind, Tape, TapeError, Var, Weights};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A lower bound for the probabilities of the states that are left, since all of them may be impossible.
const TINY: f64 = 1e-30;

/// The sum over the likeliest states, with another method for the others: see
/// [`SumAndSample::around`](crate::SumAndSample::around).
///
/// The joint states of all elements are the states. The method inside is one for
/// [`OneHotCategorical`](stochgrad_distributions::OneHotCategorical) distributions, which draws one of the states that
/// are left; with [`numbered`](Self::numbered) it is one for [`Categorical`](stochgrad_distributions::Categorical)
/// distributions, and draws its number. It makes a plate of its own or none, and the plate of the node has the summed
/// states before its members.
///
/// ```
/// use stochgrad_distributions::Categorical;
/// use stochgrad_estimators::{LeaveOneOut, ScoreFunction, SumAndSample};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let logits = graph.param("logits", [3.0, -1.0, 0.5, 0.0])?;
/// let method = SumAndSample::around(1, ScoreFunction::new().samples(2).baseline(LeaveOneOut));
/// let x = graph.sample("x", &Categorical::from_logits(logits), &method)?;
/// graph.cost("loss", (x - 1.5).square())?;
/// assert_eq!(graph.backward()?.get("logits")?.len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SumAndSampleAround<M, R = OneHotCategorical<Id>> {
    summed: usize,
    random: bool,
    limit: usize,
    inside: M,
    rest: PhantomData<fn() -> R>,
}

impl<M: Clone, R> Clone for SumAndSampleAround<M, R> {
    fn clone(&self) -> Self {
        SumAndSampleAround { inside: self.inside.clone(), ..*self }
    }
}

impl<M> SumAndSampleAround<M> {
    pub(crate) fn new(summed: usize, inside: M) -> Self {
        SumAndSampleAround { summed, random: false, limit: 4096, inside, rest: PhantomData }
    }

    /// Gives the method inside the numbers of the states that are left, in the order of the states, instead of one-hot
    /// vectors: for methods of integers, such as [`DiscreteGo`](crate::DiscreteGo).
    pub fn numbered(self) -> SumAndSampleAround<M, Categorical<Id>> {
        let SumAndSampleAround { summed, random, limit, inside, .. } = self;
        SumAndSampleAround { summed, random, limit, inside, rest: PhantomData }
    }
}

impl<M, R> SumAndSampleAround<M, R> {
    /// Sums over states that are drawn without replacement, by their probabilities, instead of the likeliest states.
    pub fn random(self) -> Self {
        SumAndSampleAround { random: true, ..self }
    }

    /// Sets the largest number of joint states, 4096 by default; a node with more of them is an error.
    pub fn limit(self, states: usize) -> Self {
        SumAndSampleAround { limit: states, ..self }
    }

    fn states<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> DistributionResult<DistinctStates<'t, F>> {
        let states = DistinctStates::new(tape, distribution, self.limit)?;
        if self.summed < states.total() {
            return Ok(states);
        }
        Err(DistributionError::Unsupported {
            distribution: distribution.name(),
            problem: format!(
                "expected fewer summed states than the {} there are, got {}; for all states use Enumerate",
                states.total(),
                self.summed
            ),
        })
    }

    /// The states with those marked that the members of a recorded set stand for.
    fn recorded_states<'t, F: Real>(
        &self,
        value: Var<'t, F>,
        set: Plate,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> DistributionResult<DistinctStates<'t, F>> {
        let mut states = self.states(value.tape(), distribution)?;
        states.pick_members(value, set, self.summed);
        Ok(states)
    }
}

/// The address of the noise and of the memory of the method inside.
fn address_inside(node: &Address) -> Address {
    format!("{node} (rest)").into()
}

/// The states that were not picked.
struct Rest<'t, F: Real> {
    /// Their positions among all joint states.
    positions: Var<'t, F>,
    /// Their unnormalised log-probabilities.
    logits: Var<'t, F>,
    /// The probability of all of them.
    mass: Var<'t, F>,
    table: Var<'t, F>,
    total: usize,
    event: Shape,
}

impl<'t, F: Real> Rest<'t, F> {
    fn new(states: &DistinctStates<'t, F>, event: Shape) -> Self {
        let (positions, chances) = states.others();
        Rest {
            positions,
            logits: logits(chances),
            mass: chances.sum(),
            table: states.table(),
            total: states.total(),
            event,
        }
    }

    fn left(&self) -> usize {
        self.positions.shape().numel()
    }

    /// The values of the node for one-hot vectors of the states that are left, which may be relaxed.
    fn values(&self, vectors: Var<'t, F>) -> Var<'t, F> {
        let none = vectors.tape().constant(Tensor::zeros([self.total]));
        let all = none.scatter_add(-1, self.positions, vectors);
        all.unsqueeze(0).matmul(self.table).reshape(self.event.clone())
    }
}

fn logits<F: Real>(chances: Var<'_, F>) -> Var<'_, F> {
    chances.maximum(chances.tape().constant(TINY)).ln()
}

impl<M: Method, R> SumAndSampleAround<M, R> {
    fn sample_inside<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>>
    where
        R: RestFamily<F>,
        M: GradientMethod<F, R>,
    {
        let refused = |source| context.error(source);
        let unsupported = |problem: &str| {
            let problem = format!("{}: {problem}", self.name());
            refused(DistributionError::Unsupported { distribution: distribution.name(), problem })
        };
        if let SamplePlate::Shared(_) = self.inside.sample_plate() {
            return Err(unsupported(
                "the method inside draws along a shared plate, which the summed states are not members of; use \
                 .samples(n) there",
            ));
        }
        if self.inside.group().is_some() {
            return Err(unsupported(
                "the method inside shares its replays with other nodes; use a method that replays for its node only, \
                 such as MeasureValued",
            ));
        }
        let mut states = self.states(context.tape(), distribution).map_err(refused)?;
        let instead = "sum over fewer, or use Enumerate";
        check_unrolled(distribution.name(), "summed states", self.summed, instead).map_err(refused)?;
        for number in 0..self.summed {
            match self.random {
                true => states.pick_randomly(&pick_draw(context, number)).map_err(refused)?,
                false => states.pick_likeliest(),
            }
        }
        let rest = Rest::new(&states, distribution.event_shape());
        let (left, address) = (R::from_logits(rest.logits), address_inside(context.address()));
        let nested = context.nested(&address);
        let set = match context.is_replay() {
            true => self.inside.resample(&nested, &left)?,
            false => self.inside.sample(&nested, &left)?,
        };
        let members = set.plate.map_or(1, |plate| context.tape().plate_size(plate));
        let plate = context.plate(self.summed + members, PlateKind::JointSamples)?;
        let shares = match set.weights {
            Some((weights, true)) => weights,
            Some((weights, false)) => weights.stop_gradient(),
            None => context.tape().constant(1.0 / members as f64),
        };
        if !context.is_replay() {
            context.tape().set_plate_part(plate, set.plate);
            if let (Some(own), Some((_, differentiable))) = (set.plate, set.weights) {
                context.tape().set_weights(own, Weights::Given { id: shares.id(), differentiable });
            }
        }
        let along = |value: Var<'t, F>| match set.plate {
            Some(own) => value.expand_plates(&[own]).plate_to_event(own),
            None => value.unsqueeze(0),
        };
        let mut values = vec![along(rest.values(R::vectors(set.value, rest.left())))];
        let mut weights = vec![along(shares * rest.mass)];
        if self.summed > 0 {
            values.insert(0, states.rows(states.picked(), &distribution.event_shape())?.drawn());
            let chances: Vec<Var<'t, F>> = states.picked().iter().map(|&chosen| states.chance(chosen)).collect();
            weights.insert(0, Var::stack(&chances)?);
        }
        Ok(SampleSet {
            value: Var::concat(&values, 0)?.event_to_plate(plate),
            plate: Some(plate),
            weights: Some((Var::concat(&weights, 0)?.event_to_plate(plate), true)),
        })
    }

    /// The gradient function of the method inside at its members, and 0 at the summed states.
    fn gradient_function_inside<'t, F: Real>(
        &self,
        distribution: &dyn FiniteSupport<'t, F>,
        value: Var<'t, F>,
        path: &Path,
    ) -> DistributionResult<Option<Var<'t, F>>>
    where
        R: RestFamily<F>,
        M: GradientMethod<F, R>,
    {
        // The plate of the set is made after those of the parameters.
        let Some(&set) = value.plates().last() else { return Ok(None) };
        let tape = value.tape();
        let states = self.recorded_states(value, set, distribution)?;
        let rest = Rest::new(&states, distribution.event_shape());
        let left = R::from_logits(rest.logits);
        let own = value.plate_to_event(set).slice(0, self.summed..tape.plate_size(set));
        let part = tape.plate_part(set);
        let own = match part {
            Some(part) => own.event_to_plate(part),
            None => own.index(0, 0),
        };
        let vectors = states.position_of(own).gather(-1, rest.positions);
        let Some(l) = self.inside.gradient_function(&left, R::value(vectors), path) else { return Ok(None) };
        let l = match part {
            Some(part) => l.expand_plates(&[part]).plate_to_event(part),
            None => l.unsqueeze(0),
        };
        let l = if self.summed == 0 { l } else { l.pad(0, self.summed, 0) };
        Ok(Some(l.event_to_plate(set)))
    }

    fn terms_inside<'t, F: Real>(
        &self,
        context: &CostContext<'_, 't, F>,
        distribution: &dyn FiniteSupport<'t, F>,
    ) -> GraphResult<Terms<'t, F>>
    where
        R: RestFamily<F>,
        M: GradientMethod<F, R>,
    {
        let Some(set) = context.plate() else { return Ok(Terms::default()) };
        let states = self.recorded_states(context.value(), set, distribution);
        let states = states.map_err(|source| context.error(source))?;
        let rest = Rest::new(&states, distribution.event_shape());
        let left = R::from_logits(rest.logits);
        let extract = |value| R::value(states.position_of(value).gather(-1, rest.positions));
        let embed = |value| rest.values(R::vectors(value, rest.left()));
        let part = SetPart::new(context, address_inside(context.address()), self.summed, &extract, &embed)?;
        let mut terms = self.inside.terms(&part.context(), &left)?;
        let own = context.tape().plate_part(set);
        let averaged = |value: Var<'t, F>| match own.filter(|own| value.plates().contains(own)) {
            Some(own) => value.mean_over(own),
            None => value,
        };
        for a in &mut terms.control_variates {
            *a = averaged(*a) * rest.mass;
        }
        for term in &mut terms.gradient_terms {
            let sum = |value: Var<'t, F>, plate| value.sum_over(plate);
            let value = match own.filter(|own| term.summed.contains(own) && term.value.plates().contains(own)) {
                Some(own) => sum(term.value, own),
                None => averaged(term.value),
            };
            let summed = term.summed.iter().copied().filter(|plate| Some(*plate) != own).collect();
            *term = GradientTerm { value: value * rest.mass, summed };
        }
        Ok(terms)
    }
}

impl<M: Method, R: 'static> Method for SumAndSampleAround<M, R> {
    fn name(&self) -> String {
        let which = if self.random { " random" } else { "" };
        format!("sum and sample ({}{which} states summed, around {})", self.summed, self.inside.name())
    }

    fn profile(&self) -> Profile {
        // A replay of several members repeats the summed states.
        let inside = self.inside.profile();
        let nothing = Extent { elements: 0, coordinates: 0, states: None };
        let evaluations = match inside.evaluations.at(&nothing).map(Count::exactly) {
            Some(fixed) if fixed == inside.evaluations => fixed.plus(Count::exactly(self.summed)),
            _ => inside.evaluations.times(self.summed.saturating_add(1)),
        };
        inside.evaluations(evaluations)
    }

    fn slots(&self) -> MethodSlots {
        self.inside.slots()
    }
}

impl<F: Real, D: Family<F>, M, R> GradientMethod<F, D> for SumAndSampleAround<M, R>
where
    for<'t> D::On<'t>: FiniteSupport<'t, F>,
    M: GradientMethod<F, R>,
    R: RestFamily<F>,
{
    fn guarantee(&self, distribution: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        let tape = distribution.tape().map_err(|error| error.to_string())?;
        let (_, chances) = joint_probabilities(tape, distribution, self.limit).map_err(|error| error.to_string())?;
        self.inside.guarantee(&R::from_logits(logits(chances)), path)
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        self.sample_inside(context, distribution)
    }

    fn passes_gradient(&self, path: &Path) -> bool {
        self.inside.passes_gradient(path)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, F>, path: &Path) -> Option<Var<'t, F>> {
        self.gradient_function_inside(distribution, value, path).unwrap_or_else(|error| {
            let error = TapeError::Other { message: error.to_string(), at: Location::caller() };
            Some(value.tape().fail(error))
        })
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        self.terms_inside(context, distribution)
    }

    fn report(&self, distribution: &D::On<'_>, path: &Path) -> Option<String> {
        let (_, chances) = joint_probabilities(distribution.tape().ok()?, distribution, self.limit).ok()?;
        self.inside.report(&R::from_logits(logits(chances)), path)
    }
}

#[cfg(test)]
mod tests;
