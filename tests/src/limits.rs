//! How much a token, and an account, may ask in a minute: exactly that of one instance, a block more of several, and nobody less.

use jiff::{SignedDuration, Timestamp};
use lambda_http::Body;
use leadlight::policy::Policy;
use leadlight_functions::app::Leadlight;
use leadlight_functions::limits::BLOCK;
use p256::ecdsa::Signature;
use serde_json::Value;

use crate::proxy::Act;
use crate::tokens::{SERVER_SCOPE, WIDGET_SCOPE};
use crate::world::{ANN, Reply, World, answer, on_both_engines, request};

on_both_engines!(
    one_instance_passes_exactly_what_the_policy_says,
    instances_together_pass_a_block_more_at_most,
    an_account_has_a_limit_over_all_its_tokens,
    whoever_asks_little_costs_no_write,
    the_table_is_needed_to_count_and_its_outage_is_no_refusal,
);

/// Five seconds into a minute that has begun, so that what follows is in the same one.
fn in_a_minute() -> Timestamp {
    let second = Timestamp::now().as_second();
    Timestamp::from_second(second - second.rem_euclid(60) + 5).unwrap()
}

fn per_minute(page_token: u32, server_token: u32, account: u32) -> Policy {
    Policy {
        requests_per_page_token_per_minute: page_token,
        requests_per_server_token_per_minute: server_token,
        requests_per_account_per_minute: account,
        ..Policy::default()
    }
}

/// Asks for the status of a lead.
async fn ask(app: &Leadlight, token: &str, now: Timestamp) -> Reply {
    let body = Body::Text(r#"{"leads":["ann"]}"#.to_owned());
    let authorization = format!("Bearer {token}");
    let request = request("POST", "/v1/statuses", Some(&authorization), body);
    answer(app, request, now).await
}

/// How many of `tries` requests pass before the first that does not.
async fn passed(app: &Leadlight, token: &str, tries: u32, now: Timestamp) -> u32 {
    for n in 0..tries {
        let reply = ask(app, token, now).await;
        if reply.status != 200 {
            reply.problem(429, "too-many-requests");
            return n;
        }
    }
    tries
}

#[track_caller]
fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers[name].to_str().unwrap()
}

