//! Publishes events on `EventBridge`, where the deployment names a bus.
//!
//! Limits: `EventBridge` API reference, `PutEvents` (10 entries a call, each taken in or refused by itself).

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use leadlight::change::CloudEvent;

use crate::config::cause;

/// The `source` of the entries.
pub const SOURCE: &str = "leadlight";
/// The `detail-type` of an event about a change of status.
pub const STATUS_CHANGED: &str = "Lead Status Changed";
const MOST_ENTRIES: usize = 10;

/// A bus, or none.
#[derive(Clone, Debug)]
pub struct EventBus(Option<(Client, String)>);

/// Why events were not published.
#[derive(Debug, thiserror::Error)]
pub enum EventBusError {
    /// The call failed.
    #[error("publish events (PutEvents)")]
    Unavailable(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// Some were refused.
    #[error("publish {refused} events: {code}")]
    Refused {
        /// How many.
        refused: i32,
        /// Why the first was.
        code: String,
    },
    /// An event is no JSON.
    #[error("write an event as JSON")]
    Unwritable(#[source] serde_json::Error),
}

impl EventBus {
    pub(crate) fn new(bus: Option<(Client, String)>) -> Self {
        Self(bus)
    }

    /// Publishes events in their order, as far as `EventBridge` keeps it. An event that is published twice has the same id.
    ///
    /// # Errors
    /// When any was not taken in. Publishing all of them again is safe.
    pub async fn publish(&self, events: &[&CloudEvent]) -> Result<(), EventBusError> {
        let Some((client, bus)) = &self.0 else {
            return Ok(());
        };
        for chunk in events.chunks(MOST_ENTRIES) {
            let entry = |event: &&CloudEvent| {
                let detail = serde_json::to_string(event).map_err(EventBusError::Unwritable)?;
                Ok(PutEventsRequestEntry::builder()
                    .source(SOURCE)
                    .detail_type(STATUS_CHANGED)
                    .detail(detail)
                    .event_bus_name(bus)
                    .time(DateTime::from_secs(event.time.as_second()))
                    .build())
            };
            let entries: Result<Vec<_>, EventBusError> = chunk.iter().map(entry).collect();
            let answer = client
                .put_events()
                .set_entries(Some(entries?))
                .send()
                .await
                .map_err(|error| EventBusError::Unavailable(cause(error)))?;
            if answer.failed_entry_count > 0 {
                let mut codes = answer
                    .entries()
                    .iter()
                    .filter_map(|entry| entry.error_code());
                return Err(EventBusError::Refused {
                    refused: answer.failed_entry_count,
                    code: codes.next().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }
}
