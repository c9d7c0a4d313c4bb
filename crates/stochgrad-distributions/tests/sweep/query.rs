//! The functions of a distribution, evaluated with their derivatives.

use crate::distributions::{Entry, Precision};
use crate::parameters::Kind;
use stochgrad_distributions::Distribution;
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// A function of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    LogProb,
    Cdf,
    Survival,
    LogCdf,
    LogSurvival,
    Quantile,
    InverseSurvival,
    Mean,
    Variance,
    Entropy,
}

impl Function {
    pub(crate) const ALL: [Function; 10] = [
        Function::LogProb,
        Function::Cdf,
        Function::Survival,
        Function::LogCdf,
        Function::LogSurvival,
        Function::Quantile,
        Function::InverseSurvival,
        Function::Mean,
        Function::Variance,
        Function::Entropy,
    ];

    /// The name of the method.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::LogProb => "log_prob",
            Function::Cdf => "cdf",
            Function::Survival => "survival",
            Function::LogCdf => "log_cdf",
            Function::LogSurvival => "log_survival",
            Function::Quantile => "icdf",
            Function::InverseSurvival => "inverse_survival",
            Function::Mean => "mean",
            Function::Variance => "variance",
            Function::Entropy => "entropy",
        }
    }

    /// What the argument is.
    pub(crate) fn takes(self) -> Takes {
        match self {
            Function::LogProb | Function::Cdf | Function::Survival | Function::LogCdf | Function::LogSurvival => {
                Takes::Value
            }
            Function::Quantile | Function::InverseSurvival => Takes::Probability,
            Function::Mean | Function::Variance | Function::Entropy => Takes::Nothing,
        }
    }
}

/// The argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Value,
    Probability,
    Nothing,
}

/// A value, and its derivatives with respect to the parameters and then the argument.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) value: f64,
    pub(crate) slopes: Vec<f64>,
}

/// What a distribution says to a query.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// An answer for each argument.
    Answers(Vec<Answer>),
    /// It does not have the function.
    Missing,
    /// An error, with its text.
    Refused(String),
}

fn recorded<'t, F: Precision>(
    distribution: &dyn Distribution<'t, F>,
    function: Function,
    argument: Var<'t, F>,
) -> Option<Var<'t, F>> {
    let capabilities = distribution.capabilities();
    match function {
        Function::LogProb => Some(distribution.log_prob_each(argument)),
        Function::Cdf => Some(capabilities.cdf?.cdf(argument)),
        Function::Survival => Some(capabilities.cdf?.survival(argument)),
        Function::LogCdf => Some(capabilities.cdf?.log_cdf(argument)),
        Function::LogSurvival => Some(capabilities.cdf?.log_survival(argument)),
        Function::Quantile => Some(capabilities.icdf?.icdf(argument)),
        Function::InverseSurvival => Some(capabilities.icdf?.inverse_survival(argument)),
        Function::Mean => distribution.mean(),
        Function::Variance => distribution.variance(),
        Function::Entropy => Some(capabilities.entropy?.entropy()),
    }
}

/// Evaluates a function at some arguments, each with its own copy of the parameters, so that all derivatives follow
/// from one backward pass. A function without an argument is evaluated once.
pub(crate) fn ask<F: Precision>(entry: &Entry, parameters: &[f64], function: Function, arguments: &[f64]) -> Reply {
    let count = if function.takes() == Takes::Nothing { 1 } else { arguments.len() };
    let tape = Tape::<F>::new();
    let leaf = |(&parameter, kind): (&f64, &Kind)| match kind.is_whole() {
        true => tape.constant(vec![parameter; count]),
        false => tape.parameter(vec![parameter; count]),
    };
    let mut leaves: Vec<Var<'_, F>> = parameters.iter().zip(entry.kinds).map(leaf).collect();
    let distribution = F::build(entry, &leaves);
    if let Err(error) = distribution.validate() {
        return Reply::Refused(error.to_string());
    }
    // Values of discrete distributions have none either.
    let constant = entry.range.is_discrete() && function.takes() == Takes::Value;
    let numbers = if function.takes() == Takes::Nothing { vec![0.0] } else { arguments.to_vec() };
    let argument = if constant { tape.constant(numbers) } else { tape.parameter(numbers) };
    leaves.push(argument);
    // Derivatives with respect to constants are 0; some functions refuse a request for them.
    let is_count = |i: usize| entry.kinds.get(i).map_or(constant, |kind| kind.is_whole());
    let asked: Vec<Var<'_, F>> = (0..leaves.len()).filter(|&i| !is_count(i)).map(|i| leaves[i]).collect();
    let Some(result) = recorded(distribution.as_ref(), function, argument) else { return Reply::Missing };
    let result = result.broadcast_to([count]);
    match (result.peek(), tape.backward_all(result.sum(), &asked)) {
        (Ok(values), Ok(gradients)) => {
            let numbers = |tensor: &Tensor<F>| tensor.as_slice().iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
            let mut found = gradients.iter().map(numbers);
            let slope = |i| if is_count(i) { None } else { found.next() };
            let slopes: Vec<Vec<f64>> = (0..leaves.len()).map(slope).map(|s| s.unwrap_or(vec![0.0; count])).collect();
            let answer = |(i, value): (usize, f64)| Answer { value, slopes: slopes.iter().map(|s| s[i]).collect() };
            Reply::Answers(numbers(&values).into_iter().enumerate().map(answer).collect())
        }
        (Err(error), _) => Reply::Refused(error.to_string()),
        (_, Err(error)) => Reply::Refused(error.to_string()),
    }
}
