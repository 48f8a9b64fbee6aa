//! The promise of an `Idempotency-Key`: at most one message, whatever is tried again and wherever a try died.
//!
//! Before SES is called, `begun` is put under the key, on the condition that nothing else is there; afterwards what came of it. So
//! a second call finds the answer, or that somebody is at it, or that somebody was and nobody knows what came of it; it never
//! sends. What was certainly not sent (a refusal, a throttled call) leaves the key free. Kept for 24 hours (the IETF's draft
//! *The Idempotency-Key HTTP Header Field* leaves that to us).

use core::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_http::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::access::Caller;
use crate::app::{App, Outbox};
use crate::apply::{ApplyError, Attempts, own_source};
use crate::problem::{Refusal, chain};
use crate::table::item::{AddressSecret, Key, SendAttempt, SendOutcome, SkippedRecipient, Version};
use crate::table::{Commit, Consistency, TableError};

/// How long an answer is kept.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// From this age on, a try that has not said what came of it never will: API Gateway waits no longer than 30 s for a function.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// How long a second call waits for the first one's answer.
const WAITED_FOR: Duration = Duration::from_secs(2);
/// How long it waits before it looks again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The most characters of a key.
const MAX_KEY: usize = 128;
/// The hexadecimal digits of a key's hash that a message carries as a tag.
const TAG_DIGITS: usize = 32;

/// A request's `Idempotency-Key`: whoever knows it can have the answer told again.
#[derive(Clone, Debug)]
pub(super) struct IdempotencyKey(SecretString);

impl IdempotencyKey {
    /// Reads the header, if there is one. Quotes around the key, as the draft wants them, are no part of it.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default().trim();
        let quoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        let is_key =
            (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|octet| octet.is_ascii_graphic());
        if !is_key || values.next().is_some() {
            return Err(Refusal::invalid_field(
                "idempotency-key",
                "invalid_key",
                format!("must be one key of 1 to {MAX_KEY} visible ASCII characters"),
            ));
        }
        Ok(Some(Self(key.into())))
    }
}

/// What names a send in SES's events, where the key itself has no place.
pub(super) fn tag(key: Option<&IdempotencyKey>, secret: &AddressSecret) -> String {
    match key {
        Some(key) => hash(key, secret).chars().take(TAG_DIGITS).collect(),
        None => own_source(),
    }
}

fn hash(key: &IdempotencyKey, secret: &AddressSecret) -> String {
    secret.fingerprint("idempotency-key", key.0.expose_secret().as_bytes())
}

/// A send under a key, before and after SES.
pub(super) struct Promise<'a> {
    app: &'a App<Outbox>,
    key: Key<SendAttempt>,
    attempt: SendAttempt,
    tag: String,
    now: Timestamp,
}

/// What is kept of a message that was sent.
pub(super) struct Sent {
    pub(super) message_id: String,
    pub(super) skipped: Vec<SkippedRecipient>,
}

/// Whose turn it is to send.
pub(super) enum Turn {
    /// Ours. What came of it has to be said by [`Promise::keep`].
    Ours(Version),
    /// Nobody's: it was sent.
    Answered(Sent),
}

/// What is known of a key.
enum Found {
    /// Nothing: it may be begun over this version.
    Free(Option<Version>),
    /// We began it ourselves.
    Ours(Version),
    /// It was answered.
    Answered(Sent),
}

impl<'a> Promise<'a> {
    /// A send of `body` under `key` that arrived at `now`.
    pub(super) fn new(
        app: &'a App<Outbox>,
        caller: &Caller,
        key: &IdempotencyKey,
        body: &[u8],
        now: Timestamp,
    ) -> Self {
        let secret = &app.address_secret;
        let attempt = SendAttempt {
            fingerprint: secret.fingerprint("send", body),
            begun_by: own_source(),
            begun_at: now,
            outcome: SendOutcome::Begun,
            expires_at: now.as_second().saturating_add(KEPT_FOR.as_secs()),
        };
        Self {
            app,
            key: Key::send_attempt(&caller.account, &hash(key, secret)),
            attempt,
            tag: tag(Some(key), secret),
            now,
        }
    }

    /// The answer that the key was given before, if it was.
    pub(super) async fn answer(&self) -> Result<Option<Sent>, Refusal> {
        match self.find().await? {
            Found::Answered(sent) => Ok(Some(sent)),
            Found::Free(_) | Found::Ours(_) => Ok(None),
        }
    }

