//! The whole of Leadlight in one process: engine, SES, queue, DNS, the functions, and the demo CRM in front.
//!
//! The functions run as the library they are, on settings as their environment would give them, or as the built binaries in that
//! environment. Given a folder, everything lives on in it; without one, nothing is written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::policy::Policy;
use leadlight_functions::app::{Leadlight, Network};
use leadlight_functions::config::Settings;
use leadlight_functions::table::Commit;
use leadlight_functions::table::item::AddressSecret;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_http::cors::{self, CorsLayer};
use tower_http::services::ServeDir;

use crate::account::LocalAccount;
use crate::crm::{self, Crm};
use crate::dns::{self, Zone};
use crate::engine::Engine;
use crate::environments::Environments;
use crate::event_bus::{self, EventBus};
use crate::execution::Execution;
use crate::faults::Faults;
use crate::faults::wire::Wire;
use crate::gateway::{self, Gateway};
use crate::lambdas::{self, Invoke};
use crate::ledger::Ledger;
use crate::queue::{self, Consumer, Polling, Queue, QueueSettings};
use crate::receiver::Receiver;
use crate::runtime_api::Answer;
use crate::ses::{Ses, SesSettings};
use crate::sns::Sns;
use crate::table_stream::{Following, TableStream};
use crate::task::Task;
use crate::{aws, demo, logs, pages, template, workspace};

/// The account of the demo CRM.
pub const DEMO: &str = "demo";
/// A second account, to show that accounts see nothing of each other.
pub const NEIGHBOUR: &str = "neighbour";
/// The table's name.
pub const TABLE: &str = "leadlight";

/// The secret of address keys in local tables. Local tables hold nobody's address.
const ADDRESS_SECRET: &str = "a-local-secret-that-protects-nobody-at-all";
/// The variables that lead to services on whose way something may befall requests.
const DISTURBED: [&str; 3] = [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SESV2",
    "AWS_ENDPOINT_URL_EVENTBRIDGE",
];
/// The variable that holds the key for permits.
const PERMIT_KEY: &str = "LEADLIGHT_PERMIT_KEY";
/// How often the schedule calls the function that verifies again, as deployed.
pub(crate) const REVERIFICATIONS_EVERY: Duration = Duration::from_mins(1);
/// The most octets that the local endpoints read: more than any event, so that the functions get to refuse.
const MAX_BODY_OCTETS: usize = 16 * 1024 * 1024;

/// The headers of answers that pages of other origins may read, as the template has them.
const EXPOSED: [HeaderName; 3] = [
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// Where the functions run.
#[derive(Clone, Debug, Default)]
pub enum Functions {
    /// In this process, as the library they are.
    #[default]
    Library,
    /// As built binaries, a process each, behind Runtime APIs.
    Built {
        /// The folder of the binaries.
        folder: PathBuf,
        /// What they log, to this process's standard error; as `LEADLIGHT_LOG` takes it.
        log: String,
    },
}

impl Functions {
    fn name(&self) -> &'static str {
        match self {
            Self::Library => "in this process",
            Self::Built { .. } => "built binaries behind Runtime APIs",
        }
    }

    /// What calls them: those of this process on `app`, the built ones in `environment`.
    fn start(
        &self,
        app: &Arc<Leadlight>,
        mut environment: Vec<(String, String)>,
    ) -> anyhow::Result<Arc<dyn Invoke>> {
        Ok(match self {
            Self::Library => Arc::new(Execution::start(Arc::clone(app))?),
            Self::Built { folder, log } => {
                environment.push(("LEADLIGHT_LOG".to_owned(), log.clone()));
                Arc::new(Environments::new(folder, &environment)?)
            }
        })
    }
}

/// What befalls the functions' requests: under their clients where they run in this process, else on the wire.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// Requests to the table, to SES's lists and to `EventBridge`.
    pub of_aws: Faults,
    /// Messages on their way to SES.
    pub of_mail: Faults,
}

impl Disturbance {
    fn over(&self, network: Network) -> Network {
        Network {
            aws: self.of_aws.over(network.aws),
            mail: self.of_mail.over(network.mail),
            ..network
        }
    }

