//! Faults under the AWS SDKs: an HTTP client that does to requests what networks and services do on a bad day.
//!
//! It stands below the official clients, above whatever carries requests, and knows neither. A seed decides what befalls which
//! request. Nothing that ships knows of it. Errors are worded as the services word them: `DynamoDB` developer guide, *Error
//! handling* and *Batch operations*; SES API v2 reference, *Common errors*.

pub(crate) mod wire;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// The longest that a slow answer takes: less than an attempt at the table may take, so that it still counts.
const SLOWEST: Duration = Duration::from_millis(600);
/// When a request that nobody waits for any more is carried out after all.
const LATE: std::ops::Range<Duration> = Duration::from_millis(800)..Duration::from_secs(20);

/// What may befall a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused for coming too fast; nothing is done.
    Throttled,
    /// The service's own failure; nothing is done.
    Internal,
    /// Never answered; nothing is done.
    LostRequest,
    /// Never answered, but done.
    LostAnswer,
    /// Never answered, and done when nobody waits for it any more.
    Late,
    /// The connection breaks; nothing is done.
    ResetBefore,
    /// The connection breaks, after it is done.
    ResetAfter,
    /// Done and answered, slowly.
    Slow,
    /// Some keys of a batch are left unprocessed; a request that is no batch is let through.
    Partial,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 9] = [
        Self::Throttled,
        Self::Internal,
        Self::LostRequest,
        Self::LostAnswer,
        Self::Late,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Slow,
        Self::Partial,
    ];
}

/// Decides by a seed what befalls requests. Clones share it.
#[derive(Clone, Debug)]
pub struct Faults {
    per_mille: u32,
    kinds: Arc<[Fault]>,
    random: Arc<Mutex<StdRng>>,
    are_over: Arc<AtomicBool>,
    injected: Arc<AtomicU64>,
}

impl Faults {
    /// One of `faults`, each as likely, befalls `per_mille` of a thousand requests.
    #[must_use]
    pub fn new(seed: u64, per_mille: u32, faults: &[Fault]) -> Self {
        Self {
            per_mille,
            kinds: faults.into(),
            random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
            are_over: Arc::default(),
            injected: Arc::default(),
        }
    }

    /// From now on requests are befallen again, as they are to begin with.
    pub fn begin(&self) {
        self.are_over.store(false, Ordering::SeqCst);
    }

    /// From now on nothing befalls a request.
    pub fn end(&self) {
        self.are_over.store(true, Ordering::SeqCst);
    }

    /// How many requests something befell.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::SeqCst)
    }

    /// A client that hands to `carrier` what it lets through.
    #[must_use]
    pub fn over(&self, carrier: SharedHttpClient) -> SharedHttpClient {
        let faults = self.clone();
        SharedHttpClient::new(Disturbed { faults, carrier })
    }

    fn draw(&self) -> Option<Fault> {
        if self.are_over.load(Ordering::SeqCst) {
            return None;
        }
        let fault = self.with(|random| {
            let befalls = random.random_range(0..1_000) < self.per_mille;
            let place = random.random_range(0..self.kinds.len().max(1));
            self.kinds.get(place).copied().filter(|_| befalls)
        })?;
        self.injected.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    fn moment(&self, range: std::ops::Range<Duration>) -> Duration {
        self.with(|random| random.random_range(range))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct Disturbed {
    faults: Faults,
    carrier: SharedHttpClient,
}

impl HttpClient for Disturbed {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(DisturbedConnector {
            faults: self.faults.clone(),
            carrier: self.carrier.http_connector(settings, components),
        })
    }
}

#[derive(Clone, Debug)]
struct DisturbedConnector {
    faults: Faults,
    carrier: SharedHttpConnector,
}

impl HttpConnector for DisturbedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.faults.draw() {
            None => self.carrier.call(request),
            Some(fault) => {
                let connector = self.clone();
                HttpConnectorFuture::new(async move { connector.disturb(fault, request).await })
            }
        }
    }
}

