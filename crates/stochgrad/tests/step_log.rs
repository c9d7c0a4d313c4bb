//! The warnings of step functions. They are a test of their own, since a process has one logger.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record as Entry};
use stochgrad::nn::{Inputs, Parameters};
use stochgrad::prelude::*;

/// Keeps all messages.
struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, entry: &Entry<'_>) {
        self.0.lock().unwrap().push((entry.level(), entry.args().to_string()));
    }

    fn flush(&self) {}
}

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

#[test]
fn host_code_is_logged_once_with_its_line() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(LevelFilter::Warn);
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
    let kept = KEPT.0.lock().unwrap();
    let [(level, message)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(*level, Level::Warn);
    assert!(message.starts_with("every step is recorded"), "{message}");
    assert!(message.contains(&format!("step_log.rs:{line}")), "{message}");
}
