//! The methods of the table.

use crate::distributions::{Bits, Categories, Counts, Normals, Subject};
use std::sync::Arc;
use stochgrad::distributions::Binomial;
use stochgrad::distributions::{Id, Side};
use stochgrad::estimators::Rodeo;
use stochgrad::estimators::{
    Arm, BatchMean, BitFlip, Constant, DeltaMethod, DiscreteGo, EvolutionStrategy, FiniteDifference, FreshSample,
    GappedStraightThrough, GaussianCopula, GeneralizedGumbelSoftmax, ImplicitPathwise, ImportanceSampling,
    LatinHypercube, LinearControlVariates, LocalExpectation, MuProp, Ovis, Pairwise, ReplayBudget, Reservoir,
    SamplingScheme, SelfCritical, Simple, SimplexMap, Smoothed, SmoothedPerturbation, Spsa, StraightThrough,
    SumAndSampleAround, Ugc,
};
use stochgrad::graph::GradientMethod;
use stochgrad::prelude::*;

/// The way to compare a method with the exact derivatives.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Proof {
    /// Visits every outcome, and compares derivatives up to this order.
    Outcomes(usize),
    /// Compares the mean over many samples.
    Samples,
    /// No comparison, because the method samples another distribution.
    Costs,
}

/// A method, on the distributions that it applies to.
pub(crate) struct Entry {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) proof: Proof,
}

impl Entry {
    /// Adds one more distribution, with the same kind of proof.
    fn also(mut self, subject: Subject) -> Self {
        self.subjects.push(subject);
        self
    }
}

fn bits<M: GradientMethod<f64, Bernoulli<Id>> + 'static>(method: M, proof: Proof) -> Entry {
    Entry { subjects: vec![Subject::new::<Bits>(Arc::new(method))], proof }
}

fn counts<M: GradientMethod<f64, Binomial<Id>> + 'static>(method: M, proof: Proof) -> Entry {
    Entry { subjects: vec![Subject::new::<Counts>(Arc::new(method))], proof }
}

fn normals<M: GradientMethod<f64, Normal<Id>> + 'static>(method: M, proof: Proof) -> Entry {
    Entry { subjects: vec![Subject::new::<Normals>(Arc::new(method))], proof }
}

/// Bits and categories.
fn states<M>(method: M, proof: Proof) -> Entry
where
    M: GradientMethod<f64, Bernoulli<Id>> + GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    bits(method.clone(), proof).also(Subject::new::<Categories>(Arc::new(method)))
}

/// Bits, categories and counts.
fn discrete<M>(method: M, proof: Proof) -> Entry
where
    M: GradientMethod<f64, Bernoulli<Id>>
        + GradientMethod<f64, OneHotCategorical<Id>>
        + GradientMethod<f64, Binomial<Id>>
        + Clone
        + 'static,
{
    states(method.clone(), proof).also(Subject::new::<Counts>(Arc::new(method)))
}

/// Every distribution.
fn all<M>(method: M, proof: Proof) -> Entry
where
    M: GradientMethod<f64, Bernoulli<Id>>
        + GradientMethod<f64, OneHotCategorical<Id>>
        + GradientMethod<f64, Binomial<Id>>
        + GradientMethod<f64, Normal<Id>>
        + Clone
        + 'static,
{
    discrete(method.clone(), proof).also(Subject::new::<Normals>(Arc::new(method)))
}

