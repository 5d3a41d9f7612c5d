//! Products of strided matrices through the `gemm` crate, behind bounds that are checked before it is called.
//!
//! Rows may overlap: a convolution is then a product whose left side is the signal itself, read with rows that start one
//! step apart.
#![expect(unsafe_code, reason = "gemm takes pointers; every view is checked against its slice first")]

/// Element (i, j) lies at `i·row_stride + j·column_stride`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, `row_stride` apart.
    pub(super) fn of_rows(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn is_within(&self) -> bool {
        self.rows == 0
            || self.columns == 0
            || (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride < self.values.len()
    }
}

/// `y = keep·y + scale·a·b` with `keep` 0 or 1, where `y` has rows `y_stride` apart. On one thread: callers share out.
///
/// # Panics
/// When a view reaches beyond its slice or the shapes do not fit.
pub(super) fn multiply(y: &mut [f32], y_stride: usize, a: Matrix<'_>, b: Matrix<'_>, scale: f32, keep: bool) {
    let (rows, columns) = (a.rows, b.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(a.columns == b.rows, "{} columns times {} rows", a.columns, b.rows);
    assert!(a.is_within() && b.is_within(), "a matrix reaches beyond its values");
    assert!(y_stride >= columns && (rows - 1) * y_stride + columns <= y.len(), "the product does not fit");
    // SAFETY: all elements of the three views lie within their slices (asserted above); `y` is borrowed mutably and its
    // elements are distinct, since a row ends before the next begins.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            a.columns,
            y.as_mut_ptr(),
            1,
            y_stride as isize,
            keep,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            if keep { 1.0 } else { 0.0 },
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_rows_and_a_transposed_side_multiply_like_a_sum_over_indices() {
        let signal: Vec<f32> = (0..20).map(|v| v as f32 * 0.5 - 3.0).collect();
        // Five rows of four values that start two apart, times the transpose of a 3×4 matrix.
        let a = Matrix::of_rows(&signal, 5, 4, 2);
        let weights: Vec<f32> = (0..12).map(|v| (v * v % 7) as f32).collect();
        let b = Matrix::of_rows(&weights, 3, 4, 4).transposed();
        let mut y = vec![1.0; 5 * 3];
        multiply(&mut y, 3, a, b, 2.0, true);
        for row in 0..5 {
            for column in 0..3 {
                let sum: f32 = (0..4).map(|k| signal[row * 2 + k] * weights[column * 4 + k]).sum();
                assert!((y[row * 3 + column] - (1.0 + 2.0 * sum)).abs() < 1e-4, "{row} {column}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "reaches beyond")]
    fn a_view_beyond_its_values_is_refused() {
        let values = [0.0; 10];
        let mut y = [0.0; 4];
        multiply(&mut y, 2, Matrix::of_rows(&values, 2, 6, 6), Matrix::of_rows(&values, 6, 1, 1), 1.0, false);
    }
}
