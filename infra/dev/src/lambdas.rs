//! The functions as built binaries, for tests that run them behind a [`RuntimeApi`](crate::runtime_api::RuntimeApi).

use std::path::PathBuf;

use crate::progress::Progress;
use crate::{tools, workspace};

/// Every function's binary.
pub const FUNCTIONS: [&str; 7] = [
    "feedback",
    "leads",
    "statuses",
    "rechecks",
    "sends",
    "verifications",
    "reverifications",
];

/// Builds the binaries if anything changed, and answers their folder. Without optimisation: for behaviour, not for speed.
///
/// # Errors
/// When the build fails.
pub fn build(progress: &Progress) -> anyhow::Result<PathBuf> {
    let _alone = tools::alone("lambdas")?;
    // The whole workspace, so that the SDK is built once with one set of features for everything.
    progress.run(tools::cargo().args(["build", "--workspace", "--bins"]))?;
    Ok(workspace::target().join("debug"))
}
