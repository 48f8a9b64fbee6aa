//! Calls to SES no faster than the operator allows. The quota is the whole AWS account's, Check again included.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Lets one call pass at a time, and the next one an interval later.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `rate` calls a second.
    pub(crate) fn new(rate: f64) -> Self {
        Self {
            interval: Duration::try_from_secs_f64(rate.recip()).unwrap_or(Duration::from_secs(1)),
            next: Mutex::default(),
        }
    }

    /// Waits until the next call may be made.
    pub(crate) async fn turn(&self) {
        let mut next = self.next.lock().await;
        if let Some(at) = *next {
            tokio::time::sleep_until(at).await;
        }
        *next = Some(Instant::now() + self.interval);
    }
}
