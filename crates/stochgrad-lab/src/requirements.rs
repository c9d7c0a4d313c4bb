//! What each gradient method needs, as the reason why a catalogue does not have it.

/// A method of the library that the catalogue of a family of distributions does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotApplicable {
    /// The name of the method or of the baseline.
    pub method: &'static str,
    /// What it needs, which the family does not offer or only you know.
    pub reason: &'static str,
}

impl std::fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.method, self.reason)
    }
}

const FINITE: &str = "it needs a finite support";
const BITS: &str = "it needs independent bits";
const CATEGORIES: &str = "it needs independent categories as bits or one-hot vectors";
const RELAXED: &str = "it needs a continuous relaxation of a discrete distribution";
const PATH: &str = "it needs samples that are differentiable in the parameters";
const JUMPS: &str = "it needs the jump rates of a discrete sample";

/// All methods and baselines with what they need.
const REQUIREMENTS: [(&str, &str); 67] = [
    ("ScoreFunction", "it needs a support that does not depend on the parameters"),
    ("Enumerate", FINITE),
    ("Pathwise", PATH),
    ("SmoothedPerturbation", "it needs samples that are differentiable in the parameters, and a distribution function"),
    ("ImplicitPathwise", "it needs a continuous distribution with a differentiable distribution function"),
    ("Pairwise", "it needs a continuous distribution with a distribution function"),
    ("GeneralizedReparameterization", "it needs gamma variates, or other noise with a log-density"),
    ("MeasureValued", "it needs a weak derivative"),
    ("StochasticDerivatives", JUMPS),
    ("UnorderedSet", FINITE),
    ("SumAndSample", FINITE),
    ("WithoutReplacement", FINITE),
    ("SequenceSet", "it needs sequences that were drawn without replacement"),
    ("SumAndSampleAround", "it needs a method of your choice for the states that are not summed"),
    ("ImportanceSampling", "it needs a distribution to draw from: a tempered one, or one of yours"),
    ("Reservoir", "it needs the weak or stochastic derivatives of the method inside"),
    ("ReplayBudget", "it needs the weak or stochastic derivatives of the method inside"),
    ("LocalExpectation", FINITE),
    ("GradientCritic", "it needs a critic that the model records"),
    ("DiscreteGo", "it needs integers with a known distribution function"),
    ("BitFlip", BITS),
    ("Ugc", BITS),
    ("Smoothed", JUMPS),
    ("FiniteDifference", "nothing"),
    ("Spsa", "nothing"),
    ("EvolutionStrategy", "nothing"),
    ("DisArm", BITS),
    ("Arm", BITS),
    ("Arms", BITS),
    ("CategoricalDisArm", CATEGORIES),
    ("Carms", CATEGORIES),
    ("Arsm", CATEGORIES),
    ("Ars", CATEGORIES),
    ("DoubleControlVariate", "it needs a discrete distribution with a known mean"),
    ("Rodeo", BITS),
    ("Rebar", RELAXED),
    ("Relax", RELAXED),
    ("Lax", PATH),
    ("StraightThrough", RELAXED),
    ("ReinMax", RELAXED),
    ("Mve", RELAXED),
    ("Fini", "it needs counts with a quadratic variance, such as a binomial distribution"),
    ("GumbelRao", RELAXED),
    ("GappedStraightThrough", "it needs one-hot vectors"),
    ("Simple", "it needs a finite support and a known mean"),
    ("ImplicitMle", "it needs a solver of yours"),
    ("GumbelSinkhorn", "it needs square matrices of scores"),
    ("GeneralizedGumbelSoftmax", "it needs counts, and a last count of yours"),
    ("Auto", "it needs a finite support or differentiable samples, else it is the score function"),
    ("GumbelSoftmax", RELAXED),
    ("LeaveOneOut", "nothing"),
    ("BatchMean", "nothing"),
    ("Vimco", "nothing"),
    ("Ovis", "nothing"),
    ("OvisMonteCarlo", "it needs a number of auxiliary samples of yours"),
    ("MovingAverage", "nothing"),
    ("OptimalBaseline", "nothing"),
    ("Nvil", "nothing"),
    ("SelfCritical", "it replays the cost at the mode of a discrete distribution"),
    ("FreshSample", "it replays the cost at another draw of a discrete distribution"),
    ("RecordedBaseline", "it needs a value that the model records"),
    ("MuProp", "it replays the cost at the mean of a discrete distribution; for others, use a path derivative"),
    ("DeltaMethod", "it needs bits, or a continuous distribution with known moments"),
    ("ControlFunction", "it needs a function of yours with a known mean"),
    ("LinearControlVariates", "it needs control variates of your choice"),
    ("Constant", "it needs a number of yours"),
    ("FnBaseline", "it needs a function of yours"),
];

/// The methods of which no label is made.
pub(crate) fn missing<'a>(labels: impl Iterator<Item = &'a str> + Clone) -> Vec<NotApplicable> {
    let is_used = |method: &str| labels.clone().any(|label| words(label).any(|word| word == method));
    let missing = REQUIREMENTS.into_iter().filter(|(method, _)| !is_used(method));
    missing.map(|(method, reason)| NotApplicable { method, reason }).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_baseline_of_the_library_has_its_requirement() {
        let page = include_str!("../../stochgrad-estimators/src/lib.rs");
        let is_row = |line: &&str| line.starts_with("//! | [`");
        // The first two tables have the methods and the baselines; the names are in the first column.
        let end = page.find("Functions of expectations").expect("a third table");
        let rows = page[..end].lines().filter(is_row);
        let mut count = 0;
        for cell in rows.filter_map(|row| row.split('|').nth(1)) {
            for name in cell.split("[`").skip(1).filter_map(|rest| rest.split('`').next()) {
                // The trait of baselines.
                if name == "Baseline" {
                    continue;
                }
                assert!(REQUIREMENTS.iter().any(|(method, _)| *method == name), "{name} has no requirement");
                count += 1;
            }
        }
        assert_eq!(count, REQUIREMENTS.len());
    }

    #[test]
    fn a_word_is_not_a_part_of_another() {
        let found = missing(["Arms::new(4)", "ScoreFunction::new().baseline(LeaveOneOut)"].into_iter());
        let has = |name: &str| found.iter().any(|one| one.method == name);
        assert!(has("Arm") && !has("Arms") && !has("LeaveOneOut") && !has("ScoreFunction") && has("Carms"));
    }
}
