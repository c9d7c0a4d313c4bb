//! The probabilities of categories as a parameter, given as probabilities or as logits along the last axis.

use crate::distribution::check_parameter;
use crate::distribution::{Alternatives, Parameter, Side};
use crate::error::{DistributionError, DistributionResult};
use crate::noise::Draw;
use crate::parameter::probability::{finite_ln, held};
use stochgrad_tape::{Condition, Op, Var, special};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The largest distance of the sum of the probabilities from 1.
const TOLERANCE: f64 = 1e-5;

/// How the probabilities of categories are given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProbabilitiesOrLogits<V> {
    Probabilities(V),
    Logits(V),
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

    /// The divergence from another distribution of categories: infinite where a category is possible in this one alone.
    pub(crate) fn kl_to(&self, other: &Self) -> Var<'t, F> {
        // The sum of the deviances is the divergence, since both rows have the sum 1.
        let logs = |parameter: &Self| match *parameter {
            ProbabilitiesOrLogits::Probabilities(p) => p.map(Map::LnHeld),
            ProbabilitiesOrLogits::Logits(l) => l.log_softmax(-1),
        };
        let each = match (*self, *other) {
            (ProbabilitiesOrLogits::Probabilities(p), ProbabilitiesOrLogits::Probabilities(q)) => {
                special::deviance(p, q)
            }
            _ => special::deviance_by_log(logs(self), logs(other)),
        };
        each.sum()
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
        self.check_axes(distribution)?;
        let parameter = self.name();
        let check =
            |var, expected, hint, condition| check_parameter(distribution, parameter, var, expected, hint, condition);
        match *self {
            ProbabilitiesOrLogits::Probabilities(p) => {
                let interval = Condition::Between { low: 0.0, high: 1.0 };
                check(p, "in [0, 1]", "use logits for unconstrained numbers", interval)?;
                let rows = Condition::UnitRows { tolerance: TOLERANCE };
                check(p, "of sum 1 along the last axis", "divide by the sum, or use logits", rows)
            }
            ProbabilitiesOrLogits::Logits(l) => {
                let hint = "a category is impossible at −∞; for a certain one put all others there";
                let below = Condition::AtLeast { low: f64::NEG_INFINITY, below: f64::INFINITY };
                check(l, "a number below ∞", hint, below)?;
                let hint = "look for a mask that forbids every category";
                check(l, "above −∞ for one category at least", hint, Condition::PossibleRows)
            }
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

    /// The derivative of the probability of each category, with respect to the coordinates of the parameter along the
    /// last axis. No gradient flows through it.
    pub(crate) fn slopes(&self) -> Vec<Var<'t, F>> {
        let p = self.probabilities().stop_gradient();
        let count = self.count();
        let one = |category: usize| {
            p.tape().constant(Tensor::from_fn([count], |k| F::from_usize(usize::from(k == category))))
        };
        (0..count)
            .map(|category| match self {
                ProbabilitiesOrLogits::Probabilities(_) => p * 0.0 + one(category),
                ProbabilitiesOrLogits::Logits(_) => p.slice(-1, category..category + 1) * (one(category) - p),
            })
            .collect()
    }

    /// The neighbours of the categories `x`, with the rates at which mass flows to them when a coordinate of the
    /// parameter moves.
    ///
    /// The mass that crosses the boundary above category b is the derivative of the distribution function, R_b; it
    /// moves downwards where R_b is positive. A derivative from the right attributes this mass to the category that
    /// loses it, a derivative from the left to the category that gains it. Categories of probability 0 cannot lose mass
    /// and are skipped. For a parameter that is a probability, the mass comes from the last possible category, so that
    /// the coordinates have the right sum along directions that keep the total. A category of probability 0 can only
    /// gain mass, from its own probability: it is an alternative of its own. Where a
    /// compiled graph meets more of them next to `x` than its recording did, it picks one at random.
    ///
    /// # Errors
    /// If the noise source cannot provide the noise.
    pub(crate) fn neighbours(
        &self,
        side: Side,
        x: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Alternatives<'t, F>> {
        let (tape, count) = (x.tape(), self.count());
        let p = self.probabilities().stop_gradient();
        let (zero, numbers) = (tape.constant(0.0), tape.constant(Tensor::from_fn([count], F::from_usize)));
        let possible = p.gt(zero);
        let (here, above, below) = (x.one_hot(count), numbers.gt(x.unsqueeze(-1)), numbers.lt(x.unsqueeze(-1)));
        let next = -(above * possible).select(-numbers, tape.constant(-(count as f64))).max_axis(-1);
        let previous = (below * possible).select(numbers, tape.constant(-1.0)).max_axis(-1);
        let (has_next, has_previous) = (next.lt(tape.constant(count as f64)), previous.ge(zero));
        let values = vec![has_next.select(next, x), has_previous.select(previous, x)];
        let chance = (here * p).sum_axis(-1);
        // A category that was drawn has a positive probability.
        let inverse = chance.select(chance.recip(), zero);
        let [has_next, has_previous, inverse, previous] =
            [has_next, has_previous, inverse, previous].map(|each| each.unsqueeze(-1));
        // The derivatives of the distribution function at the boundaries above and below x.
        let (reached_above, reached_below) = (below + here, below);
        let (crosses_above, crosses_below) = match self {
            ProbabilitiesOrLogits::Probabilities(_) => (reached_above * possible, reached_below * possible),
            ProbabilitiesOrLogits::Logits(_) => {
                let sum = (below * p).sum_axis(-1).unsqueeze(-1);
                (p * (reached_above - (sum + chance.unsqueeze(-1))), p * (reached_below - sum))
            }
        };
        // What x loses counts on the right, and what it gains on the left.
        let (losing, gaining) = match side {
            Side::Right => (1.0, 0.0),
            Side::Left => (0.0, 1.0),
            Side::TwoSided => (0.5, 0.5),
        };
        let up = (-crosses_above).relu() * losing - crosses_above.relu() * gaining;
        let down = crosses_below.relu() * losing - (-crosses_below).relu() * gaining;
        let (up, mut down) = (has_next.select(up * inverse, zero), has_previous.select(down * inverse, zero));
        if !self.may_leave_zero() {
            return Ok(Alternatives { values, weights: vec![up, down] });
        }
        let impossible = 1.0 - possible;
        // The chain of jumps ends at an impossible category, from the possible one next to it on the way to the last
        // one. The rest of the chain stays among possible categories, and mass can only flow from x downwards.
        down = down + impossible * below * previous.gt(numbers) * inverse;
        let next_to_x = impossible * (below * numbers.gt(previous) + above * (1.0 - has_next));
        let mut alternatives = Alternatives { values, weights: vec![up, down] };
        // As many alternatives as the recording needs. If later parameters need more, the last one is picked.
        let most = next_to_x.sum_axis(-1).inspect()?.as_slice().iter().map(|n| n.to_f64()).fold(1.0, f64::max);
        let number = next_to_x.cumsum(-1);
        for own in 1..most as usize {
            let own = next_to_x * number.equal(tape.constant(own as f64));
            let exists = own.sum_axis(-1);
            alternatives.values.push(exists.select((own * numbers).sum_axis(-1), x));
            alternatives.weights.push(own * inverse);
        }
        let last = next_to_x * number.ge(tape.constant(most));
        let total = last.sum_axis(-1).unsqueeze(-1);
        let shares = total.select(last, here);
        let picked = draw.purpose("impossible category").record_categorical(tape, &self.independent(), shares)?;
        alternatives.values.push(picked);
        alternatives.weights.push(picked.one_hot(count) * last * (total * inverse));
        Ok(alternatives)
    }

    /// Whether a probability of 0 may have a derivative. The output of a softmax has none where it underflows.
    fn may_leave_zero(&self) -> bool {
        match self {
            ProbabilitiesOrLogits::Probabilities(p) => !matches!(p.op(), Some(Op::Softmax(_))),
            ProbabilitiesOrLogits::Logits(_) => false,
        }
    }
}
