//! Gradients of a whole model from its costs alone: finite differences, SPSA and evolution strategies over all
//! parameters.

use stochgrad_graph::{Bias, Gradients, GraphResult, Guarantee, Order, Seed};
use stochgrad_tensor::random::{Fill, Key, address_hash};
use stochgrad_tensor::{Real, Tensor};

use crate::error::NnError;
use crate::inputs::Inputs;
use crate::parameters::Parameters;
use crate::step::Step;

/// Estimates the gradients of a whole model from its costs at moved parameters, under common random numbers.
///
/// Use it for models of which nothing is known, such as a simulation with jumps in unknown places, and to check other
/// gradients. Every evaluation runs the whole model with the noise of the same seed, so that the costs at two points
/// differ by the effect of the parameters only. The gradient methods of the nodes are not asked for derivatives; a
/// method for a single node, such as `FiniteDifference` of `stochgrad-estimators`, moves the parameters of one
/// distribution instead. With $f$ the total cost and $h$ the step,
///
/// | constructor | $g$ | evaluations | bias |
/// |---|---|---|---|
/// | [`central`](Self::central) | $\frac{f(\theta + h e_i) - f(\theta - h e_i)}{2h}$ for each element $i$ | 2 for each element | $\frac{h^2}{6} \partial_i^3 E f$ |
/// | [`spsa`](Self::spsa) | $\frac{f(\theta + h \Delta) - f(\theta - h \Delta)}{2h} \Delta$, with random signs $\Delta$ | 2 for each direction | $O(h^2)$ |
/// | [`evolution_strategy`](Self::evolution_strategy) | $\frac{f(\theta + h \varepsilon) - f(\theta - h \varepsilon)}{2h} \varepsilon$, with $\varepsilon \sim N(0, I)$ | 2 for each direction | $O(h^2)$; none for the cost smoothed by $N(0, h^2 I)$ |
///
/// The bias vanishes where the expected cost is quadratic in the parameters. If the costs are continuous along the
/// noise, the variance does not grow for small steps; with jumps, it is of order $1/h$. Glasserman and Yao (1992) on
/// common random numbers; Spall (1992); Salimans, Ho, Chen, Sidor and Sutskever (2017).
///
/// ```
/// use stochgrad_graph::Seed;
/// use stochgrad_nn::{CostDifferences, Inputs, Optimizer, Parameters, Record, Sgd, Step};
/// use stochgrad_tensor::Tensor;
///
/// let mut step = Step::new(|record: &Record<'_, '_, f64>| {
///     let speed = record.param("speed")?;
///     record.cost("lateness", (speed - 3.0).square() + (speed - 3.0).gt(record.constant(0.0)) * 2.0)
/// });
/// let mut parameters = Parameters::new();
/// parameters.insert("speed", Tensor::scalar(1.0))?;
/// let gradients = CostDifferences::central(0.1).gradient(&mut step, &parameters, &Inputs::new(), Seed::new(7))?;
/// assert!((gradients.get("speed")?.item()? + 4.0).abs() < 1e-12);
/// Sgd::new(0.1).step(&mut parameters, &gradients)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostDifferences {
    moves: Moves,
    step: f64,
    directions: usize,
}

/// The points at which the costs are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    /// One element of the parameters at a time.
    Elements,
    /// All elements by random signs.
    Signs,
    /// All elements by normal noise.
    Normal,
}

impl CostDifferences {
    /// Central differences for each element of each parameter.
    pub fn central(step: f64) -> Self {
        CostDifferences { moves: Moves::Elements, step, directions: 1 }
    }

    /// Simultaneous perturbation: steps to both sides along random signs in all elements together.
    pub fn spsa(step: f64) -> Self {
        CostDifferences { moves: Moves::Signs, step, directions: 1 }
    }

    /// An evolution strategy: steps to both sides along normal noise with this standard deviation.
    pub fn evolution_strategy(width: f64) -> Self {
        CostDifferences { moves: Moves::Normal, step: width, directions: 1 }
    }

    /// Averages over this number of random directions, at least one. Central differences ignore it.
    pub fn directions(self, directions: usize) -> Self {
        CostDifferences { directions: directions.max(1), ..self }
    }

