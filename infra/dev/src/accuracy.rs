//! How well our reading of addresses agrees with a suite of others: `cargo dev accuracy FILE.tsv`.
//!
//! Only syntax and policy are measured, never DNS. An address is valid where [`Address::parse`] keeps it as it stands and within
//! the lengths of RFC 5321, whether or not SES can send to it. Where people type we are kinder: blanks around an address are
//! dropped, and a long local part is worth a warning only; the report counts those. A suite is a file of lines `address<TAB>expected`, the address as a JSON string, with or without its quotes.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use leadlight::address::{Address, MAX_LOCAL_PART_OCTETS};

/// What a suite expects of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It can be kept.
    Valid,
    /// It is refused.
    Invalid,
}

/// A line of a suite that cannot be read. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not two fields.
    #[error(
        "line {line}: there must be one tab, between `address` and `expected`; there are {tabs}"
    )]
    Fields {
        /// Which line.
        line: usize,
        /// How many tabs it has.
        tabs: usize,
    },
    /// An address that is not escaped as JSON.
    #[error("line {line}: field `address` is no JSON string: {reason}")]
    Address {
        /// Which line.
        line: usize,
        /// What the reader of JSON says.
        reason: String,
    },
    /// An expectation of another name.
    #[error("line {line}: field `expected` is {found:?}; it must be `valid` or `invalid`")]
    Expected {
        /// Which line.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A suite without rows.
    #[error("there are no rows")]
    Empty,
}

/// A row on which we disagree with the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Its line.
    pub line: usize,
    /// The address.
    pub text: String,
    /// Why we refuse it; `None` where we accept it.
    pub refusal: Option<String>,
}

/// What came of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows in all.
    pub rows: usize,
    /// What we accept, and the suite does not.
    pub false_accepts: Vec<Disagreement>,
    /// What we refuse, and the suite does not.
    pub false_rejects: Vec<Disagreement>,
    /// Of what we accept, what SES cannot send to.
    pub unsendable: usize,
    /// Of what we refuse here, what is accepted where people type: without the blanks around it, or with a warning of its length.
    pub forgiven: usize,
}

/// Reads a suite and compares it with what we say.
///
/// # Errors
/// When the file or one of its lines cannot be read.
pub fn measure(file: &Path) -> anyhow::Result<Report> {
    let octets = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let text =
        String::from_utf8(octets).with_context(|| format!("read {} as UTF-8", file.display()))?;
    compare(&text).with_context(|| file.display().to_string())
}

/// Compares the rows of a suite with what we say.
///
/// # Errors
/// On the first line that cannot be read.
pub fn compare(suite: &str) -> Result<Report, LineError> {
    let mut report = Report::default();
    for (row, line) in suite.lines().zip(1..) {
        if row.is_empty() {
            continue;
        }
        let (text, expected) = read(row, line)?;
        report.rows += 1;
        let refusal = match Address::parse(&text) {
            Ok(address) => {
                let fault = fault_forgiven(&text, &address);
                report.forgiven += usize::from(fault.is_some());
                report.unsendable += usize::from(fault.is_none() && !address.is_sendable_by_ses());
                fault.map(str::to_owned)
            }
            Err(error) => Some(format!("{}: {error}", error.code())),
        };
        let disagreements = match (expected, &refusal) {
            (Expected::Valid, None) | (Expected::Invalid, Some(_)) => continue,
            (Expected::Invalid, None) => &mut report.false_accepts,
            (Expected::Valid, Some(_)) => &mut report.false_rejects,
        };
        disagreements.push(Disagreement {
            line,
            text,
            refusal,
        });
    }
    if report.rows == 0 {
        return Err(LineError::Empty);
    }
    Ok(report)
}

/// What is wrong with a text that was read as `address` all the same.
fn fault_forgiven(text: &str, address: &Address) -> Option<&'static str> {
    if text.trim() != text {
        Some("there are blanks around the address")
    } else if address.local_part().len() > MAX_LOCAL_PART_OCTETS {
        Some("the part before the @ has more than 64 octets")
    } else {
        None
    }
}

fn read(row: &str, line: usize) -> Result<(String, Expected), LineError> {
    let tabs = row.matches('\t').count();
    let fields = row.split_once('\t').filter(|_| tabs == 1);
    let (address, expected) = fields.ok_or(LineError::Fields { line, tabs })?;
    let expected = match expected {
        "valid" => Expected::Valid,
        "invalid" => Expected::Invalid,
        found => {
            let found = found.to_owned();
            return Err(LineError::Expected { line, found });
        }
    };
    let is_quoted = address.len() > 1 && address.starts_with('"') && address.ends_with('"');
    let json = if is_quoted {
        address.to_owned()
    } else {
        format!("\"{address}\"")
    };
    let text = serde_json::from_str(&json).map_err(|error| LineError::Address {
        line,
        reason: error.to_string(),
    })?;
    Ok((text, expected))
}

