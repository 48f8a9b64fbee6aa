//! The items of the table: their keys, and how records become attribute values and records again.
//!
//! Keys and application logs hold no address, only its keyed hash. Evidence and leads are stored as the domain's own types,
//! in native attributes; `version` counts the writes of an item and is what conditional writes compare.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::civil::Date;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::api::{Blocked, DisabledBecause};
use leadlight::change::Told;
use leadlight::evidence::{AddressRecord, Piece};
use leadlight::lead::{Lead, LeadId};
use leadlight::policy::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use sha2::Sha256;

use super::TableError;
use crate::insights::Opinion;

/// The partition key's attribute.
pub const PK: &str = "pk";
/// The sort key's attribute.
pub const SK: &str = "sk";
/// The attribute that counts an item's writes.
pub(super) const VERSION: &str = "version";
/// The attribute whose time (seconds since 1970) deletes an item.
pub const EXPIRES_AT: &str = "expires_at";

const LINK: &str = "lead#";
/// The partition of what is to be verified again.
const DUE: &str = "due#verification";
/// The partition of what is to be delivered.
const DUE_DELIVERY: &str = "due#delivery";
/// The sort key of what was told of a lead.
const TOLD: &str = "told";
/// What the sort keys of a day's counts of messages begin with.
const MAIL_COUNT: &str = "count#mail#";
/// Days that a day's counts of messages are kept: a year, and a month to compare it with.
const MAIL_COUNTS_KEPT_DAYS: i64 = 396;
/// Seconds that something due is kept should nobody see to it: a deployment without the function that does must not fill up.
const DUE_KEPT_S: i64 = 7 * 86_400;
/// Seconds that a day's counter outlives its day: long enough to be looked at, `DynamoDB` deletes late anyway.
const COUNTER_KEPT_S: i64 = 7 * 86_400;

/// Seconds that a minute's count of requests is kept from its begin: nobody asks for it any more after the minute.
const REQUEST_COUNT_KEPT_S: i64 = 3_600;

/// The attributes of an item, as the SDK has them.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// Counts the writes of an item, from 1.
pub type Version = u64;

/// Something that is stored as one item.
pub trait Item: Serialize + DeserializeOwned {}

impl Item for AddressRecord {}
impl Item for Lead {}
impl Item for Account {}
impl Item for Identity {}
impl Item for SendAttempt {}
impl Item for DueVerification {}
impl Item for DueDelivery {}
impl Item for Piece {}
impl Item for Told {}
impl Item for Webhook {}
impl Item for KeptOpinion {}

/// An account, as operators write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How it reads its evidence.
    #[serde(default)]
    pub policy: Policy,
    /// Its public keys by key id (`kid`); whoever holds a private one may mint tokens for the account.
    #[serde(default)]
    pub keys: BTreeMap<String, PublicKey>,
    /// The origins of the pages that may use its tokens, such as `https://crm.example.com`, letter for letter as browsers send them.
    /// Without the list, all that the deployment lets in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origins: Option<BTreeSet<String>>,
    /// The SES tenant by which its mail is sent, if it has one. Such a tenant has a suppression list of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ses_tenant: Option<String>,
}

/// A public key that checks access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The one algorithm that tokens under this key are signed with, whatever their header says.
    pub algorithm: Algorithm,
    /// The key: PEM (SPKI), or a JWK as JSON text.
    pub key: String,
}

/// The signature algorithms of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// `EdDSA` on Curve25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// To whom a sending identity, configuration set or SES tenant belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
}

/// A send under an `Idempotency-Key`: that it was begun, and what came of it. Holds no address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAttempt {
    /// The keyed hash of what was asked.
    pub fingerprint: String,
    /// Drawn by whoever began it, who knows it again by this.
    pub begun_by: String,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: SendOutcome,
    /// The second (since 1970) from which it means nothing any more; `DynamoDB` deletes it some time later.
    pub expires_at: i64,
}

/// What came of a [`SendAttempt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SendOutcome {
    /// Nothing is known yet. SES may have the message.
    Begun,
    /// SES has the message.
    Sent {
        /// SES's id of it.
        message_id: String,
        /// Who was left out.
        skipped: Vec<SkippedRecipient>,
    },
    /// SES did not say whether it has the message, and will not say any more.
    Unknown,
    /// SES does not have the message: as if nothing had been begun.
    Withdrawn,
}

/// A recipient that was left out of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRecipient {
    /// Where it stands among the message's recipients.
    pub positions: Vec<usize>,
    /// Why.
    pub blocked: Blocked,
}

/// That the address of a lead is to be verified at some time, since nothing could be found out when it was saved. Holds no
/// address: the one that the lead has by then is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueVerification {
    /// The account.
    pub account: AccountId,
    /// The lead.
    pub lead: LeadId,
    /// When it was saved. A verification that is no older makes this one needless.
    pub since: Timestamp,
    /// When it is to be verified, in whole seconds.
    pub due_at: Timestamp,
    /// The second (since 1970) from which nobody needs it any more; `DynamoDB` deletes it some time later.
    pub expires_at: i64,
}

