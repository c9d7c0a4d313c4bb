//! The program: three layers, bits, two layers.

use stochgrad::tensor::random::{Key, address_hash};

use super::dense::Dense;
use super::elementwise;

/// The gradient method for the bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimator {
    /// One relaxed sample, $\sigma((a + \mathrm{logit}\,u) / \tau)$, at this temperature.
    Concrete(f32),
    /// The score function with this number of samples, each with the mean of the others as its baseline.
    LeaveOneOut(usize),
}

impl Estimator {
    /// Samples per image.
    pub fn samples(self) -> usize {
        match self {
            Estimator::Concrete(_) => 1,
            Estimator::LeaveOneOut(samples) => samples,
        }
    }
}

/// A variational autoencoder with 200-200-\[200 bits\]-200 units, or other sizes.
pub struct Program {
    estimator: Estimator,
    batch: usize,
    key: Key,
    encoder: [Dense; 3],
    decoder: [Dense; 2],
    /// Uniform samples, later bits or relaxed bits: `[samples, batch, bits]`.
    code: Vec<f32>,
    /// The derivative of the loss with respect to relaxed bits.
    code_adjoint: Vec<f32>,
    /// The cost of each sample of each image, `[samples, batch]`.
    costs: Vec<f32>,
}

impl Program {
    /// A program for batches of `batch` images, with the weights `[inputs, outputs]` and biases of the five layers.
    ///
    /// # Panics
    /// If the sizes of the layers do not match, or leave-one-out has fewer than two samples.
    pub fn new(estimator: Estimator, batch: usize, layers: [(Vec<f32>, Vec<f32>); 5]) -> Self {
        assert!(matches!(estimator, Estimator::Concrete(_)) || estimator.samples() >= 2);
        let rows = batch * estimator.samples();
        let widths: Vec<usize> = layers.iter().map(|(_, bias)| bias.len()).collect();
        for (layer, (weight, _)) in layers.iter().enumerate().skip(1) {
            assert_eq!(weight.len(), widths[layer - 1] * widths[layer]);
        }
        let [a, b, c, d, e] = layers;
        let layer = |(weight, bias), rows| Dense::new(weight, bias, rows);
        Self {
            estimator,
            batch,
            key: Key::new(0, 0, address_hash("bits", &[])),
            encoder: [layer(a, batch), layer(b, batch), layer(c, batch)],
            decoder: [layer(d, rows), layer(e, rows)],
            code: vec![0.0; rows * widths[2]],
            code_adjoint: vec![0.0; rows * widths[2]],
            costs: vec![0.0; rows],
        }
    }

    /// Computes the loss for images `[batch, pixels]` and the noise of a step, and its gradients in the buffers.
    pub fn step(&mut self, images: &[f32], step: u64) -> f32 {
        let elements = self.code.len() as u64;
        self.key.uniform(step.wrapping_mul(elements), &mut self.code);
        self.run(images)
    }

    /// The gradients of the weights and biases, layer by layer.
    pub fn gradients(&self) -> impl Iterator<Item = [&[f32]; 2]> {
        let layers = self.encoder.iter().chain(&self.decoder);
        layers.map(|layer| [layer.weight_gradient.as_slice(), layer.bias_gradient.as_slice()])
    }

    /// The step for the uniform samples in `code`.
    fn run(&mut self, images: &[f32]) -> f32 {
        let [first, second, third] = &mut self.encoder;
        first.rectified(images);
        second.rectified(&first.value);
        third.affine(&second.value);
        self.draw();
        let [fourth, fifth] = &mut self.decoder;
        fourth.rectified(&self.code);
        fifth.affine(&fourth.value);
        self.reconstruct(images);

        let [fourth, fifth] = &mut self.decoder;
        fifth.parameter_gradients(&fourth.value);
        fifth.input_gradient(&mut fourth.adjoint);
        fourth.through_rectifier();
        fourth.parameter_gradients(&self.code);
        if matches!(self.estimator, Estimator::Concrete(_)) {
            fourth.input_gradient(&mut self.code_adjoint);
        }
        let loss = self.through_code();
        let [first, second, third] = &mut self.encoder;
        third.parameter_gradients(&second.value);
        third.input_gradient(&mut second.adjoint);
        second.through_rectifier();
        second.parameter_gradients(&first.value);
        second.input_gradient(&mut first.adjoint);
        first.through_rectifier();
        first.parameter_gradients(images);
        loss
    }

