//! `cargo dev bench lambda`: the built `feedback` beside the same function as it is usually written for Node and Python.
//!
//! All are processes behind the same Runtime API, get events of the same shape and speak TLS to the same engine, in one run. The rivals
//! are in `infra/dev/bench/lambda/`: AWS's SDKs for Node, bundled and not, and for Python, under AWS's own runtime clients, which Lambda
//! runs them under too. The engine is real for one half, and for the other answers at once as an empty table does, so that what is left
//! is the function's own cost. Ours asks twice for each address, what is known and then the write; a rival asks once, for a transaction
//! of two items.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use leadlight::account::AccountId;
use leadlight::policy::Policy;
use leadlight_functions::app::Leadlight;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use super::events;
use super::front::{Behind, Front};
use super::{SECRET, settings};
use crate::account::LocalAccount;
use crate::engine::Engine;
use crate::npm::Packages;
use crate::package::{self, MAX_ZIP_OCTETS};
use crate::progress::Progress;
use crate::runtime_api::Function;
use crate::{aws, stack, template, tools, workspace};

/// Starts of each function whose first answer is timed.
const STARTS: usize = 15;
/// Times that each function is measured with events, each time as a new process.
const ROUNDS: usize = 3;
/// Events, one an invocation, before anything is measured.
const WARM_UP: usize = 200;
/// Events of a batch, and how many such batches are measured.
const BATCHES: [(usize, usize); 3] = [(1, 600), (10, 60), (100, 10)];
/// What a function for Python is made of.
const PYTHON_PACKAGES: &str = include_str!("../../bench/lambda/requirements.txt");
/// Where runtime clients find a function, in its folder.
const HANDLER: &str = "handler.handler";
/// How long an invocation may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// What Leadlight promises: how many times faster it starts and takes events, with how many times less processor and memory.
const LEAST: Ratios = Ratios {
    cold: 20.0,
    events: 5.0,
    cpu: 10.0,
    memory: 7.0,
};

/// A function that is measured.
struct Case {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// Where its code is, and where it is started.
    folder: PathBuf,
}

/// What one process gave.
#[derive(Debug, Default)]
struct Run {
    invocations: Vec<Duration>,
    /// Events in a second, for each size of batch.
    rates: Vec<f64>,
    cpu: Duration,
    events: usize,
    peak_kib: u64,
}

/// What one function came to on one engine.
#[derive(Debug, Default)]
struct Row {
    init_ms: f64,
    first_ms: f64,
    cold_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    rates: Vec<f64>,
    cpu_ms: f64,
    peak_mib: f64,
}

/// How many times better than a rival, or than the best of them in each.
#[derive(Clone, Copy, Debug)]
struct Ratios {
    cold: f64,
    events: f64,
    cpu: f64,
    memory: f64,
}

/// Measures, and answers the report.
///
/// # Errors
/// When something cannot be built, fetched or started, or a function fails.
pub async fn lambda(progress: &Progress) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().context("make a folder for the rivals")?;
    let ours = ours(progress)?;
    let zip = std::fs::read(&ours.program).context("read the function")?;
    let zip = package::zip(&zip)?.len();
    let mut cases = vec![ours];
    cases.extend(rivals(folder.path(), progress)?);

    let mut lines = Vec::new();
    let mut ratios = None;
    for behind in [Behind::Engine, Behind::Nothing] {
        let rows = measure(&cases, behind, progress).await?;
        lines.push(format!("{}:", behind.name()));
        lines.extend(table(&cases, &rows));
        if let Some((ours, rivals)) = rows.split_first() {
            for (case, rival) in cases.iter().skip(1).zip(rivals.chunks(1)) {
                let ratios = Ratios::of(ours, rival);
                lines.push(format!("times better than {}: {ratios}", case.name));
            }
            // Of the two, the last says what the functions themselves cost.
            ratios = Some(Ratios::of(ours, rivals));
            lines.push(String::new());
        }
    }
    lines.push(format!(
        "feedback.zip: {zip} octets, at most {MAX_ZIP_OCTETS}"
    ));
    let ratios = ratios.context("compare with the rivals")?;
    let verdict = if ratios.are_at_least(LEAST) && zip <= MAX_ZIP_OCTETS {
        "kept"
    } else {
        "MISSED"
    };
    lines.push(format!(
        "times better than the best of them in each: {ratios}; promised: {LEAST}: {verdict}"
    ));
    Ok(lines.join("\n"))
}

