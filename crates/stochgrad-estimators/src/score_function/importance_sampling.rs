//! The score function with samples of another distribution.
//!
//! Samples come from a proposal $r$ and carry weights,
//!
//! $$\mathbb{E}_p[f] = \mathbb{E}_r\big[w f\big], \qquad w = \frac{p(x; \theta)}{r(x)}, \qquad
//!     g = \frac1K \sum_{k=1}^K w_k\, (f(x_k) - b_k)\, \nabla \ln p(x_k; \theta).$$
//!
//! The weights themselves are differentiated, which makes derivatives of every order right: $\nabla^n w = \nabla^n p / r$. What the proposal depends on does not enter, since the
//! mean is the same for every proposal. A baseline $b_k$ enters as $a = (1/\square(\ln p) - 1)\, b$, whose weighted derivatives $-b\, \nabla^n w$ have mean zero.
//! [`normalized`](ImportanceSampling::normalized) divides the weights by their sum and differentiates the quotient: biased of order $1/K$, with the mean of the costs as a
//! baseline of its own.
//!
//! The best proposal is $r \propto p\, |f|\, \|\nabla \ln p\|$: wider than $p$, since the score is large in the tails. Hence overdispersed proposals
//! $r \propto p^{1/\tau}$ with $\tau$ a little above 1 (Ruiz, Titsias and Blei 2016). *It helps* where rare values decide: small probabilities, tails, costs that are large
//! where $p$ is small. *It does not* with several elements that matter alike, since their weights multiply and a few samples take all of the weight; nor with a proposal whose tails are lighter than
//! those of $p f$: the variance may be infinite, and nothing will say so.
//!
//! **Assumptions.** The proposal is positive where $p$ is, and does not depend on plates that $p$ lacks. It is checked as far as it can be known: shapes and supports are the same, and of finite
//! supports every state of each element. A cost must not depend on several of the samples together.
//!
//! | | plain | normalised |
//! |---|---|---|
//! | bias | none | of costs and gradients, of order $1/K$ |
//! | order | any | any |
//! | cost evaluations | $K$ | $K$ |
//! | the cost must offer | values | values |

use crate::common::sampling::Sampling;
use crate::sampling_setters;
use crate::score_function::baseline::{Baseline, Memory, NoBaseline};
use crate::score_function::check_baseline;
use crate::score_function::proposal::{GivenProposal, OverdispersedProposal, Proposal, ProposalKind, check_support};
use stochgrad_distributions::{Distribution, DistributionError, Family, Live, ScoreDifferentiable};
use stochgrad_graph::{
    Bias, CostContext, GradientMethod, GraphResult, Method, MethodState, Order, Profile, SampleContext, SamplePlate,
    SampleSet, Terms,
};
use stochgrad_tape::{Degree, Tape};
use stochgrad_tensor::Real;

/// Weighted samples of another distribution, for distributions whose support does not depend on their parameters.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::ImportanceSampling;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let mu = graph.param("mu", 0.3)?;
/// // What matters lies beyond 3, where few samples of the distribution itself fall.
/// let proposal = Normal::new(graph.constant(3.5), 1.0);
/// let method = ImportanceSampling::from_distribution(&proposal).samples(16);
/// let x = graph.sample("x", &Normal::new(mu, 1.0), &method)?;
/// graph.cost("chance", x.gt(graph.constant(3.0)))?;
/// assert!(graph.backward()?.get("mu")?.item().is_ok_and(|gradient| gradient > 0.0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ImportanceSampling<P, B = NoBaseline> {
    proposal: P,
    sampling: Sampling,
    normalized: bool,
    baseline: B,
}

impl<R> ImportanceSampling<GivenProposal<R>> {
    /// One sample of a distribution on the same recording: of the same family, or any with the same support.
    pub fn from_distribution<'t, F: Real, L: Live<'t, F, Family = R>>(proposal: &L) -> Self
    where
        R: Family<F, On<'t> = L>,
    {
        // A distribution without parameters has no tape: nothing of it can be out of date, and nothing can be drawn
        // either.
        let generation = proposal.tape().map_or(0, Tape::generation);
        Self::of(GivenProposal { distribution: R::store(proposal), generation })
    }
}

