//! `cargo dev bench verification`: how long a verification takes beside the bare questions that it cannot do without.
//!
//! A name server on this machine takes a set time for each answer. The chain of a domain is the questions of which each needs the
//! answer of the one before; asked bare, one after the other, it says what the network alone costs. Every cold domain is asked about
//! for the first time. How much longer the verification takes is told in round trips, as measured in the same run.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::ensure;
use leadlight::address::Address;
use leadlight::verification::Verdict;
use leadlight_functions::verifier::{Blocklist, Freshness, Verifier};
use serde_json::json;

use super::median;
use crate::dns::{self, RecordType, Server, Zone};
use crate::progress::Progress;

/// How long the name server takes for an answer: that of a resolver in the same region, when it has to ask others.
const LATENCY: Duration = Duration::from_millis(20);
/// Cold domains of each kind, after one that is not measured.
const REPETITIONS: usize = 31;
/// Verifications of a domain that is known.
const WARM_REPETITIONS: usize = 1_001;

/// A kind of domain: how it is set up, and the chain of questions about it.
struct Kind {
    name: &'static str,
    set_up: fn(Zone, &str) -> Zone,
    chain: &'static [(RecordType, &'static str)],
    with_lists: bool,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "null MX",
        set_up: |zone, domain| zone.null_mx(domain),
        chain: &[(RecordType::MX, "")],
        with_lists: false,
    },
    Kind {
        name: "no MX, own address",
        set_up: |zone, domain| zone.host(domain, Ipv4Addr::new(192, 0, 2, 1).into()),
        chain: &[(RecordType::MX, ""), (RecordType::A, "")],
        with_lists: false,
    },
    Kind {
        name: "one mail host",
        set_up: |zone, domain| zone.mail(domain, Ipv4Addr::new(192, 0, 2, 1)),
        chain: MX_AND_ADDRESS,
        with_lists: false,
    },
    Kind {
        name: "one mail host, two blocklists",
        set_up: |zone, domain| zone.mail(domain, Ipv4Addr::new(192, 0, 2, 1)),
        chain: MX_AND_ADDRESS,
        with_lists: true,
    },
    Kind {
        name: "eight mail hosts, one reachable",
        set_up: |zone, domain| {
            let zone = zone.mail(domain, Ipv4Addr::new(192, 0, 2, 1));
            (0..7).fold(zone, |zone, n| {
                let host = format!("mx{n}.{domain}");
                zone.mx(domain, n, &host)
                    .host(&host, Ipv4Addr::new(10, 0, 0, 1).into())
            })
        },
        chain: MX_AND_ADDRESS,
        with_lists: false,
    },
    Kind {
        name: "an alias, told one at a time",
        set_up: |zone, domain| {
            let end = format!("end.{domain}");
            zone.alias(domain, &end)
                .fault(domain, dns::Fault::AliasAlone)
                .mx(&end, 10, &format!("mx.{domain}"))
                .host(&format!("mx.{domain}"), Ipv4Addr::new(192, 0, 2, 1).into())
        },
        chain: &[
            (RecordType::MX, ""),
            (RecordType::MX, "end."),
            (RecordType::A, "mx."),
        ],
        with_lists: false,
    },
];

const MX_AND_ADDRESS: &[(RecordType, &str)] = &[(RecordType::MX, ""), (RecordType::A, "mx.")];

struct Row {
    kind: &'static str,
    questions: usize,
    chain: Duration,
    cold: Duration,
}

