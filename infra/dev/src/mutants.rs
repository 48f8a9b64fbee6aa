//! `cargo dev mutants`: breaks the domain in every way that cargo-mutants knows, one at a time, and sees whether its tests notice.
//!
//! It takes an hour or two, and is no part of `cargo dev test`; for what was touched, `--file` is a matter of minutes. What no test can
//! notice, because it makes no difference, is listed in `.cargo/mutants.toml` with the reason.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::{progress, tools, workspace};

/// The package of the domain, which has no SDK to be built again for each mutant.
const DOMAIN: &str = "leadlight";
/// How many cases the property tests try with each mutant: what breaks a law breaks it soon, and there are hundreds of runs.
const CASES: &str = "48";
/// The most mutants that may survive, of a hundred that can be built.
const MOST_SURVIVORS_PERCENT: u32 = 3;

/// What became of the mutants, as cargo-mutants writes it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Mutants {
    missed: u32,
    caught: u32,
    timeout: u32,
    unviable: u32,
}

/// Runs the tests on every mutant, or on those in `files`, which are paths from the root of the repository or patterns.
///
/// # Errors
/// When cargo-mutants cannot be installed or run, or more mutants survive than may.
pub fn run(files: &[String]) -> anyhow::Result<Mutants> {
    let program = progress::step("cargo-mutants is there", tools::cargo_mutants)?;
    let folder = workspace::target();
    let mut mutants = std::process::Command::new(program);
    mutants
        .current_dir(workspace::root())
        .args(["mutants", "--package", DOMAIN, "--no-shuffle"])
        .args(["--minimum-test-timeout", "120", "--output"])
        .arg(&folder)
        .env("PROPTEST_CASES", CASES)
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    // It ends at the first test that fails, where `cargo test` ends with the first program.
    if has_nextest() {
        mutants.args(["--test-tool", "nextest"]);
    }
    for file in files {
        mutants.args(["--file", file]);
    }
    let status = mutants.status().context("start cargo-mutants")?;
    let outcomes = folder.join("mutants.out/outcomes.json");
    let found = Mutants::read(&outcomes)
        .with_context(|| format!("read what became of the mutants ({status})"))?;
    found.check()?;
    Ok(found)
}

fn has_nextest() -> bool {
    let asked = tools::cargo().args(["nextest", "--version"]).output();
    asked.is_ok_and(|answer| answer.status.success())
}

impl Mutants {
    fn read(outcomes: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(outcomes)
            .with_context(|| format!("read {}", outcomes.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn check(self) -> anyhow::Result<()> {
        let viable = self.missed + self.caught + self.timeout;
        if viable == 0 {
            bail!("no mutant could be built");
        }
        if self.missed * 100 > viable * MOST_SURVIVORS_PERCENT {
            bail!(
                "{self}: more than {MOST_SURVIVORS_PERCENT} % survive; they are in target/mutants.out/missed.txt"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Mutants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let viable = self.missed + self.caught + self.timeout;
        let per_cent = f64::from(self.missed) * 100.0 / f64::from(viable.max(1));
        write!(
            f,
            "{} of {viable} mutants survive ({per_cent:.1} %); {} more cannot be built",
            self.missed, self.unviable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_a_hundred_may_survive() {
        let check = |missed, caught, timeout| {
            let mutants = Mutants {
                missed,
                caught,
                timeout,
                unviable: 5,
            };
            mutants.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(3, 96, 1), Ok(()));
        assert_eq!(
            check(4, 95, 1),
            Err("4 of 100 mutants survive (4.0 %); 5 more cannot be built: more than 3 % survive; they are in target/mutants.out/missed.txt".to_owned())
        );
        assert_eq!(check(0, 1, 0), Ok(()));
        assert_eq!(check(0, 0, 0), Err("no mutant could be built".to_owned()));
    }
}
