//! `cargo dev bench`: what Leadlight costs, beside the bare thing it is built on, in one run.
//!
//! Figures are ratios of medians; absolute times depend on the machine and only show that both sides did the same work.

mod cost;
mod events;
mod front;
mod lambda;
mod verification;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight::evidence::AddressRecord;
use leadlight::lead::{Lead, LeadId, Save};
use leadlight::policy::Policy;
use leadlight_functions::app::Leadlight;
use leadlight_functions::config::{Settings, SnsSettings};
use leadlight_functions::sends;
use leadlight_functions::table::Commit;
use leadlight_functions::table::item::{AddressSecret, Key};
use serde_json::json;

use crate::account::LocalAccount;
use crate::engine::Engine;
use crate::progress::Progress;
use crate::task::Task;
use crate::{aws, stack, template};

pub use cost::cost;
pub use lambda::lambda;
pub use verification::verification;

/// The secret of address keys.
const SECRET: &str = "a secret of the benchmark, of no worth";

/// Stored addresses of the accounts that are compared.
const STORED: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Recipients of one check, the most that it takes.
const RECIPIENTS: usize = 1_000;
/// Keys of one `BatchGetItem`.
const BATCH: usize = 100;
/// Measured repetitions of each side, after one that is not.
const REPETITIONS: usize = 31;
/// Addresses that are stored by one import.
const IMPORTED_AT_ONCE: usize = 20_000;

/// What one size of account gave.
#[derive(Clone, Copy, Debug)]
struct Row {
    stored: usize,
    calls: usize,
    check: Duration,
    bare: Duration,
}

/// Compares a check of 1,000 recipients in accounts of different sizes with the bare SDK reads of the same keys, and answers
/// the report.
///
/// # Errors
/// When an engine cannot be started or filled, or a check is refused.
pub async fn gate(progress: &Progress) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for stored in STORED {
        progress.say(&format!("an account of {stored} addresses"));
        rows.push(Box::pin(measure(stored)).await?);
    }
    Ok(report(&rows))
}

fn report(rows: &[Row]) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let mut lines = vec![format!(
        "{:>10} {:>6} {:>15} {:>15} {:>12}",
        "stored", "calls", "check p50 ms", "bare p50 ms", "check/bare"
    )];
    for row in rows {
        lines.push(format!(
            "{:>10} {:>6} {:>15.2} {:>15.2} {:>12.2}",
            row.stored,
            row.calls,
            ms(row.check),
            ms(row.bare),
            ms(row.check) / ms(row.bare)
        ));
    }
    if let [smallest, .., largest] = rows {
        lines.push(format!(
            "ratio of latencies, largest to smallest account: check {:.2}, bare SDK reads {:.2}; calls {} and {}",
            ms(largest.check) / ms(smallest.check),
            ms(largest.bare) / ms(smallest.bare),
            largest.calls,
            smallest.calls
        ));
    }
    lines.join("\n")
}

async fn measure(stored: usize) -> anyhow::Result<Row> {
    let database = dynoxide::Database::memory().context("open a database in memory")?;
    let engine = Engine::over(database.clone())?;
    let settings = settings(engine.endpoint())?;
    let app = Leadlight::new(&settings).context("build the clients")?;
    let account = LocalAccount::generate(AccountId::parse("bench")?);
    let leads = fill(&app, &database, &account, stored).await?;

    let body = json!({
        "recipients": leads.iter().map(|lead| json!({ "address": lead.address.as_str(), "lead_id": lead.id })).collect::<Vec<_>>(),
    });
    let token = account.server_token(Timestamp::now())?.token;
    let check = async |app: &Leadlight| -> anyhow::Result<Duration> {
        let request = lambda_http::http::Request::post("/v1/send-checks")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(lambda_http::Body::Text(body.to_string()))?;
        let started = Instant::now();
        let response = sends::handle(&app.outbox, request).await;
        let took = started.elapsed();
        ensure!(
            response.status().is_success(),
            "the check was refused with {}",
            response.status()
        );
        Ok(took)
    };

    let keys = keys(&app, &account, &leads);
    let client = settings.dynamodb();
    let (mut checks, mut bares) = (Vec::new(), Vec::new());
    for repetition in 0..=REPETITIONS {
        // Whoever reads first finds the engine's pages cold, so they take turns.
        let (checked, read) = if repetition % 2 == 0 {
            let checked = check(&app).await?;
            (checked, read(&client, &keys).await?)
        } else {
            let read = read(&client, &keys).await?;
            (check(&app).await?, read)
        };
        if repetition > 0 {
            checks.push(checked);
            bares.push(read);
        }
    }

    let (endpoint, batches, _serving) = count_batches(engine.endpoint()).await?;
    let counted = Leadlight::new(&self::settings(endpoint)?).context("build the clients")?;
    check(&counted).await?;
    Ok(Row {
        stored,
        calls: batches.load(Ordering::SeqCst),
        check: median(checks),
        bare: median(bares),
    })
}

fn settings(endpoint: String) -> anyhow::Result<Settings> {
    Ok(Settings {
        table: stack::TABLE.to_owned(),
        address_secret: AddressSecret::new(SECRET)?,
        name_servers: Vec::new(),
        blocklists: Vec::new(),
        region: aws::REGION.to_owned(),
        credentials: aws::credentials(),
        dynamodb_endpoint: Some(endpoint),
        sesv2_endpoint: None,
        configuration_set: None,
        permit_key: None,
        event_bus: None,
        eventbridge_endpoint: None,
        sns: SnsSettings::default(),
        local_webhooks: false,
    })
}

