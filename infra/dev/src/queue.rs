//! The queue between SNS and the feedback function, with SQS's semantics and Lambda's event source mapping.
//!
//! At least once: a message is hidden while a batch that holds it runs, deleted when the function has it, seen again when the
//! function reports it as failed, and moved to the dead letters after five receives. [`Chaos`] adds what standard queues may do
//! on a bad day: twice, late, in another order. Shapes after the Lambda developer guide, *Using Lambda with Amazon SQS*.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::ledger::Ledger;
use crate::task::Task;

/// How long a poller sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// Takes a batch, as a Lambda event, and answers as the function does.
pub type Consumer = Arc<dyn Fn(Value) -> BoxFuture<'static, anyhow::Result<Value>> + Send + Sync>;

/// How the queue and its event source mapping are set.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// Messages in a batch, at most.
    pub batch_size: u16,
    /// Batches that run at the same time, at most.
    pub concurrency: u8,
    /// How long a received message stays hidden while the batch that holds it runs; AWS advises six times what the function may
    /// take, since a message that shows again meanwhile is received once more for nothing.
    pub visibility_timeout: Duration,
    /// How much later what the function reported as failed comes again.
    pub redelivery_delay: Duration,
    /// Receives after which a message is dead.
    pub max_receives: u32,
    /// Misbehaviour, if wanted.
    pub chaos: Option<Chaos>,
}

/// Delivers every message twice, each up to `most_delay` late and therefore in another order.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// Of the random numbers: the same seed gives the same delays.
    pub seed: u64,
    /// The longest delay.
    pub most_delay: Duration,
}

impl Default for QueueSettings {
    /// As the deployed queue, but for a short redelivery delay, so that a redelivery can be watched.
    fn default() -> Self {
        Self {
            batch_size: 100,
            concurrency: 4,
            visibility_timeout: Duration::from_secs(61),
            redelivery_delay: Duration::from_secs(5),
            max_receives: 5,
            chaos: None,
        }
    }
}

/// The queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    ledger: Ledger,
    settings: Arc<QueueSettings>,
    chaos: Option<Arc<Mutex<StdRng>>>,
    changed: Arc<Notify>,
}

/// The polling of a queue on behalf of a function; it ends when this is dropped.
#[derive(Debug)]
pub struct Polling(#[expect(dead_code, reason = "held for its drop")] Vec<Task>);

/// A message that was received too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// SQS's id of the message.
    pub message_id: String,
    /// The message.
    pub body: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was given up.
    pub given_up_at: Timestamp,
}

struct Received {
    id: i64,
    message_id: String,
    body: String,
    sent_ms: i64,
    receives: u32,
    first_receive_ms: i64,
}

