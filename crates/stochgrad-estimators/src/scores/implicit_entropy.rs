//! The derivative of the entropy of an implicit distribution through its samples.

use stochgrad_graph::{Bias, Graph, GraphResult, Guarantee, Order};
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// A scalar of value 0 with the derivative of $\ln q_\theta(x)$ through the samples $x$, given an estimate of the score
/// $\nabla_x \ln q_\theta$ at each of them. It stands for the log-density of an implicit distribution in the cost of
/// variational inference.
///
/// For a sample $x = g_\theta(\varepsilon)$,
/// $\nabla_\theta\, \mathbb E \ln q_\theta(x) = \mathbb E\big[\nabla_x \ln q_\theta(x)^\top \nabla_\theta\, g_\theta(\varepsilon)\big]$,
/// because the score with respect to $\theta$ has mean zero. The value of $\ln q$ is not known, so that the cost that
/// is reported is the cross-entropy alone.
///
/// The guarantee of the gradients states the bias of the estimated score.
///
/// ```
/// use stochgrad_distributions::{Distribution, Normal};
/// use stochgrad_estimators::{Pathwise, SpectralStein, implicit_log_density};
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let samples = graph.plate("samples", 100)?;
/// let noise = graph.sample("noise", &Normal::new(graph.constant(0.0), 1.0), &Pathwise::new().on_plate(samples))?;
/// let x = noise * graph.param("scale", 0.5)?; // pretend that its density is unknown
/// let score = SpectralStein::new().score(x, samples)?;
/// let log_joint = Normal::new(graph.constant(0.0), 2.0).log_prob(x);
/// graph.cost("loss", implicit_log_density(&graph, x, score)? - log_joint)?;
/// let gradients = graph.backward()?;
/// // The divergence from N(0, s²) to N(0, 4) has the derivative s / 4 − 1 / s.
/// assert!((gradients.get("scale")?.item()? + 1.875).abs() < 0.3);
/// assert_eq!(gradients.guarantee("scale")?.bias, Bias::Gradient);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Earlier errors on the tape, also for a score that does not have the shape of the samples.
#[track_caller]
pub fn implicit_log_density<'t, F: Real>(
    graph: &Graph<'t, F>,
    samples: Var<'t, F>,
    score: Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let tape = graph.tape();
    let term = tape.constant(0.0).straight_through((score.held() * samples).sum());
    tape.check()?;
    let guarantee = Guarantee { bias: Bias::Gradient, order: Order::Finite(1) };
    graph.qualify(&[samples], guarantee, "the score of an implicit distribution is an estimate");
    Ok(term)
}
