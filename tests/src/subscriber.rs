//! Notifications that SNS delivers by HTTPS: what is SNS's is recorded and confirmed, and nobody else gets anything done.

use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::header::CONTENT_TYPE;
use leadlight_dev::sns::{Certificate, HOST, Issuer, TOPIC};
use leadlight_functions::app::Leadlight;
use serde_json::{Value, json};

use crate::notifications::{GENERAL, NO_EMAIL, bounce, bounce_of, complaint};
use crate::proxy::Act;
use crate::world::{ANN, Reply, World, answer, minutes_ago, on_both_engines, request};

on_both_engines!(
    a_notification_by_https_is_recorded_once,
    what_cannot_be_recorded_is_left_to_the_dead_letters,
    what_cannot_be_recorded_now_comes_again,
);

/// What SNS would be answered.
async fn post(app: &Leadlight, message: &Value, now: Timestamp) -> Reply {
    post_text(app, &message.to_string(), now).await
}

async fn post_text(app: &Leadlight, text: &str, now: Timestamp) -> Reply {
    let body = Body::Text(text.to_owned());
    let mut request = request("POST", "/v1/notifications", None, body);
    let kind = "text/plain; charset=UTF-8".parse().unwrap();
    request.headers_mut().insert(CONTENT_TYPE, kind);
    answer(app, request, now).await
}

#[track_caller]
fn check_outcome(reply: &Reply, outcome: &str) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body, json!({ "outcome": outcome }));
}

/// `message` with other fields, as they are; `null` takes one away.
fn with(mut message: Value, changes: Value) -> Value {
    let fields = message.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap().clone() {
        fields.insert(name, value);
    }
    fields.retain(|_, value| !value.is_null());
    message
}

