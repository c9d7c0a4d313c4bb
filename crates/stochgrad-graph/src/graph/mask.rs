//! Random masks: noise that is not a node.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::method::sample_context::SampleContext;
use std::panic::Location;
use stochgrad_distributions::{Bernoulli, Distribution};
use stochgrad_tape::{Plate, PlateSet, Var};
use stochgrad_tensor::random::Fill;
use stochgrad_tensor::{Real, Shape};

impl<'t, F: Real> Graph<'t, F> {
    /// Independent bits that are 1 with a fixed probability, on some plates: the mask of dropout, for example. They are
    /// noise of the model and no stochastic node, since their probability has no gradient. A second mask with the same
    /// address has noise of its own.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let mask = graph.mask("dropout", 0.75, &[], [1000])?;
    /// let kept = mask.sum().item()?;
    /// assert!((700.0..800.0).contains(&kept));
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// For a probability outside [0, 1], and for earlier errors on the tape.
    #[track_caller]
    pub fn mask(
        &self,
        address: impl Into<Address>,
        probability: f64,
        plates: &[Plate],
        event: impl Into<Shape>,
    ) -> GraphResult<Var<'t, F>> {
        let (address, event, at) = (address.into(), event.into(), Location::caller());
        let (tape, address) = (self.tape(), self.claim_next(&address, at)?);
        tape.check()?;
        if !(0.0..=1.0).contains(&probability) {
            let problem = format!("expected a probability in [0, 1], got {probability}");
            return Err(GraphError::Data { name: address.to_string(), problem, at });
        }
        let context = SampleContext {
            tape,
            noise: self.noise(),
            address: &address,
            plates: PlateSet::from(plates),
            replayed: None,
            at,
        };
        tape.located(at, || {
            let draw = context.draw(None);
            let mask = if draw.records_noise(tape) {
                let noise = draw.record_noise(tape, Fill::Mirrored, &event);
                noise.map_err(|source| context.error(source))?.lt(tape.constant(probability))
            } else {
                let bits = Bernoulli::from_probabilities(tape.constant(probability).broadcast_to(event.clone()));
                bits.sample(&draw).map_err(|source| context.error(source))?
            };
            let mask = mask.drawn();
            tape.check()?;
            if self.records_joint_distribution() {
                let log_prob = Bernoulli::from_probabilities(tape.constant(probability)).log_prob(mask);
                let total = log_prob.plates().iter().fold(log_prob, |sum, &plate| sum.sum_over(plate));
                self.state_mut().log_probs.push(total);
            }
            Ok(mask)
        })
    }

    /// Reserves the address, with the next free number if it is taken.
    pub(crate) fn claim_next(&self, address: &Address, at: &'static Location<'static>) -> GraphResult<Address> {
        let first = self.address_in_scan(address);
        let mut free = first.clone();
        let mut number = 1;
        while self.state().addresses.contains_key(&free) {
            free = first.at_step(number);
            number += 1;
        }
        self.claim(&free, at)?;
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn masks_have_their_probability_and_noise_of_their_own() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let plate = graph.plate("rows", 200).unwrap();
        let first = graph.mask("m", 0.3, &[plate], [50]).unwrap();
        let second = graph.mask("m", 0.3, &[plate], [50]).unwrap();
        assert_eq!((first.shape()[..].to_vec(), first.plates().to_vec()), (vec![50], vec![plate]));
        let (first, second) = (first.value().unwrap(), second.value().unwrap());
        let count = first.as_slice().iter().sum::<f64>();
        // Five standard deviations of a binomial count.
        assert!((count - 3000.0).abs() < 5.0 * (10_000.0_f64 * 0.3 * 0.7).sqrt(), "{count}");
        let both: f64 = first.as_slice().iter().zip(second.as_slice()).map(|(a, b)| a * b).sum();
        assert!((both - 900.0).abs() < 5.0 * (10_000.0_f64 * 0.09 * 0.91).sqrt(), "{both}");
        for (probability, expected) in [(0.0, 0.0), (1.0, 10.0)] {
            assert_eq!(graph.mask("ends", probability, &[], [10]).unwrap().sum().item(), Ok(expected));
        }
        let message = graph.mask("outside", 1.5, &[], [1]).unwrap_err().to_string();
        assert!(message.contains("expected a probability in [0, 1], got 1.5"), "{message}");
    }

    #[test]
    fn each_step_of_a_loop_has_a_mask_of_its_own() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let mut calls = 0;
        let (_, masks) = graph
            .scan("loop", 3, graph.constant(0.0), |_, carried| {
                calls += 1;
                Ok((carried, graph.mask("m", 0.5, &[], [64])?))
            })
            .unwrap();
        let masks = masks.value().unwrap();
        let rows: Vec<&[f64]> = masks.as_slice().chunks(64).collect();
        assert!(rows[0] != rows[1] && rows[1] != rows[2] && rows[0] != rows[2]);
        assert_eq!(calls, 3);
    }
}
