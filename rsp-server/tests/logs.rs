//! What a server writes to its log, at the finest level.

mod common;

use common::World;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let filter = tracing_subscriber::EnvFilter::new("trace");
    tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(move || writer.clone()).init();

    let world = World::new().await;
    let mut euicc = world.euicc();
    let matching_id = world.order(None, Some("CONFIRMATION-4711")).await;
    assert!(world.download(&mut euicc, Some(&matching_id), Some("CONFIRMATION-0815")).await.is_err());
    let (download, _) = world.download(&mut euicc, Some(&matching_id), Some("CONFIRMATION-4711")).await.unwrap();
    world.notify(&euicc.installation_result(&download, None)).await;
    world.server.shutdown().await;

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).to_lowercase();
    assert!(log.contains("package handed out") && log.contains("wrong confirmation code"));
    let secrets = [
        matching_id.as_str(),
        "CONFIRMATION-4711",
        "CONFIRMATION-0815",
        "465B5CE8B199B49FAA5F0A2EE238A6BC",
        "CD63CB71954A9F4E48A5994E37A02BAF",
    ];
    for secret in secrets {
        assert!(!log.contains(&secret.to_lowercase()), "{secret}");
    }
}
