//! The envelopes in which a notification can reach the function, taken off without looking at what is inside.
//!
//! SNS wraps it (straight to Lambda, or as the body of an SQS message), `EventBridge` wraps it, raw delivery does not; each may be
//! inside another. Shapes: SNS developer guide, *http-notification-json*; SES developer guide, *event publishing*; Lambda developer
//! guide, *using SQS*. No URL in an envelope is ever fetched.

use jiff::Timestamp;
use serde_json::Value;

/// An event of the function, its envelopes taken off.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// From a queue: each record is answered for by its id.
    Queue(Vec<Record>),
    /// From SNS or `EventBridge`: one answer for all.
    Direct(Vec<Letter>),
}

/// A record of a queue.
#[derive(Debug, PartialEq)]
pub(crate) struct Record {
    /// SQS's id of this delivery. Changes when the message is redriven, so it identifies nothing else.
    pub(crate) id: String,
    pub(crate) letter: Letter,
}

/// What was in the envelopes.
#[derive(Debug, PartialEq)]
pub(crate) enum Letter {
    /// Something to be read as a notification of SES.
    Published {
        text: String,
        received_at: Option<Timestamp>,
    },
    /// SNS says something about a subscription of its own: `SubscriptionConfirmation` or `UnsubscribeConfirmation`.
    Subscription { kind: String },
}

/// Takes the envelopes off. `None` for an event that no trigger of this function sends, or one whose records cannot be answered
/// for.
pub(crate) fn open(event: &Value) -> Option<Event> {
    let Some(records) = event.get("Records") else {
        event.as_object()?;
        return Some(Event::Direct(vec![letter(event, None)]));
    };
    let records = records.as_array()?;
    if records.iter().any(|record| record.get("Sns").is_some()) {
        return records
            .iter()
            .map(|record| record.get("Sns").map(|sns| letter(sns, None)))
            .collect::<Option<_>>()
            .map(Event::Direct);
    }
    records
        .iter()
        .map(record)
        .collect::<Option<_>>()
        .map(Event::Queue)
}

fn record(record: &Value) -> Option<Record> {
    let id = text(record, "messageId")?.to_owned();
    let sent_at = record
        .get("attributes")
        .and_then(|attributes| text(attributes, "SentTimestamp"));
    let sent_at = sent_at.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok());
    let letter = match parsed(text(record, "body")?, None) {
        Letter::Published { text, received_at } => Letter::Published {
            text,
            received_at: received_at.or(sent_at),
        },
        subscription @ Letter::Subscription { .. } => subscription,
    };
    Some(Record { id, letter })
}

/// What is in a text that may be an envelope. A text that is no JSON may still be SES's probe.
pub(super) fn parsed(text: &str, received_at: Option<Timestamp>) -> Letter {
    let text = text.trim_start_matches('\u{feff}');
    let value = serde_json::from_str::<Value>(text).ok();
    value
        .and_then(|value| unwrapped(&value, received_at))
        .unwrap_or_else(|| Letter::Published {
            text: text.to_owned(),
            received_at,
        })
}

/// What is in a value that may be an envelope.
fn letter(value: &Value, received_at: Option<Timestamp>) -> Letter {
    unwrapped(value, received_at).unwrap_or_else(|| Letter::Published {
        text: value.to_string(),
        received_at,
    })
}

