//! The domain of Leadlight: what is known about an email address, and the status that adds up to.
//!
//! A status is a pure function of evidence: [`feedback`] turns what SES publishes into [`evidence`], evidence grows only
//! by [`evidence::AddressRecord::merge`], which is a join, and [`assessment::assess`] reads the status from it. This
//! crate never asks the time, never does I/O and never draws a random number; all of that is passed in.

pub mod account;
pub mod address;
pub mod api;
pub mod assessment;
pub mod change;
mod codes;
pub mod evidence;
pub mod feedback;
pub mod gate;
pub mod lead;
pub mod log;
pub mod policy;
pub mod reputation;
pub mod verification;
