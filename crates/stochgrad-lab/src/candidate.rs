//! Methods that may be used at a node.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use stochgrad_distributions::Family;
use stochgrad_graph::{Address, DynMethod, GradientMethod, Graph, GraphResult, MethodReplacements};
use stochgrad_tensor::Real;

/// A gradient method for a node, with the line of code that makes it. [`candidates!`](crate::candidates) makes several.
pub struct Candidate<F: Real, D> {
    label: String,
    make: Make<F, D>,
}

enum Make<F: Real, D> {
    /// Once for each set of replacements, so that its state lasts.
    Once(Rc<dyn Fn() -> DynMethod<F, D>>),
    /// For each recording.
    OnGraph(MakeOnGraph<F, D>),
}

type MakeOnGraph<F, D> = Rc<dyn Fn(&Graph<'_, F>) -> GraphResult<DynMethod<F, D>>>;

impl<F: Real, D> Clone for Make<F, D> {
    fn clone(&self) -> Self {
        match self {
            Make::Once(make) => Make::Once(Rc::clone(make)),
            Make::OnGraph(make) => Make::OnGraph(Rc::clone(make)),
        }
    }
}

impl<F: Real, D> Clone for Candidate<F, D> {
    fn clone(&self) -> Self {
        Candidate { label: self.label.clone(), make: self.make.clone() }
    }
}

impl<F: Real, D> fmt::Debug for Candidate<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Candidate").field(&self.label).finish()
    }
}

impl<F: Real, D: Family<F>> Candidate<F, D> {
    /// A method that `make` makes. It is made anew for each combination of methods that is measured, so that the state
    /// of one does not depend on others.
    pub fn new<M>(label: impl Into<String>, make: impl Fn() -> M + 'static) -> Self
    where
        M: GradientMethod<F, D> + 'static,
    {
        // Code that has passed through a macro has spaces around its paths.
        let label = label.into().replace(" :: ", "::");
        Candidate { label, make: Make::Once(Rc::new(move || Arc::new(make()))) }
    }

    /// A method that is made for a recording, for example along a plate that it looks up with
    /// [`Graph::plate_named`]. See [`MethodReplacements::with_made`].
    pub fn on_graph<M>(label: impl Into<String>, make: impl Fn(&Graph<'_, F>) -> GraphResult<M> + 'static) -> Self
    where
        M: GradientMethod<F, D> + 'static,
    {
        let make = move |graph: &Graph<'_, F>| Ok(Arc::new(make(graph)?) as DynMethod<F, D>);
        Candidate { label: label.into(), make: Make::OnGraph(Rc::new(make)) }
    }

    /// The line of code, or another name.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// These replacements, and this method for a node.
    pub fn replace(&self, replacements: MethodReplacements<F>, address: &Address) -> MethodReplacements<F> {
        match &self.make {
            Make::Once(make) => replacements.with(address.clone(), make()),
            Make::OnGraph(make) => {
                let make = Rc::clone(make);
                replacements.with_made(address.clone(), move |graph: &Graph<'_, F>| make(graph))
            }
        }
    }
}

/// A list of [candidates](crate::Candidate), each with its own code as the label.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Id};
/// use stochgrad_estimators::{DisArm, LeaveOneOut, ScoreFunction};
/// use stochgrad_lab::{Candidate, candidates};
///
/// let methods: Vec<Candidate<f64, Bernoulli<Id>>> =
///     candidates![ScoreFunction::new().samples(4).baseline(LeaveOneOut), DisArm::new()];
/// assert_eq!(methods[1].label(), "DisArm::new()");
/// ```
#[macro_export]
macro_rules! candidates {
    ($($method:expr),+ $(,)?) => {
        vec![$($crate::Candidate::new(stringify!($method), move || $method)),+]
    };
}

/// The candidates of a node, whatever its distribution.
#[derive(Clone)]
pub(crate) struct NodeCandidates<F: Real> {
    pub(crate) address: Address,
    pub(crate) labels: Vec<String>,
    replace: Rc<dyn Fn(MethodReplacements<F>, usize) -> MethodReplacements<F>>,
}

impl<F: Real> NodeCandidates<F> {
    pub(crate) fn new<D: Family<F>>(address: Address, candidates: Vec<Candidate<F, D>>) -> Self {
        let labels = candidates.iter().map(|candidate| candidate.label.clone()).collect();
        let node = address.clone();
        let replace = move |replacements, index: usize| candidates[index].replace(replacements, &node);
        NodeCandidates { address, labels, replace: Rc::new(replace) }
    }

    /// These replacements, and a candidate for the node.
    pub(crate) fn replace(&self, replacements: MethodReplacements<F>, index: usize) -> MethodReplacements<F> {
        (self.replace)(replacements, index)
    }
}