    /// Leads the functions of `environment` to services over wires that are disturbed.
    async fn before(&self, environment: &mut [(String, String)]) -> anyhow::Result<Vec<Wire>> {
        let mut wires = Vec::new();
        for (name, endpoint) in environment {
            if DISTURBED.contains(&name.as_str()) {
                let wire = Wire::start(endpoint.clone(), &self.of_aws, &self.of_mail).await?;
                *endpoint = wire.endpoint();
                wires.push(wire);
            }
        }
        Ok(wires)
    }
}

/// How a stack is set up.
#[derive(Debug, Default)]
pub struct StackSettings {
    /// Where it lives on between runs; `None` keeps everything in memory.
    pub folder: Option<PathBuf>,
    /// The port of the demo CRM on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The engine; `None` takes the embedded one.
    pub engine: Option<Engine>,
    /// Where the functions run.
    pub functions: Functions,
    /// What befalls the functions' requests; `None` leaves them alone.
    pub disturbance: Option<Disturbance>,
    /// What the resolver sees; `None` takes the demo's zone and nothing else.
    pub zone: Option<Zone>,
    /// How the queue is set.
    pub queue: QueueSettings,
    /// How SES is set.
    pub ses: SesSettings,
    /// The policy of the demo's account.
    pub policy: Policy,
    /// Whether the CRM begins with the leads of the demo's story.
    pub with_demo_leads: bool,
    /// Whether the CRM does without being told of changes of status.
    pub without_webhook: bool,
    /// How often what could not be verified is tried again; `None` is every minute, as deployed.
    pub reverifications_every: Option<Duration>,
    /// How many people the CRM holds in all; those beside the story's are entered at once, and saved while it serves already.
    pub people: usize,
}

/// A running stack; it ends when this is dropped.
#[derive(Debug)]
pub struct Stack {
    // Fields are dropped in this order: what asks before what answers.
    _server: Task,
    _gathering: Option<Task>,
    _polling: Polling,
    _schedule: Task,
    _following: [Following; 2],
    _wires: Vec<Wire>,
    address: SocketAddr,
    /// The functions' settings and clients.
    pub app: Arc<Leadlight>,
    /// The settings that the functions run on; a built binary's environment says the same.
    pub settings: Settings,
    /// The demo CRM's account.
    pub account: Arc<LocalAccount>,
    /// The other account.
    pub neighbour: Arc<LocalAccount>,
    /// The demo CRM.
    pub crm: Crm,
    /// SES.
    pub ses: Arc<Ses>,
    /// SNS, as far as it delivers by HTTPS.
    pub sns: Arc<Sns>,
    /// The queue in front of the feedback function.
    pub queue: Queue,
    /// DNS.
    pub dns: dns::Server,
    /// `EventBridge`.
    pub event_bus: EventBus,
    /// The CRM's receiver of changes of status.
    pub receiver: Receiver,
    /// The table's engine.
    pub engine: Engine,
}