async fn a_notification_by_https_is_recorded_once(world: World) {
    let now = Timestamp::now();
    world.save("ann", ANN).await;
    let event = bounce(ANN, NO_EMAIL, minutes_ago(5));
    let message = world.sns.notification(&event.to_string(), now).unwrap();
    check_outcome(&post(&world.app, &message, now).await, "recorded");
    assert_eq!(world.status("ann").await.status, "blocklisted");
    let recorded = world.record(ANN).await.unwrap();
    // SNS saw no answer and comes again; the other signature version and the queue bring the same event.
    let newer = world
        .sns
        .sign(with(message.clone(), json!({ "SignatureVersion": "2" })))
        .unwrap();
    for again in [&message, &newer] {
        check_outcome(&post(&world.app, again, now).await, "recorded");
    }
    world.deliver(&[event]).await;
    assert_eq!(world.record(ANN).await.unwrap(), recorded);
    // The certificate and its issuer were fetched once.
    let asked = world.sns.take_asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

async fn what_cannot_be_recorded_is_left_to_the_dead_letters(world: World) {
    let now = Timestamp::now();
    let mut nobodys = bounce(ANN, GENERAL, minutes_ago(5));
    nobodys["mail"]["tags"] = json!({ "leadlight-account": ["nobody"] });
    nobodys["mail"]["source"] = json!("news@nobody.example");
    nobodys["mail"]["sourceArn"] = json!(null);
    let partly = bounce_of(&["not an address", ANN], GENERAL, minutes_ago(5));
    for (why, text) in [
        ("rubbish", "rubbish".to_owned()),
        ("JSON of something else", json!({ "a": 1 }).to_string()),
        ("nobody's", nobodys.to_string()),
        ("a recipient that is none", partly.to_string()),
    ] {
        let message = world.sns.notification(&text, now).unwrap();
        let reply = post(&world.app, &message, now).await;
        // A 4xx: SNS does not try again, and keeps it.
        let problem = reply.problem(422, "unreadable-notification");
        assert_eq!(problem.field.as_deref(), Some("/Message"), "{why}");
    }
    assert!(
        world.record(ANN).await.is_some(),
        "the recipient beside the one that is none must be recorded"
    );
    let probe = "Successfully validated SNS topic for Amazon SES event publishing.";
    let message = world.sns.notification(probe, now).unwrap();
    check_outcome(&post(&world.app, &message, now).await, "recorded");
}

async fn what_cannot_be_recorded_now_comes_again(world: World) {
    let now = Timestamp::now();
    let event = complaint(&[ANN], minutes_ago(5)).to_string();
    let message = world.sns.notification(&event, now).unwrap();
    let app = world.restarted();
    world.table_calls.script(|_| Act::throttle());
    let reply = post(&app, &message, now).await;
    reply.problem(503, "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    assert!(world.record(ANN).await.is_none());
    world.table_calls.behave();
    check_outcome(&post(&app, &message, now).await, "recorded");
    assert!(world.record(ANN).await.is_some());
}

/// What is done to a message before it is posted.
type Forge = fn(&World, Value) -> Value;

/// Signs what was changed, as somebody could who gets SNS to sign for a topic of their own.
fn signed(world: &World, message: Value, changes: Value) -> Value {
    world.sns.sign(with(message, changes)).unwrap()
}

/// Ways around the checks of others (see the security notes of SNS's developer guide, CVE-2026-32096, and the advisories of
/// django-ses, novu and the AWS validators), and what each gets here.
#[expect(clippy::too_many_lines, reason = "a table")]
fn forgeries() -> Vec<(&'static str, Forge, u16, &'static str, &'static str)> {
    vec![
        (
            "no signature",
            |_, m| with(m, json!({ "Signature": null })),
            422,
            "missing",
            "/Signature",
        ),
        (
            "an empty signature",
            |_, m| with(m, json!({ "Signature": "" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "a signature of nothing",
            |_, m| with(m, json!({ "Signature": "c2lnbmVk" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "a signature that is no Base64",
            |_, m| with(m, json!({ "Signature": "%%%" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "a signature that is a number",
            |_, m| with(m, json!({ "Signature": 7 })),
            422,
            "invalid_value",
            "/Signature",
        ),
        (
            "another message's signature",
            |w, m| {
                let other = signed(w, m.clone(), json!({ "Message": "another" }));
                with(m, json!({ "Signature": other["Signature"] }))
            },
            403,
            "signature",
            "/Signature",
        ),
        (
            "another recipient",
            |_, m| {
                let text = m["Message"]
                    .as_str()
                    .unwrap()
                    .replace(ANN, "boss@lead.example");
                with(m, json!({ "Message": text }))
            },
            403,
            "signature",
            "/Signature",
        ),
        (
            "a blank more",
            |_, m| {
                let text = format!("{} ", m["Message"].as_str().unwrap());
                with(m, json!({ "Message": text }))
            },
            403,
            "signature",
            "/Signature",
        ),
        (
            "another id",
            |_, m| with(m, json!({ "MessageId": "2" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "another subject",
            |_, m| with(m, json!({ "Subject": "Hello" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "the subject taken away",
            |_, m| with(m, json!({ "Subject": null })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "a later time",
            |_, m| {
                let later = Timestamp::now() + SignedDuration::from_secs(60);
                with(m, json!({ "Timestamp": format!("{later:.3}") }))
            },
            403,
            "signature",
            "/Signature",
        ),
        (
            "said to be of the other version",
            |_, m| with(m, json!({ "SignatureVersion": "2" })),
            403,
            "signature",
            "/Signature",
        ),
        (
            "version 3",
            |_, m| with(m, json!({ "SignatureVersion": "3" })),
            422,
            "invalid_value",
            "/SignatureVersion",
        ),
        (
            "version 0",
            |_, m| with(m, json!({ "SignatureVersion": "0" })),
            422,
            "invalid_value",
            "/SignatureVersion",
        ),
        (
            "a version that is a number",
            |_, m| with(m, json!({ "SignatureVersion": 1 })),
            422,
            "invalid_value",
            "/SignatureVersion",
        ),
        (
            "no version",
            |_, m| with(m, json!({ "SignatureVersion": null })),
            422,
            "missing",
            "/SignatureVersion",
        ),
        // Types.
        (
            "another type",
            |w, m| signed(w, m, json!({ "Type": "Message" })),
            422,
            "invalid_value",
            "/Type",
        ),
        (
            "a type in small letters",
            |w, m| signed(w, m, json!({ "Type": "notification" })),
            422,
            "invalid_value",
            "/Type",
        ),
        (
            "raw delivery",
            |_, m| serde_json::from_str(m["Message"].as_str().unwrap()).unwrap(),
            422,
            "missing",
            "/Type",
        ),
        (
            "a notification passed off as a confirmation",
            |_, m| {
                with(
                    m,
                    json!({ "Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://evil.example/" }),
                )
            },
            403,
            "signature",
            "/Signature",
        ),
        (
            "fields behind a line break",
            |w, m| {
                // The signed text of both is the same: where one field ends is told by nothing.
                let at = m["Timestamp"].as_str().unwrap().to_owned();
                let signature = w.sns.sign(with(m.clone(), json!({
                "MessageId": "1", "Subject": null, "Message": format!("x\nMessageId\n1\nSubject\ny\nTimestamp\n{at}"),
            }))).unwrap();
                with(
                    m,
                    json!({
                        "Message": "x", "MessageId": format!("1\nSubject\ny\nTimestamp\n{at}\nMessageId\n1"), "Subject": null,
                        "Signature": signature["Signature"],
                    }),
                )
            },
            422,
            "control_character",
            "/MessageId",
        ),
        (
            "a line break in the subject",
            |w, m| signed(w, m, json!({ "Subject": "a\nTimestamp\nb" })),
            422,
            "control_character",
            "/Subject",
        ),
        // Topics.
        (
            "a topic of somebody's",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "TopicArn": "arn:aws:sns:us-east-1:666666666666:leadlight-feedback" }),
                )
            },
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "another topic of the account",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "TopicArn": "arn:aws:sns:us-east-1:000000000000:leadlight" }),
                )
            },
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "a longer name",
            |w, m| signed(w, m, json!({ "TopicArn": format!("{TOPIC}-evil") })),
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "another region",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "TopicArn": TOPIC.replace("us-east-1", "us-west-2") }),
                )
            },
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "capitals",
            |w, m| signed(w, m, json!({ "TopicArn": TOPIC.to_uppercase() })),
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "a blank behind",
            |w, m| signed(w, m, json!({ "TopicArn": format!("{TOPIC} ") })),
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "two topics",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "TopicArn": format!("{TOPIC},arn:aws:sns:us-east-1:666666666666:evil") }),
                )
            },
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "an empty topic",
            |w, m| signed(w, m, json!({ "TopicArn": "" })),
            403,
            "topic",
            "/TopicArn",
        ),
        (
            "no topic",
            |_, m| with(m, json!({ "TopicArn": null })),
            422,
            "missing",
            "/TopicArn",
        ),
        (
            "a list of topics",
            |_, m| with(m, json!({ "TopicArn": [TOPIC] })),
            422,
            "invalid_value",
            "/TopicArn",
        ),
        // Times.
        (
            "an hour and two minutes old",
            |w, m| {
                let old = Timestamp::now() - SignedDuration::from_mins(62);
                signed(w, m, json!({ "Timestamp": format!("{old:.3}") }))
            },
            403,
            "time",
            "/Timestamp",
        ),
        (
            "of next year",
            |w, m| signed(w, m, json!({ "Timestamp": "2999-01-01T00:00:00.000Z" })),
            403,
            "time",
            "/Timestamp",
        ),
        (
            "six minutes ahead",
            |w, m| {
                let ahead = Timestamp::now() + SignedDuration::from_mins(6);
                signed(w, m, json!({ "Timestamp": format!("{ahead:.3}") }))
            },
            403,
            "time",
            "/Timestamp",
        ),
        (
            "no time",
            |_, m| with(m, json!({ "Timestamp": null })),
            422,
            "missing",
            "/Timestamp",
        ),
        (
            "a time that is a word",
            |w, m| signed(w, m, json!({ "Timestamp": "now" })),
            422,
            "invalid_value",
            "/Timestamp",
        ),
        // Certificates.
        (
            "a certificate of somebody's",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "https://evil.example/SimpleNotificationService-0.pem" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "a certificate in a bucket",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "https://s3.amazonaws.com/evil/SimpleNotificationService-0.pem" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "a certificate in the bucket sns",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0.pem" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "the certificate of another region",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0.pem" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "an answer of the API itself for a certificate",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": format!("https://{HOST}/?Action=GetTopicAttributes&x=/SimpleNotificationService-0.pem") }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "a certificate without TLS",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": format!("http://{HOST}/SimpleNotificationService-0.pem") }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "what the cloud tells its machines",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "http://169.254.169.254/latest/meta-data/" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "a file",
            |w, m| {
                signed(
                    w,
                    m,
                    json!({ "SigningCertURL": "file:///etc/ssl/certs/ca-certificates.crt" }),
                )
            },
            403,
            "certificate_url",
            "/SigningCertURL",
        ),
        (
            "no certificate",
            |_, m| with(m, json!({ "SigningCertURL": null })),
            422,
            "missing",
            "/SigningCertURL",
        ),
        (
            "Lambda's spelling",
            |_, m| {
                let url = m["SigningCertURL"].clone();
                with(m, json!({ "SigningCertURL": null, "SigningCertUrl": url }))
            },
            422,
            "missing",
            "/SigningCertURL",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_by_sns_for_this_topic_is_refused() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let event = bounce(ANN, NO_EMAIL, minutes_ago(5)).to_string();
    let good = world.sns.notification(&event, now).unwrap();
    for (why, forge, status, code, field) in forgeries() {
        let message = forge(&world, good.clone());
        let reply = post(&world.app, &message, now).await;
        assert_eq!(reply.status, status, "{why}: {reply:?}");
        let kind = if status == 403 {
            "untrusted-message"
        } else {
            "invalid-field"
        };
        let problem = reply.problem(status, kind);
        let said = (problem.code.as_deref(), problem.field.as_deref());
        assert_eq!(said, (Some(code), Some(field)), "{why}");
    }
    assert!(
        world.record(ANN).await.is_none(),
        "nothing must be recorded"
    );
    assert!(world.sns.confirmations().is_empty());
    let asked = world.sns.take_asked();
    let is_fetched = |url: &String| url.contains(".pem") || url.contains("amazontrust.com");
    assert!(asked.iter().all(is_fetched), "{asked:?}");
    check_outcome(&post(&world.app, &good, now).await, "recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_told_what_is_wrong() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    for (why, text, status, code) in [
        ("nothing", String::new(), 400, "malformed-json"),
        ("words", "hello".to_owned(), 400, "malformed-json"),
        (
            "brackets without end",
            "[".repeat(60_000),
            400,
            "malformed-json",
        ),
        ("a list", "[]".to_owned(), 422, "invalid-field"),
        ("an object", "{}".to_owned(), 422, "invalid-field"),
        (
            "more than a message",
            " ".repeat(1024 * 1024 + 1),
            413,
            "body-too-large",
        ),
    ] {
        let reply = post_text(&world.app, &text, now).await;
        assert_eq!(reply.status, status, "{why}");
        reply.problem(status, code);
    }
    for (method, path, status, code) in [
        ("GET", "/v1/notifications", 405, "method-not-allowed"),
        ("PUT", "/v1/notifications", 405, "method-not-allowed"),
    ] {
        let request = request(method, path, None, Body::Empty);
        answer(&world.app, request, now).await.problem(status, code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_without_topics_takes_nothing() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let app = world.taking("");
    for message in [
        world.sns.notification("hello", now),
        world.sns.subscription(now),
    ] {
        let reply = post(&app, &message.unwrap(), now).await;
        let problem = reply.problem(403, "untrusted-message");
        assert_eq!(problem.code.as_deref(), Some("topic"));
    }
    assert_eq!(world.sns.take_asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_confirmed_by_the_api_and_no_url_is_visited() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let message = world.sns.subscription(now).unwrap();
    // Even a URL that SNS itself signed is nobody's to visit.
    let evil = json!({ "SubscribeURL": "http://169.254.169.254/latest/meta-data/" });
    let message = world.sns.sign(with(message, evil)).unwrap();
    check_outcome(&post(&world.app, &message, now).await, "confirmed");
    let [confirmation] = &world.sns.confirmations()[..] else {
        panic!("one call must confirm it")
    };
    let given = |name: &str| confirmation.get(name).map(String::as_str);
    assert_eq!(given("TopicArn"), Some(TOPIC));
    assert_eq!(given("Token"), message["Token"].as_str());
    assert_eq!(given("AuthenticateOnUnsubscribe"), Some("true"));
    let asked = world.sns.take_asked();
    let [certificate, issuer, call] = &asked[..] else {
        panic!("the certificate, its issuer and the call: {asked:?}")
    };
    assert_eq!(
        message["SigningCertURL"].as_str(),
        Some(certificate.as_str())
    );
    assert!(issuer.contains(".amazontrust.com/"), "{issuer}");
    assert_eq!(call, "POST");
    // SNS knows the token no more.
    let reply = post(&world.app, &message, now).await;
    let problem = reply.problem(422, "unknown-subscription");
    assert_eq!(problem.field.as_deref(), Some("/Token"));
    let bare = world.sns.subscription(now).unwrap();
    let bare = world
        .sns
        .sign(with(bare, json!({ "Token": null })))
        .unwrap();
    let problem = post(&world.app, &bare, now)
        .await
        .problem(422, "invalid-field");
    assert_eq!(problem.field.as_deref(), Some("/Token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_subscription_is_not_taken_up_again() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let message = world.sns.unsubscription(now).unwrap();
    check_outcome(&post(&world.app, &message, now).await, "noted");
    assert!(world.sns.confirmations().is_empty());
    assert!(!world.sns.take_asked().contains(&"POST".to_owned()));
    // Its token is part of what is signed.
    let forged = with(message, json!({ "Token": "t" }));
    let reply = post(&world.app, &forged, now).await;
    let problem = reply.problem(403, "untrusted-message");
    assert_eq!(problem.code.as_deref(), Some("signature"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_certificate_of_sns_that_is_good_now_is_believed() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let day = SignedDuration::from_hours(24);
    let names = |names: &[&str]| Certificate {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Certificate::default()
    };
    let by = |issuer| Certificate {
        issuer,
        ..Certificate::default()
    };
    let from_until = |from, until| Certificate {
        from,
        until,
        ..Certificate::default()
    };
    let rows = [
        ("as SNS's are", Certificate::default(), true),
        ("with its issuer in the file", by(Issuer::Enclosed), true),
        ("signed by the root", by(Issuer::Root), true),
        (
            "of the region",
            names(&["sns-signing.us-east-1.amazonaws.com"]),
            true,
        ),
        ("of the host", names(&["evil.example", HOST]), true),
        ("signed by itself", by(Issuer::Itself), false),
        ("of somebody", names(&["evil.example"]), false),
        (
            "of another service",
            names(&["sqs.us-east-1.amazonaws.com"]),
            false,
        ),
        (
            "of another region",
            names(&["sns-signing.us-west-2.amazonaws.com"]),
            false,
        ),
        (
            "of everything of Amazon's",
            names(&["*.us-east-1.amazonaws.com"]),
            true,
        ),
        (
            "of a longer name",
            names(&["sns.amazonaws.com.evil.example"]),
            false,
        ),
        ("expired", from_until(now - day * 2, now - day), false),
        ("not good yet", from_until(now + day, now + day * 2), false),
    ];
    for (why, certificate, is_good) in rows {
        let url = world.sns.issue(&certificate).unwrap();
        let reply = post(&world.app, &probe(&world, &url, now), now).await;
        if is_good {
            check_outcome(&reply, "recorded");
        } else {
            assert_eq!(reply.status, 403, "{why}: {reply:?}");
            let problem = reply.problem(403, "untrusted-message");
            assert_eq!(problem.code.as_deref(), Some("certificate"), "{why}");
        }
    }
}

/// A message that says nothing, with its certificate at `url`.
fn probe(world: &World, url: &str, now: Timestamp) -> Value {
    let text = "Successfully validated SNS topic for Amazon SES event publishing.";
    let message = leadlight_dev::ses::sns_envelope(text, now);
    let changes = json!({ "SigningCertURL": url, "SignatureVersion": "2" });
    world.sns.sign(with(message, changes)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_comes_from_its_one_place_or_not_at_all() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let good = world.sns.issue(&Certificate::default()).unwrap();
    let at = |id: u32| format!("https://{HOST}/SimpleNotificationService-{id:032x}.pem");
    world.sns.redirect(&at(1), &good);
    world.sns.redirect(
        &at(2),
        "https://evil.example/SimpleNotificationService-0.pem",
    );
    world.sns.put(&at(3), 200, b"<ErrorResponse/>".to_vec());
    world.sns.put(&at(4), 200, Vec::new());
    world.sns.put(&at(5), 403, b"denied".to_vec());
    let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    world.sns.put(&at(6), 200, garbage.as_bytes().to_vec());
    world.sns.put(&at(8), 500, Vec::new());
    world.sns.put(&at(9), 429, Vec::new());
    world.sns.put(&at(10), 200, vec![b'-'; 33 * 1024]);
    let refused = [
        ("a redirect to a good one", 1, "no_certificate"),
        ("a redirect elsewhere", 2, "no_certificate"),
        ("XML", 3, "no_certificate"),
        ("nothing in the file", 4, "no_certificate"),
        ("a file that may not be read", 5, "no_certificate"),
        ("PEM of something else", 6, "certificate"),
        ("no file", 7, "no_certificate"),
    ];
    for (why, id, code) in refused {
        let reply = post(&world.app, &probe(&world, &at(id), now), now).await;
        let problem = reply.problem(403, "untrusted-message");
        assert_eq!(problem.code.as_deref(), Some(code), "{why}");
    }
    for (why, id) in [
        ("an outage", 8),
        ("too many questions", 9),
        ("a file without end", 10),
    ] {
        let reply = post(&world.app, &probe(&world, &at(id), now), now).await;
        assert_eq!(reply.status, 503, "{why}: {reply:?}");
        reply.problem(503, "unavailable");
    }
    let asked = world.sns.take_asked();
    assert!(
        asked
            .iter()
            .all(|url| url.starts_with(&format!("https://{HOST}/"))),
        "{asked:?}"
    );
    assert!(!asked.contains(&good), "redirects must not be followed");
    // Whoever stands where SNS should has to have its certificate for TLS: this one has none for another region.
    let elsewhere = TOPIC.replace("us-east-1", "eu-west-1");
    let message = leadlight_dev::ses::sns_envelope("hello", now);
    let url = good.replace("us-east-1", "eu-west-1");
    let changes = json!({ "TopicArn": elsewhere, "SigningCertURL": url });
    let message = world.sns.sign(with(message, changes)).unwrap();
    let reply = post(&world.taking(&elsewhere), &message, now).await;
    reply.problem(503, "unavailable");
    assert_eq!(world.sns.take_asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_kept_for_a_day_and_not_longer_than_it_is_good() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    let lasting = world.sns.issue(&Certificate::default()).unwrap();
    let brief = Certificate {
        until: now + hours(2),
        ..Certificate::default()
    };
    let brief = world.sns.issue(&brief).unwrap();
    let mut fetched = Vec::new();
    for hour in [0, 1, 23, 25] {
        let now = now + hours(hour);
        check_outcome(
            &post(&world.app, &probe(&world, &lasting, now), now).await,
            "recorded",
        );
        fetched.push(world.sns.take_asked().len());
    }
    assert_eq!(fetched, [2, 0, 0, 2], "certificate and issuer, once a day");
    for (hour, status) in [(0, 200), (1, 200), (3, 403)] {
        let now = now + hours(hour);
        let reply = post(&world.app, &probe(&world, &brief, now), now).await;
        assert_eq!(reply.status, status, "after {hour} h: {reply:?}");
    }
}
