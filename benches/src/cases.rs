//! The cases that are timed against other systems.

use crate::case::Case;
use crate::{
    belief_net, conv_vae, gradient_moments, hidden_markov, measure_valued, recurrent_sampler, small_graphs, vae,
};

/// All cases, group by group.
pub fn all() -> Vec<Case> {
    let mut cases = vae::cases();
    cases.extend(small_graphs::cases());
    cases.extend(gradient_moments::cases());
    cases.extend(measure_valued::cases());
    cases.extend(conv_vae::cases());
    cases.extend(hidden_markov::cases());
    cases.extend(recurrent_sampler::cases());
    cases.extend(belief_net::cases());
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_names_of_cases_are_unique() {
        let cases = all();
        let names: HashSet<(&str, &str)> = cases.iter().map(|case| (case.group, case.method.as_str())).collect();
        assert_eq!(names.len(), cases.len());
        let count = |group: &str| cases.iter().filter(|case| case.group == group).count();
        assert_eq!(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(count), [6, 7, 9, 2, 13, 1, 2, 1, 1, 1]);
    }

    #[test]
    fn the_cheap_cases_run() {
        for case in all().into_iter().filter(|case| case.group == "c") {
            let mut step = (case.setup)(1).expect("a step");
            step().and_then(|()| step()).expect("two steps");
        }
    }
}
