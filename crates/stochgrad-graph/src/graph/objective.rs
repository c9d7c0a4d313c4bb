//! The costs of a graph: what is differentiated, and what holds for the derivatives.

use crate::address::Address;
use crate::error::{GraphError, GraphResult};
use crate::graph::Graph;
use crate::graph::cost::{Cost, Part, first_nan, peel};
use crate::graph::qualification::{OpenPath, Qualification};
use crate::graph::scan::log::What;
use crate::guarantee::Guarantee;
use crate::reduction::{reduce, reduced_plates};
use std::panic::Location;
use std::rc::Rc;
use stochgrad_distributions::NoiseSource;
use stochgrad_tape::{IdMap, Op, Tape, TapeError, Var};
use stochgrad_tensor::{Real, Shape, Tensor, instantiated};

impl<'t, F: Real> Graph<'t, F> {
    /// A named cost: a scalar for each combination of plate members. The expected sum of all costs is differentiated.
    ///
    /// Leave the plates in the cost. The surrogate reduces them, and can then credit each member with its own cost. A
    /// plain `mean_over` at the end of the cost is undone for the same reason. A function of a whole plate
    /// (`log_mean_exp_over`, as in IWAE) is a joint cost of all its members.
    ///
    /// A cost may be infinite. It may be NaN where its weight is 0 (for an enumerated state of probability zero, for
    /// example): the weight removes it. Differentiation checks whether the estimate is finite.
    ///
    /// # Errors
    /// For a cost with event axes, for a NaN with a weight other than 0, if another cost has this name, and for earlier
    /// errors on the tape.
    #[track_caller]
    pub fn cost(&self, name: &str, value: Var<'t, F>) -> GraphResult<()> {
        self.cost_at(name, value, Location::caller())
    }

    /// As [`cost`](Self::cost), for a cost that is recorded at another line.
    pub(crate) fn cost_at(&self, name: &str, value: Var<'t, F>, at: &'static Location<'static>) -> GraphResult<()> {
        instantiated!(
            F: for<'t> fn(&Graph<'t, F>, &str, Var<'t, F>, &'static Location<'static>) -> GraphResult<()> =
                |graph, name, value, at| graph.cost_body(name, value, at)
        )(self, name, value, at)
    }

    fn cost_body(&self, name: &str, value: Var<'t, F>, at: &'static Location<'static>) -> GraphResult<()> {
        self.tape.check()?;
        let start = self.tape.len();
        if !std::ptr::eq(value.tape(), self.tape) {
            return Err(TapeError::Foreign { what: format!("cost \"{name}\""), at }.into());
        }
        let earlier = self.state().costs.iter().position(|cost| cost.name == name);
        // The steps of a loop have one cost together.
        let mut continues = false;
        self.state_mut().scans.iter_mut().for_each(|log| continues |= log.continues(name));
        if let Some(known) = earlier.filter(|_| !continues).map(|cost| self.state().costs[cost].at) {
            return Err(GraphError::Duplicate { what: "cost", name: name.into(), before: known, at });
        }
        if !value.shape().is_empty() {
            let plates = value.plates();
            let plates =
                if plates.is_empty() { String::new() } else { format!(", plates {}", self.tape.plate_names(&plates)) };
            return Err(GraphError::CostShape { name: name.into(), shape: value.shape(), plates, at });
        }
        if let Some(position) = first_nan(value)? {
            let origin = self.tape.origin(value, position)?.map(Box::new);
            return Err(GraphError::CostNan { name: name.into(), position, origin, at });
        }
        let parts: Vec<_> = peel(value)
            .into_iter()
            .map(|part| {
                // Recorded again, so that it descends from everything that host code has read by now.
                let value = part.reshape(Shape::scalar());
                Part { value, plates: reduced_plates(self.tape, &value.plates()) }
            })
            .collect();
        self.tape.check()?;
        let mut state = self.state.borrow_mut();
        parts.iter().for_each(|part| state.use_plates(&part.plates, at));
        match earlier {
            Some(cost) => {
                let cost = &mut state.costs[cost];
                cost.parts.extend(parts);
                cost.passed = cost.passed + value;
            }
            None => state.costs.push(Cost { name: name.into(), passed: value, parts, at }),
        }
        drop(state);
        self.note_scan(|log, end| log.add(start..end, value, What::Cost(name.into()), at));
        Ok(())
    }

    /// The names of the costs and their values as they were passed to [`cost`](Graph::cost): a scalar for each
    /// combination of members of the plates that the value carries.
    pub fn passed_costs(&self) -> Vec<(String, Var<'t, F>)> {
        self.state().costs.iter().map(|cost| (cost.name.clone(), cost.passed)).collect()
    }

    /// The sum of the recorded costs, each reduced over its plates, without any gradient method. It is differentiable
    /// where the costs are.
    pub fn total_cost(&self) -> Var<'t, F> {
        let state = self.state();
        let mut total = self.tape.constant(0.0);
        for part in state.costs.iter().flat_map(|cost| &cost.parts) {
            total = total + reduce(part.value, &part.plates, &IdMap::identity(), false);
        }
        total
    }

    /// Limits the guarantee for derivatives with respect to all parameters upstream of some values, and states why. For
    /// objectives that detach these values.
    ///
    /// ```
    /// # use stochgrad_graph::{Bias, Graph, Guarantee, Order, Seed};
    /// use stochgrad_tape::Tape;
    ///
    /// # fn main() -> Result<(), stochgrad_graph::GraphError> {
    /// let tape = Tape::<f64>::new();
    /// let graph = Graph::new(&tape, Seed::new(7));
    /// let x = graph.param("x", 2.0)?;
    /// graph.cost("square", x * x.held())?;
    /// graph.qualify(&[x], Guarantee { bias: Bias::Gradient, order: Order::Finite(1) }, "one factor is held");
    /// assert_eq!(graph.backward()?.guarantee("x")?.bias, Bias::Gradient);
    /// # Ok(())
    /// # }
    /// ```
    pub fn qualify(&self, through: &[Var<'t, F>], guarantee: Guarantee, because: impl Into<String>) {
        self.state_mut().qualifications.push(Qualification {
            through: through.to_vec(),
            guarantee,
            because: because.into(),
        });
    }

    /// States that an objective is correct only if gradients flow through a sample. If the gradient method of the node
    /// passes no gradient, differentiation returns an error with this reason.
    pub fn require_path(&self, sample: Var<'t, F>, because: impl Into<String>) {
        if let Some(Op::Sample(site)) = sample.op() {
            self.state_mut().open_paths.push(OpenPath { site, because: because.into() });
        }
    }

    /// The total cost of the model if a node had this value, under the same noise; `None` if the model was not given as
    /// a function.
    pub(crate) fn rerun(&self, address: &Address, value: Tensor<F>) -> Option<GraphResult<F>> {
        let model = self.model?;
        let tape = Tape::with_threads(self.tape.threads());
        let noise: Rc<dyn NoiseSource<F> + '_> = self.noise.clone();
        let mut graph = Graph::with_noise(&tape, noise);
        graph.validate.set(self.validate.get());
        graph.replaced = Some((address.clone(), value));
        graph.replace_methods_of(self);
        graph.redraw_noise(&self.state().redrawn_noise);
        Some(model(&graph).and_then(|()| {
            let total = graph.total_cost().peek()?;
            Ok(total.as_slice().first().copied().unwrap_or(F::NAN))
        }))
    }
}
