//! Maps from perturbed logits to the simplex: softmax, 1.5-entmax and sparsemax.
//!
//! $$\alpha\text{-entmax}(z) = \operatorname*{argmax}_{p \in \Delta}\; p^\top z + H_\alpha(p)$$
//!
//! with Tsallis entropies $H_\alpha$: $\alpha = 1$ is softmax, $\alpha = 1.5$ gives $p_k = [z_k/2 - t]_+^2$, and
//! $\alpha = 2$, sparsemax, $p_k = [z_k - t]_+$. The threshold $t$ is found by sorting. The sparse maps reach the faces
//! and the vertices of the simplex at finite arguments, so that a relaxed sample is often hard; there the derivative is
//! 0. Their Jacobian is $\operatorname{diag}(g) - g g^\top / \sum_k g_k$ with $g_k = p_k^{2 - \alpha}$ on the support,
//! and has a kink where the support changes.
//!
//! Martins and Astudillo (2016); Peters, Niculae and Martins (2019).

use smallvec::SmallVec;
use std::sync::Arc;
use stochgrad_distributions::{Distribution, Relaxed};
use stochgrad_tape::{Description, Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::{Real, Tensor};

/// The map from perturbed logits to a point of the simplex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SimplexMap {
    /// Softmax: smooth, and positive everywhere.
    #[default]
    Softmax,
    /// 1.5-entmax: sparse, with a derivative that is continuous except at the vertices.
    Entmax15,
    /// Sparsemax, the nearest point of the simplex: sparse, and linear on each face.
    Sparsemax,
}

impl SimplexMap {
    /// The relaxed value of perturbed logits at a temperature.
    pub(crate) fn soften<'t, F: Real>(
        self,
        distribution: &impl Relaxed<'t, F>,
        perturbed: Var<'t, F>,
        temperature: Var<'t, F>,
    ) -> Var<'t, F> {
        let scaled = || perturbed / temperature;
        match (self, Distribution::element_rank(distribution)) {
            (SimplexMap::Softmax, _) => distribution.soften(perturbed, temperature),
            // The second component, for the two logits 0 and z.
            (SimplexMap::Sparsemax, 0) => (scaled() * 0.5 + 0.5).clamp(0.0, 1.0),
            (SimplexMap::Entmax15, 0) => {
                // √p − √(1 − p) = z / 2.
                let half = (scaled() * 0.5).clamp(-1.0, 1.0);
                ((half + (2.0 - half.square()).sqrt()) * 0.5).square()
            }
            (map, _) => perturbed.tape().custom(Arc::new(Sparse(map)), &[scaled()]),
        }
    }

    /// Whether it has derivatives of every order.
    pub(crate) fn is_smooth(self) -> bool {
        self == SimplexMap::Softmax
    }
}

/// A sparse map along the last axis.
struct Sparse(SimplexMap);

