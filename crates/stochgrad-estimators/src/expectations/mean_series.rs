//! Power series of an expectation: $f(\mathbb E X)$ without bias, from a random number of samples.
//!
//! For a power series around a centre $c$ and independent draws $X_1, X_2, \dots$,
//!
//! $$f(\mathbb E X) = \sum_k f_k\, (\mathbb E X - c)^k = \sum_k \mathbb E \Delta_k, \qquad \Delta_k = f_k \prod_{i \le k} (X_i - c).$$
//!
//! A [`Telescope`] estimates the sum with a random degree $N$, from $N$ draws that the terms share. For the exponential
//! and the single term with a Poisson degree, this is
//!
//! $$e^{\mathbb E X} = \mathbb E\Big[e^{c + \lambda} \lambda^{-N} \prod_{i \le N} (X_i - c)\Big], \qquad N \sim \mathrm{Poisson}(\lambda),$$
//!
//! whose second moment $\exp(2 c + \lambda + s/\lambda)$ with $s = \mathbb E (X - c)^2$ is least at $\lambda = \sqrt s$
//! (Wagner 1988; Fearnhead, Papaspiliopoulos and Roberts 2008). A lower centre then costs more draws, $\sqrt s$, and
//! has a lower variance, $e^{2 (c + \sqrt s)} - e^{2\, \mathbb E X}$, which tends to 0. For the roulette with a
//! geometric degree, see Lyne, Girolami, Atchadé, Strathmann and Simpson (2015). The centre must not be computed from
//! the same draws.
//!
//! | | [`record`](MeanSeries::record) | [`record_up_to`](MeanSeries::record_up_to) |
//! |---|---|---|
//! | bias | none | that of the Taylor polynomial, and the guarantee says so |
//! | draws | a random number, as many as are needed | a fixed number $K$; the average over all choices of different members |
//! | variance | that of [`moments`](MeanSeries::moments) | lower, for the same number of draws |
//! | compiled | no | yes |
//! | order | that of the methods | that of the methods |
//!
//! The degree is drawn on the host, before the samples. A fixed number of draws with masks for those above a random
//! degree would have the cost of all of them, and a higher variance than the polynomial.

use crate::expectations::independent_members::{Estimator, qualify_cost};
use crate::expectations::polynomial::polynomial_of_mean;
use crate::expectations::telescope::{Telescope, TelescopeMoments};
use std::panic::Location;
use stochgrad_graph::{Address, Graph, GraphResult};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// A function of an expectation as a power series around a centre.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Levels, MeanSeries, Pathwise, Telescope};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", 0.3)?;
/// let telescope = Telescope::single_term(Levels::poisson(0.8));
/// let exp = MeanSeries::exp(0.0).record(&graph, "degree", &telescope, |samples| {
///     graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(samples))
/// })?;
/// graph.cost("exp", exp)?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MeanSeries {
    name: &'static str,
    center: f64,
    /// The coefficient of a power, for a centre.
    coefficient: fn(usize, f64) -> f64,
}

impl MeanSeries {
    /// $e^m$, for any expectation.
    pub fn exp(center: f64) -> Self {
        let coefficient = |power: usize, center: f64| (1..=power).fold(center.exp(), |product, k| product / k as f64);
        MeanSeries { name: "exp", center, coefficient }
    }

    /// $\ln m$, for expectations between 0 and twice the centre.
    pub fn ln(center: f64) -> Self {
        let coefficient = |power: usize, center: f64| match power {
            0 => center.ln(),
            _ => -(-1.0 / center).powf(power as f64) / power as f64,
        };
        MeanSeries { name: "ln", center, coefficient }
    }

    /// $1/m$, for expectations between 0 and twice the centre.
    pub fn recip(center: f64) -> Self {
        let coefficient = |power: usize, center: f64| (-1.0 / center).powf(power as f64) / center;
        MeanSeries { name: "recip", center, coefficient }
    }

    /// Any other function: `coefficient` gives $f_k$ for a power $k$ and the centre.
    pub fn new(name: &'static str, center: f64, coefficient: fn(usize, f64) -> f64) -> Self {
        MeanSeries { name, center, coefficient }
    }

    /// The coefficient of a power.
    pub fn coefficient(&self, power: usize) -> f64 {
        (self.coefficient)(power, self.center)
    }

