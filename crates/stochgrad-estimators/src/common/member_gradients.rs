//! The gradient with respect to a node's parameters for each member separately, as recorded values that can be
//! differentiated again.

use crate::common::potential::potential;
use stochgrad_distributions::{Distribution, Family};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult};
use stochgrad_tape::{IdMap, Plates, Smoothness, Var};
use stochgrad_tensor::Real;

/// The parameters of a node, and copies of them on all plates of its value.
///
/// A method that computes something from the distribution of the copies can differentiate it with respect to them while
/// the step is still being recorded: every member has its own copy, and no derivative continues into the model. This
/// gives the gradient estimate of each single member, which a method needs in order to learn from its own variance.
#[derive(Debug)]
pub struct MemberGradients<'t, F: Real> {
    parameters: Pairs<'t, F>,
}

/// Parameters with their copies.
type Pairs<'t, F> = Vec<(Var<'t, F>, Var<'t, F>)>;

impl<'t, F: Real> MemberGradients<'t, F> {
    /// Makes the copies, and returns the distribution with the copies as its parameters.
    ///
    /// # Errors
    /// Those of the distribution.
    pub fn new<D: Family<F>>(
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<(Self, D::On<'t>)> {
        let (parameters, copied) = spread::<F, D>(context, distribution, &Var::stop_gradient)?;
        Ok((MemberGradients { parameters }, copied))
    }

    /// As [`new`](Self::new), with copies that depend on the parameters of the model. A gradient with respect to them is
    /// then a function of the model's parameters, from which [`potential`](Self::potential) makes a term of every order.
    ///
    /// # Errors
    /// Those of the distribution.
    pub fn attached<D: Family<F>>(
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<(Self, D::On<'t>)> {
        let (parameters, copied) = spread::<F, D>(context, distribution, &|parameter| parameter)?;
        Ok((MemberGradients { parameters }, copied))
    }

    /// The gradient of a value with respect to each parameter, member by member: that of the sum over all members.
    ///
    /// # Errors
    /// Those of the tape.
    pub fn of(&self, value: Var<'t, F>) -> GraphResult<Vec<Var<'t, F>>> {
        let copies: Vec<Var<'t, F>> = self.parameters.iter().map(|(_, copy)| *copy).collect();
        Ok(value.tape().gradients(sum_over_plates(value.sum()), &copies)?)
    }

    /// The gradient term with these gradients, for a cost that depends on the members of the `joint` plates together
    /// ([`NodeCost::joint`](stochgrad_graph::NodeCost::joint)). `None` if the distribution has no parameters.
    pub fn term(&self, gradients: &[Var<'t, F>], joint: &Plates) -> Option<GradientTerm<'t, F>> {
        let products = self.parameters.iter().zip(gradients);
        let sum = products
            .map(|((parameter, _), gradient)| (gradient.stop_gradient() * *parameter).sum())
            .reduce(|sum, product| sum + product)?;
        // Not `dot − stop(dot)`: an infinite logit times zero has no difference with itself.
        Some(GradientTerm { value: sum.tape().constant(0.0).straight_through(sum), summed: joint.clone() })
    }

    /// The scalar of value zero with these gradients with respect to the copies, member by member: its derivatives of
    /// higher order are those of the gradients. `None` if the distribution has no parameters.
    pub fn potential(&self, gradients: &[Var<'t, F>]) -> Option<Var<'t, F>> {
        let copies = self.parameters.iter().map(|(_, copy)| *copy);
        let parts = copies.zip(gradients).map(|(copy, &gradient)| potential(copy, gradient).sum());
        parts.reduce(|sum, part| sum + part)
    }
}

/// The distribution with parameters on all plates of the node's value. A derivative with respect to them is that of a
/// single member. Unlike the copies of [`MemberGradients`], they depend on the parameters of the model, so that
/// derivatives continue into it.
///
/// # Errors
/// Those of the distribution.
pub fn parameters_by_member<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
) -> GraphResult<D::On<'t>> {
    Ok(MemberGradients::attached::<D>(context, distribution)?.1)
}

/// The parameters of a distribution with their prepared values on all plates of the node's value, and the distribution
/// with these.
fn spread<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
    prepare: &dyn Fn(Var<'t, F>) -> Var<'t, F>,
) -> GraphResult<(Pairs<'t, F>, D::On<'t>)> {
    let plates = context.value().plates();
    let mut ids = IdMap::identity();
    let mut parameters = Vec::new();
    for parameter in distribution.parameters() {
        let copy = prepare(parameter.var).expand_plates(&plates);
        // Makes a new variable even where nothing is expanded.
        let copy = copy.reshape(copy.shape());
        ids.insert(parameter.var.id(), copy.id());
        // Counts of trials, for example, have no derivative: asking for one is an error.
        if parameter.score != Smoothness::Constant {
            parameters.push((parameter.var, copy));
        }
    }
    let copied = D::store(distribution).bind(context.tape(), &ids).map_err(|source| context.error(source))?;
    Ok((parameters, copied))
}

/// The sum of a value over all its plates.
pub fn sum_over_plates<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    value.plates().iter().fold(value, |sum, &plate| sum.sum_over(plate))
}

/// The sum of the squares of all gradients, averaged over the members. Since the mean of an unbiased gradient does not
/// depend on the method's own parameters, the parameters that minimise this also minimise the variance. `None` if there
/// are no gradients.
pub fn second_moment<'t, F: Real>(gradients: &[Var<'t, F>]) -> Option<Var<'t, F>> {
    let squares = gradients.iter().map(|gradient| gradient.square().sum());
    squares.reduce(|sum, square| sum + square).map(|sum| {
        let members: usize = sum.plates().iter().map(|&plate| sum.tape().whole_plate_size(plate)).product();
        sum_over_plates(sum) * (1.0 / members as f64)
    })
}
