//! `cargo dev simulate`: the functions in a simulated world, where time, chance and every fault follow from a seed.
//!
//! The real code runs on the official clients and the embedded engine; requests are lost, late, doubled and refused, invocations
//! die anywhere, notifications come twice and in any order. Whatever happens: nothing acknowledged is lost, no complaint is
//! cleared but by support, nothing is sent to a blocked address, and in the end statuses are those of a plain sequential oracle.

#![expect(clippy::print_stdout, reason = "a trace is for a terminal")]

mod carrier;
#[cfg(test)]
mod faults;
mod mail;
mod model;
mod story;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use leadlight_dev::template;
use leadlight_functions::table::definition::Definition;
use leadlight_functions::table::item::{AddressSecret, ShortSecret};
use tokio::task::LocalSet;

/// The account that everything happens in.
pub(crate) const ACCOUNT: &str = "acme";

/// A mistake, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plant {
    /// The table stores evidence whatever its version.
    SkipVersion,
    /// The table sometimes says that evidence is stored before it is, and then it is not.
    AcknowledgeFirst,
    /// The oracle takes a release for stronger than a complaint.
    ForgivingOracle,
}

/// What became of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// The hash of all that happened, in order.
    pub trace: u64,
    /// How many requests something befell.
    pub faults: u64,
    /// What must not have happened.
    pub violations: Vec<String>,
}

/// What became of many seeds.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many were run.
    pub runs: u64,
    /// How many faults befell requests in all of them.
    pub faults: u64,
    /// The runs in which something happened that must not.
    pub failed: Vec<Run>,
    /// The hashes of all traces, put together in the order of the seeds.
    pub traces: u64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// The first seed in which something was found.
    #[must_use]
    pub fn first(&self) -> Option<&Run> {
        self.failed.iter().min_by_key(|run| run.seed)
    }
}

impl core::fmt::Display for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (seed, faults, trace) = (self.seed, self.faults, self.trace);
        write!(f, "seed {seed}: {faults} faults, trace {trace:016x}")?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

impl core::fmt::Display for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for run in &self.failed {
            writeln!(f, "seed {}: {}", run.seed, run.violations.join("; "))?;
            writeln!(f, "  cargo dev simulate --seed {} --trace", run.seed)?;
        }
        let (runs, faults, violated) = (self.runs, self.faults, self.failed.len());
        let (took, traces) = (self.took.as_secs_f32(), self.traces);
        write!(
            f,
            "{runs} seeds, {faults} faults, {violated} seeds with violations, {took:.1} s; traces {traces:016x}"
        )
    }
}

/// Runs one seed. With `shows_trace`, what happens is printed as it happens.
///
/// # Errors
/// When the world cannot be set up.
pub fn run(seed: u64, plant: Option<Plant>, shows_trace: bool) -> anyhow::Result<Run> {
    run_on(&template::table()?, seed, plant, shows_trace)
}

fn run_on(
    table: &Definition,
    seed: u64,
    plant: Option<Plant>,
    shows_trace: bool,
) -> anyhow::Result<Run> {
    // The functions and the SDK draw their pauses and names from here.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("start a runtime")?;
    let story = Box::pin(story::tell(table, seed, plant, shows_trace));
    LocalSet::new().block_on(&runtime, story)
}

/// Runs many seeds on `threads` threads; with a planted mistake, until it is found.
///
/// # Errors
/// When a world cannot be set up.
pub fn run_all(
    seeds: Range<u64>,
    plant: Option<Plant>,
    threads: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let table = template::table()?;
    let (next, is_over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let runs = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        while !is_over.load(Ordering::SeqCst) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                break;
            }
            let run =
                run_on(&table, seed, plant, false).with_context(|| format!("run seed {seed}"))?;
            if plant.is_some() && !run.violations.is_empty() {
                is_over.store(true, Ordering::SeqCst);
            }
            bar.inc(1);
            runs.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(run);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let joined = thread.join();
            joined.unwrap_or_else(|_| Err(anyhow::anyhow!("a simulation panicked")))
        })
    })?;
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|run| run.seed);
    Ok(Report {
        runs: u64::try_from(runs.len()).unwrap_or(u64::MAX),
        faults: runs.iter().map(|run| run.faults).sum(),
        traces: runs
            .iter()
            .fold(0, |all: u64, run| all.rotate_left(1) ^ run.trace),
        failed: runs
            .into_iter()
            .filter(|run| !run.violations.is_empty())
            .collect(),
        took: started.elapsed(),
    })
}

/// How far many runs are.
///
/// # Errors
/// Never, as long as the style is one.
pub fn progress(seeds: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(seeds).with_style(style))
}

/// The secret of address keys in every world.
fn address_secret() -> Result<AddressSecret, ShortSecret> {
    AddressSecret::new("a-simulated-secret-that-protects-nobody")
}

fn show(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_takes_the_same_course() {
        for seed in 0..6 {
            let runs = [(); 2].map(|()| run(seed, None, false).unwrap());
            let [first, second] = runs;
            assert!(first.faults > 0, "{first:?}");
            assert_eq!(first, second);
        }
        assert_ne!(
            run(1, None, false).unwrap().trace,
            run(2, None, false).unwrap().trace
        );
    }

    #[test]
    fn nothing_is_found_where_nothing_is_planted() {
        let report = run_all(0..24, None, 2, &ProgressBar::hidden()).unwrap();
        assert!(report.failed.is_empty(), "{report}");
        assert_eq!(report.runs, 24);
    }

    /// A plant ends the runs early, and one of its violations is told by `word`.
    #[track_caller]
    fn finds(plant: Plant, word: &str) {
        let report = run_all(0..1_000, Some(plant), 2, &ProgressBar::hidden()).unwrap();
        assert!(report.first().is_some() && report.runs < 1_000, "{report}");
        let mut violations = (0..1_000)
            .map(|seed| run(seed, Some(plant), false).unwrap())
            .flat_map(|run| run.violations);
        assert!(violations.any(|violation| violation.contains(word)));
    }

    #[test]
    fn a_table_that_skips_versions_is_found() {
        finds(Plant::SkipVersion, "acknowledged");
    }

    #[test]
    fn an_acknowledgement_before_the_write_is_found() {
        finds(Plant::AcknowledgeFirst, "acknowledged");
    }

    #[test]
    fn a_release_that_beats_a_complaint_is_told_from_one_that_does_not() {
        finds(Plant::ForgivingOracle, "oracle");
    }
}
