//! What must hold at every argument, without a table of known values: NaN for NaN and for nothing else, −∞ outside of
//! the support, probabilities between 0 and 1 that increase with the value and complement each other, quantiles that
//! the distribution function maps back, and a bounded time.

use crate::distributions::{Entry, Precision};
use crate::failure::{Findings, Kind};
use crate::parameters::{Extent, points};
use crate::query::{Answer, Function, Reply, Takes, ask};
use crate::range::{Place, Range, probabilities};
use crate::watch::{LIMIT, shortest, watched};
use std::time::Duration;

/// What all queries at one point may take of the processor on average; the sweep of a distribution that takes longer is
/// given up.
const BUDGET: Duration = Duration::from_secs(1);

/// The answers to a query within its time. `None` where there are none.
pub(crate) fn answers<F: Precision>(
    findings: &mut Findings,
    entry: &Entry,
    parameters: &[f64],
    function: Function,
    arguments: &[f64],
) -> Option<Vec<Answer>> {
    let (entry, point, list) = (*entry, parameters.to_vec(), arguments.to_vec());
    let query = move || ask::<F>(&entry, &point, function, &list);
    let kind = |property| Kind { distribution: entry.name, precision: F::NAME, function: function.name(), property };
    // The thread of an endless query goes on for ever: a second one would slow down everything else.
    if findings.failures.contains_key(&kind("end")) {
        return None;
    }
    let Some((reply, time)) = watched(query) else {
        findings.check(&kind("end"), false, || format!("{parameters:?}: no end, or a panic"));
        return None;
    };
    findings.time += time;
    if time > LIMIT && !findings.failures.contains_key(&kind("time")) {
        for &argument in arguments {
            let point = parameters.to_vec();
            let time = shortest(move || ask::<F>(&entry, &point, function, &[argument]));
            findings.check(&kind("time"), time.is_some_and(|time| time <= LIMIT), || {
                format!("{parameters:?} at {argument:e}: {time:?}")
            });
        }
    }
    match reply {
        Reply::Answers(answers) => Some(answers),
        Reply::Missing => None,
        Reply::Refused(reason) => {
            findings.refuse(entry.name, &format!("{}: {reason}", function.name()));
            None
        }
    }
}

/// The checks of one distribution at one point.
struct Check<'a> {
    findings: &'a mut Findings,
    entry: &'a Entry,
    parameters: &'a [f64],
    precision: &'static str,
    rounding: f64,
    /// The smallest positive number with all its digits.
    least: f64,
}

