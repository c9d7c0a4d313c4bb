//! Gradients of a recorded graph, of the first and of higher orders.

use crate::analysis::facts::Analysis;
use crate::analysis::finite::{
    AUXILIARY, check_gradients, check_recorded, cost_in_words, first_not_finite, gradient_in_words, next_value_in_words,
};
use crate::analysis::ledger::Ledger;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::state::State;
use crate::guarantee::Guarantee;
use crate::method::updates::{next_values, one_for_each_slot};
use crate::surrogate::{Built, build};
use std::collections::BTreeMap;
use stochgrad_tape::{Slot, Var};
use stochgrad_tensor::{Real, Tensor, instantiated};

/// The result of [`Graph::backward`]: gradients, estimates of the costs, and guarantees. It owns its data, so that the
/// tape can be cleared.
pub struct Gradients<F: Real> {
    pub(crate) gradients: BTreeMap<String, Tensor<F>>,
    pub(crate) costs: Vec<(String, F)>,
    pub(crate) ledger: Ledger,
    /// The slots of methods with their next values; `None` if no run has computed them.
    pub(crate) updates: Vec<(Slot, Option<Tensor<F>>)>,
    /// The next values of inputs; `None` if no run has computed them.
    pub(crate) next_values: Vec<(String, Option<Tensor<F>>)>,
    pub(crate) squares_are_finite: bool,
}

