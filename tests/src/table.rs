//! The demo CRM's table of a thousand leads: what a large host asks of the widget, and what the widget asks of the server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use leadlight_dev::stack::{Stack, StackSettings};
use serde_json::{Value, json};

use crate::browser::{Browser, Tree};
use crate::story::build_widget;

/// Keeps which leads the page asks for, and how far its parts jump.
const LEDGER: &str = "window.asked = [];
    window.fetch = ((fetch) => (resource, init) => {
        if (new URL(resource, location).pathname === '/v1/statuses') asked.push(JSON.parse(init.body).leads);
        return fetch(resource, init);
    })(window.fetch);
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries()) {
            shifts.push([value, ...sources.map(({ node }) => node?.outerHTML?.slice(0, 80) ?? node?.nodeName)]);
        }
    }).observe({ type: 'layout-shift', buffered: true });";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_leads_are_one_request_and_no_lead_is_asked_for_twice() {
    let stack = crm_of(1_000).await;
    let person = Browser::open(stack.origin()).await;
    person.before_each_page(LEDGER).await;

    person.go("/").await;
    person.see("the first page", |tree| known(tree, 100)).await;
    assert_eq!(person.text("#count").await, "1,000 people");
    assert_eq!(asked(&person).await, [100]);
    person.shoot("40-table").await;
    let pager = "[data-testid=pager]";
    person.click(&format!("{pager} button:last-of-type")).await;
    person
        .read(pager, "the second page", |said| {
            said.contains("Page 2 of 10")
        })
        .await;
    person.see("its bubbles", |tree| known(tree, 100)).await;
    assert_eq!(asked(&person).await, [100, 100]);
    person.click(&format!("{pager} button:first-of-type")).await;
    person
        .read(pager, "the first page again", |said| {
            said.contains("Page 1 of 10")
        })
        .await;
    person
        .see("its bubbles again", |tree| known(tree, 100))
        .await;
    assert_eq!(asked(&person).await, [100, 100], "it was known already");
    person.click("[data-sort=name]").await;
    let first = person.text("[data-testid=leads] tbody:not(.space) a").await;
    assert_eq!(first, "Amara Abbott", "sorted by name");
    person.click("[data-sort=name]").await;
    let last = person.text("[data-testid=leads] tbody:not(.space) a").await;
    assert_eq!(last, "Zoe Zhou", "sorted by name, the other way");
    assert_eq!(person.ask("shifts").await, json!([]), "nothing jumps");

    // The whole list, scrolled through and back.
    person.go("/?view=long").await;
    person.see("the first block", |tree| known(tree, 100)).await;
    assert_eq!(asked(&person).await, [100]);
    let most = person
        .wait_for(
            "(async (card) => {
                let most = 0;
                const step = async (y) => {
                    card.scrollTop = y;
                    await new Promise(requestAnimationFrame);
                    await new Promise((resolve) => { setTimeout(resolve); });
                    most = Math.max(most, document.querySelectorAll('lead-light').length);
                };
                for (let y = 0; y < card.scrollHeight; y += 700) await step(y);
                const end = [...document.querySelectorAll('tbody:not(.space) tr')].at(-1).ariaRowIndex;
                for (let y = card.scrollHeight; y > 0; y -= 700) await step(y);
                await step(0);
                return [most, end];
            })(document.getElementById('card'))",
        )
        .await;
    assert_eq!(
        most,
        json!([200, "1001"]),
        "two blocks at most, down to the last row"
    );
    person.see("the top again", |tree| known(tree, 100)).await;
    assert_eq!(asked(&person).await, [100; 10]);
    let different = person.ask("new Set(asked.flat()).size").await;
    assert_eq!(different, json!(1_000), "no lead twice");
    person.shoot("41-list").await;
    assert_eq!(person.ask("shifts").await, json!([]), "nothing jumps");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_people_of_the_table_have_met_every_fate() {
    let stack = crm_of(100).await;
    let token = stack.account.server_token(Timestamp::now()).unwrap().token;
    let leads: Vec<String> = (1..=86).map(|place| format!("lead-{place:04}")).collect();
    let wanted = BTreeMap::from([
        ("active", 73),
        ("another", 0),
        ("blocklisted hard_bounce", 3),
        ("blocklisted spam_complaint", 1),
        ("blocklisted undeliverable", 1),
        ("blocklisted withheld_by_provider", 1),
        ("soft_bouncing", 1),
        ("unconfirmed", 2),
        ("unknown", 0),
        ("unsubscribed", 4),
    ]);
    let started = Instant::now();
    loop {
        let reply = reqwest::Client::new()
            .post(format!("{}/v1/statuses", stack.origin()))
            .bearer_auth(&token)
            .json(&json!({ "leads": leads }))
            .send()
            .await
            .unwrap();
        // While the demo's people are saved, the engine of a busy machine may be out of time.
        let reply: Value = reply.json().await.unwrap();
        let statuses = reply["statuses"].as_array().into_iter().flatten();
        let mut found: BTreeMap<&str, usize> = wanted.keys().map(|fate| (*fate, 0)).collect();
        for status in statuses {
            let code = status["status"].as_str().unwrap();
            let fate = match status["reason"].as_str() {
                Some(reason) => format!("{code} {reason}"),
                None => code.to_owned(),
            };
            let known = wanted.keys().find(|known| **known == fate);
            *found
                .entry(known.copied().unwrap_or("another"))
                .or_default() += 1;
        }
        if found == wanted {
            break;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{found:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A stack whose CRM holds this many people.
async fn crm_of(people: usize) -> Stack {
    build_widget().await;
    let settings = StackSettings {
        with_demo_leads: true,
        people,
        ..StackSettings::default()
    };
    Stack::start(settings).await.unwrap()
}

/// Sees `many` bubbles, each with its status.
fn known(tree: &Tree, many: usize) -> Option<()> {
    let is_known = |name: &str| !name.ends_with("Status is loading");
    let shown = tree.bubbles().filter(|bubble| is_known(&bubble.name));
    (shown.count() == many).then_some(())
}

/// How many leads each request for statuses was about.
async fn asked(person: &Browser) -> Vec<u64> {
    let sizes = person.ask("asked.map((leads) => leads.length)").await;
    serde_json::from_value(sizes).unwrap()
}
