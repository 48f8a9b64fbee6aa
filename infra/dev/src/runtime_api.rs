//! The Lambda Runtime API for one spawned function: the built binary polls it as it polls AWS's.
//!
//! Headers and paths after the Lambda developer guide, *Using the Lambda runtime API*. One invocation at a time, as in one
//! execution environment. Response streaming is collected, not passed on.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as PathParameter, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::logs;
use crate::task::Task;

/// What a function answered, or how it failed.
pub type Answer = Result<Value, FunctionError>;

/// A failure as the function reported it, or as Lambda would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct FunctionError {
    /// The error's type, such as `Runtime.ExitError`.
    pub kind: String,
    /// The error's text.
    pub message: String,
}

/// The Runtime API of one function.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    invocations: mpsc::UnboundedSender<Invocation>,
    shared: Arc<Shared>,
    _server: Task,
}

/// A function's process, fed by a [`RuntimeApi`]. The process ends when this is dropped.
#[derive(Debug)]
pub struct Function {
    // Dropped first: without its API it would complain before it ends.
    process: tokio::sync::Mutex<tokio::process::Child>,
    api: RuntimeApi,
    name: String,
}

#[derive(Debug)]
struct Invocation {
    event: Value,
    timeout: Duration,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    init_error: watch::Sender<Option<FunctionError>>,
    polls: watch::Sender<u64>,
}

