//! The operator's command line. Reads the environment, the clock and the terminal; all else is in the library.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight_functions::app::App;
use leadlight_functions::config::verifier_from_env;
use leadlight_support::drift::{Drift, Progress};
use leadlight_support::leads_file::LeadsFile;
use leadlight_support::plan::{Plan, PlanFile};
use leadlight_support::report::{self, Document};
use leadlight_support::verification::{self, FileVerification, Summary};

const ENVIRONMENT: &str = "Environment, as the functions have it:
  LEADLIGHT_TABLE, LEADLIGHT_ADDRESS_SECRET, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
  where they apply: AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_SESV2";

const VERIFY_ENVIRONMENT: &str = "Environment, where they apply, as the functions have it:
  LEADLIGHT_DNS, LEADLIGHT_BLOCKLISTS";

/// The operator's tools of Leadlight.
#[derive(Debug, Parser)]
#[command(name = "leadlight-support", version, after_help = ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Compare the record of an account with SES's suppression lists, and repair what differs.
    ///
    /// Changes nothing without --apply. Exits with 0 if nothing is left to repair, 1 if something is, 2 if it could not be found
    /// out.
    #[command(after_help = ENVIRONMENT)]
    Drift(DriftArgs),
    /// Verify every address of a CSV file, and write the file anew with what was found.
    ///
    /// Changes no lead and no table. An interrupted run is continued by the same command. Exits with 0 if every line has its verdict, 1 if some
    /// stayed inconclusive (the same command asks about those again), 2 if it could not be done.
    #[command(after_help = VERIFY_ENVIRONMENT)]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The file: comma-separated values with a header.
    file: PathBuf,
    /// The column of addresses; `email` or `address` if not given.
    #[arg(long)]
    column: Option<String>,
    /// What stands between two columns.
    #[arg(long, default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// Where the output goes; beside FILE, with `.verified` before its ending, if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where an unfinished run is kept; the output's name with `.state` behind it if not given. It holds addresses.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Domains a second, at most; with blocklists, addresses a second.
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// Domains at a time, at most.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Name servers to ask, such as 192.0.2.53:53, separated by commas; the system's if not given.
    #[arg(long, value_name = "SERVERS", value_delimiter = ',')]
    dns: Vec<SocketAddr>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [delimiter] if delimiter.is_ascii() && !b"\"\r\n".contains(delimiter) => Ok(*delimiter),
        _ if text == "\\t" => Ok(b'\t'),
        _ => Err("must be one ASCII character, or \\t".to_owned()),
    }
}

#[derive(Debug, Args)]
struct DriftArgs {
    /// The account.
    #[arg(long)]
    account: String,
    /// Repair what differs. A repair that was interrupted is continued.
    #[arg(long)]
    apply: bool,
    /// Calls to SES a second, at most. SES documents one a second for all callers of an AWS account and region.
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    rate: f64,
    /// A file of addresses, one a line, as the CRM has them. Finds those that Leadlight blocklists and SES would send to, and those on
    /// the shared list of which Leadlight has heard nothing yet.
    #[arg(long, value_name = "FILE")]
    addresses: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Where a repair is kept until it is done; `leadlight-drift-ACCOUNT.json` in this folder if not given. It holds addresses.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|rate| (0.01..=1000.0).contains(rate));
    rate.ok_or_else(|| "must be a number from 0.01 to 1000".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().tool {
        Tool::Drift(args) => {
            let progress = progress();
            let outcome = drift(&args, &progress).await;
            progress.clear();
            outcome
        }
        Tool::Verify(args) => {
            let progress = bar("verified");
            let outcome = verify(&args, &progress).await;
            progress.finish_and_clear();
            outcome
        }
    };
    outcome.unwrap_or_else(|error| {
        say(&format!("could not finish: {error:#}"));
        ExitCode::from(2)
    })
}

async fn drift(args: &DriftArgs, progress: &Progress) -> anyhow::Result<ExitCode> {
    let account = AccountId::parse(&args.account).context("read --account")?;
    let named = match &args.addresses {
        Some(file) => read_addresses(file)?,
        None => Vec::new(),
    };
    let app = App::from_env()?;
    let default = || PathBuf::from(format!("leadlight-drift-{account}.json"));
    let file = PlanFile::new(args.state.clone().unwrap_or_else(default));
    let drift = Drift::open(
        &app,
        account.clone(),
        args.rate,
        Timestamp::now,
        progress.clone(),
    )
    .await?;

    let unfinished = file.load(&account)?;
    if args.apply
        && let Some(plan) = unfinished
    {
        say(&format!(
            "continuing the repair of {:.0}: {} of {} addresses are done",
            plan.surveyed_at,
            plan.done(),
            plan.total()
        ));
        let plan = repair(&drift, plan, &file).await?;
        progress.clear();
        print(args.json, &Document::new(None, Some(&plan)), || {
            report::repair(&plan)
        })?;
        return Ok(left(plan.failed.len()));
    }

    let survey = drift.survey(&named).await?;
    let plan = survey.plan();
    if !args.json {
        write(&report::survey(&survey))?;
    }
    if !args.apply {
        if args.json {
            print(true, &Document::new(Some(&survey), None), String::new)?;
        } else if plan.total() > 0 {
            write(&format!(
                "\nNothing was changed. Addresses that --apply repairs, at {} calls to SES a second: {}\n",
                args.rate,
                plan.total()
            ))?;
        }
        if let Some(plan) = unfinished {
            say(&format!(
                "{} is an unfinished repair of {} addresses; --apply continues it",
                file.path().display(),
                plan.open.len() + plan.failed.len()
            ));
        }
        return Ok(left(plan.total()));
    }
    let plan = repair(&drift, plan, &file).await?;
    progress.clear();
    print(
        args.json,
        &Document::new(Some(&survey), Some(&plan)),
        || format!("\n{}", report::repair(&plan)),
    )?;
    Ok(left(plan.failed.len()))
}

