//! Bad input at every door: a typed answer each, no panic, no lost record, and the next good request is none the worse.

use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::http::{HeaderName, HeaderValue};
use leadlight_functions::feedback::HandleError;
use leadlight_functions::table::item::DueDelivery;
use leadlight_functions::{changes, deliveries};
use serde_json::{Value, json};

use crate::envelopes;
use crate::notifications::{
    GENERAL, NO_EMAIL, bounce, bounce_of, complaint, delivery, subscription,
};
use crate::world::{
    ANN, World, answer, days_ago, failures, minutes_ago, on_both_engines, redeliver, request,
};

on_both_engines!(
    a_wrong_body_is_told_what_is_wrong,
    every_body_and_every_batch_has_its_limit,
    a_wrong_content_type_is_refused,
    a_wrong_route_or_method_is_refused,
    a_wrong_lead_id_is_refused,
    days_that_are_none_are_refused,
    what_needs_no_body_reads_none,
    an_event_of_no_trigger_is_an_error,
    an_event_of_no_stream_is_an_error_where_a_stream_is_followed,
    deliveries_that_cannot_be_read_hold_up_no_other,
    a_record_that_cannot_be_read_comes_again_and_harms_no_other,
    odd_times_are_read_as_well_as_can_be,
    odd_words_are_kept_and_never_fatal,
);

const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

