//! The evidence of enumerated nodes against exact results: hidden Markov models, trees, grids and plates, with
//! derivatives, posteriors and most probable states.

use std::time::Instant;
use stochgrad::distributions::Categorical;
use stochgrad::graph::GraphResult;
use stochgrad::prelude::*;

type Vars<'t> = Vec<Var<'t, f64>>;

/// The tensor of a function of two indices.
fn table(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Tensor<f64> {
    Tensor::from_fn([rows, columns], |at| f(at / columns, at % columns))
}

/// A row of a matrix of logits, selected by an enumerated state.
fn row<'t>(matrix: Var<'t, f64>, state: Var<'t, f64>) -> Var<'t, f64> {
    matrix.lookup(state)
}

fn close(name: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{name}");
    for (got, expected) in got.iter().zip(expected) {
        // Expected values have ten digits.
        assert!((got - expected).abs() < 2e-9 * expected.abs().max(1.0), "{name}: got {got}, expected {expected}");
    }
}

/// A hidden Markov model with nodes "x[t]" and factors "y t".
fn chain<'t>(
    graph: &Graph<'t, f64>,
    [initial, transitions, emissions]: [Var<'t, f64>; 3],
    observed: &[usize],
) -> GraphResult<Vars<'t>> {
    let log_emissions = emissions.log_softmax(-1);
    let mut states = Vec::new();
    for (t, &y) in observed.iter().enumerate() {
        let logits = states.last().map_or(initial, |&before| row(transitions, before));
        let state = graph.sample(("x", t), &Categorical::from_logits(logits), &Enumerate::new())?;
        graph.factor(&format!("y {t}"), row(log_emissions, state).index(0, y))?;
        states.push(state);
    }
    Ok(states)
}

