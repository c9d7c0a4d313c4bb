//! Files of comma-separated values.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use stochgrad_nn::{Inputs, NnError};
use stochgrad_tensor::{Real, Tensor};

use super::{Epoch, MinibatchIter, OwnMembers, Source, Tensors};
use crate::error::{TrainError, TrainResult};

/// Reads named columns of a file of comma-separated values, whose first line has the names.
///
/// ```
/// use stochgrad_train::source::CsvReader;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("irises.csv");
/// std::fs::write(&path, "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n")?;
///
/// let irises = CsvReader::new().columns("flowers", ["length", "width"]).category("species", "species").read::<f32>(&path)?;
/// assert_eq!(irises.tensors().get("flowers").unwrap().shape()[..], [3, 2]);
/// assert_eq!(irises.tensors().get("species").unwrap().as_slice(), [0.0, 1.0, 0.0]);
/// assert_eq!(irises.categories("species").unwrap(), ["setosa", "versicolor"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvReader {
    delimiter: u8,
    fields: Vec<(String, Field)>,
}

/// What a tensor is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    /// One column of numbers, of shape `[members]`.
    Column(String),
    /// Columns of numbers, of shape `[members, columns]`.
    Columns(Vec<String>),
    /// The columns that no other field uses.
    OtherColumns,
    /// A column of categories, and all that are allowed if they are known.
    Category(String, Option<Vec<String>>),
}

/// The tensors of a file of comma-separated values. It is a [`Source`] of them.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvTable<F: Real> {
    tensors: Tensors<F>,
    categories: Vec<(String, Vec<String>)>,
}

impl Default for CsvReader {
    fn default() -> Self {
        Self::new()
    }
}

impl CsvReader {
    /// A reader of no columns, whose cells are separated by commas.
    pub fn new() -> Self {
        Self { delimiter: b',', fields: Vec::new() }
    }

    /// Sets the character between cells, such as `b';'` or `b'\t'`.
    pub fn delimiter(self, delimiter: u8) -> Self {
        Self { delimiter, ..self }
    }

    /// Adds a tensor of shape `[members]`: a column of numbers.
    pub fn column(self, name: impl Into<String>, column: impl Into<String>) -> Self {
        self.with(name, Field::Column(column.into()))
    }

    /// Adds a tensor of shape `[members, columns]`: some columns of numbers.
    pub fn columns(self, name: impl Into<String>, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(name, Field::Columns(columns.into_iter().map(Into::into).collect()))
    }

    /// Adds a tensor of shape `[members, columns]`: all columns that no other tensor uses, which are numbers.
    pub fn other_columns(self, name: impl Into<String>) -> Self {
        self.with(name, Field::OtherColumns)
    }

    /// Adds a tensor of shape `[members]`: the indices of the categories of a column. The categories are those that
    /// occur, in alphabetical order.
    pub fn category(self, name: impl Into<String>, column: impl Into<String>) -> Self {
        self.with(name, Field::Category(column.into(), None))
    }

    /// Adds a tensor of shape `[members]`: the indices of the categories of a column in a list. Use it if several files
    /// need the same indices, such as files for training and test.
    pub fn category_among(
        self,
        name: impl Into<String>,
        column: impl Into<String>,
        categories: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let categories = categories.into_iter().map(Into::into).collect();
        self.with(name, Field::Category(column.into(), Some(categories)))
    }

    fn with(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.push((name.into(), field));
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has no rows or rows of different lengths, lacks a column, or has a cell that is not a
    /// finite number or one of the allowed categories. The error names the line and the column.
    pub fn read<F: Real>(&self, path: impl AsRef<Path>) -> TrainResult<CsvTable<F>> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| TrainError::io("read", path, "check the path", error))?;
        self.read_from(path, BufReader::new(file))
    }

    fn read_from<F: Real>(&self, path: &Path, text: impl Read) -> TrainResult<CsvTable<F>> {
        let file = Cells::read(path, self.delimiter, text)?;
        let mut table = CsvTable { tensors: Tensors::new(), categories: Vec::new() };
        for (name, field) in &self.fields {
            let tensor = match field {
                Field::Column(column) => {
                    Tensor::new(file.numbers(&[file.find(column)?])?, [file.rows.len()]).map_err(NnError::from)?
                }
                Field::Columns(columns) => {
                    file.matrix(&columns.iter().map(|column| file.find(column)).collect::<TrainResult<Vec<_>>>()?)?
                }
                Field::OtherColumns => file.matrix(&self.others(&file))?,
                Field::Category(column, allowed) => {
                    let column = file.find(column)?;
                    let categories = allowed.clone().unwrap_or_else(|| file.distinct(column));
                    let indices = file.indices(column, &categories)?;
                    table.categories.push((name.clone(), categories));
                    Tensor::new(indices, [file.rows.len()]).map_err(NnError::from)?
                }
            };
            table.tensors = table.tensors.with(name, tensor)?;
        }
        Ok(table)
    }

    /// The columns that no field names.
    fn others(&self, file: &Cells<'_>) -> Vec<usize> {
        let is_used = |header: &str| {
            self.fields.iter().any(|(_, field)| match field {
                Field::Column(column) | Field::Category(column, _) => column == header,
                Field::Columns(columns) => columns.iter().any(|column| column == header),
                Field::OtherColumns => false,
            })
        };
        (0..file.header.len()).filter(|&column| !is_used(&file.header[column])).collect()
    }
}

