//! Convolutions against loops over all indices.

use super::{Convolution, convolve, convolve_adjoint, convolve_weights};
use crate::storage::pool::Pool;
use crate::storage::tensor::Tensor;
use crate::testing::{index_of, same_bits, scrambled};

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
struct Case {
    geometry: Convolution<2>,
    images: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    /// The channels of a group.
    channels: [usize; 2],
}

impl Case {
    fn output(&self) -> [usize; 2] {
        self.geometry.output_size(self.input, self.kernel).unwrap()
    }

    fn x(&self) -> [usize; 4] {
        [self.images, self.input[0], self.input[1], self.channels[0] * self.geometry.groups]
    }

    fn w(&self) -> [usize; 4] {
        [self.kernel[0], self.kernel[1], self.channels[0], self.channels[1] * self.geometry.groups]
    }

    fn y(&self) -> [usize; 4] {
        let [height, width] = self.output();
        [self.images, height, width, self.channels[1] * self.geometry.groups]
    }

    /// Calls `visit` with the positions in the output, the input and the weights of each product.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let Convolution { stride, padding, dilation, .. } = self.geometry;
        let (y, x, w) = (self.y(), self.x(), self.w());
        for at in 0..y.iter().product() {
            let index = index_of(&y, at);
            let group = index[3] / self.channels[1];
            for tap in 0..self.kernel[0] * self.kernel[1] {
                let tap = [tap / self.kernel[1], tap % self.kernel[1]];
                let read = [0, 1].map(|axis| {
                    let padded = index[axis + 1] * stride[axis] + tap[axis] * dilation[axis];
                    padded.checked_sub(padding[axis]).filter(|&at| at < self.input[axis])
                });
                let [Some(row), Some(column)] = read else { continue };
                for channel in 0..self.channels[0] {
                    let from = ((index[0] * x[1] + row) * x[2] + column) * x[3] + group * self.channels[0] + channel;
                    let weight = ((tap[0] * w[1] + tap[1]) * w[2] + channel) * w[3] + index[3];
                    visit(at, from, weight);
                }
            }
        }
    }

    fn check(&self) {
        let (x, w) = (scrambled(&self.x()), scrambled(&self.w()).map(|x| (x * 1.7).cos()));
        let y = scrambled(&self.y()).map(|x| (x * 2.3).sin());
        let mut expected = [&y, &x, &w].map(|value| vec![0.0; value.len()]);
        self.products(|to, from, weight| {
            expected[0][to] += x.as_slice()[from] * w.as_slice()[weight];
            expected[1][from] += y.as_slice()[to] * w.as_slice()[weight];
            expected[2][weight] += y.as_slice()[to] * x.as_slice()[from];
        });
        let close = |found: &Tensor<f64>, expected: &[f64], epsilon: f64, what: &str| {
            assert_eq!(found.len(), expected.len(), "{what} of {self:?}");
            for (found, expected) in found.as_slice().iter().zip(expected) {
                let bound = epsilon * 40.0 * (self.images * 60 + self.channels[0] * 20) as f64;
                assert!((found - expected).abs() < bound, "{what} of {self:?}: {found}, not {expected}");
            }
        };
        let computed = |pool: &Pool<f64>| {
            [
                convolve(pool, &self.geometry, &x, &w),
                convolve_adjoint(pool, &self.geometry, self.input, &y, &w),
                convolve_weights(pool, &self.geometry, self.kernel, &x, &y, 0),
            ]
        };
        let found = computed(&Pool::new());
        let shapes = [&self.y()[..], &self.x(), &self.w()];
        for (at, what) in ["convolution", "adjoint of the input", "adjoint of the weights"].into_iter().enumerate() {
            assert_eq!(found[at].shape()[..], *shapes[at]);
            close(&found[at], &expected[at], f64::EPSILON, what);
        }
        for threads in [2, 8] {
            for (found, again) in found.iter().zip(computed(&Pool::with_threads(threads))) {
                assert!(same_bits(found, &again), "{threads} threads, {self:?}");
            }
        }
        let pool = Pool::<f32>::new();
        let (x, w, y) = (x.cast::<f32>(), w.cast::<f32>(), y.cast::<f32>());
        let epsilon = f64::from(f32::EPSILON);
        close(&convolve(&pool, &self.geometry, &x, &w).cast(), &expected[0], epsilon, "single precision");
        let adjoint = convolve_adjoint(&pool, &self.geometry, self.input, &y, &w);
        close(&adjoint.cast(), &expected[1], epsilon, "single precision");
        let weights = convolve_weights(&pool, &self.geometry, self.kernel, &x, &y, 0);
        close(&weights.cast(), &expected[2], epsilon, "single precision");
    }
}

