//! https: the certificate and its key, read at the start and again when the settings are. Knows no connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use plexichat::settings::TlsSettings;
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What each new connection is encrypted with.
pub(crate) struct Tls(ArcSwap<ServerConfig>);

/// Why the server cannot speak https.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the {what} {} cannot be read", path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the {what} {} is not PEM", path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: PemError,
    },
    #[error("the {what} {} has {missing} in it", path.display())]
    Missing { what: &'static str, path: PathBuf, missing: &'static str },
    #[error("the key {} is not that of the certificate {}", key.display(), cert.display())]
    OtherKey { cert: PathBuf, key: PathBuf },
    #[error("the certificate {} and the key {} cannot be used", cert.display(), key.display())]
    Unusable {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

impl TlsError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "let the user that the server runs as read it"
            }
            Self::Read { .. } => "correct `server.tls` in the settings",
            Self::Pem { .. } => "convert it: openssl x509 -inform der -in FILE, or openssl pkey -inform der -in FILE",
            Self::Missing { .. } => {
                "`cert` has the blocks BEGIN CERTIFICATE, the server's own first; `key` has one BEGIN PRIVATE KEY"
            }
            Self::OtherKey { .. } => "name the key that the certificate was asked for with",
            Self::Unusable { .. } => "RSA from 2048 bits on, ECDSA P-256 and P-384, and Ed25519 can be used",
        }
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub(crate) fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::new(read(settings)?)))
    }

    /// Reads the files again: new connections are encrypted with what they hold now.
    ///
    /// # Errors
    /// The same; what was read before goes on.
    pub(crate) fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        self.0.store(read(settings)?);
        Ok(())
    }

    /// What the next connection is accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

fn read(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsSettings { cert, key, .. } = settings;
    let chain = certificates(cert)?;
    let private = private_key(key)?;
    let unusable = |source| match source {
        rustls::Error::InconsistentKeys(_) => TlsError::OtherKey { cert: cert.clone(), key: key.clone() },
        source => TlsError::Unusable { cert: cert.clone(), key: key.clone(), source },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, private));
    let mut config = config.map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "certificate";
    let text = std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.to_owned(), source })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|source| TlsError::Pem { what, path: path.to_owned(), source })?;
    match chain.is_empty() {
        true => Err(TlsError::Missing { what, path: path.to_owned(), missing: "no certificate" }),
        false => Ok(chain),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "key";
    let text = std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.to_owned(), source })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::Missing { what, path: path.to_owned(), missing: "no private key" },
        source => TlsError::Pem { what, path: path.to_owned(), source },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certificate for `localhost` and its key, as PEM.
    pub(crate) struct Pair {
        pub(crate) cert: String,
        pub(crate) key: String,
    }

    impl Pair {
        pub(crate) fn new() -> Self {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
        }
    }

    /// A directory with these files.
    pub(crate) fn files(cert: &str, key: &str) -> (tempfile::TempDir, TlsSettings) {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        std::fs::write(place("cert.pem"), cert).unwrap();
        std::fs::write(place("key.pem"), key).unwrap();
        let settings = TlsSettings::new(place("cert.pem"), place("key.pem"));
        (directory, settings)
    }

    #[track_caller]
    fn check(cert: &str, key: &str, expected: &str) {
        let (directory, settings) = files(cert, key);
        let error = Tls::new(&settings).err().expect("an error");
        let told = error.to_string().replace(&format!("{}/", directory.path().display()), "");
        assert_eq!(told, expected);
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let (Pair { cert, key }, other) = (Pair::new(), Pair::new());
        check("", &key, "the certificate cert.pem has no certificate in it");
        check(&key, &key, "the certificate cert.pem has no certificate in it");
        check(&cert, "", "the key key.pem has no private key in it");
        check(&cert, &cert, "the key key.pem has no private key in it");
        check(&cert, &other.key, "the key key.pem is not that of the certificate cert.pem");
        let broken = cert.replace("-----END", "!!!!\n-----END");
        check(&broken, &key, "the certificate cert.pem is not PEM");
        let nowhere = TlsSettings::new("/nowhere/cert.pem", "/nowhere/key.pem");
        let error = Tls::new(&nowhere).err().unwrap();
        assert_eq!(error.to_string(), "the certificate /nowhere/cert.pem cannot be read");
    }

    #[test]
    fn a_bad_reload_keeps_what_was_there() {
        let (pair, other) = (Pair::new(), Pair::new());
        let (directory, settings) = files(&pair.cert, &pair.key);
        let tls = Tls::new(&settings).unwrap();
        std::fs::write(directory.path().join("key.pem"), other.key).unwrap();
        let before = tls.0.load_full();
        assert!(tls.reload(&settings).is_err());
        assert!(Arc::ptr_eq(&before, &tls.0.load_full()));
        std::fs::write(directory.path().join("key.pem"), pair.key).unwrap();
        tls.reload(&settings).unwrap();
        assert!(!Arc::ptr_eq(&before, &tls.0.load_full()));
    }
}
