//! A stand-in for Amazon SES: the part of its HTTP API that Leadlight and the demo CRM use, talked to by the official SDK.
//!
//! It sends nothing. What becomes of a message is scripted per address or follows the mailbox simulator, and is published in
//! SES's real shape through SNS's real envelope into a [`Queue`]. Facts: SES API v2 reference; SES developer guide, *event
//! publishing*, *account-level suppression list*, *mailbox simulator*.

mod feedback;
mod insights;
mod notification;
mod outcome;
mod suppression;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use leadlight::address::Address;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::queue::Queue;
use crate::task::Task;
use notification::{Event, Schema, Sent};

pub use feedback::{Mailed, Publication};
pub use insights::Insight;
pub use notification::{TOPIC, sns_envelope};
pub use outcome::{Outcome, SIMULATOR};
pub use suppression::Suppressed;

/// The most recipients of one message (SES quotas).
const MAX_RECIPIENTS: usize = 50;
/// The most entries of a page of the suppression list (SES API v2 reference, `ListSuppressedDestinations`).
const MAX_PAGE: u32 = 1_000;

/// How the stand-in is set.
#[derive(Clone, Debug)]
pub struct SesSettings {
    /// The Region that notifications name.
    pub region: String,
    /// The AWS account that notifications name.
    pub account: String,
    /// How long after a message its feedback is published.
    pub feedback_delay: Duration,
    /// Whether the sending identity publishes too, beside the message's configuration set: the same event twice.
    pub identity_notifications: bool,
}

impl Default for SesSettings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            feedback_delay: Duration::ZERO,
            identity_notifications: false,
        }
    }
}

/// A running stand-in; its API ends when this is dropped.
#[derive(Debug)]
pub struct Ses {
    address: SocketAddr,
    state: Arc<Account>,
    _server: Task,
}

#[derive(Debug)]
struct Account {
    queue: Queue,
    settings: SesSettings,
    refusals_left: AtomicU32,
    quota: Mutex<Option<Quota>>,
    insights: insights::Insights,
}

/// How often SES lets itself be asked about suppression lists.
#[derive(Clone, Copy, Debug)]
struct Quota {
    interval: Duration,
    admitted_at: Option<Instant>,
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// SES's id of the message.
    pub message_id: String,
    /// When it was accepted.
    pub sent_at: Timestamp,
    /// The sender.
    pub from: String,
    /// Its recipients.
    pub to: Vec<String>,
    /// Its recipients in copy.
    pub cc: Vec<String>,
    /// Its recipients in blind copy.
    pub bcc: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The configuration set, if it named one.
    pub configuration_set: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What became of it at each recipient.
    pub outcomes: BTreeMap<String, String>,
}

