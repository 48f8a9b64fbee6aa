//! What comes from npm: compilers and checkers for the widget's package, and the frameworks of its examples.
//!
//! Versions and digests are in `infra/dev/npm/`. No package runs a script of its own while it is installed, and nothing of them
//! is shipped. What `cargo dev bench lambda` compares us with is apart, in `infra/dev/bench/lambda/`: there one does.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::progress::Progress;
use crate::{tools, workspace};

/// The packages, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Makes sure that the packages are there as the lock file names them.
    ///
    /// # Errors
    /// When npm is missing and cannot be installed, or a package cannot be fetched or is not what was locked.
    pub fn fetch(progress: &Progress) -> anyhow::Result<Self> {
        Self::described("infra/dev/npm", &["--ignore-scripts"], progress)
    }

    /// Makes sure that AWS's SDK and runtime client for Node are there. The client is built while it is installed.
    ///
    /// # Errors
    /// As [`Packages::fetch`], and when what builds the client is missing and cannot be installed.
    pub fn fetch_rivals(progress: &Progress) -> anyhow::Result<Self> {
        tools::native_builds(progress)?;
        Self::described("infra/dev/bench/lambda", &[], progress)
    }

    fn described(folder: &str, flags: &[&str], progress: &Progress) -> anyhow::Result<Self> {
        let described = workspace::root().join(folder);
        let lock = described.join("package-lock.json");
        let locked = std::fs::read(&lock).with_context(|| format!("read {}", lock.display()))?;
        let mut hasher = DefaultHasher::new();
        locked.hash(&mut hasher);
        let folder = workspace::downloads().join(format!("npm-{:016x}", hasher.finish()));
        let packages = Self { folder };
        let _alone = tools::alone("npm")?;
        if packages.folder.is_dir() {
            return Ok(packages);
        }
        tools::npm(progress)?;
        progress.say("fetching npm packages");
        // Installed beside its place and moved there whole, so that an interrupted download is not taken for a good one.
        let new = packages.folder.with_extension("new");
        let _ = std::fs::remove_dir_all(&new);
        std::fs::create_dir_all(&new).with_context(|| format!("create {}", new.display()))?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(described.join(file), new.join(file))
                .with_context(|| format!("copy {file}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"])
            .args(flags)
            .current_dir(&new);
        progress.run(&mut npm)?;
        std::fs::rename(&new, &packages.folder)
            .with_context(|| format!("create {}", packages.folder.display()))?;
        Ok(packages)
    }

    /// The folder that holds their `node_modules`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder that they were unpacked to.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    /// A file or folder of theirs.
    #[must_use]
    pub fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        self.modules().join(path)
    }

    /// A program of theirs.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.file(".bin").join(name))
    }
}
