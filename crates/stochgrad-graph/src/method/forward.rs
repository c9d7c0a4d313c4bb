//! Forwarding of trait methods to a wrapped gradient method.

/// Forwards methods of [`Method`](crate::Method) and [`GradientMethod`](crate::GradientMethod) to another value. Use it
/// to implement a gradient method that wraps another one.
///
/// The arguments are `self`, the value to forward to, and the names of the trait methods, or `all`. Methods of
/// [`GradientMethod`](crate::GradientMethod) need its type parameters in front. A wrapper that forwards only some
/// methods must include `slots`; otherwise checkpoints lack the state of the wrapped method.
///
/// ```
/// use stochgrad_distributions::Family;
/// use stochgrad_graph::{GradientMethod, Method, forward_method};
/// use stochgrad_tensor::Real;
///
/// /// A method under another name.
/// struct Renamed<M> {
///     name: String,
///     method: M,
/// }
///
/// impl<M: Method> Method for Renamed<M> {
///     fn name(&self) -> String {
///         self.name.clone()
///     }
///
///     forward_method! { self => self.method; profile, sample_plate, is_rerecordable, slots }
/// }
///
/// impl<F: Real, D: Family<F>, M: GradientMethod<F, D>> GradientMethod<F, D> for Renamed<M> {
///     forward_method! { <F, D> self => self.method; all }
/// }
/// ```
#[macro_export]
macro_rules! forward_method {
    ($this:ident => $to:expr; all) => {
        $crate::forward_method! {
            $this => $to; name, profile, sample_plate, is_rerecordable, relaxes_in_replays, carries_crossings, slots
        }
    };
    (<$F:ident, $D:ident> $this:ident => $to:expr; all) => {
        $crate::forward_method! {
            <$F, $D> $this => $to;
            guarantee, sample, resample, relaxed_value, passes_gradient, gradient_function, terms, group, candidates, report
        }
    };
    ($this:ident => $to:expr; $($method:ident),+ $(,)?) => {
        $($crate::forward_method! { @$method $this, $to })+
    };
    (<$F:ident, $D:ident> $this:ident => $to:expr; $($method:ident),+ $(,)?) => {
        $($crate::forward_method! { @$method $this, $to, $F, $D })+
    };
    (@name $this:ident, $to:expr) => {
        fn name(&$this) -> ::std::string::String {
            $crate::Method::name(&$to)
        }
    };
    (@profile $this:ident, $to:expr) => {
        fn profile(&$this) -> $crate::Profile {
            $crate::Method::profile(&$to)
        }
    };
    (@sample_plate $this:ident, $to:expr) => {
        fn sample_plate(&$this) -> $crate::SamplePlate {
            $crate::Method::sample_plate(&$to)
        }
    };
    (@is_rerecordable $this:ident, $to:expr) => {
        fn is_rerecordable(&$this) -> bool {
            $crate::Method::is_rerecordable(&$to)
        }
    };
    (@relaxes_in_replays $this:ident, $to:expr) => {
        fn relaxes_in_replays(&$this) -> bool {
            $crate::Method::relaxes_in_replays(&$to)
        }
    };
    (@carries_crossings $this:ident, $to:expr) => {
        fn carries_crossings(&$this) -> bool {
            $crate::Method::carries_crossings(&$to)
        }
    };
    (@slots $this:ident, $to:expr) => {
        fn slots(&$this) -> $crate::MethodSlots {
            $crate::Method::slots(&$to)
        }
    };
    (@guarantee $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn guarantee(
            &$this,
            distribution: &$D::On<'_>,
            path: &$crate::Path,
        ) -> ::std::result::Result<$crate::Guarantee, ::std::string::String> {
            $crate::GradientMethod::<$F, $D>::guarantee(&$to, distribution, path)
        }
    };
    (@sample $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn sample<'t>(
            &$this,
            context: &$crate::SampleContext<'_, 't, $F>,
            distribution: &$D::On<'t>,
        ) -> $crate::GraphResult<$crate::SampleSet<'t, $F>> {
            $crate::GradientMethod::<$F, $D>::sample(&$to, context, distribution)
        }
    };
    (@resample $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn resample<'t>(
            &$this,
            context: &$crate::SampleContext<'_, 't, $F>,
            distribution: &$D::On<'t>,
        ) -> $crate::GraphResult<$crate::SampleSet<'t, $F>> {
            $crate::GradientMethod::<$F, $D>::resample(&$to, context, distribution)
        }
    };
    (@relaxed_value $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn relaxed_value<'t>(
            &$this,
            context: &$crate::CostContext<'_, 't, $F>,
            distribution: &$D::On<'t>,
            changed: &$D::On<'t>,
        ) -> $crate::GraphResult<::std::option::Option<$crate::__private::Var<'t, $F>>> {
            $crate::GradientMethod::<$F, $D>::relaxed_value(&$to, context, distribution, changed)
        }
    };
    (@passes_gradient $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn passes_gradient(&$this, path: &$crate::Path) -> bool {
            $crate::GradientMethod::<$F, $D>::passes_gradient(&$to, path)
        }
    };
    (@gradient_function $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn gradient_function<'t>(
            &$this,
            distribution: &$D::On<'t>,
            value: $crate::__private::Var<'t, $F>,
            path: &$crate::Path,
        ) -> ::std::option::Option<$crate::__private::Var<'t, $F>> {
            $crate::GradientMethod::<$F, $D>::gradient_function(&$to, distribution, value, path)
        }
    };
    (@terms $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn terms<'t>(
            &$this,
            context: &$crate::CostContext<'_, 't, $F>,
            distribution: &$D::On<'t>,
        ) -> $crate::GraphResult<$crate::Terms<'t, $F>> {
            $crate::GradientMethod::<$F, $D>::terms(&$to, context, distribution)
        }
    };
    (@group $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn group(&$this) -> ::std::option::Option<::std::sync::Arc<dyn $crate::Group<$F>>> {
            $crate::GradientMethod::<$F, $D>::group(&$to)
        }
    };
    (@candidates $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn candidates<'t>(
            &$this,
            context: &$crate::CostContext<'_, 't, $F>,
            distribution: &$D::On<'t>,
        ) -> $crate::GraphResult<$crate::Candidates<'t, $F>> {
            $crate::GradientMethod::<$F, $D>::candidates(&$to, context, distribution)
        }
    };
    (@report $this:ident, $to:expr, $F:ident, $D:ident) => {
        fn report(
            &$this,
            distribution: &$D::On<'_>,
            path: &$crate::Path,
        ) -> ::std::option::Option<::std::string::String> {
            $crate::GradientMethod::<$F, $D>::report(&$to, distribution, path)
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::method::Method;
    use crate::method::method_slots::{MethodSlots, MethodState};
    use crate::method::profile::Profile;
    use crate::method::sample_set::SamplePlate;
    use crate::method::slot_set::{SlotDomain, SlotPart, SlotSet};
    use std::sync::Arc;

    /// A method with a state.
    struct Stateful(SlotSet);

    impl Method for Stateful {
        fn name(&self) -> String {
            "stateful".into()
        }

        fn profile(&self) -> Profile {
            Profile::unbiased(stochgrad_distributions::Order::Any)
        }

        fn sample_plate(&self) -> SamplePlate {
            SamplePlate::New(3)
        }

        fn slots(&self) -> MethodSlots {
            MethodSlots::from(&self.0)
        }
    }

    struct Wrapper<M> {
        method: M,
    }

    impl<M: Method> Method for Wrapper<M> {
        forward_method! { self => self.method; all }
    }

    #[test]
    fn the_state_inside_wrappers_is_saved_and_loaded() {
        let parts = &[SlotPart { name: "mean", domain: SlotDomain::Finite }];
        let inside = Arc::new(Stateful(SlotSet::new(parts)));
        let wrapper = Wrapper { method: inside.clone() };
        let state = MethodState::from([("x / mean".to_string(), vec![1.5])]);
        wrapper.load_state(&state).unwrap();
        assert_eq!(inside.state(), state);
        assert_eq!(wrapper.state(), state);
        assert_eq!(inside.0.slot("x", "mean", [], |_| 0.0).values(), [1.5]);
        assert_eq!(wrapper.sample_plate(), SamplePlate::New(3));
        assert_eq!(wrapper.name(), "stateful");
    }
}
