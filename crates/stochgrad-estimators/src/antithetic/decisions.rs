//! Categories as sequences of binary decisions.
//!
//! A binary tree with the categories as leaves has $C - 1$ inner nodes. At node $v$ a bit goes right with probability
//! $\theta_v$: the probability of the categories to the right of $v$, given those below $v$. The category is the leaf
//! where the path ends. Sticks are the tree with one category to the right of each node: is it the first category,
//! otherwise the second one, and so on. The bits are independent, and only those on the path matter.

use stochgrad_distributions::{DistributionError, IndependentCategories};
use stochgrad_graph::{GraphResult, SampleContext};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::{Real, Shape, Tensor};

/// A lower bound for the sums of probabilities that are divided by.
const TINY: f64 = 1e-30;

/// The categories on the two sides of each inner node.
struct Tree {
    right: Vec<Vec<usize>>,
    left: Vec<Vec<usize>>,
}

impl Tree {
    /// One category to the right of each node.
    fn sticks(categories: usize) -> Self {
        let nodes = 0..categories.saturating_sub(1);
        Tree {
            right: nodes.clone().map(|node| vec![node]).collect(),
            left: nodes.map(|node| (node + 1..categories).collect()).collect(),
        }
    }

    /// Halves of equal size, as far as possible.
    fn balanced(categories: usize) -> Self {
        let mut tree = Tree { right: Vec::new(), left: Vec::new() };
        let mut pending = vec![(0, categories)];
        while let Some((start, end)) = pending.pop() {
            if end - start >= 2 {
                let middle = start + (end - start) / 2;
                tree.left.push((start..middle).collect());
                tree.right.push((middle..end).collect());
                pending.extend([(start, middle), (middle, end)]);
            }
        }
        tree
    }

    /// A matrix with a row for each node: 1 at the categories of its list.
    fn matrix<'t, F: Real>(lists: &[Vec<usize>], categories: usize, tape: &'t Tape<F>) -> Var<'t, F> {
        let entry = |i: usize| F::from_usize(usize::from(lists[i / categories].contains(&(i % categories))));
        tape.constant(Tensor::from_fn([lists.len(), categories], entry))
    }
}

/// The binary decisions that determine the categories of a stochastic node.
pub(crate) struct Decisions<'t, F: Real> {
    /// Nodes by categories.
    right: Var<'t, F>,
    left: Var<'t, F>,
    /// For each element, the one-hot vectors of the categories in the order of the leaves; `None` if the leaves are in
    /// the given order.
    order: Option<Var<'t, F>>,
    /// The probabilities of the categories, in the order of the leaves.
    probabilities: Var<'t, F>,
    /// The probabilities of the categories to the right and to the left of each node.
    masses: [Var<'t, F>; 2],
    /// The probability that a node's bit is 1.
    pub(crate) chance: Var<'t, F>,
}

/// The path to a category.
pub(crate) struct Way<'t, F: Real> {
    /// 1 at the inner nodes on the path.
    pub(crate) reached: Var<'t, F>,
    /// 1 at the inner nodes where the path goes right.
    pub(crate) bit: Var<'t, F>,
}

impl<'t, F: Real> Decisions<'t, F> {
    /// Sticks, with the least likely category first, so that no sample stops at a stick with a probability above 1/2.
    pub(crate) fn sticks(distribution: &impl IndependentCategories<'t, F>) -> Self {
        let p = distribution.category_log_probs().stop_gradient().exp();
        let categories = count(p);
        let tape = p.tape();
        // The rank of a category is the number of those before it; the later one of two equal ones comes later.
        let earlier =
            Tensor::from_fn([categories, categories], |i| F::from_usize(usize::from(i % categories < i / categories)));
        let (one, other) = (p.unsqueeze(-1), p.unsqueeze(-2));
        let before = other.lt(one) + other.equal(one) * tape.constant(earlier);
        let order = before.sum_axis(-1).one_hot(categories);
        let rank = order.shape().len();
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(rank.saturating_sub(2), rank.saturating_sub(1));
        Self::new(p, Some(order.permute(&axes)), Tree::sticks(categories))
    }

    /// A balanced tree over the categories in their own order.
    pub(crate) fn balanced(distribution: &impl IndependentCategories<'t, F>) -> Self {
        let p = distribution.category_log_probs().stop_gradient().exp();
        Self::new(p, None, Tree::balanced(count(p)))
    }

    fn new(probabilities: Var<'t, F>, order: Option<Var<'t, F>>, tree: Tree) -> Self {
        let tape = probabilities.tape();
        let categories = count(probabilities);
        let [right, left] = [&tree.right, &tree.left].map(|lists| Tree::matrix(lists, categories, tape));
        let probabilities = arrange(order, probabilities);
        let masses = [right, left].map(|side| probabilities.matmul(side.transpose()));
        // Exactly 0 or 1 where one side is impossible, and 0 where both are.
        let chance = masses[0] / (masses[0] + masses[1]).maximum(tape.constant(TINY));
        Decisions { right, left, order, probabilities, masses, chance }
    }

    /// The axes of the bits of one value.
    pub(crate) fn event(&self) -> Shape {
        self.chance.shape()
    }

