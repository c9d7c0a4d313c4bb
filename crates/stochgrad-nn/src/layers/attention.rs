//! Attention.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::input::{expect_last, unfit};
use crate::layers::{Layer, Linear};
use crate::parameters::Scope;
use crate::pytorch::Layout;
use crate::record::Record;

/// The score of a key that a query does not attend to.
const EXCLUDED: f64 = -1e30;

/// Attention with several heads (Vaswani et al. 2017). Queries, keys and values are affine maps of the input, divided
/// into heads of `size / heads` elements. Each query averages the values with weights that depend on its products with
/// the keys:
///
/// $$\operatorname{head}_i =
/// \operatorname{softmax}\Big(\frac{Q_i K_i^\top}{\sqrt{\text{size} / \text{heads}}}\Big) V_i, \qquad y = (\operatorname{head}_1, \operatorname{head}_2, \dots)\, W + b$$
///
/// The affine maps of queries, keys and values are blocks of columns of `name.in_proj_weight` of shape `[size, 3 size]`
/// and `name.in_proj_bias`; $W$ and $b$ are `name.out_proj.weight` and `name.out_proj.bias`.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Layer, MultiHeadAttention, Parameters};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
///
/// let mut parameters = Parameters::<f64>::new();
/// let attention = MultiHeadAttention::new(&mut parameters, "attention", 8, 2, Seed::new(7))?.causal();
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("batch", Tensor::ones([10, 5, 8]))?; // ten sequences of five steps
/// let y = attention.forward(&parameters.on(&graph), x)?;
/// assert_eq!(y.shape()[..], [5, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiHeadAttention {
    weight: String,
    bias: String,
    output: Linear,
    size: usize,
    heads: usize,
    is_causal: bool,
}

impl MultiHeadAttention {
    /// Adds the parameters, for inputs with `size` elements on the last event axis. The number of heads must divide the
    /// size. The initial values are those of PyTorch: [`Initialization::Xavier`] for queries, keys and values, and
    /// [`Initialization::Uniform`] weights and biases 0 for the output.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if the size is 0, if it cannot be divided by the number of heads, or if a name is
    /// taken. Nothing is added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        size: usize,
        heads: usize,
        seed: Seed,
    ) -> NnResult<Self> {
        let mut scope = parameters.into().into_scope(name);
        let columns = size.saturating_mul(3);
        let fits = Shape::from([size, columns]).check_memory::<F>(machine_memory()).is_ok();
        if size == 0 || heads == 0 || !size.is_multiple_of(heads) || !fits {
            return Err(NnError::argument(
                "`size` and `heads` of `MultiHeadAttention::new`",
                "a size of at least 1 whose weights fit in memory, and a number of heads that divides it",
                format!("{size} and {heads} for layer `{}`", scope.name()),
                "pass the size of the last event axis, and for instance a fourth of it as the number of heads",
            ));
        }
        scope.all_or_none(|scope| {
            let in_projection = Initialization::Xavier;
            let weight = in_projection.weight(&scope.full_name("in_proj_weight"), size, columns, seed);
            let bias = in_projection.bias(&scope.full_name("in_proj_bias"), size, columns, seed);
            let weight = scope.insert_in_layout("in_proj_weight", weight, "in_proj_weight", Layout::TRANSPOSED)?;
            let bias = scope.insert("in_proj_bias", bias)?;
            let output = Linear::new(&mut *scope, "out_proj", size, size, Initialization::Uniform, seed)?;
            if let Some(bias) = output.bias() {
                scope.set(bias, Tensor::zeros([size]))?;
            }
            Ok(Self { weight, bias, output, size, heads, is_causal: false })
        })
    }

    /// The same layer with a causal mask: each query attends to the keys at its own position and before it.
    pub fn causal(self) -> Self {
        Self { is_causal: true, ..self }
    }

    /// The number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Attention of the queries to the keys and values of another sequence, or of the same one: `queries` of event
    /// shape `[.., m, size]`, `keys` of event shape `[.., n, size]`; the result has the event shape `[.., m, size]`.
    ///
    /// `present` excludes keys, such as those of padding: a value of event shape `[.., n]` that is 0 for keys that no
    /// query attends to. A query without any key averages the values of all keys.
    ///
    /// # Errors
    ///
    /// For inputs of other shapes, if parameters are missing, and for earlier errors on the tape.
    #[track_caller]
    pub fn attend<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        queries: Var<'t, F>,
        keys: Var<'t, F>,
        present: Option<Var<'t, F>>,
    ) -> GraphResult<Var<'t, F>> {
        let (tape, at) = (record.tape(), Location::caller());
        tape.check()?;
        for x in [queries, keys] {
            expect_last(x, self.size, || self.name(), at)?;
            if x.shape().rank() < 2 {
                return Err(unfit(x, self.name(), format!("expected the event axes [.., steps, {}]", self.size), at));
            }
        }
        let steps = keys.shape()[keys.shape().rank() - 2];
        if let Some(present) = present {
            expect_last(present, steps, || format!("mask of the keys of {}", self.name()), at)?;
        }
        let size = self.size;
        tape.located(at, || {
            let (weight, bias) = (record.param(&self.weight)?, record.param(&self.bias)?);
            let [q, k, v] = if queries.id() == keys.id() {
                let all = queries.matmul(weight) + bias;
                [0, 1, 2].map(|block| all.slice(-1, block * size..(block + 1) * size))
            } else {
                let part = |x: Var<'t, F>, columns: std::ops::Range<usize>| {
                    x.matmul(weight.slice(-1, columns.clone())) + bias.slice(-1, columns)
                };
                let both = part(keys, size..3 * size);
                [part(queries, 0..size), both.slice(-1, 0..size), both.slice(-1, size..2 * size)]
            };
            let [q, k, v] = [q, k, v].map(|x| self.divided(x));
            let scores = q.matmul(k.transpose()) * (1.0 / (size as f64 / self.heads as f64).sqrt());
            let mut scores = scores;
            if self.is_causal {
                let rows = q.shape()[q.shape().rank() - 2];
                let before = Tensor::from_fn([rows, steps], |i| F::from_f64(f64::from(i % steps <= i / steps)));
                scores = record.constant(before).select(scores, record.constant(EXCLUDED));
            }
            if let Some(present) = present {
                scores = present.unsqueeze(-2).unsqueeze(-3).select(scores, record.constant(EXCLUDED));
            }
            let y = self.joined(scores.softmax(-1).matmul(v));
            self.output.forward_at(record, y, at)
        })
    }

    fn name(&self) -> String {
        format!("attention with weights `{}`", self.weight)
    }

    /// `[.., steps, size]` as `[.., heads, steps, size / heads]`.
    fn divided<'t, F: Real>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let shape = x.shape();
        let rank = shape.rank();
        let divided: Shape = shape[..rank - 1].iter().copied().chain([self.heads, self.size / self.heads]).collect();
        x.reshape(divided).permute(&exchanged(rank + 1))
    }

    /// `[.., heads, steps, size / heads]` as `[.., steps, size]`.
    fn joined<'t, F: Real>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let rank = x.shape().rank();
        let x = x.permute(&exchanged(rank));
        let joined: Shape = x.shape()[..rank - 2].iter().copied().chain([self.size]).collect();
        x.reshape(joined)
    }
}