async fn a_wrong_body_is_told_what_is_wrong(world: World) {
    world.save("ann", ANN).await;
    let before = world.stored_lead("ann").await;
    let text = |text: &str| Body::Text(text.to_owned());
    let doors = [
        (
            "PUT",
            "/v1/leads/ann",
            "/address",
            json!({ "address": ANN }),
        ),
        (
            "POST",
            "/v1/statuses",
            "/leads",
            json!({ "leads": ["ann"] }),
        ),
        (
            "POST",
            "/v1/verifications",
            "/address",
            json!({ "address": ANN }),
        ),
        (
            "PUT",
            "/v1/webhook",
            "/url",
            json!({ "url": "https://crm.example/hook" }),
        ),
    ];
    for (method, path, field, good) in doors {
        let padded = |octets: usize| format!("{good}{}", " ".repeat(octets));
        let rows: Vec<(&str, Body, u16, &str, Option<&str>)> = vec![
            ("nothing", Body::Empty, 400, "malformed-json", None),
            ("an empty text", text(""), 400, "malformed-json", None),
            (
                "a form",
                text("address=ann%40lead.example"),
                400,
                "malformed-json",
                None,
            ),
            (
                "XML",
                text("<address>ann@lead.example</address>"),
                400,
                "malformed-json",
                None,
            ),
            (
                "JSON cut short",
                text("{\"address\":\"ann@"),
                400,
                "malformed-json",
                None,
            ),
            ("JSON and more", text("{} {}"), 400, "malformed-json", None),
            (
                "a trailing comma",
                text("{\"address\":\"a\",}"),
                400,
                "malformed-json",
                None,
            ),
            (
                "half a surrogate",
                text("{\"address\":\"\\ud800\"}"),
                400,
                "malformed-json",
                None,
            ),
            (
                "a byte order mark",
                text("\u{feff}{}"),
                400,
                "malformed-json",
                None,
            ),
            ("a NUL", text("\0"), 400, "malformed-json", None),
            (
                "brackets without end",
                text(&"[".repeat(60_000)),
                400,
                "malformed-json",
                None,
            ),
            (
                "objects without end",
                text(&"{\"a\":".repeat(12_000)),
                400,
                "malformed-json",
                None,
            ),
            (
                "invalid UTF-8",
                Body::Binary(b"{\"address\":\"\xff\xfe\"}".to_vec()),
                400,
                "malformed-json",
                None,
            ),
            (
                "UTF-16",
                Body::Binary(b"{\0\"\0}\0".to_vec()),
                400,
                "malformed-json",
                None,
            ),
            ("null", text("null"), 422, "invalid-field", Some("")),
            ("a number", text("7"), 422, "invalid-field", Some("")),
            (
                "a text",
                text("\"ann@lead.example\""),
                422,
                "invalid-field",
                Some(""),
            ),
            (
                "an array",
                text("[\"ann\"]"),
                422,
                "invalid-field",
                Some(""),
            ),
            (
                "an empty object",
                text("{}"),
                422,
                "invalid-field",
                Some(field),
            ),
            (
                "64 KB and one octet",
                text(&padded(64 * 1024)),
                413,
                "body-too-large",
                None,
            ),
            (
                "10 MB of JSON",
                text(&padded(TEN_MEGABYTES)),
                413,
                "body-too-large",
                None,
            ),
            (
                "10 MB of nothing",
                Body::Binary(vec![0; TEN_MEGABYTES]),
                413,
                "body-too-large",
                None,
            ),
        ];
        let now = Timestamp::now();
        let authorization = format!("Bearer {}", world.token(now));
        for (why, body, status, code, field) in rows {
            let request = request(method, path, Some(&authorization), body);
            let reply = answer(&world.app, request, now).await;
            assert_eq!(reply.status, status, "{why} at {path}: {reply:?}");
            let problem = reply.problem(status, code);
            assert_eq!(problem.field.as_deref(), field, "{why} at {path}");
        }
    }
    let fields = [
        (
            "an address that is a number",
            json!({ "address": 7 }),
            "/address",
        ),
        (
            "an address that is null",
            json!({ "address": null }),
            "/address",
        ),
        (
            "an address that is a list",
            json!({ "address": [ANN] }),
            "/address",
        ),
        (
            "a field that nobody knows",
            json!({ "address": ANN, "colour": "red" }),
            "/colour",
        ),
        (
            "a name of another case",
            json!({ "address": ANN, "Standing": "active" }),
            "/Standing",
        ),
        (
            "an unknown standing",
            json!({ "address": ANN, "standing": "happy" }),
            "/standing",
        ),
        (
            "a standing of another case",
            json!({ "address": ANN, "standing": "Active" }),
            "/standing",
        ),
        (
            "a status for a standing",
            json!({ "address": ANN, "standing": "blocklisted" }),
            "/standing",
        ),
        (
            "a standing that is a number",
            json!({ "address": ANN, "standing": 1 }),
            "/standing",
        ),
        (
            "a time that is a word",
            json!({ "address": ANN, "standing_since": "yesterday" }),
            "/standing_since",
        ),
        (
            "a time that is a number",
            json!({ "address": ANN, "standing_since": -1 }),
            "/standing_since",
        ),
        (
            "a time without a zone",
            json!({ "address": ANN, "standing_since": "2026-01-01T00:00:00" }),
            "/standing_since",
        ),
        (
            "a time before all times",
            json!({ "address": ANN, "standing_since": "-123456-01-01T00:00:00Z" }),
            "/standing_since",
        ),
        (
            "a time after all times",
            json!({ "address": ANN, "standing_since": "+123456-01-01T00:00:00Z" }),
            "/standing_since",
        ),
        (
            "a day that does not exist",
            json!({ "address": ANN, "standing_since": "2026-02-30T00:00:00Z" }),
            "/standing_since",
        ),
    ];
    for (why, body, field) in fields {
        let problem = world.put("ann", body).await.problem(422, "invalid-field");
        assert_eq!(problem.field.as_deref(), Some(field), "{why}: {problem:?}");
    }
    let problem = world
        .put("ann", json!({ "address": "a".repeat(10_000) }))
        .await;
    assert_eq!(
        problem.problem(422, "invalid-address").code.as_deref(),
        Some("too_long")
    );
    assert_eq!(world.stored_lead("ann").await, before);
    let old = json!({ "address": ANN, "standing_since": "-000044-03-15T12:00:00Z" });
    assert_eq!(
        world.put("ann", old).await.status,
        200,
        "long ago is a time like any other"
    );
    // A standing of the future would outweigh every word of the recipient until then.
    let ahead =
        json!({ "address": ANN, "standing": "active", "standing_since": "2999-01-01T00:00:00Z" });
    assert_eq!(world.put("ann", ahead).await.status, 200);
    let later = Timestamp::now() + SignedDuration::from_secs(1);
    world.deliver(&[subscription(ANN, true, later)]).await;
    assert_eq!(world.status("ann").await.status, "unsubscribed");
}

