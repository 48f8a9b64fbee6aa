//! Verifying by itself what could not be verified when it was saved: when, what comes of it, and what a crash or a second run leaves.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use leadlight::log::LogEvent;
use leadlight_dev::dns::{Fault, Zone};
use leadlight_functions::reverifications::{self, Report};
use serde_json::json;

use crate::proxy::Act;
use crate::rechecks::code_of;
use crate::world::{ANN, World, on_both_engines};

on_both_engines!(
    what_could_not_be_verified_is_verified_without_the_user,
    what_is_deliverable_after_all_stays_as_it_is,
    it_is_tried_for_three_days_and_no_longer,
    the_address_of_then_is_what_is_verified,
    what_was_verified_meanwhile_is_left_alone,
    two_runs_at_once_tell_it_once,
    a_crash_leaves_nothing_undone,
    a_dead_domain_is_asked_once_a_run,
    many_are_seen_to_in_one_run,
    a_run_that_is_out_of_time_leaves_the_rest,
    a_save_whose_retry_cannot_be_noted_fails,
);

const ODD: &str = "ann@odd.example";
const NOTHING: Report = Report {
    verified: 0,
    needless: 0,
    put_off: 0,
    given_up: 0,
    left: 0,
};

fn after(start: Timestamp, minutes: i64) -> Timestamp {
    start + SignedDuration::from_mins(minutes)
}

/// Saves the lead `ann` while her domain cannot be asked. Answers when that was.
async fn save_in_the_dark(world: &World) -> Timestamp {
    world
        .dns
        .change(|zone| zone.fault("odd.example", Fault::ServerFailure));
    let saved = world.save("ann", ODD).await;
    assert_eq!(
        saved.status.status, "active",
        "nothing found out blocks nobody"
    );
    let verification = saved.verification.unwrap();
    assert!(verification.retry_after_s.is_some(), "{verification:?}");
    Timestamp::now()
}

fn repaired(zone: Zone) -> Zone {
    zone.without("odd.example")
        .mail("odd.example", [192, 0, 2, 1].into())
}

fn parked(zone: Zone) -> Zone {
    zone.without("odd.example").null_mx("odd.example")
}

async fn verifications(world: &World) -> usize {
    let events = world.events("ann").await;
    events
        .iter()
        .filter(|event| **event == LogEvent::Verified)
        .count()
}

async fn what_could_not_be_verified_is_verified_without_the_user(world: World) {
    let start = save_in_the_dark(&world).await;
    world.dns.change(parked);
    let early = start - SignedDuration::from_secs(5);
    assert_eq!(
        world.tick(early).await,
        NOTHING,
        "not before a minute has gone"
    );
    let report = world.tick(after(start, 1)).await;
    assert_eq!(
        report,
        Report {
            verified: 1,
            ..NOTHING
        }
    );
    assert_eq!(
        code_of(&world.status("ann").await),
        "blocklisted/undeliverable/null_mx"
    );
    assert_eq!(verifications(&world).await, 1);
    assert_eq!(
        world.tick(after(start, 5_000)).await,
        NOTHING,
        "once is enough"
    );
    world.dns.change(repaired);
    assert_eq!(world.recheck("ann").await.status.status, "active");
}

async fn what_is_deliverable_after_all_stays_as_it_is(world: World) {
    let start = save_in_the_dark(&world).await;
    world.dns.change(repaired);
    assert_eq!(world.tick(after(start, 1)).await.verified, 1);
    assert_eq!(world.status("ann").await.status, "active");
    assert_eq!(
        verifications(&world).await,
        1,
        "the log says that it was verified"
    );
}

async fn it_is_tried_for_three_days_and_no_longer(world: World) {
    let start = save_in_the_dark(&world).await;
    let put_off = Report {
        put_off: 1,
        ..NOTHING
    };
    let mut tries = 0;
    let mut now = start;
    // Every half minute of the first three hours, then every hour.
    while now < after(start, 4 * 24 * 60) {
        let report = world.tick(now).await;
        tries += report.put_off;
        if report.given_up == 1 {
            assert_eq!(
                report,
                Report {
                    given_up: 1,
                    ..put_off
                }
            );
            break;
        }
        let step = if now < after(start, 180) { 30 } else { 3_600 };
        now += SignedDuration::from_secs(step);
    }
    assert_eq!(tries, 10);
    assert!(now > after(start, 3 * 24 * 60), "{now} after {start}");
    assert_eq!(world.tick(after(start, 30 * 24 * 60)).await, NOTHING);
    assert_eq!(world.status("ann").await.status, "active");
}

async fn the_address_of_then_is_what_is_verified(world: World) {
    let start = save_in_the_dark(&world).await;
    // The new address cannot be verified either; the former one will never be of interest again.
    world.save("ann", "ann@failing.example").await;
    world.dns.change(|zone| {
        parked(zone)
            .without("failing.example")
            .null_mx("failing.example")
    });
    let report = world.tick(after(start, 2)).await;
    // Both saves left an item, unless they were made in the same second: one of them does.
    assert_eq!(report.verified, 1, "{report:?}");
    assert_eq!(report.put_off + report.left, 0, "{report:?}");
    assert!(
        world.record(ODD).await.is_none(),
        "nothing is said of the former address"
    );
    assert!(world.record("ann@failing.example").await.is_some());
    assert_eq!(world.tick(after(start, 5_000)).await, NOTHING);
}

async fn what_was_verified_meanwhile_is_left_alone(world: World) {
    let start = save_in_the_dark(&world).await;
    world.save("ann", ANN).await;
    let asked = world.questions().await;
    assert_eq!(
        world.tick(after(start, 1)).await,
        Report {
            needless: 1,
            ..NOTHING
        }
    );
    assert_eq!(world.questions().await, asked, "nobody is asked");
    assert_eq!(verifications(&world).await, 1);
}

