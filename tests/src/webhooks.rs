//! Webhooks: what a receiver gets and can verify, and what becomes of one that is slow, away, gone, or inside.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use leadlight::api::{DisabledBecause, WebhookReply, WebhookState};
use leadlight_dev::npm::Packages;
use leadlight_dev::progress::Progress;
use leadlight_functions::deliveries::{self, Report};
use serde_json::{Value, json};

use crate::changes::{Follower, published};
use crate::notifications::{GENERAL, NO_EMAIL, bounce};
use crate::world::{ANN, World, minutes_ago, on_both_engines};

on_both_engines!(
    a_public_library_verifies_what_is_delivered,
    a_receiver_that_was_away_gets_it_later_under_the_same_id,
    a_receiver_that_is_gone_is_not_called_again,
    a_receiver_that_fails_for_days_is_not_called_again,
    a_slow_receiver_holds_up_nobody_else,
    names_that_lead_inside_are_not_followed,
    redirects_are_not_followed,
    a_webhook_is_saved_shown_and_removed,
    what_is_no_webhook_is_refused,
);

/// What a receiver got, and what it answers.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    answer: u16,
    delay: Duration,
    got: Vec<(HeaderMap, String)>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            answer: 204,
            delay: Duration::ZERO,
            got: Vec::new(),
        }));
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn answer(&self, status: u16) {
        self.shared.lock().unwrap().answer = status;
    }

    fn got(&self) -> Vec<(HeaderMap, String)> {
        self.shared.lock().unwrap().got.clone()
    }
}

async fn receive(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (answer, delay) = {
        let mut shared = shared.lock().unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        shared.got.push((headers, body));
        (shared.answer, shared.delay)
    };
    tokio::time::sleep(delay).await;
    let status = StatusCode::from_u16(answer).unwrap();
    (status, [("location", "/elsewhere")]).into_response()
}

async fn save(world: &World, body: Value) -> WebhookReply {
    let reply = world.call("PUT", "/v1/webhook", body).await;
    assert!(reply.status < 300, "{reply:?}");
    reply.read()
}

async fn show(world: &World) -> WebhookReply {
    let reply = world.call("GET", "/v1/webhook", Value::Null).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.read()
}

/// Has a lead's status change, and hands what was written to the functions that follow the table.
async fn change(world: &World) -> Report {
    world.save("ann", ANN).await;
    world
        .deliver(&[bounce(ANN, NO_EMAIL, minutes_ago(1))])
        .await;
    Follower::default().follow(world).await;
    deliver_new(world).await
}

async fn deliver_new(world: &World) -> Report {
    let records = json!({ "Records": world.stream.records().await.unwrap() });
    deliveries::deliver_new(&world.app.courier, records, None, Timestamp::now())
        .await
        .unwrap()
}

async fn deliver_due(world: &World, minutes: i64) -> Report {
    let now = Timestamp::now() + SignedDuration::from_mins(minutes);
    deliveries::deliver_due(&world.app.courier, None, now)
        .await
        .unwrap()
}

fn report(delivered: usize, put_off: usize) -> Report {
    Report {
        delivered,
        put_off,
        ..Report::default()
    }
}

/// Verifies with the library that Standard Webhooks publishes, in Node.
fn verify(secret: &str, headers: &HeaderMap, body: &str) -> Result<Value, String> {
    const SCRIPT: &str = r#"
        const { Webhook } = require(process.argv[1]);
        const { secret, headers, body } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        try { console.log(JSON.stringify(new Webhook(secret).verify(body, headers))); }
        catch (error) { console.error(error.message); process.exit(1); }
    "#;
    let library = Packages::fetch(&Progress::silent())
        .unwrap()
        .file("standardwebhooks");
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let mut node = Command::new("node")
        .args(["-e", SCRIPT])
        .arg(library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "secret": secret, "headers": headers, "body": body });
    let mut stdin = node.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = node.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

async fn a_public_library_verifies_what_is_delivered(world: World) {
    let receiver = Receiver::start().await;
    let saved = save(&world, json!({ "url": receiver.url() })).await;
    let secret = saved.secret.unwrap();
    assert_eq!(change(&world).await, report(1, 0));
    let [(headers, body)] = receiver.got().try_into().unwrap();
    let verified = verify(&secret, &headers, &body).unwrap();
    let [event] = published(&world).try_into().unwrap();
    assert_eq!(verified, serde_json::to_value(&event).unwrap());
    assert_eq!(headers["webhook-id"], event.id.as_str());
    assert_eq!(headers["content-type"], "application/cloudevents+json");

    let forged = body.replace("\"ann\"", "\"bob\"");
    assert_eq!(
        verify(&secret, &headers, &forged),
        Err("No matching signature found".to_owned())
    );

    // After a rotation both secrets verify, so that receivers can change over in their own time.
    let rotated = save(
        &world,
        json!({ "url": receiver.url(), "rotate_secret": true }),
    )
    .await;
    let newer = rotated.secret.unwrap();
    assert_ne!(newer, secret);
    let again = deliver_new(&world).await;
    assert_eq!(again, report(1, 0), "a replayed record is delivered again");
    let (headers, body) = receiver.got().pop().unwrap();
    assert_eq!(headers["webhook-id"], event.id.as_str());
    for secret in [&secret, &newer] {
        verify(secret, &headers, &body).unwrap();
    }
}

