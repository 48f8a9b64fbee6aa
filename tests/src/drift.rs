//! Our record against SES's suppression lists: what Check again does with them, and the operator's drift report and its repair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use leadlight::address::Address;
use leadlight::api::Outcome;
use leadlight_dev::lambdas;
use leadlight_dev::progress::Progress as Building;
use leadlight_functions::app::{App, Checks};
use leadlight_functions::suppression_list::List;
use leadlight_support::comparison::Difference;
use leadlight_support::drift::{Drift, Progress, Survey};
use leadlight_support::plan::{Plan, PlanFile};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::notifications::{GENERAL, NO_EMAIL, bounce, complaint, fixture, of_account};
use crate::proxy::{Act, Call};
use crate::rechecks::code_of;
use crate::world::{ANN, World, days_ago, on_both_engines};

/// The SES tenant of `acme`, where it has one.
const TENANT: &str = "acme-tenant";
/// As good as no limit.
const FAST: f64 = 1_000.0;

on_both_engines! {
    a_release_clears_the_tenants_list_too,
    a_complaint_on_either_list_stops_the_release,
    a_list_that_cannot_be_cleared_fails_the_recheck,
    a_recheck_keeps_to_the_quota_and_to_the_time_a_person_waits,
    what_only_ses_knows_is_explained_and_can_be_resolved,
    the_report_tells_every_difference_and_changes_nothing,
    the_repair_ends_every_difference,
    other_accounts_addresses_are_left_alone_unless_named,
    a_long_list_is_read_page_by_page_and_looked_up_in_batches,
    a_slow_page_is_waited_for,
    a_crash_at_every_step_does_nothing_twice_and_skips_nothing,
    a_repair_trusts_nothing_that_is_old,
    an_outage_stops_the_repair_and_keeps_its_place,
    an_address_that_ses_refuses_is_set_aside,
    the_repair_keeps_to_the_quota,
}

