//! What a verification says in the demo CRM, with Chromium: a slip is offered for correction, a parked domain turns the lead red and
//! back, and what could not be verified is verified while nobody looks.

use fantoccini::key::Key;
use jiff::{SignedDuration, Timestamp};
use leadlight_dev::stack::Stack;
use serde_json::{Value, json};

use crate::browser::{Browser, Tree};
use crate::story::{announced, bubble, closed, demo, offered, tab_to};

const ADDRESS: &str = "[data-testid=address]";
const SAID: &str = "#address-problem";
const SAVE: &str = "[data-testid=save]";
const SAVED: &str = "[data-testid=save-result]";
const DOMAIN: &str = "[data-testid=domain]";
const DOMAIN_SET: &str = "[data-testid=domain-result]";
const LOG: &str = "[data-testid=log]";
/// What is probably meant by `ann@gmial.com`.
const MEANT: &str = "ann@gmail.com";

async fn saved(person: &Browser) {
    person
        .read(SAVED, "that it is saved", |said| said == "Saved.")
        .await;
}

/// A lead as the CRM has it.
async fn contact(stack: &Stack, id: &str) -> Value {
    let url = format!("{}/crm/leads/{id}", stack.origin());
    let answer = reqwest::get(url).await.unwrap();
    answer.json().await.unwrap()
}

