//! The choice of a method for each node.

use std::fmt;
use std::time::{Duration, Instant};

use stochgrad_distributions::Family;
use stochgrad_graph::{Address, Bias, MethodReplacements};
use stochgrad_tensor::Real;

use crate::arm::Arm;
use crate::candidate::{Candidate, NodeCandidates};
use crate::compare::{BLOCK, LEAST, NARROWEST, UNSEEN};
use crate::error::{LabError, LabResult};
use crate::interval::{Interval, normal_cdf};
use crate::lab::Lab;
use crate::moments::Moments;
use crate::statistics::sequence;
use crate::warning::Warning;

/// The repetitions before the first decision of a race in which a method is in use: a wrong one is corrected by the next
/// race, and the method in use is not replaced without confidence.
const AGAIN: u64 = 32;

/// What a selection minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Criterion {
    /// The total variance of the gradient times the time of a gradient: the variance of the mean of all gradients that
    /// fit into one second. A method without variance is best, whatever time it takes: for an estimate of a derivative.
    #[default]
    VarianceTime,
    /// The expected squared norm of the gradient times the time, for training by stochastic gradient descent with the
    /// best step size: the progress in a second is inversely proportional to it.
    SecondMomentTime,
    /// The root of the expected squared norm of the gradient times the time, for training by optimisers that divide the
    /// gradient by such a root, such as Adam, with a given learning rate: the expected way along the gradient in a second
    /// is inversely proportional to it.
    RootMeanSquareTime,
    /// The total variance alone, which does not depend on the machine.
    Variance,
}

impl Criterion {
    fn has_time(self) -> bool {
        self != Criterion::Variance
    }

    /// The power of the moment in it.
    fn power(self) -> f64 {
        if self == Criterion::RootMeanSquareTime { 0.5 } else { 1.0 }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Criterion::VarianceTime => "variance × seconds",
            Criterion::SecondMomentTime => "second moment × seconds",
            Criterion::RootMeanSquareTime => "root mean square × seconds",
            Criterion::Variance => "variance",
        })
    }
}

/// Chooses the method of each node. [`Lab::select`] makes one.
///
/// The nodes are varied in turn, while the others keep the method that was chosen last, until nothing changes. At a
/// node, the methods race: all of them run in short blocks, and one is dropped when its confidence sequence lies above
/// that of another one. The sequences of a race hold together at all times, with the confidence of the selection, so
/// that the best method is dropped with at most the remaining probability. Methods whose gradient is biased do not take
/// part, unless they are [allowed](Self::allow_bias).
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_estimators::{DisArm, ScoreFunction};
/// use stochgrad_lab::{Criterion, Lab, candidates};
/// use stochgrad_nn::{Inputs, Parameters, Record};
///
/// let model = |record: &Record<'_, '_, f64>| {
///     let logit = record.param("logit")?;
///     let b = record.sample("b", &Bernoulli::from_logits(logit), &ScoreFunction::new())?;
///     record.cost("loss", (b - 0.45).square())
/// };
/// let mut parameters = Parameters::new();
/// parameters.insert("logit", 0.3.into())?;
/// let inputs = Inputs::new();
/// let lab = Lab::new(model, &parameters, &inputs);
/// let selection = lab
///     .select()
///     .node::<Bernoulli<Id>>("b", candidates![ScoreFunction::new(), DisArm::new()])
///     .criterion(Criterion::Variance)
///     .run()?;
/// assert_eq!(selection.code(), r#""b": DisArm::new()"#);
/// // For training, pass selection.replacements to Step::replace_methods.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Select<'l, 'm, F: Real> {
    lab: &'l Lab<'m, F>,
    nodes: Vec<NodeCandidates<F>>,
    criterion: Criterion,
    alpha: f64,
    indifference: f64,
    repetitions: u64,
    sweeps: usize,
    budget: Option<Duration>,
    biased: bool,
}

