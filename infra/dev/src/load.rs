//! `cargo dev load`: many clients at once on the local stack, all routes mixed, with faults under the functions.
//!
//! Each client plays the story of leads of its own, so that it knows what every answer must say. Faults leave no doubt about a
//! message: of a call to SES that is lost nobody can say what came of it, which is another answer (502) and another test's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use jiff::Timestamp;
use leadlight::policy::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::crm::SENDER_DOMAIN;
use crate::demo;
use crate::faults::{Fault, Faults};
use crate::progress::Progress;
use crate::queue::QueueSettings;
use crate::stack::{Disturbance, Functions, Stack, StackSettings};

/// How many requests to the table and to SES's lists something befalls, of a thousand.
const FAULTS_PER_MILLE: u32 = 10;
/// What befalls messages on their way to SES: nothing that would leave in doubt whether they are sent.
const FAULTS_OF_MAIL: [Fault; 2] = [Fault::Throttled, Fault::Slow];
/// How long feedback may take to be seen, with redeliveries and whatever else stands in the queue.
const SEEN_WITHIN: Duration = Duration::from_secs(45);
/// The longest that a client waits before it tries again, whatever it is told.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often a notification is received before it is given up. The deployed queue receives it five times, a minute apart; five minutes
/// are sixty times here.
const MOST_RECEIVES: u32 = 60;
/// How long after the last story everything that was published has to be recorded.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
/// How much more memory the functions' processes may hold at the end than after a third of the time.
const MOST_GROWTH_PER_CENT: u64 = 10;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many clients there are.
    pub clients: u32,
    /// For how long they begin something new.
    pub duration: Duration,
    /// Where the functions run. What they hold in memory is known only of built ones, which hold nothing else.
    pub functions: Functions,
}

/// How it went.
#[derive(Debug)]
pub struct Report {
    load: Load,
    routes: BTreeMap<&'static str, Route>,
    stories: u64,
    wrong: Vec<String>,
    faults: u64,
    dead_letters: usize,
    waiting: u64,
    memory: Option<Memory>,
}

/// What the functions' processes hold, of those that live after a third of the time and at the end.
#[derive(Clone, Copy, Debug)]
struct Memory {
    processes: usize,
    early_kib: u64,
    late_kib: u64,
}

#[derive(Debug, Default)]
struct Route {
    took: Vec<Duration>,
    statuses: BTreeMap<u16, u64>,
}

#[derive(Debug, Default)]
struct Tally {
    routes: BTreeMap<&'static str, Route>,
    stories: u64,
    wrong: Vec<String>,
}

impl Report {
    /// What was not as it must be; empty if all was well.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.wrong.clone();
        for (route, counted) in &self.routes {
            for (status, times) in &counted.statuses {
                if *status >= 500 && *status != 503 {
                    complaints.push(format!("{route} answered {status}, {times} times"));
                }
            }
        }
        if self.stories == 0 {
            complaints.push("no client came to the end of a story".to_owned());
        }
        if self.dead_letters > 0 {
            let letters = self.dead_letters;
            complaints.push(format!("{letters} notifications were given up"));
        }
        if self.waiting > 0 {
            let (letters, seconds) = (self.waiting, SETTLED_WITHIN.as_secs());
            complaints.push(format!("{letters} notifications wait after {seconds} s"));
        }
        complaints.extend(self.memory.and_then(Memory::complaint));
        complaints
    }
}

impl Report {
    fn summary(&self) -> String {
        let (clients, seconds) = (self.load.clients, self.load.duration.as_secs());
        let requests: usize = self.routes.values().map(|route| route.took.len()).sum();
        let (stories, faults, wrong) = (self.stories, self.faults, self.wrong.len());
        let (lost, memory) = (self.dead_letters, self.memory);
        let memory = memory.map_or_else(String::new, |memory| format!("; {memory}"));
        format!(
            "{clients} clients, {seconds} s: {requests} requests, {stories} stories, {faults} faults, {wrong} wrong answers, \
            {lost} notifications given up{memory}"
        )
    }
}

impl Memory {
    fn between(early: &BTreeMap<u32, u64>, late: &BTreeMap<u32, u64>) -> Self {
        let both = early
            .iter()
            .filter_map(|(id, kib)| Some((kib, late.get(id)?)));
        let none = Self {
            processes: 0,
            early_kib: 0,
            late_kib: 0,
        };
        both.fold(none, |sum, (early_kib, late_kib)| Self {
            processes: sum.processes + 1,
            early_kib: sum.early_kib + early_kib,
            late_kib: sum.late_kib + late_kib,
        })
    }