/// Measures every kind of domain, and answers the report.
///
/// # Errors
/// When the name server cannot be started, or a verification finds nothing out.
pub async fn verification(progress: &Progress) -> anyhow::Result<String> {
    let domain = |kind: usize, n: usize| format!("d{n}.kind{kind}.example");
    let mut zone = Zone::default().latency(LATENCY);
    for (index, kind) in KINDS.iter().enumerate() {
        for n in 0..=REPETITIONS {
            zone = (kind.set_up)(zone, &domain(index, n));
        }
    }
    for list in ["one", "two"] {
        let listed = format!("test.{list}.lists.example");
        zone = zone.host(&listed, Ipv4Addr::new(127, 0, 0, 2).into());
    }
    let server = Server::start(zone).await?;
    let plain = Verifier::new(&[server.address()])?;
    let with_lists = plain.clone().with_blocklists(lists()?);

    let mut round_trips = Vec::new();
    let mut rows = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        progress.say(kind.name);
        let verifier = if kind.with_lists { &with_lists } else { &plain };
        let (mut chains, mut colds) = (Vec::new(), Vec::new());
        for n in 0..=REPETITIONS {
            let domain = domain(index, n);
            let chain = ask_bare(server.address(), kind.chain, &domain, &mut round_trips).await?;
            let cold = verify(verifier, &domain).await?;
            if n > 0 {
                chains.push(chain);
                colds.push(cold);
            }
        }
        rows.push(Row {
            kind: kind.name,
            questions: kind.chain.len(),
            chain: median(chains),
            cold: median(colds),
        });
    }

    progress.say("a domain that is known");
    let known = domain(2, 1);
    let asked = server.questions().len();
    let mut warm = Vec::new();
    for _ in 0..WARM_REPETITIONS {
        warm.push(verify(&plain, &known).await?);
    }
    ensure!(
        server.questions().len() == asked,
        "what is known was asked about again"
    );
    Ok(report(&rows, median(round_trips), warm))
}

fn lists() -> anyhow::Result<Vec<Blocklist>> {
    let list = |name: &str| json!({ "name": name, "zone": format!("{name}.lists.example"), "kind": "domain", "listed": ["127.0.0.2"] });
    Ok(Blocklist::read_all(
        &json!([list("one"), list("two")]).to_string(),
    )?)
}

/// Asks the questions of a chain one after the other, and nothing else.
async fn ask_bare(
    server: SocketAddr,
    chain: &[(RecordType, &str)],
    domain: &str,
    round_trips: &mut Vec<Duration>,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for (kind, before) in chain {
        let asked = Instant::now();
        dns::ask(server, &[before, domain].concat(), *kind).await?;
        round_trips.push(asked.elapsed());
    }
    Ok(started.elapsed())
}

async fn verify(verifier: &Verifier, domain: &str) -> anyhow::Result<Duration> {
    let address = Address::parse(&["person@", domain].concat())?;
    let started = Instant::now();
    let verification = verifier.verify(&address, Freshness::Remembered).await;
    let took = started.elapsed();
    let is_clear = match verification.verdict {
        Verdict::Inconclusive { .. } => false,
        Verdict::Deliverable
        | Verdict::Risky { .. }
        | Verdict::Undeliverable { .. }
        | Verdict::KnownSpammer { .. } => verification.findings.unchecked.is_empty(),
    };
    ensure!(is_clear, "{domain} could not be verified");
    Ok(took)
}

fn report(rows: &[Row], round_trip: Duration, mut warm: Vec<Duration>) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let more = |row: &Row| (ms(row.cold) - ms(row.chain)) / ms(round_trip);
    let mut text = format!(
        "a bare question and its answer take {:.2} ms (median)\n\n{:<32} {:>9} {:>13} {:>13} {:>11} {:>17}\n",
        ms(round_trip),
        "cold domain",
        "questions",
        "chain p50 ms",
        "verify p50 ms",
        "verify/chain",
        "round trips more"
    );
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<32} {:>9} {:>13.2} {:>13.2} {:>12.2} {:>17.2}",
            row.kind,
            row.questions,
            ms(row.chain),
            ms(row.cold),
            ms(row.cold) / ms(row.chain),
            more(row)
        );
    }
    warm.sort_unstable();
    let p99 = warm.get(warm.len() * 99 / 100).copied().unwrap_or_default();
    let worst = rows.iter().map(more).fold(f64::MIN, f64::max);
    let worst_ratio = rows
        .iter()
        .map(|row| ms(row.cold) / ms(row.chain))
        .fold(f64::MIN, f64::max);
    let warm = median(warm);
    let _ = write!(
        text,
        "\nwarm, from memory: p50 {:.4} ms, p99 {:.4} ms\n\
         cold: at most {worst:.2} round trips more than the longest chain (allowed: 1), at most {worst_ratio:.2} times its time; \
         warm: {:.3} of the 1 ms that is allowed",
        ms(warm),
        ms(p99),
        ms(warm)
    );
    text
}
