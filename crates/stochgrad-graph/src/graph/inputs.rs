//! Parameters, data and constants of a graph.

use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::schedule::Schedule;
use crate::graph::state::NamedParameter;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_tape::{IntoTensor, Plate, PlateKind, Snapshot, Var};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// A trainable parameter. Recording the same tensor (the same buffer) again under the same name returns the same
    /// parameter.
    ///
    /// # Errors
    /// If another parameter has this name.
    #[track_caller]
    pub fn param(&self, name: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        self.param_on(name, &[], value)
    }

    /// A trainable parameter with a value, and hence a gradient, for each member of some plates. The plates are its
    /// leading axes, in the order in which they were made. A cost that is averaged over a plate has the gradient of the
    /// average: the gradient for each member contains a factor of one over the number of members.
    ///
    /// # Errors
    /// If another parameter has this name, and for leading axes that do not fit the plates.
    #[track_caller]
    pub fn param_on(&self, name: &str, plates: &[Plate], value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let value = value.into_tensor();
        if let Some(known) = self.state().parameters.iter().find(|parameter| parameter.name == name) {
            return if known.value.shares_buffer_with(&value) && known.value.shape() == value.shape() {
                Ok(known.var)
            } else {
                Err(GraphError::Duplicate { what: "parameter", name: name.into(), before: known.at, at })
            };
        }
        let var = self.tape.parameter_on(plates, &value);
        self.tape.check()?;
        self.state.borrow_mut().parameters.push(NamedParameter { name: name.into(), var, value, at });
        Ok(var)
    }

    /// The names of the parameters and their values on the tape, in the order of recording.
    pub fn parameters(&self) -> Vec<(String, Var<'t, F>)> {
        self.state().parameters.iter().map(|parameter| (parameter.name.clone(), parameter.var)).collect()
    }

    /// A constant: a value without a gradient.
    #[track_caller]
    pub fn constant(&self, value: impl IntoTensor<F>) -> Var<'t, F> {
        self.tape.constant(value)
    }

    /// Data whose leading axis becomes the plate of this name, over which costs are averaged. Data of the same plate
    /// name lies on the same plate and must have the same number of members. In a compiled graph, the input has the
    /// name of the plate; further data on the same plate needs a name of its own, see [`data_named`](Self::data_named).
    ///
    /// # Errors
    /// For data without a leading axis or without members, and for a number of members that differs from that of the
    /// plate.
    #[track_caller]
    pub fn data(&self, plate: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        self.data_named(plate, plate, value)
    }

    /// Data with a name of its own, on a plate that it may share with other data; see [`data`](Self::data). Recording
    /// the same tensor (the same buffer) again under the same names returns the same data.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    #[track_caller]
    pub fn data_named(&self, name: &str, plate: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        let value = value.into_tensor();
        let Some(&size) = value.shape().first() else {
            return Err(GraphError::Data {
                name: plate.into(),
                problem: "expected a leading axis for the members, got a single number".into(),
                at,
            });
        };
        let known = self.state().plates.get(plate).copied();
        let axis = match known {
            Some(axis) if self.tape.plate_size(axis) == size => axis,
            Some(axis) => {
                let problem = format!("expected {} members as before, got {size}", self.tape.plate_size(axis));
                return Err(GraphError::Data { name: plate.into(), problem, at });
            }
            None => self.new_plate(plate, size, PlateKind::Data, at)?,
        };
        let again = self.data_of(name).filter(|var| *var.plates() == [axis]);
        if let Some(var) = again
            && var.inspect()?.shares_buffer_with(&value)
        {
            return Ok(var);
        }
        let var = self.tape.constant_on(&[axis], value);
        self.state.borrow_mut().data.push((name.into(), var));
        Ok(var)
    }

    /// A named value without plates that needs no gradient: a buffer of a layer, or a statistic of the data. Unlike a
    /// [`constant`](Self::constant), it is an input of a compiled graph, which can be given another value for each run.
    /// The same tensor (the same buffer) under the same name is the same input.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let slope = graph.param("slope", 2.0)?;
    /// let mean = graph.input("mean", Tensor::scalar(3.0))?;
    /// graph.cost("loss", slope * mean)?;
    /// let mut compiled = graph.compile()?;
    /// compiled.set("slope", &Tensor::scalar(2.0))?;
    /// compiled.set("mean", &Tensor::scalar(5.0))?;
    /// assert_eq!(compiled.run(Seed::new(7))?.get("slope")?.item()?, 5.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// For another tensor under a name that exists.
    #[track_caller]
    pub fn input(&self, name: &str, value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        self.input_on(name, &[], value)
    }

    /// An [`input`](Self::input) with a value for each member of some plates, which are its leading axes in the order
    /// in which they were made: a parameter [on plates](Self::param_on) that is not trained.
    ///
    /// # Errors
    /// For another tensor under a name that exists, and for leading axes that do not fit the plates.
    #[track_caller]
    pub fn input_on(&self, name: &str, plates: &[Plate], value: impl IntoTensor<F>) -> GraphResult<Var<'t, F>> {
        let (value, at) = (value.into_tensor(), Location::caller());
        if let Some(var) = self.data_of(name) {
            if var.inspect()?.shares_buffer_with(&value) {
                return Ok(var);
            }
            let before = var.location().unwrap_or(at);
            return Err(GraphError::Duplicate { what: "input", name: name.into(), before, at });
        }
        let var = self.tape.constant_on(plates, value);
        self.tape.check()?;
        self.state.borrow_mut().data.push((name.into(), var));
        Ok(var)
    }

    /// The step of the noise of this graph, or 0 if its noise is not made from a seed and a step.
    pub fn step(&self) -> u64 {
        self.noise().seed().map_or(0, |seed| seed.step)
    }

    /// A value of the host that changes from step to step: a weight of a cost that is annealed, for example. It is a
    /// function of the step only, has no gradient, and is computed anew for each run of a compiled graph.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let slope = graph.param("slope", 2.0)?;
    /// let weight = graph.schedule("weight", |step| (step as f64 / 10.0).min(1.0))?;
    /// graph.cost("loss", slope * weight)?;
    /// let mut compiled = graph.compile()?;
    /// for (step, expected) in [(0, 0.0), (5, 0.5), (20, 1.0)] {
    ///     compiled.set("slope", &Tensor::scalar(2.0))?;
    ///     assert_eq!(compiled.run(Seed::new(7).step(step))?.get("slope")?.item()?, expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If data, an input or a schedule has this name, and for a value that is not finite. Runs of a compiled graph also
    /// return the latter.
    #[track_caller]
    pub fn schedule(
        &self,
        name: &str,
        function: impl Fn(u64) -> f64 + Send + Sync + 'static,
    ) -> GraphResult<Var<'t, F>> {
        let at = Location::caller();
        if let Some(before) = self.named_input(name) {
            return Err(GraphError::Duplicate { what: "input", name: name.into(), before, at });
        }
        let schedule = Schedule { name: name.into(), function: Arc::new(function), at };
        let var = self.tape().constant(schedule.value(self.step())?);
        self.state_mut().schedules.push((schedule, var));
        Ok(var)
    }

    /// Where an input or a schedule of this name was recorded.
    fn named_input(&self, name: &str) -> Option<&'static Location<'static>> {
        let state = self.state();
        let schedule = state.schedules.iter().find(|(schedule, _)| schedule.name == name).map(|(_, var)| *var);
        let var = schedule.or_else(|| state.data.iter().find(|(known, _)| known == name).map(|(_, var)| *var))?;
        var.location()
    }

    /// A snapshot of everything that is recorded so far, without the values of parameters, data and schedules. Compared
    /// with that of a later recording of the same model, it shows whether host code has changed what it records.
    pub fn snapshot(&self) -> Snapshot<F> {
        let state = self.state();
        let parameters = state.parameters.iter().map(|parameter| parameter.var);
        let inputs = parameters.chain(state.data.iter().map(|(_, var)| *var));
        let inputs: Vec<Var<'t, F>> = inputs.chain(state.schedules.iter().map(|(_, var)| *var)).collect();
        self.tape.snapshot(&inputs)
    }

    pub(crate) fn data_of(&self, name: &str) -> Option<Var<'t, F>> {
        self.state().data.iter().find(|(known, _)| known == name).map(|(_, var)| *var)
    }
}
