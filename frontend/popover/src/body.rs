//! The inside of the popover, drawn by Yew.
//!
//! Every element comes from [`element`]: what `html!` writes out for one weighs more than all that is said here, and elements with the
//! same list of attributes are all that Yew has to be able to compare (`cargo dev widget` leaves the rest of Yew out).

use leadlight::api::Outcome;
use yew::{AttrValue, Callback, Component, Context, Html, MouseEvent, Properties, html};

use crate::content::{Content, Ending, Offer, Sentence};
use crate::dates::distance;
use crate::intent::Slot;
use crate::{check_again, drawn, exact, expand, heading, iso, relative, take, words};

/// What the popover shows, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Properties)]
pub(crate) struct Shown {
    pub(crate) slot: Slot,
    pub(crate) content: Option<Content>,
    /// Whether the provider's own text is shown.
    pub(crate) expanded: bool,
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
        part("div", "content", parts(shown, said))
    }

    fn rendered(&mut self, context: &Context<Self>, _: bool) {
        drawn(context.props().now);
    }
}

/// The attributes of an element, but for its part.
#[derive(Default)]
struct Attributes {
    tabindex: Option<&'static str>,
    href: Option<AttrValue>,
    datetime: Option<String>,
    outcome: Option<&'static str>,
    /// Whether it is a button that is pressed already.
    busy: bool,
    /// Whether it is a button by which something is shown, and that is.
    expanded: Option<&'static str>,
    /// What a press on it does.
    onclick: Option<Callback<MouseEvent>>,
}

fn parts(shown: &Shown, said: &Content) -> Vec<Html> {
    let (slot, now) = (shown.slot, shown.now);
    // While it is only previewed, Tab passes by: fifty bubbles are fifty stops, not a hundred.
    let tabindex = Some(if shown.pinned { "0" } else { "-1" });
    let mut parts = vec![text("h2", "title", heading(said.face))];
    if let Some(since) = said.since {
        parts.push(part("p", "since", sentence("since", Some(since), now)));
    }
    parts.push(part("p", "reason", sentence(&said.meaning, None, now)));
    if let Some(address) = &said.suggestion {
        let [before, behind] = around("suggestion");
        let named = text("bdi", "address", address.clone());
        let said = vec![before.into(), named, behind.into()];
        parts.push(part("p", "suggestion", said));
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
        // No `<details>`: it has a sheet and a list marker of its own, for which Chromium looks through the whole page each time.
        let button = Attributes {
            tabindex,
            expanded: Some(if shown.expanded { "true" } else { "false" }),
            onclick: Some(Callback::from(move |_| expand(slot, now))),
            ..Attributes::default()
        };
        let said = vec![words("provider_text", false).into()];
        parts.push(element("button", "provider", button, said));
        let quoted = shown
            .expanded
            .then(|| text("q", "diagnostic", diagnostic.clone()));
        parts.push(quoted.unwrap_or_default());
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
    let result = Attributes {
        outcome: said.ending.as_ref().map(|ending| match ending.outcome {
            Outcome::Sent => "sent",
            Outcome::Fail => "fail",
        }),
        ..Attributes::default()
    };
    let ending = said.ending.as_ref().map(|ending| told(ending, now));
    parts.push(element("p", "result", result, ending.unwrap_or_default()));
    for (key, href) in [("support", &shown.support), ("log", &shown.log)] {
        // One that is not there keeps its place: Yew counts from the end, and would make the button anew, without its focus.
        parts.push(href.as_ref().map_or_else(Html::default, |href| {
            let link = Attributes {
                tabindex,
                href: Some(href.clone().into()),
                ..Attributes::default()
            };
            element("a", key, link, vec![words(key, false).into()])
        }));
    }
    parts
}

/// An element. There is no other place where one is made, so that all have the same list of attributes.
#[inline(never)]
#[expect(
    clippy::ignored_unit_patterns,
    reason = "in what `html!` writes for a tag whose name is a variable"
)]
fn element(
    tag: &'static str,
    part: &'static str,
    attributes: Attributes,
    children: Vec<Html>,
) -> Html {
    let Attributes {
        tabindex,
        href,
        datetime,
        outcome,
        busy,
        expanded,
        onclick,
    } = attributes;
    // Only the heading is pointed at by its id.
    let id = (part == "title").then_some(part);
    let role = (part == "result").then_some("status");
    let kind = (tag == "button").then_some(tag);
    let target = href.as_ref().map(|_| "_blank");
    let busy = busy.then_some("true");
    html! {
        <@{tag} {id} {part} {role} type={kind} {tabindex} {href} {target} {datetime} data-outcome={outcome} aria-disabled={busy} aria-expanded={expanded} {onclick}>
            { children }
        </@>
    }
}

fn part(tag: &'static str, part: &'static str, children: Vec<Html>) -> Html {
    element(tag, part, Attributes::default(), children)
}

fn text(tag: &'static str, name: &'static str, text: String) -> Html {
    part(tag, name, vec![text.into()])
}

fn control(
    part: &'static str,
    offer: Offer,
    tabindex: Option<&'static str>,
    words: String,
    onclick: Callback<MouseEvent>,
) -> Html {
    if offer == Offer::None {
        return Html::default();
    }
    let button = Attributes {
        tabindex,
        busy: offer == Offer::Sending,
        onclick: Some(onclick),
        ..Attributes::default()
    };
    element("button", part, button, vec![words.into()])
}

fn told(ending: &Ending, now: f64) -> Vec<Html> {
    let name = match ending.outcome {
        Outcome::Sent => "check.sent",
        Outcome::Fail => "check.fail",
    };
    let mut told = vec![text("strong", "outcome", words(name, false)), " ".into()];
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
    let moment = Attributes {
        datetime: Some(iso(time)),
        ..Attributes::default()
    };
    let moment = element("time", "time", moment, vec![exact(time).into()]);
    let distance = [" (", &relative(value, unit), ")", &behind].concat();
    vec![before.into(), moment, distance.into()]
}