struct Expected<'a> {
    log_evidence: f64,
    gradients: [&'a [f64]; 3],
    /// Parameter and element, twice, and the second derivative.
    second: &'a [([usize; 2], [usize; 2], f64)],
    /// The posterior probability of a state at each time.
    posterior: (usize, &'a [f64]),
    path: &'a [f64],
    log_joint: f64,
}

fn check_chain(parameters: [Tensor<f64>; 3], observed: &[usize], expected: &Expected<'_>) -> GraphResult<()> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let names = ["initial", "transitions", "emissions"];
    let [initial, transitions, emissions] = &parameters;
    let parameters =
        [graph.param(names[0], initial)?, graph.param(names[1], transitions)?, graph.param(names[2], emissions)?];
    let states = chain(&graph, parameters, observed)?;
    let log_evidence = graph.log_evidence()?;
    close("log-evidence", &[log_evidence.item()?], &[expected.log_evidence]);
    let gradients = tape.grad(log_evidence, parameters)?;
    for (gradient, expected) in gradients.iter().zip(expected.gradients) {
        close("gradient", gradient.value()?.as_slice(), expected);
    }
    for &([one, i], [two, j], expected) in expected.second {
        let element = gradients[one].reshape([gradients[one].shape().numel()]).index(0, i);
        let second = tape.grad(element, [parameters[two]])?[0].value()?;
        close("second derivative", &[second.as_slice()[j]], &[expected]);
    }
    let (state, probabilities) = expected.posterior;
    let posteriors = graph.posteriors((0..observed.len()).map(|t| ("x", t)))?;
    for (posterior, expected) in posteriors.iter().zip(probabilities) {
        close("posterior", &[posterior.value()?.as_slice()[state]], &[*expected]);
    }
    let best = graph.most_probable_states()?;
    close("joint", &[best.log_joint.item()?], &[expected.log_joint]);
    let path: Vec<f64> = best.states.iter().map(|(_, state)| state.item()).collect::<Result<_, _>>()?;
    assert_eq!(path, expected.path);
    assert_eq!(states.len(), observed.len());
    Ok(())
}

#[test]
fn short_hidden_markov_models() -> GraphResult<()> {
    check_chain(
        [
            Tensor::from([0.0, 0.4]),
            Tensor::from([[0.5, -0.2], [-0.3, 0.8]]),
            Tensor::from([[0.2, -0.1, 0.6], [-0.7, 0.4, 0.0]]),
        ],
        &[0, 2, 1, 1, 0],
        &Expected {
            log_evidence: -5.88334319195,
            gradients: [
                &[0.1485023375, -0.1485023375],
                &[-0.1186507648, 0.1186507648, -0.04296506595, 0.04296506595],
                &[0.4110117404, 0.05787227235, -0.4688840128, 0.467106972, -0.004989520431, -0.4621174516],
            ],
            second: &[
                ([1, 0], [1, 0], -0.04095765158),
                ([1, 0], [2, 1], 0.1646769344),
                ([1, 1], [1, 2], 0.01281449268),
            ],
            posterior: (1, &[0.4501853226, 0.5308198311, 0.7403109144, 0.7359879267, 0.5099997115]),
            path: &[1.0; 5],
            log_joint: -7.736063922,
        },
    )?;
    check_chain(
        [
            Tensor::from([0.1, -0.3, 0.2]),
            Tensor::from([[0.9, 0.0, -0.4], [0.1, 0.3, -0.6], [-0.5, 0.2, 0.7]]),
            Tensor::from([[1.0, -1.0], [0.0, 0.3], [-0.8, 0.5]]),
        ],
        &[1, 1, 0, 1, 0, 0],
        &Expected {
            log_evidence: -4.17888232793,
            gradients: [
                &[-0.3022057165, 0.005897908693, 0.2963078078],
                &[
                    0.02497262718,
                    0.02288247709,
                    -0.04785510427,
                    0.1160048359,
                    -0.009956325629,
                    -0.1060485102,
                    0.06579392563,
                    0.07862025157,
                    -0.1444141772,
                ],
                &[-0.068458633, 0.068458633, 0.01047733476, -0.01047733476, -0.0141472645, 0.0141472645],
            ],
            second: &[
                ([1, 4], [1, 4], -0.03500763431),
                ([1, 2], [2, 4], 0.03312324166),
                ([0, 0], [1, 5], -0.001278038385),
            ],
            posterior: (2, &[0.6944971488, 0.5053015975, 0.2210598704, 0.3121923074, 0.09303178007, 0.07997113861]),
            path: &[2.0, 2.0, 1.0, 1.0, 0.0, 0.0],
            log_joint: -7.175276453,
        },
    )
}

/// A chain of a thousand steps takes linear time: exact, with first and second derivatives.
#[test]
fn a_long_hidden_markov_model() -> GraphResult<()> {
    let (steps, states, symbols) = (1000, 16, 5);
    let start = Instant::now();
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let (beta, gamma) = (graph.param("beta", 1.0)?, graph.param("gamma", 1.0)?);
    let transitions = tape.constant(table(states, states, |i, j| ((1 + i + 2 * j) as f64).sin())) * beta;
    let emissions = tape.constant(table(states, symbols, |i, k| ((1 + 2 * i + 3 * k) as f64).cos())) * gamma;
    let initial = tape.constant(Tensor::zeros([states]));
    let observed: Vec<usize> = (0..steps).map(|t| (t * t + t / 3) % symbols).collect();
    chain(&graph, [initial, transitions, emissions], &observed)?;
    let log_evidence = graph.log_evidence()?;
    close("log-evidence", &[log_evidence.item()?], &[-1603.74151495]);
    let first = tape.grad(log_evidence, [beta, gamma])?;
    close("gradient", &[first[0].item()?, first[1].item()?], &[-7.130799608, 21.4595493]);
    let [beta_beta, beta_gamma] = tape.grad(first[0], [beta, gamma])?;
    let [gamma_gamma] = tape.grad(first[1], [gamma])?;
    let second = [beta_beta.item()?, beta_gamma.item()?, gamma_gamma.item()?];
    for (second, expected) in second.iter().zip([4.9819225, -2.3808668, 5.09460554]) {
        assert!((second - expected).abs() < 1e-6, "got {second}, expected {expected}");
    }
    println!("recorded, with derivatives: {:?}", start.elapsed());
    let posterior = graph.posteriors([("x", 500)])?[0].value()?;
    close("posterior", &posterior.as_slice()[3..4], &[0.02024880768]);
    let best = graph.most_probable_states()?;
    assert!((best.log_joint.item()? + 3151.101429).abs() < 1e-6);
    let path: Vec<f64> = best.states[..10].iter().map(|(_, state)| state.item()).collect::<Result<_, _>>()?;
    assert_eq!(path, [12.0, 7.0, 3.0, 2.0, 12.0, 4.0, 11.0, 4.0, 14.0, 3.0]);
    graph.cost("surprise", -log_evidence)?;
    let gradients = graph.backward()?;
    close("surrogate", gradients.get("beta")?.as_slice(), &[7.130799608]);
    println!("everything: {:?}", start.elapsed());
    Ok(())
}

/// A tree of bits, three of which are observed with normal noise.
#[test]
fn trees() -> GraphResult<()> {
    type Case = ([f64; 2], [f64; 3], [f64; 6], [f64; 5], [f64; 5]);
    let cases: [Case; 2] = [
        (
            [0.3, 0.8],
            [0.9, 0.2, -0.4],
            [-3.700987719, -0.1808665474, -0.002533689136, 0.1054867244, -0.1226334448, -0.03448881202],
            [0.589838378, 0.525011652, 0.634671617, 0.580507821, 0.432168732],
            [1.0, 1.0, 1.0, 1.0, 0.0],
        ),
        (
            [-0.6, 1.5],
            [0.1, 1.3, 0.7],
            [-3.580891635, 0.3364937005, -0.1223695689, -0.07452499144, 0.1557996408, 0.01396265822],
            [0.317992522, 0.682743214, 0.643864621, 0.658061418, 0.519334889],
            [0.0, 0.0, 1.0, 1.0, 1.0],
        ),
    ];
    for ([t, u], observed, expected, probabilities, best) in cases {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let (t, u) = (graph.param("t", t)?, graph.param("u", u)?);
        let bit = |name: &str, logits| graph.sample(name, &Bernoulli::from_logits(logits), &Enumerate::new());
        let r = bit("r", t)?;
        let (a, b) = (bit("a", u * r - t)?, bit("b", u * r - t)?);
        let (c, d) = (bit("c", t * u * a + 0.5)?, bit("d", t * u * a + 0.5)?);
        for ((name, bit), y) in [("b", b), ("c", c), ("d", d)].into_iter().zip(observed) {
            graph.factor(name, Normal::new(bit, tape.constant(1.0)).log_prob(tape.constant(y)))?;
        }
        let log_evidence = graph.log_evidence()?;
        let [by_t, by_u] = tape.grad(log_evidence, [t, u])?;
        let [tt, tu] = tape.grad(by_t, [t, u])?;
        let [uu] = tape.grad(by_u, [u])?;
        let got: Vec<f64> =
            [log_evidence, by_t, by_u, tt, tu, uu].into_iter().map(Var::item).collect::<Result<_, _>>()?;
        close("tree", &got, &expected);
        for (posterior, expected) in graph.posteriors(["r", "a", "b", "c", "d"])?.iter().zip(probabilities) {
            assert!((posterior.value()?.as_slice()[1] - expected).abs() < 1e-8);
        }
        let states = graph.most_probable_states()?.states;
        let states: Vec<f64> = states.iter().map(|(_, state)| state.item()).collect::<Result<_, _>>()?;
        assert_eq!(states, best);
    }
    Ok(())
}

/// Interacting spins on a grid: cycles, and no order of the nodes.
#[test]
fn grids() -> GraphResult<()> {
    type Case = (f64, [f64; 6], [f64; 5], [f64; 6], [f64; 6]);
    let cases: [Case; 2] = [
        (
            0.4,
            [0.1, -0.3, 0.2, 0.0, 0.5, -0.4],
            [0.7135159688, 2.769700801, 0.2501532536, 8.650212056, -0.5599719894],
            [0.546014676, 0.46930709, 0.532612767, 0.561059582, 0.637889545, 0.410500099],
            [1.0; 6],
        ),
        (
            -0.25,
            [0.6, 0.1, -0.2, 0.3, -0.7, 0.0],
            [0.6742906706, -1.658913247, 0.8562544712, 7.062817393, 0.2773486618],
            [0.698298615, 0.599166356, 0.367193975, 0.660435177, 0.179229039, 0.604802854],
            [1.0, 1.0, 0.0, 1.0, 0.0, 1.0],
        ),
    ];
    for (coupling, fields, expected, probabilities, best) in cases {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let (j, k) = (graph.param("J", coupling)?, graph.param("k", 1.0)?);
        let half = tape.constant(0.5);
        let spins: Vars<'_> = (0..6)
            .map(|at| {
                let bit = graph.sample(("s", at), &Bernoulli::from_probabilities(half), &Enumerate::new())?;
                Ok(bit * 2.0 - 1.0)
            })
            .collect::<GraphResult<_>>()?;
        for (at, field) in fields.into_iter().enumerate() {
            graph.factor(&format!("field {at}"), k * field * spins[at])?;
            let (right, below) = (at % 3 < 2, at < 3);
            if right {
                graph.factor(&format!("right of {at}"), j * spins[at] * spins[at + 1])?;
            }
            if below {
                graph.factor(&format!("below {at}"), j * spins[at] * spins[at + 3])?;
            }
        }
        let log_evidence = graph.log_evidence()?;
        let [by_j, by_k] = tape.grad(log_evidence, [j, k])?;
        let [jj, jk] = tape.grad(by_j, [j, k])?;
        let got: Vec<f64> = [log_evidence, by_j, by_k, jj, jk].into_iter().map(Var::item).collect::<Result<_, _>>()?;
        close("grid", &got, &expected);
        for (posterior, expected) in graph.posteriors((0..6).map(|at| ("s", at)))?.iter().zip(probabilities) {
            assert!((posterior.value()?.as_slice()[1] - expected).abs() < 1e-8);
        }
        let states = graph.most_probable_states()?.states;
        let states: Vec<f64> = states.iter().map(|(_, state)| state.item()).collect::<Result<_, _>>()?;
        assert_eq!(states, best);
    }
    Ok(())
}

const OBSERVED: [[f64; 3]; 4] = [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0; 3]];

