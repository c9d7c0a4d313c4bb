//! The triangular distribution: values between two bounds around a most likely one. It states what an expert knows of a
//! duration or a cost: the least, the most likely and the largest value.
//!
//! $$p(x; l, m, h) = \frac{2}{h - l} \begin{cases} (x - l)/(m - l) & l < x \le m \\ (h - x)/(h - m) & m \le x < h \end{cases}, \quad l \le m \le h, \quad l < h.$$
//!
//! Parameters: the bounds `low` $l$ and `high` $h > l$, and between them `peak` $m$, the mode, which may be one of the
//! bounds. The parameters broadcast; their common shape is the event shape, and each element is an independent value.
//! Support: the interval between the bounds.
//!
//! | capability | |
//! |---|---|
//! | score | none: the support depends on the bounds |
//! | reparameterised | $x = l + \sqrt{U (h - l)(m - l)}$ below the peak, $h - \sqrt{(1 - U)(h - l)(h - m)}$ above it; order 2, since the second derivative jumps at the peak |
//! | weak derivative with respect to $m$ | $1/(h - l)$, the distribution above the peak and that below it |
//! | weak derivative with respect to $h$ | $1/(h - l)$: twice a uniform sample above the peak, less the distribution above the peak and the distribution itself; two replays |
//! | weak derivative with respect to $l$ | $-1/(h - l)$: the mirror image |
//!
//! A sample that rounds to a bound at which the density is 0 is replaced by the peak. This happens where there are only
//! few floating-point numbers between the bounds.

use crate::distribution::{above, log_of_either};
use crate::noise::FoldedNoise;
use crate::prelude::*;
use stochgrad_tape::Smoothness;
use stochgrad_tensor::map::Map;

distribution! {
    /// Values between two bounds around a most likely one.
    ///
    /// ```
    /// use stochgrad_distributions::{Distribution, Triangular};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tape = Tape::<f64>::new();
    /// let days = Triangular::new(tape.constant(2.0), 3.0, 10.0);
    /// assert_eq!((days.mean().unwrap().item()?, days.mode().unwrap().item()?), (5.0, 3.0));
    /// assert!((days.log_prob(tape.constant(3.0)).item()? - 0.25_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Triangular {
        /// The lower bound.
        low,
        /// The most likely value.
        peak,
        /// The upper bound.
        high,
    }
}

impl<'t, F: Real> Triangular<Var<'t, F>> {
    /// Values between `low` and `high > low`, of which `peak`, between them, is the most likely one.
    pub fn new(low: Var<'t, F>, peak: impl IntoVar<'t, F>, high: impl IntoVar<'t, F>) -> Self {
        let tape = low.tape();
        Triangular { low, peak: peak.into_var(tape), high: high.into_var(tape) }
    }

    fn width(&self) -> Var<'t, F> {
        self.high - self.low
    }

    /// 1 at values for which the side of the lower bound decides: below the peak, and everywhere where the peak is the
    /// upper bound.
    fn is_rising(&self, value: Var<'t, F>) -> Var<'t, F> {
        let [value, peak, high] = [value, self.peak, self.high].map(Var::held);
        value.lt(peak).maximum(peak.ge(high))
    }

    /// The distance of a value from the bound of its side, and that of the peak, where the value is inside.
    fn sides(&self, value: Var<'t, F>) -> [Var<'t, F>; 2] {
        let rising = self.is_rising(value);
        [value, self.peak].map(|x| rising.select(x - self.low, self.high - x))
    }

    /// The probabilities below and above a value between the bounds. Both are sums of positive terms.
    fn shares(&self, value: Var<'t, F>) -> [Var<'t, F>; 2] {
        let ([distance, reach], rising) = (self.sides(value), self.is_rising(value));
        let [rise, fall] = self.parts();
        let share = distance / self.width() * (distance / reach);
        let to_peak = rising.select(self.peak - value, value - self.peak);
        let rest = rising.select(fall, rise) + to_peak / self.width() * (distance / reach + 1.0);
        let rest = rest.map(Map::MinScalar(1.0));
        [rising.select(share, rest), rising.select(rest, share)]
    }

    /// The probability below the peak, and that above it.
    fn parts(&self) -> [Var<'t, F>; 2] {
        [(self.peak - self.low) / self.width(), (self.high - self.peak) / self.width()]
    }

    /// The value with these probabilities below and above it.
    fn quantile(&self, below: Var<'t, F>, rest: Var<'t, F>) -> Var<'t, F> {
        let ([rise, fall], one) = (self.parts(), below.tape().constant(1.0));
        let left = below.held().lt(rise.held()).maximum(self.peak.held().ge(self.high.held()));
        // The probability on the side of the value, that on the other one, and the same for the peak.
        let (own, other) = (left.select(below, rest), left.select(rest, below));
        let [part, other_part] = [left.select(rise, fall), left.select(fall, rise)];
        let from_bound =
            own.sqrt() * self.width().sqrt() * left.select(self.peak - self.low, self.high - self.peak).sqrt();
        // A large probability has lost the digits of the small one, which gives the distance from the peak.
        let likely = above(own, 0.5);
        let share = likely.select(own / part, one).sqrt();
        let from_peak = (other - other_part) * self.width() / (share + 1.0);
        let [at_bound, at_peak] = [from_bound, from_peak].map(|distance| left.select(distance, -distance));
        likely.select(self.peak - at_peak, left.select(self.low, self.high) + at_bound)
    }
}

