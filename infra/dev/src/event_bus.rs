//! A stand-in for `EventBridge`: the call that publishes, talked to by the official SDK, and what was published.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::task::Task;

/// The bus of the local stack.
pub const BUS: &str = "leadlight";
/// How many events are kept, the newest.
const MOST_KEPT: usize = 1_000;

/// The stand-in; it ends when this is dropped.
#[derive(Debug)]
pub struct EventBus {
    address: SocketAddr,
    published: Published,
    _server: Task,
}

/// What was published.
#[derive(Clone, Debug, Default)]
pub struct Published(Arc<Mutex<Events>>);

#[derive(Debug, Default)]
struct Events {
    entries: VecDeque<Entry>,
    refusals_left: u32,
}

/// An event as it was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Entry {
    /// Who published it.
    pub source: String,
    /// Its type.
    pub detail_type: String,
    /// The bus.
    pub event_bus_name: String,
    /// What it says, JSON.
    pub detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

impl EventBus {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("open a port on 127.0.0.1 for EventBridge")?;
        let address = listener.local_addr()?;
        let published = Published::default();
        let router = Router::new()
            .route("/", post(put_events))
            .with_state(published.clone());
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            published,
            _server: server,
        })
    }

    /// The endpoint, as `AWS_ENDPOINT_URL_EVENTBRIDGE` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was published.
    #[must_use]
    pub fn published(&self) -> Published {
        self.published.clone()
    }
}

impl Published {
    /// The newest events, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// The details of the newest events, oldest first.
    #[must_use]
    pub fn details(&self) -> Vec<Value> {
        let read = |entry: Entry| serde_json::from_str(&entry.detail).unwrap_or_default();
        self.entries().into_iter().map(read).collect()
    }

    /// Refuses one entry of each of the next `calls`, as a throttled bus does.
    pub fn refuse(&self, calls: u32) {
        self.lock().refusals_left = calls;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put_events(
    State(published): State<Published>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    if target != Some("AWSEvents.PutEvents") {
        return refuse("UnknownOperationException");
    }
    let Ok(PutEvents { entries }) = serde_json::from_slice(&body) else {
        return refuse("ValidationException");
    };
    if entries.is_empty() || entries.len() > 10 {
        return refuse("ValidationException");
    }
    let mut state = published.lock();
    let mut refused = state.refusals_left.min(1);
    state.refusals_left -= refused;
    let failed = refused;
    let answers: Vec<Value> = entries
        .into_iter()
        .map(|entry| {
            if refused > 0 {
                refused -= 1;
                return json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "slow down" });
            }
            state.entries.push_back(entry);
            if state.entries.len() > MOST_KEPT {
                state.entries.pop_front();
            }
            json!({ "EventId": uuid::Uuid::new_v4().to_string() })
        })
        .collect();
    let answer = json!({ "FailedEntryCount": failed, "Entries": answers });
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (kind, answer.to_string()).into_response()
}

fn refuse(code: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    let problem = json!({ "__type": code, "message": code });
    (StatusCode::BAD_REQUEST, kind, problem.to_string()).into_response()
}
