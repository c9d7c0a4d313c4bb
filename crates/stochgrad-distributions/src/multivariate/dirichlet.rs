//! The Dirichlet distribution: shares that sum to 1. It is the conjugate prior of the probabilities of categories.
//!
//! $$p(x; a) = \frac{\Gamma(\sum_k a_k)}{\prod_k \Gamma(a_k)} \prod_k x_k^{a_k - 1}, \quad x \text{ on the simplex}, \quad a_k > 0,$$
//!
//! with respect to the first $n - 1$ coordinates.
//!
//! Parameter: `concentration` $a$, positive, with the shares along the last axis. Its shape is the event shape; one
//! element is the last axis. Support: the simplex. At a share of 0 the log-density is its limit: −∞ for a concentration
//! above 1, ∞ below 1, and finite at 1. Where a share is negative, or the sum is more than 0.001 away from 1, it is −∞.
//!
//! | capability | |
//! |---|---|
//! | score | any order |
//! | reparameterised | $x = \mathrm{softmax}(\ln G)$ with standard gamma variates, each with its implicit derivative (Figurnov et al. 2018): order 2 |
//!
//! As for the [gamma distribution](crate::Gamma), weak derivatives have no cheap sampler and are not given.
//!
//! Source: Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018 (path).

use crate::derivative::gamma_variates::log_standard_gammas;
use crate::derivative::own_draws::{lost_by_own_draw, marked};
use crate::derivative::underflow::held_above_underflow;
use crate::derivative::weak_gamma::weak_log_gammas;
use crate::distribution::{WeakNoise, WeakPath, WeaklyReparameterized, moderate_total};
use crate::prelude::*;
use stochgrad_tensor::zip::Zip;

distribution! {
    /// Shares that sum to 1, given by concentrations along the last axis. Use it for probabilities of categories.
    ///
    /// Samples are computed from logarithms and are never NaN; their shares are the smallest positive normal number or
    /// larger. The log-probability at a sample of a node, or at what `sample` and `rsample` return, is that at the
    /// logarithms that were drawn, so that it is exact at any concentrations. Concentrations whose sum is above an eighth
    /// of the largest number are errors.
    ///
    /// ```
    /// use stochgrad_distributions::{Dirichlet, Distribution};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let flat = Dirichlet::new(tape.constant([1.0, 1.0, 1.0]));
    /// assert!((flat.log_prob(tape.constant([0.2, 0.3, 0.5])).item()? - 2.0_f64.ln()).abs() < 1e-12);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Dirichlet {
        /// The concentrations.
        concentration,
    }
}

impl<'t, F: Real> Dirichlet<Var<'t, F>> {
    /// Shares with these concentrations, positive, along the last axis.
    pub fn new(concentration: Var<'t, F>) -> Self {
        Dirichlet { concentration }
    }

    /// The number of shares.
    pub fn dimension(&self) -> usize {
        self.concentration.shape().last().copied().unwrap_or(0)
    }

    /// The sum of the concentrations.
    pub fn total(&self) -> Var<'t, F> {
        self.concentration.sum_axis(-1)
    }

    fn by_gammas(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let logs = log_standard_gammas(self.concentration, draw, &self.event_shape(), true)?;
        Ok(shares(logs))
    }
}

/// The largest distance of the sum of shares from 1. Beyond it the log-density is −∞.
const TOLERANCE: f64 = 1e-3;

