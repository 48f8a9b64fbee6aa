//! `cargo dev bench cost`: what a million events, checks and views cost, from the units that were really consumed.
//!
//! The engine says what each request consumes, as DynamoDB does (`ReturnConsumedCapacity`); a meter between it and the functions asks
//! and adds up. What a million of them cost elsewhere follows from how many requests there are. Not on the card: storage, the widget's
//! files, which browsers keep for a year, what `EventBridge` takes for changes, and what SES takes for the mail itself.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use lambda_http::Body;
use leadlight::account::AccountId;
use leadlight::lead::Lead;
use leadlight_functions::app::Leadlight;
use leadlight_functions::{changes, feedback, sends, statuses};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::{events, fill, forward, median, settings};
use crate::account::LocalAccount;
use crate::engine::Engine;
use crate::progress::Progress;
use crate::stack;
use crate::table_stream::TableStream;
use crate::task::Task;

/// What AWS takes, in US dollars: list prices of US East (N. Virginia) without any free tier, as published in 2026.
struct Prices;

impl Prices {
    /// A million write request units (DynamoDB, on demand, since November 2024).
    const WRITE_UNITS: f64 = 0.625;
    /// A million read request units (DynamoDB, on demand, since November 2024).
    const READ_UNITS: f64 = 0.125;
    /// A million requests to functions (Lambda).
    const INVOCATIONS: f64 = 0.20;
    /// A million seconds of a function with a GB of memory (Lambda, arm64).
    const GB_SECONDS: f64 = 13.333_4;
    /// A million requests to an HTTP API (API Gateway, the first 300 million a month).
    const HTTP_REQUESTS: f64 = 1.00;
    /// A million messages published to a standard topic (SNS); their delivery to SQS is free.
    const PUBLISHED: f64 = 0.50;
    /// A million requests to a standard queue (SQS).
    const QUEUE_REQUESTS: f64 = 0.40;
    /// A million octets taken in (`CloudWatch` Logs, $0.50 a GB).
    const LOG_OCTETS: f64 = 0.000_5;
}

/// Memory of a function, as deployed.
const MEMORY_GB: f64 = 0.25;
/// Events of a batch, as deployed, and recipients of a check.
const BATCH: usize = 100;
/// Bubbles on a page.
const BUBBLES: usize = 50;
/// Messages of a request to the queue, at most (SQS developer guide, *quotas*).
const QUEUE_BATCH: f64 = 10.0;
/// Measured repetitions.
const REPETITIONS: usize = 21;

/// What invocations of one kind consumed, each.
#[derive(Clone, Debug, Default)]
struct Consumed {
    write_units: f64,
    read_units: f64,
    calls: BTreeMap<String, usize>,
    log_octets: f64,
    took: Duration,
}

/// A column of the card: what is counted in millions, and what one of it uses.
struct Column {
    name: &'static str,
    consumed: Consumed,
    /// How many of it one invocation does.
    per_invocation: f64,
    published: f64,
    queue_requests: f64,
    http_requests: f64,
}

/// Measures, and answers the card.
///
/// # Errors
/// When the engine cannot be started or filled, or more is written than one item for each address of a batch.
pub async fn cost(progress: &Progress) -> anyhow::Result<String> {
    let database = dynoxide::Database::memory().context("open a database in memory")?;
    let engine = Engine::over(database.clone())?;
    let meter = Meter::start(engine.endpoint()).await?;
    let app = Leadlight::new(&settings(meter.endpoint.clone())?).context("build the clients")?;
    let account = LocalAccount::generate(AccountId::parse(events::ACCOUNT)?);
    progress.say("saving leads");
    let leads = fill(&app, &database, &account, 0).await?;
    // The account is remembered from here on, as in a function that is warm.
    take(&app, &events::addresses(1)).await?;

    progress.say("events");
    let stream = TableStream::new(&engine.endpoint(), stack::TABLE);
    let before = stream.records().await?.len();
    let new = meter
        .measure(async || take(&app, &events::addresses(BATCH)).await)
        .await?;
    let records = stream.records().await?.split_off(before);
    let batches = records
        .chunks(BATCH)
        .map(|batch| json!({ "Records": batch }));
    let batches = Mutex::new(batches.collect::<VecDeque<_>>());
    let followed = meter
        .measure(async || {
            let batch = batches
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            follow(&app, batch.context("have a batch of the stream")?).await
        })
        .await?;
    let known = events::addresses(BATCH);
    take(&app, &known).await?;
    let again = meter.measure(async || take(&app, &known).await).await?;
    let one = events::addresses(BATCH).split_off(BATCH - 1);
    let one: Vec<String> = one.iter().cycle().take(BATCH).cloned().collect();
    let same = meter.measure(async || take(&app, &one).await).await?;
    let puts = |consumed: &Consumed| consumed.calls.get("PutItem").copied();
    let is_write = |call: &&String| !["BatchGetItem", "GetItem", "Query"].contains(&call.as_str());
    for (consumed, addresses) in [(&new, BATCH), (&again, BATCH), (&same, 1)] {
        let writes: Vec<&String> = consumed.calls.keys().filter(is_write).collect();
        ensure!(
            puts(consumed) == Some(addresses) && writes == ["PutItem"],
            "{addresses} addresses took {:?}",
            consumed.calls
        );
    }

    progress.say("checks and views");
    let asks = Asks {
        app: &app,
        token: account.server_token(Timestamp::now())?.token,
    };
    let many = leads.get(..BATCH).context("take a hundred leads")?;
    let single = leads.get(..1).context("take a lead")?;
    let page = leads.get(..BUBBLES).context("take a page of leads")?;
    let check_many = meter.measure(async || asks.check(many).await).await?;
    let check_one = meter.measure(async || asks.check(single).await).await?;
    let view = meter.measure(async || asks.view(page).await).await?;

    let per_batch = events::count(BATCH);
    let columns = [
        Column::of_events("events, new address", new.clone(), per_batch),
        Column::of_events("events, known address", again.clone(), per_batch),
        Column::of_stream("archived and counted", followed, per_batch),
        Column::over_http("checked, 100 a call", check_many, per_batch),
        Column::over_http("checked, one a call", check_one, 1.0),
        Column::over_http("pages of 50 bubbles", view, 1.0),
    ];
    let mut lines = card(&columns);
    lines.push(format!(
        "writes of a batch of {BATCH} events: {:?} to new addresses, {:?} to known ones, {:?} all to one address; no other write",
        puts(&new).unwrap_or_default(),
        puts(&again).unwrap_or_default(),
        puts(&same).unwrap_or_default(),
    ));
    Ok(lines.join("\n"))
}