impl Check<'_> {
    fn that(&mut self, function: Function, property: &'static str, holds: bool, what: impl FnOnce() -> String) {
        let kind =
            Kind { distribution: self.entry.name, precision: self.precision, function: function.name(), property };
        let parameters = self.parameters;
        self.findings.check(&kind, holds, || format!("{parameters:?}: {}", what()));
    }

    /// Numbers without all of their digits stand for 0 as well: the support and derivatives, which may be beyond the
    /// range, are not checked there.
    fn is_subnormal(&self, argument: f64) -> bool {
        argument != 0.0 && argument.abs() < self.least
    }

    /// NaN for NaN; elsewhere neither the value nor a derivative is NaN.
    fn nan(&mut self, function: Function, argument: f64, valid: bool, answer: &Answer) {
        let value = answer.value;
        if !valid {
            self.that(function, "NaN for NaN", value.is_nan(), || format!("at {argument:e}: {value:e}"));
            return;
        }
        self.that(function, "value is not NaN", !value.is_nan(), || format!("at {argument:e}"));
        if !value.is_nan() && !self.is_subnormal(argument) {
            let slopes = &answer.slopes;
            self.that(function, "slopes are not NaN", slopes.iter().all(|slope| !slope.is_nan()), || {
                format!("at {argument:e}: value {value:e}, slopes {slopes:?}")
            });
        }
    }

    fn log_prob(&mut self, arguments: &[f64], answers: &[Answer]) {
        for (&x, answer) in arguments.iter().zip(answers) {
            self.nan(Function::LogProb, x, !x.is_nan(), answer);
            let outside = !x.is_nan() && self.entry.range.place(self.parameters, x) == Place::Outside;
            if outside && !self.is_subnormal(x) {
                let value = answer.value;
                self.that(Function::LogProb, "outside the support", value == f64::NEG_INFINITY, || {
                    format!("at {x:e}: {value:e}")
                });
            }
            if !x.is_nan() && self.entry.range.is_discrete() {
                let value = answer.value;
                self.that(Function::LogProb, "at most 0", value.is_nan() || value <= 8.0 * self.rounding, || {
                    format!("at {x:e}: {value:e}")
                });
            }
        }
    }

    /// A distribution function, or another function that goes from one end to the other.
    fn monotone(&mut self, function: Function, arguments: &[f64], answers: &[Answer]) {
        let (low, high) = self.entry.range.ends(self.parameters);
        let (below, above) = match function {
            Function::Cdf => (0.0, 1.0),
            Function::Survival => (1.0, 0.0),
            Function::LogCdf => (f64::NEG_INFINITY, 0.0),
            _ => (0.0, f64::NEG_INFINITY),
        };
        let mut last: Option<(f64, f64)> = None;
        for (&x, answer) in arguments.iter().zip(answers) {
            self.nan(function, x, !x.is_nan(), answer);
            let value = answer.value;
            if x.is_nan() || value.is_nan() {
                continue;
            }
            let (least, most) = (f64::min(below, above), f64::max(below, above));
            self.that(function, "between its ends", least <= value && value <= most, || format!("at {x:e}: {value:e}"));
            if x < low || x == f64::NEG_INFINITY {
                self.that(function, "below the support", value == below, || format!("at {x:e}: {value:e}"));
            }
            if x > high || x == f64::INFINITY {
                self.that(function, "above the support", value == above, || format!("at {x:e}: {value:e}"));
            }
            if let Some((before, other)) = last {
                let (smaller, larger) = if below < above { (other, value) } else { (value, other) };
                let room = 8.0 * self.rounding * smaller.abs();
                self.that(function, "monotone", smaller == larger || smaller <= larger + room, || {
                    format!("from {before:e} to {x:e}: {other:e}, then {value:e}")
                });
            }
            last = Some((x, value));
        }
    }

    fn complement(&mut self, arguments: &[f64], cdf: &[Answer], survival: &[Answer]) {
        for ((&x, cdf), survival) in arguments.iter().zip(cdf).zip(survival) {
            let (p, q) = (cdf.value, survival.value);
            if p.is_nan() || q.is_nan() {
                continue;
            }
            self.that(Function::Survival, "complements the cdf", (p + q - 1.0).abs() <= 32.0 * self.rounding, || {
                format!("at {x:e}: {p:e} + {q:e}")
            });
        }
    }

    /// The logarithm of a probability agrees with the probability.
    fn logarithm<F: Precision>(
        &mut self,
        function: Function,
        arguments: &[f64],
        logarithms: &[Answer],
        probabilities: &[Answer],
    ) {
        for ((&x, log), probability) in arguments.iter().zip(logarithms).zip(probabilities) {
            let (log, p) = (log.value, probability.value);
            if log.is_nan() || p.is_nan() || p <= F::LEAST {
                continue;
            }
            let room = 1024.0 * self.rounding * (1.0 + p.ln().abs());
            self.that(function, "logarithm of the probability", (log - p.ln()).abs() <= room, || {
                format!("at {x:e}: {log:e}, probability {p:e} with logarithm {:e}", p.ln())
            });
        }
    }

    /// Quantiles increase, or decrease, from one end of the support to the other, and the probability there is the one
    /// that was asked for, up to a few roundings of the quantile.
    fn quantiles<F: Precision>(&mut self, function: Function, arguments: &[f64], answers: &[Answer]) {
        let range = self.entry.range;
        let ends = range.ends(self.parameters);
        // A few roundings of an end that is computed from parameters.
        let room_at_end = 4.0 * self.rounding * range.size_of_end(self.parameters);
        let (at_zero, at_one) = if function == Function::Quantile { ends } else { (ends.1, ends.0) };
        let mut last: Option<(f64, f64)> = None;
        let mut around = Vec::new();
        for (&p, answer) in arguments.iter().zip(answers) {
            self.nan(function, p, !p.is_nan(), answer);
            let value = answer.value;
            if p.is_nan() || value.is_nan() {
                continue;
            }
            let end = if p == 0.0 {
                Some(at_zero)
            } else if p == 1.0 {
                Some(at_one)
            } else {
                None
            };
            if let Some(end) = end.filter(|_| range != Range::Angles && !range.is_discrete()) {
                let same = value == end || (value - end).abs() <= room_at_end;
                self.that(function, "end of the support", same, || format!("at {p}: {value:e}, not {end:e}"));
                continue;
            }
            let inside = ends.0 - room_at_end <= value && value <= ends.1 + room_at_end;
            self.that(function, "in the support", inside, || format!("at {p:e}: {value:e}"));
            if let Some((before, other)) = last {
                let forward = function == Function::Quantile;
                let (smaller, larger) = if forward { (other, value) } else { (value, other) };
                let room = 8.0 * self.rounding * smaller.abs();
                self.that(function, "monotone", smaller == larger || smaller <= larger + room, || {
                    format!("from {before:e} to {p:e}: {other:e}, then {value:e}")
                });
            }
            last = Some((p, value));
            // Numbers without all of their digits are as good as 0.
            let least = if range.is_discrete() { 1.0 } else { 2.0 * F::LEAST };
            let step = f64::max(16.0 * self.rounding * value.abs(), least);
            let below = f64::min(F::below(value), F::rounded(value - step));
            let above = f64::max(F::above(value), F::rounded(value + step));
            // The distribution function of a count jumps at the count.
            let above = if range.is_discrete() && step == 1.0 { value } else { above };
            around.push((p, value, below, above));
        }
        let values: Vec<f64> = around.iter().flat_map(|&(.., below, above)| [below, above]).collect();
        let inverse = if function == Function::Quantile { Function::Cdf } else { Function::Survival };
        if values.is_empty() {
            return;
        }
        let Some(reached) =
            crate::properties::answers::<F>(self.findings, self.entry, self.parameters, inverse, &values)
        else {
            return;
        };
        for (&(p, value, below, above), pair) in around.iter().zip(reached.chunks(2)) {
            let (mut least, mut most) = (pair[0].value, pair[1].value);
            if function == Function::InverseSurvival {
                (least, most) = (most, least);
            }
            let room = 1024.0 * self.rounding * p + F::LEAST;
            self.that(function, "inverse of the probability", least <= p + room && p - room <= most, || {
                format!("at {p:e}: {value:e}, where {below:e} and {above:e} have {least:e} and {most:e}")
            });
        }
    }

    fn moment(&mut self, function: Function, answer: &Answer) {
        // The integrals of Student's t distribution do not exist with at most one degree of freedom.
        let undefined = self.entry.name.starts_with("StudentT") && self.parameters[0] <= 1.0;
        self.nan(function, 0.0, function == Function::Entropy || !undefined, answer);
        let (value, (low, high)) = (answer.value, self.entry.range.ends(self.parameters));
        if value.is_nan() {
            return;
        }
        let holds = match function {
            Function::Mean => low <= value && value <= high,
            Function::Variance => value >= 0.0,
            _ => !self.entry.range.is_discrete() || value >= 0.0,
        };
        self.that(function, "in its range", holds, || format!("{value:e}"));
    }
}

