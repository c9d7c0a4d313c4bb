//! Programs of several operations, with plates, derivatives and noise.

use crate::agreement::{RECORDED, client, numbers};
use crate::both;
use stochgrad_tape::{NoiseScheme, PlateKind, Slot, Var};
use stochgrad_tensor::convolution::Convolution;
use stochgrad_tensor::map::Map;
use stochgrad_tensor::pooling::Pooling;
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::sampling_scheme::SamplingScheme;
use stochgrad_tensor::sort::Order;
use stochgrad_tensor::{Shape, Tensor};

#[test]
fn a_network_with_discrete_nodes() {
    let Some(client) = client("a_network_with_discrete_nodes") else { return };
    both!(&client, "network", [&[8, 6], &[6], &[6, 8], &[5, 8]], |tape, inputs| {
        let batch = tape.plate("batch", 5, PlateKind::Data, &[]);
        let samples = tape.plate("samples", 3, PlateKind::Samples, &[batch]);
        let states = tape.plate("states", 2, PlateKind::Enumerated, &[]);
        let leaves = vec![
            tape.parameter(&inputs[0]),
            tape.parameter(&inputs[1]),
            tape.parameter(&inputs[2]),
            tape.constant_on(&[batch], &inputs[3]),
        ];
        let hidden = (leaves[3].matmul(leaves[0]) + leaves[1]).map(Map::LeakyRelu(0.1));
        let noise = tape.noise(RECORDED, Fill::Uniform, 7, &[batch, samples], &Shape::from([6])).unwrap();
        let bits = tape.sample(tape.new_site(), noise.ge(1.0 - hidden.sigmoid()), &[hidden]);
        let logits = bits.matmul(leaves[2]);
        let cost = (logits.softplus() - leaves[3] * logits).sum();
        let crossed = tape.constant_on(&[states], numbers(&[2, 8], 3)).dot(logits);
        let weights = hidden.index(0, 0).softplus();
        let weighted =
            cost.weighted_sum_over(samples, weights).mean_over(batch) + crossed.log_mean_exp_over(states).sum();
        let total = weighted + cost.mean_over(samples).sum_over(batch) * 0.01;
        let total = total + crossed.mean_over(samples).mean_over(batch).mean_over(states);
        let mut outputs = tape.gradients(total.mean_over(samples).mean_over(batch), &leaves[..3]).unwrap();
        outputs.extend([total, cost, leaves[1]]);
        (leaves, outputs)
    });
}

#[test]
fn event_axes() {
    let Some(client) = client("event_axes") else { return };
    both!(&client, "event axes", [&[3, 4], &[3, 3, 4]], |tape, inputs| {
        let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
        let [x, y] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
        let index = (x.index(0, 0).abs() * 2.0).floor().map(Map::Clamp(0.0, 2.0));
        let gathered = y.gather(1, index.reshape([1, 4]).map(Map::MinScalar(3.0)));
        let stacked = Var::concat(&[x.softmax(1), x.log_softmax(0), x.cumsum(-1)], 0).unwrap();
        let chosen = stacked.index_select(0, &[0, 4, 4, 8]).transpose().slice(0, 1..3);
        let one_hot = index.one_hot(3).sum_axis(0);
        let position = y.argmax(-1);
        let plates = y.plate_to_event(plate).sum_axis(0) + y.member(plate, 1);
        let scattered = y.max_axis(-1) + y.logsumexp(-1) - position;
        let total = gathered.sum() + (chosen * 1.3).sin().sum() + scattered.sum() + plates.square().sum();
        let total = total.sum_over(plate)
            + y.gt(x).select(x, y).exp().sum().mean_over(plate)
            + x.sum_axis(1).reshape([3]).sum();
        let mut outputs = tape.gradients(total, &[x, y]).unwrap();
        outputs.extend([total, one_hot, position, chosen, y.map(Map::Abs).sum_axis(0)]);
        (vec![x, y], outputs)
    });
}

#[test]
fn scans_and_lookups() {
    let Some(client) = client("scans_and_lookups") else { return };
    both!(&client, "scans", [&[3, 4], &[3, 3, 4]], |tape, inputs| {
        let plate = tape.plate("rows", 3, PlateKind::Data, &[]);
        let [x, y] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
        let index = (y.abs() * 2.0).floor().map(Map::MinScalar(2.0));
        let (sorted, positions) = y.sort(0, Order::Descending);
        let scans = y.cumprod(-1) + y.logcumsumexp(0) + y.prod_axis(0) + y.logaddexp(sorted) + y.min();
        let rows = x.lookup(index).sum_last(2) + x.norm() + x.lookup(index.index(0, 0)).sum_last(2);
        let written = y.scatter(0, index, y.exp()).scatter_add(1, positions, y * 2.0);
        let total = (scans.sum() + rows.square().sum() + written.sin().sum()).sum_over(plate);
        let mut outputs = tape.gradients(total, &[x, y]).unwrap();
        let curvature = outputs[0].square().sum() * 1e-3 + outputs[1].square().sum().sum_over(plate) * 1e-3;
        outputs.extend(tape.gradients(curvature, &[x, y]).unwrap());
        outputs.extend([total, positions, written, rows]);
        (vec![x, y], outputs)
    });
}

