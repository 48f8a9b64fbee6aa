//! What the stand-in says of mailboxes: `GetEmailAddressInsights`, as the SES API v2 reference has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Json, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Refusal};

/// What SES knows of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insight {
    /// It exists.
    #[default]
    Exists,
    /// It does not.
    Missing,
    /// It may.
    Unsure,
    /// A verdict that no version of the SDK knows.
    Unheard,
    /// Nothing: the answer lacks its evaluations.
    Nothing,
    /// The call is one too many.
    Throttled,
    /// It does not exist, but SES takes its time to say so.
    MissingAfter(Duration),
}

/// What is known of whom, and how often somebody asked.
#[derive(Debug, Default)]
pub(super) struct Insights {
    known: Mutex<BTreeMap<String, Insight>>,
    given: AtomicUsize,
}

impl Insights {
    pub(super) fn know(&self, address: &str, insight: Insight) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(address.to_lowercase(), insight);
    }

    pub(super) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    fn of(&self, address: &str) -> Insight {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&address.to_lowercase())
            .copied()
            .unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetEmailAddressInsights {
    email_address: String,
}

pub(super) async fn get_insights(
    State(account): State<Arc<Account>>,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let request: GetEmailAddressInsights =
        serde_json::from_str(&body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    account.insights.given.fetch_add(1, Ordering::SeqCst);
    let exists = match account.insights.of(&request.email_address) {
        Insight::Exists => "HIGH",
        Insight::Missing => "LOW",
        Insight::Unsure => "MEDIUM",
        Insight::Unheard => "CERTAINLY_NOT",
        Insight::Nothing => return Ok(Json(json!({ "MailboxValidation": {} }))),
        Insight::Throttled => return Err(Refusal::too_many_requests()),
        Insight::MissingAfter(pause) => {
            tokio::time::sleep(pause).await;
            "LOW"
        }
    };
    let verdict = |confidence: &str| json!({ "ConfidenceVerdict": confidence });
    Ok(Json(json!({
        "MailboxValidation": {
            "IsValid": verdict(exists),
            "Evaluations": {
                "HasValidSyntax": verdict("HIGH"),
                "HasValidDnsRecords": verdict("HIGH"),
                "MailboxExists": verdict(exists),
                "IsRoleAddress": verdict("LOW"),
                "IsDisposable": verdict("LOW"),
                "IsRandomInput": verdict("LOW"),
            },
        },
    })))
}
