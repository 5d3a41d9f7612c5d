//! A table of vectors, of which a few are looked up at a time; rounded like the weights around it where those decode.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::kernels;
use super::kernels::compact::{self, Compact};
use crate::weights::{Scope, WeightError};

/// A table of vectors.
#[derive(Debug)]
pub struct Embedding {
    table: Table,
    device: Device,
}

#[derive(Debug)]
enum Table {
    /// `[rows, width]`
    Tensor(Tensor<2>),
    Compact(Compact),
}

impl Embedding {
    pub fn load(scope: &Scope, rows: usize, width: usize) -> Result<Self, WeightError> {
        let table = match compact::precision(scope) {
            Some(precision) => {
                Table::Compact(Compact::read(std::slice::from_ref(scope), rows, width, precision)?)
            }
            None => Table::Tensor(scope.tensor("weight", [rows, width])?),
        };
        Ok(Self { table, device: scope.device().clone() })
    }

    /// The rows of `ids`, which must be smaller than the table: `[1, ids, width]`.
    pub fn forward(&self, ids: &[u32]) -> Tensor<3> {
        match &self.table {
            Table::Compact(table) => self.widened(table, ids.iter().map(|&id| id as usize)),
            Table::Tensor(table) => {
                let indices = ids.iter().map(|&id| id as i32).collect::<Vec<_>>();
                let indices: Tensor<1, Int> =
                    Tensor::from_data(TensorData::new(indices, [ids.len()]), &self.device);
                table.clone().select(0, indices).unsqueeze()
            }
        }
    }

    /// Consecutive rows: `[1, length, width]`.
    pub fn rows(&self, start: usize, length: usize) -> Tensor<3> {
        match &self.table {
            Table::Compact(table) => self.widened(table, start..start + length),
            Table::Tensor(table) => table.clone().narrow(0, start, length).unsqueeze(),
        }
    }

    fn widened(&self, table: &Compact, rows: impl ExactSizeIterator<Item = usize>) -> Tensor<3> {
        let shape = [1, rows.len(), table.inputs()];
        let mut values = Vec::with_capacity(shape.iter().product());
        for row in rows {
            table.append_row(row, &mut values);
        }
        kernels::host_tensor(values, shape, &self.device)
    }
}
