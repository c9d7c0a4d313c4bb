//! Methods that are used instead of those with which nodes are sampled.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::method::DynMethod;
use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use stochgrad_distributions::Family;
use stochgrad_tensor::Real;

/// Gradient methods for nodes of a model, by address, that are used instead of those with which the model samples them.
/// The model is not changed; see [`Graph::replace_methods`].
///
/// An address without an index stands for all nodes of this name, so that `"x"` is every step of a loop that samples
/// `"x"`. The last replacement that fits a node is used.
///
/// ```
/// use std::sync::Arc;
/// use stochgrad_distributions::{Bernoulli, Id, Order};
/// use stochgrad_graph::{DynMethod, Graph, GraphResult, MethodReplacements, Seed};
/// # use stochgrad_distributions::{Distribution, Family};
/// # use stochgrad_graph::{GradientMethod, Method, Path, Profile, SampleContext, SamplePlate, SampleSet};
/// # use stochgrad_tape::{Tape, Var};
/// # #[derive(Clone)]
/// # struct Score(usize);
/// # impl Method for Score {
/// #     fn name(&self) -> String { format!("score, {} samples", self.0) }
/// #     fn profile(&self) -> Profile { Profile::unbiased(Order::Any).times(self.0) }
/// #     fn sample_plate(&self) -> SamplePlate { SamplePlate::New(self.0) }
/// # }
/// # impl<D: Family<f64>> GradientMethod<f64, D> for Score {
/// #     fn sample<'t>(&self, c: &SampleContext<'_, 't, f64>, d: &D::On<'t>) -> GraphResult<SampleSet<'t, f64>> {
/// #         c.independent(d, self.sample_plate())
/// #     }
/// #     fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
/// #         Some(d.log_prob(x))
/// #     }
/// # }
///
/// let method: DynMethod<f64, Bernoulli<Id>> = Arc::new(Score(4));
/// let replacements = MethodReplacements::new().with("b", method);
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// graph.replace_methods(&replacements);
/// let logit = graph.param("logit", 0.3)?;
/// let b = graph.sample("b", &Bernoulli::from_logits(logit), &Score(1))?;
/// graph.cost("loss", b.square())?;
/// assert_eq!(graph.report()?.nodes[0].method, "score, 4 samples");
/// # Ok::<(), stochgrad_graph::GraphError>(())
/// ```
pub struct MethodReplacements<F: Real> {
    list: Vec<Replacement<F>>,
}

struct Replacement<F: Real> {
    address: Address,
    /// The name of the distributions that the method is for.
    family: String,
    /// A [`Build`] for a family that is erased.
    build: Rc<dyn Any>,
    /// Makes the whole clonable and bound to an element type.
    element: std::marker::PhantomData<F>,
}

/// Makes the method of a recording.
type Build<F, D> = Rc<dyn Fn(&Graph<'_, F>) -> GraphResult<DynMethod<F, D>>>;

impl<F: Real> MethodReplacements<F> {
    /// No replacements: every node keeps its method.
    pub fn new() -> Self {
        MethodReplacements { list: Vec::new() }
    }

    /// These replacements, and a method for one more node. All recordings share it, with the state that it keeps.
    pub fn with<D: Family<F>>(self, address: impl Into<Address>, method: DynMethod<F, D>) -> Self {
        self.with_made(address, move |_| Ok(Arc::clone(&method)))
    }

    /// These replacements, and for one more node a method that is made for each recording: for a method along a plate,
    /// which it finds on the graph with [`Graph::plate_named`]. All steps of a loop share the method. State that it
    /// keeps lasts as long as the recording does, which is that of the whole training for a compiled graph.
    pub fn with_made<D: Family<F>>(
        mut self,
        address: impl Into<Address>,
        make: impl Fn(&Graph<'_, F>) -> GraphResult<DynMethod<F, D>> + 'static,
    ) -> Self {
        let make: Build<F, D> = Rc::new(make);
        self.list.push(Replacement {
            address: address.into(),
            family: name_of(std::any::type_name::<D>()),
            build: Rc::new(make),
            element: std::marker::PhantomData,
        });
        self
    }

    /// These replacements and others, which take precedence.
    pub fn and(mut self, others: &Self) -> Self {
        self.list.extend(others.list.iter().cloned());
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The addresses of the nodes.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.list.iter().map(|replacement| &replacement.address)
    }
}

impl<F: Real> Default for MethodReplacements<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Real> Clone for MethodReplacements<F> {
    fn clone(&self) -> Self {
        MethodReplacements { list: self.list.clone() }
    }
}

impl<F: Real> Clone for Replacement<F> {
    fn clone(&self) -> Self {
        Replacement {
            address: self.address.clone(),
            family: self.family.clone(),
            build: Rc::clone(&self.build),
            element: std::marker::PhantomData,
        }
    }
}

impl<F: Real> fmt::Debug for MethodReplacements<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list.iter().map(|one| (one.address.to_string(), &one.family))).finish()
    }
}