async fn a_release_clears_the_tenants_list_too(world: World) {
    let world = world.with_ses_tenant(TENANT).await;
    world.save("ann", "Ann@Lead.Example").await;
    world.deliver(&[bounce(ANN, GENERAL, days_ago(3))]).await;
    world.ses.suppress_for(TENANT, ANN, "BOUNCE").unwrap();
    world.ses.suppress("Ann@lead.example", "BOUNCE").unwrap();
    world.ses_calls.take_calls();
    let released = world.recheck("ann").await;
    assert_eq!(
        (released.outcome, released.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    let first = world.ses_calls.take_operations().remove(0);
    assert!(
        first.contains("/ann%40lead.example?TenantName="),
        "the spelling that SES used is asked for first: {first}"
    );
    assert_eq!(world.ses.suppressed_for(TENANT).unwrap(), []);
    assert_eq!(world.ses.suppressed().unwrap(), []);
}

async fn a_complaint_on_either_list_stops_the_release(world: World) {
    let world = world.with_ses_tenant(TENANT).await;
    for (lead, tenant) in [("ann", Some(TENANT)), ("ben", None)] {
        let address = format!("{lead}@lead.example");
        world.save(lead, &address).await;
        world
            .deliver(&[bounce(&address, GENERAL, days_ago(3))])
            .await;
        // A bounce on the other list: it must stay where it is.
        let (complained, bounced) = match tenant {
            Some(tenant) => (
                world.ses.suppress_for(tenant, &address, "COMPLAINT"),
                world.ses.suppress(&address, "BOUNCE"),
            ),
            None => (
                world.ses.suppress(&address, "COMPLAINT"),
                world.ses.suppress_for(TENANT, &address, "BOUNCE"),
            ),
        };
        complained.unwrap();
        bounced.unwrap();
        let pressed = world.recheck(lead).await;
        assert_eq!(
            code_of(&pressed.status),
            "blocklisted/spam_complaint/certain"
        );
        let record = world.record(&address).await.unwrap();
        assert!(record.evidence.released_at().is_none(), "{lead}");
    }
    assert_eq!(world.ses.suppressed().unwrap().len(), 2);
    assert_eq!(world.ses.suppressed_for(TENANT).unwrap().len(), 2);
}

async fn a_list_that_cannot_be_cleared_fails_the_recheck(world: World) {
    let echo = of_account(fixture("event_bounce_on_tenant_list.json"), "acme");
    world.save("ann", "tenant.list@lead.example").await;
    world.deliver(&[echo]).await;
    let pressed = world.recheck("ann").await;
    assert_eq!(
        pressed.outcome,
        Outcome::Fail,
        "the account names no SES tenant: a release would lie"
    );
    assert_eq!(
        code_of(&pressed.status),
        "blocklisted/withheld_by_provider/tenant"
    );
}

async fn a_recheck_keeps_to_the_quota_and_to_the_time_a_person_waits(world: World) {
    let world = world.with_ses_tenant(TENANT).await;
    world.save("ann", ANN).await;
    world
        .deliver(&[bounce("Ann@lead.example", GENERAL, days_ago(3))])
        .await;
    world
        .ses
        .suppress_for(TENANT, "Ann@lead.example", "BOUNCE")
        .unwrap();
    world.ses.suppress("Ann@lead.example", "BOUNCE").unwrap();
    world.ses.limit(Duration::from_secs(1));
    world.ses_calls.take_calls();
    let started = Instant::now();
    let pressed = world.recheck("ann").await;
    let took = started.elapsed();
    let calls = world.ses_calls.take_calls().len();
    assert_eq!(
        (pressed.outcome, pressed.status.status.as_str()),
        (Outcome::Sent, "active"),
        "two lists, asked and cleared at one call a second, after {took:.2?}"
    );
    assert!(took < Duration::from_secs(5), "{took:.2?}");
    assert!(calls <= 12, "SES is not hammered: {calls} calls");
    assert_eq!(world.ses.suppressed_for(TENANT).unwrap(), []);
    assert_eq!(world.ses.suppressed().unwrap(), []);
}

/// Nothing but SES's list speaks against the address: no bounce ever reached us.
async fn what_only_ses_knows_is_explained_and_can_be_resolved(world: World) {
    world.save("ann", ANN).await;
    world.ses.suppress("ANN@lead.example", "BOUNCE").unwrap();
    assert_eq!(world.status("ann").await.status, "active");
    repair_all(&world).await;
    let status = world.status("ann").await;
    assert_eq!(code_of(&status), "blocklisted/withheld_by_provider/account");
    assert!(status.may_check_again);
    let pressed = world.recheck("ann").await;
    assert_eq!(
        (pressed.outcome, pressed.status.status.as_str()),
        (Outcome::Sent, "active")
    );
    assert_eq!(
        world.ses.suppressed().unwrap(),
        [],
        "in the spelling that only SES used"
    );
}

/// One lead for each way in which both sides may differ, and for some in which they do not.
async fn differ_in_every_way(world: &World) {
    let list = |spelling: &str| world.ses.suppress(spelling, "BOUNCE").unwrap();
    for lead in [
        "agreed",
        "silent",
        "spam",
        "freed",
        "twice",
        "shouted",
        "only-here",
    ] {
        world.save(lead, &address_of(lead)).await;
    }
    let bounces: Vec<Value> = ["agreed", "freed", "twice", "shouted", "only-here"]
        .iter()
        .map(|lead| bounce(&address_of(lead), GENERAL, days_ago(3)))
        .collect();
    world.deliver(&bounces).await;
    for lead in ["agreed", "silent", "freed", "twice"] {
        list(&address_of(lead));
    }
    world
        .ses
        .suppress(&address_of("spam"), "COMPLAINT")
        .unwrap();
    list("Twice@lead.example");
    list("SHOUTED@LEAD.EXAMPLE");
    list("stranger@lead.example");
    list("\"odd name\"@lead.example");
    // SES says that the address is off its list, and it is not.
    world.ses_calls.script(|call| {
        if call.operation.starts_with("DELETE") {
            Act::Refuse(200, json!({}))
        } else {
            Act::Pass
        }
    });
    assert_eq!(world.recheck("freed").await.status.status, "active");
    world.ses_calls.behave();
    world.ses_calls.take_calls();
    world.table_calls.take_calls();
}

fn address_of(lead: &str) -> String {
    format!("{lead}@lead.example")
}

async fn drift<'a>(app: &'a App<Checks>, world: &World, rate: f64) -> Drift<'a> {
    let id = world.acme.account.clone();
    let drift = Drift::open(app, id, rate, Timestamp::now, Progress::hidden());
    drift.await.unwrap()
}