impl Ses {
    /// Starts the stand-in on a free port of 127.0.0.1. It remembers what the queue's ledger remembers, and publishes into the
    /// queue.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(queue: Queue, settings: SesSettings) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("open a port on 127.0.0.1 for SES")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Account {
            queue,
            settings,
            refusals_left: AtomicU32::new(0),
            quota: Mutex::new(None),
            insights: insights::Insights::default(),
        });
        let router = Router::new()
            .route("/v2/email/outbound-emails", post(send_email))
            .route(
                "/v2/email/suppression/addresses",
                put(put_suppressed).get(list_suppressed),
            )
            .route(
                "/v2/email/suppression/addresses/{address}",
                get(get_suppressed).delete(delete_suppressed),
            )
            .route(
                "/v2/email/email-address-insights",
                post(insights::get_insights),
            )
            .fallback(unknown_operation)
            .with_state(Arc::clone(&state))
            .merge(controls(&state));
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            state,
            _server: server,
        })
    }

    /// The endpoint, as `AWS_ENDPOINT_URL_SESV2` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `PUT` and `GET /ses/script`, `GET /ses/outbox` and `GET /ses/suppressed`, for pages on another origin.
    pub fn controls(&self) -> Router {
        controls(&self.state)
    }

    /// From now on, this becomes of messages to `address`, whatever its letter case.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn script(&self, address: &str, outcome: Outcome) -> anyhow::Result<()> {
        self.state.script(address, outcome)
    }

    /// From now on, this is what SES knows of the mailbox of `address`, whatever its letter case. Of others it knows that they
    /// exist.
    pub fn know(&self, address: &str, insight: Insight) {
        self.state.insights.know(address, insight);
    }

    /// How often it was asked about mailboxes; SES charges for each time.
    #[must_use]
    pub fn insights_given(&self) -> usize {
        self.state.insights.given()
    }

    /// Answers the next `calls` calls about the suppression list with 429.
    pub fn throttle(&self, calls: u32) {
        self.state.refusals_left.store(calls, Ordering::SeqCst);
    }

    /// From now on, admits one call about a suppression list in each `interval`, and answers the others with 429. SES's own
    /// quota is one a second (SES developer guide, *quotas*).
    pub fn limit(&self, interval: Duration) {
        let mut quota = self
            .state
            .quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *quota = Some(Quota {
            interval,
            admitted_at: None,
        });
    }

    /// Puts an address on the account's suppression list, as an operator may.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn suppress(&self, address: &str, reason: &str) -> anyhow::Result<()> {
        self.put(None, address, reason)
    }

    /// Puts an address on the suppression list of a tenant.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn suppress_for(&self, tenant: &str, address: &str, reason: &str) -> anyhow::Result<()> {
        self.put(Some(tenant), address, reason)
    }

    fn put(&self, tenant: Option<&str>, address: &str, reason: &str) -> anyhow::Result<()> {
        let entry = Suppressed::by_hand(tenant, address, reason);
        self.state
            .queue
            .ledger()
            .transact(|connection| entry.put(connection))
    }

    /// The account's suppression list.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn suppressed(&self) -> anyhow::Result<Vec<Suppressed>> {
        self.listed(None)
    }

    /// The suppression list of a tenant.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn suppressed_for(&self, tenant: &str) -> anyhow::Result<Vec<Suppressed>> {
        self.listed(Some(tenant))
    }

    fn listed(&self, tenant: Option<&str>) -> anyhow::Result<Vec<Suppressed>> {
        self.state
            .queue
            .ledger()
            .transact(|connection| Suppressed::page(connection, tenant, "", u32::MAX))
    }

    /// Every accepted message, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn outbox(&self) -> anyhow::Result<Vec<OutboxMessage>> {
        self.state.outbox()
    }
}

fn controls(state: &Arc<Account>) -> Router {
    Router::new()
        .route("/ses/script", put(set_script).get(read_script))
        .route("/ses/outbox", get(read_outbox))
        .route("/ses/suppressed", get(read_suppressed))
        .with_state(Arc::clone(state))
}

/// An error as SES's API answers it (restJson1).
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "BadRequestException",
            message: message.into(),
        }
    }

    fn not_found(address: &str) -> Self {
        let message = format!("Email address {address} does not exist on your suppression list.");
        Self {
            status: StatusCode::NOT_FOUND,
            code: "NotFoundException",
            message,
        }
    }

    fn too_many_requests() -> Self {
        let message = "Too many requests".to_owned();
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "TooManyRequestsException",
            message,
        }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        let message = format!("{error:#}");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "InternalServiceErrorException",
            message,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let headers = [
            ("x-amzn-errortype", self.code),
            ("content-type", "application/json"),
        ];
        (
            self.status,
            headers,
            json!({ "message": self.message }).to_string(),
        )
            .into_response()
    }
}

async fn unknown_operation() -> Response {
    let headers = [
        ("x-amzn-errortype", "UnknownOperationException"),
        ("content-type", "application/json"),
    ];
    let message = "the SES stand-in does not know this operation";
    (
        StatusCode::NOT_FOUND,
        headers,
        json!({ "message": message }).to_string(),
    )
        .into_response()
}

/// `SendEmail`, the part that the stand-in knows.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    content: Content,
    #[serde(default)]
    email_tags: Vec<NameValue>,
    configuration_set_name: Option<String>,
    tenant_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_field_names, reason = "SES's names")]