#[test]
fn all_combinations_of_strides_paddings_dilations_and_groups() {
    for stride in [[1, 1], [2, 2], [1, 3], [3, 2]] {
        for padding in [[0, 0], [1, 1], [2, 0], [4, 3]] {
            for dilation in [[1, 1], [2, 2], [1, 3]] {
                for groups in [1, 2, 3] {
                    for (kernel, channels) in [([3, 2], [2, 3]), ([1, 1], [1, 1]), ([2, 4], [9, 1])] {
                        let geometry =
                            Convolution::new().stride(stride).padding(padding).dilation(dilation).groups(groups);
                        Case { geometry, images: 2, input: [7, 10], kernel, channels }.check();
                    }
                }
            }
        }
    }
}

#[test]
fn signals_are_images_of_height_one() {
    for (stride, padding, dilation) in [(1, 0, 1), (2, 1, 1), (3, 2, 2)] {
        let one = Convolution::new().stride([stride]).padding([padding]).dilation([dilation]).groups(2);
        Case { geometry: one.into(), images: 3, input: [1, 17], kernel: [1, 5], channels: [3, 2] }.check();
    }
}

#[test]
fn shapes_with_several_blocks() {
    let halving = Convolution::new().stride([2, 2]).padding([1, 1]);
    for (geometry, images, input, kernel, channels) in [
        (halving, 9, [28, 28], [4, 4], [1, 32]),
        (halving, 7, [14, 14], [4, 4], [32, 64]),
        (Convolution::new().padding([1, 1]), 2, [20, 19], [3, 3], [33, 17]),
        (Convolution::new(), 3, [6, 5], [3, 3], [300, 20]),
        (Convolution::new().groups(16), 2, [12, 12], [3, 3], [1, 1]),
        (Convolution::new().stride([4, 4]), 2, [12, 14], [2, 3], [10, 4]),
        (Convolution::new().padding([2, 5]).dilation([1, 2]), 3, [6, 3], [3, 3], [3, 21]),
        (Convolution::new().stride([3, 2]), 3, [8, 30], [2, 2], [2, 53]),
    ] {
        Case { geometry, images, input, kernel, channels }.check();
    }
}

#[test]
fn sizes_of_one_and_zero() {
    let plain = Convolution::new();
    for (geometry, images, input, kernel, channels) in [
        (plain, 1, [1, 1], [1, 1], [1, 1]),
        (plain, 0, [3, 3], [2, 2], [2, 2]),
        (plain, 2, [3, 3], [2, 2], [0, 2]),
        (plain, 2, [3, 3], [2, 2], [2, 0]),
        (plain, 2, [3, 3], [1, 1], [0, 2]),
        (plain.padding([2, 2]), 2, [0, 3], [2, 2], [2, 3]),
        (plain.padding([2, 2]), 2, [3, 0], [2, 2], [1, 17]),
        (plain.padding([1, 1]), 1, [1, 1], [3, 3], [1, 2]),
    ] {
        Case { geometry, images, input, kernel, channels }.check();
    }
}

#[test]
fn leading_axes_broadcast_and_kept_axes_remain() {
    let pool = Pool::<f64>::new();
    let geometry = Convolution::new().stride([2, 1]).padding([1, 1]);
    let cases: [(&[usize], &[usize], [usize; 2]); 5] = [
        (&[2, 3], &[2, 1], [2, 3]),
        (&[2, 3], &[3], [2, 3]),
        (&[1, 3], &[2, 1], [2, 3]),
        (&[3], &[2, 1], [2, 3]),
        (&[2, 3], &[], [2, 3]),
    ];
    for kernel in [[1, 1], [3, 2]] {
        let geometry = if kernel == [1, 1] { Convolution::new() } else { geometry };
        for (lead_x, lead_w, lead) in cases {
            let x = scrambled(&[lead_x, &[5, 4, 2]].concat());
            let w = scrambled(&[lead_w, &kernel, &[2, 3]].concat());
            let member = |value: &Tensor<f64>, event: usize, at: [usize; 2]| {
                let axes = value.rank() - event;
                let shape = &value.shape()[axes..];
                let len: usize = shape.iter().product();
                let own = at[2 - axes..].iter().zip(&value.shape()[..axes]);
                let number = own.fold(0, |number, (&i, &size)| number * size + if size == 1 { 0 } else { i });
                Tensor::from_fn(shape, |i| value.as_slice()[number * len + i])
            };
            let y = convolve(&pool, &geometry, &x, &w);
            let back = convolve_adjoint(&pool, &geometry, [5, 4], &y, &w);
            assert_eq!((&y.shape()[..2], &back.shape()[..2]), (&lead[..], &lead[..]));
            for at in (0..6).map(|i| [i / 3, i % 3]) {
                let one = convolve(&pool, &geometry, &member(&x, 3, at), &member(&w, 4, at));
                assert!(one.max_abs_difference(&member(&y, 3, at)).unwrap() < 1e-12);
                let one = convolve_adjoint(&pool, &geometry, [5, 4], &one, &member(&w, 4, at));
                assert!(one.max_abs_difference(&member(&back, 3, at)).unwrap() < 1e-11);
            }
        }
        let x = scrambled(&[2, 3, 5, 4, 2]);
        let w = scrambled(&[kernel[0], kernel[1], 2, 3]);
        let y = convolve(&pool, &geometry, &x, &w).map(f64::sin);
        let [all, outer, both] = [0, 1, 2].map(|kept| convolve_weights(&pool, &geometry, kernel, &x, &y, kept));
        assert_eq!(both.shape()[..], [2, 3, kernel[0], kernel[1], 2, 3]);
        let len = w.len();
        for i in 0..len {
            let part = |k: usize| both.as_slice()[k * len + i];
            for k in 0..2 {
                assert!((outer.as_slice()[k * len + i] - (0..3).map(|j| part(3 * k + j)).sum::<f64>()).abs() < 1e-11);
            }
            assert!((all.as_slice()[i] - (0..6).map(part).sum::<f64>()).abs() < 1e-11);
        }
    }
}

