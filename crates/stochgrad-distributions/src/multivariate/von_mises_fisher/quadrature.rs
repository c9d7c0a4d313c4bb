//! The normalising constant and the moments of the cosine $t$ of the angle from the direction, in any dimension.
//!
//! With $b = (1 + t)/2 = 1/(1 + e^{-u})$ and $\beta = (n - 1)/2$, the density of the log-odds $u$ is in proportion to
//!
//! $$e^{-2\kappa (1 - b)}\, b^\beta (1 - b)^\beta,$$
//!
//! which is analytic on the real line, has its mode at $\operatorname{arsinh}(\kappa/\beta)$ and a width of about
//! $1/\sqrt\beta$ for every $\kappa$, and falls at least as fast as $e^{-\beta \lvert u\rvert}$. The trapezoidal rule in
//! $s$, with $u = \operatorname{arsinh}(\kappa/\beta) + \tfrac{3}{2}\beta^{-1/2} \sinh s$, therefore has errors of the order of
//! rounding with a fixed number of nodes. All terms are positive, and derivatives with respect to $\kappa$ of any order
//! are sums of the same kind.

use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Real;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::special::lgamma;

/// The number of nodes on each side of the mode.
const SIDE: usize = 80;

/// The mode of the log-odds, arsinh(κ/β).
pub(super) fn mode<F: Real>(concentration: Var<'_, F>, beta: f64) -> Var<'_, F> {
    let ratio = (concentration * (1.0 / beta)).map(Map::MinScalar(F::MAX.to_f64()));
    let size = ratio.map(Map::MaxScalar(1.0));
    size.ln() + (ratio / size + ((ratio / size).square() + size.recip().square()).sqrt()).ln()
}

/// The nodes around the mode, and the logarithms of their weights.
fn nodes(beta: f64) -> [Vec<f64>; 2] {
    let width = 1.5 / beta.sqrt();
    // Where the slowest tail, that of a concentration of 0, has fallen by a factor of e⁴⁰.
    let reach = if beta < 0.1 { 40.0 / beta + 1.4 } else { 2.0 * (20.0 / beta).exp().acosh() };
    let step = (reach / width).asinh() / SIDE as f64;
    let at = |k: usize| (k as f64 - SIDE as f64) * step;
    let all = 0..2 * SIDE + 1;
    [all.clone().map(|k| width * at(k).sinh()).collect(), all.map(|k| (width * at(k).cosh() * step).ln()).collect()]
}

/// The distribution of the cosine at the nodes, along a last axis.
pub(super) struct Cosines<'t, F: Real> {
    dimension: usize,
    /// (1 + t)/2 and (1 − t)/2.
    halves: [Var<'t, F>; 2],
    /// The logarithms of the terms.
    logs: Var<'t, F>,
}

impl<'t, F: Real> Cosines<'t, F> {
    pub(super) fn new(concentration: Var<'t, F>, dimension: usize) -> Self {
        let (tape, beta): (&Tape<F>, f64) = (concentration.tape(), half_degrees(dimension));
        let [offsets, weights] =
            nodes(beta).map(|each| tape.constant_from_fn([each.len()], |at| F::from_f64(each[at])));
        let odds = mode(concentration.held(), beta).unsqueeze(-1) + offsets;
        let halves = [odds.sigmoid(), (-odds).sigmoid()];
        let power = (odds.log_sigmoid() + (-odds).log_sigmoid()) * beta + weights;
        let logs = concentration.unsqueeze(-1) * halves[1] * -2.0 + power;
        Cosines { dimension, halves, logs }
    }

    /// The logarithm of the integral of $e^{\kappa (t - 1)}$ over the sphere.
    pub(super) fn log_normalizer(&self) -> Var<'t, F> {
        // The area of the sphere of points with the same cosine, and the factors of dt/du.
        let beta = half_degrees(self.dimension);
        let area = beta * std::f64::consts::PI.ln() - lgamma(beta);
        self.logs.logsumexp(-1) + (area + 2.0 * beta * std::f64::consts::LN_2)
    }

    fn mean(&self, each: Var<'t, F>) -> Var<'t, F> {
        (self.logs.softmax(-1) * each).sum_axis(-1)
    }

    /// The mean of 1 − t.
    pub(super) fn gap(&self) -> Var<'t, F> {
        self.mean(self.halves[1]) * 2.0
    }

    /// The mean of 1 − t².
    pub(super) fn square_sine(&self) -> Var<'t, F> {
        self.mean(self.halves[0] * self.halves[1]) * 4.0
    }

    /// The variance of t.
    pub(super) fn variance(&self) -> Var<'t, F> {
        let gap = self.gap().unsqueeze(-1);
        self.mean((self.halves[1] * 2.0 - gap).square())
    }
}

/// β, of a valid dimension.
pub(super) fn half_degrees(dimension: usize) -> f64 {
    0.5 * (dimension.max(2) as f64 - 1.0)
}