/// What the form holds as the address.
async fn typed(person: &Browser) -> String {
    let value = person
        .ask("document.querySelector('[data-testid=address]').value")
        .await;
    value.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slip_is_offered_for_correction_before_and_after_saving() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=ann-lee").await;
    person.see("the lead", bubble("Ann Lee: Active")).await;

    // Before: one press puts it into the form, and nothing is saved by itself.
    person.fill(ADDRESS, "ann@gmial.com").await;
    person.key(Key::Tab).await;
    let button = person
        .see("the offer", |tree: &Tree| {
            tree.find("button", "Use ann@gmail.com")
        })
        .await;
    person.shoot("20-slip-offered").await;
    person.press(&button).await;
    assert_eq!(typed(&person).await, MEANT);
    let stored = contact(&stack, "ann-lee").await;
    assert_eq!(
        stored["address"], "ann.lee@larkspur.example",
        "not saved yet"
    );

    // Saved as it was typed, all the same: it is the person's decision.
    person.fill(ADDRESS, "ann@gmial.com").await;
    person.click(SAVE).await;
    saved(&person).await;
    person
        .see("nobody blocked by a slip", bubble("Ann Lee: Active"))
        .await;
    let button = person
        .see("the offer after saving", |tree: &Tree| {
            tree.find("button", "Save as ann@gmail.com")
        })
        .await;
    person.shoot("21-slip-offered-after-saving").await;
    person.press(&button).await;
    person
        .read(LOG, "the address verified again", |log| {
            log.matches("Address changed").count() == 2
        })
        .await;
    saved(&person).await;
    assert_eq!(typed(&person).await, MEANT);
    person
        .see("no offer any more", |tree: &Tree| {
            tree.find("button", "Save as ann@gmail.com")
                .is_none()
                .then_some(())
        })
        .await;
    assert_eq!(contact(&stack, "ann-lee").await["address"], MEANT);
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slip_is_corrected_by_the_keyboard_alone() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=ann-lee").await;
    person.see("the lead", bubble("Ann Lee: Active")).await;
    tab_to(&person, |focused| focused.name == "Email address").await;
    person.chord(Key::Control, 'a').await;
    person.type_text("ann@gmial.com").await;
    person.key(Key::Enter).await;
    saved(&person).await;
    person
        .see("the offer", |tree: &Tree| {
            tree.find("button", "Save as ann@gmail.com")
        })
        .await;
    tab_to(&person, |focused| focused.name == "Save as ann@gmail.com").await;
    person.key(Key::Enter).await;
    person
        .read(LOG, "both changes", |log| {
            log.matches("Address changed").count() == 2
        })
        .await;
    saved(&person).await;
    assert_eq!(typed(&person).await, MEANT);
    let focused = person.tree().await.focused().map(|node| node.name.clone());
    assert_eq!(
        focused.as_deref(),
        Some("Email address"),
        "the focus stays in the form when its button goes"
    );
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slip_that_was_saved_is_corrected_in_the_popover() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=ann-lee").await;
    person.see("the lead", bubble("Ann Lee: Active")).await;
    let suggested = |tree: &Tree| tree.popover()?.find("button", "Use ann@gmail.com");
    let corrected = |tree: &Tree| {
        let popover = tree.popover()?;
        let is_asked = popover.words().contains("Did you mean");
        (!is_asked && popover.find("button", "Use ann@gmail.com").is_none()).then_some(popover)
    };
    for (by_keyboard, changes) in [(false, 2), (true, 4)] {
        person.fill(ADDRESS, "ann@gmial.com").await;
        person.click(SAVE).await;
        saved(&person).await;
        let stored = contact(&stack, "ann-lee").await;
        assert_eq!(stored["address"], "ann@gmial.com");
        if by_keyboard {
            tab_to(&person, |focused| focused.name == "Ann Lee: Active").await;
            person.key(Key::Enter).await;
            person.see("the offer", suggested).await;
            tab_to(&person, |focused| focused.name == "Use ann@gmail.com").await;
            person.key(Key::Enter).await;
        } else {
            person.point_at("lead-light").await;
            let button = person.see("the offer", suggested).await;
            person.shoot("24-slip-offered-in-the-popover").await;
            person.press(&button).await;
        }
        let popover = person.see("no offer any more", corrected).await;
        assert!(popover.find("heading", "Active").is_some(), "{popover:?}");
        assert_eq!(contact(&stack, "ann-lee").await["address"], MEANT);
        assert_eq!(typed(&person).await, MEANT, "the form follows");
        person
            .read(LOG, "every change", |log| {
                log.matches("Address changed").count() == changes
            })
            .await;
        person.key(Key::Escape).await;
        person.point_at_nothing().await;
        person.see("the popover closed", closed).await;
        let focused = person.tree().await.focused().map(|node| node.name.clone());
        assert_eq!(
            focused.as_deref(),
            Some("Ann Lee: Active"),
            "the focus is not lost"
        );
    }
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_domain_turns_the_lead_red_until_the_zone_is_repaired() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=ben-okafor").await;
    person.see("the lead", bubble("Ben Okafor: Active")).await;
    person.fill(ADDRESS, "ben@parked.example").await;
    person.click(SAVE).await;
    saved(&person).await;
    let red = "Ben Okafor: Blocklisted, undeliverable";
    person.see("the bubble red", bubble(red)).await;
    person
        .read(SAID, "why", |said| {
            said.contains("declares that it accepts no mail")
        })
        .await;
    // The page asks for the status once more when the log has an entry more.
    person
        .read(LOG, "what was found", |log| {
            log.contains("The address’s domain takes no mail")
        })
        .await;
    person.point_at("lead-light").await;
    let popover = person.see("why, in the popover", offered).await;
    assert!(popover.words().contains("accepts no mail"), "{popover:?}");
    person.shoot("22-parked-domain").await;

    // Nothing has changed, and Check again says so.
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    person
        .see("Sent, and as red as before", |tree: &Tree| {
            let popover = tree.popover()?;
            let is_sent = popover.announcement().starts_with("Sent");
            (is_sent && popover.words().contains("accepts no mail")).then_some(())
        })
        .await;
    person.key(Key::Escape).await;
    person.point_at_nothing().await;
    person.see("the popover closed", closed).await;

    person.choose(DOMAIN, "takes_mail").await;
    person
        .read(DOMAIN_SET, "that the zone is repaired", |said| {
            said == "parked.example takes mail."
        })
        .await;
    person.point_at("lead-light").await;
    let popover = person.see("Check again", offered).await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person
        .see("the lead as it was", bubble("Ben Okafor: Active"))
        .await;
    person.shoot("23-zone-repaired").await;
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_verified_is_verified_while_nobody_looks() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=milo-jensen").await;
    person.see("the lead", bubble("Milo Jensen: Active")).await;
    person.fill(ADDRESS, "milo@flaky.example").await;
    person.click(SAVE).await;
    saved(&person).await;
    person
        .read(SAID, "that nothing was found out", |said| {
            said.contains("could not be checked now")
        })
        .await;
    person
        .see("nobody blocked for it", bubble("Milo Jensen: Active"))
        .await;

    person.choose(DOMAIN, "null_mx").await;
    person
        .read(DOMAIN_SET, "that it is set", |said| {
            said.contains("no mail")
        })
        .await;
    // The schedule calls once a minute; nobody waits for it here.
    let later = Timestamp::now() + SignedDuration::from_mins(2);
    let url = format!("{}/local/reverifications?at={later}", stack.origin());
    let report = reqwest::Client::new().post(url).send().await.unwrap();
    let report: Value = report.json().await.unwrap();
    assert_eq!(report["verified"], 1, "{report}");
    person
        .see(
            "the bubble red by itself",
            bubble("Milo Jensen: Blocklisted, undeliverable"),
        )
        .await;
    person
        .read(LOG, "what was found", |log| {
            log.contains("The address’s domain takes no mail")
        })
        .await;
    assert_eq!(person.uncaught().await, json!([]));
}
