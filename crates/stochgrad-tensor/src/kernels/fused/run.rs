//! The execution of a chain, row by row and on several threads.

use std::ops::Range;

use crate::kernels::fold::{BLOCK, middle};
use crate::kernels::fused::access::{Access, copy_stacked};
use crate::kernels::fused::chain::Chain;
use crate::kernels::fused::scratch::{Scratch, UniformRow};
use crate::kernels::fused::step::{Place, Results, Slices, Source, Step};
use crate::kernels::map::{Map, leaves_interval, map_slice};
use crate::kernels::pair::pair_slice;
use crate::kernels::reduce::{Reduce, reduce_row, reduce_rows};
use crate::kernels::zip::{Operand, select_slice, zip_slice};
use crate::random::Key;
use crate::real::Real;
use crate::storage::buffer::Buffer;

impl<F: Real> Chain<F> {
    /// Evaluates the chain on `inputs`, with noise under `keys`, and writes the `results`. Each element of `scratch`
    /// allows one thread.
    ///
    /// # Panics
    /// If the number or the lengths of the operands or results do not match the chain.
    pub fn run(&self, scratch: &mut [Scratch<F>], inputs: &[&[F]], keys: &[Key], results: &mut Results<'_, F>) {
        // By reference: a move would copy the lists, which have room for many buffers, in every run.
        let Results { outputs, reduced, partials } = results;
        assert_eq!(inputs.len(), self.inputs.len(), "expected as many inputs as the chain was made for");
        assert_eq!(reduced.len(), self.reductions.len(), "expected one result for each reduction of the chain");
        for output in outputs.iter() {
            assert_eq!(output.len(), self.len, "expected outputs with as many elements as the chain");
        }
        let threads = if self.len > self.threshold { scratch.len() } else { 1 };
        let scratch = &mut scratch[..threads];
        let job = Job { chain: self, inputs, keys };
        if self.row <= BLOCK {
            return job.run(0..self.blocks(), outputs, reduced, scratch);
        }
        job.run(0..self.blocks(), outputs, partials, scratch);
        let pieces = self.row.div_ceil(BLOCK);
        for ((reduction, out), leaves) in self.reductions.iter().zip(reduced).zip(&*partials) {
            for (out, leaves) in out.iter_mut().zip(leaves.chunks_exact(pieces)) {
                *out = join(reduction.op, self.row, leaves);
            }
        }
    }
}

/// The result for a row from the results for its pieces, in the order of [`reduce`](crate::kernels::reduce::reduce).
fn join<F: Real>(op: Reduce, len: usize, leaves: &[F]) -> F {
    if let [leaf] = leaves {
        return *leaf;
    }
    let middle = middle(len);
    let (left, right) = leaves.split_at(middle / BLOCK);
    op.combine(join(op, middle, left), join(op, len - middle, right))
}

/// Splits all slices at the same position.
fn split<'a, F>(slices: &'a mut Slices<'_, F>, at: usize) -> (Slices<'a, F>, Slices<'a, F>) {
    let mut halves: (Slices<'a, F>, Slices<'a, F>) = Default::default();
    for slice in slices.iter_mut() {
        let (left, right) = slice.split_at_mut(at);
        halves.0.push(left);
        halves.1.push(right);
    }
    halves
}

/// The data that all threads of a run share.
struct Job<'a, F> {
    chain: &'a Chain<F>,
    inputs: &'a [&'a [F]],
    keys: &'a [Key],
}