#[test]
fn repeated_convolutions_allocate_nothing() {
    let pool = Pool::<f32>::new();
    let geometry = Convolution::new().stride([2, 2]).padding([1, 1]);
    let (x, w) = (scrambled(&[2, 8, 8, 9]).cast::<f32>(), scrambled(&[4, 4, 9, 5]).cast::<f32>());
    let mut allocated = Vec::new();
    for _ in 0..3 {
        let y = convolve(&pool, &geometry, &x, &w);
        pool.recycle(convolve_adjoint(&pool, &geometry, [8, 8], &y, &w));
        pool.recycle(convolve_weights(&pool, &geometry, [4, 4], &x, &y, 0));
        pool.recycle(y);
        let statistics = pool.statistics();
        allocated.push(statistics.taken - statistics.reused);
    }
    assert!(allocated[0] > 0 && allocated[0] == allocated[2], "{allocated:?}");
}

#[test]
#[should_panic(expected = "convolution of 3 channels in 2 groups")]
fn channels_that_are_no_multiple_of_the_groups_are_refused() {
    convolve(&Pool::new(), &Convolution::new().groups(2), &scrambled(&[4, 4, 3]), &scrambled(&[2, 2, 1, 2]));
}

/// Values from PyTorch 2.15: a result, and the gradients of a weighted sum of it, each as a weighted sum, the first and
/// the last element, in our layout.
#[test]
fn results_and_gradients_of_pytorch() {
    let value = |shape: &[usize], factor: f64| Tensor::from_fn(shape, |i| (i as f64 * factor + 0.3).sin());
    let assert_digest = |value: &Tensor<f64>, expected: [f64; 3]| {
        let x = value.as_slice();
        let sum = x.iter().enumerate().map(|(i, x)| x * (i as f64 * 0.9).cos()).sum::<f64>();
        for (found, expected) in [sum, x[0], x[x.len() - 1]].into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-11, "{found}, not {expected}");
        }
    };
    let pool = Pool::new();
    let geometry = Convolution::new().stride([2, 1]).padding([1, 2]).dilation([1, 2]).groups(2);
    let (x, w) = (value(&[2, 6, 5, 4], 0.7), value(&[3, 2, 2, 6], 1.1));
    let y = convolve(&pool, &geometry, &x, &w);
    assert_eq!(y.shape()[..], [2, 3, 7, 6]);
    let g = value(y.shape(), 0.37);
    assert_digest(&y, [5.282_024_559_220_83, 0.023_714_983_256_006_46, -0.509_671_780_051_600_9]);
    let by_x = convolve_adjoint(&pool, &geometry, [6, 5], &g, &w);
    assert_digest(&by_x, [14.647_943_763_830_114, -1.679_949_876_187_177_6, -1.245_936_609_893_948_8]);
    let by_w = convolve_weights(&pool, &geometry, [3, 2], &x, &g, 0);
    assert_digest(&by_w, [-9.426_328_834_121_122, 2.196_929_986_538_321, -8.701_024_698_789_03]);

    let geometry = Convolution::new().stride([2, 3]).padding([1, 0]).dilation([2, 1]).groups(2);
    let size = geometry.transposed_size([4, 3], [3, 2], [1, 2]).unwrap();
    assert_eq!(size, [10, 10]);
    let y = value(&[2, 4, 3, 6], 0.7);
    let x = convolve_adjoint(&pool, &geometry, size, &y, &w);
    let g = value(x.shape(), 0.37);
    assert_digest(&x, [0.383_897_721_677_538_33, 0.0, 0.0]);
    let by_y = convolve(&pool, &geometry, &g, &w);
    assert_digest(&by_y, [-13.667_141_185_055_765, -0.771_384_078_247_776_1, -0.812_344_578_527_383_1]);
    let by_w = convolve_weights(&pool, &geometry, [3, 2], &g, &y, 0);
    assert_digest(&by_w, [1.916_871_214_511_125_5, 0.059_746_993_394_442_7, 0.009_400_117_514_626_48]);
}