impl ImportanceSampling<OverdispersedProposal> {
    /// One sample of the distribution itself with its density to the power `1 / temperature`: logits divided by it, the
    /// variance of a normal distribution times it. The same distribution at 1, wider above.
    pub fn overdispersed(temperature: f64) -> Self {
        Self::of(OverdispersedProposal { temperature })
    }
}

impl<P> ImportanceSampling<P> {
    /// One sample of a proposal of your own kind.
    pub fn of(proposal: P) -> Self {
        ImportanceSampling {
            proposal,
            sampling: Sampling::on(SamplePlate::New(1)),
            normalized: false,
            baseline: NoBaseline,
        }
    }
}

impl<P, B> ImportanceSampling<P, B> {
    sampling_setters! { self => self.sampling; samples, scheme }

    /// Divides the weights by their sum: biased, and right for distributions that are known up to a factor.
    pub fn normalized(self) -> Self {
        ImportanceSampling { normalized: true, ..self }
    }

    /// Subtracts a baseline from the costs.
    pub fn baseline<C>(self, baseline: C) -> ImportanceSampling<P, C> {
        let ImportanceSampling { proposal, sampling, normalized, .. } = self;
        ImportanceSampling { proposal, sampling, normalized, baseline }
    }
}

impl<P: ProposalKind, B: Memory> Method for ImportanceSampling<P, B> {
    fn name(&self) -> String {
        let normalized = self.normalized.then(|| "normalised".to_owned());
        let settings = [Some(self.proposal.name()), normalized, self.baseline.name()].into_iter().flatten();
        let members = self.sampling.describe();
        let settings: Vec<String> = settings.chain([members]).collect();
        format!("importance sampling ({})", settings.join(", "))
    }

    fn profile(&self) -> Profile {
        let profile = Profile::unbiased(Order::Any).and(self.baseline.profile()).times(self.sampling.samples());
        match self.normalized {
            false => profile,
            true => Profile { bias: Bias::Distribution, exact_to: Degree::CONSTANT, ..profile },
        }
    }

    fn sample_plate(&self) -> SamplePlate {
        self.sampling.plate
    }

    fn state(&self) -> MethodState {
        self.baseline.state()
    }

    fn load_state(&self, state: &MethodState) -> GraphResult<()> {
        self.baseline.load_state(state)
    }
}

