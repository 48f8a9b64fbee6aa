//! What the flows are tried against: the embedded engine behind a proxy that counts and disturbs, a name server, SES's list.
//!
//! The engine never conflicts, throttles or leaves keys unprocessed by itself, so the proxy does.

mod flows;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path as FilePath;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method as AxumMethod, StatusCode};
use axum::response::{IntoResponse, Response as AxumResponse};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use lambda_http::{Body, Request};
use leadlight::account::AccountId;
use leadlight::policy::Policy;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::Leadlight;
use crate::config::{Settings, SnsSettings, lines};
use crate::table::Table;
use crate::table::definition::{Definition, Template};
use crate::table::item::{Account, AddressSecret, Algorithm, PublicKey};

pub(crate) const EVERY_SCOPE: &str = "statuses rechecks leads:read leads:write";
pub(crate) const KEY_ID: &str = "key-1";

/// Everything a flow touches, and the ways to disturb it.
pub(crate) struct Rig {
    pub(crate) app: Leadlight,
    pub(crate) table: Arc<Proxy>,
    /// The same table, past the proxy: what somebody else does.
    pub(crate) others: Table,
    pub(crate) dns: Arc<Zone>,
    pub(crate) ses: Arc<List>,
    pub(crate) account: AccountId,
    pub(crate) key: EncodingKey,
    pub(crate) now: Timestamp,
}

