//! Differences of plug-in estimates with twice as many samples: the terms of a telescoping sum.
//!
//! For $K = 2^l$ independent draws, with the averages $\bar X_1$ and $\bar X_2$ of the two halves and $\bar X$ of all,
//!
//! $$\Delta_0 = g(X), \qquad \Delta_l = g(\bar X) - \tfrac12 \big(g(\bar X_1) + g(\bar X_2)\big).$$
//!
//! The sum of $\mathbb E \Delta_n$ up to $l$ is the mean of the plug-in estimate from $2^l$ samples, and the sum over
//! all levels is $g(\mathbb E X)$. The two halves are antithetic: what is linear in them cancels, so that $\mathbb E
//! \Delta_l^2$ decreases like $2^{-2l}$ for smooth $g$, faster than the cost of a level increases. Giles and Szpruch
//! (2014); Blanchet and Glynn (2015).

use crate::expectations::independent_members::Estimator;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// The difference between the plug-in estimate from all samples along a plate and the average of those from its halves;
/// with a single sample, the plug-in estimate itself. It is the term of level $l$ for a plate of $2^l$ samples; see
/// [`Telescope`](crate::Telescope) and [`Allocation`](crate::Allocation).
///
/// # Errors
/// For an odd number of members above 1, for a value that lacks the plate, for members that are not independent draws,
/// and for earlier errors on the tape.
#[track_caller]
pub fn antithetic_difference<'t, F: Real>(
    x: Var<'t, F>,
    samples: Plate,
    function: impl Fn(Var<'t, F>) -> Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let estimator = Estimator { name: "antithetic difference", at: Location::caller() };
    let members = estimator.members(&[x], samples, 1)?;
    if members > 1 && members % 2 != 0 {
        return Err(estimator.error(format!(
            "expected an even number of members along plate \"{}\", or one, got {members}; make it with 2^level \
             members",
            x.tape().plate_name(samples)
        )));
    }
    let difference = if members == 1 {
        function(x.mean_over(samples))
    } else {
        let members_first = x.plate_to_event(samples);
        let half = |range| members_first.slice(0, range).mean_axis(0);
        let (first, second) = (half(0..members / 2), half(members / 2..members));
        function(x.mean_over(samples)) - (function(first) + function(second)) * 0.5
    };
    difference.tape().check()?;
    Ok(difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectations::testing::{TwoValues, assert_close};
    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::{Tape, Workspace};
    use stochgrad_tensor::Tensor;

    /// The first two moments of the term of a level, from the numbers of second values in the halves.
    fn moments(case: TwoValues, level: usize, workspace: &mut Workspace<f64>) -> (f64, f64) {
        let half = (1_usize << level).div_ceil(2);
        let members = 1 << level;
        let binomial = |count: usize, of: usize| {
            let choices: f64 = (0..count).map(|i| (of - i) as f64 / (i + 1) as f64).product();
            choices * case.probability.powi(count as i32) * (1.0 - case.probability).powi((of - count) as i32)
        };
        let (mut mean, mut square) = (0.0, 0.0);
        for first in 0..=half {
            for second in 0..=members - half {
                let graph = Graph::new(workspace.tape(), Seed::new(1));
                let plate = graph.plate("samples", members).unwrap();
                let is_second = |at: usize| if at < half { at < first } else { at - half < second };
                let values: Vec<f64> = (0..members).map(|at| case.values[usize::from(is_second(at))]).collect();
                let x = graph.tape().constant_on(&[plate], Tensor::new(values, [members]).unwrap());
                let term = antithetic_difference(x, plate, |mean| mean.ln()).unwrap().item().unwrap();
                let probability = binomial(first, half) * binomial(second, members - half);
                mean += probability * term;
                square += probability * term * term;
            }
        }
        (mean, square)
    }

    #[test]
    fn terms_of_the_logarithm_have_their_known_moments() {
        let cases = [
            (
                TwoValues::new(1.0, 3.0, 0.3),
                [
                    0.329_583_686_6,
                    0.060_413_235_21,
                    0.038_469_599_53,
                    0.020_747_861_45,
                    0.010_447_906_23,
                    0.005_190_638_468,
                ],
                [0.362_084_69, 0.008_689_902_4, 0.003_283_890_7, 0.001_091_712_3, 0.000_307_330_31, 7.899_379_5e-5],
                0.464_852_927_5,
            ),
            (
                TwoValues::new(0.5, 2.0, 0.6),
                [
                    0.138_629_436_1,
                    0.107_108_904_6,
                    0.050_748_456_6,
                    0.021_466_641_37,
                    0.009_597_259_4,
                    0.004_540_326_67,
                ],
                [0.480_453_01, 0.023_900_661, 0.007_576_414_2, 0.001_627_645, 0.000_309_822_23, 6.561_758_6e-5],
                0.332_091_024_8,
            ),
        ];
        let mut workspace = Workspace::new();
        for (case, means, squares, sum) in cases {
            let mut total = 0.0;
            for level in 0..6 {
                let (mean, square) = moments(case, level, &mut workspace);
                assert!((mean / means[level] - 1.0).abs() < 1e-8, "level {level}: {mean}");
                assert!((square / squares[level] - 1.0).abs() < 1e-7, "level {level}: {square}");
                total += mean;
            }
            assert_close("sum of six levels", total, sum, 1e-9);
        }
    }

    #[test]
    fn vectors_on_an_outer_plate_are_those_of_a_loop() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let outer = graph.plate("outer", 3).unwrap();
        let plate = graph.plate("samples", 4).unwrap();
        let number = |row: usize, member: usize, element: usize| ((row * 11 + member * 5 + element) as f64).sin() + 1.5;
        let indices = (0..3).flat_map(|row| (0..4).flat_map(move |member| (0..2).map(move |at| (row, member, at))));
        let numbers: Vec<f64> = indices.map(|(row, member, at)| number(row, member, at)).collect();
        let x = tape.constant_on(&[outer, plate], Tensor::new(numbers, [3, 4, 2]).unwrap());
        let found = antithetic_difference(x, plate, |mean| mean.ln()).unwrap();
        assert_eq!(found.plates()[..], [outer]);
        let found = found.value().unwrap();
        for row in 0..3 {
            for at in 0..2 {
                let mean = |range: std::ops::Range<usize>| {
                    let count = range.len() as f64;
                    (range.map(|member| number(row, member, at)).sum::<f64>() / count).ln()
                };
                let expected = mean(0..4) - 0.5 * (mean(0..2) + mean(2..4));
                assert_close("difference", found.as_slice()[row * 2 + at], expected, 1e-12);
            }
        }
    }

    #[test]
    fn an_odd_number_of_members_is_refused() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let plate = graph.plate("samples", 3).unwrap();
        let x = tape.constant_on(&[plate], Tensor::from([0.3, 0.4, 0.8]));
        let message = antithetic_difference(x, plate, |mean| mean).unwrap_err().to_string();
        assert!(message.contains("an even number of members along plate \"samples\", or one, got 3"), "{message}");
    }
}
