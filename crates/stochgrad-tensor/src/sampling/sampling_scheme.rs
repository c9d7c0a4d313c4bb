//! Sampling schemes: noise that several members share and order, so that the mean over members has a lower variance.
//!
//! For each element, member $k$ of $n$ has a uniform value of the form
//!
//! $$u_k = \frac{\pi(k) + v_{j(k)}}{N}.$$
//!
//! The integer $\pi(k)$ is the stratum of the member and is drawn for each element. The values $v$ are uniform, and
//! some members share one:
//!
//! | scheme | strata $\pi$ | $N$ | shared |
//! |---|---|---|---|
//! | antithetic | none | 1 | each pair shares $v$; the second member has $1 - v$, from the flipped random word |
//! | stratified | a random order of $0, \dots, n - 1$ | $n$ | nothing |
//! | systematic | a random order of $0, \dots, n - 1$ | $n$ | all members share one $v$ |
//! | Sobol | the scrambled coordinates of the Sobol points | the least power of two $\ge n$ | nothing |
//!
//! Each $u_k$ alone is uniform, and the values of one member are independent of one another. Hence the average over
//! members of a function of one member keeps its mean; only its variance changes. The orders of two elements are
//! independent, so the stratified scheme of several elements is a Latin hypercube (McKay, Beckman and Conover 1979).
//! Below the strata, Owen's (1995) scrambling is independent for each point; for $2^m$ points the strata together with
//! $v$ are therefore the complete scrambling.

use std::fmt;

use crate::random::Fill;
use crate::random::kind::unfold;
use crate::real::Real;
use crate::sampling::sobol;

/// How the members of a sample plate share and order their noise.
///
/// The documentation of each scheme says for which functions of the noise it lowers the variance of the mean over
/// members.
///
/// The members depend on one another. Do not combine several of them in one estimate: neither a baseline from the other
/// members nor a cost of several members is valid.
#[doc(alias = "Latin hypercube")]
#[doc(alias = "quasi-Monte Carlo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case", deny_unknown_fields))]
pub enum SamplingScheme {
    /// Pairs of members that mirror each other: u and 1 − u, or ε and −ε.
    ///
    /// It helps functions that are monotone, or nearly linear, in the noise, and is exact for odd ones. For even
    /// functions the variance doubles, since one of two evaluations is wasted.
    Antithetic,
    /// The interval (0, 1) is divided into n equal parts, and each part contains one member. For several elements this
    /// is a Latin hypercube.
    ///
    /// It helps sums of functions of one element each, of any form, but not interactions of elements. The variance is
    /// at most $n / (n - 1)$ times that of independent members (Owen 1997), and never larger for one element.
    Stratified,
    /// As stratified, with all members at the same distance from the left ends of their parts: equally spaced members.
    ///
    /// It helps smooth or monotone functions of one element, but not periodic functions whose period matches the
    /// spacing of the members.
    Systematic,
    /// Points of a Sobol sequence with Owen's scrambling.
    ///
    /// It helps smooth functions of a few important elements; the gain grows with $n$ and is largest at powers of two.
    /// It does not help with many elements of equal weight that interact, or with jumps that are not along an axis.
    Sobol {
        /// The dimension of the node's first element. Nodes that share a plate should use different dimensions.
        #[cfg_attr(feature = "serde", serde(default))]
        first: usize,
    },
}

impl SamplingScheme {
    /// The Sobol scheme that starts at the first dimension.
    pub fn sobol() -> Self {
        SamplingScheme::Sobol { first: 0 }
    }

    /// Checks that the scheme supports this number of members, and of elements for each member.
    ///
    /// # Errors
    /// A message that says what was expected, what it got, and what to try.
    pub fn check(self, members: usize, elements: usize) -> Result<(), String> {
        match self {
            SamplingScheme::Sobol { first } if first.saturating_add(elements) > sobol::DIMENSIONS => Err(format!(
                "expected a Sobol sequence with at most {} dimensions, got {elements} elements from dimension {first} \
                 on; split the node, or use SamplingScheme::Stratified, which takes any number of elements",
                sobol::DIMENSIONS
            )),
            _ if members > 1 << 24 => {
                Err(format!("expected at most 2^24 members for the {self} scheme, got {members}; draw several samples"))
            }
            _ => Ok(()),
        }
    }

