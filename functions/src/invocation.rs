//! How long an invocation may take, for the functions that do as much of a batch as there is time for.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use lambda_runtime::Context;

/// When Lambda ends the invocation. A deadline that has passed before it begins is none; cargo-lambda sends such.
#[must_use]
pub fn deadline(context: &Context) -> Option<Instant> {
    let left = context.deadline().duration_since(SystemTime::now()).ok()?;
    Some(Instant::now() + left)
}

/// Until when something may be begun that takes up to `spare`.
pub(crate) fn until(deadline: Option<Instant>, spare: Duration) -> Option<tokio::time::Instant> {
    tokio::time::Instant::from_std(deadline?).checked_sub(spare)
}
