//! SES's opinion on a mailbox: what it keeps, what it never does, and what it costs.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use leadlight::api::{Outcome, RecheckReply};
use leadlight::evidence::Fact;
use leadlight::policy::Policy;
use leadlight_dev::ses::Insight;

use crate::notifications::{GENERAL, ON_ACCOUNT_LIST, bounce};
use crate::rechecks::{block_ann, code_of};
use crate::world::{ANN, World, days_ago, on_both_engines};

on_both_engines!(
    nobody_is_asked_unless_the_account_wants_it,
    a_mailbox_that_does_not_exist_keeps_its_block,
    no_opinion_changes_anything,
    a_days_questions_are_limited,
    dns_is_asked_first,
    a_repaired_zone_lifts_no_block_of_a_missing_mailbox,
    nobody_is_blocked_by_an_opinion,
);

/// A world whose account pays for so many questions a day.
async fn paying(world: World, most: u32) -> World {
    let policy = Policy {
        mailbox_checks_per_day: most,
        ..Policy::default()
    };
    world.with_policy(policy).await
}

#[track_caller]
fn check_kept(reply: &RecheckReply, reason: &str) {
    assert_eq!(reply.outcome, Outcome::Sent, "{reply:?}");
    assert_eq!(code_of(&reply.status), reason);
    let sentence = reply.kept_because.as_deref().unwrap_or_default();
    assert!(sentence.contains("no such mailbox"), "{reply:?}");
}

async fn nobody_is_asked_unless_the_account_wants_it(world: World) {
    block_ann(&world).await;
    world.ses.know(ANN, Insight::Missing);
    let reply = world.recheck("ann").await;
    assert_eq!(reply.status.status, "active");
    assert_eq!((world.ses.insights_given(), reply.kept_because), (0, None));
}

async fn a_mailbox_that_does_not_exist_keeps_its_block(world: World) {
    let world = paying(world, 10).await;
    block_ann(&world).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    world.ses.know(ANN, Insight::Missing);
    check_kept(
        &world.recheck("ann").await,
        "blocklisted/hard_bounce/unspecified",
    );
    assert_eq!(
        world.ses.suppressed().unwrap().len(),
        1,
        "SES goes on withholding"
    );
    let record = world.record(ANN).await.unwrap();
    let is_released = record
        .evidence
        .pieces()
        .any(|piece| matches!(piece.fact, Fact::Release { .. }));
    assert!(!is_released, "{record:?}");

    check_kept(
        &world.recheck("ann").await,
        "blocklisted/hard_bounce/unspecified",
    );
    assert_eq!(
        world.ses.insights_given(),
        1,
        "the answer is kept: a cent, not two"
    );
    world.ses.know(ANN, Insight::Exists);
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(25);
    let reply: RecheckReply = world.press_at("ann", tomorrow).await.read();
    assert_eq!(
        (reply.outcome, reply.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    assert_eq!(
        world.ses.insights_given(),
        2,
        "a day later it is asked again"
    );
    assert_eq!(world.ses.suppressed().unwrap(), []);
}

async fn no_opinion_changes_anything(world: World) {
    let world = paying(world, 10).await;
    let insights = [
        Insight::Exists,
        Insight::Unsure,
        Insight::Unheard,
        Insight::Nothing,
        Insight::Throttled,
        Insight::MissingAfter(Duration::from_secs(10)),
    ];
    for (n, insight) in insights.into_iter().enumerate() {
        let (lead, address) = (format!("lead-{n}"), format!("person{n}@lead.example"));
        world.save(&lead, &address).await;
        world
            .deliver(&[bounce(&address, GENERAL, days_ago(3))])
            .await;
        world.ses.know(&address, insight);
        let started = Instant::now();
        let reply = world.recheck(&lead).await;
        assert_eq!(
            (
                reply.outcome,
                reply.status.status.as_str(),
                reply.kept_because
            ),
            (Outcome::Sent, "active", None),
            "{insight:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(4), "{insight:?}");
        assert_eq!(world.ses.insights_given(), n + 1, "{insight:?}: asked once");
    }
}

async fn a_days_questions_are_limited(world: World) {
    let world = paying(world, 2).await;
    let now = Timestamp::now();
    for n in 0..4 {
        let (lead, address) = (format!("lead-{n}"), format!("person{n}@lead.example"));
        world.save(&lead, &address).await;
        world
            .deliver(&[bounce(&address, GENERAL, days_ago(3))])
            .await;
        world.ses.know(&address, Insight::Missing);
        let reply: RecheckReply = world.press_at(&lead, now).await.read();
        let expected = if n < 2 { "blocklisted" } else { "active" };
        assert_eq!(reply.status.status, expected, "press {n}");
    }
    assert_eq!(world.ses.insights_given(), 2);
}

async fn dns_is_asked_first(world: World) {
    let world = paying(world, 10).await;
    for (lead, address) in [
        ("parked", "ann@null-mx.example"),
        ("failing", "ann@failing.example"),
    ] {
        world.save(lead, address).await;
        world
            .deliver(&[bounce(address, GENERAL, days_ago(3))])
            .await;
        let reply = world.recheck(lead).await;
        assert_eq!(reply.status.status, "blocklisted", "{reply:?}");
    }
    assert_eq!(world.ses.insights_given(), 0, "there is nothing to pay for");
}

async fn a_repaired_zone_lifts_no_block_of_a_missing_mailbox(world: World) {
    let world = paying(world, 10).await;
    let address = "ann@null-mx.example";
    let saved = world.save("ann", address).await;
    assert_eq!(code_of(&saved.status), "blocklisted/undeliverable/null_mx");
    world.dns.change(|zone| {
        zone.without("null-mx.example")
            .mail("null-mx.example", [192, 0, 2, 1].into())
    });
    world.ses.know(address, Insight::Missing);
    check_kept(
        &world.recheck("ann").await,
        "blocklisted/undeliverable/null_mx",
    );
    assert_eq!(
        code_of(&world.status("ann").await),
        "blocklisted/undeliverable/null_mx"
    );
}

async fn nobody_is_blocked_by_an_opinion(world: World) {
    let world = paying(world, 10).await;
    world.ses.know(ANN, Insight::Missing);
    let saved = world.save("bob", ANN).await;
    assert_eq!(saved.status.status, "active");
    world.press("bob").await.problem(409, "check-again-refused");
    assert_eq!(world.ses.insights_given(), 0, "saving does not ask");

    // What is kept is the block that stands, for the reason that it stands for.
    world
        .deliver(&[bounce(ANN, ON_ACCOUNT_LIST, days_ago(1))])
        .await;
    let before = world.status("bob").await;
    let reply = world.recheck("bob").await;
    check_kept(&reply, &code_of(&before));
    assert_eq!(reply.status.because, before.because, "no evidence more");
}