impl Report {
    /// Rows on which we agree.
    #[must_use]
    pub fn agreements(&self) -> usize {
        self.rows - self.false_accepts.len() - self.false_rejects.len()
    }

    /// Whether we agree on at least so many per cent of the rows.
    #[must_use]
    pub fn reaches(&self, percent: u8) -> bool {
        100 * self.agreements() >= usize::from(percent) * self.rows
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Cut, not rounded: 98.996 per cent are not 99.
        let hundredths = 10_000 * self.agreements() / self.rows.max(1);
        let (whole, part) = (hundredths / 100, hundredths % 100);
        writeln!(f, "rows           {:>6}", self.rows)?;
        writeln!(
            f,
            "agreement      {:>6}  {whole}.{part:02} %",
            self.agreements()
        )?;
        writeln!(f, "false accepts  {:>6}", self.false_accepts.len())?;
        list(f, &self.false_accepts)?;
        writeln!(f, "false rejects  {:>6}", self.false_rejects.len())?;
        list(f, &self.false_rejects)?;
        writeln!(
            f,
            "of what is accepted, SES cannot send to {}",
            self.unsendable
        )?;
        write!(
            f,
            "of what is refused, {} would be forgiven where people type",
            self.forgiven
        )
    }
}

fn list(f: &mut Formatter<'_>, disagreements: &[Disagreement]) -> fmt::Result {
    for Disagreement {
        line,
        text,
        refusal,
    } in disagreements
    {
        write!(f, "  line {line}: {text:?}")?;
        if let Some(refusal) = refusal {
            write!(f, " ({refusal})")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_counted_and_every_disagreement_listed() {
        let suite = "ann@lead.example\tvalid\n\
                     \"ann@lead.example\"\tinvalid\n\
                     \n\
                     ann\tvalid\r\n\
                     \"a\\u0000n@lead.example\"\tinvalid\n\
                     \\\"a b\\\"@lead.example\tinvalid\n\
                     \u{e9}ve@lead.example\tvalid\n\
                     \" ann@lead.example\"\tinvalid\n";
        let report = compare(suite).unwrap();
        assert_eq!(
            (report.rows, report.agreements(), report.unsendable),
            (7, 5, 1)
        );
        assert_eq!(report.forgiven, 1, "blanks around an address");
        let lines = |list: &[Disagreement]| list.iter().map(|row| row.line).collect::<Vec<_>>();
        assert_eq!(lines(&report.false_accepts), [2]);
        assert_eq!(lines(&report.false_rejects), [4]);
        let text = report.to_string();
        assert!(text.contains("agreement           5  71.42 %"), "{text}");
        assert!(text.contains("line 2: \"ann@lead.example\"\n"), "{text}");
        assert!(
            text.contains("line 4: \"ann\" (missing_at: the address has no @)"),
            "{text}"
        );
        assert!(report.reaches(71) && !report.reaches(72));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_with_its_field() {
        let found = String::new();
        let rows = [
            (
                "ann@lead.example\tvalid\nann@lead.example",
                LineError::Fields { line: 2, tabs: 0 },
            ),
            (
                "ann@lead.example\tvalid\tyes",
                LineError::Fields { line: 1, tabs: 2 },
            ),
            ("a\tb\tvalid", LineError::Fields { line: 1, tabs: 2 }),
            (
                "\n\nann@lead.example\tok",
                LineError::Expected {
                    line: 3,
                    found: "ok".to_owned(),
                },
            ),
            ("ann@lead.example\t", LineError::Expected { line: 1, found }),
            ("", LineError::Empty),
            ("\n\n", LineError::Empty),
        ];
        for (suite, expected) in rows {
            assert_eq!(compare(suite), Err(expected), "{suite:?}");
        }
        for suite in [
            "\"ann\"@lead.example\tvalid",
            "a\\x\tinvalid",
            "\"a\\ud800\"\tinvalid",
            "a\u{1}\tinvalid",
        ] {
            let error = compare(suite).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("line 1: field `address` is no JSON string: "),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("suite.tsv");
        fs::write(&file, b"\xff\tvalid").unwrap();
        for file in [file, folder.path().join("absent.tsv")] {
            let error = measure(&file).unwrap_err();
            assert!(
                error.to_string().contains(&file.display().to_string()),
                "{error:#}"
            );
        }
    }
}
