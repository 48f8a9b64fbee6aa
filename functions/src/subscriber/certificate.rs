//! The certificates that SNS signs with: where they may come from, what they must be, and what they sign.
//!
//! One comes over TLS from the one host of SNS in the topic's region, under one form of path, by a comparison of texts: no URL
//! parser has a say. Redirects are not followed. It must be SNS's by name, good at the time, and lead to a root of the system; the file
//! holds it alone, so its issuer is fetched from where it says (RFC 5280 section 4.2.2.1), at Amazon's own authority only.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::{Request, StatusCode};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use tower_service::Service;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;

use super::message::{Message, SignatureVersion};
use super::topic::Topic;
use crate::kept::Kept;
use crate::tls::{self, TlsError};

/// How long a certificate is not fetched again. Its validity is looked at each time.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The most certificates kept: SNS signs with one at a time in most regions, and replaces it about once a year.
const MOST_KEPT: usize = 16;
/// The most octets of a file with certificates. SNS's have 2 KB.
const MOST_OCTETS: usize = 32 * 1024;
/// What the fetching of a certificate and of its issuer may take, each.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// Where the certificates of Amazon's authority are.
const AUTHORITY: (&str, &str) = ("http://crt.", ".amazontrust.com");
/// The way to whoever issued a certificate (`id-ad-caIssuers`).
const ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// Why a message is not taken for SNS's.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("the certificate is not where SNS has its certificates")]
    CertificateUrl,
    #[error("there is no certificate where the message says")]
    NoCertificate,
    #[error("the certificate is not good")]
    Certificate(#[source] webpki::Error),
    #[error("the certificate is not SNS's")]
    OtherName,
    #[error("the signature is wrong")]
    Signature,
    /// Nothing can be said yet.
    #[error("fetch a certificate of SNS")]
    Unreachable(#[source] TlsError),
}

/// The certificates that SNS signs with, as this process knows them.
#[derive(Debug)]
pub(super) struct Certificates {
    whereabouts: Whereabouts,
    root: Option<String>,
    trusted: OnceLock<RootCertStore>,
    kept: Kept<String, Arc<Chain>>,
}

/// A certificate and those that lead from it to a root, as fetched.
#[derive(Debug, PartialEq, Eq)]
struct Chain {
    leaf: CertificateDer<'static>,
    issuers: Vec<CertificateDer<'static>>,
}

impl Certificates {
    /// Certificates that lead to `root`, base64 of its DER, or else to one of the system's. They come from SNS, or from whoever
    /// stands in for it at `endpoint` and has a certificate for SNS's name that leads there too.
    pub(super) fn new(endpoint: Option<SocketAddr>, root: Option<String>) -> Self {
        Self {
            whereabouts: endpoint.map_or_else(
                || Whereabouts::Internet(GaiResolver::new()),
                Whereabouts::Here,
            ),
            root,
            trusted: OnceLock::new(),
            kept: Kept::new(KEPT_FOR, MOST_KEPT),
        }
    }

    /// Checks that SNS signed `message`, which says it is of `topic`.
    pub(super) async fn verify(
        &self,
        message: &Message,
        topic: &Topic,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let url = &message.certificate_url;
        if !is_certificate_url(url, topic) {
            return Err(SignatureError::CertificateUrl);
        }
        let chain = if let Some(chain) = self.kept.find(url, now) {
            chain.check(topic, self.trusted()?, now)?;
            chain
        } else {
            let chain = Arc::new(Box::pin(self.fetch(url)).await?);
            chain.check(topic, self.trusted()?, now)?;
            // Only what is SNS's own takes a place.
            self.kept.keep(url.clone(), Arc::clone(&chain), now);
            chain
        };
        chain.verify(message)
    }

    fn trusted(&self) -> Result<&RootCertStore, SignatureError> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(trusted);
        }
        let read = match &self.root {
            Some(base64) => tls::root(base64),
            None => tls::system_roots(),
        };
        let read = read.map_err(SignatureError::Unreachable)?;
        Ok(self.trusted.get_or_init(|| read))
    }

    async fn fetch(&self, url: &str) -> Result<Chain, SignatureError> {
        let file = self.get(url).await?.ok_or(SignatureError::NoCertificate)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file).collect();
        let mut certificates = certificates
            .map_err(|_| SignatureError::NoCertificate)?
            .into_iter();
        let leaf = certificates.next().ok_or(SignatureError::NoCertificate)?;
        let mut issuers: Vec<_> = certificates.collect();
        if issuers.is_empty()
            && let Some(url) = issuer_url(&leaf)
        {
            let issuer = self.get(&url).await?.ok_or_else(|| {
                SignatureError::Unreachable("the issuer is not where the certificate says".into())
            })?;
            issuers.push(CertificateDer::from(issuer));
        }
        Ok(Chain { leaf, issuers })
    }

    /// What is at `url`; `None` if there is nothing.
    async fn get(&self, url: &str) -> Result<Option<Vec<u8>>, SignatureError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.get_now(url))
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
            .map_err(SignatureError::Unreachable)
    }

    async fn get_now(&self, url: &str) -> Result<Option<Vec<u8>>, TlsError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build::<_, Body>(self.connector()?);
        let request = Request::get(url)
            .header("user-agent", "Leadlight")
            .body(Body::Empty)?;
        let answer = client.request(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(format!("status {}", status.as_u16()).into());
            }
            // A redirect is nothing either.
            _nothing => return Ok(None),
        }
        let body = Limited::new(answer.into_body(), MOST_OCTETS);
        let octets = body.collect().await?.to_bytes();
        Ok(Some(octets.to_vec()))
    }

    fn connector(&self) -> Result<HttpsConnector<HttpConnector<Whereabouts>>, TlsError> {
        let trusted = self.trusted().map_err(Box::new)?.clone();
        let mut tcp = HttpConnector::new_with_resolver(self.whereabouts.clone());
        tcp.enforce_http(false);
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::client(trusted)?);
        Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
    }
}

