//! What the system knows of this process, under the names that Prometheus' own clients use.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::page::Page;

/// Memory, processor time and start of this process; nothing where the system does not tell. Reads from the system,
/// which takes less than a millisecond.
pub fn tell(page: &mut Page) {
    let Ok(id) = sysinfo::get_current_pid() else { return };
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
    let Some(process) = system.process(id) else { return };
    page.gauge("process_resident_memory_bytes", "Memory of this process.", process.memory() as f64);
    page.total(
        "process_cpu_seconds_total",
        "Processor time of this process, of all its threads.",
        process.accumulated_cpu_time() as f64 / 1000.0,
    );
    page.gauge(
        "process_start_time_seconds",
        "When this process started, in seconds since the Unix epoch.",
        process.start_time() as f64,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_beginning() {
        let mut page = Page::default();
        tell(&mut page);
        let text = page.finish();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6, "{text}");
        assert!(value("process_start_time_seconds") > 1.7e9, "{text}");
    }
}
