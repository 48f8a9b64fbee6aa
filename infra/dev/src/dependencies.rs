//! What other people's crates may be: the rules in `.deny.toml`, held against `Cargo.lock` by cargo-deny, and the advisories
//! about them.
//!
//! The rules need no network. The advisories are a repository on GitHub: where that cannot be reached they are not checked, and
//! [`check_advisories`] says so.

use std::path::PathBuf;
use std::process::Command;

use crate::progress::Progress;
use crate::{tools, workspace};

/// The longest that fetching the advisories may take, in seconds.
const FETCH_SECONDS: &str = "60";

/// cargo-deny, and what it is to judge by which rules.
#[derive(Debug)]
struct Deny {
    program: PathBuf,
    rules: PathBuf,
    /// What cargo says of the packages, where that is not to be asked again.
    metadata: Option<PathBuf>,
    /// What git is told beside its own configuration.
    git: Vec<(&'static str, String)>,
}

/// What became of the check of the advisories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advisories {
    /// There are none about what we build on.
    Checked,
    /// The database could not be fetched.
    Unreachable,
}

/// Makes sure that every dependency has a licence that we can live with, is none that we ban, and comes from crates.io.
///
/// # Errors
/// When one does not, or cargo-deny cannot be installed.
pub fn check(progress: &Progress) -> anyhow::Result<()> {
    Deny::ours(progress)?.check(&["licenses", "bans", "sources"], progress)
}

/// Makes sure that nothing is known against a dependency, where that can be asked.
///
/// # Errors
/// When something is, or cargo-deny cannot be installed.
pub fn check_advisories(progress: &Progress) -> anyhow::Result<Advisories> {
    Deny::ours(progress)?.check_advisories(progress)
}

impl Deny {
    fn ours(progress: &Progress) -> anyhow::Result<Self> {
        Ok(Self {
            program: tools::cargo_deny(progress)?,
            rules: workspace::root().join(".deny.toml"),
            metadata: None,
            git: vec![("GIT_TERMINAL_PROMPT", "0".to_owned())],
        })
    }

    fn check(&self, subjects: &[&str], progress: &Progress) -> anyhow::Result<()> {
        let mut deny = Command::new(&self.program);
        deny.current_dir(workspace::root())
            .args(["--frozen", "--color", "never", "--config"])
            .arg(&self.rules);
        if let Some(metadata) = &self.metadata {
            deny.arg("--metadata-path").arg(metadata);
        }
        // What leads to a crate `cargo tree --invert` tells, and is longer than what is shown of a failure.
        deny.args(["check", "--hide-inclusion-graph"])
            .args(subjects);
        progress.run(&mut deny)
    }

