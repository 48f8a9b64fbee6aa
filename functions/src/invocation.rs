//! How long an invocation may take, for the functions that do as much of a batch as there is time for.

use core::time::Duration;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use lambda_runtime::Context;
use tokio::time::{Instant, timeout_at};

/// When Lambda ends the invocation. A deadline that has passed before it begins is none; cargo-lambda sends such.
#[must_use]
pub fn deadline(context: &Context) -> Option<std::time::Instant> {
    let left = context.deadline().duration_since(SystemTime::now()).ok()?;
    Some(std::time::Instant::now() + left)
}

/// Until when an invocation goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until(Option<Instant>);

impl Until {
    /// As long as what takes up to `spare` can still end before `deadline`.
    pub(crate) fn before(deadline: Option<std::time::Instant>, spare: Duration) -> Self {
        Self(deadline.and_then(|deadline| Instant::from_std(deadline).checked_sub(spare)))
    }

    /// From now on for `time`.
    pub(crate) fn after(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|until| Instant::now() >= until)
    }

    /// What comes of `work`; nothing where the time is up before.
    pub(crate) fn allow<T>(self, work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
        match self.0 {
            None => work.map(Some).left_future(),
            Some(until) => timeout_at(until, work).map(Result::ok).right_future(),
        }
    }
}
