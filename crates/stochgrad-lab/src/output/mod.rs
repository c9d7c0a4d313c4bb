//! Reports: a table, JSON, CSV, pictures and pages.

mod csv;
mod html;
mod json;
mod number;
mod selection;
mod svg;
mod table;
