//! The flags that depend on the gradient method: samples, sampling scheme and temperatures.

use stochgrad::tensor::sobol::DIMENSIONS as SOBOL_DIMENSIONS;

use crate::annealing::Annealing;
use crate::arguments::Arguments;
use crate::arguments::resolve::positive;
use crate::latent::Latent;
use crate::method_name::{MethodName, SchemeName};
use crate::size_limits::MOST_STATES;
use crate::usage_error::UsageError;

/// Sets of states, and sums over the most likely ones, have fewer members than this.
const MOST_SET: u128 = 11;

impl Arguments {
    /// The samples per image, which must suit the method and the latent variables.
    pub(super) fn samples(&self, latent: Latent) -> Result<usize, UsageError> {
        let samples = self.samples.unwrap_or(self.method.default_samples());
        positive("--samples", samples, "omit it for the default")?;
        let (fewest, why) = self.method.fewest_samples();
        if samples < fewest {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: format!("at least {fewest} for {why}"),
                found: samples.to_string(),
                hint: "try --samples 4, or --method moving-average",
            });
        }
        if self.method.is_paired() && samples % 2 == 1 {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: format!("an even number for {}, which draws pairs", self.method),
                found: samples.to_string(),
                hint: "try --samples 2 or 4, or --method arms",
            });
        }
        if self.method.needs_bits() && !matches!(latent, Latent::Bernoulli { .. }) {
            return Err(UsageError::bits_only(self.method.name()));
        }
        if self.method == MethodName::Enumerate && self.samples.is_some() {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: "no value for enumerate, which evaluates every state".to_owned(),
                found: samples.to_string(),
                hint: "omit it",
            });
        }
        if self.method.lists_states() {
            self.check_states(latent, samples)?;
        }
        Ok(samples)
    }

    /// Refuses more joint states than can be listed, and sets of states that are not smaller than the support.
    fn check_states(&self, latent: Latent, samples: usize) -> Result<(), UsageError> {
        if self.method != MethodName::Enumerate
            && latent.states().is_some_and(|states| samples as u128 >= states.min(MOST_SET))
        {
            return Err(UsageError::Value {
                flag: "--samples",
                expected: format!(
                    "fewer than {}, the smaller of {MOST_SET} and the number of states",
                    latent.states().unwrap_or(MOST_SET).min(MOST_SET)
                ),
                found: samples.to_string(),
                hint: "try --samples 4, or --method enumerate",
            });
        }
        if latent.states().is_none_or(|states| states > MOST_STATES) {
            let (base, exponent) = latent.base_and_exponent();
            let count = match latent.states() {
                Some(states) => format!("{base}^{exponent} = {states}"),
                None => format!("{base}^{exponent}"),
            };
            return Err(UsageError::Value {
                flag: match self.method {
                    MethodName::UnorderedSet => "--method unordered-set",
                    MethodName::WithoutReplacement => "--method without-replacement",
                    MethodName::SumAndSample => "--method sum-and-sample",
                    _ => "--method enumerate",
                },
                expected: format!("at most {MOST_STATES} joint states"),
                found: format!("{count} states of {latent}"),
                hint: "try --latent bernoulli --latent-size 10, or --method leave-one-out",
            });
        }
        Ok(())
    }

    /// The sampling scheme, which needs independent samples, two or more.
    pub(super) fn scheme(&self, latent: Latent, samples: usize) -> Result<Option<SchemeName>, UsageError> {
        let Some(scheme) = self.scheme else { return Ok(None) };
        let refuse = |expected: String, hint| {
            Err(UsageError::Value { flag: "--scheme", expected, found: scheme.name().to_owned(), hint })
        };
        if !self.method.takes_schemes() {
            let expected = format!("no value for {}, whose samples must be independent", self.method);
            return refuse(expected, "omit it, or try --method moving-average");
        }
        if samples < 2 {
            return refuse("no value for a single sample".to_owned(), "add --samples 4");
        }
        if scheme == SchemeName::Sobol && latent.width() > SOBOL_DIMENSIONS {
            return refuse(
                format!("another scheme for {latent}: Sobol points have {SOBOL_DIMENSIONS} dimensions"),
                "try --scheme stratified",
            );
        }
        Ok(Some(scheme))
    }

    /// The temperatures of the run, for methods with a relaxation.
    pub(super) fn annealing(&self) -> Result<Option<Annealing>, UsageError> {
        let given = [
            ("--temperature", self.temperature),
            ("--final-temperature", self.final_temperature),
            ("--backward-temperature", self.backward_temperature),
        ];
        for (flag, value) in given {
            let Some(value) = value else { continue };
            if !self.method.is_relaxed() {
                return Err(UsageError::Value {
                    flag,
                    expected: format!("no value for {}, which has no temperature", self.method),
                    found: value.to_string(),
                    hint: "omit it, or try --method gumbel-softmax",
                });
            }
            if !(value.is_finite() && value > 0.0) {
                return Err(UsageError::Value {
                    flag,
                    expected: "a finite number above 0".to_owned(),
                    found: value.to_string(),
                    hint: "try a value from 0.3 to 1",
                });
            }
        }
        if !self.method.is_relaxed() {
            return Ok(None);
        }
        let start = self.temperature.unwrap_or(1.0);
        let default = if self.method.has_constant_temperature() { start } else { start.min(0.5) };
        let end = self.final_temperature.unwrap_or(default);
        if end > start {
            return Err(UsageError::Value {
                flag: "--final-temperature",
                expected: format!("at most --temperature, {start}"),
                found: end.to_string(),
                hint: "raise --temperature, or lower this one",
            });
        }
        if let Some(backward) = self.backward_temperature.filter(|_| !self.method.takes_backward_temperature()) {
            return Err(UsageError::Value {
                flag: "--backward-temperature",
                expected: format!("no value for {}, whose values are discrete", self.method),
                found: backward.to_string(),
                hint: "use --temperature, or try --method gumbel-softmax",
            });
        }
        Ok(Some(Annealing { start, end, backward: self.backward_temperature }))
    }
}