/// The table, as the deployment's template defines it.
static TABLE: LazyLock<Definition> = LazyLock::new(|| {
    let template: Template =
        serde_saphyr::from_str(include_str!("../../infra/template.yaml")).unwrap();
    template.table()
});

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Policy::default()).await
    }

    pub(crate) async fn start_with(policy: Policy) -> Self {
        keep_log();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(
            listener,
            dynoxide::Database::memory().unwrap(),
        ));
        let (table, table_endpoint) = Proxy::start(engine.clone()).await;
        let (dns, name_server) = Zone::start().await;
        let (ses, ses_endpoint) = List::start().await;
        let settings = Settings {
            table: "leadlight".to_owned(),
            address_secret: AddressSecret::new("0123456789abcdef0123456789abcdef").unwrap(),
            name_servers: vec![name_server],
            blocklists: Vec::new(),
            region: "eu-central-1".to_owned(),
            credentials: aws_credential_types::Credentials::new("id", "key", None, None, "test"),
            dynamodb_endpoint: Some(table_endpoint),
            sesv2_endpoint: Some(ses_endpoint),
            configuration_set: None,
            permit_key: None,
            event_bus: None,
            eventbridge_endpoint: None,
            sns: SnsSettings::default(),
            local_webhooks: false,
        };
        let past_the_proxy = Settings {
            dynamodb_endpoint: Some(engine),
            ..settings.clone()
        };
        let others = Table::new(past_the_proxy.dynamodb(), settings.table.clone());
        let app = Leadlight::new(&settings).unwrap();
        app.table.create(&TABLE).await.unwrap();

        let account = AccountId::parse("acme").unwrap();
        let secret = SecretKey::generate_from_rng(&mut rand::rng());
        let public = secret
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap();
        let keys = BTreeMap::from([(
            KEY_ID.to_owned(),
            PublicKey {
                algorithm: Algorithm::Es256,
                key: public,
            },
        )]);
        app.table
            .save_account(
                &account,
                &Account {
                    policy,
                    keys,
                    origins: None,
                    ses_tenant: None,
                },
            )
            .await
            .unwrap();
        let private = secret.to_pkcs8_pem(LineEnding::LF).unwrap();
        let key = EncodingKey::from_ec_pem(private.as_bytes()).unwrap();
        crate::jwt::install();
        table.calls();
        Self {
            app,
            table,
            others,
            dns,
            ses,
            account,
            key,
            now: Timestamp::now(),
        }
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        self.sign(
            &json!({ "iss": "acme", "aud": "leadlight", "scope": scope, "iat": self.now.as_second(),
            "exp": self.now.as_second() + 600 }),
        )
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(jsonwebtoken::Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request {
        let token = self.token(EVERY_SCOPE);
        let builder = lambda_http::http::Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        builder
            .body(body.map_or(Body::Empty, |body| Body::Text(body.to_string())))
            .unwrap()
    }

    /// Asks whichever function serves `path`.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.answer(self.request(method, path, body)).await
    }

    pub(crate) async fn answer(&self, request: Request) -> (u16, Value) {
        let path = request.uri().path().to_owned();
        let response = if path.ends_with("/rechecks") {
            crate::rechecks::handle_at(&self.app.checks, request, self.now).await
        } else if path.ends_with("/statuses") {
            crate::statuses::handle_at(&self.app, request, self.now).await
        } else {
            crate::leads::handle_at(&self.app.checks, request, self.now).await
        };
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(response.body().as_ref()).unwrap(),
        )
    }

    /// Saves a lead at `address`, whose domain takes mail.
    pub(crate) async fn save(&self, lead: &str, address: &str) -> Value {
        self.dns.mx(address.split_once('@').unwrap().1);
        let (status, reply) = self
            .ask(
                "PUT",
                &format!("/v1/leads/{lead}"),
                Some(json!({ "address": address })),
            )
            .await;
        assert!(status < 300, "{reply}");
        reply
    }

    pub(crate) async fn status(&self, lead: &str) -> String {
        let (_, reply) = self.ask("GET", &format!("/v1/leads/{lead}"), None).await;
        reply["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Delivers notifications of SES by a queue, and gives back what failed.
    pub(crate) async fn deliver(&self, notifications: &[Value]) -> Vec<String> {
        let record = |(index, notification): (usize, &Value)| {
            json!({ "messageId": format!("sqs-{index}"), "body": notification.to_string(), "eventSource": "aws:sqs",
                "attributes": { "SentTimestamp": self.now.as_millisecond().to_string() } })
        };
        let records: Vec<Value> = notifications.iter().enumerate().map(record).collect();
        let reply =
            crate::feedback::handle_at(&self.app, json!({ "Records": records }), None, self.now)
                .await
                .unwrap();
        let failures = reply["batchItemFailures"].as_array().unwrap().iter();
        failures
            .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
            .collect()
    }

    fn mail(&self, message: &str) -> Value {
        json!({ "messageId": message, "timestamp": self.now.to_string(), "source": "crm@acme.example",
            "tags": { "leadlight-account": ["acme"] } })
    }

    /// A bounce after the SES developer guide, *event publishing examples*, "Bounce record".
    pub(crate) fn bounce(&self, id: &str, address: &str, subtype: &str) -> Value {
        json!({ "eventType": "Bounce", "mail": self.mail(&format!("message-of-{id}")), "bounce": {
            "bounceType": "Permanent", "bounceSubType": subtype, "feedbackId": id, "timestamp": self.now.to_string(),
            "bouncedRecipients": [{ "emailAddress": address, "action": "failed", "status": "5.0.0" }] } })
    }

    /// A complaint after the same page, "Complaint record".
    pub(crate) fn complaint(&self, id: &str, address: &str) -> Value {
        json!({ "eventType": "Complaint", "mail": self.mail(&format!("message-of-{id}")), "complaint": {
            "feedbackId": id, "timestamp": self.now.to_string(), "complaintFeedbackType": "abuse",
            "complainedRecipients": [{ "emailAddress": address }] } })
    }

    pub(crate) fn later(&mut self, seconds: i64) {
        self.now += jiff::SignedDuration::from_secs(seconds);
    }
}

/// Keeps what is logged where `cargo dev test` searches it afterwards.
fn keep_log() {
    let Some(folder) = std::env::var_os("LEADLIGHT_TEST_LOGS") else {
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    let file = ["rig-", &std::process::id().to_string(), ".log"].concat();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(FilePath::new(&folder).join(file));
    // The first of this process keeps it for all of them.
    let _ = Registry::default()
        .with(lines("trace".parse().unwrap(), file.unwrap()))
        .try_init();
}

type Disturbance = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;
type Answering = BoxFuture<'static, (StatusCode, String)>;

/// Stands before the engine. Counts what is asked, and does what the engine never does.
#[derive(Default)]
pub(crate) struct Proxy {
    engine: String,
    http: reqwest::Client,
    answers: Mutex<BTreeMap<String, Shared<Answering>>>,
    calls: Mutex<Vec<String>>,
    before: Mutex<Vec<(String, String, Disturbance)>>,
    refusing: Mutex<BTreeSet<String>>,
    trimming: Mutex<bool>,
}

impl Proxy {
    async fn start(engine: String) -> (Arc<Self>, String) {
        let proxy = Arc::new(Self {
            engine,
            ..Self::default()
        });
        let router = Router::new()
            .fallback(Self::pass)
            .with_state(Arc::clone(&proxy));
        (proxy, serve(router).await)
    }

    /// What the SDK repeats by itself, on a busy machine, is still one call of ours: it is counted, disturbed and carried out once,
    /// and its answer is that of the first attempt.
    async fn pass(State(proxy): State<Arc<Self>>, headers: HeaderMap, body: Bytes) -> AxumResponse {
        let call = headers["amz-sdk-invocation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let answer = {
            let mut answers = proxy.answers.lock().unwrap();
            let carry_out = || Arc::clone(&proxy).carry_out(headers, body).boxed().shared();
            answers.entry(call).or_insert_with(carry_out).clone()
        };
        let (status, text) = answer.await;
        let kind = [("content-type", "application/x-amz-json-1.0")];
        (status, kind, text).into_response()
    }

    async fn carry_out(self: Arc<Self>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
        let target = headers["x-amz-target"]
            .to_str()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned();
        let mut request: Value = serde_json::from_slice(&body).unwrap();
        self.calls.lock().unwrap().push(target.clone());
        if self.refusing.lock().unwrap().contains(&target) {
            let refusal = json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "no" });
            return (StatusCode::INTERNAL_SERVER_ERROR, refusal.to_string());
        }
        let disturbance = {
            let mut before = self.before.lock().unwrap();
            let key = request["Item"]["sk"]["S"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let due = before
                .iter()
                .position(|(on, sk, _)| *on == target && *sk == key);
            due.map(|due| before.remove(due).2)
        };
        if let Some(disturbance) = disturbance {
            disturbance().await;
        }
        let mut left = Vec::new();
        let trims = *self.trimming.lock().unwrap();
        if target == "BatchGetItem" && trims {
            let keys = request["RequestItems"]["leadlight"]["Keys"]
                .as_array_mut()
                .unwrap();
            left = keys.split_off(keys.len().div_ceil(2));
        }
        let forwarded = self
            .http
            .post(&self.engine)
            .header("x-amz-target", format!("DynamoDB_20120810.{target}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", headers["authorization"].to_str().unwrap())
            .header("x-amz-date", headers["x-amz-date"].to_str().unwrap())
            .body(request.to_string());
        let answer = forwarded.send().await.unwrap();
        let status = answer.status();
        let mut answer: Value = answer.json().await.unwrap();
        if !left.is_empty() {
            answer["UnprocessedKeys"] = json!({ "leadlight": { "Keys": left } });
        }
        let status = StatusCode::from_u16(status.as_u16()).unwrap();
        (status, answer.to_string())
    }

    /// What was asked since the last call, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        core::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Does something just before the next `operation` on an item with the sort key `sk`.
    pub(crate) fn before<F>(&self, operation: &str, sk: &str, disturbance: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let disturbance: Disturbance = Box::new(move || Box::pin(disturbance));
        self.before
            .lock()
            .unwrap()
            .push((operation.to_owned(), sk.to_owned(), disturbance));
    }

    /// Refuses `operation` from now on.
    pub(crate) fn refuse(&self, operation: &str) {
        self.refusing.lock().unwrap().insert(operation.to_owned());
    }

    /// Does everything that is asked again.
    pub(crate) fn recover(&self) {
        self.refusing.lock().unwrap().clear();
    }

    /// Leaves half of the keys of each batch unprocessed from now on.
    pub(crate) fn trim_batches(&self) {
        *self.trimming.lock().unwrap() = true;
    }
}

/// A name server for a small zone. What is not in it does not exist.
#[derive(Default)]
pub(crate) struct Zone(Mutex<BTreeMap<String, Says>>);

/// What the name server says of a domain.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These MX hosts.
    Mx(Vec<(u16, &'static str)>),
    /// This address, and no MX.
    Address(Ipv4Addr),
    /// It exists, without anything; with or without the SOA record that proves it.
    Nothing { soa: bool },
    /// A failure of its own.
    Code(ResponseCode),
    /// Not a word.
    Silence,
}

impl Zone {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let zone = Arc::new(Self::default());
        zone.says("mx.example", Says::Address(Ipv4Addr::new(192, 0, 2, 25)));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = Arc::clone(&zone);
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            loop {
                let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = serving.answer(&question) {
                    socket
                        .send_to(&answer.to_vec().unwrap(), peer)
                        .await
                        .unwrap();
                }
            }
        });
        (zone, address)
    }

    pub(crate) fn says(&self, domain: &str, says: Says) {
        self.0.lock().unwrap().insert(domain.to_owned(), says);
    }

    pub(crate) fn mx(&self, domain: &str) {
        self.says(domain, Says::Mx(vec![(10, "mx.example.")]));
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first().unwrap().clone();
        let name = query.name().clone();
        let mut answer = Message::response(question.id, question.op_code);
        let soa = |mut answer: Message| {
            let example = Name::from_ascii("example.").unwrap();
            let soa = SOA::new(example.clone(), example.clone(), 1, 60, 60, 60, 60);
            answer.add_authority(Record::from_rdata(example, 60, RData::SOA(soa)));
            answer
        };
        answer.add_query(query.clone());
        let says = self
            .0
            .lock()
            .unwrap()
            .get(name.to_ascii().trim_end_matches('.'))
            .cloned();
        let record = |data| Record::from_rdata(name.clone(), 60, data);
        match says {
            None => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                Some(soa(answer))
            }
            Some(Says::Mx(hosts)) if query.query_type() == RecordType::MX => {
                for (preference, host) in hosts {
                    answer.add_answer(record(RData::MX(MX::new(
                        preference,
                        Name::from_ascii(host).unwrap(),
                    ))));
                }
                Some(answer)
            }
            Some(Says::Address(address)) if query.query_type() == RecordType::A => {
                answer.add_answer(record(RData::A(A(address))));
                Some(answer)
            }
            Some(Says::Nothing { soa: false }) => Some(answer),
            Some(Says::Mx(_) | Says::Address(_) | Says::Nothing { soa: true }) => Some(soa(answer)),
            Some(Says::Code(code)) => {
                answer.metadata.response_code = code;
                Some(answer)
            }
            Some(Says::Silence) => None,
        }
    }
}