    /// The number of values $v$ that an element draws for all its members.
    pub fn numbers(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => members.div_ceil(2),
            SamplingScheme::Systematic => members.min(1),
            SamplingScheme::Stratified | SamplingScheme::Sobol { .. } => members,
        }
    }

    /// The index of the value $v$ that a member uses, below [`numbers`](Self::numbers).
    pub fn number_of(self, member: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => member / 2,
            SamplingScheme::Systematic => 0,
            SamplingScheme::Stratified | SamplingScheme::Sobol { .. } => member,
        }
    }

    /// The number of random choices that determine the strata of an element.
    pub fn choices(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => 0,
            SamplingScheme::Stratified | SamplingScheme::Systematic => members.saturating_sub(1),
            SamplingScheme::Sobol { .. } => self.strata(members) - 1,
        }
    }

    /// The number of equally likely options of a choice.
    pub fn options(self, choice: usize) -> usize {
        match self {
            SamplingScheme::Antithetic | SamplingScheme::Sobol { .. } => 2,
            SamplingScheme::Stratified | SamplingScheme::Systematic => choice + 2,
        }
    }

    /// The number of strata, $N$.
    pub fn strata(self, members: usize) -> usize {
        match self {
            SamplingScheme::Antithetic => 1,
            SamplingScheme::Stratified | SamplingScheme::Systematic => members,
            SamplingScheme::Sobol { .. } => members.next_power_of_two(),
        }
    }

    /// Writes the strata of all members of an element, given the choices.
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

    /// The part of (0, 1) that contains the value of a member.
    pub fn place(self, members: usize, member: usize, stratum: u32) -> Place {
        Place {
            stratum: f64::from(stratum),
            strata: self.strata(members) as f64,
            mirrored: self == SamplingScheme::Antithetic && member % 2 == 1,
        }
    }

    /// Whether a member's normal sample is that of its partner with the opposite sign. Normal samples then need no
    /// inversion of the distribution function.
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

/// The part of (0, 1) that contains the value of a member, and the map of (0, 1) to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    stratum: f64,
    strata: f64,
    mirrored: bool,
}

impl Place {
    /// The uniform value of a member, given a uniform value $v$.
    pub fn uniform(self, v: f64) -> f64 {
        if self.mirrored {
            return 1.0 - v;
        }
        // Rounding must not reach 1.
        ((self.stratum + v) / self.strata).min(1.0 - 0.5 * f64::EPSILON)
    }

    /// The [folded](Fill::Folded) uniform value of a member, given the folded value $v$.
    pub fn folded<F: Real>(self, v: F) -> F {
        if self.mirrored {
            return -v;
        }
        let v = v.to_f64();
        let (low, high) = if v > 0.0 { (v, 1.0 - v) } else { (1.0 + v, -v) };
        let below = (self.stratum + low) / self.strata;
        let above = (self.strata - 1.0 - self.stratum + high) / self.strata;
        F::from_f64(if below < above { below } else { -above })
    }

    /// The normal sample of a member. `x` is a folded uniform value $v$ or, if the scheme
    /// [is mirroring](SamplingScheme::is_mirroring), a standard normal sample.
    pub fn normal<F: Real>(self, scheme: SamplingScheme, x: F) -> F {
        match scheme.is_mirroring() {
            true if self.mirrored => -x,
            true => x,
            false => {
                let u = self.folded(x.to_f64());
                let tail = crate::special::normal_icdf(u.abs());
                F::from_f64(if u > 0.0 { tail } else { -tail })
            }
        }
    }