/// The order of axes with the second and third from the end exchanged.
fn exchanged(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 3, rank - 2);
    order
}

impl<F: Real> Layer<F> for MultiHeadAttention {
    /// Attention of a sequence to itself: the event shape `[.., steps, size]` stays the same.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        self.attend(record, x, x, None)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;

    use super::*;
    use crate::layers::check::{LayerCheck, values};
    use crate::parameters::Parameters;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    fn attention(parameters: &mut Parameters<f64>) -> MultiHeadAttention {
        MultiHeadAttention::new(parameters, "attention", 4, 2, SEED).unwrap()
    }

    #[test]
    fn derivatives_plates_and_programs() {
        for (shape, is_causal) in [(&[2, 3, 4][..], true), (&[2, 2, 3, 4], false), (&[2, 1, 4], true)] {
            let mut parameters = Parameters::new();
            let attention = attention(&mut parameters);
            let attention = if is_causal { attention.causal() } else { attention };
            LayerCheck::new(parameters, values(shape)).run(&attention);
        }
    }

    /// The outputs for the first steps of a sequence do not depend on the others if these are excluded.
    #[test]
    fn excluded_keys_have_no_effect() {
        let mut parameters = Parameters::new();
        let attention = attention(&mut parameters);
        let causal = attention.clone().causal();
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        let x = graph.constant(values([5, 4]));
        let first = x.slice(0, 0..3);
        let close = |a: Var<'_, f64>, b: Var<'_, f64>| (a - b).abs().max().item().unwrap() < 1e-14;
        let expected = causal.forward(&record, first).unwrap();
        assert!(close(causal.forward(&record, x).unwrap().slice(0, 0..3), expected));
        let expected = attention.forward(&record, first).unwrap();
        let present = graph.constant([1.0, 1.0, 1.0, 0.0, 0.0]);
        assert!(close(attention.attend(&record, first, x, Some(present)).unwrap(), expected));
        assert!(close(attention.attend(&record, x, x, Some(present)).unwrap().slice(0, 0..3), expected));
        assert!(!close(attention.attend(&record, first, x, None).unwrap(), expected));
        // The derivatives with respect to excluded keys are 0, also if no key is left.
        let y = attention.attend(&record, first, x, Some(graph.constant([0.0; 5]))).unwrap();
        assert!(y.value().unwrap().all_finite());
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let mut parameters = Parameters::new();
        let layer = attention(&mut parameters);
        let tape = Tape::new();
        let graph = Graph::new(&tape, SEED);
        let record = parameters.on(&graph);
        for (x, part) in [(values([4]), "[.., steps, 4]"), (values([4, 3]), "expected 4 elements")] {
            let message = layer.forward(&record, graph.constant(x)).unwrap_err().to_string();
            assert!(message.contains("`attention.in_proj_weight`") && message.contains(part), "{message}");
        }
        let x = graph.constant(values([3, 4]));
        let message = layer.attend(&record, x, x, Some(graph.constant([1.0, 1.0]))).unwrap_err().to_string();
        assert!(message.contains("mask of the keys") && message.contains("expected 3"), "{message}");
        for (size, heads) in [(0, 1), (4, 0), (4, 3)] {
            let message = MultiHeadAttention::new(&mut parameters, "other", size, heads, SEED).unwrap_err().to_string();
            assert!(message.contains("`other`"), "{message}");
        }
        assert_eq!(parameters.len(), 4);
    }
}