    fn check_advisories(&self, progress: &Progress) -> anyhow::Result<Advisories> {
        let mut fetch = Command::new("timeout");
        fetch
            .current_dir(workspace::root())
            .arg(FETCH_SECONDS)
            .arg(&self.program)
            .args(["--locked", "--config"])
            .arg(&self.rules)
            .args(["fetch", "db"])
            .envs(self.git.iter().cloned());
        if progress.run(&mut fetch).is_err() {
            return Ok(Advisories::Unreachable);
        }
        self.check(&["advisories"], progress)?;
        Ok(Advisories::Checked)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    /// Our rules over our packages, and a folder to change either in.
    struct Bench {
        deny: Deny,
        folder: TempDir,
        metadata: Value,
    }

    impl Bench {
        fn new() -> Self {
            let metadata = tools::cargo()
                .args([
                    "metadata",
                    "--frozen",
                    "--all-features",
                    "--format-version",
                    "1",
                ])
                .output()
                .unwrap();
            assert!(metadata.status.success(), "{metadata:?}");
            Self {
                deny: Deny::ours(&Progress::silent()).unwrap(),
                folder: tempfile::tempdir().unwrap(),
                metadata: serde_json::from_slice(&metadata.stdout).unwrap(),
            }
        }

        /// What is said once the package `name` is something else.
        fn with(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> String {
            let mut metadata = self.metadata.clone();
            let packages = metadata["packages"].as_array_mut().unwrap().iter_mut();
            let mut named = packages.filter(|package| package["name"] == name);
            change(named.next().unwrap());
            self.judge(&metadata.to_string())
        }

        /// What is said once a package has another name, wherever it is named.
        fn renamed(&mut self, from: &str, to: &str) -> String {
            let metadata = self.metadata.to_string();
            let mut renamed = metadata.replace(&format!("\"{from}\""), &format!("\"{to}\""));
            renamed = renamed.replace(&format!("#{from}@"), &format!("#{to}@"));
            assert_ne!(metadata, renamed, "there is no {from}");
            self.judge(&renamed)
        }

        /// Other rules from now on.
        fn rules(&mut self, change: impl FnOnce(&str) -> String) {
            let rules = fs::read_to_string(&self.deny.rules).unwrap();
            let changed = change(&rules);
            assert_ne!(rules, changed);
            self.deny.rules = self.folder.path().join("rules.toml");
            fs::write(&self.deny.rules, changed).unwrap();
        }

        fn judge(&mut self, metadata: &str) -> String {
            let file = self.folder.path().join("metadata.json");
            fs::write(&file, metadata).unwrap();
            self.deny.metadata = Some(file);
            let subjects = ["licenses", "bans", "sources"];
            let checked = self.deny.check(&subjects, &Progress::silent());
            checked.map_or_else(|error| format!("{error:#}"), |()| "fine".to_owned())
        }
    }

    #[test]
    fn what_we_build_on_is_licensed_allowed_and_from_where_it_should_be() {
        let mut bench = Bench::new();
        assert_eq!(bench.with("serde", |_| {}), "fine");
        let said = bench.with("serde", |package| {
            package["license"] = json!("GPL-3.0-only");
        });
        assert!(said.contains("error[rejected]"), "{said}");
        let said = bench.with("serde", |package| package["license"] = json!("MPL-2.0"));
        assert!(said.contains("error[rejected]"), "{said}");
        let said = bench.renamed("openssl-probe", "openssl");
        assert!(said.contains("error[banned]"), "{said}");
        let said = bench.with("serde", |package| {
            package["source"] = json!("git+https://github.com/serde-rs/serde#0000000");
        });
        assert!(said.contains("error[source-not-allowed]"), "{said}");
        let said = bench.with("leadlight-functions", |package| {
            let dependencies = package["dependencies"].as_array_mut().unwrap().iter_mut();
            let mut named = dependencies.filter(|dependency| dependency["name"] == "base64");
            named.next().unwrap()["req"] = json!("*");
        });
        assert!(said.contains("error[wildcard]"), "{said}");
        // What is one package too many is seen under the name of any other.
        let said = bench.renamed("openssl-probe", "tokio");
        assert!(said.contains("error[duplicate]"), "{said}");
    }

    #[test]
    fn an_advisory_fails_and_a_database_out_of_reach_is_told() {
        let mut bench = Bench::new();
        let folder = bench.folder.path().to_owned();
        // A database of one advisory in place of the one on GitHub.
        let database = folder.join("advisory-db");
        publish(&database, "jiff");
        let kept = format!("[advisories]\ndb-path = {:?}", folder.join("kept"));
        bench.rules(|rules| rules.replace("[advisories]", &kept));

        bench.deny.git = redirected(Path::new("/nowhere"));
        let unreachable = bench.deny.check_advisories(&Progress::silent()).unwrap();
        assert_eq!(unreachable, Advisories::Unreachable);
        bench.deny.git = redirected(&database);
        let said = bench.deny.check_advisories(&Progress::silent());
        let said = format!("{:#}", said.unwrap_err());
        assert!(said.contains("RUSTSEC-2099-0001"), "{said}");
    }

    /// A repository in which something is known against every release of `krate`.
    fn publish(repository: &Path, krate: &str) {
        let advisory = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2099-0001\"\npackage = \"{krate}\"\ndate = \"2026-01-01\"\n\
             [versions]\npatched = []\n```\n\n# Planted\n\nNothing is wrong with it.\n"
        );
        let place = repository.join("crates").join(krate);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("RUSTSEC-2099-0001.md"), advisory).unwrap();
        for arguments in [
            vec!["init", "--quiet", "--initial-branch", "main"],
            vec!["add", "."],
            vec!["commit", "--quiet", "--message", "Plant an advisory"],
        ] {
            let mut git = Command::new("git");
            git.current_dir(repository)
                .args(["-c", "user.name=test", "-c", "user.email=test@test.example"])
                .args(arguments);
            Progress::silent().run(&mut git).unwrap();
        }
    }

    /// What has git go to `repository` instead of to GitHub.
    fn redirected(repository: &Path) -> Vec<(&'static str, String)> {
        let key = format!("url.file://{}.insteadOf", repository.display());
        vec![
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            ("GIT_CONFIG_KEY_0", key),
            (
                "GIT_CONFIG_VALUE_0",
                "https://github.com/RustSec/advisory-db".to_owned(),
            ),
        ]
    }
}
