//! What zero-inflated and hurdle distributions have in common: a gate, which is a trial that decides whether a count is
//! 0, in front of a distribution of counts.

use crate::compound::wrapper::lacks;
use crate::distribution::{above, held_at_infinity};
use crate::error::{DistributionError, DistributionResult};
use crate::parameter::probability::ProbabilityOrLogit;
use crate::prelude::*;
use stochgrad_tensor::zip::Zip;

/// Checks that a gate fits a distribution of counts.
///
/// # Errors
/// If the distribution is none of counts, or if the gate does not broadcast to its elements.
pub(crate) fn check_gate<'t, F: Real>(
    distribution: &'static str,
    gate: ProbabilityOrLogit<Var<'t, F>>,
    base: &dyn Distribution<'t, F>,
) -> DistributionResult<()> {
    let unsupported = |problem: String| Err(DistributionError::Unsupported { distribution, problem });
    if !matches!(base.support(), Support::Bits | Support::Categories(_) | Support::Counts) {
        return unsupported(format!(
            "expected a distribution of counts, got {} with the support {:?}; use Mixture for other values",
            base.name(),
            base.support()
        ));
    }
    let (rows, event) = (gate.var().shape(), base.event_shape());
    if Shape::broadcast(&rows, &event).is_none_or(|shape| shape != event) {
        return unsupported(format!(
            "expected a gate whose event shape broadcasts to {event}, that of {}, got {rows}; give {} parameters of the \
             full shape",
            base.name(),
            base.name()
        ));
    }
    Ok(())
}

/// The parameters of a gate and those of a distribution of counts behind it.
pub(crate) fn gated_parameters<'t, F: Real>(
    gate: ProbabilityOrLogit<Var<'t, F>>,
    base: &dyn Distribution<'t, F>,
) -> Parameters<'t, F> {
    let name = match gate {
        ProbabilityOrLogit::Probability(_) => "gate",
        ProbabilityOrLogit::Logit(_) => "gate_logits",
    };
    let gate = Parameter { name, ..gate.parameter() };
    std::iter::once(gate).chain(base.parameters()).map(|parameter| parameter.with_path(SamplePath::None)).collect()
}

/// The logarithm of the probability that a gate is open: −∞ where it is closed, and precise where it is nearly open.
pub(crate) fn log_open<'t, F: Real>(gate: ProbabilityOrLogit<Var<'t, F>>) -> Var<'t, F> {
    match gate {
        ProbabilityOrLogit::Probability(p) => {
            let (likely, zero) = (above(p, 0.5), p.tape().constant(0.0));
            likely.select(gate.logs().1, (-likely.select(zero, p)).log1p())
        }
        ProbabilityOrLogit::Logit(_) => gate.logs().1,
    }
}

/// The variance of a count, given the mean and the variance of a count behind the open gate. With zero derivatives where
/// it overflows.
pub(crate) fn gated_variance<'t, F: Real>(
    gate: ProbabilityOrLogit<Var<'t, F>>,
    mean: Var<'t, F>,
    variance: Var<'t, F>,
) -> Var<'t, F> {
    let (closed, open) = (gate.probability(), gate.complement());
    // A closed gate leaves nothing of an infinite variance, and a factor for each mean nothing of a square that overflows.
    held_at_infinity(variance.zip(Zip::Weigh, open) + (closed * mean) * (open * mean))
}

/// Weights of alternatives where `here` is not 0, multiplied by it, and 0 elsewhere. The weights may have more axes, for
/// the coordinates of a parameter.
pub(crate) fn weights_where<'t, F: Real>(here: Var<'t, F>, weights: Var<'t, F>) -> Var<'t, F> {
    let coordinates = weights.shape().len().saturating_sub(here.shape().len());
    let here = (0..coordinates).fold(here, |here, _| here.unsqueeze(-1));
    here.select(weights * here, here)
}

