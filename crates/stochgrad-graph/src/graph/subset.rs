//! Random subsets of positions that belong to no node.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::method::sample_context::SampleContext;
use std::panic::Location;
use stochgrad_tape::{PlateSet, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape, Tensor};

/// The largest number of subsets that the exact oracle enumerates.
const MOST_SUBSETS: usize = 100_000;

impl<'t, F: Real> Graph<'t, F> {
    /// `count` different positions below `size`, of event shape `[count]`: each subset has the same probability. They
    /// are noise of the model and no stochastic node, such as the rows that a
    /// [randomized backward pass](Var::matmul_keeping_rows) keeps. A second subset with the same address has noise of
    /// its own.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let mut positions = graph.subset("rows", 3, 5)?.value()?.to_vec();
    /// positions.sort_by(f64::total_cmp);
    /// positions.dedup();
    /// assert!(positions.len() == 3 && positions.iter().all(|&position| position < 5.0));
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For a count of 0 or above the size, and for earlier errors on the tape. Under the exact oracle, also for more
    /// than 100,000 subsets.
    #[track_caller]
    pub fn subset(&self, address: impl Into<Address>, count: usize, size: usize) -> GraphResult<Var<'t, F>> {
        let (address, at) = (address.into(), Location::caller());
        let (tape, address) = (self.tape(), self.claim_next(&address, at)?);
        tape.check()?;
        if count == 0 || count > size {
            let problem = format!("expected from 1 to {size} positions below {size}, got {count}");
            return Err(GraphError::Data { name: address.to_string(), problem, at });
        }
        let context = SampleContext {
            tape,
            noise: self.noise(),
            address: &address,
            plates: PlateSet::from([]),
            replayed: None,
            at,
        };
        tape.located(at, || {
            let draw = context.draw(None);
            let positions = if draw.records_noise(tape) {
                let noise = draw.record_noise(tape, Fill::Folded, &Shape::from([size]));
                noise.map_err(|source| context.error(source))?.topk(0, count).1
            } else {
                let Some(all) = subsets::<F>(count, size) else {
                    let problem = format!(
                        "expected at most {MOST_SUBSETS} subsets to enumerate, got those of {count} positions below \
                         {size}; make the model of the test smaller"
                    );
                    return Err(GraphError::Data { name: address.to_string(), problem, at });
                };
                let number = all.shape()[0];
                let chosen = draw.record_categorical(tape, &Shape::scalar(), tape.constant(Tensor::ones([number])));
                let chosen = chosen.map_err(|source| context.error(source))?;
                if self.records_joint_distribution() {
                    self.state_mut().log_probs.push(tape.constant(-(number as f64).ln()));
                }
                tape.constant(all).lookup(chosen)
            };
            let positions = positions.drawn();
            tape.check()?;
            Ok(positions)
        })
    }
}

/// All subsets of a size, as rows in lexicographic order; `None` if there are too many.
fn subsets<F: Real>(count: usize, size: usize) -> Option<Tensor<F>> {
    let mut rows = Vec::new();
    let mut row: Vec<usize> = (0..count).collect();
    loop {
        if rows.len() == MOST_SUBSETS * count {
            return None;
        }
        rows.extend(row.iter().map(|&position| F::from_f64(position as f64)));
        let Some(at) = (0..count).rev().find(|&at| row[at] < size - count + at) else { break };
        row[at] += 1;
        for next in at + 1..count {
            row[next] = row[next - 1] + 1;
        }
    }
    let number = rows.len() / count;
    Tensor::new(rows, [number, count]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn each_subset_is_drawn_equally_often() {
        let mut counts = [0_u32; 10];
        for step in 0..5000 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed { seed: 7, step });
            let mut drawn = graph.subset("s", 2, 5).unwrap().value().unwrap().to_vec();
            drawn.sort_by(f64::total_cmp);
            let all = subsets::<f64>(2, 5).unwrap();
            counts[all.as_slice().chunks(2).position(|row| row == drawn).unwrap()] += 1;
        }
        // Five standard deviations of a binomial count.
        let bound = 5.0 * (5000.0_f64 * 0.1 * 0.9).sqrt();
        assert!(counts.iter().all(|&count| (f64::from(count) - 500.0).abs() < bound), "{counts:?}");
    }

    #[test]
    fn subsets_are_all_of_them() {
        let all = subsets::<f64>(2, 4).unwrap();
        assert_eq!(all, Tensor::from([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 2.0], [1.0, 3.0], [2.0, 3.0]]));
        assert_eq!(subsets::<f64>(3, 3).unwrap(), Tensor::from([[0.0, 1.0, 2.0]]));
        assert_eq!(subsets::<f64>(10, 1000), None);
    }

    #[test]
    fn noise_and_errors() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let [first, second] = [(); 2].map(|()| graph.subset("s", 40, 1000).unwrap().value().unwrap());
        assert_ne!(first, second);
        assert_eq!(graph.subset("all", 4, 4).unwrap().shape()[..], [4]);
        for (count, size) in [(0, 3), (4, 3), (0, 0)] {
            let message = graph.subset("outside", count, size).unwrap_err().to_string();
            assert!(message.contains(&format!("expected from 1 to {size}")), "{message}");
            assert!(message.contains("outside") && message.contains(&format!("got {count}")), "{message}");
        }
    }
}