/// What `GET /local/status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackStatus {
    /// The id of the process.
    pub pid: u32,
    /// Where the functions run.
    pub functions: String,
    /// The table's engine.
    pub engine: String,
    /// SES's endpoint.
    pub ses: String,
    /// `DynamoDB`'s endpoint.
    pub dynamodb: String,
    /// The name server.
    pub dns: SocketAddr,
    /// Notifications that wait or are in flight.
    pub queued: u64,
    /// Notifications that were given up.
    pub dead_letters: usize,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// When the port is in use, or a part of the state cannot be read.
    pub async fn start(settings: StackSettings) -> anyhow::Result<Self> {
        keep_logs()?;
        let listener = listen(settings.port).await?;
        let address = listener.local_addr()?;
        let folder = settings.folder.as_deref();
        let queue = Queue::open(open_ledger(folder)?, settings.queue)?;
        let ses = Arc::new(Ses::start(queue.clone(), settings.ses).await?);
        let dns = dns::Server::start(settings.zone.unwrap_or_else(demo::zone)).await?;
        let engine = match (settings.engine, folder) {
            (Some(engine), _) => engine,
            (None, Some(folder)) => Engine::file(&folder.join("table.sqlite"))?,
            (None, None) => Engine::memory()?,
        };

        let event_bus = EventBus::start().await?;
        let sns = Arc::new(Sns::start().await?);
        let functions = function_settings(&engine, &ses, &dns, &event_bus, &sns)?;
        let app = set_up(settings.disturbance.as_ref(), &functions)?;
        let account = open_account(folder, DEMO)?;
        let neighbour = open_account(folder, NEIGHBOUR)?;
        provision(&functions, &app, &account, &neighbour, settings.policy).await?;

        let mut environment = environment(&engine, &ses, &dns, &event_bus, &sns);
        let wires = match (&settings.functions, &settings.disturbance) {
            (Functions::Built { .. }, Some(disturbance)) => {
                disturbance.before(&mut environment).await?
            }
            (Functions::Library, _) | (_, None) => Vec::new(),
        };
        let invoke = settings.functions.start(&app, environment)?;
        let polling = queue.poll(&feedback_function(Arc::clone(&invoke)));
        let every = settings.reverifications_every;
        let schedule = Task::spawn(call_by_schedule(
            Arc::clone(&invoke),
            every.unwrap_or(REVERIFICATIONS_EVERY),
        ));
        let gateway = Gateway::new(Arc::clone(&invoke));
        let receiver = Receiver::default();
        if !settings.without_webhook {
            receiver.trust(&save_webhook(&gateway, &account, address).await?);
        }
        let following = follow_table(&engine, folder, &invoke);
        let file = folder.map(|folder| folder.join("crm.json"));
        let crm = Crm::open(
            file.as_deref(),
            Arc::clone(&account),
            gateway.clone(),
            &ses.endpoint(),
        )?;
        if settings.with_demo_leads && crm.is_empty().await {
            demo::seed(&crm, &ses, &queue, Timestamp::now())
                .await
                .context("fill the demo CRM")?;
        }

        let gathering = (settings.people > 0).then(|| gather(&crm, &ses, settings.people));

        let local = Local {
            is_library: matches!(settings.functions, Functions::Library),
            invoke,
            gateway: gateway.clone(),
            sns: Arc::clone(&sns),
            queue: queue.clone(),
            status: StackStatus {
                pid: std::process::id(),
                functions: settings.functions.name().to_owned(),
                engine: engine.name().to_owned(),
                ses: ses.endpoint(),
                dynamodb: engine.endpoint(),
                dns: dns.address(),
                queued: 0,
                dead_letters: 0,
            },
        };
        let controls = ses.controls().merge(dns.controls());
        let router = router(gateway, Arc::new(local), &crm, controls).merge(receiver.router());
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            _server: server,
            _gathering: gathering,
            _polling: polling,
            _schedule: schedule,
            _following: following,
            _wires: wires,
            address,
            app,
            settings: functions,
            account,
            neighbour,
            crm,
            ses,
            sns,
            queue,
            dns,
            event_bus,
            receiver,
            engine,
        })
    }

    /// The address of the demo CRM, and of the API below `/v1`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment in which a built function runs on this stack.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(
            &self.engine,
            &self.ses,
            &self.dns,
            &self.event_bus,
            &self.sns,
        )
    }
}

/// Fills the demo CRM while it serves already.
fn gather(crm: &Crm, ses: &Arc<Ses>, people: usize) -> Task {
    let (crm, ses) = (crm.clone(), Arc::clone(ses));
    Task::spawn(async move {
        let gathered = demo::gather(&crm, &ses, people, Timestamp::now()).await;
        if let Err(error) = gathered {
            tracing::warn!("the demo CRM is not filled: {error:#}");
        }
    })
}

/// The functions' clients, over the network as it is or as it is disturbed.
fn set_up(
    disturbance: Option<&Disturbance>,
    settings: &Settings,
) -> anyhow::Result<Arc<Leadlight>> {
    let network = Network::default();
    let network = match disturbance {
        Some(disturbance) => disturbance.over(network),
        None => network,
    };
    let app = Leadlight::over(&network, settings).context("set up the functions")?;
    Ok(Arc::new(app))
}

/// Has a test run keep what is logged from now on, and search it for what the functions are told in confidence.
fn keep_logs() -> anyhow::Result<()> {
    logs::keep()?;
    let credentials = aws::credentials();
    let secrets = [ADDRESS_SECRET, credentials.secret_access_key()];
    let permit_key = permit_key();
    let mut secrets = secrets.into_iter().chain(permit_key.as_deref());
    secrets.try_for_each(logs::forbid)
}

