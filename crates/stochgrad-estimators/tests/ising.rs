//! Ising models on small squares, whose spins are enumerated, and the transition probabilities of Gibbs with gradients
//! (Grathwohl et al. 2021): gradients inside a model with discrete nodes.

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Categorical, Distribution};
use stochgrad_estimators::{Enumerate, ScoreFunction};
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

fn close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-9 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

/// What is known of the distribution exp(β Σ s s' + h Σ s) / Z of the spins of a square with free boundaries.
struct Known {
    side: usize,
    coupling: f64,
    log_z: f64,
    /// The expected sum over neighbours of s s'.
    neighbours: f64,
    /// The expected spin, and the variance of the sum of the spins, for each site.
    spin: f64,
    variance: f64,
    corner: f64,
    centre: f64,
}

const FIELD: f64 = 0.1;

#[test]
fn squares_have_their_known_moments() {
    let known = |side, coupling, [log_z, neighbours, spin, variance, corner, centre]: [f64; 6]| Known {
        side,
        coupling,
        log_z,
        neighbours,
        spin,
        variance,
        corner,
        centre,
    };
    for known in [
        known(3, 0.3, [6.912681999, 4.257617616, 0.2430478751, 2.278120616, 0.2179810541, 0.2969025518]),
        known(3, 0.5, [8.090679466, 7.515801031, 0.4224268385, 3.48408523, 0.3886790497, 0.4883380046]),
        known(4, 0.3, [12.46929434, 8.997633917, 0.2945424625, 2.634253057, 0.2374885302, 0.3574961819]),
        known(4, 0.5, [15.03099752, 16.58500577, 0.5944795966, 3.615554117, 0.5055112588, 0.680330584]),
    ] {
        let (side, sites) = (known.side, known.side * known.side);
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let (coupling, field) =
            (graph.param("coupling", known.coupling).unwrap(), graph.param("field", FIELD).unwrap());
        let fair = Bernoulli::from_logits(graph.constant(0.0));
        let spins: Vec<Var<'_, f64>> = (0..sites)
            .map(|site| graph.sample(("spin", site), &fair, &Enumerate::new()).unwrap() * 2.0 - 1.0)
            .collect();
        for (site, &spin) in spins.iter().enumerate() {
            graph.factor(&format!("field {site}"), field * spin).unwrap();
            let right = (site % side + 1 < side).then_some(site + 1);
            let below = (site + side < sites).then_some(site + side);
            for other in right.into_iter().chain(below) {
                graph.factor(&format!("pair {site} {other}"), coupling * spin * spins[other]).unwrap();
            }
        }
        let log_z = graph.log_evidence().unwrap() + sites as f64 * std::f64::consts::LN_2;
        let ends = [0, side / 2 * side + side / 2].map(|site| ("spin", site));
        let posteriors = graph.posteriors(ends).unwrap();
        graph.cost("log Z", log_z).unwrap();
        let what = format!("{side} by {side}, coupling {}", known.coupling);
        let second = graph.surrogate().unwrap().hessian_vector_product(&[("field", Tensor::scalar(1.0))]).unwrap();
        let gradients = graph.backward().unwrap();
        close(&what, gradients.cost("log Z").unwrap(), known.log_z);
        close(&what, gradients.get("coupling").unwrap().item().unwrap(), known.neighbours);
        close(&what, gradients.get("field").unwrap().item().unwrap() / sites as f64, known.spin);
        close(&what, second[0].item().unwrap() / sites as f64, known.variance);
        for (posterior, spin) in posteriors.into_iter().zip([known.corner, known.centre]) {
            let [down, up] = posterior.peek().unwrap().to_vec()[..] else { panic!("{what}: expected two states") };
            close(&what, up - down, spin);
        }
    }
}

/// A log-density of two variables without its constant; their two values; the states in the order of the tables.
#[derive(Clone, Copy)]
struct Target {
    log_density: for<'t> fn(Var<'t, f64>) -> Var<'t, f64>,
    values: [f64; 2],
}

impl Target {
    fn states(self) -> [[f64; 2]; 4] {
        let [low, high] = self.values;
        [[low, low], [low, high], [high, low], [high, high]]
    }

