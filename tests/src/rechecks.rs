//! Check again: what may be pressed and how often, what a press finds, and who wins when things happen at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use leadlight::api::{Outcome, RecheckReply};
use leadlight::evidence::{AddressRecord, Evidence, Fact, Piece};
use leadlight::policy::Policy;
use leadlight_dev::dns::{Fault, Zone};
use leadlight_functions::feedback;
use leadlight_functions::table::item::Key;
use serde_json::{Value, json};

use crate::envelopes;
use crate::notifications::{
    GENERAL, MAILBOX_FULL, NO_EMAIL, ON_ACCOUNT_LIST, ON_GLOBAL_LIST, bounce, complaint,
    subscription,
};
use crate::proxy::{Act, Call, Misbehaviour};
use crate::tokens::SERVER_SCOPE;
use crate::world::{
    ANN, Reply, World, answer, days_ago, key_of, minutes_ago, on_both_engines, request, stable,
};

on_both_engines!(
    a_deliverable_address_is_released_to_the_standing_as_it_is_then,
    a_correction_is_rechecked_and_released,
    what_still_cannot_be_delivered_is_sent_and_stays,
    what_cannot_be_found_out_fails_and_changes_nothing,
    whatever_may_not_be_pressed_is_refused,
    a_refused_server_is_asked_again_after_thirty_days,
    a_lead_is_rechecked_five_times_an_hour,
    an_account_has_its_limit_for_a_day,
    the_address_is_taken_off_the_list_of_ses_in_its_own_spelling,
    a_complaint_on_the_list_of_ses_stops_the_release,
    a_failing_ses_fails_the_recheck_and_changes_nothing,
    the_list_is_cleared_before_the_release_is_written,
    a_complaint_that_lands_meanwhile_wins,
    a_bounce_that_lands_meanwhile_stands,
    two_presses_at_once_release_once,
    a_release_whose_answer_got_lost_is_one_release,
    a_failing_table_releases_nothing,
    a_second_failure_blocks_again,
    the_press_of_one_lead_releases_its_own_hold_only,
);

/// A change of DNS.
type Change = fn(Zone) -> Zone;

/// Blocklists `ann` for a cause that Check again can lift.
pub(crate) async fn block_ann(world: &World) {
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, GENERAL, days_ago(3))]).await;
    assert!(world.status("ann").await.may_check_again);
}

#[track_caller]
fn check_refused(reply: &Reply, code: &str, why: &str) {
    let problem = reply.problem(409, "check-again-refused");
    assert_eq!(problem.code.as_deref(), Some(code), "{why}");
}

