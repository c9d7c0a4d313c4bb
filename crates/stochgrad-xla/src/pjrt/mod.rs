//! A client of PJRT plugins.
