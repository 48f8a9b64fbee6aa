//! The verification of a whole file of leads, polite to the name servers it asks.
//!
//! Each domain is asked about once, one address at a time, however many leads have it; domains are begun no faster than the operator
//! allows, and so many at a time. What could not be found out is asked once more at the end. Everything that was found is in the
//! [`Journal`], from which an interrupted run goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use leadlight::address::Address;
use leadlight::api::VerificationReply;
use leadlight::verification::{Verdict, Verification, suggestion};
use leadlight_functions::verifier::{Freshness, Verifier};
use serde::Serialize;

use crate::journal::{Found, Journal};
use crate::leads_file::LeadsFile;
use crate::pace::Pace;

/// Addresses by the domain they are at, each by its form without letter case.
type Domains = BTreeMap<String, BTreeMap<String, Address>>;

/// How politely, and where to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the output goes.
    pub output: PathBuf,
    /// Where the unfinished run is kept.
    pub state: PathBuf,
    /// Domains begun a second, at most.
    pub rate: f64,
    /// Domains at a time, at most.
    pub at_once: usize,
}

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its lines, without the header.
    pub rows: usize,
    /// Different addresses in it, misspelled ones aside.
    pub addresses: usize,
    /// Different domains of these.
    pub domains: usize,
    /// Addresses that an earlier, interrupted run had verified.
    pub known_before: usize,
    /// Rows by verdict.
    pub verdicts: BTreeMap<String, usize>,
    /// Rows by cause or flag.
    pub details: BTreeMap<String, usize>,
    /// Rows for which another address is suggested.
    pub suggestions: usize,
    /// The blocklists that could not be asked about all addresses.
    pub unchecked: BTreeSet<String>,
}

impl Summary {
    /// Rows of which nothing could be found out.
    #[must_use]
    pub fn inconclusive(&self) -> usize {
        self.verdicts.get("inconclusive").copied().unwrap_or(0)
    }
}

/// A verification of a file, with what an earlier run found of it.
#[derive(Debug)]
pub struct FileVerification {
    leads: LeadsFile,
    settings: Settings,
    journal: Journal,
    /// By the address without letter case; what is inconclusive is not in the journal.
    found: Mutex<HashMap<String, Found>>,
    known_before: usize,
    progress: ProgressBar,
}

impl FileVerification {
    /// Opens the journal of an interrupted run, or begins one at `now`.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn open(
        leads: LeadsFile,
        settings: Settings,
        progress: ProgressBar,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let (journal, known) = Journal::open(&settings.state, now)?;
        Ok(Self {
            leads,
            settings,
            journal,
            known_before: known.len(),
            found: Mutex::new(known),
            progress,
        })
    }

    /// How many addresses an earlier run had verified, and when it was begun; `None` if this is the first.
    #[must_use]
    pub fn continues(&self) -> Option<(usize, Timestamp)> {
        (self.known_before > 0).then(|| (self.known_before, self.journal.since()))
    }

    /// Verifies what is not known yet, and writes the output. The journal is removed unless something stayed inconclusive.
    ///
    /// # Errors
    /// When the file cannot be read, or something cannot be written.
    pub async fn run(self, verifier: &Verifier) -> anyhow::Result<Summary> {
        let domains = self.read()?;
        let count: usize = domains.values().map(BTreeMap::len).sum();
        self.progress.set_length(count as u64);
        let keys = domains.values().flat_map(BTreeMap::keys);
        let settled = keys.filter(|key| self.is_settled(key)).count();
        self.progress.set_position(settled as u64);
        let pace = Pace::new(self.settings.rate);
        // What could not be found out is asked once more when all else is done.
        for _ in 0..2 {
            stream::iter(&domains)
                .map(|(_, addresses)| self.verify(verifier, &pace, addresses))
                .buffer_unordered(self.settings.at_once)
                .try_collect::<()>()
                .await?;
        }
        let summary = Summary {
            addresses: count,
            domains: domains.len(),
            known_before: settled,
            ..Summary::default()
        };
        let summary = self.write(summary)?;
        if summary.inconclusive() == 0 {
            self.journal.remove()?;
        }
        Ok(summary)
    }

    fn read(&self) -> anyhow::Result<Domains> {
        let mut domains = Domains::new();
        for typed in self.leads.addresses()? {
            // What is no address is told in the output; there is nothing to ask about it.
            if let Ok(address) = Address::parse(&typed?) {
                let domain = domains.entry(address.domain().to_owned()).or_default();
                domain.entry(address.key_form()).or_insert(address);
            }
        }
        Ok(domains)
    }

    fn is_settled(&self, key: &str) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .get(key)
            .is_some_and(|found| found.verdict.inconclusive().is_none())
    }

    /// Verifies the addresses at one domain, one after another. Only the first asks about the domain.
    async fn verify(
        &self,
        verifier: &Verifier,
        pace: &Pace,
        addresses: &BTreeMap<String, Address>,
    ) -> anyhow::Result<()> {
        let mut first: Option<Verification> = None;
        for (key, address) in addresses.iter().filter(|(key, _)| !self.is_settled(key)) {
            if first.is_none() || verifier.asks_blocklists() {
                pace.turn().await;
            }
            let verification = match &first {
                Some(first) => verifier.verify_beside(address, first).await,
                None => verifier.verify(address, Freshness::Remembered).await,
            };
            self.record(key, &verification)?;
            first.get_or_insert(verification);
        }
        Ok(())
    }

    fn record(&self, key: &str, verification: &Verification) -> anyhow::Result<()> {
        let found = Found {
            verdict: verification.verdict.clone(),
            unchecked: verification.findings.unchecked.clone(),
        };
        if found.verdict.inconclusive().is_none() {
            self.journal.add(key, &found)?;
            self.progress.inc(1);
        }
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.to_owned(), found);
        Ok(())
    }

    /// Writes the output as a whole: it is there when it is complete.
    fn write(&self, mut summary: Summary) -> anyhow::Result<Summary> {
        let output = &self.settings.output;
        let mut write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder_of(output))?;
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            let tell = |typed: &str| {
                let told = tell(typed, &found)?;
                summary.count(&told);
                Some(told.columns())
            };
            self.leads.write(BufWriter::new(&mut file), tell)?;
            file.as_file().sync_all()?;
            file.persist(output)?;
            anyhow::Ok(())
        };
        write().with_context(|| format!("write {}", output.display()))?;
        Ok(summary)
    }
}