fn open_ledger(folder: Option<&Path>) -> anyhow::Result<Ledger> {
    let Some(folder) = folder else {
        return Ledger::memory();
    };
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    Ledger::file(&folder.join("stand-ins.sqlite"))
}

fn open_account(folder: Option<&Path>, id: &str) -> anyhow::Result<Arc<LocalAccount>> {
    let id = AccountId::parse(id)?;
    let account = match folder {
        Some(folder) => LocalAccount::open(&folder.join("keys"), id)?,
        None => LocalAccount::generate(id),
    };
    Ok(Arc::new(account))
}

/// Brings the table's stream to both functions that follow it, each at its own pace.
fn follow_table(
    engine: &Engine,
    folder: Option<&Path>,
    functions: &Arc<dyn Invoke>,
) -> [Following; 2] {
    let stream = TableStream::new(&engine.endpoint(), TABLE);
    ["changes", "deliveries"]
        .map(|name| stream.follow(name, folder, consumer(name, Arc::clone(functions))))
}

async fn listen(port: u16) -> anyhow::Result<tokio::net::TcpListener> {
    match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} on 127.0.0.1 is in use. If that is an earlier `cargo dev up`, end it with `cargo dev down`; \
             otherwise choose another port: `cargo dev up --port {}`",
            port.saturating_add(1)
        ),
        Err(error) => Err(error).with_context(|| format!("listen on 127.0.0.1:{port}")),
    }
}