/// A node that all rows share, a node for each row, and observations in columns.
fn record_rows<'t>(graph: &Graph<'t, f64>) -> GraphResult<[Var<'t, f64>; 3]> {
    let z_logits = graph.param("z logits", [0.2, -0.1, 0.0])?;
    let w_logits = graph.param("w logits", [[0.5, 0.0], [-0.4, 0.3], [0.0, 1.0]])?;
    let c = graph.param("c", [[0.3, -1.0], [1.2, 0.0], [-0.6, 0.8]])?;
    let rows = graph.data("rows", Tensor::from(OBSERVED))?;
    let z = graph.sample("z", &Categorical::from_logits(z_logits), &Enumerate::new())?;
    let each = Enumerate::new().on_plate(rows.plates()[0]);
    let w = graph.sample("w", &Categorical::from_logits(w_logits.lookup(z)), &each)?;
    let logit = c.reshape([6, 1]).lookup(z * 2.0 + w).index(0, 0);
    graph.factor("y", Bernoulli::from_logits(logit.broadcast_to([3])).log_prob(rows))?;
    Ok([z_logits, w_logits, c])
}

#[test]
fn plates() -> GraphResult<()> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let parameters = record_rows(&graph)?;
    let log_evidence = graph.log_evidence()?;
    assert!(log_evidence.plates().is_empty());
    close("log-evidence", &[log_evidence.item()?], &[-8.16792744719]);
    let gradients = tape.grad(log_evidence, parameters)?;
    let expected: [&[f64]; 3] = [
        &[0.04064865893, -0.02711957141, -0.01352908752],
        &[0.023772333, -0.023772333, -0.0378946567, 0.0378946567, 0.109929749, -0.109929749],
        &[0.263399503, -0.0735017779, 0.0124174001, -0.262355464, -0.182603236, -0.0732540405],
    ];
    for (gradient, expected) in gradients.iter().zip(expected) {
        close("gradient", gradient.value()?.as_slice(), expected);
    }
    let last = gradients[2].index(0, 2).index(0, 1);
    let [by_z, by_c] = tape.grad(last, [parameters[0], parameters[2]])?;
    let got = [by_c.value()?.as_slice()[5], by_z.value()?.as_slice()[0]];
    close("second derivatives", &got, &[-0.1597902053, 0.03159758038]);
    let posterior = graph.posteriors(["z"])?[0].value()?;
    close("posterior", posterior.as_slice(), &[0.4313424922, 0.262313539, 0.3063439688]);
    Ok(())
}

