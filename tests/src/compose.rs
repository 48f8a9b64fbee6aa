//! A message to several leads, as a person writes it in the demo CRM with Chromium: refused whole, put right, sent once.
//!
//! What was sent is what SES's outbox has, whatever the page says. Each step leaves a picture in `target/screenshots/`.

use fantoccini::key::Key;
use leadlight_dev::ses::OutboxMessage;
use leadlight_dev::stack::Stack;
use serde_json::{Value, json};

use crate::browser::{Browser, Tree};
use crate::story::{announced, bubble, closed, demo, offered, press_behind_the_page};

const SUBJECT: &str = "[data-testid=subject]";
const TEXT: &str = "[data-testid=text]";
const PURPOSE: &str = "[data-testid=purpose]";
const SEND: &str = "[data-testid=send]";
const SKIP: &str = "[data-testid=skip]";
const RESULT: &str = "[data-testid=send-result]";
const REFUSAL: &str = "[data-testid=refusal]";
const CARLA: &str = "[data-lead=carla-mendes]";
/// What no message of the demo's own has as its subject.
const OURS: &str = "Saturday deliveries";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_three_goes_to_nobody_until_all_are_clear() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/").await;
    for lead in ["ann-lee", "ben-okafor", "carla-mendes"] {
        person.click(&format!("input[value={lead}]")).await;
    }
    let write = "[data-testid=write]";
    person
        .read(write, "whom", |said| said == "Write to 3 leads")
        .await;
    person.shoot("20-choose").await;
    person.click(write).await;
    let red = "Carla Mendes: Blocklisted, hard bounce";
    let writing = |tree: &Tree| {
        tree.find("heading", "New message")?;
        bubble(red)(tree)
    };
    person.see("Carla in the message", writing).await;
    person.fill(SUBJECT, OURS).await;
    person.fill(TEXT, "We come on Saturdays too.").await;
    person.shoot("21-compose").await;

    // Refused whole, and the one who is blocked is marked in place, with the reason and the way out.
    person.click(SEND).await;
    person
        .read(REFUSAL, "the refusal", |said| {
            said.starts_with("Not sent to anybody: Carla Mendes must not be mailed.")
        })
        .await;
    person.shoot("22-refused").await;
    let tree = person.tree().await;
    let focused = tree.focused().unwrap();
    assert_eq!(focused.role, "alert", "the focus is on the summary");
    assert_eq!(marked(&person).await, json!(["carla-mendes"]));
    let said = person.text(CARLA).await;
    for part in [
        "A message bounced: there is no such mailbox.",
        "Correct the address and press Check again.",
        "Since",
        "Open Carla Mendes",
    ] {
        assert!(said.contains(part), "{part:?} in {said:?}");
    }
    assert_eq!(outbox(&stack), []);

    // The address is corrected on the lead's page; the message waits.
    person.click(&format!("{CARLA} a")).await;
    let address = "carla.mendes@pinecrest-dental.example";
    person
        .see("the lead's page", |tree| {
            tree.find("textbox", "Email address")?;
            bubble(red)(tree)
        })
        .await;
    person.fill("[data-testid=address]", address).await;
    person.click("[data-testid=save]").await;
    person
        .read("[data-testid=save-result]", "that it is saved", |said| {
            said == "Saved."
        })
        .await;
    person.shoot("23-address-corrected").await;
    person.click("[data-testid=back]").await;
    person.see("the message again", writing).await;
    let said = person
        .read(CARLA, "what is left to do", |said| {
            said.contains("press Check again")
        })
        .await;
    for part in [
        address,
        "Make sure that the address is right and press Check again.",
    ] {
        assert!(said.contains(part), "{part:?} in {said:?}");
    }
    assert_eq!(draft(&person).await, [OURS, "We come on Saturdays too."]);
    person.click(SEND).await;
    person
        .see("the focus on the second refusal", |tree| {
            tree.focused().filter(|node| node.role == "alert").map(drop)
        })
        .await;
    assert_eq!(outbox(&stack), []);

    // It is checked again where it is marked.
    person.point_at(&format!("{CARLA} lead-light")).await;
    let popover = person.see("Check again", offered).await;
    person.shoot("24-check-again-in-place").await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person.key(Key::Escape).await;
    person.point_at_nothing().await;
    person.see("the popover closed", closed).await;
    person
        .read(RESULT, "that all are clear", |said| {
            said == "Nothing stands in the way any more: send again."
        })
        .await;
    assert_eq!(marked(&person).await, json!([]));
    person.shoot("25-all-clear").await;

    // A double click is one message.
    let click = format!("document.querySelector('{SEND}').click()");
    person.ask(&format!("({click}, {click})")).await;
    person
        .read(RESULT, "that it is sent", |said| {
            said == "Sent to Ann Lee, Ben Okafor, and Carla Mendes."
        })
        .await;
    person.shoot("26-sent-to-three").await;
    let sent = outbox(&stack);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(
        sent[0].to,
        [
            "ann.lee@larkspur.example",
            "ben.okafor@meridian-freight.example",
            address,
        ]
    );
    assert_eq!(sent[0].text, "We come on Saturdays too.");
    assert_eq!(sent[0].tags["leadlight-account"], "demo");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_right_in_another_tab_is_seen_on_return() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    write_to(&person, &["ann-lee", "carla-mendes"]).await;
    person.click(SEND).await;
    person
        .read(REFUSAL, "the refusal", |said| !said.is_empty())
        .await;

    let address = "carla.mendes@pinecrest-dental.example";
    let saved = reqwest::Client::new()
        .put(format!("{}/crm/leads/carla-mendes", stack.origin()))
        .json(&json!({ "address": address }))
        .send()
        .await
        .unwrap();
    assert_eq!(saved.status().as_u16(), 200);
    // Headless Chromium never hides a tab, so its return is announced by hand.
    let come_back = "document.dispatchEvent(new Event('visibilitychange'))";
    person.ask(come_back).await;
    person
        .read(CARLA, "what is left to do", |said| {
            said.contains(address) && said.contains("Make sure that the address is right")
        })
        .await;
    assert_eq!(marked(&person).await, json!(["carla-mendes"]));

    let (status, reply) = press_behind_the_page(&stack, "carla-mendes").await;
    assert_eq!((status, &reply["outcome"]), (200, &json!("sent")));
    person.ask(come_back).await;
    person
        .read(RESULT, "that all are clear", |said| {
            said.starts_with("Nothing stands in the way")
        })
        .await;
    person
        .see("the bubble green", bubble("Carla Mendes: Active"))
        .await;
    assert_eq!(marked(&person).await, json!([]));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_unsubscribed_gets_what_was_asked_for_and_no_marketing() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    write_to(&person, &["ann-lee", "ivan-horvat"]).await;
    person.click(SEND).await;
    let said = person
        .read("[data-lead=ivan-horvat]", "the reason", |said| {
            said.contains("unsubscribed")
        })
        .await;
    assert!(
        said.contains("Send no marketing mail until the person subscribes again."),
        "{said:?}"
    );
    assert_eq!(marked(&person).await, json!(["ivan-horvat"]));
    assert_eq!(outbox(&stack), []);
    person.shoot("27-unsubscribed").await;

    person.choose(PURPOSE, "transactional").await;
    person
        .read(RESULT, "that all are clear", |said| {
            said.starts_with("Nothing stands in the way")
        })
        .await;
    person.click(SEND).await;
    person
        .read(RESULT, "that it is sent", |said| {
            said == "Sent to Ann Lee and Ivan Horvat."
        })
        .await;
    let sent = outbox(&stack);
    assert_eq!((sent.len(), sent[0].to.len()), (1, 2), "{sent:?}");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_can_be_mailed_without_the_blocked_on_a_narrow_screen() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    let narrow = json!({ "width": 320, "height": 900, "deviceScaleFactor": 2, "mobile": true });
    person
        .tell("Emulation.setDeviceMetricsOverride", narrow)
        .await;
    write_to(&person, &["ann-lee", "elif-kaya", "farah-nasser"]).await;
    person.click(SEND).await;
    let said = person
        .read("[data-lead=elif-kaya]", "the reason", |said| {
            said.contains("reported a message as spam")
        })
        .await;
    assert!(
        said.contains("Reach the person through another channel first."),
        "{said:?}"
    );
    person.shoot("28-narrow").await;
    let width = person.ask("document.documentElement.scrollWidth").await;
    assert_eq!(width, json!(320), "nothing is cut off");
    assert_eq!(outbox(&stack), []);

    person.click(SKIP).await;
    person
        .read(RESULT, "who got it", |said| {
            said == "Sent to Ann Lee and Farah Nasser. Not sent to Elif Kaya."
        })
        .await;
    person.shoot("29-others-only").await;
    let sent = outbox(&stack);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let to = sent[0].to.join(" ");
    assert!(
        to.contains("ann.lee@") && to.contains("farah.nasser@") && !to.contains("elif@"),
        "{to}"
    );
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_was_lost_is_sent_once() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    write_to(&person, &["ann-lee", "ben-okafor"]).await;
    // The request arrives; its answer does not.
    person
        .ask(
            "void (window.fetch = ((fetch) => async (path, init) => {
                const answer = await fetch(path, init);
                if (path === 'crm/messages') throw new TypeError('lost');
                return answer;
            })(window.fetch))",
        )
        .await;
    person.click(SEND).await;
    person
        .read(RESULT, "that nothing is known", |said| {
            said == "The server was not reached."
        })
        .await;
    assert_eq!(outbox(&stack).len(), 1);

    // Tried again after a reload, it is the same message.
    person.reload().await;
    person.see("the draft", bubble("Ben Okafor: Active")).await;
    person.click(SEND).await;
    person
        .read(RESULT, "that it is sent", |said| {
            said == "Sent to Ann Lee and Ben Okafor."
        })
        .await;
    assert_eq!(outbox(&stack).len(), 1);

    // The next one is another.
    write_to(&person, &["ann-lee", "ben-okafor"]).await;
    person.click(SEND).await;
    person
        .read(RESULT, "that the next is sent", |said| {
            said == "Sent to Ann Lee and Ben Okafor."
        })
        .await;
    assert_eq!(outbox(&stack).len(), 2);
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_words_after_a_lost_answer_go_only_when_a_person_says_so() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    write_to(&person, &["ann-lee"]).await;
    person
        .ask(
            "void (window.fetch = ((fetch) => async (path, init) => {
                const answer = await fetch(path, init);
                if (path !== 'crm/messages' || window.heard) return answer;
                window.heard = true;
                throw new TypeError('lost');
            })(window.fetch))",
        )
        .await;
    person.click(SEND).await;
    person
        .read(RESULT, "that nothing is known", |said| {
            said == "The server was not reached."
        })
        .await;
    person.fill(TEXT, "In other words.").await;
    person.click(SEND).await;
    person
        .read(RESULT, "that one may have gone", |said| {
            said.starts_with("An earlier try may have been sent")
        })
        .await;
    person.shoot("30-may-have-gone").await;
    assert_eq!(outbox(&stack).len(), 1);
    person.click(&format!("{RESULT} button")).await;
    person
        .read(RESULT, "that it is sent", |said| said == "Sent to Ann Lee.")
        .await;
    let sent = outbox(&stack);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[0].text, "In other words.");
    assert_eq!(person.uncaught().await, json!([]));
}

