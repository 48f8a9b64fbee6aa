//! A stand-in for Amazon SNS, as far as a topic delivers by HTTPS.
//!
//! It signs messages as SNS does, has the certificates to check them with, and confirms subscriptions, talked to by the official SDK.
//! One port speaks TLS under SNS's own name and plain HTTP, so that whoever is told that all hosts are here finds everything. The
//! certificates lead to a root that is made at start and trusted by nobody who is not told of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::{IncomingStream, Listener};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use leadlight_functions::config::SnsSettings;
use leadlight_functions::subscriber::Topics;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::ses::sns_envelope;
use crate::task::Task;

/// The topic that delivers to the local stack.
pub const TOPIC: &str = crate::ses::TOPIC;
/// SNS's host in the topic's region.
pub const HOST: &str = "sns.us-east-1.amazonaws.com";
/// The name that SNS's certificates for signatures are for.
pub const SIGNING_NAME: &str = "sns.amazonaws.com";
/// Where the authority's own certificate is.
const AUTHORITY: &str = "http://crt.leadlight.amazontrust.com/authority.cer";
/// The key that signs: public, and made for tests (RFC 9500 section 2.1, `testRSA2048`, as PKCS #8).
const SIGNING_KEY: &str = include_str!("sns/rfc9500_test_rsa_2048.pem");
/// What stands before the hash in a signature (RFC 8017 section 9.2, note 1).
const SHA_1: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];
const SHA_256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// A running stand-in; it ends when this is dropped.
#[derive(Debug)]
pub struct Sns {
    address: SocketAddr,
    authority: CertifiedIssuer<'static, KeyPair>,
    root: CertifiedIssuer<'static, KeyPair>,
    signing_key: RsaPrivateKey,
    /// The URL of the certificate that messages are signed with.
    certificate_url: String,
    shared: Arc<Shared>,
    _server: Task,
}

#[derive(Debug, Default)]
struct Shared(Mutex<Everything>);

#[derive(Debug, Default)]
struct Everything {
    /// What is at each URL.
    pages: BTreeMap<String, Page>,
    /// The URLs that were asked for, in order.
    asked: Vec<String>,
    /// The tokens of subscriptions that wait.
    tokens: Vec<String>,
    confirmations: Vec<BTreeMap<String, String>>,
}

#[derive(Clone, Debug)]
struct Page {
    status: u16,
    location: Option<String>,
    octets: Vec<u8>,
}

/// Who signed a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// An authority whose own certificate is where the certificate says, as SNS's is.
    Authority,
    /// An authority whose own certificate is in the same file.
    Enclosed,
    /// The root itself.
    Root,
    /// The certificate's own key.
    Itself,
}

/// A certificate to be made for the key that messages are signed with.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The names it is for.
    pub names: Vec<String>,
    /// From when it is good.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Who signs it.
    pub issuer: Issuer,
}

impl Default for Certificate {
    fn default() -> Self {
        let now = Timestamp::now();
        let year = SignedDuration::from_hours(365 * 24);
        Self {
            names: vec![SIGNING_NAME.to_owned()],
            from: now - year,
            until: now + year,
            issuer: Issuer::Authority,
        }
    }
}