/// Shares with these logarithms up to a common summand, raised to the smallest positive number.
fn shares<F: Real>(logs: Var<'_, F>) -> Var<'_, F> {
    marked(held_above_underflow("Dirichlet", logs.softmax(-1)), logs)
}

impl<'t, F: Real> Distribution<'t, F> for Dirichlet<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Dirichlet"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        smallvec![
            Parameter::smooth("concentration", self.concentration).with_path(SamplePath::Implicit(Order::Finite(2)))
        ]
    }

    fn event_shape(&self) -> Shape {
        self.concentration.shape()
    }

    fn element_rank(&self) -> usize {
        1
    }

    fn support(&self) -> Support {
        Support::Simplex(self.dimension())
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        // Gamma densities at the shares of the total less the deviance of the shares from their means: the large terms
        // cancel inside each of them.
        let (tape, a, total) = (value.tape(), self.concentration, self.total());
        let all = total.unsqueeze(-1);
        let at_end = Boundary::Excluded.outside(value);
        let share = at_end.select(tape.constant(1.0), value);
        let inside = special::log_gamma_kernel(a, a) - special::deviance(a / all, share) * all - share.ln();
        // At a share of 0 the power decides, and without a power the density has a limit.
        let power = at_end.select(a - 1.0, tape.constant(0.0));
        let at_zero = tape.constant(f64::NEG_INFINITY).zip(Zip::Weigh, power);
        let each = at_end.select(all.ln() - value * all, inside) + at_zero;
        let on_simplex = each.sum_axis(-1) - special::log_gamma_kernel(total, total);
        let excess = (value.sum_axis(-1) - 1.0).abs();
        let off = Boundary::Included.outside(value).sum_axis(-1) + Boundary::Included.outside(TOLERANCE - excess);
        let density = off.select(tape.constant(f64::NEG_INFINITY), on_simplex);
        let lost = lost_by_own_draw(value, |logs| {
            let logs = logs.log_softmax(-1);
            logs - logs.clamp(F::MIN_POSITIVE.to_f64().ln(), 0.0)
        });
        match lost {
            Some(lost) => density + ((self.concentration - 1.0) * lost).sum_axis(-1),
            None => density,
        }
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        Some(self.concentration / self.total().unsqueeze(-1))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (mean, total) = (self.mean()?, self.total().unsqueeze(-1));
        Some(mean * (1.0 - mean) / (total + 1.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        // If a concentration is not above 1, there is no single mode: NaN.
        let above = self.concentration - 1.0;
        let inner = self.concentration.tape().constant(1.0);
        let all = (above.step().sum_axis(-1) - (self.dimension() as f64 - 0.5)).step().unsqueeze(-1);
        let nothing = inner * f64::NAN;
        let share = all.select(above, inner);
        Some(all.select(share / share.sum_axis(-1).unsqueeze(-1), nothing))
    }

    fn validate(&self) -> DistributionResult<()> {
        if self.dimension() == 0 {
            let problem =
                format!("expected concentrations along the last axis, got shape {}", self.concentration.shape());
            return Err(crate::DistributionError::Unsupported { distribution: "Dirichlet", problem });
        }
        positive("Dirichlet", "concentration", self.concentration)?;
        moderate_total("Dirichlet", self.total())
    }

    capabilities!();
}

impl<'t, F: Real> WeaklyReparameterized<'t, F> for Dirichlet<Var<'t, F>> {
    fn weak_rsample(&self, draw: &Draw<'_, F>, noise: WeakNoise) -> DistributionResult<WeakPath<'t, F>> {
        let path = weak_log_gammas(self.concentration, draw, &self.event_shape(), noise)?;
        Ok(WeakPath { value: shares(path.value), ..path })
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Dirichlet<Var<'t, F>> {}

impl<'t, F: Real> Reparameterized<'t, F> for Dirichlet<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        self.by_gammas(draw)
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Dirichlet<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        // With ψ(x) = ln x + d(x) and the kernels at the mean, the large terms are combined.
        let (a, total) = (self.concentration, self.total());
        let d = special::digamma_minus_log;
        let each = (a - 1.0) * d(a) - a.ln() + special::log_gamma_kernel(a, a);
        let all = (total - self.dimension() as f64) * d(total) + special::log_gamma_kernel(total, total);
        (all - total.ln() * self.dimension() as f64 - each.sum_axis(-1)).sum()
    }
}

impl<'t, F: Real> KlDivergence<'t, F> for Dirichlet<Var<'t, F>> {
    fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The Bregman divergences of ln Γ, split so that the large terms of the shares and of the total are combined.
        let (own, others) = (self.total(), other.total());
        let (a, b) = (self.concentration, other.concentration);
        let expected = a * (others / own).unsqueeze(-1);
        let each = special::stirling_divergence(a, b) + special::deviance(b, expected);
        (each.sum_axis(-1) - special::stirling_divergence(own, others)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuous::beta::Beta;
    use crate::noise::KeyedNoise;
    use crate::testing::{check_family, on_samples, variance};
    use approx::assert_abs_diff_eq;
    use stochgrad_tape::Tape;

    #[test]
    fn the_largest_concentrations_are_refused() {
        let tape = Tape::<f64>::new();
        let shares = tape.constant([0.25, 0.25, 0.5]);
        let large = Dirichlet::new(tape.constant([5e306, 5e306, 1e307]));
        large.validate().unwrap();
        assert!(large.log_prob(shares).item().unwrap() > 0.0);
        let message = Dirichlet::new(tape.constant([f64::MAX; 3])).validate().unwrap_err().to_string();
        assert!(message.contains("sum of the concentrations") && message.contains("2.2e307"), "{message}");
    }

    /// With two shares the first is of the beta distribution.
    #[test]
    fn two_shares_are_beta() {
        let tape = Tape::<f64>::new();
        for (a, b) in [(2.3, 1.4), (1e-3, 1e-3), (1e6, 3.0), (40.0, 1e5)] {
            let [x, y] = [a, b].map(|a| tape.parameter(a));
            let (distribution, beta) = (Dirichlet::new(Var::stack(&[x, y]).unwrap()), Beta::new(x, y));
            for share in [1e-10, 0.3, 0.999] {
                let value = [share, 1.0 - share].map(|x| tape.constant(x));
                let pairs = [
                    (distribution.log_prob(Var::stack(&value).unwrap()), beta.log_prob(value[0])),
                    (distribution.entropy(), beta.entropy()),
                ];
                for (left, right) in pairs {
                    let (got, expected) = (left.item().unwrap(), right.item().unwrap());
                    assert!((got - expected).abs() < 1e-10 * expected.abs().max(1.0), "{a}, {b}: {got} and {expected}");
                    let gradients = [left, right].map(|value| tape.backward(value, [x, y]).unwrap());
                    for (got, expected) in gradients[0].iter().zip(&gradients[1]) {
                        let (got, expected) = (got.item().unwrap(), expected.item().unwrap());
                        assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{a}, {b}: {got}, {expected}");
                    }
                }
            }
        }
        let [p, q] = [[2.3, 1.4], [0.8, 3.0]];
        let distribution = |a: [f64; 2]| (Dirichlet::new(tape.constant(a)), Beta::new(tape.constant(a[0]), a[1]));
        let (both, one) = (distribution(p).0.kl_to(&distribution(q).0), distribution(p).1.kl_to(&distribution(q).1));
        assert_abs_diff_eq!(both.item().unwrap(), one.item().unwrap(), epsilon = 1e-12);
        let mode = distribution([3.0, 2.0]).0.mode().unwrap().peek().unwrap().to_vec();
        assert!(
            (mode[0] - 2.0 / 3.0).abs() < 1e-15
                && distribution(q).0.mode().unwrap().peek().unwrap().as_slice()[0].is_nan()
        );
    }

    /// E Σ xₖ² = Σ a(a + 1) / A(A + 1): its derivative along the path.
    #[test]
    fn paths_are_right() {
        let tape = Tape::<f64>::new();
        let a = tape.parameter([0.4, 1.5, 3.0]);
        let distribution = Dirichlet::new(a);
        distribution.validate().unwrap();
        let noise = KeyedNoise::new(8, 0);
        let draw = on_samples(&tape, &noise, 200_000);
        let copies = tape.parameter(Tensor::from_fn([200_000, 3], |i| [0.4, 1.5, 3.0][i % 3]));
        let wide = Dirichlet::new(copies.event_to_plate(draw.plates()[0]));
        let x = wide.rsample(&draw).unwrap();
        assert!(x.sum_axis(-1).peek().unwrap().as_slice().iter().all(|sum| (sum - 1.0).abs() < 1e-13));
        let [gradient] = tape.backward(x.square().sum().sum_over(draw.plates()[0]), [copies]).unwrap();
        let total = distribution.total();
        let exact = (a * (a + 1.0)).sum() / (total * (total + 1.0));
        let [exact] = tape.backward(exact, [a]).unwrap();
        for (k, expected) in exact.as_slice().iter().enumerate() {
            let terms: Vec<f64> = gradient.as_slice().iter().skip(k).step_by(3).copied().collect();
            let mean = terms.iter().sum::<f64>() / terms.len() as f64;
            let error = (variance(&terms) / terms.len() as f64).sqrt();
            assert!((mean - expected).abs() < 4.0 * error, "{k}: {mean} ± {error}, expected {expected}");
        }
        let means = x.mean_over(draw.plates()[0]).peek().unwrap();
        for (got, expected) in means.as_slice().iter().zip(distribution.mean().unwrap().peek().unwrap().as_slice()) {
            assert_abs_diff_eq!(got, expected, epsilon = 0.005);
        }
        check_family(&tape, &distribution, tape.constant([0.2, 0.3, 0.5]));
    }

    #[test]
    fn shares_of_zero_have_the_limit_of_the_density() {
        let inf = f64::INFINITY;
        for (a, x, expected) in [
            ([1.0, 2.0], [0.0, 1.0], 2.0_f64.ln()),
            ([2.0, 2.0], [0.0, 1.0], -inf),
            ([0.5, 2.0], [0.0, 1.0], inf),
            ([2.0, 1.0], [1.0, 0.0], 2.0_f64.ln()),
            ([2.0, 3.0], [-0.5, 1.5], -inf),
            ([2.0, 3.0], [0.2, 0.2], -inf),
            ([2.0, 3.0], [0.6, 0.6], -inf),
            ([2.0, 3.0], [inf, 0.6], -inf),
        ] {
            let tape = Tape::<f64>::new();
            let (a, x) = (tape.parameter(a), tape.parameter(x));
            let log = Dirichlet::new(a).log_prob(x);
            let got = log.item().unwrap();
            assert!(got == expected || (got - expected).abs() < 1e-14, "{a:?} at {x:?}: {got}, expected {expected}");
            for gradient in tape.backward(log, [a, x]).unwrap() {
                assert!(gradient.as_slice().iter().all(|g| !g.is_nan()), "{a:?} at {x:?}: {gradient:?}");
            }
        }
        // The slope along the simplex is that of the density 2 (1 − x): −1/(1 − x) at 0.
        let tape = Tape::<f64>::new();
        let x = tape.parameter([0.0, 1.0]);
        let [slope] = tape.backward(Dirichlet::new(tape.constant([1.0, 2.0])).log_prob(x), [x]).unwrap();
        assert!((slope.as_slice()[0] - slope.as_slice()[1] + 1.0).abs() < 1e-14, "{slope:?}");
        let nan = Dirichlet::new(tape.constant([1.0, 2.0])).log_prob(tape.constant([f64::NAN, 1.0]));
        assert!(nan.item().unwrap().is_nan());
    }

    /// The score of tiny concentrations at the samples that they give, in single precision.
    #[test]
    fn tiny_concentrations_have_finite_scores_at_their_samples() {
        for a in [1e-10, 1e-5, 1e-2] {
            let tape = Tape::<f32>::new();
            let concentration = tape.parameter([a, a]);
            let distribution = Dirichlet::new(concentration);
            let noise = KeyedNoise::new(8, 0);
            let plate = tape.plate("samples", 50, stochgrad_tape::PlateKind::Samples, &[]);
            let key = crate::noise::NoiseKey::new("x", None);
            let draw = Draw::new(&tape, &noise, key, stochgrad_tape::Plates::from_slice(&[plate]));
            let x = distribution.sample(&draw).unwrap();
            let density = distribution.log_prob(x);
            assert!(density.peek().unwrap().all_finite(), "{a}: {density:?}");
            let [score] = tape.backward(density.mean_over(plate), [concentration]).unwrap();
            assert!(score.all_finite(), "{a}: {score:?}");
        }
    }

    #[test]
    fn extremes_give_no_nan() {
        for a in [1e-3, 1.0, 1e6] {
            let tape = Tape::<f64>::new();
            let concentration = tape.parameter([a, a, 2.0 * a, 1.0]);
            let distribution = Dirichlet::new(concentration);
            let noise = KeyedNoise::new(8, 0);
            let draw = on_samples(&tape, &noise, 200);
            let x = distribution.rsample(&draw).unwrap();
            assert!(x.peek().unwrap().as_slice().iter().all(|&x| x > 0.0 && x <= 1.0));
            // Where samples underflow, the density at them has a derivative that they have lost.
            let density = if a < 0.1 { distribution.log_prob(x.stop_gradient()) } else { distribution.log_prob(x) };
            let total = (density + x.sum()).mean_over(draw.plates()[0]) + distribution.entropy();
            assert!(tape.backward(total, [concentration]).unwrap()[0].all_finite(), "{a}");
        }
        let tape = Tape::<f64>::new();
        assert!(Dirichlet::new(tape.constant([1.0, 0.0])).validate().is_err());
    }
}
