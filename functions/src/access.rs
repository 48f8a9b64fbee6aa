//! Who asks, and what they may: access tokens are JWTs that an account signs with a private key of its own.
//!
//! The table holds public keys only. A key says which algorithm it is for; the token's header is believed in nothing but which
//! key to try (RFC 8725 section 3.1). Another account's leads cannot even be named: every key of the table begins with the
//! account of the token.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{DecodingKey, Validation};
use lambda_http::http::header::{AUTHORIZATION, ORIGIN};
use lambda_http::http::{HeaderMap, HeaderValue};
use leadlight::account::AccountId;
use leadlight::lead::LeadId;
use leadlight::policy::Policy;
use serde::{Deserialize, Deserializer};

use crate::app::Store;
use crate::exchange::Exchange;
use crate::jwt;
use crate::limits;
use crate::problem::Refusal;
use crate::table::TableError;
use crate::table::item::{Account, Algorithm, PublicKey};

/// The `aud` of every access token.
pub const AUDIENCE: &str = "leadlight";
/// The longest life of a token that stands in a page, or that is restricted to some leads.
pub const MAX_WIDGET_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// The longest life of any other token.
pub const MAX_LIFE: SignedDuration = SignedDuration::from_mins(60);
/// How far the clocks of an account and of the service may differ.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// The most octets of a token: one with 100 leads of ordinary ids has less than 8 KB.
const MAX_TOKEN_OCTETS: usize = 32 * 1024;

/// What a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Asking for statuses.
    Statuses,
    /// Pressing Check again.
    Rechecks,
    /// Reading leads and their logs.
    LeadsRead,
    /// Saving leads.
    LeadsWrite,
    /// Asking the gate, and sending.
    Sends,
    /// Asking what is to be said of an address.
    Verifications,
    /// Saving, showing and removing the webhook.
    Webhooks,
    /// Reading what became of the account's messages.
    Reputation,
}

impl Scope {
    const ALL: [Self; 8] = [
        Self::Statuses,
        Self::Rechecks,
        Self::LeadsRead,
        Self::LeadsWrite,
        Self::Sends,
        Self::Verifications,
        Self::Webhooks,
        Self::Reputation,
    ];

    /// The word in the claim `scope`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Statuses => "statuses",
            Self::Rechecks => "rechecks",
            Self::LeadsRead => "leads:read",
            Self::LeadsWrite => "leads:write",
            Self::Sends => "sends",
            Self::Verifications => "verifications",
            Self::Webhooks => "webhooks",
            Self::Reputation => "reputation",
        }
    }

    /// Whether the widget or a form needs it, so that tokens in pages carry it.
    fn is_for_pages(self) -> bool {
        match self {
            Self::Statuses | Self::Rechecks | Self::LeadsRead | Self::Verifications => true,
            Self::LeadsWrite | Self::Sends | Self::Webhooks | Self::Reputation => false,
        }
    }
}

/// Who asks, once the token is believed.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    details: Arc<Account>,
    scopes: BTreeSet<Scope>,
    leads: Option<BTreeSet<LeadId>>,
}

