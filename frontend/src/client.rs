//! Talks to the server: one batched request for all bubbles of the page, and one for each press of Check again.
//!
//! The page's script carries the requests, since the first of them leaves before this module has arrived. What to ask, when,
//! and what an answer means is decided here. A failure waits for the next sign of interest; nothing polls.

mod reply;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Date, Promise};
use leadlight::lead::LeadId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Response;

use crate::element;
use crate::statuses::{Check, Fault, Statuses, Trouble, View};

#[wasm_bindgen]
extern "C" {
    /// What the page's script does for the module.
    pub type Page;
    /// Sends a `POST` with a JSON body; resolves to the response, whatever its status.
    #[wasm_bindgen(method, catch)]
    fn post(this: &Page, path: &str, body: &JsValue, token: &JsValue) -> Result<Promise, JsValue>;
    /// Asks the host for a token.
    #[wasm_bindgen(method, catch)]
    fn token(this: &Page) -> Result<Promise, JsValue>;
    /// The slot of a `<lead-light>` element; nothing for any other node.
    #[wasm_bindgen(method)]
    pub(crate) fn slot(this: &Page, node: &JsValue) -> Option<u32>;

    /// The request that left before the module arrived.
    pub type Early;
    #[wasm_bindgen(method, getter)]
    fn leads(this: &Early) -> Array;
    #[wasm_bindgen(method, getter)]
    fn token(this: &Early) -> Promise;
    #[wasm_bindgen(method, getter)]
    fn response(this: &Early) -> Promise;
    #[wasm_bindgen(method, getter, js_name = sentAt)]
    fn sent_at(this: &Early) -> f64;
}

#[derive(Default)]
struct Client {
    page: Option<Rc<Page>>,
    /// The token in use, and how many there were before it.
    token: (u32, Option<Promise>),
}

thread_local! {
    static CLIENT: RefCell<Client> = RefCell::default();
    static STATUSES: RefCell<Statuses> = RefCell::default();
    static FLUSHING: Cell<bool> = const { Cell::new(false) };
}

/// The time, as the browser counts it.
pub(crate) fn now() -> f64 {
    Date::now()
}

/// Starts to talk through `page`, with the request that is already under way.
pub(crate) fn start(page: Rc<Page>, early: Option<Early>) {
    CLIENT.with_borrow_mut(|client| client.page = Some(page));
    let Some(early) = early else { return };
    let texts = early.leads().to_vec();
    let leads: Vec<LeadId> = texts
        .iter()
        .filter_map(|text| LeadId::parse(&text.as_string()?).ok())
        .collect();
    STATUSES.with_borrow_mut(|statuses| statuses.expect(&leads));
    let generation = CLIENT.with_borrow_mut(|client| {
        client.token.1 = Some(early.token());
        client.token.0
    });
    spawn_local(async move {
        let first = match JsFuture::from(early.token()).await {
            Ok(_) => receive(early.response()).await,
            Err(_) => Err(Fault::Unauthorised.into()),
        };
        let reply = match first {
            // The host's token had run out: the ordinary way renews it.
            Err(Trouble {
                fault: Fault::Unauthorised,
                ..
            }) => {
                renew(generation);
                post_once("v1/statuses", &reply::statuses_request(&leads)).await
            }
            first => first,
        };
        settle(&leads, early.sent_at(), reply);
    });
}

/// The page has new credentials or another server: forgets the token and every failure, and asks again.
pub(crate) fn restart() {
    CLIENT.with_borrow_mut(|client| client.token = (client.token.0 + 1, None));
    STATUSES.with_borrow_mut(|statuses| {
        statuses.forgive();
        statuses.want_shown(now());
    });
    flush();
}

/// A bubble of `lead` appeared.
pub(crate) fn show(lead: &LeadId) {
    STATUSES.with_borrow_mut(|statuses| statuses.show(lead, now()));
    flush();
}

/// A bubble of `lead` went away.
pub(crate) fn hide(lead: &LeadId) {
    STATUSES.with_borrow_mut(|statuses| statuses.hide(lead));
}

/// Somebody looks at `lead`: reads it again if it is not known well enough.
pub(crate) fn want(lead: &LeadId) {
    STATUSES.with_borrow_mut(|statuses| statuses.want(lead, now()));
    flush();
}

/// The page is looked at again, or the network is back.
pub(crate) fn want_shown() {
    STATUSES.with_borrow_mut(|statuses| statuses.want_shown(now()));
    flush();
}

/// Reads `lead` again, however well it is known.
pub(crate) fn refresh(lead: &LeadId) {
    STATUSES.with_borrow_mut(|statuses| statuses.ask(lead));
    flush();
}

/// What is to be shown of `lead`.
pub(crate) fn view(lead: &LeadId) -> View {
    STATUSES.with_borrow(|statuses| statuses.view(lead))
}

/// How the press of Check again for `lead` stands.
pub(crate) fn check(lead: &LeadId) -> Option<Check> {
    STATUSES.with_borrow(|statuses| statuses.check(lead))
}

/// Forgets how the last press of Check again ended.
pub(crate) fn forget_check(lead: &LeadId) {
    STATUSES.with_borrow_mut(|statuses| statuses.forget_check(lead));
}

