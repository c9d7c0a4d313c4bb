//! Two models with the symbols a and b and an end token, and sequences of at most four symbols.

use stochgrad::graph::{GraphResult, SequenceModel};
use stochgrad::prelude::*;

pub(crate) const A: f64 = 0.0;
pub(crate) const B: f64 = 1.0;
pub(crate) const END: f64 = 2.0;
pub(crate) const LONGEST: usize = 4;

/// A table of logits, with a row for the start, a and b, and what is known of it.
pub(crate) struct Case {
    pub(crate) table: [[f64; 3]; 3],
    /// The log-probabilities of "ab." and "bbaa", and their derivatives.
    pub(crate) log_probs: [(f64, [f64; 9]); 2],
    pub(crate) mean: f64,
    pub(crate) gradient: [f64; 9],
    /// The second derivative with respect to the logits of a after the start and of b after a.
    pub(crate) second: f64,
    pub(crate) variance_of_value: f64,
    pub(crate) variance_of_gradient: f64,
    pub(crate) variance_of_set_value: f64,
    pub(crate) variance_of_set_gradient: f64,
    /// The four most probable sequences, their probabilities, and their probabilities to be in a set of two.
    pub(crate) best: [(&'static str, f64, f64); 4],
    /// The greedy sequence and the best one of a beam of two, with their log-probabilities.
    pub(crate) found: [(&'static str, f64); 2],
}

pub(crate) const CASES: [Case; 2] = [
    Case {
        table: [[0.4, 0.1, -1.0], [0.2, -0.3, 0.5], [-0.6, 0.7, 0.1]],
        log_probs: [
            (
                -3.470378018,
                [
                    0.4968338736,
                    -0.3727546345,
                    -0.1240792391,
                    -0.3382504271,
                    0.7948407453,
                    -0.4565903182,
                    -0.1496322927,
                    -0.5490452729,
                    0.6986775655,
                ],
            ),
            (
                -4.569952395,
                [
                    -0.5031661264,
                    0.6272453655,
                    -0.1240792391,
                    0.6617495729,
                    -0.2051592547,
                    -0.4565903182,
                    0.7007354147,
                    -0.0980905457,
                    -0.602644869,
                ],
            ),
        ],
        mean: 1.732801835,
        gradient: [
            0.95239379,
            -0.7373890568,
            -0.2150047332,
            1.227815541,
            -0.3795228276,
            -0.8482927134,
            0.3985165074,
            -0.3353489885,
            -0.06316751886,
        ],
        second: -0.1472539161,
        variance_of_value: 13.28478864,
        variance_of_gradient: 58.86299015,
        variance_of_set_value: 6.147535254,
        variance_of_set_gradient: 34.18721747,
        best: [
            ("a.", 0.2297407818, 0.4189513135),
            (".", 0.1240792391, 0.2457006117),
            ("b.", 0.1123193339, 0.22411253),
            ("aa.", 0.07770991755, 0.1583409018),
        ],
        found: [("a.", -1.4708036), ("a.", -1.4708036)],
    },
    Case {
        table: [[-0.5, 0.6, 0.2], [1.0, 0.3, -0.4], [0.1, -0.8, 0.9]],
        log_probs: [
            (
                -3.540267715,
                [
                    0.8338295938,
                    -0.4992034885,
                    -0.3346261054,
                    -0.5736634766,
                    0.7151271482,
                    -0.1414636716,
                    -0.2753220134,
                    -0.1119375773,
                    0.3872595907,
                ],
            ),
            (
                -4.730081623,
                [
                    -0.1661704062,
                    0.5007965115,
                    -0.3346261054,
                    0.4263365234,
                    -0.2848728518,
                    -0.1414636716,
                    0.4493559732,
                    0.7761248454,
                    -1.225480819,
                ],
            ),
        ],
        mean: 1.709511245,
        gradient: [
            0.91648042,
            -0.34443333,
            -0.57204709,
            1.012555369,
            -0.6492725711,
            -0.3632827978,
            0.6893683689,
            -0.08969982651,
            -0.5996685424,
        ],
        second: -0.3172502142,
        variance_of_value: 17.64334732,
        variance_of_gradient: 55.86077805,
        variance_of_set_value: 7.312026828,
        variance_of_set_gradient: 28.95793531,
        best: [
            (".", 0.3346261054, 0.6052629792),
            ("b.", 0.3058821498, 0.5723088011),
            ("baaa", 0.04523066255, 0.1024164648),
            ("bb.", 0.03423970679, 0.07793760873),
        ],
        found: [("b.", -1.1845554), (".", -1.0947415)],
    },
];

/// A sequence in host code.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) tokens: [f64; LONGEST],
    pub(crate) symbols: Vec<usize>,
    pub(crate) probability: f64,
    /// The derivatives of the log-probability.
    pub(crate) score: [f64; 9],
}

impl Sequence {
    pub(crate) fn cost(&self) -> f64 {
        let of_a = self.symbols.iter().filter(|&&symbol| symbol == 0).count() as f64;
        let of_b = self.symbols.len() as f64 - of_a;
        of_a * of_a - of_b + 0.5 * self.symbols.len() as f64
    }
}

/// The tokens of a sequence that is written as in "ab.".
pub(crate) fn tokens(text: &str) -> [f64; LONGEST] {
    let mut tokens = [END; LONGEST];
    for (token, symbol) in tokens.iter_mut().zip(text.bytes()) {
        *token = match symbol {
            b'a' => A,
            b'b' => B,
            _ => END,
        };
    }
    tokens
}

/// All sequences, by their decisions.
pub(crate) fn sequences(table: &[[f64; 3]; 3]) -> Vec<Sequence> {
    let mut found = Vec::new();
    let mut open = vec![Sequence { tokens: [END; LONGEST], symbols: Vec::new(), probability: 1.0, score: [0.0; 9] }];
    while let Some(prefix) = open.pop() {
        if prefix.symbols.len() == LONGEST {
            found.push(prefix);
            continue;
        }
        let row = prefix.symbols.last().map_or(0, |symbol| symbol + 1);
        let total: f64 = table[row].iter().map(|logit| logit.exp()).sum();
        for token in 0..3 {
            let mut next = prefix.clone();
            next.probability *= table[row][token].exp() / total;
            for (other, logit) in table[row].iter().enumerate() {
                next.score[3 * row + other] += f64::from(u8::from(other == token)) - logit.exp() / total;
            }
            if token == 2 {
                found.push(next);
            } else {
                next.tokens[next.symbols.len()] = token as f64;
                next.symbols.push(token);
                open.push(next);
            }
        }
    }
    found
}

/// The cost of recorded sequences: (number of a)² − (number of b) + length / 2.
pub(crate) fn cost(tokens: Var<'_, f64>) -> Var<'_, f64> {
    let count = |token: f64| tokens.equal(tokens.tape().constant(token)).sum_axis(-1);
    count(A).square() - count(B) + (count(A) + count(B)) * 0.5
}

/// What a step of the model of a case is: the logits after a token.
pub(crate) trait Steps<'t>: Fn((), Var<'t, f64>) -> GraphResult<((), Var<'t, f64>)> {}
impl<'t, S: Fn((), Var<'t, f64>) -> GraphResult<((), Var<'t, f64>)>> Steps<'t> for S {}

/// The model of a table, recorded. Behind the end, the row does not matter.
pub(crate) fn model<'t>(
    graph: &Graph<'t, f64>,
    table: &[[f64; 3]; 3],
) -> GraphResult<SequenceModel<'t, f64, (), impl Steps<'t>>> {
    let logits = graph.param("logits", *table)?;
    let last_row = graph.constant(2.0);
    let step = move |(), last: Var<'t, f64>| Ok(((), logits.lookup((last + 1.0).minimum(last_row))));
    Ok(SequenceModel::new(LONGEST, (), graph.constant(-1.0), step).end(2))
}

#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 2e-9 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

#[track_caller]
pub(crate) fn assert_all_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_close(*found, *expected, what);
    }
}
