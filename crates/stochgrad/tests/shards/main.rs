//! A minibatch that is divided into shards gives the gradients of the whole minibatch, with the same noise.

#[allow(dead_code)]
#[path = "../exactness/distributions.rs"]
mod distributions;
#[allow(dead_code)]
#[path = "../exactness/entries.rs"]
mod entries;
mod methods;