impl DueVerification {
    /// The lead was saved at `since`, and is to be verified at the whole second of `due_at`.
    #[must_use]
    pub fn new(account: AccountId, lead: LeadId, since: Timestamp, due_at: Timestamp) -> Self {
        let second = due_at.as_second();
        Self {
            account,
            lead,
            since,
            due_at: Timestamp::from_second(second).unwrap_or(due_at),
            expires_at: second.saturating_add(DUE_KEPT_S),
        }
    }
}

/// What SES said of a mailbox, kept so that it is not paid for twice. Holds no address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptOpinion {
    /// What it said.
    pub opinion: Opinion,
    /// The second (since 1970) from which it is too old; `DynamoDB` deletes it some time later.
    pub expires_at: i64,
}

/// Where an account has changes of status told to it, and how that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The receiver.
    pub url: String,
    /// What deliveries are signed with, the newest first.
    pub secrets: Vec<WebhookSecret>,
    /// When the account changed it last.
    pub changed_at: Timestamp,
    /// Since when, and why, nothing is delivered any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled: Option<Disabled>,
    /// Since when no delivery succeeded, while they fail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failing_since: Option<Timestamp>,
    /// How the last delivery that failed in a new way failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_failure: Option<DeliveryFailure>,
}

/// That a webhook is not used any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub because: DisabledBecause,
}

/// How a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFailure {
    /// When.
    pub at: Timestamp,
    /// How.
    pub what: String,
}

/// What deliveries are signed with (Standard Webhooks).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// `whsec_` and the key in Base64. The table holds it as it is: deliveries are signed with it.
    #[serde(serialize_with = "as_it_is")]
    pub secret: SecretString,
    /// Until when it still signs, once there is a newer one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret() && self.until == other.until
    }
}

impl Eq for WebhookSecret {}

fn as_it_is<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// That an event is to be delivered to the webhook of an account at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueDelivery {
    /// The account.
    pub account: AccountId,
    /// The event's id, the same for all its copies.
    pub id: String,
    /// What is sent.
    pub body: String,
    /// When the status changed. Everything about when it is tried again follows from this.
    pub since: Timestamp,
    /// When it is to be tried, in whole seconds.
    pub due_at: Timestamp,
    /// The second (since 1970) from which nobody needs it any more; `DynamoDB` deletes it some time later.
    pub expires_at: i64,
}

impl DueDelivery {
    /// The same, to be tried at the whole second of `due_at`.
    #[must_use]
    pub fn at(self, due_at: Timestamp) -> Self {
        let second = due_at.as_second();
        Self {
            due_at: Timestamp::from_second(second).unwrap_or(due_at),
            expires_at: second.saturating_add(DUE_KEPT_S),
            ..self
        }
    }
}

/// What an item of the table is, by its key, as far as changes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The evidence of an address.
    Evidence(AccountId, AddressKey),
    /// A lead.
    Lead(AccountId),
    /// What was told of a lead.
    Told(AccountId),
    /// A delivery.
    Delivery,
    /// Anything else.
    Elsewhere,
}

impl Place {
    pub(crate) fn of(pk: &str, sk: &str) -> Self {
        if pk == DUE_DELIVERY {
            return Self::Delivery;
        }
        let mut parts = pk.splitn(3, '#');
        let (account, kind, rest) = (parts.next(), parts.next(), parts.next());
        let Some(account) = account.and_then(|account| AccountId::parse(account).ok()) else {
            return Self::Elsewhere;
        };
        match (kind, rest, sk) {
            (Some("address"), Some(key), "evidence") => {
                Self::Evidence(account, AddressKey::new(key.to_owned()))
            }
            (Some("lead"), Some(_), "lead") => Self::Lead(account),
            (Some("lead"), Some(_), TOLD) => Self::Told(account),
            _elsewhere => Self::Elsewhere,
        }
    }
}

/// That a lead has or had an address; all it says is in its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {}

/// The key of an item, and of what kind that item is.
pub struct Key<T> {
    pk: String,
    sk: String,
    kind: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self {
            pk,
            sk: sk.into(),
            kind: PhantomData,
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        attributes(&self.pk, &self.sk)
    }

    /// The key that an item of the table carries.
    pub(super) fn read(row: &Attributes) -> Result<Self, TableError> {
        let text = |name| row.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (pk, sk) = text(PK).zip(text(SK)).ok_or_else(|| unreadable(row))?;
        Ok(Self::new(pk, sk))
    }
}

impl Key<AddressRecord> {
    /// The evidence of an address.
    #[must_use]
    pub fn evidence(account: &AccountId, address: &AddressKey) -> Self {
        Self::new(address_partition(account, address), "evidence")
    }
}

