//! The simulator, which is a program of its own in a build of its own.

use std::process::Command;

use crate::progress::Progress;
use crate::tools;

/// How many worlds `cargo dev test` simulates.
const SEEDS: u64 = 10_000;

/// The simulator; built first where it is not.
#[must_use]
pub fn command() -> Command {
    let mut cargo = tools::cargo();
    cargo.args(["run", "--quiet", "--profile", "simulated"]);
    cargo.args(["--package", "leadlight-simulator", "--"]);
    cargo
}

/// Builds it.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build(progress: &Progress) -> anyhow::Result<()> {
    let profile = ["build", "--profile", "simulated"];
    let package = ["--package", "leadlight-simulator"];
    progress.run(tools::cargo().args(profile).args(package))
}

/// Simulates [`SEEDS`] worlds.
///
/// # Errors
/// When something happens in one of them that must not; the end of its output says in which.
pub(crate) fn check(progress: &Progress) -> anyhow::Result<()> {
    let seeds = SEEDS.to_string();
    progress.run(command().args(["--seeds", seeds.as_str()]))
}
