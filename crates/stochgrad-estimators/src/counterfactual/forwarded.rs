//! What a wrapper around a [`Perturbation`](crate::Perturbation) leaves to the method inside it.
//!
//! A wrapper that makes the gradient terms of its nodes in a [`Group`](stochgrad_graph::Group) changes the name, the
//! profile, the group and the gradient terms. Everything else is that of the method inside, including its state and
//! what it learns. The list is written once, so that no wrapper can omit a line of it.

/// `forwarded!(Method, field)` belongs in an `impl Method`, and `forwarded!(GradientMethod, field)` in an
/// `impl GradientMethod`; `field` holds the method inside. The wrapper writes `name`, `profile` and `group` itself.
///
/// Of the terms of the method inside, only the updates and auxiliary losses are kept: the group makes the gradient
/// terms.
macro_rules! forwarded {
    (Method, $inner:ident) => {
        stochgrad_graph::forward_method! { self => self.$inner; sample_plate, is_rerecordable, relaxes_in_replays, slots }
    };
    (GradientMethod, $inner:ident) => {
        stochgrad_graph::forward_method! {
            <F, D> self => self.$inner; guarantee, sample, resample, relaxed_value, passes_gradient, gradient_function, report
        }

        fn terms<'t>(
            &self,
            context: &stochgrad_graph::CostContext<'_, 't, F>,
            distribution: &D::On<'t>,
        ) -> stochgrad_graph::GraphResult<stochgrad_graph::Terms<'t, F>> {
            let stochgrad_graph::Terms { auxiliary, updates, .. } = self.$inner.learning(context, distribution)?;
            Ok(stochgrad_graph::Terms { auxiliary, updates, ..stochgrad_graph::Terms::default() })
        }

        fn candidates<'t>(
            &self,
            context: &stochgrad_graph::CostContext<'_, 't, F>,
            distribution: &D::On<'t>,
        ) -> stochgrad_graph::GraphResult<stochgrad_graph::Candidates<'t, F>> {
            crate::counterfactual::perturbation::candidates::<F, D>(context, distribution, &self.$inner)
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
    use std::sync::Arc;
    use stochgrad_distributions::{Alternatives, Bernoulli, DistributionResult, Draw, Id, WeakDerivative};
    use stochgrad_graph::{
        CostContext, DynMethod, GradientMethod, Graph, GraphError, GraphResult, Method, MethodSlots, MethodState, Path,
        Profile, SampleContext, SamplePlate, SampleSet, Seed, SlotDomain, SlotPart, SlotSet, Terms, Update,
    };
    use stochgrad_tape::{Slot, Tape, Var};

    /// Measure-valued derivatives whose weights are multiplied by a scale that the method remembers.
    #[derive(Clone)]
    struct Scaled(SlotSet);

    impl Scaled {
        fn new(scale: f64) -> Self {
            const PARTS: &[SlotPart] = &[SlotPart { name: "scale", domain: SlotDomain::Finite }];
            Scaled(SlotSet::new(PARTS).with_fixed("x", "scale", [], |_| scale))
        }

        fn slot(&self) -> Slot {
            self.0.slot("x", "scale", [], |_| 1.0)
        }

        fn scale(&self) -> f64 {
            self.slot().values()[0]
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

        fn slots(&self) -> MethodSlots {
            MethodSlots::from(&self.0)
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

        /// Each step doubles the scale and adds the first cost to it.
        fn terms<'t>(
            &self,
            context: &CostContext<'_, 't, f64>,
            _: &Bernoulli<Var<'t, f64>>,
        ) -> GraphResult<Terms<'t, f64>> {
            let slot = self.slot();
            let next = context.tape().slot(&slot) * 2.0 + context.totals()?[0].value;
            Ok(Terms { updates: vec![Update::new(&slot, next)], ..Terms::default() })
        }

        fn report(&self, _: &Bernoulli<Var<'_, f64>>, _: &Path) -> Option<String> {
            Some(format!("scale {}", self.scale()))
        }
    }

    impl Perturbation<f64, Bernoulli<Id>> for Scaled {
        fn purpose(&self) -> &'static str {
            "weak derivative"
        }

        fn alternatives<'t>(
            &self,
            distribution: &Bernoulli<Var<'t, f64>>,
            parameter: usize,
            sample: Var<'t, f64>,
            draw: &Draw<'_, f64>,
        ) -> DistributionResult<Option<Alternatives<'t, f64>>> {
            let scale = self.scale();
            let found = distribution.weak_derivative(parameter, sample, draw)?;
            Ok(found.map(|Alternatives { values, weights }| Alternatives {
                values,
                weights: weights.into_iter().map(|weight| weight * scale).collect(),
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
        assert_eq!(trained.state(), MethodState::from([("x / scale".into(), vec![3.0])]));
        assert_eq!(gradient(&fresh), plain);
        fresh.load_state(&trained.state()).unwrap();
        assert_eq!(fresh.state(), trained.state());
        assert_eq!(gradient(&fresh), gradient(&trained));
        assert_eq!(gradient(&fresh).0, 3.0 * plain.0);
        assert!(matches!(fresh.load_state(&MethodState::new()), Err(GraphError::State { .. })));
        assert!(fresh.is_rerecordable());
    }

    /// Takes one learning step through a wrapper around a method that starts with the scale 3.
    fn learns<M: GradientMethod<f64, Bernoulli<Id>> + 'static>(wrap: impl Fn(Scaled) -> M) {
        let scaled = Scaled::new(3.0);
        let method: DynMethod<_, _> = Arc::new(wrap(scaled.clone()));
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(5));
        let p = graph.param("p", 0.25).unwrap();
        let x = graph.sample("x", &Bernoulli::from_probabilities(p), &method).unwrap();
        graph.cost("cost", x * 0.0 + 0.5).unwrap();
        let gradients = graph.backward().unwrap();
        assert_eq!(scaled.scale(), 3.0);
        gradients.advance();
        assert_eq!(scaled.scale(), 6.5);
    }

    #[test]
    fn a_method_inside_a_reservoir_learns() {
        learns(Reservoir::of);
    }

    #[test]
    fn a_method_inside_a_replay_budget_learns() {
        learns(|method| ReplayBudget::of(method, 2));
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
