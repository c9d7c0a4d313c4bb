//! stochgrad
