//! Loops that are compiled for the vector units of the machine, which is detected at run time.
//!
//! [`dispatch!`] compiles a function three times: for the baseline of the target, with AVX2 and FMA, and with AVX-512.
//! Its body must consist of `#[inline(always)]` functions, so that the whole loop is compiled for the wider registers.
//! Plain arithmetic gives the same bits at every level. The functions of [`crate::kernels::elementary`] use fused
//! multiply-adds where the level has them; their results differ between levels within the stated errors.

use std::sync::atomic::{AtomicU8, Ordering};

/// The vector instructions of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// The baseline of the target.
    Portable = 1,
    /// 256 bits, and fused multiply-adds.
    Avx2 = 2,
    /// 512 bits, and fused multiply-adds.
    Avx512 = 3,
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The level of this machine, detected at the first call.
#[inline]
pub(crate) fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => detect(),
    }
}

#[cold]
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
    LEVEL.store(level as u8, Ordering::Relaxed);
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
                    $crate::simd::Level::Portable => {}
                }
            }
            $body::<false, $($kind),*>($($argument),*)
        }
    };
}

pub(crate) use dispatch;
