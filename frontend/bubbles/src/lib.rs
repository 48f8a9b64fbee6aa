//! The first module of `<lead-light>`: which status each bubble shows, and what to ask the server when.
//!
//! `embed/page.js` calls it for every event in an element's life and carries out what it decides: it draws, asks and tells.
//! Nothing here throws into the page, and no borrow is held while the page's own code may run.

mod statuses;

use std::cell::{Cell, RefCell};

use js_sys::{Array, Date};
use leadlight::lead::LeadId;
use leadlight_view::face::Face;
use leadlight_view::fault::{Fault, Trouble};
use leadlight_view::reply;
use wasm_bindgen::prelude::*;

use self::statuses::{Change, Read, Statuses};

#[wasm_bindgen(raw_module = "lead-light/page")]
extern "C" {
    /// Draws a row.
    fn paint(slot: u32, face: u32);
    /// Calls [`flush`] once everything that appears together has appeared.
    fn soon();
    /// Asks the server for the statuses of `leads`; [`answer`] hears what came of it.
    fn ask(request: u32, leads: Array);
    /// Calls [`see`] when somebody scrolls to the row.
    fn watch(slot: u32);
    /// The row has something new to show, whatever shows it besides the bubble.
    fn refreshed(slot: u32);
    /// Tells the page that a status has changed, or that a press of Check again has ended.
    fn changed(slot: u32, status: &JsValue, previous: &JsValue, outcome: Option<&str>);
    /// Tells the page that there is no status.
    fn failed(slot: u32, code: &str, sentence: &str);
}

thread_local! {
    static STATUSES: RefCell<Statuses<JsValue>> = RefCell::default();
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
}

fn with<T>(act: impl FnOnce(&mut Statuses<JsValue>) -> T) -> T {
    STATUSES.with_borrow_mut(act)
}

/// An element was connected, or given to another lead.
#[wasm_bindgen]
pub fn connect(slot: u32, lead: Option<String>) {
    let lead = lead.and_then(|lead| LeadId::try_from(lead).ok());
    let (to_watch, face) = with(|statuses| {
        let to_watch = statuses.connect(slot, lead, Date::now());
        (to_watch, statuses.face(slot))
    });
    if to_watch {
        watch(slot);
    }
    paint(slot, face.number());
    flush_soon();
}

/// An element was disconnected.
#[wasm_bindgen]
pub fn disconnect(slot: u32) {
    with(|statuses| statuses.disconnect(slot));
}

/// Somebody scrolled to a row, or looks at it: reads it again if it is not known well enough.
#[wasm_bindgen]
pub fn see(slot: u32) {
    with(|statuses| statuses.see(slot, Date::now()));
    flush_soon();
}

/// The page is looked at again, or the network is back.
#[wasm_bindgen]
pub fn wake() {
    with(|statuses| statuses.want_seen(Date::now()));
    flush_soon();
}

/// The page has new settings: what failed is tried again.
#[wasm_bindgen]
pub fn configured() {
    with(Statuses::forgive);
    wake();
}

/// The page never said where the server is.
#[wasm_bindgen]
pub fn unconfigured() {
    let changes = with(|statuses| statuses.give_up(Fault::Unconfigured.into(), Date::now()));
    tell(&changes);
}

/// The page asks to read the status again.
#[wasm_bindgen]
pub fn refresh(slot: u32) {
    with(|statuses| statuses.refresh(slot));
    flush_soon();
}

/// The page has statuses already.
#[wasm_bindgen]
pub fn preset(statuses: &Array) {
    let now = Date::now();
    let changes: Vec<_> = read_all(statuses)
        .into_iter()
        .map(|read| with(|statuses| statuses.learn(read, now, true)))
        .collect();
    tell(&changes);
}