/// All properties of a distribution at a point.
fn at_point<F: Precision>(findings: &mut Findings, entry: &Entry, parameters: &[f64]) {
    let values = entry.range.arguments::<F>(parameters);
    let levels = probabilities::<F>();
    let mut found: Vec<(Function, Option<Vec<Answer>>)> = Vec::new();
    // Quantiles are arguments as well: the ordinary values of the distribution.
    let mut arguments = values.clone();
    for function in [Function::Quantile, Function::InverseSurvival] {
        let reply = answers::<F>(findings, entry, parameters, function, &levels);
        arguments.extend(reply.iter().flatten().map(|answer| answer.value));
        found.push((function, reply));
    }
    let arguments = crate::range::sorted::<F>(arguments);
    for function in Function::ALL.into_iter().filter(|function| function.takes() != Takes::Probability) {
        found.push((function, answers::<F>(findings, entry, parameters, function, &arguments)));
    }
    let mut check = Check { findings, entry, parameters, precision: F::NAME, rounding: F::ROUNDING, least: F::LEAST };
    let of = |wanted: Function| {
        found.iter().find(|(function, _)| *function == wanted).and_then(|(_, answers)| answers.as_deref())
    };
    for (function, reply) in &found {
        let Some(reply) = reply.as_deref() else { continue };
        match function {
            Function::LogProb => check.log_prob(&arguments, reply),
            Function::Cdf => check.monotone(*function, &arguments, reply),
            Function::Survival => {
                check.monotone(*function, &arguments, reply);
                if let Some(cdf) = of(Function::Cdf) {
                    check.complement(&arguments, cdf, reply);
                }
            }
            Function::LogCdf | Function::LogSurvival => {
                check.monotone(*function, &arguments, reply);
                let other = if *function == Function::LogCdf { Function::Cdf } else { Function::Survival };
                if let Some(probabilities) = of(other) {
                    check.logarithm::<F>(*function, &arguments, reply, probabilities);
                }
            }
            Function::Quantile | Function::InverseSurvival => check.quantiles::<F>(*function, &levels, reply),
            Function::Mean | Function::Variance | Function::Entropy => check.moment(*function, &reply[0]),
        }
    }
}

/// The properties of a distribution at all points of the grid.
pub(crate) fn of_entry<F: Precision>(entry: &Entry, extent: Extent) -> Findings {
    let mut findings = Findings::default();
    for parameters in points::<F>(entry, extent) {
        at_point::<F>(&mut findings, entry, &parameters);
        let kind = Kind { distribution: entry.name, precision: F::NAME, function: "all", property: "time" };
        let within = findings.time < BUDGET * points::<F>(entry, extent).len() as u32;
        let time = findings.time;
        findings.check(&kind, within, || format!("{parameters:?}: given up after {time:?}"));
        if !within {
            break;
        }
    }
    findings
}