impl Sns {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("open a port on 127.0.0.1 for SNS")?;
        let address = listener.local_addr()?;
        let root = CertifiedIssuer::self_signed(authority("Local root"), KeyPair::generate()?)?;
        let authority =
            CertifiedIssuer::signed_by(authority("Local authority"), KeyPair::generate()?, &root)?;
        let shared = Arc::new(Shared::default());
        let listener = TlsOrNot {
            listener,
            tls: tls(&root)?,
        };
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Scheme>();
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        let mut sns = Self {
            address,
            root,
            authority,
            signing_key: RsaPrivateKey::from_pkcs8_pem(SIGNING_KEY)?,
            certificate_url: String::new(),
            shared,
            _server: server,
        };
        sns.put(AUTHORITY, 200, sns.authority.der().to_vec());
        sns.certificate_url = sns.issue(&Certificate::default())?;
        Ok(sns)
    }

    /// What the functions are told of it: that it stands in for SNS, which root to trust, and whose messages to take.
    #[must_use]
    pub fn settings(&self) -> SnsSettings {
        SnsSettings {
            // The topic's name is no secret and does not change.
            topics: Topics::read(TOPIC).unwrap_or_default(),
            endpoint: Some(self.address),
            root: Some(self.root_base64()),
        }
    }

    /// The same, by the names that they have in a function's environment.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("LEADLIGHT_TOPICS", TOPIC.to_owned()),
            ("LEADLIGHT_SNS_ROOT", self.root_base64()),
            ("AWS_ENDPOINT_URL_SNS", format!("http://{}", self.address)),
        ]
    }

    /// On one line and without `=`, so that it can stand in a file of variables.
    fn root_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.root.der())
    }

    /// A notification with `message`, signed.
    ///
    /// # Errors
    /// As [`Sns::sign`].
    pub fn notification(&self, message: &str, now: Timestamp) -> anyhow::Result<Value> {
        self.sign(sns_envelope(message, now))
    }

    /// The question whether a subscription was meant, signed.
    ///
    /// # Errors
    /// As [`Sns::sign`].
    pub fn subscription(&self, now: Timestamp) -> anyhow::Result<Value> {
        let token = uuid::Uuid::new_v4().simple().to_string();
        self.shared.lock().tokens.push(token.clone());
        self.sign(Self::about_subscription(
            "SubscriptionConfirmation",
            &token,
            now,
        ))
    }

    /// The notice that a subscription was ended, signed.
    ///
    /// # Errors
    /// As [`Sns::sign`].
    pub fn unsubscription(&self, now: Timestamp) -> anyhow::Result<Value> {
        let token = uuid::Uuid::new_v4().simple().to_string();
        self.shared.lock().tokens.push(token.clone());
        self.sign(Self::about_subscription(
            "UnsubscribeConfirmation",
            &token,
            now,
        ))
    }

    fn about_subscription(kind: &str, token: &str, now: Timestamp) -> Value {
        let mut message = sns_envelope("You have chosen to subscribe to the topic.", now);
        let url =
            format!("https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}");
        if let Some(fields) = message.as_object_mut() {
            for other in ["Subject", "UnsubscribeURL", "MessageAttributes"] {
                fields.remove(other);
            }
            let own = [("Type", kind), ("Token", token), ("SubscribeURL", &url)];
            fields.extend(own.map(|(name, value)| (name.to_owned(), value.into())));
        }
        message
    }

    /// Signs a message in the way that its `SignatureVersion` says, with the certificate in use unless it names another. What it says
    /// is signed, whatever it is.
    ///
    /// # Errors
    /// When it is no object, or no version is named.
    pub fn sign(&self, mut message: Value) -> anyhow::Result<Value> {
        let fields = message
            .as_object_mut()
            .context("the message is an object")?;
        if fields.get("SigningCertURL")
            == sns_envelope("", Timestamp::UNIX_EPOCH).get("SigningCertURL")
        {
            fields.insert(
                "SigningCertURL".to_owned(),
                self.certificate_url.clone().into(),
            );
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let names: &[&str] = match text("Type") {
            Some("SubscriptionConfirmation" | "UnsubscribeConfirmation") => &[
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ],
            _notification => &[
                "Message",
                "MessageId",
                "Subject",
                "Timestamp",
                "TopicArn",
                "Type",
            ],
        };
        let lines = names.iter().filter_map(|name| Some([name, text(name)?]));
        let signed: String = lines.flatten().flat_map(|line| [line, "\n"]).collect();
        let signature = self.signature(&signed, text("SignatureVersion").unwrap_or_default())?;
        fields.insert("Signature".to_owned(), signature.into());
        Ok(message)
    }

    /// The signature of `text`, as `version` makes it.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn signature(&self, text: &str, version: &str) -> anyhow::Result<String> {
        let (prefix, hash): (&[u8], Vec<u8>) = match version {
            "1" => (&SHA_1, Sha1::digest(text).to_vec()),
            "2" => (&SHA_256, Sha256::digest(text).to_vec()),
            other => return Err(anyhow!("SNS has no signature version {other:?}")),
        };
        let padding = Pkcs1v15Sign {
            hash_len: Some(hash.len()),
            prefix: prefix.into(),
        };
        Ok(STANDARD.encode(self.signing_key.sign(padding, &hash)?))
    }

    /// Makes a certificate and gives back where it is.
    ///
    /// # Errors
    /// When a name is none.
    pub fn issue(&self, certificate: &Certificate) -> anyhow::Result<String> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(SIGNING_KEY, &PKCS_RSA_SHA256)?;
        let mut params = CertificateParams::new(certificate.names.clone())?;
        let since_1970 =
            |at: Timestamp| Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH));
        params.not_before = date_time_ymd(1970, 1, 1) + since_1970(certificate.from)?;
        params.not_after = date_time_ymd(1970, 1, 1) + since_1970(certificate.until)?;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let name = certificate.names.first().cloned().unwrap_or_default();
        params.distinguished_name.push(DnType::CommonName, name);
        let file = match certificate.issuer {
            Issuer::Authority => {
                params.custom_extensions = vec![issued_by(AUTHORITY)];
                params.signed_by(&key, &self.authority)?.pem()
            }
            Issuer::Enclosed => {
                params.signed_by(&key, &self.authority)?.pem() + &self.authority.pem()
            }
            Issuer::Root => params.signed_by(&key, &self.root)?.pem(),
            Issuer::Itself => params.self_signed(&key)?.pem(),
        };
        let id = uuid::Uuid::new_v4().simple();
        let url = format!("https://{HOST}/SimpleNotificationService-{id}.pem");
        self.put(&url, 200, file.into_bytes());
        Ok(url)
    }

    /// From now on, `octets` are at `url`.
    pub fn put(&self, url: &str, status: u16, octets: Vec<u8>) {
        let page = Page {
            status,
            location: None,
            octets,
        };
        self.shared.lock().pages.insert(url.to_owned(), page);
    }

    /// From now on, `url` says that what was there is at `location`.
    pub fn redirect(&self, url: &str, location: &str) {
        let page = Page {
            status: 302,
            location: Some(location.to_owned()),
            octets: Vec::new(),
        };
        self.shared.lock().pages.insert(url.to_owned(), page);
    }

    /// The URLs that were asked for since this was last asked, in order; API calls are `POST`.
    #[must_use]
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().asked)
    }

    /// The calls that confirmed subscriptions, each with its parameters.
    #[must_use]
    pub fn confirmations(&self) -> Vec<BTreeMap<String, String>> {
        self.shared.lock().confirmations.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Everything> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// The extension that says where the issuer's certificate is (RFC 5280 section 4.2.2.1).
fn issued_by(url: &str) -> CustomExtension {
    let ca_issuers = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let part = |tag: u8, content: &[u8]| {
        // All of it is shorter than 128 octets, so that one says how long.
        let length = u8::try_from(content.len()).unwrap_or_default();
        [&[tag, length], content].concat()
    };
    let place = [ca_issuers.as_slice(), &part(0x86, url.as_bytes())].concat();
    let content = part(0x30, &part(0x30, &place));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// TLS under SNS's name in the topic's region.
fn tls(root: &CertifiedIssuer<'static, KeyPair>) -> anyhow::Result<TlsAcceptor> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([HOST.to_owned()])?.signed_by(&key, root)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What a connection begins with when it is TLS: a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Connections with TLS and without, as each begins.
struct TlsOrNot {
    listener: TcpListener,
    tls: TlsAcceptor,
}

/// How a connection came.
#[derive(Clone, Copy, Debug)]
struct Scheme(&'static str);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl TlsOrNot {
    async fn open(&self, tcp: TcpStream) -> std::io::Result<(Box<dyn Stream>, Scheme)> {
        let mut first = [0];
        tcp.peek(&mut first).await?;
        if first == [TLS_HANDSHAKE] {
            Ok((Box::new(self.tls.accept(tcp).await?), Scheme("https")))
        } else {
            Ok((Box::new(tcp), Scheme("http")))
        }
    }
}

impl Listener for TlsOrNot {
    type Io = Box<dyn Stream>;
    type Addr = Scheme;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (tcp, _) = Listener::accept(&mut self.listener).await;
            // Who does not like the certificate goes away.
            if let Ok(opened) = self.open(tcp).await {
                return opened;
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(Scheme("http"))
    }
}

impl Connected<IncomingStream<'_, TlsOrNot>> for Scheme {
    fn connect_info(stream: IncomingStream<'_, TlsOrNot>) -> Self {
        *stream.remote_addr()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Scheme(scheme)): ConnectInfo<Scheme>,
    request: Request,
) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let url = format!("{scheme}://{host}{}", request.uri());
    if request.method() == Method::POST {
        shared.lock().asked.push("POST".to_owned());
        let body = axum::body::to_bytes(request.into_body(), 64 * 1024).await;
        return confirm(&shared, &body.unwrap_or_default());
    }
    let mut state = shared.lock();
    state.asked.push(url.clone());
    let page = state.pages.get(&url).cloned();
    let Some(page) = page else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(page.octets));
    *response.status_mut() = status;
    let location = page.location.and_then(|location| location.parse().ok());
    let headers = response.headers_mut();
    headers.extend(location.map(|location| (header::LOCATION, location)));
    response
}