impl<F: Real> CsvTable<F> {
    /// The tensors by name.
    pub fn tensors(&self) -> &Tensors<F> {
        &self.tensors
    }

    /// The categories of a tensor of indices: index `i` is the category at position `i`.
    pub fn categories(&self, name: &str) -> Option<&[String]> {
        self.categories.iter().find(|(known, _)| known == name).map(|(_, categories)| &categories[..])
    }
}

impl<F: Real> Source<F> for CsvTable<F> {
    fn size(&self) -> Option<usize> {
        self.tensors.size()
    }

    fn minibatches(&self, epoch: Epoch) -> TrainResult<MinibatchIter<'_, F>> {
        self.tensors.minibatches(epoch)
    }

    fn own_minibatches(&self, epoch: Epoch, own: OwnMembers) -> TrainResult<MinibatchIter<'_, F>> {
        self.tensors.own_minibatches(epoch, own)
    }

    fn rows(&self) -> TrainResult<Option<Inputs<F>>> {
        self.tensors.rows()
    }
}

/// All cells of a file.
struct Cells<'a> {
    path: &'a Path,
    header: StringRecord,
    rows: Vec<StringRecord>,
}

impl<'a> Cells<'a> {
    fn read(path: &'a Path, delimiter: u8, text: impl Read) -> TrainResult<Self> {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(Trim::All).from_reader(text);
        let unreadable = |error: csv::Error| {
            let found = error.to_string();
            TrainError::content(path, "comma-separated values in UTF-8", found, "convert the file")
        };
        let header = reader.headers().map_err(unreadable)?.clone();
        if let Some(position) = (0..header.len()).find(|&i| (0..i).any(|j| header[i] == header[j])) {
            let found = format!("two columns \"{}\"", &header[position]);
            return Err(TrainError::content(
                path,
                "columns with different names in line 1",
                found,
                "rename one of them",
            ));
        }
        let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let file = Self { path, header, rows };
        if let Some(row) = file.rows.iter().find(|row| row.len() != file.header.len()) {
            return Err(TrainError::content(
                path,
                format!("{} cells in line {}, as in line 1", file.header.len(), line(row)),
                row.len().to_string(),
                "check the delimiter, and quote cells that contain it",
            ));
        }
        if file.rows.is_empty() {
            return Err(TrainError::content(
                path,
                "at least one row below the names of the columns",
                "none",
                "check the file",
            ));
        }
        Ok(file)
    }

    /// The position of a column.
    fn find(&self, column: &str) -> TrainResult<usize> {
        self.header.iter().position(|known| known == column).ok_or_else(|| {
            let known: Vec<&str> = self.header.iter().collect();
            let hint = "pass a name of the first line, and check the delimiter";
            TrainError::content(self.path, format!("a column \"{column}\""), format!("the columns {known:?}"), hint)
        })
    }

    /// The numbers of some columns, row by row.
    fn numbers<F: Real>(&self, columns: &[usize]) -> TrainResult<Vec<F>> {
        let cells = self.rows.iter().flat_map(|row| columns.iter().map(move |&column| (row, column)));
        let number = |(row, column): (&StringRecord, usize)| match row[column].parse::<f64>() {
            Ok(number) if F::from_f64(number).is_finite() => Ok(F::from_f64(number)),
            _ => Err(self.invalid_cell("a finite number", row, column, "correct the cell, or leave the row out")),
        };
        cells.map(number).collect()
    }

    fn matrix<F: Real>(&self, columns: &[usize]) -> TrainResult<Tensor<F>> {
        let shape = [self.rows.len(), columns.len()];
        Ok(Tensor::new(self.numbers(columns)?, shape).map_err(NnError::from)?)
    }

    /// The categories of a column in alphabetical order.
    fn distinct(&self, column: usize) -> Vec<String> {
        let mut categories: Vec<String> = self.rows.iter().map(|row| row[column].to_owned()).collect();
        categories.sort_unstable();
        categories.dedup();
        categories
    }

    fn indices<F: Real>(&self, column: usize, categories: &[String]) -> TrainResult<Vec<F>> {
        let index = |row: &StringRecord| {
            categories.iter().position(|category| *category == row[column]).map(|i| F::from_f64(i as f64)).ok_or_else(
                || self.invalid_cell(&format!("one of {categories:?}"), row, column, "add it to the categories"),
            )
        };
        self.rows.iter().map(index).collect()
    }