/// SES's suppression list: exact spelling to reason.
#[derive(Default)]
pub(crate) struct List {
    entries: Mutex<BTreeMap<String, &'static str>>,
    away: Mutex<bool>,
    on_look: Mutex<Option<Disturbance>>,
}

impl List {
    async fn start() -> (Arc<Self>, String) {
        let list = Arc::new(Self::default());
        let router = Router::new()
            .route(
                "/v2/email/suppression/addresses/{address}",
                axum::routing::any(Self::answer),
            )
            .with_state(Arc::clone(&list));
        (list, serve(router).await)
    }

    async fn answer(
        State(list): State<Arc<Self>>,
        Path(address): Path<String>,
        method: AxumMethod,
    ) -> AxumResponse {
        let disturbance = list.on_look.lock().unwrap().take();
        if let Some(disturbance) = disturbance {
            disturbance().await;
        }
        if *list.away.lock().unwrap() {
            return (
                StatusCode::TOO_MANY_REQUESTS,
                [("x-amzn-errortype", "TooManyRequestsException")],
                "{}",
            )
                .into_response();
        }
        let mut entries = list.entries.lock().unwrap();
        let Some(reason) = entries.get(&address).copied() else {
            return (
                StatusCode::NOT_FOUND,
                [("x-amzn-errortype", "NotFoundException")],
                "{}",
            )
                .into_response();
        };
        if method == AxumMethod::DELETE {
            entries.remove(&address);
            return "{}".into_response();
        }
        let entry = json!({ "SuppressedDestination": { "EmailAddress": address, "Reason": reason,
            "LastUpdateTime": 1_700_000_000.0, "Attributes": { "FeedbackId": "ses-feedback", "MessageId": "ses-message" } } });
        entry.to_string().into_response()
    }

    pub(crate) fn put(&self, address: &str, reason: &'static str) {
        self.entries
            .lock()
            .unwrap()
            .insert(address.to_owned(), reason);
    }

    pub(crate) fn spellings(&self) -> Vec<String> {
        self.entries.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn go_away(&self) {
        *self.away.lock().unwrap() = true;
    }

    /// Does something when the list is next asked.
    pub(crate) fn on_look<F: Future<Output = ()> + Send + 'static>(&self, disturbance: F) {
        *self.on_look.lock().unwrap() = Some(Box::new(move || Box::pin(disturbance)));
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    endpoint
}
