//! The Gaussian copula.
//!
//! $u = \Phi(z)$ for normal numbers $z$ whose correlations are all $\rho = -1/(n - 1)$, the lowest that $n$ numbers can have: independent ones less their mean, stretched. With $h = \Phi^{-1}(p) \le 0$,
//!
//! $$P(u_1 < p, u_2 < p) = \frac1\pi \int_0^{\arctan\sqrt{(1 + \rho)/(1 - \rho)}} \exp\Big(\!-\frac{h^2}{2 \sin^2 \varphi}\Big)\, d\varphi,$$
//!
//! the form of Simon and Divsalar (1998), whose integrand is positive and smooth. With two numbers, $u_2 = 1 - u_1$.

use super::{Copula, along};
use stochgrad_distributions::{DistributionResult, Draw};
use stochgrad_tape::{Tape, Var, special};
use stochgrad_tensor::{Real, Shape};

/// Nodes and weights of Gauss–Legendre quadrature with sixteen nodes on (−1, 1), the positive half.
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

/// Normal numbers with the lowest common correlation.
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
        let stretch = (samples as f64 / (samples - 1) as f64).sqrt();
        Ok(special::normal_cdf((z - z.mean_axis(0).unsqueeze(0)) * stretch))
    }

    fn second_below<'t, F: Real>(&self, samples: usize, p: Var<'t, F>) -> Var<'t, F> {
        let n = samples as f64;
        // (1 + ρ) / (1 − ρ) = (n − 2) / n.
        let end = ((n - 2.0) / n).sqrt().atan();
        let squared = special::normal_icdf(p).square();
        let values = QUADRATURE.iter().flat_map(|&(node, weight)| [(node, weight), (-node, weight)]);
        let integral = values.map(|(node, weight)| {
            let angle = 0.5 * end * (1.0 + node);
            (squared * (-0.5 / angle.sin().powi(2).max(f64::MIN_POSITIVE))).exp() * (0.5 * end * weight)
        });
        let sum = integral.reduce(|sum, term| sum + term).unwrap_or(squared);
        sum * (1.0 / std::f64::consts::PI) / p
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copula::tests::check;

    #[test]
    fn numbers_are_as_it_says() {
        [2, 3, 4, 7].into_iter().for_each(|samples| check(&GaussianCopula, samples));
    }

    /// At p = 1/2 both are below with probability 1/4 + arcsin(ρ) / 2π (Sheppard 1899); with two numbers, never.
    #[test]
    fn known_values() {
        let tape = Tape::<f64>::new();
        for samples in [2, 3, 5, 20] {
            let correlation = -1.0 / (samples - 1) as f64;
            let expected = 0.25 + correlation.asin() / (2.0 * std::f64::consts::PI);
            let found = GaussianCopula.second_below(samples, tape.constant(0.5)).item().unwrap() * 0.5;
            assert!((found - expected).abs() < 1e-15, "{samples}: {found} where {expected} is exact");
        }
    }
}
