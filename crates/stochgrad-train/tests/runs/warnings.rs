//! What runs warn of.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use crate::common::{Out, assert_same_files};
use stochgrad_distributions::{Bernoulli, KlDivergence};
use stochgrad_estimators::{Nvil, ScoreFunction};
use stochgrad_graph::GraphResult;
use stochgrad_nn::{Parameters, Record, Sgd};
use stochgrad_tensor::Tensor;
use stochgrad_train::source::Tensors;
use stochgrad_train::{GradientVariance, Observer, Outcome, Report, TrainResult, Trainer, Warning, WarningKind};

fn parameters() -> Parameters<f64> {
    let mut parameters = Parameters::new();
    parameters.insert("logit", Tensor::scalar(0.2)).unwrap();
    parameters
}

fn data() -> Tensors<f64> {
    Tensors::new().with("x", Tensor::from_fn([40], |i| (i % 5) as f64)).unwrap()
}

/// A large constant in the cost hides the difference between the two values of a bit, unless it is 0.
fn model(record: &Record<'_, '_, f64>, constant: f64) -> GraphResult<()> {
    let x = record.input("x")?;
    let bits = Bernoulli::from_logits(record.param("logit")? + x * record.constant(vec![0.1; 50]));
    let z = record.sample("z", &bits, &ScoreFunction::new())?;
    record.cost("loss", z.sum() + constant)?;
    record.cost("kl", bits.kl_to(&Bernoulli::from_logits(record.constant(0.0))).sum())
}

struct Seen<'a>(&'a RefCell<Vec<Warning>>);

impl Observer for Seen<'_> {
    fn warning(&mut self, warning: &Warning) -> TrainResult<()> {
        self.0.borrow_mut().push(warning.clone());
        Ok(())
    }
}

#[test]
fn a_gradient_of_noise_is_found_and_one_with_a_signal_is_not() {
    // With the constant c, the gradient of a logit of a member has the variance c² p (1 − p), a signal of p (1 − p), and
    // the 50 logits of 4 members are independent: the ratio is about 1 / (2 c).
    for (constant, expected) in [(1000.0, vec![("z", 100)]), (-25.0, vec![])] {
        let seen = RefCell::default();
        let report = Trainer::new(Sgd::new(0.0))
            .steps(200)
            .batch(4)
            .quiet()
            .gradient_variance(GradientVariance::of::<&str>([]).at_nodes(["z"]).every(10).evaluations(30))
            .observe(Seen(&seen))
            .fit(&mut parameters(), &data(), |record| model(record, constant))
            .unwrap();
        let found: Vec<(&str, u64)> = report.warnings.iter().map(|it| (it.subject.as_str(), it.step)).collect();
        assert_eq!(found, expected, "{:?}", report.warnings);
        assert_eq!(report.warnings, *seen.borrow());
    }
}

fn run(out: &Path, until: Option<u64>) -> Report {
    let mut steps = 0;
    Trainer::new(Sgd::new(0.1))
        .steps(60)
        .batch(4)
        .quiet()
        .out(out)
        .warn_below("kl", 1e3, 7)
        .warn_below("loss", -1e3, 7)
        .gradient_variance(GradientVariance::of::<&str>([]).at_nodes(["z"]).every(5).evaluations(2))
        .on_step(|_| {
            steps += 1;
            if Some(steps) == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .fit(&mut parameters(), &data(), |record| model(record, 0.0))
        .unwrap()
}

#[test]
fn a_resumed_run_warns_as_an_uninterrupted_one_and_once() {
    let (whole, resumed) = (Out::new(), Out::new());
    let report = run(whole.path(), None);
    assert_eq!(report.warnings.len(), 1);
    let Warning { kind, subject, step, steps, limit, .. } = &report.warnings[0];
    assert_eq!((*kind, subject.as_str(), *step, *steps, *limit), (WarningKind::SmallCost, "kl", 7, 7, 1e3));
    assert!(report.to_string().contains("\nwarning: step 7: the cost \"kl\" was "), "{report}");
    let summary = std::fs::read_to_string(whole.path().join("summary.json")).unwrap();
    assert!(summary.contains("\"step 7: the cost"), "{summary}");
    while run(resumed.path(), Some(3)).outcome != Outcome::Completed {}
    assert_same_files(whole.path(), resumed.path());
}

#[test]
fn a_baseline_that_learns_too_slowly_is_found_and_one_that_has_settled_is_not() {
    for (rate, expected) in [(1e-6, vec![("z", 1100)]), (0.01, vec![])] {
        let method = ScoreFunction::new().baseline(Nvil::new().hidden(3).of_data("x").learning_rate(rate));
        let report = Trainer::new(Sgd::new(0.0))
            .steps(2300)
            .batch(8)
            .quiet()
            .fit(&mut parameters(), &data(), |record| {
                let x = record.input("x")?;
                let z = record.sample("z", &Bernoulli::from_logits(record.param("logit")? + 0.0 * x), &method)?;
                record.cost("loss", (z - x).square())
            })
            .unwrap();
        let found: Vec<(&str, u64)> = report.warnings.iter().map(|it| (it.subject.as_str(), it.step)).collect();
        assert_eq!(found, expected, "{:?}", report.warnings);
        assert!(report.warnings.iter().all(|it| it.kind == WarningKind::Unsettled));
    }
}

#[test]
fn unusable_limits_are_errors() {
    let fit = |cost: &str, limit, steps| {
        let trainer = Trainer::new(Sgd::new(0.1)).steps(1).quiet().warn_below(cost, limit, steps);
        trainer.fit(&mut parameters(), &data(), |record| model(record, 0.0)).unwrap_err().to_string()
    };
    let message = fit("divergence", 0.1, 5);
    assert!(message.contains("`Trainer::warn_below`: expected one of the costs loss, kl, got divergence"), "{message}");
    let message = fit("kl", 0.1, 0);
    assert!(message.contains("`Trainer::warn_below`") && message.contains("at least 1 step"), "{message}");
    assert!(fit("kl", f64::NAN, 5).contains("not NaN"));
}
