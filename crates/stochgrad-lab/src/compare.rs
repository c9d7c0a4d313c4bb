//! The comparison of methods.

use std::time::{Duration, Instant};

use stochgrad_check::Oracle;
use stochgrad_distributions::Family;
use stochgrad_graph::{Address, MethodReplacements};
use stochgrad_tensor::Real;

use crate::arm::{Arm, Places};
use crate::candidate::{Candidate, NodeCandidates};
use crate::comparison::{ArmReport, Comparison};
use crate::error::{LabError, LabResult};
use crate::lab::Lab;
use crate::reference::Reference;
use crate::statistics::{Statistics, sequence};

/// The number of repetitions of an arm before it is the turn of the next one.
pub(crate) const BLOCK: u64 = 16;
/// The repetitions at which a confidence sequence is narrowest.
pub(crate) const NARROWEST: f64 = 1000.0;
/// The repetitions before the first decision: a confidence sequence is an approximation that improves with them.
pub(crate) const LEAST: u64 = 64;
/// The repetitions after which a random gradient that has always been the same is taken to have no variance.
pub(crate) const UNSEEN: u64 = 1000;

/// Measures the gradients of several methods at nodes of a model. [`Lab::compare`] makes one.
///
/// A combination stops when its variance is known with the [precision](Self::precision). One whose gradient depends on
/// noise and has always been the same runs 1000 repetitions, and the report warns that what happens rarely may not have
/// been seen.
///
/// Each combination of methods is recorded, compiled and run many times with different noise, at the same parameters
/// and inputs. The combinations take turns in short blocks, so that a machine that becomes slower changes all of their
/// times alike, and they share the seeds, so that nodes with the same draws have the same noise.
pub struct Compare<'l, 'm, F: Real> {
    lab: &'l Lab<'m, F>,
    nodes: Vec<NodeCandidates<F>>,
    product: bool,
    reference: Option<Reference>,
    precision: f64,
    alpha: f64,
    repetitions: u64,
    budget: Option<Duration>,
    progress: Option<Observer<'l>>,
}

/// A function that is told how far a measurement is.
type Observer<'l> = Box<dyn FnMut(&Progress) + 'l>;

/// How far a measurement is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The repetitions so far, of all combinations together.
    pub repetitions: u64,
    /// The number of combinations that still run.
    pub running: usize,
    /// The largest relative half-width of a confidence sequence of a total variance.
    pub precision: f64,
    /// The time since the start.
    pub elapsed: Duration,
}

impl<'m, F: Real> Lab<'m, F> {
    /// Compares methods at nodes.
    pub fn compare(&self) -> Compare<'_, 'm, F> {
        Compare {
            lab: self,
            nodes: Vec::new(),
            product: false,
            reference: None,
            precision: 0.05,
            alpha: 0.05,
            repetitions: 10_000,
            budget: None,
            progress: None,
        }
    }
}

impl<'l, 'm, F: Real> Compare<'l, 'm, F> {
    /// The methods to compare at a node. The family of distributions has to be named: `node::<Bernoulli<Id>>`.
    pub fn node<D: Family<F>>(mut self, address: impl Into<Address>, candidates: Vec<Candidate<F, D>>) -> Self {
        self.nodes.push(NodeCandidates::new(address.into(), candidates));
        self
    }

    /// Measures all combinations of the methods of all nodes. By default, one node is varied at a time, while the
    /// others have the methods of the model.
    pub fn product(self) -> Self {
        Compare { product: true, ..self }
    }

    /// Compares the means with those of a long run of methods without bias: those of the model with these replacements.
    ///
    /// # Errors
    /// If the methods are biased, and the errors of the model.
    pub fn reference_run(self, replacements: MethodReplacements<F>, repetitions: u64) -> LabResult<Self> {
        let reference = Reference::long_run(self.lab, replacements, repetitions)?;
        Ok(Compare { reference: Some(reference), ..self })
    }