async fn survey(world: &World, named: &[&str]) -> Survey {
    let named: Vec<Address> = named
        .iter()
        .map(|address| Address::parse(address).unwrap())
        .collect();
    let drift = drift(&world.app.checks, world, FAST).await;
    drift.survey(&named).await.unwrap()
}

/// Surveys and repairs, and expects that nothing stands in the way.
async fn repair_all(world: &World) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    let mut plan = survey(world, &[]).await.plan();
    let drift = drift(&world.app.checks, world, FAST).await;
    drift.repair(&mut plan, &file).await.unwrap();
    assert!(plan.open.is_empty() && plan.failed.is_empty(), "{plan:?}");
    assert!(!file.path().exists(), "nothing is left of it");
    plan
}

/// The differences by lead.
fn differences(survey: &Survey) -> BTreeMap<&str, Vec<Difference>> {
    let by_lead = survey.findings.iter().map(|finding| {
        let differences = finding.differences.iter().copied().collect();
        (finding.address.local_part(), differences)
    });
    by_lead.collect()
}

async fn the_report_tells_every_difference_and_changes_nothing(world: World) {
    differ_in_every_way(&world).await;
    let before = world.ses.suppressed().unwrap();
    let found = survey(
        &world,
        &["only-here@lead.example", "unheard-of@lead.example"],
    )
    .await;
    let expected = BTreeMap::from([
        ("silent", vec![Difference::UnknownListing]),
        ("spam", vec![Difference::UnknownComplaint]),
        ("freed", vec![Difference::ReleasedButListed]),
        ("Twice", vec![Difference::ListedTwice]),
        ("SHOUTED", vec![Difference::UnknownSpelling]),
        ("only-here", vec![Difference::BlockedHereOnly]),
    ]);
    assert_eq!(differences(&found), expected);
    assert_eq!((found.agreed, found.strangers), (1, 1));
    assert_eq!(found.unreadable, ["\"odd name\"@lead.example"]);
    assert_eq!(found.lists, [(List::Account, before.len())]);
    assert_eq!(
        found.plan().total(),
        5,
        "what only we block needs no repair"
    );

    let calls = world.table_calls.take_operations();
    assert_eq!(
        calls,
        ["GetItem", "BatchGetItem"],
        "the account, and all addresses at once"
    );
    let calls = world.ses_calls.take_operations();
    assert!(
        matches!(&calls[..], [page] if page.starts_with("GET")),
        "{calls:?}"
    );
    assert_eq!(world.ses.suppressed().unwrap(), before);
}

async fn the_repair_ends_every_difference(world: World) {
    differ_in_every_way(&world).await;
    world.save("spam-twin", &address_of("spam")).await;
    let plan = repair_all(&world).await;
    assert_eq!((plan.repaired, plan.settled), (5, 0));
    let left = survey(&world, &[]).await;
    assert_eq!(
        differences(&left),
        BTreeMap::new(),
        "a second look finds nothing"
    );
    let codes = [
        ("agreed", "blocklisted/hard_bounce/unspecified"),
        ("silent", "blocklisted/withheld_by_provider/account"),
        ("spam", "blocklisted/spam_complaint/certain"),
        ("freed", "active"),
        ("twice", "blocklisted/hard_bounce/unspecified"),
        ("shouted", "blocklisted/hard_bounce/unspecified"),
    ];
    for (lead, code) in codes {
        assert_eq!(code_of(&world.status(lead).await), code, "{lead}");
    }
    for lead in ["spam", "spam-twin"] {
        let moved = world.save(lead, "moved@new.example").await;
        assert_eq!(
            code_of(&moved.status),
            "blocklisted/spam_complaint/certain",
            "it sticks to every lead of the address"
        );
    }
    let spellings = |listed: Vec<leadlight_dev::ses::Suppressed>| -> BTreeSet<String> {
        listed.into_iter().map(|entry| entry.address).collect()
    };
    let expected = [
        "\"odd name\"@lead.example",
        "SHOUTED@LEAD.EXAMPLE",
        "agreed@lead.example",
        "silent@lead.example",
        "spam@lead.example",
        "stranger@lead.example",
        "twice@lead.example",
    ];
    assert_eq!(
        spellings(world.ses.suppressed().unwrap()),
        expected.map(str::to_owned).into()
    );
    // What was noted is what Check again needs.
    for lead in ["shouted", "twice", "silent"] {
        assert_eq!(world.recheck(lead).await.status.status, "active", "{lead}");
    }
    let left = spellings(world.ses.suppressed().unwrap());
    assert!(
        [
            "SHOUTED@LEAD.EXAMPLE",
            "twice@lead.example",
            "silent@lead.example"
        ]
        .iter()
        .all(|gone| !left.contains(*gone)),
        "{left:?}"
    );
}

