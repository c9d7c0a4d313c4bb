//! Gradients of a node's parameters for each member by itself, as recorded values that can be differentiated again.

use stochgrad_distributions::{Distribution, Family};
use stochgrad_graph::{CostContext, GradientTerm, GraphResult};
use stochgrad_tape::{IdMap, Plates, Var};
use stochgrad_tensor::Real;

/// The parameters of a node, and copies on all plates of its value that nothing else depends on.
///
/// Whatever a method makes of the distribution on the copies can be differentiated by them while the step is recorded:
/// members do not meet in the copies, and no derivative goes on to the model.
pub(crate) struct MemberGradients<'t, F: Real> {
    parameters: Pairs<'t, F>,
}

/// Parameters with their copies.
type Pairs<'t, F> = Vec<(Var<'t, F>, Var<'t, F>)>;

impl<'t, F: Real> MemberGradients<'t, F> {
    /// The copies, and the distribution on them.
    pub(crate) fn new<D: Family<F>>(
        context: &CostContext<'_, 't, F>,
        distribution: &D::On<'t>,
    ) -> GraphResult<(Self, D::On<'t>)> {
        let (parameters, copied) = spread::<F, D>(context, distribution, &Var::stop_gradient)?;
        Ok((MemberGradients { parameters }, copied))
    }

    /// The gradients of the sum of a value over all members.
    pub(crate) fn of(&self, value: Var<'t, F>) -> GraphResult<Vec<Var<'t, F>>> {
        let copies: Vec<Var<'t, F>> = self.parameters.iter().map(|(_, copy)| *copy).collect();
        Ok(value.tape().gradients(total(value.sum()), &copies)?)
    }

    /// The gradient term with these gradients of a cost that saw the members of some plates jointly.
    pub(crate) fn term(&self, gradients: &[Var<'t, F>], joint: &Plates) -> Option<GradientTerm<'t, F>> {
        let products = self.parameters.iter().zip(gradients);
        let sum = products
            .map(|((parameter, _), gradient)| (gradient.stop_gradient() * *parameter).sum())
            .reduce(|sum, product| sum + product)?;
        // Not `dot − stop(dot)`: an infinite logit times zero has no difference with itself.
        Some(GradientTerm { value: sum.tape().constant(0.0).straight_through(sum), summed: joint.clone() })
    }
}

/// The distribution on parameters that lie on all plates of the node's value and depend on those of the model: a
/// derivative by them is one of single members, and goes on to the model.
pub(crate) fn parameters_by_member<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
) -> GraphResult<D::On<'t>> {
    Ok(spread::<F, D>(context, distribution, &|parameter| parameter)?.1)
}

/// The parameters of a distribution, what becomes of each on all plates of the node's value, and the distribution on
/// these.
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
        // An operation of its own, even where nothing is expanded.
        let copy = copy.reshape(copy.shape());
        ids.insert(parameter.var.id(), copy.id());
        parameters.push((parameter.var, copy));
    }
    let copied = D::store(distribution).bind(context.tape(), &ids).map_err(|source| context.error(source))?;
    Ok((parameters, copied))
}

/// The sum over all plates.
pub(crate) fn total<F: Real>(value: Var<'_, F>) -> Var<'_, F> {
    value.plates().iter().fold(value, |sum, &plate| sum.sum_over(plate))
}

/// The sum of the squares of gradients, averaged over the members: what the method's own parameters minimise.
pub(crate) fn second_moment<'t, F: Real>(gradients: &[Var<'t, F>]) -> Option<Var<'t, F>> {
    let squares = gradients.iter().map(|gradient| gradient.square().sum());
    squares.reduce(|sum, square| sum + square).map(|sum| {
        let members: usize = sum.plates().iter().map(|&plate| sum.tape().plate_size(plate)).product();
        total(sum) * (1.0 / members as f64)
    })
}