fn ours(progress: &Progress) -> anyhow::Result<Case> {
    progress.say("building the function as it is released");
    let mut build = tools::cargo();
    build.args(["build", "--release", "--package", "leadlight-functions"]);
    progress.run(build.args(["--bin", "feedback"]))?;

    let folder = workspace::target().join("release");
    Ok(Case {
        name: "leadlight",
        program: folder.join("feedback"),
        arguments: Vec::new(),
        folder,
    })
}

/// The functions for Node and Python, each in a folder of its own below `folder`, as they are uploaded.
fn rivals(folder: &Path, progress: &Progress) -> anyhow::Result<Vec<Case>> {
    let sources = workspace::root().join("infra/dev/bench/lambda");
    let place = |name: &str, file: &str| -> anyhow::Result<PathBuf> {
        let place = folder.join(name);
        std::fs::create_dir_all(&place).context("make a folder for a rival")?;
        std::fs::copy(sources.join(file), place.join(file))
            .with_context(|| format!("copy {file}"))?;
        Ok(place)
    };
    let sdk = Packages::fetch_rivals(progress)?;
    let plain = place("node", "handler.mjs")?;
    std::os::unix::fs::symlink(sdk.modules(), plain.join("node_modules"))
        .context("link to AWS's SDK for Node")?;
    let bundled = folder.join("bundled");
    let mut esbuild = Packages::fetch(progress)?.program("esbuild");
    esbuild
        .args(["--bundle", "--minify", "--platform=node", "--format=cjs"])
        .arg(["--outfile=", &bundled.join("handler.js").to_string_lossy()].concat())
        .arg(plain.join("handler.mjs"));
    progress.run(&mut esbuild)?;
    let python = tools::python_packages(
        PYTHON_PACKAGES,
        "AWS's SDK and runtime client for Python",
        progress,
    )?;

    let node = tools::node(progress)?;
    let of_node = |name, folder| Case {
        name,
        program: node.clone(),
        arguments: vec![
            sdk.file("aws-lambda-ric/bin/index.mjs").into(),
            HANDLER.into(),
        ],
        folder,
    };
    Ok(vec![
        of_node("node", plain),
        of_node("node, bundled", bundled),
        Case {
            name: "python",
            program: python.program("python"),
            arguments: vec!["-m".into(), "awslambdaric".into(), HANDLER.into()],
            folder: place("python", "handler.py")?,
        },
    ])
}

async fn measure(cases: &[Case], behind: Behind, progress: &Progress) -> anyhow::Result<Vec<Row>> {
    let mut random = StdRng::seed_from_u64(6);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    let mut starts: Vec<Vec<(Duration, Duration)>> = cases.iter().map(|_| Vec::new()).collect();
    let mut runs: Vec<Vec<Run>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..STARTS.max(ROUNDS) {
        // Each round has an engine of its own: an engine that fills up grows slower.
        let ground = Ground::prepare(behind).await?;
        order.shuffle(&mut random);
        for place in &order {
            let (Some(case), Some(starts), Some(runs)) = (
                cases.get(*place),
                starts.get_mut(*place),
                runs.get_mut(*place),
            ) else {
                continue;
            };
            progress.say(&format!("{}, {}, round {round}", behind.name(), case.name));
            if round < STARTS {
                starts.push(ground.start(case).await.context(case.name)?);
            }
            if round < ROUNDS {
                runs.push(ground.run(case).await.context(case.name)?);
            }
        }
    }
    Ok(starts
        .iter()
        .zip(&runs)
        .map(|(starts, runs)| Row::of(starts, runs))
        .collect())
}

