//! Compiled graphs on devices.

use crate::device::costs::DeviceCosts;
use crate::device::interface::{Failures, Input, Interface, Output, UsedSlot};
use crate::device::operands::{element_at, seed_words};
use crate::device::recording::{Given, no_value, record_graph};
use crate::device::spread::{Spread, run};
use crate::device::{Device, DeviceReal, DeviceTensor};
use crate::error::XlaResult;
use crate::lowering::builder::{Builder, Value};
use crate::lowering::types::{Element, TensorType};
use crate::pjrt::Executable;
use std::sync::Arc;
use stochgrad_graph::{CompiledGraph, Gradients, Seed};
use stochgrad_tensor::{Shape, Tensor};

/// A compiled graph on a device: costs and gradients. Made by [`Device::compile`].
///
/// It is used as [`CompiledGraph`]: [`set`](Self::set) the inputs, [`run`](Self::run), [`advance`](Self::advance). The
/// differences are that inputs stay on the device until they are set again, and that gradients are copied to the host
/// only when they are asked for. The state of the gradient methods stays on the device, too;
/// [`store_slots`](Self::store_slots) copies it to the slots of the methods.
pub struct DeviceGraph<F: DeviceReal> {
    device: Device,
    program: Executable,
    interface: Interface,
    failures: Failures,
    /// The inputs that are not schedules.
    inputs: Vec<Option<Arc<Spread>>>,
    /// The slots that are used.
    slots: Vec<Spread>,
    costs: DeviceCosts<F>,
    /// The results of the last run: one for each output that is no estimate.
    results: Vec<Option<Spread>>,
}

impl<F: DeviceReal> DeviceGraph<F> {
    pub(super) fn new(device: &Device, graph: &CompiledGraph<F>) -> XlaResult<Self> {
        let interface = Interface::new(graph, device.numbers.len())?;
        let listing = graph.listing().program;
        let builder = Builder::new();
        let element = Element::of::<F>();
        let argument = |shape: &Shape| builder.argument(TensorType::new(element, shape.clone()));
        let mut inputs: Vec<Value<'_>> =
            interface.inputs[..interface.given()].iter().map(|input| argument(&input.shape)).collect();
        let slots: Vec<Value<'_>> = interface.slots.iter().map(|used| argument(used.slot.shape())).collect();
        if !interface.schedules.is_empty() {
            let schedules = argument(&Shape::from([interface.schedules.len()]));
            inputs.extend((0..interface.schedules.len()).map(|number| element_at(schedules, number)));
        }
        let control = builder.argument(TensorType::new(Element::U32, [5]));
        let given = Given {
            inputs: &inputs,
            slots: &slots,
            seed: control.slice(0, 0, 2),
            step: control.slice(0, 2, 2),
            shard: element_at(control, 4),
        };
        let computed = record_graph(&builder, &interface, &listing, (device.precision, device.numbers.len()), &given)?;
        let mut results = vec![computed.report];
        let first = results.len() + usize::from(computed.each_holds.is_some());
        results.extend(computed.each_holds);
        let outputs = interface.outputs.iter().zip(&computed.outputs);
        results.extend(outputs.filter(|(output, _)| !matches!(output, Output::Estimate(_))).map(|(_, value)| *value));
        debug_assert_eq!(first + interface.outputs.len() - interface.costs.len(), results.len());
        let failures = Failures::new(&interface, &listing, &computed.checks);
        let program = device.client.compile(&builder.finish(&results), &device.numbers)?;
        Ok(DeviceGraph {
            device: device.clone(),
            program,
            failures,
            inputs: (0..interface.given()).map(|_| None).collect(),
            slots: upload_slots::<F>(device, &interface)?,
            costs: DeviceCosts::new(interface.costs.clone()),
            results: (interface.costs.len()..interface.outputs.len()).map(|_| None).collect(),
            interface,
        })
    }

