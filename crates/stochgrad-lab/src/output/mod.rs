//! Reports: a table, JSON and CSV.

mod csv;
mod json;
mod number;
mod selection;
mod svg;
mod table;
