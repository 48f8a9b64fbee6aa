//! What an unfinished verification of a file has found so far: a line of JSON for every address, appended as it is found.
//!
//! A line is written at once, so that a crash leaves whole lines and at most one broken at the end, which is cut off. Only what waiting cannot
//! change is kept: what was inconclusive is asked again. One process at a time has it open.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use leadlight::verification::Verdict;
use serde::{Deserialize, Serialize};

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    leadlight_verification_since: Timestamp,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// The address without letter case.
    address: String,
    #[serde(flatten)]
    found: Found,
}

/// What was found of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it amounts to.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The names of the blocklists that could not be asked.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unchecked: Vec<String>,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    since: Timestamp,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one at `now`, and gives what it knows by the address without letter case.
    ///
    /// # Errors
    /// When it cannot be read or written, is no journal, or is in use.
    pub fn open(path: &Path, now: Timestamp) -> anyhow::Result<(Self, HashMap<String, Found>)> {
        let name = path.display();
        // It holds addresses: for its owner alone.
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("open {name}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{name} is in use by another run"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {name}"));
            }
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)
            .with_context(|| format!("read {name}"))?;
        let whole = octets
            .iter()
            .rposition(|octet| *octet == b'\n')
            .map_or(0, |last| last + 1);
        let (whole, broken) = octets.split_at(whole);
        let mut lines = whole
            .split_inclusive(|octet| *octet == b'\n')
            .zip(1_usize..);
        let Some((head, _)) = lines.next() else {
            // Somebody else's file would be lost; half a head of ours begins like this.
            if !HEAD
                .as_bytes()
                .starts_with(broken.get(..HEAD.len()).unwrap_or(broken))
            {
                bail!("{name} is no unfinished verification");
            }
            file.set_len(0).with_context(|| format!("empty {name}"))?;
            let journal = Self::new(path, now, file);
            journal.write(&Head {
                leadlight_verification_since: now,
            })?;
            return Ok((journal, HashMap::new()));
        };
        let head: Head = serde_json::from_slice(head)
            .with_context(|| format!("{name} is no unfinished verification"))?;
        let mut known = HashMap::new();
        for (line, number) in lines {
            let line: Line = serde_json::from_slice(line)
                .with_context(|| format!("{name}:{number}: read what was found"))?;
            known.insert(line.address, line.found);
        }
        if !broken.is_empty() {
            file.set_len(whole.len() as u64)
                .with_context(|| format!("cut the broken line off {name}"))?;
        }
        let journal = Self::new(path, head.leadlight_verification_since, file);
        Ok((journal, known))
    }

    fn new(path: &Path, since: Timestamp, file: File) -> Self {
        Self {
            path: path.to_owned(),
            since,
            file: Mutex::new(file),
        }
    }

    /// When it was begun.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Adds what was found of an address.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, address: &str, found: &Found) -> anyhow::Result<()> {
        self.write(&Line {
            address: address.to_owned(),
            found: found.clone(),
        })
    }

    /// Removes it: everything is done.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("remove {}", self.path.display()))
    }

    fn write(&self, line: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text)
            .with_context(|| format!("append to {}", self.path.display()))
    }
}

/// How every journal begins.
const HEAD: &str = "{\"leadlight_verification_since\":";

#[cfg(test)]
mod tests {
    use std::fs;

    use leadlight::verification::UndeliverableCause;

    use super::*;

    fn found() -> Found {
        Found {
            verdict: Verdict::Undeliverable {
                cause: UndeliverableCause::NullMx,
            },
            unchecked: vec!["a list".to_owned()],
        }
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_was_added_is_known_again_even_after_a_crash_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (journal, known) = Journal::open(&path, now()).unwrap();
        assert!(known.is_empty());
        journal.add("ann@lead.example", &found()).unwrap();
        journal.add("ben@lead.example", &found()).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (journal, known) = Journal::open(&path, now()).unwrap();
            let lines = whole[..length].split(|octet| *octet == b'\n').count() - 1;
            assert_eq!(known.len(), lines.saturating_sub(1), "{length}");
            journal.add("cleo@lead.example", &found()).unwrap();
            drop(journal);
            let (_, known) = Journal::open(&path, now()).unwrap();
            assert_eq!(known["cleo@lead.example"], found(), "{length}");
        }
    }

    #[test]
    fn another_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let head = format!("{HEAD}\"2026-03-01T12:00:00Z\"}}\n");
        for text in ["leads", "leads\n", "{}\n", &format!("{head}leads\n")] {
            fs::write(&path, text).unwrap();
            assert!(Journal::open(&path, now()).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn one_process_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (journal, _) = Journal::open(&path, now()).unwrap();
        let error = Journal::open(&path, now()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error:#}");
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}
