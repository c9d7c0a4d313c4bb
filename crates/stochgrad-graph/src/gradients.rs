//! Gradients of a recorded graph, of the first and of higher orders.

use crate::analysis::facts::Analysis;
use crate::analysis::finite::{
    AUXILIARY, UPDATE, check_gradients, check_recorded, cost_in_words, first_not_finite, gradient_in_words,
};
use crate::analysis::ledger::Ledger;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::state::State;
use crate::guarantee::Guarantee;
use crate::method::terms::Apply;
use crate::surrogate::{Built, build};
use std::collections::BTreeMap;
use stochgrad_tape::Var;
use stochgrad_tensor::{Real, Tensor};

/// The result of [`Graph::backward`]: it owns its data, and outlives the tape's next step.
pub struct Gradients<F: Real> {
    pub(crate) gradients: BTreeMap<String, Tensor<F>>,
    pub(crate) costs: Vec<(String, F)>,
    pub(crate) ledger: Ledger,
    /// What changes the state of methods, and the values that it is made of.
    pub(crate) updates: Vec<(Vec<Tensor<F>>, Apply<F>)>,
    pub(crate) squares_are_finite: bool,
}

impl<F: Real> Gradients<F> {
    /// The gradient of the total expected cost by a parameter.
    ///
    /// # Errors
    /// For a name that no parameter has.
    pub fn get(&self, parameter: &str) -> GraphResult<&Tensor<F>> {
        self.gradients.get(parameter).ok_or_else(|| unknown("parameter", parameter, self.gradients.keys()))
    }

    /// All gradients, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<F>)> {
        self.gradients.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The gradients, for changes before they are used, such as clipping. They are finite; what they are changed to is
    /// not checked.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor<F>)> {
        self.squares_are_finite = false;
        self.gradients.iter_mut().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// Whether all gradients and their squares are known to be finite: they were when they were made, and have not been
    /// changed since.
    pub fn squares_are_finite(&self) -> bool {
        self.squares_are_finite
    }

    /// The estimate of an expected cost.
    ///
    /// # Errors
    /// For a name that no cost has.
    pub fn cost(&self, name: &str) -> GraphResult<F> {
        let found = self.costs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).ok_or_else(|| unknown("cost", name, self.costs.iter().map(|(name, _)| name)))
    }

    /// The estimates of all expected costs.
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
    /// For a name that no parameter has.
    pub fn guarantee(&self, parameter: &str) -> GraphResult<Guarantee> {
        self.get(parameter)?;
        Ok(self.ledger.guarantee(parameter))
    }

    /// Why the guarantee of a parameter is what it is: the nodes that limit it, and the nodes with a biased method that
    /// is exact for costs like these.
    ///
    /// # Errors
    /// For a name that no parameter has.
    pub fn reasons(&self, parameter: &str) -> GraphResult<&[String]> {
        self.get(parameter)?;
        Ok(self.ledger.reasons(parameter))
    }

    /// What methods decided for themselves: the node, and the decision in words.
    pub fn reports(&self) -> &[(String, String)] {
        &self.ledger.reports
    }

    /// Moves the state of the gradient methods on: running means, temperatures, learned surrogates. Nothing else ever
    /// changes them, so that evaluation and diagnostics leave no trace.
    pub fn advance(self) {
        self.apply_updates();
    }
}

impl<F: Real> Gradients<F> {
    pub(crate) fn apply_updates(&self) {
        for (values, apply) in &self.updates {
            apply(values);
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

/// The surrogate of a graph, on the tape: what derivatives of any order are taken of.
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

    /// The estimates of the named costs.
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
    /// For a name that no parameter has.
    pub fn guarantee(&self, parameter: &str) -> GraphResult<Guarantee> {
        self.parameter(parameter)?;
        Ok(self.ledger.guarantee(parameter))
    }

    /// The parameter of a name.
    ///
    /// # Errors
    /// For a name that no parameter has.
    pub fn parameter(&self, name: &str) -> GraphResult<Var<'t, F>> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found
            .map(|(_, var)| *var)
            .ok_or_else(|| unknown("parameter", name, self.parameters.iter().map(|(name, _)| name)))
    }

    /// Checks that derivatives of an order by these parameters are valid.
    ///
    /// # Errors
    /// The first parameter by which they are not, and the node that is in the way.
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

    /// The gradients by some parameters, recorded on the tape.
    ///
    /// # Errors
    /// For unknown names, and methods without a valid first derivative; a derivative that is NaN or infinite.
    pub fn gradient(&self, parameters: &[&str]) -> GraphResult<Vec<Var<'t, F>>> {
        self.check_order(parameters, 1)?;
        let wrt: Vec<Var<'t, F>> = parameters.iter().map(|name| self.parameter(name)).collect::<Result<_, _>>()?;
        let gradients = self.value.tape().gradients(self.value, &wrt)?;
        check_recorded(&gradients, |index| gradient_in_words(parameters[index]))?;
        Ok(gradients)
    }