    /// The gradients of the total cost with respect to all parameters that are not frozen, for an optimiser, with the
    /// costs at the parameters themselves. The model is evaluated as by [`Step::evaluate`], and the directions are
    /// determined by the seed. The [guarantee](Gradients::guarantee) is a biased gradient of order 1.
    ///
    /// # Errors
    ///
    /// For a step that is not positive and finite, and those of [`Step::evaluate`]: a moved parameter may leave its
    /// domain. Take a smaller step, or unconstrained parameters such as logarithms.
    pub fn gradient<F: Real>(
        &self,
        step: &mut Step<'_, F>,
        parameters: &Parameters<F>,
        inputs: &Inputs<F>,
        seed: Seed,
    ) -> GraphResult<Gradients<F>> {
        if !(self.step > 0.0 && self.step.is_finite()) {
            let (expected, found) = ("a finite step above 0", self.step.to_string());
            let error = NnError::argument("the step of `CostDifferences`", expected, found, "0.01 is a good start");
            return Err(error.into());
        }
        let costs = step.evaluate(parameters, inputs, seed)?;
        let costs = costs.iter().map(|(name, value)| (name.to_string(), value)).collect();
        let trained: Vec<(&str, &Tensor<F>)> =
            parameters.iter().filter(|(name, _)| !parameters.is_frozen(name)).collect();
        let mut sums: Vec<Vec<f64>> = trained.iter().map(|(_, value)| vec![0.0; value.len()]).collect();
        let mut moved = parameters.clone();
        let mut slope = |direction: &[Vec<f64>]| -> GraphResult<f64> {
            let mut total = |sign: f64| -> GraphResult<f64> {
                for ((name, value), direction) in trained.iter().zip(direction) {
                    let shift = |i: usize| F::from_f64(value.as_slice()[i].to_f64() + sign * self.step * direction[i]);
                    moved.set(name, Tensor::from_fn(value.shape().clone(), shift))?;
                }
                Ok(step.evaluate(&moved, inputs, seed)?.total().to_f64())
            };
            Ok((total(1.0)? - total(-1.0)?) / (2.0 * self.step))
        };
        match self.moves {
            Moves::Elements => {
                let mut direction: Vec<Vec<f64>> = sums.clone();
                for at in 0..sums.len() {
                    for element in 0..sums[at].len() {
                        direction[at][element] = 1.0;
                        sums[at][element] = slope(&direction)?;
                        direction[at][element] = 0.0;
                    }
                }
            }
            Moves::Signs | Moves::Normal => {
                for number in 0..self.directions {
                    let direction: Vec<Vec<f64>> =
                        trained.iter().map(|(name, value)| self.direction(seed, name, number, value.len())).collect();
                    let slope = slope(&direction)? / self.directions as f64;
                    for (sum, direction) in sums.iter_mut().flatten().zip(direction.iter().flatten()) {
                        *sum += slope * direction;
                    }
                }
            }
        }
        let gradients = trained.iter().zip(sums).map(|((name, value), sums)| {
            (name.to_string(), Tensor::from_fn(value.shape().clone(), |i| F::from_f64(sums[i])))
        });
        let guarantee = Guarantee { bias: Bias::Gradient, order: Order::Finite(1) };
        Ok(Gradients::estimated(gradients, costs, guarantee, "differences of the costs of the whole model"))
    }

    /// A random direction of one parameter.
    fn direction(&self, seed: Seed, name: &str, number: usize, elements: usize) -> Vec<f64> {
        let address = address_hash(&format!("direction of parameter {name}"), &[number as u64]);
        let key = Key::new(seed.seed, seed.step, address);
        let mut values = vec![0.0; elements];
        match self.moves {
            Moves::Normal => key.fill(Fill::Normal, 0, &mut values),
            Moves::Elements | Moves::Signs => {
                key.uniform(0, &mut values);
                values.iter_mut().for_each(|value| *value = if *value < 0.5 { -1.0 } else { 1.0 });
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use stochgrad_distributions::{Bernoulli, Family, Normal};
    use stochgrad_graph::{GradientMethod, Method, Profile, SampleContext, SamplePlate, SampleSet};

    fn parameters() -> Parameters<f64> {
        let mut parameters = Parameters::new();
        parameters.insert("a", Tensor::from([0.3, -0.8])).unwrap();
        parameters.insert("b", Tensor::scalar(0.5)).unwrap();
        parameters.insert("frozen", Tensor::scalar(2.0)).unwrap();
        parameters.freeze("frozen").unwrap();
        parameters
    }

    /// exp(a₀ + b) + a₁³, without noise.
    fn smooth() -> Step<'static, f64> {
        Step::new(|record: &Record<'_, '_, f64>| {
            let (a, b) = (record.param("a")?, record.param("b")?);
            record.cost("exponential", (a.index(0, 0) + b).exp() * record.param("frozen")? * 0.5)?;
            record.cost("cube", a.index(0, 1).powf(2.0) * a.index(0, 1))
        })
    }

    fn all(gradients: &Gradients<f64>) -> [f64; 3] {
        let a = gradients.get("a").unwrap().as_slice();
        [a[0], a[1], gradients.get("b").unwrap().item().unwrap()]
    }

    #[test]
    fn the_bias_of_central_differences_is_that_of_the_third_derivative() {
        let at = |h: f64| {
            let found =
                CostDifferences::central(h).gradient(&mut smooth(), &parameters(), &Inputs::new(), Seed::new(1));
            all(&found.unwrap())
        };
        let rise = 0.8_f64.exp();
        let exact = [rise, 3.0 * 0.64, rise];
        let h = 0.2_f64;
        // sinh(h) / h for the exponential, and h² for the cube.
        let expected = [rise * h.sinh() / h, 3.0 * 0.64 + h * h, rise * h.sinh() / h];
        for (found, expected) in at(h).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-10, "{found}, {expected}");
        }
        for ((large, small), exact) in at(0.2).iter().zip(at(0.1)).zip(exact) {
            assert!(((large - exact) / (small - exact) - 4.0).abs() < 0.05);
        }
        let gradients =
            CostDifferences::central(0.1).gradient(&mut smooth(), &parameters(), &Inputs::new(), Seed::new(1)).unwrap();
        assert!(gradients.get("frozen").is_err());
        assert_eq!(gradients.cost("cube").unwrap(), (-0.8_f64).powi(3));
        assert_eq!(gradients.guarantee("a").unwrap().bias, Bias::Gradient);
        assert_eq!(gradients.reasons("b").unwrap(), ["differences of the costs of the whole model"]);
    }

