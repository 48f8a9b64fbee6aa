//! A page that is drawn by Yew, with the widget's element in it: two Yews in one page number what they draw alike, and must not take
//! the other's for their own.
//!
//! It counts the presses on a button, and on nothing else.

use wasm_bindgen::prelude::*;
use yew::{Callback, Component, Context, Html, MouseEvent, Renderer, html};

/// The page.
struct Page {
    presses: u32,
}

impl Component for Page {
    type Message = ();
    type Properties = ();

    fn create(_: &Context<Self>) -> Self {
        Self { presses: 0 }
    }

    fn update(&mut self, _: &Context<Self>, (): ()) -> bool {
        self.presses += 1;
        true
    }

    fn view(&self, context: &Context<Self>) -> Html {
        let count: Callback<MouseEvent> = context.link().callback(|_| ());
        html! {
            <>
                <button id="count" onclick={count}>{ self.presses }</button>
                <p><lead-light lead="a" label="Ada"></lead-light></p>
            </>
        }
    }
}

/// Draws the page.
#[wasm_bindgen(start)]
pub fn start() {
    let document = web_sys::window().and_then(|window| window.document());
    if let Some(root) = document.and_then(|document| document.get_element_by_id("app")) {
        Renderer::<Page>::with_root(root).render();
    }
}