    /// Computes only the matrix products of a step.
    pub fn products(&mut self, images: &[f32]) {
        let [first, second, third] = &mut self.encoder;
        let [fourth, fifth] = &mut self.decoder;
        first.product(images);
        second.product(&first.value);
        third.product(&second.value);
        fourth.product(&self.code);
        fifth.product(&fourth.value);
        fifth.weight_product(&fourth.value);
        fifth.input_gradient(&mut fourth.adjoint);
        fourth.weight_product(&self.code);
        if matches!(self.estimator, Estimator::Concrete(_)) {
            fourth.input_gradient(&mut self.code_adjoint);
        }
        third.weight_product(&second.value);
        third.input_gradient(&mut second.adjoint);
        second.weight_product(&first.value);
        second.input_gradient(&mut first.adjoint);
        first.weight_product(images);
    }

    /// Turns uniform samples into bits or relaxed bits.
    fn draw(&mut self) {
        let logits = &self.encoder[2].value;
        for code in self.code.chunks_exact_mut(logits.len()) {
            match self.estimator {
                Estimator::Concrete(temperature) => elementwise::relax_bits(code, logits, temperature),
                Estimator::LeaveOneOut(_) => elementwise::draw_bits(code, logits),
            }
        }
    }

    /// The cost of each sample, and the adjoint of the pixels' logits.
    fn reconstruct(&mut self, images: &[f32]) {
        let [_, output] = &mut self.decoder;
        let pixels = output.bias.len();
        let share = 1.0 / self.costs.len() as f32;
        let rows = output.value.chunks_exact(pixels).zip(output.adjoint.chunks_exact_mut(pixels));
        let images = images.chunks_exact(pixels).cycle();
        for (((logits, adjoints), image), cost) in rows.zip(images).zip(&mut self.costs) {
            *cost = elementwise::reconstruct(logits, adjoints, image, share);
        }
    }

    /// The loss, and the adjoint of the bits' logits, which has a part through the bits and one from the divergence.
    fn through_code(&mut self) -> f32 {
        let third = &mut self.encoder[2];
        let (bits, batch, samples) = (third.bias.len(), self.batch, self.estimator.samples());
        let mean = self.costs.iter().sum::<f32>() / self.costs.len() as f32;
        let share = 1.0 / batch as f32;
        let divergence = elementwise::divergence(&third.value, &mut third.adjoint, share);
        for (image, adjoints) in third.adjoint.chunks_exact_mut(bits).enumerate() {
            let average = (0..samples).map(|k| self.costs[k * batch + image]).sum::<f32>() / samples as f32;
            for sample in 0..samples {
                let row = sample * batch + image;
                let at = row * bits..(row + 1) * bits;
                let code = &self.code[at.clone()];
                match self.estimator {
                    Estimator::Concrete(temperature) => {
                        elementwise::add_through_relaxation(adjoints, code, &self.code_adjoint[at], temperature);
                    }
                    Estimator::LeaveOneOut(_) => {
                        // The average over images of (f − the others' mean) / K. Over all samples of an image these sum
                        // to 0, so that σ(a) drops out of the score b − σ(a).
                        let advantage = (self.costs[row] - average) * share / (samples - 1) as f32;
                        elementwise::add_multiple(adjoints, advantage, code);
                    }
                }
            }
        }
        mean + divergence * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad::prelude::*;

    const SIZES: [usize; 6] = [7, 5, 4, 3, 5, 7];
    const BATCH: usize = 4;

    fn uniform(name: &str, count: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; count];
        Key::new(1, 0, address_hash(name, &[])).uniform(0, &mut numbers);
        numbers
    }

    fn layers() -> [(Vec<f32>, Vec<f32>); 5] {
        std::array::from_fn(|layer| {
            let [inputs, outputs] = [SIZES[layer], SIZES[layer + 1]];
            let centred = |name: &str, count| uniform(name, count).iter().map(|u| 2.0 * u - 1.0).collect();
            (centred(&format!("weight {layer}"), inputs * outputs), centred(&format!("bias {layer}"), outputs))
        })
    }

