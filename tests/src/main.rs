//! The flows, end to end: each on the embedded engine and on DynamoDB Local, with SES and DNS stood in for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests state cases, and end at the first surprise"
)]

mod browser;
mod envelopes;
mod host;
mod notifications;
mod openapi;
mod proxy;
mod tokens;
mod world;

mod access;
mod bad_input;
mod bursts;
mod cargo_lambda;
mod changes;
mod compose;
mod drift;
mod embedding;
mod examples;
mod feedback;
mod gallery;
mod gate;
mod insights;
mod lambda;
mod lead_form;
mod leads;
mod leads_file;
mod limits;
mod local_stack;
mod origins;
mod package;
mod rechecks;
mod reputation;
mod reputation_page;
mod reverifications;
mod roles;
mod secrets;
mod start_up;
mod statuses;
mod story;
mod subscriber;
mod table;
mod texts;
mod threats;
mod verification;
mod webhooks;