/// Opens the page of a message to `leads`, and gives it our subject.
async fn write_to(person: &Browser, leads: &[&str]) {
    let leads: Vec<String> = leads.iter().map(|lead| format!("lead={lead}")).collect();
    person
        .go(&format!("/compose.html?{}", leads.join("&")))
        .await;
    person
        .see("the bubbles", |tree| {
            (tree.bubbles().count() == leads.len()).then_some(())
        })
        .await;
    person.fill(SUBJECT, OURS).await;
}

/// The leads that are marked as blocked.
async fn marked(person: &Browser) -> Value {
    person
        .ask("[...document.querySelectorAll('#people .blocked')].map((chip) => chip.dataset.lead)")
        .await
}

/// The subject and the text that stand in the form.
async fn draft(person: &Browser) -> [String; 2] {
    let value = async |css: &str| {
        let value = person
            .ask(&format!("document.querySelector('{css}').value"))
            .await;
        value.as_str().unwrap().to_owned()
    };
    [value(SUBJECT).await, value(TEXT).await]
}

/// What SES was given of our messages, newest first.
fn outbox(stack: &Stack) -> Vec<OutboxMessage> {
    let mut sent = stack.ses.outbox().unwrap();
    sent.retain(|message| message.subject == OURS);
    sent
}