impl DisturbedConnector {
    async fn disturb(
        &self,
        fault: Fault,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        match fault {
            Fault::Throttled => refusal(&request, Refused::Throttled),
            Fault::Internal => refusal(&request, Refused::Internal),
            Fault::LostRequest => core::future::pending().await,
            Fault::LostAnswer => {
                let _ = self.carrier.call(request).await;
                core::future::pending().await
            }
            Fault::Late => {
                let (delay, carrier) = (self.faults.moment(LATE), self.carrier.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = carrier.call(request).await;
                });
                core::future::pending().await
            }
            Fault::ResetBefore => Err(reset()),
            Fault::ResetAfter => {
                let _ = self.carrier.call(request).await;
                Err(reset())
            }
            Fault::Slow => {
                let delay = self.faults.moment(Duration::ZERO..SLOWEST);
                tokio::time::sleep(delay).await;
                self.carrier.call(request).await
            }
            Fault::Partial => self.process_partly(request).await,
        }
    }

    /// Hands on some keys of a batch, at least one, and gives the others back.
    async fn process_partly(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let is_batch = operation(&request) == Some("BatchGetItem");
        let body = request.body().bytes().filter(|_| is_batch);
        let asked = body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let Some(mut asked) = asked else {
            return self.carrier.call(request).await;
        };
        let left = self.withhold_keys(&mut asked);
        let mut fewer = request;
        *fewer.body_mut() = SdkBody::from(asked.to_string());
        let headers = fewer.headers_mut();
        headers.remove("content-length");
        let answer = self.carrier.call(fewer).await?;
        let body = answer.body().bytes();
        let read = body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let Some(mut said) = read.filter(|_| answer.status().is_success()) else {
            return Ok(answer);
        };
        if let Some(said) = said.as_object_mut() {
            said.insert("UnprocessedKeys".to_owned(), left);
        }
        Ok(response(answer.status(), &said))
    }

    /// Takes keys out of a request, which ones does not depend on the order in which they stand there.
    fn withhold_keys(&self, asked: &mut Value) -> Value {
        let mut left = json!({});
        let tables = asked.get_mut("RequestItems").and_then(Value::as_object_mut);
        for (table, wanted) in tables.into_iter().flatten() {
            let Some(keys) = wanted.get_mut("Keys").and_then(Value::as_array_mut) else {
                continue;
            };
            keys.sort_by_cached_key(Value::to_string);
            let most = keys.len().max(1);
            let kept = self.faults.with(|random| random.random_range(1..=most));
            let rest = keys.split_off(kept.min(keys.len()));
            if !rest.is_empty()
                && let Some(left) = left.as_object_mut()
            {
                left.insert(table.clone(), json!({ "Keys": rest }));
            }
        }
        left
    }
}

enum Refused {
    Throttled,
    Internal,
}

/// The operation of `DynamoDB` that is asked for, if it is one.
#[must_use]
pub fn operation(request: &HttpRequest) -> Option<&str> {
    let target = request.headers().get("x-amz-target")?;
    target.rsplit('.').next()
}

fn refusal(request: &HttpRequest, refused: Refused) -> Result<HttpResponse, ConnectorError> {
    let is_table = operation(request).is_some();
    let (status, code) = match (is_table, refused) {
        (true, Refused::Throttled) => (400, "ProvisionedThroughputExceededException"),
        (true, Refused::Internal) => (500, "InternalServerError"),
        (false, Refused::Throttled) => (429, "TooManyRequestsException"),
        (false, Refused::Internal) => (500, "InternalServiceErrorException"),
    };
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    let kind = ["com.amazonaws.dynamodb.v20120810#", code].concat();
    let mut response = response(status, &json!({ "__type": kind, "message": "injected" }));
    response.headers_mut().insert("x-amzn-errortype", code);
    Ok(response)
}

/// An answer of a service.
#[must_use]
pub fn response(status: StatusCode, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.0");
    response
}

fn reset() -> ConnectorError {
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    ConnectorError::io(reset.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_faults_and_none_after_their_end() {
        let draw = |seed| {
            let faults = Faults::new(seed, 300, &Fault::ALL);
            let drawn: Vec<_> = (0..1_000).map(|_| faults.draw()).collect();
            let befallen = drawn.iter().flatten().count();
            assert!((200..400).contains(&befallen), "{befallen}");
            assert_eq!(faults.injected(), befallen as u64);
            faults.end();
            assert_eq!(faults.draw(), None);
            drawn
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
