//! `cargo dev disposable`: takes a newer list of throwaway domains from `PyPI` into `shared/lists/disposable.txt`.
//!
//! The list is that of the project disposable-email-domains (CC0-1.0), by its package of that name. Entries that would do harm are left
//! out and named: public suffixes, and free-mail providers, who are not to be called throwaway by somebody's mistake. What was written is verified
//! by building `shared`, whose build refuses a harmful list; if that fails the former list is put back.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use leadlight::verification::is_free_mail;

use crate::progress::Progress;
use crate::{tools, workspace};

/// The package on `PyPI`.
const PACKAGE: &str = "disposable-email-domains";
/// Where it has the list: a Python set with one domain on a line.
const MODULE: &str = "disposable_email_domains/__init__.py";
/// The most of the former list that a newer one may lack, in per cent. More is no update but an accident at the source.
const MOST_LOST_PERCENT: usize = 20;

/// What a refresh changed.
#[derive(Debug)]
pub struct Refresh {
    /// The release, as `PyPI` numbers it.
    pub release: String,
    /// How many domains the list has now.
    pub count: usize,
    /// The domains that are new.
    pub added: Vec<String>,
    /// The domains that are gone.
    pub removed: Vec<String>,
    /// The entries that were left out, each with the reason.
    pub left_out: Vec<String>,
}

impl Display for Refresh {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{PACKAGE} {}: {} domains", self.release, self.count)?;
        writeln!(f, "  {:>6} added", self.added.len())?;
        write!(f, "  {:>6} removed", self.removed.len())?;
        for entry in &self.left_out {
            write!(f, "\nleft out: {entry}")?;
        }
        Ok(())
    }
}

/// Takes the newest release, and says what that changed. A list that stays the same keeps its date.
///
/// # Errors
/// When the release cannot be had, is not as it must be, or `shared` does not build with it.
pub fn refresh(now: Timestamp, progress: &Progress) -> anyhow::Result<Refresh> {
    let folder = tempfile::tempdir().context("make a folder for the release")?;
    let (release, module) = download(folder.path(), progress)?;
    let list = workspace::root().join("shared/lists/disposable.txt");
    let former = fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
    let (domains, left_out) = sift(read_module(&module)?);
    let before: BTreeSet<String> = entries(&former).map(str::to_owned).collect();
    let refresh = Refresh {
        release,
        count: domains.len(),
        added: domains.difference(&before).cloned().collect(),
        removed: before.difference(&domains).cloned().collect(),
        left_out,
    };
    ensure!(
        refresh.removed.len() * 100 <= before.len() * MOST_LOST_PERCENT,
        "the release lacks {} of {} domains, more than {MOST_LOST_PERCENT} %: look at it by hand",
        refresh.removed.len(),
        before.len()
    );
    if domains != before {
        let today = now.to_zoned(TimeZone::UTC).date();
        replace(&list, &text(&refresh.release, &today.to_string(), &domains))?;
        progress.say("building shared with it");
        if let Err(error) = verify(&list, &domains, progress) {
            replace(&list, &former)?;
            return Err(error.context("the former list was put back"));
        }
    }
    Ok(refresh)
}

/// The newest release's version and the text of its module.
fn download(folder: &Path, progress: &Progress) -> anyhow::Result<(String, String)> {
    tools::pip(progress)?;
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]);
    progress.run(pip.arg("--dest").arg(folder).arg(PACKAGE))?;
    let wheel = wheel_in(folder)?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let release = name
        .split('-')
        .nth(1)
        .with_context(|| format!("read the version in {name}"))?
        .to_owned();
    let mut unzip = python();
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
    progress.run(&mut unzip)?;
    let module = fs::read_to_string(folder.join(MODULE))
        .with_context(|| format!("read {MODULE} of {name}"))?;
    Ok((release, module))
}

fn python() -> Command {
    Command::new("python3")
}

fn wheel_in(folder: &Path) -> anyhow::Result<PathBuf> {
    for file in fs::read_dir(folder).context("look for the release")? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "whl") {
            return Ok(path);
        }
    }
    bail!("PyPI gave no wheel of {PACKAGE}")
}

/// The domains of the Python set in the module.
fn read_module(module: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut lines = module.lines().zip(1..);
    lines
        .find(|(line, _)| line.trim() == "blocklist = {")
        .context("find the set `blocklist` in the release")?;
    let mut domains = BTreeSet::new();
    for (line, number) in lines {
        let line = line.trim();
        if line == "}" {
            ensure!(!domains.is_empty(), "the release's list is empty");
            return Ok(domains);
        }
        let domain = line.strip_suffix(',').and_then(|quoted| {
            let inner = |mark: char| quoted.strip_prefix(mark)?.strip_suffix(mark);
            inner('\'').or_else(|| inner('"'))
        });
        let domain =
            domain.with_context(|| format!("read line {number} of the release: {line:?}"))?;
        domains.insert(domain.to_owned());
    }
    bail!("the release's list has no end")
}

