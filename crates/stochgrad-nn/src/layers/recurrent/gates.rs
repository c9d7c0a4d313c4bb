//! The affine maps of a recurrent cell, for all of its gates at once.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Shape, Tensor, machine_memory};

use crate::error::{NnError, NnResult};
use crate::initialization::Initialization;
use crate::layers::input::expect_last;
use crate::parameters::Scope;
use crate::pytorch::Layout;
use crate::record::Record;

/// The affine maps of the input and of the state to the gates. The gates are blocks of columns, in PyTorch's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gates {
    input_weight: String,
    state_weight: String,
    input_bias: String,
    state_bias: String,
    pub(super) inputs: usize,
    pub(super) size: usize,
    layer: &'static str,
}

impl Gates {
    /// Adds the parameters `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`, with a suffix. Their initial values are
    /// uniform within $\pm 1 / \sqrt{\text{size}}$, as in PyTorch.
    pub(super) fn new<F: Real>(
        scope: &mut Scope<'_, F>,
        suffix: &str,
        layer: &'static str,
        [gates, inputs, size]: [usize; 3],
        seed: Seed,
    ) -> NnResult<Self> {
        let columns = gates.saturating_mul(size);
        let fits = |rows: usize| Shape::from([rows, columns]).check_memory::<F>(machine_memory()).is_ok();
        if inputs == 0 || size == 0 || !fits(inputs) || !fits(size) {
            return Err(NnError::argument(
                "`inputs` and `size` of a recurrent layer",
                "at least one of each, and a number of weights that fits in memory",
                format!("{inputs} and {size} for layer `{}`", scope.name()),
                "pass the size of the last event axis of the input, and that of the state",
            ));
        }
        let mut add = |name: &str, shape: Shape| {
            let name = format!("{name}{suffix}");
            let layout = if shape.rank() == 2 { Layout::TRANSPOSED } else { Layout::SAME };
            let value: Tensor<F> =
                Initialization::Uniform.values(&scope.full_name(&name), shape, [size, columns], seed);
            scope.insert_in_layout(&name, value, &name, layout)
        };
        Ok(Self {
            input_weight: add("weight_ih", Shape::from([inputs, columns]))?,
            state_weight: add("weight_hh", Shape::from([size, columns]))?,
            input_bias: add("bias_ih", Shape::from([columns]))?,
            state_bias: add("bias_hh", Shape::from([columns]))?,
            inputs,
            size,
            layer,
        })
    }

    /// What errors call the layer.
    pub(super) fn name(&self) -> String {
        format!("{} with weights `{}`", self.layer, self.input_weight)
    }

    /// The contribution of the input to the gates.
    pub(super) fn of_input<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        record.tape().check()?;
        expect_last(x, self.inputs, || self.name(), at)?;
        Ok(x.matmul(record.param(&self.input_weight)?) + record.param(&self.input_bias)?)
    }

    /// The contribution of the state to the gates.
    pub(super) fn of_state<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        state: Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        record.tape().check()?;
        expect_last(state, self.size, || format!("state of {}", self.name()), at)?;
        Ok(state.matmul(record.param(&self.state_weight)?) + record.param(&self.state_bias)?)
    }

    /// A block of columns.
    pub(super) fn block<'t, F: Real>(&self, gates: Var<'t, F>, block: usize) -> Var<'t, F> {
        gates.slice(-1, block * self.size..(block + 1) * self.size)
    }

    /// The state 0 for a sequence, with the axis of the steps first, on its plates.
    pub(super) fn initial<'t, F: Real>(&self, record: &Record<'_, 't, F>, x: Var<'t, F>) -> Var<'t, F> {
        let shape = x.shape();
        let others = shape.get(1..shape.rank() - 1).unwrap_or_default();
        let state: Shape = others.iter().copied().chain([self.size]).collect();
        record.constant(Tensor::zeros(state)).expand_plates(&x.plates())
    }
}
