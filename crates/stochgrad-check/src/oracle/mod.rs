//! The exact oracle: the expectation and the variance of an estimator over all outcomes of its own draws.

mod direction;
mod noise;
mod outcomes;
mod plain_total;
mod report;

pub use report::{GradientMoments, Moments, OracleReport};

use crate::error::{CheckError, CheckResult};
use crate::moments::{RunningMoments, check_finite};
use crate::oracle::direction::{Direction, Parameters, along_all, directional_derivatives, unforeseen};
use crate::oracle::noise::OracleNoise;
use crate::oracle::plain_total::check_reduction;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;
use stochgrad_distributions::NoiseSource;
use stochgrad_graph::{Graph, GraphError, GraphResult};
use stochgrad_tape::{Tape, Var, Workspace};
use stochgrad_tensor::{Shape, Tensor};

/// Runs a program once for each outcome of its draws, and weights the results by the probabilities of the outcomes.
///
/// Use it to test a gradient method. [`verify`](Oracle::verify) proves, for one model and to rounding, that the
/// derivatives of the surrogate are unbiased; [`gradient`](Oracle::gradient) gives the exact variance of a gradient.
/// The oracle runs the same code as a user does and replaces only the source of the noise. The exact derivatives that
/// it compares with do not use a surrogate: they are those of the probability of each outcome times its cost.
///
/// # Which results are exact
///
/// Results are exact for finite sample spaces, and for costs that are polynomials in continuous draws of a degree that
/// the [`nodes`](Oracle::nodes) integrate. The oracle cuts countable distributions off at a tail of about 1e-16. It
/// cannot enumerate samplers by rejection (gamma, beta, Dirichlet …); use
/// [`StatisticalTest`](crate::StatisticalTest) for them.
///
/// # How outcomes are enumerated
///
/// Each keyed uniform is an interval, which is (0, 1) at first. An inversion splits the interval at the values of its
/// distribution function, so that replays with common random numbers are enumerated jointly with the primal draw. A
/// position inside an interval is a node of Gauss–Legendre quadrature. If a later inversion splits an interval after
/// its position was used, the oracle visits the outcomes again and splits the interval first. Normal samples are nodes
/// of Gauss–Hermite quadrature, and exponential samples those of Gauss–Laguerre quadrature.
///
/// # Example
///
/// A model is a closure that records parameters, nodes and costs on a graph:
///
/// ```
/// use stochgrad_check::Oracle;
/// use stochgrad_distributions::{Bernoulli, Distribution, Family};
/// use stochgrad_graph::{
///     GradientMethod, Graph, GraphResult, Method, Order, Path, Profile, SampleContext, SamplePlate, SampleSet,
/// };
/// use stochgrad_tape::Var;
///
/// /// The plain score function.
/// #[derive(Clone)]
/// struct Score;
///
/// impl Method for Score {
///     fn name(&self) -> String {
///         "score".into()
///     }
///
///     fn profile(&self) -> Profile {
///         Profile::unbiased(Order::Any)
///     }
/// }
///
/// impl<D: Family<f64>> GradientMethod<f64, D> for Score {
///     fn sample<'t>(&self, context: &SampleContext<'_, 't, f64>, d: &D::On<'t>) -> GraphResult<SampleSet<'t, f64>> {
///         context.independent(d, SamplePlate::Single)
///     }
///
///     fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
///         Some(d.log_prob(x))
///     }
/// }
///
/// let model = |graph: &Graph<'_, f64>| {
///     let p = graph.param("p", 0.3)?;
///     let x = graph.sample("x", &Bernoulli::from_probabilities(p), &Score)?;
///     graph.cost("cost", (x + 1.0).square())
/// };
/// let report = Oracle::new().verify(model, 0..=3, 1e-9)?;
/// assert_eq!(report.outcomes(), 2);
///
/// // One sample gives (x + 1)² (x − p) / (p (1 − p)).
/// let gradient = Oracle::new().gradient(model)?;
/// assert!((gradient.mean("p")?.item()? - 3.0).abs() < 1e-12);
/// let variance: f64 = 16.0 / 0.3 + 1.0 / 0.7 - 9.0;
/// assert!((gradient.variance("p")?.item()? - variance).abs() < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oracle {
    pub(crate) max_outcomes: usize,
    pub(crate) nodes: usize,
    pub(crate) time_limit: Option<Duration>,
}

impl Default for Oracle {
    fn default() -> Self {
        Self::new()
    }
}

/// The largest number of quadrature nodes.
const MOST_NODES: usize = 1024;