/// One batch about these addresses, of which everything must be recorded.
async fn take(app: &Leadlight, addresses: &[String]) -> anyhow::Result<()> {
    let answer = feedback::handle(app, events::batch(addresses), None).await?;
    ensure!(
        answer == json!({ "batchItemFailures": [] }),
        "the batch was answered with {answer}"
    );
    Ok(())
}

/// A batch of the table's stream, all of which must be followed.
async fn follow(app: &Leadlight, batch: Value) -> anyhow::Result<()> {
    let answer = changes::handle(&app.event_bus, batch, None).await?;
    ensure!(
        answer == json!({ "batchItemFailures": [] }),
        "the stream's batch was answered with {answer}"
    );
    Ok(())
}

/// Requests to the API.
struct Asks<'a> {
    app: &'a Leadlight,
    token: String,
}

impl Asks<'_> {
    async fn check(&self, leads: &[Lead]) -> anyhow::Result<()> {
        let recipient =
            |lead: &Lead| json!({ "address": lead.address.as_str(), "lead_id": lead.id });
        let recipients: Vec<Value> = leads.iter().map(recipient).collect();
        let request = self.request("/v1/send-checks", &json!({ "recipients": recipients }))?;
        Self::succeeded(&Box::pin(sends::handle(&self.app.outbox, request)).await)
    }

    async fn view(&self, leads: &[Lead]) -> anyhow::Result<()> {
        let ids: Vec<&_> = leads.iter().map(|lead| &lead.id).collect();
        let request = self.request("/v1/statuses", &json!({ "leads": ids }))?;
        Self::succeeded(&statuses::handle(self.app, request).await)
    }

    fn request(&self, path: &str, body: &Value) -> anyhow::Result<lambda_http::Request> {
        let request = lambda_http::http::Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(Body::Text(body.to_string()))?)
    }

    fn succeeded(response: &lambda_http::Response<Body>) -> anyhow::Result<()> {
        ensure!(
            response.status().is_success(),
            "it was refused with {}",
            response.status()
        );
        Ok(())
    }
}

impl Column {
    fn of_events(name: &'static str, consumed: Consumed, per_invocation: f64) -> Self {
        Self {
            name,
            consumed,
            per_invocation,
            published: 1.0,
            // Sent one by one, received and deleted ten at a time.
            queue_requests: 1.0 + 2.0 / QUEUE_BATCH,
            http_requests: 0.0,
        }
    }

    /// Reading the stream costs a function nothing (DynamoDB pricing, *Streams*).
    fn of_stream(name: &'static str, consumed: Consumed, per_invocation: f64) -> Self {
        Self {
            published: 0.0,
            queue_requests: 0.0,
            ..Self::of_events(name, consumed, per_invocation)
        }
    }

    fn over_http(name: &'static str, consumed: Consumed, per_invocation: f64) -> Self {
        Self {
            name,
            consumed,
            per_invocation,
            published: 0.0,
            queue_requests: 0.0,
            http_requests: 1.0 / per_invocation,
        }
    }