async fn every_body_and_every_batch_has_its_limit(world: World) {
    let now = Timestamp::now();
    let authorization = format!("Bearer {}", world.token(now));
    let ask = async |method: &str, path: &str, body: String| {
        let request = request(method, path, Some(&authorization), body.into());
        answer(&world.app, request, now).await
    };
    let kilobytes = |many: usize| many * 1024;
    let rows = [
        ("PUT", "/v1/leads/ann", kilobytes(64)),
        ("POST", "/v1/statuses", kilobytes(64)),
        ("POST", "/v1/verifications", kilobytes(64)),
        ("PUT", "/v1/webhook", kilobytes(64)),
        ("POST", "/v1/send-checks", kilobytes(1024)),
        ("POST", "/v1/sends", kilobytes(5 * 1024)),
        ("POST", "/v1/notifications", kilobytes(1024)),
    ];
    for (method, path, most) in rows {
        let fits = ask(method, path, format!("{{}}{}", " ".repeat(most - 2))).await;
        let problem = fits.problem(422, "invalid-field");
        assert_eq!(problem.code.as_deref(), Some("missing"), "{path}");
        let large = ask(method, path, format!("{{}}{}", " ".repeat(most - 1))).await;
        let problem = large.problem(413, "body-too-large");
        let said = problem.detail.unwrap_or_default();
        assert_eq!(said, format!("at most {most} octets"), "{path}");
    }
    let named = |n: usize| json!({ "address": format!("a{n}@lead.example") });
    let many = |most: usize| (0..=most).map(named).collect::<Vec<Value>>();
    let leads: Vec<String> = (0..=100).map(|n| n.to_string()).collect();
    let message = json!({
        "from": { "address": "crm@mail.acme.example" }, "to": many(50), "subject": "Hello", "text": "Hello", "purpose": "transactional",
    });
    let batches = [
        ("/v1/statuses", "/leads", json!({ "leads": leads })),
        (
            "/v1/send-checks",
            "/recipients",
            json!({ "recipients": many(1_000) }),
        ),
        ("/v1/sends", "/to", message),
    ];
    for (path, field, body) in batches {
        let reply = ask("POST", path, body.to_string()).await;
        let problem = reply.problem(422, "invalid-field");
        let said = (problem.code.as_deref(), problem.field.as_deref());
        assert_eq!(said, (Some("too_many"), Some(field)), "{path}");
    }
}

async fn a_wrong_content_type_is_refused(world: World) {
    world.save("ann", ANN).await;
    let now = Timestamp::now();
    let authorization = format!("Bearer {}", world.token(now));
    let wrong = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some("application/problem+json"),
        Some("json"),
        Some(""),
    ];
    let right = [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON ;charset=UTF-8",
    ];
    let doors = [
        ("PUT", "/v1/leads/ann", json!({ "address": ANN })),
        ("POST", "/v1/statuses", json!({ "leads": ["ann"] })),
        ("POST", "/v1/verifications", json!({ "address": ANN })),
        (
            "PUT",
            "/v1/webhook",
            json!({ "url": "https://crm.example/" }),
        ),
    ];
    let saved = world.call(
        "PUT",
        "/v1/webhook",
        json!({ "url": "https://crm.example/" }),
    );
    assert_eq!(saved.await.status, 201);
    for (method, path, body) in doors {
        let ask = async |content_type: Option<&str>| {
            let mut request = request(method, path, Some(&authorization), body.to_string().into());
            request.headers_mut().remove(CONTENT_TYPE);
            if let Some(content_type) = content_type {
                request
                    .headers_mut()
                    .insert(CONTENT_TYPE, content_type.parse().unwrap());
            }
            answer(&world.app, request, now).await
        };
        for content_type in wrong {
            let problem = ask(content_type)
                .await
                .problem(415, "unsupported-media-type");
            assert_eq!(
                problem.field.as_deref(),
                Some("content-type"),
                "{content_type:?}"
            );
        }
        for content_type in right {
            assert_eq!(
                ask(Some(content_type)).await.status,
                200,
                "{content_type} at {path}"
            );
        }
    }
}

