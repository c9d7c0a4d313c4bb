//! The values that stay on a device between training steps.

use crate::device::graph::{upload_input, upload_slot};
use crate::device::recording::no_value;
use crate::device::steps::Kept;
use crate::device::{DeviceReal, DeviceTraining};
use crate::error::{XlaError, XlaResult};
use std::collections::BTreeMap;
use stochgrad_nn::Parameters;
use stochgrad_nn::optimizers::{OptimizerState, UpdatedParameter};
use stochgrad_tensor::Tensor;

impl<F: DeviceReal> DeviceTraining<F> {
    /// Copies parameters, buffers, the state of an optimiser, and that of the gradient methods to the device.
    ///
    /// # Errors
    /// If a parameter or a buffer of the graph is missing, has another shape, or the state is that of another kind of
    /// optimiser.
    pub fn load(&mut self, parameters: &Parameters<F>, optimizer: &OptimizerState<F>) -> XlaResult<()> {
        if optimizer.kind != self.optimizer.0 {
            return Err(XlaError::Mismatch {
                what: "the state of an optimiser".into(),
                expected: format!("that of {}", self.optimizer.0),
                got: format!("one of {}", optimizer.kind),
                advice: "give the state of the optimiser for which the steps were compiled".into(),
            });
        }
        for input in 0..self.interface.given() {
            let name = self.interface.inputs[input].name.clone();
            if let Some(value) = parameters.get(&name).or_else(|| parameters.buffer(&name)) {
                self.set(&name, value)?;
            } else if self.place(input).is_some() {
                return Err(no_value("the parameter", &name, "give the parameters with which the graph was recorded"));
            }
        }
        for place in 0..self.kept.len() {
            match self.kept[place] {
                Kept::OptimizerSlot(updated, slot) => {
                    let UpdatedParameter { parameter, slots } = self.updated[updated];
                    let input = &self.interface.inputs[parameter];
                    let value = optimizer.slots.get(slots[slot]).and_then(|values| values.get(&input.name));
                    let zero = || Tensor::zeros(input.shape.clone());
                    self.state[place] = Some(upload_input(&self.device, input, &value.cloned().unwrap_or_else(zero))?);
                }
                Kept::MethodSlot(slot) => {
                    self.state[place] = Some(upload_slot::<F>(&self.device, &self.interface.slots[slot])?);
                }
                Kept::Parameter(_) | Kept::Data(_) => {}
            }
        }
        self.updates = optimizer.steps;
        Ok(())
    }

    /// Copies the parameters and buffers of the graph, and the state of the gradient methods, from the device, and
    /// returns the state of the optimiser.
    ///
    /// # Errors
    /// If a parameter or a buffer of the graph is not among them.
    pub fn store(&self, parameters: &mut Parameters<F>) -> XlaResult<OptimizerState<F>> {
        let (kind, counters) = self.optimizer.clone();
        let mut state = OptimizerState { kind, steps: self.updates, counters, slots: BTreeMap::new() };
        // All groups of an optimiser make the same number of updates.
        state.counters.values_mut().for_each(|count| *count = self.updates);
        for (kept, buffer) in self.kept.iter().zip(&self.state) {
            let Some(buffer) = buffer else { continue };
            match *kept {
                Kept::Parameter(input) | Kept::Data(input) => {
                    parameters.set(&self.interface.inputs[input].name, buffer.tensor()?)?;
                }
                Kept::OptimizerSlot(updated, slot) => {
                    let UpdatedParameter { parameter, slots } = self.updated[updated];
                    let values = state.slots.entry(slots[slot].into()).or_default();
                    values.insert(self.interface.inputs[parameter].name.clone(), buffer.tensor()?);
                }
                Kept::MethodSlot(slot) => self.interface.slots[slot].slot.write(&buffer.read::<F>()?),
            }
        }
        Ok(state)
    }

    /// Copies the state of the gradient methods to their slots; [`store`](Self::store) does this, too.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn store_slots(&self) -> XlaResult<()> {
        for (kept, buffer) in self.kept.iter().zip(&self.state) {
            if let (Kept::MethodSlot(slot), Some(buffer)) = (kept, buffer) {
                self.interface.slots[*slot].slot.write(&buffer.read::<F>()?);
            }
        }
        Ok(())
    }

    /// Takes the values that stay on the device from another program of the same model, such as one for batches of
    /// another size. Values that the other one does not have are kept. The other program has none afterwards.
    ///
    /// ```no_run
    /// # use stochgrad_nn::{Adam, Inputs, Optimizer, Parameters, Record};
    /// # use stochgrad_graph::Seed;
    /// # use stochgrad_tensor::Tensor;
    /// # use stochgrad_xla::{Device, TrainingOptions};
    /// # let mut parameters = Parameters::new();
    /// # parameters.insert("slope", Tensor::scalar(1.0))?;
    /// # let adam = Adam::<f32>::new(0.1);
    /// # let model = |record: &Record<'_, '_, f32>| {
    /// #     record.cost("loss", (record.input("x")? * record.param("slope")? - 1.0).square())
    /// # };
    /// # let device = Device::load("pjrt_c_api_cpu_plugin.so")?;
    /// let (whole, rest) = (Inputs::new().batch("x", [1.0, 2.0]), Inputs::new().batch("x", [3.0]));
    /// let mut training = device.compile_model(model, &parameters, &whole, &adam, &TrainingOptions::new())?;
    /// let mut last = device.compile_model(model, &parameters, &rest, &adam, &TrainingOptions::new())?;
    /// training.step(Seed::new(7))?;
    /// last.continue_from(&mut training);
    /// last.step(Seed::new(7).step(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn continue_from(&mut self, other: &mut Self) {
        for place in 0..self.kept.len() {
            let same = |number: usize| self.is_same(self.kept[place], other, other.kept[number]);
            if let Some(number) = (0..other.kept.len()).find(|&number| same(number)) {
                self.state[place] = other.state[number].take();
            }
        }
        for (number, input) in self.given.iter().map(|&input| &self.interface.inputs[input]).enumerate() {
            let same = |&number: &usize| {
                let known = &other.interface.inputs[other.given[number]];
                known.name == input.name && known.shape == input.shape && known.sharded == input.sharded
            };
            if let Some(value) = (0..other.given.len()).find(same).and_then(|number| other.inputs[number].clone()) {
                self.inputs[number] = Some(value);
            }
        }
        self.updates = other.updates;
    }

    /// Whether a value that stays on the device is that of another program.
    fn is_same(&self, own: Kept, other: &Self, theirs: Kept) -> bool {
        let input = |own: usize, theirs: usize| self.interface.inputs[own].name == other.interface.inputs[theirs].name;
        match (own, theirs) {
            (Kept::Parameter(own), Kept::Parameter(theirs)) | (Kept::Data(own), Kept::Data(theirs)) => {
                input(own, theirs)
            }
            (Kept::OptimizerSlot(own, slot), Kept::OptimizerSlot(theirs, other_slot)) => {
                let (own, theirs) = (&self.updated[own], &other.updated[theirs]);
                input(own.parameter, theirs.parameter) && own.slots[slot] == theirs.slots[other_slot]
            }
            (Kept::MethodSlot(own), Kept::MethodSlot(theirs)) => {
                self.interface.slots[own].slot.is(&other.interface.slots[theirs].slot)
            }
            _ => false,
        }
    }
}
