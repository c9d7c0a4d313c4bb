//! Loops that are compiled for the vector units of the machine, which is detected at run time.
//!
//! [`dispatch!`] compiles a function three times: for the baseline of the target, with AVX2 and FMA, and with AVX-512.
//! Its body must consist of `#[inline(always)]` functions, so that the whole loop is compiled for the wider registers.
//! Plain arithmetic gives the same bits at every level. The functions of [`crate::kernels::elementary`] use fused
//! multiply-adds where the level has them; their results differ between levels within the stated errors.
//!
//! The environment variable `STOCHGRAD_SIMD` replaces the detection, so that machines that differ give the same bits. It
//! is read once, by the first kernel.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// The environment variable that forces a level.
const VARIABLE: &str = "STOCHGRAD_SIMD";

/// The vector instructions of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// The baseline of the target, and products by plain loops: nothing depends on the instructions of the machine.
    /// This level is never detected, since the loops are slower than the kernels of the other levels.
    Plain = 1,
    /// The baseline of the target, and products by kernels that detect the instructions of the machine.
    Portable = 2,
    /// 256 bits, and fused multiply-adds.
    Avx2 = 3,
    /// 512 bits, and fused multiply-adds.
    Avx512 = 4,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level of this machine, detected at the first call, or the forced one.
///
/// # Panics
/// If the environment variable has an unknown value or the machine lacks the level.
#[inline]
pub(crate) fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Plain,
        2 => Level::Portable,
        3 => Level::Avx2,
        4 => Level::Avx512,
        _ => choose(),
    }
}

#[cold]
fn choose() -> Level {
    let detected = detect();
    let level = std::env::var_os(VARIABLE).map_or(Ok(detected), |wanted| forced(&wanted, detected));
    let level = level.unwrap_or_else(|problem| panic!("{problem}"));
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// The level that the environment variable names.
fn forced(wanted: &OsStr, detected: Level) -> Result<Level, String> {
    let level = match wanted.to_str() {
        Some("portable") => Level::Plain,
        Some("avx2") => Level::Avx2,
        Some("avx512") => Level::Avx512,
        _ => {
            return Err(format!(
                "the environment variable {VARIABLE}: expected portable, avx2 or avx512, got {wanted:?}; unset it to \
                 use the instructions of the machine"
            ));
        }
    };
    if level > detected {
        return Err(format!(
            "the environment variable {VARIABLE}: expected a level of this machine, which has {detected:?}, got \
             {wanted:?}; use portable for the same bits on every machine"
        ));
    }
    Ok(level)
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    let level = {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        match (avx2, avx512) {
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            _ => Level::Portable,
        }
    };
    #[cfg(not(target_arch = "x86_64"))]
    let level = Level::Portable;
    level
}

/// Defines the function `$name`, which calls `$body` compiled for the level of the machine.
///
/// `$body` is an `#[inline(always)]` function whose first generic argument, a `bool`, says whether fused multiply-adds
/// are cheap.
macro_rules! dispatch {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$($kind:ident: $bound:path),*>(
            $($argument:ident: $type:ty),* $(,)?
        ) $(-> $result:ty)? = $body:ident;
    ) => {
        $(#[$attribute])*
        #[inline]
        #[allow(unsafe_code)]
        $visibility fn $name<$($kind: $bound),*>($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                fn avx512<$($kind: $bound),*>($($argument: $type),*) $(-> $result)? {
                    $body::<true, $($kind),*>($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2<$($kind: $bound),*>($($argument: $type),*) $(-> $result)? {
                    $body::<true, $($kind),*>($($argument),*)
                }
                match $crate::simd::level() {
                    // SAFETY: `level` has detected these features.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::simd::Level::Plain | $crate::simd::Level::Portable => {}
                }
            }
            $body::<false, $($kind),*>($($argument),*)
        }
    };
}

pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;
    use crate::kernels::map::{Map, map};
    use crate::kernels::matmul::matmul;
    use crate::kernels::reduce::{Reduce, reduce};
    use crate::storage::{pool::Pool, tensor::Tensor};

    #[test]
    fn known_levels_of_the_machine_are_accepted_and_others_are_errors() {
        let forced = |wanted: &str, detected| forced(OsStr::new(wanted), detected);
        assert_eq!(forced("portable", Level::Portable), Ok(Level::Plain));
        assert_eq!(forced("avx2", Level::Avx512), Ok(Level::Avx2));
        assert_eq!(forced("avx512", Level::Avx512), Ok(Level::Avx512));
        for (wanted, part) in [("avx512", "which has Avx2"), ("AVX2", "expected portable, avx2"), ("", "avx512, got")] {
            let message = forced(wanted, Level::Avx2).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    /// A digest of element-wise functions, a reduction and products.
    fn digest() -> u64 {
        let pool = Pool::<f64>::new();
        let x = Tensor::from_fn([60, 70], |i| 6.0 * (i as f64 * 0.618_033_988_749_895).fract() - 3.0);
        let y = map(&pool, Map::Exp, &map(&pool, Map::Tanh, &x));
        let single = matmul(&Pool::new(), &x.cast::<f32>(), false, &y.cast::<f32>(), true).cast();
        let products = [matmul(&pool, &x, false, &y, true), matmul(&pool, &x, true, &y, false), single];
        let sum = reduce(&pool, Reduce::LogSumExp, &x, &[1], false);
        products.iter().chain([&y, &sum]).flat_map(|tensor| tensor.as_slice()).fold(0, |digest: u64, value| {
            (digest ^ value.to_bits()).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17)
        })
    }

    #[test]
    fn a_process_with_a_forced_level() {
        println!("level {:?}, digest {:016x}", level(), digest());
    }

    fn run(wanted: &str) -> Output {
        let name = "simd::tests::a_process_with_a_forced_level";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]).env(VARIABLE, wanted).output().unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "starts processes")]
    fn the_environment_forces_the_level() {
        let digest = |wanted: &str, level: Level| {
            let output = run(wanted);
            let text = String::from_utf8(output.stdout).unwrap();
            let start = format!("level {level:?}, digest ");
            let at = text.find(&start).unwrap_or_else(|| panic!("{text}")) + start.len();
            text[at..at + 16].to_owned()
        };
        // Plain arithmetic with a fixed order, so this value is the same on every machine.
        assert_eq!(digest("portable", Level::Plain), PLAIN_DIGEST);
        let detected = detect();
        if detected >= Level::Avx2 {
            assert_ne!(digest("avx2", Level::Avx2), PLAIN_DIGEST);
        }
        if detected >= Level::Avx512 {
            assert_eq!(digest("avx512", Level::Avx512), digest("avx2", Level::Avx2));
        }
        let output = run("sse9");
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("STOCHGRAD_SIMD") && text.contains("sse9"), "{text}");
    }

    const PLAIN_DIGEST: &str = "92fb37a102d67b3b";
}
