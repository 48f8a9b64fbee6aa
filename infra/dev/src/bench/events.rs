//! The events that functions are measured with: bounces as SES publishes them, in SNS's envelopes, in SQS's records.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{queue, ses};

/// The account whose mail bounced.
pub(super) const ACCOUNT: &str = "bench";

/// Addresses that nobody had before.
pub(super) fn addresses(count: usize) -> Vec<String> {
    let address = |_| format!("person.{}@customer.example", uuid::Uuid::new_v4().simple());
    (0..count).map(address).collect()
}

/// A batch of one new bounce for each address.
pub(super) fn batch(addresses: &[String]) -> Value {
    let now = Timestamp::now();
    let record = |address: &String| {
        let body = ses::sns_envelope(&bounce(address, now).to_string(), now).to_string();
        queue::sqs_record(&body, now)
    };
    let records: Vec<Value> = addresses.iter().map(record).collect();
    json!({ "Records": records })
}

/// After the SES developer guide, *Contents of event data that SES publishes*.
fn bounce(address: &str, now: Timestamp) -> Value {
    let id = uuid::Uuid::new_v4().simple();
    let diagnosis =
        format!("smtp; 550 5.1.1 <{address}>: Recipient address rejected: User unknown");
    json!({
        "eventType": "Bounce",
        "bounce": {
            "feedbackId": format!("0100{id}-000000"),
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [
                { "emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": diagnosis },
            ],
            "timestamp": now,
            "remoteMtaIp": "198.51.100.7",
            "reportingMTA": "dsn; a8-1.smtp-out.example",
        },
        "mail": {
            "timestamp": now,
            "source": "no-reply@sender.example",
            "sourceArn": "arn:aws:ses:us-east-1:000000000000:identity/sender.example",
            "sendingAccountId": "000000000000",
            "messageId": format!("0100{id}-000001"),
            "destination": [address],
            "headersTruncated": false,
            "headers": [
                { "name": "From", "value": "no-reply@sender.example" },
                { "name": "To", "value": address },
                { "name": "Subject", "value": "Your receipt" },
                { "name": "MIME-Version", "value": "1.0" },
            ],
            "commonHeaders": { "from": ["no-reply@sender.example"], "to": [address], "subject": "Your receipt" },
            "tags": { "ses:configuration-set": ["main"], "leadlight-account": [ACCOUNT] },
        },
    })
}

/// A number of things, to reckon with.
pub(super) fn count(things: usize) -> f64 {
    u32::try_from(things).map_or(f64::INFINITY, f64::from)
}