    /// The one-hot vectors of the categories where the paths with these bits end.
    pub(crate) fn end(&self, bits: Var<'t, F>) -> Var<'t, F> {
        let astray = (1.0 - bits).matmul(self.right) + bits.matmul(self.left);
        let leaf = astray.lt(self.chance.tape().constant(0.5));
        match self.order {
            None => leaf,
            Some(order) => (order * leaf.unsqueeze(-1)).sum_axis(-2),
        }
    }

    /// The path to the categories with these one-hot vectors, which may have further axes in front.
    pub(crate) fn way(&self, one_hot: Var<'t, F>) -> Way<'t, F> {
        let leaf = arrange(self.order, one_hot);
        let bit = leaf.matmul(self.right.transpose());
        Way { reached: bit + leaf.matmul(self.left.transpose()), bit }
    }

    /// Turns a gradient with respect to the log-odds of the bits into one with respect to the log-probabilities of the
    /// categories.
    pub(crate) fn gradient(&self, by_log_odds: Var<'t, F>) -> Var<'t, F> {
        let tiny = self.chance.tape().constant(TINY);
        let [right, left] = self.masses.map(|mass| by_log_odds / mass.maximum(tiny));
        let by_position = self.probabilities * (right.matmul(self.right) - left.matmul(self.left));
        match self.order {
            None => by_position,
            Some(order) => (order * by_position.unsqueeze(-1)).sum_axis(-2),
        }
    }
}

/// Checks that there are at least two categories, without which there is no decision.
pub(crate) fn check_categories<'t, F: Real>(
    context: &SampleContext<'_, 't, F>,
    distribution: &impl IndependentCategories<'t, F>,
) -> GraphResult<()> {
    let categories = count(distribution.category_log_probs());
    if categories >= 2 {
        return Ok(());
    }
    Err(context.error(DistributionError::Unsupported {
        distribution: distribution.name(),
        problem: format!(
            "antithetic decisions need at least 2 categories, got {categories}; use a constant, or ScoreFunction for \
             any number of them"
        ),
    }))
}

fn count<F: Real>(probabilities: Var<'_, F>) -> usize {
    probabilities.shape().last().copied().unwrap_or(0)
}

/// Rearranges numbers for the categories to the order of the leaves.
fn arrange<'t, F: Real>(order: Option<Var<'t, F>>, by_category: Var<'t, F>) -> Var<'t, F> {
    match order {
        None => by_category,
        Some(order) => (order * by_category.unsqueeze(-2)).sum_axis(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use stochgrad_distributions::OneHotCategorical;

    fn all<'t>(tape: &'t Tape<f64>, logits: [f64; 5]) -> [Decisions<'t, f64>; 2] {
        let distribution = OneHotCategorical::from_logits(tape.constant(logits));
        [Decisions::sticks(&distribution), Decisions::balanced(&distribution)]
    }

    #[test]
    fn the_bits_have_the_distribution_of_the_categories() {
        let logits = [0.3, -1.0, 2.0, 0.3, -0.5];
        let total: f64 = logits.iter().map(|l: &f64| l.exp()).sum();
        let tape = Tape::<f64>::new();
        for decisions in all(&tape, logits) {
            let chance = decisions.chance.peek().unwrap();
            let mut found = [0.0; 5];
            for pattern in 0..16_usize {
                let bits = [0, 1, 2, 3].map(|v| (pattern >> v & 1) as f64);
                let probability: f64 =
                    bits.iter().zip(chance.as_slice()).map(|(b, c)| if *b > 0.0 { *c } else { 1.0 - c }).product();
                let end = decisions.end(tape.constant(bits));
                assert_eq!(end.sum().item(), Ok(1.0));
                let way = decisions.way(end);
                // The path of a category has the bits that led to it.
                assert_eq!((way.reached * (way.bit - tape.constant(bits))).square().sum().item(), Ok(0.0));
                for (found, end) in found.iter_mut().zip(end.peek().unwrap().as_slice()) {
                    *found += probability * end;
                }
            }
            for (found, logit) in found.iter().zip(logits) {
                assert_abs_diff_eq!(*found, logit.exp() / total, epsilon = 1e-14);
            }
        }
        let [sticks, _] = all(&tape, logits);
        assert!(sticks.chance.peek().unwrap().as_slice().iter().all(|&chance| chance <= 0.5));
    }

    #[test]
    fn impossible_categories_are_never_reached() {
        let tape = Tape::<f64>::new();
        let no = f64::NEG_INFINITY;
        for decisions in all(&tape, [no, no, 0.4, no, 0.1]) {
            let chance = decisions.chance.peek().unwrap();
            assert!(chance.all_finite());
            for pattern in 0..16_usize {
                let bits = [0, 1, 2, 3].map(|v| (pattern >> v & 1) as f64);
                let possible = bits.iter().zip(chance.as_slice()).all(|(b, c)| *c != 1.0 - b);
                let end = decisions.end(tape.constant(bits)).peek().unwrap().to_vec();
                assert!(!possible || end[2] + end[4] == 1.0, "{bits:?} {end:?}");
            }
            assert!(decisions.gradient(decisions.chance).peek().unwrap().all_finite());
        }
    }
}
