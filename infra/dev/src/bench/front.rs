//! A front of TLS before the embedded engine, with a certificate authority of its own, as DynamoDB's own endpoints have.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use super::forward;
use crate::task::Task;

/// Where Debian keeps the certificate authorities that it trusts: functions have to read that many on Lambda too.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What answers behind a front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The engine.
    Engine,
    /// Nothing: whatever is asked is answered at once as an empty table would, but for accounts.
    Nothing,
}

impl Behind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Engine => "the embedded engine behind TLS",
            Self::Nothing => "an engine that answers at once, behind TLS",
        }
    }

    /// What is answered without the engine.
    fn answer(self, operation: &str, body: &[u8]) -> Option<Bytes> {
        // Accounts decide what a function does with an event.
        let is_account = body.windows(9).any(|part| part == b"\"account\"");
        if self == Self::Engine || is_account {
            return None;
        }
        let answer = match operation {
            "GetItem" | "PutItem" | "UpdateItem" | "TransactWriteItems" => json!({}),
            "BatchGetItem" => json!({ "Responses": {}, "UnprocessedKeys": {} }),
            "Query" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
            _ => return None,
        };
        Some(answer.to_string().into())
    }
}

/// A running front; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    trusted: PathBuf,
    _folder: TempDir,
    _serving: Task,
}

impl Front {
    /// Starts a front before the engine at `endpoint`.
    ///
    /// # Errors
    /// When no port can be had, or no certificate be made.
    pub(super) async fn start(endpoint: String, behind: Behind) -> anyhow::Result<Self> {
        let authority = KeyPair::generate()?;
        let mut described = CertificateParams::new(Vec::new())?;
        // A name of its own: OpenSSL takes a certificate for self-signed whose issuer has the same name.
        described
            .distinguished_name
            .push(DnType::CommonName, "authority");
        described.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        described.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let signed_by_itself = described.self_signed(&authority)?;
        let issuer = Issuer::new(described, authority);
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?;
        let server = server.signed_by(&key, &issuer)?;

        let folder = tempfile::tempdir().context("make a folder for certificates")?;
        let trusted = folder.path().join("trusted.pem");
        let authorities = std::fs::read_to_string(SYSTEM_AUTHORITIES)
            .with_context(|| format!("read {SYSTEM_AUTHORITIES}"))?;
        std::fs::write(&trusted, [authorities, signed_by_itself.pem()].concat())?;

        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![server.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = tcp.local_addr()?;
        let listener = Listener {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let client = reqwest::Client::new();
        let pass = move |request: Request| {
            let (client, endpoint) = (client.clone(), endpoint.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                let target = parts.headers.get("x-amz-target");
                let target = target.and_then(|target| target.to_str().ok());
                let operation = target.and_then(|target| target.rsplit('.').next());
                match behind.answer(operation.unwrap_or_default(), &body) {
                    Some(answer) => Ok((StatusCode::OK, answer)),
                    None => forward(&client, &endpoint, parts.headers, body).await,
                }
            }
        };
        let service = axum::Router::new().fallback(pass);
        let serving = Task::spawn(async move {
            // It ends with the task; there is nobody to tell of an error.
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            address,
            trusted,
            _folder: folder,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate authorities to trust: the system's and its own.
    pub(super) fn trusted(&self) -> &Path {
        &self.trusted
    }
}

struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.tcp.accept().await else {
                continue;
            };
            let prompt = stream.set_nodelay(true).is_ok();
            // Whoever does not trust it, or goes away, is no concern of the others.
            if let (true, Ok(stream)) = (prompt, self.acceptor.accept(stream).await) {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
