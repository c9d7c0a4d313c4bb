//! Sampling plans: random numbers of several members that keep out of one another's way.
//!
//! Member $k$ of $n$ has, for each element, a number of the form
//!
//! $$u_k = \frac{\pi(k) + v_{j(k)}}{N},$$
//!
//! with a whole number $\pi(k)$, the stratum, that is drawn for each element, and uniform numbers $v$ that some members
//! share:
//!
//! | plan | strata $\pi$ | $N$ | shared |
//! |---|---|---|---|
//! | antithetic | none | 1 | $v$ by pairs, the second of which has $1 - v$ |
//! | stratified | a random order of $0, \dots, n - 1$ | $n$ | nothing |
//! | systematic | a random order of $0, \dots, n - 1$ | $n$ | one $v$ by all members |
//! | Sobol | the scrambled coordinates of the Sobol points | the power of two that reaches $n$ | nothing |
//!
//! Every $u_k$ by itself is uniform, and the numbers of one member are independent of one another: an average over members of any function of one member has the
//! right mean, and only its variance changes. Since the orders of two elements are independent, the stratified plan of several elements is a Latin
//! hypercube (McKay, Beckman and Conover 1979). Below the strata Owen's (1995) scrambling is independent for each point, so that this is the whole of it for $2^m$ points.

use crate::real::Real;
use crate::sampling::sobol;
use std::fmt;

/// How the members of a sample share and order their random numbers.
///
/// | plan | helps | does not help |
/// |---|---|---|
/// | antithetic | functions that are monotone, or nearly linear, in the noise: exact for odd ones | even functions: one of two evaluations is lost, the variance doubles |
/// | stratified | sums of functions of one element each, whatever they are; never worse than independent members but for a factor $n / (n - 1)$ (Owen 1997), for one element never | interactions of elements |
/// | systematic | smooth or monotone functions of one element | periodic functions, whose period the members meet |
/// | Sobol | smooth functions of a few important elements; the gain grows with $n$, best at powers of two | many elements of equal weight with interactions, jumps that are not along an axis |
///
/// Members depend on one another, hence nothing may be made of several of them together: no baseline of the other
/// members, no cost of several of them.
#[doc(alias = "Latin hypercube")]
#[doc(alias = "quasi-Monte Carlo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplingScheme {
    /// Members in pairs, one the mirror image of the other: u and 1 − u, or ε and −ε.
    Antithetic,
    /// One member in each of as many equal parts of (0, 1), for each element: a Latin hypercube where there are
    /// several.
    Stratified,
    /// The same, at one distance from the left ends of the parts: equally spaced members.
    Systematic,
    /// Points of a Sobol sequence with Owen's scrambling.
    Sobol {
        /// The dimension of the node's first element; nodes that share a plate should have dimensions of their own.
        first: usize,
    },
}

impl SamplingScheme {
    /// The Sobol plan from its first dimension on.
    pub fn sobol() -> Self {
        SamplingScheme::Sobol { first: 0 }
    }

    /// Checks that the plan can be made for so many elements a member.
    ///
    /// # Errors
    /// What was expected, what came, and what to try.
    pub fn check(self, members: usize, elements: usize) -> Result<(), String> {
        match self {
            SamplingScheme::Sobol { first } if first.saturating_add(elements) > sobol::DIMENSIONS => Err(format!(
                "the Sobol plan has direction numbers for {} dimensions, got {elements} elements from dimension {first} on; split the node, or use \
                 SamplingScheme::Stratified, which takes any number",
                sobol::DIMENSIONS
            )),
            _ if members > 1 << 24 => {
                Err(format!("expected at most 2^24 members for the {self} plan, got {members}; make several sets"))
            }
            _ => Ok(()),
        }
    }

