//! Everything that runs and tests Leadlight on one machine: engines, stand-ins for AWS and DNS, the demo CRM, the checks.
//!
//! Nothing here ships, and nothing that ships knows of it: the functions reach the stand-ins through the endpoints of their
//! environment, as they reach AWS. Everything listens on 127.0.0.1 only.

pub mod account;
pub mod accuracy;
mod aws;
pub mod bench;
pub mod checks;
pub mod contract;
pub mod crm;
pub mod demo;
pub mod dependencies;
pub mod disposable;
pub mod dns;
pub mod engine;
mod environments;
pub mod event_bus;
mod execution;
pub mod faults;
pub mod fuzz;
pub mod gateway;
pub mod lambdas;
pub mod ledger;
pub mod load;
pub mod logs;
pub mod mutants;
pub mod npm;
pub mod openapi;
pub mod package;
pub mod pages;
pub mod progress;
pub mod queue;
pub mod receiver;
pub mod runtime_api;
pub mod sbom;
pub mod ses;
pub mod simulation;
pub mod sns;
pub mod stack;
pub mod table_stream;
mod task;
pub mod template;
pub mod tools;
pub mod widget;
pub mod workspace;
