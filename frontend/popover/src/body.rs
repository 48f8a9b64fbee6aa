//! The inside of the popover, drawn by Yew.
//!
//! Every part comes from [`part`] or [`control`]: what `html!` writes out for an element weighs more than all that is said here.

use leadlight::api::Outcome;
use yew::{AttrValue, Callback, Component, Context, Html, MouseEvent, Properties, html};

use crate::content::{Content, Ending, Offer, Sentence};
use crate::dates::distance;
use crate::intent::Slot;
use crate::{check_again, drawn, exact, heading, iso, relative, take, words};

/// What the popover shows, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Properties)]
pub(crate) struct Shown {
    pub(crate) slot: Slot,
    pub(crate) content: Option<Content>,
    /// Whether the suggested address can be taken by a press.
    pub(crate) accept: Offer,
    /// Where support is reached.
    pub(crate) support: Option<String>,
    /// Where the log of the lead is.
    pub(crate) log: Option<String>,
    pub(crate) now: f64,
    pub(crate) pinned: bool,
}

/// The component.
pub(crate) struct Body;

impl Component for Body {
    type Message = ();
    type Properties = Shown;

    fn create(_: &Context<Self>) -> Self {
        Self
    }

    fn view(&self, context: &Context<Self>) -> Html {
        let shown = context.props();
        let Some(said) = &shown.content else {
            return Html::default();
        };
        html! { <div class="content">{ parts(shown, said) }</div> }
    }

    fn rendered(&mut self, context: &Context<Self>, _: bool) {
        drawn(context.props().now);
    }
}

fn parts(shown: &Shown, said: &Content) -> Vec<Html> {
    let (slot, now) = (shown.slot, shown.now);
    // While it is only previewed, Tab passes by: fifty bubbles are fifty stops, not a hundred.
    let tabindex = if shown.pinned { "0" } else { "-1" };
    let mut parts = vec![part(
        "h2",
        "title",
        vec![heading(said.face.number()).into()],
    )];
    if let Some(since) = said.since {
        parts.push(part("p", "since", sentence("since", Some(since), now)));
    }
    parts.push(part("p", "reason", sentence(&said.meaning, None, now)));
    if let Some(address) = &said.suggestion {
        let [before, behind] = around("suggestion");
        let address_html = part("bdi", "address", vec![address.into()]);
        parts.push(part(
            "p",
            "suggestion",
            vec![before.into(), address_html, behind.into()],
        ));
        let [before, behind] = around("suggestion.use");
        let taken = address.clone();
        parts.push(control(
            "suggestion-action",
            shown.accept,
            tabindex,
            [before.as_str(), address, &behind].concat(),
            Callback::from(move |_| take(slot, &taken, now)),
        ));
    }
    if let Some(Sentence { key, time }) = &said.advice {
        parts.push(part("p", "advice", sentence(key, *time, now)));
    }
    if let Some(diagnostic) = &said.diagnostic {
        let summary = html! { <summary {tabindex}>{ words("provider_text", false) }</summary> };
        let quoted = part("q", "diagnostic", vec![diagnostic.into()]);
        parts.push(part("details", "provider", vec![summary, quoted]));
    }
    let key = if said.check_again == Offer::Sending {
        "check.checking"
    } else {
        "check.again"
    };
    parts.push(control(
        "action",
        said.check_again,
        tabindex,
        words(key, false),
        Callback::from(move |_| check_again(slot, now)),
    ));
    let ending = said.ending.as_ref();
    let outcome = ending.map(|ending| match ending.outcome {
        Outcome::Sent => "sent",
        Outcome::Fail => "fail",
    });
    let told = ending.map(|ending| told(ending, now));
    parts.push(html! { <p part="result" role="status" data-outcome={outcome}>{ told.unwrap_or_default() }</p> });
    for (key, href) in [("support", &shown.support), ("log", &shown.log)] {
        // One that is not there keeps its place: Yew counts from the end, and would make the button anew, without its focus.
        parts.push(match href {
            Some(href) => {
                let href = AttrValue::from(href.clone());
                html! { <a part={key} {href} {tabindex} target="_blank">{ words(key, false) }</a> }
            }
            None => Html::default(),
        });
    }
    parts
}

#[inline(never)]
#[expect(
    clippy::ignored_unit_patterns,
    reason = "in what `html!` writes for a tag whose name is a variable"
)]
fn part(tag: &'static str, part: &'static str, children: Vec<Html>) -> Html {
    // Only the heading is pointed at by its id.
    let id = (part == "title").then_some(part);
    html! { <@{tag} {id} {part}>{ children }</@> }
}

fn control(
    part: &'static str,
    offer: Offer,
    tabindex: &'static str,
    words: String,
    onclick: Callback<MouseEvent>,
) -> Html {
    let busy = match offer {
        Offer::None => return Html::default(),
        Offer::Ready => None,
        Offer::Sending => Some("true"),
    };
    html! { <button type="button" {part} {tabindex} aria-disabled={busy} {onclick}>{ words }</button> }
}

fn told(ending: &Ending, now: f64) -> Vec<Html> {
    let name = match ending.outcome {
        Outcome::Sent => "check.sent",
        Outcome::Fail => "check.fail",
    };
    let mut told = vec![
        part("strong", "outcome", vec![words(name, false).into()]),
        " ".into(),
    ];
    told.extend(sentence(ending.meaning, None, now));
    if let Some(time) = ending.retry_at {
        told.push(" ".into());
        told.extend(sentence("retry_from", Some(time), now));
    }
    told
}

/// The words of a key on both sides of its gap.
fn around(key: &str) -> [String; 2] {
    [words(key, false), words(key, true)]
}

/// A sentence, with the time in its gap if there is one.
fn sentence(key: &str, time: Option<f64>, now: f64) -> Vec<Html> {
    let [before, behind] = around(key);
    let Some(time) = time else {
        return vec![before.into()];
    };
    let (value, unit) = distance(time - now);
    let moment = html! { <time datetime={iso(time)}>{ exact(time) }</time> };
    let distance = [" (", &relative(value, unit), ")", &behind].concat();
    vec![before.into(), moment, distance.into()]
}
