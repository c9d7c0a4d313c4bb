//! The warnings of step functions. They are a test of their own, since a process has one logger.

mod kept_log;

use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;

#[test]
fn host_code_is_logged_once_with_its_line() {
    kept_log::start();
    let mut parameters = Parameters::<f64>::new();
    parameters.insert("slope", Tensor::scalar(2.0)).unwrap();

    let mut repeated = Step::new(|record: &Record<'_, '_, f64>| record.cost("cost", record.param("slope")?));
    let line = line!() + 3;
    let mut branching = Step::new(|record: &Record<'_, '_, f64>| {
        let slope = record.param("slope")?;
        let cost = if slope.item()? > 0.0 { slope.square() } else { slope };
        record.cost("cost", cost)
    });
    for step in 0..5 {
        let seed = Seed::new(7).step(step);
        for model in [&mut repeated, &mut branching] {
            model.run(&parameters, &Inputs::new(), seed).unwrap();
            model.run(&parameters, &Inputs::new().value("unused", 1.0), seed).unwrap();
            model.evaluate(&parameters, &Inputs::new(), seed).unwrap();
        }
    }
    let message = kept_log::only_warning();
    assert!(message.starts_with("every step is recorded"), "{message}");
    assert!(message.contains(&format!("step_log.rs:{line}")), "{message}");
}