impl Oracle {
    /// At most 1 000 000 outcomes, 16 quadrature nodes, no time limit.
    pub fn new() -> Self {
        Oracle { max_outcomes: 1_000_000, nodes: 16, time_limit: None }
    }

    /// The largest number of outcomes that may be visited; with more of them, a check returns an error.
    pub fn max_outcomes(mut self, max_outcomes: usize) -> Self {
        self.max_outcomes = max_outcomes;
        self
    }

    /// How long the enumeration of one program may take; unlimited by default. [`verify`](Self::verify) enumerates two
    /// programs, the model and its estimator. The oracle compares the time after each outcome, so it visits at least
    /// one.
    pub fn time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = Some(time_limit);
        self
    }

    /// The number of quadrature nodes for each continuous draw, from 1 to 1024. With n nodes, polynomials in a draw are
    /// integrated exactly up to the degree 2n − 1.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The exact mean and variance of a vector that a random program computes. The program must draw all its randomness
    /// from the source that it receives, and return vectors of the same length for every outcome.
    ///
    /// # Errors
    /// The errors of the program; [`CheckError::Noise`] for draws that cannot be enumerated;
    /// [`CheckError::NotDeterministic`], [`CheckError::TooManyOutcomes`], [`CheckError::TooLong`],
    /// [`CheckError::NotFinite`].
    pub fn expectation(
        &self,
        mut run: impl FnMut(Rc<dyn NoiseSource<f64>>) -> GraphResult<Vec<f64>>,
    ) -> CheckResult<Moments> {
        self.mean_of(|noise| Ok(run(noise)?))
    }

    fn mean_of(&self, run: impl FnMut(Rc<dyn NoiseSource<f64>>) -> CheckResult<Vec<f64>>) -> CheckResult<Moments> {
        let (moments, visited) = self.enumerate(run, |moments: &mut RunningMoments, weight, values| {
            check_finite(|element| format!("component {element} of the program's result"), &values)?;
            moments.add(weight, &values)
        })?;
        let (mean, variance) = (moments.mean().to_vec(), moments.variance());
        Ok(Moments { mean, variance, outcomes: visited.outcomes, probability: visited.probability })
    }

    /// The exact mean and variance of the gradients and cost estimates of [`Graph::backward`]. In outcomes that do not
    /// record a parameter or a cost, it counts as zero.
    ///
    /// # Errors
    /// The errors of the model, and those of [`expectation`](Self::expectation).
    pub fn gradient<M>(&self, model: M) -> CheckResult<GradientMoments>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let mut workspace = Workspace::new();
        let run = |noise| {
            let graph = Graph::with_noise(workspace.tape(), noise);
            model(&graph)?;
            Ok(graph.backward()?)
        };
        type Found = (BTreeMap<String, (Shape, RunningMoments)>, BTreeMap<String, RunningMoments>);
        let ((parameters, costs), visited) =
            self.enumerate(run, |(parameters, costs): &mut Found, weight, gradients| {
                for (name, gradient) in gradients.iter() {
                    check_finite(
                        |element| format!("element {element} of the gradient with respect to \"{name}\""),
                        gradient.as_slice(),
                    )?;
                    add_tensor(parameters, name, weight, gradient)?;
                }
                for (name, cost) in gradients.costs() {
                    check_finite(|_| format!("cost \"{name}\""), &[*cost])?;
                    costs.entry(name.clone()).or_default().add(weight, &[*cost])?;
                }
                Ok(())
            })?;
        let probability = visited.probability;
        let finished = parameters.into_iter().map(|(name, (shape, mut moments))| {
            moments.complete(probability)?;
            let (mean, variance) = (moments.mean(), moments.variance());
            let tensor = |values: &[f64]| Tensor::from_fn(shape.clone(), |i| values[i]);
            Ok((name, (tensor(mean), tensor(&variance))))
        });
        let parameters = finished.collect::<CheckResult<_>>()?;
        let finished = costs.into_iter().map(|(name, mut moments)| {
            moments.complete(probability)?;
            Ok((name, (moments.mean()[0], moments.variance()[0])))
        });
        let costs = finished.collect::<CheckResult<_>>()?;
        Ok(GradientMoments { parameters, costs, outcomes: visited.outcomes, probability })
    }

    /// The exact mean and variance of a derivative of the surrogate along a direction, or of its value for order 0.
    ///
    /// # Errors
    /// The errors of the model, of [`Surrogate::directional`](stochgrad_graph::Surrogate::directional) and of
    /// [`expectation`](Self::expectation).
    pub fn derivative<M>(&self, model: M, directions: &[(&str, Tensor<f64>)], order: usize) -> CheckResult<Moments>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let mut workspace = Workspace::new();
        self.expectation(|noise| {
            let graph = Graph::with_noise(workspace.tape(), noise);
            model(&graph)?;
            let derivative = graph.surrogate()?.directional(directions, order)?;
            Ok(derivative.peek()?.to_vec())
        })
    }

    /// The exact expected total cost.
    ///
    /// # Errors
    /// Those of [`exact_gradient`](Self::exact_gradient).
    pub fn exact_cost<M>(&self, model: M) -> CheckResult<f64>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        self.exact_derivative(model, &[], 0)
    }

    /// The exact gradient of the expected total cost with respect to every parameter, whatever the gradient methods of
    /// the nodes. The oracle enumerates the joint distribution and differentiates the sum. It integrates
    /// reparameterised nodes over their noise instead, which is exact only for costs without jumps in these nodes.
    ///
    /// # Errors
    /// The errors of the model, and those of [`expectation`](Self::expectation).
    pub fn exact_gradient<M>(&self, model: M) -> CheckResult<Vec<(String, Tensor<f64>)>>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let mut workspace = Workspace::new();
        let run = |noise| {
            let tape = workspace.tape();
            let (weighted, parameters) = weighted_cost(tape, noise, &model, false)?;
            let vars: Vec<Var<'_, f64>> = parameters.iter().map(|(_, var)| *var).collect();
            let gradients = tape.backward_all(weighted, &vars)?;
            Ok(parameters.into_iter().map(|(name, _)| name).zip(gradients).collect::<Vec<_>>())
        };
        type Found = BTreeMap<String, (Shape, RunningMoments)>;
        let (moments, visited) = self.enumerate(run, |moments: &mut Found, weight, gradients| {
            for (name, gradient) in gradients {
                check_finite(
                    |element| format!("element {element} of the exact gradient with respect to \"{name}\""),
                    gradient.as_slice(),
                )?;
                add_tensor(moments, &name, weight, &gradient)?;
            }
            Ok(())
        })?;
        let finished = moments.into_iter().map(|(name, (shape, mut moments))| {
            moments.complete(visited.probability)?;
            Ok((name, Tensor::from_fn(shape, |i| moments.mean()[i])))
        });
        finished.collect()
    }

    /// The exact derivative of the expected total cost along a direction, or its value for order 0.
    ///
    /// # Errors
    /// Those of [`exact_gradient`](Self::exact_gradient), and errors for unknown parameters and for directions that do
    /// not have the shape of their parameter.
    pub fn exact_derivative<M>(&self, model: M, directions: &[(&str, Tensor<f64>)], order: usize) -> CheckResult<f64>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let mut workspace = Workspace::new();
        let moments = self.mean_of(|noise| {
            let tape = workspace.tape();
            let (weighted, parameters) = weighted_cost(tape, noise, &model, false)?;
            let mut along = Vec::with_capacity(directions.len());
            for (name, direction) in directions {
                let found = parameters.iter().find(|(known, _)| known == name);
                let (_, var) = found.ok_or_else(|| GraphError::Unknown {
                    what: "parameter",
                    name: (*name).into(),
                    known: parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
                })?;
                along.push((*var, direction));
            }
            let values = directional_derivatives(weighted, &along, order)?;
            Ok(vec![values[order]])
        })?;
        Ok(moments.mean[0])
    }

    /// Compares the exact expectation of the surrogate's derivatives with the exact derivatives of the expected total
    /// cost. Both must agree to `tolerance`, relative to max(1, |expected|).
    ///
    /// At order 0 it compares the values. At each higher order it compares the derivatives along three fixed
    /// pseudo-random directions that mix all parameters and, if the parameters have at most eight elements in all,
    /// along each element.
    ///
    /// It also checks the exact side: for each outcome, it computes the total cost and its gradient a second time with
    /// plain loops, from the costs as they were passed to [`Graph::cost`] and over the members of the plates that each
    /// of them carries.
    ///
    /// # Errors
    /// [`CheckError::Expectation`] for the first wrong derivative; [`CheckError::Library`] if the two computations of
    /// the exact side differ, which is an error of the library and not of the model; the errors of the model, among
    /// them an order above its guarantee; and those of [`expectation`](Self::expectation).
    pub fn verify<M>(&self, model: M, orders: RangeInclusive<usize>, tolerance: f64) -> CheckResult<OracleReport>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let directions = self.directions(&model)?;
        let top = *orders.end();
        let mut workspace = Workspace::new();
        let mut late: Option<String> = None;
        let expected = self.mean_of(|noise| {
            let tape = workspace.tape();
            let (weighted, parameters) = weighted_cost(tape, noise, &model, true)?;
            late = late.take().or_else(|| unforeseen(&directions, &parameters));
            Ok(along_all(tape, weighted, &parameters, &directions, top)?)
        })?;
        let found = self.expectation(|noise| {
            let tape = workspace.tape();
            let graph = Graph::with_noise(tape, noise);
            model(&graph)?;
            let parameters = graph.parameters();
            late = late.take().or_else(|| unforeseen(&directions, &parameters));
            let surrogate = graph.surrogate()?;
            let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
            surrogate.check_order(&names, top)?;
            along_all(tape, surrogate.value(), &parameters, &directions, top)
        })?;
        if let Some(name) = late {
            let expected = "the parameters of the first run".into();
            return Err(CheckError::Runs {
                what: "the list of parameters".into(),
                expected,
                found: format!("\"{name}\" is new"),
            });
        }
        let mut report = OracleReport { worst: Vec::new(), compared: 0, outcomes: found.outcomes };
        for order in orders {
            let mut worst: f64 = 0.0;
            // The value does not depend on the direction.
            let several = if order == 0 { 1 } else { directions.len() };
            for (at, direction) in directions.iter().enumerate().take(several) {
                let slot = at * (top + 1) + order;
                let (expected, found) = (expected.mean[slot], found.mean[slot]);
                let difference = (found - expected).abs() / expected.abs().max(1.0);
                if difference.is_nan() || difference > tolerance {
                    return Err(CheckError::Expectation {
                        order,
                        direction: direction.name.clone(),
                        expected,
                        found,
                        tolerance,
                    });
                }
                worst = worst.max(difference);
                report.compared += 1;
            }
            report.worst.push((order, worst));
        }
        Ok(report)
    }

    /// A source of noise that enumerates outcomes.
    ///
    /// # Errors
    /// For a number of nodes outside its domain.
    pub(crate) fn noise(&self) -> CheckResult<Rc<OracleNoise>> {
        match self.nodes {
            1..=MOST_NODES => Ok(Rc::new(OracleNoise::new(self.nodes))),
            nodes => Err(CheckError::Setting {
                setting: "the number of nodes",
                expected: "from 1 to 1024",
                found: nodes.to_string(),
            }),
        }
    }

    /// The directions of a check, made for the parameters that the first outcome records.
    fn directions<M>(&self, model: &M) -> CheckResult<Vec<Direction>>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let noise = self.noise()?;
        noise.begin();
        let tape = Tape::new();
        let recorded = weighted_cost(&tape, noise.clone(), model, false);
        if let Some(failure) = noise.take_failure() {
            return Err(failure);
        }
        let (_, parameters) = recorded?;
        let shapes: Vec<(String, Shape)> = parameters.into_iter().map(|(name, var)| (name, var.shape())).collect();
        Ok(Direction::several(&shapes))
    }
}