/// Takes out what would do harm, and says why.
fn sift(domains: BTreeSet<String>) -> (BTreeSet<String>, Vec<String>) {
    let mut left_out = Vec::new();
    let kept = domains.into_iter().filter(|domain| match harm(domain) {
        Some(harm) => {
            left_out.push(format!("{domain}: {harm}"));
            false
        }
        None => true,
    });
    (kept.collect(), left_out)
}

fn harm(domain: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    if !domain.chars().all(is_plain) || domain.split('.').any(str::is_empty) {
        return Some("is no domain in lower case, as A-labels");
    }
    let suffix = psl::suffix(domain.as_bytes());
    let is_public_suffix = suffix.is_some_and(|suffix| {
        suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == domain.as_bytes()
    });
    if is_public_suffix || !domain.contains('.') {
        return Some("is a public suffix: names of others stand below it");
    }
    is_free_mail(domain).then_some("is a free-mail provider or a relay")
}

fn text(release: &str, date: &str, domains: &BTreeSet<String>) -> String {
    let mut text = format!("# {PACKAGE} {release} (PyPI), taken {date}. CC0-1.0.\n");
    for domain in domains {
        text.push_str(domain);
        text.push('\n');
    }
    text
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// Replaces the list by one with `text`; it holds either the former or this one at any time.
fn replace(list: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let folder = list.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(fs::metadata(list)?.permissions())
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(list)?;
        anyhow::Ok(())
    };
    write().with_context(|| format!("write {}", list.display()))
}

/// Reads back what was written, and builds what is made of it.
fn verify(list: &Path, domains: &BTreeSet<String>, progress: &Progress) -> anyhow::Result<()> {
    let written = fs::read_to_string(list)?;
    ensure!(
        entries(&written).eq(domains.iter().map(String::as_str)),
        "what was written is not what was read"
    );
    progress.run(tools::cargo().args(["check", "--package", "leadlight"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(domains: &[&str]) -> BTreeSet<String> {
        domains.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn the_releases_set_is_read_line_by_line() {
        let module =
            "import x\n\nblocklist = {\n    'b.example',\n    \"a.example\",\n}\nallowlist = {\n";
        assert_eq!(
            read_module(module).unwrap(),
            set(&["a.example", "b.example"])
        );
        let rows = [
            ("", "find the set `blocklist`"),
            ("blocklist = {\n}\n", "is empty"),
            ("blocklist = {\n'a.example',\n", "has no end"),
            ("blocklist = {\n'a.example'\n}\n", "line 2"),
            ("blocklist = {\n'a.example',\n*other,\n}\n", "line 3"),
        ];
        for (module, why) in rows {
            let error = read_module(module).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn what_would_do_harm_is_left_out_by_name() {
        let read = set(&[
            "mailinator.com",
            "x.example",
            "com.ar",
            "com",
            "gmail.com",
            "duck.com",
            "Upper.example",
            "a..example",
            "ü.example",
        ]);
        let (kept, left_out) = sift(read);
        assert_eq!(kept, set(&["mailinator.com", "x.example"]));
        let left_out = left_out.join("\n");
        for (domain, why) in [
            ("com.ar", "public suffix"),
            ("com", "public suffix"),
            ("gmail.com", "free-mail"),
            ("duck.com", "relay"),
            ("Upper.example", "lower case"),
            ("a..example", "no domain"),
            ("ü.example", "no domain"),
        ] {
            let line = left_out
                .lines()
                .find(|line| line.starts_with(&format!("{domain}: ")));
            assert!(
                line.is_some_and(|line| line.contains(why)),
                "{domain}: {left_out}"
            );
        }
    }

    #[test]
    fn a_list_is_replaced_as_a_whole_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.txt");
        fs::write(&list, "old\n").unwrap();
        let domains = set(&["a.example", "b.example"]);
        replace(&list, &text("1.2.3", "2026-03-01", &domains)).unwrap();
        let written = fs::read_to_string(&list).unwrap();
        assert_eq!(
            written,
            "# disposable-email-domains 1.2.3 (PyPI), taken 2026-03-01. CC0-1.0.\na.example\nb.example\n"
        );
        assert!(entries(&written).eq(["a.example", "b.example"]));
    }

    #[test]
    fn the_list_in_the_repository_holds_nothing_harmful() {
        let list = workspace::root().join("shared/lists/disposable.txt");
        let listed = fs::read_to_string(list).unwrap();
        let (_, left_out) = sift(entries(&listed).map(str::to_owned).collect());
        assert_eq!(left_out, [] as [String; 0]);
    }
}
