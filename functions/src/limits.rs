//! How many requests an account, and a token of it, may make in a minute (UTC), and what its callers are told of that.
//!
//! An instance of a function knows nothing of the others, so the counts are in the table. So that a request usually costs nothing
//! there, an instance passes [`BLOCK`] requests by itself before it adds them to the table's count and learns what the others added:
//! one write for [`BLOCK`] requests of a token and one for as many of an account, none for whoever asks less in a minute. The slack:
//! each other instance may have passed one block that the table does not know of. Nobody is refused early. Fields after
//! draft-ietf-httpapi-ratelimit-headers-11 (May 2026).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::try_join;
use jiff::Timestamp;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use leadlight::account::AccountId;

use crate::problem::Refusal;
use crate::table::{Table, TableError};

/// Requests of one token or account that an instance passes before it asks the table.
pub const BLOCK: u32 = 10;
/// Seconds of a window. The policy's limits are by the minute.
const WINDOW_S: i64 = 60;
/// The most tokens and accounts that an instance counts at a time. Beyond, it begins anew, which costs each a block.
const MOST_COUNTED: usize = 10_000;
/// What a caller may ask, by window.
const POLICY_HEADER: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
const HEADER: HeaderName = HeaderName::from_static("ratelimit");

/// The requests that this process passed.
#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    window: i64,
    of: HashMap<Whose, Count>,
}

/// Whose requests are counted: a token's, known by its hash, or all of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Whose {
    account: AccountId,
    token: Option<String>,
}

/// The requests of somebody in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Those that the table knows of, of all instances, when it was asked last.
    told: u32,
    /// Those that it does not know of.
    untold: u32,
}

/// A caller's limits.
pub(crate) struct Caller<'a> {
    pub(crate) account: &'a AccountId,
    /// The token's hash.
    pub(crate) token: String,
    pub(crate) per_token: u32,
    pub(crate) per_account: u32,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    name: &'static str,
    limit: u32,
    /// `None` if the request is one too many.
    requests: Option<u32>,
}

/// What a caller is told of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    left: [Left; 2],
    resets_in_s: i64,
}

impl Limits {
    /// Counts one request. What is left comes in any case, and with it the refusal of one too many.
    pub(crate) async fn count(
        &self,
        table: &Table,
        caller: Caller<'_>,
        now: Timestamp,
    ) -> Result<(Quota, Option<Refusal>), TableError> {
        let window = now.as_second().div_euclid(WINDOW_S) * WINDOW_S;
        let whose = |token| Whose {
            account: caller.account.clone(),
            token,
        };
        let (of_token, of_account) = (whose(Some(caller.token)), whose(None));
        let (of_token, of_account) = try_join!(
            self.pass(table, of_token, caller.per_token, window),
            self.pass(table, of_account, caller.per_account, window)
        )?;
        let left = |name, limit, requests| Left {
            name,
            limit,
            requests,
        };
        let quota = Quota {
            left: [
                left("token", caller.per_token, of_token),
                left("account", caller.per_account, of_account),
            ],
            resets_in_s: window + WINDOW_S - now.as_second(),
        };
        let spent = quota.left.iter().find(|left| left.requests.is_none());
        let refusal = spent.map(|left| {
            let resets_at = Timestamp::from_second(window + WINDOW_S).unwrap_or(now);
            Refusal::too_many_requests(left.name, left.limit, resets_at, now)
        });
        Ok((quota, refusal))
    }

    /// Lets one request pass, and says how many more may; `None` if it is one too many.
    async fn pass(
        &self,
        table: &Table,
        whose: Whose,
        limit: u32,
        window: i64,
    ) -> Result<Option<u32>, TableError> {
        let mut count = self.find(&whose, window);
        if count.untold >= room(count, limit) && count.untold > 0 {
            let Whose { account, token } = &whose;
            let counted = table.count_requests(account, window, token.as_deref(), count.untold);
            // Boxed, so that what is seldom needed does not swell every request's future.
            let told = Box::pin(counted).await?;
            count = self.update(&whose, window, |known| {
                // Others may have been told meanwhile; what they passed is not told yet.
                known.untold = known.untold.saturating_sub(count.untold);
                known.told = known.told.max(told);
            });
        }
        if count.untold >= room(count, limit) {
            return Ok(None);
        }
        let count = self.update(&whose, window, |known| known.untold += 1);
        Ok(Some(limit.saturating_sub(count.told + count.untold)))
    }

    fn find(&self, whose: &Whose, window: i64) -> Count {
        self.update(whose, window, |_| {})
    }

    fn update(&self, whose: &Whose, window: i64, change: impl FnOnce(&mut Count)) -> Count {
        let mut counts = self.of_window(window);
        if counts.of.len() >= MOST_COUNTED && !counts.of.contains_key(whose) {
            counts.of.clear();
        }
        let count = match counts.of.entry(whose.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(Count::default()),
        };
        change(count);
        *count
    }

    /// The counts of a window; those of another are nobody's concern any more.
    fn of_window(&self, window: i64) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window {
            *counts = Counts {
                window,
                of: HashMap::new(),
            };
        }
        counts
    }
}

/// How many requests may pass that the table does not know of.
fn room(count: Count, limit: u32) -> u32 {
    limit.saturating_sub(count.told).min(BLOCK)
}

impl Quota {
    /// Says it in the headers of an answer.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let (mut policy, mut limits) = (String::new(), String::new());
        for Left {
            name,
            limit,
            requests,
        } in self.left
        {
            let separator = if policy.is_empty() { "" } else { ", " };
            let (left, seconds) = (requests.unwrap_or_default(), self.resets_in_s);
            // Writing to a string cannot fail.
            let _ = write!(policy, "{separator}\"{name}\";q={limit};w={WINDOW_S}");
            let _ = write!(limits, "{separator}\"{name}\";r={left};t={seconds}");
        }
        for (name, value) in [(POLICY_HEADER, policy), (HEADER, limits)] {
            headers.extend(
                HeaderValue::from_str(&value)
                    .ok()
                    .map(|value| (name, value)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_structured_fields() {
        let left = |name, limit, requests| Left {
            name,
            limit,
            requests,
        };
        let quota = Quota {
            left: [left("token", 300, Some(299)), left("account", 6_000, None)],
            resets_in_s: 42,
        };
        let mut headers = HeaderMap::new();
        quota.tell(&mut headers);
        assert_eq!(
            headers["ratelimit-policy"],
            r#""token";q=300;w=60, "account";q=6000;w=60"#
        );
        assert_eq!(
            headers["ratelimit"],
            r#""token";r=299;t=42, "account";r=0;t=42"#
        );
    }

    #[test]
    fn an_instance_counts_only_so_many_and_only_of_this_minute() {
        let limits = Limits::default();
        let whose = |token: usize| Whose {
            account: AccountId::parse("acme").unwrap(),
            token: Some(token.to_string()),
        };
        for token in 0..=MOST_COUNTED {
            limits.update(&whose(token), 60, |count| count.untold += 1);
        }
        assert_eq!(limits.of_window(60).of.len(), 1);
        assert_eq!(limits.find(&whose(MOST_COUNTED), 60).untold, 1);
        assert_eq!(limits.find(&whose(MOST_COUNTED), 120).untold, 0);
    }
}
