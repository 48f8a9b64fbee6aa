//! When something is tried again that could not be done: a timetable that depends on nothing but when it came up.

use jiff::{SignedDuration, Timestamp};

/// The first time after `now` at which something of `since` is tried again, by a timetable of minutes after it, ascending; `None`
/// after the last. So whoever runs at the same time comes to the same.
pub(crate) fn next(minutes_after: &[i64], since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    minutes_after
        .iter()
        .filter_map(|minutes| since.checked_add(SignedDuration::from_mins(*minutes)).ok())
        .find(|due_at| *due_at > now)
}
