//! Randomised telescoping: an unbiased estimate of a sum with infinitely many terms, from finitely many of them. Use it
//! for limits: of discretisations, of truncated series, of plug-in estimates with more and more samples.
//!
//! For terms $\Delta_0, \Delta_1, \dots$ and a random level $N$ that is drawn before them,
//!
//! $$\sum_n \mathbb E \Delta_n
//!     = \mathbb E\Big[\frac{\Delta_N}{P(N)}\Big]
//!     = \mathbb E\Big[\sum_{n \le N} \frac{\Delta_n}{P(N \ge n)}\Big].$$
//!
//! The first estimator (single term) evaluates the term of the drawn level only. The second one (Russian roulette)
//! evaluates all terms up to it. With independent terms and costs $c_n$,
//!
//! | | second moment | expected cost | least product of the two |
//! |---|---|---|---|
//! | single term | $\sum_n \mathbb E\Delta_n^2 / p_n$ | $\sum_n p_n c_n$ | $p_n \propto \sqrt{\mathbb E\Delta_n^2 / c_n}$ |
//! | roulette | $\sum_n \beta_n / Q_n$ | $\sum_n Q_n c_n$ | $Q_n \propto \sqrt{\beta_n / c_n}$, made non-increasing |
//!
//! with $Q_n = P(N \ge n)$ and $\beta_n = \mathbb E\Delta_n^2 + 2\, \mathbb E\Delta_n \sum_{m > n} \mathbb E\Delta_m$.
//! McLeish (2011); Rhee and Glynn (2015); as gradients: Beatson and Adams (2019).
//!
//! | | |
//! |---|---|
//! | bias | none; with finitely many levels, none for the sum up to the last one |
//! | order | that of the methods |
//! | variance | finite if the second moment above is |
//! | compiled | one graph for each level, see [`Telescope::weights`] |

use crate::expectations::independent_members::Estimator;
use crate::expectations::level_statistics::LevelStatistics;
use crate::expectations::levels::Levels;
use std::ops::{Add, Mul};
use std::panic::Location;
use stochgrad_graph::{Address, Graph, GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// An unbiased estimator of a sum over levels, which evaluates a random number of them.
///
/// The terms are plain numbers ([`estimate`](Self::estimate)) or recorded values with gradients
/// ([`record`](Self::record)):
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Levels, Pathwise, Telescope, antithetic_difference};
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", 0.3)?;
/// // ln E[exp(X)], without the bias of a plug-in estimate: the sum over levels with twice as many samples each.
/// let telescope = Telescope::single_term(Levels::geometric(0.35));
/// let log = telescope.record(&graph, "level", |level| {
///     let samples = graph.plate("samples", 1 << level)?;
///     let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(samples))?;
///     antithetic_difference(x.exp(), samples, |mean| mean.ln())
/// })?;
/// graph.cost("log", log)?;
/// assert_eq!(graph.backward()?.guarantee("location")?.bias, Bias::Unbiased);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Telescope {
    levels: Levels,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SingleTerm,
    Roulette,
}

/// The mean and the variance of one estimate, and its expected cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TelescopeMoments {
    /// The mean: the sum over all levels.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
    /// The expected cost.
    pub cost: f64,
}

impl Telescope {
    /// The term of the drawn level only, divided by the probability of the level.
    pub fn single_term(levels: Levels) -> Self {
        Telescope { levels, kind: Kind::SingleTerm }
    }

    /// The terms of all levels up to the drawn one, each divided by the probability that it is reached.
    pub fn roulette(levels: Levels) -> Self {
        Telescope { levels, kind: Kind::Roulette }
    }

    /// The single-term estimator with the least product of second moment and expected cost for these levels.
    ///
    /// # Errors
    /// For no levels, for moments or costs that are not finite, and for a level whose term is always 0.
    #[track_caller]
    pub fn optimal_single_term(levels: &[LevelStatistics]) -> GraphResult<Self> {
        let estimator = Estimator { name: "optimal single term", at: Location::caller() };
        LevelStatistics::check(levels, |problem| estimator.error(problem))?;
        let weights: Vec<f64> = levels.iter().map(|level| (level.mean_square / level.cost).sqrt()).collect();
        let total: f64 = weights.iter().sum();
        if let Some(level) = weights.iter().position(|weight| *weight <= 0.0) {
            return Err(estimator.error(format!(
                "expected terms with a mean square above 0, got 0 at level {level}; leave the level out"
            )));
        }
        let probabilities: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        Ok(Self::single_term(Levels::from_probabilities(&probabilities)))
    }