impl<F: Real> Primitive<F> for Sparse {
    fn name(&self) -> &str {
        match self.0 {
            SimplexMap::Sparsemax => "sparsemax",
            _ => "1.5-entmax",
        }
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let logits = &inputs.values[0];
        let width = match logits.shape().last() {
            Some(&width) if logits.shape().len() > inputs.plates.len() && width > 0 => width,
            _ => return Err("expected an axis of categories, got a number".into()),
        };
        let mut out = inputs.pool.take(logits.shape().clone());
        out.make_mut().copy_from_slice(logits.as_slice());
        let mut sorted: SmallVec<[f64; 32]> = SmallVec::with_capacity(width);
        for row in out.make_mut().chunks_mut(width) {
            let top = row.iter().map(|z| z.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let of = |z: F| z.to_f64() - top;
            sorted.clear();
            sorted.extend(row.iter().map(|&z| of(z)));
            sorted.sort_unstable_by(|a, b| b.total_cmp(a));
            match self.0 {
                SimplexMap::Sparsemax => {
                    let threshold = sparsemax_threshold(&sorted);
                    row.iter_mut().for_each(|z| *z = F::from_f64((of(*z) - threshold).max(0.0)));
                }
                _ => {
                    let threshold = entmax_threshold(&sorted);
                    row.iter_mut().for_each(|z| *z = F::from_f64((of(*z) / 2.0 - threshold).max(0.0).powi(2)));
                }
            }
        }
        Ok(out)
    }

    fn takes_from_pool(&self) -> bool {
        true
    }

    fn as_operations<'t>(&self, inputs: &[Var<'t, F>]) -> Option<Description<'t, F>> {
        let &[logits] = inputs else { return None };
        let shape = logits.shape();
        let width = shape.last().copied()?;
        let tape = logits.tape();
        let z = logits - logits.max_axis(-1).unsqueeze(-1);
        let counts = tape.constant(Tensor::from_fn([width], |k| F::from_usize(k + 1)));
        let (sorted, _) = z.sort(-1, Order::Descending);
        if self.0 == SimplexMap::Sparsemax {
            // The threshold of the support is the largest one.
            let threshold = ((sorted.cumsum(-1) - 1.0) / counts).max_axis(-1).unsqueeze(-1);
            return Some(Description::of((z - threshold).relu()));
        }
        let half = sorted * 0.5;
        let sum = half.cumsum(-1);
        let mean = sum / counts;
        let rest = (1.0 - (half.square().cumsum(-1) - sum * mean)) / counts;
        let thresholds = mean - rest.relu().sqrt();
        let zero = tape.constant(0.0);
        let outside = rest.lt(zero).maximum(thresholds.ge(half));
        // The support is a prefix of the order, and the threshold that of its last member.
        let support = outside.cumsum(-1).equal(zero);
        let size = support.sum_axis(-1).unsqueeze(-1);
        let threshold = counts.equal(size).select(thresholds, zero).sum_axis(-1).unsqueeze(-1);
        Some(Description::of((z * 0.5 - threshold).relu().square()))
    }

    fn gradient<'t>(&self, _: &[Var<'t, F>], output: Var<'t, F>, adjoint: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        let weight = match self.0 {
            SimplexMap::Sparsemax => output.step(),
            _ => output.sqrt(),
        };
        let mean = (weight * adjoint).sum_axis(-1) / weight.sum_axis(-1);
        vec![Some(weight * (adjoint - mean.unsqueeze(-1)))]
    }

    fn smoothness(&self, _: usize) -> Smoothness {
        Smoothness::Kinked
    }
}

/// The t with Σ [z − t]₊ = 1, for numbers z in descending order.
fn sparsemax_threshold(sorted: &[f64]) -> f64 {
    let mut sum = 0.0;
    let mut threshold = f64::NEG_INFINITY;
    for (k, &z) in sorted.iter().enumerate() {
        sum += z;
        let next = (sum - 1.0) / (k + 1) as f64;
        if next >= z {
            break;
        }
        threshold = next;
    }
    threshold
}

