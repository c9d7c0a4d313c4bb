//! Batch normalisation behind a stochastic node. The test has a file of its own, since a process has one logger.

mod kept_log;

use stochgrad::nn::{Adam, BatchNorm, Inputs, Layer, Parameters};
use stochgrad::prelude::*;

#[test]
fn a_warning_suggests_group_normalisation_once() {
    kept_log::start();
    let mut parameters = Parameters::<f64>::new();
    parameters.insert("logits", Tensor::from([0.3, -0.2])).unwrap();
    let before = BatchNorm::new(&mut parameters, "before", 2).unwrap();
    let behind = BatchNorm::new(&mut parameters, "behind", 2).unwrap();
    let mut step = Step::new(|record: &Record<'_, '_, f64>| {
        let x = before.forward(record, record.input("x")?)?;
        let z = record.sample("z", &Bernoulli::from_logits(x + record.param("logits")?), &ScoreFunction::new())?;
        record.cost("cost", behind.forward(record, z + x)?.square().sum())
    });
    let x = Tensor::from_fn([5, 2], |i| (i as f64).sin());
    for number in 0..3 {
        let inputs = Inputs::new().batch("x", &x);
        step.train(&mut parameters, &mut Adam::new(0.01), &inputs, Seed::new(7).step(number)).unwrap();
    }
    let message = kept_log::only_warning();
    for part in ["`behind.weight`", "members of batch", "GroupNorm"] {
        assert!(message.contains(part), "{message}");
    }
}