/// What the output says of one line.
struct Told {
    verdict: Verdict,
    sentence: String,
    suggestion: Option<String>,
    unchecked: Vec<String>,
}

/// What is to be said of an address as it stands in the file; `None` if it was never verified.
fn tell(typed: &str, found: &HashMap<String, Found>) -> Option<Told> {
    let address = match Address::parse(typed) {
        Ok(address) => address,
        Err(error) => {
            let reply = VerificationReply::not_an_address(&error);
            return Some(Told {
                verdict: reply.verdict,
                sentence: reply.sentence,
                suggestion: reply.suggestion,
                unchecked: Vec::new(),
            });
        }
    };
    let Found { verdict, unchecked } = found.get(&address.key_form())?.clone();
    let meant = suggestion(&address, verdict.cannot_receive());
    Some(Told {
        sentence: verdict.sentence(meant.as_ref()),
        suggestion: meant.map(String::from),
        verdict,
        unchecked,
    })
}

impl Told {
    /// In the order of [`ADDED`](crate::leads_file::ADDED).
    fn columns(&self) -> [String; 4] {
        [
            verdict_code(&self.verdict).to_owned(),
            details(&self.verdict).join(" "),
            self.sentence.clone(),
            self.suggestion.clone().unwrap_or_default(),
        ]
    }
}

impl Summary {
    fn count(&mut self, told: &Told) {
        self.rows += 1;
        let count = |of: &mut BTreeMap<String, usize>, code: &str| {
            *of.entry(code.to_owned()).or_default() += 1;
        };
        count(&mut self.verdicts, verdict_code(&told.verdict));
        for detail in details(&told.verdict) {
            count(&mut self.details, detail);
        }
        self.suggestions += usize::from(told.suggestion.is_some());
        self.unchecked.extend(told.unchecked.iter().cloned());
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} lines, {} addresses at {} domains",
            self.rows, self.addresses, self.domains
        )?;
        for (verdict, count) in &self.verdicts {
            writeln!(f, "  {count:>9}  {verdict}")?;
        }
        if !self.details.is_empty() {
            writeln!(f, "of these")?;
        }
        for (detail, count) in &self.details {
            writeln!(f, "  {count:>9}  {detail}")?;
        }
        writeln!(
            f,
            "  {:>9}  with another address suggested",
            self.suggestions
        )?;
        if !self.unchecked.is_empty() {
            let lists: Vec<&str> = self.unchecked.iter().map(String::as_str).collect();
            writeln!(f, "not always asked: {}", lists.join(", "))?;
        }
        Ok(())
    }
}

fn verdict_code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Deliverable => "deliverable",
        Verdict::Risky { .. } => "risky",
        Verdict::Undeliverable { .. } => "undeliverable",
        Verdict::KnownSpammer { .. } => "known_spammer",
        Verdict::Inconclusive { .. } => "inconclusive",
    }
}

/// The cause, the flags or the list.
fn details(verdict: &Verdict) -> Vec<&str> {
    match verdict {
        Verdict::Deliverable => Vec::new(),
        Verdict::Risky { flags } => flags.iter().map(|flag| flag.code()).collect(),
        Verdict::Undeliverable { cause } => vec![cause.code()],
        Verdict::KnownSpammer { list } => vec![list],
        Verdict::Inconclusive { cause } => vec![cause.code()],
    }
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}