async fn a_wrong_route_or_method_is_refused(world: World) {
    for path in [
        "/",
        "/v1",
        "/v1/leads",
        "/v2/leads/ann",
        "/v1/leads/ann/logs",
        "/v1/leads/ann/",
        "/v1/leads/ann/log/1",
        "/V1/leads/ann",
        "/v1/lead/ann",
        "/v1/webhooks",
        "/v1/webhook/ann",
        "/v1/reputation/2026",
        "/v1/verifications/ann",
        "/v1/deliveries",
    ] {
        world
            .call("GET", path, json!(null))
            .await
            .problem(404, "not-found");
    }
    let rows = [
        (
            "/v1/leads/ann",
            ["POST", "DELETE", "PATCH", "HEAD", "OPTIONS"].as_slice(),
            "GET, PUT",
        ),
        ("/v1/leads/ann/log", &["POST", "PUT", "DELETE"], "GET"),
        ("/v1/statuses", &["GET", "PUT", "DELETE", "BREW"], "POST"),
        ("/v1/leads/ann/rechecks", &["GET", "PUT", "DELETE"], "POST"),
        (
            "/v1/verifications",
            &["GET", "PUT", "DELETE", "HEAD"],
            "POST",
        ),
        (
            "/v1/webhook",
            &["POST", "PATCH", "HEAD", "OPTIONS"],
            "DELETE, GET, PUT",
        ),
        ("/v1/reputation", &["POST", "PUT", "DELETE", "HEAD"], "GET"),
    ];
    for (path, methods, allowed) in rows {
        for method in methods {
            let reply = world.call(method, path, json!(null)).await;
            reply.problem(405, "method-not-allowed");
            assert_eq!(reply.headers["allow"], allowed, "{method} {path}");
        }
    }
}

async fn a_wrong_lead_id_is_refused(world: World) {
    let long = "x".repeat(129);
    let wrong = [
        "ann%23lead",
        "ann%2Flog",
        "ann%20weber",
        "%00",
        "%FF",
        "ann%40lead.example",
        "j%C3%BCrgen",
        "a%",
        // What no client normalises away gets here.
        ".",
        "..",
        "%2e",
        "%2E%2e",
        &long,
    ];
    for id in wrong {
        for (method, path) in [
            ("PUT", ""),
            ("GET", ""),
            ("GET", "/log"),
            ("POST", "/rechecks"),
        ] {
            let body = if method == "PUT" {
                json!({ "address": ANN })
            } else {
                json!(null)
            };
            let reply = world
                .call(method, &format!("/v1/leads/{id}{path}"), body)
                .await;
            let problem = reply.problem(422, "invalid-field");
            assert_eq!(problem.field.as_deref(), Some("id"), "{method} {id}{path}");
        }
    }
}

async fn days_that_are_none_are_refused(world: World) {
    for (why, day) in [
        ("nothing", ""),
        ("a word", "today"),
        ("a month", "2026-03"),
        ("a day that does not exist", "2026-02-30"),
        ("a number", "20455"),
        ("a date of another country", "31.03.2026"),
        ("two days", "2026-03-01/2026-03-02"),
        ("a space before", "%202026-03-01"),
        ("a NUL", "2026-03-01%00"),
        ("octets that are no text", "%FF%FE"),
        ("half an escape", "2026-03-01%"),
        ("digits of another script", "%D9%A2%D9%A0%D9%A2%D9%A6-03-01"),
        ("a year after all years", "12026-03-01"),
        ("ten thousand digits", &"9".repeat(10_000)),
    ] {
        for parameter in ["from", "to"] {
            let path = format!("/v1/reputation?{parameter}={day}");
            let reply = world.call("GET", &path, json!(null)).await;
            let problem = reply.problem(400, "invalid-parameter");
            assert_eq!(problem.field.as_deref(), Some(parameter), "{why}");
        }
    }
    for (why, query) in [
        ("the last days of all", "from=9999-12-01&to=9999-12-31"),
        ("the first of all", "to=-009999-01-01"),
        (
            "words that nobody knows",
            "from=2026-03-01&to=2026-03-02&colour=red",
        ),
        ("a day escaped", "from=2026%2D03%2D01&to=2026-03-02"),
    ] {
        let path = format!("/v1/reputation?{query}");
        let reply = world.call("GET", &path, json!(null)).await;
        assert_eq!(reply.status, 200, "{why}: {reply:?}");
    }
}