impl<F: Real> Gradients<F> {
    /// Gradients that were computed elsewhere, by the names of their parameters: for the tests of an optimiser, and for
    /// gradients that were averaged over several machines.
    ///
    /// There are no costs and no updates of gradient methods, and the guarantee of every parameter is
    /// [`Guarantee::EXACT`]. The values are not checked.
    ///
    /// ```
    /// use stochgrad_graph::Gradients;
    /// use stochgrad_tensor::Tensor;
    ///
    /// let gradients = Gradients::<f64>::from_tensors([("weight", Tensor::from([0.5, -1.0])), ("bias", Tensor::scalar(2.0))]);
    /// assert_eq!(gradients.get("bias")?.item()?, 2.0);
    /// assert!(gradients.costs().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_tensors<N: Into<String>>(gradients: impl IntoIterator<Item = (N, Tensor<F>)>) -> Self {
        Gradients {
            gradients: gradients.into_iter().map(|(name, gradient)| (name.into(), gradient)).collect(),
            costs: Vec::new(),
            ledger: Ledger::default(),
            updates: Vec::new(),
            next_values: Vec::new(),
            squares_are_finite: false,
        }
    }

    /// As [`from_tensors`](Self::from_tensors), for estimates: with estimates of the costs, and with one guarantee for
    /// all gradients and the reason for it.
    ///
    /// ```
    /// use stochgrad_graph::{Bias, Gradients, Guarantee, Order};
    /// use stochgrad_tensor::Tensor;
    ///
    /// let guarantee = Guarantee { bias: Bias::Gradient, order: Order::Finite(1) };
    /// let slope = [("speed", Tensor::scalar(2.0))];
    /// let gradients = Gradients::<f64>::estimated(slope, vec![("loss".into(), 0.5)], guarantee, "finite differences");
    /// assert_eq!(gradients.guarantee("speed")?, guarantee);
    /// # Ok::<(), stochgrad_graph::GraphError>(())
    /// ```
    pub fn estimated<N: Into<String>>(
        gradients: impl IntoIterator<Item = (N, Tensor<F>)>,
        costs: Vec<(String, F)>,
        guarantee: Guarantee,
        reason: &str,
    ) -> Self {
        let gradients = Gradients { costs, ..Self::from_tensors(gradients) };
        let ledger = Ledger::same_for_all(gradients.gradients.keys(), guarantee, reason);
        Gradients { ledger, ..gradients }
    }

    /// The gradient of the total expected cost with respect to a parameter, of the shape of the parameter.
    ///
    /// # Errors
    /// If no parameter has this name.
    pub fn get(&self, parameter: &str) -> GraphResult<&Tensor<F>> {
        self.gradients.get(parameter).ok_or_else(|| unknown("parameter", parameter, self.gradients.keys()))
    }

    /// All gradients, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<F>)> {
        self.gradients.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Mutable references to all gradients, ordered by name: for clipping, for example. The gradients are finite;
    /// changed values are not checked.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor<F>)> {
        self.squares_are_finite = false;
        self.gradients.iter_mut().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Whether all gradients and their squares are known to be finite: they were checked when they were computed, and
    /// have not been changed since.
    pub fn squares_are_finite(&self) -> bool {
        self.squares_are_finite
    }

    /// The estimate of the expectation of a cost.
    ///
    /// # Errors
    /// If no cost has this name.
    pub fn cost(&self, name: &str) -> GraphResult<F> {
        let found = self.costs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).ok_or_else(|| unknown("cost", name, self.costs.iter().map(|(name, _)| name)))
    }

    /// The names of the costs and the estimates of their expectations, in the order of recording.
    pub fn costs(&self) -> &[(String, F)] {
        &self.costs
    }

    /// The estimate of the total expected cost.
    pub fn total(&self) -> F {
        self.costs.iter().map(|(_, value)| *value).sum()
    }

    /// The bias and the highest valid order of derivatives with respect to a parameter.
    ///
    /// # Errors
    /// If no parameter has this name.
    pub fn guarantee(&self, parameter: &str) -> GraphResult<Guarantee> {
        self.get(parameter)?;
        Ok(self.ledger.guarantee(parameter))
    }

    /// The reasons for the guarantee of a parameter: the nodes that limit it, and the nodes whose biased method is
    /// exact for the recorded costs.
    ///
    /// # Errors
    /// If no parameter has this name.
    pub fn reasons(&self, parameter: &str) -> GraphResult<&[String]> {
        self.get(parameter)?;
        Ok(self.ledger.reasons(parameter))
    }

    /// The decisions that methods made by themselves: the address of the node, and the decision in words.
    pub fn reports(&self) -> &[(String, String)] {
        &self.ledger.reports
    }

    /// The values that [inputs get after the step](crate::Graph::set_next_value): running statistics, for example. None
    /// if the run failed.
    pub fn next_values(&self) -> impl Iterator<Item = (&str, &Tensor<F>)> {
        self.next_values.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_ref()?)))
    }

    /// Copies the next values that the step computed into the slots of the gradient methods: running means,
    /// temperatures, learned surrogates. Call it once for each training step, before the next step is recorded. Nothing
    /// else changes the slots, so evaluation and diagnostics do not affect training.
    pub fn advance(&self) {
        self.apply_updates();
    }
}

impl<F: Real> Gradients<F> {
    pub(crate) fn apply_updates(&self) {
        for (slot, value) in &self.updates {
            if let Some(value) = value {
                slot.write(value.as_slice());
            }
        }
    }
}

impl<F: Real> std::fmt::Debug for Gradients<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gradients")
            .field("gradients", &self.gradients)
            .field("costs", &self.costs)
            .finish_non_exhaustive()
    }
}

fn unknown<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a String>) -> GraphError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    GraphError::Unknown {
        what,
        name: name.into(),
        known: if known.is_empty() { "none".into() } else { known.join(", ") },
    }
}