/// Presses Check again for `lead`, if that is permitted and not under way.
pub(crate) fn recheck(lead: LeadId) {
    if !STATUSES.with_borrow_mut(|statuses| statuses.start_check(&lead, now())) {
        return;
    }
    spawn_local(async move {
        let path = ["v1/leads/", lead.as_str(), "/rechecks"].concat();
        let answer = post(&path, &JsValue::UNDEFINED).await;
        let reply = answer.and_then(|value| {
            let reply = reply::recheck_reply(&value).filter(|(_, status)| status.lead == lead);
            reply.ok_or_else(|| Fault::Unavailable.into())
        });
        let outcome = reply.as_ref().ok().map(|(outcome, _)| *outcome);
        // Refused or not found: what the popover says of the lead is no longer so.
        let outdated = reply.as_ref().is_err_and(|trouble| match trouble.fault {
            Fault::NotFound | Fault::Refused => true,
            Fault::Offline
            | Fault::Unauthorised
            | Fault::Forbidden
            | Fault::Busy
            | Fault::Unavailable
            | Fault::InvalidLead => false,
        });
        if outdated {
            refresh(&lead);
        }
        let change = STATUSES.with_borrow_mut(|statuses| statuses.end_check(&lead, reply, now()));
        element::checked(&change, outcome);
    });
}

/// Sends what is queued, once everything that appears together is queued.
fn flush() {
    if FLUSHING.replace(true) {
        return;
    }
    spawn_local(async {
        if element::is_parsing() {
            // The parser lets microtasks run between two elements, which would make a request of each.
            element::next_task().await;
        }
        FLUSHING.set(false);
        for batch in STATUSES.with_borrow_mut(Statuses::take_batches) {
            spawn_local(async move {
                let sent_at = now();
                let reply = post("v1/statuses", &reply::statuses_request(&batch)).await;
                settle(&batch, sent_at, reply);
            });
        }
    });
}

fn settle(batch: &[LeadId], sent_at: f64, reply: Result<JsValue, Trouble>) {
    let reply = reply
        .and_then(|value| reply::statuses_reply(&value).ok_or_else(|| Fault::Unavailable.into()));
    let changes =
        STATUSES.with_borrow_mut(|statuses| statuses.answer(batch, sent_at, reply, now()));
    for change in &changes {
        element::changed(change);
    }
}

/// Posts with the token of the page, and once more with a new one where the server does not accept that.
async fn post(path: &str, body: &JsValue) -> Result<JsValue, Trouble> {
    match post_once(path, body).await {
        Err(Trouble {
            fault: Fault::Unauthorised,
            ..
        }) => post_once(path, body).await,
        answer => answer,
    }
}

/// Posts with the token of the page, and forgets that token where the server does not accept it.
async fn post_once(path: &str, body: &JsValue) -> Result<JsValue, Trouble> {
    let page = CLIENT
        .with_borrow(|client| client.page.clone())
        .ok_or(Fault::Unavailable)?;
    let (generation, token) = token(&page)?;
    let answer = match JsFuture::from(token).await {
        Ok(token) => receive(page.post(path, body, &token).map_err(|_| Fault::Offline)?).await,
        Err(_) => Err(Fault::Unauthorised.into()),
    };
    if answer
        .as_ref()
        .is_err_and(|trouble| trouble.fault == Fault::Unauthorised)
    {
        renew(generation);
    }
    answer
}

fn token(page: &Page) -> Result<(u32, Promise), Trouble> {
    CLIENT.with_borrow_mut(|client| {
        let (generation, known) = &mut client.token;
        let token = match known.take() {
            Some(token) => token,
            None => page.token().map_err(|_| Fault::Unauthorised)?,
        };
        *known = Some(token.clone());
        Ok((*generation, token))
    })
}

/// Forgets the token, unless another request has done so already.
fn renew(generation: u32) {
    CLIENT.with_borrow_mut(|client| {
        if client.token.0 == generation {
            client.token = (generation + 1, None);
        }
    });
}

async fn receive(response: Promise) -> Result<JsValue, Trouble> {
    let response = JsFuture::from(response).await.map_err(|_| Fault::Offline)?;
    let response: Response = response.dyn_into().map_err(|_| Fault::Unavailable)?;
    let body = match response.json() {
        Ok(json) => JsFuture::from(json).await.ok(),
        Err(_) => None,
    };
    let fault = match response.status() {
        200..=299 => return body.ok_or_else(|| Fault::Unavailable.into()),
        401 => Fault::Unauthorised,
        403 => Fault::Forbidden,
        404 => Fault::NotFound,
        409 => Fault::Refused,
        429 => Fault::Busy,
        _ => Fault::Unavailable,
    };
    let retry_after = response.headers().get("retry-after").ok().flatten();
    let retry_at = body.as_ref().and_then(reply::retry_at);
    let retry_at = retry_at
        .or_else(|| Some(now() + retry_after?.parse::<u32>().map(f64::from).ok()? * 1_000.0));
    Err(Trouble { fault, retry_at })
}
