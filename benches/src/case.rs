//! One timed case: a model with a gradient method.

use std::rc::Rc;

use crate::BenchResult;
use crate::training::Training;

/// A step; each call of it is timed.
pub type Step = Box<dyn FnMut() -> BenchResult<()>>;

/// Sets up a step, with kernels on this number of threads.
pub type Setup = Box<dyn Fn(usize) -> BenchResult<Step>>;

/// Sets up a model in training, with kernels on this number of threads.
pub type TrainingSetup = Rc<dyn Fn(usize) -> BenchResult<Training>>;

/// A case: its names, which the timings of other systems share, and the function that sets it up.
pub struct Case {
    /// The kind of case: `a`, `b` and `d` are training steps, `c` small graphs, `e` moments of gradients.
    pub group: &'static str,
    /// The model and the gradient method.
    pub method: String,
    /// Sets up the step.
    pub setup: Setup,
    /// Sets up the model, if the step is one of training.
    pub training: Option<TrainingSetup>,
}

impl Case {
    /// A case with these names.
    pub fn new(
        group: &'static str,
        method: impl Into<String>,
        setup: impl Fn(usize) -> BenchResult<Step> + 'static,
    ) -> Self {
        Self { group, method: method.into(), setup: Box::new(setup), training: None }
    }

    /// A case whose step is one training step of a model.
    pub fn training(
        group: &'static str,
        method: impl Into<String>,
        setup: impl Fn(usize) -> BenchResult<Training> + 'static,
    ) -> Self {
        let setup: TrainingSetup = Rc::new(setup);
        let training = Some(setup.clone());
        let step = move |threads| -> BenchResult<Step> {
            let mut training = setup(threads)?;
            Ok(Box::new(move || training.step().map(drop)))
        };
        Self { training, ..Self::new(group, method, step) }
    }

    /// Whether the full name of the case, `group/method/stochgrad`, contains a text.
    pub fn matches(&self, text: &str) -> bool {
        format!("{}/{}/stochgrad", self.group, self.method).contains(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_found_by_a_part_of_its_name() {
        let case = Case::new("a", "disarm pair", |_| Err("never set up".into()));
        assert!(case.matches("") && case.matches("disarm") && case.matches("a/dis") && !case.matches("relax"));
    }
}
