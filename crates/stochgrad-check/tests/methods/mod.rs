//! Small gradient methods, correct and incorrect, that use the public interface only.

#![allow(dead_code, reason = "each test file uses some of them")]

use stochgrad_distributions::{Distribution, Family};
use stochgrad_graph::{
    CostContext, GradientMethod, GradientTerm, GraphResult, Guarantee, Method, Order, Path, Profile, SampleContext,
    SamplePlate, SampleSet, Terms,
};
use stochgrad_tape::{PlateKind, Var};
use stochgrad_tensor::Tensor;

/// What the score function subtracts from a cost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Baseline {
    None,
    /// A function of the first parameter of the distribution.
    OfParameter(for<'t> fn(Var<'t, f64>) -> Var<'t, f64>),
    /// The mean cost of the other members.
    LeaveOneOut,
    /// Incorrect: the mean cost of all members, including the member's own.
    MeanOfAll,
    /// Incorrect: a moving average that already contains the present cost.
    MovingAverage,
}

/// The score function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    pub(crate) plate: SamplePlate,
    pub(crate) baseline: Baseline,
    /// Incorrect: the control variate is multiplied by a magic box of the node's own gradient function.
    pub(crate) own_in_box: bool,
}

impl Score {
    pub(crate) fn plain() -> Self {
        Score { plate: SamplePlate::Single, baseline: Baseline::None, own_in_box: false }
    }

    pub(crate) fn leave_one_out(samples: usize) -> Self {
        Score { plate: SamplePlate::New(samples), baseline: Baseline::LeaveOneOut, own_in_box: false }
    }

    pub(crate) fn with_baseline(self, baseline: Baseline) -> Self {
        Score { baseline, ..self }
    }
}

impl Method for Score {
    fn name(&self) -> String {
        "score function of the tests".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for Score {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(distribution, self.plate)
    }

    fn gradient_function<'t>(&self, distribution: &D::On<'t>, value: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
        Some(distribution.log_prob(value.stop_gradient()))
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, f64>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, f64>> {
        let mut terms = Terms::default();
        for cost in context.totals()? {
            let Some(l) = cost.gradient_function else { continue };
            let baseline = match (self.baseline, context.plate()) {
                (Baseline::OfParameter(baseline), _) => baseline(distribution.parameters()[0].var.stop_gradient()),
                (Baseline::LeaveOneOut, Some(plate)) => {
                    let others = context.tape().plate_size(plate) as f64 - 1.0;
                    (cost.value.sum_over(plate) - cost.value) / others
                }
                (Baseline::MeanOfAll, Some(plate)) => cost.value.mean_over(plate),
                (Baseline::MovingAverage, _) => cost.value * 0.1 + 0.9 * 1.5,
                _ => continue,
            };
            let a = (1.0 - l.magic_box()) * baseline.stop_gradient();
            terms.control_variates.push(if self.own_in_box { l.magic_box() * a } else { a });
        }
        Ok(terms)
    }
}

/// Reparameterisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pathwise;

impl Method for Pathwise {
    fn name(&self) -> String {
        "pathwise of the tests".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }

    fn is_rerecordable(&self) -> bool {
        true
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for Pathwise {
    fn guarantee(&self, _: &D::On<'_>, path: &Path) -> Result<Guarantee, String> {
        Ok(self.profile().guarantee(path).at_most(path.order()))
    }

    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        let capabilities = distribution.capabilities();
        let reparameterized = capabilities.reparameterized.expect("a reparameterised distribution");
        let value = reparameterized.rsample(&context.draw(None)).map_err(|source| context.error(source))?;
        Ok(SampleSet::equal(value, None))
    }
}

/// All states of a scalar, weighted by their probabilities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Enumerate;

impl Method for Enumerate {
    fn name(&self) -> String {
        "enumeration of the tests".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for Enumerate {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        let capabilities = distribution.capabilities();
        let support = capabilities
            .finite_support
            .expect("a finite support")
            .element_support()
            .map_err(|source| context.error(source))?;
        let plate = context.plate(support.len(), PlateKind::Enumerated)?;
        let value = context.tape().constant_on(&[plate], support).expand_plates(context.draw(Some(plate)).plates());
        let weights = distribution.log_prob(value).exp();
        Ok(SampleSet { value, plate: Some(plate), weights: Some((weights, true)) })
    }
}

/// The difference between the costs of a bit and of the flipped bit, by counterfactual replay. The first parameter of
/// the distribution must be the probability.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flip {
    pub(crate) plate: SamplePlate,
}

impl Method for Flip {
    fn name(&self) -> String {
        "bit flips of the tests".into()
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Finite(1))
    }

    fn sample_plate(&self) -> SamplePlate {
        self.plate
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for Flip {
    fn sample<'t>(
        &self,
        context: &SampleContext<'_, 't, f64>,
        distribution: &D::On<'t>,
    ) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(distribution, self.plate)
    }

    fn terms<'t>(&self, context: &CostContext<'_, 't, f64>, distribution: &D::On<'t>) -> GraphResult<Terms<'t, f64>> {
        let sample = context.value().stop_gradient();
        let probability = distribution.parameters()[0].var;
        let mut terms = Terms::default();
        for difference in context.element_differences(&[1.0 - sample], 0)? {
            let slope = difference.values[0] * (1.0 - sample * 2.0);
            let value = (slope.stop_gradient() * (probability - probability.stop_gradient())).sum();
            terms.gradient_terms.push(GradientTerm { value, summed: difference.summed });
        }
        Ok(terms)
    }
}

/// A scalar tensor.
pub(crate) fn number(value: f64) -> Tensor<f64> {
    Tensor::scalar(value)
}
