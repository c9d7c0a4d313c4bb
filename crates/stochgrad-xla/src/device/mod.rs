//! Devices: where compiled graphs run.

mod costs;
mod graph;
mod interface;
mod model;
mod operands;
mod recording;
mod spread;
mod steps;
mod tensor;
mod training;
mod training_options;
mod training_programs;

pub use costs::DeviceCosts;
pub use graph::DeviceGraph;
pub use tensor::DeviceTensor;
pub use training::DeviceTraining;
pub use training_options::TrainingOptions;

use crate::error::{XlaError, XlaResult};
use crate::lowering::Precision;
use crate::pjrt::{Client, Element, Plugin};
use spread::Spread;
use std::path::Path;
use stochgrad_graph::CompiledGraph;
use stochgrad_nn::Optimizer;
use stochgrad_tensor::{Real, Tensor};

/// The element types of graphs that run on devices: `f32` and `f64`.
pub trait DeviceReal: Real + Element {}

impl<F: Real + Element> DeviceReal for F {}

/// A device of a PJRT plugin, which runs compiled graphs, or a group of devices that run them together. Clones are the
/// same devices.
///
/// ```no_run
/// use stochgrad_graph::{Graph, Seed};
/// use stochgrad_tape::Tape;
/// use stochgrad_tensor::Tensor;
/// use stochgrad_xla::Device;
///
/// let tape = Tape::<f32>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let w = graph.param("w", [1.0, 2.0])?;
/// let x = graph.data("points", Tensor::from([[1.0, 0.0], [0.0, 1.0]]))?;
/// graph.cost("loss", (x * w).sum().square())?;
/// let compiled = graph.compile()?;
///
/// let device = Device::load("pjrt_c_api_cpu_plugin.so")?;
/// let mut on_device = device.compile(&compiled)?;
/// on_device.set("w", &Tensor::from([3.0, 4.0]))?;
/// on_device.set("points", &Tensor::from([[1.0, 1.0], [0.0, 2.0]]))?;
/// let loss = on_device.run(Seed::new(7))?.get("loss")?;
/// let gradient = on_device.gradient("w")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Device {
    client: Client,
    numbers: Vec<usize>,
    precision: Precision,
}

impl Device {
    /// The first device of a plugin.
    ///
    /// # Errors
    /// Those of [`Plugin::load`] and [`Plugin::client`].
    pub fn load(plugin: impl AsRef<Path>) -> XlaResult<Device> {
        Ok(Device::new(Plugin::load(plugin)?.client(&[])?, 0))
    }

    /// The device of this number of a client.
    pub fn new(client: Client, number: usize) -> Device {
        Device { client, numbers: vec![number], precision: Precision::default() }
    }

    /// A group of devices of a client. Each of them holds the parameters and all other values that are not on a sharded
    /// plate, and a shard of those that are.
    ///
    /// # Errors
    /// For an empty list, and for devices that do not exist.
    pub fn group(client: Client, numbers: &[usize]) -> XlaResult<Device> {
        if numbers.is_empty() {
            return Err(mismatch("a group of devices", "at least one device", "none", "list the numbers of devices"));
        }
        numbers.iter().try_for_each(|&number| client.device_kind(number).map(drop))?;
        Ok(Device { client, numbers: numbers.to_vec(), precision: Precision::default() })
    }

    /// Sets the precision of products of matrices and of convolutions, for the graphs that are compiled from now on.
    pub fn precision(self, precision: Precision) -> Device {
        Device { precision, ..self }
    }

    /// The client, with all devices of the plugin.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The numbers of the devices.
    pub fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    /// Compiles a graph: costs and gradients.
    ///
    /// # Errors
    /// If an operation has no lowering, the plugin refuses the program, or the graph was recorded for another number of
    /// shards than there are devices.
    pub fn compile<F: DeviceReal>(&self, graph: &CompiledGraph<F>) -> XlaResult<DeviceGraph<F>> {
        DeviceGraph::new(self, graph)
    }

    /// Compiles training steps: costs, gradients, and the updates of the parameters by an optimiser, of running
    /// statistics, and of the state of the gradient methods. All of these stay on the device.
    ///
    /// # Errors
    /// As [`compile`](Self::compile), and those of [`Optimizer::compile_step`].
    pub fn compile_training<F: DeviceReal>(
        &self,
        graph: &CompiledGraph<F>,
        optimizer: &dyn Optimizer<F>,
        options: &TrainingOptions<'_, F>,
    ) -> XlaResult<DeviceTraining<F>> {
        DeviceTraining::new(self, graph, optimizer, options)
    }

    /// Copies a tensor to the device, for inputs that several runs share. Each device of a group gets the whole tensor.
    ///
    /// # Errors
    /// If the memory is exhausted.
    pub fn upload<F: DeviceReal>(&self, value: &Tensor<F>) -> XlaResult<DeviceTensor<F>> {
        Ok(DeviceTensor::new(self.replicated(value.as_slice(), value.shape())?, value.shape().clone()))
    }

    /// The same elements on all devices.
    fn replicated<T: Element>(&self, elements: &[T], shape: &[usize]) -> XlaResult<Spread> {
        let upload = |number: &usize| self.client.upload(*number, elements, shape);
        Ok(Spread(self.numbers.iter().map(upload).collect::<XlaResult<_>>()?))
    }

    /// Equal parts of a tensor along an axis, one on each device.
    fn sharded<T: Element>(&self, elements: &[T], shape: &[usize], axis: usize) -> XlaResult<Spread> {
        let devices = self.numbers.len();
        let inner: usize = shape[axis + 1..].iter().product();
        let row = shape[axis] * inner;
        let size = row / devices;
        let mut own = shape.to_vec();
        own[axis] /= devices;
        let upload = |(shard, number): (usize, &usize)| {
            let rows = elements.chunks_exact(row.max(1));
            let part: Vec<T> = rows.flat_map(|row| &row[shard * size..(shard + 1) * size]).copied().collect();
            self.client.upload(*number, &part, &own)
        };
        Ok(Spread(self.numbers.iter().enumerate().map(upload).collect::<XlaResult<_>>()?))
    }

    /// Words of each device, after which the number of its shard follows.
    fn control(&self, words: &[u32]) -> XlaResult<Spread> {
        let mut words = words.to_vec();
        words.push(0);
        let upload = |(shard, number): (usize, &usize)| {
            if let Some(last) = words.last_mut() {
                *last = shard as u32;
            }
            self.client.upload(*number, &words, &[words.len()])
        };
        Ok(Spread(self.numbers.iter().enumerate().map(upload).collect::<XlaResult<_>>()?))
    }
}

/// The error for something that differs from what is expected.
fn mismatch(what: &str, expected: &str, got: &str, advice: &str) -> XlaError {
    XlaError::Mismatch { what: what.into(), expected: expected.into(), got: got.into(), advice: advice.into() }
}
