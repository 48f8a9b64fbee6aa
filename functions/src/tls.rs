//! TLS for connections that no AWS SDK makes: rustls with ring, like the SDK's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
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

/// The one root certificate whose DER is in `base64`, the kind for URLs without padding, and no others.
pub(crate) fn root(base64: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(URL_SAFE_NO_PAD.decode(base64)?))?;
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
