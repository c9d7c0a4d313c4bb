//! A combination of methods that is measured.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use stochgrad_graph::{Gradients, GraphResult, Guarantee, MethodReplacements};
use stochgrad_nn::Step;
use stochgrad_tape::{Op, ValueOrigin};
use stochgrad_tensor::Real;

use crate::lab::Lab;
use crate::moments::{Moments, VectorMoments};
use crate::reference::Reference;
use crate::reservoir::Sample;
use crate::tail::Tail;

/// The number of repetitions whose times are kept for their median.
const TIMED: usize = 1024;

/// A combination of methods that runs, with everything that was measured so far.
pub(crate) struct Arm<'m, F: Real> {
    ready: Ready<'m, F>,
    pub(crate) measured: Measured,
    values: Vec<f64>,
}

/// A combination of methods that has been recorded and compiled.
pub(crate) struct Ready<'m, F: Real> {
    step: Step<'m, F>,
    cost: Cost,
    places: Places,
    /// Whether the gradient depends on noise, once this was asked.
    is_random: Option<bool>,
}

/// What is known about a combination of methods without running it.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// The number of cost evaluations of all nodes together; none if a node has infinitely many.
    pub(crate) evaluations: Option<usize>,
    pub(crate) backward_passes: Option<usize>,
    /// That of the parameters together.
    pub(crate) guarantee: Guarantee,
    /// The name of the method of each node.
    pub(crate) methods: Vec<(String, String)>,
}

/// The measurements of an arm.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) moments: VectorMoments,
    /// The squared distances from the mean for each parameter, whose means are the variances.
    pub(crate) distances: Vec<Moments>,
    /// Those of all elements.
    pub(crate) distance: Moments,
    /// The squared norms of the gradient.
    pub(crate) squared_norm: Moments,
    /// The component along the reference, in units of the reference.
    pub(crate) along: Moments,
    pub(crate) cosine: Moments,
    /// The component along the reference, or the norm without one.
    pub(crate) sample: Sample,
    pub(crate) tail: Tail,
    times: VecDeque<f64>,
}

/// The names of the parameters with a gradient, and the places of their elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) names: Vec<String>,
    pub(crate) ranges: Vec<Range<usize>>,
}

impl Places {
    pub(crate) fn of<F: Real>(gradients: &Gradients<F>) -> Self {
        let mut places = Places::default();
        for (name, gradient) in gradients.iter() {
            let first = places.len();
            places.names.push(name.to_owned());
            places.ranges.push(first..first + gradient.len());
        }
        places
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// The name of an element: `w[3]`.
    pub(crate) fn element(&self, index: usize) -> String {
        match self.ranges.iter().position(|range| range.contains(&index)) {
            Some(at) if self.ranges[at].len() == 1 => self.names[at].clone(),
            Some(at) => format!("{}[{}]", self.names[at], index - self.ranges[at].start),
            None => index.to_string(),
        }
    }
}

/// Copies all gradients into a vector.
pub(crate) fn flatten<F: Real>(gradients: &Gradients<F>, values: &mut Vec<f64>) {
    values.clear();
    values.extend(gradients.iter().flat_map(|(_, gradient)| gradient.as_slice().iter().map(|value| value.to_f64())));
}

impl<'m, F: Real> Arm<'m, F> {
    /// An arm, once its methods have been found to suit the model, and its places.
    ///
    /// # Errors
    /// The error with which the graph refuses a method, and those of the model.
    pub(crate) fn new(lab: &Lab<'m, F>, replacements: MethodReplacements<F>) -> GraphResult<(Self, Places)> {
        Self::begin(lab, Ready::new(lab, replacements)?)
    }

    /// An arm whose program an earlier lab may have kept.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub(crate) fn kept(
        lab: &Lab<'m, F>,
        combination: &str,
        replacements: impl FnOnce() -> MethodReplacements<F>,
    ) -> GraphResult<(Self, Places)> {
        match lab.kept.as_ref().and_then(|kept| kept.take(combination)) {
            Some(ready) => Self::begin(lab, ready),
            None => Self::new(lab, replacements()),
        }
    }

    /// Keeps the program for later labs.
    pub(crate) fn keep(self, lab: &Lab<'m, F>, combination: String) {
        if let Some(kept) = &lab.kept {
            kept.put(combination, self.ready);
        }
    }

    fn begin(lab: &Lab<'m, F>, mut ready: Ready<'m, F>) -> GraphResult<(Self, Places)> {
        for number in 0..lab.warm_up {
            ready.step.run(&lab.parameters, &lab.inputs, lab.repetition("warm-up", number))?;
            ready.step.advance();
        }
        let (measured, places) = (Measured::new(&ready.places), ready.places.clone());
        Ok((Arm { ready, measured, values: Vec::new() }, places))
    }

    pub(crate) fn cost(&self) -> &Cost {
        &self.ready.cost
    }

    /// Whether the gradient depends on noise although no repetition has differed from another so far: something that
    /// happens rarely may change it.
    pub(crate) fn hides_variance(&mut self, lab: &Lab<'_, F>) -> bool {
        self.measured.has_no_variance() && self.ready.is_random(lab)
    }