/// Whether a certificate for messages of `topic` may be there.
fn is_certificate_url(url: &str, topic: &Topic) -> bool {
    let file = url
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_prefix(topic.host().as_str()))
        .and_then(|path| path.strip_prefix("/SimpleNotificationService-"))
        .and_then(|file| file.strip_suffix(".pem"));
    file.is_some_and(|id| {
        (1..=64).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

/// Where the issuer of a certificate is, if that is at Amazon's authority.
fn issuer_url(leaf: &CertificateDer<'_>) -> Option<String> {
    let leaf = Certificate::from_der(leaf).ok()?;
    let (_, access) = leaf
        .tbs_certificate()
        .get_extension::<AuthorityInfoAccessSyntax>()
        .ok()??;
    let issuers = access
        .0
        .into_iter()
        .filter(|place| place.access_method == ISSUERS);
    let mut urls = issuers.filter_map(|place| match place.access_location {
        GeneralName::UniformResourceIdentifier(url) => Some(url.to_string()),
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DnsName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    });
    urls.find(|url| is_issuer_url(url))
}

fn is_issuer_url(url: &str) -> bool {
    let (start, end) = AUTHORITY;
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric());
    url.strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(".cer"))
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(host, file)| Some((host.strip_suffix(end)?, file)))
        .is_some_and(|(authority, file)| is_word(authority) && is_word(file))
}

impl Chain {
    /// Checks that it is SNS's in the region of `topic`, and good at `now`.
    fn check(
        &self,
        topic: &Topic,
        trusted: &RootCertStore,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(SignatureError::Certificate)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &trusted.roots,
            &self.issuers,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(SignatureError::Certificate)?;
        let is_named = |name: String| {
            ServerName::try_from(name)
                .is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
        };
        if topic.signing_names().into_iter().any(is_named) {
            Ok(())
        } else {
            Err(SignatureError::OtherName)
        }
    }

