//! The latent variables of one image: their distribution and number.

use std::fmt;

use serde_json::{Value, json};

use crate::settings::size;

/// The latent variables of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latent {
    /// Independent bits.
    Bernoulli {
        /// The number of bits.
        bits: usize,
    },
    /// Independent categorical variables, as one-hot vectors.
    Categorical {
        /// The number of variables.
        variables: usize,
        /// The number of categories of each variable.
        categories: usize,
    },
}

impl Latent {
    /// The number of values in the code of one image: bits, or variables times categories.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Bernoulli { bits } => bits,
            Self::Categorical { variables, categories } => variables.saturating_mul(categories),
        }
    }

    /// The number of states of one variable, and the number of variables.
    pub(crate) fn base_and_exponent(self) -> (usize, usize) {
        match self {
            Self::Bernoulli { bits } => (2, bits),
            Self::Categorical { variables, categories } => (categories, variables),
        }
    }

    /// The form in a checkpoint.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Bernoulli { bits } => json!({ "distribution": "bernoulli", "size": bits }),
            Self::Categorical { variables, categories } => {
                json!({ "distribution": "categorical", "size": variables, "categories": categories })
            }
        }
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let variables = size(value.get("size")?)?;
        match value.get("distribution")?.as_str()? {
            "bernoulli" => Some(Self::Bernoulli { bits: variables }),
            "categorical" => Some(Self::Categorical { variables, categories: size(value.get("categories")?)? }),
            _ => None,
        }
    }

    /// The size of the joint support, or `None` if it does not fit the type.
    pub(crate) fn states(self) -> Option<u128> {
        let (base, exponent) = self.base_and_exponent();
        (base as u128).checked_pow(u32::try_from(exponent).ok()?)
    }
}

impl fmt::Display for Latent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bernoulli { bits } => write!(f, "bernoulli {bits}"),
            Self::Categorical { variables, categories } => write!(f, "categorical {variables}×{categories}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joint_support_is_counted() {
        let latent = Latent::Categorical { variables: 3, categories: 10 };
        assert_eq!((latent.states(), latent.width()), (Some(1000), 30));
        assert_eq!(Latent::Bernoulli { bits: 12 }.states(), Some(4096));
        assert_eq!(Latent::Bernoulli { bits: 200 }.states(), None);
    }
}
