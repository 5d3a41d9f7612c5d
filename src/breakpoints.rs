//! Named places where a test lets the program die, or lets a disk fail.
//!
//! `DECLAIM_BREAK="die after rename 2"` ends the process, as a loss of power would, when it comes to that place for the
//! second time; `fail` instead of `die` makes the disk fail there once. Only builds with debug assertions look at it: in what
//! is published [`reach`] is nothing.

use std::io;

/// Every place, in the order in which a job comes to them.
pub const PLACES: &[&str] = &[
    "before adding",
    "after adding",
    "before claim",
    "after claim",
    "before chunk",
    "before sync",
    "after sync",
    "after rename",
    "after folder sync",
    "before checkpoint",
    "after checkpoint",
    "before joining",
    "before finish",
    "after finish",
];

/// Comes to a place where only the process can end.
pub fn pass(place: &'static str) {
    // A failure that is wished for here has nobody to be told to.
    let _ = reach(place);
}

/// Comes to a place where the disk can fail. What happens there is up to the environment; without it, nothing.
///
/// # Errors
/// When the disk is to fail here.
#[cfg(debug_assertions)]
pub fn reach(place: &'static str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Plan {
        dies: bool,
        place: String,
        passages: AtomicU32,
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    debug_assert!(PLACES.contains(&place), "{place} is not in the list");
    let plan = PLAN.get_or_init(|| {
        let wish = std::env::var("DECLAIM_BREAK").ok()?;
        let (what, rest) = wish.split_once(' ')?;
        let (place, passages) = rest.rsplit_once(' ')?;
        Some(Plan {
            dies: what == "die",
            place: place.to_owned(),
            passages: AtomicU32::new(passages.parse().ok()?),
        })
    });
    let Some(plan) = plan.as_ref().filter(|plan| plan.place == place) else { return Ok(()) };
    if plan.passages.fetch_sub(1, Ordering::Relaxed) != 1 {
        return Ok(());
    }
    if plan.dies {
        // No destructor runs and nothing is flushed.
        std::process::abort();
    }
    Err(io::Error::other(format!("the test wants it {place}")))
}

#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the one that tests use")]
#[inline]
pub fn reach(_place: &'static str) -> io::Result<()> {
    Ok(())
}
