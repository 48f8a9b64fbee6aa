//! Turns the lists of domains in `lists/` into sorted tables, and refuses a list that would do harm.
//!
//! An entry stands for all names below it, so an entry that is a public suffix (`com.ar`) would condemn a whole country: the build fails
//! and names it. What is a public suffix is publicsuffix.org's to say, by its section for registries.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A list and the table that is made of it. Several files may make one table.
const TABLES: [(&str, &[&str]); 3] = [
    ("DISPOSABLE", &["disposable.txt"]),
    ("FREE_MAIL", &["free_mail.txt", "free_mail_more.txt"]),
    ("RELAYS", &["relays.txt"]),
];

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo tells a build script by the environment where to write"
)]
fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=lists");
    let mut source = String::new();
    for (table, files) in TABLES {
        let mut domains = BTreeSet::new();
        for file in files {
            for domain in read(&Path::new("lists").join(file))? {
                if !domains.insert(domain.clone()) {
                    return Err(format!("lists/{file}: {domain} is listed twice"));
                }
            }
        }
        writeln!(
            source,
            "static {table}: [&str; {}] = {domains:?};",
            domains.len()
        )
        .map_err(|error| error.to_string())?;
    }
    // A `BTreeSet` prints its braces where an array has brackets.
    let source = source.replace('{', "[").replace('}', "]");
    let out = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let out = PathBuf::from(out).join("lists.rs");
    fs::write(&out, source).map_err(|error| format!("{}: {error}", out.display()))
}

/// The entries of a list; lines that begin with `#` say where it comes from.
fn read(list: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let mut domains = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with('#') {
            continue;
        }
        let refuse = |why: &str| Err(format!("{}:{number}: {line} {why}", list.display()));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if !line.chars().all(is_plain) || line.split('.').any(str::is_empty) {
            return refuse("is no domain in lower case, as A-labels");
        }
        let suffix = psl::suffix(line.as_bytes());
        let is_public_suffix = suffix.is_some_and(|suffix| {
            suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == line.as_bytes()
        });
        if is_public_suffix || !line.contains('.') {
            return refuse("is a public suffix: names of others stand below it");
        }
        domains.push(line.to_owned());
    }
    if domains.is_empty() {
        return Err(format!("{} has no entries", list.display()));
    }
    Ok(domains)
}
