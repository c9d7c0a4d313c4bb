//! Polynomials of an expectation, by products over different samples.
//!
//! With $K$ independent draws of $X$, the average $u_k$ of the products over all sets of $k$ different members is an
//! unbiased estimate of $(\mathbb E X)^k$, so that
//!
//! $$\sum_{k=0}^d c_k\, (\mathbb E X)^k = \mathbb E\Big[\sum_{k=0}^d c_k u_k\Big], \qquad d \le K.$$
//!
//! The $u_k$ follow from the averages $q_j$ of $X_i^j$ over the plate by Newton's identities,
//!
//! $$u_k = \sum_{j=1}^k (-1)^{j-1}\, \frac{K}{k} \binom{K}{k-j} \binom{K}{k}^{-1} u_{k-j}\, q_j.$$
//!
//! The terms of the identities cancel where $k$ is near $K$: $u_k$ loses up to $k$ digits of base 4 there, and none
//! where $k \ll K$. In the sum, coefficients that decrease like $1/k!$ remove this loss.
//!
//! | | |
//! |---|---|
//! | bias | none |
//! | order | that of the methods |
//! | members | at least the degree |
//! | operations | $d$ averages over the plate, and $d^2/2$ products |

use crate::expectations::independent_members::Estimator;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// An unbiased estimate of a polynomial $c_0 + c_1 m + c_2 m^2 + \dots$ of the expectation $m = \mathbb E X$ of a value,
/// from the samples along a plate, element by element. Values that lack the plate may enter the members: the expectation
/// is then the one given these values.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::{ScoreFunction, Vimco, polynomial_of_mean};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let bit = Bernoulli::from_logits(graph.param("logit", 0.3)?);
/// let samples = graph.plate("samples", 8)?;
/// let x = graph.sample("x", &bit, &ScoreFunction::new().on_plate(samples).baseline(Vimco::new()))?;
/// // 1 − 3 (E X)² + (E X)³
/// graph.cost("cubic", polynomial_of_mean(x, samples, &[1.0, 0.0, -3.0, 1.0])?)?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For fewer than two coefficients, for coefficients that are not finite, for fewer members than the degree, for a
/// value that lacks the plate, for members that are not independent draws (a sampling scheme, states, data, values that
/// combine members), and for earlier errors on the tape.
#[track_caller]
pub fn polynomial_of_mean<'t, F: Real>(x: Var<'t, F>, samples: Plate, coefficients: &[f64]) -> GraphResult<Var<'t, F>> {
    let estimator = Estimator { name: "polynomial of a mean", at: Location::caller() };
    if coefficients.len() < 2 {
        return Err(estimator.error(format!(
            "expected the coefficients of the powers 0, 1, … of the expectation, at least two, got {}",
            coefficients.len()
        )));
    }
    if let Some(power) = coefficients.iter().position(|coefficient| !coefficient.is_finite()) {
        return Err(
            estimator.error(format!("expected finite coefficients, got {} for the power {power}", coefficients[power]))
        );
    }
    let degree = coefficients.len() - 1;
    let members = estimator.members(&[x], samples, degree)?;
    let polynomial = polynomial(x, samples, members, coefficients);
    polynomial.tape().check()?;
    Ok(polynomial)
}

/// The polynomial of members that have been checked. There are at least two coefficients.
fn polynomial<'t, F: Real>(x: Var<'t, F>, samples: Plate, members: usize, coefficients: &[f64]) -> Var<'t, F> {
    let degree = coefficients.len() - 1;
    let first = x.mean_over(samples);
    let mut power = x;
    // $q_1, q_2, \dots$ and $u_1, u_2, \dots$
    let (mut moments, mut products) = (vec![first], vec![first]);
    for _ in 2..=degree {
        power = power * x;
        moments.push(power.mean_over(samples));
    }
    for k in 2..=degree {
        let mut ratio = members as f64 / (members - k + 1) as f64;
        let mut sum = products[k - 2] * moments[0] * ratio;
        for j in 2..=k {
            ratio *= -((k - j + 1) as f64) / (members - k + j) as f64;
            let term = if j == k { moments[k - 1] } else { products[k - j - 1] * moments[j - 1] };
            sum = sum + term * ratio;
        }
        products.push(sum);
    }
    let mut total = first * coefficients[1] + coefficients[0];
    for (product, &coefficient) in products.iter().zip(&coefficients[1..]).skip(1).filter(|(_, c)| **c != 0.0) {
        total = total + *product * coefficient;
    }
    total
}

#[cfg(test)]
mod tests;
