//! How many samples of a node are drawn, along which plate, and whether jointly.

use stochgrad_distributions::{Distribution, Draw};
use stochgrad_graph::{CostContext, GraphError, GraphResult, GroupedScheme, SampleContext, SamplePlate, SampleSet};
use stochgrad_tape::Plate;
use stochgrad_tensor::Real;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// How a method draws its samples. The default is one independent sample.
///
/// Most methods hold one of these and get their setters from [`sampling_setters!`](crate::sampling_setters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The number of samples and the plate that they lie on.
    pub plate: SamplePlate,
    /// How the samples are drawn jointly; `None` for independent samples.
    pub scheme: Option<SamplingScheme>,
    /// The number of independent groups of samples, each of which the scheme draws.
    pub groups: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling::on(SamplePlate::default())
    }
}

impl Sampling {
    /// Independent samples on the given plate.
    pub fn on(plate: SamplePlate) -> Self {
        Sampling { plate, scheme: None, groups: 1 }
    }

    /// The number of samples for each member of the plates that exist already.
    pub fn samples(&self) -> usize {
        self.plate.samples().saturating_mul(self.groups)
    }

    fn grouped<F: Real>(&self, context: &SampleContext<'_, '_, F>) -> GraphResult<Option<GroupedScheme>> {
        match self.scheme {
            Some(scheme) => Ok(Some(GroupedScheme { scheme, groups: self.groups })),
            None if self.groups == 1 => Ok(None),
            None => Err(GraphError::Refused {
                node: context.address().to_string(),
                method: format!("{} groups of samples", self.groups),
                problem: "groups are those of a sampling scheme, and independent samples need none; set one with \
                          .scheme(…), or leave .groups(n) out"
                    .into(),
                at: context.location(),
            }),
        }
    }

    /// Draws the samples. No gradient flows through them.
    ///
    /// # Errors
    /// Those of [`SampleContext::sampled`].
    pub fn draw<'t, F: Real>(
        &self,
        context: &SampleContext<'_, 't, F>,
        distribution: &dyn Distribution<'t, F>,
    ) -> GraphResult<SampleSet<'t, F>> {
        context.sampled(distribution, self.plate, self.grouped(context)?)
    }

    /// The plate of the samples, and a request for values on it: for methods that draw the noise themselves.
    ///
    /// # Errors
    /// Those of [`SampleContext::members`].
    pub fn members<'c, F: Real>(
        &self,
        context: &'c SampleContext<'_, '_, F>,
    ) -> GraphResult<(Option<Plate>, Draw<'c, F>)> {
        context.members(self.plate, self.grouped(context)?)
    }

    /// The request with which the samples were drawn, which gives their noise again.
    pub fn draw_again<'c, F: Real>(&self, context: &CostContext<'c, '_, F>) -> Draw<'c, F> {
        let draw = context.sample_draw();
        match (self.scheme, context.plate()) {
            (Some(scheme), Some(plate)) => draw.with_scheme(scheme, plate),
            _ => draw,
        }
    }

    /// The settings in words, for [`Method::name`](stochgrad_graph::Method::name): `Sobol, 8 samples`.
    pub fn describe(&self) -> String {
        self.describe_as("sample")
    }

    /// As [`describe`](Self::describe), for a method whose samples are pairs or sets: `8 pairs`.
    pub fn describe_as(&self, unit: &str) -> String {
        let scheme = self.scheme.map_or_else(String::new, |scheme| format!("{scheme}, "));
        let scheme = if self.groups == 1 { scheme } else { format!("{scheme}{} groups of ", self.groups) };
        match self.plate {
            SamplePlate::Single | SamplePlate::New(1) => format!("{scheme}1 {unit}"),
            SamplePlate::New(samples) => format!("{scheme}{samples} {unit}s"),
            SamplePlate::Shared(_) => format!("{scheme}along a shared plate"),
        }
    }
}

/// Writes the setters of a method that holds a [`Sampling`](crate::extension::Sampling).
///
/// The arguments are `self`, the place of the settings, and the names of the setters: `samples` (or `pairs`, `sets`,
/// `races`), `on_plate`, `scheme` and `groups`. What a method draws for each member of a plate is named in brackets where it is
/// not a sample: `on_plate("pair")`. Documentation before a name is added to that of the setter.
///
/// ```
/// use stochgrad_estimators::extension::{Sampling, sampling_setters};
///
/// #[derive(Clone, Copy, Default)]
/// struct MyMethod {
///     sampling: Sampling,
/// }
///
/// impl MyMethod {
///     sampling_setters! { self => self.sampling; samples, on_plate }
/// }
///
/// assert_eq!(MyMethod::default().samples(8).sampling.describe(), "8 samples");
/// ```
#[macro_export]
macro_rules! sampling_setters {
    ($this:ident => $to:expr; $($(#[$doc:meta])* $setter:ident $(($unit:literal))?),+ $(,)?) => {
        $($crate::sampling_setters! { @$setter $this, $to, $($unit)?, $(#[$doc])* })+
    };
    (@samples $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws this number of samples along a plate of the node's own.
        $($doc)*
        pub fn samples(mut $this, samples: usize) -> Self {
            $to.plate = $crate::extension::SamplePlate::New(samples);
            $this
        }
    };
    (@pairs $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws this number of independent pairs along a plate of the node's own.
        $($doc)*
        pub fn pairs(mut $this, pairs: usize) -> Self {
            $to.plate = $crate::extension::SamplePlate::New(pairs);
            $this
        }
    };
    (@sets $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws this number of independent sets along a plate of the node's own.
        $($doc)*
        pub fn sets(mut $this, sets: usize) -> Self {
            $to.plate = $crate::extension::SamplePlate::New(sets);
            $this
        }
    };
    (@races $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws this number of independent races along a plate of the node's own.
        $($doc)*
        pub fn races(mut $this, races: usize) -> Self {
            $to.plate = $crate::extension::SamplePlate::New(races);
            $this
        }
    };
    (@on_plate $this:ident, $to:expr, , $($doc:tt)*) => {
        $crate::sampling_setters! { @on_plate $this, $to, "sample", $($doc)* }
    };
    (@on_plate $this:ident, $to:expr, $unit:literal, $($doc:tt)*) => {
        #[doc = concat!("Draws one ", $unit, " for each member of a plate made with `Graph::plate`.")]
        $($doc)*
        pub fn on_plate(mut $this, plate: $crate::extension::Plate) -> Self {
            $to.plate = $crate::extension::SamplePlate::Shared(plate);
            $this
        }
    };
    (@groups $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws this number of independent groups, each of them by the [scheme](Self::scheme) and with the number of
        /// members that [`samples`](Self::samples) states.
        $($doc)*
        pub fn groups(mut $this, groups: usize) -> Self {
            $to.groups = groups;
            $this
        }
    };
    (@scheme $this:ident, $to:expr, , $($doc:tt)*) => {
        /// Draws the samples jointly (antithetic, stratified, systematic or Sobol), which lowers the variance of their
        /// mean.
        $($doc)*
        pub fn scheme(mut $this, scheme: $crate::SamplingScheme) -> Self {
            $to.scheme = Some(scheme);
            $this
        }
    };
}