async fn what_needs_no_body_reads_none(world: World) {
    world.save("ann", ANN).await;
    let now = Timestamp::now();
    let authorization = format!("Bearer {}", world.token(now));
    for (method, path, status) in [
        ("GET", "/v1/leads/ann", 200),
        ("GET", "/v1/leads/ann/log", 200),
        ("POST", "/v1/leads/ann/rechecks", 409),
        ("GET", "/v1/reputation", 200),
        ("GET", "/v1/webhook", 404),
        ("DELETE", "/v1/webhook", 204),
    ] {
        for body in [
            Body::Binary(vec![0xff; TEN_MEGABYTES]),
            Body::Text("{\"force\":true}".to_owned()),
        ] {
            let mut request = request(method, path, Some(&authorization), body);
            let header = HeaderName::from_static("x-odd");
            request
                .headers_mut()
                .insert(header, HeaderValue::from_bytes(b"\xff").unwrap());
            let reply = answer(&world.app, request, now).await;
            assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        }
    }
}

async fn an_event_of_no_trigger_is_an_error(world: World) {
    let unknown = HandleError::UnknownEvent;
    let unread = HandleError::Unrecorded {
        failed: 1,
        total: 1,
    };
    let rows = [
        ("null", json!(null), &unknown),
        ("a flag", json!(true), &unknown),
        ("a number", json!(7), &unknown),
        ("a text", json!("Bounce"), &unknown),
        ("a list", json!([1, 2]), &unknown),
        (
            "records that are no list",
            json!({ "Records": 7 }),
            &unknown,
        ),
        (
            "records that are null",
            json!({ "Records": null }),
            &unknown,
        ),
        (
            "a record that is a number",
            json!({ "Records": [7] }),
            &unknown,
        ),
        (
            "a record without an id",
            json!({ "Records": [{ "body": "{}" }] }),
            &unknown,
        ),
        (
            "a record without a body",
            json!({ "Records": [{ "messageId": "1" }] }),
            &unknown,
        ),
        (
            "a body that is no text",
            json!({ "Records": [{ "messageId": "1", "body": {} }] }),
            &unknown,
        ),
        (
            "SNS beside SQS",
            json!({ "Records": [{ "Sns": {} }, { "messageId": "1", "body": "" }] }),
            &unknown,
        ),
        ("an object", json!({}), &unread),
        (
            "a request of an API",
            json!({ "version": "2.0", "rawPath": "/v1/leads/ann" }),
            &unread,
        ),
        (
            "an event of S3",
            json!({ "Records": [{ "eventSource": "aws:s3", "s3": {} }] }),
            &unknown,
        ),
        (
            "SNS without a message",
            json!({ "Records": [{ "Sns": { "Type": "Notification" } }] }),
            &unread,
        ),
        (
            "a detail that is a text",
            envelopes::eventbridge(&json!("Bounce")),
            &unread,
        ),
    ];
    for (why, event, expected) in rows {
        assert_eq!(world.feed(event).await.as_ref(), Err(expected), "{why}");
    }
}

