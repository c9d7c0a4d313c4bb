//! What distributions that are made of others have in common.
//!
//! The capabilities of such a distribution depend on the distributions inside. The compiler must know them, so that a
//! method for which a capability is missing does not compile, and [`capabilities`](crate::Distribution::capabilities)
//! must report them at run time. Each such distribution is therefore a type with conditional implementations around an
//! inner type. The inner type implements all capabilities unconditionally, and reports at run time those that the
//! distributions inside have.

/// Implements [`Distribution`](crate::Distribution) and the capabilities for `$outer`, which has a field `inner`.
macro_rules! delegate {
    ([$($generics:tt)*] $outer:ty) => {
        impl<'t, F: Real, $($generics)*> Distribution<'t, F> for $outer {
            fn name(&self) -> &'static str {
                self.inner.name()
            }

            fn parameters(&self) -> Parameters<'t, F> {
                self.inner.parameters()
            }

            fn event_shape(&self) -> Shape {
                self.inner.event_shape()
            }

            fn element_rank(&self) -> usize {
                self.inner.element_rank()
            }

            fn support(&self) -> Support {
                self.inner.support()
            }

            #[track_caller]
            fn log_prob_each(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.log_prob_each(value)
            }

            fn sample(&self, draw: &Draw<'_, F>) -> DistributionResult<Var<'t, F>> {
                self.inner.sample(draw)
            }

            fn mean(&self) -> Option<Var<'t, F>> {
                self.inner.mean()
            }

            fn variance(&self) -> Option<Var<'t, F>> {
                self.inner.variance()
            }

            fn mode(&self) -> Option<Var<'t, F>> {
                self.inner.mode()
            }

            fn validate(&self) -> DistributionResult<()> {
                self.inner.validate()
            }

            fn capabilities(&self) -> Capabilities<'_, 't, F> {
                self.inner.capabilities()
            }
        }
    };
}

pub(crate) use delegate;

use crate::error::DistributionError;

/// The error where a capability was used that an inner distribution does not have.
pub(crate) fn lacks(distribution: &'static str, what: &str, inside: &str) -> DistributionError {
    let problem = format!("expected {what} of {inside}, which has none; ask `capabilities()` first");
    DistributionError::Unsupported { distribution, problem }
}
