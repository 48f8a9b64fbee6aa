//! The registry of `<lead-light>` elements: which rows there are, whose lead each shows, and the listeners they share.
//!
//! Called by the element's class, one function per event of its life. Listeners hang on the document (or the shadow root that a
//! host put its rows in), never on a row. No borrow is held while the page's own code may run.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use leadlight::api::{LeadStatus, Outcome};
use leadlight::lead::LeadId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    CustomEvent, CustomEventInit, Document, Event, EventTarget, FocusEvent, HtmlElement,
    PointerEvent, ShadowRoot, Window,
};

use crate::bubble::{self, States, Tone};
use crate::client::{self, Early, Page};
use crate::popover::{self, Gesture};
use crate::statuses::{Change, Fault, View};
use crate::texts;

/// The number of a connected element. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) u32);

/// A connected element.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) nodes: Rc<Nodes>,
    /// The lead, if the page named one.
    pub(crate) lead: Option<LeadId>,
    label: Option<String>,
    tone: Tone,
}

/// What an element is made of.
pub(crate) struct Nodes {
    pub(crate) host: HtmlElement,
    pub(crate) root: ShadowRoot,
    pub(crate) button: HtmlElement,
    pub(crate) states: States,
    /// The document or shadow root that the element stands in.
    tree: EventTarget,
}

#[derive(Default)]
struct Rows {
    connected: HashMap<Slot, Row>,
    by_lead: HashMap<LeadId, Vec<Slot>>,
    /// Where listeners hang, and for how many rows.
    trees: Vec<(EventTarget, usize)>,
    /// The number that was given last.
    last: u32,
    page: Option<Rc<Page>>,
}

thread_local! {
    static ROWS: RefCell<Rows> = RefCell::default();
    /// One closure for every listener there is.
    static ON_EVENT: Closure<dyn Fn(Event)> = Closure::new(|event: Event| hear(&event));
}

/// What rows are listened to for, in the tree that they stand in.
const HEARD: &[&str] = &["pointerover", "pointerout", "focusin", "focusout", "click"];

/// The page's script is ready, with the request that it has already sent.
#[wasm_bindgen]
pub fn start(page: Page, early: Option<Early>) {
    let page = Rc::new(page);
    ROWS.with_borrow_mut(|rows| rows.page = Some(page.clone()));
    if let (Some(window), Some(document)) = (window(), document()) {
        listen(&window, "online", true);
        listen(&document, "visibilitychange", true);
    }
    client::start(page, early);
}

/// The page has new settings.
#[wasm_bindgen]
pub fn configure(locale: Option<String>) {
    popover::set_locale(locale);
    client::restart();
}

/// An element was connected. Returns the number to call it by.
#[wasm_bindgen]
#[must_use]
pub fn connect(
    host: HtmlElement,
    root: ShadowRoot,
    button: HtmlElement,
    states: States,
    lead: Option<String>,
    label: Option<String>,
) -> u32 {
    let tree = host.get_root_node().into();
    let row = Row {
        nodes: Rc::new(Nodes {
            host,
            root,
            button,
            states,
            tree,
        }),
        lead: None,
        label,
        tone: Tone::default(),
    };
    let nodes = row.nodes.clone();
    let (slot, is_new) = ROWS.with_borrow_mut(|rows| {
        rows.last += 1;
        let slot = Slot(rows.last);
        rows.connected.insert(slot, row);
        (slot, rows.enter(&nodes.tree))
    });
    if is_new {
        listen_to_rows(&nodes.tree, true);
    }
    assign(slot, lead);
    slot.0
}

/// The attributes of an element changed. A row that is given to another lead leaves its popover behind.
#[wasm_bindgen]
pub fn change(slot: u32, lead: Option<String>, label: Option<String>) {
    let slot = Slot(slot);
    let before = ROWS.with_borrow_mut(|rows| {
        let row = rows.connected.get_mut(&slot)?;
        row.label = label;
        Some(row.lead.clone())
    });
    let Some(before) = before else { return };
    if before.as_ref().map(LeadId::as_str) == lead.as_deref() {
        draw(slot);
        return;
    }
    popover::act(Gesture::Hide(slot));
    release(slot);
    assign(slot, lead);
}

/// An element was disconnected.
#[wasm_bindgen]
pub fn disconnect(slot: u32) {
    let slot = Slot(slot);
    popover::act(Gesture::Hide(slot));
    release(slot);
    let Some(row) = ROWS.with_borrow_mut(|rows| rows.connected.remove(&slot)) else {
        return;
    };
    if ROWS.with_borrow_mut(|rows| rows.leave(&row.nodes.tree)) {
        listen_to_rows(&row.nodes.tree, false);
    }
}