struct Destination {
    to_addresses: Vec<String>,
    cc_addresses: Vec<String>,
    bcc_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Data,
    body: Body,
    #[serde(default)]
    headers: Vec<NameValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Data>,
    html: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NameValue {
    name: String,
    value: String,
}

async fn send_email(
    State(account): State<Arc<Account>>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let request: SendEmail =
        serde_json::from_str(&body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let message_id = account.send(request, Timestamp::now())?;
    Ok(Json(json!({ "MessageId": message_id })))
}

/// Whose list a call is about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfTenant {
    tenant_name: Option<String>,
}

async fn get_suppressed(
    State(account): State<Arc<Account>>,
    Path(address): Path<String>,
    Query(OfTenant { tenant_name }): Query<OfTenant>,
) -> Result<Json<Value>, Refusal> {
    account.admit(&address)?;
    let found = account
        .queue
        .ledger()
        .transact(|connection| Suppressed::find(connection, tenant_name.as_deref(), &address))?;
    let entry = found.ok_or_else(|| Refusal::not_found(&address))?;
    Ok(Json(json!({ "SuppressedDestination": entry.describe() })))
}

async fn delete_suppressed(
    State(account): State<Arc<Account>>,
    Path(address): Path<String>,
    Query(OfTenant { tenant_name }): Query<OfTenant>,
) -> Result<Json<Value>, Refusal> {
    account.admit(&address)?;
    let deleted = account
        .queue
        .ledger()
        .transact(|connection| Suppressed::delete(connection, tenant_name.as_deref(), &address))?;
    if deleted {
        Ok(Json(json!({})))
    } else {
        Err(Refusal::not_found(&address))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSuppressed {
    email_address: String,
    reason: String,
    tenant_name: Option<String>,
}

async fn put_suppressed(
    State(account): State<Arc<Account>>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let request: PutSuppressed =
        serde_json::from_str(&body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    account.admit(&request.email_address)?;
    if !matches!(request.reason.as_str(), "BOUNCE" | "COMPLAINT") {
        return Err(Refusal::bad_request("Reason must be BOUNCE or COMPLAINT"));
    }
    let entry = Suppressed::by_hand(
        request.tenant_name.as_deref(),
        &request.email_address,
        &request.reason,
    );
    account
        .queue
        .ledger()
        .transact(|connection| entry.put(connection))?;
    Ok(Json(json!({})))
}

async fn list_suppressed(
    State(account): State<Arc<Account>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    account.admit("")?;
    let value = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let time = |name: &str| match value(name).map(str::parse::<Timestamp>).transpose() {
        Ok(time) => Ok(time),
        Err(_) => Err(Refusal::bad_request(format!("{name} is no time"))),
    };
    let (start, end) = (time("StartDate")?, time("EndDate")?);
    let size = value("PageSize")
        .and_then(|size| size.parse().ok())
        .unwrap_or(MAX_PAGE)
        .clamp(1, MAX_PAGE);
    let after = value("NextToken")
        .map(read_token)
        .transpose()?
        .unwrap_or_default();
    let reasons: Vec<&str> = query
        .iter()
        .filter(|(key, _)| key == "Reason")
        .map(|(_, value)| value.as_str())
        .collect();

    let entries = account
        .queue
        .ledger()
        .transact(|connection| Suppressed::page(connection, value("TenantName"), &after, size))?;
    let last = entries
        .last()
        .filter(|_| entries.len() >= usize::try_from(size).unwrap_or(usize::MAX));
    let next = last.map(|entry| URL_SAFE_NO_PAD.encode(&entry.address));
    let is_asked_for = |entry: &&Suppressed| {
        (reasons.is_empty() || reasons.contains(&entry.reason.as_str()))
            && start.is_none_or(|start| entry.updated_at >= start)
            && end.is_none_or(|end| entry.updated_at <= end)
    };
    let summaries: Vec<Value> = entries
        .iter()
        .filter(is_asked_for)
        .map(Suppressed::summarise)
        .collect();
    Ok(Json(
        json!({ "SuppressedDestinationSummaries": summaries, "NextToken": next }),
    ))
}

fn read_token(token: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "InvalidNextTokenException",
            message: "The specified request includes an invalid or expired token.".to_owned(),
        })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    address: String,
    outcome: Outcome,
}

async fn set_script(
    State(account): State<Arc<Account>>,
    Json(script): Json<Script>,
) -> Result<Json<Value>, Refusal> {
    account.script(&script.address, script.outcome)?;
    Ok(Json(
        json!({ "address": script.address, "outcome": script.outcome }),
    ))
}

async fn read_script(
    State(account): State<Arc<Account>>,
) -> Result<Json<BTreeMap<String, String>>, Refusal> {
    let script = account.queue.ledger().transact(|connection| {
        let mut rows = connection.prepare("SELECT address, outcome FROM script")?;
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    })?;
    Ok(Json(script))
}

async fn read_outbox(
    State(account): State<Arc<Account>>,
) -> Result<Json<Vec<OutboxMessage>>, Refusal> {
    Ok(Json(account.outbox()?))
}

async fn read_suppressed(State(account): State<Arc<Account>>) -> Result<Json<Vec<Value>>, Refusal> {
    let list = account
        .queue
        .ledger()
        .transact(|connection| Suppressed::page(connection, None, "", u32::MAX))?;
    Ok(Json(list.iter().map(Suppressed::describe).collect()))
}

impl Account {
    /// Refuses a call about a suppression list while throttling is on, above the quota, or if it is about a throttled address.
    fn admit(&self, address: &str) -> Result<(), Refusal> {
        if !self.is_within_quota() {
            return Err(Refusal::too_many_requests());
        }
        let refused = self
            .refusals_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        let scripted = self
            .queue
            .ledger()
            .transact(|connection| scripted(connection, address))?;
        if refused.is_ok() || scripted == Some(Outcome::Throttle) {
            Err(Refusal::too_many_requests())
        } else {
            Ok(())
        }
    }

    fn is_within_quota(&self) -> bool {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(quota) = quota.as_mut() else {
            return true;
        };
        let is_early = quota
            .admitted_at
            .is_some_and(|at| at.elapsed() < quota.interval);
        if !is_early {
            quota.admitted_at = Some(Instant::now());
        }
        !is_early
    }

    fn script(&self, address: &str, outcome: Outcome) -> anyhow::Result<()> {
        let address = address.to_lowercase();
        let outcome = code(outcome);
        self.queue.ledger().transact(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO script (address, outcome) VALUES (?1, ?2)",
                [address, outcome],
            )
        })?;
        Ok(())
    }