async fn other_accounts_addresses_are_left_alone_unless_named(world: World) {
    let world = world.with_ses_tenant(TENANT).await;
    for entry in ["theirs@lead.example", "named@lead.example"] {
        world.ses.suppress(entry, "BOUNCE").unwrap();
    }
    world
        .ses
        .suppress_for(TENANT, "mine@lead.example", "BOUNCE")
        .unwrap();
    let found = survey(&world, &["Named@lead.example"]).await;
    let unknown = vec![Difference::UnknownListing];
    let expected = BTreeMap::from([("mine", unknown.clone()), ("named", unknown)]);
    assert_eq!(differences(&found), expected);
    assert_eq!(found.strangers, 1);
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    let drift = drift(&world.app.checks, &world, FAST).await;
    drift.repair(&mut found.plan(), &file).await.unwrap();
    assert!(world.record("theirs@lead.example").await.is_none());
    for ours in ["mine@lead.example", "named@lead.example"] {
        assert!(world.record(ours).await.is_some(), "{ours}");
    }
}

async fn a_long_list_is_read_page_by_page_and_looked_up_in_batches(world: World) {
    for n in 0..1_005 {
        let address = format!("lead-{n}@lead.example");
        world.ses.suppress(&address, "BOUNCE").unwrap();
    }
    world.save("last", "lead-999@lead.example").await;
    world.table_calls.take_calls();
    world.ses_calls.take_calls();
    let found = survey(&world, &[]).await;
    assert_eq!(found.lists, [(List::Account, 1_005)]);
    assert_eq!(found.strangers, 1_004);
    assert_eq!(
        differences(&found).keys().collect::<Vec<_>>(),
        [&"lead-999"]
    );
    assert_eq!(world.ses_calls.take_calls().len(), 2, "a thousand a page");
    let reads = world.table_calls.take_operations();
    let batches = reads.iter().filter(|call| *call == "BatchGetItem").count();
    assert_eq!(batches, 11, "a hundred a read");
}

async fn a_slow_page_is_waited_for(world: World) {
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    world.ses_calls.script(|_| {
        let longer_than_a_person_waits = tokio::time::sleep(Duration::from_millis(1_500));
        Act::PassAfter(Box::pin(longer_than_a_person_waits))
    });
    assert_eq!(survey(&world, &[]).await.strangers, 1);
    let calls = world.ses_calls.take_calls().len();
    assert_eq!(calls, 1, "and asked for once");
}

/// What a call changes: an entry of SES's list, or an item of the table.
fn change(call: &Call) -> Option<String> {
    if call.operation.starts_with("DELETE") {
        return Some(call.operation.clone());
    }
    let written = call.written()?;
    Some(format!("{written} {}", call.body["Item"]["pk"]["S"]))
}

