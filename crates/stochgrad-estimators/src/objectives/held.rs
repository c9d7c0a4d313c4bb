//! Values of which some dependences are held constant: those on the parameters, or those on the samples.

use std::collections::HashSet;
use stochgrad_tape::{IdMap, Op, SetId, Var};
use stochgrad_tensor::Real;

/// The value as a function of the samples that it was computed from: derivatives with respect to parameters flow
/// through the samples only. Also returns the values that were held constant, through which the missing derivatives
/// would have flowed.
///
/// Everything that does not descend from a sample is held constant, and everything that does is recorded again. For the
/// log-density of a single layer this is only the density; with a network between two layers, it includes the network.
pub(crate) fn hold_parameters<'t, F: Real>(value: Var<'t, F>) -> (Var<'t, F>, Vec<Var<'t, F>>) {
    let mut held = Vec::new();
    let again = rerecord(value, &mut |var| match var.op() {
        Some(Op::Sample(_)) => Some(var),
        Some(Op::Leaf { trainable: false } | Op::Noise { .. } | Op::Slot(_)) | None => Some(var),
        Some(_) if var.ancestors() == SetId::EMPTY || var.inputs().is_empty() => {
            held.push(var);
            Some(var.held())
        }
        Some(_) => None,
    });
    (again, held)
}

/// The value as a function of the parameters, for given samples.
pub(crate) fn hold_samples<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    rerecord(value, &mut |var| match var.op() {
        Some(Op::Sample(_)) => Some(var.held()),
        Some(_) if var.ancestors() != SetId::EMPTY && !var.inputs().is_empty() => None,
        _ => Some(var),
    })
}

/// The samples that a value is computed from without another sample between them.
pub(crate) fn direct_samples<F: Real>(value: Var<'_, F>) -> Vec<Var<'_, F>> {
    samples_upstream(value, false)
}

/// All samples that a value descends from.
pub(crate) fn all_samples<F: Real>(value: Var<'_, F>) -> Vec<Var<'_, F>> {
    samples_upstream(value, true)
}

/// Records a value again, with other values in place of those that `replace` names.
pub(crate) fn rerecord<'t, F: Real>(
    value: Var<'t, F>,
    replace: &mut dyn FnMut(Var<'t, F>) -> Option<Var<'t, F>>,
) -> Var<'t, F> {
    let mut ids = IdMap::identity();
    let mut pending = vec![value];
    let mut seen = HashSet::new();
    let mut between = Vec::new();
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        match replace(var) {
            Some(other) if other.id() == var.id() => {}
            Some(other) => ids.insert(var.id(), other.id()),
            None => {
                between.push(var);
                pending.extend(var.inputs());
            }
        }
    }
    between.sort_by_key(|var| var.id().index());
    let tape = value.tape();
    for var in between {
        let again = tape.rerecord(var, &ids);
        if again.id() != var.id() {
            ids.insert(var.id(), again.id());
        }
    }
    tape.var(ids.get(value.id())).unwrap_or_else(|error| tape.fail(error))
}

fn samples_upstream<F: Real>(value: Var<'_, F>, beyond: bool) -> Vec<Var<'_, F>> {
    let mut pending = vec![value];
    let mut seen = HashSet::new();
    let mut samples = Vec::new();
    while let Some(var) = pending.pop() {
        if var.ancestors() == SetId::EMPTY || !seen.insert(var.id()) {
            continue;
        }
        let is_sample = matches!(var.op(), Some(Op::Sample(_)));
        if is_sample {
            samples.push(var);
        }
        if beyond || !is_sample {
            pending.extend(var.inputs());
        }
    }
    samples.sort_by_key(|var| var.id().index());
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pathwise::Pathwise;
    use stochgrad_distributions::{Distribution, Normal};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Tape;

    #[test]
    fn each_half_of_the_derivative_is_kept() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(3));
        let (a, b) = (graph.param("a", 0.7).unwrap(), graph.param("b", -0.4).unwrap());
        let first = graph.sample("first", &Normal::new(a, 1.0), &Pathwise::new()).unwrap();
        let second = Normal::new((first * b).tanh() + a, 0.5);
        let z = graph.sample("second", &second, &Pathwise::new()).unwrap();
        let value = second.log_prob(z) * a.exp();
        let (of_samples, held) = hold_parameters(value);
        let of_parameters = hold_samples(value);
        assert_eq!(value.item(), of_samples.item());
        assert_eq!(value.item(), of_parameters.item());
        assert!(held.iter().any(|var| var.id() == b.id()), "the weight between the layers is held by itself");
        assert_eq!(direct_samples(value).len(), 2);
        assert_eq!(direct_samples(z * 2.0).iter().map(|var| var.id()).collect::<Vec<_>>(), [z.id()]);
        assert_eq!(all_samples(z * 2.0).len(), 2);
        let gradients = |value| tape.backward(value, [a, b, first, z]).unwrap().map(|g| g.item().unwrap());
        let (whole, samples, parameters) = (gradients(value), gradients(of_samples), gradients(of_parameters));
        for at in 0..4 {
            assert!(
                (whole[at] - samples[at] - parameters[at]).abs() < 1e-12,
                "{at}: {whole:?} {samples:?} {parameters:?}"
            );
        }
        assert!(parameters[2] == 0.0 && parameters[3] == 0.0 && parameters[1] != 0.0 && samples[1] != 0.0);
    }
}
