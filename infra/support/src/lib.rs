//! The operator's tools: [`drift`] holds Leadlight's record against Amazon SES's own lists, [`verification`] verifies whole files.
//!
//! They read and write through the functions' own table, list and DNS calls, so that what they do is what a function would have
//! done. Nothing here runs in AWS, and no function knows of it.

pub mod comparison;
pub mod drift;
pub mod journal;
pub mod leads_file;
mod pace;
pub mod plan;
pub mod report;
pub mod verification;