async fn two_runs_at_once_tell_it_once(world: World) {
    let start = save_in_the_dark(&world).await;
    let now = after(start, 1);
    let both = async || {
        let (one, other) = tokio::join!(
            reverifications::handle_at(&world.app.verifier, None, now),
            reverifications::handle_at(&world.rival.verifier, None, now),
        );
        (one.unwrap(), other.unwrap())
    };
    let (one, other) = both().await;
    assert!(one.put_off + other.put_off >= 1, "{one:?} {other:?}");
    world.dns.change(parked);
    let now = after(start, 7);
    let (one, other) = tokio::join!(
        reverifications::handle_at(&world.app.verifier, None, now),
        reverifications::handle_at(&world.rival.verifier, None, now),
    );
    assert!(one.unwrap().verified + other.unwrap().verified >= 1);
    assert_eq!(verifications(&world).await, 1, "told once");
    assert_eq!(
        world.tick(after(start, 5_000)).await,
        NOTHING,
        "nothing has multiplied"
    );
}

async fn a_crash_leaves_nothing_undone(world: World) {
    let start = save_in_the_dark(&world).await;
    // Cut off after the later item was written and before this one is gone; then before anything is written at all.
    for failing in ["DeleteItem", "PutItem"] {
        let report = {
            world.table_calls.script(move |call| {
                if call.operation == failing {
                    Act::CutBefore
                } else {
                    Act::Pass
                }
            });
            world.tick(after(start, 1)).await
        };
        assert_eq!(report, Report { left: 1, ..NOTHING }, "{failing}");
    }
    world.table_calls.behave();
    world.dns.change(parked);
    // The verdict is stored, but not that it is done.
    world.table_calls.script(|call| {
        if call.operation == "DeleteItem" {
            Act::CutBefore
        } else {
            Act::Pass
        }
    });
    let report = world.tick(after(start, 7)).await;
    assert_eq!((report.verified, report.left), (0, 2), "{report:?}");
    assert_eq!(
        code_of(&world.status("ann").await),
        "blocklisted/undeliverable/null_mx"
    );
    world.table_calls.behave();
    assert_eq!(
        world.tick(after(start, 8)).await,
        Report {
            needless: 2,
            ..NOTHING
        }
    );
    assert_eq!(verifications(&world).await, 1);
    assert_eq!(world.tick(after(start, 5_000)).await, NOTHING);

    // A list that cannot be read is an error of the run, which the schedule repeats.
    world.table_calls.script(|call| {
        if call.operation == "Query" {
            Act::CutBefore
        } else {
            Act::Pass
        }
    });
    let failed = reverifications::handle_at(&world.app.verifier, None, start).await;
    assert!(failed.is_err(), "{failed:?}");
}

async fn a_dead_domain_is_asked_once_a_run(world: World) {
    world
        .dns
        .change(|zone| zone.fault("odd.example", Fault::ServerFailure));
    for n in 0..12 {
        world
            .save(&format!("lead-{n}"), &format!("person{n}@odd.example"))
            .await;
    }
    let start = Timestamp::now();
    world.dns.listen().await.unwrap();
    let before = world.dns.questions_about("odd.example");
    let report = world.tick(after(start, 1)).await;
    assert_eq!(
        report,
        Report {
            put_off: 12,
            ..NOTHING
        }
    );
    world.dns.listen().await.unwrap();
    let asked = world.dns.questions_about("odd.example") - before;
    assert!(asked <= 6, "MX, A and AAAA, each tried twice: {asked}");
}

async fn many_are_seen_to_in_one_run(world: World) {
    world
        .dns
        .change(|zone| zone.fault("odd.example", Fault::ServerFailure));
    let now = Timestamp::now();
    for n in 0..130 {
        let body = json!({ "address": format!("person{n}@odd.example") });
        let reply = world
            .call_at("PUT", &format!("/v1/leads/lead-{n}"), body, now)
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    world.dns.change(parked);
    let report = world.tick(after(now, 1)).await;
    assert_eq!(
        report,
        Report {
            verified: 130,
            ..NOTHING
        },
        "more than a page"
    );
    for lead in ["lead-0", "lead-129"] {
        assert_eq!(
            code_of(&world.status(lead).await),
            "blocklisted/undeliverable/null_mx"
        );
    }
}

async fn a_run_that_is_out_of_time_leaves_the_rest(world: World) {
    let start = save_in_the_dark(&world).await;
    world.dns.change(parked);
    // As much time as one verification needs at worst, and not twice as much.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    let report =
        reverifications::handle_at(&world.app.verifier, Some(deadline), after(start, 1)).await;
    assert_eq!(report.unwrap(), Report { left: 1, ..NOTHING });
    assert_eq!(world.tick(after(start, 2)).await.verified, 1);
}

async fn a_save_whose_retry_cannot_be_noted_fails(world: World) {
    world
        .dns
        .change(|zone| zone.fault("odd.example", Fault::ServerFailure));
    world.table_calls.script(|call| {
        let key = &call.body["Item"]["pk"]["S"];
        if key == "due#verification" {
            Act::CutBefore
        } else {
            Act::Pass
        }
    });
    let reply = world.put("ann", json!({ "address": ODD })).await;
    reply.problem(503, "unavailable");
    assert!(
        world.stored_lead("ann").await.is_none(),
        "else it would never be verified"
    );
    world.table_calls.behave();
    world.save("ann", ODD).await;
}
