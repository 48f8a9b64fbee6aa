//! Permits: signed statements that a check was passed, for callers who show the gate's word to somebody else, such as a CRM's
//! own mailer.
//!
//! A permit is a JWT (`EdDSA`, `typ: permit+jwt`, so that it is good for nothing else). Claims: `iss` is `leadlight`, `aud` the
//! account, `iat` and `exp` five minutes apart, `purpose`, `recipients`, the unpadded base64url SHA-256 of the different
//! [key forms](leadlight::address::Address::key_form) of the addresses, sorted and joined by a line feed, and `policy`, the same
//! of the policy's JSON, cut to 16 octets. It says what was true when it was signed: a complaint may have come since, which is
//! why it lives so briefly, and why `POST /v1/sends` checks again whatever permit it is shown.

use core::fmt;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight::api;
use leadlight::gate::Purpose;
use leadlight::policy::Policy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::jwt;

/// How long a permit is good: a check and the send that follows it, with a queue between.
pub const LIFE: SignedDuration = SignedDuration::from_mins(5);
/// The `iss` of every permit.
const ISSUER: &str = "leadlight";
/// The `typ` of every permit.
const TYPE: &str = "permit+jwt";
/// The octets of a policy's hash that are told: enough to tell policies apart.
const POLICY_OCTETS: usize = 16;

/// The deployment's key for permits, private and public half.
#[derive(Clone)]
pub struct PermitKey {
    private: EncodingKey,
    verifying: DecodingKey,
    public: Jwk,
    id: String,
}

/// A text is no key for permits: no PEM of a private Ed25519 key (PKCS #8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a private Ed25519 key from PEM")]
pub struct PermitKeyError;

/// What a permit states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    aud: AccountId,
    purpose: Purpose,
    recipients: String,
    policy: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    statement: Statement,
}

/// Why a permit is not good for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermitError {
    /// It is no permit of this deployment.
    #[error("the permit is not one of ours")]
    Foreign,
    /// It is too old.
    #[error("the permit has expired; check again")]
    Expired,
    /// It was given for another account, other recipients, another purpose, or under another policy.
    #[error("the permit is for {what}; check again")]
    Mismatch {
        /// What differs.
        what: &'static str,
    },
}

impl PermitError {
    /// The machine-readable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Expired => "expired",
            Self::Mismatch { .. } => "mismatch",
        }
    }
}

impl Statement {
    /// The statement that `recipients` may be mailed for `purpose`.
    pub fn new<'a>(
        account: &AccountId,
        policy: &Policy,
        purpose: Purpose,
        recipients: impl IntoIterator<Item = &'a Address>,
    ) -> Self {
        let forms: BTreeSet<String> = recipients.into_iter().map(Address::key_form).collect();
        let forms: Vec<String> = forms.into_iter().collect();
        // A policy of numbers and switches always becomes JSON.
        let policy = Sha256::digest(serde_json::to_vec(policy).unwrap_or_default());
        Self {
            aud: account.clone(),
            purpose,
            recipients: URL_SAFE_NO_PAD.encode(Sha256::digest(forms.join("\n"))),
            policy: URL_SAFE_NO_PAD.encode(policy.get(..POLICY_OCTETS).unwrap_or_default()),
        }
    }

    fn compare(&self, stated: &Self) -> Result<(), PermitError> {
        let parts = [
            (self.aud == stated.aud, "another account"),
            (self.purpose == stated.purpose, "another purpose"),
            (self.recipients == stated.recipients, "other recipients"),
            (self.policy == stated.policy, "another policy"),
        ];
        match parts.into_iter().find(|(is_same, _)| !is_same) {
            Some((_, what)) => Err(PermitError::Mismatch { what }),
            None => Ok(()),
        }
    }
}

impl PermitKey {
    /// Reads the private key.
    ///
    /// # Errors
    /// When it is no PEM of an Ed25519 key in PKCS #8, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, PermitKeyError> {
        jwt::install();
        let read = || -> jsonwebtoken::errors::Result<Self> {
            let private = EncodingKey::from_ed_pem(pem.as_bytes())?;
            let mut public = Jwk::from_encoding_key(&private, Algorithm::EdDSA)?;
            let id = public.thumbprint(ThumbprintHash::SHA256)?;
            public.common.key_id = Some(id.clone());
            public.common.public_key_use = Some(PublicKeyUse::Signature);
            Ok(Self {
                verifying: DecodingKey::from_jwk(&public)?,
                private,
                public,
                id,
            })
        };
        read().map_err(|_| PermitKeyError)
    }

    /// The public half, as `GET /v1/permit-keys` shows it (RFC 7517).
    #[must_use]
    pub fn public(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.public.clone()],
        }
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// When it cannot be signed; that is for the operator to repair.
    pub fn sign(
        &self,
        statement: Statement,
        now: Timestamp,
    ) -> jsonwebtoken::errors::Result<api::Permit> {
        let expires_at = now.checked_add(LIFE).unwrap_or(now);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
            statement,
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.private)?;
        let expires_at = Timestamp::from_second(claims.exp).unwrap_or(expires_at);
        Ok(api::Permit { token, expires_at })
    }

    /// Checks that `token` states what is `wanted`, and is still good.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify(
        &self,
        token: &str,
        wanted: &Statement,
        now: Timestamp,
    ) -> Result<(), PermitError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The claims are checked below, against the time that was passed in.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation)
            .map_err(|_| PermitError::Foreign)?;
        let claims = token.claims;
        if token.header.typ.as_deref() != Some(TYPE) || claims.iss != ISSUER {
            return Err(PermitError::Foreign);
        }
        if claims.exp <= now.as_second() {
            return Err(PermitError::Expired);
        }
        wanted.compare(&claims.statement)
    }
}