    /// The change of each variable by a flip, and the logits of the proposals: the change of the log-density that its
    /// gradient promises, halved.
    fn flips<'t>(self, x: Var<'t, f64>) -> GraphResult<(Var<'t, f64>, Var<'t, f64>)> {
        let [gradient] = x.tape().grad((self.log_density)(x), [x])?;
        let change = (self.values[0] + self.values[1]) - x * 2.0;
        Ok((change, change * gradient * 0.5))
    }

    /// Records a step from a state: the proposed site, whether it is flipped, and the next state.
    fn step<'t>(self, graph: &Graph<'t, f64>, from: [f64; 2]) -> GraphResult<[Var<'t, f64>; 3]> {
        let x = graph.param("x", from)?;
        let (change, logits) = self.flips(x)?;
        let proposals = Categorical::from_logits(logits);
        let site = graph.sample("site", &proposals, &ScoreFunction::new())?;
        let moved = x + change * site.one_hot(2);
        let back = Categorical::from_logits(self.flips(moved)?.1);
        let ratio = (self.log_density)(moved) - (self.log_density)(x) + back.log_prob(site) - proposals.log_prob(site);
        let chance = ratio.minimum(graph.constant(0.0)).exp();
        let flip = graph.sample("flip", &Bernoulli::from_probabilities(chance), &ScoreFunction::new())?;
        Ok([site, flip, x + (moved - x) * flip.unsqueeze(-1)])
    }

    /// The probability of an event of a step.
    fn probability(
        self,
        from: [f64; 2],
        event: impl for<'t> Fn(&Graph<'t, f64>, [Var<'t, f64>; 3]) -> Var<'t, f64>,
    ) -> f64 {
        let model = |graph: &Graph<'_, f64>| graph.cost("event", event(graph, self.step(graph, from)?));
        Oracle::new().exact_cost(model).unwrap()
    }
}

/// 1 if a site was proposed, else 0.
fn is_site(found: Var<'_, f64>, site: usize) -> Var<'_, f64> {
    found.one_hot(2).index(0, site)
}

#[test]
fn gibbs_with_gradients_has_the_known_transitions() {
    let spins = Target {
        log_density: |s| s.index(0, 0) * s.index(0, 1) * 0.8 + s.index(0, 0) * 0.3 - s.index(0, 1) * 0.15,
        values: [-1.0, 1.0],
    };
    // The gradient does not promise the true change of this one.
    let bits = Target {
        log_density: |x| (x.index(0, 0) + x.index(0, 1) * 2.0 + 1.0).sin() + x.index(0, 0) * 0.5,
        values: [0.0, 1.0],
    };
    for (target, distribution, transitions, (acceptance, second), proposals) in [
        (
            spins,
            [0.3487593223, 0.05216345027, 0.1283013846, 0.4707758429],
            [
                [0.7606439707, 0.06918597933, 0.17017005, 0.0],
                [0.4625701547, 0.0, 0.0, 0.5374298453],
                [0.4625701547, 0.0, 0.0, 0.5374298453],
                [0.0, 0.05954892426, 0.1464667194, 0.7939843564],
            ],
            (0.3609296697, 0.7763431906),
            [
                [[0.61063923, 0.27867526], [0.38936077, 0.17769119]],
                [[0.53742985, 1.0], [0.46257015, 1.0]],
                [[0.46257015, 1.0], [0.53742985, 1.0]],
                [[0.38936077, 0.15294023], [0.61063923, 0.23985802]],
            ],
        ),
        (
            bits,
            [0.2782194413, 0.1381112034, 0.4908981151, 0.09277124013],
            [
                [0.1204726834, 0.3845649343, 0.4949623822, 0.0],
                [0.7746905284, 0.0, 0.0, 0.2253094716],
                [0.280522889, 0.0, 0.5984647414, 0.1210123697],
                [0.0, 0.3354246664, 0.6403357776, 0.02423955606],
            ],
            (0.6704482101, 0.6492247182),
            [
                [[0.49496238, 1.0], [0.50503762, 0.761458]],
                [[0.22530947, 1.0], [0.77469053, 1.0]],
                [[0.59247835, 0.47347366], [0.40752165, 0.29694709]],
                [[0.35966422, 0.93260504], [0.64033578, 1.0]],
            ],
        ),
    ] {
        let states = target.states();
        let mut accepted = 0.0;
        let mut matrix = nalgebra::Matrix4::<f64>::zeros();
        for (from, &state) in states.iter().enumerate() {
            for (to, &next) in states.iter().enumerate() {
                let chance = target.probability(state, |graph, [.., found]| {
                    (found - graph.constant(next)).abs().sum().lt(graph.constant(0.5))
                });
                close(&format!("from {from} to {to}"), chance, transitions[from][to]);
                matrix[(from, to)] = chance;
            }
            accepted += distribution[from] * target.probability(state, |_, [_, flip, _]| flip);
            for (site, [proposal, acceptance]) in proposals[from].into_iter().enumerate() {
                let proposed = target.probability(state, |_, [found, ..]| is_site(found, site));
                let flipped = target.probability(state, |_, [found, flip, _]| is_site(found, site) * flip);
                // The table has eight digits.
                assert!((proposed - proposal).abs() < 1e-8 && (flipped / proposed - acceptance).abs() < 1e-8);
            }
        }
        close("mean acceptance", accepted, acceptance);
        for from in 0..4 {
            for to in 0..4 {
                let (there, back) = (distribution[from] * matrix[(from, to)], distribution[to] * matrix[(to, from)]);
                assert!((there - back).abs() < 1e-9, "detailed balance between {from} and {to}");
            }
        }
        let mut moduli: Vec<f64> = matrix.complex_eigenvalues().iter().map(|value| value.norm()).collect();
        moduli.sort_by(f64::total_cmp);
        close("largest eigenvalue", moduli[3], 1.0);
        close("second largest eigenvalue", moduli[2], second);
    }
}