    fn invalid_cell(&self, expected: &str, row: &StringRecord, column: usize, hint: &'static str) -> TrainError {
        let place = format!("{expected} in line {}, column \"{}\"", line(row), &self.header[column]);
        TrainError::content(self.path, place, format!("\"{}\"", &row[column]), hint)
    }
}

/// The number of the line at which a row starts, from 1.
fn line(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IRISES: &str = "\u{feff}length, width ,\"species, latin\",weight\n\
        5.1,3.5,setosa,1\n\
        7.0,3.2,\"versi\ncolor\",-2e-1\n\
        \n\
        4.9,3.0, setosa ,.5\n";

    fn read(reader: &CsvReader, text: &str) -> TrainResult<CsvTable<f64>> {
        reader.read_from(Path::new("irises.csv"), text.as_bytes())
    }

    #[test]
    fn columns_become_tensors() {
        let reader = CsvReader::new()
            .other_columns("rest")
            .column("weight", "weight")
            .category("species", "species, latin")
            .columns("reversed", ["width", "length"]);
        let table = read(&reader, IRISES).unwrap();
        let tensors = table.tensors();
        assert_eq!(tensors.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["rest", "weight", "species", "reversed"]);
        assert_eq!(*tensors.get("weight").unwrap(), Tensor::from([1.0, -0.2, 0.5]));
        assert_eq!(*tensors.get("species").unwrap(), Tensor::from([0.0, 1.0, 0.0]));
        assert_eq!(*tensors.get("reversed").unwrap(), Tensor::from([[3.5, 5.1], [3.2, 7.0], [3.0, 4.9]]));
        assert_eq!(tensors.get("rest").unwrap().shape()[..], [3, 0]);
        assert_eq!(table.categories("species").unwrap(), ["setosa", "versi\ncolor"]);
        assert!(table.categories("weight").is_none());
        let table = read(&CsvReader::new().category("species", "species, latin").other_columns("x"), IRISES).unwrap();
        let minibatch = table.minibatches(Epoch::in_order(2)).unwrap().nth(1).unwrap().unwrap();
        assert_eq!(*minibatch.get("x").unwrap(), Tensor::from([[4.9, 3.0, 0.5]]));
        assert_eq!(table.size(), Some(3));
    }

    #[test]
    fn given_categories_have_their_indices() {
        let reader = CsvReader::new().delimiter(b';').category_among("y", "y", ["b", "c", "a"]);
        let table = read(&reader, "y;z\na;1\nb;2\n").unwrap();
        assert_eq!(*table.tensors().get("y").unwrap(), Tensor::from([2.0, 0.0]));
        let error = read(&reader, "y;z\na;1\nd;2\n").unwrap_err().to_string();
        assert!(error.contains("one of [\"b\", \"c\", \"a\"] in line 3, column \"y\", got \"d\""), "{error}");
    }

    #[test]
    fn bad_files_are_errors_with_their_place() {
        let reader = CsvReader::new().columns("x", ["a", "b"]);
        for (text, part) in [
            ("", "at least one row"),
            ("b\n1\n", "a column \"a\", got the columns [\"b\"]"),
            ("a,b\n", "at least one row"),
            ("a,b\n1,2\n3,x\n", "irises.csv: expected a finite number in line 3, column \"b\", got \"x\""),
            ("a,b\n1,\n", "line 2, column \"b\", got \"\""),
            ("a,b\n1,NaN\n", "got \"NaN\""),
            ("a,b\n1,inf\n", "got \"inf\""),
            ("a,b\n1,1e999\n", "got \"1e999\""),
            ("a,b\n1,2\n1,2,3\n", "2 cells in line 3, as in line 1, got 3"),
            ("a,b,a\n1,2,3\n", "two columns \"a\""),
            ("a;b\n1;2\n", "the columns [\"a;b\"]"),
        ] {
            let error = read(&reader, text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let broken = reader.read_from::<f64>(Path::new("x"), &b"a,b\n\xff,1\n"[..]).unwrap_err().to_string();
        assert!(broken.contains("UTF-8"), "{broken}");
        let large = CsvReader::new().column("a", "a").read_from::<f32>(Path::new("x"), &b"a\n1e39\n"[..]);
        assert!(large.unwrap_err().to_string().contains("1e39"));
        let twice = CsvReader::new().column("x", "a").column("x", "b");
        assert!(read(&twice, "a,b\n1,2\n").unwrap_err().to_string().contains("taken"));
        let missing = CsvReader::new().read::<f64>("missing/irises.csv").unwrap_err().to_string();
        assert!(missing.contains("missing/irises.csv"), "{missing}");
    }
}
