//! Flow.
use std::time::Instant;

use crate::config::App;

/// Why an event is to be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("read the event")]
pub struct HandleError;

/// Answers one event.
///
/// # Errors
/// When the event is to be delivered again as a whole.
#[expect(clippy::unused_async, reason = "the signature that is to come")]
pub async fn handle(
    _app: &App,
    _event: serde_json::Value,
    _deadline: Option<Instant>,
) -> Result<serde_json::Value, HandleError> {
    Err(HandleError)
}

impl From<HandleError> for lambda_runtime::Diagnostic {
    fn from(error: HandleError) -> Self {
        Self {
            error_type: "HandleError".to_owned(),
            error_message: crate::problem::chain(&error),
        }
    }
}