    /// The roulette estimator with the least product of second moment and expected cost for these levels, if the terms
    /// are independent (Rhee and Glynn 2015).
    ///
    /// # Errors
    /// For no levels, for moments or costs that are not finite, and if the optimum leaves levels out.
    #[track_caller]
    pub fn optimal_roulette(levels: &[LevelStatistics]) -> GraphResult<Self> {
        let estimator = Estimator { name: "optimal roulette", at: Location::caller() };
        LevelStatistics::check(levels, |problem| estimator.error(problem))?;
        // Blocks of neighbouring levels with the same survival probability: β, cost, and number of levels. A block
        // whose ratio is above that of the block before it is merged with it.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        for (beta, level) in betas(levels).into_iter().zip(levels) {
            let mut block = (beta, level.cost, 1);
            while let Some(&(beta, cost, count)) = blocks.last()
                && block.0 * cost >= beta * block.1
            {
                block = (block.0 + beta, block.1 + cost, block.2 + count);
                blocks.pop();
            }
            blocks.push(block);
        }
        let first = blocks[0].0 / blocks[0].1;
        let mut survivals = Vec::with_capacity(levels.len() + 1);
        for (beta, cost, count) in blocks {
            let ratio = beta / cost / first;
            if !(ratio > 0.0 && first > 0.0) {
                return Err(estimator.error(format!(
                    "expected terms whose moments give level {} a probability above 0, got a contribution of {beta} to \
                     the second moment; leave the level out, or use a geometric distribution",
                    survivals.len()
                )));
            }
            survivals.extend(std::iter::repeat_n(ratio.sqrt(), count));
        }
        survivals.push(0.0);
        let probabilities: Vec<f64> = survivals.windows(2).map(|pair| pair[0] - pair[1]).collect();
        Ok(Self::roulette(Levels::from_probabilities(&probabilities)))
    }

    /// The distribution of the level.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The levels that are evaluated if a level was drawn, with the weights of their terms.
    ///
    /// The number of recorded operations depends on the level, so that [`record`](Self::record) cannot be compiled.
    /// Compile one graph for each level instead, with these weights, and choose one in each step by
    /// [`Levels::draw`]:
    ///
    /// ```
    /// use stochgrad_estimators::{Levels, Telescope};
    /// use stochgrad_graph::{CompiledGraph, Graph, GraphError, Seed};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// # fn main() -> Result<(), GraphError> {
    /// let telescope = Telescope::roulette(Levels::geometric(0.5).at_most(3));
    /// // θ + θ²/2 + θ³/4 + …
    /// let compile = |drawn: usize| -> Result<CompiledGraph<f64>, GraphError> {
    ///     let tape = Tape::<f64>::new();
    ///     let graph = Graph::new(&tape, Seed::new(7));
    ///     let theta = graph.param("theta", 0.5)?;
    ///     let terms = telescope.weights(drawn).map(|(level, weight)| {
    ///         theta.powf(level as f64 + 1.0) * (weight * 0.5_f64.powf(level as f64))
    ///     });
    ///     graph.cost("sum", terms.fold(graph.constant(0.0), |sum, term| sum + term))?;
    ///     graph.compile()
    /// };
    /// let mut graphs = (0..4).map(compile).collect::<Result<Vec<_>, _>>()?;
    /// for step in 0..10 {
    ///     let seed = Seed::new(7).step(step);
    ///     let graph = &mut graphs[telescope.levels().draw(seed, "level")?];
    ///     graph.set("theta", &Tensor::scalar(0.5))?;
    ///     assert!(graph.run(seed)?.get("theta")?.item().is_ok());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn weights(&self, drawn: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let first = if self.kind == Kind::SingleTerm { drawn } else { 0 };
        (first..=drawn).map(|level| (level, 1.0 / self.reach(level)))
    }

    /// The probability that the term of a level is evaluated.
    pub(crate) fn reach(&self, level: usize) -> f64 {
        match self.kind {
            Kind::SingleTerm => self.levels.probability(level),
            Kind::Roulette => self.levels.survival(level),
        }
    }

    /// Whether an estimate contains the terms of several levels.
    pub(crate) fn has_several_terms(&self) -> bool {
        self.kind == Kind::Roulette
    }

    /// Checks the probabilities: the single-term estimator must reach each level.
    pub(crate) fn check(&self, estimator: &Estimator<'_>) -> GraphResult<()> {
        self.levels.check(estimator)?;
        let last = self.levels.last().unwrap_or(0);
        match (0..=last).find(|&level| self.reach(level) <= 0.0) {
            None => Ok(()),
            Some(level) => Err(estimator.error(format!(
                "expected a probability above 0 for each level, got 0 for level {level}, whose term would be missing"
            ))),
        }
    }

    /// The weighted sum of the terms for a drawn level.
    fn sum<T, E>(&self, drawn: usize, mut term: impl FnMut(usize) -> Result<T, E>) -> Result<T, E>
    where
        T: Add<Output = T> + Mul<f64, Output = T>,
    {
        let mut weights = self.weights(drawn);
        // There is at least one term, that of the drawn level.
        let (first, weight) = weights.next().unwrap_or((drawn, 1.0 / self.reach(drawn)));
        let mut sum = term(first)? * weight;
        for (level, weight) in weights {
            sum = sum + term(level)? * weight;
        }
        Ok(sum)
    }

    /// An estimate of the sum, with a level that is drawn with the noise of a seed and an address. The terms are
    /// numbers, or anything else that can be added and multiplied by numbers.
    ///
    /// ```
    /// use stochgrad_estimators::{Levels, Telescope};
    /// use stochgrad_graph::{GraphError, Seed};
    ///
    /// // 1 + 1/2 + 1/4 + … = 2
    /// let telescope = Telescope::roulette(Levels::geometric(0.6));
    /// let estimate = |step| {
    ///     let term = |level| Ok::<f64, GraphError>(0.5_f64.powf(level as f64));
    ///     telescope.estimate(Seed::new(7).step(step), "level", term)
    /// };
    /// let mean = (0..2000).map(estimate).sum::<Result<f64, GraphError>>()? / 2000.0;
    /// assert!((mean - 2.0).abs() < 0.1);
    /// # Ok::<(), GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For probabilities outside their domain, and those of the terms.
    #[track_caller]
    pub fn estimate<T, E>(
        &self,
        seed: Seed,
        address: impl Into<Address>,
        term: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<T, E>
    where
        T: Add<Output = T> + Mul<f64, Output = T>,
        E: From<stochgrad_graph::GraphError>,
    {
        let address = address.into();
        self.check(&Estimator { name: &address.to_string(), at: Location::caller() })?;
        self.sum(self.levels.draw(seed, address)?, term)
    }

    /// An estimate of the sum as a recorded value, with derivatives of any order that the terms have. The level is a
    /// node of this address, and host code reads it: the terms of other levels are not recorded. Record the parameters
    /// before, so that each graph has them.
    ///
    /// The names of nodes and plates in the terms contain the level where several terms are recorded (roulette), as in
    /// `("x", level)`.
    ///
    /// # Errors
    /// For probabilities outside their domain, if another node has this address, and those of the terms.
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        address: impl Into<Address>,
        term: impl FnMut(usize) -> GraphResult<Var<'t, F>>,
    ) -> GraphResult<Var<'t, F>> {
        let address = address.into();
        self.check(&Estimator { name: &address.to_string(), at: Location::caller() })?;
        let drawn = self.levels.sample(graph, address)?;
        let sum = self.sum(drawn, term)?;
        graph.tape().check()?;
        Ok(sum)
    }

    /// The mean, the variance and the expected cost of one estimate for levels with these statistics. The terms are
    /// independent, and further levels have the term 0.
    ///
    /// # Errors
    /// For no levels, for moments or costs that are not finite, for probabilities outside their domain, and for levels
    /// that are never reached.
    #[track_caller]
    pub fn moments(&self, levels: &[LevelStatistics]) -> GraphResult<TelescopeMoments> {
        let estimator = Estimator { name: "telescope", at: Location::caller() };
        LevelStatistics::check(levels, |problem| estimator.error(problem))?;
        self.check(&estimator)?;
        let reach: Vec<f64> = (0..levels.len()).map(|level| self.reach(level)).collect();
        if let Some(level) = reach.iter().position(|reach| *reach <= 0.0) {
            return Err(estimator.error(format!(
                "expected statistics of at most {level} levels, which the estimator reaches, got {}",
                levels.len()
            )));
        }
        let squares = match self.kind {
            Kind::SingleTerm => levels.iter().map(|level| level.mean_square).collect(),
            Kind::Roulette => betas(levels),
        };
        let mean: f64 = levels.iter().map(|level| level.mean).sum();
        let second: f64 = squares.iter().zip(&reach).map(|(square, reach)| square / reach).sum();
        let cost = levels.iter().zip(&reach).map(|(level, reach)| level.cost * reach).sum();
        Ok(TelescopeMoments { mean, variance: second - mean * mean, cost })
    }
}

/// $\beta_n$ of independent terms.
fn betas(levels: &[LevelStatistics]) -> Vec<f64> {
    let mut above = 0.0;
    let mut betas: Vec<f64> = levels
        .iter()
        .rev()
        .map(|level| {
            let beta = level.mean_square + 2.0 * level.mean * above;
            above += level.mean;
            beta
        })
        .collect();
    betas.reverse();
    betas
}

#[cfg(test)]
mod tests;