    /// Runs a block of repetitions.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn run(
        &mut self,
        lab: &Lab<'m, F>,
        (purpose, repetitions): (&str, Range<u64>),
        (places, reference): (&Places, Option<&Reference>),
    ) -> GraphResult<()> {
        for number in repetitions {
            let seed = lab.repetition(purpose, number);
            let start = Instant::now();
            let gradients = self.ready.step.run(&lab.parameters, &lab.inputs, seed)?;
            self.measured.add_time(start.elapsed().as_secs_f64());
            flatten(gradients, &mut self.values);
            self.measured.add(&self.values, places, reference);
        }
        Ok(())
    }
}

impl<'m, F: Real> Ready<'m, F> {
    fn new(lab: &Lab<'m, F>, replacements: MethodReplacements<F>) -> GraphResult<Self> {
        let mut step = lab.step(replacements);
        let seed = lab.repetition("first", 0);
        let report = step.inspect(&lab.parameters, &lab.inputs, seed, |graph| graph.report())??;
        let sum = |count: &dyn Fn(&stochgrad_graph::NodeReport) -> Option<usize>| {
            report.nodes.iter().try_fold(0_usize, |sum, node| sum.checked_add(count(node)?))
        };
        let cost = Cost {
            evaluations: sum(&|node| node.profile.evaluations.at(&node.extent)),
            backward_passes: sum(&|node| node.profile.backward_passes.at(&node.extent)),
            guarantee: report.parameters.iter().fold(Guarantee::EXACT, |all, one| all.and(one.guarantee)),
            methods: report.nodes.iter().map(|node| (node.address.clone(), node.method.clone())).collect(),
        };
        // The first run records and compiles.
        let places = Places::of(step.run(&lab.parameters, &lab.inputs, seed)?);
        Ok(Ready { step, cost, places, is_random: None })
    }

    /// Whether the gradient depends on noise; also if this cannot be found out, because steps are recorded one by one.
    fn is_random(&mut self, lab: &Lab<'_, F>) -> bool {
        let step = &self.step;
        *self.is_random.get_or_insert_with(|| {
            let program =
                step.inspect(&lab.parameters, &lab.inputs, lab.repetition("first", 0), |graph| graph.compile());
            let Ok(Ok(program)) = program else { return true };
            let listing = program.listing();
            let is_noise = |origin| matches!(origin, ValueOrigin::Operation(Op::Noise { .. } | Op::Draw { .. }));
            listing.program.values().any(|value| is_noise(value.origin))
        })
    }
}

impl Measured {
    pub(crate) fn new(places: &Places) -> Self {
        Measured {
            moments: VectorMoments::new(places.len()),
            distances: vec![Moments::default(); places.ranges.len()],
            distance: Moments::default(),
            squared_norm: Moments::default(),
            along: Moments::default(),
            cosine: Moments::default(),
            sample: Sample::default(),
            tail: Tail::default(),
            times: VecDeque::with_capacity(TIMED),
        }
    }

    pub(crate) fn add(&mut self, values: &[f64], places: &Places, reference: Option<&Reference>) {
        let (mut total, mut is_first) = (0.0, true);
        let distances = &mut self.distances;
        self.moments.add(values, &places.ranges, |range, distance| {
            distances[range].add(distance);
            total += distance;
            is_first = false;
        });
        if !is_first {
            self.distance.add(total);
        }
        let squared_norm: f64 = values.iter().map(|value| value * value).sum();
        self.squared_norm.add(squared_norm);
        self.tail.add(squared_norm);
        if let Some(reference) = reference {
            let product: f64 = values.iter().zip(&reference.values).map(|(value, known)| value * known).sum();
            if reference.squared_norm > 0.0 {
                self.along.add(product / reference.squared_norm);
                self.sample.add(product / reference.squared_norm);
                if squared_norm > 0.0 {
                    self.cosine.add(product / (squared_norm * reference.squared_norm).sqrt());
                }
            }
        } else {
            self.sample.add(squared_norm.sqrt());
        }
    }

    /// Whether all repetitions gave the same gradient, up to rounding.
    pub(crate) fn has_no_variance(&self) -> bool {
        self.distance.mean() <= 1e-10 * self.squared_norm.mean()
    }

    fn add_time(&mut self, time: f64) {
        if self.times.len() == TIMED {
            self.times.pop_front();
        }
        self.times.push_back(time);
    }

    /// The median time of the last repetitions, in seconds, with an interval of 95 % by the order statistics of the
    /// binomial distribution. A repetition that was interrupted by another program does not change it.
    pub(crate) fn time(&self) -> crate::interval::Interval {
        let mut sorted: Vec<f64> = self.times.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return crate::interval::Interval::exact(f64::NAN) };
        let (half, spread) = (0.5 * sorted.len() as f64, 0.98 * (sorted.len() as f64).sqrt());
        let at = |place: f64| sorted[(place.max(0.0) as usize).min(last)];
        crate::interval::Interval {
            estimate: sorted[sorted.len() / 2],
            low: at((half - spread).floor()),
            high: at((half + spread).ceil()),
        }
    }
}
