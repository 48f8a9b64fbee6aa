//! The table's stream, brought to functions as Lambda brings it: in batches, in order, from the first record that failed again.
//!
//! Read through the official SDK from either engine; both have one shard. After the Lambda developer guide, *Process DynamoDB records*.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Region};
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use serde_json::{Value, json};

use crate::aws;
use crate::queue::Consumer;
use crate::task::Task;

/// The most records of a batch, as deployed.
const BATCH: i32 = 100;
/// How long a stream without news is left alone.
const IDLE: Duration = Duration::from_millis(100);
/// How long after a failure a batch comes again.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// The stream of a table.
#[derive(Clone, Debug)]
pub struct TableStream {
    client: Client,
    table: String,
}

/// A function that follows a stream; ends when this is dropped.
#[derive(Debug)]
pub struct Following(#[expect(dead_code, reason = "it ends the task when it is dropped")] Task);

impl TableStream {
    /// The stream of `table` on the engine at `endpoint`.
    #[must_use]
    pub fn new(endpoint: &str, table: &str) -> Self {
        Self::signed(endpoint, table, aws::REGION, aws::credentials())
    }

    /// The same for a table that was made with other credentials: DynamoDB Local keeps those apart.
    #[must_use]
    pub fn signed(
        endpoint: &str,
        table: &str,
        region: &'static str,
        credentials: aws_credential_types::Credentials,
    ) -> Self {
        let config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials)
            .endpoint_url(endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        Self {
            client: Client::from_conf(config.build()),
            table: table.to_owned(),
        }
    }

    /// Brings every record to `function`, from where it stood when it was last asked for by `name` in `folder`; without a folder
    /// from the first.
    #[must_use]
    pub fn follow(&self, name: &str, folder: Option<&Path>, function: Consumer) -> Following {
        let place = folder.map(|folder| folder.join(format!("stream-{name}")));
        let stream = self.clone();
        Following(Task::spawn(async move {
            let mut after = place
                .as_ref()
                .and_then(|place| std::fs::read_to_string(place).ok());
            loop {
                if let Err(error) = stream.run(&mut after, place.as_ref(), &function).await {
                    tracing::warn!("the table's stream could not be followed: {error:#}");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }))
    }

    /// Every record that there is, as the events of one batch would hold it.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn records(&self) -> anyhow::Result<Vec<Value>> {
        let mut iterator = Some(self.iterator(None).await?);
        let mut all = Vec::new();
        while let Some(next) = iterator {
            let (records, following) = self.read(next).await?;
            if records.is_empty() {
                break;
            }
            all.extend(records.into_iter().map(wire));
            iterator = following;
        }
        Ok(all)
    }

    async fn run(
        &self,
        after: &mut Option<String>,
        place: Option<&PathBuf>,
        function: &Consumer,
    ) -> anyhow::Result<()> {
        let mut iterator = match self.iterator(after.as_deref()).await {
            Ok(iterator) => iterator,
            // A place in another table's stream, or one that the engine forgot.
            Err(_) if after.is_some() => {
                *after = None;
                self.iterator(None).await?
            }
            Err(error) => return Err(error),
        };
        loop {
            let (records, next) = self.read(iterator).await?;
            if records.is_empty() {
                tokio::time::sleep(IDLE).await;
            } else {
                let done = hand_over(records, function).await;
                if let Some(last) = done.last {
                    if let Some(place) = place {
                        std::fs::write(place, &last)
                            .with_context(|| format!("write {}", place.display()))?;
                    }
                    *after = Some(last);
                }
                if !done.all {
                    tokio::time::sleep(AGAIN_AFTER).await;
                    iterator = self.iterator(after.as_deref()).await?;
                    continue;
                }
            }
            iterator = next.context("the stream has ended")?;
        }
    }

    async fn iterator(&self, after: Option<&str>) -> anyhow::Result<String> {
        let streams = self.client.list_streams().table_name(&self.table).send();
        let streams = streams.await.context("ask for the table's stream")?;
        let arn = streams
            .streams()
            .last()
            .and_then(|stream| stream.stream_arn());
        let arn = arn.context("the table has no stream")?;
        let stream = self.client.describe_stream().stream_arn(arn).send();
        let stream = stream.await.context("ask for the stream's shard")?;
        let shard = stream
            .stream_description()
            .and_then(|stream| stream.shards().first()?.shard_id());
        let (kind, after) = match after {
            Some(after) => (
                ShardIteratorType::AfterSequenceNumber,
                Some(after.to_owned()),
            ),
            None => (ShardIteratorType::TrimHorizon, None),
        };
        let iterator = self
            .client
            .get_shard_iterator()
            .stream_arn(arn)
            .shard_id(shard.context("the stream has no shard")?)
            .shard_iterator_type(kind)
            .set_sequence_number(after)
            .send()
            .await
            .context("find the place in the stream")?;
        iterator.shard_iterator.context("there is no such place")
    }

    async fn read(&self, iterator: String) -> anyhow::Result<(Vec<Record>, Option<String>)> {
        let read = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .limit(BATCH)
            .send();
        let read = read.await.context("read the stream")?;
        Ok((read.records.unwrap_or_default(), read.next_shard_iterator))
    }
}

/// How far a batch came.
struct Done {
    /// The last record that is done.
    last: Option<String>,
    all: bool,
}

async fn hand_over(records: Vec<Record>, function: &Consumer) -> Done {
    let numbers: Vec<String> = records.iter().map(sequence_number).collect();
    let wire: Vec<Value> = records.into_iter().map(wire).collect();
    let failed = match function(json!({ "Records": wire })).await {
        Ok(answer) => answer
            .pointer("/batchItemFailures/0/itemIdentifier")
            .and_then(Value::as_str)
            .map(|failed| {
                numbers
                    .iter()
                    .position(|number| number == failed)
                    .unwrap_or(0)
            }),
        Err(error) => {
            tracing::warn!("a function that follows the table failed: {error:#}");
            Some(0)
        }
    };
    let done = failed.unwrap_or(numbers.len());
    Done {
        last: numbers.into_iter().take(done).next_back(),
        all: failed.is_none(),
    }
}

fn sequence_number(record: &Record) -> String {
    let number = record
        .dynamodb()
        .and_then(|written| written.sequence_number());
    number.unwrap_or_default().to_owned()
}

/// A record as Lambda hands it to a function.
fn wire(record: Record) -> Value {
    let sequence = sequence_number(&record);
    let written = record.dynamodb;
    let at = written
        .as_ref()
        .and_then(|written| written.approximate_creation_date_time);
    let (keys, old, new) = written.map_or((None, None, None), |written| {
        (written.keys, written.old_image, written.new_image)
    });
    let mut images = json!({
        "ApproximateCreationDateTime": at.map_or(0, |at| at.secs()),
        "Keys": image(keys),
        "SequenceNumber": sequence,
        "SizeBytes": 0,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (name, item) in [("OldImage", old), ("NewImage", new)] {
        if let (Some(images), true) = (images.as_object_mut(), item.is_some()) {
            images.insert(name.to_owned(), image(item));
        }
    }
    json!({
        "eventID": record.event_id,
        "eventName": record.event_name.map(|name| name.as_str().to_owned()),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": aws::REGION,
        "dynamodb": images,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/leadlight/stream/local",
    })
}

/// An item in `DynamoDB`'s JSON.
fn image(item: Option<HashMap<String, AttributeValue>>) -> Value {
    let item = serde_dynamo::Item::from(item.unwrap_or_default());
    serde_json::to_value(item).unwrap_or_default()
}
