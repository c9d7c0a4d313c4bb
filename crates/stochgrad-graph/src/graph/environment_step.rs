//! A step of an environment as a recorded operation.

use crate::graph::environment::{MemberStep, StepEnd, StepFunction};
use stochgrad_tape::{Primitive, PrimitiveInputs, Smoothness, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// One step as an operation: for each member next state, observation, reward and done, one after the other.
pub(crate) struct Step<F> {
    pub(crate) name: String,
    pub(crate) function: StepFunction<F>,
    /// The size of an observation.
    pub(crate) observed: usize,
}

/// The numbers of one operand: where those of each member begin.
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
        let width = state.size + self.observed + 2;
        let members = inputs.plates.numel();
        let mut packed = vec![F::NAN; members * width];
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
        let shape: Shape = inputs.plates.iter().copied().chain([width]).collect();
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
