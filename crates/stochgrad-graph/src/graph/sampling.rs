//! Stochastic nodes of a graph.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::node::{Erased, ErasedMethod, StochasticNode};
use crate::method::GradientMethod;
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::{SamplePlate, SampleSet};
use crate::reduction::reduced_plates;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use stochgrad_distributions::{Family, Live, Parameters};
use stochgrad_tape::{PlateSet, TapeError, Var, Weights};
use stochgrad_tensor::{Real, instantiated};

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
        self.sample_at(&address.into(), distribution, method, Location::caller())
    }

    /// As [`sample`](Self::sample), for a node that is sampled at another line.
    pub(crate) fn sample_at<D, M>(
        &self,
        named: &Address,
        distribution: &D,
        method: &M,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>>
    where
        D: Live<'t, F>,
        M: GradientMethod<F, D::Family> + Clone + 'static,
    {
        let address = self.address_in_scan(named);
        match self.replaced_method::<D::Family>((&address, named), distribution.name(), at)? {
            None => self.sample_by(named, &address, distribution, method, at),
            Some(method) => self.sample_by(named, &address, distribution, &method, at),
        }
    }

    /// A stochastic node with exactly this method.
    fn sample_by<D, M>(
        &self,
        named: &Address,
        address: &Address,
        distribution: &D,
        method: &M,
        at: &'static Location<'static>,
    ) -> GraphResult<Var<'t, F>>
    where
        D: Live<'t, F>,
        M: GradientMethod<F, D::Family> + Clone + 'static,
    {
        let before = (self.tape.len(), self.tape.side_records());
        let parameters = distribution.parameters();
        let plates = self.begin_node(address, &parameters, at)?;
        let context = SampleContext { tape: self.tape, noise: self.noise(), address, plates, replayed: None, at };
        let first = self.tape.requirements();
        if self.validate.get() {
            distribution.validate().map_err(|source| context.error(source))?;
        }
        let requirements = first..self.tape.requirements();
        let set = self.tape.located(at, || {
            if self.joint_distribution.get() {
                self.sample_jointly(&context, distribution, method.sample_plate())
            } else {
                method.sample(&context, distribution)
            }
        })?;
        let erased = Rc::new(Erased { distribution: D::Family::store(distribution), method: method.clone() });
        let value = self.end_node(&context, set, (distribution.name(), parameters, requirements), erased)?;
        self.note_node_in_scan(before, named, value, at);
        Ok(value)
    }

    /// The plates of the parameters of a new node.
    fn begin_node(
        &self,
        address: &Address,
        parameters: &Parameters<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<PlateSet> {
        instantiated!(
            F: for<'t> fn(
                &Graph<'t, F>,
                &Address,
                &Parameters<'t, F>,
                &'static Location<'static>,
            ) -> GraphResult<PlateSet> = |graph, address, parameters, at| graph.begin_node_body(address, parameters, at)
        )(self, address, parameters, at)
    }

    fn begin_node_body(
        &self,
        address: &Address,
        parameters: &Parameters<'t, F>,
        at: &'static Location<'static>,
    ) -> GraphResult<PlateSet> {
        self.tape.check()?;
        if let Some(before) = self.state().addresses.get(address) {
            return Err(GraphError::Duplicate { what: "node", name: address.to_string(), before, at });
        }
        let mut plates = PlateSet::new();
        for parameter in parameters {
            if !std::ptr::eq(parameter.var.tape(), self.tape) {
                return Err(TapeError::Foreign { what: format!("a parameter of node \"{address}\""), at }.into());
            }
            plates.merge(&parameter.var.plates());
        }
        Ok(plates)
    }

    /// Records the samples of a new node.
    fn end_node(
        &self,
        context: &SampleContext<'_, 't, F>,
        set: SampleSet<'t, F>,
        distribution: (&'static str, Parameters<'t, F>, Range<usize>),
        method: Rc<dyn ErasedMethod<F>>,
    ) -> GraphResult<Var<'t, F>> {
        instantiated!(
            F: for<'t> fn(
                &Graph<'t, F>,
                &SampleContext<'_, 't, F>,
                SampleSet<'t, F>,
                (&'static str, Parameters<'t, F>, Range<usize>),
                Rc<dyn ErasedMethod<F>>,
            ) -> GraphResult<Var<'t, F>> = |graph, context, set, distribution, method| {
                graph.end_node_body(context, set, distribution, method)
            }
        )(self, context, set, distribution, method)
    }

    fn end_node_body(
        &self,
        context: &SampleContext<'_, 't, F>,
        mut set: SampleSet<'t, F>,
        (distribution, parameters, requirements): (&'static str, Parameters<'t, F>, Range<usize>),
        method: Rc<dyn ErasedMethod<F>>,
    ) -> GraphResult<Var<'t, F>> {
        let (address, at) = (context.address, context.at);
        let vars: Vec<Var<'t, F>> = parameters.iter().map(|parameter| parameter.var).collect();
        if let Some((_, value)) = self.replaced.as_ref().filter(|(replaced, _)| replaced == address) {
            set.value = self.tape.located(at, || self.tape.constant_on(&set.value.plates(), value));
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
            // Drawn: the gradient function of the method accounts for weights without derivatives.
            let weights = if differentiable { weights } else { weights.drawn() };
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
            distribution,
            requirements,
            method,
            at,
            address: address.clone(),
        };
        let mut state = self.state.borrow_mut();
        state.addresses.insert(address.clone(), at);
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
