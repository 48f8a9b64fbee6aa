//! What a verification finds out over the network, and what it never concludes: DNS as the standards say, blocklists, one deadline.
//!
//! Where each known trap of DNS, blocklists and racing checks is sprung (those of the address alone are in `shared/tests/domain`):
//!
//! | trap | test |
//! | --- | --- |
//! | null MX | `a_null_mx_takes_no_mail` |
//! | the root beside real mail hosts | `the_root_beside_real_mail_hosts_is_ignored` |
//! | no MX, but an address | `a_domain_without_mx_takes_mail_at_its_own_address` |
//! | only private addresses | `addresses_inside_somebodys_network_receive_no_mail` |
//! | MX whose hosts do not resolve | `mail_hosts_without_addresses_are_not_replaced_by_the_domain` |
//! | SERVFAIL, REFUSED, silence | `what_a_name_server_does_not_say_is_never_permanent` |
//! | NODATA is not NXDOMAIN | `no_mx_is_not_no_domain` |
//! | alias at the domain | `an_alias_is_followed` |
//! | mail host that is an alias | `a_mail_host_may_be_an_alias` |
//! | search lists | `names_are_asked_as_they_stand` |
//! | a list that refuses: 127.255.255.252 to 255, URIBL's 127.0.0.1, outside 127/8 | `a_list_that_refuses_lists_nobody` |
//! | 127.0.1.102 to 106 | `a_warning_is_not_a_listing` |
//! | the key in the question | `no_answer_holds_a_key`; for logs, the tests of `config` in `functions` |
//! | free mail on a list of domains | `free_mail_is_exempt_from_lists_of_domains` |
//! | one mailbox in several spellings | `a_list_of_addresses_knows_every_spelling` |
//! | a squatter's domain with working MX | `a_squatter_with_mail_hosts_is_deliverable_and_a_slip_is_offered` |
//! | hard bounce on record, DNS fine | `rechecks::whatever_may_not_be_pressed_is_refused`, `insights` |
//! | SES's own list outlives a release | `rechecks::the_address_is_taken_off_the_list_of_ses_in_its_own_spelling` |
//! | double press; a late temporary result | `rechecks::two_presses_at_once_release_once`, `a_late_failure_does_not_undo_a_pass` |
//! | slow for one kind of record | `one_slow_kind_of_record_holds_up_nothing`, `one_deadline_is_for_everything` |
//! | unknown beats a guess | `what_a_name_server_does_not_say_is_never_permanent` |
//! | truncation, no SOA, loops, TTL 0 | `a_long_answer_is_fetched_whole`, `what_a_name_server_does_not_say_is_never_permanent`, `what_must_not_be_remembered_is_asked_again` |

use std::sync::Arc;
use std::time::{Duration, Instant};

use leadlight::api::{Outcome, VerificationReply};
use leadlight::verification::{InconclusiveCause, UndeliverableCause, Verdict};
use leadlight_dev::dns::{Fault, RecordType, Server, Zone};
use leadlight_functions::verifier::Freshness;
use serde_json::{Value, json};

use crate::rechecks::code_of;
use crate::world::{World, answer, on_both_engines, request};

on_both_engines!(
    a_listed_address_is_blocklisted_when_it_is_saved,
    a_late_failure_does_not_undo_a_pass,
    check_again_sees_a_repaired_zone_at_once,
);

/// A change of DNS.
type Change = fn(Zone) -> Zone;

const ALLOWED: Verdict = Verdict::Deliverable;

fn undeliverable(cause: UndeliverableCause) -> Verdict {
    Verdict::Undeliverable { cause }
}

fn inconclusive(cause: InconclusiveCause) -> Verdict {
    Verdict::Inconclusive { cause }
}

/// The flags of a risky verdict, as the reply has them.
fn flags(reply: &VerificationReply) -> Value {
    serde_json::to_value(reply).unwrap()["flags"].clone()
}

/// A world whose DNS is changed so.
async fn world(change: impl FnOnce(Zone) -> Zone) -> World {
    let world = World::embedded().await;
    world.dns.change(change);
    world
}

/// What is said of an address in a zone.
async fn found(change: impl FnOnce(Zone) -> Zone, address: &str) -> VerificationReply {
    world(change).await.verify(address).await
}