/// Posterior samples have the posterior probabilities, also jointly, and most probable states exist for each row.
#[test]
fn samples_have_the_posterior_probabilities() -> GraphResult<()> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    record_rows(&graph)?;
    let [of_z, of_w] = graph.posteriors(["z", "w"])?[..] else { panic!("two nodes") };
    assert_eq!((of_z.shape()[..].to_vec(), of_w.value()?.shape()[..].to_vec()), (vec![3], vec![4, 2]));
    let (of_z, of_w) = (of_z.value()?, of_w.value()?);
    let best = graph.most_probable_states()?.states;
    assert_eq!(best[1].1.value()?.shape()[..], [4]);
    let count = 2000;
    let (mut z_counts, mut w_counts) = ([0.0; 3], [0.0; 4]);
    for number in 0..count {
        let mark = tape.len();
        let sample = graph.posterior_sample(("sample", number))?;
        z_counts[sample[0].1.inspect()?.as_slice()[0] as usize] += 1.0;
        for (count, w) in w_counts.iter_mut().zip(sample[1].1.inspect()?.as_slice()) {
            *count += w;
        }
        tape.truncate(mark);
    }
    let frequencies = z_counts.iter().zip(of_z.as_slice());
    for (seen, expected) in frequencies.chain(w_counts.iter().zip(of_w.as_slice().iter().skip(1).step_by(2))) {
        let error = (expected * (1.0 - expected) / count as f64).sqrt();
        assert!((seen / count as f64 - expected).abs() < 4.0 * error, "{seen}, {expected}");
    }
    Ok(())
}