    /// Stops a combination when the half-width of the confidence sequence of its total variance is at most this share
    /// of it, 0.05 by default.
    pub fn precision(self, precision: f64) -> Self {
        Compare { precision, ..self }
    }

    /// The confidence of the intervals and of the confidence sequences, each by itself; 0.95 by default.
    pub fn confidence(self, confidence: f64) -> Self {
        Compare { alpha: 1.0 - confidence, ..self }
    }

    /// The largest number of repetitions of each combination, 10 000 by default.
    pub fn repetitions(self, repetitions: u64) -> Self {
        Compare { repetitions, ..self }
    }

    /// The largest time of the measurement, without recording and compiling; unlimited by default.
    pub fn time_budget(self, budget: Duration) -> Self {
        Compare { budget: Some(budget), ..self }
    }

    /// A function that is called after each round of blocks.
    pub fn progress(self, progress: impl FnMut(&Progress) + 'l) -> Self {
        Compare { progress: Some(Box::new(progress)), ..self }
    }

    /// The combinations, as the position of a candidate for some nodes.
    fn combinations(&self) -> Vec<Vec<(usize, usize)>> {
        if !self.product {
            let of_node = |node: usize| (0..self.nodes[node].labels.len()).map(move |index| vec![(node, index)]);
            return (0..self.nodes.len()).flat_map(of_node).collect();
        }
        let longer = |shorter: Vec<Vec<(usize, usize)>>, node: usize| {
            let with = |all: &Vec<(usize, usize)>, index| all.iter().copied().chain([(node, index)]).collect();
            let each = |all: &Vec<(usize, usize)>| -> Vec<Vec<(usize, usize)>> {
                (0..self.nodes[node].labels.len()).map(|index| with(all, index)).collect()
            };
            shorter.iter().flat_map(each).collect()
        };
        (0..self.nodes.len()).fold(vec![Vec::new()], longer)
    }

    fn check(&self) -> LabResult<()> {
        let advice = "name the methods to compare with Compare::node";
        if self.nodes.is_empty() {
            return Err(LabError::setting("the nodes of a comparison", "at least one", "none", advice));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.labels.is_empty()) {
            let found = format!("none for node \"{}\"", node.address);
            return Err(LabError::setting("the methods of a node", "at least one", found, advice));
        }
        if self.precision.is_nan() || self.precision <= 0.0 {
            let advice = "a precision of 0.05 needs some thousand repetitions";
            return Err(LabError::setting("the precision", "a positive number", self.precision, advice));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let found = 1.0 - self.alpha;
            return Err(LabError::setting("the confidence", "between 0 and 1", found, "the default is 0.95"));
        }
        if self.repetitions < 2 {
            let advice = "a variance needs two of them";
            return Err(LabError::setting("the repetitions", "at least 2", self.repetitions, advice));
        }
        Ok(())
    }

