//! The second module of `<lead-light>`: the one popover of the page, and every interactive part in it.
//!
//! `intent` decides when it opens, `placement` where, `content` what it says; `body` draws it with Yew, on an element that
//! `embed/popover.js` carries into the open row's shadow root and into the browser's top layer. Mounted once, never per row and
//! never on a shadow root: Yew keeps its listeners for ever, and hover events do not reach a shadow root.

mod body;
mod content;
mod dates;
mod intent;
mod placement;

use std::cell::RefCell;

use leadlight::api::Outcome;
use leadlight::assessment::Resolution;
use leadlight_view::fault::{Fault, Trouble};
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;
use yew::{AppHandle, Renderer};

use self::body::{Body, Shown};
use self::content::{Check, Offer, Told, content};
use self::intent::{Effect, Gesture, Intent, Slot};
use self::placement::{Area, Edge, Size};

/// Small rather than fast: one popover is redrawn a few times a minute.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: lol_alloc::LockedAllocator<lol_alloc::FreeListAllocator> =
    lol_alloc::LockedAllocator::new(lol_alloc::FreeListAllocator::new());

#[wasm_bindgen(raw_module = "lead-light/hands")]
extern "C" {
    /// Shows the popover at a row.
    fn open(slot: u32);
    /// Hides it; the focus goes back to its row where `refocus` says so.
    fn close(refocus: bool);
    /// Moves the focus to its first control.
    fn enter();
    /// Keeps the focus in it although the part that may have it is about to go.
    fn retain(part: &str);
    /// Left, top, width and height of the open row's bubble; width and height of the popover as it wants to be, and of the window;
    /// whether the row is written from right to left.
    fn measure() -> Vec<f64>;
    /// Moves it there.
    fn put(left: i32, top: i32, bottom: i32, room: i32);
    /// Comes back with the gesture `elapsed` after this many milliseconds, instead of any earlier such wish.
    fn wait(ms: i32);
    /// How a row looks.
    fn face(slot: u32) -> u32;
    /// The number of the lead that a row shows.
    fn lead(slot: u32) -> Option<u32>;
    /// The key of what that means.
    fn meaning(slot: u32) -> String;
    /// The code of the reason of a block.
    fn reason(slot: u32) -> Option<String>;
    /// A text in what the server told of the row's lead.
    fn field(slot: u32, name: &str) -> Option<String>;
    /// A time in it, or no number.
    fn time(slot: u32, name: &str) -> f64;
    /// A flag in it.
    fn flag(slot: u32, name: &str) -> bool;
    /// Somebody looks at the row.
    fn see(slot: u32);
    /// The status is outdated.
    fn refresh(slot: u32);
    /// Tells the page that Check again was pressed. Says whether the page let it pass.
    fn may_check(slot: u32) -> bool;
    /// Presses Check again; [`answer`] hears what came of it.
    fn recheck(slot: u32, lead: u32);
    /// Gives an address to the page to save; [`accepted`] hears what came of it.
    fn accept(slot: u32, lead: u32, address: &str);
    /// Whether the page can save an address.
    fn accepts() -> bool;
    /// Where support is reached.
    fn support() -> Option<String>;
    /// Where the log of the row's lead is, if it has one.
    fn log(slot: u32) -> Option<String>;
    /// The name of a face, with its reason.
    pub(crate) fn heading(face: u32) -> String;
    /// The words of a key, as the page or the language has them: up to its gap, or behind that.
    pub(crate) fn words(key: &str, behind: bool) -> String;
    /// A time in words, exactly.
    pub(crate) fn exact(time: f64) -> String;
    /// A distance in time in words.
    pub(crate) fn relative(value: i32, unit: &str) -> String;
    /// A time for machines.
    pub(crate) fn iso(time: f64) -> String;
}

#[derive(Default)]
struct Popover {
    intent: Intent,
    app: Option<AppHandle<Body>>,
    /// What was pressed, by lead. What has ended is forgotten when the popover closes.
    checks: Vec<(u32, Check)>,
    /// The lead whose suggested address is being saved.
    accepting: Option<u32>,
    /// Whether it shows the provider's own text.
    expanded: bool,
    /// Whether the focus is to go into it once it is drawn.
    focus_due: bool,
    /// Whether somebody is pressing something in it. Nothing is drawn then: what moves away under a press is not pressed.
    held: bool,
}