/// The surrogate of a graph, recorded on the tape, for derivatives of any order. Made by [`Graph::surrogate`].
pub struct Surrogate<'t, F: Real> {
    value: Var<'t, F>,
    estimates: Vec<(String, Var<'t, F>)>,
    parameters: Vec<(String, Var<'t, F>)>,
    ledger: Ledger,
}

impl<'t, F: Real> Surrogate<'t, F> {
    /// The surrogate itself. Its value is the estimate of the total expected cost.
    pub fn value(&self) -> Var<'t, F> {
        self.value
    }

    /// The names of the costs and the estimates of their expectations.
    pub fn estimates(&self) -> &[(String, Var<'t, F>)] {
        &self.estimates
    }

    /// The names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }

    /// The bias and the highest valid order of derivatives with respect to a parameter.
    ///
    /// # Errors
    /// If no parameter has this name.
    pub fn guarantee(&self, parameter: &str) -> GraphResult<Guarantee> {
        self.parameter(parameter)?;
        Ok(self.ledger.guarantee(parameter))
    }

    /// The parameter of a name.
    ///
    /// # Errors
    /// If no parameter has this name.
    pub fn parameter(&self, name: &str) -> GraphResult<Var<'t, F>> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found
            .map(|(_, var)| *var)
            .ok_or_else(|| unknown("parameter", name, self.parameters.iter().map(|(name, _)| name)))
    }

    /// Checks that derivatives of an order with respect to some parameters are valid.
    ///
    /// # Errors
    /// [`GraphError::Order`] with the first parameter for which they are not, and the node that limits the order.
    pub fn check_order(&self, parameters: &[&str], order: usize) -> GraphResult<()> {
        for &name in parameters {
            self.parameter(name)?;
            let guaranteed = self.ledger.guarantee(name).order;
            if !guaranteed.allows(order) {
                let because = self.ledger.because(name).map_or(String::new(), |because| format!(" ({because})"));
                return Err(GraphError::Order { parameter: name.into(), asked: order, guaranteed, because });
            }
        }
        Ok(())
    }

    /// The gradients with respect to some parameters, recorded on the tape.
    ///
    /// # Errors
    /// For unknown names, for methods without a valid first derivative, and for a derivative that is NaN or infinite.
    pub fn gradient(&self, parameters: &[&str]) -> GraphResult<Vec<Var<'t, F>>> {
        self.check_order(parameters, 1)?;
        let wrt: Vec<Var<'t, F>> = parameters.iter().map(|name| self.parameter(name)).collect::<Result<_, _>>()?;
        let gradients = self.value.tape().gradients(self.value, &wrt)?;
        check_recorded(&gradients, |index| gradient_in_words(parameters[index]))?;
        Ok(gradients)
    }

    /// The derivative of order n along directions `v` of some parameters: `dⁿ/dεⁿ E[cost(θ + ε v)]`.
    ///
    /// # Errors
    /// For unknown names, for directions that do not have the shape of their parameter, for orders that are not
    /// guaranteed, and for a derivative that is NaN or infinite.
    pub fn directional(&self, directions: &[(&str, Tensor<F>)], order: usize) -> GraphResult<Var<'t, F>> {
        let names: Vec<&str> = directions.iter().map(|(name, _)| *name).collect();
        self.check_order(&names, order)?;
        let tape = self.value.tape();
        let wrt: Vec<Var<'t, F>> = names.iter().map(|name| self.parameter(name)).collect::<Result<_, _>>()?;
        let mut derivative = self.value;
        for _ in 0..order {
            let gradients = tape.gradients(derivative, &wrt)?;
            derivative = tape.constant(0.0);
            for (gradient, (_, direction)) in gradients.iter().zip(directions) {
                derivative = derivative + product(*gradient, tape.constant_on(&gradient.plates(), direction));
            }
        }
        tape.check()?;
        check_recorded(&[derivative], |_| format!("the derivative of order {order} along the directions"))?;
        Ok(derivative)
    }

    /// The product of the Hessian of the expected cost with a direction, for each of its parameters.
    ///
    /// # Errors
    /// As [`directional`](Self::directional), at order 2.
    pub fn hessian_vector_product(&self, directions: &[(&str, Tensor<F>)]) -> GraphResult<Vec<Tensor<F>>> {
        let names: Vec<&str> = directions.iter().map(|(name, _)| *name).collect();
        self.check_order(&names, 2)?;
        let tape = self.value.tape();
        let wrt: Vec<Var<'t, F>> = names.iter().map(|name| self.parameter(name)).collect::<Result<_, _>>()?;
        let along: Vec<Var<'t, F>> = wrt
            .iter()
            .zip(directions)
            .map(|(var, (_, direction))| tape.constant_on(&var.plates(), direction))
            .collect();
        let products = tape.hessian_vector_product(self.value, &wrt, &along)?;
        if products.iter().any(|product| first_not_finite(product).0.is_some()) {
            let mark = tape.len();
            let result = self.check_product(&names, &wrt, &along);
            tape.truncate(mark);
            result?;
        }
        Ok(products)
    }

    /// Records the product of the Hessian with a direction, to find the operation that first produced a value that is
    /// not finite.
    fn check_product(&self, names: &[&str], wrt: &[Var<'t, F>], along: &[Var<'t, F>]) -> GraphResult<()> {
        let tape = self.value.tape();
        let mut slope = tape.constant(0.0);
        for (gradient, direction) in tape.gradients(self.value, wrt)?.into_iter().zip(along) {
            slope = slope + product(gradient, *direction);
        }
        let name = |index: usize| {
            format!("the product of the Hessian with a direction, with respect to \"{}\",", names[index])
        };
        check_recorded(&tape.gradients(slope, wrt)?, name)
    }

    /// The Hessian of the expected cost with respect to one parameter, as a square matrix over its elements.
    ///
    /// # Errors
    /// For an unknown name, for methods without a valid second derivative, and for a derivative that is NaN or
    /// infinite.
    pub fn hessian(&self, parameter: &str) -> GraphResult<Tensor<F>> {
        let var = self.parameter(parameter)?;
        let shape = var.inspect()?.shape().clone();
        let count = shape.numel();
        let mut rows = Vec::with_capacity(count * count);
        for row in 0..count {
            let direction = Tensor::from_fn(shape.clone(), |i| if i == row { F::ONE } else { F::ZERO });
            for product in self.hessian_vector_product(&[(parameter, direction)])? {
                rows.extend_from_slice(product.as_slice());
            }
        }
        Ok(Tensor::from_fn([count, count], |i| rows[i]))
    }
}

