//! The modules of training steps: a single one, and a loop of them.

use crate::device::DeviceReal;
use crate::device::interface::{Interface, Output};
use crate::device::operands::{element_at, number_at, words};
use crate::device::recording::{Given, record_graph};
use crate::device::training_options::TrainingOptions;
use crate::error::{XlaError, XlaResult};
use crate::lowering::axes::integers;
use crate::lowering::builder::{Builder, Value};
use crate::lowering::types::{Element, TensorType};
use crate::lowering::{ArgumentKind, Check, Options, Precision, record_replacing};
use stochgrad_graph::CompiledGraph;
use stochgrad_nn::optimizers::CompiledStep;
use stochgrad_tensor::Shape;

/// A value that stays on the device from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The parameter that is this input.
    Parameter(usize),
    /// A slot of the optimiser: the number of the updated parameter, and that of the slot.
    OptimizerSlot(usize, usize),
    /// The data that are this input, which have a next value.
    Data(usize),
    /// A slot of the gradient methods.
    MethodSlot(usize),
}

/// What the modules of training steps are made of.
pub(super) struct Steps<'g, F: DeviceReal> {
    pub(super) interface: &'g Interface,
    pub(super) graph: &'g CompiledGraph<F>,
    /// The step of the optimiser.
    pub(super) update: &'g CompiledStep<F>,
    pub(super) precision: Precision,
    /// The number of devices.
    pub(super) devices: usize,
    pub(super) kept: &'g [Kept],
    /// The inputs that are not kept.
    pub(super) given: &'g [usize],
}

/// The values that a step starts from.
struct Start<'a, 'b> {
    kept: &'a [Value<'b>],
    given: &'a [Value<'b>],
    schedules: &'a [Value<'b>],
    /// The words of the seed.
    seed: Value<'b>,
    /// The words of the step.
    step: Value<'b>,
    /// The number of updates so far.
    completed: Value<'b>,
    /// The number of the shard.
    shard: Value<'b>,
}

/// What a step computes.
struct Step<'b> {
    kept: Vec<Value<'b>>,
    report: Value<'b>,
    holds: Value<'b>,
    each_holds: Option<Value<'b>>,
    checks: Vec<Check>,
}

/// The number of words that the host sends with a run: seed, step, the number of updates so far, and then, for a loop,
/// the number of steps. The number of the shard follows.
const CONTROL: usize = 6;