/// The values of a distribution of counts behind a gate.
///
/// # Errors
/// If there is no finite list of them, or if 0 is not in it.
pub(crate) fn values_with_zero<'t, F: Real>(
    distribution: &'static str,
    base: &dyn Distribution<'t, F>,
) -> DistributionResult<Tensor<F>> {
    let Some(finite) = base.capabilities().finite_support else {
        return Err(lacks(distribution, "a finite support", "the distribution of counts"));
    };
    let values = finite.element_support()?;
    if values.as_slice().contains(&F::ZERO) {
        return Ok(values);
    }
    let problem = format!(
        "expected a distribution of counts whose list of values has a 0, got {}, whose list has none; use a method that \
         draws samples",
        base.name()
    );
    Err(DistributionError::Unsupported { distribution, problem })
}

/// Writes a distribution of counts behind a gate: the type around the inner type `$inner`, which has the fields `gate`
/// and `base`, its constructors, and its stored forms.
macro_rules! gated {
    ($(#[$meta:meta])* $name:ident, $inner:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<V, D> {
            inner: $inner<V, D>,
        }

        /// The same without conditions on the distribution inside.
        #[derive(Clone, Copy, Debug)]
        struct $inner<V, D> {
            gate: $crate::parameter::probability::ProbabilityOrLogit<V>,
            base: D,
        }

        impl<'t, F: Real, D: Distribution<'t, F>> $name<Var<'t, F>, D> {
            /// A gate that closes with this probability, in [0, 1], in front of a distribution of counts.
            ///
            /// # Errors
            /// If the distribution is none of counts, or lacks what its zeros need, or if the gate does not broadcast
            /// to its elements.
            pub fn from_probability(gate: Var<'t, F>, base: D) -> DistributionResult<Self> {
                Self::new($crate::parameter::probability::ProbabilityOrLogit::Probability(gate), base)
            }

            /// A gate that closes with these log-odds, in front of a distribution of counts.
            ///
            /// # Errors
            /// As [`from_probability`](Self::from_probability).
            pub fn from_logit(gate: Var<'t, F>, base: D) -> DistributionResult<Self> {
                Self::new($crate::parameter::probability::ProbabilityOrLogit::Logit(gate), base)
            }

            /// The probability that the gate is closed.
            pub fn gate(&self) -> Var<'t, F> {
                self.inner.gate.probability()
            }

            /// The distribution behind the gate.
            pub fn base(&self) -> &D {
                &self.inner.base
            }
        }

        impl<F: Real, S: $crate::Family<F>> $crate::Family<F> for $name<stochgrad_tape::Id, S> {
            type On<'t> = $name<Var<'t, F>, S::On<'t>>;

            fn store(live: &Self::On<'_>) -> Self {
                let gate = match live.inner.gate.try_map(|var| Ok::<_, std::convert::Infallible>(var.id())) {
                    Ok(gate) => gate,
                    Err(never) => match never {},
                };
                $name { inner: $inner { gate, base: S::store(&live.inner.base) } }
            }

            fn bind<'t>(
                &self,
                tape: &'t stochgrad_tape::Tape<F>,
                ids: &stochgrad_tape::IdMap,
            ) -> DistributionResult<Self::On<'t>> {
                let gate = self.inner.gate.try_map(|&id| tape.var(ids.get(id)))?;
                Ok($name { inner: $inner { gate, base: self.inner.base.bind(tape, ids)? } })
            }
        }

        impl<'t, F: Real, D: $crate::Live<'t, F>> $crate::Live<'t, F> for $name<Var<'t, F>, D> {
            type Family = $name<stochgrad_tape::Id, D::Family>;
        }

        impl<F: Real, D: $crate::TensorDistribution<F>> $crate::TensorDistribution<F> for $name<Tensor<F>, D> {
            type On<'t> = $name<Var<'t, F>, D::On<'t>>;

            fn on<'t>(&self, tape: &'t stochgrad_tape::Tape<F>) -> Self::On<'t> {
                let record = |value: &Tensor<F>| Ok::<_, std::convert::Infallible>(tape.constant(value));
                let gate = match self.inner.gate.try_map(record) {
                    Ok(gate) => gate,
                    Err(never) => match never {},
                };
                $name { inner: $inner { gate, base: self.inner.base.on(tape) } }
            }
        }

        impl<'t, F: Real, D: $crate::ToTensors<'t, F>> $crate::ToTensors<'t, F> for $name<Var<'t, F>, D> {
            type Tensors = $name<Tensor<F>, D::Tensors>;

            fn to_tensors(&self) -> DistributionResult<Self::Tensors> {
                let gate = self.inner.gate.try_map(|var| var.peek())?;
                Ok($name { inner: $inner { gate, base: self.inner.base.to_tensors()? } })
            }
        }

        $crate::sampled_by_rand!([D: $crate::TensorDistribution<F>] $name<Tensor<F>, D>);

        $crate::compound::wrapper::delegate!([D: Distribution<'t, F>] $name<Var<'t, F>, D>);

        impl<'t, F: Real, D: ScoreDifferentiable<'t, F>> ScoreDifferentiable<'t, F> for $name<Var<'t, F>, D> {}

        impl<'t, F: Real, D: Distribution<'t, F>> ScoreDifferentiable<'t, F> for $inner<Var<'t, F>, D> {}

        impl<'t, F: Real, D: CumulativeDistribution<'t, F>> CumulativeDistribution<'t, F> for $name<Var<'t, F>, D> {
            fn cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.cdf(value)
            }

            fn survival(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.survival(value)
            }

            fn log_cdf(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.log_cdf(value)
            }

            fn log_survival(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.log_survival(value)
            }
        }

        impl<'t, F: Real, D: Distribution<'t, F>> CumulativeDistribution<'t, F> for $inner<Var<'t, F>, D> {
            $crate::discrete::tails::tails!();
        }

        impl<'t, F: Real, D: QuantileFunction<'t, F>> QuantileFunction<'t, F> for $name<Var<'t, F>, D> {
            fn icdf(&self, probability: Var<'t, F>) -> Var<'t, F> {
                self.inner.icdf(probability)
            }

            fn inverse_survival(&self, probability: Var<'t, F>) -> Var<'t, F> {
                self.inner.inverse_survival(probability)
            }
        }

        impl<'t, F: Real, D: $crate::IntegerSupport<'t, F>> $crate::IntegerSupport<'t, F> for $name<Var<'t, F>, D> {
            fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.has_successor(value)
            }

            fn successor(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.successor(value)
            }
        }

        impl<'t, F: Real, D: Distribution<'t, F>> $crate::IntegerSupport<'t, F> for $inner<Var<'t, F>, D> {
            fn has_successor(&self, value: Var<'t, F>) -> Var<'t, F> {
                match self.base.capabilities().whole_numbers {
                    Some(base) => base.has_successor(value),
                    None => value.tape().constant(f64::NAN),
                }
            }

            fn successor(&self, value: Var<'t, F>) -> Var<'t, F> {
                match self.base.capabilities().whole_numbers {
                    Some(base) => base.successor(value),
                    None => value.tape().constant(f64::NAN),
                }
            }
        }

        impl<'t, F: Real, D: $crate::FiniteSupport<'t, F>> $crate::FiniteSupport<'t, F> for $name<Var<'t, F>, D> {
            fn states(&self) -> DistributionResult<u128> {
                self.inner.states()
            }

            fn element_support(&self) -> DistributionResult<Tensor<F>> {
                self.inner.element_support()
            }

            fn probability_each(&self, value: Var<'t, F>) -> Var<'t, F> {
                self.inner.probability_each(value)
            }
        }

        impl<'t, F: Real, D: Distribution<'t, F>> WeakDerivative<'t, F> for $name<Var<'t, F>, D> {
            fn weak_derivative(
                &self,
                parameter: usize,
                sample: Var<'t, F>,
                draw: &Draw<'_, F>,
            ) -> DistributionResult<Option<Alternatives<'t, F>>> {
                self.inner.weak_derivative(parameter, sample, draw)
            }
        }
    };
}

pub(crate) use gated;
