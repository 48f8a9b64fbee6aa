//! The one popover of the page: a Yew root on an element that travels into the open row's shadow root.
//!
//! Mounted once, never per row and never on a shadow root (Yew keeps its listeners for ever, and hover events do not reach a
//! shadow root). It lies in the browser's top layer, so that no table clips it. [`intent`] decides when it opens, [`placement`]
//! where, [`content`] what it says.

mod content;
mod intent;
mod placement;

use std::cell::{Cell, RefCell};

use js_sys::Object;
use leadlight::lead::LeadId;
use wasm_bindgen::prelude::*;
use web_sys::{Event, FocusOptions, HtmlElement, KeyboardEvent, Node, ShadowRoot};
use yew::{AppHandle, Component, Context, Html, Properties, Renderer, html};

use self::content::{Content, Offer, Sentence, content};
use self::intent::{Effect, Intent};
use self::placement::{Area, Edge, Size};
use crate::dates::{self, Dates};
use crate::element::{self, Row, Slot};
use crate::{bubble, client, texts};

pub(crate) use self::intent::Gesture;

/// What is heard in the window while the popover is open.
const HEARD: &[&str] = &["keydown", "pointerdown", "scroll", "resize"];

#[derive(Default)]
struct Popover {
    intent: Intent,
    surface: Option<Surface>,
    /// The row that it was opened at, kept because the element may be gone when it closes.
    row: Option<Row>,
    timer: Option<i32>,
    /// Whether the focus is to go into it once it is drawn.
    focus_due: bool,
}

struct Surface {
    element: HtmlElement,
    app: AppHandle<Body>,
}

thread_local! {
    static POPOVER: RefCell<Popover> = RefCell::default();
    static LOCALE: RefCell<Option<String>> = const { RefCell::new(None) };
    static DATES: RefCell<Option<Dates>> = const { RefCell::new(None) };
    /// The last click that was heard above the rows.
    static CLICK: RefCell<Option<Event>> = const { RefCell::new(None) };
    /// Whether it is we who move the focus, which previews nothing.
    static REFOCUSING: Cell<bool> = const { Cell::new(false) };
    static ON_ELAPSED: Closure<dyn Fn()> = Closure::new(|| {
        POPOVER.with_borrow_mut(|popover| popover.timer = None);
        act(Gesture::Elapsed);
    });
}

/// Takes note of what somebody did, and does what follows.
pub(crate) fn act(gesture: Gesture) {
    if REFOCUSING.get() {
        return;
    }
    let effects = POPOVER.with_borrow_mut(|popover| popover.intent.act(gesture, client::now()));
    for effect in effects {
        match effect {
            Effect::Open(slot) => open(slot),
            Effect::Pin { slot, focus } => pin(slot, focus),
            Effect::Close { refocus, .. } => close(refocus),
            Effect::Wait(ms) => wait(ms),
        }
    }
}

/// A click that was heard on its way down: above the rows, with the row's `slot`, or at the button of the open row.
///
/// From above, a click in the open row may be one in the popover; so the open row's button is listened to by itself.
pub(crate) fn hear_click(event: &Event, slot: Option<Slot>) {
    let (open, at_button) = POPOVER.with_borrow(|popover| {
        let row = popover.row.as_ref();
        let at_button = row.is_some_and(|row| is_at(event, &row.nodes.button));
        (popover.intent.open(), at_button)
    });
    match (slot, open) {
        (Some(slot), open) if open != Some(slot) => {
            CLICK.set(Some(event.clone()));
            act(Gesture::Press(slot));
        }
        // The click that has just opened it arrives at its button next.
        (None, Some(open))
            if at_button && CLICK.with_borrow(|click| click.as_ref() != Some(event)) =>
        {
            act(Gesture::Press(open));
        }
        (Some(_) | None, _) => {}
    }
}

/// An event in the window, or in the popover itself, while it is open.
pub(crate) fn hear(event: &Event) {
    match event.type_().as_str() {
        "keydown" => {
            let escape = event
                .dyn_ref::<KeyboardEvent>()
                .is_some_and(|key| key.key() == "Escape" && !key.is_composing());
            if escape {
                // Escape closes this and nothing around it.
                event.prevent_default();
                event.stop_propagation();
                act(Gesture::Escape);
            }
        }
        "pointerdown" => {
            let inside = POPOVER.with_borrow(|popover| {
                popover
                    .row
                    .as_ref()
                    .is_some_and(|row| is_within(event, row))
            });
            if !inside {
                act(Gesture::PressOutside);
            }
        }
        "focusin" => {
            let open = POPOVER.with_borrow(|popover| {
                let surface = popover.surface.as_ref();
                let inside = surface.is_some_and(|surface| is_at(event, &surface.element));
                popover.intent.open().filter(|_| inside)
            });
            if let Some(slot) = open {
                act(Gesture::Engage(slot));
            }
        }
        "scroll" | "resize" | "toggle" => place(),
        _ => {}
    }
}

