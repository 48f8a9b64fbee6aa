//! The built functions in execution environments: processes behind Runtime APIs, as many at a time as invocations overlap.
//!
//! As on Lambda, an environment serves one invocation after another; what finds none free starts one, and one that has died or run
//! out of time is not used again: its invocation fails, and whoever sent the event decides whether it comes again. After the Lambda
//! developer guide, *Understanding the Lambda execution environment lifecycle*.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::lambdas::{FUNCTIONS, Invoke, Timeouts};
use crate::runtime_api::{Answer, Function, FunctionError};

/// The most environments of one function. What finds all of them busy waits, where Lambda would start more.
const MOST: usize = 8;
/// How long a function's start may take (Lambda developer guide, *Lambda quotas*).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The environments of all functions. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Environments(BTreeMap<&'static str, Arc<Pool>>);

/// The environments of one function.
#[derive(Debug)]
struct Pool {
    binary: PathBuf,
    variables: Vec<(String, String)>,
    timeout: Duration,
    free: Semaphore,
    idle: Mutex<Vec<Function>>,
}

impl Environments {
    /// Those of the binaries in `folder`, which are told `variables`. Nothing starts before its first event.
    ///
    /// # Errors
    /// When a binary is missing.
    pub(crate) fn new(folder: &Path, variables: &[(String, String)]) -> anyhow::Result<Self> {
        let timeouts = Timeouts::read()?;
        let pool = |function| {
            let binary = folder.join(function);
            std::fs::metadata(&binary)
                .with_context(|| format!("find the built function {}", binary.display()))?;
            let pool = Pool {
                binary,
                variables: variables.to_vec(),
                timeout: timeouts.of(function),
                free: Semaphore::new(MOST),
                idle: Mutex::default(),
            };
            anyhow::Ok((function, Arc::new(pool)))
        };
        FUNCTIONS
            .into_iter()
            .map(pool)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Invoke for Environments {
    fn invoke(&self, function: &'static str, event: Value) -> BoxFuture<'_, Answer> {
        let Some(pool) = self.0.get(function).cloned() else {
            let unknown = FunctionError::new(FunctionError::NOT_FOUND, function);
            return Box::pin(async { Err(unknown) });
        };
        // A task of its own: an invocation does not end because its caller has gone.
        let invocation = tokio::spawn(async move { pool.invoke(event).await });
        Box::pin(async {
            let ended = |error: tokio::task::JoinError| {
                FunctionError::new(FunctionError::EXITED, &error.to_string())
            };
            invocation.await.map_err(ended)?
        })
    }
}

impl Pool {
    async fn invoke(&self, event: Value) -> Answer {
        let closed = |_| FunctionError::new(FunctionError::EXITED, "the functions have ended");
        let _place = self.free.acquire().await.map_err(closed)?;
        let waiting = self.idle().pop();
        let environment = match waiting {
            Some(environment) => environment,
            None => self.start().await?,
        };
        let answer = environment.invoke(event, self.timeout).await;
        match &answer {
            Err(error) if error.is_end() => tracing::error!(
                function = environment.name(),
                "an execution environment ended: {error}"
            ),
            Ok(_) | Err(_) => self.idle().push(environment),
        }
        answer
    }

    async fn start(&self) -> Result<Function, FunctionError> {
        let failed = |error: anyhow::Error| {
            FunctionError::new("Runtime.InvalidEntrypoint", &format!("{error:#}"))
        };
        let environment = Function::spawn(&self.binary, &self.variables);
        let environment = environment.await.map_err(failed)?;
        let ready = tokio::time::timeout(INIT_TIMEOUT, environment.initialised());
        let late = |_| FunctionError::new(FunctionError::TIMED_OUT, "Init timed out");
        ready.await.map_err(late)??;
        Ok(environment)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Function>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