impl<F: DeviceReal> Steps<'_, F> {
    fn element() -> Element {
        Element::of::<F>()
    }

    /// The shape of a value that is kept.
    pub(super) fn shape_of(&self, kept: Kept) -> Shape {
        match kept {
            Kept::Parameter(input) | Kept::Data(input) => self.interface.inputs[input].shape.clone(),
            Kept::OptimizerSlot(updated, _) => {
                // The parameters are the first inputs.
                self.interface.inputs[self.update.updated[updated].parameter].shape.clone()
            }
            Kept::MethodSlot(slot) => self.interface.slots[slot].slot.shape().clone(),
        }
    }

    /// The arguments that are kept, whose memory the first results get.
    fn kept_arguments<'b>(&self, builder: &'b Builder) -> Vec<Value<'b>> {
        let argument = |(number, &kept): (usize, &Kept)| {
            let kind = TensorType::new(Self::element(), self.shape_of(kept));
            builder.argument_with(kind, &format!("tf.aliasing_output = {number} : i32"))
        };
        self.kept.iter().enumerate().map(argument).collect()
    }

    fn record<'b>(&self, builder: &'b Builder, start: &Start<'_, 'b>) -> XlaResult<Step<'b>> {
        let at = |kept: Kept| self.kept.iter().position(|known| *known == kept);
        let inputs: Vec<Value<'b>> = (0..self.interface.given())
            .map(|input| {
                let kept = at(Kept::Parameter(input)).or_else(|| at(Kept::Data(input)));
                kept.map(|number| start.kept[number])
                    .or_else(|| self.given.iter().position(|given| *given == input).map(|number| start.given[number]))
            })
            .collect::<Option<Vec<_>>>()
            .expect("each input is kept or given")
            .into_iter()
            .chain(start.schedules.iter().copied())
            .collect();
        let slots: Vec<Value<'b>> = (0..self.interface.slots.len())
            .filter_map(|slot| at(Kept::MethodSlot(slot)).map(|number| start.kept[number]))
            .collect();
        let listing = self.graph.listing().program;
        let given = Given { inputs: &inputs, slots: &slots, seed: start.seed, step: start.step, shard: start.shard };
        let computed = record_graph(builder, self.interface, &listing, (self.precision, self.devices), &given)?;
        let output = |wanted: Output| {
            let found = self.interface.outputs.iter().position(|output| *output == wanted);
            found.map(|number| computed.outputs[number])
        };

        let mut operands = vec![start.completed];
        for (updated, parameter) in self.update.updated.iter().enumerate() {
            let input = parameter.parameter;
            operands.push(inputs[input]);
            operands.extend(output(Output::Gradient(input)));
            let slots = (0..parameter.slots.len()).filter_map(|slot| at(Kept::OptimizerSlot(updated, slot)));
            operands.extend(slots.map(|number| start.kept[number]));
        }
        let options = Options { precision: self.precision, finite: Vec::new() };
        let listing = self.update.program.listing();
        // The value before the step of each output, and its position among the values that are kept.
        let places: Vec<Option<usize>> = (self.update.updated.iter().enumerate())
            .flat_map(|(updated, parameter)| {
                let slots = (0..parameter.slots.len()).map(move |slot| Kept::OptimizerSlot(updated, slot));
                [Kept::Parameter(parameter.parameter)].into_iter().chain(slots)
            })
            .map(at)
            .collect();
        let before = |output: usize| places[output].map(|place| start.kept[place]);
        let is_single =
            |output: usize| listing.outputs().iter().filter(|other| **other == listing.outputs()[output]).count() == 1;
        let mut chosen = vec![false; places.len()];
        // A step that fails changes nothing. The new slots are chosen before the parameter is computed from them: the
        // compiler then updates them in place, and does not compute them again from copies of the old ones.
        let moved = record_replacing(
            builder,
            &listing,
            &options,
            &mut |kind, _| match kind {
                ArgumentKind::Input(number) => operands[number],
                ArgumentKind::Seed => start.seed,
                ArgumentKind::Step => start.step,
                other => panic!("expected an optimiser without slots and plates, got {other:?}"),
            },
            &mut |output, value| match before(output) {
                Some(before) if is_single(output) => {
                    chosen[output] = true;
                    computed.holds.select(value, before)
                }
                _ => value,
            },
        )?;
        let mut next = start.kept.to_vec();
        for (output, value) in moved.outputs.into_iter().enumerate() {
            if let (Some(place), Some(before)) = (places[output], before(output)) {
                next[place] = if chosen[output] { value } else { computed.holds.select(value, before) };
            }
        }
        for (number, kept) in self.kept.iter().enumerate() {
            let value = match *kept {
                Kept::Data(input) => output(Output::NextValue(input)),
                Kept::MethodSlot(slot) => output(Output::Slot(slot)),
                Kept::Parameter(_) | Kept::OptimizerSlot(..) => None,
            };
            if let Some(value) = value {
                next[number] = computed.holds.select(value, start.kept[number]);
            }
        }
        Ok(Step {
            kept: next,
            report: computed.report,
            holds: computed.holds,
            each_holds: computed.each_holds,
            checks: computed.checks,
        })
    }

    /// The text of a single step, and its checks. The arguments are what is kept, the other inputs, the schedules as a
    /// vector if there are any, and [`CONTROL`] words with the shard after them. The results are what is kept, the report, and a truth value for
    /// each check if there are any.
    pub(super) fn single(&self) -> XlaResult<(String, Vec<Check>)> {
        let builder = Builder::new();
        let kept = self.kept_arguments(&builder);
        let argument = |shape: Shape| builder.argument(TensorType::new(Self::element(), shape));
        let given: Vec<Value<'_>> =
            self.given.iter().map(|&input| argument(self.interface.inputs[input].shape.clone())).collect();
        let count = self.interface.schedules.len();
        let schedules = (count > 0).then(|| argument(Shape::from([count])));
        let control = builder.argument(TensorType::new(Element::U32, [CONTROL + 1]));
        let schedules: Vec<Value<'_>> =
            schedules.map_or_else(Vec::new, |vector| (0..count).map(|number| element_at(vector, number)).collect());
        let start = Start {
            kept: &kept,
            given: &given,
            schedules: &schedules,
            seed: control.slice(0, 0, 2),
            step: control.slice(0, 2, 2),
            completed: number_at(control, 4).convert(Self::element()),
            shard: element_at(control, CONTROL),
        };
        let step = self.record(&builder, &start)?;
        let results: Vec<Value<'_>> = step.kept.into_iter().chain([step.report]).chain(step.each_holds).collect();
        Ok((builder.finish(&results), step.checks))
    }

    /// The text of a loop of steps. The arguments are what is kept, the inputs that are not resident, the resident data,
    /// the rows of the batches of all steps if there are resident data, the schedules of all steps if there are any, and
    /// [`CONTROL`] words with the number of steps and the shard after them. The results are what is kept, the reports of all steps,
    /// and a truth value for each check of the last step if there are any.
    pub(super) fn several(&self, options: &TrainingOptions<'_, F>, rows: usize, checks: usize) -> XlaResult<String> {
        let builder = Builder::new();
        let mut carried = vec![builder.integer(Element::I32, 0), builder.truth(true)];
        let kept = self.kept_arguments(&builder);
        let argument = |shape: Shape| builder.argument(TensorType::new(Self::element(), shape));
        let resident = |input: usize| {
            let name = &self.interface.inputs[input].name;
            options.resident.iter().position(|(known, _)| known == name)
        };
        let fixed: Vec<Option<Value<'_>>> = self
            .given
            .iter()
            .map(|&input| resident(input).is_none().then(|| argument(self.interface.inputs[input].shape.clone())))
            .collect();
        let data: Vec<Value<'_>> = options.resident.iter().map(|(_, data)| argument(data.shape().clone())).collect();
        let indices =
            (!data.is_empty()).then(|| builder.argument(TensorType::new(Element::I32, [options.steps, rows])));
        let count = self.interface.schedules.len();
        let schedules = (count > 0).then(|| argument(Shape::from([options.steps, count])));
        let control = builder.argument(TensorType::new(Element::U32, [CONTROL + 2]));
        let (seed, first, completed) = (control.slice(0, 0, 2), number_at(control, 2), number_at(control, 4));
        let (steps, shard) = (element_at(control, CONTROL).convert(Element::I32), element_at(control, CONTROL + 1));

        let width = self.interface.costs.len() + 1;
        let zero = builder.float(Self::element(), 0.0);
        carried.push(zero.broadcast(&Shape::from([options.steps, width]), &[]));
        if checks > 0 {
            carried.push(builder.truth(true).broadcast(&Shape::from([checks]), &[]));
        }
        let state = carried.len();
        carried.extend(&kept);

        let mut failure = None;
        let results = builder.while_loop(
            &carried,
            |carried| carried[0].lt(steps) & carried[1],
            |carried| {
                let number = carried[0];
                let given: Vec<Value<'_>> = fixed
                    .iter()
                    .zip(self.given)
                    .filter_map(|(fixed, &input)| {
                        fixed.or_else(|| Some(gathered(data[resident(input)?], row(indices?, number))))
                    })
                    .collect();
                let schedules: Vec<Value<'_>> = schedules.map_or_else(Vec::new, |schedules| {
                    let values = row(schedules, number);
                    (0..count).map(|schedule| element_at(values, schedule)).collect()
                });
                let offset = number.convert(Element::U64);
                let start = Start {
                    kept: &carried[state..],
                    given: &given,
                    schedules: &schedules,
                    seed,
                    step: words(first + offset),
                    completed: (completed + offset).convert(Self::element()),
                    shard,
                };
                match self.record(&builder, &start) {
                    Ok(step) => {
                        let report = step.report.reshape(&Shape::from([1, width]));
                        let zero = builder.integer(Element::I32, 0);
                        let reports = builder.op(
                            "stablehlo.dynamic_update_slice",
                            &[carried[2], report, number, zero],
                            "",
                            carried[2].kind(),
                        );
                        let next = [number + 1_i64, step.holds, reports].into_iter();
                        next.chain(step.each_holds).chain(step.kept).collect()
                    }
                    Err(error) => {
                        failure = Some(error);
                        carried.to_vec()
                    }
                }
            },
        );
        if let Some(error) = failure {
            return Err(error);
        }
        let mut outputs = results[state..].to_vec();
        outputs.extend(&results[2..state]);
        Ok(builder.finish(&outputs))
    }

    /// The number of rows of the batches of resident data, which is 0 without such data.
    pub(super) fn batch_rows(&self, options: &TrainingOptions<'_, F>) -> XlaResult<usize> {
        let mut rows = None;
        for (name, data) in &options.resident {
            let number = self.interface.input(name)?;
            let expected = &self.interface.inputs[number].shape;
            let is_given = self.given.contains(&number);
            let own = expected.first().copied().unwrap_or(0);
            let fits = is_given && data.shape().rank() > 0 && expected.rank() > 0 && expected[1..] == data.shape()[1..];
            if !fits || *rows.get_or_insert(own) != own {
                return Err(XlaError::Mismatch {
                    what: format!("the resident data of the input \"{name}\""),
                    expected: format!("rows like those of shape {expected}, as many for each input"),
                    got: format!("shape {}", data.shape()),
                    advice: "give the data sets from which batches are taken along the first axis".into(),
                });
            }
        }
        Ok(rows.unwrap_or(0))
    }
}