    #[test]
    fn random_directions_have_their_known_means() {
        let (rise, h) = (0.8_f64.exp(), 0.1_f64);
        // E of the derivative at normal shifts: exp(h²) for the sum of two, and 3 h² for the cube. Signs: sinh(2h) / (2h)
        // averaged with the derivative along opposite signs, which is 0; and h².
        let smoothed = [rise * (h * h).exp(), 3.0 * 0.64 + 3.0 * h * h, rise * (h * h).exp()];
        let signs = [rise * (2.0 * h).sinh() / (2.0 * h), 3.0 * 0.64 + h * h, rise * (2.0 * h).sinh() / (2.0 * h)];
        for (differences, expected) in
            [(CostDifferences::evolution_strategy(h), smoothed), (CostDifferences::spsa(h), signs)]
        {
            let (mut step, runs) = (smooth(), 4000);
            let mut moments = [[0.0; 2]; 3];
            for run in 0..runs {
                let seed = Seed::new(5).step(run);
                let found = differences.directions(2).gradient(&mut step, &parameters(), &Inputs::new(), seed).unwrap();
                for (moments, found) in moments.iter_mut().zip(all(&found)) {
                    moments[0] += found / runs as f64;
                    moments[1] += found * found / runs as f64;
                }
            }
            for ([mean, square], expected) in moments.iter().zip(expected) {
                let error = ((square - mean * mean) / runs as f64).sqrt();
                assert!((mean - expected).abs() < 4.0 * error, "{mean} ± {error}, {expected}");
            }
        }
    }

    /// Draws a value, and estimates no gradient.
    #[derive(Clone)]
    struct Drawn;

    impl Method for Drawn {
        fn name(&self) -> String {
            "drawn".into()
        }

        fn profile(&self) -> Profile {
            Profile::unbiased(Order::Any)
        }
    }

    impl<D: Family<f64>> GradientMethod<f64, D> for Drawn {
        fn sample<'t>(
            &self,
            context: &SampleContext<'_, 't, f64>,
            distribution: &D::On<'t>,
        ) -> GraphResult<SampleSet<'t, f64>> {
            context.independent(distribution, SamplePlate::Single)
        }
    }

    /// The difference of a sample that shifts with the parameter has no noise, and that of another sample vanishes.
    #[test]
    fn all_evaluations_have_the_same_noise() {
        let mut step = Step::new(|record: &Record<'_, '_, f64>| {
            let x = record.sample("x", &Normal::new(record.param("b")?, 1.0), &Drawn)?;
            let bit = record.sample("bit", &Bernoulli::from_logits(record.constant(0.0)), &Drawn)?;
            record.cost("cost", x * 3.0 + bit)
        });
        for run in 0..3 {
            let seed = Seed::new(2).step(run);
            let found =
                CostDifferences::central(0.01).gradient(&mut step, &parameters(), &Inputs::new(), seed).unwrap();
            assert!((found.get("b").unwrap().item().unwrap() - 3.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_step_of_zero_is_an_error() {
        for step in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            let found =
                CostDifferences::spsa(step).gradient(&mut smooth(), &parameters(), &Inputs::new(), Seed::new(1));
            assert!(found.unwrap_err().to_string().contains("finite step above 0"));
        }
    }
}
