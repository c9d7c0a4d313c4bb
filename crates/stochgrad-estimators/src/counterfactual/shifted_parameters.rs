//! Costs at shifted parameters of a node, under the same noise: the common part of finite differences and random
//! directions.

use crate::common::sampling::Sampling;
use crate::common::unrolled::check_unrolled;
use stochgrad_distributions::{Distribution, DistributionResult, Draw, Family};
use stochgrad_graph::{CostChange, CostContext, GradientTerm, GraphResult, is_differentiable};
use stochgrad_tape::{IdMap, Smoothness, Var};
use stochgrad_tensor::{Real, Shape};

/// The parameters of a distribution that depend on something trainable.
pub fn trained_parameters<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Vec<Var<'t, F>> {
    let parameters = distribution.parameters().into_iter();
    let trained = parameters.filter(|p| p.score != Smoothness::Constant && is_differentiable(p.var));
    trained.map(|parameter| parameter.var).collect()
}

/// The difference of the costs downstream between parameters moved up and moved down by `shifts`. The node is drawn
/// again under the same noise.
pub(crate) fn shifted_changes<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
    sampling: &Sampling,
    shifts: &[(Var<'t, F>, Var<'t, F>)],
) -> GraphResult<Vec<CostChange<'t, F>>> {
    let stored = D::store(distribution);
    let moved = |sign: f64| -> GraphResult<Vec<CostChange<'t, F>>> {
        let mut ids = IdMap::identity();
        for &(parameter, shift) in shifts {
            ids.insert(parameter.id(), (parameter.stop_gradient() + shift * sign).id());
        }
        let there = stored.bind(context.tape(), &ids).map_err(|source| context.error(source))?;
        there.validate().map_err(|source| {
            context.refused(format!(
                "a parameter moved by the step leaves its domain: {source}; take a smaller step, or use unconstrained \
                 parameters (logits, logarithms)"
            ))
        })?;
        let value = there.sample(&sampling.draw_again(context)).map_err(|source| context.error(source))?;
        context.change(value)
    };
    let (up, down) = (moved(1.0)?, moved(-1.0)?);
    let differences = up.into_iter().zip(down);
    Ok(differences.map(|(up, down)| CostChange { value: up.value - down.value, summed: up.summed }).collect())
}

/// Draws one direction with an event shape.
pub(crate) type DrawDirection<'a, 't, F> = dyn Fn(&Draw<'_, F>, &Shape) -> DistributionResult<Var<'t, F>> + 'a;

/// The gradient terms of antithetic steps along random directions ε, in all coordinates of all parameters together.
/// Each coordinate has the gradient ε · (difference of the costs) / (2 width), averaged over the directions.
pub(crate) fn direction_terms<'t, F: Real, D: Family<F>>(
    context: &CostContext<'_, 't, F>,
    distribution: &D::On<'t>,
    sampling: &Sampling,
    (width, directions): (f64, usize),
    draw: &DrawDirection<'_, 't, F>,
) -> GraphResult<Vec<GradientTerm<'t, F>>> {
    let zero = context.tape().constant(0.0);
    let parameters = trained_parameters(distribution);
    let instead = "use fewer directions, or average over samples with .samples(n)";
    check_unrolled(distribution.name(), "directions", directions, instead).map_err(|source| context.error(source))?;
    let mut terms = Vec::new();
    for direction in 0..directions {
        let mut steps = Vec::with_capacity(parameters.len());
        for (number, parameter) in parameters.iter().enumerate() {
            let request = context.draw_on(&format!("direction {direction} of parameter {number}"), &parameter.plates());
            steps.push(draw(&request, &parameter.shape()).map_err(|source| context.error(source))?);
        }
        let shifts: Vec<_> =
            parameters.iter().zip(&steps).map(|(&parameter, &step)| (parameter, step * width)).collect();
        for change in shifted_changes::<F, D>(context, distribution, sampling, &shifts)? {
            let slope = change.value * (0.5 / width / directions as f64);
            let value = parameters.iter().zip(&steps).fold(zero, |sum, (&parameter, &step)| {
                sum + zero.straight_through(((step * slope).stop_gradient() * parameter).sum())
            });
            terms.push(GradientTerm { value, summed: change.summed });
        }
    }
    Ok(terms)
}
