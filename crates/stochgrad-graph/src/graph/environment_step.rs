//! Steps of environments as recorded operations.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::environment::{Environment, MemberStep, StepEnd, StepFunction, Transition};
use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;
use stochgrad_distributions::{DistributionError, Draw};
use stochgrad_tape::{Id, Op, PlateSet, Primitive, PrimitiveInputs, Smoothness, TapeError, Var};
use stochgrad_tensor::{Real, Shape, Tensor, machine_memory};

/// One step as an operation. Its result has one row for each member: next state, observation, reward and done.
pub(crate) struct Step<F> {
    pub(crate) name: String,
    pub(crate) function: StepFunction<F>,
    /// The size of an observation.
    pub(crate) observed: usize,
}

/// The elements of one operand, and where those of each member begin.
struct Operand<'a, F> {
    values: &'a [F],
    /// The distance between members along each plate; 0 where the operand lacks it.
    strides: Vec<usize>,
    size: usize,
}

impl<'a, F: Real> Operand<'a, F> {
    fn new(tensor: &'a Tensor<F>, plates: usize) -> Self {
        let (leading, event) = tensor.shape().split_at(plates);
        let size = event.iter().product();
        let mut stride = size;
        let mut strides = vec![0; plates];
        for (axis, &len) in leading.iter().enumerate().rev() {
            strides[axis] = if len == 1 { 0 } else { stride };
            stride *= len;
        }
        Operand { values: tensor.as_slice(), strides, size }
    }

    fn of(&self, member: &[usize]) -> &'a [F] {
        let start: usize = self.strides.iter().zip(member).map(|(stride, index)| stride * index).sum();
        &self.values[start..start + self.size]
    }
}

impl<F: Real> Primitive<F> for Step<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn forward(&self, inputs: PrimitiveInputs<'_, F>) -> Result<Tensor<F>, String> {
        let plates = inputs.plates.len();
        let operands: Vec<Operand<'_, F>> = inputs.values.iter().map(|value| Operand::new(value, plates)).collect();
        let [state, action, noise @ ..] = &operands[..] else {
            return Err(format!("expected a state and an action, got {} values", operands.len()));
        };
        let width = state.size.saturating_add(self.observed).saturating_add(2);
        let shape: Shape = inputs.plates.iter().copied().chain([width]).collect();
        let elements = shape.check_memory::<F>(machine_memory()).map_err(|error| error.to_string())?;
        let mut packed = vec![F::NAN; elements];
        let mut member = vec![0; plates];
        for row in packed.chunks_mut(width) {
            let (next_state, rest) = row.split_at_mut(state.size);
            let (observation, last) = rest.split_at_mut(self.observed);
            let noise = noise.first().map_or(&[][..], |noise| noise.of(&member));
            let StepEnd { reward, done } = (self.function)(MemberStep {
                state: state.of(&member),
                action: action.of(&member),
                noise,
                next_state,
                observation,
            });
            last.copy_from_slice(&[reward, if done { F::ONE } else { F::ZERO }]);
            if let Some(position) = row.iter().position(|x| x.is_nan()) {
                return Err(self.nan(position, state.size, &member, &inputs.plates));
            }
            for (index, &size) in member.iter_mut().zip(inputs.plates.iter()).rev() {
                *index += 1;
                if *index < size {
                    break;
                }
                *index = 0;
            }
        }
        Tensor::new(packed, shape).map_err(|error| error.to_string())
    }

    fn gradient<'t>(&self, inputs: &[Var<'t, F>], _: Var<'t, F>, _: Var<'t, F>) -> Vec<Option<Var<'t, F>>> {
        vec![None; inputs.len()]
    }

    fn smoothness(&self, _input: usize) -> Smoothness {
        Smoothness::Jump
    }
}

impl<F> Step<F> {
    fn nan(&self, position: usize, state: usize, member: &[usize], plates: &Shape) -> String {
        let what = match position {
            _ if position < state => format!("element {position} of the next state"),
            _ if position < state + self.observed => format!("element {} of the observation", position - state),
            _ => "the reward".into(),
        };
        let place = match member {
            [] => String::new(),
            [only] => format!(" for member {only} of {}", plates[0]),
            several => format!(" for member {several:?} of plates of sizes {plates}"),
        };
        format!(
            "{what} is NaN{place}; the function must write the whole next state and observation, from finite operands"
        )
    }
}

