//! Training steps of models that are functions of a [`Record`].

use crate::device::{Device, DeviceReal, DeviceTraining, TrainingOptions};
use crate::error::XlaResult;
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_nn::{Inputs, Optimizer, Parameters, Record};
use stochgrad_tape::Tape;

impl Device {
    /// Records a model, as [`Step`](stochgrad_nn::Step) does, and compiles training steps of it, which start from these
    /// parameters, inputs and state of the optimiser. All batches have the shapes of `inputs`.
    ///
    /// ```no_run
    /// use stochgrad_graph::Seed;
    /// use stochgrad_nn::{Adam, Inputs, Optimizer, Parameters, Record};
    /// use stochgrad_tensor::Tensor;
    /// use stochgrad_xla::{Device, TrainingOptions};
    ///
    /// let mut parameters = Parameters::new();
    /// parameters.insert("slope", Tensor::scalar(1.0))?;
    /// let (mut adam, inputs) = (Adam::<f32>::new(0.1), Inputs::new().batch("x", [1.0, 2.0]));
    /// let model = |record: &Record<'_, '_, f32>| {
    ///     record.cost("loss", (record.input("x")? * record.param("slope")? - 1.0).square())
    /// };
    /// let device = Device::load("pjrt_c_api_cpu_plugin.so")?;
    /// let mut training = device.compile_model(model, &parameters, &inputs, &adam, &TrainingOptions::new())?;
    /// for (number, batch) in [[1.0, 2.0], [0.5, 1.5]].into_iter().enumerate() {
    ///     training.set("x", &Tensor::from(batch))?;
    ///     println!("{}", training.step(Seed::new(7).step(number))?.total());
    /// }
    /// adam.load_state(&training.store(&mut parameters)?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the model, of [`Graph::compile`] and of [`compile_training`](Self::compile_training).
    pub fn compile_model<F: DeviceReal>(
        &self,
        model: impl Fn(&Record<'_, '_, F>) -> GraphResult<()>,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        optimizer: &dyn Optimizer<F>,
        options: &TrainingOptions<'_, F>,
    ) -> XlaResult<DeviceTraining<F>> {
        let recorded = |graph: &Graph<'_, F>| model(&parameters.on(graph).with_inputs(inputs));
        let tape = Tape::new();
        let compiled = Graph::from_model(&tape, Seed::new(0), &recorded)?.compile()?;
        let mut training = self.compile_training(&compiled, optimizer, options)?;
        training.load(parameters, &optimizer.state())?;
        for name in compiled.inputs() {
            if let Some(value) = inputs.get(name) {
                training.set(name, value)?;
            }
        }
        Ok(training)
    }
}