async fn a_receiver_that_was_away_gets_it_later_under_the_same_id(world: World) {
    let receiver = Receiver::start().await;
    receiver.answer(500);
    save(&world, json!({ "url": receiver.url() })).await;
    assert_eq!(change(&world).await, report(0, 1));
    let shown = show(&world).await;
    assert_eq!(shown.state, WebhookState::Enabled);
    assert_eq!(shown.last_failure.as_deref(), Some("status 500"));
    assert!(shown.failing_since.is_some());

    assert_eq!(deliver_due(&world, 0).await, Report::default(), "not yet");
    assert_eq!(deliver_due(&world, 2).await, report(0, 1));
    assert_eq!(deliver_due(&world, 3).await, Report::default(), "not yet");
    receiver.answer(200);
    assert_eq!(deliver_due(&world, 6).await, report(1, 0));
    assert_eq!(deliver_due(&world, 10_000).await, Report::default(), "once");
    let shown = show(&world).await;
    assert_eq!((shown.failing_since, shown.last_failure), (None, None));
    let ids: Vec<_> = receiver
        .got()
        .iter()
        .map(|(headers, _)| headers["webhook-id"].clone())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

async fn a_receiver_that_is_gone_is_not_called_again(world: World) {
    let receiver = Receiver::start().await;
    receiver.answer(410);
    save(&world, json!({ "url": receiver.url() })).await;
    let gone = change(&world).await;
    assert_eq!((gone.dropped, gone.put_off), (1, 0), "{gone:?}");
    let shown = show(&world).await;
    assert_eq!(shown.state, WebhookState::Disabled);
    assert_eq!(shown.disabled_because, Some(DisabledBecause::Gone));

    world.save("bob", ANN).await;
    Follower::default().follow(&world).await;
    deliver_due(&world, 10_000).await;
    assert_eq!(receiver.got().len(), 1);
    let told = published(&world);
    let leads: BTreeSet<&str> = told.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(
        Vec::from_iter(leads),
        ["ann", "bob"],
        "the bus is told all the same"
    );

    receiver.answer(204);
    let saved = save(&world, json!({ "url": receiver.url() })).await;
    assert_eq!((saved.state, saved.secret), (WebhookState::Enabled, None));
    world.save("cat", ANN).await;
    Follower::default().follow(&world).await;
    deliver_due(&world, 2).await;
    let got = receiver.got();
    assert!(
        got.iter().any(|(_, body)| body.contains("\"cat\"")),
        "{got:?}"
    );
}

async fn a_receiver_that_fails_for_days_is_not_called_again(world: World) {
    let receiver = Receiver::start().await;
    receiver.answer(503);
    save(&world, json!({ "url": receiver.url() })).await;
    assert_eq!(change(&world).await, report(0, 1));
    let mut tries = 1;
    let mut minutes = 0;
    loop {
        minutes += 1;
        let one = deliver_due(&world, minutes).await;
        tries += one.put_off + one.given_up;
        if one.given_up > 0 {
            break;
        }
        minutes += if minutes > 60 { 60 } else { 0 };
    }
    assert_eq!(tries, 10, "given up after {minutes} minutes");
    assert!((4_500..4_700).contains(&minutes), "{minutes}");
    assert_eq!(show(&world).await.state, WebhookState::Enabled);

    // Another change, when every delivery has failed for five days.
    let day = 24 * 60;
    world.save("bob", ANN).await;
    Follower::default().follow(&world).await;
    let late = deliver_due(&world, 5 * day + 1).await;
    assert!(late.given_up > 0, "{late:?}");
    let shown = show(&world).await;
    assert_eq!(shown.state, WebhookState::Disabled);
    assert_eq!(shown.disabled_because, Some(DisabledBecause::Failing));
}

async fn a_slow_receiver_holds_up_nobody_else(world: World) {
    let slow = Receiver::start().await;
    slow.shared.lock().unwrap().delay = Duration::from_mins(1);
    save(&world, json!({ "url": slow.url() })).await;
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, GENERAL, minutes_ago(1))]).await;
    let started = Instant::now();
    Follower::default().follow(&world).await;
    let told = started.elapsed();
    assert_eq!(published(&world).len(), 1);
    assert!(slow.got().is_empty(), "the table's follower calls nobody");
    assert!(told < Duration::from_secs(9), "{told:?}");

    assert_eq!(deliver_new(&world).await, report(0, 1));
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(40), "{waited:?}");
    let shown = show(&world).await;
    assert_eq!(shown.last_failure.as_deref(), Some("no answer within 10 s"));
}

