//! A file of leads, as a CRM exports it: comma-separated values with a header. It is read twice and never changed.
//!
//! The output is a new file with the columns of the old one and [`ADDED`] behind them. Octets of other columns are copied as they
//! are, whatever their encoding.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, WriterBuilder};

/// The columns of the output that the input has not.
pub const ADDED: [&str; 4] = ["verdict", "detail", "sentence", "suggestion"];
/// What the column of addresses is called if nobody says: the first of these that there is.
const USUAL_COLUMNS: [&str; 4] = ["email", "address", "e-mail", "email address"];

/// Why a file of leads cannot be read. Lines count from 1, the header's.
#[derive(Debug, thiserror::Error)]
pub enum LeadsFileError {
    /// It cannot be read at all.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// There is nothing in it.
    #[error("{file}:1: there is no header")]
    NoHeader {
        /// The file.
        file: String,
    },
    /// The column of addresses is not there.
    #[error("{file}:1: there is no column {wanted}; there are: {present}")]
    NoColumn {
        /// The file.
        file: String,
        /// What was looked for.
        wanted: String,
        /// What there is.
        present: String,
    },
    /// A column is there already that would be added.
    #[error(
        "{file}:1: there is a column `{column}` already; is this the output of an earlier run?"
    )]
    ColumnTaken {
        /// The file.
        file: String,
        /// Which.
        column: &'static str,
    },
    /// A line with more or fewer fields than the header.
    #[error("{file}:{line}: there are {found} fields where the header has {expected}")]
    Fields {
        /// The file.
        file: String,
        /// Which line.
        line: u64,
        /// How many fields the header has.
        expected: u64,
        /// How many the line has.
        found: u64,
    },
    /// An address that is no text.
    #[error("{file}:{line}: column `{column}` is not UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// Which line.
        line: u64,
        /// Which column.
        column: String,
    },
}

/// A file of leads whose header was read.
#[derive(Debug)]
pub struct LeadsFile {
    path: PathBuf,
    delimiter: u8,
    /// Which column holds the addresses, and what it is called.
    column: (usize, String),
}

impl LeadsFile {
    /// Reads the header. `column` is found without letter case.
    ///
    /// # Errors
    /// When the file cannot be read, or its columns are not as they must be.
    pub fn open(path: &Path, column: Option<&str>, delimiter: u8) -> Result<Self, LeadsFileError> {
        let mut leads = Self {
            path: path.to_owned(),
            delimiter,
            column: (0, String::new()),
        };
        let header = leads.header(&mut leads.reader()?)?;
        let file = leads.name();
        let names: Vec<String> = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        if names.iter().all(String::is_empty) {
            return Err(LeadsFileError::NoHeader { file });
        }
        let find = |wanted: &str| {
            let is_it = |name: &String| name.to_lowercase() == wanted.to_lowercase();
            names.iter().position(is_it)
        };
        if let Some(column) = ADDED.into_iter().find(|column| find(column).is_some()) {
            return Err(LeadsFileError::ColumnTaken { file, column });
        }
        let found = match column {
            Some(column) => find(column),
            None => USUAL_COLUMNS.into_iter().find_map(find),
        };
        let Some(index) = found else {
            let wanted = column.map_or_else(
                || USUAL_COLUMNS.map(|name| format!("`{name}`")).join(" or "),
                |column| format!("`{column}`"),
            );
            let present = names.join(", ");
            return Err(LeadsFileError::NoColumn {
                file,
                wanted,
                present,
            });
        };
        let name = names.get(index).cloned().unwrap_or_default();
        leads.column = (index, name);
        Ok(leads)
    }

    /// The addresses as they stand in the file, line by line.
    ///
    /// # Errors
    /// When the file cannot be opened; each line has its own.
    pub fn addresses(
        &self,
    ) -> Result<impl Iterator<Item = Result<String, LeadsFileError>>, LeadsFileError> {
        let rows = self.reader()?.into_byte_records();
        Ok(rows.map(|row| {
            let row = row.map_err(|error| self.error(&error))?;
            self.address(&row).map(str::to_owned)
        }))
    }

    /// Writes every line to `output`, with what `tell` says of its address behind it. It says nothing of an address that is new.
    ///
    /// # Errors
    /// When the file has become unreadable, or the output cannot be written.
    pub fn write(
        &self,
        output: impl Write,
        mut tell: impl FnMut(&str) -> Option<[String; 4]>,
    ) -> anyhow::Result<()> {
        let mut writer = WriterBuilder::new()
            .delimiter(self.delimiter)
            .from_writer(output);
        let mut reader = self.reader()?;
        let mut header = self.header(&mut reader)?;
        header.extend(ADDED);
        writer.write_byte_record(&header)?;
        for row in reader.byte_records() {
            let mut row = row.map_err(|error| self.error(&error))?;
            let told = tell(self.address(&row)?)
                .with_context(|| format!("{} was changed meanwhile", self.name()))?;
            row.extend(told.iter().map(String::as_str));
            writer.write_byte_record(&row)?;
        }
        writer.flush()?;
        Ok(())
    }

