//! The inverse of the regularised incomplete beta function.

use super::beta::Part;
use super::gamma::digamma;
use super::log_beta::log_beta;
use super::logistic::sigmoid;
use super::numeric::{inside, is_positive, is_probability, single};
use super::root::evaluated_root;
use super::saddle_point::log_beta_kernel;
use crate::lowering::builder::Value;

/// The x with I_x(a, b) = p and 1 − I_x(a, b) = q.
pub(crate) fn beta_inc_inverse_of<'b>(a: Value<'b>, b: Value<'b>, p: Value<'b>, q: Value<'b>) -> Value<'b> {
    single("beta_inc_inverse_of", [a, b, p, q], |[own_a, own_b, p, q]| {
        let valid = is_positive(own_a) & is_positive(own_b) & is_probability(p) & is_probability(q);
        let ends = p.equal(0.0) | q.equal(0.0);
        // Products of shapes must not overflow. Two such shapes leave a single value, which depends on their ratio
        // only.
        let huge = own_a.max(own_b).gt(1e300) & own_a.min(own_b).gt(1e200);
        let scale = huge.select(p.fill(1e-20), 1.0);
        let (a, b) = ((own_a * scale).min(1e305), (own_b * scale).min(1e305));
        // All mass is at the ends: b / (a + b) at 0, and a / (a + b) at 1.
        let at_ends = a.max(b).lt(1e-200);
        let end = (p / q).le(b / a).select(p.fill(0.0), 1.0);
        let first = p.lt(q);
        let log_p = first.select(p.ln(), (-q).log1p());
        let log_q = first.select((-p).log1p(), q.ln());
        let log_beta = log_beta(a, b);
        // ln x in the limit of small x, and ln y in that of small y.
        let (log_x, log_y) = ((log_p + a.ln() + log_beta) / a, (log_q + b.ln() + log_beta) / b);
        let small_x = (log_x + b.max(1.0).ln()).lt(-40.0);
        let small_y = (log_y + a.max(1.0).ln()).lt(-40.0);
        let upper = q.lt(p);
        // The logarithm of the smaller probability minus the target, as an increasing function of the logit, and its
        // slope.
        let miss = |x: Value<'b>, y: Value<'b>| {
            let part = Part::of(a, b, x, y);
            let log = part.log_of(!upper);
            let slope = part.kernel_over(!upper, log_beta_kernel(a, b, x, y));
            [upper.select(log_q - log, log - log_p), slope]
        };
        let guess = (digamma(a) - digamma(b)).max(-700.0).min(700.0);
        let wanted = valid & !ends & !at_ends & !small_x & !small_y;
        let bracket = [p.fill(-745.0), p.fill(745.0)];
        let [logit, value, slope] = evaluated_root(wanted, bracket, guess, |s| miss(sigmoid(s), sigmoid(-s)));
        let (x, y) = (sigmoid(logit), sigmoid(-logit));
        // A last step at the rounded values, since the logit may have more rounding error than the smaller of them.
        let step = value / slope;
        let fine = step.abs().le(1e-6) & x.differs(0.0) & y.differs(0.0);
        let better = x.le(y).select(x * (1.0 - step * y), 1.0 - y * (step * x + 1.0));
        let root = fine.select(better, x);
        let limit = at_ends.select(end, small_x.select(log_x.exp(), small_y.select(1.0, root)));
        inside(valid, p.equal(0.0).select(0.0, q.equal(0.0).select(1.0, limit)))
    })
}