impl Key<Link> {
    /// That `lead` has or had an address.
    #[must_use]
    pub fn link(account: &AccountId, address: &AddressKey, lead: &LeadId) -> Self {
        Self::new(
            address_partition(account, address),
            [LINK, lead.as_str()].concat(),
        )
    }
}

impl Key<Lead> {
    /// A lead.
    #[must_use]
    pub fn lead(account: &AccountId, lead: &LeadId) -> Self {
        Self::new(format!("{account}#lead#{lead}"), "lead")
    }
}

impl Key<Account> {
    /// An account.
    #[must_use]
    pub fn account(account: &AccountId) -> Self {
        Self::new(account.to_string(), "account")
    }
}

impl Key<SendAttempt> {
    /// The send under an `Idempotency-Key`, which goes by its keyed hash.
    #[must_use]
    pub fn send_attempt(account: &AccountId, key: &str) -> Self {
        Self::new(format!("{account}#request#{key}"), "answer")
    }
}

impl Key<DueVerification> {
    /// Something that is to be verified. Keys are in the order of their times.
    #[must_use]
    pub fn due(due: &DueVerification) -> Self {
        let DueVerification { account, lead, .. } = due;
        Self::new(DUE.to_owned(), format!("{}#{account}#{lead}", due.due_at))
    }
}

impl Key<Piece> {
    /// A piece of evidence about an address, kept for ever.
    #[must_use]
    pub fn archived(account: &AccountId, address: &AddressKey, piece: &Piece) -> Self {
        Self::new(
            address_partition(account, address),
            format!("log#{}#{}", piece.at, piece.id.as_str()),
        )
    }
}

impl Key<Told> {
    /// What was told of a lead.
    #[must_use]
    pub fn told(account: &AccountId, lead: &LeadId) -> Self {
        Self::new(format!("{account}#lead#{lead}"), TOLD)
    }
}

impl Key<Webhook> {
    /// The webhook of an account.
    #[must_use]
    pub fn webhook(account: &AccountId) -> Self {
        Self::new(format!("{account}#webhook"), "webhook")
    }
}

impl Key<DueDelivery> {
    /// Something that is to be delivered. Keys are in the order of their times.
    #[must_use]
    pub fn due_delivery(due: &DueDelivery) -> Self {
        let DueDelivery { account, id, .. } = due;
        Self::new(
            DUE_DELIVERY.to_owned(),
            format!("{}#{account}#{id}", due.due_at),
        )
    }
}

impl Key<KeptOpinion> {
    /// What SES said of the mailbox of an address.
    #[must_use]
    pub fn opinion(account: &AccountId, address: &AddressKey) -> Self {
        Self::new(address_partition(account, address), "mailbox")
    }
}

impl Key<Identity> {
    /// A sending identity, configuration set or SES tenant. Letter case makes no difference.
    #[must_use]
    pub fn identity(name: &str) -> Self {
        Self::new(format!("identity#{}", name.to_lowercase()), "account")
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::new(self.pk.clone(), self.sk.clone())
    }
}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.pk == other.pk && self.sk == other.sk
    }
}

impl<T> Eq for Key<T> {}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.pk, &self.sk).hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

/// An item as it stood in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// The record.
    pub item: T,
    /// Its version when it was read.
    pub version: Version,
}

impl<T: Item> Stored<T> {
    pub(super) fn read(row: Attributes) -> Result<Self, TableError> {
        let unreadable = unreadable(&row);
        let version = row
            .get(VERSION)
            .map_or(Some(0), |value| value.as_n().ok()?.parse().ok());
        let (Some(version), Ok(item)) = (version, serde_dynamo::from_item(row)) else {
            return Err(unreadable);
        };
        Ok(Self { item, version })
    }
}

pub(super) fn unreadable(row: &Attributes) -> TableError {
    let text = |name| {
        row.get(name)
            .and_then(|value| value.as_s().ok())
            .map_or("", String::as_str)
    };
    TableError::Unreadable {
        key: [text(PK), " ", text(SK)].concat(),
    }
}

impl<T> Stored<T> {
    /// The item as it stands after `item` was written over version `read`.
    pub(crate) fn written(item: T, read: Option<Version>) -> Self {
        Self {
            item,
            version: next(read),
        }
    }
}

fn next(read: Option<Version>) -> Version {
    read.unwrap_or_default().saturating_add(1)
}

/// The attributes of `item`, of which version `read` was read before.
pub(super) fn row<T: Item>(
    key: &Key<T>,
    item: &T,
    read: Option<Version>,
) -> Result<Attributes, TableError> {
    let mut row: Attributes = serde_dynamo::to_item(item).map_err(TableError::Unwritable)?;
    row.extend(key.attributes());
    row.insert(
        VERSION.to_owned(),
        AttributeValue::N(next(read).to_string()),
    );
    Ok(row)
}

pub(super) fn attributes(pk: &str, sk: &str) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