/// The page asks to read the status again.
#[wasm_bindgen]
pub fn refresh(slot: u32) {
    if let Some(lead) = row(Slot(slot)).and_then(|row| row.lead) {
        client::refresh(&lead);
    }
}

/// The page asks to show the popover.
#[wasm_bindgen]
pub fn show(slot: u32) {
    popover::act(Gesture::Show(Slot(slot)));
}

/// The page asks to hide the popover.
#[wasm_bindgen]
pub fn hide(slot: u32) {
    popover::act(Gesture::Hide(Slot(slot)));
}

/// The element with the number `slot`, while it is connected.
pub(crate) fn row(slot: Slot) -> Option<Row> {
    ROWS.with_borrow(|rows| rows.connected.get(&slot).cloned())
}

/// What is to be shown of the lead of `row`.
pub(crate) fn view(row: &Row) -> View {
    row.lead
        .as_ref()
        .map_or(View::Failed(Fault::InvalidLead), client::view)
}

/// More, or the same, is known of a lead.
pub(crate) fn changed(change: &Change) {
    tell(change, None);
}

/// A press of Check again ended. The page is told even where the status is the same, for the log has a new entry.
pub(crate) fn checked(change: &Change, outcome: Option<Outcome>) {
    tell(change, Some(outcome.unwrap_or(Outcome::Fail)));
}

fn tell(change: &Change, outcome: Option<Outcome>) {
    let slots = ROWS
        .with_borrow(|rows| rows.by_lead.get(&change.lead).cloned())
        .unwrap_or_default();
    for slot in &slots {
        draw(*slot);
    }
    popover::refresh(&slots);
    for row in slots.iter().filter_map(|slot| row(*slot)) {
        match client::view(&change.lead) {
            View::Known(status) if change.replaced.is_some() || outcome.is_some() => {
                tell_status(&row, &status, change.replaced.as_ref(), outcome);
            }
            View::Failed(fault) => tell_fault(&row, fault),
            View::Known(_) | View::Loading => {}
        }
    }
}

fn tell_status(
    row: &Row,
    status: &LeadStatus,
    replaced: Option<&LeadStatus>,
    outcome: Option<Outcome>,
) {
    let outcome = outcome.map(|outcome| match outcome {
        Outcome::Sent => "sent",
        Outcome::Fail => "fail",
    });
    let detail = [
        ("status", Some(status.status.as_str())),
        ("reason", status.reason.as_deref()),
        ("cause", status.cause.as_deref()),
        ("previous", Some(replaced.unwrap_or(status).status.as_str())),
        ("outcome", outcome),
    ];
    dispatch(row, "lead-light-change", &detail, false);
}

fn tell_fault(row: &Row, fault: Fault) {
    let code = match fault {
        Fault::Offline => "offline",
        Fault::Unauthorised => "unauthorised",
        Fault::Forbidden => "forbidden",
        Fault::Busy => "busy",
        Fault::NotFound => "not_found",
        Fault::Refused => "refused",
        Fault::Unavailable => "unavailable",
        Fault::InvalidLead => "invalid_lead",
    };
    dispatch(
        row,
        "lead-light-error",
        &[
            ("code", Some(code)),
            ("message", Some(texts::fault(fault).1)),
        ],
        false,
    );
}

/// Sends an event from the element, with a plain object as detail. Says whether the page let it pass.
pub(crate) fn dispatch(
    row: &Row,
    name: &str,
    detail: &[(&str, Option<&str>)],
    cancelable: bool,
) -> bool {
    let object = Object::new();
    let lead = [("lead", row.lead.as_ref().map(LeadId::as_str))];
    for (name, value) in lead.iter().chain(detail) {
        let value = value.map_or(JsValue::NULL, JsValue::from_str);
        // Setting a property of an object that we made cannot fail.
        let _ = Reflect::set(&object, &JsValue::from_str(name), &value);
    }
    let init = CustomEventInit::new();
    init.set_bubbles(true);
    init.set_composed(true);
    init.set_cancelable(cancelable);
    init.set_detail(&object);
    let Ok(event) = CustomEvent::new_with_event_init_dict(name, &init) else {
        return true;
    };
    row.nodes.host.dispatch_event(&event).unwrap_or(true)
}

/// Gives the row to a lead.
fn assign(slot: Slot, lead: Option<String>) {
    let lead = lead.and_then(|lead| LeadId::try_from(lead).ok());
    ROWS.with_borrow_mut(|rows| {
        if let Some(row) = rows.connected.get_mut(&slot) {
            row.lead.clone_from(&lead);
        }
        if let Some(lead) = &lead {
            rows.by_lead.entry(lead.clone()).or_default().push(slot);
        }
    });
    if let Some(lead) = &lead {
        client::show(lead);
    }
    draw(slot);
}

