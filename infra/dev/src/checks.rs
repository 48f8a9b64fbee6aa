//! `cargo dev test`: every check that a change has to pass, in the order in which they fail fastest.
//!
//! Nothing is checked here that `cargo test` alone would not find, but for the lints, the documentation and the API's answers to what
//! is made from its description: the tests fetch and
//! build what they need by themselves, and this only does it beforehand, where it can be seen.

#![expect(
    clippy::print_stdout,
    reason = "this is the terminal's side of `cargo dev`"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::dependencies::{self, Advisories};
use crate::progress::{self, Progress};
use crate::tools::{self, WASM_TARGET, WasmToolchain};
use crate::{contract, fuzz, lambdas, load, logs, pages, simulation, widget};

/// A check that was made.
struct Made {
    label: &'static str,
    took: Duration,
    passed: bool,
}

/// Runs every check, or only the tests whose names hold `filter`.
///
/// # Errors
/// When a check fails; all the others are made all the same.
pub fn run(filter: Option<&str>) -> anyhow::Result<()> {
    if filter.is_some() {
        test(filter)?;
        return logs::search(&logs::folder())?.check();
    }
    let mut made = Vec::new();
    let mut check = |label, work: &dyn Fn(&Progress) -> anyhow::Result<()>| {
        made.push(make(label, work));
    };

    check("clippy and rustfmt are there", &tools::lints);
    check("formatting", &|progress| {
        progress.run(tools::cargo().args(["fmt", "--all", "--check"]))
    });
    check("a Rust for wasm is there", &|progress| {
        tools::wasm_toolchain(progress).map(drop)
    });
    check("Java and DynamoDB Local are there", &|progress| {
        tools::dynamodb_local(progress).map(drop)
    });
    check(
        "the template's rules, cargo-lambda and schemathesis are there",
        &|progress| tools::python(progress).map(drop),
    );
    check("Chromium is there", &|progress| {
        tools::browser(progress).map(drop)
    });
    check("cargo-deny is there", &|progress| {
        tools::cargo_deny(progress).map(drop)
    });
    check(
        "licences, bans and sources of dependencies",
        &dependencies::check,
    );
    check("advisories about dependencies", &|progress| {
        match dependencies::check_advisories(progress)? {
            Advisories::Checked => {}
            Advisories::Unreachable => progress
                .tell("not checked: github.com/RustSec/advisory-db cannot be fetched from here"),
        }
        Ok(())
    });
    check("lints", &|progress| {
        progress.run(tools::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    check("lints for wasm", &lint_wasm);
    check("documentation", &|progress| {
        let mut doc = tools::cargo();
        progress.run(doc.env("RUSTDOCFLAGS", "-D warnings").args([
            "doc",
            "--workspace",
            "--no-deps",
        ]))
    });
    check("the widget builds", &|progress| {
        widget::build(progress).map(drop)
    });
    check("the examples build", &pages::build);
    check("the functions build", &|progress| {
        lambdas::build(progress).map(drop)
    });
    check("the tests build", &|progress| {
        progress.run(tools::cargo().args(["test", "--workspace", "--no-run"]))
    });
    check("the API is as described", &|progress| {
        let time = Duration::from_secs(contract::SECONDS.into());
        contract::check(time, contract::SEED, progress)
    });
    check("a fuzzer finds nothing", &|progress| {
        fuzz::run(
            &fuzz::TARGETS,
            Duration::from_secs(fuzz::SECONDS.into()),
            progress,
        )
    });
    check(
        "clients at once, with faults under the functions",
        &load::check,
    );
    check("the simulator builds", &simulation::build);
    check("10,000 simulated worlds", &simulation::check);
    let started = Instant::now();
    println!("  tests");
    let tested = test(None);
    made.push(Made {
        label: "tests",
        took: started.elapsed(),
        passed: tested.is_ok(),
    });
    made.push(make("no address and no secret in any log", &search_logs));

    sum_up(&made)
}

/// Says how every check went.
fn sum_up(made: &[Made]) -> anyhow::Result<()> {
    println!();
    for check in made {
        let mark = if check.passed { "✓" } else { "✗" };
        println!(
            "{mark} {:>7.1} s  {}",
            check.took.as_secs_f32(),
            check.label
        );
    }
    let failed = made.iter().filter(|check| !check.passed).count();
    if failed > 0 {
        bail!("{failed} of {} checks failed", made.len());
    }
    println!("All checks passed.");
    Ok(())
}

fn make(label: &'static str, work: &dyn Fn(&Progress) -> anyhow::Result<()>) -> Made {
    let started = Instant::now();
    let result = progress::step(label, work);
    if let Err(error) = &result {
        println!("{error:#}\n");
    }
    Made {
        label,
        took: started.elapsed(),
        passed: result.is_ok(),
    }
}

/// Searches what the tests had logged; how much that was is worth a line.
fn search_logs(progress: &Progress) -> anyhow::Result<()> {
    let searched = logs::search(&logs::folder())?;
    searched.check()?;
    searched.check_complete()?;
    progress.tell(&searched.to_string());
    Ok(())
}

/// Clippy comes with rustup's toolchain only; Debian's compiler denies at least its own warnings.
fn lint_wasm(progress: &Progress) -> anyhow::Result<()> {
    let toolchain = tools::wasm_toolchain(progress)?;
    let mut cargo = toolchain.cargo();
    let packages = [
        "--package",
        "leadlight",
        "--package",
        "leadlight-view",
        "--package",
        "leadlight-bubbles",
        "--package",
        "leadlight-popover",
        "--target",
        WASM_TARGET,
    ];
    match toolchain {
        WasmToolchain::Installed => cargo
            .arg("clippy")
            .args(packages)
            .args(["--", "-D", "warnings"]),
        WasmToolchain::Debian => cargo
            .arg("check")
            .args(packages)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
            .env("RUSTFLAGS", "-D warnings"),
    };
    progress.run(&mut cargo)
}

/// Runs the tests with their output as it comes, and keeps what they log.
fn test(filter: Option<&str>) -> anyhow::Result<()> {
    let mut command: Command = tools::cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(filter)
        .env(logs::FOLDER, logs::begin()?)
        .stdin(Stdio::null());
    let status = command.status().context("start `cargo test`")?;
    if !status.success() {
        bail!("`{}` failed", progress::describe(&command));
    }
    Ok(())
}