/// The names under which the functions read these settings from their environment.
fn environment(
    engine: &Engine,
    ses: &Ses,
    dns: &dns::Server,
    event_bus: &EventBus,
    sns: &Sns,
) -> Vec<(String, String)> {
    let credentials = aws::credentials();
    let pairs = [
        ("LEADLIGHT_TABLE", TABLE.to_owned()),
        ("LEADLIGHT_ADDRESS_SECRET", ADDRESS_SECRET.to_owned()),
        ("LEADLIGHT_DNS", dns.address().to_string()),
        ("AWS_REGION", aws::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key().to_owned(),
        ),
        ("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint()),
        ("AWS_ENDPOINT_URL_SESV2", ses.endpoint()),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", event_bus.endpoint()),
        ("LEADLIGHT_EVENT_BUS", event_bus::BUS.to_owned()),
        ("LEADLIGHT_LOCAL_WEBHOOKS", "yes".to_owned()),
        (
            "LEADLIGHT_CONFIGURATION_SET",
            crm::CONFIGURATION_SET.to_owned(),
        ),
    ];
    pairs
        .into_iter()
        .chain(sns.environment())
        .chain(permit_key().map(|key| (PERMIT_KEY, key)))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The key for permits, if whoever started this has one: the stack brings none of its own.
fn permit_key() -> Option<String> {
    std::env::var(PERMIT_KEY).ok().filter(|key| !key.is_empty())
}

fn function_settings(
    engine: &Engine,
    ses: &Ses,
    dns: &dns::Server,
    event_bus: &EventBus,
    sns: &Sns,
) -> anyhow::Result<Settings> {
    Ok(Settings {
        table: TABLE.to_owned(),
        address_secret: AddressSecret::new(ADDRESS_SECRET)?,
        name_servers: vec![dns.address()],
        blocklists: Vec::new(),
        region: aws::REGION.to_owned(),
        credentials: aws::credentials(),
        dynamodb_endpoint: Some(engine.endpoint()),
        sesv2_endpoint: Some(ses.endpoint()),
        configuration_set: Some(crm::CONFIGURATION_SET.to_owned()),
        permit_key: permit_key().map(SecretString::from),
        event_bus: Some(event_bus::BUS.to_owned()),
        eventbridge_endpoint: Some(event_bus.endpoint()),
        sns: sns.settings(),
        local_webhooks: true,
    })
}

/// Creates the table if there is none, and writes what an operator writes for each account.
async fn provision(
    settings: &Settings,
    app: &Leadlight,
    account: &LocalAccount,
    neighbour: &LocalAccount,
    policy: Policy,
) -> anyhow::Result<()> {
    let tables = settings
        .dynamodb()
        .list_tables()
        .send()
        .await
        .context("ask the engine for its tables")?;
    if !tables.table_names().iter().any(|name| name == TABLE) {
        let definition = template::table()?;
        app.table
            .create(&definition)
            .await
            .context("create the table")?;
    }
    app.table
        .save_account(account.id(), &account.item(policy)?)
        .await?;
    app.table
        .save_account(neighbour.id(), &neighbour.item(Policy::default())?)
        .await?;
    let identities = [
        (crm::SENDER_DOMAIN, account),
        (crm::CONFIGURATION_SET, account),
        ("neighbour.example", neighbour),
    ];
    for (identity, owner) in identities {
        match app.table.save_identity(identity, owner.id()).await? {
            Commit::Committed => {}
            Commit::Conflict => {
                bail!("the identity {identity} belongs to another account: start with `--reset`")
            }
        }
    }
    Ok(())
}

/// One invocation of the function that verifies what is due at `now`.
async fn reverify(functions: &dyn Invoke, now: Timestamp) -> Answer {
    let event = lambdas::schedule_event(now);
    functions.invoke("reverifications", event).await
}

async fn call_by_schedule(functions: Arc<dyn Invoke>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Timestamp::now();
        if let Err(error) = reverify(&*functions, now).await {
            tracing::error!("could not verify what is due: {error}");
        }
        let event = lambdas::schedule_event(now);
        if let Err(error) = functions.invoke("deliveries", event).await {
            tracing::error!("could not deliver what is due: {error}");
        }
    }
}

/// Has the demo's account told of changes, and gives back the secret that they are signed with.
async fn save_webhook(
    gateway: &Gateway,
    account: &LocalAccount,
    address: SocketAddr,
) -> anyhow::Result<String> {
    let url = format!("http://{address}/crm/webhook");
    let token = account.server_token(Timestamp::now())?.token;
    let body = json!({ "url": url, "rotate_secret": true });
    let (status, answer) = gateway
        .ask("PUT", "/v1/webhook", &token, None, Some(&body))
        .await?;
    anyhow::ensure!(status.is_success(), "Leadlight refuses it: {answer}");
    let secret = answer.get("secret").and_then(Value::as_str);
    let secret = secret.context("save the demo's webhook: the answer holds no secret")?;
    logs::forbid(secret)?;
    Ok(secret.to_owned())
}

fn feedback_function(functions: Arc<dyn Invoke>) -> Consumer {
    consumer("feedback", functions)
}

/// A function that takes what a queue or a stream hands over.
fn consumer(function: &'static str, functions: Arc<dyn Invoke>) -> Consumer {
    Arc::new(move |event| {
        let functions = Arc::clone(&functions);
        Box::pin(async move { Ok(functions.invoke(function, event).await?) })
    })
}

/// What the endpoints below `/local` need.
struct Local {
    invoke: Arc<dyn Invoke>,
    gateway: Gateway,
    sns: Arc<Sns>,
    is_library: bool,
    queue: Queue,
    status: StackStatus,
}

fn router(gateway: Gateway, local: Arc<Local>, crm: &Crm, controls: Router) -> Router {
    let api = Router::new()
        .route("/v1/{*path}", any(call_api))
        // As the deployed API answers pages of other origins.
        .layer(
            CorsLayer::new()
                .allow_origin(cors::AllowOrigin::predicate(|origin, _| is_local(origin)))
                .allow_methods([Method::GET, Method::POST])
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
                .expose_headers(EXPOSED),
        )
        .with_state(gateway);
    let endpoints = Router::new()
        .route("/local/status", get(read_status))
        .route("/local/feedback", post(hand_over))
        .route("/local/notifications", post(deliver))
        .route("/local/queue", post(enqueue))
        .route("/local/dead-letters", get(dead_letters))
        .route("/local/reverifications", post(reverify_now))
        .with_state(local);
    let files = Router::new()
        .nest_service("/widget", ServeDir::new(workspace::target().join("widget")))
        .nest_service("/examples", ServeDir::new(pages::examples()))
        .nest_service("/gallery/fonts", ServeDir::new(pages::fonts()))
        .fallback_service(ServeDir::new(workspace::root().join("infra/dev/demo")))
        // A page that is being worked on is asked for again each time; an unchanged file still answers 304.
        .layer(axum::middleware::map_response(
            async |mut response: Response| {
                response
                    .headers_mut()
                    .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                response
            },
        ));
    let all = Router::new()
        .merge(api)
        .merge(endpoints)
        .merge(crm.router())
        .merge(controls)
        .fallback_service(files);
    all.layer(DefaultBodyLimit::max(MAX_BODY_OCTETS))
}

/// Whether an origin is one of this machine's: what a deployment lists, letter for letter, and the local stack cannot know before.
fn is_local(origin: &HeaderValue) -> bool {
    let port = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://127.0.0.1:"));
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

async fn call_api(
    State(gateway): State<Gateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    gateway.answer(method, uri, headers, body).await
}

async fn read_status(State(local): State<Arc<Local>>) -> Response {
    let counts = local
        .queue
        .depth()
        .and_then(|queued| Ok((queued, local.queue.dead_letters()?.len())));
    match counts {
        Ok((queued, dead_letters)) => {
            let status = StackStatus {
                queued,
                dead_letters,
                ..local.status.clone()
            };
            axum::Json(status).into_response()
        }
        Err(error) => broken(&error),
    }
}

/// Hands what is posted to the feedback function and answers what it answered. A Lambda event goes as it is; anything else
/// (a notification, an SNS envelope, rubbish) becomes the body of the one record of a batch.
async fn hand_over(State(local): State<Arc<Local>>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let event = match serde_json::from_str::<Value>(&text) {
        Ok(event) if event.get("Records").is_some() || event.get("detail-type").is_some() => event,
        _ => json!({ "Records": [queue::sqs_record(&text, Timestamp::now())] }),
    };
    match local.invoke.invoke("feedback", event).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => gateway::problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "feedback-failed",
            &error.to_string(),
        ),
    }
}