impl Caller {
    /// How the account reads its evidence.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.details.policy
    }

    /// Whether the request comes from one of the account's pages, or from no page at all. Browsers say from which (Fetch
    /// standard, *`Origin` header*); API Gateway lets the pages of all accounts in, and answers what they ask before they ask.
    fn permit_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origins) = &self.details.origins else {
            return Ok(());
        };
        let is_listed = |origin: &HeaderValue| {
            let origin = origin.to_str().ok();
            origin.is_some_and(|origin| origins.contains(origin))
        };
        if headers.get_all(ORIGIN).iter().all(is_listed) {
            Ok(())
        } else {
            Err(Refusal::foreign_origin())
        }
    }

    /// Whether the token is one that may stand in a page, where others can find it.
    fn is_in_a_page(&self) -> bool {
        is_for_pages(&self.scopes, self.leads.as_ref())
    }

    /// The SES tenant by which the account's mail is sent, if it has one.
    #[must_use]
    pub fn ses_tenant(&self) -> Option<&str> {
        self.details.ses_tenant.as_deref()
    }

    /// Whether the token is good for `scope`.
    ///
    /// # Errors
    /// When it is not: 403.
    pub fn permit(&self, scope: Scope) -> Result<(), Refusal> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let word = scope.word();
        let challenge =
            format!("Bearer realm=\"leadlight\", error=\"insufficient_scope\", scope=\"{word}\"");
        Err(Refusal::forbidden(
            "scope",
            format!("the token lacks the scope {word}"),
            &challenge,
        ))
    }

    /// Whether the token is good for a recipient of the lead `lead`, if it is of one. A token that is restricted to some leads
    /// is good for nobody else.
    ///
    /// # Errors
    /// When the token is restricted to other leads: 403.
    pub fn permit_recipient(&self, lead: Option<&LeadId>) -> Result<(), Refusal> {
        match lead {
            Some(lead) => self.permit_lead(lead),
            None if self.leads.is_none() => Ok(()),
            None => Err(Self::other_leads()),
        }
    }

    /// Whether the token is good for `lead`.
    ///
    /// # Errors
    /// When the token is restricted to other leads: 403.
    pub fn permit_lead(&self, lead: &LeadId) -> Result<(), Refusal> {
        if self.leads.as_ref().is_none_or(|leads| leads.contains(lead)) {
            return Ok(());
        }
        Err(Self::other_leads())
    }

    fn other_leads() -> Refusal {
        let challenge = "Bearer realm=\"leadlight\", error=\"insufficient_scope\"";
        Refusal::forbidden("lead", "the token is restricted to other leads", challenge)
    }
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no `Authorization` header.
    #[error("the request carries no access token")]
    Missing,
    /// The header is not `Bearer` and one token.
    #[error("the header Authorization must be Bearer and one token")]
    NotBearer,
    /// It is no JWT with the claims that are needed, each of its kind.
    #[error("the token is no JWT with kid, iss, aud, iat and exp")]
    Malformed,
    /// `typ` is not `JWT`.
    #[error("the token's typ must be JWT")]
    WrongType,
    /// It demands an extension (`crit`) that is not understood.
    #[error("the token demands an extension that is not supported")]
    UnknownExtension,
    /// The account does not exist, or has no such key.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The stored key is none. The operator has to repair it.
    #[error("the token's key is not usable")]
    UnusableKey,
    /// It is not signed by the algorithm of the key.
    #[error("the token is not signed by the algorithm of its key")]
    WrongAlgorithm,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    WrongSignature,
    /// It is for somebody else.
    #[error("the token's aud must be leadlight")]
    WrongAudience,
    /// It is not good any more.
    #[error("the token has expired")]
    Expired,
    /// It is not good yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It says that it was made in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// It lives longer than tokens may.
    #[error(
        "the token lives too long: at most 15 minutes for the widget's scopes or with leads, else 60"
    )]
    LivesTooLong,
}

impl TokenError {
    /// The machine-readable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotBearer => "not_bearer",
            Self::Malformed => "malformed",
            Self::WrongType => "wrong_type",
            Self::UnknownExtension => "unknown_extension",
            Self::UnknownKey => "unknown_key",
            Self::UnusableKey => "unusable_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::WrongSignature => "wrong_signature",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LivesTooLong => "lives_too_long",
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        // A request without a token is told how to ask, not that its token is bad (RFC 6750 section 3.1).
        let challenge = match error {
            TokenError::Missing | TokenError::NotBearer => "Bearer realm=\"leadlight\"",
            TokenError::Malformed
            | TokenError::WrongType
            | TokenError::UnknownExtension
            | TokenError::UnknownKey
            | TokenError::UnusableKey
            | TokenError::WrongAlgorithm
            | TokenError::WrongSignature
            | TokenError::WrongAudience
            | TokenError::Expired
            | TokenError::NotYetValid
            | TokenError::IssuedInFuture
            | TokenError::LivesTooLong => "Bearer realm=\"leadlight\", error=\"invalid_token\"",
        };
        Self::unauthorized(error.code(), error.to_string(), challenge)
    }
}

