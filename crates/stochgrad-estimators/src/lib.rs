//! stochgrad-estimators