impl RuntimeApi {
    /// Opens the API on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("open a port on 127.0.0.1 for the Runtime API")?;
        let address = listener.local_addr()?;
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            init_error: watch::Sender::new(None),
            polls: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(axum::extract::DefaultBodyLimit::max(6 * 1024 * 1024))
            .with_state(Arc::clone(&shared));
        // An event is two writes, and a function must not wait for the second.
        let listener = listener.tap_io(|stream| {
            // Without it everything works, later.
            let _ = stream.set_nodelay(true);
        });
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            invocations,
            shared,
            _server: server,
        })
    }

    /// The environment in which Lambda starts a function's binary (Lambda developer guide, *Defined runtime environment variables*),
    /// less its region and credentials, pointed at this API.
    #[must_use]
    pub fn environment(&self, function: &str) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            (
                "AWS_LAMBDA_LOG_GROUP_NAME",
                format!("/aws/lambda/{function}"),
            ),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
            ("AWS_DEFAULT_REGION", crate::aws::REGION.to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Hands the function an event and waits for its answer.
    ///
    /// # Errors
    /// When the function reports an error, in an invocation or in its init, or answers nothing within `timeout`.
    pub async fn invoke(&self, event: Value, timeout: Duration) -> Answer {
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation {
            event,
            timeout,
            answer,
        };
        if self.invocations.send(invocation).is_err() {
            return Err(FunctionError::new(
                "Local.Ended",
                "the Runtime API has ended",
            ));
        }
        tokio::select! {
            answer = answered => answer.unwrap_or_else(|_| Err(FunctionError::new(FunctionError::EXITED, "no answer"))),
            error = self.failed_init() => Err(error),
            () = tokio::time::sleep(timeout) => Err(FunctionError::new(FunctionError::TIMED_OUT, "Task timed out")),
        }
    }

    /// Waits until the function asks for an invocation for the first time: its init is over.
    ///
    /// # Errors
    /// When its init failed.
    pub async fn initialised(&self) -> Result<(), FunctionError> {
        let mut polls = self.shared.polls.subscribe();
        tokio::select! {
            _ = polls.wait_for(|polls| *polls > 0) => Ok(()),
            error = self.failed_init() => Err(error),
        }
    }

    /// Waits until the function reports that its init failed.
    async fn failed_init(&self) -> FunctionError {
        let mut reported = self.shared.init_error.subscribe();
        let error = reported.wait_for(Option::is_some).await;
        match error.map(|error| error.clone()) {
            Ok(Some(error)) => error,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl FunctionError {
    /// The type of the error about a function that does not exist.
    pub(crate) const NOT_FOUND: &str = "ResourceNotFoundException";
    /// The type of the error about a process that has ended.
    pub(crate) const EXITED: &str = "Runtime.ExitError";
    /// The type of the error about an invocation, or a start, that took too long.
    pub(crate) const TIMED_OUT: &str = "Sandbox.Timedout";

    /// Whether the environment cannot be used any more: its process has ended, or Lambda would end it.
    #[must_use]
    pub fn is_end(&self) -> bool {
        [Self::EXITED, Self::TIMED_OUT].contains(&self.kind.as_str())
    }

    pub(crate) fn new(kind: &str, message: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.to_owned(),
        }
    }

    /// An error as a function posts it: `{"errorType": …, "errorMessage": …}`.
    fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        Self::new(field("errorType"), field("errorMessage"))
    }
}

impl Function {
    /// Starts the binary in an environment of nothing but Lambda's variables and `environment`. What it logs goes to this process's
    /// standard error; in a test run it logs everything, and that is kept.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(binary: &Path, environment: &[(String, String)]) -> anyhow::Result<Self> {
        let name = binary.file_stem().unwrap_or_default().to_string_lossy();
        let mut command = tokio::process::Command::new(binary);
        let Some(kept) = logs::file(&name)? else {
            command.stdout(std::io::stderr());
            return Self::launch(command, &name, environment).await;
        };
        command.stdout(kept.try_clone()?).stderr(kept);
        let everything = [("LEADLIGHT_LOG".to_owned(), "trace".to_owned())];
        let environment = [environment, &everything].concat();
        Self::launch(command, &name, &environment).await
    }

    /// Starts `command` as the function `name`, in an environment of nothing but Lambda's variables and `environment`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn launch(
        mut command: tokio::process::Command,
        name: &str,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let process = command
            .env_clear()
            .envs(api.environment(name))
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", command.as_std().get_program().display()))?;
        Ok(Self {
            api,
            name: name.to_owned(),
            process: tokio::sync::Mutex::new(process),
        })
    }

    /// The id of its process, unless that has ended.
    pub async fn id(&self) -> Option<u32> {
        self.process.lock().await.id()
    }

    /// Waits until the function is ready for its first event.
    ///
    /// # Errors
    /// When its init fails or its process ends.
    pub async fn initialised(&self) -> Result<(), FunctionError> {
        let mut process = self.process.lock().await;
        tokio::select! {
            ready = self.api.initialised() => ready,
            status = process.wait() => Err(exited(status)),
        }
    }

    /// Hands the function an event and waits for its answer.
    ///
    /// # Errors
    /// As [`RuntimeApi::invoke`], and when its process ends.
    pub async fn invoke(&self, event: Value, timeout: Duration) -> Answer {
        let mut process = self.process.lock().await;
        tokio::select! {
            answer = self.api.invoke(event, timeout) => answer,
            status = process.wait() => Err(exited(status)),
        }
    }

    /// The function's name, that of its binary.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the process at once, as `kill -9` does.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub async fn kill(&self) -> std::io::Result<()> {
        self.process.lock().await.kill().await
    }
}