/// Finds out who asks, and that the token is good for `scope`.
///
/// # Errors
/// 401 for a token that is not believed, 429 for one too many, 403 for one that is not good for this, 503 while the table is away.
pub(crate) async fn authorize(
    store: &Store,
    exchange: &Exchange,
    headers: &HeaderMap,
    scope: Scope,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let token = bearer(headers)?;
    let unverified = Unverified::read(token)?;
    let details = find_account(store, &unverified.account, now)
        .await?
        .ok_or(TokenError::UnknownKey)?;
    let caller = unverified.believe(token, &details, now)?;
    caller.permit_origin(headers)?;
    count(store, exchange, &caller, token, now).await?;
    caller.permit(scope)?;
    Ok(caller)
}

/// Counts the request against the limits of the token and of the account.
async fn count(
    store: &Store,
    exchange: &Exchange,
    caller: &Caller,
    token: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let policy = caller.policy();
    // What was signed alone: one signature can be written in several ways.
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let counted = limits::Caller {
        account: &caller.account,
        token: store.address_secret.fingerprint("token", signed.as_bytes()),
        per_token: if caller.is_in_a_page() {
            policy.requests_per_page_token_per_minute
        } else {
            policy.requests_per_server_token_per_minute
        },
        per_account: policy.requests_per_account_per_minute,
    };
    let (quota, refusal) = store.limits.count(&store.table, counted, now).await?;
    // An exchange has one caller.
    let _ = exchange.quota.set(quota);
    refusal.map_or(Ok(()), Err)
}

async fn find_account(
    store: &Store,
    id: &AccountId,
    now: Timestamp,
) -> Result<Option<Arc<Account>>, TableError> {
    store.accounts.account(id, now).await
}

fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::NotBearer);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(TokenError::NotBearer)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > MAX_TOKEN_OCTETS
    {
        return Err(TokenError::NotBearer);
    }
    Ok(token)
}

/// What a token says before its signature is checked: enough to find the key, trusted for nothing else.
pub(crate) struct Unverified {
    account: AccountId,
    key_id: String,
}

impl Unverified {
    pub(crate) fn read(token: &str) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: AccountId,
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if !header
            .typ
            .is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))
        {
            return Err(TokenError::WrongType);
        }
        if header.crit.is_some() {
            return Err(TokenError::UnknownExtension);
        }
        let key_id = header.kid.ok_or(TokenError::Malformed)?;
        let Issuer { iss } = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| TokenError::Malformed)?;
        Ok(Self {
            account: iss,
            key_id,
        })
    }

    /// Who asks, if a key of the account that the token names has signed it, and it is good at `now`.
    pub(crate) fn believe(
        self,
        token: &str,
        details: &Arc<Account>,
        now: Timestamp,
    ) -> Result<Caller, TokenError> {
        let key = details
            .keys
            .get(&self.key_id)
            .ok_or(TokenError::UnknownKey)?;
        let (scopes, leads) = verify(token, key)?.check(now)?;
        Ok(Caller {
            account: self.account,
            scopes,
            leads,
            details: Arc::clone(details),
        })
    }
}

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    exp: f64,
    iat: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    scope: String,
    /// Absent for all leads. Null is none of both: whoever meant some leads must not open all of them by a slip.
    #[serde(default, deserialize_with = "listed")]
    leads: Option<BTreeSet<LeadId>>,
}

fn listed<'de, D: Deserializer<'de>>(leads: D) -> Result<Option<BTreeSet<LeadId>>, D::Error> {
    BTreeSet::deserialize(leads).map(Some)
}

/// One audience or several (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(name) => name == audience,
            Self::Several(names) => names.iter().any(|name| name == audience),
        }
    }
}

/// Checks the signature, by the algorithm of the key alone.
fn verify(token: &str, key: &PublicKey) -> Result<Claims, TokenError> {
    let decoding_key = decoding_key(key).ok_or(TokenError::UnusableKey)?;
    jwt::install();
    let mut validation = Validation::new(key.algorithm.into());
    // The claims are checked below, against the time that was passed in.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let token = jsonwebtoken::decode::<Claims>(token, &decoding_key, &validation);
    token
        .map(|token| token.claims)
        .map_err(|error| refusal(error.kind()))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may add kinds; all of them refuse the token"
)]
fn refusal(error: &jsonwebtoken::errors::ErrorKind) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error {
        ErrorKind::InvalidSignature => TokenError::WrongSignature,
        ErrorKind::InvalidAlgorithm => TokenError::WrongAlgorithm,
        ErrorKind::InvalidKeyFormat | ErrorKind::InvalidEcdsaKey | ErrorKind::InvalidEddsaKey => {
            TokenError::UnusableKey
        }
        _ => TokenError::Malformed,
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::ES256,
            Algorithm::EdDsa => Self::EdDSA,
        }
    }
}