    /// An estimate of $f(\mathbb E X)$ from a random number of samples. The degree is a node of this address. `draw`
    /// makes the samples along a plate with as many members, which has the name of the address and "members"; for the
    /// degree 0 it is not called. Record the parameters before, so that each graph has them.
    ///
    /// With finitely many levels, the series ends with the last one, and the guarantee states the bias.
    ///
    /// # Errors
    /// For probabilities outside their domain, if another node or plate has the name, for samples that lack the plate
    /// or are not independent draws, and those of `draw`.
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        address: impl Into<Address>,
        telescope: &Telescope,
        draw: impl FnOnce(Plate) -> GraphResult<Var<'t, F>>,
    ) -> GraphResult<Var<'t, F>> {
        let address = address.into();
        let name = address.to_string();
        let estimator = Estimator { name: &name, at: Location::caller() };
        telescope.check(&estimator)?;
        self.check(&estimator)?;
        let degree = telescope.levels().sample(graph, address)?;
        let samples = match degree {
            0 => None,
            _ => Some(graph.plate(&format!("{name} members"), degree)?),
        };
        let centred = match samples {
            None => None,
            Some(samples) => {
                let x = draw(samples)?;
                estimator.members(&[x], samples, degree)?;
                if let Some(last) = telescope.levels().last() {
                    self.qualify(graph, x, last, &estimator);
                }
                Some((x - self.center, samples))
            }
        };
        let mut sum = graph.constant(0.0);
        let mut product: Option<Var<'t, F>> = None;
        let mut factors = 0;
        for (power, weight) in telescope.weights(degree) {
            if let Some((centred, samples)) = centred {
                for member in factors..power {
                    let factor = centred.member(samples, member);
                    product = Some(product.map_or(factor, |product| product * factor));
                }
                factors = power;
            }
            let weight = weight * self.coefficient(power);
            sum = product.map_or(sum + weight, |product| sum + product * weight);
        }
        graph.tape().check()?;
        Ok(sum)
    }

    /// An estimate of $f(\mathbb E X)$ from the samples along a plate, by the series up to a degree: an unbiased
    /// estimate of the Taylor polynomial, which the guarantee states as a bias.
    ///
    /// # Errors
    /// As [`polynomial_of_mean`].
    #[track_caller]
    pub fn record_up_to<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        x: Var<'t, F>,
        samples: Plate,
        degree: usize,
    ) -> GraphResult<Var<'t, F>> {
        let estimator = Estimator { name: self.name, at: Location::caller() };
        self.check(&estimator)?;
        let coefficients: Vec<f64> = (0..=degree).map(|power| self.coefficient(power)).collect();
        let polynomial = polynomial_of_mean(x - self.center, samples, &coefficients)?;
        self.qualify(graph, x, degree, &estimator);
        Ok(polynomial)
    }

    fn qualify<'t, F: Real>(&self, graph: &Graph<'t, F>, x: Var<'t, F>, degree: usize, estimator: &Estimator<'_>) {
        let because = format!(
            "the series of {} around {} ends with the degree {degree} ({}): the bias is the rest of the series",
            self.name, self.center, estimator.at
        );
        qualify_cost(graph, &[x], because);
    }

    /// Checks that the series exists at its centre.
    fn check(&self, estimator: &Estimator<'_>) -> GraphResult<()> {
        match (0..=1).find(|&power| !self.coefficient(power).is_finite()) {
            None => Ok(()),
            Some(power) => Err(estimator.error(format!(
                "expected a centre at which {} has a power series, got {}, where the coefficient of the power {power} \
                 is {}",
                self.name,
                self.center,
                self.coefficient(power)
            ))),
        }
    }

    /// The mean and the variance of one estimate of [`record`](Self::record), and the expected number of draws, for
    /// samples of known mean and mean square. A variance that does not exist is infinite.
    ///
    /// ```
    /// use stochgrad_estimators::{Levels, MeanSeries, Telescope};
    ///
    /// // X is 0.2 or 1.5, the latter with the probability 0.4.
    /// let (mean, mean_square) = (0.72_f64, 0.924_f64);
    /// let telescope = |rate| Telescope::single_term(Levels::poisson(rate));
    /// let poisson = |rate| MeanSeries::exp(0.0).moments(&telescope(rate), mean, mean_square);
    /// let best = poisson(mean_square.sqrt())?;
    /// assert!((best.mean - mean.exp()).abs() < 1e-12 && (best.variance - 2.617325267).abs() < 1e-9);
    /// assert!(poisson(1.0)?.variance > best.variance);
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For probabilities outside their domain, and for a centre without a series.
    #[track_caller]
    pub fn moments(&self, telescope: &Telescope, mean: f64, mean_square: f64) -> GraphResult<TelescopeMoments> {
        /// The number of terms after which a sum that has not converged counts as infinite.
        const TERMS: usize = 2000;
        let estimator = Estimator { name: self.name, at: Location::caller() };
        telescope.check(&estimator)?;
        self.check(&estimator)?;
        let shifted = mean - self.center;
        let square = mean_square - 2.0 * self.center * mean + self.center * self.center;
        let last = telescope.levels().last().unwrap_or(TERMS);
        let terms: Vec<f64> = (0..=last).map(|power| self.coefficient(power)).collect();
        let mut above = 0.0;
        let mut crossed = vec![0.0; terms.len()];
        for power in (0..terms.len()).rev() {
            // Σ of f_k m^{k − power} over the higher powers k.
            crossed[power] = above;
            above = terms[power] * shifted + above * shifted;
        }
        let (mut first, mut second, mut draws) = (0.0, 0.0, 0.0);
        let mut change: f64 = 0.0;
        for (power, &term) in terms.iter().enumerate() {
            let reach = telescope.reach(power);
            if reach <= 0.0 {
                break;
            }
            if power > 0 {
                draws += telescope.levels().survival(power);
            }
            if term == 0.0 {
                continue;
            }
            let both = if telescope.has_several_terms() { term + 2.0 * crossed[power] } else { term };
            // In two factors, which overflow later than the power itself.
            let root = square.powf(power as f64 / 2.0);
            change = (term * root) * (both * root) / reach;
            first += term * shifted.powf(power as f64);
            second += change;
        }
        let converges = telescope.levels().last().is_some() || change.abs() <= 1e-9 * second.abs();
        let variance = if converges && second.is_finite() { second - first * first } else { f64::INFINITY };
        Ok(TelescopeMoments { mean: first, variance, cost: draws })
    }
}

#[cfg(test)]
mod tests;