impl<F: Real> Job<'_, F> {
    /// Evaluates some blocks; `outputs` and `reduced` hold the elements of these blocks only.
    fn run(
        &self,
        blocks: Range<usize>,
        outputs: &mut Slices<'_, F>,
        reduced: &mut Slices<'_, F>,
        scratch: &mut [Scratch<F>],
    ) {
        if scratch.len() > 1 && blocks.len() > 1 {
            let near = scratch.len() / 2;
            let middle = blocks.start + (blocks.len() * near / scratch.len()).max(1);
            let elements = self.chain.span(middle).start - self.chain.span(blocks.start).start;
            let rows = self.chain.reduced_before(middle) - self.chain.reduced_before(blocks.start);
            let (mut near_outputs, mut far_outputs) = split(outputs, elements);
            let (mut near_reduced, mut far_reduced) = split(reduced, rows);
            let (near_scratch, far_scratch) = scratch.split_at_mut(near);
            rayon::join(
                || self.run(blocks.start..middle, &mut near_outputs, &mut near_reduced, near_scratch),
                || self.run(middle..blocks.end, &mut far_outputs, &mut far_reduced, far_scratch),
            );
            return;
        }
        let [scratch, ..] = scratch else { return };
        scratch.reserve(self.inputs.len(), self.chain.registers, outputs.len(), self.chain.reductions.len());
        let origin = self.chain.span(blocks.start).start;
        let mut done = 0;
        for block in blocks.clone() {
            let span = self.chain.span(block);
            let first = block == blocks.start;
            let mut block = Block {
                job: self,
                at: span.start - origin,
                span,
                outputs,
                registers: &mut scratch.registers,
                spare: &mut scratch.spare,
                register_values: &mut scratch.register_values,
                output_values: &mut scratch.output_values,
                uniform_rows: &mut scratch.uniform_rows,
                starts: &mut scratch.starts,
            };
            block.load(first);
            for step in &self.chain.steps {
                block.step(step);
            }
            done += block.reduce(reduced, done);
        }
    }
}

/// One block of a run.
struct Block<'a, 'b, F> {
    job: &'a Job<'a, F>,
    span: Range<usize>,
    /// The start of the block in `outputs`.
    at: usize,
    outputs: &'a mut Slices<'b, F>,
    registers: &'a mut [Buffer<F>],
    spare: &'a mut Buffer<F>,
    register_values: &'a mut [Option<F>],
    output_values: &'a mut [Option<F>],
    uniform_rows: &'a mut [Option<UniformRow<F>>],
    starts: &'a mut [usize],
}

impl<F: Real> Block<'_, '_, F> {
    /// Finds the start of each operand that is read by strides, or copies the operand.
    fn load(&mut self, first: bool) {
        for (number, (access, input)) in self.job.chain.inputs.iter().zip(self.job.inputs).enumerate() {
            match access {
                Access::Same | Access::Single | Access::Part => {}
                Access::Within(strided) => self.starts[number] = strided.start(self.span.start),
                Access::Copied { still: true, .. } if !first => {}
                Access::Copied { strided, register, still } => {
                    // Elements that stay the same are copied once, for the longest block.
                    let chain = self.job.chain;
                    let len = if *still { chain.block.min(chain.len) } else { self.span.len() };
                    let register = &mut self.registers[*register as usize][..len];
                    strided.copy(self.span.start, input, register);
                }
                Access::Stacked { buffers, turn, register } => {
                    let register = &mut self.registers[*register as usize][..self.span.len()];
                    copy_stacked(*turn, self.span.start, &self.job.inputs[number..number + buffers], register);
                }
            }
        }
    }