    fn complaint(self) -> Option<String> {
        let has_grown = self.late_kib * 100 > self.early_kib * (100 + MOST_GROWTH_PER_CENT);
        (has_grown || self.processes == 0).then(|| format!("memory is not flat: {self}"))
    }
}

impl core::fmt::Display for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (processes, early, late) = (self.processes, self.early_kib, self.late_kib);
        let [early, late] = [early, late].map(|kib| kib / 1_024);
        write!(
            f,
            "{processes} processes of functions held {early} MiB after a third, {late} MiB at the end (at most {MOST_GROWTH_PER_CENT} % more)"
        )
    }
}

impl core::fmt::Display for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(
            f,
            "{:<28} {:>7} {:>9} {:>9}  answers",
            "route", "calls", "p50 ms", "p99 ms"
        )?;
        for (name, route) in &self.routes {
            let mut took = route.took.clone();
            took.sort_unstable();
            let at = |per_cent: usize| {
                let place = (took.len() * per_cent / 100).min(took.len().saturating_sub(1));
                took.get(place).map_or(0.0, Duration::as_secs_f64) * 1_000.0
            };
            let answers = route
                .statuses
                .iter()
                .map(|(status, times)| format!("{status}×{times}"));
            let answers = answers.collect::<Vec<_>>().join(" ");
            writeln!(
                f,
                "{name:<28} {:>7} {:>9.1} {:>9.1}  {answers}",
                took.len(),
                at(50),
                at(99)
            )?;
        }
        for complaint in self.complaints().iter().take(20) {
            writeln!(f, "✗ {complaint}")?;
        }
        f.write_str(&self.summary())
    }
}

/// Puts a stack under load.
///
/// # Errors
/// When the stack cannot be started or asked.
pub async fn run(load: Load, seed: u64, progress: &Progress) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("make a folder for the stack")?;
    let faults = Faults::new(seed, FAULTS_PER_MILLE, &Fault::ALL);
    let faults_of_mail = Faults::new(seed, FAULTS_PER_MILLE, &FAULTS_OF_MAIL);
    // Not while the stack is set up.
    faults.end();
    let settings = StackSettings {
        folder: Some(folder.path().to_owned()),
        zone: Some(demo::zone()),
        policy: Policy {
            rechecks_per_lead_per_hour: u8::MAX,
            rechecks_per_account_per_day: u32::MAX,
            requests_per_server_token_per_minute: u32::MAX,
            requests_per_account_per_minute: u32::MAX,
            ..Policy::default()
        },
        disturbance: Some(Disturbance {
            of_aws: faults.clone(),
            of_mail: faults_of_mail.clone(),
        }),
        functions: load.functions.clone(),
        queue: QueueSettings {
            max_receives: MOST_RECEIVES,
            ..QueueSettings::default()
        },
        ..StackSettings::default()
    };
    let stack = Stack::start(settings).await?;
    faults.begin();
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let started = Instant::now();
    let client = |number| {
        let now = Timestamp::now();
        anyhow::Ok(Client {
            number,
            http: http.clone(),
            origin: stack.origin(),
            token: stack.account.server_token(now)?.token,
            neighbour: stack.neighbour.server_token(now)?.token,
            tally: Arc::clone(&tally),
            until: started + load.duration,
        })
    };
    let clients = (0..load.clients).map(client);
    let clients: Vec<Client> = clients.collect::<anyhow::Result<_>>()?;
    let playing = join_all(clients.iter().map(Client::play));
    let watching = async {
        tokio::time::sleep(load.duration / 3).await;
        let early = children_kib()?;
        tokio::time::sleep(load.duration * 2 / 3).await;
        anyhow::Ok(Memory::between(&early, &children_kib()?))
    };
    let (played, watched) = tokio::join!(playing, watching);
    played.into_iter().collect::<anyhow::Result<()>>()?;
    let memory = watched?;
    progress.say("what was published is recorded");
    // What still waits is asked for next.
    let _ = tokio::time::timeout(SETTLED_WITHIN, stack.queue.drained()).await;
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    let is_built = matches!(load.functions, Functions::Built { .. });
    Ok(Report {
        load,
        routes: tally.routes,
        stories: tally.stories,
        wrong: tally.wrong,
        faults: faults.injected() + faults_of_mail.injected(),
        dead_letters: stack.queue.dead_letters()?.len(),
        waiting: stack.queue.depth()?,
        memory: is_built.then_some(memory),
    })
}

