//! See `stochgrad_fuzzing::graph`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    stochgrad_fuzzing::graph(bytes);
});