/// The name of a type without its modules and parameters.
fn name_of(path: &str) -> String {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

/// The replacements on a graph, with the methods that were made for it.
pub(crate) struct ReplacedMethods<F: Real> {
    replacements: MethodReplacements<F>,
    /// The method that each replacement made, a [`DynMethod`], once it was used.
    made: Vec<Option<Rc<dyn Any>>>,
}

impl<F: Real> ReplacedMethods<F> {
    pub(crate) fn none() -> Self {
        ReplacedMethods { replacements: MethodReplacements::new(), made: Vec::new() }
    }

    fn position(&self, address: &Address, named: &Address) -> Option<usize> {
        self.replacements.list.iter().rposition(|one| one.address.covers(address) || one.address.covers(named))
    }

    /// Checks that every replacement was used.
    ///
    /// # Errors
    /// For a replacement whose node does not exist.
    pub(crate) fn check<'a>(&self, nodes: impl Iterator<Item = &'a Address>) -> GraphResult<()> {
        if self.replacements.is_empty() {
            return Ok(());
        }
        let nodes: Vec<&Address> = nodes.collect();
        let is_known = |address: &Address| nodes.iter().any(|node| address.covers(node));
        let unused = |(one, made): &(&Replacement<F>, &Option<Rc<dyn Any>>)| made.is_none() && !is_known(&one.address);
        match self.replacements.list.iter().zip(&self.made).find(unused) {
            None => Ok(()),
            Some((one, _)) => Err(GraphError::Unknown {
                what: "node whose method is replaced",
                name: one.address.to_string(),
                known: match nodes.is_empty() {
                    true => "none".into(),
                    false => nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                },
            }),
        }
    }
}

impl<'t, F: Real> Graph<'t, F> {
    /// Uses other gradient methods for some nodes than those that [`sample`](Self::sample) gets. Call it before the
    /// nodes are sampled; it takes the place of earlier replacements. Nodes without a replacement keep their methods,
    /// and their values the same bits.
    ///
    /// A replacement whose node has another distribution is an error of `sample`, and one whose node does not exist is
    /// an error of [`backward`](Self::backward), [`compile`](Self::compile) and [`report`](Self::report).
    pub fn replace_methods(&self, replacements: &MethodReplacements<F>) {
        let made = vec![None; replacements.list.len()];
        self.state_mut().replaced_methods = ReplacedMethods { replacements: replacements.clone(), made };
    }

    /// Passes the replacements on to a graph of the same model.
    pub(crate) fn replace_methods_of(&self, other: &Graph<'_, F>) {
        let state = other.state();
        if !state.replaced_methods.replacements.is_empty() {
            self.replace_methods(&state.replaced_methods.replacements);
        }
    }