/// A request left before this module had arrived. Returns its number.
#[wasm_bindgen]
#[must_use]
pub fn expect(leads: &Array, sent_at: f64) -> u32 {
    let leads = leads
        .iter()
        .filter_map(|lead| LeadId::try_from(lead.as_string()?).ok());
    with(|statuses| statuses.expect(leads.collect(), sent_at))
}

/// Sends what is queued.
#[wasm_bindgen]
pub fn flush() {
    FLUSHING.set(false);
    for (request, leads) in with(|statuses| statuses.take_requests(Date::now())) {
        let ids = leads.iter().map(|lead| JsValue::from_str(lead.as_str()));
        ask(request, ids.collect());
    }
}

/// A request was answered with this HTTP status; with 0 it was not answered at all.
#[wasm_bindgen]
pub fn answer(request: u32, status: u16, body: &JsValue, retry_after: f64) {
    let now = Date::now();
    let reply = reply::check(status, body, retry_after, now).and_then(|()| {
        let statuses = reply::list(body, "statuses").ok_or(Fault::Unavailable)?;
        Ok::<_, Trouble>(read_all(&statuses))
    });
    let changes = with(|statuses| statuses.answer(request, reply, now));
    tell(&changes);
}

/// A press of Check again ended; with a status if the server could say one. The page is told even where that is the same as
/// before, for the log has a new entry.
#[wasm_bindgen]
pub fn checked(slot: u32, status: &JsValue, outcome: &str) {
    if let Some((lead, face)) = reply::face(status) {
        let read = Read {
            lead,
            face,
            status: status.clone(),
        };
        let change = with(|statuses| statuses.learn(read, Date::now(), false));
        draw(&change);
        let previous = change.replaced.as_ref().unwrap_or(status);
        for slot in change.slots {
            changed(slot, status, previous, Some(outcome));
        }
    } else if let Ok(Some(status)) = view_of(slot) {
        changed(slot, &status, &status, Some(outcome));
    }
}

/// What is known of the lead of a row: a status as the server told it, the code of a fault, or nothing yet.
#[wasm_bindgen]
#[must_use]
pub fn view(slot: u32) -> JsValue {
    match view_of(slot) {
        Ok(Some(status)) => status,
        Ok(None) => JsValue::UNDEFINED,
        Err(fault) => fault.code().into(),
    }
}

/// The class and custom state of a face.
#[wasm_bindgen]
#[must_use]
pub fn tone(face: u32) -> String {
    Face::from_number(face).tone().to_owned()
}

/// The key of the name of a face.
#[wasm_bindgen]
#[must_use]
pub fn name(face: u32) -> String {
    Face::from_number(face).name()
}

/// The key of the name of a face's reason, if it has one.
#[wasm_bindgen]
#[must_use]
pub fn reason(face: u32) -> Option<String> {
    Face::from_number(face).reason_name()
}

fn view_of(slot: u32) -> Result<Option<JsValue>, Fault> {
    with(|statuses| {
        let view = statuses.view(slot)?;
        Ok(view.map(|(_, status)| status.clone()))
    })
}

fn read_all(statuses: &Array) -> Vec<Read<JsValue>> {
    let read = |status: JsValue| {
        let (lead, face) = reply::face(&status)?;
        Some(Read { lead, face, status })
    };
    statuses.iter().filter_map(read).collect()
}

fn draw(change: &Change<JsValue>) {
    for slot in &change.slots {
        paint(*slot, change.face.number());
        refreshed(*slot);
    }
}

fn tell(changes: &[Change<JsValue>]) {
    for change in changes {
        draw(change);
    }
    for change in changes {
        for slot in &change.slots {
            if let (Some(previous), Ok(Some(status))) = (&change.replaced, view_of(*slot)) {
                changed(*slot, &status, previous, None);
            } else if let Some(fault) = change.fault {
                failed(*slot, fault.code(), fault.sentence());
            }
        }
    }
}

fn flush_soon() {
    if !FLUSHING.replace(true) {
        soon();
    }
}
