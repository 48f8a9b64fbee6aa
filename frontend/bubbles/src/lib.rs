//! The first module of `<lead-light>`: which status each bubble shows, and what to ask the server when.
//!
//! `embed/page.js` calls it for every event in an element's life and carries out what it decides: it draws, asks and tells.
//! Only numbers and codes go to and fro. Nothing here throws into the page, and no borrow is held while the page's own code may
//! run.

mod statuses;

use std::cell::{Cell, RefCell};

use leadlight_view::face::Face;
use leadlight_view::fault::{Fault, Trouble};
use wasm_bindgen::prelude::*;

use self::statuses::{Change, Statuses};

/// Small rather than fast: what is kept for a row is a few words in lists that only grow.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: lol_alloc::LockedAllocator<lol_alloc::FreeListAllocator> =
    lol_alloc::LockedAllocator::new(lol_alloc::FreeListAllocator::new());

#[wasm_bindgen(raw_module = "lead-light/page")]
extern "C" {
    /// The time.
    fn now() -> f64;
    /// Draws a row.
    fn paint(slot: u32, face: u32);
    /// Calls [`flush`] once everything that appears together has appeared.
    fn soon();
    /// Asks the server for the statuses of `leads`; [`answer`] hears what came of it.
    fn ask(request: u32, leads: Vec<u32>);
    /// Calls [`try_again`] after this many milliseconds, instead of when it was last asked to.
    fn later(ms: f64);
    /// A number from 0 to 1, another each time.
    fn chance() -> f64;
    /// Calls [`see`] when somebody scrolls to the row.
    fn watch(slot: u32);
    /// What was told of the lead just now is what is known of it.
    fn learned(lead: u32);
    /// The lead is no longer spoken of, and its number is free.
    fn forget(lead: u32);
    /// Tells the page that a status has changed, or that a press of Check again has ended.
    fn changed(slot: u32);
    /// Tells the page that there is no status.
    fn failed(slot: u32, code: &str, sentence: &str);
}

thread_local! {
    static STATUSES: RefCell<Statuses> = RefCell::default();
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
}

fn with<T>(act: impl FnOnce(&mut Statuses) -> T) -> T {
    STATUSES.with_borrow_mut(act)
}

/// The face of a status by its codes; an empty one is none.
#[wasm_bindgen]
#[must_use]
pub fn face(status: &str, reason: &str, cause: &str) -> u32 {
    Face::of(status, reason, cause).number()
}

/// An element was connected, or given to another lead. Returns the face that it has from now on.
#[wasm_bindgen]
#[must_use]
pub fn connect(slot: u32, lead: Option<u32>) -> u32 {
    let now = now();
    if with(|statuses| statuses.connect(slot, lead, now)) {
        watch(slot);
    }
    flush_soon();
    let (face, _) = with(|statuses| statuses.view(slot));
    face.number()
}

/// An element was disconnected.
#[wasm_bindgen]
pub fn disconnect(slot: u32) {
    let forgotten = with(|statuses| {
        statuses.disconnect(slot);
        statuses.forget()
    });
    for lead in forgotten {
        forget(lead);
    }
}

/// Somebody scrolled to a row, or looks at it: reads it again if it is not known well enough.
#[wasm_bindgen]
pub fn see(slot: u32) {
    let now = now();
    let (before, face) = with(|statuses| {
        let (before, _) = statuses.view(slot);
        statuses.see(slot, now);
        (before, statuses.view(slot).0)
    });
    if before != face {
        // What had failed is tried again.
        paint(slot, face.number());
    }
    flush_soon();
}

/// The page is looked at again, or the network is back.
#[wasm_bindgen]
pub fn wake() {
    let now = now();
    with(|statuses| statuses.want_seen(now));
    flush_soon();
}

/// What failed is tried again: the time for it has come.
#[wasm_bindgen]
pub fn try_again() {
    let now = now();
    with(|statuses| statuses.try_again(now));
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
    let now = now();
    carry_out(&with(|statuses| statuses.give_up(Fault::Unconfigured, now)));
}

/// The page asks to read the status again.
#[wasm_bindgen]
pub fn refresh(slot: u32) {
    with(|statuses| statuses.refresh(slot));
    flush_soon();
}

/// The page has the status of a lead already, or a press of Check again has ended with it.
///
/// After a press the page is told even where it is the same as before, for the log has a new entry.
#[wasm_bindgen]
pub fn tell(lead: u32, face: u32, is_checked: bool) {
    let now = now();
    let face = Face::from_number(face);
    let mut change = with(|statuses| statuses.learn(lead, face, now, !is_checked));
    change.replaced |= is_checked;
    carry_out(&[change]);
}

/// A request left before this module had arrived. Returns its number.
#[wasm_bindgen]
#[must_use]
pub fn expect(leads: Vec<u32>, sent_at: f64) -> u32 {
    with(|statuses| statuses.expect(leads, sent_at))
}

/// Sends what is queued, and tells the page of the new rows that have failed already: the answer may have been there before the
/// element was.
#[wasm_bindgen]
pub fn flush() {
    FLUSHING.set(false);
    let now = now();
    for (request, leads) in with(|statuses| statuses.take_requests(now)) {
        ask(request, leads);
    }
    for (slot, fault) in with(Statuses::take_failed) {
        failed(slot, fault.code(), fault.sentence());
    }
}

/// A request was answered with this HTTP status, and the faces of these leads; with 0 it was not answered at all.
#[wasm_bindgen]
pub fn answer(request: u32, status: u16, retry_at: f64, leads: &[u32], faces: &[u32]) {
    let now = now();
    let told = told(leads, faces);
    let reply = Trouble::check(status, retry_at).map(|()| told.as_slice());
    let chance = chance();
    carry_out(&with(|statuses| {
        statuses.answer(request, reply, now, chance)
    }));
    if let Some(due) = with(|statuses| statuses.due()) {
        later(due - now);
    }
}

/// The key of the sentence that says what a row shows.
#[wasm_bindgen]
#[must_use]
pub fn meaning(slot: u32) -> String {
    let (face, fault) = with(|statuses| statuses.view(slot));
    face.meaning(fault)
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

/// Leads with the face that each was told to have.
fn told(leads: &[u32], faces: &[u32]) -> Vec<(u32, Face)> {
    let faces = faces.iter().map(|face| Face::from_number(*face));
    leads.iter().copied().zip(faces).collect()
}

fn carry_out(changes: &[Change]) {
    for change in changes {
        if let Some(lead) = change.learned {
            learned(lead);
        }
        for slot in &change.slots {
            paint(*slot, change.face.number());
        }
    }
    for change in changes {
        for slot in &change.slots {
            if change.replaced {
                changed(*slot);
            } else if let Some(fault) = change.fault.filter(|_| !change.repeated) {
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
