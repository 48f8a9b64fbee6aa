//! The operator's command line. Reads the environment, the clock and the terminal; all else is in the library.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight_functions::config::{App, Settings};
use leadlight_support::drift::{Drift, Progress};
use leadlight_support::plan::{Plan, PlanFile};
use leadlight_support::report::{self, Document};

const ENVIRONMENT: &str = "Environment, as the functions have it:
  LEADLIGHT_TABLE, LEADLIGHT_ADDRESS_SECRET, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
  where they apply: AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_SESV2";

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
    let Tool::Drift(args) = Cli::parse().tool;
    let progress = progress();
    let outcome = drift(&args, &progress).await;
    progress.clear();
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
    let app = App::new(&Settings::from_env()?)?;
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
    let bar = |message: &'static str| {
        let bar = ProgressBar::new(0).with_message(message);
        bar.set_style(style(
            "{msg}: {wide_bar} {human_pos}/{human_len} {eta:.dim}",
        ));
        bar
    };
    Progress {
        listing: counter,
        lookup: bar("compared"),
        repair: bar("repaired"),
    }
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