    /// Measures.
    ///
    /// # Errors
    /// For settings outside their domain, and if the model fails with all methods. A combination that the graph refuses
    /// is listed with the reason.
    pub fn run(mut self) -> LabResult<Comparison> {
        self.check()?;
        let lab = self.lab;
        let mut reports = Vec::new();
        let mut arms: Vec<(usize, Arm<'m, F>)> = Vec::new();
        let mut known: Option<Places> = self.reference.as_ref().map(|reference| reference.places.clone());
        let mut last_error = None;
        for combination in self.combinations() {
            let label = |&(node, index): &(usize, usize)| {
                (self.nodes[node].address.to_string(), self.nodes[node].labels[index].clone())
            };
            let replacements = combination
                .iter()
                .fold(MethodReplacements::new(), |all, &(node, index)| self.nodes[node].replace(all, index));
            let mut report =
                ArmReport { methods: combination.iter().map(label).collect(), refusal: None, statistics: None };
            match Arm::new(lab, replacements) {
                Ok((arm, places)) => {
                    let expected = known.get_or_insert_with(|| places.clone());
                    check_places(expected, &places)?;
                    arms.push((reports.len(), arm));
                }
                Err(error) => {
                    report.refusal = Some(error.to_string());
                    last_error = Some(error);
                }
            }
            reports.push(report);
        }
        let places = match (known, last_error) {
            (_, Some(error)) if arms.is_empty() => return Err(error.into()),
            (places, _) => places.unwrap_or_default(),
        };
        let stopped = self.measure(&places, &mut arms, &mut reports)?;
        let measured = arms.len().max(1);
        for (number, mut arm) in arms {
            if reports[number].refusal.is_none() {
                let setting = (self.alpha, NARROWEST, measured);
                let (is_random, reference) = (arm.hides_variance(lab), self.reference.as_ref());
                let statistics = Statistics::new(&arm.measured, arm.cost(), &places, reference, setting, is_random);
                reports[number].statistics = Some(statistics);
            }
        }
        let reference = self.reference.map(|reference| reference.source);
        Ok(Comparison { confidence: 1.0 - self.alpha, reference, arms: reports, out_of_time: stopped })
    }

    /// Runs the blocks. Returns whether the time was over.
    fn measure(
        &mut self,
        places: &Places,
        arms: &mut [(usize, Arm<'m, F>)],
        reports: &mut [ArmReport],
    ) -> LabResult<bool> {
        let (lab, reference) = (self.lab, self.reference.as_ref());
        let start = Instant::now();
        let mut running: Vec<usize> = (0..arms.len()).collect();
        let mut total = 0;
        let mut done = 0;
        while !running.is_empty() && done < self.repetitions {
            let end = (done + BLOCK).min(self.repetitions);
            let mut precision = 0.0_f64;
            let mut still = Vec::with_capacity(running.len());
            for &number in &running {
                if self.budget.is_some_and(|budget| start.elapsed() >= budget && done >= 2) {
                    return Ok(true);
                }
                let (report, arm) = &mut arms[number];
                if let Err(error) = arm.run(lab, ("repetition", done..end), (places, reference)) {
                    reports[*report].refusal = Some(format!("failed after {done} repetitions: {error}"));
                    continue;
                }
                total += end - done;
                let own = relative_width(arm, self.alpha);
                precision = precision.max(own);
                if end < LEAST || own > self.precision || (end < UNSEEN && arm.hides_variance(lab)) {
                    still.push(number);
                }
            }
            running = still;
            done = end;
            if let Some(progress) = &mut self.progress {
                let elapsed = start.elapsed();
                progress(&Progress { repetitions: total, running: running.len(), precision, elapsed });
            }
        }
        Ok(false)
    }
}

/// The half-width of the confidence sequence of the total variance, relative to it. A variance that consists of
/// rounding errors is known well enough.
fn relative_width<F: Real>(arm: &Arm<'_, F>, alpha: f64) -> f64 {
    let (distance, squared_norm) = (&arm.measured.distance, arm.measured.squared_norm.mean());
    let variance = sequence(distance, alpha, NARROWEST);
    if variance.estimate <= 1e-10 * squared_norm { 0.0 } else { variance.half_width() / variance.estimate }
}

/// Checks that two combinations have gradients of the same parameters.
fn check_places(expected: &Places, found: &Places) -> LabResult<()> {
    if expected == found {
        return Ok(());
    }
    let words = |places: &Places| {
        let one = |(name, range): (&String, &std::ops::Range<usize>)| format!("{name} ({} elements)", range.len());
        places.names.iter().zip(&places.ranges).map(one).collect::<Vec<_>>().join(", ")
    };
    let advice = "the methods of a node must not change which parameters the model records";
    Err(LabError::setting("the parameters with a gradient", words(expected), words(found), advice))
}

impl<'l, 'm> Compare<'l, 'm, f64> {
    /// Compares the means with the exact gradient.
    ///
    /// # Errors
    /// Those of [`Oracle::exact_gradient`], among them one for a model with too many outcomes.
    pub fn exact_reference(self, oracle: &Oracle) -> LabResult<Self> {
        let reference = Reference::exact(self.lab, oracle)?;
        Ok(Compare { reference: Some(reference), ..self })
    }
}
