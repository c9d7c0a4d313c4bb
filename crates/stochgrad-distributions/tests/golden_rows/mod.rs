//! The tables of known values.

// Several test programs include this file, and each uses a part of it.
#![allow(dead_code)]

use std::path::Path;

/// One line of a table.
pub(crate) struct Row {
    pub(crate) distribution: String,
    pub(crate) function: String,
    pub(crate) parameters: Vec<f64>,
    pub(crate) argument: Vec<f64>,
    pub(crate) value: Vec<f64>,
}

fn numbers(field: &str) -> Vec<f64> {
    field.split(';').filter(|part| !part.is_empty()).map(|part| part.parse().expect("a number")).collect()
}

/// All lines of all tables.
pub(crate) fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of tables")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        let mut reader = csv::Reader::from_path(&file).expect("a table");
        for record in reader.records() {
            let record = record.expect("a line");
            rows.push(Row {
                distribution: record[0].to_string(),
                function: record[1].to_string(),
                parameters: numbers(&record[2]),
                argument: numbers(&record[3]),
                value: numbers(&record[4]),
            });
        }
    }
    rows
}
