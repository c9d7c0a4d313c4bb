//! Programs with control flow, whose expectations and derivatives are known exactly.

use stochgrad_triples::{Average, Run, Triple, average};

/// Sums as many binomial samples as another one says, with a jump in the cost.
fn sums(run: &mut Run, p: Triple, m: f64) -> Triple {
    let x = run.binomial(m, p);
    let sum = run.branch(x, |run, x| (0..x as u32).map(|i| run.binomial(f64::from(i + 1), p)).sum::<Triple>());
    run.branch(sum, |_, s| Triple::constant(if s < 3.0 { s * s } else { s + 6.0 }))
}

/// Tosses a coin until it shows heads.
fn tosses(run: &mut Run, p: Triple, m: f64) -> Triple {
    let start = (run.bernoulli(p), Triple::constant(0.0));
    let (_, k) = run.while_loop(start, |state| state.0, |coin| *coin == 0.0, |run, (_, k)| (run.bernoulli(p), k + 1.0));
    run.branch(k, |_, k| Triple::constant(if k < m { 3.0 * k } else { k * k }))
}

/// A sample of one of two distributions.
fn mixture(run: &mut Run, p: Triple, m: f64) -> Triple {
    let b = run.bernoulli(p);
    let y = run.branch(b, |run, b| if b == 1.0 { run.binomial(m, p.square()) } else { run.geometric(p) });
    run.branch([b, y], |_, [b, y]| Triple::constant(if y % 2.0 == 0.0 { (b + y).powi(2) } else { y }))
}

/// A random walk until it leaves an interval.
fn walk(run: &mut Run, p: Triple, m: f64) -> Triple {
    let start = [Triple::constant(0.0); 2];
    let [x, steps] = run.while_loop(
        start,
        |state| state[0],
        |x| x.abs() < m,
        |run, [x, steps]| [x + 2.0 * run.bernoulli(p) - 1.0, steps + 1.0],
    );
    steps + run.branch(x, |_, x| Triple::constant(if x == m { 5.0 } else { 0.0 }))
}

/// The steps of the Collatz sequence from a random start.
fn collatz(run: &mut Run, p: Triple, m: f64) -> Triple {
    let x = 1.0 + run.binomial(m + 3.0, p);
    let steps = run.branch(x, |_, mut n| {
        let mut count = 0.0;
        while n != 1.0 {
            n = if n % 2.0 == 0.0 { n / 2.0 } else { 3.0 * n + 1.0 };
            count += 1.0;
        }
        Triple::constant(count)
    });
    steps + p * x
}

type Board = [Triple; 9];

/// A step of Conway's game of life on nine cells, outside of which all are dead.
fn life_step(run: &mut Run, board: Board) -> Board {
    run.branch(board, |_, alive| {
        std::array::from_fn(|cell| {
            let near = |a: usize, b: usize| a.abs_diff(b) <= 1;
            let neighbours: f64 = (0..9)
                .filter(|&other| other != cell && near(other / 3, cell / 3) && near(other % 3, cell % 3))
                .map(|other| alive[other])
                .sum();
            Triple::constant(f64::from(u8::from(neighbours == 3.0 || (neighbours == 2.0 && alive[cell] == 1.0))))
        })
    })
}

fn life(run: &mut Run, p: Triple, steps: u32) -> Triple {
    let mut board: Board = std::array::from_fn(|_| run.bernoulli(p));
    for _ in 0..steps {
        board = life_step(run, board);
    }
    board.iter().sum::<Triple>().square()
}

fn noisy_life(run: &mut Run, flip: Triple, (steps, start): (u32, [u8; 9])) -> Triple {
    let mut board: Board = start.map(|cell| Triple::constant(f64::from(cell)));
    for _ in 0..steps {
        board = life_step(run, board).map(|cell| {
            let flips = run.bernoulli(flip);
            cell + flips - 2.0 * cell * flips
        });
    }
    board.iter().sum::<Triple>().square()
}

/// Checks an average against the exact expectation and derivative.
fn check(name: &str, at: f64, exact: [f64; 2], program: impl FnMut(&mut Run, Triple) -> Triple) {
    let mean = average(at, 60_000, 11, program).expect("a valid program");
    let Average { value, value_error, derivative, derivative_error } = mean;
    let errors = [(value - exact[0]) / value_error, (derivative - exact[1]) / derivative_error];
    println!("{name} at {at}: {value:.4} ± {value_error:.4}, {derivative:.4} ± {derivative_error:.4}");
    assert!(errors.iter().all(|error| error.abs() < 4.0), "{name} at {at}: {mean:?}, expected {exact:?}");
}

#[test]
fn sums_of_a_random_number_of_samples() {
    check("sums", 0.3, [0.51198507, 4.7309769], |run, p| sums(run, p, 3.0));
    check("sums", 0.6, [8.263278969, 29.16651508], |run, p| sums(run, p, 5.0));
}

#[test]
fn loops_of_random_length() {
    check("tosses", 0.3, [13.93622222, -113.8748148], |run, p| tosses(run, p, 3.0));
    check("tosses", 0.6, [2.166115556, -10.71318519], |run, p| tosses(run, p, 5.0));
    check("walk", 0.3, [6.77027027, 22.36303871], |run, p| walk(run, p, 3.0));
    check("walk", 0.6, [23.6, -74.0], |run, p| walk(run, p, 5.0));
}

#[test]
fn branches_with_draws_of_their_own() {
    check("mixture", 0.3, [5.818897478, -49.97510417], |run, p| mixture(run, p, 3.0));
    check("mixture", 0.6, [3.706986515, 13.90110027], |run, p| mixture(run, p, 5.0));
}

#[test]
fn host_loops_inside_a_branch() {
    check("collatz", 0.3, [4.172898, 12.32116], |run, p| collatz(run, p, 3.0));
    check("collatz", 0.6, [11.34752256, 26.6729088], |run, p| collatz(run, p, 5.0));
}

#[test]
fn vectors_of_cells() {
    check("life", 0.3, [4.476838842, 29.77213806], |run, p| life(run, p, 2));
    check("life", 0.6, [6.583320576, -7.92723456], |run, p| life(run, p, 3));
    let line = [0, 0, 0, 1, 1, 1, 0, 0, 0];
    check("noisy life", 0.1, [15.35185177, 35.10975627], |run, p| noisy_life(run, p, (2, line)));
    let cross = [0, 1, 0, 1, 1, 1, 0, 1, 0];
    check("noisy life", 0.25, [16.41561495, 30.51769779], |run, p| noisy_life(run, p, (3, cross)));
}