/// The memory that each process which this one started holds, by its id.
fn children_kib() -> anyhow::Result<BTreeMap<u32, u64>> {
    let own = std::process::id().to_string();
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("read which processes there are")? {
        let path = entry?.path();
        // One may end while it is looked at.
        let Ok(status) = std::fs::read_to_string(path.join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()
        };
        if field("PPid:") == Some(own.as_str())
            && let (Some(id), Some(kib)) = (field("Pid:"), field("VmRSS:"))
        {
            found.insert(id.parse()?, kib.parse()?);
        }
    }
    Ok(found)
}

/// Somebody with leads of their own.
struct Client {
    number: u32,
    http: reqwest::Client,
    origin: String,
    token: String,
    neighbour: String,
    tally: Arc<Mutex<Tally>>,
    until: Instant,
}

/// A request, and the route that it is counted under.
#[derive(Clone, Debug)]
struct Call {
    route: &'static str,
    method: Method,
    path: String,
    key: Option<String>,
    body: Option<Value>,
}

impl Call {
    fn get(route: &'static str, path: impl Into<String>) -> Self {
        Self {
            route,
            method: Method::GET,
            path: path.into(),
            key: None,
            body: None,
        }
    }

    fn post(route: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            ..Self::get(route, path)
        }
    }
}

/// Why a story ends before its end.
enum End {
    /// The time is over, or an answer was so wrong that nothing can follow.
    Over,
    /// The stack could not be asked.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for End {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A lead, and what is asked about it time and again.
struct Tale {
    lead: String,
    address: String,
    path: String,
    statuses: Call,
    check: Call,
    send: Call,
    recheck: Call,
}

impl Tale {
    fn new(lead: String) -> Self {
        let address = format!("{lead}@harbour.example");
        let path = format!("/v1/leads/{lead}");
        let asked = json!({ "leads": [lead, "stranger"] });
        let recipient = json!({ "address": address, "lead_id": lead });
        let checked = json!({ "recipients": [recipient] });
        let message = json!({ "from": { "address": format!("crm@{SENDER_DOMAIN}") }, "subject": lead, "text": "Hello",
            "to": [recipient] });
        let recheck = format!("{path}/rechecks");
        Self {
            statuses: Call::post("POST /v1/statuses", "/v1/statuses", asked),
            check: Call::post("POST /v1/send-checks", "/v1/send-checks", checked),
            send: Call::post("POST /v1/sends", "/v1/sends", message),
            recheck: Call::post("POST …/rechecks", recheck, Value::Null),
            lead,
            address,
            path,
        }
    }

