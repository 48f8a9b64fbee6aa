//! The local stack as its own process: killed, restarted, interrupted, and used by hand as the README says.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use leadlight_dev::progress::Progress;
use leadlight_dev::stack::StackStatus;
use leadlight_dev::{lambdas, tools, workspace};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::envelopes;
use crate::notifications::{
    GENERAL, MAILBOX_FULL, NO_EMAIL, ON_ACCOUNT_LIST, auto_reply, bounce, complaint, delivery,
    of_account, subscription,
};
use crate::world::failures;

const LEADS: usize = 100;
const NOTIFICATIONS: usize = 1_000;
/// How many notifications an event source mapping hands over at once by default.
const BATCH: usize = 10;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long Ctrl-C may take.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_survives_kill_9() {
    let burst = burst(Timestamp::now());
    let undisturbed = {
        let stack = Local::up(&[]).await;
        stack.save_leads().await;
        assert_eq!(stack.post(&burst, NOTIFICATIONS).await, NOTIFICATIONS);
        stack.statuses().await
    };
    let killed = {
        let mut stack = Local::up(&[]).await;
        stack.save_leads().await;
        let taken = stack.post(&burst, NOTIFICATIONS / 2).await;
        assert!(
            taken < NOTIFICATIONS,
            "it was killed in the middle of the burst, not after it"
        );
        stack.restart().await;
        assert_eq!(
            stack.post(&burst, NOTIFICATIONS).await,
            NOTIFICATIONS,
            "all of it again"
        );
        stack.statuses().await
    };
    // What the queue has acknowledged, it delivers by itself.
    let queued = {
        let mut stack = Local::up(&[]).await;
        stack.save_leads().await;
        let (before, after) = burst.split_at(NOTIFICATIONS / 2);
        stack.enqueue(before).await;
        stack.restart().await;
        stack.enqueue(after).await;
        let empty = async || stack.status().await.filter(|status| status.queued == 0);
        assert_eq!(until("the queue is empty", empty).await.dead_letters, 0);
        stack.statuses().await
    };
    // Nor does a function that dies with a batch in its hands lose any of it.
    let functions_killed = {
        let stack = Local::up(&["--lambda"]).await;
        stack.save_leads().await;
        stack.enqueue(&burst).await;
        for left in [NOTIFICATIONS - 200, NOTIFICATIONS / 2] {
            let some = async || stack.status().await.filter(|at| at.queued <= left as u64);
            let queued = until("some is taken", some).await.queued;
            assert_ne!(queued, 0, "it dies in the middle of the burst");
            stack.kill_functions("feedback");
        }
        let empty = async || stack.status().await.filter(|status| status.queued == 0);
        let status = until("the queue is empty", empty).await;
        assert_eq!(status.dead_letters, 0);
        assert_eq!(status.functions, "built binaries behind Runtime APIs");
        let said = std::fs::read_to_string(stack.said()).unwrap();
        assert!(said.contains("an execution environment ended"), "{said}");
        stack.statuses().await
    };
    for (n, undisturbed) in undisturbed.iter().enumerate() {
        assert_eq!(undisturbed, &killed[n]);
        assert_eq!(undisturbed, &queued[n]);
        assert_eq!(undisturbed, &functions_killed[n]);
    }
    let kinds = kinds(&undisturbed);
    assert!(
        kinds.len() >= 6,
        "the burst leads to many an end: {kinds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readmes_way_by_hand_works() {
    let stack = Local::up(&[]).await;
    let readme = std::fs::read_to_string(workspace::root().join("README.md")).unwrap();
    let (_, by_hand) = readme
        .split_once("### The same by hand")
        .expect("the README has it");
    let (_, commands) = by_hand.split_once("```sh\n").unwrap();
    let (commands, _) = commands.split_once("```").unwrap();
    let program = format!("{} token", binary().display());
    let commands = commands
        .replace("cargo dev token)", &format!("{program})"))
        .replace("http://127.0.0.1:4280", &stack.origin);
    assert!(
        commands.contains(&program) && commands.contains(&stack.origin),
        "{commands}"
    );

    tokio::task::spawn_blocking(|| tools::curl(&Progress::silent()))
        .await
        .unwrap()
        .unwrap();
    let done = tokio::process::Command::new("bash")
        .args(["-e", "-c", &commands])
        .env("LEADLIGHT_DEV_STATE", stack.state())
        .env("NO_PROXY", "127.0.0.1")
        .output();
    let done = tokio::time::timeout(PATIENCE, done)
        .await
        .expect("the commands end")
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let answers: Vec<Value> = serde_json::Deserializer::from_str(&said)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let [saved, before, fed, after, rechecked] = answers.as_slice() else {
        panic!("five answers: {said}")
    };
    assert_eq!(saved["status"], "active", "{said}");
    assert_eq!(before["statuses"][0]["status"], "active", "{said}");
    assert_eq!(fed["batchItemFailures"], json!([]), "{said}");
    assert_eq!(after["statuses"][0]["status"], "blocklisted", "{said}");
    assert_eq!(after["statuses"][0]["reason"], "hard_bounce", "{said}");
    assert_eq!(rechecked["outcome"], "sent", "{said}");
    assert_eq!(rechecked["status"]["status"], "active", "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_knows_survives_a_restart_until_reset() {
    let mut stack = Local::up(&[]).await;
    let token = stack.token().await;
    stack.save("ann", "ann@larkspur.example").await;
    stack
        .post(
            &[bounce_of_demo("ann@larkspur.example", NO_EMAIL)],
            NOTIFICATIONS,
        )
        .await;
    let renamed = json!({ "name": "Ann Leigh" }).to_string();
    assert_eq!(
        stack
            .send(Method::PUT, "/crm/leads/ann-lee", renamed)
            .await
            .unwrap()
            .status(),
        200
    );
    let before = (
        stack.status_of("ann", &token).await,
        stack.read("/crm/leads/ann-lee").await,
        stack.read("/ses/outbox").await,
    );
    assert_eq!(before.0["reason"], "hard_bounce");
    assert_eq!(before.1["name"], "Ann Leigh");
    assert_ne!(before.2, json!([]), "the demo has sent messages");

    stack.interrupt().await;
    stack.start(&[]).await;
    let after = (
        stack.status_of("ann", &token).await,
        stack.read("/crm/leads/ann-lee").await,
        stack.read("/ses/outbox").await,
    );
    assert_eq!(after, before, "the same token opens the same state");

    stack.interrupt().await;
    stack.start(&["--reset"]).await;
    let token = stack.token().await;
    assert_eq!(stack.status_of("ann", &token).await["status"], "unknown");
    assert_eq!(stack.read("/crm/leads/ann-lee").await["name"], "Ann Lee");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_said_clearly() {
    let stack = Local::up(&[]).await;
    let port = stack.origin.rsplit(':').next().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let (status, said) = run(elsewhere.path(), &["--port", &port]).await;
    assert!(!status.success(), "{said}");
    assert!(
        said.contains(&format!("port {port} on 127.0.0.1 is in use")),
        "{said}"
    );
    assert!(
        said.contains("cargo dev up --port"),
        "it says what to do: {said}"
    );

    // Nor do two stacks share a state.
    let (status, said) = run(&stack.state(), &["--port", "0"]).await;
    assert!(!status.success(), "{said}");
    assert!(
        said.contains("already running") && said.contains(&stack.origin),
        "{said}"
    );
}

/// What happened to the leads' addresses in the last forty days: the same for the same `now`.
fn burst(now: Timestamp) -> Vec<Value> {
    let mut random = StdRng::seed_from_u64(9);
    let mut happen = || {
        let at = now - SignedDuration::from_secs(random.random_range(60..40 * 86_400));
        let address = address(random.random_range(0..LEADS));
        let notification = match random.random_range(0..20) {
            0..=5 => delivery(&address, at),
            6..=13 => bounce(&address, MAILBOX_FULL, at),
            14 => bounce(&address, GENERAL, at),
            15 => bounce(&address, NO_EMAIL, at),
            16 => bounce(&address, ON_ACCOUNT_LIST, at),
            17 => complaint(&[&address], at),
            18 => auto_reply(&address, at),
            _ => subscription(&address, true, at),
        };
        of_account(notification, "demo")
    };
    (0..NOTIFICATIONS).map(|_| happen()).collect()
}

fn address(n: usize) -> String {
    format!("lead{n}@larkspur.example")
}

fn bounce_of_demo(address: &str, how: crate::notifications::Bounce) -> Value {
    of_account(bounce(address, how, Timestamp::now()), "demo")
}

/// How many leads ended in which status, for which reason.
fn kinds(statuses: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut kinds = BTreeMap::new();
    for status in statuses {
        *kinds
            .entry((status["status"].to_string(), status["reason"].to_string()))
            .or_default() += 1;
    }
    kinds
}

/// `cargo dev up` in a process and a folder of its own. The process ends when this is dropped.
struct Local {
    process: Child,
    folder: TempDir,
    origin: String,
    http: Client,
}

impl Local {
    async fn up(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let process = spawn(
            &folder.path().join("state"),
            &folder.path().join("said"),
            flags,
        );
        let mut stack = Self {
            process,
            folder,
            origin: String::new(),
            http,
        };
        stack.wait().await;
        stack
    }

    async fn start(&mut self, flags: &[&str]) {
        self.process = spawn(&self.state(), &self.said(), flags);
        self.wait().await;
    }

    /// Waits until it serves.
    async fn wait(&mut self) {
        let running = self.state().join("running.json");
        let (id, said) = (self.process.id(), self.said());
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(&running).unwrap_or_default();
            let running: Value = serde_json::from_str(&text).unwrap_or_default();
            if running["pid"] == id {
                running["origin"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut self.origin);
                return;
            }
            let ended = self.process.try_wait().unwrap();
            let said = || std::fs::read_to_string(&said).unwrap_or_default();
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", said());
            assert!(
                started.elapsed() < PATIENCE,
                "it does not serve:\n{}",
                said()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Where its output goes.
    fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// `kill -9` of every process of a function.
    fn kill_functions(&self, name: &str) {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let children: String = threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
            .collect();
        let is_meant = |id: &&str| {
            std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|it| it.trim() == name)
        };
        let ids: Vec<&str> = children.split_whitespace().filter(is_meant).collect();
        assert_ne!(ids.len(), 0, "{name} runs as a process");
        let killed = Command::new("kill").arg("-KILL").args(&ids).status();
        assert!(killed.unwrap().success(), "{ids:?}");
    }

    /// `kill -9`, and up again.
    async fn restart(&mut self) {
        self.signal("-KILL");
        self.process.wait().unwrap();
        self.start(&[]).await;
    }

    /// Ctrl-C.
    async fn interrupt(&mut self) {
        self.signal("-INT");
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < SOON, "Ctrl-C does not end it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let said = std::fs::read_to_string(self.said()).unwrap();
        assert!(status.success(), "{status}: {said}");
        assert!(said.ends_with("Ended.\n"), "{said}");
        assert!(
            !self.state().join("running.json").exists(),
            "nothing says that it still runs"
        );
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
    }

    async fn read(&self, path: &str) -> Value {
        self.send(Method::GET, path, String::new())
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn status(&self) -> Option<StackStatus> {
        self.send(Method::GET, "/local/status", String::new())
            .await
            .ok()?
            .json()
            .await
            .ok()
    }

    /// What `cargo dev token` prints.
    async fn token(&self) -> String {
        let mut token = tokio::process::Command::new(binary());
        let printed = token
            .arg("token")
            .env("LEADLIGHT_DEV_STATE", self.state())
            .output()
            .await
            .unwrap();
        assert!(printed.status.success(), "{printed:?}");
        String::from_utf8(printed.stdout).unwrap().trim().to_owned()
    }

    async fn save(&self, lead: &str, address: &str) {
        let token = self.token().await;
        self.save_as(&token, lead, address).await;
    }

    async fn save_as(&self, token: &str, lead: &str, address: &str) {
        let url = format!("{}/v1/leads/{lead}", self.origin);
        let body = json!({ "address": address, "standing_since": "2025-01-01T00:00:00Z" });
        let save = async || {
            let request = self.http.put(&url).bearer_auth(token).json(&body);
            let saved = request.send().await.unwrap().status();
            assert!(saved.is_success() || saved == 503, "{lead}: {saved}");
            // A table that is too busy asks for another try.
            saved.is_success().then_some(())
        };
        until("the lead is saved", save).await;
    }

    async fn save_leads(&self) {
        let token = &self.token().await;
        stream::iter(0..LEADS)
            .for_each_concurrent(8, async |n| {
                self.save_as(token, &format!("lead-{n}"), &address(n)).await;
            })
            .await;
    }

    /// Posts the notifications to the local feedback entry, several batches at a time, and what was not taken again, as a queue
    /// does. The process is killed as soon as `deadly` of them are taken. Answers how many were taken.
    async fn post(&self, notifications: &[Value], deadly: usize) -> usize {
        let taken = &AtomicUsize::new(0);
        let deliver = async |mut bodies: Vec<String>| {
            let started = Instant::now();
            while started.elapsed() < PATIENCE {
                let event = envelopes::sqs(&bodies).to_string();
                let answer = async {
                    self.send(Method::POST, "/local/feedback", event)
                        .await?
                        .json::<Value>()
                        .await
                };
                let answer = match answer.await {
                    Ok(answer) => answer,
                    Err(error) => {
                        return assert!(taken.load(Ordering::SeqCst) >= deadly, "{error}");
                    }
                };
                let failed = failures(&answer);
                let done = bodies.len() - failed.len();
                let before = taken.fetch_add(done, Ordering::SeqCst);
                if (before..before + done).contains(&deadly) {
                    self.signal("-KILL");
                }
                bodies = failed
                    .into_iter()
                    .map(|place| bodies[place].clone())
                    .collect();
                if bodies.is_empty() {
                    return;
                }
            }
            panic!(
                "given up: {bodies:?}\n{}",
                std::fs::read_to_string(self.said()).unwrap()
            );
        };
        stream::iter(notifications.chunks(BATCH))
            .for_each_concurrent(4, |batch| {
                deliver(batch.iter().map(envelopes::sns).collect())
            })
            .await;
        taken.load(Ordering::SeqCst)
    }

    /// Puts the notifications into the queue in front of the feedback function, which acknowledges each.
    async fn enqueue(&self, notifications: &[Value]) {
        stream::iter(notifications)
            .for_each_concurrent(8, async |notification| {
                let answer = self
                    .send(Method::POST, "/local/queue", envelopes::sns(notification))
                    .await;
                assert_eq!(answer.unwrap().status(), 202);
            })
            .await;
    }

    async fn status_of(&self, lead: &str, token: &str) -> Value {
        self.statuses_of(&[lead.to_owned()], token).await.remove(0)
    }

    /// The statuses of all leads of the burst.
    async fn statuses(&self) -> Vec<Value> {
        let ids: Vec<String> = (0..LEADS).map(|n| format!("lead-{n}")).collect();
        self.statuses_of(&ids, &self.token().await).await
    }

    async fn statuses_of(&self, ids: &[String], token: &str) -> Vec<Value> {
        let url = format!("{}/v1/statuses", self.origin);
        let asked = self
            .http
            .post(url)
            .bearer_auth(token)
            .json(&json!({ "leads": ids }))
            .send()
            .await
            .unwrap();
        let mut answer: Value = asked.json().await.unwrap();
        answer["statuses"]
            .as_array_mut()
            .unwrap_or_else(|| panic!("no statuses"))
            .drain(..)
            .collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program behind `cargo dev`, built from the sources as they are now.
fn binary() -> PathBuf {
    lambdas::build(&Progress::silent())
        .unwrap()
        .join("leadlight-dev")
}

fn spawn(state: &Path, said: &Path, flags: &[&str]) -> Child {
    let said = File::create(said).unwrap();
    command(state, flags)
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap()
}

fn command(state: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary());
    // What is under test here does not need the widget, so nothing is built.
    command.args(["up", "--built", "--offline"]);
    if !flags.contains(&"--port") {
        command.args(["--port", "0"]);
    }
    command
        .args(flags)
        .env("LEADLIGHT_DEV_STATE", state)
        .env("LEADLIGHT_LOG", "error")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, which has to come.
async fn run(state: &Path, flags: &[&str]) -> (ExitStatus, String) {
    let ended = tokio::process::Command::from(command(state, flags))
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends")
        .unwrap();
    (ended.status, String::from_utf8(ended.stderr).unwrap())
}

/// Waits until `ask` answers something.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
