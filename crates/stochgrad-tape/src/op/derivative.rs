//! All derivative rules, in one table.
//!
//! A rule maps the adjoint of a result to the adjoints of its operands. It is written in variables, so that it can be
//! differentiated again. Adjoints may be broadcast lazily: they may lack plates of their value, and may have size 1 on
//! event axes where the value is larger. [`unbroadcast`] takes this into account when it sums an adjoint to an operand.

use crate::adjoint::{Adjoints, Mask};
use crate::error::TapeError;
use crate::op::broadcast::{full, restored, unbroadcast};
use crate::op::contraction::{dot_over_rule, dot_rule};
use crate::op::convolution::{convolve_adjoint_rule, convolve_rule, convolve_weights_rule, image_size};
use crate::op::estimated::second_derivative_of_estimate;
use crate::op::linalg::{cholesky_rule, triangular_solve_rule};
use crate::op::lookup::{lookup_add_rule, lookup_rule};
use crate::op::pooling::max_pool_rule;
use crate::op::scan::{log_cumulative_sum_exp_rule, product_of_others, recurrence_rule};
use crate::op::special::derivatives::order_too_high;
use crate::op::{Axes, Estimated, Op, PlateReduction, ShardReduction};
use crate::plate::{Plates, merge};
use crate::tape::Tape;
use crate::var::Var;
use smallvec::smallvec;
use std::panic::Location;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::reduce::Reduce;
use stochgrad_tensor::zip::Zip;
use stochgrad_tensor::{Real, Shape};

/// The event shape with another size on one axis.
fn resized(shape: &Shape, axis: usize, to: usize) -> Shape {
    shape.iter().enumerate().map(|(at, &size)| if at == axis { to } else { size }).collect()
}

/// The derivative of the larger of two values with respect to the first. Where the values are equal, it is 1/2.
fn share<'t, F: Real>(x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    x.zip(Zip::Share, y)
}

/// e^x / (e^x + e^y), the derivative of the logarithm of a sum of exponentials with respect to x. It is 0 where both are
/// −∞, as for sums of several exponentials, and 1/2 where both are +∞.
fn log_add_exp_weight<'t, F: Real>(x: Var<'t, F>, y: Var<'t, F>) -> Var<'t, F> {
    let largest = F::MAX.to_f64();
    let same_infinity = x.equal(y) * x.map(Map::Outside(-largest, largest));
    same_infinity.held().select(x.map(Map::MinScalar(0.0)), x - y).sigmoid()
}

fn derivative_of_map<'t, F: Real>(map: Map, x: Var<'t, F>, y: Var<'t, F>, g: Var<'t, F>) -> Option<Var<'t, F>> {
    Some(match map {
        Map::Neg | Map::RsubScalar(_) => -g,
        Map::Guard(_) | Map::Unguard => g,
        Map::AddScalar(_) => g,
        Map::MulScalar(c) => g * c,
        Map::RdivScalar(c) => g * x.square().recip() * -c,
        Map::PowScalar(0.0) => return None,
        Map::PowScalar(c) => g * x.powf(c - 1.0) * c,
        Map::Exp | Map::ExpWithin(..) => g * y,
        Map::Ln => g / x,
        Map::LnHeld => {
            let steepest = 1.0 / F::MIN_POSITIVE.to_f64();
            g * x.recip().map(Map::Guard(steepest))
        }
        Map::Log1p => g / (x + 1.0),
        Map::Expm1 => g * (y + 1.0),
        Map::ExpExcess => g * x.expm1(),
        Map::Sqrt => g / y * 0.5,
        Map::Square => g * x * 2.0,
        Map::Recip => -(g * y.square()),
        Map::Abs => g * x.sign(),
        Map::Sin => g * x.cos(),
        Map::Cos => -(g * x.sin()),
        Map::Versine => g * x.map(Map::VersineSlope),
        // Finite for infinite angles as well.
        Map::VersineSlope => g * (1.0 - x.versine().map(Map::MinScalar(2.0))),
        Map::Tanh => g * (1.0 - y.square()),
        Map::Sigmoid => g * y * (1.0 - y),
        Map::Softplus => g * x.sigmoid(),
        Map::Log1pSquare => g * x.map(Map::Log1pSquareSlope),
        Map::Log1pSquareSlope => g * ((-x.map(Map::Log1pSquare)).exp() * 2.0 - y.square()),
        // The result has the sign of its operand, so the operand need not be kept.
        Map::Relu => g * y.step(),
        Map::LeakyRelu(slope) if slope > 0.0 => g * y.map(Map::LeakyStep(slope)),
        Map::LeakyRelu(slope) => g * x.map(Map::LeakyStep(slope)),
        Map::Erf => g * (-x.square()).exp() * std::f64::consts::FRAC_2_SQRT_PI,
        Map::Lgamma => g * x.digamma(),
        Map::Polygamma(order) => match order.checked_add(1) {
            Some(next) => g * x.polygamma(next),
            None => return order_too_high(y),
        },
        Map::MaxScalar(c) => g * share(x, x.tape.filled(Shape::scalar(), F::from_f64(c))),
        Map::MinScalar(c) => g * share(x.tape.filled(Shape::scalar(), F::from_f64(c)), x),
        Map::Clamp(low, high) => g * x.map(Map::Within(low, high)),
        Map::Sign
        | Map::Floor
        | Map::Ceil
        | Map::Round
        | Map::Step
        | Map::LeakyStep(_)
        | Map::Within(..)
        | Map::Outside(..)
        | Map::IsNan
        | Map::OnesLike
        | Map::ZerosLike => return None,
    })
}

