//! Records of the table's stream, as Lambda hands them over (Lambda developer guide, *Process DynamoDB records*).

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::table::item::{Item, Place, Stored};
use crate::table::{TableError, read_image};

/// A write of one item.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its number in the shard.
    pub(crate) sequence: String,
    /// When it was written, rounded up to a whole second: streams round down, and nothing that was written is of the future.
    pub(crate) at: Timestamp,
    /// What the item is.
    pub(crate) place: Place,
    /// The item before.
    pub(crate) old: Image,
    /// The item after.
    pub(crate) new: Image,
}

/// An item at one time; nothing if there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image(Option<serde_dynamo::Item>);

impl Record {
    /// The item before, with its version, as far as it can be read: what mends an item must not wait for what was wrong with it.
    pub(crate) fn before<T: Item>(&self) -> Option<Stored<T>> {
        self.old.read().ok().flatten()
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Unreadable(#[from] TableError),
    #[error("write the event as JSON")]
    Unwritable(#[source] serde_json::Error),
}

impl Image {
    /// Whether there was no item.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The item, with its version.
    pub(crate) fn read<T: Item>(&self) -> Result<Option<Stored<T>>, RecordError> {
        let image = self.0.clone().map(read_image).transpose()?;
        Ok(image)
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Wire>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "eventSource")]
    source: String,
    dynamodb: Images,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    sequence_number: String,
    approximate_creation_date_time: f64,
    keys: Keys,
    #[serde(default)]
    old_image: Option<serde_dynamo::Item>,
    #[serde(default)]
    new_image: Option<serde_dynamo::Item>,
}

#[derive(Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// The records of an event; `None` if it is no event of a stream of the table.
pub(crate) fn open(event: Value) -> Option<Vec<Record>> {
    let Event { records } = serde_json::from_value(event).ok()?;
    records.into_iter().map(Wire::record).collect()
}

impl Wire {
    fn record(self) -> Option<Record> {
        let Images {
            sequence_number,
            approximate_creation_date_time,
            keys,
            old_image,
            new_image,
        } = self.dynamodb;
        let created =
            SignedDuration::try_from_secs_f64(approximate_creation_date_time.floor() + 1.0).ok()?;
        (self.source == "aws:dynamodb").then_some(())?;
        Some(Record {
            sequence: sequence_number,
            at: Timestamp::from_duration(created).ok()?,
            place: Place::of(&keys.pk.text, &keys.sk.text),
            old: Image(old_image),
            new: Image(new_image),
        })
    }
}
