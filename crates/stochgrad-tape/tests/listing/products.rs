//! Products and factors of matrices, by plain loops.

use crate::interpreter::{Members, Value, build, indices};
use stochgrad_tape::{ListedValue, Listing, Op, Plate};

/// The value, as an element of a matrix in the last two event axes.
fn cell(x: &Value, members: &Members, lead: &[usize], [row, column]: [usize; 2], transpose: bool) -> f64 {
    let cell = if transpose { [column, row] } else { [row, column] };
    x.at(members, &[lead, &cell].concat())
}

/// The members of some plates that `members` lacks, joined with it.
pub(crate) fn each(listing: &Listing<'_, f64>, members: &Members, plates: &[Plate]) -> Vec<Members> {
    let sizes: Vec<usize> = plates.iter().map(|&plate| listing.plate(plate).size).collect();
    let joined = |index: Vec<usize>| {
        let mut members = members.clone();
        members.extend(plates.iter().copied().zip(index));
        members
    };
    indices(&sizes).into_iter().map(joined).collect()
}

pub(crate) fn evaluate(listing: &Listing<'_, f64>, listed: &ListedValue<'_, f64>, op: &Op, x: &[&Value]) -> Value {
    match op {
        Op::Matmul { transpose_left, transpose_right } => {
            let right = x[1].event();
            let inner = if *transpose_right { right[right.len() - 1] } else { right[right.len() - 2] };
            build(listed, |members, event| {
                let (&column, lead) = event.split_last().expect("a column");
                let product = |k: usize| {
                    if x[0].event().len() == 1 {
                        return x[0].at(members, &[k]) * cell(x[1], members, &[], [k, column], *transpose_right);
                    }
                    let (&row, lead) = lead.split_last().expect("a row");
                    cell(x[0], members, lead, [row, k], *transpose_left)
                        * cell(x[1], members, lead, [k, column], *transpose_right)
                };
                (0..inner).map(product).sum()
            })
        }
        Op::MatmulLeading => {
            let mut plates = x[0].plates.clone();
            plates.extend(x[1].plates.iter().filter(|plate| !x[0].plates.contains(plate)));
            let [left, right] = [0, 1].map(|i| &x[i].event()[..x[i].event().len() - 1]);
            let rank = left.len().max(right.len());
            let size = |lead: &[usize], axis: usize| (axis + lead.len()).checked_sub(rank).map_or(1, |at| lead[at]);
            let lead: Vec<usize> = (0..rank).map(|axis| size(left, axis).max(size(right, axis))).collect();
            let all = each(listing, &Members::new(), &plates);
            build(listed, |_, event| {
                let term = |members: &Members, lead: &[usize]| {
                    x[0].at(members, &[lead, &event[..1]].concat()) * x[1].at(members, &[lead, &event[1..]].concat())
                };
                all.iter().flat_map(|members| indices(&lead).into_iter().map(move |lead| term(members, &lead))).sum()
            })
        }
        Op::Dot => build(listed, |members, _| {
            indices(x[0].event()).iter().map(|at| x[0].at(members, at) * x[1].at(members, at)).sum()
        }),
        Op::DotOver(plates) => build(listed, |members, event| {
            let all = each(listing, members, plates);
            all.iter().map(|members| x[0].at(members, &[]) * x[1].at(members, event)).sum()
        }),
        Op::Cholesky => columns(listed, |members, lead, n| {
            let mut factor = vec![vec![0.0; n]; n];
            for i in 0..n {
                for j in 0..=i {
                    let known: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
                    let rest = cell(x[0], members, lead, [i, j], false) - known;
                    factor[i][j] = if i == j { rest.sqrt() } else { rest / factor[j][j] };
                }
            }
            factor
        }),
        Op::TriangularSolve { transpose } => columns(listed, |members, lead, n| {
            let triangle = |i, j| cell(x[0], members, lead, [i, j], *transpose);
            let count = *listed.event().last().expect("a column");
            let mut solution = vec![vec![0.0; count]; n];
            for step in 0..n {
                let i = if *transpose { n - 1 - step } else { step };
                let row = (0..count).map(|column| {
                    let known: f64 = (0..n).filter(|&j| j != i).map(|j| triangle(i, j) * solution[j][column]).sum();
                    (cell(x[1], members, lead, [i, column], false) - known) / triangle(i, i)
                });
                solution[i] = row.collect();
            }
            solution
        }),
        other => panic!("{other:?} is not a product"),
    }
}

/// Matrices in the last two event axes, each computed as a whole.
fn columns(listed: &ListedValue<'_, f64>, matrix: impl Fn(&Members, &[usize], usize) -> Vec<Vec<f64>>) -> Value {
    let rows = listed.event()[listed.event().len() - 2];
    build(listed, |members, event| {
        let (lead, cell) = event.split_at(event.len() - 2);
        matrix(members, lead, rows)[cell[0]][cell[1]]
    })
}
