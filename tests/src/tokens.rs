//! Access tokens, right and wrong, put together by hand so that every part of them can be spoilt.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use leadlight::account::AccountId;
use leadlight_functions::jwt;
use leadlight_functions::table::item::{self, PublicKey};
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use ring::hmac;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::world::account;

/// What a CRM's server may do.
pub(crate) const SERVER_SCOPE: &str =
    "statuses rechecks leads:read leads:write sends verifications webhooks reputation";
/// What the widget in a page may do.
pub(crate) const WIDGET_SCOPE: &str = "statuses rechecks leads:read";

/// The Ed25519 key of RFC 8037 appendix A, which nobody may use for anything but tests: private half, then the public one.
const RFC_8037_PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const RFC_8037_PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// What stands before the 32 octets of an Ed25519 key in PKCS #8 (RFC 8410 section 7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An account and its private keys: `es-1`, ES256 as PEM, and `ed-1`, `EdDSA` as JWK.
pub(crate) struct Issuer {
    pub(crate) account: AccountId,
    key: SecretKey,
}

/// A token before it is signed.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    signature: Signature,
}

#[derive(Clone)]
enum Signature {
    Es256(EncodingKey),
    EdDsa(EncodingKey),
    Hmac(hmac::Key),
    /// These very octets.
    Octets(Vec<u8>),
}

impl Issuer {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            account: account(id),
            key: SecretKey::generate_from_rng(&mut rand::rng()),
        }
    }

    pub(crate) fn public_keys(&self) -> BTreeMap<String, PublicKey> {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": RFC_8037_PUBLIC });
        let es = PublicKey {
            algorithm: item::Algorithm::Es256,
            key: self.public_pem(),
        };
        let ed = PublicKey {
            algorithm: item::Algorithm::EdDsa,
            key: jwk.to_string(),
        };
        BTreeMap::from([("es-1".to_owned(), es), ("ed-1".to_owned(), ed)])
    }

    pub(crate) fn public_pem(&self) -> String {
        self.key
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .unwrap()
    }

    /// A token that is good for ten minutes from `now`.
    pub(crate) fn token(&self, scope: &str, now: Timestamp) -> Token {
        let now = now.as_second();
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).unwrap();
        Token {
            header: json!({ "alg": "ES256", "typ": "JWT", "kid": "es-1" }),
            claims: json!({
                "iss": self.account, "aud": "leadlight", "sub": "tests",
                "iat": now, "exp": now + 600, "scope": scope,
            }),
            signature: Signature::Es256(EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()),
        }
    }
}

impl Token {
    /// With another value in the header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// With another claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without a value in the header.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    /// Without a claim.
    pub(crate) fn without_claim(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    /// Signed with the account's `EdDSA` key.
    pub(crate) fn by_eddsa(mut self) -> Self {
        let private = URL_SAFE_NO_PAD.decode(RFC_8037_PRIVATE).unwrap();
        let der = [PKCS8_ED25519.as_slice(), &private].concat();
        self.signature = Signature::EdDsa(EncodingKey::from_ed_der(&der));
        self.header("alg", "EdDSA").header("kid", "ed-1")
    }

    /// Signed with HMAC-SHA256 under `secret`.
    pub(crate) fn by_hmac(mut self, secret: &str) -> Self {
        self.signature = Signature::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        self.header("alg", "HS256")
    }

    /// With these octets as its signature.
    pub(crate) fn signature(mut self, octets: &[u8]) -> Self {
        self.signature = Signature::Octets(octets.to_vec());
        self
    }

    /// Signed with another account's key, everything else as it is.
    pub(crate) fn signed_like(mut self, other: Self) -> Self {
        self.signature = other.signature;
        self
    }

    pub(crate) fn sign(&self) -> String {
        self.sign_texts(&self.header.to_string(), &self.claims.to_string())
    }

    /// The same over these texts, which may be what no value can be.
    pub(crate) fn sign_texts(&self, header: &str, claims: &str) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = signed.join(".");
        let (key, algorithm) = match &self.signature {
            Signature::Es256(key) => (key, Algorithm::ES256),
            Signature::EdDsa(key) => (key, Algorithm::EdDSA),
            Signature::Hmac(key) => {
                let tag = hmac::sign(key, signed.as_bytes());
                return [signed, URL_SAFE_NO_PAD.encode(tag)].join(".");
            }
            Signature::Octets(octets) => {
                return [signed, URL_SAFE_NO_PAD.encode(octets)].join(".");
            }
        };
        jwt::install();
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
        [signed, signature].join(".")
    }

    /// The header of a request that carries it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.sign())
    }
}