    #[inline]
    fn slice(&self, source: &Source<F>) -> Operand<'_, F> {
        let len = self.span.len();
        match *source {
            Source::Register(register) => match self.register_values[register as usize] {
                Some(value) => Operand::Scalar(value),
                None => Operand::Slice(&self.registers[register as usize][..len]),
            },
            Source::Output(output) => match self.output_values[output as usize] {
                Some(value) => Operand::Scalar(value),
                None => Operand::Slice(&self.outputs[output as usize][self.at..self.at + len]),
            },
            Source::Number(number) => Operand::Scalar(number),
            Source::Input(input) => {
                let operand = self.job.inputs[input as usize];
                match &self.job.chain.inputs[input as usize] {
                    Access::Same => Operand::Slice(&operand[self.span.clone()]),
                    Access::Single => Operand::Scalar(operand[0]),
                    Access::Within(strided) => {
                        let start = self.starts[input as usize];
                        if strided.advances() {
                            Operand::Slice(&operand[start..start + len])
                        } else {
                            Operand::Scalar(operand[start])
                        }
                    }
                    Access::Copied { register, .. } | Access::Stacked { register, .. } => {
                        Operand::Slice(&self.registers[*register as usize][..len])
                    }
                    Access::Part => unreachable!("a step reads a stack by its first input"),
                }
            }
        }
    }

    fn step(&mut self, step: &Step<F>) {
        let (Step::Map { to, .. }
        | Step::Zip { to, .. }
        | Step::Pair { to, .. }
        | Step::Select { to, .. }
        | Step::Noise { to, .. }) = step;
        let len = self.span.len();
        let uniform = if self.job.chain.masks { self.uniform(step) } else { None };
        // The result is taken out of its container while the operands are borrowed.
        match *to {
            Place::Register(register) => {
                if let Step::Select { condition, yes, no, .. } = step
                    && [*yes, *no].contains(&Source::Register(register))
                {
                    return self.replace(register, condition, yes, no);
                }
                self.register_values[register as usize] = uniform;
                if uniform.is_some() {
                    return;
                }
                let mut out = std::mem::take(&mut self.registers[register as usize]);
                self.evaluate(step, &mut out[..len]);
                self.registers[register as usize] = out;
            }
            Place::Output(output) => {
                self.output_values[output as usize] = uniform;
                if let Some(value) = uniform {
                    self.outputs[output as usize][self.at..self.at + len].fill(value);
                    return;
                }
                let out = std::mem::take(&mut self.outputs[output as usize]);
                self.evaluate(step, &mut out[self.at..self.at + len]);
                self.outputs[output as usize] = out;
            }
        }
    }

    /// A choice between two values, one of which is in the register of the result.
    fn replace(&mut self, register: u16, condition: &Source<F>, yes: &Source<F>, no: &Source<F>) {
        let own = register as usize;
        if let Operand::Scalar(condition) = self.slice(condition) {
            let chosen = if condition != F::ZERO { yes } else { no };
            if *chosen == Source::Register(register) {
                return;
            }
            if let Operand::Scalar(value) = self.slice(chosen) {
                self.register_values[own] = Some(value);
                return;
            }
        }
        let mut out = std::mem::take(self.spare);
        select_slice(self.slice(condition), self.slice(yes), self.slice(no), &mut out[..self.span.len()]);
        *self.spare = std::mem::replace(&mut self.registers[own], out);
        self.register_values[own] = None;
    }

    /// The value of all elements of the result of a step, if that is known without computing each: because all elements
    /// of every operand are equal, or because no element is outside an interval. Masks of rare elements are 0 in
    /// almost all blocks, and the functions that only serve these elements cost nothing there.
    fn uniform(&self, step: &Step<F>) -> Option<F> {
        let mut value = [F::ZERO];
        match step {
            Step::Map { op, x, .. } => match (self.slice(x), *op) {
                (Operand::Scalar(x), op) => map_slice(op, &[x], &mut value),
                (Operand::Slice(x), Map::Outside(low, high)) if !leaves_interval(x, low, high) => {}
                _ => return None,
            },
            Step::Zip { op, a, b, .. } => match (self.slice(a), self.slice(b)) {
                (a @ Operand::Scalar(_), b @ Operand::Scalar(_)) => zip_slice(*op, a, b, &mut value),
                _ => return None,
            },
            Step::Pair { first, second, a, b, c, .. } => match (self.slice(a), self.slice(b), self.slice(c)) {
                (a @ Operand::Scalar(_), b @ Operand::Scalar(_), c @ Operand::Scalar(_)) => {
                    pair_slice(*first, *second, a, b, c, &mut value);
                }
                _ => return None,
            },
            Step::Select { condition, yes, no, .. } => {
                let Operand::Scalar(condition) = self.slice(condition) else { return None };
                match self.slice(if condition != F::ZERO { yes } else { no }) {
                    Operand::Scalar(chosen) => value = [chosen],
                    Operand::Slice(_) => return None,
                }
            }
            Step::Noise { .. } => return None,
        }
        Some(value[0])
    }

    #[inline]
    fn evaluate(&self, step: &Step<F>, out: &mut [F]) {
        match step {
            Step::Map { op, x, .. } => match self.slice(x) {
                Operand::Slice(x) => map_slice(*op, x, out),
                Operand::Scalar(x) => {
                    map_slice(*op, &[x], &mut out[..1]);
                    let value = out[0];
                    out.fill(value);
                }
            },
            Step::Zip { op, a, b, .. } => zip_slice(*op, self.slice(a), self.slice(b), out),
            Step::Pair { first, second, a, b, c, .. } => {
                pair_slice(*first, *second, self.slice(a), self.slice(b), self.slice(c), out);
            }
            Step::Select { condition, yes, no, .. } => {
                select_slice(self.slice(condition), self.slice(yes), self.slice(no), out);
            }
            Step::Noise { fill, key, start, .. } => {
                let key = &self.job.keys[*key as usize];
                let start = start.wrapping_add(self.span.start as u64);
                key.fill(*fill, start, out);
            }
        }
    }

    /// Reduces the rows of the block, or the block as a piece of a row. Returns the number of results.
    fn reduce(&mut self, reduced: &mut Slices<'_, F>, done: usize) -> usize {
        let row = self.job.chain.row;
        if row == 0 {
            return 0;
        }
        let row = row.min(self.span.len());
        for (number, (reduction, out)) in self.job.chain.reductions.iter().zip(reduced.iter_mut()).enumerate() {
            match self.slice(&reduction.of) {
                Operand::Slice(values) => {
                    reduce_rows(reduction.op, row, values, &mut out[done..done + self.span.len() / row]);
                }
                Operand::Scalar(value) => {
                    let result = self.reduce_uniform(number, value, row);
                    out[done..done + self.span.len() / row].fill(result);
                }
            }
        }
        self.span.len() / row
    }

    /// The reduction of a row of equal elements, in the order of any other row. Most blocks repeat the one before.
    fn reduce_uniform(&mut self, number: usize, value: F, len: usize) -> F {
        let bits = |x: F| x.to_f64().to_bits();
        let op = self.job.chain.reductions[number].op;
        let known = &mut self.uniform_rows[number];
        if let Some(known) = known.filter(|known| known.len == len && bits(known.value) == bits(value)) {
            return known.result;
        }
        let mut row = [F::ZERO; BLOCK];
        row[..len].fill(value);
        let result = reduce_row(op, &row[..len]);
        *known = Some(UniformRow { value, len, result });
        result
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;
    use crate::kernels::fused::step::RowReduction;
    use crate::kernels::fused::view::View;
    use crate::kernels::map::{Map, map};
    use crate::kernels::reduce::reduce;
    use crate::kernels::zip::{Zip, select, zip};
    use crate::random::Fill;
    use crate::storage::pool::Pool;
    use crate::storage::shape::Shape;
    use crate::storage::tensor::Tensor;
    use crate::testing::{same_bits, scrambled};

    /// r = relu(a · b + c) where a > c, else tanh(b); the results are r and the sums of its rows.
    fn chain(shape: &Shape, operands: &[Shape], row: usize) -> Chain<f64> {
        use Place::{Output, Register};
        let input = Source::Input;
        let steps = vec![
            Step::Zip { op: Zip::Mul, a: input(0), b: input(1), to: Register(0) },
            Step::Zip { op: Zip::Add, a: Source::Register(0), b: input(2), to: Register(1) },
            Step::Map { op: Map::Relu, x: Source::Register(1), to: Register(0) },
            Step::Zip { op: Zip::Greater, a: input(0), b: input(2), to: Register(1) },
            Step::Map { op: Map::Tanh, x: input(1), to: Register(2) },
            Step::Select {
                condition: Source::Register(1),
                yes: Source::Register(0),
                no: Source::Register(2),
                to: Output(0),
            },
            Step::Zip { op: Zip::Sub, a: Source::Output(0), b: Source::Number(0.5), to: Register(0) },
        ];
        let sums = vec![
            RowReduction { op: Reduce::Sum, of: Source::Output(0) },
            RowReduction { op: Reduce::Max, of: Source::Register(0) },
        ];
        let views: Vec<View> = operands.iter().map(View::whole).collect();
        Chain::new(shape, &views, steps, sums, row, 3)
    }

    fn run(chain: &Chain<f64>, inputs: &[Tensor<f64>], threads: usize) -> [Vec<f64>; 3] {
        let mut scratch: Vec<Scratch<f64>> = (0..threads).map(|_| Scratch::new()).collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(Tensor::as_slice).collect();
        let mut out = [vec![0.0; chain.len], vec![0.0; chain.rows()], vec![0.0; chain.rows()]];
        let mut partials = [vec![0.0; chain.partials()], vec![0.0; chain.partials()]];
        let [whole, sums, maxima] = out.each_mut().map(Vec::as_mut_slice);
        let [first, second] = partials.each_mut().map(Vec::as_mut_slice);
        let mut results =
            Results { outputs: smallvec![whole], reduced: smallvec![sums, maxima], partials: smallvec![first, second] };
        chain.run(&mut scratch, &inputs, &[], &mut results);
        drop(results);
        out
    }

    fn check(shape: Shape, ones: [[bool; 3]; 3], keep: usize) {
        let operands: Vec<Shape> = ones
            .iter()
            .map(|ones| shape.iter().zip(ones).map(|(&size, &one)| if one { 1 } else { size }).collect())
            .collect();
        let inputs: Vec<Tensor<f64>> = operands.iter().map(|operand| scrambled(operand)).collect();
        let pool = Pool::new();
        let [a, b, c] = [0, 1, 2].map(|i| crate::kernels::reduce::expand(&pool, &inputs[i], &shape));
        let sum = zip(&pool, Zip::Add, &zip(&pool, Zip::Mul, &a, &b), &c);
        let [yes, no] = [map(&pool, Map::Relu, &sum), map(&pool, Map::Tanh, &b)];
        let expected = select(&pool, &zip(&pool, Zip::Greater, &a, &c), &yes, &no);
        let axes: Vec<usize> = (keep..shape.rank()).collect();
        let row = shape[keep..].iter().product();
        let shifted = map(&pool, Map::AddScalar(-0.5), &expected);
        let [sums, maxima] =
            [(Reduce::Sum, &expected), (Reduce::Max, &shifted)].map(|(op, of)| reduce(&pool, op, of, &axes, false));
        for threads in [1, 2, 3] {
            let mut chain = chain(&shape, &operands, row);
            chain.threshold = 0;
            let [whole, first, second] = run(&chain, &inputs, threads);
            assert!(same_bits(&Tensor::new(whole, shape.clone()).unwrap(), &expected));
            assert!(same_bits(&Tensor::new(first, sums.shape().clone()).unwrap(), &sums), "{shape} {keep}");
            assert!(same_bits(&Tensor::new(second, maxima.shape().clone()).unwrap(), &maxima));
        }
    }

    proptest! {
        #[test]
        fn a_chain_gives_the_bits_of_its_steps(
            sizes in [1..5_usize, 1..40, 1..40],
            ones in any::<[[bool; 3]; 3]>(),
            keep in 0..4_usize,
        ) {
            check(Shape::from(sizes), ones, keep);
        }
    }

    #[test]
    fn long_rows_are_reduced_in_the_same_order() {
        let plain = [[false; 3], [true, true, false], [false, false, true]];
        for sizes in [[1, 3, 5000], [2, 1, 1024], [1, 1, 100_003], [7, 2, 1025], [3, 41, 50]] {
            for keep in 0..3 {
                check(Shape::from(sizes), plain, keep);
            }
        }
    }

    /// Masks x outside of [−2, 2], with functions of the mask alone, and choices that replace either value.
    fn masked_chain(shape: &Shape, row: usize) -> Chain<f64> {
        use Place::{Output, Register};
        let (input, register) = (Source::Input(0), Source::Register);
        let select = |condition, yes, no, to| Step::Select { condition, yes, no, to };
        let steps = vec![
            Step::Map { op: Map::Outside(-2.0, 2.0), x: input, to: Register(0) },
            select(register(0), Source::Number(0.0), Source::Number(-1.0), Register(1)),
            Step::Zip { op: Zip::Equal, a: register(0), b: Source::Number(0.0), to: Register(2) },
            Step::Zip { op: Zip::Mul, a: register(1), b: input, to: Register(3) },
            select(register(0), Source::Number(7.0), register(3), Register(3)),
            Step::Map { op: Map::Square, x: register(3), to: Register(4) },
            select(register(2), register(4), input, Register(4)),
            Step::Map { op: Map::Neg, x: register(1), to: Output(0) },
            Step::Zip { op: Zip::Add, a: register(4), b: Source::Output(0), to: Register(3) },
        ];
        let reductions = [Source::Output(0), register(3)].map(|of| RowReduction { op: Reduce::Sum, of });
        Chain::new(shape, &[View::whole(shape)], steps, reductions.to_vec(), row, 5)
    }

    #[test]
    fn blocks_without_exceptional_elements_have_the_same_bits() {
        let exceptions: [&[usize]; 6] = [&[], &[0], &[1030, 2100], &[4099], &[1023, 1024, 1025, 3000], &[2047]];
        for shape in [Shape::from([4100]), Shape::from([41, 100])] {
            for exceptions in exceptions {
                let mut x = scrambled(&[4100]).map(|x| x.clamp(-1.0, 1.0)).to_vec();
                exceptions.iter().enumerate().for_each(|(i, &at)| x[at] = [3.0, -3.0, f64::INFINITY, -2.5][i]);
                let x = Tensor::new(x, shape.clone()).unwrap();
                let row = *shape.last().unwrap();
                let pool = Pool::new();
                let number = Tensor::scalar;
                let mask = map(&pool, Map::Outside(-2.0, 2.0), &x);
                let sign = select(&pool, &mask, &number(0.0), &number(-1.0));
                let inside = zip(&pool, Zip::Equal, &mask, &number(0.0));
                let held = select(&pool, &mask, &number(7.0), &zip(&pool, Zip::Mul, &sign, &x));
                let chosen = select(&pool, &inside, &map(&pool, Map::Square, &held), &x);
                let weight = map(&pool, Map::Neg, &sign);
                let total = zip(&pool, Zip::Add, &chosen, &weight);
                let axes = [shape.len() - 1];
                let [weights, totals] = [&weight, &total].map(|of| reduce(&pool, Reduce::Sum, of, &axes, false));
                let mut chain = masked_chain(&shape, row);
                chain.threshold = 0;
                for threads in [1, 2, 3] {
                    let [whole, first, second] = run(&chain, std::slice::from_ref(&x), threads);
                    assert!(same_bits(&Tensor::new(whole, shape.clone()).unwrap(), &weight), "{exceptions:?}");
                    assert!(same_bits(&Tensor::new(first, weights.shape().clone()).unwrap(), &weights));
                    assert!(same_bits(&Tensor::new(second, totals.shape().clone()).unwrap(), &totals));
                }
            }
        }
    }

    #[test]
    fn noise_is_that_of_the_key() {
        let shape = Shape::from([3, 1000]);
        let noise = |fill, to| Step::Noise { fill, key: to, start: 5, to: Place::Output(to) };
        let steps = vec![noise(Fill::Uniform, 0), noise(Fill::Normal, 1)];
        let chain = Chain::<f32>::new(&shape, &[], steps, vec![], 0, 0);
        let keys = [Key::new(1, 2, 3), Key::new(4, 5, 6)];
        let (mut uniform, mut normal) = (vec![0.0; 3000], vec![0.0; 3000]);
        let mut scratch: Vec<Scratch<f32>> = vec![Scratch::new(), Scratch::new()];
        let outputs = smallvec![&mut uniform[..], &mut normal[..]];
        chain.run(&mut scratch, &[], &keys, &mut Results { outputs, ..Results::new() });
        let mut expected = vec![0.0; 3000];
        keys[0].uniform(5, &mut expected);
        assert_eq!(uniform, expected);
        keys[1].normal(5, &mut expected);
        assert_eq!(normal, expected);
    }
}