pub(crate) fn entries() -> Vec<Entry> {
    use Proof::{Costs, Outcomes, Samples};
    let score = ScoreFunction::new();
    let wide = ImportanceSampling::overdispersed(2.0);
    let around: SumAndSampleAround<_> = SumAndSample::around(1, score.samples(2).baseline(LeaveOneOut));
    vec![
        all(score, Outcomes(2)),
        all(score.baseline(Constant(0.7)), Outcomes(2)),
        all(score.samples(2).baseline(LeaveOneOut), Outcomes(2)),
        all(score.samples(2).baseline(Vimco::new()), Outcomes(2)),
        all(score.samples(2).baseline(BatchMean), Outcomes(2)),
        all(score.baseline(SelfCritical), Outcomes(2)),
        all(score.baseline(FreshSample), Outcomes(2)),
        all(score.baseline(MuProp::new()), Outcomes(2)),
        bits(score.baseline(DeltaMethod::new()), Outcomes(2))
            .also(Subject::new::<Normals>(Arc::new(score.baseline(DeltaMethod::new())))),
        all(score.samples(2).baseline(LinearControlVariates::cross_fitted().with(Constant(1.0))), Outcomes(2)),
        all(DoubleControlVariate::new(2), Outcomes(1)),
        all(score.samples(2).baseline(Ovis), Outcomes(2)),
        normals(Pathwise::new(), Outcomes(2)),
        normals(SmoothedPerturbation::new(), Outcomes(2)),
        normals(ImplicitPathwise::new(), Outcomes(1)),
        normals(Pairwise::new(), Samples),
        discrete(Enumerate::new(), Outcomes(2)),
        discrete(UnorderedSet::new(1), Outcomes(2)),
        states(WithoutReplacement::new(2), Samples),
        states(WithoutReplacement::new(2).normalized(), Costs),
        states(wide, Outcomes(2)),
        normals(wide, Samples),
        states(wide.samples(2).baseline(LeaveOneOut), Outcomes(2)),
        states(wide.samples(2).normalized(), Costs),
        all(score.samples(2).scheme(SamplingScheme::Antithetic), Outcomes(2)),
        discrete(score.samples(2).scheme(SamplingScheme::Stratified), Outcomes(2)),
        discrete(score.samples(2).scheme(SamplingScheme::Systematic), Outcomes(2)),
        discrete(score.samples(2).scheme(SamplingScheme::sobol()), Outcomes(2)),
        discrete(SumAndSample::new(1, 1), Outcomes(2)),
        discrete(SumAndSample::new(1, 1).random().shared_baseline(), Outcomes(2)),
        discrete(around, Outcomes(2)),
        discrete(SumAndSample::around(1, MeasureValued::new()), Outcomes(1)),
        all(score.samples(2).scheme(SamplingScheme::Antithetic).groups(2).baseline(LeaveOneOut), Outcomes(2)),
        all(Auto::new(), Outcomes(2)),
        discrete(MeasureValued::new(), Outcomes(1)),
        normals(MeasureValued::new(), Samples),
        normals(Lax::new().hidden(4), Outcomes(2)),
        normals(Lax::new().hidden(4).cost(), Outcomes(2)),
        discrete(StochasticDerivatives::new().side(Side::Right), Outcomes(1)),
        discrete(StochasticDerivatives::new().side(Side::Left), Outcomes(1)),
        discrete(StochasticDerivatives::new(), Outcomes(1)),
        states(LocalExpectation::new(), Outcomes(1)),
        counts(DiscreteGo::new(), Outcomes(1)),
        discrete(ReplayBudget::of(StochasticDerivatives::new(), 1), Outcomes(1)),
        discrete(Reservoir::of(MeasureValued::new()), Outcomes(1)),
        discrete(Smoothed::new(), Outcomes(1)),
        bits(BitFlip::new(), Outcomes(1)),
        bits(Ugc::new(), Outcomes(1)),
        bits(DisArm::new(), Outcomes(1)),
        bits(Arm::new(), Outcomes(1)),
        bits(Arms::new(3), Outcomes(1)),
        bits(Arms::new(3).copula(GaussianCopula), Samples),
        states(CategoricalDisArm::new(), Outcomes(1)),
        states(CategoricalDisArm::importance_weighted(), Outcomes(1)),
        states(CategoricalDisArm::tree(), Outcomes(1)),
        states(Carms::new(3), Outcomes(1)),
        states(Carms::new(2).copula(LatinHypercube), Outcomes(1)),
        states(Arsm::new(), Samples),
        states(Ars::new(), Samples),
        bits(Rodeo::new(2), Outcomes(1)),
        states(Rebar::new(), Samples),
        states(Relax::new().hidden(4), Samples),
        states(Relax::new().hidden(4).relaxed_cost(), Samples),
        states(StraightThrough::new(1.0), Outcomes(1)),
        states(ReinMax::new(1.0), Outcomes(1)),
        states(Mve::new(), Outcomes(1)),
        counts(Fini::new(2), Outcomes(1)),
        counts(Fini::new(3), Outcomes(1)),
        discrete(Simple::new(), Outcomes(1)),
        all(FiniteDifference::new(1e-3), Costs),
        all(Spsa::new(1e-3), Costs),
        all(EvolutionStrategy::new(0.1), Costs),
        states(GappedStraightThrough::new(1.0), Costs),
        states(GumbelRao::new(1.0), Costs),
        states(GumbelSoftmax::new(1.0).straight_through(), Costs),
        states(GumbelSoftmax::new(1.0), Costs),
        states(GumbelSoftmax::new(0.5).backward_temperature(1.0), Costs),
        counts(GeneralizedGumbelSoftmax::new(1.0, 2), Costs),
        states(GumbelSoftmax::new(1.0).simplex_map(SimplexMap::Entmax15), Costs),
    ]
}