    /// What one of it uses, and what a million of such units cost.
    fn uses(&self) -> [(&'static str, f64, f64); 8] {
        let each = |figure: f64| figure / self.per_invocation;
        let consumed = &self.consumed;
        [
            (
                "write units",
                each(consumed.write_units),
                Prices::WRITE_UNITS,
            ),
            ("read units", each(consumed.read_units), Prices::READ_UNITS),
            ("invocations", each(1.0), Prices::INVOCATIONS),
            (
                "GB-seconds",
                each(consumed.took.as_secs_f64() * MEMORY_GB),
                Prices::GB_SECONDS,
            ),
            (
                "requests to the API",
                self.http_requests,
                Prices::HTTP_REQUESTS,
            ),
            ("published to the topic", self.published, Prices::PUBLISHED),
            (
                "requests to the queue",
                self.queue_requests,
                Prices::QUEUE_REQUESTS,
            ),
            (
                "octets of log",
                each(consumed.log_octets),
                Prices::LOG_OCTETS,
            ),
        ]
    }
}

/// What one of each column uses and a million cost, line by line.
fn card(columns: &[Column]) -> Vec<String> {
    let row = |label: &str, cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().map(|column| format!("{:>24}", cell(column)));
        format!("{label:<24}{}", cells.collect::<String>())
    };
    let mut lines = vec![
        row("a million", &|column| column.name.to_owned()),
        row("", &|_| "each           $".to_owned()),
    ];
    let labels = columns.first().map(Column::uses).unwrap_or_default();
    for (place, (label, _, price)) in labels.iter().enumerate() {
        let cell = |column: &Column| {
            let used = column.uses().get(place).map_or(0.0, |(_, used, _)| *used);
            format!("{used:>14.5} {:>7.3}", used * price)
        };
        lines.push(row(label, &cell));
    }
    let sum = |column: &Column| {
        let sum: f64 = column
            .uses()
            .iter()
            .map(|(_, used, price)| used * price)
            .sum();
        format!("{sum:.2}")
    };
    lines.push(row("US dollars a million", &sum));
    lines
}

/// Between the functions and an engine: asks what each request consumes, and adds it up.
struct Meter {
    endpoint: String,
    read: Arc<Mutex<Consumed>>,
    _serving: Task,
}

impl Meter {
    async fn start(engine: String) -> anyhow::Result<Self> {
        let read = Arc::new(Mutex::new(Consumed::default()));
        let (client, metered) = (reqwest::Client::new(), Arc::clone(&read));
        let pass = move |request: Request| {
            let (client, engine, metered) = (client.clone(), engine.clone(), Arc::clone(&metered));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                let asked = asking(&body).unwrap_or(body);
                let mut headers = parts.headers;
                let operation = operation(&headers);
                headers.remove(header::CONTENT_LENGTH);
                let answer = forward(&client, &engine, headers, asked).await;
                if let Ok((StatusCode::OK, answer)) = &answer {
                    let mut read = metered.lock().unwrap_or_else(PoisonError::into_inner);
                    read.add(operation, answer);
                }
                answer
            }
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let service = axum::Router::new().fallback(pass);
        let serving = Task::spawn(async move {
            // It ends with the task; there is nobody to tell of an error.
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            endpoint,
            read,
            _serving: serving,
        })
    }

    /// What one `invocation` consumes: units and log of the first, the middle one's time of many.
    async fn measure(
        &self,
        invocation: impl AsyncFn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Consumed> {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::INFO)
            .with_writer(log.clone())
            .finish();
        let logging = tracing::subscriber::set_default(subscriber);
        drop(self.take());
        let mut took = Vec::new();
        let mut consumed = None;
        for _ in 0..REPETITIONS {
            let started = Instant::now();
            invocation().await?;
            took.push(started.elapsed());
            consumed.get_or_insert_with(|| Consumed {
                log_octets: events::count(log.octets()),
                ..self.take()
            });
        }
        drop(logging);
        let consumed = consumed.context("measure at least once")?;
        Ok(Consumed {
            took: median(took),
            ..consumed
        })
    }

    fn take(&self) -> Consumed {
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Consumed {
    fn add(&mut self, operation: String, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let consumed = answer.get("ConsumedCapacity").cloned().unwrap_or_default();
        // One for each table, or one.
        let all = consumed
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![consumed]);
        let units = all
            .iter()
            .filter_map(|one| one.get("CapacityUnits")?.as_f64());
        let units: f64 = units.sum();
        if ["BatchGetItem", "GetItem", "Query"].contains(&operation.as_str()) {
            self.read_units += units;
        } else {
            self.write_units += units;
        }
        *self.calls.entry(operation).or_default() += 1;
    }
}

fn operation(headers: &HeaderMap) -> String {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next());
    operation.unwrap_or_default().to_owned()
}

/// The request, with the question what it consumes.
fn asking(body: &[u8]) -> Option<Bytes> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    body.as_object_mut()?
        .insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    Some(body.to_string().into())
}

/// Counts the octets of a log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<usize>>);

impl Log {
    fn octets(&self) -> usize {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