    /// The method that replaces the one of a node, if there is one.
    ///
    /// # Errors
    /// For a replacement that is a method for other distributions, and those of the function that makes the method.
    pub(crate) fn replaced_method<D: Family<F>>(
        &self,
        (address, named): (&Address, &Address),
        distribution: &'static str,
        at: &'static Location<'static>,
    ) -> GraphResult<Option<DynMethod<F, D>>> {
        let (position, made, build) = {
            let replaced = &self.state().replaced_methods;
            if replaced.replacements.is_empty() {
                return Ok(None);
            }
            let Some(position) = replaced.position(address, named) else { return Ok(None) };
            let one = &replaced.replacements.list[position];
            let build = one.build.downcast_ref::<Build<F, D>>().cloned();
            (position, replaced.made[position].clone(), build.ok_or_else(|| one.family.clone()))
        };
        let build = build.map_err(|family| GraphError::Replacement {
            node: address.to_string(),
            problem: format!(
                "the node has the distribution {distribution}, got a method for {family}; pass a method for \
                 {distribution}, or the address of another node"
            ),
            at,
        })?;
        if let Some(made) = made.as_ref().and_then(|made| made.downcast_ref::<DynMethod<F, D>>()) {
            return Ok(Some(Arc::clone(made)));
        }
        // The graph is not borrowed meanwhile: the function may make a plate.
        let method = build(self)?;
        self.state_mut().replaced_methods.made[position] = Some(Rc::new(Arc::clone(&method)));
        Ok(Some(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use crate::guarantee::Path;
    use crate::method::profile::Profile;
    use crate::method::sample_context::SampleContext;
    use crate::method::sample_set::{SamplePlate, SampleSet};
    use crate::method::{GradientMethod, Method};
    use stochgrad_distributions::{Bernoulli, Distribution, Id, Normal, Order};
    use stochgrad_tape::{Plate, Tape, Var};

    #[derive(Clone)]
    struct Score(SamplePlate);

    impl Method for Score {
        fn name(&self) -> String {
            format!("score {:?}", self.0)
        }

        fn profile(&self) -> Profile {
            Profile::unbiased(Order::Any)
        }

        fn sample_plate(&self) -> SamplePlate {
            self.0
        }
    }

    impl<D: Family<f64>> GradientMethod<f64, D> for Score {
        fn sample<'t>(
            &self,
            context: &SampleContext<'_, 't, f64>,
            distribution: &D::On<'t>,
        ) -> GraphResult<SampleSet<'t, f64>> {
            context.independent(distribution, self.0)
        }

        fn gradient_function<'t>(&self, d: &D::On<'t>, x: Var<'t, f64>, _: &Path) -> Option<Var<'t, f64>> {
            Some(d.log_prob(x))
        }
    }

    fn three() -> DynMethod<f64, Bernoulli<Id>> {
        Arc::new(Score(SamplePlate::New(3)))
    }

    fn chain(graph: &Graph<'_, f64>, samples: SamplePlate) -> GraphResult<()> {
        let logit = graph.param("logit", [0.3, -0.2])?;
        let x = graph.sample("x", &Bernoulli::from_logits(logit), &Score(samples))?;
        let y = graph.sample("y", &Normal::new(x, 1.0), &Score(SamplePlate::Single))?;
        graph.cost("loss", (y * x).sum())
    }

    fn recorded(
        replacements: Option<MethodReplacements<f64>>,
        model: impl Fn(&Graph<'_, f64>) -> GraphResult<()>,
    ) -> GraphResult<(Vec<String>, Vec<f64>)> {
        let tape = Tape::new();
        let graph = Graph::new(&tape, Seed::new(7));
        if let Some(replacements) = replacements {
            graph.replace_methods(&replacements);
        }
        model(&graph)?;
        let compiled = graph.compile()?.run(Seed::new(7)).is_ok();
        assert!(!compiled, "parameters have not been set");
        let methods = graph.methods().into_iter().map(|method| method.name).collect();
        Ok((methods, graph.backward()?.get("logit")?.to_vec()))
    }

    #[test]
    fn a_replacement_gives_the_bits_of_the_method_itself_and_leaves_other_nodes_alone() {
        let own = recorded(None, |graph| chain(graph, SamplePlate::New(3))).unwrap();
        let replaced = MethodReplacements::new().with("x", three());
        let found = recorded(Some(replaced), |graph| chain(graph, SamplePlate::Single)).unwrap();
        assert_eq!(own, found);
        let none = recorded(Some(MethodReplacements::new()), |graph| chain(graph, SamplePlate::Single)).unwrap();
        assert_eq!(none, recorded(None, |graph| chain(graph, SamplePlate::Single)).unwrap());
        assert_ne!(none.1, found.1);
    }

    #[test]
    fn the_last_fitting_replacement_counts_and_an_index_narrows_it() {
        let model = |graph: &Graph<'_, f64>| {
            let logit = graph.param("logit", [0.3, -0.2])?;
            let xs =
                (0..3).map(|t| graph.sample(("x", t), &Bernoulli::from_logits(logit), &Score(SamplePlate::Single)));
            let xs = xs.collect::<GraphResult<Vec<_>>>()?;
            graph.cost("loss", xs.into_iter().fold(graph.constant(0.0), |sum, x| sum + x.sum()))
        };
        let two: DynMethod<f64, Bernoulli<Id>> = Arc::new(Score(SamplePlate::New(2)));
        let first = MethodReplacements::new().with("x", two);
        assert!(!first.is_empty());
        let all = first.and(&MethodReplacements::new().with(("x", 1), three()));
        assert_eq!(format!("{all:?}"), r#"{"x": "Bernoulli", "x[1]": "Bernoulli"}"#);
        let (methods, _) = recorded(Some(all), model).unwrap();
        let name = |samples| format!("score {:?}", SamplePlate::New(samples));
        assert_eq!(methods, [name(2), name(3), name(2)]);
    }

    #[test]
    fn the_steps_of_a_loop_share_a_method_that_is_made_for_the_recording() {
        let model = |graph: &Graph<'_, f64>| {
            graph.plate("samples", 4)?;
            let logit = graph.param("logit", [0.3, -0.2])?;
            let (total, ()) = graph.scan("time", 3, graph.constant(0.0), |_, total| {
                let x = graph.sample("x", &Bernoulli::from_logits(logit), &Score(SamplePlate::Single))?;
                Ok((total + x.sum(), ()))
            })?;
            graph.cost("loss", total)
        };
        let made = Rc::new(std::cell::Cell::new(0));
        let count = Rc::clone(&made);
        let replaced = MethodReplacements::new().with_made("x", move |graph: &Graph<'_, f64>| {
            count.set(count.get() + 1);
            let plate: Plate = graph.plate_named("samples").expect("the model makes it");
            Ok(Arc::new(Score(SamplePlate::Shared(plate))) as DynMethod<f64, Bernoulli<Id>>)
        });
        let (methods, _) = recorded(Some(replaced), model).unwrap();
        assert!(methods.iter().all(|method| method.contains("Shared")), "{methods:?}");
        assert_eq!((methods.len(), made.get()), (3, 1));
    }

    #[test]
    fn other_distributions_and_unknown_nodes_are_errors() {
        let chain = |graph: &Graph<'_, f64>| chain(graph, SamplePlate::Single);
        let wrong = recorded(Some(MethodReplacements::new().with("y", three())), chain).unwrap_err().to_string();
        for part in ["node \"y\"", "has the distribution Normal, got a method for Bernoulli", "replacements.rs"] {
            assert!(wrong.contains(part), "{wrong}");
        }
        let unknown = recorded(Some(MethodReplacements::new().with("z", three())), chain).unwrap_err().to_string();
        assert!(unknown.contains("\"z\"") && unknown.contains("x, y"), "{unknown}");
    }
}