/// Repairs until it is done or interrupted, and says how an interrupted one goes on.
async fn repair(drift: &Drift<'_>, mut plan: Plan, file: &PlanFile) -> anyhow::Result<Plan> {
    let total = plan.total();
    let outcome = tokio::select! {
        outcome = drift.repair(&mut plan, file) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    outcome.with_context(|| {
        format!(
            "stopped with {} of {total} addresses done; the same command goes on from there, by {}",
            plan.done(),
            file.path().display()
        )
    })?;
    Ok(plan)
}

async fn verify(args: &VerifyArgs, progress: &ProgressBar) -> anyhow::Result<ExitCode> {
    let verifier = verifier_from_env(&args.dns)?;
    let leads = LeadsFile::open(&args.file, args.column.as_deref(), args.delimiter)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| verified_beside(&args.file));
    if std::path::absolute(&output)? == std::path::absolute(&args.file)? {
        bail!("--output names the file itself");
    }
    let state = args.state.clone().unwrap_or_else(|| {
        let mut name = OsString::from(&output);
        name.push(".state");
        PathBuf::from(name)
    });
    let settings = verification::Settings {
        output: output.clone(),
        state: state.clone(),
        rate: args.rate,
        at_once: usize::from(args.at_once),
    };
    let run = FileVerification::open(leads, settings, progress.clone(), Timestamp::now())?;
    if let Some((count, since)) = run.continues() {
        say(&format!(
            "continuing the verification of {since:.0}: {count} addresses are done"
        ));
    }
    let done = tokio::select! {
        done = run.run(&verifier) => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let summary = done.with_context(|| {
        let state = state.display();
        format!("stopped; the same command goes on from there, by {state}")
    })?;
    progress.finish_and_clear();
    tell(args.json, &summary, &output)?;
    Ok(left(summary.inconclusive()))
}

fn tell(is_json: bool, summary: &Summary, output: &Path) -> anyhow::Result<()> {
    if is_json {
        write(&(serde_json::to_string_pretty(summary)? + "\n"))?;
    } else {
        write(&summary.to_string())?;
    }
    say(&format!("written: {}", output.display()));
    if summary.inconclusive() > 0 {
        say(&format!(
            "nothing could be found out for {} lines; the same command asks about those again",
            summary.inconclusive()
        ));
    }
    Ok(())
}

/// `leads.csv` becomes `leads.verified.csv`.
fn verified_beside(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(".verified");
    if let Some(ending) = file.extension() {
        name.push(".");
        name.push(ending);
    }
    file.with_file_name(name)
}

fn left(count: usize) -> ExitCode {
    ExitCode::from(u8::from(count > 0))
}

/// One address a line. Blank lines are skipped; a line that is no address is told and skipped.
fn read_addresses(file: &Path) -> anyhow::Result<Vec<Address>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("read {name}"))?;
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let mut addresses = Vec::new();
    for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
        match Address::parse_mailbox(line) {
            Ok(address) => addresses.push(address),
            Err(error) => say(&format!("{name}:{number}: skipped, {error}")),
        }
    }
    if addresses.is_empty() {
        bail!("{name} holds no address");
    }
    Ok(addresses)
}

fn progress() -> Progress {
    let counter = ProgressBar::new_spinner().with_message("SES's lists");
    counter.set_style(style("{spinner} {msg}: {human_pos} entries {elapsed:.dim}"));
    Progress {
        listing: counter,
        lookup: bar("compared"),
        repair: bar("repaired"),
    }
}

fn bar(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(message);
    bar.set_style(style(
        "{msg}: {wide_bar} {human_pos}/{human_len} {eta:.dim}",
    ));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn print(
    is_json: bool,
    document: &Document<'_>,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if is_json {
        write(&(serde_json::to_string_pretty(document)? + "\n"))
    } else {
        write(&text())
    }
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("write the report")
}

#[expect(
    clippy::print_stderr,
    reason = "what is no part of the report, for the terminal"
)]
fn say(text: &str) {
    eprintln!("leadlight-support: {text}");
}
