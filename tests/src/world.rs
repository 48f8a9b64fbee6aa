//! One small world per test: a table of its own on one of the engines, the functions in this process, SES and DNS beside them.
//!
//! The functions reach the table and SES through proxies that count and can misbehave. Time is what a test says it is, except
//! for feedback, whose time is in the notifications.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, atomic};
use std::time::Duration;

use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{AUTHORIZATION, CONTENT_TYPE};
use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Request};
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::api::{
    LeadStatus, LogReply, Problem, RecheckReply, SavedLead, StatusesReply, VerificationReply,
};
use leadlight::evidence::AddressRecord;
use leadlight::lead::{Lead, LeadId};
use leadlight::log::{Entry, LogEvent};
use leadlight::policy::Policy;
use leadlight_dev::dns::{Fault, Question, Server, Zone};
use leadlight_dev::engine::Engine;
use leadlight_dev::event_bus::{self, EventBus};
use leadlight_dev::ledger::Ledger;
use leadlight_dev::logs;
use leadlight_dev::queue::{Queue, QueueSettings};
use leadlight_dev::ses::{Ses, SesSettings};
use leadlight_dev::sns::Sns;
use leadlight_dev::table_stream::TableStream;
use leadlight_dev::template;
use leadlight_functions::app::Leadlight;
use leadlight_functions::config::{Settings, SnsSettings};
use leadlight_functions::feedback::HandleError;
use leadlight_functions::reverifications::{self, Report};
use leadlight_functions::subscriber::Topics;
use leadlight_functions::table::item::{Account, AddressSecret, Item, Key};
use leadlight_functions::table::{Consistency, Table};
use leadlight_functions::verifier::Blocklist;
use leadlight_functions::{
    feedback, leads, rechecks, reputation, sends, statuses, subscriber, verifications, webhooks,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::envelopes;
use crate::openapi;
use crate::proxy::Proxy;
use crate::tokens::{Issuer, SERVER_SCOPE};

/// The Ed25519 key of RFC 8410 section 10.3, which is for examples only.
const PERMIT_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
/// What address keys are made with.
const SECRET: &str = "a secret that only tests may know";
/// What AWS's requests are signed with.
const ACCESS_KEY: &str = "an access key that opens nothing";
/// The address of the lead `ann`.
pub(crate) const ANN: &str = "ann@lead.example";

/// Makes two tests of each function `async fn(World)`: one on the embedded engine, one on DynamoDB Local.
macro_rules! on_both_engines {
    ($($story:ident),+ $(,)?) => {$(
        mod $story {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_the_embedded_engine() {
                super::$story(crate::world::World::embedded().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_dynamodb_local() {
                super::$story(crate::world::World::dynamodb_local().await).await;
            }
        }
    )+};
}
pub(crate) use on_both_engines;

/// DynamoDB Local takes seconds to start: one for all tests of the process, a table for each.
static DYNAMODB_LOCAL: LazyLock<Engine> = LazyLock::new(|| {
    let folder = leadlight_dev::tools::dynamodb_local(&leadlight_dev::progress::Progress::silent());
    let engine = folder.and_then(|folder| Engine::dynamodb_local(&folder));
    engine.expect("DynamoDB Local can be fetched and started")
});
static TABLES: atomic::AtomicUsize = atomic::AtomicUsize::new(0);

/// Everything one test needs.
pub(crate) struct World {
    /// Between the functions and the table.
    pub(crate) table_calls: Proxy,
    /// Between the functions and SES.
    pub(crate) ses_calls: Proxy,
    pub(crate) ses: Ses,
    pub(crate) dns: Server,
    pub(crate) event_bus: EventBus,
    pub(crate) sns: Box<Sns>,
    /// The table's stream.
    pub(crate) stream: TableStream,
    /// The functions.
    pub(crate) app: Arc<Leadlight>,
    /// The functions in another process, which reach the table without the proxy.
    pub(crate) rival: Arc<Leadlight>,
    settings: Settings,
    /// The account `acme`.
    pub(crate) acme: Issuer,
    /// The account `globex`, which shares nothing with `acme`.
    pub(crate) globex: Issuer,
    _engine: Option<Engine>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn embedded() -> Self {
        let engine = Engine::memory().unwrap();
        Self::new(engine.endpoint(), Some(engine)).await
    }

    pub(crate) async fn dynamodb_local() -> Self {
        let endpoint = tokio::task::spawn_blocking(|| DYNAMODB_LOCAL.endpoint())
            .await
            .unwrap();
        Self::new(endpoint, None).await
    }

    async fn new(engine: String, owned: Option<Engine>) -> Self {
        logs::keep().unwrap();
        for secret in [SECRET, ACCESS_KEY, PERMIT_KEY] {
            logs::forbid(secret).unwrap();
        }
        let queue = Queue::open(Ledger::memory().unwrap(), QueueSettings::default()).unwrap();
        let ses = Ses::start(queue, SesSettings::default()).await.unwrap();
        let dns = Server::start(zone()).await.unwrap();
        let event_bus = EventBus::start().await.unwrap();
        let sns = Box::new(Box::pin(Sns::start()).await.unwrap());
        let table_calls = Proxy::start(engine.clone()).await;
        let ses_calls = Proxy::start(ses.endpoint()).await;
        let number = TABLES.fetch_add(1, atomic::Ordering::Relaxed);
        let settings = Settings {
            table: format!("leadlight-{number}"),
            address_secret: secret(),
            name_servers: vec![dns.address()],
            blocklists: Vec::new(),
            region: "eu-central-1".to_owned(),
            credentials: Credentials::new(format!("test{number}"), ACCESS_KEY, None, None, "tests"),
            dynamodb_endpoint: Some(table_calls.endpoint()),
            sesv2_endpoint: Some(ses_calls.endpoint()),
            configuration_set: Some("acme-news".to_owned()),
            permit_key: Some(PERMIT_KEY.into()),
            event_bus: Some(event_bus::BUS.to_owned()),
            eventbridge_endpoint: Some(event_bus.endpoint()),
            sns: sns.settings(),
            local_webhooks: true,
        };
        let stream = TableStream::signed(
            &engine,
            &settings.table,
            "eu-central-1",
            settings.credentials.clone(),
        );
        let direct = Settings {
            dynamodb_endpoint: Some(engine),
            sesv2_endpoint: Some(ses.endpoint()),
            ..settings.clone()
        };
        let world = Self {
            app: Arc::new(Leadlight::new(&settings).unwrap()),
            rival: Arc::new(Leadlight::new(&direct).unwrap()),
            acme: Issuer::new("acme"),
            globex: Issuer::new("globex"),
            settings,
            table_calls,
            ses_calls,
            ses,
            dns,
            event_bus,
            sns,
            stream,
            _engine: owned,
        };
        world.create_table().await;
        world.save_account(&world.acme, Policy::default()).await;
        world.save_account(&world.globex, Policy::default()).await;
        for identity in ["mail.acme.example", "acme-news", "acme-tenant"] {
            let _new = world
                .table()
                .save_identity(identity, &world.acme.account)
                .await
                .unwrap();
        }
        world
    }

    /// With more patience than the functions have: Java may be starting still.
    async fn create_table(&self) {
        let patience = TimeoutConfig::builder()
            .operation_timeout(Duration::from_mins(1))
            .operation_attempt_timeout(Duration::from_mins(1))
            .build();
        let client = self.settings.dynamodb();
        let config = client
            .config()
            .to_builder()
            .timeout_config(patience)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        Table::new(client, self.settings.table.clone())
            .create(&template::table().unwrap())
            .await
            .unwrap();
    }

    async fn save_account(&self, issuer: &Issuer, policy: Policy) {
        let account = Account {
            policy,
            keys: issuer.public_keys(),
            origins: None,
            ses_tenant: None,
        };
        self.table()
            .save_account(&issuer.account, &account)
            .await
            .unwrap();
    }

    /// Gives `acme` another policy. Only before the first request: accounts are remembered for a minute.
    pub(crate) async fn with_policy(self, policy: Policy) -> Self {
        self.save_account(&self.acme, policy).await;
        self
    }

    /// Gives `acme` a list of the origins of its pages, and starts the functions anew.
    pub(crate) async fn with_origins(mut self, origins: &[&str]) -> Self {
        let origins = origins.iter().map(|origin| (*origin).to_owned());
        let account = Account {
            keys: self.acme.public_keys(),
            origins: Some(origins.collect()),
            ..Account::default()
        };
        let saved = self.table().save_account(&self.acme.account, &account);
        saved.await.unwrap();
        self.app = Arc::new(Leadlight::new(&self.settings).unwrap());
        self
    }

    /// Gives `acme` an SES tenant. Only before the first request: accounts are remembered for a minute.
    pub(crate) async fn with_ses_tenant(self, name: &str) -> Self {
        let account = Account {
            keys: self.acme.public_keys(),
            ses_tenant: Some(name.to_owned()),
            ..Account::default()
        };
        let saved = self.table().save_account(&self.acme.account, &account);
        saved.await.unwrap();
        self
    }

    /// Lets the functions ask these blocklists.
    pub(crate) fn with_blocklists(mut self, lists: &Value) -> Self {
        for list in lists.as_array().unwrap() {
            logs::forbid(list["key"].as_str().unwrap_or_default()).unwrap();
        }
        self.settings.blocklists = Blocklist::read_all(&lists.to_string()).unwrap();
        self.app = Arc::new(Leadlight::new(&self.settings).unwrap());
        self
    }

    /// What another process is told by its environment, to work beside the functions.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let settings = &self.settings;
        vec![
            ("LEADLIGHT_TABLE", settings.table.clone()),
            ("LEADLIGHT_ADDRESS_SECRET", SECRET.to_owned()),
            ("AWS_REGION", settings.region.clone()),
            (
                "AWS_ACCESS_KEY_ID",
                settings.credentials.access_key_id().to_owned(),
            ),
            ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.table_calls.endpoint()),
            ("AWS_ENDPOINT_URL_SESV2", self.ses_calls.endpoint()),
        ]
    }

    /// The functions in a process that has just started: it remembers nothing.
    pub(crate) fn restarted(&self) -> Leadlight {
        Leadlight::new(&self.settings).unwrap()
    }

    /// Puts the functions into a process that knows the account and has counted one request, as after a pause.
    pub(crate) async fn rest(&mut self) {
        self.app = Arc::new(self.restarted());
        self.statuses(&["nobody"]).await;
    }

    /// The functions with another name server.
    pub(crate) fn asking(&self, name_server: SocketAddr) -> Leadlight {
        let settings = Settings {
            name_servers: vec![name_server],
            ..self.settings.clone()
        };
        Leadlight::new(&settings).unwrap()
    }

    /// The functions as deployed, which speak to webhooks on the Internet only.
    pub(crate) fn deployed(&self) -> Leadlight {
        let settings = Settings {
            local_webhooks: false,
            ..self.settings.clone()
        };
        Leadlight::new(&settings).unwrap()
    }

    /// The functions with other topics than SNS's stand-in has.
    pub(crate) fn taking(&self, topics: &str) -> Leadlight {
        let sns = SnsSettings {
            topics: Topics::read(topics).unwrap(),
            ..self.sns.settings()
        };
        let settings = Settings {
            sns,
            ..self.settings.clone()
        };
        Leadlight::new(&settings).unwrap()
    }

    /// The functions with another SES.
    pub(crate) fn with_ses_at(&self, address: SocketAddr) -> Leadlight {
        let settings = Settings {
            sesv2_endpoint: Some(format!("http://{address}")),
            ..self.settings.clone()
        };
        Leadlight::new(&settings).unwrap()
    }

    /// The table, without the proxy.
    pub(crate) fn table(&self) -> &Table {
        &self.rival.table
    }

    /// A token of `acme`'s server.
    pub(crate) fn token(&self, now: Timestamp) -> String {
        self.acme.token(SERVER_SCOPE, now).sign()
    }

    /// `method path` by `acme`'s server, with `body` unless that is null.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call_at(method, path, body, Timestamp::now()).await
    }

    /// The same at another time.
    pub(crate) async fn call_at(
        &self,
        method: &str,
        path: &str,
        body: Value,
        now: Timestamp,
    ) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let authorization = format!("Bearer {}", self.token(now));
        let request = request(method, path, Some(&authorization), body.into());
        answer(&self.app, request, now).await
    }

    /// Saves a lead of `acme`.
    pub(crate) async fn save(&self, lead: &str, address: &str) -> SavedLead {
        let reply = self.put(lead, json!({ "address": address })).await;
        assert!(reply.status < 300, "{reply:?}");
        reply.read()
    }

    pub(crate) async fn put(&self, lead: &str, body: Value) -> Reply {
        self.call("PUT", &format!("/v1/leads/{lead}"), body).await
    }

    pub(crate) async fn press(&self, lead: &str) -> Reply {
        self.press_at(lead, Timestamp::now()).await
    }

    pub(crate) async fn press_at(&self, lead: &str, now: Timestamp) -> Reply {
        self.call_at(
            "POST",
            &format!("/v1/leads/{lead}/rechecks"),
            json!(null),
            now,
        )
        .await
    }

    /// Presses Check again and expects an answer with an outcome.
    pub(crate) async fn recheck(&self, lead: &str) -> RecheckReply {
        let reply = self.press(lead).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.read()
    }

    pub(crate) async fn status(&self, lead: &str) -> LeadStatus {
        self.statuses(&[lead]).await.remove(0)
    }

    pub(crate) async fn statuses(&self, leads: &[&str]) -> Vec<LeadStatus> {
        let reply = self
            .call("POST", "/v1/statuses", json!({ "leads": leads }))
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.read::<StatusesReply>().statuses
    }

    /// The newest entries of a lead's log.
    pub(crate) async fn log(&self, lead: &str) -> Vec<Entry> {
        let path = format!("/v1/leads/{lead}/log?limit=100");
        let reply = self.call("GET", &path, json!(null)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.read::<LogReply>().entries
    }

    /// What the log of a lead is about, newest first.
    pub(crate) async fn events(&self, lead: &str) -> Vec<LogEvent> {
        self.log(lead)
            .await
            .into_iter()
            .map(|entry| entry.event)
            .collect()
    }

    /// Verifies what is due at `now`, as the schedule does.
    pub(crate) async fn tick(&self, now: Timestamp) -> Report {
        reverifications::handle_at(&self.app.verifier, None, now)
            .await
            .unwrap()
    }

    /// Asks what is to be said of an address.
    pub(crate) async fn verify(&self, address: &str) -> VerificationReply {
        let body = json!({ "address": address });
        let reply = self.call("POST", "/v1/verifications", body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.read()
    }

    /// What DNS was asked so far, also by those who did not wait for the answer.
    pub(crate) async fn questions(&self) -> Vec<Question> {
        self.dns.listen().await.unwrap();
        self.dns.questions()
    }

    /// Hands an event to the feedback function.
    pub(crate) async fn feed(&self, event: Value) -> Result<Value, HandleError> {
        feedback::handle(&self.app, event, None).await
    }

    /// Publishes an event to a topic that delivers by HTTPS.
    pub(crate) async fn deliver_by_https(&self, event: &str) -> Reply {
        let now = Timestamp::now();
        let message = self.sns.notification(event, now).unwrap();
        let body = Body::Text(message.to_string());
        let request = request("POST", "/v1/notifications", None, body);
        answer(&self.app, request, now).await
    }

    /// Delivers notifications by SNS and SQS, and what failed again, as the queue does; expects that all are taken.
    pub(crate) async fn deliver(&self, notifications: &[Value]) {
        let bodies = notifications.iter().map(envelopes::sns).collect();
        let dead = redeliver(&self.app, bodies).await;
        assert_eq!(dead.len(), 0, "every notification should be taken");
    }

    /// Delivers notifications as one batch, and expects that all are taken at once.
    pub(crate) async fn deliver_once(&self, notifications: &[Value]) {
        let failed = self.deliver_some(notifications).await;
        assert_eq!(failed.len(), 0, "{failed:?} should be taken");
    }

    /// Delivers notifications as one batch; returns which are to come again.
    pub(crate) async fn deliver_some(&self, notifications: &[Value]) -> Vec<usize> {
        let bodies: Vec<String> = notifications.iter().map(envelopes::sns).collect();
        failures(&self.feed(envelopes::sqs(&bodies)).await.unwrap())
    }

    /// What the table holds of a lead of `acme`.
    pub(crate) async fn stored_lead(&self, lead: &str) -> Option<Lead> {
        self.stored(&Key::<Lead>::lead(&self.acme.account, &lead_id(lead)))
            .await
    }

    /// What the table holds of an address of `acme`.
    pub(crate) async fn record(&self, address: &str) -> Option<AddressRecord> {
        let key = Key::evidence(&self.acme.account, &key_of(address));
        self.stored(&key).await
    }

    /// Writes an item of these texts, which no function would.
    pub(crate) async fn write_by_hand(&self, attributes: &[(&str, &str)]) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = attributes.iter();
        let item = item.map(|(name, value)| ((*name).to_owned(), text(value)));
        let put = self.settings.dynamodb().put_item();
        let put = put.table_name(&self.settings.table);
        put.set_item(Some(item.collect())).send().await.unwrap();
    }

    async fn stored<T: Item>(&self, key: &Key<T>) -> Option<T> {
        let stored = self.table().load(key, Consistency::Strong).await.unwrap();
        stored.map(|stored| stored.item)
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.body.clone())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem document, after a look at what every one of them must be.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Problem {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.headers[CONTENT_TYPE], "application/problem+json",
            "{self:?}"
        );
        assert_eq!(self.headers["cache-control"], "no-store", "{self:?}");
        let problem: Problem = self.read();
        assert_eq!(
            problem.kind,
            format!("https://leadlight.dev/problems/{code}"),
            "{self:?}"
        );
        assert_eq!(problem.status, status, "{self:?}");
        problem
    }
}