impl<F: Real> Tape<F> {
    /// The adjoints of the operands of `output`, given its adjoint `g`. `wanted` says which operands need one. Elements
    /// outside `mask` are set to 0 before elements are summed.
    pub(crate) fn rule<'t>(
        &'t self,
        output: Var<'t, F>,
        g: Var<'t, F>,
        mask: Option<Mask>,
        wanted: &[bool],
    ) -> Adjoints<'t, F> {
        let Some(op) = output.op() else { return Adjoints::new() };
        let inputs = output.inputs();
        let (plates, event) = (output.plates(), output.shape());
        let sum_down = |adjoint: Var<'t, F>, plates: &Plates, operand: Var<'t, F>| {
            let sums = |_: &Mask| operand.plates() != *plates || operand.shape() != event;
            let adjoint = mask.filter(sums).map_or(adjoint, |mask| self.masked(adjoint, mask));
            Some(unbroadcast(adjoint, plates, &event, operand))
        };
        let down = |adjoint: Var<'t, F>, operand: Var<'t, F>| sum_down(adjoint, &plates, operand);
        let want = |index: usize, adjoint: &dyn Fn() -> Option<Var<'t, F>>| {
            if wanted.get(index) == Some(&true) { adjoint() } else { None }
        };
        let first = inputs.first().copied();
        let Some(x) = first else { return Adjoints::new() };
        match op {
            Op::Map(map) => smallvec![derivative_of_map(map, x, output, g)],
            Op::Zip(zip) => {
                let y = inputs[1];
                match zip {
                    Zip::Add => smallvec![want(0, &|| down(g, x)), want(1, &|| down(g, y))],
                    Zip::Sub | Zip::SubUnguarded => {
                        smallvec![want(0, &|| down(g, x)), want(1, &|| down(g, y).map(|sum| -sum))]
                    }
                    Zip::Mul | Zip::MulBit | Zip::MulCount => {
                        smallvec![want(0, &|| down(g * y, x)), want(1, &|| down(g * x, y))]
                    }
                    Zip::ChanceOfBit => {
                        let twice_less_one = |v: Var<'t, F>| v + v - 1.0;
                        smallvec![
                            want(0, &|| down(g * twice_less_one(y), x)),
                            want(1, &|| down(g * twice_less_one(x), y))
                        ]
                    }
                    // A divisor that several elements share divides their sum. With a mask it divides each, since the
                    // divisor of elements outside the mask may be 0.
                    Zip::Div => smallvec![
                        want(0, &|| down(g / y, x)),
                        want(1, &|| {
                            Some(match mask {
                                None => -(down(g * output, y)? / y),
                                Some(_) => -down(g * output / y, y)?,
                            })
                        })
                    ],
                    Zip::Pow => {
                        let log = || {
                            let zero = self.filled(Shape::scalar(), F::ZERO);
                            x.step().select(x.ln(), zero)
                        };
                        smallvec![
                            want(0, &|| down(g * y * x.pow(y - 1.0), x)),
                            want(1, &|| down(g * output * log(), y))
                        ]
                    }
                    Zip::Weigh => smallvec![want(0, &|| down(g * y, x)), want(1, &|| down(g * x.zip(Zip::Hold, y), y))],
                    Zip::Hold => {
                        let zero = self.filled(Shape::scalar(), F::ZERO);
                        smallvec![want(0, &|| down(x.zip(Zip::Keep, y).select(g, zero), x)), None]
                    }
                    Zip::Maximum => {
                        smallvec![want(0, &|| down(g * share(x, y), x)), want(1, &|| down(g * share(y, x), y))]
                    }
                    Zip::Minimum => {
                        smallvec![want(0, &|| down(g * share(y, x), x)), want(1, &|| down(g * share(x, y), y))]
                    }
                    Zip::LogAddExp => {
                        smallvec![
                            want(0, &|| down(g * log_add_exp_weight(x, y), x)),
                            want(1, &|| down(g * log_add_exp_weight(y, x), y))
                        ]
                    }
                    Zip::Log1pSquareRatio => smallvec![
                        want(0, &|| down(g * x.zip(Zip::Log1pSquareRatioByFirst, y), x)),
                        want(1, &|| down(g * x.zip(Zip::Log1pSquareRatioBySecond, y), y))
                    ],
                    // In terms of b² / (a² + b²), which neither overflows nor loses digits.
                    Zip::Log1pSquareRatioByFirst => {
                        let share = (-x.zip(Zip::Log1pSquareRatio, y)).exp() / y * 2.0;
                        smallvec![
                            want(0, &|| down(g * (share / y - output.square()), x)),
                            want(1, &|| down(-(g * output * share), y))
                        ]
                    }
                    Zip::Log1pSquareRatioBySecond => {
                        let share = (-x.zip(Zip::Log1pSquareRatio, y)).exp() * 2.0;
                        let by_first = || x.zip(Zip::Log1pSquareRatioByFirst, y);
                        smallvec![
                            want(0, &|| down(-(g * by_first() * share / y), x)),
                            want(1, &|| down(-(g * output * (share + 1.0) / y), y))
                        ]
                    }
                    Zip::Greater
                    | Zip::GreaterEqual
                    | Zip::Less
                    | Zip::LessEqual
                    | Zip::Equal
                    | Zip::NotEqual
                    | Zip::Share
                    | Zip::Keep => Adjoints::new(),
                }
            }
            Op::Special(special) => (0..inputs.len())
                .map(|index| {
                    want(index, &|| {
                        let terms = special.derivative_terms(&inputs, output, index)?;
                        terms
                            .into_iter()
                            .filter_map(|term| down(g * term, inputs[index]))
                            .reduce(|sum, term| sum + term)
                    })
                })
                .collect(),
            Op::Select => {
                let zero = self.filled(Shape::scalar(), F::ZERO);
                smallvec![
                    None,
                    want(1, &|| down(x.select(g, zero), inputs[1])),
                    want(2, &|| down(x.select(zero, g), inputs[2]))
                ]
            }
            Op::Reduce(function, axes) => {
                let g = g.reshape(restored(&g.shape(), &axes));
                let y = output.reshape(restored(&event, &axes));
                smallvec![match function {
                    Reduce::Sum => Some(g),
                    Reduce::Max | Reduce::Min => {
                        let mask = x.equal(y);
                        Some(g * mask / mask.apply(Op::SumOut(Plates::new(), axes)))
                    }
                    // Rows of −∞ have the value −∞. The bound makes their weights 0 instead of NaN.
                    Reduce::LogSumExp => Some(g * (x - y.map(Map::MaxScalar(-1e30))).exp()),
                    Reduce::Product => Some(g * product_of_others(x, &axes)),
                }]
            }
            Op::Softmax(axis) => {
                let weighted = g * output;
                smallvec![Some(
                    weighted - output * weighted.apply(Op::SumOut(Plates::new(), Axes::from_slice(&[axis])))
                )]
            }
            Op::LogSoftmax(axis) => {
                let g = full(g, output);
                smallvec![Some(
                    g - x.softmax(axis as isize) * g.apply(Op::SumOut(Plates::new(), Axes::from_slice(&[axis])))
                )]
            }
            Op::CumulativeSum { axis, reverse } => {
                smallvec![Some(full(g, output).apply(Op::CumulativeSum { axis, reverse: !reverse }))]
            }
            Op::LinearRecurrence { axis, reverse } => {
                recurrence_rule([x, inputs[1]], output, full(g, output), axis, reverse, wanted)
            }
            Op::LogCumulativeSumExp(axis) => {
                smallvec![Some(log_cumulative_sum_exp_rule(x, output, full(g, output), axis))]
            }
            Op::Matmul { transpose_left, transpose_right } => {
                self.rule_matmul(x, inputs[1], output, full(g, output), (transpose_left, transpose_right), wanted)
            }
            Op::Cholesky => smallvec![Some(cholesky_rule(output, full(g, output)))],
            Op::TriangularSolve { transpose } => {
                let (by_triangle, by_right) = triangular_solve_rule(x, output, full(g, output), transpose);
                let whole = |operand: Var<'t, F>| {
                    let (own, result) = (operand.shape(), output.shape());
                    result[..result.len() - 2].iter().chain(&own[own.len() - 2..]).copied().collect::<Shape>()
                };
                smallvec![
                    want(0, &|| Some(unbroadcast(by_triangle, &plates, &whole(x), x))),
                    want(1, &|| Some(unbroadcast(by_right, &plates, &whole(inputs[1]), inputs[1])))
                ]
            }
            Op::MatmulLeading => {
                let y = inputs[1];
                let by = |left: Var<'t, F>, transpose_right: bool| {
                    left.apply_with(Op::Matmul { transpose_left: false, transpose_right }, &[full(g, output)])
                };
                let together = |var: Var<'t, F>, other: Var<'t, F>, operand: Var<'t, F>| {
                    let mut joint = var.plates();
                    merge(&mut joint, &other.plates());
                    let lead = |v: Var<'t, F>| Shape::from(&v.shape()[..v.shape().len() - 1]);
                    let common = Shape::broadcast(&lead(var), &lead(other)).unwrap_or_default();
                    let event: Shape =
                        common.iter().copied().chain([operand.shape()[operand.shape().len() - 1]]).collect();
                    unbroadcast(var, &joint, &event, operand)
                };
                smallvec![
                    want(0, &|| Some(together(by(y, true), x, x))),
                    want(1, &|| Some(together(by(x, false), y, y)))
                ]
            }
            Op::Dot => {
                let (g, y) = (full(g, output), inputs[1]);
                smallvec![want(0, &|| Some(dot_rule(g, y, x))), want(1, &|| Some(dot_rule(g, x, y)))]
            }
            Op::DotOver(_) => {
                let g = full(g, output);
                dot_over_rule(g, x, inputs[1]).into_iter().map(Some).collect()
            }
            Op::Convolve(geometry) => convolve_rule(geometry, x, inputs[1], output, full(g, output), wanted),
            Op::ConvolveAdjoint(geometry, _) => {
                convolve_adjoint_rule(geometry, x, inputs[1], output, full(g, output), wanted)
            }
            Op::ConvolveWeights(geometry, ..) => convolve_weights_rule(geometry, x, inputs[1], full(g, output), wanted),
            Op::MaxPool(pooling) => smallvec![Some(max_pool_rule(pooling, x, full(g, output)))],
            Op::SumPool(pooling) => {
                smallvec![Some(full(g, output).apply(Op::SumPoolAdjoint(pooling, image_size(&x.shape()))))]
            }
            Op::SumPoolAdjoint(pooling, _) => smallvec![Some(full(g, output).apply(Op::SumPool(pooling)))],
            Op::Reshape(_) => smallvec![Some(full(g, output).reshape(x.shape()))],
            Op::Transpose(order) => {
                let mut inverse: Axes = order.clone();
                for (to, &from) in order.iter().enumerate() {
                    inverse[from] = to;
                }
                smallvec![Some(g.apply(Op::Transpose(inverse)))]
            }
            Op::Slice { axis, start, .. } => {
                smallvec![Some(full(g, output).apply(Op::PadInto { axis, start, full: x.shape()[axis] }))]
            }
            Op::PadInto { axis, start, .. } => {
                smallvec![Some(full(g, output).apply(Op::Slice { axis, start, len: x.shape()[axis] }))]
            }
            Op::Concat(axis) => {
                let g = full(g, output);
                let mut start = 0;
                let mut adjoints = Adjoints::new();
                for &input in &inputs {
                    let len = input.shape()[axis];
                    let part = g.apply(Op::Slice { axis, start, len });
                    adjoints.push(Some(unbroadcast(part, &plates, &input.shape(), input)));
                    start += len;
                }
                adjoints
            }
            Op::IndexSelect(axis, indices) => {
                smallvec![Some(full(g, output).apply(Op::IndexAdd(axis, indices, x.shape()[axis])))]
            }
            Op::IndexAdd(axis, indices, _) => smallvec![Some(full(g, output).apply(Op::IndexSelect(axis, indices)))],
            Op::Gather(axis) | Op::Ordered(axis) => {
                let len = x.shape()[axis];
                let scattered = full(g, output).apply_with(Op::ScatterAdd(axis, len), &[inputs[1]]);
                let event = resized(&event, axis, len);
                smallvec![Some(unbroadcast(scattered, &plates, &event, x)), None]
            }
            Op::ScatterAdd(axis, _) => {
                let gathered = full(g, output).apply_with(Op::Gather(axis), &[inputs[1]]);
                let event = resized(&event, axis, x.shape()[axis]);
                smallvec![Some(unbroadcast(gathered, &plates, &event, x)), None]
            }
            Op::Lookup => smallvec![Some(lookup_rule(x, inputs[1], output, full(g, output))), None],
            Op::LookupAdd { .. } => smallvec![Some(lookup_add_rule(x, inputs[1], full(g, output))), None],
            Op::MagicBox => smallvec![Some(g * output)],
            Op::StraightThrough => smallvec![None, down(g, inputs[1])],
            Op::Estimated(Estimated::Value) => {
                let adjoint = || g.apply_with(Op::Estimated(Estimated::Adjoint), &[inputs[1]]);
                smallvec![None, want(1, &|| down(adjoint(), inputs[1]))]
            }
            Op::Estimated(Estimated::Adjoint) => smallvec![second_derivative_of_estimate(output)],
            Op::Expand(..) => smallvec![down(g, x)],
            // The adjoint has size 1 on the summed axes. It is broadcast lazily.
            Op::SumOut(..) => smallvec![Some(g)],
            // The adjoint is equal on all shards, and the part of each shard enters the sum once.
            Op::AllReduce(ShardReduction::Sum) => smallvec![Some(g)],
            Op::PlateReduce(plate, PlateReduction::Sum) => {
                let carried = x.plates().contains(&plate);
                smallvec![Some(if carried { g } else { g * self.whole_plate_size(plate) as f64 })]
            }
            Op::PlateReduce(plate, PlateReduction::Mean) => {
                let carried = x.plates().contains(&plate);
                smallvec![Some(if carried { g * (1.0 / self.whole_plate_size(plate) as f64) } else { g })]
            }
            Op::PlateReduce(plate, PlateReduction::Weighted) => {
                let mut joint = plates.clone();
                merge(&mut joint, &[plate]);
                // A member that was removed by its weight of 0 adds nothing to the derivative with respect to the
                // weight.
                let member = || x.zip(Zip::Hold, inputs[1]);
                smallvec![
                    want(0, &|| sum_down(g * inputs[1], &joint, x)),
                    want(1, &|| sum_down(g * member(), &joint, inputs[1]))
                ]
            }
            Op::PlateReduce(plate, PlateReduction::LogSumExp) => {
                let carried = x.plates().contains(&plate);
                smallvec![Some(if carried { g * (x - output.map(Map::MaxScalar(-1e30))).exp() } else { g })]
            }
            Op::PlateMember(plate, index) => smallvec![Some(g.apply(Op::PlateScatter(plate, index)))],
            Op::PlateScatter(plate, index) => {
                let member = if g.plates().contains(&plate) { g.apply(Op::PlateMember(plate, index)) } else { g };
                smallvec![Some(member)]
            }
            Op::PlateToEvent(plate) => smallvec![Some(full(g, output).apply(Op::EventToPlate(plate)))],
            Op::EventToPlate(plate) => smallvec![Some(full(g, output).apply(Op::PlateToEvent(plate)))],
            Op::Sample(site) => {
                let closed = self.inner.borrow().closed.contains(&site);
                smallvec![if closed { None } else { Some(g) }]
            }
            Op::Custom(number) => {
                let primitive = self.inner.borrow().primitives[number as usize].clone();
                let adjoints = primitive.wanted_gradient(&inputs, output, full(g, output), wanted);
                let summed = adjoints.into_iter().zip(&inputs).map(|(adjoint, &input)| {
                    let adjoint = adjoint?;
                    let mut joint = adjoint.plates();
                    merge(&mut joint, &input.plates());
                    let (has, own) = (adjoint.shape(), input.shape());
                    match Shape::broadcast(&has, &own) {
                        Some(event) => Some(unbroadcast(adjoint, &joint, &event, input)),
                        None => Some(self.fail(TapeError::Shapes {
                            op: format!("gradient of {}", primitive.name()),
                            left: has,
                            right: own,
                            plates: String::new(),
                            at: output.location().unwrap_or(Location::caller()),
                        })),
                    }
                });
                summed.collect()
            }
            Op::Leaf { .. }
            | Op::Noise { .. }
            | Op::Draw { .. }
            | Op::Slot(_)
            | Op::Detach(_)
            | Op::Argmax(_)
            | Op::Argsort { .. }
            | Op::LastWriters(..)
            | Op::MaxPoolPositions(_)
            | Op::Categories
            | Op::OneHot(_)
            | Op::AllReduce(ShardReduction::Level) => Adjoints::new(),
        }
    }

    fn rule_matmul<'t>(
        &'t self,
        a: Var<'t, F>,
        b: Var<'t, F>,
        output: Var<'t, F>,
        g: Var<'t, F>,
        transposed: (bool, bool),
        wanted: &[bool],
    ) -> Adjoints<'t, F> {
        let product = |left: Var<'t, F>, transpose_left: bool, right: Var<'t, F>, transpose_right: bool| {
            left.apply_with(Op::Matmul { transpose_left, transpose_right }, &[right])
        };
        // The leading axes of the product are those of both operands. The matrix axes are those of the operand.
        let down = |adjoint: Var<'t, F>, operand: Var<'t, F>| {
            let own = operand.shape();
            let result = output.shape();
            let lead = result.len().saturating_sub(2).max(own.len().saturating_sub(2));
            let matrix = own.len().min(2);
            let event: Shape = if operand.shape().len() < 2 {
                own.clone()
            } else {
                result[..lead].iter().chain(&own[own.len() - matrix..]).copied().collect()
            };
            unbroadcast(adjoint, &output.plates(), &event, operand)
        };
        // The gradient of a weight matrix is a single product over all leading axes.
        let weight = b.plates().is_empty() && b.shape().len() == 2 && !transposed.0;
        let left = wanted[0].then(|| match transposed {
            (false, right) => down(product(g, false, b, !right), a),
            (true, false) => down(product(b, false, g, true), a),
            (true, true) => down(product(b, true, g, true), a),
        });
        let right = wanted[1].then(|| match transposed {
            (false, false) if weight => a.apply_with(Op::MatmulLeading, &[g]),
            (false, true) if weight => g.apply_with(Op::MatmulLeading, &[a]),
            (false, false) => down(product(a, true, g, false), b),
            (false, true) => down(product(g, true, a, false), b),
            (true, false) => down(product(a, false, g, false), b),
            (true, true) => down(product(g, true, a, true), b),
        });
        smallvec![left, right]
    }
}
