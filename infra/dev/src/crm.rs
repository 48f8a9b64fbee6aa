//! The back end of the demo CRM: a small database of leads that belongs to the host, and its calls to Leadlight and SES.
//!
//! It does what a CRM vendor has to do, and nothing that belongs to Leadlight: it keeps names, companies and addresses, saves and
//! sends through Leadlight with a server token, and mints short tokens for the widget in its pages. It decides about no recipient.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use axum::Router;
use axum::extract::{Json, Path as PathParameter, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use leadlight::api::{
    CheckRecipient, MAX_STATUSES, Mailbox, SaveLead, SendChecksRequest, SendRecipient, SendRequest,
    StatusesReply, StatusesRequest,
};
use leadlight::gate::{Mode, Purpose};
use leadlight::lead::{LeadId, Standing};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::RwLock;

use crate::account::LocalAccount;
use crate::gateway::{self, Gateway};

/// Who sends the demo's mail.
pub const SENDER_NAME: &str = "Harbour CRM";
/// The address of whoever sends the demo's mail.
pub const SENDER: &str = "hello@harbour.example";
/// The domain that sends the demo's mail, an identity of the demo's account.
pub const SENDER_DOMAIN: &str = "harbour.example";
/// The configuration set of the demo's mail, an identity of the demo's account.
pub const CONFIGURATION_SET: &str = "leadlight-demo";

/// A lead as the CRM knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The CRM's own id.
    pub id: LeadId,
    /// The person.
    pub name: String,
    /// Where they work.
    pub company: String,
    /// The address, as it was last saved.
    pub address: String,
    /// What the CRM says of the lead.
    pub standing: Standing,
    /// When it was last saved.
    pub changed_at: Timestamp,
}

/// The demo CRM.
#[derive(Clone, Debug)]
pub struct Crm {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    contacts: RwLock<Vec<Contact>>,
    file: Option<PathBuf>,
    account: Arc<LocalAccount>,
    gateway: Gateway,
    ses: aws_sdk_sesv2::Client,
}

/// Why a request to the CRM ended without an answer of its own.
enum Failure {
    /// The CRM or Leadlight said no.
    Refused(Box<Response>),
    /// Something broke.
    Broken(anyhow::Error),
}

type Answer<T> = Result<T, Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(response) => *response,
            Self::Broken(error) => {
                tracing::error!("the demo CRM failed: {error:#}");
                gateway::problem(StatusCode::BAD_GATEWAY, "demo-crm", &format!("{error:#}"))
            }
        }
    }
}

impl Crm {
    /// The CRM whose database is `file`; without one it forgets everything at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(
        file: Option<&Path>,
        account: Arc<LocalAccount>,
        gateway: Gateway,
        ses_endpoint: &str,
    ) -> anyhow::Result<Self> {
        let contacts = match file.filter(|file| file.is_file()) {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("read {}", file.display()))?;
                serde_json::from_str(&text)
                    .with_context(|| format!("read {} as the CRM's database", file.display()))?
            }
            None => Vec::new(),
        };
        let shared = Shared {
            contacts: RwLock::new(contacts),
            file: file.map(Path::to_owned),
            account,
            gateway,
            ses: crate::aws::sesv2(ses_endpoint),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The CRM's endpoints, below `/crm`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/crm/leads", get(list))
            .route("/crm/leads/{id}", get(read).put(save))
            .route("/crm/leads/{id}/log", get(read_log))
            .route("/crm/verifications", post(verify))
            .route("/crm/send-checks", post(check))
            .route("/crm/messages", post(send))
            .route("/crm/token", post(mint))
            .route("/crm/reputation", get(read_reputation))
            .route("/crm/webhook-state", get(read_webhook))
            .with_state(Arc::clone(&self.shared))
    }

    /// Whether nobody is in it yet.
    pub async fn is_empty(&self) -> bool {
        self.shared.contacts.read().await.is_empty()
    }

    /// Adds a lead, in the CRM and in Leadlight.
    ///
    /// # Errors
    /// When Leadlight refuses it.
    pub async fn add(&self, contact: Contact) -> anyhow::Result<()> {
        self.save(&contact).await?;
        self.enter(vec![contact]).await
    }

    /// Enters leads that are not in the CRM yet. Leadlight hears nothing of them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn enter(&self, entered: Vec<Contact>) -> anyhow::Result<()> {
        let mut contacts = self.shared.contacts.write().await;
        let known: HashSet<LeadId> = contacts.iter().map(|contact| contact.id.clone()).collect();
        contacts.extend(
            entered
                .into_iter()
                .filter(|contact| !known.contains(&contact.id)),
        );
        self.shared.keep(&contacts)
    }

    /// Saves a lead in Leadlight.
    ///
    /// # Errors
    /// When Leadlight refuses it.
    pub async fn save(&self, contact: &Contact) -> anyhow::Result<()> {
        let save = SaveLead {
            address: contact.address.clone(),
            standing: Some(contact.standing),
            standing_since: None,
        };
        let path = format!("/v1/leads/{}", contact.id);
        self.command("PUT", &path, &serde_json::to_value(&save)?)
            .await
            .with_context(|| format!("save the lead {}", contact.id))
            .map(drop)
    }

    /// Those of the leads that Leadlight does not know.
    ///
    /// # Errors
    /// When Leadlight does not answer.
    pub async fn unsaved(&self, leads: &[LeadId]) -> anyhow::Result<HashSet<LeadId>> {
        let mut unsaved = HashSet::new();
        for leads in leads.chunks(MAX_STATUSES) {
            let asked = StatusesRequest {
                leads: leads.to_vec(),
            };
            let answer = self
                .command("POST", "/v1/statuses", &serde_json::to_value(&asked)?)
                .await?;
            let reply: StatusesReply = serde_json::from_value(answer)?;
            let unknown = reply
                .statuses
                .into_iter()
                .filter(|status| status.standing.is_none());
            unsaved.extend(unknown.map(|status| status.lead));
        }
        Ok(unsaved)
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let token = self.shared.account.server_token(Timestamp::now())?.token;
        let (status, answer) = self
            .shared
            .gateway
            .ask(method, path, &token, None, Some(body))
            .await?;
        anyhow::ensure!(status.is_success(), "Leadlight refuses: {answer}");
        Ok(answer)
    }

    /// Sends a message to a lead without asking Leadlight, as a CRM that knows nothing of it would.
    ///
    /// # Errors
    /// When SES refuses it.
    pub async fn send_unchecked(
        &self,
        contact: &Contact,
        subject: &str,
        text: &str,
    ) -> anyhow::Result<String> {
        self.shared.send_unchecked(contact, subject, text).await
    }
}

