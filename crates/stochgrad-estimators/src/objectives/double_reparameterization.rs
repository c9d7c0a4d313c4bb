//! Doubly reparameterised gradients: the scores inside a bound, replaced by sample-path derivatives.
//!
//! A bound depends on the parameters of the distribution $q$ of its samples through the samples, and through $\ln q$ at
//! given samples. The second part is a score times $g_k = \partial\mathcal L / \partial \ln w_k$. Its expectation is
//! again that of a sample-path derivative (Tucker, Lawson, Gu and Maddison 2019):
//!
//! $$E_q\big[g_k\, \nabla_\phi \ln q_\phi(z_k)\big] = E_q\big[\nabla_{z_k} g_k\; \partial_\phi z_k\big].$$
//!
//! The same holds for the score of any other distribution $p_\theta$ at $z_k$ (Bauer and Mnih 2021), with the path on
//! which $z_k$ would lie if it had been drawn from $p_\theta$:
//!
//! $$E_q\big[g_k\, \nabla_\theta \ln p_\theta(z_k)\big]
//!     = E_q\Big[\big(\nabla_{z_k} g_k + g_k\, \nabla_{z_k} \ln \tfrac{q}{p_\theta}\big)\; \partial_\theta T_\theta(\epsilon)\big|_{T_\theta(\epsilon) = z_k}\Big].$$
//!
//! For the bounds $\frac{1}{1 - \alpha} \ln \frac1K \sum_k w_k^{1 - \alpha}$, $g_k$ is the normalised weight $v_k
//! \propto w_k^{1 - \alpha}$, and $\nabla_{z_k} g_k = (1 - \alpha)\, v_k (1 - v_k)\, \nabla_{z_k} \ln w_k$.

use super::held::hold_samples;
use stochgrad_distributions::{CumulativeDistribution, implicit_path};
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Op, Plate, Plates, Var, Weights};
use stochgrad_tensor::Real;

/// The parts of the terms of a bound, all with parameters held constant.
pub(super) struct Ingredients<'t, F: Real> {
    /// The samples of the bound.
    pub(super) latents: Vec<Var<'t, F>>,
    /// The log-weights.
    pub(super) log_weight: Var<'t, F>,
    /// The log-density of the samples.
    pub(super) log_posterior: Var<'t, F>,
    /// $g_k$.
    pub(super) normalized: Var<'t, F>,
    /// The derivative of $g_k$ with respect to its own log-weight.
    pub(super) slope: Var<'t, F>,
    /// The plates of the bound.
    pub(super) plates: Plates,
}

/// A distribution at one of the samples.
pub(super) struct NamedPrior<'a, 't, F: Real> {
    pub(super) distribution: &'a dyn CumulativeDistribution<'t, F>,
    pub(super) sample: Var<'t, F>,
    /// Its log-density there, with parameters held constant.
    pub(super) log_density: Var<'t, F>,
}

impl<'t, F: Real> Ingredients<'t, F> {
    /// A scalar of value zero whose derivative replaces that of $\ln q$.
    pub(super) fn posterior_term(&self, graph: &Graph<'t, F>) -> GraphResult<Var<'t, F>> {
        let slopes = self.gradients(graph, self.log_weight * self.slope.held())?;
        let terms = self.latents.iter().zip(&slopes).map(|(&latent, &slope)| -(slope.held() * latent).sum());
        Ok(self.without_value(graph, terms))
    }

    /// A scalar of value zero whose derivative replaces those of the log-densities of some distributions at the
    /// samples.
    pub(super) fn prior_term(&self, graph: &Graph<'t, F>, priors: &[NamedPrior<'_, 't, F>]) -> GraphResult<Var<'t, F>> {
        let mut terms = Vec::with_capacity(priors.len());
        for NamedPrior { distribution, sample, log_density } in priors {
            let ratio = self.log_posterior - *log_density;
            let field = self.log_weight * self.slope.held() + ratio * self.normalized.held();
            let fields = self.gradients(graph, field)?;
            let path = hold_samples(implicit_path(*distribution, *sample));
            let own = self.latents.iter().zip(&fields).find(|(latent, _)| latent.id() == sample.id());
            terms.extend(own.map(|(_, &field)| (field.held() * path).sum()));
        }
        Ok(self.without_value(graph, terms))
    }

    /// The gradients of a value, averaged as the bound is, with respect to each latent variable at given values of the
    /// others.
    fn gradients(&self, graph: &Graph<'t, F>, value: Var<'t, F>) -> GraphResult<Vec<Var<'t, F>>> {
        let tape = graph.tape();
        let mut total = value.sum();
        for plate in total.plates() {
            total = total.sum_over(plate);
        }
        let sites = self.latents.iter().filter_map(|latent| match latent.op() {
            Some(Op::Sample(site)) => Some(site),
            _ => None,
        });
        let sites: Vec<_> = sites.collect();
        sites.iter().for_each(|&site| tape.set_closed(site, true));
        let gradients = tape.gradients(total, &self.latents);
        sites.iter().for_each(|&site| tape.set_closed(site, false));
        let scaled = gradients?.into_iter().zip(&self.latents).map(|(gradient, latent)| {
            // Members of a plate that the sample lacks meet in it; the cost is averaged over them later.
            let own = latent.plates();
            let met = self.plates.iter().filter(|plate| !own.contains(plate));
            let members: usize = met.map(|&plate| tape.whole_plate_size(plate)).product();
            if members == 1 { gradient } else { gradient * (1.0 / members as f64) }
        });
        Ok(scaled.collect())
    }

    /// The sum of some scalars on the plates of the bound, with their derivatives and the value zero.
    fn without_value(&self, graph: &Graph<'t, F>, terms: impl IntoIterator<Item = Var<'t, F>>) -> Var<'t, F> {
        let zero = graph.tape().constant(0.0);
        let on_the_bound = |term: Var<'t, F>| {
            let inner = term.plates().into_iter().filter(|plate| !self.plates.contains(plate));
            inner.fold(term, |term, plate| term.sum_over(plate))
        };
        terms.into_iter().map(on_the_bound).fold(zero, |sum, term| sum + zero.straight_through(term))
    }
}

/// Whether a plate is averaged with equal weights; other weights would have to be part of the bound.
pub(super) fn has_equal_weights<F: Real>(graph: &Graph<'_, F>, plate: Plate) -> bool {
    !matches!(graph.tape().weights(plate), Weights::Given { .. })
}