/// The partition that holds the links of an address, and what their sort keys begin with.
pub(super) fn links(account: &AccountId, address: &AddressKey) -> (String, &'static str) {
    (address_partition(account, address), LINK)
}

/// The lead that a link names.
pub(super) fn linked_lead(row: &Attributes, prefix: &str) -> Result<LeadId, TableError> {
    let key = Key::<Link>::read(row)?;
    let id = key.sk.strip_prefix(prefix).unwrap_or_default();
    LeadId::parse(id).map_err(|_| unreadable(row))
}

/// The partition of what is due, and what the sort keys of all that was due up to the second of `now` are smaller than.
pub(super) fn due_until(now: Timestamp) -> (&'static str, String) {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    // The next character after the one that follows the time in a key.
    (DUE, format!("{second}$"))
}

/// The same for what was to be delivered.
pub(super) fn due_deliveries_until(now: Timestamp) -> (&'static str, String) {
    (DUE_DELIVERY, due_until(now).1)
}

/// The partition of a day's counts, and what the sort keys of those of messages begin with.
pub(super) fn mail_counts(account: &AccountId, day: Date) -> (String, &'static str) {
    (format!("{account}#day#{day}"), MAIL_COUNT)
}

/// The key of a share of the counts of messages that `sender` sent, by what became of them on `day`, and when it may go.
pub(super) fn mail_count(
    account: &AccountId,
    day: Date,
    sender: &str,
    share: u8,
) -> (Attributes, i64) {
    let (pk, prefix) = mail_counts(account, day);
    let midnight = day
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(0, |day| day.timestamp().as_second());
    let key = attributes(&pk, &format!("{prefix}{share}#{sender}"));
    (key, midnight.saturating_add(MAIL_COUNTS_KEPT_DAYS * 86_400))
}

/// The key of the count of the requests of an account, or of the token with this hash, in the minute that begins at `minute`, and
/// when that count may go.
pub(super) fn request_count(
    account: &AccountId,
    minute: i64,
    token: Option<&str>,
) -> (Attributes, i64) {
    let pk = format!("{account}#limit#{minute}");
    let sk = token.map_or_else(|| "account".to_owned(), |hash| ["token#", hash].concat());
    (
        attributes(&pk, &sk),
        minute.saturating_add(REQUEST_COUNT_KEPT_S),
    )
}

/// What an account may do so many times a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Presses of Check again.
    Rechecks,
    /// Questions to SES whether a mailbox exists.
    MailboxChecks,
}

impl Limited {
    fn word(self) -> &'static str {
        match self {
            Self::Rechecks => "rechecks",
            Self::MailboxChecks => "mailbox-checks",
        }
    }
}

/// The key of the count of what an account did on a day, and when that count may go.
pub(super) fn day_count(account: &AccountId, day: Date, what: Limited) -> (Attributes, i64) {
    let key = attributes(
        &format!("{account}#day#{day}"),
        &["count#", what.word()].concat(),
    );
    let midnight = day
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(0, |day| day.timestamp().as_second());
    (key, midnight.saturating_add(COUNTER_KEPT_S))
}

fn address_partition(account: &AccountId, address: &AddressKey) -> String {
    format!("{account}#address#{address}")
}

/// The deployment's secret under which addresses become keys. Without it nobody can tell from a key whose address it is.
#[derive(Clone)]
pub struct AddressSecret(Hmac<Sha256>);

/// Why a text is no secret for address keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret for address keys has {octets} octets, fewer than {}",
    AddressSecret::MIN_OCTETS
)]
pub struct ShortSecret {
    octets: usize,
}

impl AddressSecret {
    /// The fewest octets of a secret: as many as SHA-256 gives (RFC 2104 section 3).
    pub const MIN_OCTETS: usize = 32;

    /// Takes a secret.
    ///
    /// # Errors
    /// When it is shorter than [`AddressSecret::MIN_OCTETS`].
    pub fn new(secret: &str) -> Result<Self, ShortSecret> {
        let octets = secret.len();
        let long_enough = Some(secret).filter(|_| octets >= Self::MIN_OCTETS);
        long_enough
            .and_then(|secret| Hmac::new_from_slice(secret.as_bytes()).ok())
            .map(Self)
            .ok_or(ShortSecret { octets })
    }

    /// The key under which evidence of `address` is kept.
    #[must_use]
    pub fn key_of(&self, address: &Address) -> AddressKey {
        AddressKey::new(self.hash_of(address.key_form().as_bytes()))
    }

    /// The keyed hash of anything else that must not stand in the table as it is, in hexadecimal. `what` keeps hashes of
    /// different things apart: no address holds a NUL.
    #[must_use]
    pub(crate) fn fingerprint(&self, what: &str, octets: &[u8]) -> String {
        self.hash_of(&[what.as_bytes(), b"\0", octets].concat())
    }

