//! The execution environment of the functions inside this process: one thread with a current-thread runtime, as Lambda gives
//! them, so that nothing is asked of a handler here that Lambda does not ask.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use jiff::Timestamp;
use lambda_http::Body;
use lambda_runtime::Diagnostic;
use leadlight_functions::app::Leadlight;
use leadlight_functions::http::carry;
use leadlight_functions::{
    changes, deliveries, feedback, leads, rechecks, reputation, reverifications, sends, statuses,
    subscriber, verifications, webhooks,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::lambdas::{Invoke, Timeouts};
use crate::runtime_api::{Answer, FunctionError};

/// Runs invocations, any number at the same time. Clones share the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    calls: mpsc::UnboundedSender<Call>,
}

struct Call {
    function: &'static str,
    event: Value,
    answer: oneshot::Sender<Answer>,
}

impl Execution {
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(app: Arc<Leadlight>) -> anyhow::Result<Self> {
        let timeouts = Arc::new(Timeouts::read()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the functions' runtime")?;
        let (calls, mut received) = mpsc::unbounded_channel::<Call>();
        let serve = async move {
            while let Some(call) = received.recv().await {
                let (app, timeouts) = (Arc::clone(&app), Arc::clone(&timeouts));
                tokio::task::spawn_local(async move {
                    let deadline = Instant::now() + timeouts.of(call.function);
                    let answer = handle(&app, call.function, call.event, deadline).await;
                    // Whoever asked may have gone.
                    let _ = call.answer.send(answer);
                });
            }
        };
        std::thread::Builder::new()
            .name("functions".to_owned())
            .spawn(move || tokio::task::LocalSet::new().block_on(&runtime, serve))
            .context("start the functions' thread")?;
        Ok(Self { calls })
    }
}

impl Invoke for Execution {
    fn invoke(&self, function: &'static str, event: Value) -> BoxFuture<'_, Answer> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            function,
            event,
            answer,
        };
        // If the thread has ended, so has the other end of the answer.
        let _ = self.calls.send(call);
        Box::pin(async {
            let panicked = || FunctionError::new("Runtime.ExitError", "the function panicked");
            answered.await.map_err(|_| panicked())?
        })
    }
}

/// What the function's binary does with an event.
async fn handle(app: &Leadlight, function: &str, event: Value, deadline: Instant) -> Answer {
    let request =
        || lambda_http::request::from_str(&event.to_string()).map_err(|error| unreadable(&error));
    match function {
        "feedback" => {
            let answer = feedback::handle(app, event, Some(deadline)).await;
            answer.map_err(failed)
        }
        "changes" => {
            let answer = changes::handle(&app.event_bus, event, Some(deadline)).await;
            answer.map_err(failed)
        }
        "deliveries" => {
            let answer = deliveries::handle(&app.courier, event, Some(deadline)).await;
            answer.map_err(failed)
        }
        "reverifications" => {
            // The binary takes the time from its clock; here a test may say another.
            let time = event.get("time").and_then(Value::as_str);
            let now = time.and_then(|time| time.parse().ok());
            let now = now.unwrap_or_else(Timestamp::now);
            let report = reverifications::handle_at(&app.verifier, Some(deadline), now).await;
            serialised(&report.map_err(failed)?)
        }
        "leads" => http(leads::handle(&app.checks, request()?).boxed_local()).await,
        "statuses" => http(statuses::handle(app, request()?).boxed_local()).await,
        "rechecks" => http(rechecks::handle(&app.checks, request()?).boxed_local()).await,
        "sends" => http(sends::handle(&app.outbox, request()?).boxed_local()).await,
        "webhooks" => http(webhooks::handle(&app.reach, request()?).boxed_local()).await,
        "reputation" => http(reputation::handle(app, request()?).boxed_local()).await,
        "subscriber" => http(subscriber::handle(&app.sns, request()?).boxed_local()).await,
        "verifications" => {
            http(verifications::handle(&app.verifier, request()?).boxed_local()).await
        }
        unknown => Err(FunctionError::new(FunctionError::NOT_FOUND, unknown)),
    }
}

async fn http(response: LocalBoxFuture<'_, lambda_http::Response<Body>>) -> Answer {
    serialised(&carry(response.await))
}

fn serialised(answer: &impl serde::Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| unreadable(&error))
}

fn failed(error: impl Into<Diagnostic>) -> FunctionError {
    let said = error.into();
    FunctionError::new(&said.error_type, &said.error_message)
}

fn unreadable(error: &serde_json::Error) -> FunctionError {
    FunctionError::new("Runtime.UnmarshalError", &error.to_string())
}