impl<'t, F: Real> Distribution<'t, F> for Triangular<Var<'t, F>> {
    fn name(&self) -> &'static str {
        "Triangular"
    }

    fn parameters(&self) -> Parameters<'t, F> {
        let path = SamplePath::Recorded(Order::Finite(2));
        let bound = |name, var| Parameter::smooth(name, var).with_score(Smoothness::Jump).with_path(path);
        smallvec![
            bound("low", self.low),
            Parameter::smooth("peak", self.peak).with_score(Smoothness::Kinked).with_path(path),
            bound("high", self.high)
        ]
    }

    fn event_shape(&self) -> Shape {
        common_shape(&[self.low, self.peak, self.high])
    }

    fn support(&self) -> Support {
        Support::Interval
    }

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        let [distance, reach] = self.sides(value);
        let height = std::f64::consts::LN_2 - self.width().ln();
        let outside = Boundary::Included.outside((value - self.low).minimum(self.high - value));
        let density = Boundary::Excluded.confine_positive(distance, |d| (d.ln() - reach.ln()) + height);
        outside.select(value.tape().constant(f64::NEG_INFINITY), density)
    }

    drawn_by_path!();

    fn mean(&self) -> Option<Var<'t, F>> {
        // From the lower bound, so that rounding does not leave the interval.
        Some(self.low + ((self.peak - self.low) + self.width()) * (1.0 / 3.0))
    }

    fn variance(&self) -> Option<Var<'t, F>> {
        let (rise, fall) = (self.peak - self.low, self.high - self.peak);
        Some((rise.square() + rise * fall + fall.square()) * (1.0 / 18.0))
    }

    fn mode(&self) -> Option<Var<'t, F>> {
        Some(self.peak.broadcast_to(self.event_shape()))
    }

    fn validate(&self) -> DistributionResult<()> {
        finite("Triangular", "low", self.low)?;
        finite("Triangular", "peak", self.peak)?;
        finite("Triangular", "high", self.high)?;
        let check = |name, width, expected, condition| {
            check_parameter(
                "Triangular",
                name,
                width,
                expected,
                "give the bounds and the peak in this order",
                condition,
            )
        };
        let positive = Condition::POSITIVE;
        let not_negative = Condition::Between { low: 0.0, high: f64::MAX };
        check("high - low", self.width(), "a positive finite number", positive)?;
        check("peak - low", self.peak - self.low, "a number that is not negative", not_negative)?;
        check("high - peak", self.high - self.peak, "a number that is not negative", not_negative)
    }

    capabilities!();
}

impl<'t, F: Real> CumulativeDistribution<'t, F> for Triangular<Var<'t, F>> {
    fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Lower.on_interval(value, [self.low, self.high], |x| self.shares(x)[0])
    }

    fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::Upper.on_interval(value, [self.low, self.high], |x| self.shares(x)[1])
    }

    fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogLower.on_interval(value, [self.low, self.high], |x| {
            let [below, rest] = self.shares(x);
            log_of_either(below, rest)
        })
    }

    fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
        Tail::LogUpper.on_interval(value, [self.low, self.high], |x| {
            let [below, rest] = self.shares(x);
            log_of_either(rest, below)
        })
    }
}

impl<'t, F: Real> QuantileFunction<'t, F> for Triangular<Var<'t, F>> {
    fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.low, self.high], |p| self.quantile(p, 1.0 - p))
    }

    fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
        quantile_between(probability, [self.high, self.low], |p| self.quantile(1.0 - p, p))
    }
}

impl<'t, F: Real> Reparameterized<'t, F> for Triangular<Var<'t, F>> {
    fn rsample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let FoldedNoise { lower, tail, .. } = FoldedNoise::record(draw, self.low.tape(), &self.event_shape())?;
        let value = self.quantile(lower.select(tail, 1.0 - tail), lower.select(1.0 - tail, tail));
        let [at, low, high] = [value, self.low, self.high].map(Var::held);
        Ok((at.gt(low) * at.lt(high)).select(value, self.peak))
    }
}

