//! Tensors on all devices of a group.

use crate::error::XlaResult;
use crate::pjrt::{Buffer, Element, Executable};
use stochgrad_tensor::{Shape, Tensor};

use crate::device::DeviceReal;

/// A tensor on each device of a group: the same on all of them, or the shards of one tensor.
#[derive(Debug)]
pub(super) struct Spread(pub(super) Vec<Buffer>);

impl Spread {
    /// The elements on the first device.
    pub(super) fn read<T: Element>(&self) -> XlaResult<Vec<T>> {
        self.0[0].read()
    }

    /// The tensor of the first device.
    pub(super) fn tensor<F: DeviceReal>(&self) -> XlaResult<Tensor<F>> {
        let mut value = Tensor::zeros(Shape::from(&self.0[0].shape()?[..]));
        self.0[0].read_to(value.make_mut())?;
        Ok(value)
    }
}

/// Runs a program on all devices of a group.
pub(super) fn run(program: &Executable, devices: usize, arguments: &[&Spread]) -> XlaResult<Vec<Spread>> {
    let on = |device: usize| arguments.iter().map(|argument| &argument.0[device]).collect::<Vec<&Buffer>>();
    let lists: Vec<Vec<&Buffer>> = (0..devices).map(on).collect();
    let lists: Vec<&[&Buffer]> = lists.iter().map(Vec::as_slice).collect();
    let mut results = program.run_on_all(&lists)?.into_iter().map(Vec::into_iter).collect::<Vec<_>>();
    Ok((0..program.results()).map(|_| Spread(results.iter_mut().filter_map(Iterator::next).collect())).collect())
}
