//! Everything that runs and tests Leadlight on one machine: engines, stand-ins for AWS and DNS, the demo CRM, the checks.
//!
//! Nothing here ships, and nothing that ships knows of it: the functions reach the stand-ins through the endpoints of their
//! environment, as they reach AWS. Everything listens on 127.0.0.1 only.

mod aws;
pub mod dns;
pub mod engine;
pub mod ledger;
pub mod queue;
pub mod runtime_api;
pub mod ses;
mod task;
