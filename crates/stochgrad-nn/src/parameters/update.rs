//! Updates of parameters, in place where possible.

use stochgrad_graph::Gradients;
use stochgrad_tensor::{Real, Shape, Tensor};

use super::entry::Entry;
use super::{Parameters, Position};
use crate::error::NnResult;

impl<F: Real> Parameters<F> {
    /// Changes every parameter. `change` gets its name, its shape and its elements; it is the building block of an
    /// optimiser. Buffers are not changed, and neither are other tensors that share the memory of a value.
    ///
    /// # Errors
    ///
    /// The first error of `change`. Parameters that were visited before the error have changed, so check in advance
    /// what can be checked.
    pub fn update(&mut self, mut change: impl FnMut(&str, &Shape, &mut [F]) -> NnResult<()>) -> NnResult<()> {
        self.update_tensors(
            |_| true,
            |_, name, value| {
                let shape = value.shape().clone();
                change(name, &shape, value.make_mut())
            },
        )
    }

    /// Gives the buffers the values that a step computed for them with
    /// [`Record::set_buffer`](crate::Record::set_buffer), such as the running statistics of a
    /// [`BatchNorm`](crate::BatchNorm). [`Step::train`](crate::Step::train) calls it. Call it once for each step in a
    /// training loop of your own.
    ///
    /// ```
    /// use stochgrad_graph::{Graph, Seed};
    /// use stochgrad_nn::Parameters;
    /// use stochgrad_tape::Tape;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let mut parameters = Parameters::<f64>::new();
    /// parameters.insert("slope", Tensor::scalar(2.0))?;
    /// parameters.insert_buffer("count", Tensor::scalar(0.0))?;
    /// let tape = Tape::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let record = parameters.on(&graph);
    /// record.set_buffer("count", record.buffer("count")? + 1.0)?;
    /// record.cost("loss", record.param("slope")?.square())?;
    /// let gradients = graph.backward()?;
    /// parameters.advance(&gradients)?;
    /// assert_eq!(parameters.buffer("count"), Some(&Tensor::scalar(1.0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NnError::InvalidArgument`](crate::NnError::InvalidArgument) for a value of another shape than its buffer.
    pub fn advance(&mut self, gradients: &Gradients<F>) -> NnResult<()> {
        for (name, value) in gradients.next_values() {
            match self.positions.get(name) {
                Some(&Position::Buffer(position)) if self.buffers[position].1.shape() == value.shape() => {
                    self.buffers[position].1.make_mut().copy_from_slice(value.as_slice());
                }
                Some(_) => self.set(name, value.clone())?,
                None => {}
            }
        }
        Ok(())
    }

    /// As [`update`](Self::update) for the parameters of some numbers, with tensors, whose memory nothing else shares.
    /// The number of a parameter is its place in the order of insertion.
    pub(crate) fn update_tensors(
        &mut self,
        is_updated: impl Fn(usize) -> bool,
        mut change: impl FnMut(usize, &str, &mut Tensor<F>) -> NnResult<()>,
    ) -> NnResult<()> {
        for (number, Entry { name, value, spare, .. }) in self.entries.iter_mut().enumerate() {
            if !is_updated(number) {
                continue;
            }
            if !value.is_unique() {
                let kept = spare.take_if(|spare| spare.is_unique() && spare.shape() == value.shape());
                let mut copy = kept.unwrap_or_else(|| Tensor::zeros(value.shape()));
                copy.make_mut().copy_from_slice(value.as_slice());
                *spare = Some(std::mem::replace(value, copy));
            }
            change(number, name, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stochgrad_graph::{Graph, Seed};
    use stochgrad_tape::Workspace;

    use super::*;
    use crate::error::NnError;
    use crate::optimizers::{Adam, Optimizer};
    use crate::testing::{one_parameter, two_parameters as two};

    #[test]
    fn an_update_stops_at_the_first_error() {
        let mut parameters = two();
        let error = parameters.update(|name, _, values| {
            if name == "a" {
                return Err(NnError::argument("a", "b", "c", "d"));
            }
            values.fill(9.0);
            Ok(())
        });
        assert!(error.is_err());
        assert!(parameters.get("w").unwrap().as_slice().iter().all(|&w| w == 9.0));
        assert_eq!(parameters.get("a"), two().get("a"));
    }

    #[test]
    fn values_that_others_hold_never_change() {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let copy = parameters.clone();
        let mut held = Vec::new();
        for step in 0..4 {
            held.push(parameters.get("x").unwrap().clone());
            parameters
                .update(|_, _, values| {
                    assert_eq!(values[0], 1.0 + f64::from(step));
                    values.iter_mut().for_each(|value| *value += 1.0);
                    Ok(())
                })
                .unwrap();
        }
        for (step, held) in held.iter().enumerate() {
            assert_eq!(held.as_slice(), [1.0 + step as f64, 2.0 + step as f64]);
        }
        assert_eq!(copy.get("x").unwrap().as_slice(), [1.0, 2.0]);
    }

    #[test]
    fn what_nobody_shares_is_changed_in_place() {
        let mut parameters = one_parameter(Tensor::from([1.0, 2.0]));
        let address = parameters.get("x").unwrap().as_slice().as_ptr();
        parameters
            .update(|_, shape, values| {
                assert_eq!(shape[..], [2]);
                values[1] = 5.0;
                Ok(())
            })
            .unwrap();
        let x = parameters.get("x").unwrap().as_slice();
        assert_eq!((x, x.as_ptr()), (&[1.0, 5.0][..], address));
    }

    #[test]
    fn a_thousand_steps_use_two_buffers_a_parameter_and_one_a_moment() {
        let mut parameters = one_parameter(Tensor::from_fn([7, 3], |i| i as f64));
        let mut adam = Adam::new(0.01);
        let mut workspace = Workspace::new();
        let mut addresses = [BTreeSet::new(), BTreeSet::new()];
        // A buffer that was given back to the allocator would be taken by one of these.
        let mut decoys = Vec::new();
        for step in 0..1000 {
            let graph = Graph::new(workspace.tape(), Seed::new(7).step(step));
            let x = parameters.on(&graph).param("x").unwrap();
            graph.cost("square", x.square().sum()).unwrap();
            adam.step(&mut parameters, &graph.backward().unwrap()).unwrap();
            addresses[0].insert(parameters.get("x").unwrap().as_slice().as_ptr());
            let moment = &adam.state().slots["first_moment"]["x"];
            addresses[1].insert(moment.as_slice().as_ptr());
            decoys.push(vec![0.0_f64; 21]);
        }
        assert_eq!(addresses.map(|addresses| addresses.len()), [2, 1]);
        assert_eq!(decoys.len(), 1000);
    }
}