    /// The message, under a key of its own.
    fn send(&self, time: &str) -> Call {
        Call {
            key: Some([self.lead.as_str(), "-", time].concat()),
            ..self.send.clone()
        }
    }
}

impl Client {
    async fn play(&self) -> anyhow::Result<()> {
        for round in 0.. {
            let tale = Tale::new(format!("load-{}-{round}", self.number));
            match Box::pin(self.tell(&tale)).await {
                Ok(()) => self.note(|tally| tally.stories += 1),
                Err(End::Over) => break,
                Err(End::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// From a lead that is saved to one that complained.
    async fn tell(&self, tale: &Tale) -> Result<(), End> {
        self.save(tale).await?;
        self.bounce(tale).await?;
        self.release(tale).await?;
        self.complain(tale).await?;
        for (route, path) in [
            ("GET /v1/reputation", "/v1/reputation"),
            ("GET /v1/webhook", "/v1/webhook"),
            ("GET /v1/permit-keys", "/v1/permit-keys"),
        ] {
            self.patiently(&Call::get(route, path), &[200]).await?;
        }
        Ok(())
    }

    async fn save(&self, tale: &Tale) -> Result<(), End> {
        let address = json!({ "address": tale.address });
        let save = Call {
            method: Method::PUT,
            ..Call::post("PUT /v1/leads/{id}", &tale.path, address.clone())
        };
        let saved = self.patiently(&save, &[200, 201]).await?;
        self.expect(&saved, "/status", "active");
        let shown = self.patiently(&tale.statuses, &[200]).await?;
        self.expect(&shown, "/statuses/0/status", "active");
        self.expect(&shown, "/statuses/1/status", "unknown");
        let verify = Call::post("POST /v1/verifications", "/v1/verifications", address);
        let verified = self.patiently(&verify, &[200]).await?;
        self.expect(&verified, "/verdict", "deliverable");
        let checked = self.patiently(&tale.check, &[200]).await?;
        self.expect(&checked, "/decision", "allow");
        let send = tale.send("first");
        let first = self.patiently(&send, &[200]).await?;
        let again = self.patiently(&send, &[200]).await?;
        if first.pointer("/message_id") != again.pointer("/message_id") {
            let lead = &tale.lead;
            self.wrong(format!(
                "{lead} is sent twice under one key: {first}, {again}"
            ));
        }
        Ok(())
    }

    async fn bounce(&self, tale: &Tale) -> Result<(), End> {
        self.publish(bounce(&tale.lead, &tale.address)).await?;
        let blocked = self.see(&tale.path, "hard_bounce").await?;
        self.expect(&blocked, "/resolution", "check_again");
        let checked = self.patiently(&tale.check, &[200]).await?;
        self.expect(&checked, "/decision", "refuse");
        let refused = self.patiently(&tale.send("second"), &[409]).await?;
        self.expect(&refused, "/blocked/0/reason", "hard_bounce");
        let stranger = Call::get("GET /v1/leads/{id}, foreign", &tale.path);
        let (status, _) = self.call(&stranger, &self.neighbour).await?;
        if status != 404 && !is_busy(status) {
            let lead = &tale.lead;
            self.wrong(format!(
                "a neighbour's question about {lead} is answered {status}"
            ));
        }
        Ok(())
    }

    async fn release(&self, tale: &Tale) -> Result<(), End> {
        loop {
            let pressed = self.patiently(&tale.recheck, &[200, 409]).await?;
            if pressed.pointer("/outcome") == Some(&json!("sent")) {
                self.expect(&pressed, "/status/status", "active");
                break;
            }
            // A press whose answer was lost may have done its work.
            if pressed.pointer("/code") == Some(&json!("not_blocklisted")) {
                break;
            }
            if pressed.pointer("/outcome") != Some(&json!("fail")) {
                let lead = &tale.lead;
                self.wrong(format!("Check again for {lead} is answered {pressed}"));
                return Err(End::Over);
            }
        }
        let shown = self.patiently(&tale.statuses, &[200]).await?;
        self.expect(&shown, "/statuses/0/status", "active");
        let log = Call::get("GET …/log", format!("{}/log", tale.path));
        let log = self.patiently(&log, &[200]).await?;
        let events = log.pointer("/entries").and_then(Value::as_array);
        let mut events = events.into_iter().flatten();
        if !events.any(|entry| entry.get("event") == Some(&json!("safelisted"))) {
            self.wrong(format!(
                "the log of {} tells of no release: {log}",
                tale.lead
            ));
        }
        Ok(())
    }

    async fn complain(&self, tale: &Tale) -> Result<(), End> {
        self.publish(complaint(&tale.lead, &tale.address)).await?;
        self.see(&tale.path, "spam_complaint").await?;
        let pressed = self.patiently(&tale.recheck, &[409]).await?;
        self.expect(&pressed, "/code", "complaint");
        let refused = self.patiently(&tale.send("third"), &[409]).await?;
        self.expect(&refused, "/blocked/0/reason", "spam_complaint");
        let shown = self.patiently(&tale.statuses, &[200]).await?;
        self.expect(&shown, "/statuses/0/reason", "spam_complaint");
        Ok(())
    }

    /// Puts a notification into the queue.
    async fn publish(&self, notification: Value) -> Result<(), End> {
        let publish = Call::post("POST /local/queue", "/local/queue", notification);
        self.patiently(&publish, &[202]).await.map(drop)
    }

    /// Looks at a lead until it is blocklisted for `reason`.
    async fn see(&self, path: &str, reason: &str) -> Result<Value, End> {
        let by = Instant::now() + SEEN_WITHIN;
        let look = Call::get("GET /v1/leads/{id}", path);
        loop {
            let shown = self.patiently(&look, &[200]).await?;
            if shown.pointer("/reason") == Some(&json!(reason)) {
                return Ok(shown);
            }
            if Instant::now() > by {
                let seconds = SEEN_WITHIN.as_secs();
                self.wrong(format!("{path} is not {reason} after {seconds} s: {shown}"));
                return Err(End::Over);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Asks until it is answered with one of `answers`, or time is up.
    async fn patiently(&self, call: &Call, answers: &[u16]) -> Result<Value, End> {
        loop {
            if Instant::now() >= self.until {
                return Err(End::Over);
            }
            let (status, answer) = self.call(call, &self.token).await?;
            let is_waited_for = status == 409 && answer.get("type").is_some_and(is_in_progress);
            if answers.contains(&status) && !is_waited_for {
                return Ok(answer);
            }
            if !is_busy(status) && !is_waited_for {
                self.wrong(format!("{} is answered {status}: {answer}", call.route));
                return Err(End::Over);
            }
            tokio::time::sleep(LONGEST_WAIT.mul_f64(rand::random())).await;
        }
    }

    async fn call(&self, call: &Call, token: &str) -> anyhow::Result<(u16, Value)> {
        let url = [self.origin.as_str(), call.path.as_str()].concat();
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .bearer_auth(token);
        if let Some(key) = &call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body.as_ref().filter(|body| !body.is_null()) {
            request = request.json(body);
        }
        let started = Instant::now();
        let answer = request
            .send()
            .await
            .with_context(|| format!("call {}", call.route))?;
        let status = answer.status();
        let text = answer.text().await?;
        let took = started.elapsed();
        self.note(|tally| {
            let route = tally.routes.entry(call.route).or_default();
            route.took.push(took);
            *route.statuses.entry(status.as_u16()).or_default() += 1;
        });
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            self.wrong(format!("{} is answered {status}: {text}", call.route));
        }
        let answer = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("read the answer {text}"))?
        };
        Ok((status.as_u16(), answer))
    }

    fn expect(&self, answer: &Value, pointer: &str, expected: &str) {
        if answer.pointer(pointer) != Some(&json!(expected)) {
            self.wrong(format!("{pointer} should be {expected} in {answer}"));
        }
    }

    fn wrong(&self, what: String) {
        self.note(|tally| tally.wrong.push(what));
    }

    fn note(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A hard bounce, as SES publishes it.
fn bounce(id: &str, address: &str) -> Value {
    let now = Timestamp::now().to_string();
    json!({ "eventType": "Bounce", "mail": mail(id, &now), "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": format!("bounce-{id}"), "timestamp": now,
        "bouncedRecipients": [{ "emailAddress": address, "action": "failed", "status": "5.0.0" }] } })
}

/// A complaint, as SES publishes it.
fn complaint(id: &str, address: &str) -> Value {
    let now = Timestamp::now().to_string();
    json!({ "eventType": "Complaint", "mail": mail(id, &now), "complaint": {
        "feedbackId": format!("complaint-{id}"), "timestamp": now, "complaintFeedbackType": "abuse",
        "complainedRecipients": [{ "emailAddress": address }] } })
}

fn mail(id: &str, now: &str) -> Value {
    json!({ "messageId": format!("message-{id}"), "timestamp": now, "tags": { "leadlight-account": [crate::stack::DEMO] } })
}

/// Whether an answer only says to come back later.
fn is_busy(status: u16) -> bool {
    status == 503 || status == 429
}

fn is_in_progress(kind: &Value) -> bool {
    kind.as_str()
        .is_some_and(|kind| kind.ends_with("/request-in-progress"))
}

/// A small load, for every change: what is asked of it is that nothing is wrong, not how fast it is.
///
/// # Errors
/// When there is anything to complain of.
pub fn check(progress: &Progress) -> anyhow::Result<()> {
    let load = Load {
        clients: 12,
        duration: Duration::from_secs(15),
        functions: Functions::Library,
    };
    let runtime = tokio::runtime::Runtime::new().context("start the async runtime")?;
    let report = runtime.block_on(run(load, 1, progress))?;
    progress.tell(&report.summary());
    judge(&report).with_context(|| report.complaints().join("\n"))
}

/// Fails if anything was not as it must be.
///
/// # Errors
/// When there is anything to complain of.
pub fn judge(report: &Report) -> anyhow::Result<()> {
    let complaints = report.complaints().len();
    if complaints > 0 {
        bail!("{complaints} things were not as they must be");
    }
    Ok(())
}
