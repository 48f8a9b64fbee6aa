//! The Lambda functions of Leadlight: thin flows over one spine, on one table.
//!
//! Each flow is a module named as its binary: [`feedback`] turns what SES publishes into evidence, [`subscriber`] lets it in by
//! HTTPS, [`leads`] saves and shows leads, [`statuses`] answers the widget, [`rechecks`] is Check again, [`sends`] is the gate,
//! [`verifications`] answers forms, and [`reverifications`] verifies by itself what could not be verified when it was saved. They
//! parse, load, merge, assess, commit and reply; the rules themselves are in the crate `leadlight`. Each is given an [`app`] with what
//! it asks and no more. Nothing here knows whether it runs in AWS or on one machine.

pub mod access;
pub mod accounts;
pub mod app;
pub mod apply;
pub mod changes;
pub mod config;
pub mod deliveries;
mod due;
pub mod event_bus;
mod exchange;
pub mod feedback;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod insights;
pub mod invocation;
pub mod jwt;
mod kept;
pub mod leads;
pub mod limits;
pub mod openapi;
pub mod permit;
pub mod problem;
pub mod rechecks;
pub mod reputation;
pub mod reverifications;
#[cfg(test)]
mod rig;
pub mod security;
pub mod sends;
pub mod statuses;
pub mod subscriber;
pub mod suppression_list;
pub mod table;
mod tls;
pub mod verifications;
pub mod verifier;
pub mod webhooks;
