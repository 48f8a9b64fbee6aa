//! The examples of the widget's package, as the demo serves them.

use crate::browser::{Browser, Tree};
use crate::story::{bubble, demo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_example_shows_its_leads_and_why_one_is_blocked() {
    let stack = demo().await;
    let person = Browser::open(stack.origin()).await;
    for example in ["plain", "react", "vue"] {
        person.go(&format!("/examples/{example}/")).await;
        for name in [
            "Ann Lee: Active",
            "Elif Kaya: Blocklisted, spam complaint",
            "Carla Mendes: Blocklisted, hard bounce",
        ] {
            person.see(name, bubble(name)).await;
        }
        let carla = "lead-light[lead=carla-mendes]";
        person.point_at(carla).await;
        let popover = person.see("why", Tree::popover).await;
        assert!(
            popover.words().contains("there is no such mailbox"),
            "{example}: {popover:?}"
        );
        // The framework hears what the element says.
        let told = format!(
            "void document.querySelector('{carla}').dispatchEvent(new CustomEvent('lead-light-change', {{
                bubbles: true, composed: true, detail: {{ lead: 'carla-mendes', status: 'active' }},
            }}))"
        );
        person.ask(&told).await;
        person
            .read("body > #news, #root [role=status]", "the news", |said| {
                said.ends_with("is active now.")
            })
            .await;
        assert_eq!(person.uncaught().await, serde_json::json!([]), "{example}");
    }
}