/// The t with Σ [z/2 − t]₊² = 1, for numbers z in descending order.
fn entmax_threshold(sorted: &[f64]) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut threshold = f64::NEG_INFINITY;
    for (k, &z) in sorted.iter().enumerate() {
        let (z, count) = (z / 2.0, (k + 1) as f64);
        sum += z;
        squares += z * z;
        let mean = sum / count;
        let rest = (1.0 - (squares - sum * mean)) / count;
        if rest < 0.0 || mean - rest.sqrt() >= z {
            break;
        }
        threshold = mean - rest.sqrt();
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_distributions::{Bernoulli, OneHotCategorical};
    use stochgrad_tape::Tape;

    const SPARSE: [SimplexMap; 2] = [SimplexMap::Sparsemax, SimplexMap::Entmax15];

    fn soften(map: SimplexMap, logits: &[f64]) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let z = tape.constant(logits);
        map.soften(&OneHotCategorical::from_logits(z), z, tape.constant(1.0)).peek().unwrap().to_vec()
    }

    #[test]
    fn points_are_those_of_the_definition() {
        let close = |found: &[f64], expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} and {expected:?}");
        };
        close(&soften(SimplexMap::Sparsemax, &[0.5, 0.3, -2.0]), &[0.6, 0.4, 0.0]);
        close(&soften(SimplexMap::Sparsemax, &[1.0, 1.0, 1.0, 1.0]), &[0.25; 4]);
        close(&soften(SimplexMap::Sparsemax, &[7.0, 1.0]), &[1.0, 0.0]);
        close(&soften(SimplexMap::Entmax15, &[1.0, 1.0, 1.0, 1.0]), &[0.25; 4]);
        close(&soften(SimplexMap::Entmax15, &[7.0, 1.0]), &[1.0, 0.0]);
        // The optimality conditions: p = [z/2 − t]₊² with one t for the support, and no one outside above it.
        let z = [0.9, 0.2, -0.1, -3.0];
        let p = soften(SimplexMap::Entmax15, &z);
        let thresholds: Vec<f64> = (0..3).map(|k| z[k] / 2.0 - p[k].sqrt()).collect();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p[3] == 0.0 && z[3] / 2.0 < thresholds[0]);
        close(&thresholds, &[thresholds[0]; 3]);
    }

    #[test]
    fn sparse_maps_are_described() {
        let tape = Tape::<f64>::new();
        let rows = [0.3, -0.2, 1.4, 0.0, 5.0, -9.0, 4.9, 4.95, 0.1, 0.1, 0.1, 0.1];
        let z = tape.parameter(Tensor::new(rows.to_vec(), [3, 4]).unwrap());
        for map in SPARSE {
            let expected = tape.custom(Arc::new(Sparse(map)), &[z]).peek().unwrap();
            let found = Sparse(map).as_operations(&[z]).unwrap().value.peek().unwrap();
            for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
                assert!((found - expected).abs() < 1e-14, "{map:?}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn a_bit_is_the_second_of_two_categories() {
        for map in SPARSE {
            for z in [-3.0, -1.0, -0.2, 0.0, 0.7, 1.9, 5.0] {
                let tape = Tape::<f64>::new();
                let logit = tape.constant(z);
                let bit = map.soften(&Bernoulli::from_logits(logit), logit, tape.constant(1.0)).item().unwrap();
                assert!((bit - soften(map, &[0.0, z])[1]).abs() < 1e-12, "{map:?} at {z}");
            }
        }
    }

    fn weighted<'t>(map: SimplexMap, z: Var<'t, f64>, weights: Var<'t, f64>) -> Var<'t, f64> {
        (map.soften(&OneHotCategorical::from_logits(z), z, z.tape().constant(0.8)) * weights).sum()
    }

    #[test]
    fn derivatives_are_those_of_differences() {
        for map in SPARSE {
            let tape = Tape::<f64>::new();
            let at = [[0.9, 0.2, -0.1, -3.0], [0.1, 0.2, 0.0, 0.4]];
            let weights = tape.constant([[1.0, -2.0, 0.5, 3.0], [0.3, 1.0, -1.0, 2.0]]);
            let z = tape.parameter(at);
            let [gradient] = tape.backward(weighted(map, z, weights), [z]).unwrap();
            for i in 0..8 {
                let moved = |by: f64| {
                    let tape = Tape::<f64>::new();
                    let weights = tape.constant([[1.0, -2.0, 0.5, 3.0], [0.3, 1.0, -1.0, 2.0]]);
                    let mut z = at;
                    z[i / 4][i % 4] += by;
                    weighted(map, tape.constant(z), weights).item().unwrap()
                };
                let numerical = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((gradient.as_slice()[i] - numerical).abs() < 1e-8, "{map:?}, {i}: {gradient:?}, {numerical}");
            }
        }
    }
}
