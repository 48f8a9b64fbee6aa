//! `GET /v1/reputation`: its figures are those of a recount, whatever came twice.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use leadlight::reputation::{MailboxProvider, Reputation};
use serde_json::{Value, json};

use crate::changes::{Follower, hand_over};
use crate::notifications::{
    GENERAL, MAILBOX_FULL, ON_ACCOUNT_LIST, ON_GLOBAL_LIST, POLICY, auto_reply, bounce, complaint,
    delivery, of_account,
};
use crate::tokens::WIDGET_SCOPE;
use crate::world::{World, on_both_engines};

on_both_engines!(
    figures_are_those_of_a_recount,
    days_are_asked_for_and_refused,
    another_accounts_messages_are_not_counted,
);

pub(crate) fn sent(address: &str, at: Timestamp) -> Value {
    let mut notification = delivery(address, at);
    notification["eventType"] = json!("Send");
    notification["send"] = json!({});
    notification
}

pub(crate) fn from_domain(mut notification: Value, domain: &str) -> Value {
    notification["mail"]["source"] = json!(format!("crm@{domain}"));
    notification
}

async fn read(world: &World, query: &str) -> Reputation {
    let path = format!("/v1/reputation{query}");
    let reply = world.call("GET", &path, json!(null)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.read()
}

async fn figures_are_those_of_a_recount(world: World) {
    let day =
        |day: i64, n: i64| Timestamp::from_second(1_780_000_000 + 86_400 * day + 60 * n).unwrap();
    let providers = ["gmail.com", "hotmail.de", "lead.example", "yahoo.co.jp"];
    let mut notifications = Vec::new();
    for n in 0..60_i64 {
        let address = format!("p{n}@{}", providers[usize::try_from(n % 4).unwrap()]);
        let at = day(n % 3, n);
        notifications.push(sent(&address, at));
        let then = at + SignedDuration::from_secs(5);
        notifications.push(match n % 10 {
            0 => bounce(&address, GENERAL, then),
            1 => bounce(&address, MAILBOX_FULL, then),
            2 => bounce(&address, ON_ACCOUNT_LIST, then),
            3 => bounce(&address, ON_GLOBAL_LIST, then),
            4 => bounce(&address, POLICY, then),
            5 => auto_reply(&address, then),
            _ => delivery(&address, then),
        });
        if n % 20 == 6 {
            notifications.push(complaint(&[&address], then));
        }
    }
    let notifications: Vec<Value> = notifications
        .into_iter()
        .enumerate()
        .map(|(n, one)| match n % 4 {
            0 | 1 => from_domain(one, "mail.acme.example"),
            _ => from_domain(one, "news.acme.example"),
        })
        .collect();
    for chunk in notifications.chunks(25) {
        world.deliver(chunk).await;
    }
    world.deliver(&notifications[..40]).await;
    let records = world.stream.records().await.unwrap();
    hand_over(&world, records.clone()).await;
    Follower::default().follow(&world).await;

    let all = read(&world, "?from=2026-05-01&to=2026-07-20").await;
    let total = all.total.counts;
    assert_eq!(total.sent, 60);
    assert_eq!((total.hard_bounces, total.soft_bounces), (6, 6));
    assert_eq!((total.withheld, total.withheld_globally), (6, 6));
    assert_eq!((total.sender_faults, total.delivered), (6, 24));
    assert_eq!((total.complaints, total.possible_complaints), (3, 0));
    assert_eq!(all.total.bounce_rate, Some(12.0 / 60.0));
    assert_eq!(all.total.complaint_rate, Some(3.0 / 24.0));
    assert_eq!(all.limits.bounce.review.to_string(), "0.05");

    let busy: BTreeMap<String, u64> = all
        .days
        .iter()
        .filter(|day| day.figures.counts.sent > 0)
        .map(|day| (day.date.to_string(), day.figures.counts.sent))
        .collect();
    assert_eq!(
        busy.values().copied().collect::<Vec<_>>(),
        [20, 20, 20],
        "{busy:?}"
    );
    assert_eq!(all.days.len(), 81);
    let by = |provider| {
        let found = all
            .providers
            .iter()
            .find(|found| found.provider == provider);
        found.map(|found| found.figures.counts.sent)
    };
    for provider in [
        MailboxProvider::Google,
        MailboxProvider::Microsoft,
        MailboxProvider::Yahoo,
        MailboxProvider::Other,
    ] {
        assert_eq!(by(provider), Some(15), "{provider}");
    }
    assert_eq!(by(MailboxProvider::Apple), None);
    let senders: Vec<&str> = all.senders.iter().map(|one| one.domain.as_str()).collect();
    assert_eq!(senders, ["mail.acme.example", "news.acme.example"]);
    for figures in [
        all.days
            .iter()
            .map(|day| day.figures.counts.delivered)
            .sum::<u64>(),
        all.senders
            .iter()
            .map(|one| one.figures.counts.delivered)
            .sum(),
        all.providers
            .iter()
            .map(|one| one.figures.counts.delivered)
            .sum(),
    ] {
        assert_eq!(figures, total.delivered);
    }
}

async fn days_are_asked_for_and_refused(world: World) {
    let month = read(&world, "").await;
    assert_eq!(month.days.len(), 30);
    assert_eq!(
        month.to,
        jiff::Zoned::now()
            .with_time_zone(jiff::tz::TimeZone::UTC)
            .date()
    );
    assert_eq!(month.total.bounce_rate, None);
    let quarter = read(&world, "?from=2026-01-01&to=2026-04-02").await;
    assert_eq!(quarter.days.len(), 92);
    for (query, field, detail) in [
        ("from=yesterday", "from", "must be a day such as 2026-03-31"),
        ("to=2026-02-30", "to", "must be a day such as 2026-03-31"),
        (
            "from=2026-03-02&to=2026-03-01",
            "from",
            "must not be after `to`",
        ),
        (
            "from=2026-01-01&to=2026-04-03",
            "from",
            "must be at most 92 days, with the last, before `to`",
        ),
    ] {
        let reply = world
            .call("GET", &format!("/v1/reputation?{query}"), json!(null))
            .await;
        let problem = reply.problem(400, "invalid-parameter");
        assert_eq!(problem.field.as_deref(), Some(field), "{query}");
        assert_eq!(problem.detail.as_deref(), Some(detail), "{query}");
    }
    let reply = world.call("POST", "/v1/reputation", json!({})).await;
    reply.problem(405, "method-not-allowed");

    let now = Timestamp::now();
    for token in [
        world.acme.token(WIDGET_SCOPE, now),
        world
            .acme
            .token("reputation", now)
            .claim("leads", json!(["ann"])),
    ] {
        let request = crate::world::request(
            "GET",
            "/v1/reputation",
            Some(&token.bearer()),
            String::new().into(),
        );
        let reply = crate::world::answer(&world.app, request, now).await;
        reply.problem(403, "forbidden");
    }
}

async fn another_accounts_messages_are_not_counted(world: World) {
    let at = Timestamp::now();
    let theirs = of_account(delivery("gus@lead.example", at), "globex");
    world
        .deliver(&[theirs, delivery("ann@lead.example", at)])
        .await;
    Follower::default().follow(&world).await;
    assert_eq!(read(&world, "").await.total.counts.delivered, 1);
}