impl<'t, F: Real> Graph<'t, F> {
    /// A step of an environment, called for each combination of members of the plates that state and action carry: a
    /// batch of parallel environments, samples, the states of an enumerated action, or the alternatives of a replay.
    ///
    /// * **Credit.** The outputs for a member descend from the nodes that the state and the action *of that member*
    ///   depend on. A reward that is recorded with its plates is credited to the actions of its own member.
    /// * **No gradient.** The function is a black box, and counts as a jump. Draw the actions with methods that need
    ///   only the values of the cost, such as the score function; `Pathwise` upstream is an error. A state or an action
    ///   that depends on a parameter otherwise than through a node is an error, too.
    /// * **Noise** is addressed by the name of the step and the member, like that of a node. A replay has the same
    ///   noise, a shard of a batch has the noise of its members, and the states of an enumerated node share their
    ///   noise.
    /// * **Members that are done** are stepped like the others. Usually, their rewards are then ignored; see
    ///   [`Transition::while_running`]. A function may also return the state unchanged.
    ///
    /// ```
    /// use stochgrad_graph::{Environment, Graph, GraphError, Seed, StepEnd};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), GraphError> {
    /// // A walk that ends above 2, and is paid for where it is.
    /// let walk = Environment::<f64>::new(|member| {
    ///     let next = member.state[0] + member.action[0] + 0.1 * (member.noise[0] - 0.5);
    ///     member.next_state[0] = next;
    ///     StepEnd { reward: next, done: next > 2.0 }
    /// })
    /// .noise(1);
    ///
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let mut state = graph.data("walkers", [0.0, 1.0, 1.9])?;
    /// let mut running = graph.constant(1.0);
    /// for t in 0..3 {
    ///     // A policy would draw the action from a node whose parameters depend on the state.
    ///     let action = graph.constant(0.5);
    ///     let step = graph.environment(("walk", t), &walk, state, action)?;
    ///     let (reward, still) = step.while_running(running);
    ///     graph.cost(&format!("cost {t}"), -reward)?;
    ///     (state, running) = (step.state, still);
    /// }
    /// assert_eq!(running.peek()?.as_slice(), &[1.0, 0.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If another node or environment has this address; [`GraphError::Environment`] if state or action depend on a
    /// parameter otherwise than through a node; for an output that is NaN, with the member; and for earlier errors on
    /// the tape.
    #[track_caller]
    pub fn environment(
        &self,
        address: impl Into<Address>,
        environment: &Environment<F>,
        state: Var<'t, F>,
        action: Var<'t, F>,
    ) -> GraphResult<Transition<'t, F>> {
        let at = Location::caller();
        let address = self.address_in_scan(&address.into());
        let tape = self.tape();
        tape.check()?;
        for (what, var) in [("state", state), ("action", action)] {
            if !std::ptr::eq(var.tape(), tape) {
                return Err(TapeError::Foreign { what: format!("the {what} of environment \"{address}\""), at }.into());
            }
            if let Some(parameter) = self.parameter_behind(var)? {
                let problem = format!(
                    "the {what} depends on parameter \"{parameter}\" otherwise than through a node, and no gradient \
                     flows through an environment; draw the {what} from a node, or exclude the dependence from the \
                     derivative with stop_gradient()"
                );
                return Err(GraphError::Environment { name: address.to_string(), problem, at });
            }
        }
        self.claim(&address, at)?;
        let plates = PlateSet::from(state.plates()).union(&action.plates());
        let mut inputs = vec![state, action];
        if environment.noise > 0 {
            let draw = Draw::new(tape, self.noise(), address.key().purpose("environment"), plates.clone().into());
            let noise =
                draw.record_uniform(tape, &Shape::from([environment.noise])).map_err(|source| match source {
                    DistributionError::Tape(error) => GraphError::Tape(error),
                    other => GraphError::Environment { name: address.to_string(), problem: other.to_string(), at },
                })?;
            inputs.push(noise);
        }
        let observed = environment.observation.as_ref().map_or(0, Shape::numel);
        let width = state.shape().numel().saturating_add(observed).saturating_add(2);
        tape.check_memory("a step of an environment", &plates, width)?;
        let step = Step { name: format!("environment \"{address}\""), function: environment.step.clone(), observed };
        let transition = tape.located(at, || {
            let packed = tape.custom(Arc::new(step), &inputs);
            let size = state.shape().numel();
            let next = packed.slice(0, 0..size).reshape(state.shape());
            let observation = match &environment.observation {
                None => next,
                Some(shape) => packed.slice(0, size..size + observed).reshape(shape.clone()),
            };
            let [reward, done] = [0, 1].map(|after| packed.index(0, size + observed + after));
            Transition { state: next, observation, reward, done }
        });
        tape.check()?;
        Ok(transition)
    }

    /// The name of a parameter on which a value depends through operations with derivatives, and not through a node.
    fn parameter_behind(&self, var: Var<'t, F>) -> GraphResult<Option<String>> {
        let tape = self.tape();
        let mut pending = vec![var.id()];
        let mut seen: HashSet<Id> = pending.iter().copied().collect();
        while let Some(id) = pending.pop() {
            let var = tape.var(id)?;
            match var.op() {
                Some(Op::Leaf { trainable: true }) => {
                    let known = self
                        .state()
                        .parameters
                        .iter()
                        .find(|known| known.var.id() == id)
                        .map(|known| known.name.clone());
                    return Ok(Some(known.unwrap_or_default()));
                }
                None | Some(Op::Sample(_)) => {}
                Some(_) => {
                    for (number, input) in var.inputs().into_iter().enumerate() {
                        let smooth = matches!(tape.smoothness(var, number), Smoothness::Smooth | Smoothness::Kinked);
                        if smooth && seen.insert(input.id()) {
                            pending.push(input.id());
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}