    /// How many numbers an element draws for all members.
    pub fn numbers(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => members.div_ceil(2),
            SamplingScheme::Systematic => members.min(1),
            SamplingScheme::Stratified | SamplingScheme::Sobol { .. } => members,
        }
    }

    /// Which of these numbers belongs to a member.
    pub fn number_of(self, member: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => member / 2,
            SamplingScheme::Systematic => 0,
            SamplingScheme::Stratified | SamplingScheme::Sobol { .. } => member,
        }
    }

    /// How many random choices decide the strata of an element.
    pub fn choices(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => 0,
            SamplingScheme::Stratified | SamplingScheme::Systematic => members.saturating_sub(1),
            SamplingScheme::Sobol { .. } => self.strata(members) - 1,
        }
    }

    /// How many equally likely options a choice has.
    pub fn options(self, choice: usize) -> usize {
        match self {
            SamplingScheme::Antithetic | SamplingScheme::Sobol { .. } => 2,
            SamplingScheme::Stratified | SamplingScheme::Systematic => choice + 2,
        }
    }

    /// How many strata there are.
    pub fn strata(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => 1,
            SamplingScheme::Stratified | SamplingScheme::Systematic => members,
            SamplingScheme::Sobol { .. } => members.next_power_of_two(),
        }
    }

    /// The strata of all members for an element, given the choices.
    pub fn stratify(self, element: usize, choice: impl Fn(usize) -> usize, strata: &mut [u32]) {
        match self {
            SamplingScheme::Antithetic => strata.fill(0),
            SamplingScheme::Stratified | SamplingScheme::Systematic => {
                strata.iter_mut().enumerate().for_each(|(member, stratum)| *stratum = member as u32);
                for member in 1..strata.len() {
                    strata.swap(member, choice(member - 1));
                }
            }
            SamplingScheme::Sobol { first } => {
                let bits = self.strata(strata.len()).trailing_zeros();
                sobol::points(first + element, bits, strata);
                sobol::scramble(bits, strata, |interval| choice(interval) == 1);
            }
        }
    }

    /// Where the number of a member goes.
    pub fn place(self, members: usize, member: usize, stratum: u32) -> Place {
        Place {
            stratum: f64::from(stratum),
            strata: self.strata(members) as f64,
            mirrored: self == SamplingScheme::Antithetic && member % 2 == 1,
        }
    }

    /// Whether normal numbers are those of the members with another sign, and need no inversion.
    pub fn is_mirroring(self) -> bool {
        self == SamplingScheme::Antithetic
    }
}

impl fmt::Display for SamplingScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SamplingScheme::Antithetic => f.write_str("antithetic"),
            SamplingScheme::Stratified => f.write_str("stratified"),
            SamplingScheme::Systematic => f.write_str("systematic"),
            SamplingScheme::Sobol { first: 0 } => f.write_str("Sobol"),
            SamplingScheme::Sobol { first } => write!(f, "Sobol from dimension {first}"),
        }
    }
}

/// The part of (0, 1) that a number is moved to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    stratum: f64,
    strata: f64,
    mirrored: bool,
}

impl Place {
    /// The uniform number of a member, given a uniform number.
    pub fn uniform<F: Real>(self, v: F) -> F {
        if self.mirrored {
            return F::ONE - v;
        }
        // Rounding must not reach 1.
        F::from_f64((self.stratum + v.to_f64()) / self.strata).min(F::ONE - F::EPSILON * F::from_f64(0.5))
    }

    /// The normal number of a member, given the uniform number or, for mirrored pairs, the normal one that is its own.
    pub fn normal<F: Real>(self, plan: SamplingScheme, x: F) -> F {
        match plan.is_mirroring() {
            true if self.mirrored => -x,
            true => x,
            false => {
                let u = (self.stratum + x.to_f64()) / self.strata;
                F::from_f64(crate::special::normal_icdf(u.min(1.0 - 0.5 * f64::EPSILON)))
            }
        }
    }

