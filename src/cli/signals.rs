//! Ctrl-C and SIGTERM: the first asks, the second insists.

use crate::speech::Cancel;

/// Catches stop signals from this call on, not from the first poll: whoever has been told that the server listens may stop
/// it, and it stops in order. Resolves at the first one; from then on a second one ends the process at once.
///
/// # Panics
/// Outside of a tokio runtime.
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let mut signals = Signals::catch();
    async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            super::tell("stopped at once; the next start takes up what was left");
            std::process::exit(130);
        });
    }
}

/// Sets `cancel` at the first Ctrl-C, for commands that work on the main thread.
pub(super) fn cancel_on_signal(cancel: Cancel) {
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            // Then the system's own way to end a process stays in force.
            return;
        };
        runtime.block_on(async {
            let mut signals = Signals::catch();
            signals.next().await;
            cancel.cancel();
            signals.next().await;
            std::process::exit(130);
        });
    };
    let _detached = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Signals {
    fn catch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let (Ok(interrupt), Ok(terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            tracing::error!("cannot listen for signals; only SIGKILL ends this process");
            return Self(None);
        };
        Self(Some([interrupt, terminate]))
    }

    async fn next(&mut self) {
        let Some([interrupt, terminate]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(Option<tokio::signal::windows::CtrlC>);

#[cfg(windows)]
impl Signals {
    fn catch() -> Self {
        Self(tokio::signal::windows::ctrl_c().ok())
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signals) => {
                signals.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}
