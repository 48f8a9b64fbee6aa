//! Reputation as a person looks at it in the demo CRM with Chromium: the figures, the curves beside SES's limits, and their absence.
//!
//! What is drawn is held against what was reported, whatever the page says of itself. Each look leaves a picture in
//! `target/screenshots/`.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use leadlight_dev::stack::Stack;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::envelopes;
use crate::notifications::{GENERAL, MAILBOX_FULL, bounce, complaint, delivery, of_account};
use crate::reputation::{from_domain, sent};
use crate::story::demo_without_leads;

const PAGE: &str = "/reputation.html";
const PROBLEM: &str = "#page-problem";
/// The cells of a table, row by row.
const ROWS: &str = "[...document.querySelectorAll('#TABLE tbody tr')].map(({ cells }) => [...cells].map((cell) => cell.textContent))";
/// The least contrast of text with what it stands on that passes for normal sizes (WCAG 2.2, 1.4.3).
const CONTRAST: f64 = 4.5;

/// What became of the messages of one day.
struct Day {
    at: Timestamp,
    delivered: usize,
    hard: usize,
    soft: usize,
    complaints: usize,
}

impl Day {
    fn notifications(&self) -> Vec<Value> {
        let at = self.at;
        let address = |kind: &str, n: usize| {
            let domain = ["gmail.com", "harbour.example"][n % 2];
            format!("{kind}.{n}.{}@{domain}", at.as_second())
        };
        let each = |kind: &'static str, count: usize| (0..count).map(move |n| address(kind, n));
        let delivered = each("delivered", self.delivered);
        let delivered = delivered.map(|to| [sent(&to, at), delivery(&to, at)]);
        let hard = each("hard", self.hard).map(|to| [sent(&to, at), bounce(&to, GENERAL, at)]);
        let soft = each("soft", self.soft).map(|to| [sent(&to, at), bounce(&to, MAILBOX_FULL, at)]);
        let complaints = each("delivered", self.complaints).map(|by| complaint(&[&by], at));
        let all = delivered.chain(hard).chain(soft).flatten();
        all.chain(complaints).collect()
    }
}

