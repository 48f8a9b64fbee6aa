//! The logs of a test run: kept in a folder that the environment names, and searched for what must never stand in a log.
//!
//! `cargo dev test` names the folder; where nobody does, nothing is kept. Kept is everything down to `trace`: what the functions and
//! the stand-ins log in test processes and in `cargo dev up`, and all that built functions say. Searched for are addresses, tokens,
//! signatures and private keys by their forms, and by themselves the secrets that [`forbid`] was told of.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leadlight_functions::config;
use regex::RegexSet;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::lambdas::FUNCTIONS;
use crate::workspace;

/// The variable that names the folder.
pub const FOLDER: &str = "LEADLIGHT_TEST_LOGS";
/// The file of secrets, a line each.
const SECRETS: &str = "secrets";
/// How the names of kept logs end.
const LOG: &str = "log";
/// Shorter texts stand in logs by chance.
const SHORTEST_SECRET: usize = 5;
/// How much of a line is shown.
const SHOWN_CHARACTERS: usize = 240;

/// What must not stand in a log, whosever it is: what it is called, and its form.
const FORMS: [(&str, &str); 7] = [
    ("an address", r#"[^\s"]@[^\s"]|%40"#),
    ("a token", r"eyJ[A-Za-z0-9_-]{8}"),
    ("a bearer", r"(?i)\bbearer [a-z0-9_-]{8}"),
    ("a webhook's secret", r"whsec_"),
    ("a webhook's signature", r"\bv1,[A-Za-z0-9+/]{40}"),
    ("a signature of AWS", r"AWS4-HMAC-SHA256|Signature="),
    // The words of PEM, and what PKCS #8 of Ed25519 and of P-256 begins with.
    (
        "a private key",
        r"PRIVATE KEY|MC4CAQAwBQYDK2Vw|MIGHAgEAMBMGByqGSM49",
    ),
];

/// Where a run of `cargo dev test` has its logs kept.
#[must_use]
pub fn folder() -> PathBuf {
    workspace::target().join("leadlight-test-logs")
}

/// Forgets the logs of an earlier run, and answers where those of this one go.
///
/// # Errors
/// When they cannot be removed.
pub fn begin() -> anyhow::Result<PathBuf> {
    let folder = folder();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Keeps what this process logs from now on, if it is part of a test run. What logs already is left alone.
///
/// # Errors
/// When there is nowhere to keep it.
pub fn keep() -> anyhow::Result<()> {
    if !tracing::dispatcher::has_been_set() {
        // Another thread may have been faster.
        let _ = Registry::default().with(kept_lines()?).try_init();
    }
    Ok(())
}

/// What keeps the lines of this process, if it is part of a test run.
///
/// # Errors
/// When there is nowhere to keep them.
pub fn kept_lines<S>() -> anyhow::Result<Option<impl Layer<S>>>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let name = std::env::args().next().unwrap_or_default();
    let name = Path::new(&name).file_stem().unwrap_or_default();
    let file = file(&name.to_string_lossy())?;
    let everything = Targets::new().with_default(LevelFilter::TRACE);
    Ok(file.map(|file| config::lines(everything, file)))
}

/// A file for what another process says, if this one is part of a test run. Its name begins with `name`.
///
/// # Errors
/// When it cannot be made.
pub fn file(name: &str) -> anyhow::Result<Option<File>> {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return Ok(None);
    };
    let own = uuid::Uuid::new_v4();
    append(&folder.join(format!("{name}-{own}.{LOG}"))).map(Some)
}

/// Has every kept log searched for `secret`: for each of its lines, if it has several.
///
/// # Errors
/// When it cannot be noted.
pub fn forbid(secret: &str) -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return Ok(());
    };
    let mut lines: Vec<&str> = secret.lines().map(str::trim).collect();
    lines.retain(|line| line.len() >= SHORTEST_SECRET && !line.starts_with("-----"));
    let noted: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    append(&folder.join(SECRETS))?
        .write_all(noted.as_bytes())
        .context("note a secret")
}

fn append(path: &Path) -> anyhow::Result<File> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("write {}", path.display()))
}

/// What was searched, and what was found.
#[derive(Debug, Default)]
pub struct Searched {
    files: Vec<String>,
    lines: usize,
    secrets: usize,
    leaks: Vec<Leak>,
}

/// A line that must not have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leak {
    file: String,
    line: usize,
    what: &'static str,
    text: String,
}

