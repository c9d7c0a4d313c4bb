//! stochgrad-check
