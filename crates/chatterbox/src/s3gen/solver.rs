//! Walks from noise to mel along the velocity that the U-net estimates, in Euler steps.

use std::f32::consts::FRAC_PI_2;

use burn::tensor::Tensor;

use super::unet::UNet;
use crate::nn::past::{Memory, Recall, Surroundings};
use crate::variant::Solver;

impl Solver {
    /// The times of a solve, from noise (0) to mel (1), as each step's start and end.
    fn steps(self, steps: usize) -> Vec<(f32, f32)> {
        let share = |k| k as f32 / steps as f32;
        let time = |k| match self {
            Self::Meanflow => share(k),
            Self::Cfm { .. } => 1.0 - (share(k) * FRAC_PI_2).cos(),
        };
        (0..steps).map(|k| (time(k), time(k + 1))).collect()
    }

    /// Solves in `steps` steps.
    ///
    /// # Shapes
    /// `x` the noise `[1, frames, 80]`; `conditions` `[1, frames, 240]`; `mask` `[1, 1, 1, frames]` → mel `[1, frames, 80]`
    pub fn solve(
        self,
        steps: usize,
        estimator: &UNet,
        mut x: Tensor<3>,
        conditions: Tensor<3>,
        mask: Option<&Tensor<4>>,
    ) -> Tensor<3> {
        let conditions = match self {
            Self::Meanflow => conditions,
            // The second row knows neither tokens nor speaker nor prompt.
            Self::Cfm { .. } => Tensor::cat(vec![conditions.clone(), conditions.zeros_like()], 0),
        };
        for (t, r) in self.steps(steps) {
            let velocity = match self {
                Self::Meanflow => {
                    estimator.forward(x.clone(), conditions.clone(), t, r, Surroundings::Whole(mask))
                }
                Self::Cfm { guidance } => {
                    let both = estimator.forward(
                        x.clone().repeat_dim(0, 2),
                        conditions.clone(),
                        t,
                        r,
                        Surroundings::Whole(mask),
                    );
                    both.clone().narrow(0, 0, 1) * (1.0 + guidance) - both.narrow(0, 1, 1) * guidance
                }
            };
            x = x + velocity * (r - t);
        }
        x
    }
}

/// One walk of meanflow's over the frames behind those that `memories` (one a step, as the network hears another signal
/// in each) remember; of the new ones the first `kept` join them. Attention reaches `most` frames back.
///
/// # Shapes
/// as [`Solver::solve`]
pub(super) fn solve_behind(
    steps: usize,
    estimator: &UNet,
    mut x: Tensor<3>,
    conditions: &Tensor<3>,
    memories: &mut [Memory],
    (kept, most): (usize, usize),
) -> Tensor<3> {
    for ((t, r), memory) in Solver::Meanflow.steps(steps).into_iter().zip(memories) {
        let around = Surroundings::Behind(Recall::new(memory, kept, most));
        let velocity = estimator.forward(x.clone(), conditions.clone(), t, r, around);
        x = x + velocity * (r - t);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_meanflow_steps_are_the_two_halves() {
        assert_eq!(Solver::Meanflow.steps(2), [(0.0, 0.5), (0.5, 1.0)]);
    }

    #[test]
    fn cfm_steps_follow_a_cosine_and_meet() {
        let steps = Solver::Cfm { guidance: 0.7 }.steps(10);
        assert_eq!(steps.len(), 10);
        assert!(steps.windows(2).all(|pair| pair[0].1.to_bits() == pair[1].0.to_bits()), "{steps:?}");
        for (k, expected) in [(0, 0.0), (1, 0.012_311_7), (5, 0.292_893_2), (9, 0.843_565_5)] {
            assert!((steps[k].0 - expected).abs() < 1e-6, "step {k}: {}", steps[k].0);
        }
        assert!((steps[9].1 - 1.0).abs() < 1e-6);
    }
}
