//! Signatures after the Standard Webhooks specification 1.0.0: HMAC-SHA256 over `id.timestamp.body`, one for each secret that holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::table::item::WebhookSecret;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// Octets of a new key: the specification asks for 24 to 64.
const KEY_OCTETS: usize = 32;

/// A new secret.
pub(crate) fn new_secret() -> SecretString {
    let key: Zeroizing<[u8; KEY_OCTETS]> = Zeroizing::new(rand::random());
    let text = Zeroizing::new(STANDARD.encode(*key));
    [PREFIX, &text].concat().into()
}

/// The headers of a delivery that is made at `now`.
pub(super) fn headers(
    secrets: &[WebhookSecret],
    id: &str,
    body: &str,
    now: Timestamp,
) -> [(&'static str, String); 3] {
    let timestamp = now.as_second().to_string();
    let signed = [id, &timestamp, body].join(".");
    let signatures: Vec<String> = secrets
        .iter()
        .filter(|secret| secret.until.is_none_or(|until| now < until))
        .filter_map(|secret| sign(secret.secret.expose_secret(), &signed))
        .collect();
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ]
}

fn sign(secret: &str, signed: &str) -> Option<String> {
    let key = Zeroizing::new(STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?);
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    hmac.update(signed.as_bytes());
    Some(["v1,", &STANDARD.encode(hmac.finalize().into_bytes())].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries (their tests share it).
    #[test]
    fn a_signature_is_what_the_specification_says() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(
            sign(secret, signed).as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn a_former_secret_signs_as_well_until_its_time() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let until = |second| Some(Timestamp::from_second(second).unwrap());
        let secret = |until| WebhookSecret {
            secret: new_secret(),
            until,
        };
        let signatures = |secrets: &[WebhookSecret]| {
            let [_, _, (_, signatures)] = headers(secrets, "msg_1", "{}", now);
            signatures.split(' ').count()
        };
        assert_eq!(signatures(&[secret(None), secret(until(1_000_001))]), 2);
        assert_eq!(signatures(&[secret(None), secret(until(1_000_000))]), 1);
        let shown = format!("{:?}", secret(None));
        assert!(!shown.contains("whsec_"), "{shown}");
    }
}