async fn an_event_of_no_stream_is_an_error_where_a_stream_is_followed(world: World) {
    let keys = json!({ "pk": { "S": "due#delivery" }, "sk": { "S": "1" } });
    let written = |changed: Value| {
        let mut written = json!({ "SequenceNumber": "1", "ApproximateCreationDateTime": 1_790_000_000, "Keys": keys });
        let (written_fields, changed) = (written.as_object_mut().unwrap(), changed);
        written_fields.extend(changed.as_object().unwrap().clone());
        json!({ "eventSource": "aws:dynamodb", "dynamodb": written })
    };
    let good = written(json!({}));
    for (why, records) in [
        ("no list", json!(7)),
        ("null", json!(null)),
        ("a number among them", json!([good, 7])),
        ("an empty record", json!([{}])),
        (
            "a record of a queue",
            json!([{ "eventSource": "aws:sqs", "messageId": "1", "body": "{}" }]),
        ),
        (
            "a record without keys",
            json!([written(json!({ "Keys": null }))]),
        ),
        (
            "a key that is a number",
            json!([written(
                json!({ "Keys": { "pk": { "N": "1" }, "sk": { "S": "1" } } })
            )]),
        ),
        (
            "a record without a number",
            json!([written(json!({ "SequenceNumber": null }))]),
        ),
        (
            "a time that is a word",
            json!([written(json!({ "ApproximateCreationDateTime": "now" }))]),
        ),
        (
            "a time after all times",
            json!([written(json!({ "ApproximateCreationDateTime": 1e300 }))]),
        ),
        (
            "an image that is none",
            json!([written(json!({ "NewImage": { "pk": "x" } }))]),
        ),
    ] {
        let event = json!({ "Records": records });
        let followed = changes::handle(&world.app.event_bus, event.clone(), None).await;
        assert!(followed.is_err(), "changes, {why}");
        let delivered = deliveries::handle(&world.app.courier, event, None).await;
        assert!(delivered.is_err(), "deliveries, {why}");
    }
    let event = json!({ "Records": [good] });
    for answer in [
        changes::handle(&world.app.event_bus, event.clone(), None)
            .await
            .ok(),
        deliveries::handle(&world.app.courier, event, None)
            .await
            .ok(),
    ] {
        assert_eq!(answer, Some(json!({ "batchItemFailures": [] })));
    }
}

async fn deliveries_that_cannot_be_read_hold_up_no_other(world: World) {
    let now = Timestamp::now();
    let good = DueDelivery {
        account: world.acme.account.clone(),
        id: "msg_1".to_owned(),
        body: "{}".to_owned(),
        since: now,
        due_at: now,
        expires_at: 0,
    };
    let planned = world.table().plan_delivery(&good.at(now)).await;
    planned.unwrap();
    let early = [
        ("pk", "due#delivery"),
        ("sk", "2026-01-01T00:00:00Z#acme#msg_0"),
    ];
    world.write_by_hand(&early).await;
    let report = deliveries::deliver_due(&world.app.courier, None, now)
        .await
        .unwrap();
    let expected = deliveries::Report {
        dropped: 1,
        left: 1,
        ..deliveries::Report::default()
    };
    assert_eq!(report, expected, "the account has no webhook");
}