/// What the functions run on.
struct Ground {
    front: Front,
    _engine: Engine,
}

impl Ground {
    async fn prepare(behind: Behind) -> anyhow::Result<Self> {
        let engine = Engine::memory()?;
        let app = Leadlight::new(&settings(engine.endpoint())?).context("build the clients")?;
        app.table.create(&template::table()?).await?;
        let account = LocalAccount::generate(AccountId::parse(events::ACCOUNT)?);
        let item = account.item(Policy::default())?;
        app.table.save_account(account.id(), &item).await?;
        Ok(Self {
            front: Front::start(engine.endpoint(), behind).await?,
            _engine: engine,
        })
    }

    /// What Lambda and the template tell a function, and what makes the machine's certificate authorities and ours trusted.
    fn environment(&self) -> Vec<(String, String)> {
        let credentials = aws::credentials();
        let trusted = self.front.trusted().to_string_lossy().into_owned();
        let pairs = [
            ("LEADLIGHT_TABLE", stack::TABLE.to_owned()),
            ("LEADLIGHT_ADDRESS_SECRET", SECRET.to_owned()),
            ("AWS_REGION", aws::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
            (
                "AWS_SECRET_ACCESS_KEY",
                credentials.secret_access_key().to_owned(),
            ),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.front.endpoint()),
            ("SSL_CERT_FILE", trusted.clone()),
            ("NODE_EXTRA_CA_CERTS", trusted.clone()),
            ("AWS_CA_BUNDLE", trusted),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    async fn spawn(&self, case: &Case) -> anyhow::Result<Function> {
        let mut command = tokio::process::Command::new(&case.program);
        command.args(&case.arguments).current_dir(&case.folder);
        // Logs are written as in production, and read by nobody.
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        Function::launch(command, case.name, &self.environment()).await
    }

    /// Starts the function: how long until it is ready, and then until its first answer.
    async fn start(&self, case: &Case) -> anyhow::Result<(Duration, Duration)> {
        let event = events::batch(&events::addresses(1));
        let started = Instant::now();
        let function = self.spawn(case).await?;
        function.initialised().await?;
        let ready = Instant::now();
        take(&function, event).await?;
        Ok((ready - started, ready.elapsed()))
    }

    async fn run(&self, case: &Case) -> anyhow::Result<Run> {
        let function = self.spawn(case).await?;
        for _ in 0..WARM_UP {
            take(&function, events::batch(&events::addresses(1))).await?;
        }
        let process = function.id().await.context("the process has ended")?;
        let before = cpu(process)?;
        let mut run = Run::default();
        for (size, count) in BATCHES {
            let mut took = Vec::new();
            for _ in 0..count {
                let event = events::batch(&events::addresses(size));
                let started = Instant::now();
                take(&function, event).await?;
                took.push(started.elapsed());
            }
            let all: Duration = took.iter().sum();
            run.rates
                .push(events::count(size * count) / all.as_secs_f64());
            run.events += size * count;
            if size == 1 {
                run.invocations = took;
            }
        }
        run.cpu = cpu(process)?.saturating_sub(before);
        run.peak_kib = peak_kib(process)?;
        Ok(run)
    }
}

/// One invocation, which has to record everything.
async fn take(function: &Function, event: Value) -> anyhow::Result<()> {
    let answer = function.invoke(event, TIMEOUT).await?;
    ensure!(
        answer == json!({ "batchItemFailures": [] }),
        "{} answered {answer}",
        function.name()
    );
    Ok(())
}

/// The processor's time that a process has had, in all its threads.
fn cpu(process: u32) -> anyhow::Result<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"))?;
    let mut nanoseconds = 0;
    for thread in threads {
        // The first figure (Linux, *Scheduler Statistics*).
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().context("read schedstat")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory that a process ever held.
fn peak_kib(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.split_whitespace().next());
    Ok(peak.context("read VmHWM")?.parse()?)
}

impl Row {
    fn of(starts: &[(Duration, Duration)], runs: &[Run]) -> Self {
        let over = |times: &mut dyn Iterator<Item = Duration>, part: f64| {
            quantile(times.map(ms).collect(), part)
        };
        let half = 0.5;
        let mut all = runs.iter().flat_map(|run| run.invocations.iter().copied());
        let invocations: Vec<Duration> = all.by_ref().collect();
        let rates = (0..BATCHES.len()).map(|size| {
            let rates = runs.iter().filter_map(|run| run.rates.get(size).copied());
            quantile(rates.collect(), half)
        });
        let cpu = runs
            .iter()
            .map(|run| ms(run.cpu) / events::count(run.events));
        let peak = runs
            .iter()
            .map(|run| run.peak_kib)
            .max()
            .unwrap_or_default();
        Self {
            init_ms: over(&mut starts.iter().map(|(init, _)| *init), half),
            first_ms: over(&mut starts.iter().map(|(_, first)| *first), half),
            cold_ms: over(&mut starts.iter().map(|(init, first)| *init + *first), half),
            p50_ms: over(&mut invocations.iter().copied(), half),
            p99_ms: over(&mut invocations.iter().copied(), 0.99),
            rates: rates.collect(),
            cpu_ms: quantile(cpu.collect(), half),
            peak_mib: Duration::from_millis(peak).as_secs_f64() * 1_000.0 / 1_024.0,
        }
    }
}

impl Ratios {
    /// `ours` beside the best of `rivals` in each.
    fn of(ours: &Row, rivals: &[Row]) -> Self {
        let least =
            |figure: &dyn Fn(&Row) -> f64| rivals.iter().map(figure).fold(f64::MAX, f64::min);
        // In the size of batch where the advantage is smallest.
        let events = ours.rates.iter().enumerate().map(|(size, rate)| {
            let best = rivals.iter().filter_map(|row| row.rates.get(size).copied());
            rate / best.fold(0.0, f64::max)
        });
        Self {
            cold: least(&|row| row.cold_ms) / ours.cold_ms,
            events: events.fold(f64::MAX, f64::min),
            cpu: least(&|row| row.cpu_ms) / ours.cpu_ms,
            memory: least(&|row| row.peak_mib) / ours.peak_mib,
        }
    }

    fn are_at_least(self, least: Self) -> bool {
        self.cold >= least.cold
            && self.events >= least.events
            && self.cpu >= least.cpu
            && self.memory >= least.memory
    }
}

impl core::fmt::Display for Ratios {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            cold,
            events,
            cpu,
            memory,
        } = self;
        write!(
            f,
            "cold {cold:.1}, events/s {events:.1}, CPU per event {cpu:.1}, memory {memory:.1}"
        )
    }
}

