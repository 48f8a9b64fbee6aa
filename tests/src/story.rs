//! The story of a blocklisted lead, as a person lives it in the demo CRM with Chromium: by pointer, by keyboard, by touch.
//!
//! Each step leaves a picture in `target/screenshots/`.

use std::time::Duration;

use fantoccini::key::Key;
use jiff::{SignedDuration, Timestamp};
use leadlight_dev::progress::Progress;
use leadlight_dev::queue::{Chaos, QueueSettings};
use leadlight_dev::stack::{Functions, Stack, StackSettings};
use leadlight_dev::{lambdas, pages, widget};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::browser::{Browser, Node, Tree};

/// The host's element in the page of a lead.
const BUBBLE: &str = "lead-light";
const ADDRESS: &str = "[data-testid=address]";
const SAVE: &str = "[data-testid=save]";
const SAVED: &str = "[data-testid=save-result]";
const SEND: &str = "[data-testid=send]";
const SENT: &str = "[data-testid=send-result]";
const OUTCOME: &str = "[data-testid=outcome]";
const OUTCOME_SET: &str = "[data-testid=outcome-result]";
const LOG: &str = "[data-testid=log]";
/// More stops of the Tab key than any page of the demo has.
const MANY_STOPS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocklisted_lead_comes_back_by_check_again() {
    comes_back_by_check_again(&demo().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocklisted_lead_comes_back_on_the_built_binaries() {
    let stack = demo_with(built().await).await;
    comes_back_by_check_again(&stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocklisted_lead_comes_back_on_the_built_binaries_in_chaos() {
    let chaos = Chaos {
        seed: 6,
        most_delay: Duration::from_secs(2),
    };
    let settings = StackSettings {
        queue: QueueSettings {
            chaos: Some(chaos),
            ..QueueSettings::default()
        },
        ..built().await
    };
    comes_back_by_check_again(&demo_with(settings).await).await;
}

/// The seed's story, from a bounce to the release and the next bounce.
async fn comes_back_by_check_again(stack: &Stack) {
    let person = Browser::open(stack.origin()).await;

    person.go("/lead.html?id=julia-brandt").await;
    person
        .see("the lead as it was", bubble("Julia Brandt: Unconfirmed"))
        .await;
    person.shoot("01-before").await;

    // Mail to an address that does not exist.
    person.choose(OUTCOME, "hard_bounce").await;
    person
        .read(OUTCOME_SET, "that it is set", |said| {
            said.contains("no such mailbox")
        })
        .await;
    person.click(SEND).await;
    person
        .read(SENT, "that it is sent", |said| said.starts_with("Sent."))
        .await;
    person
        .see(
            "the bubble turn red",
            bubble("Julia Brandt: Blocklisted, hard bounce"),
        )
        .await;
    person.shoot("02-blocklisted").await;
    person.reload().await;
    person
        .see(
            "the bubble red after a reload",
            bubble("Julia Brandt: Blocklisted, hard bounce"),
        )
        .await;

    person.point_at(BUBBLE).await;
    let popover = person.see("why", Tree::popover).await;
    person.shoot("03-hover-says-why").await;
    let said = popover.words();
    for part in [
        "Blocklisted — hard bounce",
        "Since",
        "there is no such mailbox",
        "Correct the address, save, then check again.",
    ] {
        assert!(said.contains(part), "{part:?} in {said:?}");
    }
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    person.point_at_nothing().await;
    person.see("the popover closed", closed).await;

    // The address is corrected and saved: the lead stays red until it is checked again.
    person
        .fill(ADDRESS, "julia.brandt@oakline-homes.example")
        .await;
    person.click(SAVE).await;
    person
        .read(SAVED, "that it is saved", |said| said == "Saved.")
        .await;
    person.shoot("04-address-saved").await;
    person
        .read(LOG, "the change of address", |log| {
            log.contains("Address changed; still blocklisted")
        })
        .await;
    person
        .see(
            "the bubble still red",
            bubble("Julia Brandt: Blocklisted, hard bounce"),
        )
        .await;

    person.point_at(BUBBLE).await;
    let popover = person.see("Check again", offered).await;
    person.shoot("05-hover-check-again").await;
    let started = Timestamp::now();
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    let popover = person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person.shoot("06-sent").await;
    assert!(
        popover.words().contains("Unconfirmed"),
        "the new status in the popover: {popover:?}"
    );
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    person.key(Key::Escape).await;
    person.point_at_nothing().await;
    person.see("the popover closed", closed).await;

    person.point_at(BUBBLE).await;
    let popover = person.see("the original standing", Tree::popover).await;
    person.shoot("07-hover-original-standing").await;
    let said = popover.words();
    assert!(
        said.starts_with("Unconfirmed") && !said.contains("Sent"),
        "{said:?}"
    );
    person
        .see("the bubble as it was", bubble("Julia Brandt: Unconfirmed"))
        .await;
    person.point_at_nothing().await;

    // The log has the entry, with date and time.
    person
        .read(LOG, "the release", |log| {
            log.contains("Safelisted by Check again")
        })
        .await;
    person.shoot("08-log").await;
    let entry = "[...document.querySelectorAll('[data-testid=log] li')].find((entry) => entry.textContent.includes('Safelisted'))";
    let at = person
        .ask(&format!("{entry}.querySelector('time').dateTime"))
        .await;
    let at: Timestamp = at.as_str().unwrap().parse().unwrap();
    assert!(
        at.duration_since(started).abs() < SignedDuration::from_secs(20),
        "{at} is now, {started}"
    );
    let shown = person.ask(&format!("{entry}.textContent")).await;
    for part in ["%b %-d, %Y", "%-I:%M:%S"] {
        let part = at.strftime(part).to_string();
        assert!(shown.as_str().unwrap().contains(&part), "{part} in {shown}");
    }

    // Delivery to the new address fails: blocklisted again.
    person.choose(OUTCOME, "hard_bounce").await;
    person
        .read(OUTCOME_SET, "that it is set", |said| {
            said.contains("no such mailbox")
        })
        .await;
    person.click(SEND).await;
    person
        .see(
            "the bubble red again",
            bubble("Julia Brandt: Blocklisted, hard bounce"),
        )
        .await;
    person.point_at(BUBBLE).await;
    let popover = person.see("why again", Tree::popover).await;
    person.shoot("09-blocklisted-again").await;
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spam_complaint_cannot_be_cleared() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=elif-kaya").await;
    person
        .see(
            "the complaint",
            bubble("Elif Kaya: Blocklisted, spam complaint"),
        )
        .await;
    person.point_at(BUBBLE).await;
    let popover = person.see("why", Tree::popover).await;
    person.shoot("10-spam-complaint").await;
    let said = popover.words();
    for part in [
        "Blocklisted — spam complaint",
        "revoked consent",
        "Spam complaints can’t be cleared",
        "support team",
    ] {
        assert!(said.contains(part), "{part:?} in {said:?}");
    }
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    person.point_at_nothing().await;

    // No mail goes out, another address changes nothing, and neither does asking the API behind the widget's back.
    person.click(SEND).await;
    person
        .read(SENT, "the refusal", |said| {
            said.starts_with("Not sent. This person reported a message as spam.")
        })
        .await;
    person.fill(ADDRESS, "elif.kaya@copperleaf.example").await;
    person.click(SAVE).await;
    person
        .read(SAVED, "that it is saved", |said| said == "Saved.")
        .await;
    person.reload().await;
    person
        .see(
            "the complaint still",
            bubble("Elif Kaya: Blocklisted, spam complaint"),
        )
        .await;
    person.point_at(BUBBLE).await;
    let popover = person.see("why still", Tree::popover).await;
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    let (status, problem) = press_behind_the_page(&stack, "elif-kaya").await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("complaint")),
        "{problem}"
    );
    person
        .see(
            "the complaint after all",
            bubble("Elif Kaya: Blocklisted, spam complaint"),
        )
        .await;
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_does_it_all() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/lead.html?id=carla-mendes").await;
    let red = "Carla Mendes: Blocklisted, hard bounce";
    person.see("the bubble red", bubble(red)).await;

    // Focus previews and stays where it is.
    tab_to(&person, |focused| focused.name == red).await;
    let popover = person.see("a preview", Tree::popover).await;
    assert!(
        popover
            .words()
            .contains("Correct the address, save, then check again."),
        "{popover:?}"
    );
    let tree = person.tree().await;
    assert_eq!(
        tree.focused().unwrap().name,
        red,
        "a preview takes no focus"
    );
    assert_eq!(tree.bubble("Carla Mendes").unwrap().expanded, Some(true));
    person.shoot("11-keyboard-preview").await;
    person.key(Key::Escape).await;
    person.see("the preview closed", closed).await;
    assert_eq!(
        person.tree().await.focused().unwrap().name,
        red,
        "Escape leaves the focus on the bubble"
    );

    // The address is corrected, and saved by Enter.
    tab_to(&person, |focused| focused.name == "Email address").await;
    person.chord(Key::Control, 'a').await;
    person
        .type_text("carla.mendes@pinecrest-dental.example")
        .await;
    person.key(Key::Enter).await;
    person
        .read(SAVED, "that it is saved", |said| said == "Saved.")
        .await;

    // Back to the bubble; Enter pins, and the focus goes in.
    back_to(&person, |focused| focused.name == red).await;
    person.see("Check again", offered).await;
    person.key(Key::Enter).await;
    person
        .see("the focus inside", |tree| {
            tree.popover().filter(|popover| popover.focused().is_some())
        })
        .await;
    tab_to(&person, |focused| focused.name == "Check again").await;
    person.shoot("12-keyboard-check-again").await;
    person.key(Key::Enter).await;
    let popover = person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person.shoot("13-keyboard-sent").await;
    assert!(
        popover.focused().is_some(),
        "the focus stays in the popover when its button goes: {popover:?}"
    );

    person.key(Key::Escape).await;
    person.see("the popover closed", closed).await;
    let tree = person.tree().await;
    assert_eq!(
        tree.focused().unwrap().name,
        "Carla Mendes: Active",
        "the focus is back on the bubble"
    );
    assert_eq!(tree.bubble("Carla Mendes").unwrap().expanded, Some(false));
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_by_keyboard_alone() {
    lives_the_story(Hand::Keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_by_a_finger_alone() {
    lives_the_story(Hand::Finger).await;
}

/// With what somebody uses the page. There is no pointer.
#[derive(Clone, Copy, PartialEq)]
enum Hand {
    Keys,
    Finger,
}

/// The seed's story once more: a bounce, why, the address corrected, Check again, the way it was before, the log, the next bounce,
/// and the complaint that cannot be cleared.
async fn lives_the_story(hand: Hand) {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    if hand == Hand::Finger {
        let touch = json!({ "enabled": true });
        person
            .tell("Emulation.setTouchEmulationEnabled", touch)
            .await;
    }
    person.go("/lead.html?id=julia-brandt").await;
    let (before, red) = (
        "Julia Brandt: Unconfirmed",
        "Julia Brandt: Blocklisted, hard bounce",
    );
    person.see("the lead as it was", bubble(before)).await;
    hand.let_mail_bounce(&person).await;
    hand.press(&person, "button", "Send").await;
    person.see("the bubble turn red", bubble(red)).await;

    hand.press(&person, "button", red).await;
    let popover = person.see("why", Tree::popover).await;
    let said = popover.words();
    for part in [
        "Blocklisted — hard bounce",
        "there is no such mailbox",
        "Correct the address, save, then check again.",
    ] {
        assert!(said.contains(part), "{part:?} in {said:?}");
    }
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    hand.leave(&person).await;

    hand.reach(&person, "textbox", "Email address").await;
    person.ask("void document.activeElement.select()").await;
    person.type_text("julia.brandt@oakline-homes.example").await;
    hand.press(&person, "button", "Save").await;
    person
        .read(SAVED, "that it is saved", |said| said == "Saved.")
        .await;
    hand.press(&person, "button", red).await;
    person.see("Check again", offered).await;
    hand.press(&person, "button", "Check again").await;
    let popover = person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    assert!(popover.words().contains("Unconfirmed"), "{popover:?}");
    hand.leave(&person).await;
    person.see("the bubble as it was", bubble(before)).await;
    person
        .read(LOG, "the release", |log| {
            log.contains("Safelisted by Check again")
        })
        .await;

    hand.let_mail_bounce(&person).await;
    hand.press(&person, "button", "Send").await;
    person.see("the bubble red again", bubble(red)).await;

    person.go("/lead.html?id=elif-kaya").await;
    let complaint = "Elif Kaya: Blocklisted, spam complaint";
    person.see("the complaint", bubble(complaint)).await;
    hand.press(&person, "button", complaint).await;
    let popover = person.see("why", Tree::popover).await;
    assert!(
        popover.words().contains("Spam complaints can’t be cleared"),
        "{popover:?}"
    );
    assert_eq!(popover.buttons(), NOTHING, "{popover:?}");
    hand.leave(&person).await;
    assert_eq!(person.uncaught().await, json!([]));
}

impl Hand {
    /// Gives the focus to something of the page.
    async fn reach(self, person: &Browser, role: &str, name: &str) {
        let node = person.see(name, |tree| tree.find(role, name)).await;
        match self {
            Self::Keys => {
                tab_to(person, |focused| {
                    focused.role == role && focused.name == name
                })
                .await;
            }
            Self::Finger => person.tap(person.middle(&node).await).await,
        }
    }

    /// Presses a button.
    async fn press(self, person: &Browser, role: &str, name: &str) {
        self.reach(person, role, name).await;
        if self == Self::Keys {
            person.key(Key::Enter).await;
        }
    }

    /// Says in the demo that messages to the lead bounce. What a finger does in such a list is the browser's own.
    async fn let_mail_bounce(self, person: &Browser) {
        match self {
            Self::Keys => {
                tab_to(person, |focused| {
                    focused.name == "Every message to this address will…"
                })
                .await;
                person.key(Key::Home).await;
                person.type_text("bo").await;
            }
            Self::Finger => person.choose(OUTCOME, "hard_bounce").await,
        }
        person
            .read(OUTCOME_SET, "that it is set", |said| {
                said.contains("no such mailbox")
            })
            .await;
    }

    /// Closes the popover.
    async fn leave(self, person: &Browser) {
        match self {
            Self::Keys => person.key(Key::Escape).await,
            Self::Finger => person.tap((640.0, 3.0)).await,
        }
        person.see("the popover closed", closed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_opens_and_pins() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person
        .tell(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": true }),
        )
        .await;
    person.go("/").await;
    let node = person
        .see("a red bubble", |tree| {
            bubble("George Pratt: Blocklisted, hard bounce")(tree)
        })
        .await;
    person.tap(person.middle(&node).await).await;
    let popover = person.see("the popover, pinned", |tree| {
        let popover = tree.popover()?;
        popover.focused().is_some().then_some(popover)
    });
    assert_eq!(popover.await.buttons(), ["Check again"]);
    person.shoot("14-tap").await;
    // A finger elsewhere in the popover leaves it open; on its button, it presses.
    let heading = person
        .see("its heading", |tree| {
            tree.popover()?.all("heading").next().cloned()
        })
        .await;
    person.tap(person.middle(&heading).await).await;
    let button = person
        .see("Check again", |tree| {
            tree.popover()?.find("button", "Check again")
        })
        .await;
    person.tap(person.middle(&button).await).await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    person.tap((640.0, 3.0)).await;
    person.see("it closed by a tap outside", closed).await;
    person
        .see("the new status", bubble("George Pratt: Active"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bubbles_of_a_page_are_one_request() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/").await;
    let leads = person.see("every bubble known", known).await;
    assert_eq!(leads.len(), 14, "{leads:?}");
    person.shoot("15-table").await;
    let looks: Vec<&str> = leads
        .iter()
        .filter_map(|name| name.split_once(": "))
        .map(|(_, words)| words)
        .collect();
    for words in [
        "Active",
        "Unconfirmed",
        "Unsubscribed",
        "Soft bouncing",
        "Blocklisted, hard bounce",
        "Blocklisted, spam complaint",
    ] {
        assert!(looks.contains(&words), "{words} in {looks:?}");
    }
    assert_eq!(person.requests_for("/v1/statuses").await, 1);

    // Nor does a look at one of them cost another.
    person.point_at("lead-light[lead=elif-kaya]").await;
    person.see("a popover", Tree::popover).await;
    assert_eq!(person.requests_for("/v1/statuses").await, 1);
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_its_statuses_says_so_and_comes_back() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person
        .tell(
            "Network.setBlockedURLs",
            json!({ "urls": ["*/v1/statuses"] }),
        )
        .await;
    person.go("/").await;
    let unread = |tree: &Tree| {
        let names: Vec<String> = tree.bubbles().map(|bubble| bubble.name.clone()).collect();
        (names.len() == 14
            && names
                .iter()
                .all(|name| name.ends_with(": Status not available")))
        .then_some(())
    };
    person.see("that no status is available", unread).await;
    person.shoot("16-no-statuses").await;
    let host = person.text("[data-testid=leads]").await;
    assert!(
        host.contains("ann.lee@larkspur.example"),
        "the host's own table is whole: {host}"
    );
    assert_eq!(person.text("#count").await, "14 people");
    person.point_at("lead-light[lead=ann-lee]").await;
    let popover = person.see("why there is none", Tree::popover).await;
    assert!(popover.words().contains("could not be read"), "{popover:?}");
    person.point_at_nothing().await;
    person.see("the popover closed", closed).await;
    person
        .tell("Network.setBlockedURLs", json!({ "urls": [] }))
        .await;
    person
        .see(
            "the statuses, which nobody asked for",
            bubble("Ann Lee: Active"),
        )
        .await;
    // The first, and at most all that are tried by themselves.
    let asked = person.requests_for("/v1/statuses").await;
    assert!(asked <= 6, "no storm of requests: {asked}");
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_again_without_a_network_fails_and_can_be_pressed_again() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    person.go("/").await;
    person
        .see(
            "the bubble red",
            bubble("George Pratt: Blocklisted, hard bounce"),
        )
        .await;
    person.point_at("lead-light[lead=george-pratt]").await;
    let popover = person.see("Check again", offered).await;
    let network = |offline: bool| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    person
        .tell("Network.emulateNetworkConditions", network(true))
        .await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    let fail =
        "Fail The request could not be processed. Contact the support team for more assistance.";
    let popover = person.see("Fail", announced(fail)).await;
    person.shoot("17-fail").await;
    assert!(
        popover.words().contains("Blocklisted — hard bounce"),
        "nothing has changed: {popover:?}"
    );
    person
        .tell("Network.emulateNetworkConditions", network(false))
        .await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    person
        .see("Sent", announced("Sent The request was processed."))
        .await;
    assert_eq!(person.uncaught().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_cannot_be_asked_about_fails_the_recheck() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    stack.dns.change(|zone| {
        zone.fault(
            "alder-finch.example",
            leadlight_dev::dns::Fault::ServerFailure,
        )
    });
    person.go("/lead.html?id=george-pratt").await;
    person
        .see(
            "the bubble red",
            bubble("George Pratt: Blocklisted, hard bounce"),
        )
        .await;
    person.point_at(BUBBLE).await;
    let popover = person.see("Check again", offered).await;
    person
        .press(&popover.find("button", "Check again").unwrap())
        .await;
    let fail =
        "Fail The request could not be processed. Contact the support team for more assistance.";
    person.see("Fail", announced(fail)).await;
    person
        .see(
            "the bubble still red",
            bubble("George Pratt: Blocklisted, hard bounce"),
        )
        .await;
    person
        .read(LOG, "the failure", |log| {
            log.contains("Check again could not be completed")
        })
        .await;
}

/// The names of no buttons.
const NOTHING: [&str; 0] = [];

/// Builds the widget and the pages around it, once for all tests.
pub(crate) async fn build_widget() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let build = || {
        widget::build(&Progress::silent()).unwrap();
        pages::build(&Progress::silent()).unwrap();
    };
    let in_background = async || tokio::task::spawn_blocking(build).await.unwrap();
    BUILT.get_or_init(in_background).await;
}

/// The local stack with the demo's leads, and the widget as it is now.
pub(crate) async fn demo() -> Stack {
    demo_with(StackSettings::default()).await
}

/// The same without leads, and so without any message.
pub(crate) async fn demo_without_leads() -> Stack {
    build_widget().await;
    Stack::start(StackSettings::default()).await.unwrap()
}

/// The functions as binaries, built from the sources as they are now.
async fn built() -> StackSettings {
    let build = || lambdas::build(&Progress::silent());
    let folder = tokio::task::spawn_blocking(build).await.unwrap().unwrap();
    let log = "error".to_owned();
    StackSettings {
        functions: Functions::Built { folder, log },
        ..StackSettings::default()
    }
}

async fn demo_with(settings: StackSettings) -> Stack {
    build_widget().await;
    let settings = StackSettings {
        with_demo_leads: true,
        ..settings
    };
    Stack::start(settings).await.unwrap()
}

/// Sees a bubble of this name.
pub(crate) fn bubble(name: &str) -> impl Fn(&Tree) -> Option<Node> {
    move |tree| tree.bubbles().find(|bubble| bubble.name == name).cloned()
}

/// Sees the popover with Check again in it.
pub(crate) fn offered(tree: &Tree) -> Option<Tree> {
    tree.popover()
        .filter(|popover| popover.find("button", "Check again").is_some())
}

/// Sees the popover whose live region says this.
pub(crate) fn announced(words: &str) -> impl Fn(&Tree) -> Option<Tree> {
    move |tree| {
        tree.popover()
            .filter(|popover| popover.announcement() == words)
    }
}

/// Sees that there is no popover.
pub(crate) fn closed(tree: &Tree) -> Option<()> {
    tree.popover().is_none().then_some(())
}

/// Sees the names of all bubbles, when each has its status.
fn known(tree: &Tree) -> Option<Vec<String>> {
    let names: Vec<String> = tree.bubbles().map(|bubble| bubble.name.clone()).collect();
    let is_known = |name: &String| !name.ends_with("Status is loading");
    (!names.is_empty() && names.iter().all(is_known)).then_some(names)
}

/// Presses Tab until the focus is where `is` says.
pub(crate) async fn tab_to(person: &Browser, is: impl Fn(&Node) -> bool) {
    walk_to(is, person, async || person.key(Key::Tab).await).await;
}

/// Presses Shift and Tab until the focus is where `is` says.
async fn back_to(person: &Browser, is: impl Fn(&Node) -> bool) {
    walk_to(is, person, async || {
        person.chord(Key::Shift, Key::Tab).await;
    })
    .await;
}

async fn walk_to(is: impl Fn(&Node) -> bool, person: &Browser, step: impl AsyncFn()) {
    for _ in 0..MANY_STOPS {
        if person.tree().await.focused().is_some_and(&is) {
            return;
        }
        step().await;
    }
    panic!(
        "the keyboard does not lead there: {:?}",
        person.tree().await
    );
}

/// Presses Check again as a program would that does not ask the widget.
pub(crate) async fn press_behind_the_page(stack: &Stack, lead: &str) -> (u16, Value) {
    let token = stack.account.widget_token(Timestamp::now()).unwrap().token;
    let url = format!("{}/v1/leads/{lead}/rechecks", stack.origin());
    let answer = reqwest::Client::new()
        .post(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