/// Takes the row from its lead.
fn release(slot: Slot) {
    let lead = ROWS.with_borrow_mut(|rows| {
        let lead = rows.connected.get_mut(&slot)?.lead.take()?;
        if let Some(slots) = rows.by_lead.get_mut(&lead) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                rows.by_lead.remove(&lead);
            }
        }
        Some(lead)
    });
    if let Some(lead) = lead {
        client::hide(&lead);
    }
}

fn draw(slot: Slot) {
    let Some(row) = row(slot) else { return };
    let view = view(&row);
    let (tone, ..) = bubble::face(&view);
    bubble::draw(
        &row.nodes.button,
        &row.nodes.states,
        row.tone,
        tone,
        &bubble::words(&view, row.label.as_deref()),
    );
    ROWS.with_borrow_mut(|rows| {
        if let Some(row) = rows.connected.get_mut(&slot) {
            row.tone = tone;
        }
    });
}

impl Rows {
    /// Counts a row in `tree`; says whether it is the first.
    fn enter(&mut self, tree: &EventTarget) -> bool {
        let known = self.trees.iter_mut().find(|(known, _)| known == tree);
        let is_new = known.is_none();
        match known {
            Some((_, count)) => *count += 1,
            None => self.trees.push((tree.clone(), 1)),
        }
        is_new
    }

    /// Counts a row out of `tree`; says whether it was the last.
    fn leave(&mut self, tree: &EventTarget) -> bool {
        let Some((_, count)) = self.trees.iter_mut().find(|(known, _)| known == tree) else {
            return false;
        };
        *count -= 1;
        let last = *count == 0;
        self.trees.retain(|(_, count)| *count > 0);
        last
    }
}

fn listen_to_rows(tree: &EventTarget, on: bool) {
    for kind in HEARD {
        listen(tree, kind, on);
    }
}

/// Starts or stops to hear events of `kind` on their way down to `target`, before the page can stop them.
pub(crate) fn listen(target: &EventTarget, kind: &str, on: bool) {
    ON_EVENT.with(|closure| {
        let heard = closure.as_ref().unchecked_ref();
        let outcome = if on {
            target.add_event_listener_with_callback_and_bool(kind, heard, true)
        } else {
            target.remove_event_listener_with_callback_and_bool(kind, heard, true)
        };
        // Both throw only for a callback that is none.
        let _ = outcome;
    });
}

fn hear(event: &Event) {
    let target = event.target().map(JsValue::from).unwrap_or_default();
    let slot = || {
        ROWS.with_borrow(|rows| rows.page.clone())
            .and_then(|page| page.slot(&target))
            .map(Slot)
    };
    match event.type_().as_str() {
        "pointerover" | "pointerout" => {
            let touch = event
                .dyn_ref::<PointerEvent>()
                .is_some_and(|pointer| pointer.pointer_type() == "touch");
            if let Some(slot) = slot().filter(|_| !touch) {
                let over = event.type_() == "pointerover";
                popover::act(if over {
                    Gesture::Enter(slot)
                } else {
                    Gesture::Leave(slot)
                });
            }
        }
        "focusin" => match slot() {
            Some(slot) => {
                // A click moves the focus too, and says what it wants by itself.
                let by_key = row(slot)
                    .is_some_and(|row| row.nodes.button.matches(":focus-visible").unwrap_or(false));
                if by_key {
                    popover::act(Gesture::Focus(slot));
                }
            }
            None => popover::hear(event),
        },
        "focusout" => {
            let elsewhere = event
                .dyn_ref::<FocusEvent>()
                .is_some_and(|focus| focus.related_target().is_some());
            // Without a target the focus went to nothing in the page, or to another window: then it comes back.
            let stays = elsewhere
                || document().is_some_and(|document| document.has_focus().unwrap_or(true));
            if let Some(slot) = slot().filter(|_| stays) {
                popover::act(Gesture::Blur(slot));
            }
        }
        "click" => popover::hear_click(event, slot()),
        "online" => client::want_shown(),
        "visibilitychange" => {
            if document().is_some_and(|document| !document.hidden()) {
                client::want_shown();
            }
        }
        _ => popover::hear(event),
    }
}

pub(crate) fn window() -> Option<Window> {
    web_sys::window()
}

pub(crate) fn document() -> Option<Document> {
    window()?.document()
}

/// Whether the page is still being parsed.
pub(crate) fn is_parsing() -> bool {
    document().is_some_and(|document| document.ready_state() == "loading")
}

/// Comes back in a task of its own.
pub(crate) async fn next_task() {
    let later = Promise::new(&mut |resolve, _| {
        if let Some(window) = window() {
            // Fails only for a callback that is none.
            let _ = window.set_timeout_with_callback(&resolve);
        }
    });
    // A promise that nobody rejects.
    let _ = JsFuture::from(later).await;
}