async fn list(State(crm): State<Arc<Shared>>) -> Json<Vec<Contact>> {
    Json(crm.contacts.read().await.clone())
}

async fn read(
    State(crm): State<Arc<Shared>>,
    PathParameter(id): PathParameter<String>,
) -> Answer<Json<Contact>> {
    Ok(Json(crm.find(&id).await?))
}

/// What may be changed of a lead.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    company: Option<String>,
    address: Option<String>,
    standing: Option<Standing>,
}

/// Leadlight first: what it refuses is not saved here either.
async fn save(
    State(crm): State<Arc<Shared>>,
    PathParameter(id): PathParameter<String>,
    body: String,
) -> Answer<Json<Contact>> {
    let change: Change = parse(&body)?;
    let mut contact = crm.find(&id).await?;
    let save = SaveLead {
        address: change.address.unwrap_or_else(|| contact.address.clone()),
        standing: change.standing,
        standing_since: None,
    };
    let body = serde_json::to_value(&save)?;
    let saved = crm
        .ask_leadlight(
            "PUT",
            &format!("/v1/leads/{}", contact.id),
            None,
            Some(&body),
        )
        .await?;
    contact.address = saved
        .get("address")
        .and_then(Value::as_str)
        .map_or(save.address, str::to_owned);
    contact.name = change.name.unwrap_or(contact.name);
    contact.company = change.company.unwrap_or(contact.company);
    contact.standing = change.standing.unwrap_or(contact.standing);
    contact.changed_at = Timestamp::now();
    let mut contacts = crm.contacts.write().await;
    if let Some(kept) = contacts.iter_mut().find(|kept| kept.id == contact.id) {
        kept.clone_from(&contact);
    }
    crm.keep(&contacts)?;
    Ok(Json(contact))
}

async fn read_log(
    State(crm): State<Arc<Shared>>,
    PathParameter(id): PathParameter<String>,
    RawQuery(query): RawQuery,
) -> Answer<Json<Value>> {
    let contact = crm.find(&id).await?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(Json(
        crm.ask_leadlight(
            "GET",
            &format!("/v1/leads/{}/log{query}", contact.id),
            None,
            None,
        )
        .await?,
    ))
}

/// An address in the page's form.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    address: String,
}

/// Asks what is to be said of an address while it is typed, so that the form can say it before anything is saved.
async fn verify(State(crm): State<Arc<Shared>>, body: String) -> Answer<Json<Value>> {
    let typed: Typed = parse(&body)?;
    let asked = serde_json::to_value(&typed)?;
    Ok(Json(
        crm.ask_leadlight("POST", "/v1/verifications", None, Some(&asked))
            .await?,
    ))
}

async fn read_reputation(
    State(crm): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Answer<Json<Value>> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("/v1/reputation{query}");
    Ok(Json(crm.ask_leadlight("GET", &path, None, None).await?))
}

async fn read_webhook(State(crm): State<Arc<Shared>>) -> Answer<Json<Value>> {
    Ok(Json(
        crm.ask_leadlight("GET", "/v1/webhook", None, None).await?,
    ))
}

/// Whom a message would go to, and what it is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    leads: Vec<LeadId>,
    #[serde(default)]
    purpose: Purpose,
}