/// `ConfirmSubscription` (SNS API reference).
fn confirm(shared: &Shared, body: &Bytes) -> Response {
    let parameters: BTreeMap<String, String> =
        url::form_urlencoded::parse(body).into_owned().collect();
    let given = |name: &str| parameters.get(name).map(String::as_str);
    if given("Action") != Some("ConfirmSubscription") {
        return refuse("InvalidAction");
    }
    let mut state = shared.lock();
    let place = state
        .tokens
        .iter()
        .position(|token| given("Token") == Some(token));
    let (Some(place), Some(TOPIC)) = (place, given("TopicArn")) else {
        return refuse("InvalidParameter");
    };
    state.tokens.remove(place);
    state.confirmations.push(parameters);
    let id = uuid::Uuid::new_v4();
    let answer = format!(
        "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><ConfirmSubscriptionResult>\
         <SubscriptionArn>{TOPIC}:{id}</SubscriptionArn></ConfirmSubscriptionResult>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></ConfirmSubscriptionResponse>"
    );
    ([(header::CONTENT_TYPE, "text/xml")], answer).into_response()
}

fn refuse(code: &str) -> Response {
    let answer = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>Invalid parameter</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    let kind = [(header::CONTENT_TYPE, "text/xml")];
    (StatusCode::BAD_REQUEST, kind, answer).into_response()
}
