//! How much memory models may take here, where the settings leave that to the machine.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The share of this machine's memory that models take at most; the rest is for what they compute with, and for others.
const SHARE_OF_ALL: u64 = 70;
/// The share of what is free now that a load may use.
const SHARE_OF_FREE: u64 = 90;

/// Bytes that all models together may take now, of which `resident` are taken: a share of the machine's memory, or of a
/// container's, and never more than is there. Unbounded where the system does not tell.
pub(super) fn automatic_budget(resident: u64) -> u64 {
    let what = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(what);
    let (mut total, mut free) = (system.total_memory(), system.available_memory());
    if let Some(container) = system.cgroup_limits() {
        total = total.min(container.total_memory);
        // Not the container's own figure of what is free: it counts cached files, weights among them, as taken.
        free = free.min(container.total_memory.saturating_sub(container.rss));
    }
    if total == 0 {
        return u64::MAX;
    }
    budget(total, free, resident)
}

fn budget(total: u64, free: u64, resident: u64) -> u64 {
    let of_all = total / 100 * SHARE_OF_ALL;
    // Some systems do not tell what is free.
    let of_free = if free == 0 { u64::MAX } else { resident.saturating_add(free / 100 * SHARE_OF_FREE) };
    of_all.min(of_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn a_share_of_the_machine_bounds_a_machine_that_is_free() {
        assert_eq!(budget(10 * GB, 9 * GB, 0), 7 * GB);
    }

    #[test]
    fn what_is_free_bounds_a_machine_that_is_busy_and_what_is_loaded_counts_as_ours() {
        assert_eq!(budget(10 * GB, 2 * GB, 3 * GB), 3 * GB + 2 * GB / 10 * 9);
        assert_eq!(budget(10 * GB, 0, 3 * GB), 7 * GB);
    }

    #[test]
    fn this_machine_has_room_for_something() {
        assert!(automatic_budget(0) > 1 << 20);
    }
}