/// The rows `slots` have something new to show.
pub(crate) fn refresh(slots: &[Slot]) {
    if POPOVER.with_borrow(|popover| {
        popover
            .intent
            .open()
            .is_some_and(|open| slots.contains(&open))
    }) {
        draw();
    }
}

/// Times are written in `locale` from now on.
pub(crate) fn set_locale(locale: Option<String>) {
    LOCALE.set(locale);
    DATES.set(None);
}

fn open(slot: Slot) {
    let still_open = POPOVER.with_borrow(|popover| popover.intent.open() == Some(slot));
    let Some(row) = element::row(slot).filter(|_| still_open) else {
        return;
    };
    POPOVER.with_borrow_mut(|popover| popover.row = Some(row.clone()));
    if let Some(lead) = &row.lead {
        client::want(lead);
    }
    draw();
    let Some(surface) = surface() else { return };
    // The shadow root takes any node, and a popover that is in a document can be shown; where it is not, nobody sees it.
    let _ = row.nodes.root.append_child(&surface);
    let _ = surface.show_popover();
    tell_assistive(&row, true);
    bubble::mark(&row.nodes.states, "open", true);
    element::listen(&row.nodes.button, "click", true);
    listen_to_window(true);
    element::dispatch(&row, "lead-light-open", &[], false);
}

fn pin(slot: Slot, focus: bool) {
    let still_open = POPOVER.with_borrow_mut(|popover| {
        popover.focus_due = focus;
        popover.intent.open() == Some(slot)
    });
    if still_open {
        draw();
    }
}

fn close(refocus: bool) {
    let (row, surface) = POPOVER.with_borrow_mut(|popover| {
        popover.focus_due = false;
        let surface = popover
            .surface
            .as_ref()
            .map(|surface| surface.element.clone());
        (popover.row.take(), surface)
    });
    let (Some(row), Some(surface)) = (row, surface) else {
        return;
    };
    listen_to_window(false);
    element::listen(&row.nodes.button, "click", false);
    if refocus && active_in(&row.nodes.root, &surface).is_some() {
        REFOCUSING.set(true);
        // An element that cannot be focused keeps the focus where it is.
        let quietly = FocusOptions::new();
        quietly.set_prevent_scroll(true);
        let _ = row.nodes.button.focus_with_options(&quietly);
        REFOCUSING.set(false);
    }
    // Throws for a popover that was taken out of the page with its row, and so is hidden already.
    let _ = surface.hide_popover();
    surface.remove();
    tell_assistive(&row, false);
    bubble::mark(&row.nodes.states, "open", false);
    if let Some(lead) = &row.lead {
        client::forget_check(lead);
    }
    element::dispatch(&row, "lead-light-close", &[], false);
}

fn check_again() {
    let Some(row) = POPOVER.with_borrow(|popover| popover.row.clone()) else {
        return;
    };
    let Some(lead) = row.lead.clone() else { return };
    if element::dispatch(&row, "lead-light-check", &[], true) {
        client::recheck(lead);
        draw();
    }
}

/// Draws what is known now of the open row's lead.
fn draw() {
    let Some(row) = POPOVER.with_borrow(|popover| popover.row.clone()) else {
        return;
    };
    let Some(element) = surface() else { return };
    let check = row.lead.as_ref().and_then(client::check);
    let now = client::now();
    let content = content(&element::view(&row), check, now);
    if content.offer == Offer::None
        && active_in(&row.nodes.root, &element)
            .is_some_and(|active| active.matches("[part=action]").unwrap_or(false))
    {
        // The button that has the focus is about to go. Left alone, the focus would fall out of the popover and close it.
        let _ = element.focus();
    }
    POPOVER.with_borrow_mut(|popover| {
        let lead = row
            .lead
            .as_ref()
            .map(LeadId::as_str)
            .unwrap_or_default()
            .to_owned();
        let pinned = popover.intent.is_pinned();
        if let Some(surface) = &mut popover.surface {
            surface.app.update(Shown {
                lead,
                content: Some(content),
                now,
                pinned,
            });
        }
    });
}