impl<F: Real, D: Family<F>, P: Proposal<F, D>, B: Baseline<F>> GradientMethod<F, D> for ImportanceSampling<P, B>
where
    for<'t> D::On<'t>: ScoreDifferentiable<'t, F>,
{
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, F>> {
        let tape = context.tape();
        let (plate, draw) = self.sampling.members(context)?;
        let unsupported =
            |problem: String| DistributionError::Unsupported { distribution: distribution.name(), problem };
        check_baseline(tape, plate, &self.baseline).map_err(|problem| context.error(unsupported(problem)))?;
        let mut drawn = None;
        let proposed = self.proposal.propose(tape, distribution, &mut |proposal| {
            proposal.validate()?;
            if !self.proposal.has_same_support() {
                check_support(tape, distribution, proposal).map_err(unsupported)?;
            }
            let value = proposal.sample(&draw)?.drawn();
            // How the density depends on what the proposal was made of does not matter to any mean.
            drawn = Some((value, distribution.log_prob(value) - proposal.log_prob(value).drawn()));
            Ok(())
        });
        proposed.map_err(|source| context.error(source))?;
        let (Some((value, log_weight)), Some(plate)) = (drawn, plate) else {
            return Err(context.error(unsupported("the proposal handed no distribution on".into())));
        };
        let weights = match self.normalized {
            true => (log_weight - log_weight.log_mean_exp_over(plate)).exp(),
            false => log_weight.exp(),
        };
        let weights = weights * (1.0 / self.sampling.samples() as f64);
        Ok(SampleSet { value, plate: Some(plate), weights: Some((weights, true)) })
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, F>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, F>> {
        let Some(plate) = context.plate() else { return Ok(Terms::default()) };
        if self.proposal.has_same_support() {
            context.check_hidden_outcomes()?;
        }
        for cost in context.totals()? {
            if cost.joint.contains(&plate) {
                return Err(context.refused(
                    "a cost depends on several samples together, which are weighted draws of another distribution; keep the plate in the cost, or use a \
                     method with samples of the distribution itself, such as ScoreFunction",
                ));
            }
        }
        let baselines = self.baseline.baselines(context, distribution)?;
        let of_the_distribution = self.baseline.by_member()
            || self.baseline.profile().bias != Bias::Unbiased
            || !baselines.gradient_terms.is_empty()
            || baselines.values.iter().any(|baseline| baseline.mean.is_some());
        if of_the_distribution {
            return Err(context.refused(format!(
                "\"{}\" is made for samples of the distribution itself, and these are draws of another one; use LeaveOneOut, MovingAverage or SelfCritical, or \
                 ScoreFunction for the node",
                self.baseline.name().unwrap_or_default()
            )));
        }
        let total = baselines.values.iter().map(|baseline| baseline.value).reduce(|sum, baseline| sum + baseline);
        let control_variates = total.map(|baseline| {
            let magic_box = distribution.log_prob(context.value()).magic_box();
            (1.0 / magic_box - 1.0) * baseline.stop_gradient()
        });
        Ok(Terms {
            control_variates: control_variates.into_iter().collect(),
            auxiliary: baselines.auxiliary,
            updates: baselines.updates,
            ..Terms::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::enumeration::enumerate::Enumerate;
    use crate::pathwise::Pathwise;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::{Constant, LeaveOneOut};
    use crate::testing::models::{self, BitMethod};
    use std::sync::Arc;
    use stochgrad_check::{Oracle, StatisticalTest};
    use stochgrad_distributions::{
        Bernoulli, Binomial, Categorical, Exponential, Id, Laplace, Normal, OneHotCategorical, Poisson, StudentT,
    };
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tensor::Tensor;
    use stochgrad_tensor::sampling_scheme::SamplingScheme;

    /// Bits that are not those of the distribution.
    fn given<'t>(
        graph: &Graph<'t, f64>,
        logit: f64,
        samples: usize,
    ) -> ImportanceSampling<GivenProposal<Bernoulli<Id>>> {
        ImportanceSampling::from_distribution(&Bernoulli::from_logits(graph.constant(logit))).samples(samples)
    }

    #[test]
    fn every_order_is_exact_on_chains() {
        let wide = ImportanceSampling::overdispersed(2.0);
        let methods: [BitMethod; 5] = [
            Arc::new(wide),
            Arc::new(wide.samples(2)),
            Arc::new(wide.baseline(Constant(1.2))),
            Arc::new(wide.samples(2).baseline(LeaveOneOut)),
            Arc::new(wide.samples(2).scheme(SamplingScheme::Stratified)),
        ];
        for method in &methods {
            let model = |graph: &Graph<'_, f64>| models::chain(graph, method, method);
            Oracle::new().verify(model, 0..=3, 1e-9).unwrap_or_else(|error| panic!("{}: {error}", method.name()));
        }
        let score: BitMethod = Arc::new(ScoreFunction::new());
        let weak: BitMethod = Arc::new(MeasureValued::new());
        models::assert_unbiased([&methods[0], &score, &methods[0]]);
        models::assert_unbiased([&weak, &methods[3], &methods[0]]);
    }

    #[test]
    fn given_proposals_are_exact_whatever_they_depend_on() {
        for order in [0.0, 1.0] {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", 0.3)?;
                let x = graph.sample("x", &Bernoulli::from_logits(t), &given(graph, -0.6, 2).baseline(LeaveOneOut))?;
                // The proposal depends on the parameter and on the node upstream: no derivative flows through it.
                let proposal = Bernoulli::from_logits(t * 2.0 * order - x);
                let y = graph.sample(
                    "y",
                    &Bernoulli::from_logits(t * x + 0.4),
                    &ImportanceSampling::from_distribution(&proposal),
                )?;
                graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)?;
                graph.cost("early", x * t)
            };
            Oracle::new().verify(model, 0..=3, 1e-9).unwrap();
        }
    }

    #[test]
    fn unequal_plates_and_several_elements_are_exact() {
        let model = |graph: &Graph<'_, f64>| {
            let t = graph.param("t", [0.3, -0.8])?;
            let features = graph.data("data", [0.5, -1.5])?;
            let x =
                graph.sample("x", &Bernoulli::from_logits(t * features), &ImportanceSampling::overdispersed(1.5))?;
            let y = graph.sample("y", &Bernoulli::from_logits(t.index(0, 1)), &given(graph, 0.2, 2))?;
            graph.cost("cost", (x.sum() + y * features - 0.3).square())
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let model = |graph: &Graph<'_, f64>| {
            let logits = graph.param("logits", [[0.3, -1.0, 0.5], [0.0, 0.2, 0.9]])?;
            let method = ImportanceSampling::overdispersed(3.0);
            let x = graph.sample("x", &OneHotCategorical::from_logits(logits), &method)?;
            let y = (x * graph.constant([[1.0, -2.0, 0.5], [0.3, 1.0, 1.5]])).sum_axis(-1);
            let z = graph.sample("z", &Categorical::from_logits(logits * y.sum()), &method)?;
            graph.cost("cost", (y.index(0, 0) - z.index(0, 1) * 0.5).exp() * z.index(0, 0))
        };
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
    }

    #[test]
    fn paths_upstream_flow_through_the_weights() {
        for wide in [false, true] {
            let model = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, 0.8])?;
                let u = graph.sample("u", &Normal::new(t.index(0, 0), t.index(0, 1)), &Pathwise::new())?;
                let distribution = Bernoulli::from_logits(u * 0.3);
                let x = match wide {
                    true => graph.sample("x", &distribution, &ImportanceSampling::overdispersed(2.0))?,
                    false => graph.sample("x", &distribution, &given(graph, 0.4, 1))?,
                };
                graph.cost("cost", x * 2.0 + u * x)
            };
            let truth = |graph: &Graph<'_, f64>| {
                let t = graph.param("t", [0.3, 0.8])?;
                let u = graph.sample("u", &Normal::new(t.index(0, 0), t.index(0, 1)), &Pathwise::new())?;
                let x = graph.sample("x", &Bernoulli::from_logits(u * 0.3), &Enumerate::new())?;
                graph.cost("cost", x * 2.0 + u * x)
            };
            let oracle = Oracle::new().nodes(20);
            let found = oracle.gradient(model).unwrap();
            let expected = oracle.gradient(truth).unwrap();
            let (found, expected) = (found.mean("t").unwrap().to_vec(), expected.mean("t").unwrap().to_vec());
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?}, {expected:?}");
        }
    }

    #[test]
    fn the_variance_is_the_known_one_and_the_best_proposal_has_the_least() {
        for (target, theta) in [(0.45_f64, 0.1_f64), (0.499, 0.5), (0.2, 0.9)] {
            let (none, one) = (target * target, (1.0 - target).powi(2));
            let gradient = theta * (1.0 - theta) * (one - none);
            let variance = |q: f64, samples: usize| {
                let model = |graph: &Graph<'_, f64>| {
                    let logit = graph.param("logit", (theta / (1.0 - theta)).ln())?;
                    let method = given(graph, (q / (1.0 - q)).ln(), samples);
                    let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
                    graph.cost("cost", (b - target).square())
                };
                let moments = Oracle::new().gradient(model).unwrap();
                let mean = moments.mean("logit").unwrap().item().unwrap();
                assert!((mean - gradient).abs() < 1e-12, "{mean}, not {gradient}");
                moments.variance("logit").unwrap().item().unwrap()
            };
            let spread = (theta * (1.0 - theta)).powi(2);
            let known = |q: f64| spread * (one * one / q + none * none / (1.0 - q)) - gradient * gradient;
            for q in [0.3, 0.5, theta] {
                for samples in [1, 3] {
                    let (found, known) = (variance(q, samples), known(q) / samples as f64);
                    assert!((found - known).abs() < 1e-12, "{found}, not {known}");
                }
            }
            // r in proportion to p |f| |score|: f(1) to f(0) here.
            let best = variance(one / (one + none), 1);
            assert!((best - 4.0 * spread * one * none).abs() < 1e-12);
            assert!([0.3, 0.5, theta].iter().all(|&q| best <= known(q) + 1e-15));
        }
    }

    #[test]
    fn other_distributions_and_other_families_are_unbiased() {
        let model = |graph: &Graph<'_, f64>| {
            let [m, l, e, p] =
                [graph.param("m", 0.3)?, graph.param("l", 0.2)?, graph.param("e", 1.5)?, graph.param("p", 2.0)?];
            let wide = ImportanceSampling::overdispersed(1.5).samples(3);
            let x = graph.sample("x", &Normal::new(m, 1.0), &wide)?;
            graph.cost("normal", x.square())?;
            let proposal = StudentT::new(graph.constant(5.0), graph.constant(0.1), graph.constant(1.2));
            let x = graph.sample(
                "s",
                &Normal::new(m, 1.0),
                &ImportanceSampling::from_distribution(&proposal).samples(3),
            )?;
            graph.cost("normal, by Student's t", x.square() * 0.5)?;
            let x = graph.sample("y", &Laplace::new(l, 1.0), &wide)?;
            graph.cost("Laplace", x.square())?;
            let x = graph.sample("z", &Exponential::new(e), &wide)?;
            graph.cost("exponential", x.square())?;
            let proposal = ImportanceSampling::from_distribution(&Poisson::from_rate(graph.constant(3.0))).samples(3);
            let x = graph.sample("counts", &Poisson::from_rate(p), &proposal)?;
            graph.cost("Poisson", x.square() * 0.1)
        };
        let exact = [("m", 0.9), ("l", 0.4), ("e", -4.0 / 1.5_f64.powi(3)), ("p", 0.5)]
            .map(|(name, value)| (name, Tensor::scalar(value)));
        StatisticalTest::new().runs(4000).check(model, &exact).unwrap();
    }

    #[test]
    fn normalised_weights_differentiate_their_own_mean_and_are_labelled() {
        let model = |graph: &Graph<'_, f64>, logit: f64| {
            let logit = graph.param("logit", logit)?;
            let method = given(graph, -0.5, 3).normalized();
            let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
            graph.cost("cost", (b * 2.0 - 0.3).square())
        };
        let moments = |logit: f64| Oracle::new().gradient(|graph: &Graph<'_, f64>| model(graph, logit)).unwrap();
        let cost = |logit: f64| moments(logit).cost("cost").unwrap().0;
        let h = 1e-5;
        let numerical = (cost(0.4 + h) - cost(0.4 - h)) / (2.0 * h);
        let found = moments(0.4).mean("logit").unwrap().item().unwrap();
        assert!((found - numerical).abs() < 1e-8, "{found}, not {numerical}");
        let theta = 1.0 / (1.0 + (-0.4_f64).exp());
        let exact = theta * (1.0 - theta) * (1.7_f64.powi(2) - 0.09);
        assert!((found - exact).abs() > 1e-3, "not biased: {found}, {exact}");
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        model(&graph, 0.4).unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(gradients.guarantee("logit").unwrap().bias, Bias::Distribution);
        // The same distribution for both: equal weights, and the mean of the costs for a baseline.
        let same = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", 0.4)?;
            let method = ImportanceSampling::overdispersed(1.0).samples(3).normalized();
            let b = graph.sample("b", &Bernoulli::from_logits(logit), &method)?;
            graph.cost("cost", (b * 2.0 - 0.3).square())
        };
        let found = Oracle::new().gradient(same).unwrap().mean("logit").unwrap().item().unwrap();
        assert!((found - exact * 2.0 / 3.0).abs() < 1e-12, "a baseline with the member in it: (K − 1) / K, {found}");
    }

    #[test]
    fn proposals_that_miss_something_are_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let p = graph.param("p", [0.5, 0.3, 0.2]).unwrap();
        let distribution = Categorical::from_probabilities(p);
        let sample = |name: &str, method: &ImportanceSampling<GivenProposal<Categorical<Id>>>| {
            graph.sample(name, &distribution, method).map(|_| ()).map_err(|error| error.to_string())
        };
        let holes = Categorical::from_probabilities(graph.constant([0.5, 0.0, 0.5]));
        let error = sample("a", &ImportanceSampling::from_distribution(&holes)).unwrap_err();
        assert!(error.contains("probability 0") && error.contains("\"a\""), "{error}");
        let more = Categorical::from_probabilities(graph.constant([0.25; 4]));
        assert!(sample("b", &ImportanceSampling::from_distribution(&more)).unwrap_err().contains("Categories(3)"));
        let several = Categorical::from_logits(graph.constant([[0.0; 3]; 2]));
        assert!(sample("c", &ImportanceSampling::from_distribution(&several)).unwrap_err().contains("event shape"));
        let data = graph.data("data", [1.0, 2.0]).unwrap();
        let amortised = Categorical::from_logits(graph.constant([0.0, 1.0, 2.0]) * data);
        assert!(
            sample("d", &ImportanceSampling::from_distribution(&amortised)).unwrap_err().contains("plate \"data\"")
        );
        let counts = Poisson::from_rate(graph.constant(2.0));
        let finite = ImportanceSampling::from_distribution(&Binomial::from_probabilities(4.0, graph.constant(0.5)));
        let error = graph.sample("e", &counts, &finite).unwrap_err().to_string();
        assert!(error.contains("finite support"), "{error}");
        let positive = ImportanceSampling::from_distribution(&Exponential::new(graph.constant(1.0)));
        assert!(graph.sample("f", &Normal::new(graph.constant(0.0), 1.0), &positive).is_err());
        for temperature in [0.0, f64::NAN] {
            let method = ImportanceSampling::overdispersed(temperature);
            assert!(graph.sample("g", &distribution, &method).unwrap_err().to_string().contains("temperature"));
        }
        assert!(
            graph.sample("h", &distribution, &ImportanceSampling::overdispersed(2.0).baseline(LeaveOneOut)).is_err()
        );
        // States that the distribution lacks too are no loss.
        let certain = Categorical::from_probabilities(graph.constant([0.5, 0.0, 0.5]));
        assert!(graph.sample("i", &certain, &ImportanceSampling::from_distribution(&holes)).is_ok());
        let other = Tape::<f64>::new();
        let method = ImportanceSampling::from_distribution(&Bernoulli::from_logits(other.constant(0.3)));
        let mut workspace = stochgrad_tape::Workspace::<f64>::new();
        let stale = ImportanceSampling::from_distribution(&Bernoulli::from_logits(workspace.tape().constant(0.3)));
        let tape = workspace.tape();
        let graph = Graph::new(tape, Seed::new(1));
        let bit = Bernoulli::from_logits(graph.param("t", 0.1).unwrap());
        for method in [method, stale] {
            let error = graph.sample("x", &bit, &method).unwrap_err().to_string();
            assert!(error.contains("anew"), "{error}");
        }
    }

    #[test]
    fn a_cost_of_several_samples_is_refused() {
        for samples in [1, 2] {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let method: BitMethod = Arc::new(ImportanceSampling::overdispersed(2.0).samples(samples));
            models::importance_weighted(&graph, &method).unwrap();
            let error = graph.backward().unwrap_err().to_string();
            assert!(error.contains("weighted draws of another distribution"), "{error}");
        }
    }

    #[test]
    fn compiled_graphs_do_the_same() {
        let wide = ImportanceSampling::overdispersed(2.0).samples(3);
        let methods: [BitMethod; 3] = [
            Arc::new(wide.baseline(LeaveOneOut)),
            Arc::new(wide.normalized()),
            Arc::new(wide.scheme(SamplingScheme::Antithetic)),
        ];
        for method in &methods {
            models::assert_compiled(method);
        }
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3).step(0));
        let t = graph.param("t", 0.3).unwrap();
        let x = graph.sample("x", &Bernoulli::from_logits(t), &given(&graph, -0.2, 4)).unwrap();
        graph.cost("cost", (x - 0.3).square()).unwrap();
        let expected = graph.backward().unwrap().get("t").unwrap().clone();
        let mut compiled = graph.compile().unwrap();
        compiled.set("t", &Tensor::scalar(0.3)).unwrap();
        assert_eq!(*compiled.run(Seed::new(3).step(0)).unwrap().get("t").unwrap(), expected);
    }

    #[test]
    fn baselines_that_need_samples_of_the_distribution_are_refused() {
        fn error<B: Baseline<f64> + Clone + 'static>(baseline: B) -> String {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let method = ImportanceSampling::overdispersed(2.0).samples(3).baseline(baseline);
            let x = graph.sample("x", &Bernoulli::from_logits(graph.param("t", 0.3).unwrap()), &method).unwrap();
            graph.cost("cost", x).unwrap();
            graph.backward().map(|_| ()).unwrap_err().to_string()
        }
        assert!(error(crate::MuProp::new()).contains("another one"));
        assert!(error(crate::OptimalBaseline::new(0.9)).contains("another one"));
        assert!(error(crate::Normalized::new(LeaveOneOut, 0.9)).contains("another one"));
    }
}