    /// The names of the inputs that are set before the first run: the parameters, then the data.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.interface.inputs[..self.interface.given()].iter().map(|input| input.name.as_str())
    }

    /// Copies the value of a parameter, or of data, to the device. It stays there for all further runs.
    ///
    /// # Errors
    /// For an unknown name, for a shape other than the recorded one, and if the memory is exhausted.
    pub fn set(&mut self, name: &str, value: &Tensor<F>) -> XlaResult<()> {
        let number = self.interface.input_of_shape(name, value.shape(), self.device.numbers.len())?;
        self.inputs[number] = Some(Arc::new(upload_input(&self.device, &self.interface.inputs[number], value)?));
        Ok(())
    }

    /// As [`set`](Self::set), with a tensor that is already on the device.
    ///
    /// # Errors
    /// For an unknown name, for a shape other than the recorded one, and for an input of which each device has a shard.
    pub fn share(&mut self, name: &str, value: &DeviceTensor<F>) -> XlaResult<()> {
        let number = self.interface.shared_input(name, value.shape(), self.device.numbers.len())?;
        self.inputs[number] = Some(value.spread().clone());
        Ok(())
    }

    /// Runs with the inputs that were set, and with the noise of a seed and step. Returns the costs.
    ///
    /// # Errors
    /// If an input was never set, if a parameter of a distribution is outside its domain, or if a gradient or the
    /// estimate of a cost is NaN or infinite.
    pub fn run(&mut self, seed: Seed) -> XlaResult<&DeviceCosts<F>> {
        self.results.iter_mut().for_each(|result| *result = None);
        let mut arguments: Vec<&Spread> = Vec::with_capacity(self.inputs.len() + self.slots.len() + 2);
        for (input, buffer) in self.interface.inputs.iter().zip(&self.inputs) {
            let set = "call `set` for every input before the first run";
            arguments.push(buffer.as_deref().ok_or_else(|| no_value("the input", &input.name, set))?);
        }
        arguments.extend(&self.slots);
        let schedules = upload_schedules::<F>(&self.device, &self.interface, seed.step)?;
        arguments.extend(&schedules);
        let control = self.device.control(&seed_words(seed))?;
        arguments.push(&control);
        let mut results = run(&self.program, self.device.numbers.len(), &arguments)?.into_iter();
        let report: Vec<F> = results.next().map_or_else(|| Ok(Vec::new()), |report| report.read())?;
        let outputs = self.results.len();
        let checks = if results.len() > outputs { results.next() } else { None };
        let (holds, costs) = report.split_last().map_or((F::ZERO, &report[..]), |(holds, costs)| (*holds, costs));
        if holds == F::ZERO {
            let each = checks.map_or_else(|| Ok(Vec::new()), |checks| checks.read::<u8>())?;
            return Err(self.failures.error(seed.step, &each));
        }
        self.costs.values.copy_from_slice(costs);
        for (result, buffer) in self.results.iter_mut().zip(results) {
            *result = Some(buffer);
        }
        Ok(&self.costs)
    }

    /// The costs of the last run.
    pub fn costs(&self) -> &DeviceCosts<F> {
        &self.costs
    }

    /// Copies the gradient with respect to a parameter from the device.
    ///
    /// # Errors
    /// If no parameter has this name, or the last run failed.
    pub fn gradient(&self, parameter: &str) -> XlaResult<Tensor<F>> {
        let number = self.interface.input(parameter)?;
        self.read(Output::Gradient(number), parameter)
    }

    /// Copies the value that an input [gets after the step](stochgrad_graph::Graph::set_next_value) from the device.
    ///
    /// # Errors
    /// If the input has none, or the last run failed.
    pub fn next_value(&self, input: &str) -> XlaResult<Tensor<F>> {
        let number = self.interface.input(input)?;
        self.read(Output::NextValue(number), input)
    }

    /// Copies all gradients from the device, for optimisers of the host. There are no costs among them.
    ///
    /// # Errors
    /// If the last run failed.
    pub fn gradients(&self) -> XlaResult<Gradients<F>> {
        let mut gradients = Vec::new();
        for output in &self.interface.outputs {
            if let Output::Gradient(number) = output {
                let name = &self.interface.inputs[*number].name;
                gradients.push((name.clone(), self.read(*output, name)?));
            }
        }
        Ok(Gradients::from_tensors(gradients))
    }

    fn read(&self, output: Output, name: &str) -> XlaResult<Tensor<F>> {
        let others = self.interface.outputs.iter().filter(|output| !matches!(output, Output::Estimate(_)));
        let found = others.zip(&self.results).find(|(known, _)| **known == output);
        let Some((_, result)) = found else {
            return Err(no_value("an output for", name, "the compiled graph has none of this name"));
        };
        let result = result.as_ref().ok_or_else(|| no_value("an output for", name, "run the graph first"))?;
        result.tensor()
    }

    /// Gives the inputs and the slots of the gradient methods the next values that the last run computed. Nothing is
    /// copied to the host, and nothing changes if the last run failed.
    pub fn advance(&mut self) {
        let others = self.interface.outputs.iter().filter(|output| !matches!(output, Output::Estimate(_)));
        for (output, result) in others.zip(&mut self.results) {
            match *output {
                Output::Slot(slot) => {
                    if let Some(next) = result.take() {
                        self.slots[slot] = next;
                    }
                }
                Output::NextValue(input) => {
                    if let Some(next) = result.take() {
                        self.inputs[input] = Some(Arc::new(next));
                    }
                }
                Output::Estimate(_) | Output::Gradient(_) => {}
            }
        }
    }

    /// Copies the state of the gradient methods to their slots, for checkpoints and for runs on the host.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn store_slots(&self) -> XlaResult<()> {
        for output in &self.interface.outputs {
            if let Output::Slot(number) = output {
                self.interface.slots[*number].slot.write(&self.slots[*number].read::<F>()?);
            }
        }
        Ok(())
    }

    /// Copies the state of the gradient methods from their slots.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn load_slots(&mut self) -> XlaResult<()> {
        self.slots = upload_slots::<F>(&self.device, &self.interface)?;
        Ok(())
    }
}

/// Copies the slots that are used to a device.
pub(super) fn upload_slots<F: DeviceReal>(device: &Device, interface: &Interface) -> XlaResult<Vec<Spread>> {
    interface.slots.iter().map(|used| upload_slot::<F>(device, used)).collect()
}

/// Copies the present value of a slot to a device.
pub(super) fn upload_slot<F: DeviceReal>(device: &Device, used: &UsedSlot) -> XlaResult<Spread> {
    let values: Vec<F> = used.slot.values().into_iter().map(F::from_f64).collect();
    device.replicated(&values, used.slot.shape())
}

/// Copies the schedules at a step to a device, if there are any.
pub(super) fn upload_schedules<F: DeviceReal>(
    device: &Device,
    interface: &Interface,
    step: u64,
) -> XlaResult<Option<Spread>> {
    let values = interface.schedules_at::<F>(step)?;
    (!values.is_empty()).then(|| device.replicated(&values, &[values.len()])).transpose()
}

/// Copies an input to a device, or a shard of it to each device.
pub(super) fn upload_input<F: DeviceReal>(device: &Device, input: &Input, value: &Tensor<F>) -> XlaResult<Spread> {
    match input.sharded {
        None => device.replicated(value.as_slice(), value.shape()),
        Some(axis) => device.sharded(value.as_slice(), value.shape(), axis),
    }
}

impl<F: DeviceReal> std::fmt::Debug for DeviceGraph<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceGraph").field("device", &self.device).field("costs", &self.costs).finish_non_exhaustive()
    }
}
