//! The functions by name: how they are called, how long each may take, and their built binaries.
//!
//! Whoever has an event for a function calls it by `Invoke`, and cannot tell whether that runs in this process (`execution`) or as a
//! process behind a Runtime API (`environments`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::progress::Progress;
use crate::runtime_api::Answer;
use crate::{template, tools, workspace};

/// Every function's binary.
pub const FUNCTIONS: [&str; 12] = [
    "feedback",
    "leads",
    "statuses",
    "rechecks",
    "sends",
    "verifications",
    "reverifications",
    "changes",
    "deliveries",
    "webhooks",
    "reputation",
    "subscriber",
];

/// Hands events to functions, as Lambda's own API does.
pub(crate) trait Invoke: core::fmt::Debug + Send + Sync {
    /// One invocation of `function`. It goes on when nobody waits for its answer any more.
    fn invoke(&self, function: &'static str, event: Value) -> BoxFuture<'_, Answer>;
}

/// How long each function may take, as deployed.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts(BTreeMap<&'static str, Duration>);

impl Timeouts {
    /// Reads them from the deployment's template. Whether it deploys every function, its own checks ask.
    ///
    /// # Errors
    /// When it is no template.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let template: Template =
            serde_saphyr::from_str(template::TEXT).context("read infra/template.yaml")?;
        let usual = template.globals.function.timeout;
        let of = |function: &'static str| {
            // A resource is named as its function, with a capital.
            let mut resources = template.resources.iter();
            let own = resources
                .find(|(name, _)| name.eq_ignore_ascii_case(function))
                .and_then(|(_, resource)| resource.properties.timeout);
            (function, Duration::from_secs(own.unwrap_or(usual)))
        };
        Ok(Self(FUNCTIONS.into_iter().map(of).collect()))
    }

    /// That of `function`.
    pub(crate) fn of(&self, function: &str) -> Duration {
        self.0.get(function).copied().unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    globals: Globals,
    resources: BTreeMap<String, Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    function: Global,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Global {
    timeout: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    timeout: Option<u64>,
}

/// What a schedule of `EventBridge` sends at `now`.
pub(crate) fn schedule_event(now: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": uuid::Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": now,
        "region": crate::aws::REGION,
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/leadlight-local"],
        "detail": {},
    })
}

/// Builds the binaries if anything changed, and answers their folder. Without optimisation: for behaviour, not for speed.
///
/// # Errors
/// When the build fails.
pub fn build(progress: &Progress) -> anyhow::Result<PathBuf> {
    let _alone = tools::alone("lambdas")?;
    // The whole workspace, so that the SDK is built once with one set of features for everything.
    progress.run(tools::cargo().args(["build", "--workspace", "--bins"]))?;
    Ok(folder())
}

/// Where [`build`] puts the binaries.
#[must_use]
pub fn folder() -> PathBuf {
    workspace::target().join("debug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_the_time_that_the_template_gives_it() {
        let timeouts = Timeouts::read().unwrap();
        let given = |name: &str| timeouts.of(name).as_secs();
        assert_eq!((given("feedback"), given("reverifications")), (10, 55));
    }

    /// aws-lc, which the SDK brings by itself, gathers entropy at a process's first TLS: 366 ms at 128 MB where ring takes 18.
    #[test]
    fn the_functions_speak_tls_by_ring_and_link_nothing_else_that_could() {
        let linked = tools::cargo()
            .args(["tree", "--package", "leadlight-functions"])
            .args(["--edges", "normal", "--prefix", "none"])
            .output()
            .unwrap();
        assert!(linked.status.success(), "{linked:?}");
        let linked = String::from_utf8(linked.stdout).unwrap();
        let has = |name: &str| linked.lines().any(|line| line.starts_with(name));
        assert!(has("rustls ") && has("ring "), "{linked}");
        for other in ["aws-lc-", "openssl-sys ", "native-tls "] {
            assert!(!has(other), "{other}: {linked}");
        }
    }
}