    fn reader(&self) -> Result<Reader<File>, LeadsFileError> {
        let unreadable = |error: std::io::Error| LeadsFileError::Unreadable {
            file: self.name(),
            reason: error.to_string(),
        };
        let file = File::open(&self.path).map_err(unreadable)?;
        Ok(ReaderBuilder::new()
            .delimiter(self.delimiter)
            .from_reader(file))
    }

    /// The names of the columns, without the byte-order mark that spreadsheets write: `csv` drops it.
    fn header(&self, reader: &mut Reader<File>) -> Result<ByteRecord, LeadsFileError> {
        let header = reader.byte_headers().map_err(|error| self.error(&error))?;
        Ok(header.clone())
    }

    fn address<'a>(&self, row: &'a ByteRecord) -> Result<&'a str, LeadsFileError> {
        let (index, column) = &self.column;
        let octets = row.get(*index).unwrap_or_default();
        str::from_utf8(octets).map_err(|_| LeadsFileError::NotText {
            file: self.name(),
            line: row.position().map_or(0, csv::Position::line),
            column: column.clone(),
        })
    }

    fn error(&self, error: &csv::Error) -> LeadsFileError {
        let file = self.name();
        let reason = error.to_string();
        if let ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } = error.kind()
        {
            return LeadsFileError::Fields {
                file,
                line: pos.as_ref().map_or(0, csv::Position::line),
                expected: *expected_len,
                found: *len,
            };
        }
        LeadsFileError::Unreadable { file, reason }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(octets: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leads.csv");
        std::fs::write(&path, octets).unwrap();
        (folder, path)
    }

    fn addresses(octets: &[u8], column: Option<&str>, delimiter: u8) -> Vec<String> {
        let (_folder, path) = file(octets);
        let leads = LeadsFile::open(&path, column, delimiter).unwrap();
        leads.addresses().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_column_is_found_by_its_name() {
        let rows: [(&[u8], Option<&str>, u8); 6] = [
            (b"id,email\n1,ann@lead.example\n", None, b','),
            (b"address,x\nann@lead.example,1\n", None, b','),
            (
                b"\xef\xbb\xbfE-Mail,x\r\nann@lead.example,1\r\n",
                None,
                b',',
            ),
            (
                b"Work,email\nann@lead.example,ben@lead.example\n",
                Some("WORK"),
                b',',
            ),
            (
                b"id;name;Email\n1;\"Lee; Ann\";ann@lead.example\n",
                None,
                b';',
            ),
            // Another column's encoding is nobody's business here.
            (b"name,email\nJ\xfcrgen,ann@lead.example\n", None, b','),
        ];
        for (octets, column, delimiter) in rows {
            let found = addresses(octets, column, delimiter);
            assert_eq!(found, ["ann@lead.example"], "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_column() {
        let rows: [(&[u8], Option<&str>, &str); 8] = [
            (b"", None, ":1: there is no header"),
            (b"\n\n", None, ":1: there is no header"),
            (
                b"id,mail\n1,a@b.example\n",
                None,
                ":1: there is no column `email` or `address` or `e-mail` or `email address`; there are: id, mail",
            ),
            (
                b"id,email\n",
                Some("mail"),
                ":1: there is no column `mail`; there are: id, email",
            ),
            (
                b"email,Verdict\n",
                None,
                ":1: there is a column `verdict` already; is this the output of an earlier run?",
            ),
            (
                b"id,email\n1,a@b.example\n2\n",
                None,
                ":3: there are 1 fields where the header has 2",
            ),
            (
                b"id,email\n\"1\n2\",a@b.example\n3,c@d.example,x\n",
                None,
                ":4: there are 3 fields where the header has 2",
            ),
            (
                b"id,email\n1,a\xff@b.example\n",
                None,
                ":2: column `email` is not UTF-8",
            ),
        ];
        for (octets, column, expected) in rows {
            let (_folder, path) = file(octets);
            let told = LeadsFile::open(&path, column, b',')
                .and_then(|leads| leads.addresses()?.collect::<Result<Vec<_>, _>>());
            let told = told.unwrap_err().to_string();
            assert_eq!(told, format!("{}{expected}", path.display()));
        }
        let absent = LeadsFile::open(Path::new("absent.csv"), None, b',').unwrap_err();
        assert!(
            absent
                .to_string()
                .starts_with("absent.csv: cannot be read: "),
            "{absent}"
        );
    }

    #[test]
    fn the_output_is_the_file_with_four_more_columns() {
        let (_folder, path) =
            file(b"name,email\nJ\xfcrgen,ann@lead.example\n\"Lee, \"\"A\"\"\",x\n");
        let leads = LeadsFile::open(&path, None, b',').unwrap();
        let mut output = Vec::new();
        let tell = |typed: &str| Some([typed, "b", "c,d", ""].map(str::to_owned));
        leads.write(&mut output, tell).unwrap();
        let expected = b"name,email,verdict,detail,sentence,suggestion\n\
            J\xfcrgen,ann@lead.example,ann@lead.example,b,\"c,d\",\n\
            \"Lee, \"\"A\"\"\",x,x,b,\"c,d\",\n";
        assert_eq!(
            output.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        let changed = leads.write(Vec::new(), |_| None).unwrap_err();
        assert!(
            changed.to_string().contains("was changed meanwhile"),
            "{changed}"
        );
    }
}