impl Searched {
    /// Makes sure that nothing was found.
    ///
    /// # Errors
    /// When something was.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.leaks.is_empty() {
            bail!("what must not be logged is:\n{self}");
        }
        Ok(())
    }

    /// Makes sure that what a whole run logs was there to be searched.
    ///
    /// # Errors
    /// When something of it was not.
    pub fn check_complete(&self) -> anyhow::Result<()> {
        let mute = FUNCTIONS.iter().find(|function| {
            let own = [function, "-"].concat();
            !self.files.iter().any(|file| file.starts_with(&own))
        });
        if let Some(mute) = mute {
            bail!("nothing of what the built function {mute} says was kept");
        }
        if !self.files.iter().any(|file| file.starts_with("flows-")) {
            bail!("nothing of what the flows log was kept");
        }
        if self.lines == 0 || self.secrets == 0 {
            bail!("no line was kept, or no secret to search it for");
        }
        Ok(())
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for leak in &self.leaks {
            let Leak {
                file,
                line,
                what,
                text,
            } = leak;
            writeln!(f, "{what} in {file}:{line}: {text}")?;
        }
        let (lines, files) = (self.lines, self.files.len());
        write!(
            f,
            "{lines} lines of {files} logs searched, for {} secrets and {} forms",
            self.secrets,
            FORMS.len()
        )
    }
}

/// Searches what was kept in `folder`.
///
/// # Errors
/// When it cannot be read.
pub fn search(folder: &Path) -> anyhow::Result<Searched> {
    let noted = std::fs::read_to_string(folder.join(SECRETS)).unwrap_or_default();
    let mut secrets: Vec<&str> = noted.lines().collect();
    secrets.sort_unstable();
    secrets.dedup();
    let forms = FORMS.iter().map(|(_, form)| (*form).to_owned());
    let all = forms.chain(secrets.iter().map(|secret| regex::escape(secret)));
    let forbidden = RegexSet::new(all).context("read what must not be logged")?;
    let mut searched = Searched {
        secrets: secrets.len(),
        ..Searched::default()
    };
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == LOG) {
            search_file(&path, &forbidden, &mut searched)
                .with_context(|| format!("read {}", path.display()))?;
        }
    }
    Ok(searched)
}

fn search_file(path: &Path, forbidden: &RegexSet, searched: &mut Searched) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    searched.files.push(name.clone().into_owned());
    for (index, line) in BufReader::new(File::open(path)?).split(b'\n').enumerate() {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        searched.lines += 1;
        let found = forbidden.matches(&text);
        searched.leaks.extend(found.iter().map(|at| Leak {
            file: name.clone().into_owned(),
            line: index + 1,
            what: FORMS.get(at).map_or("a secret of a test", |(what, _)| what),
            text: text.chars().take(SHOWN_CHARACTERS).collect(),
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a run that logged `line`.
    #[track_caller]
    fn found(line: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("leads-1.log"), format!("well\n{line}\n")).unwrap();
        std::fs::write(folder.path().join(SECRETS), "hunter2\nhunter2\n4s1z\n").unwrap();
        let searched = search(folder.path()).unwrap();
        assert_eq!((searched.lines, searched.secrets), (2, 2));
        assert!(searched.leaks.iter().all(|leak| leak.line == 2));
        searched.leaks.iter().map(|leak| leak.what).collect()
    }

    #[test]
    fn what_must_not_be_logged_is_found_in_any_form() {
        let leaks = [
            (r#"{"message":"saved ann@lead.example"}"#, "an address"),
            ("to=%C3%A4nn%40lead.example", "an address"),
            (r#"{"name":"än@xn--lead"}"#, "an address"),
            ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "a token"),
            ("Authorization: bearer c2VjcmV0LXRva2Vu", "a bearer"),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "a webhook's secret",
            ),
            (
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                "a webhook's signature",
            ),
            ("SignedHeaders=host, Signature=00ff", "a signature of AWS"),
            ("-----BEGIN PRIVATE KEY-----", "a private key"),
            (r"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp", "a private key"),
            (r#"{"zone":"4s1z.dbl.lists.example"}"#, "a secret of a test"),
        ];
        for (line, what) in leaks {
            assert_eq!(found(line), [what], "{line}");
        }
        for line in [
            r#"{"message":"refused","code":"missing","address.key":"c0ffee"}"#,
            r#"{"message":"the header Authorization must be Bearer and one token"}"#,
            "at 12:00 @ noon",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn a_run_that_kept_nothing_is_no_proof() {
        let folder = tempfile::tempdir().unwrap();
        let check = || {
            let searched = search(folder.path()).unwrap();
            let checked = searched.check().and_then(|()| searched.check_complete());
            checked.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
        };
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        for function in FUNCTIONS {
            let mute = format!("nothing of what the built function {function} says was kept");
            assert_eq!(check(), mute);
            write(&format!("{function}-1.log"), "");
        }
        assert_eq!(check(), "nothing of what the flows log was kept");
        write("flows-1.log", "");
        assert!(check().starts_with("no line was kept"), "{}", check());
        write("flows-1.log", "a line\n");
        assert!(check().starts_with("no line was kept"), "{}", check());
        write(SECRETS, "hunter2\n");
        assert_eq!(check(), "fine");
        write("flows-2.log", "the password is hunter2\n");
        assert!(
            check().contains("a secret of a test in flows-2.log:1"),
            "{}",
            check()
        );
    }
}
