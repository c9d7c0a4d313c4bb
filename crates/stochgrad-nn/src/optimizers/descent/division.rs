//! Which parameters an optimiser trains, and in which groups.

use stochgrad_tensor::Real;

use crate::error::{NnError, NnResult};
use crate::parameters::{NamePattern, Parameters};

/// Which parameters belong to which section.
#[derive(Clone, Debug, Default)]
pub(super) struct Division {
    pub(super) only: Option<NamePattern>,
    pub(super) groups: Vec<NamePattern>,
}

impl Division {
    /// The number of the section of a parameter; `None` if the optimiser does not train it.
    pub(super) fn section(&self, name: &str) -> Option<usize> {
        match self.groups.iter().position(|group| group.matches(name)) {
            Some(group) => Some(1 + group),
            None => self.only.as_ref().is_none_or(|only| only.matches(name)).then_some(0),
        }
    }

    pub(super) fn check<F: Real>(&self, parameters: &Parameters<F>) -> NnResult<()> {
        if let Some(only) = &self.only {
            only.check(parameters, "`names` of `Descent::only`")?;
        }
        for (number, group) in self.groups.iter().enumerate() {
            group.check(parameters, "`names` of `Descent::group`")?;
            if parameters.names().all(|name| self.section(name) != Some(1 + number)) {
                return Err(NnError::argument(
                    "`names` of `Descent::group`",
                    "parameters that are in no earlier group",
                    format!("`{group}`"),
                    "add the group of fewer parameters first: a parameter belongs to the first group with its name",
                ));
            }
        }
        Ok(())
    }
}
