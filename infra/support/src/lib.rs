//! The operator's tools. So far there is one: [`drift`], which holds Leadlight's record against Amazon SES's own lists.
//!
//! They read and write through the functions' own table and list calls, so that what they repair is what a function would have
//! done. Nothing here runs in AWS, and no function knows of it.

pub mod comparison;
pub mod drift;
mod pace;
pub mod plan;
pub mod report;