impl Queue {
    /// The queue that `ledger` remembers. Messages that were in flight when it was last used are visible again.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn open(ledger: Ledger, settings: QueueSettings) -> anyhow::Result<Self> {
        let now = now_ms();
        ledger.transact(|connection| {
            connection.execute(
                "UPDATE queued SET visible_ms = ?1 WHERE receives > 0 AND visible_ms > ?1",
                [now],
            )
        })?;
        let chaos = settings
            .chaos
            .map(|chaos| Arc::new(Mutex::new(StdRng::seed_from_u64(chaos.seed))));
        Ok(Self {
            ledger,
            settings: Arc::new(settings),
            chaos,
            changed: Arc::default(),
        })
    }

    /// Adds a message. It is in the ledger when this returns.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn send(&self, body: &str) -> anyhow::Result<()> {
        let now = Timestamp::now();
        self.ledger
            .transact(|connection| self.insert(connection, body, now))?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Adds a message that is due at `due`, as part of a transaction. [`Queue::wake`] has to follow it.
    pub(crate) fn insert(
        &self,
        connection: &Connection,
        body: &str,
        due: Timestamp,
    ) -> rusqlite::Result<()> {
        for delay_ms in self.delays_ms() {
            connection.execute(
                "INSERT INTO queued (message_id, body, sent_ms, visible_ms) VALUES (?1, ?2, ?3, ?4)",
                params![
                    uuid::Uuid::new_v4().to_string(),
                    body,
                    due.as_millisecond(),
                    due.as_millisecond().saturating_add(delay_ms)
                ],
            )?;
        }
        Ok(())
    }

    /// Lets the pollers see what was inserted.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// One delay for each copy of a message.
    fn delays_ms(&self) -> Vec<i64> {
        let (Some(random), Some(chaos)) = (&self.chaos, &self.settings.chaos) else {
            return vec![0];
        };
        let most_ms = i64::try_from(chaos.most_delay.as_millis()).unwrap_or(i64::MAX);
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        (0..2).map(|_| random.random_range(0..=most_ms)).collect()
    }

    /// How many messages wait or are in flight.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn depth(&self) -> anyhow::Result<u64> {
        self.ledger.transact(|connection| {
            connection.query_row("SELECT count(*) FROM queued", [], |row| row.get(0))
        })
    }

    /// Waits until every message was either taken by the function or given up.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn drained(&self) -> anyhow::Result<()> {
        while self.depth()? > 0 {
            // A wake-up between the count and this line is caught by the time-out.
            let _ = tokio::time::timeout(Duration::from_millis(50), self.changed.notified()).await;
        }
        Ok(())
    }

    /// The messages that were given up, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        self.ledger.transact(|connection| {
            let mut rows = connection
                .prepare("SELECT message_id, body, sent_ms, dead_ms FROM dead ORDER BY id")?;
            let letters = rows.query_map([], |row| {
                Ok(DeadLetter {
                    message_id: row.get(0)?,
                    body: row.get(1)?,
                    sent_at: timestamp(row.get(2)?),
                    given_up_at: timestamp(row.get(3)?),
                })
            })?;
            letters.collect()
        })
    }

    /// Feeds the function from the queue until the answer is dropped.
    #[must_use]
    pub fn poll(&self, consumer: &Consumer) -> Polling {
        let poller = |_| {
            let (queue, consumer) = (self.clone(), Arc::clone(consumer));
            Task::spawn(async move { queue.feed(&consumer).await })
        };
        Polling((0..self.settings.concurrency.max(1)).map(poller).collect())
    }

    async fn feed(&self, consumer: &Consumer) {
        loop {
            let changed = self.changed.notified();
            match self.receive() {
                Ok(batch) if batch.is_empty() => {
                    let wait = self.next_due().unwrap_or(IDLE);
                    let _ = tokio::time::timeout(wait, changed).await;
                }
                Ok(batch) => self.hand_over(batch, consumer).await,
                Err(error) => {
                    tracing::error!("the queue cannot be read: {error:#}");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }

    /// Hides the messages that are due and takes them; those received too often go to the dead letters.
    fn receive(&self) -> anyhow::Result<Vec<Received>> {
        let now = now_ms();
        let hidden_until = now.saturating_add(millis(self.settings.visibility_timeout));
        let dead = self
            .ledger
            .transact(|connection| self.bury(connection, now))?;
        if dead > 0 {
            tracing::error!(
                messages = dead,
                "messages went to the dead-letter queue: GET /local/dead-letters shows them"
            );
            self.changed.notify_waiters();
        }
        self.ledger.transact(|connection| {
            let mut take = connection.prepare_cached(
                "UPDATE queued SET visible_ms = ?2, receives = receives + 1, first_receive_ms = coalesce(first_receive_ms, ?1)
                 WHERE id IN (SELECT id FROM queued WHERE visible_ms <= ?1 ORDER BY visible_ms, id LIMIT ?3)
                 RETURNING id, message_id, body, sent_ms, receives, first_receive_ms",
            )?;
            let rows = take.query_map(params![now, hidden_until, self.settings.batch_size], |row| {
                Ok(Received {
                    id: row.get(0)?,
                    message_id: row.get(1)?,
                    body: row.get(2)?,
                    sent_ms: row.get(3)?,
                    receives: row.get(4)?,
                    first_receive_ms: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    fn bury(&self, connection: &Connection, now: i64) -> rusqlite::Result<usize> {
        let due = params![now, self.settings.max_receives];
        connection.execute(
            "INSERT INTO dead (message_id, body, sent_ms, dead_ms)
             SELECT message_id, body, sent_ms, ?1 FROM queued WHERE visible_ms <= ?1 AND receives >= ?2",
            due,
        )?;
        connection.execute(
            "DELETE FROM queued WHERE visible_ms <= ?1 AND receives >= ?2",
            due,
        )
    }

    fn next_due(&self) -> Option<Duration> {
        let next = self.ledger.transact(|connection| {
            connection
                .query_row("SELECT min(visible_ms) FROM queued", [], |row| {
                    row.get::<_, Option<i64>>(0)
                })
                .optional()
        });
        let wait_ms = next.ok()??? - now_ms();
        Some(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0).max(1)).min(IDLE))
    }

    async fn hand_over(&self, batch: Vec<Received>, consumer: &Consumer) {
        let records: Vec<Value> = batch.iter().map(Received::record).collect();
        let failed = match consumer(json!({ "Records": records })).await {
            Ok(answer) => Failed::read(&answer),
            Err(error) => {
                tracing::warn!("the feedback function failed: {error:#}");
                Failed::All
            }
        };
        let again_ms = now_ms().saturating_add(millis(self.settings.redelivery_delay));
        let settled = self.ledger.transact(|connection| {
            let mut delete = connection.prepare_cached("DELETE FROM queued WHERE id = ?1")?;
            let mut show =
                connection.prepare_cached("UPDATE queued SET visible_ms = ?2 WHERE id = ?1")?;
            batch.iter().try_for_each(|message| {
                if failed.includes(&message.message_id) {
                    show.execute([message.id, again_ms]).map(drop)
                } else {
                    delete.execute([message.id]).map(drop)
                }
            })
        });
        if let Err(error) = settled {
            // They will be delivered again, which the function has to bear anyway.
            tracing::error!("messages that were taken cannot be deleted: {error:#}");
        }
        self.changed.notify_waiters();
    }
}

impl Received {
    fn record(&self) -> Value {
        let receives = self.receives;
        record(
            &self.message_id,
            &self.body,
            self.sent_ms,
            receives,
            self.first_receive_ms,
        )
    }
}

/// A message as Lambda hands it to a function.
#[must_use]
pub fn sqs_record(body: &str, now: Timestamp) -> Value {
    let now_ms = now.as_millisecond();
    record(&uuid::Uuid::new_v4().to_string(), body, now_ms, 1, now_ms)
}

fn record(
    message_id: &str,
    body: &str,
    sent_ms: i64,
    receives: u32,
    first_receive_ms: i64,
) -> Value {
    json!({
        "messageId": message_id,
        "receiptHandle": format!("{message_id}#{receives}"),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": receives.to_string(),
            "SentTimestamp": sent_ms.to_string(),
            "SenderId": "AIDAIT2UOQQY3AUEKVGXU",
            "ApproximateFirstReceiveTimestamp": first_receive_ms.to_string(),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:leadlight-feedback",
        "awsRegion": "us-east-1",
    })
}

/// Which records of a batch come again.
enum Failed {
    All,
    These(Vec<String>),
}

impl Failed {
    /// A partial batch response. Lambda takes one that it cannot read for a success if it is empty or null, else for a failure of
    /// the whole batch (Lambda developer guide, *Implementing partial batch responses*).
    fn read(answer: &Value) -> Self {
        let Some(failures) = answer
            .get("batchItemFailures")
            .filter(|failures| !failures.is_null())
        else {
            return Self::These(Vec::new());
        };
        let id = |failure: &Value| {
            failure
                .get("itemIdentifier")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let ids: Option<Vec<String>> = failures
            .as_array()
            .and_then(|failures| failures.iter().map(id).collect());
        ids.filter(|ids| ids.iter().all(|id| !id.is_empty()))
            .map_or(Self::All, Self::These)
    }

    fn includes(&self, message_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.iter().any(|id| id == message_id),
        }
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(settings: QueueSettings) -> Queue {
        Queue::open(Ledger::memory().unwrap(), settings).unwrap()
    }

    /// Fails every record whose body is in `poison`; notes what it got.
    fn consumer(poison: &'static str, seen: &Arc<Mutex<Vec<String>>>) -> Consumer {
        let seen = Arc::clone(seen);
        Arc::new(move |event| {
            let mut failures = Vec::new();
            for record in event["Records"].as_array().unwrap() {
                let body = record["body"].as_str().unwrap();
                seen.lock().unwrap().push(body.to_owned());
                if body == poison {
                    failures.push(json!({ "itemIdentifier": record["messageId"] }));
                }
            }
            Box::pin(async move { Ok(json!({ "batchItemFailures": failures })) })
        })
    }

    #[tokio::test]
    async fn a_failed_record_comes_five_times_and_is_kept_while_the_others_are_done() {
        let queue = queue(QueueSettings {
            redelivery_delay: Duration::from_millis(10),
            ..QueueSettings::default()
        });
        let seen = Arc::default();
        queue.send("good").unwrap();
        queue.send("bad").unwrap();
        let polling = queue.poll(&consumer("bad", &seen));
        queue.drained().await.unwrap();
        drop(polling);
        let count = |text: &str| {
            seen.lock()
                .unwrap()
                .iter()
                .filter(|body| *body == text)
                .count()
        };
        assert_eq!((count("good"), count("bad")), (1, 5));
        let dead: Vec<String> = queue
            .dead_letters()
            .unwrap()
            .into_iter()
            .map(|letter| letter.body)
            .collect();
        assert_eq!(dead, ["bad"]);
    }

    #[tokio::test]
    async fn chaos_delivers_everything_twice() {
        let chaos = Chaos {
            seed: 1,
            most_delay: Duration::from_millis(30),
        };
        let queue = queue(QueueSettings {
            batch_size: 1,
            chaos: Some(chaos),
            ..QueueSettings::default()
        });
        let bodies: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        for body in &bodies {
            queue.send(body).unwrap();
        }
        let seen = Arc::default();
        let _polling = queue.poll(&consumer("", &seen));
        queue.drained().await.unwrap();
        let mut seen = seen.lock().unwrap().clone();
        let in_order: Vec<String> = bodies
            .iter()
            .flat_map(|body| [body.clone(), body.clone()])
            .collect();
        assert_ne!(seen, in_order);
        seen.sort_by_key(|body| body.parse::<u8>().unwrap());
        assert_eq!(seen, in_order);
    }

    #[tokio::test]
    async fn what_was_queued_or_in_flight_survives_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger");
        let queue = Queue::open(Ledger::file(&file).unwrap(), QueueSettings::default()).unwrap();
        queue.send("first").unwrap();
        assert_eq!(queue.receive().unwrap().len(), 1);
        queue.send("second").unwrap();
        let reopened = Queue::open(Ledger::file(&file).unwrap(), QueueSettings::default()).unwrap();
        assert_eq!(reopened.receive().unwrap().len(), 2);
    }

    #[test]
    fn a_response_is_read_as_lambda_reads_it() {
        let all = |answer: Value| matches!(Failed::read(&answer), Failed::All);
        assert!(!all(Value::Null));
        assert!(!all(json!({ "batchItemFailures": null })));
        assert!(!all(json!({ "batchItemFailures": [] })));
        assert!(all(
            json!({ "batchItemFailures": [{ "itemIdentifier": "" }] })
        ));
        assert!(all(
            json!({ "batchItemFailures": [{ "itemIdentifer": "typo" }] })
        ));
    }
}
