//! The probabilities of categories as a parameter, given as probabilities or as logits along the last axis.

use crate::distribution::check_parameter;
use crate::distribution::{Parameter, Side};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use crate::parameter::probability::{finite_ln, held};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The largest distance of the sum of the probabilities from 1.
const TOLERANCE: f64 = 1e-5;

/// How the probabilities of categories are given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProbabilitiesOrLogits<V> {
    Probabilities(V),
    Logits(V),
}

/// Other categories of each element, and their weights for each coordinate of the parameter.
pub(crate) struct OtherCategories<F: Real> {
    pub(crate) categories: Vec<Tensor<F>>,
    pub(crate) weights: Vec<Tensor<F>>,
}

impl<V> ProbabilitiesOrLogits<V> {
    pub(crate) fn try_map<W, E>(&self, f: impl FnOnce(&V) -> Result<W, E>) -> Result<ProbabilitiesOrLogits<W>, E> {
        Ok(match self {
            ProbabilitiesOrLogits::Probabilities(v) => ProbabilitiesOrLogits::Probabilities(f(v)?),
            ProbabilitiesOrLogits::Logits(v) => ProbabilitiesOrLogits::Logits(f(v)?),
        })
    }
}

impl<'t, F: Real> ProbabilitiesOrLogits<Var<'t, F>> {
    pub(crate) fn var(&self) -> Var<'t, F> {
        match *self {
            ProbabilitiesOrLogits::Probabilities(v) | ProbabilitiesOrLogits::Logits(v) => v,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            ProbabilitiesOrLogits::Probabilities(_) => "probabilities",
            ProbabilitiesOrLogits::Logits(_) => "logits",
        }
    }

    pub(crate) fn parameter(&self) -> Parameter<'t, F> {
        let parameter = Parameter::smooth(self.name(), self.var());
        match self {
            ProbabilitiesOrLogits::Probabilities(_) => parameter.with_hiding(&[0.0]),
            ProbabilitiesOrLogits::Logits(_) => parameter,
        }
    }

    /// The number of categories; 0 for a parameter without axes.
    pub(crate) fn count(&self) -> usize {
        self.var().shape().last().copied().unwrap_or(0)
    }

    /// The axes of the parameter before that of the categories.
    pub(crate) fn independent(&self) -> Shape {
        let shape = self.var().shape();
        shape[..shape.len().saturating_sub(1)].into()
    }

    pub(crate) fn probabilities(&self) -> Var<'t, F> {
        match *self {
            ProbabilitiesOrLogits::Probabilities(p) => p,
            ProbabilitiesOrLogits::Logits(l) => l.softmax(-1),
        }
    }

    /// The logarithms of the probabilities.
    pub(crate) fn logs(&self) -> Var<'t, F> {
        match *self {
            ProbabilitiesOrLogits::Probabilities(p) => p.ln(),
            ProbabilitiesOrLogits::Logits(l) => l.log_softmax(-1),
        }
    }

    /// The logarithms of the probabilities, finite and with finite derivatives also at probability 0.
    pub(crate) fn finite_logs(&self) -> Var<'t, F> {
        match *self {
            ProbabilitiesOrLogits::Probabilities(p) => finite_ln(p),
            ProbabilitiesOrLogits::Logits(l) => held(l.log_softmax(-1)),
        }
    }

    pub(crate) fn entropy(&self) -> Var<'t, F> {
        -(self.probabilities() * self.finite_logs()).sum()
    }

    pub(crate) fn kl_to(&self, other: &Self) -> Var<'t, F> {
        (self.probabilities() * (self.finite_logs() - other.finite_logs())).sum()
    }

    fn check_axes(&self, distribution: &'static str) -> DistributionResult<()> {
        if self.count() > 0 {
            return Ok(());
        }
        let problem = format!(
            "the last axis of the {} must hold the categories, got event shape {}; give at least one category",
            self.name(),
            self.var().shape()
        );
        Err(DistributionError::Unsupported { distribution, problem })
    }

    pub(crate) fn validate(&self, distribution: &'static str) -> DistributionResult<()> {
        let value = self.var().inspect()?;
        self.check_axes(distribution)?;
        let rows = || value.as_slice().chunks(self.count()).enumerate();
        let parameter = self.name();
        let wrong = match *self {
            ProbabilitiesOrLogits::Probabilities(p) => {
                check_parameter(
                    distribution,
                    parameter,
                    p,
                    "in [0, 1]",
                    "use logits for unconstrained numbers",
                    |p| (0.0..=1.0).contains(&p),
                )?;
                let sums = rows().map(|(row, p)| (row, p.iter().map(|p| p.to_f64()).sum::<f64>()));
                let wrong = sums.into_iter().find(|(_, sum)| (sum - 1.0).abs() > TOLERANCE);
                wrong.map(|(row, sum)| (row, sum, "of sum 1 along the last axis", "divide by the sum, or use logits"))
            }
            ProbabilitiesOrLogits::Logits(l) => {
                let hint = "a category is impossible at −∞; for a certain one put all others there";
                check_parameter(distribution, parameter, l, "a number below ∞", hint, |l| l < f64::INFINITY)?;
                let wrong = rows().find(|(_, l)| l.iter().all(|l| l.to_f64() == f64::NEG_INFINITY));
                wrong.map(|(row, _)| {
                    (
                        row,
                        f64::NEG_INFINITY,
                        "above −∞ for one category at least",
                        "look for a mask that forbids every category",
                    )
                })
            }
        };
        match wrong {
            Some((row, found, expected, hint)) => Err(DistributionError::Parameter {
                distribution,
                parameter,
                expected,
                found,
                position: row * self.count(),
                hint,
            }),
            None => Ok(()),
        }
    }

    /// The probabilities as a tensor on the plates of a request.
    pub(crate) fn table(&self, distribution: &'static str, draw: &Draw<'_, F>) -> DistributionResult<Tensor<F>> {
        let mut value = draw.parameter(self.var(), &self.var().shape())?;
        self.check_axes(distribution)?;
        if let ProbabilitiesOrLogits::Logits(_) = self {
            for row in value.make_mut().chunks_mut(self.count()) {
                let highest = row.iter().fold(F::from_f64(f64::NEG_INFINITY), |highest, &l| highest.max(l));
                row.iter_mut().for_each(|l| *l = (*l - highest).exp());
                let total: f64 = row.iter().map(|w| w.to_f64()).sum();
                row.iter_mut().for_each(|w| *w = F::from_f64(w.to_f64() / total));
            }
        }
        Ok(value)
    }

    /// Every category, with the derivative of its probability with respect to each coordinate of the
    /// parameter.
    pub(crate) fn all_categories(&self, table: &Tensor<F>) -> OtherCategories<F> {
        let count = self.count();
        let elements: Shape = table.shape()[..table.rank() - 1].into();
        let categories = (0..count).map(|a| Tensor::full(elements.clone(), F::from_usize(a))).collect();
        let weights = (0..count).map(|a| {
            Tensor::from_fn(table.shape().clone(), |i| {
                let (row, k) = (i - i % count, i % count);
                let same = if a == k { F::ONE } else { F::ZERO };
                match self {
                    ProbabilitiesOrLogits::Probabilities(_) => same,
                    ProbabilitiesOrLogits::Logits(_) => table.as_slice()[row + a] * (same - table.as_slice()[row + k]),
                }
            })
        });
        OtherCategories { categories, weights: weights.collect() }
    }

    /// The neighbours of the categories `x`, with the rates at which mass flows to them when a coordinate of the
    /// parameter moves.
    ///
    /// The mass that crosses the boundary above category b is the derivative of the distribution function, R_b; it
    /// moves downwards where R_b is positive. A derivative from the right attributes this mass to the category that
    /// loses it, a derivative from the left to the category that gains it. Categories of probability 0 cannot lose mass
    /// and are skipped. For a parameter that is a probability, the mass comes from the last possible category, so that
    /// the coordinates have the right sum along directions that keep the total. A category of probability 0 can only
    /// gain mass, from its own probability: it is an alternative of its own.
    pub(crate) fn neighbours(&self, side: Side, x: &Tensor<F>, table: &Tensor<F>) -> OtherCategories<F> {
        let count = self.count();
        let elements: Shape = table.shape()[..table.rank() - 1].into();
        let by_probability = matches!(self, ProbabilitiesOrLogits::Probabilities(_));
        let mut up = (x.clone(), Tensor::zeros(table.shape().clone()));
        let mut down = (x.clone(), Tensor::zeros(table.shape().clone()));
        let mut impossible: Vec<Option<Tensor<F>>> = vec![None; count];
        for (element, p) in table.as_slice().chunks(count).enumerate() {
            let x = (x.as_slice()[element].to_f64() as usize).min(count - 1);
            let possible = |k: &usize| p[*k] > F::ZERO;
            if !possible(&x) {
                continue;
            }
            let (next, previous) = ((x + 1..count).find(possible), (0..x).rev().find(possible));
            let last = (0..count).rfind(possible).unwrap_or(count - 1);
            let below: F = p[..x].iter().fold(F::ZERO, |sum, &p| sum + p);
            let flow = |c: usize, boundary: Option<usize>| {
                // The derivative of the distribution function at the boundary with respect to coordinate c.
                let reached = if boundary.is_some_and(|b| c <= b) { F::ONE } else { F::ZERO };
                match boundary {
                    None => F::ZERO,
                    Some(b) if by_probability => reached - if last <= b { F::ONE } else { F::ZERO },
                    Some(b) => p[c] * (reached - if b < x { below } else { below + p[x] }),
                }
            };
            let share = |loses: bool| match (side, loses) {
                (Side::TwoSided, _) => F::from_f64(0.5),
                (Side::Right, true) | (Side::Left, false) => F::ONE,
                _ => F::ZERO,
            };
            for (c, own) in impossible.iter_mut().enumerate() {
                let at = element * count + c;
                if by_probability && !possible(&c) {
                    // The chain of jumps ends at c, from the possible category next to it on the way to the last one.
                    let from = if c > last { last } else { (c..count).find(possible).unwrap_or(last) };
                    if from == x {
                        own.get_or_insert_with(|| Tensor::zeros(table.shape().clone())).make_mut()[at] = F::ONE / p[x];
                    }
                    // The rest of the chain stays among possible categories, and mass can only flow from x downwards.
                    if c < x && previous.is_some_and(|previous| previous > c) {
                        down.1.make_mut()[at] = F::ONE / p[x];
                    }
                    continue;
                }
                if next.is_some() {
                    let flow = flow(c, Some(x));
                    up.1.make_mut()[at] = -flow / p[x] * share(flow < F::ZERO);
                }
                if previous.is_some() {
                    let flow = flow(c, x.checked_sub(1));
                    down.1.make_mut()[at] = flow / p[x] * share(flow > F::ZERO);
                }
            }
            if let Some(next) = next {
                up.0.make_mut()[element] = F::from_usize(next);
            }
            if let Some(previous) = previous {
                down.0.make_mut()[element] = F::from_usize(previous);
            }
        }
        let mut others = OtherCategories { categories: vec![up.0, down.0], weights: vec![up.1, down.1] };
        for (category, weights) in impossible.into_iter().enumerate() {
            if let Some(weights) = weights {
                others.categories.push(Tensor::full(elements.clone(), F::from_usize(category)));
                others.weights.push(weights);
            }
        }
        others
    }
}