/// What a queue does before it gives a message up.
const MOST_RECEIVES: usize = 5;

/// Delivers a batch, and what failed of it again, as a queue does. Gives back what ended in the dead-letter queue.
pub(crate) async fn redeliver(app: &Leadlight, mut bodies: Vec<String>) -> Vec<String> {
    for _ in 0..MOST_RECEIVES {
        if bodies.is_empty() {
            break;
        }
        let answer = feedback::handle(app, envelopes::sqs(&bodies), None).await;
        let failed = failures(&answer.unwrap());
        bodies = failed
            .into_iter()
            .map(|place| std::mem::take(&mut bodies[place]))
            .collect();
    }
    bodies
}

/// The failed records of a batch, by their place in it.
#[track_caller]
pub(crate) fn failures(answer: &Value) -> Vec<usize> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let place = |failure: &Value| failure["itemIdentifier"].as_str()?.parse().ok();
    let mut failed: Vec<usize> = failures
        .iter()
        .map(|failure| place(failure).unwrap())
        .collect();
    failed.sort_unstable();
    failed
}

/// A request; a body is said to be JSON.
pub(crate) fn request(
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: Body,
) -> Request {
    let mut request = lambda_http::http::Request::builder()
        .method(method)
        .uri(format!("https://api.acme.example{path}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(body).unwrap()
}

/// The function that the API sends a request to answers it.
pub(crate) async fn answer(app: &Leadlight, request: Request, now: Timestamp) -> Reply {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match path.as_str() {
        "/v1/statuses" => statuses::handle_at(app, request, now).await,
        "/v1/send-checks" | "/v1/sends" | "/v1/permit-keys" => {
            sends::handle_at(&app.outbox, request, now).await
        }
        "/v1/verifications" => verifications::handle_at(&app.verifier, request, now).await,
        "/v1/webhook" => webhooks::handle_at(&app.reach, request, now).await,
        "/v1/reputation" | "/v1/openapi.json" => reputation::handle_at(app, request, now).await,
        "/v1/notifications" => subscriber::handle_at(&app.sns, request, now).await,
        path if path.ends_with("/rechecks") => rechecks::handle_at(&app.checks, request, now).await,
        _ => leads::handle_at(&app.checks, request, now).await,
    };
    let (parts, body) = response.into_parts();
    assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    let text: &[u8] = body.as_ref();
    let reply = Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(text).unwrap_or(Value::Null),
    };
    openapi::assert_described(method.as_str(), &path, &reply);
    reply
}

fn secret() -> AddressSecret {
    AddressSecret::new(SECRET).unwrap()
}

pub(crate) fn key_of(address: &str) -> AddressKey {
    secret().key_of(&Address::parse(address).unwrap())
}

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub(crate) fn lead_id(id: &str) -> LeadId {
    LeadId::parse(id).unwrap()
}

/// `minutes` before now.
pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// `days` before now.
pub(crate) fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

/// The world's DNS: a domain for each way a verification can end.
fn zone() -> Zone {
    Zone::default()
        .mail("lead.example", [192, 0, 2, 10].into())
        .mail("new.example", [192, 0, 2, 11].into())
        .host("implicit.example", [192, 0, 2, 12].into())
        .null_mx("null-mx.example")
        .empty("empty.example")
        .mail("private.example", [10, 0, 0, 1].into())
        .fault("failing.example", Fault::ServerFailure)
        .fault("silent.example", Fault::Silence)
}

/// Makes a document comparable between runs: times of this minute and ids that we draw become placeholders.
pub(crate) fn stable(mut document: Value) -> Value {
    stabilise(&mut document);
    document
}

fn stabilise(value: &mut Value) {
    match value {
        Value::String(text) => {
            let is_now = |at: Timestamp| {
                at.duration_since(Timestamp::now()).abs() < SignedDuration::from_mins(5)
            };
            if text.parse().is_ok_and(is_now) {
                "[now]".clone_into(text);
            }
            for kind in ["verification:", "release:"] {
                if let Some((_, key)) = text
                    .strip_prefix(kind)
                    .and_then(|rest| rest.rsplit_once(':'))
                {
                    *text = format!("{kind}[id]:{key}");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(stabilise),
        Value::Object(fields) => fields.values_mut().for_each(stabilise),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