    /// The derivative of an order along a direction: `dⁿ/dεⁿ E[cost(θ + ε v)]`, for directions `v` of some parameters.
    ///
    /// # Errors
    /// For unknown names, directions that do not fit, and orders above what is guaranteed; a derivative that is NaN or
    /// infinite.
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
                derivative = derivative + (*gradient * tape.constant(direction)).sum();
            }
        }
        tape.check()?;
        check_recorded(&[derivative], |_| format!("the derivative of order {order} along the directions"))?;
        Ok(derivative)
    }

    /// The product of the Hessian of the expected cost with a direction, for the same parameters.
    ///
    /// # Errors
    /// As [`directional`](Self::directional), at order 2.
    pub fn hessian_vector_product(&self, directions: &[(&str, Tensor<F>)]) -> GraphResult<Vec<Tensor<F>>> {
        let names: Vec<&str> = directions.iter().map(|(name, _)| *name).collect();
        self.check_order(&names, 2)?;
        let tape = self.value.tape();
        let wrt: Vec<Var<'t, F>> = names.iter().map(|name| self.parameter(name)).collect::<Result<_, _>>()?;
        let along: Vec<Var<'t, F>> = directions.iter().map(|(_, direction)| tape.constant(direction)).collect();
        let products = tape.hessian_vector_product(self.value, &wrt, &along)?;
        if products.iter().any(|product| first_not_finite(product).0.is_some()) {
            let mark = tape.len();
            let result = self.check_product(&names, &wrt, &along);
            tape.truncate(mark);
            result?;
        }
        Ok(products)
    }

    /// The product of the Hessian with a direction, recorded, so that the operation that produced what is not finite
    /// can be found.
    fn check_product(&self, names: &[&str], wrt: &[Var<'t, F>], along: &[Var<'t, F>]) -> GraphResult<()> {
        let tape = self.value.tape();
        let mut slope = tape.constant(0.0);
        for (gradient, direction) in tape.gradients(self.value, wrt)?.into_iter().zip(along) {
            let product = (gradient * *direction).sum();
            slope = slope + product.plates().iter().fold(product, |product, &plate| product.sum_over(plate));
        }
        let name = |index: usize| {
            format!("the product of the Hessian with a direction, with respect to \"{}\",", names[index])
        };
        check_recorded(&tape.gradients(slope, wrt)?, name)
    }

    /// The Hessian of the expected cost by one parameter, as a square matrix over its elements.
    ///
    /// # Errors
    /// For an unknown name, and methods without a valid second derivative; a derivative that is NaN or infinite.
    pub fn hessian(&self, parameter: &str) -> GraphResult<Tensor<F>> {
        let var = self.parameter(parameter)?;
        let (shape, count) = (var.shape(), var.shape().numel());
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
    /// The gradients of the total expected cost by all parameters: the surrogate, differentiated once. The tape is left
    /// as it was, so this can be repeated.
    ///
    /// # Errors
    /// For earlier errors on the tape, and methods that must not be used where they were; for a gradient or an estimate
    /// that is NaN or infinite: the error names the operation that first produced it.
    pub fn backward(&self) -> GraphResult<Gradients<F>> {
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
        let mut updates = Vec::new();
        for update in built.updates {
            check_recorded(&update.inputs, |_| UPDATE.into())?;
            let values = update.inputs.iter().map(|input| input.inspect()).collect::<Result<_, _>>()?;
            updates.push((values, update.apply));
        }
        for loss in built.auxiliary {
            let gradients = tape.backward_all(loss.loss, &loss.parameters)?;
            check_gradients(&gradients, loss.loss, &loss.parameters, |_| AUXILIARY.into())?;
            updates.push((gradients, loss.apply));
        }
        let mut costs = Vec::new();
        for (name, estimate) in built.estimates {
            let value = estimate.inspect()?;
            costs.push((name, value.as_slice().first().copied().unwrap_or(F::NAN)));
        }
        let names = state.parameters.iter().map(|parameter| parameter.name.clone());
        Ok(Gradients { gradients: names.zip(tensors).collect(), costs, ledger, updates, squares_are_finite })
    }

    /// The surrogate on the tape, for derivatives of any order.
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    pub fn surrogate(&self) -> GraphResult<Surrogate<'t, F>> {
        let state = self.state();
        let analysis = Analysis::new(self, &state)?;
        let Built { surrogate, estimates, .. } = build(&analysis)?;
        check_recorded(&[surrogate], |_| "the surrogate".into())?;
        let ledger = Ledger::new(&analysis.recording, &analysis.paths)?;
        let parameters = parameters(&state);
        Ok(Surrogate { value: surrogate, estimates, parameters, ledger })
    }
}

fn parameters<'t, F: Real>(state: &State<'t, F>) -> Vec<(String, Var<'t, F>)> {
    state.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.var)).collect()
}
