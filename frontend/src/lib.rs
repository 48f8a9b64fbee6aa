//! The `<lead-light>` element: the email status of a lead as a bubble in any page.
//!
//! Everything that is decided or drawn is decided and drawn here; `embed/lead-light.js` only registers the element and forwards
//! its lifecycle. Bubbles are plain DOM, two nodes each; Yew owns the one popover of the page. Nothing here throws into the
//! page, keeps a listener per row, or knows more of a lead than its id and its status.

pub mod element;

mod bubble;
mod client;
mod dates;
mod popover;
mod statuses;
mod texts;