fn exited(status: std::io::Result<std::process::ExitStatus>) -> FunctionError {
    let message = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    FunctionError {
        kind: FunctionError::EXITED.to_owned(),
        message,
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.polls.send_modify(|polls| *polls += 1);
    let invocation = loop {
        match shared.waiting.lock().await.recv().await {
            // Its caller has given up before the function was ready for it.
            Some(invocation) if invocation.answer.is_closed() => {}
            Some(invocation) => break invocation,
            None => return StatusCode::GONE.into_response(),
        }
    };
    let id = uuid::Uuid::new_v4().to_string();
    let timeout_ms = i64::try_from(invocation.timeout.as_millis()).unwrap_or(i64::MAX);
    let deadline_ms = Timestamp::now().as_millisecond().saturating_add(timeout_ms);
    let headers = [
        ("lambda-runtime-aws-request-id", id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:local".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5e8a4b1f-000000000000000000000000;Sampled=0".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    shared
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, invocation.answer);
    (headers, invocation.event.to_string()).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    PathParameter(id): PathParameter<String>,
    body: Bytes,
) -> StatusCode {
    let not_json = |_| FunctionError::new("Local.InvalidResponse", "the response is not JSON");
    shared.finish(&id, serde_json::from_slice(&body).map_err(not_json))
}

async fn error(
    State(shared): State<Arc<Shared>>,
    PathParameter(id): PathParameter<String>,
    body: Bytes,
) -> StatusCode {
    shared.finish(&id, Err(FunctionError::read(&body)))
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared
        .init_error
        .send_replace(Some(FunctionError::read(&body)));
    StatusCode::ACCEPTED
}

impl Shared {
    fn finish(&self, id: &str, answer: Answer) -> StatusCode {
        let waiting = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        match waiting {
            Some(waiting) => {
                // The caller may have given up on it; Lambda accepts the response all the same.
                let _ = waiting.send(answer);
                StatusCode::ACCEPTED
            }
            None => StatusCode::BAD_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Polls once, as a function's runtime does, and posts `answer` to `verb`.
    async fn answer_once(api: &RuntimeApi, verb: &str, answer: Value) -> (Value, StatusCode) {
        let root = format!("http://{}/2018-06-01/runtime", api.address);
        let client = reqwest::Client::new();
        let next = client
            .get(format!("{root}/invocation/next"))
            .send()
            .await
            .unwrap();
        let id = next.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let deadline: i64 = next.headers()["lambda-runtime-deadline-ms"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(deadline > Timestamp::now().as_millisecond());
        let event = next.json().await.unwrap();
        let posted = client
            .post(format!("{root}/invocation/{id}/{verb}"))
            .json(&answer)
            .send()
            .await
            .unwrap();
        (event, posted.status())
    }

    #[tokio::test]
    async fn an_event_reaches_the_function_and_its_answer_comes_back() {
        let api = RuntimeApi::start().await.unwrap();
        let invoked = api.invoke(json!({ "n": 1 }), Duration::from_secs(5));
        let (answer, (event, status)) = tokio::join!(
            invoked,
            answer_once(&api, "response", json!({ "ok": true }))
        );
        assert_eq!((event, status.as_u16()), (json!({ "n": 1 }), 202));
        assert_eq!(answer, Ok(json!({ "ok": true })));
    }

    #[tokio::test]
    async fn a_reported_error_a_failed_init_and_a_timeout_are_told_apart() {
        let api = RuntimeApi::start().await.unwrap();
        let report = json!({ "errorType": "Broken", "errorMessage": "it broke" });
        let invoked = api.invoke(json!({}), Duration::from_secs(5));
        let (answer, _) = tokio::join!(invoked, answer_once(&api, "error", report.clone()));
        assert_eq!(
            answer.unwrap_err(),
            FunctionError::new("Broken", "it broke")
        );

        let timed_out = api
            .invoke(json!({}), Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(timed_out.kind, "Sandbox.Timedout");

        // What nobody waits for any more is not handed out.
        let invoked = api.invoke(json!({ "n": 2 }), Duration::from_secs(5));
        let (_, (event, _)) = tokio::join!(invoked, answer_once(&api, "response", json!({})));
        assert_eq!(event, json!({ "n": 2 }));

        let api = RuntimeApi::start().await.unwrap();
        let init_error = format!("http://{}/2018-06-01/runtime/init/error", api.address);
        reqwest::Client::new()
            .post(init_error)
            .json(&report)
            .send()
            .await
            .unwrap();
        assert_eq!(api.initialised().await.unwrap_err().kind, "Broken");
        assert_eq!(
            api.invoke(json!({}), Duration::from_secs(5))
                .await
                .unwrap_err()
                .kind,
            "Broken"
        );
    }
}