fn table(cases: &[Case], rows: &[Row]) -> Vec<String> {
    let heads = [
        "init ms",
        "first ms",
        "cold ms",
        "p50 ms",
        "p99 ms",
        "ev/s by 1",
        "by 10",
        "by 100",
        "CPU ms/ev",
        "peak MiB",
    ];
    let line = |name: &str, cells: Vec<String>| {
        cells.iter().fold(format!("{name:<14}"), |line, cell| {
            format!("{line}{cell:>11}")
        })
    };
    let mut lines = vec![line("", heads.map(str::to_owned).to_vec())];
    for (case, row) in cases.iter().zip(rows) {
        let times = [
            row.init_ms,
            row.first_ms,
            row.cold_ms,
            row.p50_ms,
            row.p99_ms,
        ];
        let mut cells: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
        cells.extend(row.rates.iter().map(|rate| format!("{rate:.0}")));
        cells.push(format!("{:.3}", row.cpu_ms));
        cells.push(format!("{:.1}", row.peak_mib));
        lines.push(line(case.name, cells));
    }
    lines
}

fn quantile(mut figures: Vec<f64>, part: f64) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let place = Duration::from_secs(figures.len().saturating_sub(1) as u64).mul_f64(part);
    let place = usize::try_from((place + Duration::from_millis(500)).as_secs());
    place
        .ok()
        .and_then(|place| figures.get(place).copied())
        .unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