async fn names_that_lead_inside_are_not_followed(mut world: World) {
    let receiver = Receiver::start().await;
    world.dns.change(|zone| {
        zone.host("metadata.example", [169, 254, 169, 254].into())
            .host("rebound.example", [127, 0, 0, 1].into())
            .host("private.example", [10, 1, 2, 3].into())
            .host("sixth.example", "::1".parse::<std::net::IpAddr>().unwrap())
    });
    world.app = Arc::new(world.deployed());
    let port = receiver.address.port();
    for (index, host) in [
        "metadata.example",
        "rebound.example",
        "private.example",
        "sixth.example",
    ]
    .iter()
    .enumerate()
    {
        save(&world, json!({ "url": format!("https://{host}:{port}/") })).await;
        let lead = format!("lead-{index}");
        world.save(&lead, &format!("{lead}@null-mx.example")).await;
        Follower::default().follow(&world).await;
        deliver_due(&world, 2).await;
        let shown = show(&world).await;
        assert_eq!(
            shown.last_failure.as_deref(),
            Some("the host is not on the public Internet"),
            "{host}"
        );
    }
    save(&world, json!({ "url": "https://nowhere.example/" })).await;
    world.save("zoe", "zoe@null-mx.example").await;
    Follower::default().follow(&world).await;
    deliver_due(&world, 2).await;
    let shown = show(&world).await;
    assert_eq!(
        shown.last_failure.as_deref(),
        Some("the host name has no address")
    );
    assert!(receiver.got().is_empty(), "nobody inside was called");
}

async fn redirects_are_not_followed(world: World) {
    let receiver = Receiver::start().await;
    receiver.answer(307);
    save(&world, json!({ "url": receiver.url() })).await;
    assert_eq!(change(&world).await, report(0, 1));
    assert_eq!(receiver.got().len(), 1);
    let shown = show(&world).await;
    assert_eq!(shown.last_failure.as_deref(), Some("status 307"));
}

async fn a_webhook_is_saved_shown_and_removed(world: World) {
    let none = world.call("GET", "/v1/webhook", Value::Null).await;
    none.problem(404, "no-webhook");
    let url = "http://127.0.0.1:9/hook";
    let reply = world
        .call("PUT", "/v1/webhook", json!({ "url": url }))
        .await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let saved: WebhookReply = reply.read();
    assert_eq!(
        (saved.url.as_str(), saved.state),
        (url, WebhookState::Enabled)
    );
    assert!(saved.secret.unwrap().starts_with("whsec_"));
    let shown = show(&world).await;
    assert_eq!((shown.secret, shown.former_secret_until), (None, None));
    let rotated = save(&world, json!({ "url": url, "rotate_secret": true })).await;
    assert!(rotated.secret.is_some() && rotated.former_secret_until.is_some());
    for _ in 0..2 {
        let removed = world.call("DELETE", "/v1/webhook", Value::Null).await;
        assert_eq!(removed.status, 204, "{removed:?}");
    }
    let none = world.call("GET", "/v1/webhook", Value::Null).await;
    none.problem(404, "no-webhook");
}

async fn what_is_no_webhook_is_refused(mut world: World) {
    world.app = Arc::new(world.deployed());
    for (body, field, code) in [
        (json!({}), "/url", "missing"),
        (json!({ "url": 1 }), "/url", "invalid_value"),
        (json!({ "url": "" }), "/url", "not_a_url"),
        (json!({ "url": "crm.example" }), "/url", "not_a_url"),
        (json!({ "url": "http://crm.example/" }), "/url", "not_https"),
        (json!({ "url": "file:///etc/passwd" }), "/url", "not_a_url"),
        (
            json!({ "url": "https://u:p@crm.example/" }),
            "/url",
            "credentials",
        ),
        (
            json!({ "url": "https://169.254.169.254/" }),
            "/url",
            "not_public",
        ),
        (
            json!({ "url": "https://[::ffff:10.0.0.1]/" }),
            "/url",
            "not_public",
        ),
        (
            json!({ "url": "https://0x7f000001/" }),
            "/url",
            "not_public",
        ),
        (
            json!({ "url": format!("https://crm.example/{}", "x".repeat(2_000)) }),
            "/url",
            "too_long",
        ),
        (
            json!({ "url": "https://crm.example/", "rotate_secret": "yes" }),
            "/rotate_secret",
            "invalid_value",
        ),
    ] {
        let reply = world.call("PUT", "/v1/webhook", body.clone()).await;
        let problem = reply.problem(422, "invalid-field");
        assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        assert_eq!(problem.code.as_deref(), Some(code), "{body}");
    }
    let reply = world.call("POST", "/v1/webhook", json!({})).await;
    reply.problem(405, "method-not-allowed");
}
