//! What a wrapper around a method leaves to the method inside it.
//!
//! A wrapper that makes the gradient terms of its nodes in a [`Group`](stochgrad_graph::Group) changes the name, the
//! profile, the group and the terms. Everything else, the state included, is that of the method inside. The list is
//! written once, so that no wrapper can omit a line of it.

/// `forwarded!(Method, field)` stands in an `impl Method` and `forwarded!(GradientMethod, field)` in an
/// `impl GradientMethod`; `field` holds the method inside. The wrapper writes the rest: `name` and `profile`, and
/// `group`. It must not forward `terms`: they are the replays that the group replaces.
macro_rules! forwarded {
    (Method, $inner:ident) => {
        fn sample_plate(&self) -> stochgrad_graph::SamplePlate {
            self.$inner.sample_plate()
        }

        fn is_rerecordable(&self) -> bool {
            self.$inner.is_rerecordable()
        }

        fn state(&self) -> stochgrad_graph::MethodState {
            self.$inner.state()
        }

        fn load_state(&self, state: &stochgrad_graph::MethodState) -> stochgrad_graph::GraphResult<()> {
            self.$inner.load_state(state)
        }
    };
    (GradientMethod, $inner:ident) => {
        fn guarantee(
            &self,
            distribution: &D::On<'_>,
            path: &stochgrad_graph::Path,
        ) -> Result<stochgrad_graph::Guarantee, String> {
            self.$inner.guarantee(distribution, path)
        }

        fn sample<'t>(
            &self,
            context: &stochgrad_graph::SampleContext<'_, 't, F>,
            distribution: &D::On<'t>,
        ) -> stochgrad_graph::GraphResult<stochgrad_graph::SampleSet<'t, F>> {
            self.$inner.sample(context, distribution)
        }

        fn resample<'t>(
            &self,
            context: &stochgrad_graph::SampleContext<'_, 't, F>,
            distribution: &D::On<'t>,
        ) -> stochgrad_graph::GraphResult<stochgrad_graph::SampleSet<'t, F>> {
            self.$inner.resample(context, distribution)
        }

        fn passes_gradient(&self, path: &stochgrad_graph::Path) -> bool {
            self.$inner.passes_gradient(path)
        }

        fn gradient_function<'t>(
            &self,
            distribution: &D::On<'t>,
            value: stochgrad_tape::Var<'t, F>,
            path: &stochgrad_graph::Path,
        ) -> Option<stochgrad_tape::Var<'t, F>> {
            self.$inner.gradient_function(distribution, value, path)
        }

        fn candidates<'t>(
            &self,
            context: &stochgrad_graph::CostContext<'_, 't, F>,
            distribution: &D::On<'t>,
        ) -> stochgrad_graph::GraphResult<stochgrad_graph::Candidates<'t, F>> {
            crate::counterfactual::perturbation::candidates(
                context,
                distribution,
                self.$inner.purpose(),
                &|parameter, sample, draw| self.$inner.alternatives(distribution, parameter, sample, draw),
            )
        }

        fn report(&self, distribution: &D::On<'_>, path: &stochgrad_graph::Path) -> Option<String> {
            self.$inner.report(distribution, path)
        }
    };
}

pub(crate) use forwarded;

#[cfg(test)]
mod tests {
    use crate::counterfactual::measure_valued::MeasureValued;
    use crate::counterfactual::perturbation::Perturbation;
    use crate::counterfactual::replay_budget::ReplayBudget;
    use crate::counterfactual::reservoir::Reservoir;
    use std::sync::{Arc, Mutex};
    use stochgrad_distributions::{Alternatives, Bernoulli, DistributionResult, Draw, Id, WeakDerivative};
    use stochgrad_graph::{
        DynMethod, GradientMethod, Graph, GraphError, GraphResult, Method, MethodState, Path, Profile, SampleContext,
        SamplePlate, SampleSet, Seed,
    };
    use stochgrad_tape::{Tape, Var};
    use stochgrad_tensor::Tensor;

    /// Measure-valued derivatives whose weights are multiplied by a scale that the method remembers.
    #[derive(Clone)]
    struct Scaled(Arc<Mutex<f64>>);