    /// The image of an interval of $v$.
    pub fn image(self, (low, high): (f64, f64)) -> (f64, f64) {
        match self.mirrored {
            true => (1.0 - high, 1.0 - low),
            false => ((self.stratum + low) / self.strata, (self.stratum + high) / self.strata),
        }
    }

    /// The interval of $v$ whose image is the given interval.
    pub fn preimage(self, (low, high): (f64, f64)) -> (f64, f64) {
        match self.mirrored {
            true => (1.0 - high, 1.0 - low),
            false => (low * self.strata - self.stratum, high * self.strata - self.stratum),
        }
    }
}

/// One of several equally likely options, by inversion: the smallest one whose distribution function exceeds `u`.
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

/// Writes the noise of all members, jointly as the scheme says.
///
/// `out` has the layout `[outer, members, inner]`. `base` holds the values $v$ and `choices` the uniform values that
/// decide the strata; both have the same layout, with [`numbers`](SamplingScheme::numbers) and
/// [`choices`](SamplingScheme::choices) entries along the axis of the members. The last `elements` entries of `inner`
/// are the elements of a member. `base` is folded uniform noise, whatever the kind of the result is; only for a scheme
/// that [is mirroring](SamplingScheme::is_mirroring) and a normal result, it is normal.
///
/// # Panics
/// If a slice is shorter than its layout requires.
pub fn arrange<F: Real>(
    scheme: SamplingScheme,
    fill: Fill,
    [outer, members, inner]: [usize; 3],
    elements: usize,
    [base, choices]: [&[F]; 2],
    out: &mut [F],
) {
    let (values, decisions) = (scheme.numbers(members), scheme.choices(members));
    let mut strata: smallvec::SmallVec<[u32; 64]> = smallvec::SmallVec::from_elem(0, members);
    for before in 0..outer {
        for after in 0..inner {
            let choice = |index: usize| {
                let u = choices[(before * decisions + index) * inner + after];
                option(u.to_f64(), scheme.options(index))
            };
            scheme.stratify(after % elements.max(1), choice, &mut strata);
            for (member, &stratum) in strata.iter().enumerate() {
                let value = base[(before * values + scheme.number_of(member)) * inner + after];
                let place = scheme.place(members, member, stratum);
                out[(before * members + member) * inner + after] =
                    if fill == Fill::Normal { place.normal(scheme, value) } else { place.folded(value) };
            }
        }
    }
    unfold(fill, out);
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

    fn arranged<F: Real>(scheme: SamplingScheme, fill: Fill, sizes: [usize; 3], elements: usize, key: Key) -> Vec<F> {
        let [outer, members, inner] = sizes;
        let mut base = vec![F::ZERO; outer * scheme.numbers(members) * inner];
        let mut choices = vec![F::ZERO; outer * scheme.choices(members) * inner];
        let mirrors = fill == Fill::Normal && scheme.is_mirroring();
        key.fill(if mirrors { fill } else { Fill::Folded }, 0, &mut base);
        key.derive("choices").uniform(0, &mut choices);
        let mut out = vec![F::ZERO; outer * members * inner];
        arrange(scheme, fill, sizes, elements, [&base, &choices], &mut out);
        out
    }

    #[test]
    fn every_stratum_has_one_member() {
        for scheme in [SamplingScheme::Stratified, SamplingScheme::Systematic, SamplingScheme::sobol()] {
            let found: Vec<f64> = arranged(scheme, Fill::Uniform, [3, 8, 5], 5, Key::new(1, 2, 3));
            for before in 0..3 {
                for after in 0..5 {
                    let values: Vec<f64> = (0..8).map(|member| found[(before * 8 + member) * 5 + after]).collect();
                    let mut strata: Vec<usize> = values.iter().map(|u| (u * 8.0) as usize).collect();
                    strata.sort_unstable();
                    assert_eq!(strata, [0, 1, 2, 3, 4, 5, 6, 7], "{scheme}");
                    let distances = values.iter().map(|u| (u * 8.0).fract());
                    let spread = distances.clone().fold(0.0, f64::max) - distances.fold(1.0, f64::min);
                    assert_eq!(spread < 1e-12, scheme == SamplingScheme::Systematic);
                }
            }
        }
        let pairs: Vec<f64> = arranged(SamplingScheme::Antithetic, Fill::Normal, [2, 5, 3], 3, Key::new(1, 2, 3));
        assert!(
            (0..3).all(|i| pairs[i] == -pairs[3 + i] && pairs[6 + i] == -pairs[9 + i] && pairs[12 + i] != -pairs[i])
        );
    }

    #[test]
    fn every_member_has_the_right_distribution() {
        for scheme in SCHEMES {
            for members in [1, 3, 4] {
                // Mean and second moment of each member's two elements, and their product.
                let mut sums = vec![[0.0; 5]; members];
                let runs = 40_000;
                for run in 0..runs {
                    let found: Vec<f64> = arranged(scheme, Fill::Uniform, [1, members, 2], 2, Key::new(1, run, 3));
                    for (sums, pair) in sums.iter_mut().zip(found.chunks(2)) {
                        let (u, v) = (pair[0] - 0.5, pair[1] - 0.5);
                        for (sum, value) in sums.iter_mut().zip([u, v, u * u - 1.0 / 12.0, v * v - 1.0 / 12.0, u * v]) {
                            *sum += value / runs as f64;
                        }
                    }
                }
                // Four standard errors: 0.289 and 0.083 over 200.
                for sums in &sums {
                    assert!(sums[..2].iter().all(|sum| sum.abs() < 6e-3), "{scheme}, {members}: {sums:?}");
                    assert!(sums[2..].iter().all(|sum| sum.abs() < 1.8e-3), "{scheme}, {members}: {sums:?}");
                }
            }
        }
    }

    #[test]
    fn values_stay_inside_the_open_interval_and_keep_both_tails() {
        for scheme in SCHEMES {
            for member in [0, 1] {
                for stratum in [0, 7] {
                    let place = scheme.place(8, member, if scheme.is_mirroring() { 0 } else { stratum });
                    for v in [2.0_f32.powi(-33), -(2.0_f32.powi(-33)), 0.49999997, -0.49999997] {
                        let t = place.folded(v);
                        assert!(t != 0.0 && t.abs() <= 0.5, "{scheme}: {t}");
                        for fill in [Fill::Uniform, Fill::Mirrored] {
                            let mut x = [t];
                            unfold(fill, &mut x);
                            assert!(x[0] > 0.0 && x[0] < 1.0, "{scheme}: {fill:?} of {t}");
                        }
                        assert!(scheme.is_mirroring() || place.normal(scheme, v).is_finite());
                    }
                }
            }
        }
        let ends = [(0, 1e-9_f32, 1.25e-10), (7, -1e-9, -1.25e-10)];
        for (stratum, v, expected) in ends {
            assert_eq!(SamplingScheme::Stratified.place(8, 0, stratum).folded(v), expected);
        }
        assert_eq!(SamplingScheme::Antithetic.place(8, 1, 0).folded(1e-9_f32), -1e-9);
    }

    #[test]
    fn intervals_go_there_and_back() {
        for scheme in SCHEMES {
            for member in 0..2 {
                let place = scheme.place(4, member, if scheme.is_mirroring() { 0 } else { 3 });
                let (low, high) = place.image((0.25, 0.5));
                assert!((place.uniform(0.375) - 0.5 * (low + high)).abs() < 1e-15);
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
    fn too_many_elements_or_members_are_an_error() {
        assert!(SamplingScheme::sobol().check(4, 512).is_ok());
        let error = SamplingScheme::Sobol { first: 500 }.check(4, 13).unwrap_err();
        assert!(error.contains("512") && error.contains("Stratified"), "{error}");
        assert!(SamplingScheme::Stratified.check(1 << 25, 1).is_err());
    }
}