/// The row of a matrix at a position, which is a value.
fn row<'b>(matrix: Value<'b>, position: Value<'b>) -> Value<'b> {
    let builder = matrix.builder;
    let size = matrix.shape()[1];
    let zero = builder.integer(Element::I32, 0);
    let attributes = format!("slice_sizes = {}", integers([1, size]));
    let kind = TensorType::new(matrix.element(), [1, size]);
    builder.op("stablehlo.dynamic_slice", &[matrix, position, zero], &attributes, kind).reshape(&Shape::from([size]))
}

/// The rows of a tensor at some positions along the first axis.
fn gathered<'b>(data: Value<'b>, positions: Value<'b>) -> Value<'b> {
    let shape = data.shape();
    let rows = positions.shape()[0];
    let offsets: Vec<String> = (1..shape.rank()).map(|axis| axis.to_string()).collect();
    let sizes = integers(std::iter::once(1).chain(shape[1..].iter().copied()));
    let attributes = format!(
        "dimension_numbers = #stablehlo.gather<offset_dims = [{}], collapsed_slice_dims = [0], start_index_map = [0], \
         index_vector_dim = 1>, slice_sizes = {sizes}, indices_are_sorted = false",
        offsets.join(", ")
    );
    let kind = TensorType::new(data.element(), shape.with_size(0, rows));
    data.builder.op("stablehlo.gather", &[data, positions.reshape(&Shape::from([rows, 1]))], &attributes, kind)
}
