//! `cargo dev`: runs Leadlight on this machine, tests it, and mints tokens for it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks to its terminal"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::lead::LeadId;
use leadlight_dev::account::{LocalAccount, MAX_SERVER_MINUTES, MAX_WIDGET_MINUTES, SERVER_SCOPE};
use leadlight_dev::package::Processor;
use leadlight_dev::queue::{Chaos, QueueSettings};
use leadlight_dev::ses::SesSettings;
use leadlight_dev::stack::{DEMO, Functions, Stack, StackSettings, StackStatus};
use leadlight_dev::{
    accuracy, bench, checks, contract, demo, disposable, dns, fuzz, lambdas, load, logs, mutants,
    openapi, package, pages, progress, simulation, tools, widget, workspace,
};
use leadlight_functions::config;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Runs and tests Leadlight on this machine.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds and starts everything on 127.0.0.1: the demo CRM, the API, and stand-ins for AWS.
    Up(Up),
    /// Ends what `cargo dev up --detach` started.
    Down,
    /// Says what runs.
    Status,
    /// Makes every check, or runs only the tests whose names hold the filter.
    Test {
        /// A part of the names of the tests to run.
        filter: Option<String>,
    },
    /// Prints an access token for the local API.
    Token(TokenArgs),
    /// Compares our reading of addresses with a suite of others, without DNS.
    Accuracy {
        /// Lines of `address<TAB>expected`: the address as a JSON string, expected `valid` or `invalid`.
        suite: PathBuf,
        /// Fail where we agree on fewer rows than so many per cent.
        #[arg(long, default_value_t = 99, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
        at_least: u8,
    },
    /// Takes a newer list of throwaway domains from the Python package index, and says what it changed.
    Disposable,
    /// Writes the description of the API from the types, after these or an answer changed.
    #[command(name = "openapi")]
    OpenApi,
    /// Holds the local API to its description, by requests that are made from it.
    Contract {
        /// For about so long; the longer, the more is asked.
        #[arg(long, default_value_t = contract::SECONDS)]
        seconds: u32,
        /// Other requests for another number.
        #[arg(long, default_value_t = contract::SEED)]
        seed: u32,
    },
    /// Tries what reads other people's octets with a fuzzer.
    Fuzz {
        /// What to try; everything if it is not said.
        #[arg(value_parser = fuzz::TARGETS)]
        target: Option<String>,
        /// For how long each is tried.
        #[arg(long, default_value_t = fuzz::SECONDS)]
        seconds: u32,
    },
    /// Builds the widget into target/widget.
    Widget {
        /// Print what every file weighs: raw, by gzip and by brotli.
        #[arg(long)]
        sizes: bool,
    },
    /// Builds and checks what is uploaded: the functions' zips and the widget's files, into target/package.
    Package {
        /// The processors to build the functions for; all of them if none is named.
        #[arg(long = "processor")]
        processors: Vec<Processor>,
    },
    /// Runs the functions in simulated worlds full of faults, a world for each seed: `--seeds N`, or `--seed S --trace`.
    #[command(disable_help_flag = true)]
    Simulate {
        /// What the simulator is told; `--help` says what that may be.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Has many clients at once play stories on the local stack, with faults under the functions.
    Load {
        /// How many clients.
        #[arg(long, default_value_t = 200)]
        clients: u32,
        /// For how many seconds they begin something new.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Decides what befalls which request.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Run the functions as built binaries, a process each, and see that their memory stays what it is.
        #[arg(long)]
        lambda: bool,
    },
    /// Writes which crates are in what is uploaded, as `CycloneDX` documents, into target/package/sbom.
    Sbom,
    /// Breaks the domain in every way there is, one at a time, and says what no test notices. Takes an hour or two.
    Mutants {
        /// Only what is in this file, or in files like this pattern.
        #[arg(long = "file", value_name = "FILE")]
        files: Vec<String>,
    },
    /// Measures what something costs, beside the bare thing it is built on, in one run.
    Bench {
        /// What to measure.
        subject: Subject,
        /// Fewer sizes and runs, where there is a choice.
        #[arg(long)]
        quick: bool,
        /// Of the widget, only this: a processor as it is, one that is four times as slow, or a slow line.
        #[arg(long)]
        part: Option<widget::Part>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// A check of 1,000 recipients in accounts of different sizes, beside bare SDK reads.
    Gate,
    /// A verification of domains of every kind, cold and warm, beside the bare questions that it cannot do without.
    Verification,
    /// The built widget in Chromium, beside hand-written JavaScript, Lit and Preact.
    Widget,
    /// The function feedback, as it is released, beside the same function for Node and for Python.
    Lambda,
    /// What a million events, checks and views cost, from the units that were really consumed.
    Cost,
}

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
struct Up {
    /// Return once it serves, and leave it running.
    #[arg(long)]
    detach: bool,
    /// Forget everything from earlier runs.
    #[arg(long)]
    reset: bool,
    /// Ask no name server beyond this machine: only the demo's domains exist.
    #[arg(long)]
    offline: bool,
    /// Deliver every notification twice, late and in another order.
    #[arg(long)]
    chaos: bool,
    /// Run the functions as built binaries, a process each, as Lambda does.
    #[arg(long)]
    lambda: bool,
    /// The port of the demo CRM on 127.0.0.1.
    #[arg(long, default_value_t = 4280)]
    port: u16,
    /// Start without building, as a detached process does.
    #[arg(long, hide = true)]
    built: bool,
}

#[derive(Args)]
struct TokenArgs {
    /// The account: demo or neighbour.
    #[arg(long, default_value = DEMO)]
    account: String,
    /// What the token permits, separated by spaces.
    #[arg(long, default_value = SERVER_SCOPE)]
    scope: String,
    /// Restrict the token to these leads, separated by commas.
    #[arg(long, value_delimiter = ',')]
    leads: Option<Vec<String>>,
    /// How long it lives; at most 15 for a widget's scopes or with --leads, else 60.
    #[arg(long)]
    minutes: Option<u8>,
}

/// The process that `cargo dev down` ends.
#[derive(Serialize, Deserialize)]
struct Running {
    pid: u32,
    origin: String,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Up(up) => bring_up(&up),
        Task::Down => bring_down(),
        Task::Status => say_status(),
        Task::Test { filter } => checks::run(filter.as_deref()),
        Task::Token(args) => print_token(&args),
        Task::Disposable => progress::step("the list", |progress| {
            disposable::refresh(Timestamp::now(), progress)
        })
        .map(|refresh| println!("{refresh}")),
        Task::Accuracy { suite, at_least } => compare(&suite, at_least),
        Task::OpenApi => describe(),
        Task::Fuzz { target, seconds } => progress::step("fuzzing", |progress| {
            let one = target.as_deref();
            let targets = one
                .as_ref()
                .map_or(fuzz::TARGETS.as_slice(), std::slice::from_ref);
            fuzz::run(targets, Duration::from_secs(seconds.into()), progress)
        }),
        Task::Contract { seconds, seed } => progress::step("the API is as described", |progress| {
            contract::check(Duration::from_secs(seconds.into()), seed, progress)
        }),
        Task::Widget { sizes } => build_widget(sizes),
        Task::Package { processors } => pack(&processors),
        Task::Simulate { args } => simulate(&args),
        Task::Load {
            clients,
            seconds,
            seed,
            lambda,
        } => put_under_load(clients, seconds, seed, lambda),
        Task::Sbom => list_crates(),
        Task::Mutants { files } => mutants::run(&files).map(|mutants| println!("{mutants}")),
        Task::Bench {
            subject,
            quick,
            part,
        } => measure(subject, quick, part),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says how far we agree with a suite.
fn compare(suite: &Path, at_least: u8) -> anyhow::Result<()> {
    let report = accuracy::measure(suite)?;
    println!("{report}");
    if !report.reaches(at_least) {
        bail!("we agree on less than {at_least} % of the rows");
    }
    Ok(())
}

fn describe() -> anyhow::Result<()> {
    let changed = openapi::refresh()?;
    let what = if changed {
        "is new"
    } else {
        "was true already"
    };
    println!("{} {what}", openapi::file().display());
    Ok(())
}

fn pack(processors: &[Processor]) -> anyhow::Result<()> {
    let processors = if processors.is_empty() {
        Processor::value_variants()
    } else {
        processors
    };
    let packages = progress::step("packages", |progress| {
        package::package(processors, progress)
    })?;
    print!("{packages}");
    Ok(())
}

fn list_crates() -> anyhow::Result<()> {
    let folder = workspace::target().join("package");
    for document in package::list_crates(&folder, Processor::value_variants())? {
        println!("{}", folder.join(document.file).display());
    }
    Ok(())
}

fn build_widget(sizes: bool) -> anyhow::Result<()> {
    let folder = progress::step("widget", widget::build)?;
    println!("{}", folder.display());
    if sizes {
        println!("{}", widget::sizes(&folder)?);
    }
    Ok(())
}

fn put_under_load(clients: u32, seconds: u64, seed: u64, lambda: bool) -> anyhow::Result<()> {
    let functions = if lambda {
        let folder = progress::step("the functions", lambdas::build)?;
        let log = "off".to_owned();
        Functions::Built { folder, log }
    } else {
        Functions::Library
    };
    let load = load::Load {
        clients,
        duration: Duration::from_secs(seconds),
        functions,
    };
    let report = progress::step("load", |progress| {
        block_on(load::run(load, seed, progress))?
    })?;
    println!("{report}");
    load::judge(&report)
}

fn simulate(args: &[String]) -> anyhow::Result<()> {
    let status = simulation::command().args(args).status();
    if status.context("start the simulator")?.success() {
        Ok(())
    } else {
        bail!("the simulation failed")
    }
}

/// Measures in a build that is optimised; this process may be none.
fn measure(subject: Subject, quick: bool, part: Option<widget::Part>) -> anyhow::Result<()> {
    // What runs in a browser is as fast either way.
    let is_native = !matches!(subject, Subject::Widget);
    if cfg!(debug_assertions) && is_native {
        let name = subject.to_possible_value().context("name the benchmark")?;
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root());
        cargo.args(["run", "--profile", "measured", "--package", "leadlight-dev"]);
        cargo.args(["--", "bench", name.get_name()]);
        let status = cargo.status().context("start the optimised build")?;
        return if status.success() {
            Ok(())
        } else {
            bail!("the benchmark failed")
        };
    }
    let report = match subject {
        Subject::Verification => progress::step("verification", |progress| {
            block_on(bench::verification(progress))?
        })?,
        Subject::Widget => {
            progress::step("widget", |progress| widget::bench(progress, quick, part))?
        }
        Subject::Gate => progress::step("gate", |progress| block_on(bench::gate(progress))?)?,
        Subject::Lambda => progress::step("lambda", |progress| block_on(bench::lambda(progress))?)?,
        Subject::Cost => progress::step("cost", |progress| block_on(bench::cost(progress))?)?,
    };
    println!("{report}");
    Ok(())
}

fn bring_up(up: &Up) -> anyhow::Result<()> {
    let state = workspace::state();
    if up.reset {
        if let Some((running, _)) = block_on(find_running())? {
            bail!(
                "it is running (process {}); end it first: `cargo dev down`",
                running.pid
            );
        }
        if state.exists() {
            std::fs::remove_dir_all(&state)
                .with_context(|| format!("remove {}", state.display()))?;
        }
    }
    if !up.built {
        let toolchain = progress::step("a Rust for wasm", tools::wasm_toolchain)?;
        println!("  built with {}", toolchain.name());
        progress::step("the widget", widget::build)?;
        progress::step("the examples", pages::build)?;
        if up.lambda {
            progress::step("the functions", lambdas::build)?;
        }
    }
    if up.detach {
        detach(up, &state)
    } else {
        block_on(serve(up, &state))?
    }
}

/// Starts this program again, on its own, and waits until it serves.
fn detach(up: &Up, state: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(state).with_context(|| format!("create {}", state.display()))?;
    let log = state.join("stack.log");
    let out = std::fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    // A session of its own, so that neither Ctrl-C here nor the end of the terminal ends it.
    let mut command = Command::new("setsid");
    command
        .arg(this_program())
        .args(["up", "--built", "--port", &up.port.to_string()]);
    command
        .args(up.offline.then_some("--offline"))
        .args(up.chaos.then_some("--chaos"))
        .args(up.lambda.then_some("--lambda"));
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out);
    let mut child = command.spawn().context("start the stack")?;
    progress::step("the stack", |_| {
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("it ended at once ({status}):\n{}", said.trim());
            }
            if block_on(find_running())?.is_some_and(|(running, _)| running.pid == child.id()) {
                return Ok(());
            }
            if started.elapsed() > Duration::from_mins(2) {
                bail!("it does not answer; see {}", log.display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })?;
    if let Some((running, _)) = block_on(find_running())? {
        println!(
            "\nThe demo CRM is at {}\nIts log is {}; `cargo dev down` ends it.",
            running.origin,
            log.display()
        );
    }
    Ok(())
}

/// This program, even if a build has put another in its place meanwhile.
fn this_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

async fn serve(up: &Up, state: &Path) -> anyhow::Result<()> {
    // A log file can take every request; a terminal shows the addresses that are printed below, and what went wrong.
    let usual = if up.built {
        "info"
    } else {
        "info,leadlight_functions=warn"
    };
    let log = std::env::var("LEADLIGHT_LOG").unwrap_or_else(|_| usual.to_owned());
    let filter: Targets = log.parse().or_else(|_| usual.parse())?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(filter_fn(config::is_discreet))))
        .with(logs::kept_lines()?)
        .init();

    let _lock = occupy(state).await?;

    let servers = dns::system_servers();
    let is_offline = if up.offline {
        true
    } else if dns::is_reachable(&servers).await {
        false
    } else {
        println!("No name server answers: running as with --offline.");
        true
    };
    let zone = if is_offline {
        demo::zone()
    } else {
        demo::zone_among(servers)
    };
    let chaos = up.chaos.then(|| Chaos {
        seed: 1,
        most_delay: Duration::from_secs(5),
    });
    let settings = StackSettings {
        folder: Some(state.to_owned()),
        port: up.port,
        zone: Some(zone),
        functions: if up.lambda {
            let folder = lambdas::folder();
            Functions::Built { folder, log }
        } else {
            Functions::Library
        },
        queue: QueueSettings {
            chaos,
            ..QueueSettings::default()
        },
        ses: SesSettings {
            feedback_delay: Duration::from_millis(400),
            ..SesSettings::default()
        },
        with_demo_leads: true,
        people: demo::PEOPLE,
        ..StackSettings::default()
    };
    let stack = Stack::start(settings).await?;
    let running = Running {
        pid: std::process::id(),
        origin: stack.origin(),
    };
    let file = running_file();
    std::fs::write(&file, serde_json::to_string(&running)?)
        .with_context(|| format!("write {}", file.display()))?;
    let environment = environment_file();
    std::fs::write(&environment, env_file(&stack.environment()))
        .with_context(|| format!("write {}", environment.display()))?;

    println!("\n  Demo CRM       {}", stack.origin());
    println!("  API            {}/v1", stack.origin());
    println!("  Feedback       POST {}/local/feedback", stack.origin());
    println!("  Dead letters   {}/local/dead-letters", stack.origin());
    println!("  Outbox         {}/ses/outbox", stack.origin());
    println!("  cargo lambda   --env-file {}", environment.display());
    println!(
        "\nCtrl-C ends it; what it knows is kept in {}.",
        state.display()
    );
    end_requested().await?;
    drop(stack);
    std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    println!("Ended.");
    Ok(())
}

