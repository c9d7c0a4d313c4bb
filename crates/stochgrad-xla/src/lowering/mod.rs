//! Lowering of compiled graphs to StableHLO.
