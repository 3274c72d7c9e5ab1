//! TLS beneath the HTTP client. A trust anchor is made of a CI certificate's name and key alone: CI certificates have
//! critical extensions that a verifier of web certificates does not know, and would be refused as a whole.

use super::TrustError;
use rustls::pki_types::{Der, ServerName, TrustAnchor};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::sync::Arc;
use teuicc_rsp::certificate::{Certificate, check_ci_certificate};
use teuicc_rsp::crypto::{Curve, PublicKey};
use teuicc_rsp::oid;
use teuicc_tlv::{Error as TlvError, Tag, Tlv, Writer};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Puts TLS over a connection.
#[derive(Debug)]
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    pub(super) fn new<C: AsRef<[u8]>>(ci_certificates: &[C]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for (certificate, number) in ci_certificates.iter().zip(1..) {
            let anchor =
                trust_anchor(certificate.as_ref()).map_err(|problem| TrustError::Certificate { number, problem })?;
            roots.roots.extend(anchor);
        }
        if roots.is_empty() {
            return Err(TrustError::NoAnchor);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Certificate { number: 0, problem: error.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector { config: Arc::new(config) })
    }
}

/// The trust anchor that a CI certificate is, `None` if TLS here does not know its curve.
fn trust_anchor(der: &[u8]) -> Result<Option<TrustAnchor<'static>>, String> {
    let certificate = Certificate::parse(der).map_err(|error| error.to_string())?;
    check_ci_certificate(&certificate).map_err(|error| error.to_string())?;
    if certificate.public_key.curve() != Curve::P256 {
        return Ok(None);
    }
    let subject = Tlv::parse(certificate.subject, Tag::SEQUENCE).map_err(|error| error.to_string())?;
    let public_key = public_key_info(&certificate.public_key).map_err(|error| error.to_string())?;
    Ok(Some(TrustAnchor {
        subject: Der::from(subject.value.to_vec()),
        subject_public_key_info: Der::from(public_key),
        name_constraints: None,
    }))
}

/// The content of the SubjectPublicKeyInfo of a P-256 key (RFC 5480 section 2).
fn public_key_info(key: &PublicKey) -> Result<Vec<u8>, TlvError> {
    let mut writer = Writer::new();
    writer.nested(Tag::SEQUENCE, |algorithm| {
        algorithm.primitive(Tag::OID, oid::EC_PUBLIC_KEY)?;
        algorithm.primitive(Tag::OID, oid::P256)
    })?;
    writer.primitive(Tag::BIT_STRING, &[&[0], &key.point()[..]].concat())?;
    Ok(writer.into_bytes())
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = TlsTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<TlsTransport>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Err(Error::Tls("only https is spoken"));
        }
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Tls("the host name is none"))?;
        let mut conn = ClientConnection::new(self.config.clone(), name)?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(TlsTransport { buffers, stream: StreamOwned { conn, sock } }))
    }
}

/// A connection with TLS over it.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl core::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
