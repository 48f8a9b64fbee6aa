//! `cargo lambda`, as the README teaches it: each function is invoked with its event file, on the engines of the local stack.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use leadlight_dev::lambdas::{self, FUNCTIONS};
use leadlight_dev::progress::Progress;
use leadlight_dev::stack::{Stack, StackSettings};
use leadlight_dev::{logs, tools, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a server may take to start, or a function to be built and to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);
/// Where events hold an access token.
const TOKEN: &str = "TOKEN";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_answers_its_event_on_the_runtime_api_of_cargo_lambda() {
    let bench = Bench::start(&["--only-lambda-apis"]).await;
    let built = lambdas::build(&Progress::silent()).unwrap();
    let _functions = FUNCTIONS.map(|name| bench.spawn(&built, name));

    let leads = bench.invoke("leads");
    assert_eq!(leads["statusCode"], 201, "{leads}");
    let feedback = bench.invoke("feedback");
    assert_eq!(feedback, json!({ "batchItemFailures": [] }));
    let statuses = body(&bench.invoke("statuses"));
    assert_eq!(
        statuses["statuses"][0]["reason"], "hard_bounce",
        "{statuses}"
    );
    let rechecks = body(&bench.invoke("rechecks"));
    assert_eq!(rechecks["outcome"], "sent", "{rechecks}");
    assert_eq!(rechecks["status"]["status"], "active", "{rechecks}");
    let sends = body(&bench.invoke("sends"));
    assert_eq!(sends["decision"], "allow", "{sends}");
    let verifications = body(&bench.invoke("verifications"));
    assert_eq!(
        verifications["suggestion"], "ann@gmail.com",
        "{verifications}"
    );
    let reverifications = bench.invoke("reverifications");
    assert_eq!(reverifications["left"], 0, "{reverifications}");
    let changes = bench.invoke("changes");
    assert_eq!(changes, json!({ "batchItemFailures": [] }));
    let deliveries = bench.invoke("deliveries");
    assert_eq!(deliveries, Value::Null);
    // The demo CRM has one already.
    let webhooks = body(&bench.invoke("webhooks"));
    assert_eq!(webhooks["url"], "https://crm.example/leadlight");
    let reputation = body(&bench.invoke("reputation"));
    assert!(reputation["total"]["sent"].is_u64(), "{reputation}");
    let refused = bench.invoke("subscriber");
    assert_eq!(refused["statusCode"], 403, "{refused}");
    for name in FUNCTIONS {
        assert!(event_file(name).is_file(), "{name} has no event");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cargo_lambda_watch_builds_and_runs_a_function_by_itself() {
    lambdas::build(&Progress::silent()).unwrap();
    let bench = Bench::start(&["--ignore-changes"]).await;
    let statuses = bench.invoke("statuses");
    assert_eq!(
        body(&statuses)["statuses"][0]["status"],
        "unknown",
        "{statuses}"
    );
    let refused = bench.invoke_as("no token", "statuses");
    assert_eq!(refused["statusCode"], 401, "{refused}");
}

/// `cargo lambda watch` beside a local stack. Both end when this is dropped.
struct Bench {
    _server: Ended,
    stack: Stack,
    folder: TempDir,
    port: u16,
}

impl Bench {
    async fn start(flags: &[&str]) -> Self {
        let stack = Stack::start(StackSettings::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let variables = folder.path().join("functions.env");
        let lines = stack.environment().into_iter();
        let lines = lines.map(|(name, value)| format!("{name}={value}\n"));
        std::fs::write(&variables, lines.collect::<String>()).unwrap();

        let port = free_port();
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let server = cargo_lambda()
            .args(["watch", "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port.to_string(), "--env-file"])
            .arg(&variables)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let bench = Self {
            _server: Ended(server),
            stack,
            folder,
            port,
        };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                started.elapsed() < PATIENCE,
                "it does not start: {}",
                bench.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bench
    }

    /// Starts a built function by hand, told what the server says that it must be told.
    fn spawn(&self, built: &Path, name: &str) -> Ended {
        let runtime_api = format!("http://127.0.0.1:{}/.rt/{name}", self.port);
        let mut function = Command::new(built.join(name));
        function
            .env_clear()
            .envs(self.stack.environment())
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096")
            // What these tests provoke is not worth a line in their output.
            .env("LEADLIGHT_LOG", "off")
            .stdin(Stdio::null());
        if let Some(kept) = logs::file(name).unwrap() {
            function
                .env("LEADLIGHT_LOG", "trace")
                .stdout(kept.try_clone().unwrap())
                .stderr(kept);
        }
        Ended(function.spawn().unwrap())
    }

    /// `cargo lambda invoke` with the function's event and a token that is good.
    fn invoke(&self, name: &str) -> Value {
        let token = self.stack.account.server_token(Timestamp::now()).unwrap();
        self.invoke_as(&token.token, name)
    }

    fn invoke_as(&self, token: &str, name: &str) -> Value {
        let event = std::fs::read_to_string(event_file(name)).unwrap();
        let file = self.folder.path().join("event.json");
        std::fs::write(&file, event.replace(TOKEN, token)).unwrap();
        let invoked = cargo_lambda()
            .args(["invoke", name, "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &self.port.to_string(), "--data-file"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&invoked.stdout),
            String::from_utf8_lossy(&invoked.stderr),
        );
        assert!(
            invoked.status.success(),
            "{name}: {out}{err}{}",
            self.said()
        );
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{name}: {error}: {out}"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Ok(Some(mut kept)) = logs::file("cargo-lambda") {
            let _ = kept.write_all(self.said().as_bytes());
        }
    }
}

/// A process that is asked to end, with all that it started, when this is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cargo_lambda() -> Command {
    let python = tools::python(&Progress::silent()).unwrap();
    let mut cargo = tools::cargo();
    cargo.env("PATH", python.path().unwrap()).arg("lambda");
    cargo
}

fn event_file(name: &str) -> PathBuf {
    let folder = workspace::root().join("tests/events");
    folder.join(name).with_extension("json")
}

/// What is in an answer to a request.
fn body(answer: &Value) -> Value {
    assert_eq!(answer["statusCode"], 200, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

/// A port that was free a moment ago; the server cannot be handed an open socket.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