    fn verify(&self, message: &Message) -> Result<(), SignatureError> {
        let wrong = SignatureError::Signature;
        let Ok(signature) = STANDARD.decode(&message.signature) else {
            return Err(wrong);
        };
        let algorithm: &dyn SignatureVerificationAlgorithm = match message.signature_version {
            SignatureVersion::One => &RsaSha1,
            SignatureVersion::Two => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        };
        let leaf = EndEntityCert::try_from(&self.leaf).map_err(SignatureError::Certificate)?;
        leaf.verify_signature(algorithm, message.signed_text().as_bytes(), &signature)
            .map_err(|_| wrong)
    }
}

/// RSA with PKCS #1 v1.5 over SHA-1, which certificates are not signed with any more, but half of SNS's messages are.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let algorithm = &ring::signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
        ring::signature::UnparsedPublicKey::new(algorithm, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    /// `sha1WithRSAEncryption` (RFC 8017 appendix C), 1.2.840.113549.1.1.5 without parameters of its own.
    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(&[
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
        ])
    }
}

/// Where hosts are found.
#[derive(Clone, Debug)]
enum Whereabouts {
    /// Where the system says.
    Internet(GaiResolver),
    /// At the one address of whoever stands in for all of them.
    Here(SocketAddr),
}

type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Whereabouts {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Internet(system) => system.poll_ready(context),
            Self::Here(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, name: Name) -> Self::Future {
        match self {
            Self::Internet(system) => {
                let found = system.call(name);
                Box::pin(async { Ok(found.await?.collect::<Vec<_>>().into_iter()) })
            }
            Self::Here(address) => {
                let address = *address;
                Box::pin(async move { Ok(vec![address].into_iter()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::topic::Topics;
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-west-2:131990247566:dongie-standard-topic";
    /// SNS's own certificate and messages signed with it (Apache-2.0: test resources of the AWS SDK for Java 2, `sns-message-manager`).
    const PEM: &str =
        include_str!("genuine/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem");
    const VERSION_1: &str = include_str!("genuine/notification_version_1.json");
    const VERSION_2: &str = include_str!("genuine/notification_version_2.json");

    /// Where certificates are not, whatever other people's checks thought.
    const ELSEWHERE: &[(&str, &str)] = &[
        (
            "a page of somebody's",
            "https://evil.example/SimpleNotificationService-{id}.pem",
        ),
        (
            "a bucket of somebody's",
            "https://sns.s3.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a bucket with a region",
            "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a bucket by path",
            "https://s3.amazonaws.com/evil/SimpleNotificationService-{id}.pem",
        ),
        (
            "any host of Amazon's",
            "https://evil.us-west-2.elb.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "another region",
            "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "no region",
            "https://sns.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "another partition",
            "https://sns.us-west-2.amazonaws.com.cn/SimpleNotificationService-{id}.pem",
        ),
        (
            "a longer host",
            "https://sns.us-west-2.amazonaws.com.evil.example/SimpleNotificationService-{id}.pem",
        ),
        (
            "a host in front",
            "https://evil-sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a trailing dot",
            "https://sns.us-west-2.amazonaws.com./SimpleNotificationService-{id}.pem",
        ),
        (
            "capitals",
            "https://SNS.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a user",
            "https://sns.us-west-2.amazonaws.com@evil.example/SimpleNotificationService-{id}.pem",
        ),
        (
            "a user before",
            "https://evil@sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a port",
            "https://sns.us-west-2.amazonaws.com:443/SimpleNotificationService-{id}.pem",
        ),
        (
            "no TLS",
            "http://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a scheme in capitals",
            "HTTPS://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "another scheme",
            "file://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "backslashes",
            "https:\\\\sns.us-west-2.amazonaws.com\\SimpleNotificationService-{id}.pem",
        ),
        (
            "a blank before",
            " https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem",
        ),
        (
            "a tab",
            "https://sns.us-west-2.amazonaws.com/\tSimpleNotificationService-{id}.pem",
        ),
        (
            "a query",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem?x",
        ),
        (
            "a query that ends well",
            "https://sns.us-west-2.amazonaws.com/?Action=X&x=/SimpleNotificationService-{id}.pem",
        ),
        (
            "a fragment",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem#x.pem",
        ),
        (
            "a way up",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-/../{id}.pem",
        ),
        (
            "a folder",
            "https://sns.us-west-2.amazonaws.com/x/SimpleNotificationService-{id}.pem",
        ),
        (
            "two slashes",
            "https://sns.us-west-2.amazonaws.com//SimpleNotificationService-{id}.pem",
        ),
        (
            "an escape",
            "https://sns.us-west-2.amazonaws.com/%53impleNotificationService-{id}.pem",
        ),
        (
            "another file",
            "https://sns.us-west-2.amazonaws.com/{id}.pem",
        ),
        (
            "another ending",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem.txt",
        ),
        (
            "no id",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-.pem",
        ),
        (
            "an id of letters",
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-xyz.pem",
        ),
        ("nothing", ""),
    ];

    fn genuine() -> Chain {
        let leaf = CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap();
        let issuers = Vec::new();
        Chain { leaf, issuers }
    }

    #[test]
    fn what_sns_signed_is_believed_and_nothing_else() {
        for text in [VERSION_1, VERSION_2] {
            let message: Message = serde_json::from_str(text).unwrap();
            genuine().verify(&message).unwrap();
            let topics = Topics::read(TOPIC).unwrap();
            let topic = topics.find(&message.topic_arn).unwrap();
            assert!(is_certificate_url(&message.certificate_url, topic));
            let written: serde_json::Value = serde_json::from_str(text).unwrap();
            let other_version = match message.signature_version {
                SignatureVersion::One => "2",
                SignatureVersion::Two => "1",
            };
            for (field, value) in [
                ("Message", "Another message."),
                ("MessageId", "9d2c5580-b61d-550c-8583-37a582870908"),
                (
                    "TopicArn",
                    "arn:aws:sns:us-west-2:131990247566:another-topic",
                ),
                ("Timestamp", "2026-03-06T20:00:26.894Z"),
                ("Type", "SubscriptionConfirmation"),
                ("Subject", "Another subject"),
                ("SignatureVersion", other_version),
                ("Signature", ""),
                ("Signature", "%"),
                ("Signature", "AAAA"),
            ] {
                let mut changed = written.clone();
                changed[field] = value.into();
                let changed: Message = serde_json::from_value(changed).unwrap();
                let believed = genuine().verify(&changed);
                let is_wrong = matches!(believed, Err(SignatureError::Signature));
                assert!(is_wrong, "{field} {value}");
            }
        }
    }

    #[test]
    fn the_issuer_of_sns_certificate_is_told_by_it() {
        let issuer = issuer_url(&genuine().leaf);
        assert_eq!(
            issuer.as_deref(),
            Some("http://crt.r2m01.amazontrust.com/r2m01.cer")
        );
        for elsewhere in [
            "http://crt.evil.example/r2m01.cer",
            "http://crt.amazontrust.com.evil.example/r2m01.cer",
            "http://crt.evil.example/.amazontrust.com/r2m01.cer",
            "http://crt.r2m01.amazontrust.com@evil.example/r2m01.cer",
            "http://crt.r2m01.amazontrust.com:8080/r2m01.cer",
            "http://crt.r2m01.amazontrust.com/../r2m01.cer",
            "http://crt.r2m01.amazontrust.com/r2m01.cer?x=.cer",
            "http://169.254.169.254/r2m01.cer",
            "file:///etc/passwd",
        ] {
            assert!(!is_issuer_url(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_certificate_is_where_sns_has_its_certificates_and_nowhere_else() {
        let topics = Topics::read(TOPIC).unwrap();
        let topic = topics.find(TOPIC).unwrap();
        let check = |url: &str| is_certificate_url(url, topic);
        let id = "7506a1e35b36ef5a444dd1a8e7cc3ed8";
        assert!(check(&format!(
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{id}.pem"
        )));
        for (why, url) in ELSEWHERE {
            assert!(!check(&url.replace("{id}", id)), "{why}");
        }
        let endless = "a".repeat(65);
        assert!(!check(&format!(
            "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{endless}.pem"
        )));
    }
}
