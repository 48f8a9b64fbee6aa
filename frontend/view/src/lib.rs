//! What both modules of the widget know: how a status looks and what can go wrong.
//!
//! It draws nothing, asks nobody and never asks the time. Codes and rules are those of `leadlight`, so that server and widget
//! cannot disagree.

pub mod face;
pub mod fault;