    fn hash_of(&self, octets: &[u8]) -> String {
        let mut hmac = self.0.clone();
        hmac.update(octets);
        let octets = hmac.finalize().into_bytes();
        let hex = |octet: &u8| {
            [octet >> 4, octet & 15].map(|digit| char::from_digit(u32::from(digit), 16))
        };
        octets.iter().flat_map(hex).flatten().collect()
    }
}

impl fmt::Debug for AddressSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Debug;

    use leadlight::assessment::{Reason, Resolution};
    use leadlight::change::{Change, SeenEvidence, SeenLead, ToldStatus};
    use leadlight::evidence::{
        Attribution, Authority, BounceCause, Evidence, EvidenceId, Fact, Message, Note, Piece,
        Report, SuppressionList,
    };
    use leadlight::gate::{Ground, Objection};
    use leadlight::lead::{
        FormerAddress, HistoryEntry, Hold, LeadEvent, Standing, StickyComplaint,
    };
    use leadlight::verification::{Flag, UndeliverableCause, Verdict};
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[track_caller]
    fn check_round_trip<T: Item + PartialEq + Debug>(
        key: &Key<T>,
        item: &T,
        read: Option<Version>,
    ) {
        let row = row(key, item, read).unwrap();
        assert_eq!(Key::read(&row).unwrap(), *key);
        let stored = Stored::<T>::read(row).unwrap();
        assert_eq!(stored.item, *item);
        assert_eq!(stored.version, read.unwrap_or(0) + 1);
    }

    fn account() -> AccountId {
        AccountId::parse("acme").unwrap()
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        (0..4_000_000_000_i64, 0..1_000_000_000_i32)
            .prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap())
    }

    fn text() -> impl Strategy<Value = String> {
        any::<String>()
    }

    fn lead_id() -> impl Strategy<Value = LeadId> {
        "[A-Za-z0-9_.:~-]{1,128}".prop_filter_map("dots alone", |id| LeadId::parse(&id).ok())
    }

    fn address() -> impl Strategy<Value = Address> {
        "[A-Za-zäöü0-9+]{1,20}@[a-z]{1,20}\\.example"
            .prop_map(|text| Address::parse(&text).unwrap())
    }

    fn evidence_id() -> impl Strategy<Value = EvidenceId> {
        (time(), "[a-z0-9-]{0,40}").prop_map(|(at, source)| {
            let fact = Fact::Subscription { unsubscribed: true };
            Piece::new(fact, &source, &AddressKey::new("00ff".to_owned()), at, at).id
        })
    }

    fn report() -> impl Strategy<Value = Report> {
        let message =
            (text(), time(), option::of(text())).prop_map(|(id, sent_at, sender)| Message {
                id,
                sent_at,
                sender,
            });
        (
            option::of(message),
            text(),
            option::of(text()),
            option::of(text()),
        )
            .prop_map(|(message, classification, status, diagnostic)| Report {
                message,
                classification,
                status,
                diagnostic,
            })
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Deliverable),
            btree_set(select(Flag::ALL), 1..3).prop_map(|flags| Verdict::Risky { flags }),
            select(UndeliverableCause::ALL).prop_map(|cause| Verdict::Undeliverable { cause }),
            text().prop_map(|list| Verdict::KnownSpammer { list }),
        ]
    }

    fn fact() -> impl Strategy<Value = Fact> {
        let authority = prop_oneof![
            Just(Authority::Recheck),
            (text(), any::<bool>()).prop_map(|(actor, with_consent)| Authority::Support {
                actor,
                with_consent
            }),
        ];
        let message = (text(), time(), option::of(text()))
            .prop_map(|(id, sent_at, sender)| Message {
                id,
                sent_at,
                sender,
            })
            .boxed();
        prop_oneof![
            (select(Attribution::ALL), report()).prop_map(|(attribution, report)| {
                Fact::Complaint {
                    attribution,
                    report,
                }
            }),
            text().prop_map(|actor| Fact::ManualBlock { actor }),
            (select(BounceCause::ALL), report())
                .prop_map(|(cause, report)| Fact::HardBounce { cause, report }),
            report().prop_map(|report| Fact::SoftBounce { report }),
            (select(SuppressionList::ALL), report())
                .prop_map(|(list, report)| Fact::Withheld { list, report }),
            verdict().prop_map(|verdict| Fact::Verification { verdict }),
            (lead_id(), authority).prop_map(|(lead, authority)| Fact::Release { lead, authority }),
            message.clone().prop_map(|message| Fact::Sent { message }),
            message.prop_map(|message| Fact::Delivery { message }),
            any::<bool>().prop_map(|unsubscribed| Fact::Subscription { unsubscribed }),
            (select(Note::ALL), report()).prop_map(|(note, report)| Fact::Note { note, report }),
        ]
    }

    fn piece() -> impl Strategy<Value = Piece> {
        (fact(), "[a-z0-9-]{1,40}", time(), time(), any::<bool>()).prop_map(
            |(fact, source, at, recorded_at, clamped)| {
                let key = AddressKey::new("00ff".to_owned());
                Piece {
                    clamped,
                    ..Piece::new(fact, &source, &key, at, recorded_at)
                }
            },
        )
    }

    fn record() -> impl Strategy<Value = AddressRecord> {
        (address(), btree_set(text(), 0..5), vec(piece(), 0..20)).prop_map(
            |(address, spellings, pieces)| AddressRecord {
                address,
                spellings,
                evidence: pieces.into_iter().collect::<Evidence>(),
            },
        )
    }

    fn event() -> impl Strategy<Value = LeadEvent> {
        let standing = || select(Standing::ALL);
        prop_oneof![
            standing().prop_map(|standing| LeadEvent::Created { standing }),
            any::<bool>().prop_map(|held| LeadEvent::AddressChanged { held }),
            (standing(), standing()).prop_map(|(from, to)| LeadEvent::StandingChanged { from, to }),
            Just(LeadEvent::RecheckFailed),
        ]
    }

    fn lead() -> impl Strategy<Value = Lead> {
        let reasons: Vec<Reason> = Reason::all().collect();
        let hold = (select(reasons), time(), time(), vec(evidence_id(), 0..3)).prop_map(
            |(reason, since, taken_at, because)| Hold {
                reason,
                since,
                taken_at,
                because,
            },
        );
        let complaint = (time(), select(Attribution::ALL), evidence_id()).prop_map(
            |(at, attribution, evidence)| StickyComplaint {
                at,
                attribution,
                evidence,
            },
        );
        let former = ("[0-9a-f]{64}", time()).prop_map(|(key, left_at)| FormerAddress {
            key: AddressKey::new(key),
            left_at,
        });
        let history = (time(), event()).prop_map(|(at, event)| HistoryEntry { at, event });
        let marks = (
            option::of(hold),
            btree_set(complaint, 0..2),
            vec(former, 0..4),
            vec(time(), 0..4),
            vec(history, 0..8),
        );
        (lead_id(), address(), select(Standing::ALL), time(), marks).prop_map(
            |(
                id,
                address,
                standing,
                standing_since,
                (hold, complaints, former_addresses, rechecked_at, history),
            )| Lead {
                id,
                address,
                standing,
                standing_since,
                hold,
                complaints,
                former_addresses,
                rechecked_at,
                history,
            },
        )
    }

    fn any_account() -> impl Strategy<Value = Account> {
        let policy = (any::<u8>(), any::<u16>(), any::<bool>(), any::<u32>()).prop_map(
            |(small, days, yes, many)| Policy {
                soft_bounce_threshold: small,
                recheck_interval_days: days,
                recheck_on_save: yes,
                rechecks_per_account_per_day: many,
                ..Policy::default()
            },
        );
        let key = (select(vec![Algorithm::Es256, Algorithm::EdDsa]), text())
            .prop_map(|(algorithm, key)| PublicKey { algorithm, key });
        (policy, btree_map(text(), key, 0..4), option::of(text())).prop_map(
            |(policy, keys, ses_tenant)| Account {
                policy,
                origins: ses_tenant.clone().map(|name| BTreeSet::from([name])),
                keys,
                ses_tenant,
            },
        )
    }

    fn blocked() -> impl Strategy<Value = Blocked> {
        let reasons: Vec<Reason> = Reason::all().collect();
        let grounds = prop_oneof![
            select(reasons).prop_map(Ground::Blocklisted),
            Just(Ground::AnotherAddress),
            Just(Ground::Unsubscribed),
        ];
        (
            grounds,
            option::of(time()),
            vec(evidence_id(), 0..3),
            select(Resolution::ALL),
            option::of(time()),
        )
            .prop_map(|(ground, since, because, resolution, check_again_from)| {
                Blocked::from(Objection {
                    ground,
                    since,
                    because,
                    resolution,
                    check_again_from,
                })
            })
    }

    fn send_attempt() -> impl Strategy<Value = SendAttempt> {
        let skipped = (vec(0..50_usize, 1..4), blocked())
            .prop_map(|(positions, blocked)| SkippedRecipient { positions, blocked });
        let outcome = prop_oneof![
            Just(SendOutcome::Begun),
            Just(SendOutcome::Unknown),
            Just(SendOutcome::Withdrawn),
            (text(), vec(skipped, 0..4)).prop_map(|(message_id, skipped)| SendOutcome::Sent {
                message_id,
                skipped
            }),
        ];
        (text(), text(), time(), outcome, any::<i64>()).prop_map(
            |(fingerprint, begun_by, begun_at, outcome, expires_at)| SendAttempt {
                fingerprint,
                begun_by,
                begun_at,
                outcome,
                expires_at,
            },
        )
    }

    fn any_due() -> impl Strategy<Value = DueVerification> {
        (lead_id(), time(), time())
            .prop_map(|(lead, since, due_at)| DueVerification::new(account(), lead, since, due_at))
    }

    fn kept_opinion() -> impl Strategy<Value = KeptOpinion> {
        (select(Opinion::ALL), any::<i64>()).prop_map(|(opinion, expires_at)| KeptOpinion {
            opinion,
            expires_at,
        })
    }

    fn change() -> impl Strategy<Value = Change> {
        let changed = (lead_id(), told_status(), told_status());
        let why = (
            option::of(select(Resolution::ALL)),
            option::of(time()),
            vec(evidence_id(), 0..3),
        );
        (changed, why, time()).prop_map(
            |((lead, from, to), (resolution, since, evidence), changed_at)| Change {
                lead,
                from,
                to,
                resolution,
                since,
                evidence,
                changed_at,
            },
        )
    }

    fn told_status() -> impl Strategy<Value = ToldStatus> {
        (text(), option::of(text()), option::of(text())).prop_map(|(status, reason, cause)| {
            ToldStatus {
                status,
                reason,
                cause,
            }
        })
    }

    fn told() -> impl Strategy<Value = Told> {
        let key = || "[0-9a-f]{64}".prop_map(AddressKey::new);
        let evidence = || {
            (key(), any::<u64>(), record()).prop_map(|(address, version, record)| {
                SeenEvidence::new(address, version, &record.evidence)
            })
        };
        let lead = (key(), any::<u64>(), lead())
            .prop_map(|(address, version, lead)| SeenLead::new(address, version, lead));
        let seen = (
            option::of(lead),
            option::of(evidence()),
            option::of(evidence()),
        );
        let said = (
            option::of(told_status()),
            any::<u64>(),
            option::of(change()),
        );
        (seen, said).prop_map(
            |((lead, evidence, other), (status, changes, change))| Told {
                lead,
                evidence,
                other,
                status,
                changes,
                change,
            },
        )
    }

    fn any_webhook() -> impl Strategy<Value = Webhook> {
        let secret = (text(), option::of(time())).prop_map(|(secret, until)| WebhookSecret {
            secret: secret.into(),
            until,
        });
        let because = select(vec![DisabledBecause::Gone, DisabledBecause::Failing]);
        let disabled = (time(), because).prop_map(|(at, because)| Disabled { at, because });
        let failure = (time(), text()).prop_map(|(at, what)| DeliveryFailure { at, what });
        let state = (
            option::of(disabled),
            option::of(time()),
            option::of(failure),
        );
        (text(), vec(secret, 0..3), time(), state).prop_map(
            |(url, secrets, changed_at, (disabled, failing_since, last_failure))| Webhook {
                url,
                secrets,
                changed_at,
                disabled,
                failing_since,
                last_failure,
            },
        )
    }

    fn any_due_delivery() -> impl Strategy<Value = DueDelivery> {
        ("msg_[0-9a-f]{32}", text(), time(), time()).prop_map(|(id, body, since, due_at)| {
            DueDelivery {
                account: account(),
                id,
                body,
                since,
                due_at,
                expires_at: 0,
            }
            .at(due_at)
        })
    }

    proptest! {
        #[test]
        fn every_kind_of_item_comes_back_as_it_went(
            record in record(), lead in lead(), account_item in any_account(), attempt in send_attempt(),
            due in any_due(), opinion in kept_opinion(), read in option::of(1..u64::MAX / 2),
        ) {
            check_round_trip(&Key::due(&due), &due, read);
            check_round_trip(&Key::opinion(&account(), &AddressKey::new("00ff".to_owned())), &opinion, read);
            check_round_trip(&Key::send_attempt(&account(), "00ff"), &attempt, read);
            check_round_trip(&Key::evidence(&account(), &AddressKey::new("00ff".to_owned())), &record, read);
            check_round_trip(&Key::lead(&account(), &lead.id), &lead, read);
            check_round_trip(&Key::account(&account()), &account_item, read);
            check_round_trip(&Key::identity("News@Acme.example"), &Identity { account: account() }, read);
        }

        #[test]
        fn what_changes_are_told_by_comes_back_as_it_went(
            told in told(), webhook in any_webhook(), due in any_due_delivery(), piece in piece(), lead in lead_id(),
            read in option::of(1..u64::MAX / 2),
        ) {
            let address = AddressKey::new("00ff".to_owned());
            check_round_trip(&Key::told(&account(), &lead), &told, read);
            check_round_trip(&Key::webhook(&account()), &webhook, read);
            check_round_trip(&Key::due_delivery(&due), &due, read);
            check_round_trip(&Key::archived(&account(), &address, &piece), &piece, read);
        }
    }

    #[test]
    fn keys_are_as_designed_and_hold_no_address() {
        let address = Address::parse("Ada@Harbour.example").unwrap();
        let key = AddressSecret::new("0123456789abcdef0123456789abcdef")
            .unwrap()
            .key_of(&address);
        // HMAC-SHA256 of "ada@harbour.example" under that secret, by Python's hmac.
        let expected = "71459cc514a87b9bfb5eece4349a41cc6b50ff44309bdf6950b0f8d9e61ef910";
        assert_eq!(key.as_str(), expected);
        let lead = LeadId::parse("7").unwrap();
        let keys = [
            format!("{:?}", Key::evidence(&account(), &key)),
            format!("{:?}", Key::link(&account(), &key, &lead)),
            format!("{:?}", Key::lead(&account(), &lead)),
            format!("{:?}", Key::account(&account())),
            format!("{:?}", Key::identity("News@Acme.example")),
            format!("{:?}", Key::send_attempt(&account(), "00ff")),
            format!("{:?}", Key::due(&due("2026-11-22T10:00:00.25Z"))),
            format!("{:?}", Key::opinion(&account(), &key)),
            format!("{:?}", Key::archived(&account(), &key, &subscription())),
            format!("{:?}", Key::told(&account(), &lead)),
            format!("{:?}", Key::webhook(&account())),
            format!("{:?}", Key::due_delivery(&due_delivery())),
        ];
        assert_eq!(
            keys,
            [
                format!("acme#address#{expected} evidence"),
                format!("acme#address#{expected} lead#7"),
                "acme#lead#7 lead".to_owned(),
                "acme account".to_owned(),
                "identity#news@acme.example account".to_owned(),
                "acme#request#00ff answer".to_owned(),
                "due#verification 2026-11-22T10:00:00Z#acme#7".to_owned(),
                format!("acme#address#{expected} mailbox"),
                format!("acme#address#{expected} log#2026-11-22T10:00:00.25Z#subscription:s:00ff"),
                "acme#lead#7 told".to_owned(),
                "acme#webhook webhook".to_owned(),
                "due#delivery 2026-11-22T10:00:00Z#acme#msg_1".to_owned(),
            ]
        );
        let day = jiff::civil::date(2026, 11, 22);
        let (count, expires_at) = day_count(&account(), day, Limited::Rechecks);
        assert_eq!(count, attributes("acme#day#2026-11-22", "count#rechecks"));
        let (checks, _) = day_count(&account(), day, Limited::MailboxChecks);
        assert_eq!(
            checks,
            attributes("acme#day#2026-11-22", "count#mailbox-checks")
        );
        assert_eq!(expires_at, 1_795_305_600 + 7 * 86_400);
    }

    fn due(due_at: &str) -> DueVerification {
        let (lead, at) = (LeadId::parse("7").unwrap(), due_at.parse().unwrap());
        DueVerification::new(account(), lead, at, at)
    }

    fn subscription() -> Piece {
        let fact = Fact::Subscription { unsubscribed: true };
        let at = "2026-11-22T10:00:00.25Z".parse().unwrap();
        Piece::new(fact, "s", &AddressKey::new("00ff".to_owned()), at, at)
    }

    fn due_delivery() -> DueDelivery {
        let at = "2026-11-22T10:00:00.25Z".parse().unwrap();
        DueDelivery {
            account: account(),
            id: "msg_1".to_owned(),
            body: String::new(),
            since: at,
            due_at: at,
            expires_at: 0,
        }
        .at(at)
    }

    #[test]
    fn what_is_due_by_now_sorts_before_what_is_due_later() {
        let until = due_until("2026-11-22T10:00:00.9Z".parse().unwrap()).1;
        for (due_at, is_due) in [
            ("2026-11-22T09:59:59Z", true),
            ("2026-11-22T10:00:00Z", true),
            ("2026-11-22T10:00:00.5Z", true),
            ("2026-11-22T10:00:01Z", false),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(Key::due(&due(due_at)).sk < until, is_due, "{due_at}");
        }
    }

    #[test]
    fn the_secret_of_address_keys_is_wiped_from_memory() {
        // HMAC keeps it as two states of the hash, and nothing else.
        fn wiped<T>(_: &Hmac<T>)
        where
            T: hmac::EagerHash + secrecy::zeroize::ZeroizeOnDrop,
        {
        }
        wiped(&AddressSecret::new(&"s".repeat(32)).unwrap().0);
    }

    #[test]
    fn the_letter_case_of_an_address_makes_no_other_key() {
        let secret = AddressSecret::new(&"s".repeat(32)).unwrap();
        let key = |text: &str| secret.key_of(&Address::parse(text).unwrap());
        assert_eq!(key("ADA@harbour.example"), key("ada@Harbour.Example"));
        assert_ne!(key("ada@harbour.example"), key("ada.l@harbour.example"));
        let other = AddressSecret::new(&"t".repeat(32)).unwrap();
        assert_ne!(
            key("ada@harbour.example"),
            other.key_of(&Address::parse("ada@harbour.example").unwrap())
        );
    }
}
