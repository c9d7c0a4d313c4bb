//! Relaxations of rankings: perturbed logits to matrices whose rows are points of the simplex.
//!
//! A ranking of $k$ of $n$ items is a matrix with a one-hot row for each position. With perturbed logits $z$ and the
//! temperature $\tau$, row $i$ is
//!
//! | relaxation | row $i$ | source |
//! |---|---|---|
//! | successive softmax | $p^i = \operatorname{softmax}(\alpha^i / \tau)$, $\alpha^1 = z$, $\alpha^{i+1} = \alpha^i + \ln(1 - p^i)$ | Xie and Ermon (2019) |
//! | SoftSort | $\operatorname{softmax}(-\lvert z_{[i]} - z\rvert / \tau)$, $z_{[i]}$ the $i$-th largest | Prillo and Eisenschlos (2020) |
//! | NeuralSort | $\operatorname{softmax}\big(((n + 1 - 2i)\, z - A)/\tau\big)$, $A_j = \sum_m \lvert z_j - z_m\rvert$ | Grover et al. (2019) |
//!
//! As $\tau$ approaches 0, all three approach the matrix of the sorted items.

use crate::distribution::Order;
use stochgrad_tape::{Var, special};
use stochgrad_tensor::map::Map;
use stochgrad_tensor::{Real, Tensor};

/// The relaxation of a ranking: how perturbed logits become a matrix whose rows are points of the simplex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankingRelaxation {
    /// One softmax for each position, after which the weight of the items that were taken is removed. The sum of the
    /// rows is a relaxed subset. With one position, it is Gumbel-softmax. Time and memory are proportional to positions
    /// × items.
    #[default]
    SuccessiveSoftmax,
    /// A softmax of the distances to the sorted values. It has kinks where two items are equal, so that its derivatives
    /// are valid at order 1. Time and memory are proportional to positions × items.
    SoftSort,
    /// A softmax of a sum over pairs of items. It has kinks where two items are equal, so that its derivatives are
    /// valid at order 1. Time and memory are proportional to items².
    NeuralSort,
}

impl RankingRelaxation {
    /// The order up to which derivatives of the expectation of a smooth function of the relaxed ranking are valid.
    pub(crate) fn order(self) -> Order {
        match self {
            RankingRelaxation::SuccessiveSoftmax => Order::Any,
            RankingRelaxation::SoftSort | RankingRelaxation::NeuralSort => Order::Finite(1),
        }
    }

    /// The first `positions` rows of the relaxed ranking: shape `[…, positions, items]` for perturbed logits of shape
    /// `[…, items]`.
    pub(crate) fn soften<'t, F: Real>(
        self,
        perturbed: Var<'t, F>,
        positions: usize,
        temperature: Var<'t, F>,
    ) -> Var<'t, F> {
        let column = perturbed.unsqueeze(-1);
        let row = perturbed.unsqueeze(-2);
        match self {
            RankingRelaxation::SuccessiveSoftmax => successive_softmax(perturbed, positions, temperature),
            RankingRelaxation::SoftSort => {
                let (sorted, _) = perturbed.topk(-1, positions);
                (-(sorted.unsqueeze(-1) - row).abs() / temperature).softmax(-1)
            }
            RankingRelaxation::NeuralSort => {
                let items = perturbed.shape().last().copied().unwrap_or(0) as f64;
                let slopes = Tensor::from_fn([positions, 1], |i| F::from_f64(items - 1.0 - 2.0 * i as f64));
                let distances = (column - row).abs().sum_axis(-1).unsqueeze(-2);
                ((row * perturbed.tape().constant(slopes) - distances) / temperature).softmax(-1)
            }
        }
    }
}

fn successive_softmax<'t, F: Real>(perturbed: Var<'t, F>, positions: usize, temperature: Var<'t, F>) -> Var<'t, F> {
    // A softmax that rounds to 1 would leave the logarithm of 0.
    let highest = -4.0 * F::EPSILON.to_f64();
    let mut open = perturbed;
    let mut rows = Vec::with_capacity(positions);
    for position in 0..positions {
        let logs = (open / temperature).log_softmax(-1);
        rows.push(logs.exp().unsqueeze(-2));
        if position + 1 < positions {
            open = open + special::log1mexp(logs.map(Map::MinScalar(highest)));
        }
    }
    Var::concat(&rows, -2).unwrap_or(perturbed)
}
