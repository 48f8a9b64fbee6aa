//! The inside of the popover, drawn by Yew.

use leadlight::api::Outcome;
use yew::{Component, Context, Html, Properties, html};

use crate::content::{Content, Ending, Offer, Sentence};
use crate::dates::distance;
use crate::intent::Slot;
use crate::{check_again, drawn, exact, iso, relative, take, text};

/// What the popover shows, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Properties)]
pub(crate) struct Shown {
    pub(crate) slot: Slot,
    pub(crate) lead: String,
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
        let (slot, now) = (shown.slot, shown.now);
        // While it is only previewed, Tab passes by: fifty bubbles are fifty stops, not a hundred.
        let tabindex = if shown.pinned { "0" } else { "-1" };
        let link = |part: &'static str, href: &Option<String>, key: &str| {
            href.as_ref().map(|href| {
                html! { <a {part} href={href.clone()} target="_blank" {tabindex}>{ text(key) }</a> }
            })
        };
        html! {
            <div key={shown.lead.clone()} class="content">
                <h2 id="title" part="title">{ title(said) }</h2>
                { said.since.as_ref().map(|since| html! { <p class="since">{ sentence(since, now) }</p> }) }
                <p part="reason">{ text(&said.meaning) }</p>
                { said.suggestion.as_ref().map(|address| suggestion(shown, address, tabindex)) }
                { said.advice.as_ref().map(|advice| html! { <p part="advice">{ sentence(advice, now) }</p> }) }
                { said.diagnostic.as_ref().map(|diagnostic| html! {
                    <details>
                        <summary {tabindex}>{ text("provider_text") }</summary>
                        <q>{ diagnostic }</q>
                    </details>
                }) }
                { button("action", said.check_again, tabindex, ["check.again", "check.checking"].map(text), move || check_again(slot, now)) }
                <p part="result" role="status" class={said.ending.as_ref().map(class)}>
                    { said.ending.as_ref().map(|ending| outcome(ending, now)) }
                </p>
                { link("support", &shown.support, "support") }
                { link("log", &shown.log, "log") }
            </div>
        }
    }

    fn rendered(&mut self, context: &Context<Self>, _: bool) {
        drawn(context.props().now);
    }
}

fn title(said: &Content) -> String {
    let name = text(&said.name);
    match &said.reason {
        Some(reason) => text("title.reason")
            .replace("{status}", &name)
            .replace("{reason}", &text(reason)),
        None => name,
    }
}

fn button(
    part: &'static str,
    offer: Offer,
    tabindex: &'static str,
    [words, meanwhile]: [String; 2],
    press: impl Fn() + 'static,
) -> Html {
    let sending = offer == Offer::Sending;
    if offer == Offer::None {
        return Html::default();
    }
    html! {
        <button type="button" {part} {tabindex} aria-disabled={sending.then_some("true")} onclick={move |_| press()}>
            { if sending { meanwhile } else { words } }
        </button>
    }
}

fn suggestion(shown: &Shown, address: &str, tabindex: &'static str) -> Html {
    let around = text("suggestion");
    let (before, after) = around.split_once("{address}").unwrap_or((&around, ""));
    let words = text("suggestion.use").replace("{address}", address);
    let (slot, now, taken) = (shown.slot, shown.now, address.to_owned());
    html! {
        <>
            <p part="suggestion">{ before }<bdi>{ address }</bdi>{ after }</p>
            { button("suggestion-action", shown.accept, tabindex, [words.clone(), words], move || take(slot, &taken, now)) }
        </>
    }
}

fn class(ending: &Ending) -> &'static str {
    match ending.outcome {
        Outcome::Sent => "sent",
        Outcome::Fail => "fail",
    }
}

fn outcome(ending: &Ending, now: f64) -> Html {
    let name = match ending.outcome {
        Outcome::Sent => "check.sent",
        Outcome::Fail => "check.fail",
    };
    html! {
        <>
            <strong>{ text(name) }</strong>{ " " }{ sentence(&ending.meaning, now) }
            { ending.retry.as_ref().map(|retry| html! { <>{ " " }{ sentence(retry, now) }</> }) }
        </>
    }
}

fn sentence(sentence: &Sentence, now: f64) -> Html {
    let words = text(&sentence.key);
    let Some(time) = sentence.time else {
        return words.into();
    };
    let (before, after) = words.split_once("{time}").unwrap_or((&words, ""));
    let (value, unit) = distance(time - now);
    html! {
        <>
            { before }
            <time datetime={iso(time)}>{ exact(time) }</time>
            { " (" }{ relative(value, unit) }{ ")" }
            { after }
        </>
    }
}
