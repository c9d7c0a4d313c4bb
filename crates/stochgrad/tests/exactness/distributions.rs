//! The distributions of the table. Each has one scalar parameter and makes a scalar of its sample, so all of them fit
//! every shared model.

use std::sync::Arc;
use stochgrad::check::models::Draw;
use stochgrad::distributions::Binomial;
use stochgrad::distributions::{Family, Id};
use stochgrad::graph::Profile;
use stochgrad::graph::{DynMethod, GradientMethod, GraphResult};
use stochgrad::prelude::*;

/// A distribution with a scalar parameter and a scalar made of its sample.
pub(crate) trait TestDistribution: 'static {
    /// The family of distributions.
    type Family: Family<f64>;

    /// The heading of its table.
    const TITLE: &'static str;

    /// The number of quadrature nodes for each continuous draw.
    const NODES: usize = 2;

    /// Records one node.
    fn draw<'t>(
        graph: &Graph<'t, f64>,
        name: &str,
        parameter: Var<'t, f64>,
        method: &DynMethod<f64, Self::Family>,
    ) -> GraphResult<Var<'t, f64>>;
}

/// A bit.
pub(crate) struct Bits;

impl TestDistribution for Bits {
    type Family = Bernoulli<Id>;

    const TITLE: &'static str = "Bits";

    fn draw<'t>(
        graph: &Graph<'t, f64>,
        name: &str,
        parameter: Var<'t, f64>,
        method: &DynMethod<f64, Self::Family>,
    ) -> GraphResult<Var<'t, f64>> {
        graph.sample(name, &Bernoulli::from_logits(parameter), method)
    }
}

/// A vector of three categories.
pub(crate) struct Categories;

impl TestDistribution for Categories {
    type Family = OneHotCategorical<Id>;

    const TITLE: &'static str = "Categories";

    fn draw<'t>(
        graph: &Graph<'t, f64>,
        name: &str,
        parameter: Var<'t, f64>,
        method: &DynMethod<f64, Self::Family>,
    ) -> GraphResult<Var<'t, f64>> {
        let logits = Var::stack(&[parameter, 0.3 - parameter, parameter * 0.5])?;
        let x = graph.sample(name, &OneHotCategorical::from_logits(logits), method)?;
        Ok((x * graph.constant([0.2, -1.0, 1.3])).sum())
    }
}

/// The number of successes in two trials.
pub(crate) struct Counts;

impl TestDistribution for Counts {
    type Family = Binomial<Id>;

    const TITLE: &'static str = "Counts";

    fn draw<'t>(
        graph: &Graph<'t, f64>,
        name: &str,
        parameter: Var<'t, f64>,
        method: &DynMethod<f64, Self::Family>,
    ) -> GraphResult<Var<'t, f64>> {
        let x = graph.sample(name, &Binomial::from_logits(2.0, parameter), method)?;
        Ok(x * 0.6 - 0.3)
    }
}

/// A normal variable with a location as its parameter.
pub(crate) struct Normals;

impl TestDistribution for Normals {
    type Family = Normal<Id>;

    const TITLE: &'static str = "Normal numbers";

    // The costs are quadratic, and a second derivative with respect to the score function multiplies them by a
    // polynomial of degree 4.
    const NODES: usize = 5;

    fn draw<'t>(
        graph: &Graph<'t, f64>,
        name: &str,
        parameter: Var<'t, f64>,
        method: &DynMethod<f64, Self::Family>,
    ) -> GraphResult<Var<'t, f64>> {
        graph.sample(name, &Normal::new(parameter, 0.8), method)
    }
}

/// A method on a distribution, and the reference that it is compared with.
pub(crate) struct Subject {
    /// The heading of the table.
    pub(crate) title: &'static str,
    /// The name of the method.
    pub(crate) name: String,
    /// The properties that the method declares.
    pub(crate) profile: Profile,
    /// The number of quadrature nodes.
    pub(crate) nodes: usize,
    /// A node with the method.
    pub(crate) draw: Box<Draw<'static>>,
    /// A node with one independent sample.
    pub(crate) truth: Box<Draw<'static>>,
}

impl Subject {
    /// A method on a distribution.
    pub(crate) fn new<L: TestDistribution>(method: DynMethod<f64, L::Family>) -> Self
    where
        ScoreFunction: GradientMethod<f64, L::Family>,
    {
        let plain: DynMethod<f64, L::Family> = Arc::new(ScoreFunction::new());
        Subject {
            title: L::TITLE,
            name: method.name(),
            profile: method.profile(),
            nodes: L::NODES,
            draw: Box::new(move |graph, name, parameter| L::draw(graph, name, parameter, &method)),
            truth: Box::new(move |graph, name, parameter| L::draw(graph, name, parameter, &plain)),
        }
    }
}