/// Fills the table: real leads with real records for the recipients, and as many more addresses of the same shape as are
/// wanted.
async fn fill(
    app: &Leadlight,
    database: &dynoxide::Database,
    account: &LocalAccount,
    stored: usize,
) -> anyhow::Result<Vec<Lead>> {
    app.table.create(&template::table()?).await?;
    app.table
        .save_account(account.id(), &account.item(Policy::default())?)
        .await?;
    let now = Timestamp::now();
    let mut leads = Vec::new();
    for n in 0..RECIPIENTS {
        let address = Address::parse(&format!("person.{n}@customer-{n}.example"))?;
        let key = app.address_secret.key_of(&address);
        let record = AddressRecord::new(address.clone());
        let save = Save {
            address,
            standing: None,
            standing_since: None,
        };
        let lead = Lead::new(LeadId::parse(&format!("lead-{n}"))?, save, now);
        let written = [
            app.table
                .commit(&Key::evidence(account.id(), &key), &record, None)
                .await?,
            app.table
                .commit(&Key::lead(account.id(), &lead.id), &lead, None)
                .await?,
        ];
        ensure!(written == [Commit::Committed; 2], "the table was not empty");
        leads.push(lead);
    }
    let text = |text: String| dynoxide::types::AttributeValue::S(text);
    let more: Vec<usize> = (RECIPIENTS..stored).collect();
    for chunk in more.chunks(IMPORTED_AT_ONCE) {
        let items = chunk.iter().map(|n| {
            HashMap::from([
                (
                    "pk".to_owned(),
                    text(format!("{}#address#{n:064x}", account.id())),
                ),
                ("sk".to_owned(), text("evidence".to_owned())),
                (
                    "address".to_owned(),
                    text(format!("person.{n}@customer-{n}.example")),
                ),
            ])
        });
        database.import_items(
            stack::TABLE,
            items.collect(),
            dynoxide::ImportOptions::default(),
        )?;
    }
    Ok(leads)
}

/// The keys that a check of `leads` reads.
fn keys(
    app: &Leadlight,
    account: &LocalAccount,
    leads: &[Lead],
) -> Vec<HashMap<String, AttributeValue>> {
    let key = |pk: String, sk: &str| {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk)),
            ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
        ])
    };
    let of_lead = |lead: &Lead| {
        let address = app.address_secret.key_of(&lead.address);
        [
            key(format!("{}#address#{address}", account.id()), "evidence"),
            key(format!("{}#lead#{}", account.id(), lead.id), "lead"),
        ]
    };
    leads.iter().flat_map(of_lead).collect()
}

/// Reads `keys` as plainly as the SDK allows: all batches at once, nothing done with the answers.
async fn read(
    client: &aws_sdk_dynamodb::Client,
    keys: &[HashMap<String, AttributeValue>],
) -> anyhow::Result<Duration> {
    let batches = keys.chunks(BATCH).map(|batch| {
        KeysAndAttributes::builder()
            .set_keys(Some(batch.to_vec()))
            .consistent_read(true)
            .build()
    });
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    let reads = batches.into_iter().map(|batch| {
        client
            .batch_get_item()
            .request_items(stack::TABLE, batch)
            .send()
    });
    let answers = try_join_all(reads).await?;
    let took = started.elapsed();
    let items: usize = answers
        .iter()
        .filter_map(|answer| answer.responses()?.get(stack::TABLE))
        .map(Vec::len)
        .sum();
    ensure!(items == keys.len(), "read {items} of {} items", keys.len());
    Ok(took)
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}

/// Passes requests on to an engine and counts the batched reads among them. Answers where it listens, and the count.
async fn count_batches(engine: String) -> anyhow::Result<(String, Arc<AtomicUsize>, Task)> {
    let count = Arc::new(AtomicUsize::new(0));
    let client = reqwest::Client::new();
    let counting = Arc::clone(&count);
    let pass = move |request: Request| {
        let (client, engine, count) = (client.clone(), engine.clone(), Arc::clone(&counting));
        async move {
            let (parts, body) = request.into_parts();
            let target = parts.headers.get("x-amz-target");
            if target.is_some_and(|target| target.as_bytes().ends_with(b".BatchGetItem")) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
            forward(&client, &engine, parts.headers, body).await
        }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let service = axum::Router::new().fallback(pass);
    let serving = Task::spawn(async move {
        // It ends with the task; there is nobody to tell of an error.
        let _ = axum::serve(listener, service).await;
    });
    Ok((endpoint, count, serving))
}

async fn forward(
    client: &reqwest::Client,
    engine: &str,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Result<(axum::http::StatusCode, Bytes), axum::http::StatusCode> {
    let bad_gateway = |_| axum::http::StatusCode::BAD_GATEWAY;
    let answer = client.post(engine).headers(headers).body(body).send();
    let answer = answer.await.map_err(bad_gateway)?;
    let status = answer.status();
    Ok((status, answer.bytes().await.map_err(bad_gateway)?))
}