/// Each member of a plate has an evidence of its own if no node is shared, and a compiled graph repeats it.
#[test]
fn members_have_an_evidence_each_and_graphs_compile() -> GraphResult<()> {
    let tape = Tape::<f64>::new();
    let record = |tape| -> GraphResult<Graph<'_, f64>> {
        let graph = Graph::new(tape, Seed::new(7));
        let logits = graph.param("logits", [0.3, -0.2])?;
        let y = graph.data("y", [0.5, 1.5, -1.0])?;
        let first = graph.sample("first", &Categorical::from_logits(logits + y * 0.0), &Enumerate::new())?;
        let second = graph.sample("second", &Bernoulli::from_logits(first - 0.5), &Enumerate::new())?;
        // A sampled node beside them: the evidence is one value for each of its samples.
        let noise = graph.sample("noise", &Normal::new(y * 0.0, y * 0.0 + 1.0), &Pathwise::new().samples(2))?;
        graph.factor("y", -(y - second - noise * 0.1).square())?;
        let log_evidence = graph.log_evidence()?;
        assert_eq!(log_evidence.plates().len(), 2);
        graph.cost("surprise", -log_evidence)?;
        Ok(graph)
    };
    let graph = record(&tape)?;
    let mut compiled = graph.compile()?;
    let recorded = graph.backward()?;
    compiled.set("logits", &Tensor::from([0.3, -0.2]))?;
    compiled.set("y", &Tensor::from([0.5, 1.5, -1.0]))?;
    let run = compiled.run(Seed::new(7))?;
    assert_eq!(run.cost("surprise")?.to_bits(), recorded.cost("surprise")?.to_bits());
    assert_eq!(run.get("logits")?, recorded.get("logits")?);
    Ok(())
}

