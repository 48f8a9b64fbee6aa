//! What people, the queue and the schedule do in one world, and what has to be true once all has settled.
//!
//! Everybody acts at the same time and tries again as they would: a CRM until its save is answered, a sender under the same key, the
//! queue until a batch is taken. Towards the end the faults stop, so that whatever can be finished is.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use dynoxide::Database;
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lambda_http::{Body, Request, Response};
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight::evidence::{AddressRecord, Authority, Evidence, Fact, Piece};
use leadlight::lead::Lead;
use leadlight::policy::Policy;
use leadlight_functions::app::{Leadlight, Network};
use leadlight_functions::apply::{Subject, apply_evidence};
use leadlight_functions::config::{Settings, SnsSettings};
use leadlight_functions::table::definition::Definition;
use leadlight_functions::table::item::{self, Account, PublicKey};
use leadlight_functions::{feedback, jwt, leads, rechecks, reverifications, sends, statuses};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::carrier::{self, INVOCATION};
use crate::world::{Letter, Save, World, later};
use crate::{ACCOUNT, Plant, Run, address_secret, model};
use leadlight_dev::dns::{self, Unplugged, Zone};
use leadlight_dev::faults::{Fault, Faults};
use leadlight_dev::ses::Outcome;

/// The account's key pair: the example of RFC 8410, sections 10.1 and 10.3. Signatures by it are always the same.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";
const KEY_ID: &str = "simulated";
const SCOPE: &str = "statuses rechecks leads:read leads:write sends";
/// Who there is, and where they may be reached.
const LEADS: [&str; 3] = ["1", "2", "3"];
const ADDRESSES: [&str; 4] = [
    "ann@harbour.example",
    "Ben@harbour.example",
    "cat@orchard.example",
    "dan@meadow.example",
];
const DOMAINS: [&str; 3] = ["harbour.example", "orchard.example", "meadow.example"];
/// How many requests of a thousand something befalls.
const FAULTS_PER_MILLE: u32 = 100;
/// When everything has to have settled, in simulated time.
const SETTLED_WITHIN: Duration = Duration::from_hours(24 * 90);
/// From this age on, what could not be verified may have been given up.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(72);

/// One run.
struct Story {
    world: Arc<World>,
    faults: Faults,
    dns: Unplugged,
    app: Leadlight,
    key: EncodingKey,
    pollers_end: Cell<bool>,
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Save,
    Press,
    Quarrel,
    Send,
    Look,
    Befall,
    Support,
    ChangeZone,
    Reverify,
}

/// What is done, the likelier the oftener.
const DEEDS: [Deed; 24] = [
    Deed::Quarrel,
    Deed::Quarrel,
    Deed::Save,
    Deed::Save,
    Deed::Save,
    Deed::Save,
    Deed::Press,
    Deed::Press,
    Deed::Press,
    Deed::Press,
    Deed::Send,
    Deed::Send,
    Deed::Send,
    Deed::Send,
    Deed::Befall,
    Deed::Befall,
    Deed::Befall,
    Deed::Befall,
    Deed::Look,
    Deed::Support,
    Deed::Support,
    Deed::ChangeZone,
    Deed::ChangeZone,
    Deed::Reverify,
];

/// Plays one seed to its end.
pub(crate) async fn tell(
    table: &Definition,
    seed: u64,
    plant: Option<Plant>,
    shows_trace: bool,
) -> anyhow::Result<Run> {
    let story = Story::begin(table, seed, plant, shows_trace).await?;
    let story = Rc::new(story);
    let played = tokio::time::timeout(SETTLED_WITHIN, Rc::clone(&story).play());
    match played.await {
        Ok(played) => played?,
        Err(_) => story.world.violate("it does not settle".to_owned()),
    }
    let violations = story.world.state().violations.clone();
    Ok(Run {
        seed,
        trace: story.world.hash(),
        faults: story.faults.injected(),
        violations,
    })
}