/// Makes sure that no other process uses the state. The lock ends with the process, however that ends.
async fn occupy(state: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::create_dir_all(state).with_context(|| format!("create {}", state.display()))?;
    let path = state.join("lock");
    let lock =
        std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => {
            let at = find_running()
                .await
                .map_or_else(String::new, |(running, _)| {
                    format!(" at {} (process {})", running.origin, running.pid)
                });
            bail!("it is already running{at}; `cargo dev down` ends it")
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("lock {}", path.display()))
        }
    }
}

async fn end_requested() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}

fn bring_down() -> anyhow::Result<()> {
    let Some((running, _)) = block_on(find_running())? else {
        println!("Nothing is running.");
        return Ok(());
    };
    let signal = |name: &str| {
        Command::new("kill")
            .args([name, &running.pid.to_string()])
            .stderr(Stdio::null())
            .status()
    };
    signal("-TERM").context("end the process")?;
    let started = Instant::now();
    while signal("-0").is_ok_and(|status| status.success()) {
        if started.elapsed() > Duration::from_secs(15) {
            bail!("process {} does not end", running.pid);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("Ended.");
    Ok(())
}

fn say_status() -> anyhow::Result<()> {
    match block_on(find_running())? {
        Some((running, status)) => {
            println!(
                "The demo CRM is at {} (process {})",
                running.origin, running.pid
            );
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        None => println!("Nothing is running."),
    }
    Ok(())
}

/// The process that the state folder names, if that is still what answers there.
async fn find_running() -> Option<(Running, StackStatus)> {
    let text = std::fs::read_to_string(running_file()).ok()?;
    let running: Running = serde_json::from_str(&text).ok()?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()
        .ok()?;
    let answer = client
        .get(format!("{}/local/status", running.origin))
        .send()
        .await
        .ok()?;
    let status: StackStatus = answer.json().await.ok()?;
    (status.pid == running.pid).then_some((running, status))
}

fn running_file() -> PathBuf {
    workspace::state().join("running.json")
}

/// Where it says in which environment a function runs on it, as `cargo lambda watch --env-file` reads it.
fn environment_file() -> PathBuf {
    workspace::state().join("functions.env")
}

/// The variables, a line each. What has several lines, a key for permits, cannot be said there.
fn env_file(environment: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| [name, "=", value, "\n"].concat();
    environment
        .iter()
        .filter(|(_, value)| !value.contains('\n'))
        .map(line)
        .collect()
}

fn print_token(args: &TokenArgs) -> anyhow::Result<()> {
    let id = AccountId::parse(&args.account).context("read the account's id")?;
    let account = LocalAccount::read(&workspace::state().join("keys"), id).context(
        "there are no keys for this account; `cargo dev up` makes them for demo and neighbour",
    )?;
    for lead in args.leads.iter().flatten() {
        LeadId::parse(lead).with_context(|| format!("read the lead's id {lead:?}"))?;
    }
    let is_for_server = args.leads.is_none()
        && args
            .scope
            .split_whitespace()
            .any(|scope| scope == "leads:write");
    let most = if is_for_server {
        MAX_SERVER_MINUTES
    } else {
        MAX_WIDGET_MINUTES
    };
    let token = account.mint(
        &args.scope,
        args.leads.as_deref(),
        args.minutes.unwrap_or(most),
        Timestamp::now(),
    )?;
    println!("{}", token.token);
    Ok(())
}

fn block_on<F: Future>(work: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    Ok(runtime.block_on(work))
}
