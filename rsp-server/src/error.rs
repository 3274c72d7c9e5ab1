//! Errors of the server's own side: files, configuration, the data base. What is wrong with a peer's message is a
//! [`crate::dp::Refusal`].

use std::path::PathBuf;

/// Why an operation of the server or of the test PKI failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file's content is not what it must be.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The data base file is damaged, locked, or of another version of this program.
    #[error("{path}: {reason}", path = path.display())]
    Database {
        /// The data base file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A query failed after the data base was opened.
    #[error("data base: {0}")]
    Query(#[from] sqlx::Error),
    /// A profile, an order or an option has a value that it cannot have.
    #[error("{what}: {reason}")]
    Invalid {
        /// The option or field.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// A certificate or a bound profile package could not be made.
    #[error("{what} could not be made: {reason}")]
    Making {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// The listening socket could not be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Error {
    /// An [`Error::Io`] of `path`, for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// An [`Error::File`].
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Error::File { path: path.into(), reason: reason.to_string() }
    }

    /// An [`Error::Invalid`].
    pub(crate) fn invalid(what: &'static str, reason: impl ToString) -> Self {
        Error::Invalid { what, reason: reason.to_string() }
    }

    /// An [`Error::Making`].
    pub(crate) fn making(what: impl ToString, reason: impl ToString) -> Self {
        Error::Making { what: what.to_string(), reason: reason.to_string() }
    }
}
