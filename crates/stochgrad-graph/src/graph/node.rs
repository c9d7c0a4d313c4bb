//! Stochastic nodes, with the types of their distribution and method erased.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::forward_method;
use crate::graph::Graph;
use crate::guarantee::{Guarantee, Path};
use crate::method::GradientMethod;
use crate::method::alternative_world::Candidates;
use crate::method::context::CostContext;
use crate::method::group::Group;
use crate::method::method_slots::MethodSlots;
use crate::method::profile::{Extent, Profile};
use crate::method::sample_context::SampleContext;
use crate::method::sample_set::SampleSet;
use crate::method::terms::Terms;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use stochgrad_distributions::{Distribution, Family, Parameters, Support};
use stochgrad_tape::{IdMap, Plate, PlateSet, SiteId, Tape, Var};
use stochgrad_tensor::Real;

pub(crate) struct StochasticNode<'t, F: Real> {
    pub(crate) address: Address,
    pub(crate) site: SiteId,
    /// The recorded sample.
    pub(crate) value: Var<'t, F>,
    /// The plates of the parameters, of the value, and of the weights. The terms of the node are reduced over them.
    pub(crate) plates: PlateSet,
    /// The plate of the samples: made by the method, or shared.
    pub(crate) plate: Option<Plate>,
    pub(crate) parameters: Parameters<'t, F>,
    pub(crate) distribution: &'static str,
    pub(crate) method: Rc<dyn ErasedMethod<F>>,
    /// The numbers of the requirements on its parameters, which were recorded when they were checked.
    pub(crate) requirements: Range<usize>,
    pub(crate) at: &'static Location<'static>,
}

impl<F: Real> StochasticNode<'_, F> {
    /// The error of a method that cannot be used on this node.
    pub(crate) fn refused(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Refused {
            node: self.address.to_string(),
            method: self.method.name(),
            problem: problem.into(),
            at: self.at,
        }
    }
}

/// A method together with the stored distribution of its node. Each function binds the distribution to the tape and
/// calls the function of the method with the same name.
pub(crate) trait ErasedMethod<F: Real> {
    fn name(&self) -> String;
    fn profile(&self) -> Profile;
    fn extent(&self, at: Bind<'_, '_, F>) -> GraphResult<Extent>;
    fn support(&self, at: Bind<'_, '_, F>) -> GraphResult<Support>;
    fn is_rerecordable(&self) -> bool;
    fn relaxes_in_replays(&self) -> bool;
    fn carries_crossings(&self) -> bool;
    fn slots(&self) -> MethodSlots;
    fn guarantee(&self, at: Bind<'_, '_, F>, path: &Path) -> GraphResult<Result<Guarantee, String>>;
    fn passes_gradient(&self, path: &Path) -> bool;
    fn gradient_function<'t>(
        &self,
        at: Bind<'_, 't, F>,
        value: Var<'t, F>,
        path: &Path,
    ) -> GraphResult<Option<Var<'t, F>>>;
    fn terms<'t>(&self, at: Bind<'_, 't, F>, context: &CostContext<'_, 't, F>) -> GraphResult<Terms<'t, F>>;
    fn resample<'t>(&self, at: Bind<'_, 't, F>, context: &SampleContext<'_, 't, F>) -> GraphResult<SampleSet<'t, F>>;
    /// The value that stands for the sample where the distribution has changed to the second one.
    fn relaxed_value<'t>(
        &self,
        at: [Bind<'_, 't, F>; 2],
        context: &CostContext<'_, 't, F>,
    ) -> GraphResult<Option<Var<'t, F>>>;
    /// Samples another node with this distribution and this method, for a further step of a loop.
    fn sample_again<'t>(&self, graph: &Graph<'t, F>, at: Bind<'_, 't, F>) -> GraphResult<Var<'t, F>>;
    fn parameters<'t>(&self, at: Bind<'_, 't, F>) -> GraphResult<Parameters<'t, F>>;
    fn log_prob_each<'t>(&self, at: Bind<'_, 't, F>, value: Var<'t, F>) -> GraphResult<Var<'t, F>>;
    fn group(&self) -> Option<Arc<dyn Group<F>>>;
    fn candidates<'t>(&self, at: Bind<'_, 't, F>, context: &CostContext<'_, 't, F>) -> GraphResult<Candidates<'t, F>>;
    fn report(&self, at: Bind<'_, '_, F>, path: &Path) -> GraphResult<Option<String>>;
}

