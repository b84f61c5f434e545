//! The signals that ask the process to shut down.

use tokio::signal::unix::{SignalKind, signal};

/// Completes when SIGTERM or SIGINT arrives.
///
/// # Errors
/// The handlers cannot be installed.
pub fn shutdown_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