/// The key, if it is one of its algorithm.
fn decoding_key(key: &PublicKey) -> Option<DecodingKey> {
    let text = key.key.trim();
    let read = if text.starts_with('{') {
        let jwk: Jwk = serde_json::from_str(text).ok()?;
        let fits = match (key.algorithm, &jwk.algorithm) {
            (Algorithm::Es256, AlgorithmParameters::EllipticCurve(parameters)) => {
                parameters.curve == EllipticCurve::P256
            }
            (Algorithm::EdDsa, AlgorithmParameters::OctetKeyPair(parameters)) => {
                parameters.curve == EllipticCurve::Ed25519
            }
            (Algorithm::Es256 | Algorithm::EdDsa, _) => false,
        };
        DecodingKey::from_jwk(&jwk).ok().filter(|_| fits)
    } else {
        let read = match key.algorithm {
            Algorithm::Es256 => DecodingKey::from_ec_pem(text.as_bytes()),
            Algorithm::EdDsa => DecodingKey::from_ed_pem(text.as_bytes()),
        };
        read.ok()
    };
    read.filter(|read| jwt::fits(key.algorithm.into(), read))
}

impl PublicKey {
    /// Whether tokens can be checked with it: a key of the kind that its algorithm needs. For operators, before it is saved.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        decoding_key(self).is_some()
    }
}

impl Claims {
    /// What the token is good for at `now`.
    fn check(
        self,
        now: Timestamp,
    ) -> Result<(BTreeSet<Scope>, Option<BTreeSet<LeadId>>), TokenError> {
        let expires_at = numeric_date(self.exp)?;
        let issued_at = numeric_date(self.iat)?;
        let valid_from = self.nbf.map(numeric_date).transpose()?;
        if !self.aud.names(AUDIENCE) {
            return Err(TokenError::WrongAudience);
        }
        if now.duration_since(expires_at) >= LEEWAY {
            return Err(TokenError::Expired);
        }
        if expires_at < issued_at {
            return Err(TokenError::Expired);
        }
        if valid_from.is_some_and(|valid_from| valid_from.duration_since(now) > LEEWAY) {
            return Err(TokenError::NotYetValid);
        }
        if issued_at.duration_since(now) > LEEWAY {
            return Err(TokenError::IssuedInFuture);
        }
        // Words that mean nothing here permit nothing, and so do not lengthen a token's life either.
        let scopes: BTreeSet<Scope> = self
            .scope
            .split_ascii_whitespace()
            .filter_map(|word| Scope::ALL.into_iter().find(|scope| scope.word() == word))
            .collect();
        let longest = if is_for_pages(&scopes, self.leads.as_ref()) {
            MAX_WIDGET_LIFE
        } else {
            MAX_LIFE
        };
        if expires_at.duration_since(issued_at) > longest {
            return Err(TokenError::LivesTooLong);
        }
        Ok((scopes, self.leads))
    }
}

/// Whether a token that is good for `scopes`, and for `leads` alone if there are any, may stand in a page.
fn is_for_pages(scopes: &BTreeSet<Scope>, leads: Option<&BTreeSet<LeadId>>) -> bool {
    leads.is_some() || scopes.iter().all(|scope| scope.is_for_pages())
}

/// A `NumericDate` (RFC 7519 section 2): seconds since 1970, perhaps with a fraction.
fn numeric_date(seconds: f64) -> Result<Timestamp, TokenError> {
    let since_1970 =
        SignedDuration::try_from_secs_f64(seconds).map_err(|_| TokenError::Malformed)?;
    Timestamp::from_duration(since_1970).map_err(|_| TokenError::Malformed)
}