fn add_tensor(
    moments: &mut BTreeMap<String, (Shape, RunningMoments)>,
    name: &str,
    weight: f64,
    tensor: &Tensor<f64>,
) -> CheckResult<()> {
    if !moments.contains_key(name) {
        moments.insert(name.into(), (tensor.shape().clone(), RunningMoments::default()));
    }
    match moments.get_mut(name) {
        Some((shape, moments)) if shape == tensor.shape() => moments.add(weight, tensor.as_slice()),
        known => Err(CheckError::Runs {
            what: format!("the shape of \"{name}\""),
            expected: known.map_or(String::new(), |(shape, _)| shape.to_string()),
            found: tensor.shape().to_string(),
        }),
    }
}

/// The total cost of an outcome of the joint distribution, times a factor with the value 1 and the derivatives of the
/// outcome's probability relative to that probability. With `check`, the result is compared with plain loops over the
/// recorded costs.
fn weighted_cost<'t, M>(
    tape: &'t Tape<f64>,
    noise: Rc<dyn NoiseSource<f64>>,
    model: &M,
    check: bool,
) -> CheckResult<(Var<'t, f64>, Parameters<'t>)>
where
    M: for<'a> Fn(&Graph<'a, f64>) -> GraphResult<()>,
{
    let graph = Graph::with_noise(tape, noise);
    graph.set_joint_distribution(true);
    model(&graph)?;
    let weighted = graph.joint_log_prob().magic_box() * graph.total_cost();
    tape.check()?;
    let parameters = graph.parameters();
    if check {
        check_reduction(&graph, weighted, &parameters)?;
    }
    Ok((weighted, parameters))
}
