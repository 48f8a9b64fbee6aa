//! TLS for connections that no AWS SDK makes: rustls with ring, like the SDK's own.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub(crate) type TlsError = Box<dyn core::error::Error + Send + Sync>;

/// The root certificates of the system.
pub(crate) fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("the system has no root certificates".into());
    }
    Ok(roots)
}

/// The root certificates in `pem` and no others.
pub(crate) fn roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}

/// Connections to whoever has a certificate that leads to one of `roots`.
pub(crate) fn client(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