impl<'t, F: Real> Graph<'t, F> {
    /// The gradients of the total expected cost with respect to all parameters. The tape is restored afterwards, so
    /// that this can be repeated.
    ///
    /// # Errors
    /// For earlier errors on the tape, for methods that cannot be used on their node, and for a gradient or an estimate
    /// that is NaN or infinite, with the operation that first produced it.
    pub fn backward(&self) -> GraphResult<Gradients<F>> {
        instantiated!(F: fn(&Graph<'_, F>) -> GraphResult<Gradients<F>> = |graph| graph.backward_body())(self)
    }

    fn backward_body(&self) -> GraphResult<Gradients<F>> {
        #[cfg(feature = "tracing")]
        let _span = tracing::debug_span!("backward").entered();
        let tape = self.tape();
        let mark = tape.len();
        let result = self.differentiate();
        tape.truncate(mark);
        result
    }

    fn differentiate(&self) -> GraphResult<Gradients<F>> {
        let tape = self.tape();
        let state = self.state();
        let analysis = Analysis::new(self, &state)?;
        let built = build(&analysis)?;
        let ledger = Ledger::new(&analysis.recording, &analysis.paths)?;
        let wrt: Vec<Var<'_, F>> = state.parameters.iter().map(|parameter| parameter.var).collect();
        for (name, estimate) in &built.estimates {
            check_recorded(&[*estimate], |_| cost_in_words(name))?;
        }
        let tensors = tape.backward_all(built.surrogate, &wrt)?;
        let named = |index: usize| gradient_in_words(&state.parameters[index].name);
        let squares_are_finite = check_gradients(&tensors, built.surrogate, &wrt, named)?;
        let mut updates = built.updates;
        for loss in built.auxiliary {
            let gradients = tape.backward_all(loss.loss, &loss.parameters)?;
            check_gradients(&gradients, loss.loss, &loss.parameters, |_| AUXILIARY.into())?;
            let gradients: Vec<Var<'_, F>> = gradients.into_iter().map(|gradient| tape.constant(gradient)).collect();
            updates.extend((loss.rule)(&gradients));
        }
        let updates = next_values(one_for_each_slot(updates)?)?;
        let updates = updates.into_iter().map(|(slot, value)| (slot, Some(value))).collect();
        let mut next_values = Vec::new();
        for (name, value) in &state.next_values {
            check_recorded(&[*value], |_| next_value_in_words(name))?;
            next_values.push((name.clone(), Some(value.inspect()?)));
        }
        let mut costs = Vec::new();
        for (name, estimate) in built.estimates {
            let value = estimate.inspect()?;
            costs.push((name, value.as_slice().first().copied().unwrap_or(F::NAN)));
        }
        let names = state.parameters.iter().map(|parameter| parameter.name.clone());
        Ok(Gradients {
            gradients: names.zip(tensors).collect(),
            costs,
            ledger,
            updates,
            next_values,
            squares_are_finite,
        })
    }

    /// Records the surrogate on the tape, for derivatives of any order.
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    pub fn surrogate(&self) -> GraphResult<Surrogate<'t, F>> {
        instantiated!(
            F: for<'t> fn(&Graph<'t, F>) -> GraphResult<Surrogate<'t, F>> = |graph| graph.surrogate_body()
        )(self)
    }