/// The process dies at every change that it is about to make, once; whoever continues makes it.
async fn a_crash_at_every_step_does_nothing_twice_and_skips_nothing(world: World) {
    differ_in_every_way(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    file.save(&survey(&world, &[]).await.plan()).unwrap();
    let made: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let death = Arc::new(Notify::new());
    for proxy in [&world.ses_calls, &world.table_calls] {
        let (made, death) = (Arc::clone(&made), Arc::clone(&death));
        let mut seen = BTreeSet::new();
        proxy.script(move |call| {
            let Some(change) = change(call) else {
                return Act::Pass;
            };
            if seen.insert(change.clone()) {
                death.notify_one();
                return Act::PassAfter(Box::pin(std::future::pending()));
            }
            *made.lock().unwrap().entry(change).or_default() += 1;
            Act::Pass
        });
    }
    let mut deaths = 0;
    loop {
        let app = world.restarted();
        let drift = drift(&app.checks, &world, FAST).await;
        let mut plan = file.load(&world.acme.account).unwrap().unwrap();
        tokio::select! {
            done = drift.repair(&mut plan, &file) => { done.unwrap(); break }
            () = death.notified() => deaths += 1,
        }
    }
    let made = made.lock().unwrap().clone();
    // Two evidence records and one spelling, a lead that complained, two entries taken off.
    assert_eq!((deaths, made.len()), (6, 6), "{made:?}");
    assert!(
        made.values().all(|times| *times == 1),
        "nothing twice: {made:?}"
    );
    assert_eq!(differences(&survey(&world, &[]).await), BTreeMap::new());
}

/// Between the survey and the repair both sides have moved on.
async fn a_repair_trusts_nothing_that_is_old(world: World) {
    differ_in_every_way(&world).await;
    let mut plan = survey(&world, &[]).await.plan();
    world
        .deliver(&[
            bounce(
                &address_of("freed"),
                NO_EMAIL,
                Timestamp::now() + SignedDuration::from_secs(1),
            ),
            complaint(&[&address_of("spam")], days_ago(1)),
        ])
        .await;
    let gone = |address: &str| {
        let list = &world.app.checks.services.suppression_list;
        let address = address.to_owned();
        async move { list.remove(&List::Account, &address).await.unwrap() }
    };
    gone(&address_of("silent")).await;
    gone("Twice@lead.example").await;
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    let drift = drift(&world.app.checks, &world, FAST).await;
    drift.repair(&mut plan, &file).await.unwrap();
    assert_eq!(
        (plan.repaired, plan.settled),
        (1, 4),
        "only the spelling was left to note"
    );
    let listed = world.ses.suppressed().unwrap();
    assert!(
        listed
            .iter()
            .any(|entry| entry.address == address_of("freed")),
        "it bounced again"
    );
    assert!(
        listed
            .iter()
            .any(|entry| entry.address == address_of("twice")),
        "the last one stays"
    );
    assert_eq!(
        world.status("silent").await.status,
        "active",
        "SES does not list it any more"
    );
}

async fn an_outage_stops_the_repair_and_keeps_its_place(world: World) {
    differ_in_every_way(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    let mut plan = survey(&world, &[]).await.plan();
    let total = plan.total();
    let mut answered = 0;
    world.ses_calls.script(move |_| {
        answered += 1;
        if answered <= 3 {
            Act::Pass
        } else {
            Act::CutBefore
        }
    });
    let stopped = drift(&world.app.checks, &world, FAST).await;
    stopped.repair(&mut plan, &file).await.unwrap_err();
    let mut kept = file.load(&world.acme.account).unwrap().unwrap();
    assert_eq!(kept, plan, "the file says what was done");
    assert!(kept.repaired > 0 && !kept.open.is_empty(), "{kept:?}");
    world.ses_calls.behave();
    let continued = drift(&world.app.checks, &world, FAST).await;
    continued.repair(&mut kept, &file).await.unwrap();
    assert_eq!(
        (kept.repaired, kept.settled, kept.total()),
        (total, 0, total)
    );
    assert_eq!(differences(&survey(&world, &[]).await), BTreeMap::new());
}

async fn an_address_that_ses_refuses_is_set_aside(world: World) {
    differ_in_every_way(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    let mut plan = survey(&world, &[]).await.plan();
    world.ses_calls.script(|call| {
        if call.operation.starts_with("DELETE") && call.operation.contains("freed") {
            Act::Refuse(403, json!({ "__type": "AccessDeniedException" }))
        } else {
            Act::Pass
        }
    });
    let refused = drift(&world.app.checks, &world, FAST).await;
    refused.repair(&mut plan, &file).await.unwrap();
    assert_eq!(
        (plan.repaired, plan.failed.len()),
        (4, 1),
        "the others are not held up"
    );
    assert!(plan.failed[0].why.contains("AccessDenied"), "{plan:?}");
    world.ses_calls.behave();
    let mut kept = file.load(&world.acme.account).unwrap().unwrap();
    refused.repair(&mut kept, &file).await.unwrap();
    assert_eq!(
        (kept.repaired, kept.failed.len()),
        (5, 0),
        "and it is tried again"
    );
    assert!(!file.path().exists());
}

async fn the_repair_keeps_to_the_quota(world: World) {
    world.save("ann", ANN).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    world.ses.limit(Duration::from_secs(1));
    world.ses_calls.take_calls();
    let started = Instant::now();
    let drift = drift(&world.app.checks, &world, 0.95).await;
    let mut plan = drift.survey(&[]).await.unwrap().plan();
    let folder = tempfile::tempdir().unwrap();
    let file = PlanFile::new(folder.path().join("state.json"));
    drift.repair(&mut plan, &file).await.unwrap();
    assert_eq!(plan.repaired, 1);
    let calls = world.ses_calls.take_operations();
    assert_eq!(calls.len(), 2, "no call was refused: {calls:?}");
    assert!(started.elapsed() >= Duration::from_secs(1));
}

/// Where the binaries are, built from the sources as they are now.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| lambdas::build(&Building::silent()).unwrap());

/// The operator's command, in a process of its own.
fn command(world: &World, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BUILT.join("leadlight-support"));
    command
        .args(["drift", "--account", "acme", "--rate", "1000"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(world.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().await.unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_reports_dies_and_goes_on() {
    tokio::task::spawn_blocking(|| LazyLock::force(&BUILT))
        .await
        .unwrap();
    let world = World::embedded().await;
    differ_in_every_way(&world).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("leads.txt"),
        "\u{feff}only-here@lead.example\n\nno address\n",
    )
    .unwrap();

    let (code, text, told) = run(command(
        &world,
        folder.path(),
        &["--addresses", "leads.txt"],
    ))
    .await;
    assert_eq!(code, Some(1), "there is something to repair: {told}");
    for difference in Difference::ALL {
        assert!(
            text.contains(difference.title()) && text.contains(difference.why()),
            "{text}"
        );
    }
    assert!(text.contains("Nothing was changed"), "{text}");
    assert!(told.contains("leads.txt:3: skipped"), "{told}");

    // It is killed while SES carries out the first deletion.
    let killed = Arc::new(Notify::new());
    let at_deletion = Arc::clone(&killed);
    world.ses_calls.script(move |call| {
        if call.operation.starts_with("DELETE") {
            at_deletion.notify_one();
        }
        Act::Pass
    });
    let mut child: Child = command(&world, folder.path(), &["--apply"])
        .spawn()
        .unwrap();
    killed.notified().await;
    child.kill().await.unwrap();
    world.ses_calls.behave();
    let state = folder.path().join("leadlight-drift-acme.json");
    assert!(state.exists());

    let (code, _, told) = run(command(&world, folder.path(), &[])).await;
    assert_eq!(code, Some(1));
    assert!(told.contains("--apply continues it"), "{told}");
    let (code, json, told) = run(command(&world, folder.path(), &["--apply", "--json"])).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("continuing the repair"), "{told}");
    let document: Value = serde_json::from_str(&json).unwrap();
    let count = |name: &str| document["repair"][name].as_u64().unwrap();
    assert_eq!(
        (count("repaired") + count("settled"), count("open")),
        (5, 0),
        "{json}"
    );
    assert!(!state.exists());

    let (code, json, _) = run(command(&world, folder.path(), &["--json"])).await;
    assert_eq!(code, Some(0), "{json}");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["survey"]["differences"], json!([]));
    assert_eq!(document["survey"]["counts"]["unknown_listing"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_names_what_it_lacks() {
    tokio::task::spawn_blocking(|| LazyLock::force(&BUILT))
        .await
        .unwrap();
    let world = World::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in world.environment().iter().take(5) {
        let mut lacking = command(&world, folder.path(), &[]);
        lacking.env_remove(name);
        let (code, _, told) = run(lacking).await;
        assert_eq!(code, Some(2), "{name}");
        assert!(told.contains(name), "{name}: {told}");
    }
    let cases: [(&[&str], &str); 4] = [
        (&["--account", "nobody"], "the table has no account nobody"),
        (&["--addresses", "missing.txt"], "missing.txt"),
        (&["--rate", "0"], "--rate"),
        (&["--apply", "--state", "other.json"], "other.json"),
    ];
    std::fs::write(folder.path().join("other.json"), "{}").unwrap();
    for (arguments, word) in cases {
        let mut wrong = Command::new(BUILT.join("leadlight-support"));
        wrong.arg("drift").args(arguments);
        if arguments[0] != "--account" {
            wrong.args(["--account", "acme"]);
        }
        wrong
            .current_dir(folder.path())
            .env_clear()
            .envs(world.environment());
        let (code, _, told) = run(wrong).await;
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
}