/// Asks the gate without sending, so that the page can show what is left to do after a refusal.
async fn check(State(crm): State<Arc<Shared>>, body: String) -> Answer<Json<Value>> {
    let plan: Plan = parse(&body)?;
    let recipients = crm.find_all(&plan.leads).await?.into_iter();
    let asked = SendChecksRequest {
        recipients: recipients
            .map(|contact| CheckRecipient {
                address: contact.address,
                lead_id: Some(contact.id),
            })
            .collect(),
        purpose: plan.purpose,
    };
    let asked = serde_json::to_value(&asked)?;
    Ok(Json(
        crm.ask_leadlight("POST", "/v1/send-checks", None, Some(&asked))
            .await?,
    ))
}

/// A message to one lead or more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    leads: Vec<LeadId>,
    subject: String,
    text: String,
    #[serde(default)]
    purpose: Purpose,
    #[serde(default)]
    mode: Mode,
}

/// Sends through the gate: whether it may go, and that it goes once, is Leadlight's to see to. The page makes the key, one for
/// each message that a person composes.
async fn send(
    State(crm): State<Arc<Shared>>,
    headers: HeaderMap,
    body: String,
) -> Answer<Json<Value>> {
    let message: Compose = parse(&body)?;
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .ok_or_else(|| refuse("A message needs an Idempotency-Key of its own."))?;
    let recipients = crm.find_all(&message.leads).await?.into_iter();
    let asked = SendRequest {
        from: Mailbox {
            address: SENDER.to_owned(),
            name: Some(SENDER_NAME.to_owned()),
        },
        to: recipients
            .map(|contact| SendRecipient {
                address: contact.address,
                name: Some(contact.name),
                lead_id: Some(contact.id),
            })
            .collect(),
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        subject: message.subject,
        text: Some(message.text),
        html: None,
        attachments: Vec::new(),
        headers: Vec::new(),
        list_unsubscribe: None,
        mode: message.mode,
        purpose: message.purpose,
        permit: None,
    };
    let asked = serde_json::to_value(&asked)?;
    Ok(Json(
        crm.ask_leadlight("POST", "/v1/sends", Some(key), Some(&asked))
            .await?,
    ))
}

async fn mint(State(crm): State<Arc<Shared>>) -> Answer<Json<crate::account::Token>> {
    Ok(Json(crm.account.widget_token(Timestamp::now())?))
}

fn parse<T: for<'a> Deserialize<'a>>(body: &str) -> Answer<T> {
    serde_json::from_str(body).map_err(|error| refuse(&error.to_string()))
}

fn refuse(detail: &str) -> Failure {
    let problem = gateway::problem(StatusCode::BAD_REQUEST, "demo-crm", detail);
    Failure::Refused(Box::new(problem))
}

impl Shared {
    async fn find(&self, id: &str) -> Answer<Contact> {
        let contacts = self.contacts.read().await;
        let found = contacts
            .iter()
            .find(|contact| contact.id.as_str() == id)
            .cloned();
        found.ok_or_else(|| {
            let detail = "The CRM has no such lead.";
            let problem = gateway::problem(StatusCode::NOT_FOUND, "no-such-lead", detail);
            Failure::Refused(Box::new(problem))
        })
    }

    async fn find_all(&self, ids: &[LeadId]) -> Answer<Vec<Contact>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.push(self.find(id.as_str()).await?);
        }
        Ok(found)
    }

    /// Asks Leadlight with a server token. Its refusals are passed on as they are.
    async fn ask_leadlight(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer<Value> {
        let token = self.account.server_token(Timestamp::now())?.token;
        let (status, answer) = self.gateway.ask(method, path, &token, key, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let headers = [("content-type", "application/problem+json")];
        let refusal = (status, headers, answer.to_string()).into_response();
        Err(Failure::Refused(Box::new(refusal)))
    }

    async fn send_unchecked(
        &self,
        contact: &Contact,
        subject: &str,
        text: &str,
    ) -> anyhow::Result<String> {
        let content = |text: &str| Content::builder().data(text).build();
        let tag = |name: &str, value: &str| MessageTag::builder().name(name).value(value).build();
        let body = Body::builder().text(content(text)?).build();
        let message = Message::builder()
            .subject(content(subject)?)
            .body(body)
            .build();
        let sent = self
            .ses
            .send_email()
            .from_email_address(format!("{SENDER_NAME} <{SENDER}>"))
            .destination(
                Destination::builder()
                    .to_addresses(&contact.address)
                    .build(),
            )
            .content(EmailContent::builder().simple(message).build())
            .configuration_set_name(CONFIGURATION_SET)
            .email_tags(tag("leadlight-account", self.account.id().as_str())?)
            .email_tags(tag("leadlight-lead", contact.id.as_str())?)
            .send()
            .await
            .map_err(|error| {
                anyhow::anyhow!("SES refuses the message: {}", error.into_service_error())
            })?;
        sent.message_id.context("SES gave the message no id")
    }

    /// Writes the database to a new file and puts that in the old one's place, so that a crash leaves one or the other.
    fn keep(&self, contacts: &[Contact]) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(contacts)?;
        let new = file.with_extension("new");
        std::fs::write(&new, text).with_context(|| format!("write {}", new.display()))?;
        std::fs::rename(&new, file).with_context(|| format!("write {}", file.display()))
    }
}