/// Lets SES report this to the demo's account, and waits until it is counted.
async fn report(stack: &Stack, days: &[Day]) {
    let http = reqwest::Client::new();
    for day in days {
        let ours =
            |notification| of_account(from_domain(notification, "news.harbour.example"), "demo");
        let bodies: Vec<String> = day
            .notifications()
            .into_iter()
            .map(|notification| envelopes::sns(&ours(notification)))
            .collect();
        let handed_over = http
            .post(format!("{}/local/feedback", stack.origin()))
            .json(&envelopes::sqs(&bodies))
            .send();
        let answer: Value = handed_over.await.unwrap().json().await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let expected: usize = days.iter().map(|day| day.delivered).sum();
    for _ in 0..600 {
        let asked = http
            .get(format!("{}/crm/reputation", stack.origin()))
            .send();
        let figures: Value = asked.await.unwrap().json().await.unwrap();
        if figures["total"]["delivered"] == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("what was reported is not counted");
}

async fn rows(person: &Browser, table: &str) -> Value {
    person.ask(&ROWS.replace("TABLE", table)).await
}

async fn look(person: &Browser, scheme: &str) {
    let features = json!({ "features": [
        { "name": "prefers-color-scheme", "value": scheme },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ] });
    person.tell("Emulation.setEmulatedMedia", features).await;
}

/// Keeps a picture of the page as far down as it goes.
async fn shoot(person: &Browser, name: &str) {
    let height = person.ask("document.documentElement.scrollHeight").await;
    let window = |height: &Value| json!({ "width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": false });
    person
        .tell("Emulation.setDeviceMetricsOverride", window(&height))
        .await;
    person.shoot(name).await;
    person
        .tell("Emulation.setDeviceMetricsOverride", window(&json!(900)))
        .await;
}

/// The least contrast of any text in the charts with the card that it stands on.
async fn least_contrast(person: &Browser) -> f64 {
    let least = "Math.min(...[...document.querySelectorAll('.chart text')].map((text) => {
        const draw = (colour) => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) =>
                part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const pair = [draw(getComputedStyle(text).fill), draw(getComputedStyle(text.closest('.card')).backgroundColor)];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    }))";
    person.ask(least).await.as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_how_messages_fared_beside_the_limits_of_ses() {
    let stack = demo_without_leads().await;
    let now = Timestamp::now();
    let days = [
        Day {
            at: now - SignedDuration::from_hours(3 * 24),
            delivered: 20,
            hard: 0,
            soft: 0,
            complaints: 0,
        },
        Day {
            at: now - SignedDuration::from_hours(24),
            delivered: 35,
            hard: 3,
            soft: 2,
            complaints: 1,
        },
    ];
    report(&stack, &days).await;
    let person = Browser::open(stack.origin()).await;
    person.go(PAGE).await;
    person
        .read("#bounces", "the bounce rate", |said| {
            said.contains("over all days")
        })
        .await;
    let bounces = person.text("#bounces p").await;
    assert_eq!(
        bounces,
        "5% over all days. SES reviews an account from 5% and may pause it from 10%."
    );
    let complaints = person.text("#complaints p").await;
    assert_eq!(
        complaints,
        "1.82% over all days. SES reviews an account from 0.1% and may pause it from 0.5%."
    );

    // The tables say it in figures.
    let date = |day: &Day| day.at.to_zoned(TimeZone::UTC).date().to_string();
    let [first, second] = [date(&days[0]), date(&days[1])];
    assert_eq!(
        rows(&person, "days").await,
        json!([
            [
                first, "20", "20", "0", "0", "0", "0", "0", "0", "0", "0", "0%", "0%"
            ],
            [
                second, "40", "35", "3", "2", "0", "0", "1", "0", "0", "0", "7.5%", "2.86%"
            ],
        ])
    );
    let of_all = [
        "news.harbour.example",
        "60",
        "55",
        "3",
        "2",
        "0",
        "0",
        "1",
        "0",
        "0",
        "0",
        "5%",
        "1.82%",
    ];
    assert_eq!(rows(&person, "senders").await, json!([of_all]));
    let providers = rows(&person, "providers").await;
    let gmail = [
        "Gmail", "31", "28", "2", "1", "0", "0", "1", "0", "0", "0", "6.5%", "3.57%",
    ];
    assert_eq!(providers[0], json!(gmail), "{providers}");
    assert_eq!(providers.as_array().unwrap().len(), 2, "{providers}");

    // The charts draw it to scale: bars as high as their figures, limits where they belong, and no line over days without messages.
    let bars = person.ask("['delivered', 'hard_bounces', 'soft_bounces'].map((part) =>
        [...document.querySelectorAll(`#messages > svg rect.${part}`)].map((bar) => Math.round(bar.getAttribute('height') * 100)))").await;
    let unit = bars[0][0].as_f64().unwrap() / 20.0;
    let drawn = |part: usize, bar: usize| {
        let messages = bars[part][bar].as_f64().unwrap() / unit;
        format!("{messages:.0}")
    };
    assert_eq!(
        [drawn(0, 1), drawn(1, 0), drawn(2, 0)],
        ["35", "3", "2"],
        "{bars}"
    );
    for (chart, review_of_pause, peak_of_pause) in
        [("bounces", 0.5, 0.75), ("complaints", 0.2, 5.71)]
    {
        let heights = person.ask(&format!("(() => {{
            const chart = document.querySelector('#{chart} svg');
            const floor = chart.querySelector('.axis').getAttribute('y1');
            const at = (one, name) => floor - chart.querySelector(one).getAttribute(name);
            return [at('.limit.review', 'y1'), at('.limit.pause', 'y1'), at('.dot:nth-of-type(2)', 'cy')];
        }})()")).await;
        let height = |n: usize| heights[n].as_f64().unwrap();
        let close = |one: f64, other: f64| (one - other).abs() < 0.01;
        assert!(
            close(height(0) / height(1), review_of_pause),
            "{chart}: {heights}"
        );
        assert!(
            close(height(2) / height(1), peak_of_pause),
            "{chart}: {heights}"
        );
        let strokes = person
            .ask(&format!(
                "document.querySelector('#{chart} .rate').getAttribute('d').match(/[ML]/g).join('')"
            ))
            .await;
        assert_eq!(strokes, "MM", "{chart}: the day between had no messages");
    }
    let tree = person.tree().await;
    for (title, said) in [
        (
            "Messages by day",
            "Delivered: 55, Soft bounces: 2, Hard bounces: 3.",
        ),
        ("Bounce rate by day", bounces.as_str()),
        ("Complaint rate by day", complaints.as_str()),
    ] {
        let chart = tree
            .all("image")
            .find(|image| image.name.starts_with(title));
        assert!(
            chart.is_some_and(|chart| chart.name.contains(said)),
            "{title}: {tree:?}"
        );
    }

    for scheme in ["light", "dark"] {
        look(&person, scheme).await;
        let contrast = least_contrast(&person).await;
        assert!(contrast >= CONTRAST, "{scheme}: {contrast}");
        shoot(&person, &format!("reputation-{scheme}")).await;
    }
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_messages_is_told_so_and_an_api_that_is_away_as_well() {
    let stack = demo_without_leads().await;
    let person = Browser::open(stack.origin()).await;
    person.go(PAGE).await;
    person
        .read("#figures", "that there are none", |said| {
            said.contains("No messages in these days.")
        })
        .await;
    assert_eq!(
        person
            .ask("document.querySelectorAll('.chart').length")
            .await,
        0
    );
    assert_eq!(
        person
            .ask(&format!("document.querySelector('{PROBLEM}').hidden"))
            .await,
        true
    );
    shoot(&person, "reputation-empty").await;

    let away = json!({ "urls": ["*/crm/reputation*"] });
    person.tell("Network.setBlockedURLs", away).await;
    person.reload().await;
    person
        .read(PROBLEM, "that the server is away", |said| {
            said == "The server was not reached."
        })
        .await;
    assert_eq!(
        person.text("main").await,
        "Reputation\nThe server was not reached.",
        "nothing half drawn"
    );
    shoot(&person, "reputation-away").await;
    person
        .tell("Network.setBlockedURLs", json!({ "urls": [] }))
        .await;
    person.reload().await;
    person
        .read("#figures", "that it is back", |said| {
            said.contains("No messages in these days.")
        })
        .await;
    assert_eq!(person.uncaught().await, json!([]));
}