/// The method of each node. `Display` writes the races as a table.
#[derive(Clone, Debug)]
pub struct Selection<F: Real> {
    /// What was minimised.
    pub criterion: Criterion,
    /// The nodes, with their last race.
    pub nodes: Vec<Race>,
    /// The chosen methods, for [`Step::replace_methods`](stochgrad_nn::Step::replace_methods).
    pub replacements: MethodReplacements<F>,
    /// Whether the time budget ended the selection.
    pub out_of_time: bool,
}

/// A race of the methods of a node, while the other nodes had the chosen methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Race {
    /// The address of the node.
    pub node: String,
    /// The position of the chosen method.
    pub chosen: usize,
    /// A lower bound of the probability that no other method is better, from the normal approximation of the logarithms
    /// of the criterion at the end of the race. 0 at worst.
    pub confidence: f64,
    /// Whether the method in use stayed although another one had a smaller criterion: by less than the indifference, or
    /// not with the confidence of the selection. Only in a selection of [`Reselect`](crate::Reselect).
    pub is_kept: bool,
    /// What makes the measurements of the chosen method unreliable.
    pub warnings: Vec<Warning>,
    /// The methods.
    pub methods: Vec<Racer>,
}

/// A method in a race.
#[derive(Clone, Debug, PartialEq)]
pub struct Racer {
    /// Its code.
    pub label: String,
    /// The criterion with its confidence sequence, if the method took part. In the choices of
    /// [`Reselect`](crate::Reselect), methods that are far from the best one sit out most of the time.
    pub score: Option<Interval>,
    /// The median time of a gradient in seconds, if the method took part.
    pub time: Option<f64>,
    /// The number of repetitions until it was dropped, or until the race ended.
    pub repetitions: u64,
    /// Why it did not take part.
    pub refusal: Option<String>,
}

impl Race {
    /// The code of the chosen method.
    pub fn label(&self) -> &str {
        &self.methods[self.chosen].label
    }
}

impl<F: Real> Selection<F> {
    /// The chosen methods as code: a line with the address and the expression for each node.
    pub fn code(&self) -> String {
        self.nodes.iter().map(|race| format!("{:?}: {}", race.node, race.label())).collect::<Vec<_>>().join("\n")
    }
}

impl<'m, F: Real> Lab<'m, F> {
    /// Chooses the methods of nodes.
    pub fn select(&self) -> Select<'_, 'm, F> {
        Select {
            lab: self,
            nodes: Vec::new(),
            criterion: Criterion::VarianceTime,
            alpha: 0.05,
            indifference: 0.05,
            repetitions: 10_000,
            sweeps: 3,
            budget: None,
            biased: false,
        }
    }
}

impl<F: Real> Select<'_, '_, F> {
    /// The methods to choose from at a node. The search starts with the first one.
    pub fn node<D: Family<F>>(mut self, address: impl Into<Address>, candidates: Vec<Candidate<F, D>>) -> Self {
        self.nodes.push(NodeCandidates::new(address.into(), candidates));
        self
    }

    /// What is minimised; by default, variance times time.
    pub fn criterion(self, criterion: Criterion) -> Self {
        Select { criterion, ..self }
    }

    /// The confidence with which a race does not drop the best method, 0.95 by default.
    pub fn confidence(self, confidence: f64) -> Self {
        Select { alpha: 1.0 - confidence, ..self }
    }

    /// The relative difference of the criterion that does not matter, 0.05 by default: a race ends when all methods
    /// that are left are known to be within it.
    pub fn indifference(self, indifference: f64) -> Self {
        Select { indifference, ..self }
    }

    /// The largest number of repetitions of each method in a race, 10 000 by default.
    pub fn repetitions(self, repetitions: u64) -> Self {
        Select { repetitions, ..self }
    }

    /// How often each node is varied at most, 3 by default.
    pub fn sweeps(self, sweeps: usize) -> Self {
        Select { sweeps: sweeps.max(1), ..self }
    }

    /// The largest time of all races together; unlimited by default. A race has at least the repetitions that its first
    /// decision needs.
    pub fn time_budget(self, budget: Duration) -> Self {
        Select { budget: Some(budget), ..self }
    }

