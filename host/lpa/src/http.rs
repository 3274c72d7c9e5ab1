//! An HTTP client for servers of SGP.22: TLS 1.2 or 1.3 with CI certificates as the only trust anchors, no redirects,
//! a time limit for everything and a size limit for every body (SGP.22 v2.5 sections 2.6.6, 6.2).

mod tls;

use crate::drive::HttpClient;
use crate::error::HttpError;
use crate::es9p::MAX_BODY;
use crate::operation::{HttpRequest, HttpResponse};
use core::time::Duration;
use std::io;
use tls::TlsConnector;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to answer: binding a package is work.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a request may take in all.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Posts over TLS to servers whose certificates are from one of the given CIs.
pub struct TlsClient {
    agent: Agent,
}

/// Why CI certificates cannot be trust anchors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// None was given, or none has a key on NIST P-256, which is the only curve of TLS here.
    #[error("no CI certificate with a NIST P-256 key was given; without one no server can be trusted")]
    NoAnchor,
    /// One of them is no CI certificate.
    #[error("CI certificate {number}: {problem}")]
    Certificate {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl TlsClient {
    /// A client that trusts the CIs with these certificates, in DER, and no other. Those on brainpoolP256r1 are passed
    /// over: their servers need another curve in TLS than there is here.
    ///
    /// Errors: a certificate is none, or no usable one is left.
    pub fn new<C: AsRef<[u8]>>(ci_certificates: &[C]) -> Result<Self, TrustError> {
        let config = Agent::config_builder()
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build();
        let connector = TcpConnector::default().chain(TlsConnector::new(ci_certificates)?);
        Ok(TlsClient { agent: Agent::with_parts(config, connector, DefaultResolver::default()) })
    }
}

impl HttpClient for TlsClient {
    fn post(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut post = self.agent.post(&request.url);
        for (name, value) in &request.headers {
            post = post.header(*name, *value);
        }
        let mut response = post.send(&request.body[..]).map_err(http_error)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_BODY as u64).read_to_vec().map_err(http_error)?;
        Ok(HttpResponse { status, body })
    }
}

fn http_error(error: ureq::Error) -> HttpError {
    use ureq::Error;
    match error {
        Error::Timeout(_) => HttpError::Timeout,
        Error::HostNotFound => HttpError::Connect("there is no such host".into()),
        Error::ConnectionFailed => HttpError::Connect("the connection failed".into()),
        Error::Tls(problem) => HttpError::Tls(problem.into()),
        Error::Rustls(error) => HttpError::Tls(tls_in_words(&error)),
        Error::BodyExceedsLimit(limit) => HttpError::TooLarge(limit),
        Error::BadUri(problem) => HttpError::Address(problem),
        Error::Io(error) => io_error(&error),
        other => HttpError::Broken(other.to_string()),
    }
}

fn io_error(error: &io::Error) -> HttpError {
    use io::ErrorKind;
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return HttpError::Tls(tls_in_words(error));
    }
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => HttpError::Connect(error.to_string()),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => HttpError::Timeout,
        _ => HttpError::Broken(error.to_string()),
    }
}

fn tls_in_words(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is not from a CI that is trusted here".into()
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) => {
            format!("the server's certificate is for another host ({error})")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_trusted_without_a_ci() {
        assert_eq!(TlsClient::new::<Vec<u8>>(&[]).err(), Some(TrustError::NoAnchor));
        let error = TlsClient::new(&[b"no certificate"]).err().unwrap();
        assert!(matches!(error, TrustError::Certificate { number: 1, .. }), "{error}");
    }

    #[test]
    fn plain_http_and_dead_ports_are_errors_of_the_connection() {
        let Some(mut client) = published_ci().map(|ci| TlsClient::new(&[ci]).unwrap()) else { return };
        let post = |url: &str| HttpRequest { url: url.into(), headers: vec![], body: vec![] };
        let refused = client.post(&post("https://localhost:1/")).unwrap_err();
        assert!(matches!(refused, HttpError::Connect(_)), "{refused}");
        assert!(refused.is_passing());
        assert!(client.post(&post("http://localhost:1/")).is_err());
    }

    fn published_ci() -> Option<Vec<u8>> {
        let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
            println!("skipped: TEUICC_TESTDATA is not set");
            return None;
        };
        let path = std::path::Path::new(&folder).join("sgp26/CertificateIssuer/CERT_CI_ECDSA_NIST.der");
        Some(std::fs::read(path).unwrap())
    }
}