/// Random networks of bits with random factors, against the sum over all states.
#[test]
fn random_networks() -> GraphResult<()> {
    let mut state = 12345_u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    for _ in 0..200 {
        let count = 2 + (random() * 6.0) as usize;
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(7));
        let theta = graph.param("theta", 0.7)?;
        // The logit of each bit is a function of up to two earlier ones, and factors are on up to three bits.
        let mut parents: Vec<Vec<(usize, f64)>> = Vec::new();
        for bit in 0..count {
            let number = (random() * 3.0) as usize;
            parents
                .push((0..number.min(bit)).map(|_| ((random() * bit as f64) as usize, 2.0 * random() - 1.0)).collect());
        }
        let mut factors: Vec<(f64, Vec<usize>)> = Vec::new();
        for _ in 0..(random() * 6.0) as usize {
            let bits = (0..1 + (random() * 3.0) as usize).map(|_| (random() * count as f64) as usize).collect();
            factors.push((4.0 * random() - 2.0, bits));
        }
        let mut bits: Vars<'_> = Vec::new();
        for (number, parents) in parents.iter().enumerate() {
            let logit = parents.iter().fold(theta * 0.5, |sum, &(parent, weight)| sum + theta * weight * bits[parent]);
            bits.push(graph.sample(("b", number), &Bernoulli::from_logits(logit), &Enumerate::new())?);
        }
        for (number, (weight, on)) in factors.iter().enumerate() {
            let value = on.iter().fold(theta * *weight, |product, &bit| product * (bits[bit] + 0.5));
            graph.factor(&format!("factor {number}"), value)?;
        }
        let log_evidence = graph.log_evidence()?;
        let [slope] = tape.grad(log_evidence, [theta])?;
        let (log_evidence, slope) = (log_evidence.item()?, slope.item()?);
        let exact = |theta: f64| {
            let joint = |states: usize| {
                let on = |bit: usize| f64::from((states >> bit & 1) as u8);
                let mut log_weight = 0.0;
                for (bit, parents) in parents.iter().enumerate() {
                    let terms = parents.iter().map(|&(parent, weight)| theta * weight * on(parent));
                    let logit = theta * 0.5 + terms.sum::<f64>();
                    log_weight -= (if on(bit) == 1.0 { -logit } else { logit }).exp().ln_1p();
                }
                let weights = factors
                    .iter()
                    .map(|(weight, bits)| bits.iter().fold(theta * weight, |product, &bit| product * (on(bit) + 0.5)));
                (log_weight + weights.sum::<f64>()).exp()
            };
            (0..1_usize << count).map(joint).sum::<f64>().ln()
        };
        assert!((log_evidence - exact(0.7)).abs() < 1e-12 * (1.0 + log_evidence.abs()));
        let difference = (exact(0.7 + 1e-5) - exact(0.7 - 1e-5)) / 2e-5;
        assert!((slope - difference).abs() < 1e-8 * (1.0 + slope.abs()), "{slope}, {difference}");
    }
    Ok(())
}

#[test]
fn mistakes_are_explained() -> GraphResult<()> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(7));
    let half = tape.constant(0.5);
    graph.sample("bit", &Bernoulli::from_probabilities(half), &Enumerate::new())?;
    let message = graph.posteriors(["bits"]).expect_err("an unknown node").to_string();
    assert_eq!(message, "no enumerated node is called \"bits\"; there are: bit");
    Ok(())
}
