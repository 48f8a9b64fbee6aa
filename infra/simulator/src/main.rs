//! `cargo dev simulate`, as a program of its own: it is built to run fast, in a profile of its own.

#![expect(
    clippy::print_stdout,
    reason = "a command line tool speaks to its terminal"
)]

use std::process::ExitCode;

use clap::Parser;
use leadlight_simulator::{Plant, progress, run, run_all};

/// Runs the functions in simulated worlds full of faults, a world for each seed.
#[derive(Parser)]
#[command(name = "cargo dev simulate", bin_name = "cargo dev simulate")]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this one alone.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Print what happens in it.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plant a mistake, and stop where it is found.
    #[arg(long)]
    plant: Option<Plant>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let is_clean = if let Some(seed) = args.seed {
        let run = run(seed, args.plant, args.trace)?;
        println!("{run}");
        run.violations.is_empty()
    } else {
        let seeds = args.from..args.from.saturating_add(args.seeds);
        let bar = progress(args.seeds)?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let report = run_all(seeds, args.plant, threads, &bar);
        bar.finish_and_clear();
        let report = report?;
        println!("{report}");
        report.failed.is_empty()
    };
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
