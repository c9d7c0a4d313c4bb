//! The inputs of a compiled graph: parameters, data, and schedules.

use crate::error::{GraphError, GraphResult};
use crate::graph::schedule::{Schedule, StepFunction};
use crate::graph::state::State;
use stochgrad_tape::{Program, Var};
use stochgrad_tensor::{Real, Tensor};

/// The inputs of a program by name. The schedules come last.
pub(crate) struct ProgramInputs<F: Real> {
    /// The inputs that are set before each run: parameters, then data.
    pub(crate) names: Vec<String>,
    /// The schedules, each with a buffer for its value.
    schedules: Vec<(Schedule, Tensor<F>)>,
}

impl<F: Real> ProgramInputs<F> {
    /// The inputs of a recording, and their leaves in the same order.
    ///
    /// # Errors
    /// If two of them have the same name.
    pub(crate) fn new<'t>(state: &State<'t, F>) -> GraphResult<(Self, Vec<Var<'t, F>>)> {
        let mut names: Vec<String> = state.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let mut leaves: Vec<Var<'t, F>> = state.parameters.iter().map(|parameter| parameter.var).collect();
        for (name, var) in &state.data {
            if names.contains(name) {
                return Err(GraphError::Compile {
                    problem: format!(
                        "two inputs are named \"{name}\"; give the data a name that differs from all parameters, with \
                         graph.data_named(name, plate, value)"
                    ),
                });
            }
            names.push(name.clone());
            leaves.push(*var);
        }
        let mut schedules = Vec::new();
        for (schedule, var) in &state.schedules {
            if names.contains(&schedule.name) {
                let problem = format!("an input and a schedule are named \"{}\"; rename one of them", schedule.name);
                return Err(GraphError::Compile { problem });
            }
            schedules.push((schedule.clone(), Tensor::scalar(F::ZERO)));
            leaves.push(*var);
        }
        Ok((ProgramInputs { names, schedules }, leaves))
    }

    /// The names of the schedules.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = &str> {
        self.schedules.iter().map(|(schedule, _)| schedule.name.as_str())
    }

    /// The functions of the schedules.
    pub(crate) fn schedule_functions(&self) -> Vec<StepFunction> {
        let function = |schedule: Schedule| -> StepFunction { Box::new(move |step| schedule.value(step)) };
        self.schedules.iter().map(|(schedule, _)| function(schedule.clone())).collect()
    }

    /// Sets the value of an input for the next run.
    ///
    /// # Errors
    /// For an unknown name, and for a shape other than the recorded one.
    #[track_caller]
    pub(crate) fn set(&self, program: &mut Program<F>, name: &str, value: &Tensor<F>) -> GraphResult<()> {
        let Some(input) = self.names.iter().position(|known| known == name) else {
            return Err(GraphError::Unknown { what: "input", name: name.into(), known: self.names.join(", ") });
        };
        Ok(program.set(input, value)?)
    }

    /// Sets the schedules to their values at a step.
    ///
    /// # Errors
    /// For a value that is not finite.
    pub(crate) fn set_schedules(&mut self, program: &mut Program<F>, step: u64) -> GraphResult<()> {
        let first = self.names.len();
        for (index, (schedule, buffer)) in self.schedules.iter_mut().enumerate() {
            let value = F::from_f64(schedule.value(step)?);
            buffer.make_mut().fill(value);
            program.set(first + index, buffer)?;
        }
        Ok(())
    }
}