thread_local! {
    static POPOVER: RefCell<Popover> = RefCell::default();
}

fn with<T>(act: impl FnOnce(&mut Popover) -> T) -> T {
    POPOVER.with_borrow_mut(act)
}

/// The element that travels is there.
#[wasm_bindgen]
pub fn start(surface: HtmlElement) {
    let app = Renderer::<Body>::with_root_and_props(surface.into(), Shown::default()).render();
    with(|popover| popover.app = Some(app));
}

/// Somebody did something at a row; the kinds are those of `Gesture`.
#[wasm_bindgen]
pub fn gesture(kind: &str, slot: u32, now: f64) {
    let gesture = match kind {
        "enter" => Gesture::Enter(slot),
        "leave" => Gesture::Leave(slot),
        "focus" => Gesture::Focus(slot),
        "blur" => Gesture::Blur(slot),
        "press" => Gesture::Press(slot),
        "engage" => Gesture::Engage(slot),
        "show" => Gesture::Show(slot),
        "hide" => Gesture::Hide(slot),
        "escape" => Gesture::Escape,
        "outside" => Gesture::PressOutside,
        "elapsed" => Gesture::Elapsed,
        _ => return,
    };
    for effect in with(|popover| popover.intent.act(gesture, now)) {
        match effect {
            Effect::Open(slot) => show(slot, now),
            Effect::Pin { slot, focus } => pin(slot, focus, now),
            Effect::Close { refocus, .. } => hide(refocus),
            Effect::Wait(ms) => wait(ms),
        }
    }
}

/// A row has something new to show.
#[wasm_bindgen]
pub fn refreshed(slot: u32, now: f64) {
    if with(|popover| popover.intent.open()) == Some(slot) {
        draw(slot, now);
    }
}

/// A press of Check again was answered with this HTTP status and outcome; with 0 it was not answered at all. Says whether it was
/// processed.
#[wasm_bindgen]
#[must_use]
pub fn answer(slot: u32, lead: u32, status: u16, outcome: &str, retry_at: f64) -> bool {
    let check = match Trouble::check(status, retry_at) {
        Ok(()) if outcome == "sent" => Check::Done(Outcome::Sent),
        Ok(()) => Check::Done(Outcome::Fail),
        Err(trouble) => {
            if trouble.fault == Fault::NotFound || trouble.fault == Fault::Refused {
                // What the popover says of the lead is no longer so.
                refresh(slot);
            }
            Check::Failed(trouble)
        }
    };
    note(lead, check);
    check == Check::Done(Outcome::Sent)
}

/// A press in the popover has begun, or is over.
#[wasm_bindgen]
pub fn hold(held: bool, now: f64) {
    let open = with(|popover| {
        popover.held = held;
        popover.intent.open()
    });
    if let Some(slot) = open {
        draw(slot, now);
    }
}

/// The page has saved the suggested address, or could not.
#[wasm_bindgen]
pub fn accepted(slot: u32, lead: u32, saved: bool, now: f64) {
    with(|popover| popover.accepting = None);
    if saved {
        refresh(slot);
    } else {
        note(lead, Check::Failed(Fault::Unavailable.into()));
    }
    refreshed(slot, now);
}

/// Moves the popover to its row.
#[wasm_bindgen]
pub fn place(now: f64) {
    let Some(slot) = with(|popover| popover.intent.open()) else {
        return;
    };
    let measured = measure();
    let [
        left,
        top,
        width,
        height,
        wide,
        high,
        window_width,
        window_height,
        rtl,
    ] = measured.as_slice()
    else {
        return;
    };
    let bubble = Area {
        left: *left,
        top: *top,
        width: *width,
        height: *height,
    };
    let window = Size {
        width: *window_width,
        height: *window_height,
    };
    if !placement::is_visible(bubble, window) {
        gesture("hide", slot, now);
        return;
    }
    let size = Size {
        width: *wide,
        height: *high,
    };
    let place = placement::place(bubble, size, window, *rtl != 0.0);
    let (top, bottom) = match place.edge {
        Edge::Top(top) => (pixels(top), -1),
        Edge::Bottom(bottom) => (-1, pixels(bottom)),
    };
    put(pixels(place.left), top, bottom, pixels(place.room));
}