async fn one_instance_passes_exactly_what_the_policy_says(world: World) {
    let world = world.with_policy(per_minute(25, 1_000, 10_000)).await;
    let now = in_a_minute();
    let token = world.acme.token(WIDGET_SCOPE, now).sign();
    for left in (0..25).rev() {
        let reply = ask(&world.app, &token, now).await;
        assert_eq!(reply.status, 200, "with {left} left: {reply:?}");
        assert_eq!(
            header(&reply, "ratelimit-policy"),
            r#""token";q=25;w=60, "account";q=10000;w=60"#
        );
        let account = 10_000 - (25 - left);
        assert_eq!(
            header(&reply, "ratelimit"),
            format!(r#""token";r={left};t=55, "account";r={account};t=55"#)
        );
    }
    for _ in 0..2 {
        let reply = ask(&world.app, &token, now).await;
        let problem = reply.problem(429, "too-many-requests");
        assert_eq!(problem.code.as_deref(), Some("token"));
        assert_eq!(header(&reply, "retry-after"), "55");
        let next_minute = now + SignedDuration::from_secs(55);
        assert_eq!(problem.retry_at, Some(next_minute));
        assert!(header(&reply, "ratelimit").starts_with(r#""token";r=0;t=55, "#));
    }
    // Another token of the account, a server's, and the same one in the next minute.
    let other = world.acme.token(WIDGET_SCOPE, now).claim("sub", "other");
    assert_eq!(passed(&world.app, &other.sign(), 30, now).await, 25);
    let server = world.acme.token(SERVER_SCOPE, now).sign();
    assert_eq!(passed(&world.app, &server, 30, now).await, 30);
    let later = now + SignedDuration::from_secs(55);
    assert_eq!(passed(&world.app, &token, 30, later).await, 25);
    // A server's token that is restricted to some leads is one for pages.
    let restricted = world.acme.token(SERVER_SCOPE, now);
    let restricted = restricted.claim("leads", serde_json::json!(["ann"]));
    assert_eq!(passed(&world.app, &restricted.sign(), 30, now).await, 25);
}

async fn instances_together_pass_a_block_more_at_most(world: World) {
    let world = world.with_policy(per_minute(40, 1_000, 10_000)).await;
    let now = in_a_minute();
    let token = world.acme.token(WIDGET_SCOPE, now).sign();
    let (mut all, mut open) = (0, vec![&world.app, &world.rival]);
    while !open.is_empty() && all <= 40 + BLOCK {
        let mut still_open = Vec::new();
        for app in open {
            let reply = ask(app, &token, now).await;
            if reply.status == 200 {
                all += 1;
                still_open.push(app);
            }
        }
        open = still_open;
    }
    assert!((40..=40 + BLOCK).contains(&all), "{all} passed");
    // An instance that has just started has a block of its own, and no more.
    let newcomer = world.restarted();
    assert_eq!(passed(&newcomer, &token, 100, now).await, BLOCK);
}

async fn an_account_has_a_limit_over_all_its_tokens(world: World) {
    let world = world.with_policy(per_minute(100, 100, 30)).await;
    let now = in_a_minute();
    for n in 0..30 {
        let token = world.acme.token(SERVER_SCOPE, now).claim("sub", n);
        let reply = ask(&world.app, &token.sign(), now).await;
        assert_eq!(reply.status, 200, "{n}: {reply:?}");
    }
    let put = |account: &crate::tokens::Issuer| {
        let authorization = account.token(SERVER_SCOPE, now).bearer();
        let body = Body::Text(format!(r#"{{"address":"{ANN}"}}"#));
        request("PUT", "/v1/leads/ann", Some(&authorization), body)
    };
    let reply = answer(&world.app, put(&world.acme), now).await;
    // Another function of the same instance knows it too; it does nothing.
    let problem = reply.problem(429, "too-many-requests");
    assert_eq!(problem.code.as_deref(), Some("account"));
    assert!(world.stored_lead("ann").await.is_none());
    let reply = answer(&world.app, put(&world.globex), now).await;
    assert_eq!(reply.status, 201, "accounts share nothing: {reply:?}");
}

async fn whoever_asks_little_costs_no_write(world: World) {
    let now = in_a_minute();
    let token = world.acme.token(WIDGET_SCOPE, now).sign();
    let hash = token.split('.').next().unwrap();
    assert_eq!(passed(&world.app, &token, 1, now).await, 1);
    world.table_calls.take_calls();
    for _ in 1..BLOCK {
        assert_eq!(passed(&world.app, &token, 1, now).await, 1);
        // The lead does not exist; were it there, its evidence would be the second.
        assert_eq!(world.table_calls.take_operations(), ["BatchGetItem"]);
    }
    assert_eq!(passed(&world.app, &token, 1, now).await, 1);
    let calls = world.table_calls.take_calls();
    let counts: Vec<&Value> = calls
        .iter()
        .filter(|call| call.operation == "UpdateItem")
        .map(|call| &call.body)
        .collect();
    assert_eq!(counts.len(), 2, "{calls:?}");
    let minute = now.as_second() - 5;
    let mut kinds: Vec<&str> = Vec::new();
    for count in counts {
        let text = |name: &str| count["Key"][name]["S"].as_str().unwrap();
        assert_eq!(text("pk"), format!("acme#limit#{minute}"));
        assert_eq!(
            count["ExpressionAttributeValues"][":more"]["N"],
            BLOCK.to_string()
        );
        assert!(
            !count.to_string().contains(hash),
            "no part of a token may be stored"
        );
        kinds.push(text("sk").split('#').next().unwrap());
    }
    kinds.sort_unstable();
    assert_eq!(kinds, ["account", "token"]);
    // The same token with its signature written in another way is the same: (r, n - s) is as good as (r, s).
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let octets =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature);
    let signature = Signature::from_slice(&octets.unwrap()).unwrap();
    let (r, s) = signature.split_scalars();
    let other = Signature::from_scalars(r, -s).unwrap().to_bytes();
    let other = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, other);
    let reply = ask(&world.app, &format!("{signed}.{other}"), now).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let left = 300 - BLOCK - 2;
    assert!(header(&reply, "ratelimit").starts_with(&format!(r#""token";r={left};"#)));
}

async fn the_table_is_needed_to_count_and_its_outage_is_no_refusal(world: World) {
    let now = in_a_minute();
    let token = world.acme.token(WIDGET_SCOPE, now).sign();
    assert_eq!(passed(&world.app, &token, BLOCK, now).await, BLOCK);
    world
        .table_calls
        .script(|call| match call.operation.as_str() {
            "UpdateItem" => Act::throttle(),
            _ => Act::Pass,
        });
    let reply = ask(&world.app, &token, now).await;
    reply.problem(503, "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    world.table_calls.behave();
    assert_eq!(passed(&world.app, &token, 400, now).await, 300 - BLOCK);
}