/// Publishes what is posted to a topic that delivers by HTTPS, and answers what SNS is answered.
async fn deliver(State(local): State<Arc<Local>>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let message = match local.sns.notification(&text, Timestamp::now()) {
        Ok(message) => Bytes::from(message.to_string()),
        Err(error) => return broken(&error),
    };
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    let uri = Uri::from_static("/v1/notifications");
    local
        .gateway
        .answer(Method::POST, uri, headers, message)
        .await
}

/// Puts what is posted into the queue, as a message of its own. It is kept when this answers.
async fn enqueue(State(local): State<Arc<Local>>, body: Bytes) -> Response {
    match local.queue.send(&String::from_utf8_lossy(&body)) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => broken(&error),
    }
}

async fn dead_letters(State(local): State<Arc<Local>>) -> Response {
    match local.queue.dead_letters() {
        Ok(letters) => axum::Json(letters).into_response(),
        Err(error) => broken(&error),
    }
}

/// When what is due is to be verified.
#[derive(Deserialize)]
struct At {
    at: Option<Timestamp>,
}

/// Calls the function that verifies again, now or as if it were another time.
async fn reverify_now(State(local): State<Arc<Local>>, Query(At { at }): Query<At>) -> Response {
    if at.is_some() && !local.is_library {
        return gateway::problem(
            StatusCode::NOT_IMPLEMENTED,
            "own-clock",
            "A built function has a clock of its own: leave `at` out, or start without `--lambda`.",
        );
    }
    match reverify(&*local.invoke, at.unwrap_or_else(Timestamp::now)).await {
        Ok(report) => axum::Json(report).into_response(),
        Err(error) => broken(&error.into()),
    }
}

fn broken(error: &anyhow::Error) -> Response {
    gateway::problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        "local-stack",
        &format!("{error:#}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambdas::FUNCTIONS;
    use crate::runtime_api::FunctionError;

    #[tokio::test]
    async fn every_function_is_known_in_this_process_and_a_stranger_is_not() {
        let stack = Stack::start(StackSettings::default()).await.unwrap();
        let functions = Functions::Library.start(&stack.app, Vec::new()).unwrap();
        for function in FUNCTIONS {
            let answer = functions.invoke(function, Value::Null).await;
            let error = answer.err().map(|error| error.kind);
            assert_ne!(
                error.as_deref(),
                Some(FunctionError::NOT_FOUND),
                "{function}"
            );
        }
        let answer = functions.invoke("stranger", Value::Null).await;
        assert_eq!(answer.unwrap_err().kind, FunctionError::NOT_FOUND);
    }
}
