//! What SNS, SQS and `EventBridge` put around a notification on its way to the feedback function.

use jiff::Timestamp;
use leadlight_dev::ses::sns_envelope;
use serde_json::{Value, json};

/// SNS's envelope around a notification, as text.
pub(crate) fn sns(notification: &Value) -> String {
    sns_envelope(&notification.to_string(), Timestamp::now()).to_string()
}

/// SNS's envelope as Lambda gets it without a queue between: other spellings of some names.
pub(crate) fn sns_to_lambda(notification: &Value) -> Value {
    let mut envelope = sns_envelope(&notification.to_string(), Timestamp::now());
    let fields = envelope.as_object_mut().unwrap();
    for name in ["SigningCert", "Unsubscribe"] {
        let url = fields.remove(&format!("{name}URL")).unwrap();
        fields.insert(format!("{name}Url"), url);
    }
    json!({ "Records": [{
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:eu-central-1:123456789012:feedback:7d1a2c4e",
        "EventSource": "aws:sns",
        "Sns": envelope,
    }] })
}

/// `EventBridge`'s envelope around a notification.
pub(crate) fn eventbridge(notification: &Value) -> Value {
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Email Bounced",
        "source": "aws.ses",
        "account": "123456789012",
        "time": Timestamp::now(),
        "region": "eu-central-1",
        "resources": [],
        "detail": notification,
    })
}

/// A batch of these bodies from SQS. The id of a message is its place in the batch.
pub(crate) fn sqs(bodies: &[String]) -> Value {
    let record = |(place, body): (usize, &String)| {
        json!({
            "messageId": place.to_string(),
            "receiptHandle": "handle",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": Timestamp::now().as_millisecond().to_string(),
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1748768442320",
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:feedback",
            "awsRegion": "eu-central-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}
