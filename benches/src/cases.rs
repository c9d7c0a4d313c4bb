//! The cases that are timed against other systems.

use crate::{BenchResult, gradient_moments, small_graphs, vae};

/// One call of a step is what is timed.
pub type Step = Box<dyn FnMut() -> BenchResult<()>>;

/// What sets a step up, for kernels on a number of threads.
pub type Setup = Box<dyn Fn(usize) -> BenchResult<Step>>;

/// A case: its names, by which it is found in the timings of other systems, and what sets it up.
pub struct Case {
    /// The kind of case: `a`, `b` and `d` are training steps, `c` small graphs, `e` moments of gradients.
    pub group: &'static str,
    /// The model and the gradient method.
    pub method: String,
    /// What sets a step up.
    pub setup: Setup,
}

impl Case {
    /// A case of that name.
    pub fn new(
        group: &'static str,
        method: impl Into<String>,
        setup: impl Fn(usize) -> BenchResult<Step> + 'static,
    ) -> Self {
        Self { group, method: method.into(), setup: Box::new(setup) }
    }

    /// Whether the case's full name, `group/method/stochgrad`, holds a text.
    pub fn matches(&self, text: &str) -> bool {
        format!("{}/{}/stochgrad", self.group, self.method).contains(text)
    }
}

/// All cases, group by group.
pub fn all() -> Vec<Case> {
    let mut cases = vae::cases();
    cases.extend(small_graphs::cases());
    cases.extend(gradient_moments::cases());
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let cases = all();
        let names: HashSet<(&str, &str)> = cases.iter().map(|case| (case.group, case.method.as_str())).collect();
        assert_eq!(names.len(), cases.len());
        let count = |group: &str| cases.iter().filter(|case| case.group == group).count();
        assert_eq!(["a", "b", "c", "d", "e"].map(count), [6, 7, 9, 2, 13]);
    }

    #[test]
    fn a_case_is_found_by_a_part_of_its_name() {
        let case = Case::new("a", "disarm pair", |_| Err("never set up".into()));
        assert!(case.matches("") && case.matches("disarm") && case.matches("a/dis") && !case.matches("relax"));
    }

    #[test]
    fn the_cheap_cases_run() {
        for case in all().into_iter().filter(|case| case.group == "c") {
            let mut step = (case.setup)(1).expect("a step");
            step().and_then(|()| step()).expect("two steps");
        }
    }
}
