//! Ctrl-C and SIGTERM: the first asks, the second insists.

use crate::speech::Cancel;

/// Resolves at the first stop signal. From then on a second one ends the process at once.
pub(super) async fn stop_signal() {
    next_signal().await;
    tokio::spawn(async {
        next_signal().await;
        super::tell("stopped at once; the next start takes up what was left");
        std::process::exit(130);
    });
}

/// Sets `cancel` at the first Ctrl-C, for commands that work on the main thread.
pub(super) fn cancel_on_signal(cancel: Cancel) {
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            // Then the system's own way to end a process stays in force.
            return;
        };
        runtime.block_on(async {
            next_signal().await;
            cancel.cancel();
            next_signal().await;
            std::process::exit(130);
        });
    };
    let _detached = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("cannot listen for signals; only SIGKILL ends this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
