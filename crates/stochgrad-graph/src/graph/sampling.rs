//! Stochastic nodes of a graph.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::node::{Erased, StochasticNode};
use crate::method::GradientMethod;
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::{SamplePlate, SampleSet};
use crate::reduction::reduced_plates;
use std::panic::Location;
use std::rc::Rc;
use stochgrad_distributions::{Family, Live};
use stochgrad_tape::{PlateSet, TapeError, Var, Weights};
use stochgrad_tensor::Real;

impl<'t, F: Real> Graph<'t, F> {
    /// A stochastic node: draws from a distribution, and uses a gradient method for derivatives with respect to its
    /// parameters. Returns the sampled value, on the plates of the parameters and of the samples.
    ///
    /// # Errors
    /// If another node has this address, for a parameter outside its domain, and for earlier errors on the tape.
    #[track_caller]
    pub fn sample<D, M>(&self, address: impl Into<Address>, distribution: &D, method: &M) -> GraphResult<Var<'t, F>>
    where
        D: Live<'t, F>,
        M: GradientMethod<F, D::Family> + Clone + 'static,
    {
        let at = Location::caller();
        let address = address.into();
        self.tape.check()?;
        if let Some(before) = self.state().addresses.get(&address) {
            return Err(GraphError::Duplicate { what: "node", name: address.to_string(), before, at });
        }
        let parameters = distribution.parameters();
        let vars: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.var).collect();
        let mut plates = PlateSet::new();
        for var in &vars {
            if !std::ptr::eq(var.tape(), self.tape) {
                return Err(TapeError::Foreign { what: format!("a parameter of node \"{address}\""), at }.into());
            }
            plates.merge(&var.plates());
        }
        let context =
            SampleContext { tape: self.tape, noise: self.noise(), address: &address, plates, replayed: None, at };
        if self.validate.get() {
            distribution.validate().map_err(|source| context.error(source))?;
        }
        let mut set = self.tape.located(at, || {
            if self.joint_distribution.get() {
                self.sample_jointly(&context, distribution, method.sample_plate())
            } else {
                method.sample(&context, distribution)
            }
        })?;
        if let Some((_, value)) = self.replaced.as_ref().filter(|(replaced, _)| *replaced == address) {
            set.value = self.tape.constant_on(&set.value.plates(), value);
        }
        if let (Some(plate), Some((weights, differentiable))) = (set.plate, set.weights) {
            if self.state().is_named(plate) {
                return Err(GraphError::Refused {
                    node: address.to_string(),
                    method: method.name(),
                    problem: format!(
                        "its samples have weights, and other nodes may share plate \"{}\"; weighted samples need a \
                         plate of the node's own",
                        self.tape.plate_name(plate)
                    ),
                    at,
                });
            }
            let weights = if differentiable { weights } else { weights.stop_gradient() };
            self.tape.set_weights(plate, Weights::Given { id: weights.id(), differentiable });
        }
        let site = self.tape.new_site();
        let value = self.tape.located(at, || self.tape.sample(site, set.value, &vars));
        self.tape.check()?;
        let carried = context.plates.union(&value.plates()).union(set.plate.as_slice());
        let node = StochasticNode {
            site,
            value,
            plates: reduced_plates(self.tape, &carried),
            plate: set.plate,
            parameters,
            distribution: distribution.name(),
            method: Rc::new(Erased { distribution: D::Family::store(distribution), method: method.clone() }),
            at,
            address: address.clone(),
        };
        let mut state = self.state.borrow_mut();
        state.addresses.insert(address, at);
        state.use_plates(&node.plates, at);
        state.nodes.push(node);
        Ok(value)
    }

    /// Reserves an address for something that is not a node.
    pub(crate) fn claim(&self, address: &Address, at: &'static Location<'static>) -> GraphResult<()> {
        let addresses = &mut self.state.borrow_mut().addresses;
        match addresses.get(address) {
            None => {
                addresses.insert(address.clone(), at);
                Ok(())
            }
            Some(before) => {
                let name = address.to_string();
                Err(GraphError::Duplicate { what: "node or environment", name, before, at })
            }
        }
    }

    fn sample_jointly<D: Live<'t, F>>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &D,
        setting: SamplePlate,
    ) -> GraphResult<SampleSet<'t, F>> {
        if let Some(reparameterized) = distribution.capabilities().reparameterized {
            let plate = context.sample_plate(setting)?;
            let value = reparameterized.rsample(&context.draw(plate)).map_err(|source| context.error(source))?;
            return Ok(SampleSet::equal(value, plate));
        }
        let set = context.independent(distribution, setting)?;
        let log_prob = distribution.log_prob(set.value);
        let total = log_prob.plates().iter().fold(log_prob, |sum, &plate| sum.sum_over(plate));
        self.state.borrow_mut().log_probs.push(total);
        Ok(set)
    }

    /// The log-probability of all draws together, while the joint distribution is recorded; see
    /// [`set_joint_distribution`](Graph::set_joint_distribution).
    pub fn joint_log_prob(&self) -> Var<'t, F> {
        let state = self.state();
        state.log_probs.iter().fold(self.tape.constant(0.0), |sum, &log_prob| sum + log_prob)
    }
}