/// Whole pixels: formatting a fraction costs four kilobytes of module.
#[expect(
    clippy::cast_possible_truncation,
    reason = "lengths in a window are small"
)]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}

fn show(slot: Slot, now: f64) {
    if with(|popover| popover.intent.open()) != Some(slot) {
        return;
    }
    with(|popover| {
        popover.held = false;
        popover.expanded = false;
    });
    see(slot);
    draw(slot, now);
    open(slot);
}

fn pin(slot: Slot, focus: bool, now: f64) {
    with(|popover| popover.focus_due = focus);
    refreshed(slot, now);
}

fn hide(refocus: bool) {
    with(|popover| {
        popover.focus_due = false;
        popover.checks.retain(|(_, check)| *check == Check::Sending);
    });
    close(refocus);
}

/// Somebody pressed Check again.
pub(crate) fn check_again(slot: Slot, now: f64) {
    let Some(lead) = lead(slot) else { return };
    let sending = with(|popover| popover.check(lead) == Some(Check::Sending));
    if !sending && may_check(slot) {
        note(lead, Check::Sending);
        recheck(slot, lead);
        refreshed(slot, now);
    }
}

/// Somebody wants to see the provider's own text, or no longer.
pub(crate) fn expand(slot: Slot, now: f64) {
    with(|popover| popover.expanded = !popover.expanded);
    refreshed(slot, now);
}

/// Somebody takes the suggested address.
pub(crate) fn take(slot: Slot, address: &str, now: f64) {
    let Some(lead) = lead(slot) else { return };
    if with(|popover| popover.accepting.replace(lead)).is_none() {
        accept(slot, lead, address);
    }
    refreshed(slot, now);
}

/// The popover has been drawn: it has its size, and its controls can take the focus.
pub(crate) fn drawn(now: f64) {
    place(now);
    if with(|popover| std::mem::take(&mut popover.focus_due)) {
        enter();
    }
}

fn note(lead: u32, check: Check) {
    with(|popover| {
        popover.checks.retain(|(other, _)| *other != lead);
        popover.checks.push((lead, check));
    });
}

/// Draws what is known now of a row's lead.
fn draw(slot: Slot, now: f64) {
    if with(|popover| popover.held) {
        return;
    }
    let lead = lead(slot);
    let (check, accepting, pinned, expanded) = with(|popover| {
        let check = lead.and_then(|lead| popover.check(lead));
        let accepting = lead.is_some() && popover.accepting == lead;
        (
            check,
            accepting,
            popover.intent.is_pinned(),
            popover.expanded,
        )
    });
    let told = told(slot);
    let content = content(told, check, now);
    let support = support().filter(|_| content.needs_support);
    let log = log(slot);
    for (part, stays) in [
        ("action", content.check_again != Offer::None),
        ("suggestion-action", content.suggestion.is_some()),
        ("provider", content.diagnostic.is_some()),
        ("support", support.is_some()),
        ("log", log.is_some()),
    ] {
        if !stays {
            retain(part);
        }
    }
    let shown = Shown {
        slot,
        now,
        pinned,
        expanded,
        accept: match (accepts(), accepting) {
            (false, _) => Offer::None,
            (true, false) => Offer::Ready,
            (true, true) => Offer::Sending,
        },
        support,
        log,
        content: Some(content),
    };
    with(|popover| {
        if let Some(app) = &mut popover.app {
            app.update(shown);
        }
    });
}

/// What the server told of a row's lead.
fn told(slot: Slot) -> Told {
    let moment = |name| Some(time(slot, name)).filter(|time| time.is_finite());
    Told {
        face: face(slot),
        meaning: meaning(slot),
        reason: reason(slot),
        since: moment("since"),
        resolution: field(slot, "resolution").and_then(|code| Resolution::from_code(&code)),
        may_check_again: flag(slot, "may_check_again"),
        check_again_from: moment("check_again_from"),
        held: flag(slot, "held"),
        diagnostic: field(slot, "diagnostic"),
        suggestion: field(slot, "suggestion"),
    }
}

impl Popover {
    fn check(&self, lead: u32) -> Option<Check> {
        let (_, check) = self.checks.iter().find(|(other, _)| *other == lead)?;
        Some(*check)
    }
}