/// What a stored distribution needs to find its parameters on the tape.
#[derive(Clone, Copy)]
pub(crate) struct Bind<'a, 't, F: Real> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) ids: &'a IdMap,
    pub(crate) address: &'a Address,
    pub(crate) at: &'static Location<'static>,
}

pub(crate) struct Erased<D, M> {
    pub(crate) distribution: D,
    pub(crate) method: M,
}

impl<D, M> Erased<D, M> {
    fn bind<'t, F: Real>(&self, at: Bind<'_, 't, F>) -> GraphResult<D::On<'t>>
    where
        D: Family<F>,
    {
        self.distribution.bind(at.tape, at.ids).map_err(|source| GraphError::Distribution {
            node: at.address.to_string(),
            source,
            at: at.at,
        })
    }
}

impl<F: Real, D: Family<F>, M: GradientMethod<F, D> + Clone + 'static> ErasedMethod<F> for Erased<D, M> {
    forward_method! { self => self.method; name, profile, is_rerecordable, relaxes_in_replays, carries_crossings, slots }
    forward_method! { <F, D> self => self.method; passes_gradient, group }

    fn extent(&self, at: Bind<'_, '_, F>) -> GraphResult<Extent> {
        Ok(Extent::of(&self.bind(at)?))
    }

    fn support(&self, at: Bind<'_, '_, F>) -> GraphResult<Support> {
        Ok(self.bind(at)?.support())
    }

    fn guarantee(&self, at: Bind<'_, '_, F>, path: &Path) -> GraphResult<Result<Guarantee, String>> {
        Ok(self.method.guarantee(&self.bind(at)?, path))
    }

    fn gradient_function<'t>(
        &self,
        at: Bind<'_, 't, F>,
        value: Var<'t, F>,
        path: &Path,
    ) -> GraphResult<Option<Var<'t, F>>> {
        Ok(self.method.gradient_function(&self.bind(at)?, value, path))
    }

    fn terms<'t>(&self, at: Bind<'_, 't, F>, context: &CostContext<'_, 't, F>) -> GraphResult<Terms<'t, F>> {
        self.method.terms(context, &self.bind(at)?)
    }

    fn resample<'t>(&self, at: Bind<'_, 't, F>, context: &SampleContext<'_, 't, F>) -> GraphResult<SampleSet<'t, F>> {
        self.method.resample(context, &self.bind(at)?)
    }

    fn relaxed_value<'t>(
        &self,
        [at, changed]: [Bind<'_, 't, F>; 2],
        context: &CostContext<'_, 't, F>,
    ) -> GraphResult<Option<Var<'t, F>>> {
        self.method.relaxed_value(context, &self.bind(at)?, &self.bind(changed)?)
    }

    fn sample_again<'t>(&self, graph: &Graph<'t, F>, at: Bind<'_, 't, F>) -> GraphResult<Var<'t, F>> {
        graph.sample_at(at.address, &self.bind(at)?, &self.method, at.at)
    }

    fn parameters<'t>(&self, at: Bind<'_, 't, F>) -> GraphResult<Parameters<'t, F>> {
        Ok(self.bind(at)?.parameters())
    }

    fn log_prob_each<'t>(&self, at: Bind<'_, 't, F>, value: Var<'t, F>) -> GraphResult<Var<'t, F>> {
        Ok(self.bind(at)?.log_prob_each(value))
    }

    fn candidates<'t>(&self, at: Bind<'_, 't, F>, context: &CostContext<'_, 't, F>) -> GraphResult<Candidates<'t, F>> {
        self.method.candidates(context, &self.bind(at)?)
    }

    fn report(&self, at: Bind<'_, '_, F>, path: &Path) -> GraphResult<Option<String>> {
        Ok(self.method.report(&self.bind(at)?, path))
    }
}