pub(crate) fn code_of(status: &leadlight::api::LeadStatus) -> String {
    [
        Some(status.status.as_str()),
        status.reason.as_deref(),
        status.cause.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("/")
}

async fn a_deliverable_address_is_released_to_the_standing_as_it_is_then(world: World) {
    world
        .put("ann", json!({ "address": ANN, "standing": "unconfirmed" }))
        .await;
    world.deliver(&[bounce(ANN, GENERAL, days_ago(3))]).await;
    world
        .put("ann", json!({ "address": ANN, "standing": "active" }))
        .await;
    let reply = world.press("ann").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    insta::assert_json_snapshot!("released", stable(reply.body));
    assert_eq!(
        world.status("ann").await.status,
        "active",
        "not unconfirmed, as it was when it bounced"
    );
    let events: Vec<&str> = world
        .events("ann")
        .await
        .iter()
        .map(|event| event.code())
        .collect();
    assert_eq!(events[..2], ["safelisted", "verified"]);

    world.save("bob", "bob@lead.example").await;
    world
        .deliver(&[
            bounce("bob@lead.example", GENERAL, days_ago(3)),
            subscription("bob@lead.example", true, Timestamp::now()),
        ])
        .await;
    let released = world.recheck("bob").await;
    assert_eq!(
        released.status.status, "unsubscribed",
        "a release never resurrects consent"
    );
}

async fn a_correction_is_rechecked_and_released(world: World) {
    world.save("ann", "anm@lead.example").await;
    world
        .deliver(&[bounce("anm@lead.example", NO_EMAIL, days_ago(1))])
        .await;
    check_refused(
        &world.press("ann").await,
        "address_unchanged",
        "the mailbox does not exist",
    );
    world.save("ann", ANN).await;
    let released = world.recheck("ann").await;
    assert_eq!(
        (released.outcome, released.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    assert!(
        world.stored_lead("ann").await.unwrap().hold.is_none(),
        "the hold is off for good"
    );
    check_refused(
        &world.press("ann").await,
        "not_blocklisted",
        "nothing is left to lift",
    );
}

async fn what_still_cannot_be_delivered_is_sent_and_stays(world: World) {
    let domains: [(&str, Change, &str); 4] = [
        (
            "gone.example",
            |zone| zone.without("gone.example").without("mx.gone.example"),
            "no_such_domain",
        ),
        (
            "null.example",
            |zone| zone.without("null.example").null_mx("null.example"),
            "null_mx",
        ),
        (
            "bare.example",
            |zone| zone.without("bare.example").empty("bare.example"),
            "no_mail_server",
        ),
        (
            "lan.example",
            |zone| {
                zone.without("mx.lan.example")
                    .host("mx.lan.example", [192, 168, 0, 1].into())
            },
            "unreachable_mail_server",
        ),
    ];
    for (domain, spoil, cause) in domains {
        world
            .dns
            .change(|zone| zone.mail(domain, [192, 0, 2, 77].into()));
        let lead = domain.trim_end_matches(".example");
        let address = format!("ann@{domain}");
        world.save(lead, &address).await;
        world
            .deliver(&[bounce(&address, GENERAL, days_ago(3))])
            .await;
        world.dns.change(spoil);
        let pressed = world.recheck(lead).await;
        assert_eq!(pressed.outcome, Outcome::Sent, "{domain}");
        assert_eq!(
            serde_json::to_value(&pressed.verification).unwrap()["cause"],
            cause,
            "{domain}"
        );
        assert_eq!(pressed.status.status, "blocklisted", "{domain}");
        let record = world.record(&address).await.unwrap();
        assert!(
            record.evidence.released_at().is_none(),
            "{domain}: recorded, not released"
        );
        let events = world.events(lead).await;
        assert_eq!(events[0].code(), "verified", "{domain}");

        // The domain is repaired, and the next press does not believe what the last one was told.
        world.dns.change(|zone| {
            zone.without(domain)
                .without(&format!("mx.{domain}"))
                .mail(domain, [192, 0, 2, 78].into())
        });
        let released = world.recheck(lead).await;
        assert_eq!(released.status.status, "active", "{domain}");
    }
}

async fn what_cannot_be_found_out_fails_and_changes_nothing(world: World) {
    block_ann(&world).await;
    let record = world.record(ANN).await;
    let before = world.status("ann").await;
    let faults = [
        (Fault::ServerFailure, "dns_failure"),
        (Fault::Refused, "dns_failure"),
        (Fault::NoAuthority, "dns_unclear"),
        (Fault::Silence, "dns_timeout"),
    ];
    for (fault, cause) in faults {
        world.dns.change(|zone| zone.fault("lead.example", fault));
        let started = Instant::now();
        let pressed = world.recheck("ann").await;
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{fault:?}: {:?}",
            started.elapsed()
        );
        assert_eq!(pressed.outcome, Outcome::Fail, "{fault:?}");
        assert_eq!(
            serde_json::to_value(&pressed.verification).unwrap()["cause"],
            cause,
            "{fault:?}"
        );
        assert_eq!(pressed.status, before, "{fault:?}");
        assert_eq!(
            world.record(ANN).await,
            record,
            "{fault:?}: the evidence is as it was"
        );
        assert_eq!(
            world.events("ann").await[0].code(),
            "recheck_failed",
            "{fault:?}"
        );
    }
    let ses = world.ses_calls.take_operations();
    assert_eq!(
        ses,
        Vec::<String>::new(),
        "SES is not asked about what is not known to be deliverable"
    );
}

async fn whatever_may_not_be_pressed_is_refused(world: World) {
    let leads = [
        "clear",
        "soft",
        "unsubscribed",
        "complained",
        "suspected",
        "manual",
        "missing",
        "syntax",
        "global",
        "held",
    ];
    for lead in leads {
        let local = if lead == "syntax" { "jürgen" } else { lead };
        world.save(lead, &format!("{local}@lead.example")).await;
    }
    let of = |lead: &str| format!("{lead}@lead.example");
    world
        .deliver(&[
            bounce(&of("soft"), MAILBOX_FULL, days_ago(1)),
            complaint(&[&of("complained")], days_ago(1)),
            complaint(&[&of("suspected"), "other@lead.example"], days_ago(1)),
            bounce(&of("missing"), NO_EMAIL, days_ago(1)),
            bounce(&of("global"), ON_GLOBAL_LIST, days_ago(1)),
            complaint(&[&of("held")], days_ago(1)),
            subscription(&of("unsubscribed"), true, Timestamp::now()),
        ])
        .await;
    block_by_hand(&world, &of("manual")).await;
    world.save("held", "held@new.example").await;
    let rows = [
        ("clear", "not_blocklisted", "there is nothing to lift"),
        ("soft", "not_blocklisted", "soft bounces do not block yet"),
        (
            "unsubscribed",
            "not_blocklisted",
            "consent is not ours to give",
        ),
        (
            "complained",
            "complaint",
            "complaints are never cleared by a button",
        ),
        (
            "suspected",
            "support_only",
            "who complained is not certain, but a person has to say so",
        ),
        (
            "manual",
            "support_only",
            "a person's block is lifted by a person",
        ),
        ("missing", "address_unchanged", "the mailbox does not exist"),
        ("syntax", "address_unchanged", "SES cannot send to it"),
        ("global", "too_early", "SES forgets within 14 days"),
        (
            "held",
            "complaint",
            "a complaint goes with the lead to its new address",
        ),
    ];
    let questions = world.questions().await;
    for (lead, code, why) in rows {
        let before = world.stored_lead(lead).await;
        let reply = world.press(lead).await;
        check_refused(&reply, code, why);
        assert!(
            !world.status(lead).await.may_check_again,
            "the widget shows no button: {why}"
        );
        let retry_at = reply.body.get("retry_at").is_some();
        assert_eq!(retry_at, code == "too_early", "{why}: {reply:?}");
        assert_eq!(
            world.stored_lead(lead).await,
            before,
            "{why}: nothing changed"
        );
    }
    assert_eq!(
        world.questions().await,
        questions,
        "nothing is asked about what is refused"
    );
    assert_eq!(world.ses_calls.take_operations(), Vec::<String>::new());
    let reply = world.press("complained").await;
    insta::assert_json_snapshot!("complaint_refused", reply.body);
    world.press("nobody").await.problem(404, "unknown-lead");
}

/// A person in support blocks an address.
async fn block_by_hand(world: &World, address: &str) {
    let key = Key::<AddressRecord>::evidence(&world.acme.account, &key_of(address));
    let stored = world
        .table()
        .load(&key, leadlight_functions::table::Consistency::Strong)
        .await
        .unwrap()
        .unwrap();
    let at = days_ago(1);
    let fact = Fact::ManualBlock {
        actor: "support".to_owned(),
    };
    let piece = Piece::new(fact, "case-1", &key_of(address), at, at);
    let evidence: Evidence = stored.item.evidence.clone().merge([piece]);
    let record = AddressRecord {
        evidence,
        ..stored.item
    };
    let _committed = world
        .table()
        .commit(&key, &record, Some(stored.version))
        .await
        .unwrap();
}

async fn a_refused_server_is_asked_again_after_thirty_days(world: World) {
    block_ann(&world).await;
    let first = Timestamp::now();
    assert_eq!(world.recheck("ann").await.status.status, "active");
    world
        .deliver(&[bounce(
            ANN,
            GENERAL,
            Timestamp::now() + SignedDuration::from_secs(1),
        )])
        .await;
    let blocked = world.status("ann").await;
    assert_eq!(code_of(&blocked), "blocklisted/hard_bounce/unspecified");
    assert!(!blocked.may_check_again);
    let reply = world.press("ann").await;
    check_refused(&reply, "too_early", "30 days have not passed");
    let retry_at = reply.problem(409, "check-again-refused").retry_at.unwrap();
    let wait = retry_at.duration_since(first);
    assert!(
        (wait - SignedDuration::from_hours(30 * 24)).abs() < SignedDuration::from_mins(1),
        "{wait:?}"
    );

    let a_moment_before = retry_at - SignedDuration::from_secs(1);
    check_refused(
        &world.press_at("ann", a_moment_before).await,
        "too_early",
        "a second short",
    );
    let reply: RecheckReply = world.press_at("ann", retry_at).await.read();
    assert_eq!(reply.status.status, "active");
}

async fn a_lead_is_rechecked_five_times_an_hour(world: World) {
    block_ann(&world).await;
    world.save("bob", "bob@lead.example").await;
    world
        .deliver(&[bounce("bob@lead.example", GENERAL, days_ago(3))])
        .await;
    world
        .dns
        .change(|zone| zone.fault("lead.example", Fault::ServerFailure));
    let start = Timestamp::now();
    let minute = |minute: i64| start + SignedDuration::from_mins(minute);
    for n in 0..5 {
        let reply = world.press_at("ann", minute(n)).await;
        assert_eq!(reply.body["outcome"], "fail", "press {n}: {reply:?}");
    }
    let questions = world.questions().await;
    let reply = world.press_at("ann", minute(5)).await;
    let problem = reply.problem(429, "too-many-rechecks");
    assert_eq!(problem.code.as_deref(), Some("lead"));
    assert_eq!(problem.retry_at, Some(minute(60)));
    assert_eq!(reply.headers["retry-after"], "3300", "55 minutes");
    assert_eq!(
        world.questions().await,
        questions,
        "a refused press asks nobody"
    );
    assert_eq!(
        world.press_at("bob", minute(5)).await.status,
        200,
        "each lead has its own limit"
    );
    assert_eq!(
        world.press_at("ann", minute(60)).await.status,
        200,
        "the first has left the hour"
    );
    assert_eq!(world.press_at("ann", minute(60)).await.status, 429);
}

async fn an_account_has_its_limit_for_a_day(world: World) {
    let policy = Policy {
        rechecks_per_account_per_day: 3,
        ..Policy::default()
    };
    let world = world.with_policy(policy).await;
    let day = date(2026, 3, 31)
        .at(22, 0, 0, 0)
        .to_zoned(TimeZone::UTC)
        .unwrap()
        .timestamp();
    for lead in ["a", "b", "c", "d"] {
        world.save(lead, &format!("{lead}@lead.example")).await;
        world
            .deliver(&[bounce(
                &format!("{lead}@lead.example"),
                GENERAL,
                days_ago(3),
            )])
            .await;
    }
    world
        .dns
        .change(|zone| zone.fault("lead.example", Fault::ServerFailure));
    for lead in ["a", "b", "c"] {
        assert_eq!(world.press_at(lead, day).await.status, 200, "{lead}");
    }
    let reply = world.press_at("d", day).await;
    let problem = reply.problem(429, "too-many-rechecks");
    assert_eq!(problem.code.as_deref(), Some("account"));
    assert_eq!(
        problem.retry_at.unwrap().to_string(),
        "2026-04-01T00:00:00Z"
    );
    assert_eq!(
        reply.headers["retry-after"], "7200",
        "two hours to midnight, UTC"
    );
    let tomorrow = day + SignedDuration::from_hours(2);
    assert_eq!(world.press_at("d", tomorrow).await.status, 200);
    // Presses that are refused for another reason are not counted.
    world.save("clear", "clear@new.example").await;
    for _ in 0..3 {
        check_refused(
            &world.press_at("clear", tomorrow).await,
            "not_blocklisted",
            "",
        );
    }
    for lead in ["a", "b"] {
        assert_eq!(
            world
                .press_at(lead, tomorrow + SignedDuration::from_hours(1))
                .await
                .status,
            200
        );
    }
}

async fn the_address_is_taken_off_the_list_of_ses_in_its_own_spelling(world: World) {
    world.save("ann", ANN).await;
    world
        .deliver(&[
            bounce("Ann@Lead.Example", ON_ACCOUNT_LIST, days_ago(2)),
            bounce("ANN@lead.example", ON_ACCOUNT_LIST, days_ago(1)),
        ])
        .await;
    for spelling in [
        "Ann@Lead.Example",
        "ANN@lead.example",
        ANN,
        "annie@lead.example",
    ] {
        world.ses.suppress(spelling, "BOUNCE").unwrap();
    }
    let released = world.recheck("ann").await;
    assert_eq!(
        (released.outcome, released.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    let left: Vec<String> = world
        .ses
        .suppressed()
        .unwrap()
        .into_iter()
        .map(|entry| entry.address)
        .collect();
    assert_eq!(
        left,
        ["annie@lead.example"],
        "every spelling of hers, and nobody else's"
    );
}

async fn a_complaint_on_the_list_of_ses_stops_the_release(world: World) {
    block_ann(&world).await;
    world.save("twin", ANN).await;
    world.ses.suppress("ANN@LEAD.EXAMPLE", "BOUNCE").unwrap();
    world.ses.suppress(ANN, "COMPLAINT").unwrap();
    let pressed = world.recheck("ann").await;
    assert_eq!(pressed.outcome, Outcome::Sent);
    assert_eq!(
        code_of(&pressed.status),
        "blocklisted/spam_complaint/certain"
    );
    assert_eq!(pressed.status.resolution.unwrap().code(), "never");
    let record = world.record(ANN).await.unwrap();
    assert!(record.evidence.released_at().is_none());
    let listed = world.ses.suppressed().unwrap();
    assert!(
        listed.iter().any(|entry| entry.address == ANN),
        "a complaint is not taken off"
    );
    check_refused(
        &world.press("ann").await,
        "complaint",
        "now it is known here as well",
    );
    let moved = world.save("ann", "ann@new.example").await;
    assert_eq!(
        code_of(&moved.status),
        "blocklisted/spam_complaint/certain",
        "it sticks like any other"
    );
    let twin = world.save("twin", "twin@new.example").await;
    assert_eq!(
        code_of(&twin.status),
        "blocklisted/spam_complaint/certain",
        "with every lead of the address"
    );
}

async fn a_failing_ses_fails_the_recheck_and_changes_nothing(world: World) {
    block_ann(&world).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    let record = world.record(ANN).await;
    let before = world.status("ann").await;
    let throttled = || {
        let body = json!({ "__type": "TooManyRequestsException", "message": "slow down" });
        Act::Refuse(429, body)
    };
    let faults: [(&str, &str, Misbehaviour); 5] = [
        ("asking is throttled", "GET", throttled),
        ("asking is cut off", "GET", || Act::CutBefore),
        ("asking is never answered", "GET", || {
            Act::PassAfter(Box::pin(std::future::pending()))
        }),
        ("clearing is throttled", "DELETE", throttled),
        ("clearing fails", "DELETE", || {
            Act::Refuse(500, json!({ "__type": "InternalServiceErrorException" }))
        }),
    ];
    for (why, method, fault) in faults {
        world.ses_calls.script(move |call| {
            if call.operation.starts_with(method) {
                fault()
            } else {
                Act::Pass
            }
        });
        let started = Instant::now();
        let pressed = world.recheck("ann").await;
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{why}: {:?}",
            started.elapsed()
        );
        assert_eq!(pressed.outcome, Outcome::Fail, "{why}");
        assert_eq!(pressed.status, before, "{why}");
        assert_eq!(
            world.record(ANN).await,
            record,
            "{why}: the evidence is as it was"
        );
        assert_eq!(
            world.events("ann").await[0].code(),
            "recheck_failed",
            "{why}"
        );
    }
    world.ses_calls.behave();
    let an_hour_later = Timestamp::now() + SignedDuration::from_hours(1);
    let reply: RecheckReply = world.press_at("ann", an_hour_later).await.read();
    assert_eq!(reply.status.status, "active");
}

async fn the_list_is_cleared_before_the_release_is_written(world: World) {
    block_ann(&world).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    // The table fails at the moment of the release: the list is cleared by then, which harms nobody, and the next press finishes.
    world.table_calls.script(|call| {
        if is_release(call) {
            Act::CutBefore
        } else {
            Act::Pass
        }
    });
    world.press("ann").await.problem(503, "unavailable");
    assert_eq!(world.ses.suppressed().unwrap(), []);
    assert_eq!(world.status("ann").await.status, "blocklisted");
    world.table_calls.behave();
    assert_eq!(world.recheck("ann").await.status.status, "active");
}

fn is_release(call: &Call) -> bool {
    call.written() == Some("evidence") && call.body.to_string().contains("recheck")
}

/// Lets a notification be recorded after the verification, just before the release is written.
fn meanwhile(world: &World, notification: &Value) {
    let rival = Arc::clone(&world.rival);
    let mut event = Some(envelopes::sqs(&[envelopes::sns(notification)]));
    world.table_calls.script(move |call| {
        if !is_release(call) {
            return Act::Pass;
        }
        let Some(event) = event.take() else {
            return Act::Pass;
        };
        let rival = Arc::clone(&rival);
        Act::PassAfter(Box::pin(async move {
            feedback::handle(&rival, event, None).await.unwrap();
        }))
    });
}

async fn a_complaint_that_lands_meanwhile_wins(world: World) {
    for (lead, happened) in [("now", minutes_ago(0)), ("before-the-press", days_ago(2))] {
        let address = format!("{lead}@lead.example");
        world.save(lead, &address).await;
        world
            .deliver(&[bounce(&address, GENERAL, days_ago(3))])
            .await;
        meanwhile(&world, &complaint(&[&address], happened));
        let pressed = world.recheck(lead).await;
        assert_eq!(pressed.outcome, Outcome::Sent);
        assert_eq!(
            code_of(&pressed.status),
            "blocklisted/spam_complaint/certain",
            "{lead}"
        );
        let record = world.record(&address).await.unwrap();
        assert!(
            record.evidence.released_at().is_none(),
            "{lead}: not even a release that lifts nothing"
        );
        world.table_calls.behave();
        assert_eq!(
            code_of(&world.status(lead).await),
            "blocklisted/spam_complaint/certain"
        );
    }
}

async fn a_bounce_that_lands_meanwhile_stands(world: World) {
    block_ann(&world).await;
    let after_the_press = Timestamp::now() + SignedDuration::from_secs(5);
    meanwhile(&world, &bounce(ANN, NO_EMAIL, after_the_press));
    let pressed = world.recheck("ann").await;
    assert_eq!(
        code_of(&pressed.status),
        "blocklisted/hard_bounce/mailbox_missing"
    );
}

async fn two_presses_at_once_release_once(world: World) {
    world.save("ann", "anm@lead.example").await;
    world
        .deliver(&[bounce("anm@lead.example", GENERAL, days_ago(3))])
        .await;
    world.save("ann", ANN).await;
    let now = Timestamp::now();
    let authorization = world.acme.token(SERVER_SCOPE, now).bearer();
    let press = |app| {
        let request = request(
            "POST",
            "/v1/leads/ann/rechecks",
            Some(&authorization),
            String::new().into(),
        );
        answer(app, request, now)
    };
    let replies = futures_util::future::join_all(
        (0..4).map(|n| press(if n % 2 == 0 { &world.app } else { &world.rival })),
    )
    .await;
    for reply in &replies {
        match reply.status {
            200 => assert_eq!(reply.body["status"]["status"], "active", "{reply:?}"),
            409 => check_refused(reply, "not_blocklisted", "somebody was faster"),
            _ => {
                reply.problem(503, "unavailable");
            }
        }
    }
    let lead = world.stored_lead("ann").await.unwrap();
    assert!(lead.hold.is_none());
    assert!(
        !lead.rechecked_at.is_empty() && lead.rechecked_at.len() <= 4,
        "each that passed was counted"
    );
    let record = world.record(ANN).await.unwrap();
    let releases = record
        .evidence
        .pieces()
        .filter(|piece| piece.id.as_str().starts_with("release:"));
    assert_eq!(releases.count(), 1, "a second press finds nothing to lift");
    assert_eq!(world.status("ann").await.status, "active");
}

async fn a_release_whose_answer_got_lost_is_one_release(world: World) {
    block_ann(&world).await;
    let mut cut = true;
    world.table_calls.script(move |call| {
        if is_release(call) && std::mem::take(&mut cut) {
            Act::CutAfter
        } else {
            Act::Pass
        }
    });
    let pressed = world.recheck("ann").await;
    assert_eq!(
        (pressed.outcome, pressed.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    let events = world.events("ann").await;
    let count = |code: &str| events.iter().filter(|event| event.code() == code).count();
    assert_eq!(
        (count("safelisted"), count("verified")),
        (1, 2),
        "{events:?}"
    );
}

async fn a_failing_table_releases_nothing(world: World) {
    block_ann(&world).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    for operation in ["GetItem", "PutItem", "UpdateItem"] {
        world.table_calls.script(move |call| {
            let is_account = call.body["Key"]["sk"]["S"] == "account";
            if call.operation == operation && !is_account {
                Act::throttle()
            } else {
                Act::Pass
            }
        });
        world.press("ann").await.problem(503, "unavailable");
        world.table_calls.behave();
        assert_eq!(
            world.status("ann").await.status,
            "blocklisted",
            "{operation}"
        );
        assert_eq!(
            world.ses.suppressed().unwrap().len(),
            1,
            "{operation}: nothing was begun"
        );
    }
}

async fn a_second_failure_blocks_again(world: World) {
    world.save("ann", "anm@lead.example").await;
    world
        .deliver(&[bounce("anm@lead.example", NO_EMAIL, days_ago(2))])
        .await;
    world.save("ann", ANN).await;
    assert_eq!(world.recheck("ann").await.status.status, "active");
    world
        .deliver(&[bounce(
            ANN,
            NO_EMAIL,
            Timestamp::now() + SignedDuration::from_secs(1),
        )])
        .await;
    assert_eq!(
        code_of(&world.status("ann").await),
        "blocklisted/hard_bounce/mailbox_missing"
    );
    check_refused(
        &world.press("ann").await,
        "address_unchanged",
        "and has to be corrected again",
    );
    // What is older than the release stays lifted, however late it comes.
    world.save("bob", "bob@lead.example").await;
    world
        .deliver(&[bounce("bob@lead.example", GENERAL, days_ago(3))])
        .await;
    world.recheck("bob").await;
    world
        .deliver(&[bounce("bob@lead.example", NO_EMAIL, days_ago(4))])
        .await;
    assert_eq!(world.status("bob").await.status, "active");
}

async fn the_press_of_one_lead_releases_its_own_hold_only(world: World) {
    for lead in ["ann", "twin"] {
        world.save(lead, &format!("{lead}-old@lead.example")).await;
        world
            .deliver(&[bounce(
                &format!("{lead}-old@lead.example"),
                NO_EMAIL,
                days_ago(1),
            )])
            .await;
        world.save(lead, ANN).await;
    }
    assert_eq!(world.recheck("ann").await.status.status, "active");
    assert_eq!(
        code_of(&world.status("twin").await),
        "blocklisted/hard_bounce/mailbox_missing"
    );
    assert_eq!(world.recheck("twin").await.status.status, "active");
}