impl<'t, F: Real> WeakDerivative<'t, F> for Triangular<Var<'t, F>> {
    fn weak_derivative(
        &self,
        parameter: usize,
        sample: Var<'t, F>,
        draw: &Draw<'_, F>,
    ) -> DistributionResult<Option<Alternatives<'t, F>>> {
        let [low, peak, high] = [self.low, self.peak, self.high].map(Var::stop_gradient);
        let (tape, event, weight) = (sample.tape(), self.event_shape(), (high - low).recip());
        let uniform = |purpose| draw.purpose(purpose).record_uniform(tape, &event);
        // Samples of a side: uniform ones, and those of the distribution.
        let side = |bound: Var<'t, F>, share: Var<'t, F>| bound + (peak - bound) * share;
        let of_bound = |bound: Var<'t, F>, weight: Var<'t, F>| -> DistributionResult<_> {
            let values = vec![side(bound, uniform("flat")?), side(bound, uniform("side")?.sqrt())];
            Ok(Some(Alternatives { values, weights: vec![weight * 2.0, -weight] }))
        };
        match parameter {
            0 => of_bound(low, -weight),
            1 => {
                let share = uniform("side")?.sqrt();
                let values = vec![side(high, share), side(low, share)];
                Ok(Some(Alternatives { values, weights: vec![weight, -weight] }))
            }
            2 => of_bound(high, weight),
            _ => Ok(None),
        }
    }
}

impl<'t, F: Real> ClosedFormEntropy<'t, F> for Triangular<Var<'t, F>> {
    fn entropy(&self) -> Var<'t, F> {
        (self.width().ln() + (0.5 - std::f64::consts::LN_2)).broadcast_to(self.event_shape()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DistributionError;
    use crate::testing::{Build, DistributionCheck, Domain, assert_finite, assert_nothing_at};
    use stochgrad_tape::Tape;

    const BUILD: Build = |p| Box::new(Triangular::new(p[0], p[1], p[2]));

    #[test]
    fn everything_follows_the_distribution() {
        let distribution = DistributionCheck::new(BUILD, &[-0.7, 0.4, 2.1], Domain::Line(-0.7, 2.1));
        distribution.assert_distribution(&[-0.6, 0.1, 1.0, 2.0], 21);
        for value in [-0.71, 2.2, -0.7, 2.1, 1e300] {
            assert_nothing_at(BUILD, &[-0.7, 0.4, 2.1], value);
        }
        for parameters in [[0.0, 1e-9, 1e-8], [1.0, 1.0, 2.0], [-1e8, 1e8, 1e8]] {
            assert_finite(BUILD, &parameters, 25);
        }
    }

    #[test]
    fn the_peak_may_be_a_bound() {
        for (peak, density, quantile) in
            [(0.0, [2.0_f64, 1.0, 0.0], 1.0 - 0.75_f64.sqrt()), (1.0, [0.0, 1.0, 2.0], 0.5)]
        {
            let tape = Tape::<f64>::new();
            let parameters = [0.0, peak, 1.0].map(|value| tape.parameter(value));
            let distribution = Triangular::new(parameters[0], parameters[1], parameters[2]);
            distribution.validate().unwrap();
            let at = tape.constant([0.0, 0.5, 1.0]);
            let found = distribution.log_prob_each(at).exp().peek().unwrap().to_vec();
            assert!(found.iter().zip(density).all(|(found, known)| (found - known).abs() < 1e-15), "{peak}: {found:?}");
            let median = distribution.icdf(tape.constant(0.25));
            assert!((median.item().unwrap() - quantile).abs() < 1e-15, "{peak}: {median:?}");
            for slope in tape.backward(median, parameters).unwrap() {
                assert!(slope.all_finite(), "{peak}: {slope:?}");
            }
        }
    }

    #[test]
    fn samples_stay_inside_where_few_numbers_are_between_the_bounds() {
        let (low, peak) = (1e300_f64, 1e300_f64.next_up());
        assert_finite(BUILD, &[low, peak, peak.next_up()], 3);
    }

    #[test]
    fn parameters_are_checked() {
        let tape = Tape::<f64>::new();
        for (wrong, name) in [
            ([f64::NAN, 0.5, 1.0], "low"),
            ([0.0, 0.5, f64::INFINITY], "high"),
            ([1.0, 1.0, 1.0], "high - low"),
            ([0.0, -0.1, 1.0], "peak - low"),
            ([0.0, 1.1, 1.0], "high - peak"),
        ] {
            let [low, peak, high] = wrong.map(|value| tape.constant(value));
            let error = Triangular::new(low, peak, high).validate();
            assert!(
                matches!(error, Err(DistributionError::Parameter { parameter, .. }) if parameter == name),
                "{wrong:?}"
            );
        }
    }
}
