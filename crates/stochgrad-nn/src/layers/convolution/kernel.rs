//! The weights and biases of a convolution.

use std::panic::Location;

use stochgrad_graph::{GraphResult, Seed};
use stochgrad_tape::Var;
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::{Real, Shape, machine_memory};

use crate::error::{NnError, NnResult};
use crate::layers::convolution::ConvKernel;
use crate::layers::input::{expect_last, unfit};
use crate::parameters::Scope;
use crate::pytorch::Layout;
use crate::record::Record;

/// The weights and biases of a convolution along `N` axes, and its sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kernel<const N: usize> {
    pub(super) weight: String,
    pub(super) bias: Option<String>,
    /// The numbers of inputs and outputs.
    pub(super) channels: [usize; 2],
    pub(super) size: [usize; N],
    pub(super) geometry: Convolution<N>,
    is_transposed: bool,
}

impl<const N: usize> Kernel<N> {
    /// Adds `weight` of shape `[kernel sizes, channels of a group, channels]` and `bias` of shape `[outputs]`. The
    /// channels of the weights are inputs and outputs, in this order; outputs and inputs if the convolution is
    /// transposed.
    pub(super) fn new<F: Real>(
        mut scope: Scope<'_, F>,
        channels: [usize; 2],
        kernel: ConvKernel<N>,
        is_transposed: bool,
        seed: Seed,
    ) -> NnResult<Self> {
        let ConvKernel { size: kernel, convolution: geometry, initialization, has_bias } = kernel;
        let [inputs, outputs] = channels;
        let groups = geometry.groups;
        let divides = groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups);
        let [from, to] = if is_transposed { [outputs, inputs] } else { [inputs, outputs] };
        let shape: Shape = kernel.iter().copied().chain([from / groups.max(1), to]).collect();
        let fits = shape.check_memory::<F>(machine_memory()).is_ok();
        if inputs == 0 || outputs == 0 || kernel.contains(&0) || !divides || !fits {
            return Err(NnError::argument(
                "`channels` and `kernel` of a convolution",
                "at least one input, output and position of the kernel, a number of groups that divides both numbers \
                 of channels, and weights that fit in memory",
                format!(
                    "{inputs} inputs, {outputs} outputs, a kernel of {kernel:?} and {groups} groups for layer `{}`",
                    scope.name()
                ),
                "pass the numbers of channels and the sizes of the kernel",
            ));
        }
        scope.all_or_none(|scope| {
            // As in PyTorch, the inputs of a transposed convolution are counted as for the convolution that it
            // transposes.
            let positions: usize = kernel.iter().product();
            let fans = [from / groups * positions, to / groups * positions];
            let weight = initialization.values(&scope.full_name("weight"), shape, fans, seed);
            let layout = if N == 1 { Layout::permuted(&[2, 1, 0]) } else { Layout::permuted(&[3, 2, 0, 1]) };
            let weight = scope.insert_in_layout("weight", weight, "weight", layout)?;
            let bias = has_bias.then(|| initialization.bias(&scope.full_name("bias"), fans[0], outputs, seed));
            let bias = bias.map(|bias| scope.insert("bias", bias)).transpose()?;
            Ok(Self { weight, bias, channels, size: kernel, geometry, is_transposed })
        })
    }

    /// What errors call the layer.
    fn name(&self) -> String {
        format!("{}convolution with weights `{}`", if self.is_transposed { "transposed " } else { "" }, self.weight)
    }

    fn check<F: Real>(
        &self,
        x: Var<'_, F>,
        size: impl FnOnce([usize; N]) -> Result<[usize; N], String>,
        at: &'static Location<'static>,
    ) -> GraphResult<()> {
        x.tape().check()?;
        expect_last(x, self.channels[0], || self.name(), at)?;
        let shape = x.shape();
        let (_, axes) = shape.split_last().unwrap_or((&0, &[]));
        match axes.last_chunk::<N>() {
            Some(&axes) => size(axes).map(drop).map_err(|problem| unfit(x, self.name(), problem, at)),
            None => {
                let axes = if N == 1 { "length" } else { "height, width" };
                let problem = format!("expected the event axes [.., {axes}, {}]", self.channels[0]);
                Err(unfit(x, self.name(), problem, at))
            }
        }
    }

    /// Checks the input, and adds the biases to what `convolve` makes of the input and the weights. `size` is the rule
    /// for the sizes of the output.
    ///
    /// # Errors
    ///
    /// For an input that does not fit, and if parameters are missing.
    pub(super) fn apply<'t, F: Real>(
        &self,
        record: &Record<'_, 't, F>,
        x: Var<'t, F>,
        size: impl FnOnce([usize; N]) -> Result<[usize; N], String>,
        convolve: impl FnOnce(Var<'t, F>, Var<'t, F>) -> Var<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>> {
        self.check(x, size, at)?;
        let weight = record.param(&self.weight)?;
        let bias = self.bias.as_ref().map(|bias| record.param(bias)).transpose()?;
        Ok(record.tape().located(at, || {
            let y = convolve(x, weight);
            bias.map_or(y, |bias| y + bias)
        }))
    }
}
