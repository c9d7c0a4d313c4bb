//! Embeddings.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::Layer;
use crate::parameters::Scope;
use crate::record::Record;

/// A table with a row for each category, `name.weight` of shape `[categories, size]`. The input has categories as
/// integers from 0 on, and the output their rows. The gradient adds up the adjoints of the rows.
///
/// ```
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_nn::{Embedding, Layer, Parameters};
/// use stochgrad_tape::Tape;
///
/// let mut parameters = Parameters::<f64>::new();
/// let embedding = Embedding::new(&mut parameters, "words", 1000, 16, Seed::new(7))?;
///
/// let tape = Tape::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let sentences = graph.data("batch", [[4.0, 17.0, 999.0], [0.0, 3.0, 4.0]])?;
/// let y = embedding.forward(&parameters.on(&graph), sentences)?;
/// assert_eq!(y.shape()[..], [3, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    weight: String,
    categories: usize,
    size: usize,
}

impl Embedding {
    /// Adds the table, whose initial values are standard normal.
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`] if there are no categories or the rows are empty, or if a name is taken. Nothing is
    /// added in this case.
    pub fn new<'a, F: Real>(
        parameters: impl Into<Scope<'a, F>>,
        name: &str,
        categories: usize,
        size: usize,
        seed: Seed,
    ) -> NnResult<Self> {
        let mut scope = parameters.into().into_scope(name);
        let shape = Shape::from([categories, size]);
        if categories == 0 || size == 0 || shape.check_memory::<F>(machine_memory()).is_err() {
            return Err(NnError::argument(
                "`categories` and `size` of `Embedding::new`",
                "at least one of each, and a table that fits in memory",
                format!("{categories} and {size} for layer `{}`", scope.name()),
                "pass the number of categories, and the size of the last event axis of the output",
            ));
        }
        let weight = Initialization::Normal.values(&scope.full_name("weight"), shape, [categories, size], seed);
        Ok(Self { weight: scope.insert("weight", weight)?, categories, size })
    }

    /// The full name of the table.
    pub fn weight(&self) -> &str {
        &self.weight
    }

    /// The number of categories.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// The size of the last event axis of the output.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl<F: Real> Layer<F> for Embedding {
    /// The event shape `[..]` becomes `[.., size]`.
    ///
    /// # Errors
    ///
    /// Also for values that are no categories.
    #[track_caller]
    fn forward<'t>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        let (tape, at) = (record.tape(), Location::caller());
        tape.check()?;
        let y = tape.located(at, || GraphResult::Ok(record.param(&self.weight)?.lookup(x)))?;
        tape.check()?;
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use stochgrad_graph::Graph;
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    use super::*;
    use crate::inputs::Inputs;
    use crate::optimizers::Sgd;
    use crate::parameters::Parameters;
    use crate::step::Step;

    const SEED: Seed = Seed { seed: 7, step: 0 };

    #[test]
    fn the_gradient_adds_up_the_rows() {
        let mut parameters = Parameters::<f64>::new();
        let embedding = Embedding::new(&mut parameters, "words", 4, 2, SEED).unwrap();
        let table = parameters.get(embedding.weight()).unwrap().clone();
        let x = [[3.0, 0.0, 3.0], [3.0, 2.0, 0.0]];
        let model = |record: &Record<'_, '_, f64>| {
            let rows = embedding.forward(record, record.input("x")?)?;
            record.output("rows", rows)?;
            record.cost("cost", rows.square().sum())
        };
        for threads in [1, 2] {
            let mut step = Step::new(model).threads(threads);
            let inputs = Inputs::new().batch("x", x);
            let rows = step.predict(&parameters, &inputs, SEED).unwrap();
            let expected = Tensor::from_fn([2, 3, 2], |i| table.as_slice()[2 * x[i / 6][i / 2 % 3] as usize + i % 2]);
            assert_eq!(rows.get("rows").unwrap(), &expected);
            let gradients = step.run(&parameters, &inputs, SEED).unwrap();
            // Row 0 is used twice, row 2 once and row 3 three times, in an average over two members.
            let uses = [2.0, 0.0, 1.0, 3.0];
            let expected = Tensor::from_fn([4, 2], |i| uses[i / 2] * table.as_slice()[i]);
            let difference = gradients.get("words.weight").unwrap().max_abs_difference(&expected).unwrap();
            assert!(difference < 1e-14, "{difference}");
        }
        // Another minibatch uses other rows in the same program.
        let mut step = Step::new(model);
        let mut sgd = Sgd::new(0.5);
        for x in [[[0.0]], [[1.0]]] {
            step.train(&mut parameters, &mut sgd, &Inputs::new().batch("x", x), SEED).unwrap();
        }
        let expected = Tensor::from_fn([4, 2], |i| if i < 4 { 0.0 } else { table.as_slice()[i] });
        assert_eq!(parameters.get("words.weight").unwrap(), &expected);
    }

    #[test]
    fn values_that_are_no_categories_are_errors() {
        let mut parameters = Parameters::<f64>::new();
        let embedding = Embedding::new(&mut parameters, "words", 4, 2, SEED).unwrap();
        for x in [4.0, -1.0, 0.5, f64::NAN] {
            let tape = Tape::new();
            let graph = Graph::new(&tape, SEED);
            let error = embedding.forward(&parameters.on(&graph), graph.constant([x])).unwrap_err().to_string();
            assert!(error.contains("embedding.rs") && error.contains(&format!("got {x}")), "{error}");
        }
        for (categories, size) in [(0, 2), (3, 0)] {
            let message = Embedding::new(&mut parameters, "other", categories, size, SEED).unwrap_err().to_string();
            assert!(message.contains("`other`"), "{message}");
        }
        assert_eq!(parameters.len(), 1);
    }
}