    impl Scaled {
        fn new(scale: f64) -> Self {
            Scaled(Arc::new(Mutex::new(scale)))
        }
    }

    impl Method for Scaled {
        fn name(&self) -> String {
            "scaled".into()
        }

        fn profile(&self) -> Profile {
            MeasureValued::new().profile()
        }

        fn is_rerecordable(&self) -> bool {
            true
        }

        fn state(&self) -> MethodState {
            MethodState::from([("scale".into(), vec![*self.0.lock().unwrap()])])
        }

        fn load_state(&self, state: &MethodState) -> GraphResult<()> {
            match state.get("scale").map(Vec::as_slice) {
                Some([scale]) => *self.0.lock().unwrap() = *scale,
                _ => return Err(GraphError::State { method: self.name(), problem: "expected a scale".into() }),
            }
            Ok(())
        }
    }

    impl GradientMethod<f64, Bernoulli<Id>> for Scaled {
        fn sample<'t>(
            &self,
            context: &SampleContext<'_, 't, f64>,
            distribution: &Bernoulli<Var<'t, f64>>,
        ) -> GraphResult<SampleSet<'t, f64>> {
            context.independent(distribution, SamplePlate::Single)
        }

        fn report(&self, _: &Bernoulli<Var<'_, f64>>, _: &Path) -> Option<String> {
            Some(format!("scale {}", self.0.lock().unwrap()))
        }
    }

    impl Perturbation<f64, Bernoulli<Id>> for Scaled {
        fn purpose(&self) -> &'static str {
            "weak derivative"
        }

        fn alternatives(
            &self,
            distribution: &Bernoulli<Var<'_, f64>>,
            parameter: usize,
            sample: &Tensor<f64>,
            draw: &Draw<'_, f64>,
        ) -> DistributionResult<Option<Alternatives<f64>>> {
            let scale = *self.0.lock().unwrap();
            let found = distribution.weak_derivative(parameter, sample, draw)?;
            Ok(found.map(|Alternatives { values, weights }| {
                let scaled =
                    |tensor: Tensor<f64>| Tensor::from_fn(tensor.shape().clone(), |i| tensor.as_slice()[i] * scale);
                Alternatives { values, weights: weights.into_iter().map(scaled).collect() }
            }))
        }
    }

    /// The derivative of one bit, and the report of its node.
    fn gradient(method: &DynMethod<f64, Bernoulli<Id>>) -> (f64, String) {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5));
        let p = graph.param("p", 0.25).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), method).unwrap();
        graph.cost("cost", (x - 0.375).square()).unwrap();
        let gradients = graph.backward().unwrap();
        (gradients.get("p").unwrap().item().unwrap(), gradients.reports()[0].1.clone())
    }

    /// Compares a method that remembers the scale 3 with a fresh one that is given its state.
    fn keeps_its_state<M: GradientMethod<f64, Bernoulli<Id>> + 'static>(wrap: impl Fn(Scaled) -> M) {
        let (trained, fresh): (DynMethod<_, _>, DynMethod<_, _>) =
            (Arc::new(wrap(Scaled::new(3.0))), Arc::new(wrap(Scaled::new(1.0))));
        let plain = gradient(&(Arc::new(wrap(Scaled::new(1.0))) as DynMethod<_, _>));
        assert_eq!(trained.state(), MethodState::from([("scale".into(), vec![3.0])]));
        assert_eq!(gradient(&fresh), plain);
        fresh.load_state(&trained.state()).unwrap();
        assert_eq!(fresh.state(), trained.state());
        assert_eq!(gradient(&fresh), gradient(&trained));
        assert_eq!(gradient(&fresh).0, 3.0 * plain.0);
        assert!(matches!(fresh.load_state(&MethodState::new()), Err(GraphError::State { .. })));
        assert!(fresh.is_rerecordable());
    }

    #[test]
    fn a_reservoir_keeps_the_state_of_its_method() {
        keeps_its_state(Reservoir::of);
    }

    #[test]
    fn a_replay_budget_keeps_the_state_of_its_method() {
        keeps_its_state(|method| ReplayBudget::of(method, 2));
    }
}