async fn a_record_that_cannot_be_read_comes_again_and_harms_no_other(world: World) {
    let at = days_ago(1);
    let good = |n: usize| bounce(&format!("good{n}@lead.example"), NO_EMAIL, at);
    let spoilt = |spoil: fn(&mut Value)| {
        let mut notification = bounce(ANN, NO_EMAIL, at);
        spoil(&mut notification);
        notification.to_string()
    };
    let sns = |message: &str| leadlight_dev::ses::sns_envelope(message, at).to_string();
    let bad = [
        ("nothing", String::new()),
        ("blanks", " \n\t".to_owned()),
        ("words", "hello".to_owned()),
        ("null", "null".to_owned()),
        ("a number", "7".to_owned()),
        ("a text", "\"Bounce\"".to_owned()),
        ("a list", "[]".to_owned()),
        ("an object", "{}".to_owned()),
        ("a NUL", "\0".to_owned()),
        (
            "what invalid UTF-8 becomes",
            "\u{fffd}\u{fffd}{\"eventType\":\"Bounce\"}".to_owned(),
        ),
        ("half a surrogate", "{\"eventType\":\"\\ud800\"}".to_owned()),
        ("cut short", good(0).to_string()[..200].to_owned()),
        ("brackets without end", "[".repeat(100_000)),
        ("objects without end", "{\"a\":".repeat(100_000)),
        ("10 MB of words", "a".repeat(TEN_MEGABYTES)),
        (
            "10 MB of JSON",
            format!("{{\"a\":\"{}\"}}", "a".repeat(TEN_MEGABYTES)),
        ),
        ("SNS around nothing", sns("")),
        ("SNS around words", sns("hello")),
        ("SNS around SNS around words", sns(&sns("hello"))),
        (
            "SNS around what is cut short",
            sns(&good(0).to_string()[..200]),
        ),
        (
            "SNS whose message is no text",
            json!({ "Type": "Notification", "Message": {} }).to_string(),
        ),
        (
            "a type that is a number",
            spoilt(|n| n["eventType"] = json!(7)),
        ),
        ("no type", spoilt(|n| n["eventType"] = json!(null))),
        (
            "a bounce without its payload",
            spoilt(|n| n["bounce"] = json!(null)),
        ),
        (
            "a payload that is a text",
            spoilt(|n| n["bounce"] = json!("bounce")),
        ),
        (
            "recipients that are a text",
            spoilt(|n| n["bounce"]["bouncedRecipients"] = json!(ANN)),
        ),
        (
            "a recipient without an address",
            spoilt(|n| n["bounce"]["bouncedRecipients"] = json!([{}])),
        ),
        (
            "a recipient that is null",
            spoilt(|n| n["bounce"]["bouncedRecipients"] = json!([null])),
        ),
        (
            "an address of 10,000 characters",
            spoilt(|n| {
                n["bounce"]["bouncedRecipients"][0]["emailAddress"] =
                    json!(format!("{}@lead.example", "a".repeat(10_000)));
            }),
        ),
        (
            "an address that is none",
            spoilt(|n| n["bounce"]["bouncedRecipients"][0]["emailAddress"] = json!("ann")),
        ),
        (
            "a type with the payload of another",
            spoilt(|n| n["eventType"] = json!("Complaint")),
        ),
        (
            "no id to tell copies by",
            spoilt(|n| {
                n["bounce"]["feedbackId"] = json!(null);
                n["mail"]["messageId"] = json!(null);
            }),
        ),
        (
            "an account that is a number",
            spoilt(|n| n["mail"]["tags"] = json!({ "leadlight-account": 7 })),
        ),
    ];
    // Good and bad by turns; whatever the bad ones are, the good ones are recorded.
    let mut bodies = Vec::new();
    for (n, (_, body)) in bad.iter().enumerate() {
        bodies.push(body.clone());
        bodies.push(envelopes::sns(&good(n)));
    }
    let answer = world.feed(envelopes::sqs(&bodies)).await.unwrap();
    let failed = failures(&answer);
    for (n, (why, _)) in bad.iter().enumerate() {
        assert!(failed.contains(&(2 * n)), "{why} must be kept for a look");
    }
    // On a busy machine a good one may have run out of time; it is taken when it comes again.
    let late = failed.into_iter().filter(|place| place % 2 == 1);
    let late = late.map(|place| bodies[place].clone()).collect();
    assert_eq!(redeliver(&world.app, late).await.len(), 0);
    for (n, (why, _)) in bad.iter().enumerate() {
        let record = world.record(&format!("good{n}@lead.example")).await;
        assert!(
            record.is_some(),
            "the good one after {why} must be recorded"
        );
    }
    assert!(world.record(ANN).await.is_none());
}

