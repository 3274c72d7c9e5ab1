//! When to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the process is asked to stop (SIGINT or SIGTERM).
pub async fn requested() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not handled");
            // Without a handler for either signal the process is ended by the system, which is a stop too.
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
