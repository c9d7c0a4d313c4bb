//! Products of expectations, by products over different samples. Use them for squares of expectations, variances and
//! covariances.
//!
//! With $K$ independent draws of $(X^{(1)}, \dots, X^{(d)})$,
//!
//! $$\prod_{j=1}^d \mathbb E X^{(j)}
//!     = \mathbb E\Big[\frac{(K - d)!}{K!} \sum_{i_1, \dots, i_d \text{ different}} \prod_{j=1}^d X^{(j)}_{i_j}\Big].$$
//!
//! The average over all choices of different members (a U-statistic, Hoeffding 1948) has the least variance of all
//! unbiased estimators that treat the members alike. With one variable and $d = 2$, it is $(\mathbb E X)^2$ as the mean
//! over all pairs.
//!
//! The sums over different members follow from plain sums over the plate. With $P(B) = \sum_i \prod_{j \in B}
//! X^{(j)}_i$ and a factor $a$ of the set $S$,
//!
//! $$T(S) = \sum_{B \subseteq S \setminus a} (-1)^{|B|}\, |B|!\; P(B \cup a)\; T(S \setminus B \setminus a), \qquad T(\emptyset) = 1.$$
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | that of the methods |
//! | members | at least $d$ |
//! | operations | at most $3^{d - 1}$ products, and $2^d - 1$ sums over the plate |
//!
//! All members are credited with the whole product, because each of them occurs in it. A baseline that replaces members
//! ([`Vimco`](crate::Vimco)) reduces the variance that this brings. Factors with a plate each, which are drawn by nodes
//! of their own, need no function: multiply them and keep both plates in the cost.

use crate::expectations::independent_members::Estimator;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// The largest number of factors, which the number of operations limits.
const MOST_FACTORS: usize = 8;

/// An unbiased estimate of the product of the expectations of some values, from the samples along a plate: the average
/// over all choices of a different member for each factor. The factors may be equal, depend on one another within a
/// member, and have event axes. Values that lack the plate may enter the members: the expectations are then those given
/// these values.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, product_of_means};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", 0.3)?;
/// let samples = graph.plate("samples", 16)?;
/// let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(samples))?;
/// // The variance: E[X²] − (E X)².
/// graph.cost("variance", x.square() - product_of_means(&[x, x], samples)?)?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For no factor or more than eight, for fewer members than factors, for values that lack the plate, for members that
/// are not independent draws (a sampling scheme, states, data, values that combine members), and for earlier errors on
/// the tape.
#[track_caller]
pub fn product_of_means<'t, F: Real>(factors: &[Var<'t, F>], samples: Plate) -> GraphResult<Var<'t, F>> {
    let estimator = Estimator { name: "product of means", at: Location::caller() };
    if factors.len() > MOST_FACTORS {
        return Err(estimator.error(format!("expected at most {MOST_FACTORS} factors, got {}", factors.len())));
    }
    let members = estimator.members(factors, samples, factors.len())?;
    let sum = DistinctSum { factors, samples, sums: vec![None; 1 << factors.len()] };
    let choices: f64 = (0..factors.len()).map(|taken| (members - taken) as f64).product();
    let product = sum.all() * (1.0 / choices);
    product.tape().check()?;
    Ok(product)
}

/// Sums over different members of the products of some factors. Sets of factors are bit sets.
struct DistinctSum<'a, 't, F: Real> {
    factors: &'a [Var<'t, F>],
    samples: Plate,
    /// $P(B)$.
    sums: Vec<Option<Var<'t, F>>>,
}

impl<'t, F: Real> DistinctSum<'_, 't, F> {
    /// $T$ of all factors.
    fn all(mut self) -> Var<'t, F> {
        let mut known = vec![None; self.sums.len()];
        self.distinct(self.sums.len() - 1, &mut known)
    }

    fn distinct(&mut self, set: usize, known: &mut Vec<Option<Var<'t, F>>>) -> Var<'t, F> {
        if let Some(sum) = known[set] {
            return sum;
        }
        let first = 1 << set.trailing_zeros();
        let others = set & !first;
        let mut total = self.block(first, others, known);
        let mut block = others;
        // All subsets of the others but the empty one, which came first.
        while block != 0 {
            let size = block.count_ones();
            let weight: f64 = (1..=size).map(|k| -f64::from(k)).product();
            total = total + self.block(block | first, others & !block, known) * weight;
            block = (block - 1) & others;
        }
        known[set] = Some(total);
        total
    }

    /// $P(B)\, T(\text{rest})$.
    fn block(&mut self, block: usize, rest: usize, known: &mut Vec<Option<Var<'t, F>>>) -> Var<'t, F> {
        let sum = self.sum(block);
        if rest == 0 { sum } else { sum * self.distinct(rest, known) }
    }

    /// $P$ of a set that is not empty.
    fn sum(&mut self, set: usize) -> Var<'t, F> {
        if let Some(sum) = self.sums[set] {
            return sum;
        }
        let first = set.trailing_zeros() as usize;
        let others = (first + 1..self.factors.len()).filter(|factor| set >> factor & 1 == 1);
        let product = others.fold(self.factors[first], |product, factor| product * self.factors[factor]);
        let sum = product.sum_over(self.samples);
        self.sums[set] = Some(sum);
        sum
    }
}

#[cfg(test)]
mod tests;
