//! The items of the table: their keys, and how records become attribute values and records again.
//!
//! Keys and application logs hold no address, only its keyed hash. Evidence and leads are stored as the domain's own types,
//! in native attributes; `version` counts the writes of an item and is what conditional writes compare.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::evidence::AddressRecord;
use leadlight::lead::{Lead, LeadId};
use leadlight::policy::Policy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::TableError;

/// The partition key's attribute.
pub(super) const PK: &str = "pk";
/// The sort key's attribute.
pub(super) const SK: &str = "sk";
/// The attribute that counts an item's writes.
pub(super) const VERSION: &str = "version";
/// The attribute whose time (seconds since 1970) deletes an item.
pub(super) const EXPIRES_AT: &str = "expires_at";

const LINK: &str = "lead#";
/// Seconds that a day's counter outlives its day: long enough to be looked at, `DynamoDB` deletes late anyway.
const COUNTER_KEPT_S: i64 = 7 * 86_400;

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

/// An account, as operators write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How it reads its evidence.
    #[serde(default)]
    pub policy: Policy,
    /// Its public keys by key id (`kid`); whoever holds a private one may mint tokens for the account.
    #[serde(default)]
    pub keys: BTreeMap<String, PublicKey>,
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
        #[derive(Deserialize)]
        struct Raw {
            pk: String,
            sk: String,
        }
        let Raw { pk, sk } =
            serde_dynamo::from_item(row.clone()).map_err(TableError::Unreadable)?;
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
    pub(super) fn read(mut row: Attributes) -> Result<Self, TableError> {
        let version = row
            .remove(VERSION)
            .map(serde_dynamo::from_attribute_value)
            .transpose();
        let version = version.map_err(TableError::Unreadable)?.unwrap_or_default();
        let item = serde_dynamo::from_item(row).map_err(TableError::Unreadable)?;
        Ok(Self { item, version })
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
    LeadId::parse(id).map_err(|error| TableError::Unreadable(serde::de::Error::custom(error)))
}

/// The key of the count of an account's rechecks on a day, and when that count may go.
pub(super) fn recheck_count(account: &AccountId, day: Date) -> (Attributes, i64) {
    let key = attributes(&format!("{account}#day#{day}"), "count#rechecks");
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
        let mut hmac = self.0.clone();
        hmac.update(address.key_form().as_bytes());
        let octets = hmac.finalize().into_bytes();
        let hex = |octet: &u8| {
            [octet >> 4, octet & 15].map(|digit| char::from_digit(u32::from(digit), 16))
        };
        AddressKey::new(octets.iter().flat_map(hex).flatten().collect())
    }
}

impl fmt::Debug for AddressSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressSecret(..)")
    }
}