    fn surrogate_body(&self) -> GraphResult<Surrogate<'t, F>> {
        let state = self.state();
        let analysis = Analysis::new(self, &state)?;
        let Built { surrogate, estimates, .. } = build(&analysis)?;
        check_recorded(&[surrogate], |_| "the surrogate".into())?;
        let ledger = Ledger::new(&analysis.recording, &analysis.paths)?;
        let parameters = parameters(&state);
        Ok(Surrogate { value: surrogate, estimates, parameters, ledger })
    }
}

/// The sum of the products of all elements of all members.
fn product<'t, F: Real>(gradient: Var<'t, F>, direction: Var<'t, F>) -> Var<'t, F> {
    let product = (gradient * direction).sum();
    product.plates().iter().fold(product, |product, &plate| product.sum_over(plate))
}

fn parameters<'t, F: Real>(state: &State<'t, F>) -> Vec<(String, Var<'t, F>)> {
    state.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.var)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Seed;
    use stochgrad_tape::Tape;

    #[test]
    fn second_derivatives_of_a_parameter_on_a_plate_are_those_of_each_member() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let plate = graph.plate("members", 2).unwrap();
        let x = graph.param_on("x", &[plate], [[1.0, 2.0], [3.0, 4.0]]).unwrap();
        graph.cost("cube", (x.square() * x).sum()).unwrap();
        let surrogate = graph.surrogate().unwrap();
        let direction = || Tensor::from([[1.0, -1.0], [0.5, 2.0]]);
        // The cost is the average over two members: the second derivative of an element is 6x / 2.
        let products = surrogate.hessian_vector_product(&[("x", direction())]).unwrap();
        assert_eq!(products[0], Tensor::from([[3.0, -6.0], [4.5, 24.0]]));
        let hessian = surrogate.hessian("x").unwrap();
        let diagonal = [3.0, 6.0, 9.0, 12.0];
        assert_eq!(hessian, Tensor::from_fn([4, 4], |i| if i % 5 == 0 { diagonal[i / 5] } else { 0.0 }));
        let second = surrogate.directional(&[("x", direction())], 2).unwrap().item().unwrap();
        assert_eq!(second, 3.0 + 6.0 + 9.0 * 0.25 + 12.0 * 4.0);
    }
}