#[test]
fn matrices() {
    let Some(client) = client("matrices") else { return };
    both!(&client, "matrices", [&[3, 4], &[2, 3, 2]], |tape, inputs| {
        let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
        let [a, b] = [tape.parameter(&inputs[0]), tape.parameter_on(&[plate], &inputs[1])];
        let covariance = a.matmul(a.transpose()) + tape.constant(Tensor::eye(3));
        let factor = covariance.cholesky();
        let solution = factor.triangular_solve(b) + factor.transposed_triangular_solve(b);
        let total = (solution.square().sum() + factor.diagonal().ln().sum()).sum_over(plate);
        let stack = Var::stack(&[a.sum_axis(1), a.index(1, 1)]).unwrap().event_to_plate(plate);
        let total = total + (stack.member(plate, 0) * 2.0).sum() + stack.square().sum().mean_over(plate);
        let mut outputs = tape.gradients(total, &[a, b]).unwrap();
        outputs.push(stack);
        (vec![a, b], outputs)
    });
}

#[test]
fn convolutions() {
    let Some(client) = client("convolutions") else { return };
    both!(&client, "convolutions", [&[2, 4, 3, 2], &[2, 3, 1, 4], &[3, 2, 3, 1, 4]], |tape, inputs| {
        let plate = tape.plate("rows", 2, PlateKind::Data, &[]);
        let samples = tape.plate("samples", 3, PlateKind::Samples, &[]);
        let leaves = vec![
            tape.parameter_on(&[plate], &inputs[0]),
            tape.parameter(&inputs[1]),
            tape.parameter_on(&[samples], &inputs[2]),
        ];
        let geometry = Convolution::new().stride([2, 1]).padding([1, 2]).dilation([1, 2]).groups(2);
        let hidden = leaves[0].conv2d(leaves[1], geometry).tanh();
        let back = hidden.conv_transpose2d(leaves[2], geometry, [1, 0]);
        let pooling = Pooling::new([2, 3]).stride([1, 2]).padding([1, 1]);
        let cost = (back.max_pool2d(pooling) * back.avg_pool2d(pooling)).sum() + back.square().sum();
        let mut outputs = tape.gradients(cost.mean_over(samples).sum_over(plate), &leaves).unwrap();
        outputs.extend([hidden, back, leaves[0].max_pool2d(pooling).pad(0, 1, 2)]);
        (leaves, outputs)
    });
}

#[test]
fn noise_on_plates() {
    let Some(client) = client("noise_on_plates") else { return };
    both!(&client, "noise", [&[3, 2]], |tape, inputs| {
        let batch = tape.plate("batch", 3, PlateKind::Data, &[]);
        tape.set_plate_offset(batch, 7);
        let samples = tape.plate("samples", 5, PlateKind::Samples, &[batch]);
        let alternatives = tape.plate("alternatives", 2, PlateKind::Alternatives, &[]);
        let x = tape.parameter_on(&[batch], &inputs[0]);
        let event = Shape::from([2]);
        let mut values = Vec::new();
        for (number, fill) in [
            Fill::Uniform,
            Fill::Mirrored,
            Fill::Folded,
            Fill::Exponential,
            Fill::MirroredExponential,
            Fill::Logistic,
            Fill::Normal,
        ]
        .into_iter()
        .enumerate()
        {
            let address = (1 << 100) + number as u128;
            values.push(tape.noise(RECORDED, fill, address, &[batch, samples, alternatives], &event).unwrap());
            values.push(tape.noise(RECORDED, fill, address + 50, &[samples], &Shape::from([3])).unwrap());
        }
        let schemes = [
            SamplingScheme::Antithetic,
            SamplingScheme::Stratified,
            SamplingScheme::Systematic,
            SamplingScheme::sobol(),
        ];
        for (number, scheme) in schemes.into_iter().enumerate() {
            for (fill, address) in [(Fill::Uniform, 10), (Fill::Logistic, 20)] {
                let scheme = NoiseScheme { scheme, plate: samples, strata: 100 + number as u128 };
                let address = address + number as u128;
                values.push(tape.noise_by(Some(scheme), RECORDED, fill, address, &[batch, samples], &event).unwrap());
            }
        }
        let table = (x * 0.5).exp().unsqueeze(-1) * tape.constant([0.5, 0.0, 2.0]);
        let uniforms = tape.noise(RECORDED, Fill::Uniform, 6, &[batch, samples], &event).unwrap();
        values.push(table.categories(uniforms));
        let slot = tape.slot(&Slot::new("slot", [2], [-0.25, 0.75]));
        values.push((x * slot).straight_through(values[0] * x));
        (vec![x], values)
    });
}
