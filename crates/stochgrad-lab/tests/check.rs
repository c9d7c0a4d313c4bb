//! Checks of methods and distributions, right and wrong ones.

use stochgrad_check::Oracle;
use stochgrad_distributions::testing::{DistributionCheck, Domain};
use stochgrad_distributions::{
    Bernoulli, Distribution, DistributionResult, Draw, Exponential, Family, Gamma, Normal, Poisson,
    ScoreDifferentiable, declared, distribution, positive,
};
use stochgrad_estimators::{DisArm, Pathwise, ScoreFunction, StraightThrough};
use stochgrad_graph::{
    GradientMethod, Graph, GraphResult, Method, Order, Path, Profile, SampleContext, SamplePlate, SampleSet,
};
use stochgrad_lab::{Check, CheckReport, Verdict};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// The score function, with errors that one would make.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Error {
    /// Its gradient function is three times too large.
    Factor,
    /// It declares every order, but only the first derivative is right.
    Order,
}

#[derive(Clone, Debug)]
struct Wrong(Error);

impl Method for Wrong {
    fn name(&self) -> String {
        format!("wrong: {:?}", self.0)
    }

    fn profile(&self) -> Profile {
        Profile::unbiased(Order::Any)
    }
}

impl<D: Family<f64>> GradientMethod<f64, D> for Wrong {
    fn sample<'t>(&self, context: &SampleContext<'_, 't, f64>, d: &D::On<'t>) -> GraphResult<SampleSet<'t, f64>> {
        context.independent(d, SamplePlate::Single)
    }

    fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
        let score = d.log_prob(x);
        Some(match self.0 {
            Error::Factor => score * 3.0,
            Error::Order => score + (score - score.stop_gradient()).square(),
        })
    }
}

distribution! {
    /// An exponential distribution whose density lacks the factor of the rate.
    pub struct Lopsided {
        /// The rate.
        rate: positive,
    }
    support: Interval
}

impl<'t, F: Real> Distribution<'t, F> for Lopsided<Var<'t, F>> {
    declared!();

    fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
        -self.rate * value
    }

    fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
        let u = draw.record_uniform(self.rate.tape(), &self.event_shape())?;
        Ok((-u.ln() / self.rate).stop_gradient())
    }
}

impl<'t, F: Real> ScoreDifferentiable<'t, F> for Lopsided<Var<'t, F>> {}

fn quick<'c>(
    name: &str,
    draw: impl for<'t> Fn(&Graph<'t, f64>, &str, Var<'t, f64>) -> GraphResult<Var<'t, f64>> + 'c,
) -> Check<'c> {
    Check::new(name, draw).random_models(4).runs(300).oracle(Oracle::new().max_outcomes(600).nodes(4))
}

fn failed_parts(report: &CheckReport) -> Vec<&'static str> {
    let mut parts: Vec<_> = report.failures().map(|row| row.part).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

#[test]
fn methods_without_an_error_pass() {
    let disarm = quick("DisARM", |graph, name, t| graph.sample(name, &Bernoulli::from_logits(t), &DisArm::new())).run();
    let text = disarm.to_string();
    assert!(text.contains("DisARM") && text.contains("surrogate") && text.contains("compiled"), "{text}");
    // Of 7 standard graphs with at most four parts, one is refused, and two cannot be compiled without their data.
    assert_eq!(disarm.rows.len(), 6 * 4 - 2 + 1 + 4, "{text}");
    disarm.passed().unwrap();
    quick("a normal variable", |graph, name, t| graph.sample(name, &Normal::new(t, 0.5), &Pathwise::new()))
        .run()
        .passed()
        .unwrap();
    // The oracle cuts counts off, and cannot enumerate gamma variates: means are compared there.
    let counts = quick("counts", |graph, name, t| {
        graph.sample(name, &Poisson::from_rate((t * 0.5).exp()), &ScoreFunction::new())
    })
    .random_models(0);
    counts.run().passed().unwrap();
    let gamma = quick("gamma", |graph, name, t| {
        let shape = (t * 0.3).exp() + 0.5;
        Ok((graph.sample(name, &Gamma::new(shape, 2.0), &ScoreFunction::new())? + 1.0).ln())
    })
    .run();
    assert!(gamma.rows.iter().any(|row| matches!(row.verdict, Verdict::Unknown(_))), "{gamma}");
    assert!(
        gamma.rows.iter().any(|row| row.part == "gradient" && matches!(row.verdict, Verdict::Agreed(_))),
        "{gamma}"
    );
    gamma.passed().unwrap();
}

