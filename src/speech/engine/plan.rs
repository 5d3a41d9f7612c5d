//! Which models must go so that another can come: a plan on plain numbers, made anew for each load.
//!
//! The rule: whoever has not been used for longest goes first, nobody who is in use goes at all, and nothing goes as long
//! as the new model fits beside what is there.

use std::time::Instant;

/// A model in memory.
#[derive(Clone, Debug)]
pub(super) struct Resident {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) in_use: bool,
    pub(super) used_at: Instant,
}

/// What must happen before a model is loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Load, after unloading these; none where it fits beside all that is there.
    Load { unload_first: Vec<String> },
    /// Load when this one is free: the two do not fit together.
    Wait { on: String },
}

/// Plans for a model that takes `needed` bytes where all models together may take `budget`.
///
/// A model that is larger than the whole budget is loaded alone: the budget decides what makes room, not what may run.
pub(super) fn plan(needed: u64, residents: &[Resident], budget: u64) -> Plan {
    let mut taken: u64 = residents.iter().map(|resident| resident.bytes).sum();
    let fits = |taken: u64| taken.saturating_add(needed) <= budget;
    let mut idle: Vec<&Resident> = residents.iter().filter(|resident| !resident.in_use).collect();
    idle.sort_by_key(|resident| resident.used_at);
    let mut unload_first = Vec::new();
    for resident in idle {
        if fits(taken) {
            break;
        }
        taken -= resident.bytes;
        unload_first.push(resident.name.clone());
    }
    let busy = residents.iter().find(|resident| resident.in_use);
    match busy {
        // Nothing is given up for a load that cannot happen yet.
        Some(busy) if !fits(taken) => Plan::Wait { on: busy.name.clone() },
        _ => Plan::Load { unload_first },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn resident(name: &str, bytes: u64, seconds_ago: u64) -> Resident {
        // Counted from a fixed moment; the system may have been up for less than the ages used here.
        let start = Instant::now();
        let used_at = start + Duration::from_secs(1000 - seconds_ago);
        Resident { name: name.to_owned(), bytes, in_use: false, used_at }
    }

    fn busy(name: &str, bytes: u64) -> Resident {
        Resident { in_use: true, ..resident(name, bytes, 0) }
    }

    fn unload_first(names: &[&str]) -> Plan {
        Plan::Load { unload_first: names.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn what_fits_beside_the_others_takes_nothing_away() {
        assert_eq!(plan(4, &[resident("a", 3, 1), resident("b", 3, 2)], 10), unload_first(&[]));
        assert_eq!(plan(4, &[], 10), unload_first(&[]));
    }

    #[test]
    fn the_least_recently_used_go_first_and_only_as_many_as_must() {
        let residents = [resident("new", 3, 1), resident("old", 3, 9), resident("middle", 3, 5)];
        assert_eq!(plan(4, &residents, 10), unload_first(&["old"]));
        assert_eq!(plan(7, &residents, 10), unload_first(&["old", "middle"]));
        assert_eq!(plan(10, &residents, 10), unload_first(&["old", "middle", "new"]));
    }

    #[test]
    fn a_model_in_use_is_waited_for_and_nothing_is_given_up_meanwhile() {
        let residents = [busy("spoken", 6), resident("idle", 3, 9)];
        assert_eq!(plan(4, &residents, 10), unload_first(&["idle"]));
        assert_eq!(plan(5, &residents, 10), Plan::Wait { on: "spoken".to_owned() });
    }

    #[test]
    fn a_model_larger_than_the_budget_is_loaded_alone() {
        assert_eq!(plan(20, &[resident("a", 3, 1)], 10), unload_first(&["a"]));
        assert_eq!(plan(u64::MAX, &[resident("a", 3, 1)], 10), unload_first(&["a"]));
    }
}