/// What is in an envelope; `None` if it is none. The outermost time of receipt counts: it is the same in every redelivery.
fn unwrapped(value: &Value, received_at: Option<Timestamp>) -> Option<Letter> {
    if let Some((kind, message)) = text(value, "Type").zip(text(value, "Message")) {
        let received_at = received_at.or_else(|| time(value, "Timestamp"));
        return Some(match kind {
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => Letter::Subscription {
                kind: kind.to_owned(),
            },
            _notification => parsed(message, received_at),
        });
    }
    let (_, detail) = value.get("detail-type").zip(value.get("detail"))?;
    Some(letter(detail, received_at.or_else(|| time(value, "time"))))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn time(value: &Value, name: &str) -> Option<Timestamp> {
    text(value, name).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SNS_TIME: &str = "2026-11-22T10:00:00.500Z";

    fn ses() -> Value {
        json!({"eventType": "Bounce", "mail": {"messageId": "m-1"}})
    }

    fn sns(message: &str) -> Value {
        json!({"Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": message,
            "Timestamp": SNS_TIME, "SignatureVersion": "1", "UnsubscribeURL": "https://example.com/"})
    }

    fn eventbridge() -> Value {
        json!({"version": "0", "detail-type": "Email Bounced", "source": "aws.ses", "time": "2026-11-22T09:59:59Z", "detail": ses()})
    }

    fn sqs(body: &str) -> Value {
        json!({"Records": [{"messageId": "sqs-1", "body": body, "attributes": {"SentTimestamp": "1795341602000"},
            "eventSource": "aws:sqs"}]})
    }

    fn published(received_at: Option<&str>) -> Letter {
        Letter::Published {
            text: ses().to_string(),
            received_at: received_at.map(|time| time.parse().unwrap()),
        }
    }

    fn queued(letter: Letter) -> Event {
        Event::Queue(vec![Record {
            id: "sqs-1".to_owned(),
            letter,
        }])
    }

    #[test]
    fn every_envelope_comes_off() {
        let direct = |letter| Event::Direct(vec![letter]);
        let sns_to_lambda =
            json!({"Records": [{"EventSource": "aws:sns", "Sns": sns(&ses().to_string())}]});
        let in_both = sns(&eventbridge().to_string());
        let rows = [
            (
                "SNS to Lambda",
                sns_to_lambda,
                direct(published(Some(SNS_TIME))),
            ),
            (
                "SNS in SQS",
                sqs(&sns(&ses().to_string()).to_string()),
                queued(published(Some(SNS_TIME))),
            ),
            (
                "raw delivery",
                sqs(&ses().to_string()),
                queued(published(Some("2026-11-22T10:00:02Z"))),
            ),
            (
                "EventBridge in SQS",
                sqs(&eventbridge().to_string()),
                queued(published(Some("2026-11-22T09:59:59Z"))),
            ),
            (
                "EventBridge in SNS in SQS",
                sqs(&in_both.to_string()),
                queued(published(Some(SNS_TIME))),
            ),
            (
                "EventBridge to Lambda",
                eventbridge(),
                direct(published(Some("2026-11-22T09:59:59Z"))),
            ),
            (
                "bare SNS",
                sns(&ses().to_string()),
                direct(published(Some(SNS_TIME))),
            ),
            ("bare SES", ses(), direct(published(None))),
            (
                "a byte order mark",
                sqs(&format!("\u{feff}{}", ses())),
                queued(published(Some("2026-11-22T10:00:02Z"))),
            ),
        ];
        for (row, event, expected) in rows {
            assert_eq!(open(&event), Some(expected), "{row}");
        }
    }

    #[test]
    fn what_is_no_json_is_left_to_be_read() {
        let probe = "Successfully validated SNS topic for Amazon SES event publishing.";
        let Some(Event::Direct(letters)) = open(&sns(probe)) else {
            panic!()
        };
        assert_eq!(
            letters,
            [Letter::Published {
                text: probe.to_owned(),
                received_at: SNS_TIME.parse().ok()
            }]
        );
    }

    #[test]
    fn words_about_a_subscription_are_told_apart() {
        for kind in ["SubscriptionConfirmation", "UnsubscribeConfirmation"] {
            let mut message = sns("You have chosen to subscribe");
            message["Type"] = json!(kind);
            message["SubscribeURL"] =
                json!("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription");
            assert_eq!(
                open(&sqs(&message.to_string())),
                Some(queued(Letter::Subscription {
                    kind: kind.to_owned()
                }))
            );
        }
    }

    #[test]
    fn an_event_of_another_kind_is_none() {
        for event in [
            json!(null),
            json!([]),
            json!("text"),
            json!(7),
            json!({"Records": 7}),
            json!({"Records": [7]}),
            json!({"Records": [{"body": "{}"}]}),
            json!({"Records": [{"messageId": "1"}]}),
        ] {
            assert_eq!(open(&event), None, "{event}");
        }
        assert_eq!(
            open(&json!({"Records": []})),
            Some(Event::Queue(Vec::new()))
        );
    }
}
