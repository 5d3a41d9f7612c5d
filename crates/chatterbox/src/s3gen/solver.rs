//! Walks from noise to mel along the estimated velocity.

/// The times of a solve, from noise (0) to mel (1).
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Vec<f32>);

impl Schedule {
    /// Meanflow's: equal steps.
    pub fn linear(steps: usize) -> Self {
        Self((0..=steps).map(|k| k as f32 / steps as f32).collect())
    }

    /// Each step's start and end.
    pub fn steps(&self) -> impl Iterator<Item = (f32, f32)> + '_ {
        self.0.windows(2).map(|pair| (pair[0], pair[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_are_the_two_halves() {
        assert_eq!(Schedule::linear(2).steps().collect::<Vec<_>>(), [(0.0, 0.5), (0.5, 1.0)]);
    }
}