/// The questions that were asked so far, as `MX name`.
async fn questions(world: &World) -> Vec<String> {
    let questions = world.questions().await.into_iter();
    questions
        .map(|question| format!("{} {}", question.kind, question.name))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_null_mx_takes_no_mail() {
    let reply = found(|zone| zone.null_mx("parked.example"), "ann@parked.example").await;
    assert_eq!(reply.verdict, undeliverable(UndeliverableCause::NullMx));
    assert!(reply.sentence.contains("accepts no mail"), "{reply:?}");
    let findings = reply.findings.unwrap();
    assert_eq!(
        (findings.mail_hosts.as_str(), findings.listing.as_str()),
        ("null_mx", "none")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_beside_real_mail_hosts_is_ignored() {
    let zone = |zone: Zone| {
        zone.null_mx("both.example")
            .mail("both.example", [192, 0, 2, 1].into())
    };
    assert_eq!(found(zone, "ann@both.example").await.verdict, ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_without_mx_takes_mail_at_its_own_address() {
    for address in ["192.0.2.7", "2001:4860::8888"] {
        let zone = |zone: Zone| zone.host("bare.example", address.parse().unwrap());
        let reply = found(zone, "ann@bare.example").await;
        assert_eq!(flags(&reply), json!(["implicit_mx"]), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_inside_somebodys_network_receive_no_mail() {
    let expected = undeliverable(UndeliverableCause::UnreachableMailServer);
    for inside in [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.9",
        "169.254.1.1",
        "::1",
        "fd00::1",
    ] {
        let address = inside.parse().unwrap();
        let own = found(|zone| zone.host("in.example", address), "ann@in.example").await;
        assert_eq!(own.verdict, expected, "{inside} of the domain");
        let zone = |zone: Zone| {
            zone.mx("in.example", 10, "mx.in.example")
                .host("mx.in.example", address)
        };
        let host = found(zone, "ann@in.example").await;
        assert_eq!(host.verdict, expected, "{inside} of its mail host");
    }
    // Hosts that are no hosts: nobody is asked about them.
    for host in ["127.0.0.1", "192.0.2.1", "localhost", "mx.localhost"] {
        let world = world(|zone| zone.mx("odd.example", 10, host)).await;
        assert_eq!(
            world.verify("ann@odd.example").await.verdict,
            expected,
            "{host}"
        );
        assert_eq!(world.dns.questions_about(host), 0, "{host}");
    }
    let zone = |zone: Zone| {
        zone.mx("mixed.example", 10, "localhost")
            .mx("mixed.example", 20, "mx.new.example")
    };
    assert_eq!(
        found(zone, "ann@mixed.example").await.verdict,
        ALLOWED,
        "one that can be reached is enough"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_hosts_without_addresses_are_not_replaced_by_the_domain() {
    let zone = |zone: Zone| {
        zone.mx("gone.example", 10, "mx.gone.example")
            .mx("gone.example", 20, "empty.example")
            .host("gone.example", [192, 0, 2, 9].into())
    };
    let reply = found(zone, "ann@gone.example").await;
    assert_eq!(
        reply.verdict,
        undeliverable(UndeliverableCause::UnreachableMailServer)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mx_is_not_no_domain() {
    let none = found(|zone| zone.empty("bare.example"), "ann@bare.example").await;
    assert_eq!(
        none.verdict,
        undeliverable(UndeliverableCause::NoMailServer)
    );
    let gone = found(|zone| zone, "ann@nobody.example").await;
    assert_eq!(
        gone.verdict,
        undeliverable(UndeliverableCause::NoSuchDomain)
    );
    assert_eq!(
        gone.retry_after_s,
        Some(60),
        "name servers remember for a minute that there is none"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_is_followed() {
    let zone = |zone: Zone| {
        zone.alias("shop.example", "host.example")
            .mail("host.example", [192, 0, 2, 1].into())
            .alias("bare.example", "web.example")
            .host("web.example", [192, 0, 2, 2].into())
            .alias("dangling.example", "nowhere.example")
            .alias("halfway.example", "host.example")
            .fault("halfway.example", Fault::AliasAlone)
    };
    let world = world(zone).await;
    let verdict = async |address: &str| world.verify(address).await.verdict;
    assert_eq!(verdict("ann@shop.example").await, ALLOWED);
    assert_eq!(verdict("ann@halfway.example").await, ALLOWED);
    assert_eq!(
        flags(&world.verify("ann@bare.example").await),
        json!(["implicit_mx"])
    );
    assert_eq!(
        verdict("ann@dangling.example").await,
        undeliverable(UndeliverableCause::NoSuchDomain)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_host_may_be_an_alias() {
    let zone = |zone: Zone| {
        zone.mx("firm.example", 10, "mail.firm.example")
            .alias("mail.firm.example", "mx.new.example")
    };
    assert_eq!(found(zone, "ann@firm.example").await.verdict, ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_name_server_does_not_say_is_never_permanent() {
    let faults = [
        (Fault::ServerFailure, InconclusiveCause::DnsFailure),
        (Fault::Refused, InconclusiveCause::DnsFailure),
        (Fault::Silence, InconclusiveCause::DnsTimeout),
        (Fault::NoAuthority, InconclusiveCause::DnsUnclear),
    ];
    for (fault, cause) in faults {
        let everything = |zone: Zone| {
            zone.mail("odd.example", [192, 0, 2, 1].into())
                .fault("odd.example", fault)
        };
        let reply = found(everything, "ann@odd.example").await;
        assert_eq!(reply.verdict, inconclusive(cause), "{fault:?}");
        assert!(
            reply.retry_after_s.is_some(),
            "{fault:?}: when to ask again"
        );
        assert!(reply.sentence.contains("could not be checked"), "{reply:?}");

        let own = |zone: Zone| {
            zone.empty("odd.example")
                .fault_of("odd.example", RecordType::A, fault)
                .fault_of("odd.example", RecordType::AAAA, fault)
        };
        let reply = found(own, "ann@odd.example").await;
        assert_eq!(
            reply.verdict,
            inconclusive(cause),
            "{fault:?} for its own address"
        );

        let host = |zone: Zone| {
            zone.mx("odd.example", 10, "mx.odd.example")
                .fault("mx.odd.example", fault)
        };
        let reply = found(host, "ann@odd.example").await;
        assert_eq!(
            reply.verdict,
            inconclusive(cause),
            "{fault:?} for its mail host"
        );

        let one_of_two = |zone: Zone| {
            zone.mx("odd.example", 10, "mx.odd.example")
                .fault("mx.odd.example", fault)
                .mx("odd.example", 20, "mx.new.example")
        };
        let reply = found(one_of_two, "ann@odd.example").await;
        assert_eq!(reply.verdict, ALLOWED, "{fault:?} for one mail host of two");
    }
    let looped = |zone: Zone| {
        zone.alias("a.example", "b.example")
            .alias("b.example", "a.example")
    };
    assert_eq!(
        found(looped, "ann@a.example").await.verdict,
        inconclusive(InconclusiveCause::DnsUnclear),
        "aliases in a circle"
    );
    // More hosts than are looked at: one of the others may be reachable.
    let many = |zone: Zone| {
        (0..12).fold(zone, |zone, n| {
            zone.mx("many.example", n, &format!("mx{n}.many.example"))
        })
    };
    assert_eq!(
        found(many, "ann@many.example").await.verdict,
        inconclusive(InconclusiveCause::DnsUnclear)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_name_is_believed_without_its_soa_as_a_missing_record_is_not() {
    let zone = |zone: Zone| zone.fault("odd.example", Fault::NoSuchDomainWithoutAuthority);
    let reply = found(zone, "ann@odd.example").await;
    assert_eq!(
        reply.verdict,
        undeliverable(UndeliverableCause::NoSuchDomain)
    );
    assert_eq!(reply.retry_after_s, None, "nobody said for how long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_is_fetched_whole() {
    let zone = |zone: Zone| {
        let zone = (0..60).fold(zone, |zone, n| {
            zone.mx("long.example", n, &format!("mx{n}.long.example"))
                .host(&format!("mx{n}.long.example"), [192, 0, 2, 60].into())
        });
        zone.fault("long.example", Fault::Truncation)
    };
    let world = world(zone).await;
    assert_eq!(world.verify("ann@long.example").await.verdict, ALLOWED);
    let mx: Vec<bool> = world
        .dns
        .questions()
        .iter()
        .filter(|question| question.kind == "MX")
        .map(|question| question.over_tcp)
        .collect();
    assert_eq!(mx, [false, true], "first by UDP, then by TCP");
    let hosts = questions(&world)
        .await
        .iter()
        .filter(|question| question.contains(" mx"))
        .count();
    assert!(
        hosts <= 16,
        "no more than the best 8 are looked at: {hosts}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_asked_as_they_stand() {
    let world = world(|zone| zone.mail("mx.example", [192, 0, 2, 1].into())).await;
    world.verify("ann@MX.example").await;
    world.verify("ann@b\u{fc}ro.example").await;
    let dotless = world.verify("ann@mx").await;
    assert_eq!(
        dotless.verdict,
        undeliverable(UndeliverableCause::BadSyntax)
    );
    assert_eq!(dotless.syntax.unwrap().code, "dotless_domain");
    // Nobody is asked about the name without a dot, neither as it stands nor along a search list.
    for question in world.dns.questions() {
        assert!(
            question.name.ends_with("mx.example") || question.name == "xn--bro-hoa.example",
            "{question:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_domain_is_asked_about_once_and_a_warm_one_not_at_all() {
    // Late enough that whatever is asked at the same time is seen.
    let zone = |zone: Zone| {
        zone.mail("firm.example", [192, 0, 2, 1].into())
            .latency(Duration::from_millis(30))
    };
    let world = world(zone).await;
    assert_eq!(world.verify("ann@firm.example").await.verdict, ALLOWED);
    let mut asked = questions(&world).await;
    asked.sort();
    let expected = [
        "A firm.example",
        "A mx.firm.example",
        "AAAA firm.example",
        "AAAA mx.firm.example",
        "MX firm.example",
    ];
    assert_eq!(asked, expected);
    world.verify("bob@firm.example").await;
    assert_eq!(questions(&world).await.len(), expected.len(), "remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_remembered_is_asked_again() {
    let world = world(|zone| zone.mail("fleeting.example", [192, 0, 2, 1].into()).ttl(0)).await;
    for times in 1..=3 {
        assert_eq!(world.verify("ann@fleeting.example").await.verdict, ALLOWED);
        let mx = questions(&world)
            .await
            .iter()
            .filter(|question| *question == "MX fleeting.example")
            .count();
        assert_eq!(mx, times);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_kind_of_record_holds_up_nothing() {
    for slow in [Fault::Silence, Fault::Late(Duration::from_millis(900))] {
        let zone = |zone: Zone| {
            zone.mail("slow.example", [192, 0, 2, 1].into())
                .fault_of("slow.example", RecordType::A, slow)
                .fault_of("slow.example", RecordType::AAAA, slow)
                .fault_of("mx.slow.example", RecordType::AAAA, slow)
        };
        let world = world(zone).await;
        let started = Instant::now();
        assert_eq!(world.verify("ann@slow.example").await.verdict, ALLOWED);
        assert!(
            started.elapsed() < Duration::from_millis(700),
            "{slow:?}: {:?}",
            started.elapsed()
        );
    }
}

/// Eight aliases, each of which takes its time: 15 seconds for whoever waits for every one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deadline_is_for_everything() {
    let zone = |zone: Zone| {
        let zone = (0..8).fold(zone, |zone, n| {
            let name = format!("a{n}.example");
            zone.alias(&name, &format!("a{}.example", n + 1))
                .fault(&name, Fault::AliasAlone)
        });
        zone.mail("a8.example", [192, 0, 2, 1].into())
            .latency(Duration::from_millis(800))
    };
    let world = world(zone).await;
    let started = Instant::now();
    let reply = world.verify("ann@a0.example").await;
    let took = started.elapsed();
    assert_eq!(reply.verdict, inconclusive(InconclusiveCause::DnsTimeout));
    assert!(
        (Duration::from_millis(3_900)..Duration::from_millis(4_700)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squatter_with_mail_hosts_is_deliverable_and_a_slip_is_offered() {
    let world = world(|zone| zone.mail("gmial.com", [192, 0, 2, 1].into())).await;
    let reply = world.verify("ann@gmial.com").await;
    assert_eq!(
        flags(&reply),
        json!(["disposable"]),
        "risky, not undeliverable"
    );
    assert_eq!(reply.suggestion.as_deref(), Some("ann@gmail.com"));
    let saved = world.save("ann", "ann@gmial.com").await;
    assert_eq!(saved.address, "ann@gmial.com", "never corrected by itself");
    assert_eq!(
        saved.status.status, "active",
        "never blocked by a suggestion alone"
    );
    assert_eq!(saved.status.suggestion.as_deref(), Some("ann@gmail.com"));
}

// Blocklists.

const KEY: &str = "s3cr3tk3y";

/// Two lists, of domains and of addresses, both with keys.
fn lists() -> Value {
    json!([
        {
            "name": "Test DBL", "zone": "{key}.dbl.lists.example", "key": KEY, "kind": "domain",
            "listed": ["127.0.1.2-127.0.1.99"], "warned": ["127.0.1.102-127.0.1.106"],
        },
        {
            "name": "Test EBL", "zone": "{key}.ebl.lists.example", "key": KEY, "kind": "address_sha1",
            "listed": ["127.0.0.2"], "test_point": "test@lists.example",
        },
    ])
}

/// SHA-1 of `test@lists.example` and of `ab@gmail.com`, by sha1sum.
const TEST_HASH: &str = "77375a874070c83a0ccb88f9e865b45a14e013cc";
const AB_HASH: &str = "f9dd041bcea08ab0e3f65783dd04990691e2f4a2";

/// The zone of the lists, in which their test points are as they must be.
fn healthy(zone: Zone) -> Zone {
    let zone = listed(zone, "test", "127.0.1.2");
    zone.host(
        &format!("{TEST_HASH}.{KEY}.ebl.lists.example"),
        [127, 0, 0, 2].into(),
    )
}

/// Lets the list of domains answer so about a domain.
fn listed(zone: Zone, domain: &str, code: &str) -> Zone {
    zone.host(
        &format!("{domain}.{KEY}.dbl.lists.example"),
        code.parse().unwrap(),
    )
}

async fn watched(change: impl FnOnce(Zone) -> Zone) -> World {
    let world = World::embedded().await.with_blocklists(&lists());
    world.dns.change(|zone| change(healthy(zone)));
    world
}

fn spammer(list: &str) -> Verdict {
    Verdict::KnownSpammer {
        list: list.to_owned(),
    }
}

async fn a_listed_address_is_blocklisted_when_it_is_saved(world: World) {
    let world = world.with_blocklists(&lists());
    world.dns.change(|zone| {
        let zone = healthy(zone).mail("spam.example", [192, 0, 2, 66].into());
        listed(zone, "spam.example", "127.0.1.4")
    });
    let saved = world.save("sam", "sam@spam.example").await;
    assert_eq!(code_of(&saved.status), "blocklisted/known_spammer");
    assert!(!saved.status.may_check_again, "only another address helps");
    let verification = saved.verification.unwrap();
    assert_eq!(verification.verdict, spammer("Test DBL"));
    assert!(
        verification.sentence.contains("Test DBL"),
        "{verification:?}"
    );
    assert_eq!(
        world.save("ann", "ann@lead.example").await.status.status,
        "active"
    );

    world.save("sam", "sam@lead.example").await;
    assert_eq!(world.recheck("sam").await.status.status, "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_is_not_a_listing() {
    for code in ["127.0.1.102", "127.0.1.103", "127.0.1.106"] {
        let world = watched(|zone| listed(zone, "new.example", code)).await;
        let reply = world.verify("ann@new.example").await;
        assert_eq!(flags(&reply), json!(["listed_with_warning"]), "{code}");
        let findings = reply.findings.unwrap();
        assert_eq!(
            (findings.listing.as_str(), findings.list.as_deref()),
            ("warned", Some("Test DBL"))
        );
        assert_eq!(
            world.save("ann", "ann@new.example").await.status.status,
            "active"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_refuses_lists_nobody() {
    for code in [
        "127.255.255.252",
        "127.255.255.254",
        "127.255.255.255",
        "127.0.1.255",
        "127.0.0.1",
        "127.0.0.2",
        "192.0.2.80",
    ] {
        // It refuses this question, or every one as those do whom a list does not serve.
        let refusals: [fn(Zone, &str) -> Zone; 2] = [
            |zone, code| listed(zone, "new.example", code),
            |zone, code| {
                let zone = zone.without(&format!("test.{KEY}.dbl.lists.example"));
                let everything = ["test", "invalid", "new.example"];
                everything
                    .into_iter()
                    .fold(zone, |zone, domain| listed(zone, domain, code))
            },
        ];
        for refuse in refusals {
            let world = watched(|zone| refuse(zone, code)).await;
            let reply = world.verify("ann@new.example").await;
            assert_eq!(reply.verdict, ALLOWED, "{code}");
            assert_eq!(reply.unchecked, ["Test DBL"], "{code}");
            assert_eq!(
                world.save("ann", "ann@new.example").await.status.status,
                "active"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_trusted_only_while_its_test_points_are_as_they_must_be() {
    let breaks: [(&str, Change); 4] = [
        ("a dead zone", |zone| {
            zone.without(&format!("test.{KEY}.dbl.lists.example"))
        }),
        ("a zone that lists everything", |zone| {
            listed(zone, "invalid", "127.0.1.2")
        }),
        ("silence", |zone| {
            zone.fault(&format!("test.{KEY}.dbl.lists.example"), Fault::Silence)
        }),
        ("a failing control", |zone| {
            zone.fault(
                &format!("invalid.{KEY}.dbl.lists.example"),
                Fault::ServerFailure,
            )
        }),
    ];
    for (why, break_it) in breaks {
        let world = watched(|zone| {
            break_it(listed(zone, "spam.example", "127.0.1.2"))
                .mail("spam.example", [192, 0, 2, 66].into())
        })
        .await;
        let reply = world.verify("sam@spam.example").await;
        assert_eq!(
            (&reply.verdict, reply.unchecked.as_slice()),
            (&ALLOWED, ["Test DBL".to_owned()].as_slice()),
            "{why}"
        );
        // It is left alone then, so that nobody waits for it again.
        let asked = async || {
            questions(&world)
                .await
                .iter()
                .filter(|question| question.ends_with("dbl.lists.example"))
                .count()
        };
        let (before, started) = (asked().await, Instant::now());
        let reply = world.verify("bob@spam.example").await;
        assert_eq!(reply.unchecked, ["Test DBL"], "{why}");
        let took = started.elapsed();
        assert_eq!(asked().await, before, "{why}");
        assert!(took < Duration::from_millis(500), "{why}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_points_are_asked_once_and_beside_the_address() {
    let world = watched(|zone| zone.latency(Duration::from_millis(60))).await;
    let started = Instant::now();
    world.verify("ann@new.example").await;
    let took = started.elapsed();
    assert!(
        took < Duration::from_millis(60 * 4),
        "two round trips and no third for the lists: {took:?}"
    );
    world.verify("bob@lead.example").await;
    for point in ["test", "invalid"] {
        assert_eq!(
            world
                .dns
                .questions_about(&format!("{point}.{KEY}.dbl.lists.example")),
            1,
            "{point}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn free_mail_is_exempt_from_lists_of_domains() {
    let world = watched(|zone| {
        listed(
            zone.mail("gmail.com", [192, 0, 2, 25].into()),
            "gmail.com",
            "127.0.1.2",
        )
    })
    .await;
    let reply = world.verify("ann@gmail.com").await;
    assert_eq!((reply.verdict, reply.unchecked.len()), (ALLOWED, 0));
    assert_eq!(
        world
            .dns
            .questions_about(&format!("gmail.com.{KEY}.dbl.lists.example")),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_addresses_knows_every_spelling() {
    let world = watched(|zone| {
        let zone = ["gmail.com", "googlemail.com"]
            .into_iter()
            .fold(zone, |zone, domain| {
                zone.mail(domain, [192, 0, 2, 25].into())
            });
        zone.host(
            &format!("{AB_HASH}.{KEY}.ebl.lists.example"),
            [127, 0, 0, 2].into(),
        )
    })
    .await;
    for address in [
        "ab@gmail.com",
        "A.B@Gmail.com",
        "a.b+x@googlemail.com",
        "ab+y@gmail.com",
    ] {
        assert_eq!(
            world.verify(address).await.verdict,
            spammer("Test EBL"),
            "{address}"
        );
    }
    assert_eq!(world.verify("abc@gmail.com").await.verdict, ALLOWED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_holds_a_key() {
    let world = watched(|zone| listed(zone, "new.example", "127.255.255.254")).await;
    for address in [
        "ann@new.example",
        "ann@lead.example",
        "ann@silent.example",
        "no address",
    ] {
        let reply = serde_json::to_string(&world.verify(address).await).unwrap();
        assert!(!reply.contains(KEY), "{reply}");
        assert!(!reply.contains("lists.example"), "{reply}");
    }
    let saved = world
        .put("ann", json!({ "address": "ann@new.example" }))
        .await;
    assert!(!saved.body.to_string().contains(KEY), "{saved:?}");
}

// Races and repairs.

async fn a_late_failure_does_not_undo_a_pass(world: World) {
    world.dns.change(|zone| zone.null_mx("odd.example"));
    let saved = world.save("ann", "ann@odd.example").await;
    assert_eq!(code_of(&saved.status), "blocklisted/undeliverable/null_mx");
    world.dns.change(|zone| {
        zone.without("odd.example")
            .mail("odd.example", [192, 0, 2, 1].into())
    });
    // One process reaches a name server that says nothing; the other presses after it, and is answered at once.
    let silent = Server::start(Zone::default().fault("odd.example", Fault::Silence))
        .await
        .unwrap();
    let hapless = Arc::new(world.asking(silent.address()));
    let now = jiff::Timestamp::now();
    let authorization = format!("Bearer {}", world.token(now));
    let press = move || {
        request(
            "POST",
            "/v1/leads/ann/rechecks",
            Some(&authorization),
            lambda_http::Body::Empty,
        )
    };
    let slow = press();
    let slow = tokio::spawn(async move { answer(&hapless, slow, now).await });
    while silent.questions().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let fast = answer(&world.rival, press(), now).await;
    assert_eq!(
        (&fast.body["outcome"], &fast.body["status"]["status"]),
        (&json!("sent"), &json!("active"))
    );
    let slow = slow.await.unwrap();
    assert_eq!(
        (&slow.body["outcome"], &slow.body["verification"]["cause"]),
        (&json!("fail"), &json!("dns_timeout"))
    );
    assert_eq!(
        slow.body["status"]["status"], "active",
        "it says how things stand"
    );
    assert_eq!(
        world.status("ann").await.status,
        "active",
        "a late failure changes nothing"
    );
}

async fn check_again_sees_a_repaired_zone_at_once(world: World) {
    let rows: [(&str, Change, Change); 5] = [
        (
            "undeliverable/null_mx",
            |zone| zone.null_mx("odd.example"),
            |zone| {
                zone.without("odd.example")
                    .mail("odd.example", [192, 0, 2, 1].into())
            },
        ),
        (
            "undeliverable/no_such_domain",
            |zone| zone,
            |zone| zone.mail("odd.example", [192, 0, 2, 1].into()),
        ),
        (
            "undeliverable/no_mail_server",
            |zone| zone.empty("odd.example"),
            |zone| zone.host("odd.example", [192, 0, 2, 1].into()),
        ),
        (
            "undeliverable/unreachable_mail_server",
            |zone| {
                zone.mx("odd.example", 10, "mx.odd.example")
                    .empty("mx.odd.example")
            },
            |zone| zone.host("mx.odd.example", [192, 0, 2, 1].into()),
        ),
        // What was wrong stands at the end of an alias, whose name nobody knows beforehand.
        (
            "undeliverable/no_such_domain",
            |zone| {
                zone.alias("odd.example", "end.example")
                    .fault("odd.example", Fault::AliasAlone)
            },
            |zone| zone.mail("end.example", [192, 0, 2, 1].into()),
        ),
    ];
    for (n, (reason, broken, repair)) in rows.into_iter().enumerate() {
        let lead = format!("lead-{n}");
        // Each row has a DNS of its own to remember.
        world.dns.change(|zone| {
            ["odd.example", "mx.odd.example", "end.example"]
                .into_iter()
                .fold(zone, Zone::without)
        });
        world.dns.change(broken);
        let address = leadlight::address::Address::parse("nobody@odd.example").unwrap();
        world
            .app
            .verifier
            .services
            .verify(&address, Freshness::Asked)
            .await;
        let saved = world.save(&lead, &format!("ann{n}@odd.example")).await;
        assert_eq!(code_of(&saved.status), format!("blocklisted/{reason}"));
        let still = world.recheck(&lead).await;
        assert_eq!(
            (still.outcome, code_of(&still.status)),
            (Outcome::Sent, format!("blocklisted/{reason}"))
        );
        world.dns.change(repair);
        let cleared = world.recheck(&lead).await;
        assert_eq!(
            (cleared.outcome, cleared.status.status.as_str()),
            (Outcome::Sent, "active"),
            "{reason}"
        );
    }
}