    fn outbox(&self) -> anyhow::Result<Vec<OutboxMessage>> {
        let messages: Vec<String> = self.queue.ledger().transact(|connection| {
            let mut rows = connection.prepare("SELECT message FROM outbox ORDER BY id DESC")?;
            rows.query_map([], |row| row.get(0))?.collect()
        })?;
        messages
            .iter()
            .map(|message| serde_json::from_str(message).context("read the outbox"))
            .collect()
    }

    /// Accepts a message and keeps, in one transaction, all that follows from it.
    fn send(&self, request: SendEmail, now: Timestamp) -> Result<String, Refusal> {
        let text = request
            .content
            .simple
            .as_ref()
            .and_then(|simple| simple.body.text.as_ref().or(simple.body.html.as_ref()));
        let text = text.map(|text| text.data.clone()).unwrap_or_default();
        let configuration_set = request.configuration_set_name.clone();
        let tags = request
            .email_tags
            .iter()
            .map(|tag| (tag.name.clone(), tag.value.clone()))
            .collect();
        let sent = self.check(request, now)?;
        let outcomes = self
            .queue
            .ledger()
            .transact(|connection| outcomes(connection, &sent))?;
        if outcomes
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Throttle)
        {
            return Err(Refusal::too_many_requests());
        }
        let schemas = match (&configuration_set, self.settings.identity_notifications) {
            (Some(_), false) => &[Schema::EventPublishing][..],
            (Some(_), true) => &[Schema::EventPublishing, Schema::Identity],
            (None, _) => &[Schema::Identity],
        };
        let message = OutboxMessage {
            message_id: sent.message_id.clone(),
            sent_at: now,
            from: sent.from.clone(),
            to: sent.to.clone(),
            cc: sent.cc.clone(),
            bcc: sent.bcc.clone(),
            subject: sent.subject.clone(),
            text,
            configuration_set,
            tags,
            outcomes: outcomes
                .iter()
                .map(|(address, outcome)| (address.clone(), code(*outcome)))
                .collect(),
        };
        let message = serde_json::to_string(&message).map_err(anyhow::Error::from)?;
        let (events, suppressed) = self.consequences(&sent, &outcomes);
        self.queue.ledger().transact(|connection| {
            connection.execute("INSERT INTO outbox (message) VALUES (?1)", [&message])?;
            suppressed
                .iter()
                .try_for_each(|entry| entry.put(connection))?;
            for event in &events {
                for notification in schemas
                    .iter()
                    .filter_map(|schema| event.publish(&sent, *schema))
                {
                    let envelope = sns_envelope(&notification.to_string(), event.at);
                    self.queue
                        .insert(connection, &envelope.to_string(), event.at)?;
                }
            }
            Ok(())
        })?;
        self.queue.wake();
        Ok(sent.message_id)
    }

    /// The checks that SES makes before it accepts a message.
    fn check(&self, request: SendEmail, now: Timestamp) -> Result<Sent, Refusal> {
        let from = request
            .from_email_address
            .ok_or_else(|| Refusal::bad_request("Missing required header 'From'."))?;
        let Some(simple) = request.content.simple else {
            return Err(Refusal::bad_request(
                "the SES stand-in sends Simple content only",
            ));
        };
        if simple.body.text.is_none() && simple.body.html.is_none() {
            return Err(Refusal::bad_request("Body must have Text or Html"));
        }
        let Destination {
            to_addresses: to,
            cc_addresses: cc,
            bcc_addresses: bcc,
        } = request.destination;
        let recipients = to.len() + cc.len() + bcc.len();
        if recipients == 0 || recipients > MAX_RECIPIENTS {
            return Err(Refusal::bad_request(format!(
                "Recipient count must be 1 to {MAX_RECIPIENTS}."
            )));
        }
        let bare = |addresses: Vec<String>| -> Result<Vec<String>, Refusal> {
            addresses
                .iter()
                .map(|address| bare_address(address))
                .collect()
        };
        let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for tag in request.email_tags {
            if !is_tag(&tag.name) || !is_tag(&tag.value) {
                let allowed = "Only alphanumeric ASCII characters, '_', '-', '.' and '@' are allowed in tags.";
                return Err(Refusal::bad_request(allowed));
            }
            tags.entry(tag.name).or_default().push(tag.value);
        }
        let own = [
            ("ses:configuration-set", request.configuration_set_name),
            ("ses:tenant-name", request.tenant_name),
        ];
        for (name, value) in own {
            tags.extend(value.map(|value| (name.to_owned(), vec![value])));
        }
        Ok(Sent {
            message_id: provider_id(now),
            accepted_at: now,
            from,
            to: bare(to)?,
            cc: bare(cc)?,
            bcc: bare(bcc)?,
            subject: simple.subject.data,
            headers: simple
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
            tags,
            region: self.settings.region.clone(),
            account: self.settings.account.clone(),
        })
    }

    /// The events of a message, and the entries that it leaves on the account's suppression list.
    fn consequences(
        &self,
        sent: &Sent,
        outcomes: &[(String, Outcome)],
    ) -> (Vec<Event>, Vec<Suppressed>) {
        let delay = SignedDuration::try_from(self.settings.feedback_delay).unwrap_or_default();
        // Each step of a message's life is a little later than the one before, whatever the delay.
        let step = delay.saturating_add(SignedDuration::from_millis(1));
        let later = |at: Timestamp| at.checked_add(step).unwrap_or(at);
        let (first, second) = (later(sent.accepted_at), later(later(sent.accepted_at)));
        let all = |wanted: &dyn Fn(Outcome) -> bool| -> Vec<String> {
            outcomes
                .iter()
                .filter(|(_, outcome)| wanted(*outcome))
                .map(|(address, _)| address.clone())
                .collect()
        };
        if outcomes
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Reject)
        {
            return (vec![Event::reject(first)], Vec::new());
        }

        let mut events = vec![Event::send(sent.accepted_at)];
        let mut suppressed = Vec::new();
        let delayed = all(&|outcome| outcome == Outcome::Delay);
        if !delayed.is_empty() {
            events.push(Event::delay(&delayed, first));
        }
        let delivered = all(&Outcome::is_delivered);
        if !delivered.is_empty() {
            events.push(Event::delivery(&delivered, first, sent.accepted_at));
        }
        let mut different: Vec<Outcome> = outcomes.iter().map(|(_, outcome)| *outcome).collect();
        different.sort_unstable();
        different.dedup();
        for outcome in different {
            let recipients = all(&|other| other == outcome);
            let at = if outcome.is_delivered() {
                second
            } else {
                first
            };
            let feedback_id = provider_id(at);
            if let Some(bounce) = outcome.bounce() {
                events.push(Event::bounce(&bounce, &recipients, &feedback_id, at));
            }
            if matches!(
                outcome,
                Outcome::Complaint | Outcome::NotSpam | Outcome::WithheldComplaint
            ) {
                let suspects = suspects(sent, &recipients);
                events.push(Event::complaint(outcome, &suspects, &feedback_id, at));
            }
            let reason = outcome.suppression();
            let listed = recipients
                .iter()
                .filter(|address| Outcome::of_simulator(address).is_none());
            suppressed.extend(listed.filter_map(|address| {
                Some(Suppressed {
                    tenant: None,
                    address: address.clone(),
                    reason: reason?.to_owned(),
                    updated_at: at,
                    message_id: Some(sent.message_id.clone()),
                    feedback_id: Some(feedback_id.clone()),
                })
            }));
        }
        (events, suppressed)
    }
}

