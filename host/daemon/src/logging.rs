//! Logs go to standard error; `TEUICC_LOG` sets what is shown (`info`, `teuicc_modem_bridge=debug`, ...).

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging at `default` unless `TEUICC_LOG` says otherwise.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("TEUICC_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    // A second start in one process (tests) keeps the first.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).try_init();
}