/// The popover has been drawn: it has its size, and its controls can take the focus.
fn drawn() {
    place();
    let due = POPOVER.with_borrow_mut(|popover| std::mem::take(&mut popover.focus_due));
    if let Some(element) = surface().filter(|_| due) {
        let control = element.query_selector("button, summary").ok().flatten();
        let control = control.and_then(|control| control.dyn_into::<HtmlElement>().ok());
        // An element that cannot be focused keeps the focus where it is.
        let _ = control.unwrap_or(element).focus();
    }
}

/// The element that travels; made when it is first needed.
fn surface() -> Option<HtmlElement> {
    if let Some(element) = POPOVER.with_borrow(|popover| {
        popover
            .surface
            .as_ref()
            .map(|surface| surface.element.clone())
    }) {
        return Some(element);
    }
    let element: HtmlElement = element::document()?
        .create_element("div")
        .ok()?
        .dyn_into()
        .ok()?;
    let attributes = [
        ("id", "popover"),
        ("popover", "manual"),
        ("role", "dialog"),
        ("part", "popover"),
        ("tabindex", "-1"),
        ("aria-labelledby", "title"),
        ("lang", texts::LANGUAGE),
        // The texts are in English, whatever the direction of the page around them.
        ("dir", "ltr"),
    ];
    for (name, value) in attributes {
        // None of the names can be refused.
        let _ = element.set_attribute(name, value);
    }
    for kind in ["toggle", "focusin"] {
        element::listen(&element, kind, true);
    }
    let app =
        Renderer::<Body>::with_root_and_props(element.clone().into(), Shown::default()).render();
    POPOVER.with_borrow_mut(|popover| {
        popover.surface = Some(Surface {
            element: element.clone(),
            app,
        });
    });
    Some(element)
}

fn place() {
    let (row, surface) = POPOVER.with_borrow(|popover| {
        (
            popover.row.clone(),
            popover
                .surface
                .as_ref()
                .map(|surface| surface.element.clone()),
        )
    });
    let (Some(row), Some(surface), Some(window)) = (row, surface, element::window()) else {
        return;
    };
    let Some(page) = window
        .document()
        .and_then(|document| document.document_element())
    else {
        return;
    };
    let bounds = row.nodes.button.get_bounding_client_rect();
    let bubble = Area {
        left: bounds.x(),
        top: bounds.y(),
        width: bounds.width(),
        height: bounds.height(),
    };
    let window_size = Size {
        width: page.client_width().into(),
        height: page.client_height().into(),
    };
    if !placement::is_visible(bubble, window_size) {
        let open = POPOVER.with_borrow(|popover| popover.intent.open());
        if let Some(slot) = open {
            act(Gesture::Hide(slot));
        }
        return;
    }
    let style = surface.style();
    // Values that a style refuses are ignored by it, and the names are known.
    let _ = style.set_property("max-height", "none");
    let size = Size {
        width: surface.offset_width().into(),
        height: surface.offset_height().into(),
    };
    let direction = window.get_computed_style(&row.nodes.host).ok().flatten();
    let direction = direction.and_then(|style| style.get_property_value("direction").ok());
    let place = placement::place(
        bubble,
        size,
        window_size,
        direction.as_deref() == Some("rtl"),
    );
    let (top, bottom) = match place.edge {
        Edge::Top(top) => (pixels(top), "auto".to_owned()),
        Edge::Bottom(bottom) => ("auto".to_owned(), pixels(bottom)),
    };
    for (name, value) in [
        ("left", &pixels(place.left)),
        ("top", &top),
        ("bottom", &bottom),
        ("max-height", &pixels(place.room)),
    ] {
        let _ = style.set_property(name, value);
    }
}

/// Whole pixels: formatting a fraction costs four kilobytes of module.
fn pixels(length: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "lengths in a window are small"
    )]
    let whole = length.round() as i32;
    [whole.to_string().as_str(), "px"].concat()
}

fn wait(ms: i32) {
    let Some(window) = element::window() else {
        return;
    };
    let before = POPOVER.with_borrow_mut(|popover| popover.timer.take());
    if let Some(timer) = before {
        window.clear_timeout_with_handle(timer);
    }
    let timer = ON_ELAPSED.with(|closure| {
        window.set_timeout_with_callback_and_timeout_and_arguments_0(
            closure.as_ref().unchecked_ref(),
            ms,
        )
    });
    POPOVER.with_borrow_mut(|popover| popover.timer = timer.ok());
}