/// Mailbox providers redact who complained, so SES names every recipient of the message at the complainer's domain.
fn suspects(sent: &Sent, complainers: &[String]) -> Vec<String> {
    let domain = |address: &str| {
        address
            .rsplit_once('@')
            .map(|(_, domain)| domain.to_lowercase())
    };
    let domains: Vec<Option<String>> = complainers.iter().map(|address| domain(address)).collect();
    sent.destination()
        .filter(|address| domains.contains(&domain(address)))
        .cloned()
        .collect()
}

/// What becomes of a message at each of its recipients. The suppression list stands before everything else.
fn outcomes(connection: &Connection, sent: &Sent) -> rusqlite::Result<Vec<(String, Outcome)>> {
    let outcome = |address: &String| {
        let script = scripted(connection, address)?;
        let listed = Suppressed::matching(connection, address)?;
        let outcome = match (script, listed) {
            (Some(Outcome::Throttle), _) => Outcome::Throttle,
            (_, Some(entry)) if entry.reason == "COMPLAINT" => Outcome::WithheldComplaint,
            (_, Some(_)) => Outcome::WithheldBounce,
            (script, None) => script
                .or(Outcome::of_simulator(address))
                .unwrap_or(Outcome::Deliver),
        };
        Ok((address.clone(), outcome))
    };
    sent.destination().map(outcome).collect()
}