impl fmt::Debug for PermitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::zeroize::ZeroizeOnDrop;

    use super::*;

    /// The Ed25519 key of RFC 8410 section 10.3, which is for examples only.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn the_private_half_is_wiped_from_memory() {
        fn wiped(_: &impl ZeroizeOnDrop) {}
        wiped(&PermitKey::from_pem(PEM).unwrap().private);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn statement(
        account: &str,
        purpose: Purpose,
        policy: &Policy,
        recipients: &[&str],
    ) -> Statement {
        let account = AccountId::parse(account).unwrap();
        let recipients: Vec<Address> = recipients
            .iter()
            .map(|address| Address::parse(address).unwrap())
            .collect();
        Statement::new(&account, policy, purpose, &recipients)
    }

    fn usual(recipients: &[&str]) -> Statement {
        statement("acme", Purpose::Marketing, &Policy::default(), recipients)
    }

    #[test]
    fn a_permit_is_good_for_the_same_recipients_in_any_order_and_case() {
        let key = PermitKey::from_pem(PEM).unwrap();
        let stated = usual(&["ann@lead.example", "bob@lead.example"]);
        let token = key.sign(stated, at(0)).unwrap().token;
        let again = usual(&["BOB@lead.example", "ann@lead.example", "Ann@LEAD.example"]);
        assert_eq!(key.verify(&token, &again, at(299)), Ok(()));
        assert_eq!(
            key.verify(&token, &again, at(300)),
            Err(PermitError::Expired)
        );
    }

    #[test]
    fn a_permit_is_good_for_nothing_else() {
        let key = PermitKey::from_pem(PEM).unwrap();
        let ann = ["ann@lead.example"];
        let token = key.sign(usual(&ann), at(0)).unwrap().token;
        let strict = Policy {
            block_role: true,
            ..Policy::default()
        };
        let default = Policy::default();
        for (wanted, what) in [
            (
                statement("globex", Purpose::Marketing, &default, &ann),
                "another account",
            ),
            (
                statement("acme", Purpose::Transactional, &default, &ann),
                "another purpose",
            ),
            (
                statement("acme", Purpose::Marketing, &strict, &ann),
                "another policy",
            ),
            (
                usual(&["ann@lead.example", "bob@lead.example"]),
                "other recipients",
            ),
            (usual(&["bob@lead.example"]), "other recipients"),
        ] {
            assert_eq!(
                key.verify(&token, &wanted, at(1)),
                Err(PermitError::Mismatch { what })
            );
        }
    }

    #[test]
    fn what_we_did_not_sign_as_a_permit_is_none() {
        let key = PermitKey::from_pem(PEM).unwrap();
        let wanted = usual(&["ann@lead.example"]);
        let good = key.sign(wanted.clone(), at(0)).unwrap().token;
        let (signed, _) = good.rsplit_once('.').unwrap();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            iat: at(0).as_second(),
            exp: at(60).as_second(),
            statement: wanted.clone(),
        };
        let encode = |header: &Header, claims: &Claims| {
            jsonwebtoken::encode(header, claims, &key.private).unwrap()
        };
        let as_access_token = encode(&Header::new(Algorithm::EdDSA), &claims);
        let permit = Header {
            typ: Some(TYPE.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let by_somebody = Claims {
            iss: "somebody".to_owned(),
            ..claims
        };
        let foreign = [
            String::new(),
            "a.b.c".to_owned(),
            format!("{signed}."),
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            as_access_token,
            encode(&permit, &by_somebody),
        ];
        for token in foreign {
            assert_eq!(
                key.verify(&token, &wanted, at(1)),
                Err(PermitError::Foreign),
                "{token}"
            );
        }
    }

    #[test]
    fn the_published_key_verifies_permits() {
        let key = PermitKey::from_pem(PEM).unwrap();
        let published: JwkSet =
            serde_json::from_value(serde_json::to_value(key.public()).unwrap()).unwrap();
        let permit = key.sign(usual(&["ann@lead.example"]), at(0)).unwrap();
        let header = jsonwebtoken::decode_header(&permit.token).unwrap();
        let jwk = published.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["acme"]);
        validation.set_issuer(&["leadlight"]);
        let decoded = jsonwebtoken::decode::<Claims>(
            &permit.token,
            &DecodingKey::from_jwk(jwk).unwrap(),
            &validation,
        );
        let claims = decoded.unwrap().claims;
        // printf 'ann@lead.example' | openssl dgst -sha256 -binary | base64
        assert_eq!(
            claims.statement.recipients,
            "JYFR54NwUT9QHs_BaNQIsG__vyS7oacrlXCWdsbBhYo"
        );
        assert!(
            !serde_json::to_string(&published).unwrap().contains("\"d\""),
            "the private half must not be shown"
        );
    }

    #[test]
    fn other_keys_are_refused_and_none_is_printed() {
        for pem in ["", "key", &PEM.replace("MC4C", "MC4D")] {
            assert!(PermitKey::from_pem(pem).is_err(), "{pem}");
        }
        let printed = format!("{:?}", PermitKey::from_pem(PEM).unwrap());
        assert!(!printed.contains("MC4C"), "{printed}");
    }
}
