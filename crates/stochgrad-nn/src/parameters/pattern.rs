//! Parameters by name, scope or last part of the name.

use std::fmt;

use stochgrad_tensor::Real;

use super::{Parameters, in_words};
use crate::error::{NnError, NnResult};

/// Names of parameters, to choose some of them. `encoder` stands for the parameter of this name and for all parameters of this scope; `*.bias`
/// for all parameters whose last part is `bias`. The empty pattern stands for all parameters.
///
/// ```
/// use stochgrad_nn::NamePattern;
///
/// let encoder = NamePattern::new("encoder");
/// assert!(encoder.matches("encoder") && encoder.matches("encoder.0.bias") && !encoder.matches("encoder2.0.bias"));
/// assert!(NamePattern::new("*.bias").matches("encoder.0.bias"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NamePattern(String);

impl NamePattern {
    /// The names for which a pattern stands.
    pub fn new(pattern: impl Into<String>) -> Self {
        NamePattern(pattern.into())
    }

    /// Whether a name is one of these.
    pub fn matches(&self, name: &str) -> bool {
        let is_end = |rest: Option<&str>, dot: fn(&str) -> bool| rest.is_some_and(|rest| rest.is_empty() || dot(rest));
        match self.0.strip_prefix("*.") {
            Some(last) => is_end(name.strip_suffix(last), |rest| rest.ends_with('.')),
            None => self.0.is_empty() || is_end(name.strip_prefix(self.0.as_str()), |rest| rest.starts_with('.')),
        }
    }

    /// Checks that at least one parameter has such a name.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] with the names of the parameters.
    pub(crate) fn check<F: Real>(&self, parameters: &Parameters<F>, argument: &'static str) -> NnResult<()> {
        if parameters.names().any(|name| self.matches(name)) {
            return Ok(());
        }
        Err(NnError::argument(
            argument,
            format!(
                "the name or the scope of some of the parameters {}",
                in_words(parameters.names(), "of which there are none")
            ),
            format!("`{self}`"),
            "check the spelling; `a` stands for the parameter or the scope `a`, and `*.b` for names that end in `.b`",
        ))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::two_parameters;

    #[test]
    fn a_pattern_stands_for_a_name_a_scope_or_a_last_part() {
        let names = ["encoder", "encoder.0.weight", "encoder.0.bias", "encoder2.weight", "bias", "unbias"];
        let matching = |pattern: &str| -> Vec<&str> {
            names.into_iter().filter(|name| NamePattern::new(pattern).matches(name)).collect()
        };
        assert_eq!(matching("encoder"), names[..3]);
        assert_eq!(matching("encoder.0"), names[1..3]);
        assert_eq!(matching("encoder.0.bias"), names[2..3]);
        assert_eq!(matching("*.bias"), ["encoder.0.bias", "bias"]);
        assert_eq!(matching("*.0.bias"), names[2..3]);
        assert_eq!(matching(""), names);
        assert_eq!(matching("enc"), [""; 0]);
    }

    #[test]
    fn a_pattern_that_stands_for_nothing_is_an_error_with_the_known_names() {
        assert!(NamePattern::new("w").check(&two_parameters(), "argument").is_ok());
        let message = NamePattern::new("v").check(&two_parameters(), "argument").unwrap_err().to_string();
        assert!(message.contains("`w`, `a`") && message.contains("got `v`"), "{message}");
    }
}
