//! The Gaussian copula.
//!
//! The variates are $u = \Phi(z)$ for normal variates $z$ whose correlations are all $\rho = -1/(n - 1)$, the lowest
//! possible common correlation: independent ones minus their mean, rescaled. With $h = \Phi^{-1}(p) \le 0$,
//!
//! $$P(u_1 < p, u_2 < p) = p^2 - \frac{1}{2\pi} \int_{\arcsin \rho}^0 \exp\Big(\!-\frac{h^2}{1 + \sin \varphi}\Big)\, d\varphi,$$
//!
//! which is obtained by integrating the derivative with respect to the correlation (Plackett 1954). With two variates,
//! $u_2 = 1 - u_1$, and both are never below 1/2.

use super::{Copula, along};
use stochgrad_distributions::{DistributionResult, Draw};
use stochgrad_tape::{Tape, Var, special};
use stochgrad_tensor::{Real, Shape};

/// The positive half of the nodes of Gauss–Legendre quadrature with sixteen nodes on (−1, 1), with their weights.
const QUADRATURE: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_89),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_1),
];

/// The Gaussian copula: normal variates with the lowest common correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaussianCopula;

impl Copula for GaussianCopula {
    fn name(&self) -> String {
        "Gaussian".into()
    }

    fn uniforms<'t, F: Real>(
        &self,
        tape: &'t Tape<F>,
        draw: &Draw<'_, F>,
        samples: usize,
        event: &Shape,
    ) -> DistributionResult<Var<'t, F>> {
        let z = draw.record_normal(tape, &along(samples, event))?;
        let stretch = (samples as f64 / samples.saturating_sub(1) as f64).sqrt();
        Ok(special::normal_cdf((z - z.mean_axis(0).unsqueeze(0)) * stretch))
    }

    fn second_below<'t, F: Real>(&self, samples: usize, p: Var<'t, F>) -> Var<'t, F> {
        if samples == 2 {
            return p * 0.0;
        }
        let start = (-1.0 / samples.saturating_sub(1) as f64).asin();
        let squared = special::normal_icdf(p).square();
        let values = QUADRATURE.iter().flat_map(|&(node, weight)| [(node, weight), (-node, weight)]);
        let integral = values.map(|(node, weight)| {
            let sine = (0.5 * start * (1.0 + node)).sin();
            (squared * (-1.0 / (1.0 + sine))).exp() * (-0.5 * start * weight)
        });
        let sum = integral.reduce(|sum, term| sum + term).unwrap_or(squared);
        (p - sum * (0.5 / std::f64::consts::PI) / p).relu()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antithetic::copula::tests::check;
    use stochgrad_tensor::Tensor;

    #[test]
    fn numbers_are_as_it_says() {
        [2, 3, 4, 7].into_iter().for_each(|samples| check(&GaussianCopula, samples));
    }

    /// At p = 1/2 both are below with probability 1/4 + arcsin(ρ) / 2π (Sheppard 1899). Elsewhere, an integral over the
    /// first number.
    #[test]
    fn known_values() {
        let tape = Tape::<f64>::new();
        for samples in [3, 5, 20] {
            let correlation = -1.0 / (samples - 1) as f64;
            let expected = 0.25 + correlation.asin() / (2.0 * std::f64::consts::PI);
            let found = GaussianCopula.second_below(samples, tape.constant(0.5)).item().unwrap() * 0.5;
            assert!((found - expected).abs() < 1e-15, "{samples}: {found} where {expected} is exact");
            for p in [0.4, 0.2, 0.05, 0.001] {
                let h = special::normal_icdf(tape.constant(p)).item().unwrap();
                let spread = (1.0 - correlation * correlation).sqrt();
                let x = tape.constant(Tensor::from_fn([20_000], |i| h - (i as f64 + 0.5) * 5e-4));
                let density = (x.square() * -0.5).exp() * (5e-4 / (2.0 * std::f64::consts::PI).sqrt());
                let expected =
                    (density * special::normal_cdf((h - x * correlation) * (1.0 / spread))).sum().item().unwrap() / p;
                let found = GaussianCopula.second_below(samples, tape.constant(p)).item().unwrap();
                assert!((found - expected).abs() < 2e-7, "{samples} at {p}: {found} where {expected} is exact");
            }
        }
        assert_eq!(GaussianCopula.second_below(2, tape.constant(0.3)).item(), Ok(0.0));
    }
}
