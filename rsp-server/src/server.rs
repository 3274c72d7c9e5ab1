//! The HTTPS server around [`crate::http`]: TLS, connections, shutdown.

use crate::error::Error;
use crate::http;
use crate::smdp::{SmDp, host_of};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How many connections are served at a time; others wait.
const MAX_CONNECTIONS: usize = 256;
/// How long a TLS handshake, or the head of a request, may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may last, with all its requests.
const CONNECTION_TIME: Duration = Duration::from_secs(10 * 60);
/// How long open connections may go on after the shutdown began.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);
/// How long to wait after the listening socket failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An SM-DP+ that serves ES9+.
pub struct Server;

/// A running server. It goes on when this is dropped.
#[derive(Debug)]
pub struct ServerHandle {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The address that LPAs know it by.
    pub address: String,
    /// The SM-DP+ behind it.
    pub smdp: Arc<SmDp>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to serve at `listen`; port 0 lets the system choose. Errors: TLS cannot be set up, or the address is in
    /// use.
    pub async fn start(smdp: Arc<SmDp>, listen: SocketAddr) -> Result<ServerHandle, Error> {
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let address = smdp.serve_as(addr.port()).await?;
        let tls = TlsAcceptor::from(Arc::new(tls_config(&smdp, host_of(&address))?));
        if !addr.ip().is_loopback() {
            tracing::warn!(%addr, "this test server can be reached from other machines");
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, tls, smdp.clone(), stopped));
        tracing::info!(%addr, address, "SM-DP+ serves");
        Ok(ServerHandle { addr, address, smdp, stop, task })
    }
}

impl ServerHandle {
    /// Stops to listen, lets requests under way end, and closes the data base.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        // An error means that the task panicked; there is nothing left to stop then.
        let _ = self.task.await;
        self.smdp.close().await;
    }
}

fn tls_config(smdp: &SmDp, host: &str) -> Result<rustls::ServerConfig, Error> {
    let (certificate, key) = smdp.identity().tls(host)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, smdp: Arc<SmDp>, mut stopped: watch::Receiver<bool>) {
    let router = http::router(smdp);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let connection = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            connection = connection => connection,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
                tokio::spawn(async move {
                    let _place = place;
                    let connection = serve(stream, tls, router, watcher);
                    if tokio::time::timeout(CONNECTION_TIME, connection).await.is_err() {
                        tracing::debug!("connection lasted too long");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open at shutdown");
    }
}

/// Serves one connection. What goes wrong in it is the peer's business.
async fn serve(stream: TcpStream, tls: TlsAcceptor, router: axum::Router, watcher: Watcher) {
    let stream = match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection");
    }
}