    /// The interval that an interval of the uniform number is moved to.
    pub fn image(self, (low, high): (f64, f64)) -> (f64, f64) {
        match self.mirrored {
            true => (1.0 - high, 1.0 - low),
            false => ((self.stratum + low) / self.strata, (self.stratum + high) / self.strata),
        }
    }

    /// The interval that is moved to a given one.
    pub fn preimage(self, (low, high): (f64, f64)) -> (f64, f64) {
        match self.mirrored {
            true => (1.0 - high, 1.0 - low),
            false => (low * self.strata - self.stratum, high * self.strata - self.stratum),
        }
    }
}

/// One of several equally likely options, by a uniform number: the smallest one whose distribution function exceeds it.
fn option(u: f64, options: usize) -> usize {
    let exceeds = |option: usize| u < (option + 1) as f64 / options as f64;
    let mut found = ((u * options as f64) as usize).min(options - 1);
    while found > 0 && exceeds(found - 1) {
        found -= 1;
    }
    while found + 1 < options && !exceeds(found) {
        found += 1;
    }
    found
}

/// Numbers by a plan. `base` has the numbers and `choices` the uniform numbers that decide the strata, both along the
/// axis of the members with the sizes that the plan asks for; `outer` and `inner` are the numbers of entries before and
/// after that axis, and the last `elements` of the latter are the elements. `normal` asks for normal numbers: `base` is
/// uniform for them too, unless the plan [is mirroring](SamplingScheme::is_mirroring).
///
/// # Panics
/// If the lengths do not fit.
pub fn arrange<F: Real>(
    plan: SamplingScheme,
    normal: bool,
    [outer, members, inner]: [usize; 3],
    elements: usize,
    [base, choices]: [&[F]; 2],
    out: &mut [F],
) {
    let (numbers, decisions) = (plan.numbers(members), plan.choices(members));
    let mut strata: smallvec::SmallVec<[u32; 64]> = smallvec::SmallVec::from_elem(0, members);
    for before in 0..outer {
        for after in 0..inner {
            let choice = |number: usize| {
                let u = choices[(before * decisions + number) * inner + after];
                option(u.to_f64(), plan.options(number))
            };
            plan.stratify(after % elements.max(1), choice, &mut strata);
            for (member, &stratum) in strata.iter().enumerate() {
                let number = base[(before * numbers + plan.number_of(member)) * inner + after];
                let place = plan.place(members, member, stratum);
                out[(before * members + member) * inner + after] =
                    if normal { place.normal(plan, number) } else { place.uniform(number) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    const SCHEMES: [SamplingScheme; 4] = [
        SamplingScheme::Antithetic,
        SamplingScheme::Stratified,
        SamplingScheme::Systematic,
        SamplingScheme::Sobol { first: 1 },
    ];

    fn arranged<F: Real>(plan: SamplingScheme, normal: bool, sizes: [usize; 3], elements: usize, key: Key) -> Vec<F> {
        let [outer, members, inner] = sizes;
        let mut base = vec![F::ZERO; outer * plan.numbers(members) * inner];
        let mut choices = vec![F::ZERO; outer * plan.choices(members) * inner];
        if normal && plan.is_mirroring() {
            key.normal(0, &mut base)
        } else {
            key.uniform(0, &mut base)
        }
        key.derive("choices").uniform(0, &mut choices);
        let mut out = vec![F::ZERO; outer * members * inner];
        arrange(plan, normal, sizes, elements, [&base, &choices], &mut out);
        out
    }

    #[test]
    fn every_stratum_has_one_member() {
        for plan in [SamplingScheme::Stratified, SamplingScheme::Systematic, SamplingScheme::sobol()] {
            let found: Vec<f64> = arranged(plan, false, [3, 8, 5], 5, Key::new(1, 2, 3));
            for before in 0..3 {
                for after in 0..5 {
                    let numbers: Vec<f64> = (0..8).map(|member| found[(before * 8 + member) * 5 + after]).collect();
                    let mut strata: Vec<usize> = numbers.iter().map(|u| (u * 8.0) as usize).collect();
                    strata.sort_unstable();
                    assert_eq!(strata, [0, 1, 2, 3, 4, 5, 6, 7], "{plan}");
                    let distances = numbers.iter().map(|u| (u * 8.0).fract());
                    let spread = distances.clone().fold(0.0, f64::max) - distances.fold(1.0, f64::min);
                    assert_eq!(spread < 1e-12, plan == SamplingScheme::Systematic);
                }
            }
        }
        let pairs: Vec<f64> = arranged(SamplingScheme::Antithetic, true, [2, 5, 3], 3, Key::new(1, 2, 3));
        assert!(
            (0..3).all(|i| pairs[i] == -pairs[3 + i] && pairs[6 + i] == -pairs[9 + i] && pairs[12 + i] != -pairs[i])
        );
    }

    #[test]
    fn every_member_has_the_right_distribution() {
        for plan in SCHEMES {
            for members in [1, 3, 4] {
                // Mean and second moment of each member's two elements, and their product.
                let mut sums = vec![[0.0; 5]; members];
                let runs = 40_000;
                for run in 0..runs {
                    let found: Vec<f64> = arranged(plan, false, [1, members, 2], 2, Key::new(1, run, 3));
                    for (sums, pair) in sums.iter_mut().zip(found.chunks(2)) {
                        let (u, v) = (pair[0] - 0.5, pair[1] - 0.5);
                        for (sum, value) in sums.iter_mut().zip([u, v, u * u - 1.0 / 12.0, v * v - 1.0 / 12.0, u * v]) {
                            *sum += value / runs as f64;
                        }
                    }
                }
                // Four standard errors: 0.289 and 0.083 over 200.
                for sums in &sums {
                    assert!(sums[..2].iter().all(|sum| sum.abs() < 6e-3), "{plan}, {members}: {sums:?}");
                    assert!(sums[2..].iter().all(|sum| sum.abs() < 1.8e-3), "{plan}, {members}: {sums:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_stay_inside_the_open_interval() {
        for plan in SCHEMES {
            for member in [0, 1] {
                for (v, stratum) in [(1.0_f32 - f32::EPSILON / 2.0, 7), (f32::EPSILON / 2.0, 0)] {
                    let place = plan.place(8, member, if plan.is_mirroring() { 0 } else { stratum });
                    let u = place.uniform(v);
                    assert!(u > 0.0 && u < 1.0, "{plan}: {u}");
                    assert!(plan.is_mirroring() || place.normal(plan, v).is_finite());
                }
            }
        }
    }

    #[test]
    fn intervals_go_there_and_back() {
        for plan in SCHEMES {
            for member in 0..2 {
                let place = plan.place(4, member, if plan.is_mirroring() { 0 } else { 3 });
                let (low, high) = place.image((0.25, 0.5));
                assert!((place.uniform(0.375_f64) - 0.5 * (low + high)).abs() < 1e-15);
                let (low, high) = place.preimage((low, high));
                assert!((low - 0.25).abs() < 1e-15 && (high - 0.5).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn options_are_those_of_inversion() {
        for options in 1..7 {
            for i in 0..1000 {
                let u = (f64::from(i) + 0.5) / 1000.0;
                assert_eq!(option(u, options), (0..options).find(|k| u < (k + 1) as f64 / options as f64).unwrap());
            }
        }
    }

    #[test]
    fn what_cannot_be_planned_is_an_error() {
        assert!(SamplingScheme::sobol().check(4, 512).is_ok());
        let error = SamplingScheme::Sobol { first: 500 }.check(4, 13).unwrap_err();
        assert!(error.contains("512") && error.contains("Stratified"), "{error}");
        assert!(SamplingScheme::Stratified.check(1 << 25, 1).is_err());
    }
}