fn scripted(connection: &Connection, address: &str) -> rusqlite::Result<Option<Outcome>> {
    let query = "SELECT outcome FROM script WHERE address = ?1";
    let code: Option<String> = connection
        .query_row(query, [address.to_lowercase()], |row| row.get(0))
        .optional()?;
    Ok(code.and_then(|code| serde_json::from_value(Value::String(code)).ok()))
}

/// The code of an outcome, as scripts and the outbox have it.
fn code(outcome: Outcome) -> String {
    serde_json::to_value(outcome)
        .ok()
        .and_then(|code| code.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The address that SES sends to, in the caller's spelling. SES has no SMTPUTF8: the local part must be ASCII.
fn bare_address(text: &str) -> Result<String, Refusal> {
    let address = Address::parse_mailbox(text);
    let address =
        address.map_err(|error| Refusal::bad_request(format!("Illegal address: {error}")))?;
    if !address.is_sendable_by_ses() {
        return Err(Refusal::bad_request(
            "Local address contains control or non-ASCII characters",
        ));
    }
    let bare = text
        .rsplit_once('<')
        .map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    Ok(bare.trim().to_owned())
}

fn is_tag(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    !text.is_empty() && text.len() <= 256 && text.chars().all(allowed)
}

/// An id of the form that SES gives messages and feedback.
fn provider_id(now: Timestamp) -> String {
    format!(
        "0100{:012x}-{}-000000",
        now.as_millisecond(),
        uuid::Uuid::new_v4()
    )
}