    /// Lets biased methods take part, too. The criterion does not contain the bias: measure it with
    /// [`Lab::compare`].
    pub fn allow_bias(self) -> Self {
        Select { biased: true, ..self }
    }

    fn check(&self) -> LabResult<()> {
        let advice = "name the methods to choose from with Select::node";
        if self.nodes.is_empty() {
            return Err(LabError::setting("the nodes of a selection", "at least one", "none", advice));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.labels.is_empty()) {
            let found = format!("none for node \"{}\"", node.address);
            return Err(LabError::setting("the methods of a node", "at least one", found, advice));
        }
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let found = 1.0 - self.alpha;
            return Err(LabError::setting("the confidence", "between 0 and 1", found, "the default is 0.95"));
        }
        if self.repetitions < LEAST {
            let advice = "the first decision of a race needs them";
            return Err(LabError::setting("the repetitions", format!("at least {LEAST}"), self.repetitions, advice));
        }
        Ok(())
    }

    fn replacements(&self, chosen: &[usize]) -> MethodReplacements<F> {
        let all = self.nodes.iter().zip(chosen);
        all.fold(MethodReplacements::new(), |all, (node, &index)| node.replace(all, index))
    }

    /// Chooses.
    ///
    /// # Errors
    /// For settings outside their domain, and if no method of a node can be used.
    pub fn run(self) -> LabResult<Selection<F>> {
        self.check()?;
        let start = Instant::now();
        let mut chosen: Vec<usize> = self.nodes.iter().map(|node| self.in_use(node).unwrap_or(0)).collect();
        let mut races: Vec<Option<Race>> = vec![None; self.nodes.len()];
        let mut unchanged = 0;
        let mut out_of_time = false;
        for turn in 0..self.sweeps.saturating_mul(self.nodes.len()) {
            let node = turn % self.nodes.len();
            // The race of a node is the same again if no other node has changed since.
            if unchanged == self.nodes.len() || (turn > 0 && self.nodes.len() == 1) {
                break;
            }
            let race = self.race(node, &chosen, turn, start, &mut out_of_time)?;
            unchanged = if race.chosen == chosen[node] { unchanged + 1 } else { 1 };
            chosen[node] = race.chosen;
            races[node] = Some(race);
            if out_of_time && races.iter().all(Option::is_some) {
                break;
            }
        }
        let selection = Selection {
            criterion: self.criterion,
            nodes: races.into_iter().flatten().collect(),
            replacements: self.replacements(&chosen),
            out_of_time,
        };
        if let Some(kept) = &self.lab.kept {
            kept.end(&selection);
        }
        Ok(selection)
    }

    /// The position of the method that a node uses, if an earlier selection has chosen it.
    fn in_use(&self, node: &NodeCandidates<F>) -> Option<usize> {
        let label = self.lab.kept.as_ref()?.in_use(&node.address.to_string())?;
        node.labels.iter().position(|other| *other == label)
    }

    /// Whether a method was far from the best one in an earlier selection, so that it does not take part in this one.
    fn sits_out(&self, node: &NodeCandidates<F>, label: &str) -> bool {
        self.lab.kept.as_ref().is_some_and(|kept| kept.sits_out(&node.address.to_string(), label))
    }

    /// The name of a combination of methods.
    fn name(&self, combination: &[usize]) -> String {
        let all = self.nodes.iter().zip(combination);
        all.map(|(node, &index)| format!("{}: {index} {}\n", node.address, node.labels[index])).collect()
    }

    fn race(
        &self,
        node: usize,
        chosen: &[usize],
        turn: usize,
        start: Instant,
        out_of_time: &mut bool,
    ) -> LabResult<Race> {
        let lab = self.lab;
        let purpose = format!("race {turn}");
        let candidates = &self.nodes[node];
        let mut methods = Vec::new();
        let mut arms = Vec::new();
        let mut last_error = None;
        for (index, label) in candidates.labels.iter().enumerate() {
            let mut combination = chosen.to_vec();
            combination[node] = index;
            let mut racer = Racer { label: label.clone(), score: None, time: None, repetitions: 0, refusal: None };
            if self.sits_out(candidates, label) {
                methods.push(racer);
                continue;
            }
            match Arm::kept(lab, &self.name(&combination), || self.replacements(&combination)) {
                Err(error) => {
                    racer.refusal = Some(error.to_string());
                    last_error = Some(error);
                }
                Ok((arm, _)) if !self.biased && arm.cost().guarantee.bias != Bias::Unbiased => {
                    racer.refusal = Some(format!("it is {}", arm.cost().guarantee));
                }
                Ok((arm, places)) => arms.push((index, arm, places)),
            }
            methods.push(racer);
        }
        if arms.is_empty() {
            return Err(match last_error {
                Some(error) => error.into(),
                None => LabError::setting(
                    "the methods of a node",
                    "one without bias",
                    format!("only biased ones for node \"{}\"", candidates.address),
                    "add one, or call Select::allow_bias",
                ),
            });
        }
        // All sequences of the race hold together.
        let alpha = self.alpha / arms.len() as f64;
        let least = if self.in_use(candidates).is_some() { AGAIN } else { LEAST };
        let mut running: Vec<usize> = (0..arms.len()).collect();
        let mut done = 0;
        while done < self.repetitions {
            let end = (done + BLOCK).min(self.repetitions);
            let mut failed = None;
            running.retain(|&at| {
                let (index, arm, places) = &mut arms[at];
                match arm.run(lab, (purpose.as_str(), done..end), (places, None)) {
                    Ok(()) => true,
                    Err(error) => {
                        methods[*index].refusal = Some(format!("failed after {done} repetitions: {error}"));
                        failed = Some(error);
                        false
                    }
                }
            });
            if let (true, Some(error)) = (running.is_empty(), failed) {
                return Err(error.into());
            }
            done = end;
            let scores: Vec<Interval> = running.iter().map(|&at| self.score(&mut arms[at].1, alpha)).collect();
            for (&at, &score) in running.iter().zip(&scores) {
                let racer = &mut methods[arms[at].0];
                (racer.score, racer.repetitions) = (Some(score), done);
                racer.time = Some(arms[at].1.measured.time().estimate);
            }
            if done < least {
                continue;
            }
            let highest = scores.iter().map(|score| score.high).fold(f64::INFINITY, f64::min);
            let lowest = scores.iter().map(|score| score.low).fold(f64::INFINITY, f64::min);
            let mut kept = scores.iter().map(|score| score.low <= highest);
            running.retain(|_| kept.next().unwrap_or(true));
            let worst = scores.iter().filter(|score| score.low <= highest).map(|score| score.high);
            let is_settled = worst.fold(0.0, f64::max) <= (1.0 + self.indifference) * lowest;
            *out_of_time |= self.budget.is_some_and(|budget| start.elapsed() >= budget);
            if running.len() == 1 || is_settled || *out_of_time {
                break;
            }
        }
        let scored: Vec<Scored> = arms
            .iter_mut()
            .filter(|(index, ..)| methods[*index].refusal.is_none())
            .map(|(index, arm, _)| {
                let score = self.score(arm, alpha).estimate.ln();
                Scored { index: *index, score, error: self.log_error(arm) }
            })
            .collect();
        let is_left = |index: usize| running.iter().any(|&at| arms[at].0 == index);
        let best =
            scored.iter().filter(|one| is_left(one.index)).min_by(|one, other| one.score.total_cmp(&other.score));
        let &best = best.ok_or_else(|| {
            LabError::setting("the methods of a node", "one that runs", "none", "see the errors of the model")
        })?;
        // The method in use stays unless it is worse for certain, and by more than what does not matter.
        let in_use = self.in_use(candidates).and_then(|index| scored.iter().copied().find(|one| one.index == index));
        let stays = |one: &Scored| {
            one.score - best.score <= (1.0 + self.indifference).ln() || one.is_better_than(&best) > self.alpha
        };
        let winner = in_use.filter(stays).unwrap_or(best);
        let others = scored.iter().filter(|one| one.index != winner.index);
        let doubt: f64 = others.map(|other| other.is_better_than(&winner)).sum();
        let mut warnings = Vec::new();
        for (index, mut arm, _) in arms {
            if index == winner.index {
                let is_random = arm.hides_variance(lab);
                warnings = Warning::of(&arm.measured, is_random);
                warnings.retain(|warning| !matches!(warning, Warning::FewRepetitions(_)));
            }
            let mut combination = chosen.to_vec();
            combination[node] = index;
            arm.keep(lab, self.name(&combination));
        }
        Ok(Race {
            node: candidates.address.to_string(),
            chosen: winner.index,
            confidence: (1.0 - doubt).max(0.0),
            is_kept: winner.index != best.index,
            warnings,
            methods,
        })
    }

    /// The moments that the criterion is the mean of, and the smallest mean that is not rounding.
    fn moments<'a>(&self, arm: &'a Arm<'_, F>) -> (&'a Moments, f64) {
        let measured = &arm.measured;
        let least = (1e-10 * measured.squared_norm.mean()).max(f64::MIN_POSITIVE);
        match self.criterion {
            Criterion::SecondMomentTime | Criterion::RootMeanSquareTime => (&measured.squared_norm, least),
            Criterion::VarianceTime | Criterion::Variance => (&measured.distance, least),
        }
    }

    /// The criterion with its confidence sequence.
    fn score(&self, arm: &mut Arm<'_, F>, alpha: f64) -> Interval {
        let is_unseen = self.is_unseen(arm);
        let (moments, least) = self.moments(arm);
        let found = sequence(moments, alpha, NARROWEST);
        // A variance of rounding errors is zero; the time decides among methods without variance.
        let found = match found.estimate <= least {
            _ if is_unseen => Interval { estimate: found.estimate.max(least), low: least, high: f64::INFINITY },
            true => Interval::exact(least),
            false => Interval { low: found.low.max(least), ..found },
        };
        if !self.criterion.has_time() {
            return found;
        }
        let power = self.criterion.power();
        let root = |value: f64| value.powf(power);
        let found = Interval { estimate: root(found.estimate), low: root(found.low), high: root(found.high) };
        let time = self.time(arm);
        Interval { estimate: found.estimate * time.estimate, low: found.low * time.low, high: found.high * time.high }
    }

    /// Whether the gradient may have a variance that has not been seen yet.
    fn is_unseen(&self, arm: &mut Arm<'_, F>) -> bool {
        let count = arm.measured.squared_norm.count();
        (LEAST as f64..UNSEEN as f64).contains(&count) && arm.hides_variance(self.lab)
    }

    /// The time of a training step with the method.
    fn time(&self, arm: &Arm<'_, F>) -> Interval {
        let (time, overhead) = (arm.measured.time(), self.lab.overhead.as_secs_f64());
        Interval { estimate: time.estimate + overhead, low: time.low + overhead, high: time.high + overhead }
    }

    /// The standard error of the logarithm of the criterion.
    fn log_error(&self, arm: &mut Arm<'_, F>) -> f64 {
        if self.is_unseen(arm) {
            return f64::INFINITY;
        }
        let (moments, least) = self.moments(arm);
        let own = if moments.mean() <= least { 0.0 } else { moments.standard_error() / moments.mean() };
        let own = self.criterion.power() * own;
        let time = self.time(arm);
        let time = if self.criterion.has_time() { 0.5 * (time.high / time.low).ln() / 1.96 } else { 0.0 };
        own.hypot(time).max(f64::EPSILON)
    }
}

/// A method at the end of a race: the logarithm of its criterion, with its standard error.
#[derive(Clone, Copy, Debug)]
struct Scored {
    index: usize,
    score: f64,
    error: f64,
}

impl Scored {
    /// The probability that it is better than another one, from the normal approximation of the logarithms.
    fn is_better_than(&self, other: &Scored) -> f64 {
        normal_cdf((other.score - self.score) / self.error.hypot(other.error))
    }
}