    fn images() -> Vec<f32> {
        uniform("images", BATCH * SIZES[0]).iter().map(|u| u.round()).collect()
    }

    /// The loss and the gradients as a tape computes them, for the uniform samples of the program.
    fn on_a_tape(estimator: Estimator, noise: &[f32]) -> (f32, Vec<Tensor<f32>>) {
        let tape = Tape::<f32>::new();
        let samples = estimator.samples();
        let tensor = |values: &[f32], shape: &[usize]| Tensor::new(values.to_vec(), shape).expect("a tensor");
        let parameters: Vec<[Var<'_, f32>; 2]> = layers()
            .iter()
            .map(|(weight, bias)| {
                let inputs = weight.len() / bias.len();
                [tape.parameter(tensor(weight, &[inputs, bias.len()])), tape.parameter(tensor(bias, &[bias.len()]))]
            })
            .collect();
        let layer = |index: usize| parameters[index];
        let images = tape.constant(tensor(&images(), &[BATCH, SIZES[0]]));
        let mut hidden = images;
        for index in 0..3 {
            let [weight, bias] = layer(index);
            hidden = hidden.matmul(weight) + bias;
            if index < 2 {
                hidden = hidden.leaky_relu(0.1);
            }
        }
        let logits = hidden;
        let u = tape.constant(tensor(noise, &[samples, BATCH, SIZES[3]]));
        let code = match estimator {
            Estimator::Concrete(temperature) => ((logits + u.ln() - (-u).log1p()) * (1.0 / temperature)).sigmoid(),
            Estimator::LeaveOneOut(_) => u.lt(logits.sigmoid()).stop_gradient(),
        };
        let [weight, bias] = layer(3);
        let hidden = (code.matmul(weight) + bias).leaky_relu(0.1);
        let [weight, bias] = layer(4);
        let pixels = hidden.matmul(weight) + bias;
        let costs = (pixels.softplus() - images * pixels).sum_last(1);
        let p = logits.sigmoid();
        let divergence = (p * logits - logits.softplus() + std::f32::consts::LN_2).sum() * (1.0 / BATCH as f64);
        let mut loss = costs.mean() + divergence;
        let value = loss.peek().expect("a loss").as_slice()[0];
        if let Estimator::LeaveOneOut(_) = estimator {
            let factor = samples as f64 / (samples - 1) as f64;
            let advantage = (costs - costs.mean_axis(0)).stop_gradient() * factor;
            let log_prob = (code * logits - logits.softplus()).sum_last(1);
            loss = loss + (advantage * log_prob).mean();
        }
        let wrt: Vec<Var<'_, f32>> = parameters.iter().flatten().copied().collect();
        (value, tape.backward_all(loss, &wrt).expect("gradients"))
    }

    #[test]
    fn the_program_computes_what_a_tape_computes() {
        for estimator in [Estimator::Concrete(0.5), Estimator::LeaveOneOut(2), Estimator::LeaveOneOut(4)] {
            let noise = uniform("noise", estimator.samples() * BATCH * SIZES[3]);
            let mut program = Program::new(estimator, BATCH, layers());
            program.code.copy_from_slice(&noise);
            let loss = program.run(&images());
            let (expected, gradients) = on_a_tape(estimator, &noise);
            assert!((loss - expected).abs() < 1e-5 * expected.abs(), "{estimator:?}: {loss}, not {expected}");
            for (index, (found, expected)) in program.gradients().flatten().zip(&gradients).enumerate() {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected.as_slice()) {
                    let allowed = 1e-5 * (1.0 + expected.abs());
                    assert!((found - expected).abs() < allowed, "{estimator:?}, {index}: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn steps_draw_fresh_noise() {
        let mut program = Program::new(Estimator::LeaveOneOut(4), BATCH, layers());
        let losses: Vec<f32> = (0..3).map(|step| program.step(&images(), step)).collect();
        assert!(losses[0] != losses[1] && losses[1] != losses[2]);
        assert_eq!(program.step(&images(), 0), losses[0]);
    }
}
