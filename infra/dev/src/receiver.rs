//! The CRM's receiver of changes of status: verifies each delivery as Standard Webhooks says, and keeps the newest.
//!
//! It is what a CRM vendor writes. Deliveries may come twice and in any order; what has been seen by its id is not seen again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use leadlight::change::CloudEvent;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// How many changes are kept, the newest.
const MOST_KEPT: usize = 50;
/// How old or new a delivery may be, in seconds.
const TOLERANCE_S: i64 = 5 * 60;

/// The receiver. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Receiver(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    secret: SecretString,
    events: VecDeque<CloudEvent>,
}

impl Receiver {
    /// Takes the secret that deliveries are signed with from now on.
    pub fn trust(&self, secret: &str) {
        self.lock().secret = secret.into();
    }

    /// The changes that were received, the newest first.
    #[must_use]
    pub fn events(&self) -> Vec<CloudEvent> {
        self.lock().events.iter().cloned().collect()
    }

    /// `POST /crm/webhook`, and `GET /crm/changes` for the pages.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/crm/webhook", post(receive))
            .route(
                "/crm/changes",
                get(async |State(receiver): State<Self>| axum::Json(receiver.events())),
            )
            .with_state(self.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut kept = receiver.lock();
    if verify(
        kept.secret.expose_secret(),
        &headers,
        &body,
        Timestamp::now(),
    )
    .is_none()
    {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<CloudEvent>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    if kept.events.iter().all(|known| known.id != event.id) {
        kept.events.push_front(event);
        kept.events.truncate(MOST_KEPT);
    }
    StatusCode::NO_CONTENT
}

/// `None` unless one of the signatures is that of `secret`, and the delivery is of this time.
fn verify(secret: &str, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<()> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let age_s = now.as_second().abs_diff(timestamp.parse().ok()?);
    (age_s <= TOLERANCE_S.unsigned_abs()).then_some(())?;
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    hmac.update(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat());
    let signed = |signature: &str| {
        let octets = STANDARD.decode(signature.strip_prefix("v1,")?).ok()?;
        hmac.clone().verify_slice(&octets).ok()
    };
    header("webhook-signature")?.split(' ').find_map(signed)
}
