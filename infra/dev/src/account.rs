//! The accounts of the local stack: their private keys, made once and kept below `target/`, and the tokens they sign.
//!
//! This is the CRM's side of access: Leadlight itself never holds a private key.

use core::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use leadlight::account::AccountId;
use leadlight::policy::Policy;
use leadlight_functions::jwt;
use leadlight_functions::table::item::{self, Account, PublicKey};
use p256::SecretKey;
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// The id of the one key that each local account has.
const KEY_ID: &str = "local-1";
/// The longest life of a token for a widget, and of one for a server; the functions refuse longer ones.
pub const MAX_WIDGET_MINUTES: u8 = 15;
/// See [`MAX_WIDGET_MINUTES`].
pub const MAX_SERVER_MINUTES: u8 = 60;
/// What the CRM's server may do.
pub const SERVER_SCOPE: &str =
    "statuses rechecks leads:read leads:write sends verifications webhooks reputation";
/// What the widget in a page may do.
pub const WIDGET_SCOPE: &str = "statuses rechecks leads:read";

/// An account and its private key.
#[derive(Debug)]
pub struct LocalAccount {
    id: AccountId,
    key: SecretKey,
}

/// A token and the end of its life.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The token.
    pub token: String,
    /// From when it is refused.
    pub expires_at: Timestamp,
}

/// Without the token itself.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What a token says (JWT claims).
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'static str,
    sub: &'static str,
    iat: i64,
    exp: i64,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leads: Option<&'a [String]>,
}

impl LocalAccount {
    /// An account with a new key.
    #[must_use]
    pub fn generate(id: AccountId) -> Self {
        Self {
            id,
            key: SecretKey::generate_from_rng(&mut rand::rng()),
        }
    }

    /// The account whose key is kept in `folder`; made if there is none yet.
    ///
    /// # Errors
    /// When the key cannot be read or written.
    pub fn open(folder: &Path, id: AccountId) -> anyhow::Result<Self> {
        if key_file(folder, &id).is_file() {
            return Self::read(folder, id);
        }
        let account = Self::generate(id);
        let file = key_file(folder, &account.id);
        let pem = account
            .key
            .to_pkcs8_pem(LineEnding::LF)
            .context("write the private key as PEM")?;
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        std::fs::write(&file, pem.as_bytes())
            .with_context(|| format!("write {}", file.display()))?;
        Ok(account)
    }

    /// The account whose key is kept in `folder`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(folder: &Path, id: AccountId) -> anyhow::Result<Self> {
        let file = key_file(folder, &id);
        let pem = std::fs::read_to_string(&file).map(SecretString::from);
        let pem = pem.with_context(|| format!("read the private key {}", file.display()))?;
        let key = SecretKey::from_pkcs8_pem(pem.expose_secret())
            .with_context(|| format!("read {} as PEM", file.display()))?;
        Ok(Self { id, key })
    }

    /// The account's id.
    #[must_use]
    pub fn id(&self) -> &AccountId {
        &self.id
    }

    /// The account as the table has it: its public key, and `policy`.
    ///
    /// # Errors
    /// When the key cannot be written as PEM.
    pub fn item(&self, policy: Policy) -> anyhow::Result<Account> {
        let key = self
            .key
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .context("write the public key as PEM")?;
        let key = PublicKey {
            algorithm: item::Algorithm::Es256,
            key,
        };
        Ok(Account {
            policy,
            keys: [(KEY_ID.to_owned(), key)].into(),
            origins: None,
            ses_tenant: None,
        })
    }

    /// Signs a token for `minutes`. `leads` restricts it to these leads.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn mint(
        &self,
        scope: &str,
        leads: Option<&[String]>,
        minutes: u8,
        now: Timestamp,
    ) -> anyhow::Result<Token> {
        let expires_at = now.checked_add(SignedDuration::from_mins(minutes.into()))?;
        let claims = Claims {
            iss: self.id.as_str(),
            aud: "leadlight",
            sub: "local",
            iat: now.as_second(),
            exp: expires_at.as_second(),
            scope,
            leads,
        };
        let pem = self
            .key
            .to_pkcs8_pem(LineEnding::LF)
            .context("write the private key as PEM")?;
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).context("read the private key")?;
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        jwt::install();
        let token = jsonwebtoken::encode(&header, &claims, &key).context("sign the token")?;
        Ok(Token { token, expires_at })
    }

    /// A token for the CRM's server.
    ///
    /// # Errors
    /// As [`LocalAccount::mint`].
    pub fn server_token(&self, now: Timestamp) -> anyhow::Result<Token> {
        self.mint(SERVER_SCOPE, None, MAX_SERVER_MINUTES, now)
    }

    /// A token for the widget in a page.
    ///
    /// # Errors
    /// As [`LocalAccount::mint`].
    pub fn widget_token(&self, now: Timestamp) -> anyhow::Result<Token> {
        self.mint(WIDGET_SCOPE, None, MAX_WIDGET_MINUTES, now)
    }
}

fn key_file(folder: &Path, id: &AccountId) -> PathBuf {
    folder.join(format!("{id}.pem"))
}