#[test]
fn wrong_methods_are_caught() {
    for error in [Error::Factor, Error::Order] {
        let report =
            quick("wrong", move |graph, name, t| graph.sample(name, &Bernoulli::from_logits(t), &Wrong(error)));
        let report = report.run();
        assert!(failed_parts(&report).contains(&"surrogate"), "{error:?}: {report}");
        assert_eq!(failed_parts(&report).contains(&"gradient"), error == Error::Factor, "{report}");
        let message = report.passed().unwrap_err().to_string();
        assert!(message.contains("the check of wrong failed") && message.contains("expected"), "{message}");
    }
}

#[test]
fn a_declared_bias_is_measured_and_a_refusal_is_listed() {
    let biased = quick("straight-through", |graph, name, t| {
        graph.sample(name, &Bernoulli::from_logits(t), &StraightThrough::new(1.0))
    });
    let report = biased.run();
    let bias = report.rows.iter().find(|row| row.subject == "chain").unwrap();
    assert!(matches!(&bias.verdict, Verdict::Biased(words) if words.contains("a bias of")), "{report}");
    report.passed().unwrap();

    let refused = quick("a jump", |graph, name, t| {
        let x = graph.sample(name, &Normal::new(t, 1.0), &Pathwise::new())?;
        Ok(x.gt(graph.constant(0.5)).select(graph.constant(1.0), graph.constant(0.0)))
    });
    let report = refused.run();
    assert!(report.rows.iter().all(|row| matches!(row.verdict, Verdict::Refused(_))), "{report}");
    assert!(report.passed().unwrap_err().to_string().contains("surrogate, chain"));
}

#[test]
fn wrong_distributions_are_caught() {
    // The score function agrees with the derivative of the wrong density, but its mean derivative is not 0.
    let report = quick("lopsided", |graph, name, t| {
        graph.sample(name, &Lopsided { rate: (t * 0.2).exp() }, &ScoreFunction::new())
    });
    assert!(failed_parts(&report.random_models(0).run()).contains(&"score"));
    let right = quick("exponential", |graph, name, t| {
        graph.sample(name, &Exponential::new((t * 0.2).exp()), &ScoreFunction::new())
    })
    .random_models(0)
    .function(
        "log-density",
        |_, inputs| Exponential::new(inputs[0]).log_prob_each(inputs[1]),
        [Tensor::scalar(1.3), Tensor::from([0.2, 2.0])],
    )
    .distribution(DistributionCheck::new(|p| Box::new(Exponential::new(p[0])), &[1.3], Domain::HalfLine), &[0.3, 1.7])
    .run();
    assert!(right.rows.iter().any(|row| row.part == "derivatives"), "{right}");
    right.passed().unwrap();
    let wrong = DistributionCheck::new(|p| Box::new(Lopsided { rate: p[0] }), &[1.3], Domain::HalfLine);
    let wrong = quick("lopsided", |graph, name, t| {
        graph.sample(name, &Lopsided { rate: (t * 0.2).exp() }, &ScoreFunction::new())
    })
    .random_models(0)
    .distribution(wrong, &[0.3])
    .run();
    assert!(failed_parts(&wrong).contains(&"distribution"), "{wrong}");
    // A function whose derivative is detached.
    let wrong =
        Check::new("detached", |graph, name, t| graph.sample(name, &Bernoulli::from_logits(t), &ScoreFunction::new()))
            .random_models(0)
            .runs(100)
            .function("square", |_, x| x[0] * x[0].stop_gradient(), [Tensor::scalar(1.3)])
            .run();
    assert_eq!(failed_parts(&wrong), ["derivatives"]);
}