impl Story {
    async fn begin(
        table: &Definition,
        seed: u64,
        plant: Option<Plant>,
        shows_trace: bool,
    ) -> anyhow::Result<Self> {
        let policy = Policy {
            soft_bounce_threshold: 2,
            soft_bounce_days: 2,
            recheck_on_save: seed.is_multiple_of(3),
            ..Policy::default()
        };
        let world = Arc::new(World::new(seed, policy.clone(), plant, shows_trace));
        let database = Database::memory().context("open a database in memory")?;
        let faults = Faults::new(seed, FAULTS_PER_MILLE, &Fault::ALL);
        faults.end();
        let dns = Unplugged::new(zone());
        let settings = Settings {
            table: "leadlight".to_owned(),
            address_secret: address_secret()?,
            name_servers: vec![SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), 53))],
            blocklists: Vec::new(),
            // The SDK keeps count of what it tries again by region, for the whole process.
            region: format!("simulated-{seed}"),
            credentials: Credentials::new("id", "key", None, None, "simulated"),
            dynamodb_endpoint: Some("http://table.example".to_owned()),
            sesv2_endpoint: Some("http://mail.example".to_owned()),
            configuration_set: None,
            permit_key: None,
            event_bus: None,
            eventbridge_endpoint: None,
            local_webhooks: false,
            sns: SnsSettings::default(),
        };
        let client = carrier::client(&world, &faults, &database);
        let network = Network {
            aws: client.clone(),
            mail: client,
            dns: dns.clone(),
        };
        let app = Leadlight::over(&network, &settings).context("build the clients")?;
        app.table.create(table).await?;
        let account = AccountId::parse(ACCOUNT)?;
        let key = PublicKey {
            algorithm: item::Algorithm::EdDsa,
            key: PUBLIC_KEY.to_owned(),
        };
        let item = Account {
            policy,
            keys: [(KEY_ID.to_owned(), key)].into(),
            ses_tenant: None,
            origins: None,
        };
        app.table.save_account(&account, &item).await?;
        let saved = app.table.save_identity("acme.example", &account).await?;
        anyhow::ensure!(saved == leadlight_functions::table::Commit::Committed);
        faults.begin();
        Ok(Self {
            world,
            faults,
            dns,
            app,
            key: EncodingKey::from_ed_pem(PRIVATE_KEY.as_bytes())?,
            pollers_end: Cell::new(false),
        })
    }

    async fn play(self: Rc<Self>) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        let mut pollers = JoinSet::new();
        for _ in 0..2 {
            pollers.spawn_local(Rc::clone(&self).poll());
        }
        let mut deeds = JoinSet::new();
        for number in 0..7 + world.below(9) {
            sleep(self.gap()).await;
            let deed = world.pick(&DEEDS).unwrap_or(Deed::Look);
            deeds.spawn_local(Rc::clone(&self).act(number, deed));
        }
        sleep(world.millis(0..60_000)).await;

        world.trace("the faults end");
        self.faults.end();
        world.calm();
        self.dns.change(|_| zone());
        finish(deeds).await?;
        self.pollers_end.set(true);
        world.queued.notify_waiters();
        finish(pollers).await?;
        // What is late may be carried out until now.
        sleep(Duration::from_mins(1)).await;
        while let Some(wait) = world.next_letter_in() {
            sleep(wait).await;
            self.deliver(world.receive(10)).await?;
        }
        for hours in [1, 3, 13, 13] {
            sleep(Duration::from_hours(hours)).await;
            self.reverify().await;
        }
        self.judge().await
    }

    /// How long nobody begins anything: mostly hardly at all, so that much happens at once.
    fn gap(&self) -> Duration {
        match self.world.below(20) {
            0..=6 => Duration::ZERO,
            7..=11 => self.world.millis(1..60),
            12..=14 => self.world.millis(60..3_000),
            15..=16 => self.world.millis(3_000..600_000),
            17..=18 => self.world.millis(600_000..20_000_000),
            _ => self.world.millis(20_000_000..90_000_000),
        }
    }

    async fn act(self: Rc<Self>, number: usize, deed: Deed) -> anyhow::Result<()> {
        self.world.trace(&format!("deed {number}: {deed:?}"));
        match deed {
            Deed::Save => self.save().await,
            Deed::Press => self.press(None).await,
            Deed::Quarrel => self.quarrel(number).await,
            Deed::Send => self.send(number).await,
            Deed::Look => self.look().await,
            Deed::Befall => self.befall(number),
            Deed::Support => self.support(number).await,
            Deed::ChangeZone => {
                self.change_zone();
                Ok(())
            }
            Deed::Reverify => {
                self.reverify().await;
                Ok(())
            }
        }
    }

    /// Runs an invocation of a function; `None` if it died.
    async fn invoke<T>(&self, name: &'static str, work: impl Future<Output = T>) -> Option<T> {
        let invocation = self.world.begin(name);
        let dies = pin!(invocation.crashed.notified());
        let work = pin!(INVOCATION.scope(Arc::clone(&invocation), work));
        let number = invocation.number();
        match select(work, dies).await {
            Either::Left((done, _)) => {
                self.world.trace(&format!("{name} #{number} ends"));
                Some(done)
            }
            Either::Right(_) => {
                self.world.trace(&format!("{name} #{number} dies"));
                None
            }
        }
    }

    /// Asks a function; `None` if it died before it answered.
    async fn ask(
        &self,
        function: &'static str,
        (method, path): (&str, &str),
        key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Option<(u16, Value)>> {
        let now = self.world.now();
        let token = self.token(now)?;
        let mut request = lambda_http::http::Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request =
            request.body(body.map_or(Body::Empty, |body| Body::Text(body.to_string())))?;
        let Some(response) = self
            .invoke(function, self.answer(function, request, now))
            .await
        else {
            return Ok(None);
        };
        let status = response.status().as_u16();
        let reply: Value = serde_json::from_slice(response.body().as_ref())?;
        self.world.trace(&format!("{method} {path} {status}"));
        if !matches!(status, 200 | 201 | 404 | 409 | 429 | 502 | 503) {
            self.world
                .violate(format!("{method} {path} answers {status}: {reply}"));
        }
        Ok(Some((status, reply)))
    }

    async fn answer(&self, function: &str, request: Request, now: Timestamp) -> Response<Body> {
        let app = &self.app;
        match function {
            "leads" => {
                leads::handle_at(&app.checks, request, now)
                    .boxed_local()
                    .await
            }
            "rechecks" => {
                rechecks::handle_at(&app.checks, request, now)
                    .boxed_local()
                    .await
            }
            "sends" => {
                sends::handle_at(&app.outbox, request, now)
                    .boxed_local()
                    .await
            }
            _ => statuses::handle_at(app, request, now).boxed_local().await,
        }
    }

    fn token(&self, now: Timestamp) -> anyhow::Result<String> {
        let claims = json!({ "iss": ACCOUNT, "aud": "leadlight", "scope": SCOPE,
            "iat": now.as_second(), "exp": now.as_second() + 600 });
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        jwt::install();
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }

    /// The CRM saves a lead, until that is answered.
    async fn save(&self) -> anyhow::Result<()> {
        let world = &self.world;
        let lead = world.pick(&LEADS).context("pick a lead")?;
        let address = world.pick(&ADDRESSES).context("pick an address")?;
        let standing = match world.below(4) {
            0 => json!("unsubscribed"),
            1 => json!("active"),
            _ => Value::Null,
        };
        let body = json!({ "address": address, "standing": standing });
        let path = format!("/v1/leads/{lead}");
        let begun = world.moment();
        loop {
            let answer = self.ask("leads", ("PUT", &path), None, Some(&body)).await?;
            if let Some((200 | 201, _)) = answer {
                break;
            }
            sleep(world.millis(200..20_000)).await;
        }
        let key = address_secret()?.key_of(&Address::parse(address)?);
        let save = Save {
            lead: lead.to_owned(),
            address: key.as_str().to_owned(),
            begun,
            answered: world.moment(),
        };
        let mut state = world.state();
        let is_linked = state
            .links
            .contains(&(save.address.clone(), save.lead.clone()));
        state.saves.push(save);
        drop(state);
        if !is_linked {
            world.violate(format!(
                "lead {lead} is saved at {address} and not linked with it"
            ));
        }
        Ok(())
    }

    /// A lead bounces, is checked again, and turns out to have complained meanwhile.
    async fn quarrel(&self, number: usize) -> anyhow::Result<()> {
        let world = &self.world;
        let lead = world.pick(&LEADS).context("pick a lead")?;
        let stored = world.state().leads.get(lead).cloned();
        let Some(stored) = stored else {
            return Ok(());
        };
        let address = stored.address.as_str();
        let bounced_at = world.now();
        let message = |what| format!("{what}-message-{number}");
        let bounce = Outcome::HardBounceGeneral;
        world.befall(&message("first"), bounced_at, address, bounce, bounced_at)?;
        sleep(world.millis(1_000..400_000)).await;
        self.press(Some(lead)).await?;
        let at = world.now().checked_sub(world.millis(0..600_000))?;
        world.befall(&message("second"), at, address, Outcome::Complaint, at)
    }

    /// Somebody presses Check again, for `lead` or for any.
    async fn press(&self, lead: Option<&'static str>) -> anyhow::Result<()> {
        let lead = lead.or_else(|| self.world.pick(&LEADS));
        let lead = lead.context("pick a lead")?;
        let complained = self.world.state().complained();
        let now = self.world.now();
        let path = format!("/v1/leads/{lead}/rechecks");
        let answer = self.ask("rechecks", ("POST", &path), None, None).await?;
        let Some((200, reply)) = answer else {
            return Ok(());
        };
        if complained.contains(lead) && self.world.state().complained().contains(lead) {
            self.world
                .violate(format!("lead {lead} complained and is checked again"));
        }
        if reply.get("outcome") == Some(&json!("sent")) {
            let state = self.world.state();
            let pieces = state
                .records
                .values()
                .flat_map(|record| record.evidence.pieces());
            let is_recorded = pieces
                .filter(|piece| matches!(piece.fact, Fact::Verification { .. }))
                .any(|piece| piece.at >= now);
            drop(state);
            if !is_recorded {
                self.world
                    .violate(format!("lead {lead} was checked and nothing is recorded"));
            }
        }
        Ok(())
    }

    /// The CRM sends a message, under a key until it knows what came of it.
    async fn send(&self, number: usize) -> anyhow::Result<()> {
        let world = &self.world;
        let subject = format!("message {number}");
        let mut to = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..=world.below(2) {
            let lead = world.pick(&LEADS).context("pick a lead")?;
            let stored = world
                .state()
                .leads
                .get(lead)
                .map(|lead| lead.address.as_str().to_owned());
            let recipient = match stored {
                Some(address) if seen.insert(address.clone()) => {
                    json!({ "address": address, "lead_id": lead })
                }
                Some(_) => continue,
                None => json!({ "address": "eve@harbour.example" }),
            };
            to.push(recipient);
        }
        let body = json!({ "from": { "address": "crm@acme.example" }, "to": to, "subject": subject, "text": "Hello",
            "mode": if world.happens(50) { "skip_blocked" } else { "all_or_nothing" }, "purpose": "transactional" });
        let key = world.happens(75).then(|| format!("key-{number}"));
        for _ in 0..5 {
            let asked = self.ask("sends", ("POST", "/v1/sends"), key.as_deref(), Some(&body));
            let answer = asked.await?;
            if let Some((200, reply)) = &answer {
                let id = reply.get("message_id").and_then(Value::as_str);
                let sent = (subject.clone(), id.unwrap_or_default().to_owned());
                if !world.state().mail.outbox.contains(&sent) {
                    world.violate(format!("{subject} is said to be sent and is not"));
                }
                break;
            }
            let is_refused =
                answer.is_some_and(|(status, reply)| status == 409 && !is_in_progress(&reply));
            if is_refused || key.is_none() {
                break;
            }
            sleep(world.millis(100..45_000)).await;
        }
        Ok(())
    }

    /// A page looks at its leads.
    async fn look(&self) -> anyhow::Result<()> {
        let complained = self.world.state().complained();
        let body = json!({ "leads": LEADS });
        let answer = self
            .ask("statuses", ("POST", "/v1/statuses"), None, Some(&body))
            .await?;
        let Some((200, reply)) = answer else {
            return Ok(());
        };
        let still = self.world.state().complained();
        let statuses = reply.get("statuses").and_then(Value::as_array);
        let statuses = statuses.context("find the statuses")?;
        for status in statuses {
            let lead = status
                .get("lead")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let reason = status.get("reason").and_then(Value::as_str);
            let complains = complained.contains(lead) && still.contains(lead);
            if complains && reason != Some("spam_complaint") {
                self.world
                    .violate(format!("lead {lead} complained and is shown as {status}"));
            }
        }
        Ok(())
    }

    /// Something becomes of an old message, maybe a while ago.
    fn befall(&self, number: usize) -> anyhow::Result<()> {
        let world = &self.world;
        let address = world.pick(&ADDRESSES).context("pick an address")?;
        let outcomes = [
            Outcome::HardBounceGeneral,
            Outcome::HardBounce,
            Outcome::MailboxFull,
            Outcome::MailboxFull,
            Outcome::Deliver,
            Outcome::Complaint,
        ];
        let outcome = world.pick(&outcomes).context("pick an outcome")?;
        let at = later(world.now(), Duration::ZERO).checked_sub(world.millis(0..7_200_000))?;
        let sent_at = at.checked_sub(world.millis(1_000..3_600_000))?;
        let message = format!("old-message-{number}");
        let other = world.pick(&ADDRESSES).context("pick an address")?;
        if outcome == Outcome::Complaint && other != address && world.happens(50) {
            return world.befall_one_of(&message, sent_at, &[address, other], at);
        }
        world.befall(&message, sent_at, address, outcome, at)
    }

    /// Somebody in support releases a lead at its address, and tries again as long as that fails.
    async fn support(&self, number: usize) -> anyhow::Result<()> {
        let (world, app) = (&self.world, &self.app);
        let lead = world.pick(&LEADS).context("pick a lead")?;
        let stored = world.state().leads.get(lead).cloned();
        let Some(stored) = stored else {
            return Ok(());
        };
        let address = address_secret()?.key_of(&stored.address);
        let authority = Authority::Support {
            actor: "sam".to_owned(),
            with_consent: world.happens(50),
        };
        let at = world.now();
        let release = (lead.to_owned(), at, authority.clone());
        world.state().released.push(release);
        let lead = stored.id.clone();
        let fact = Fact::Release { lead, authority };
        let source = format!("support-{number}");
        let addition = AddressRecord {
            evidence: Evidence::from_iter([Piece::new(fact, &source, &address, at, at)]),
            ..AddressRecord::new(stored.address)
        };
        let account = AccountId::parse(ACCOUNT)?;
        let subject = Subject {
            account: &account,
            policy: &world.policy,
            address: &address,
        };
        for _ in 0..3 {
            let addition = |_: Option<&AddressRecord>| addition.clone();
            let release = apply_evidence(&app.table, subject, None, addition, at);
            if let Some(Ok(_)) = self.invoke("support", Box::pin(release)).await {
                break;
            }
            sleep(world.millis(100..45_000)).await;
        }
        Ok(())
    }

    fn change_zone(&self) {
        let domain = self.world.pick(&DOMAINS).unwrap_or_default();
        let change = self.world.below(6);
        self.world.trace(&format!("{domain} changes ({change})"));
        self.dns.change(|zone| {
            let zone = zone.without(domain);
            match change {
                0 => zone.null_mx(domain),
                1 => zone.empty(domain),
                2 => zone.fault(domain, dns::Fault::ServerFailure),
                3 => zone.fault(domain, dns::Fault::Silence),
                4 => zone,
                _ => zone.mail(domain, Ipv4Addr::new(192, 0, 2, 25)),
            }
        });
    }

    /// The schedule calls.
    async fn reverify(&self) {
        let now = self.world.now();
        let work = reverifications::handle_at(&self.app.verifier, None, now);
        let report = self.invoke("reverifications", work).await;
        self.world.trace(&format!("reverifications: {report:?}"));
    }

    /// Feeds the function from the queue.
    async fn poll(self: Rc<Self>) -> anyhow::Result<()> {
        while !self.pollers_end.get() {
            let batch = self.world.receive(1 + self.world.below(8));
            if batch.is_empty() {
                let queued = pin!(self.world.queued.notified());
                let wait = self
                    .world
                    .next_letter_in()
                    .unwrap_or(Duration::from_hours(1));
                select(queued, pin!(sleep(wait.max(Duration::from_millis(1))))).await;
            } else {
                self.deliver(batch).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&self, batch: Vec<Letter>) -> anyhow::Result<()> {
        let world = &self.world;
        let record = |letter: &Letter| {
            json!({ "messageId": letter.id, "body": letter.body, "eventSource": "aws:sqs",
                "attributes": { "SentTimestamp": letter.sent_at.as_millisecond().to_string() } })
        };
        let event = json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() });
        let time = world.happens(30).then(|| world.millis(1_600..6_000));
        let deadline = time.map(|time| (tokio::time::Instant::now() + time).into_std());
        let now = world.now();
        let work = feedback::handle_at(&self.app, event, deadline, now);
        let answer = self.invoke("feedback", work.boxed_local()).await;
        let Some(Ok(answer)) = answer else {
            world.put_back(batch);
            return Ok(());
        };
        let failed = answer.get("batchItemFailures").and_then(Value::as_array);
        let failed: BTreeSet<&str> = failed
            .into_iter()
            .flatten()
            .filter_map(|failure| failure.get("itemIdentifier")?.as_str())
            .collect();
        let (again, done): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|letter| failed.contains(letter.id.as_str()));
        for letter in &done {
            world.trace(&format!("{} is acknowledged", letter.id));
            world.acknowledge(letter);
        }
        world.put_back(again);
        // The queue may forget that a message was taken.
        if world.happens(3) {
            world.put_back(done);
        }
        Ok(())
    }

    /// Holds the settled world against what must be true of it.
    async fn judge(&self) -> anyhow::Result<()> {
        let leads: Vec<Lead> = self.world.state().leads.values().cloned().collect();
        self.judge_evidence();
        self.judge_saves(&leads)?;
        for lead in &leads {
            let path = format!("/v1/leads/{}", lead.id);
            let Some((200, shown)) = self.ask("leads", ("GET", &path), None, None).await? else {
                self.world
                    .violate(format!("lead {} cannot be shown", lead.id));
                continue;
            };
            let expected = self.expected(lead)?;
            let reason = shown.get("reason").and_then(Value::as_str);
            if reason != expected {
                let id = &lead.id;
                self.world.violate(format!(
                    "lead {id} is {reason:?}, by the oracle {expected:?}: {shown}"
                ));
            }
        }
        Ok(())
    }

    /// Every record is what SES published, each piece once and merged in any order, and what was found out besides.
    fn judge_evidence(&self) {
        let state = self.world.state();
        let mut wrong = Vec::new();
        let addresses: BTreeSet<&String> =
            state.published.keys().chain(state.records.keys()).collect();
        for address in addresses {
            let published = state.published.get(address).cloned().unwrap_or_default();
            let record = state
                .records
                .get(address)
                .map(|record| record.evidence.clone());
            let record = record.unwrap_or_default();
            let own = record.pieces().filter(|piece| is_own(piece)).cloned();
            let expected = Evidence::from_iter(published).merge(own);
            let says = |evidence: &Evidence| -> Vec<_> {
                let pieces = evidence.pieces();
                pieces
                    .map(|piece| (piece.id.clone(), piece.at, piece.fact.clone()))
                    .collect()
            };
            let (held, expected) = (says(&record), says(&expected));
            if held != expected {
                let differ = |piece: &&_| !held.contains(piece);
                let lacks: Vec<_> = expected.iter().filter(differ).collect();
                wrong.push(format!(
                    "the record of {address} is not what the oracle adds up; it lacks {lacks:?}"
                ));
            }
        }
        drop(state);
        for wrong in wrong {
            self.world.violate(wrong);
        }
    }

    /// A lead is where the last save put it, linked and verified.
    fn judge_saves(&self, leads: &[Lead]) -> anyhow::Result<()> {
        let secret = address_secret()?;
        let now = self.world.now();
        for lead in leads {
            let key = secret.key_of(&lead.address);
            let state = self.world.state();
            let saves: Vec<Save> = state
                .saves
                .iter()
                .filter(|save| save.lead == lead.id.as_str())
                .cloned()
                .collect();
            let record = state.records.get(key.as_str()).cloned();
            drop(state);
            let last = |save: &&Save| saves.iter().all(|other| other.begun < save.answered);
            if !saves
                .iter()
                .filter(last)
                .any(|save| save.address == key.as_str())
            {
                self.world
                    .violate(format!("lead {} is not where it was saved last", lead.id));
            }
            let is_verified = record.is_some_and(|record| {
                let mut pieces = record.evidence.pieces();
                pieces.any(|piece| matches!(piece.fact, Fact::Verification { .. }))
            });
            let changed_at = lead.history.iter().map(|entry| entry.at).max();
            let is_recent = changed_at.is_some_and(|at| later(at, GIVEN_UP_AFTER) > now);
            if is_recent && !is_verified {
                self.world.violate(format!(
                    "the address of lead {} was never verified",
                    lead.id
                ));
            }
        }
        Ok(())
    }

    /// For what a lead is blocklisted in the end, if it is, by the oracle.
    fn expected(&self, lead: &Lead) -> anyhow::Result<Option<&'static str>> {
        let now = self.world.now();
        let key = address_secret()?.key_of(&lead.address);
        let state = self.world.state();
        let record = state.records.get(key.as_str()).cloned();
        let evidence = record.map(|record| record.evidence).unwrap_or_default();
        let of_lead = || {
            let all = model::releases(&evidence);
            let own = all.filter(|(of, _)| *of == lead.id.as_str());
            own.map(|(_, release)| release)
        };
        let is_complaining = state
            .complaints_of(lead.id.as_str())
            .any(|complaint| !of_lead().any(|release| complaint.is_lifted_by(release)));
        drop(state);
        let is_released = evidence.released_at().is_some();
        let is_forgiven = is_released && self.world.plant == Some(Plant::ForgivingOracle);
        if is_complaining && !is_forgiven {
            return Ok(Some("spam_complaint"));
        }
        let of_address = model::reason(&evidence, &self.world.policy, now, self.world.plant);
        let of_hold = lead.hold.as_ref().filter(|hold| {
            let needs_support = hold.reason.code() == "spam_complaint";
            !of_lead().any(|(at, authority)| {
                at > hold.taken_at && !(needs_support && *authority == Authority::Recheck)
            })
        });
        Ok(of_address.or(of_hold.map(|hold| hold.reason.code())))
    }
}

/// What Leadlight found out or did itself, or read from SES's suppression list.
fn is_own(piece: &Piece) -> bool {
    matches!(
        piece.fact,
        Fact::Verification { .. } | Fact::Release { .. } | Fact::Complaint { .. }
    )
}

/// Whether somebody else is at the same message.
fn is_in_progress(problem: &Value) -> bool {
    let kind = problem.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.ends_with("/request-in-progress"))
}

/// Waits for everybody.
async fn finish(mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.context("finish a deed")??;
    }
    Ok(())
}

/// The domains as they should be.
fn zone() -> Zone {
    let address = Ipv4Addr::new(192, 0, 2, 25);
    DOMAINS
        .iter()
        .fold(Zone::default(), |zone, domain| zone.mail(domain, address))
}