async fn odd_times_are_read_as_well_as_can_be(world: World) {
    let received_at = minutes_ago(0);
    let rows = [
        (
            "long past",
            json!("1815-12-10T00:00:00Z"),
            Some("1815-12-10T00:00:00Z"),
        ),
        (
            "before year one",
            json!("-000044-03-15T12:00:00Z"),
            Some("-000044-03-15T12:00:00Z"),
        ),
        (
            "an offset",
            json!("2025-06-01T02:00:00-07:00"),
            Some("2025-06-01T09:00:00Z"),
        ),
        (
            "no zone",
            json!("2025-06-01T09:00:00"),
            Some("2025-06-01T09:00:00Z"),
        ),
        (
            "a blank before the offset",
            json!("2025-06-01T09:00:00 +0000"),
            Some("2025-06-01T09:00:00Z"),
        ),
        ("far future", json!("2999-12-31T23:59:59Z"), None),
        (
            "an hour ahead",
            json!((Timestamp::now() + SignedDuration::from_hours(1)).to_string()),
            None,
        ),
        ("beyond all time", json!("+999999-01-01T00:00:00Z"), None),
        ("no time at all", json!(null), None),
        ("words", json!("yesterday"), None),
        ("empty", json!(""), None),
    ];
    for (n, (why, time, expected)) in rows.into_iter().enumerate() {
        let address = format!("odd{n}@lead.example");
        let mut notification = bounce(&address, GENERAL, days_ago(1));
        notification["bounce"]["timestamp"] = time.clone();
        notification["mail"]["timestamp"] = time;
        let body =
            leadlight_dev::ses::sns_envelope(&notification.to_string(), received_at).to_string();
        let answer = world.feed(envelopes::sqs(&[body])).await.unwrap();
        assert_eq!(failures(&answer), Vec::<usize>::new(), "{why}");
        let record = world.record(&address).await.unwrap();
        let piece = record.evidence.pieces().next().unwrap();
        let received_at: Timestamp = format!("{received_at:.3}").parse().unwrap();
        let expected = expected.map_or(received_at, |at| at.parse().unwrap());
        assert_eq!(piece.at, expected, "{why}");
        // Whatever its time, it blocks, and a release lifts it.
        let lead = format!("odd{n}");
        world.save(&lead, &address).await;
        assert_eq!(world.status(&lead).await.status, "blocklisted", "{why}");
        assert_eq!(world.recheck(&lead).await.status.status, "active", "{why}");
    }
    // The clock of the queue is no better.
    for sent in [
        json!("-1"),
        json!("99999999999999999999"),
        json!("soon"),
        json!(7),
        json!(null),
    ] {
        let mut event = envelopes::sqs(&[bounce(ANN, NO_EMAIL, days_ago(1)).to_string()]);
        event["Records"][0]["attributes"]["SentTimestamp"] = sent.clone();
        assert_eq!(
            failures(&world.feed(event).await.unwrap()),
            Vec::<usize>::new(),
            "{sent}"
        );
    }
}

async fn odd_words_are_kept_and_never_fatal(world: World) {
    let with = |pointer: &str, value: Value| {
        let mut notification = bounce(ANN, GENERAL, days_ago(1));
        *notification.pointer_mut(pointer).unwrap() = value;
        notification["bounce"]["feedbackId"] = json!(format!("{pointer} changed"));
        notification
    };
    let endless = "ä".repeat(1_000_000);
    world
        .deliver(&[
            with("/bounce/bounceType", json!("Cosmic")),
            with("/bounce/bounceSubType", json!(null)),
            with("/bounce/bouncedRecipients/0/action", json!("teleported")),
            with("/bounce/bouncedRecipients/0/status", json!("5.999999.1")),
            with("/bounce/bouncedRecipients/0/diagnosticCode", json!(endless)),
            with("/mail/destination", json!(null)),
            with(
                "/mail/source",
                json!("=?UTF-8?B?w6Q=?= <news@mail.acme.example>"),
            ),
        ])
        .await;
    let many: Vec<String> = (0..300).map(|n| format!("many{n}@lead.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world
        .deliver(&[
            bounce_of(&many, NO_EMAIL, days_ago(1)),
            complaint(&[], days_ago(1)),
        ])
        .await;
    assert!(
        world.record("many299@lead.example").await.is_some(),
        "more recipients than SES allows"
    );
    world.save("ann", ANN).await;
    let log = world.log("ann").await;
    let longest = log
        .iter()
        .filter_map(|entry| entry.diagnostic.as_ref())
        .map(|text| text.chars().count())
        .max();
    assert_eq!(longest, Some(300));
    world.deliver(&[delivery(ANN, days_ago(0))]).await;
    assert_eq!(world.status("ann").await.status, "blocklisted");
}