    /// Takes the key, so that nobody else sends; or finds that somebody did.
    pub(super) async fn begin(&self) -> Result<Turn, Refusal> {
        let mut attempts = Attempts::default();
        loop {
            let read = match self.find().await? {
                Found::Answered(sent) => return Ok(Turn::Answered(sent)),
                Found::Ours(version) => return Ok(Turn::Ours(version)),
                Found::Free(read) => read,
            };
            let begun = self
                .app
                .table
                .commit(&self.key, &self.attempt, read)
                .await?;
            match begun {
                Commit::Committed => {
                    return Ok(Turn::Ours(read.unwrap_or_default().saturating_add(1)));
                }
                // Somebody was faster, or our own write was carried out twice: the next look tells.
                Commit::Conflict => attempts.pause().await.map_err(ApplyError::from)?,
            }
        }
    }

    /// Keeps what came of the send. Should that fail, the key stays begun: then nobody sends again, and nobody is told a lie.
    pub(super) async fn keep(&self, begun: Version, outcome: SendOutcome) {
        let attempt = SendAttempt {
            outcome,
            ..self.attempt.clone()
        };
        let mut attempts = Attempts::default();
        loop {
            let error: TableError = match self
                .app
                .table
                .commit(&self.key, &attempt, Some(begun))
                .await
            {
                // A conflict is our own write, carried out before its answer was lost: the version was ours alone.
                Ok(Commit::Committed | Commit::Conflict) => return,
                Err(error) => error,
            };
            if attempts.pause().await.is_err() {
                tracing::error!(
                    error = chain(&error),
                    request = self.tag,
                    "could not keep what came of a send"
                );
                return;
            }
        }
    }

    /// What is known of the key, once nobody is at it any more, or after a while.
    async fn find(&self) -> Result<Found, Refusal> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(stored) = self.app.table.load(&self.key, Consistency::Strong).await? else {
                return Ok(Found::Free(None));
            };
            let known = stored.item;
            if known.expires_at <= self.now.as_second() {
                return Ok(Found::Free(Some(stored.version)));
            }
            let is_same = known.fingerprint == self.attempt.fingerprint;
            match known.outcome {
                SendOutcome::Withdrawn => return Ok(Found::Free(Some(stored.version))),
                SendOutcome::Begun | SendOutcome::Sent { .. } | SendOutcome::Unknown
                    if !is_same =>
                {
                    return Err(Refusal::idempotency_key_reused());
                }
                SendOutcome::Sent {
                    message_id,
                    skipped,
                } => {
                    return Ok(Found::Answered(Sent {
                        message_id,
                        skipped,
                    }));
                }
                SendOutcome::Unknown => return Err(self.unknown()),
                SendOutcome::Begun if known.begun_by == self.attempt.begun_by => {
                    return Ok(Found::Ours(stored.version));
                }
                SendOutcome::Begun => {}
            }
            if self.now.duration_since(known.begun_at) >= GIVEN_UP_AFTER {
                return Err(self.unknown());
            }
            let left = WAITED_FOR.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Refusal::request_in_progress());
            }
            tokio::time::sleep(pause.min(left)).await;
            pause *= 2;
        }
    }

    fn unknown(&self) -> Refusal {
        Refusal::earlier_outcome_unknown(&self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key in such headers; `none` for no header.
    fn read(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", value.parse().unwrap());
        }
        let key = IdempotencyKey::read(&headers).ok()?;
        Some(key.map_or_else(|| "none".to_owned(), |key| key.0.expose_secret().to_owned()))
    }

    #[test]
    fn a_key_is_one_word_of_visible_characters() {
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(read(&[]), key("none"));
        assert_eq!(read(&["8e03978e-40d5"]), key("8e03978e-40d5"));
        assert_eq!(read(&["\"8e03978e-40d5\""]), key("8e03978e-40d5"));
        assert_eq!(read(&[&"k".repeat(128)]), key(&"k".repeat(128)));
        for wrong in ["", "\"\"", "two words", "tab\there", &"k".repeat(129)] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
        assert_eq!(read(&["one", "two"]), None, "two keys are none");
    }

    #[test]
    fn a_message_carries_a_hash_of_the_key_and_never_the_key() {
        let secret = AddressSecret::new("0123456789abcdef0123456789abcdef").unwrap();
        let key = IdempotencyKey("order-17".into());
        let tagged = tag(Some(&key), &secret);
        assert_eq!(tagged.len(), TAG_DIGITS);
        assert_eq!(tagged, tag(Some(&key), &secret));
        assert_ne!(tag(None, &secret), tag(None, &secret));
    }
}