fn listen_to_window(on: bool) {
    if let Some(window) = element::window() {
        for kind in HEARD {
            element::listen(&window, kind, on);
        }
    }
}

fn tell_assistive(row: &Row, open: bool) {
    // None of the names can be refused.
    let _ = row
        .nodes
        .button
        .set_attribute("aria-expanded", if open { "true" } else { "false" });
    let _ = if open {
        row.nodes.button.set_attribute("aria-controls", "popover")
    } else {
        row.nodes.button.remove_attribute("aria-controls")
    };
}

/// Whether `node` is where `event` is being heard.
fn is_at(event: &Event, node: &HtmlElement) -> bool {
    event
        .current_target()
        .is_some_and(|at| Object::is(&at, node))
}

/// What has the focus, if that is `surface` or in it.
fn active_in(root: &ShadowRoot, surface: &HtmlElement) -> Option<web_sys::Element> {
    root.active_element()
        .filter(|active| surface.contains(Some(active)))
}

/// Whether `event` happened in the row's element. A host may have put its rows into closed shadow roots, through which no event
/// can be followed: one at the host of such a root counts as within.
fn is_within(event: &Event, row: &Row) -> bool {
    let path = event.composed_path();
    if path.includes(&row.nodes.host, 0) {
        return true;
    }
    let mut node: Node = row.nodes.host.clone().into();
    while let Ok(root) = node.get_root_node().dyn_into::<ShadowRoot>() {
        node = root.host().into();
        if Object::is(&path.get(0), &node) {
            return true;
        }
    }
    false
}

/// What the popover shows, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Properties)]
struct Shown {
    lead: String,
    content: Option<Content>,
    now: f64,
    pinned: bool,
}

/// The inside of the popover.
struct Body;

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
        // While it is only previewed, Tab passes by: fifty bubbles are fifty stops, not a hundred.
        let tabindex = if shown.pinned { "0" } else { "-1" };
        let sentence = |sentence: Sentence| sentence_html(sentence, shown.now);
        html! {
            <div key={shown.lead.clone()} class="content">
                <h2 id="title" part="title">
                    { said.name }
                    if let Some(reason) = said.reason {
                        { " — " }{ reason }
                    }
                </h2>
                if let Some(since) = said.since {
                    <p class="since">{ sentence(since) }</p>
                }
                <p part="reason">{ said.meaning }</p>
                if let Some(advice) = said.advice {
                    <p part="advice">{ sentence(advice) }</p>
                }
                if let Some(diagnostic) = &said.diagnostic {
                    <details>
                        <summary {tabindex}>{ texts::PROVIDER_TEXT }</summary>
                        <q>{ diagnostic }</q>
                    </details>
                }
                if said.offer != Offer::None {
                    <button type="button" part="action" {tabindex}
                        aria-disabled={(said.offer == Offer::Sending).then_some("true")}
                        onclick={|_| check_again()}>
                        { if said.offer == Offer::Sending { texts::CHECKING } else { texts::CHECK_AGAIN } }
                    </button>
                }
                <p part="result" role="status" class={said.result.map(|(name, _)| name)}>
                    if let Some((name, meaning)) = said.result {
                        <strong>{ name }</strong>{ " " }{ meaning }
                        if let Some(retry) = said.retry {
                            { " " }{ sentence(retry) }
                        }
                    }
                </p>
            </div>
        }
    }

    fn rendered(&mut self, _: &Context<Self>, _: bool) {
        drawn();
    }
}

fn sentence_html(sentence: Sentence, now: f64) -> Html {
    let (before, after) = sentence
        .text
        .split_once("{time}")
        .unwrap_or((sentence.text, ""));
    let Some(time) = sentence.time else {
        return html! { { before } };
    };
    let (exact, relative) = DATES.with_borrow_mut(|dates| {
        let dates = dates.get_or_insert_with(|| {
            LOCALE.with_borrow(|locale| Dates::new(locale.as_deref(), texts::LANGUAGE))
        });
        (dates.exact(time), dates.relative(time, now))
    });
    html! {
        <>
            { before }
            <time datetime={dates::iso(time)}>{ exact }</time>
            if let Some(relative) = relative {
                { " (" }{ relative }{ ")" }
            }
            { after }
        </>
    }
}
