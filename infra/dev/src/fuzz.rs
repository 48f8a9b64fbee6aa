//! `cargo dev fuzz`: tries what reads other people's octets with libFuzzer, from the seeds in `tests/fuzz/corpus` on.
//!
//! What is tried, and what has to hold, is in `leadlight_functions::fuzzing`. Only our own crates are compiled anew, by
//! `tests/fuzz/instrument`. What a run finds interesting is kept below `target/fuzz`, and the next one goes on from there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::progress::Progress;
use crate::{tools, workspace};

/// What can be tried.
pub const TARGETS: [&str; 6] = [
    "address",
    "body",
    "envelope",
    "notification",
    "sns_message",
    "token",
];
/// For how long each is tried, unless it is said.
pub const SECONDS: u32 = 10;
/// The most octets of an input: all that is read fits, and small inputs are tried more often.
const MOST_OCTETS: u32 = 4_096;
/// The longest that one input may take; the tests' longest takes a thousandth.
const MOST_SECONDS: u32 = 5;

/// Tries `targets`, each for about so long.
///
/// # Errors
/// When a promise is broken; what broke it is kept in a file that is named.
pub fn run(targets: &[&str], time: Duration, progress: &Progress) -> anyhow::Result<()> {
    build(progress)?;
    for target in targets {
        progress.say(target);
        let folder = workspace::target().join("fuzz").join(target);
        let (found, grown) = (folder.join("found"), folder.join("corpus"));
        for folder in [&found, &grown] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("create {}", folder.display()))?;
        }
        let mut trying = Command::new(program(target));
        trying
            .arg(format!("-max_total_time={}", time.as_secs().max(1)))
            .arg(format!("-max_len={MOST_OCTETS}"))
            .arg(format!("-timeout={MOST_SECONDS}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .arg("-print_final_stats=1")
            .arg(&grown)
            .args(seeds(target))
            .current_dir(workspace::root());
        progress
            .run(&mut trying)
            .with_context(|| format!("{target}: what broke it is in {}", found.display()))?;
    }
    Ok(())
}

/// Builds all programs: our own crates for libFuzzer, everybody else's as for the tests.
fn build(progress: &Progress) -> anyhow::Result<()> {
    let mut cargo = tools::cargo();
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", instrument())
        // The whole workspace, so that what it depends on has the tests' features and is there already.
        .args([
            "build",
            "--workspace",
            "--features",
            "leadlight-fuzz/libfuzzer",
        ]);
    for target in TARGETS {
        cargo.args(["--bin", target]);
    }
    progress.run(&mut cargo)?;
    ensure!(
        TARGETS.iter().all(|target| program(target).is_file()),
        "cargo built no fuzz targets"
    );
    Ok(())
}

fn instrument() -> PathBuf {
    workspace::root().join("tests/fuzz/instrument")
}

fn program(target: &str) -> PathBuf {
    workspace::target().join("debug").join(target)
}

/// The folders of what a target begins with.
fn seeds(target: &str) -> Vec<PathBuf> {
    let tests: &Path = &workspace::root().join("tests");
    let mut folders = vec![tests.join("fuzz/corpus").join(target)];
    if ["envelope", "notification"].contains(&target) {
        folders.push(tests.join("fixtures"));
    }
    folders
}
