//! A repair under way, kept in a file so that it can be continued after a crash.
//!
//! The file holds addresses, so only its owner may read it, and it is gone when the repair is done. It is replaced as a whole,
//! never written over. What it says is never trusted: each address is compared anew before anything is done about it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight_functions::suppression_list::Entry;
use serde::{Deserialize, Serialize};

/// A repair under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Whose record is repaired.
    pub account: AccountId,
    /// When the lists were surveyed.
    pub surveyed_at: Timestamp,
    /// What is left to be done, in order.
    pub open: VecDeque<Item>,
    /// How many addresses were repaired.
    pub repaired: usize,
    /// How many had been brought together by others when their turn came, or by this before a crash.
    pub settled: usize,
    /// What could not be done, for a reason that will not pass.
    pub failed: Vec<Failure>,
}

/// An address to be repaired: SES's entries for it when the lists were surveyed, one or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// SES's entries.
    pub entries: Vec<Entry>,
}

/// An address that could not be repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The address.
    pub item: Item,
    /// Why not.
    pub why: String,
}

impl Plan {
    /// How many addresses it is about, done or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.done() + self.open.len()
    }

    /// How many addresses have had their turn.
    #[must_use]
    pub fn done(&self) -> usize {
        self.repaired + self.settled + self.failed.len()
    }
}

/// Where a plan is kept.
#[derive(Clone, Debug)]
pub struct PlanFile {
    path: PathBuf,
}

impl PlanFile {
    /// The file at `path`, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan in it; `None` if there is no file.
    ///
    /// # Errors
    /// When it cannot be read, holds no plan, or holds another account's.
    pub fn load(&self, account: &AccountId) -> anyhow::Result<Option<Plan>> {
        let path = self.path.display();
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        };
        let plan: Plan = serde_json::from_slice(&text)
            .with_context(|| format!("read {path} as an unfinished repair"))?;
        if plan.account != *account {
            bail!(
                "{path} is an unfinished repair of the account {}, not of {account}; choose another file by --state",
                plan.account
            );
        }
        Ok(Some(plan))
    }

    /// Replaces the file by one with `plan`. After a crash it holds either the former plan or this one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, plan: &Plan) -> anyhow::Result<()> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(self.folder())?;
            file.write_all(&serde_json::to_vec(plan)?)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            // The new name is in the folder, which is a file of its own to a file system.
            File::open(self.folder())?.sync_all()?;
            Ok::<_, anyhow::Error>(())
        };
        write().with_context(|| format!("write {}", self.path.display()))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        }
    }
}
