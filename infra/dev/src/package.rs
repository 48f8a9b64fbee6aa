//! `cargo dev package`: what is uploaded. A zip for each function and processor, the widget's files, and a list of them all.
//!
//! arm64 is built by cargo-lambda with zig's linker, x86-64 natively. A package that names a folder of the machine it was built on, asks
//! for a newer C library than Lambda has, or is larger than promised is refused.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use object::Object as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::lambdas::FUNCTIONS;
use crate::progress::Progress;
use crate::{sbom, template, tools, widget, workspace};

/// The most octets of a function's zip, 3 MB as Lambda counts its own limits (250 MB are 262,144,000 octets): the larger it is, the
/// longer a cold start waits for its download.
pub(crate) const MAX_ZIP_OCTETS: usize = 3 * 1024 * 1024;
/// What Lambda calls the program of a function in its zip.
const BINARY: &str = "bootstrap";
/// Above 9, zopfli deflates, that many times less 9: in five it gets what counts (3.3 % less than zlib's best, measured).
const ZOPFLI_LEVEL: i64 = 9 + 5;
/// The minor version of the C library that `provided.al2023` has: 2.34 (Amazon Linux 2023 user guide, *glibc*).
const GLIBC_MINOR: u32 = 34;

/// Digits of the hash in the name of a file of the widget.
const HASH_DIGITS: usize = 10;

/// The processors that Lambda has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Processor {
    /// What the template deploys.
    Arm64,
    /// For accounts that must.
    #[value(name = "x86-64")]
    X8664,
}

impl Processor {
    /// The flag of cargo-lambda, and the folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X8664 => "x86-64",
        }
    }

    /// The target that is built for.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X8664 => "x86_64-unknown-linux-gnu",
        }
    }

    /// Whether this machine has it.
    fn is_native(self) -> bool {
        match self {
            Self::Arm64 => cfg!(target_arch = "aarch64"),
            Self::X8664 => cfg!(target_arch = "x86_64"),
        }
    }
}

/// Something that is uploaded.
#[derive(Clone, Debug, Serialize)]
pub struct Packed {
    /// Its place below the folder of packages.
    pub file: String,
    /// Its size.
    pub octets: usize,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packages {
    /// Where it is.
    pub folder: PathBuf,
    /// The functions' zips.
    pub functions: Vec<Packed>,
    /// The widget's files.
    pub widget: Vec<Packed>,
    /// Which crates are in them.
    pub documents: Vec<Packed>,
}

impl fmt::Display for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.folder.display())?;
        for packed in self.all() {
            let Packed {
                file,
                octets,
                sha256,
            } = packed;
            writeln!(f, "  {octets:>9}  {sha256}  {file}")?;
        }
        Ok(())
    }
}

/// Builds and packs everything, and checks it.
///
/// # Errors
/// When something cannot be built, or must not be uploaded as it is.
pub fn package(processors: &[Processor], progress: &Progress) -> anyhow::Result<Packages> {
    let folder = workspace::target().join("package");
    let mut packages = Packages {
        functions: Vec::new(),
        widget: pack_widget(&folder, progress)?,
        documents: list_crates(&folder, processors)?,
        folder,
    };
    for processor in processors {
        let zips = pack_functions(*processor, &packages.folder, progress)?;
        packages.functions.extend(zips);
    }
    let all: Vec<&Packed> = packages.all().collect();
    let list = packages.folder.join("packages.json");
    std::fs::write(&list, serde_json::to_vec_pretty(&all)?)
        .with_context(|| format!("write {}", list.display()))?;
    Ok(packages)
}

impl Packages {
    fn all(&self) -> impl Iterator<Item = &Packed> {
        self.functions
            .iter()
            .chain(&self.widget)
            .chain(&self.documents)
    }
}

/// Writes which crates are in what is uploaded.
///
/// # Errors
/// When it cannot be told or written.
pub fn list_crates(folder: &Path, processors: &[Processor]) -> anyhow::Result<Vec<Packed>> {
    let documents = sbom::documents(processors)?.into_iter();
    documents
        .map(|document| {
            Packed::new(
                folder,
                ["sbom/", &document.file].concat(),
                &document.json()?,
            )
        })
        .collect()
}

fn pack_functions(
    processor: Processor,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<Vec<Packed>> {
    let python = tools::python(progress)?;
    tools::rust_target(processor.target(), progress)?;
    let name = processor.name();
    let built = folder.join("built").join(name);
    let folders = folders()?;
    let flags: Vec<String> = folders
        .iter()
        .map(|Folder { path, stands }| format!("--remap-path-prefix={path}={stands}"))
        .collect();
    let mut cargo = tools::cargo();
    cargo
        .args([
            "lambda",
            "build",
            "--release",
            "--package",
            "leadlight-functions",
        ])
        .arg("--lambda-dir")
        .arg(&built)
        .arg(["--", name].concat())
        .env("PATH", python.path()?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if processor.is_native() {
        cargo.args(["--compiler", "cargo"]);
    }
    progress.run(&mut cargo)?;

    let target = folder.join(name);
    std::fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
    let mut packed = Vec::new();
    for function in FUNCTIONS {
        let file = format!("{name}/{function}.zip");
        let binary = read(&built.join(function).join(BINARY))?;
        inspect(&binary, &folders).with_context(|| format!("inspect {file}"))?;
        progress.say(&["packing ", &file].concat());
        packed.push(Packed::new(folder, file, &zip(&binary)?)?);
    }
    let too_large: Vec<String> = packed
        .iter()
        .filter(|zip| zip.octets > MAX_ZIP_OCTETS)
        .map(|zip| format!("{} has {}", zip.file, zip.octets))
        .collect();
    if !too_large.is_empty() {
        bail!(
            "more than {MAX_ZIP_OCTETS} octets: {}",
            too_large.join(", ")
        );
    }
    Ok(packed)
}

/// The zip of a function: nothing but its binary, made as small as deflating goes.
///
/// # Errors
/// When it cannot be packed.
pub(crate) fn zip(binary: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(ZOPFLI_LEVEL))
        .unix_permissions(0o755);
    zip.start_file(BINARY, options)?;
    zip.write_all(binary).context("pack the function")?;
    Ok(zip.finish()?.into_inner())
}

impl Packed {
    /// Writes `content` to `file` below `folder`.
    fn new(folder: &Path, file: String, content: &[u8]) -> anyhow::Result<Self> {
        let path = folder.join(&file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("create {}", parent.display()))?;
        }
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(Self {
            file,
            octets: content.len(),
            sha256: hexadecimal(&Sha256::digest(content)),
        })
    }
}

fn pack_widget(folder: &Path, progress: &Progress) -> anyhow::Result<Vec<Packed>> {
    let built = widget::build(progress)?;
    let kept_for_ever = template::kept_for_ever()?;
    // What an earlier build left is not uploaded again.
    let _ = std::fs::remove_dir_all(folder.join("widget"));
    let mut packed = Vec::new();
    let mut open = vec![built.clone()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries =
                std::fs::read_dir(&path).with_context(|| format!("read {}", path.display()))?;
            for entry in entries {
                let entry = entry?;
                if !entry.file_name().to_string_lossy().starts_with('.') {
                    open.push(entry.path());
                }
            }
            continue;
        }
        let place = path.strip_prefix(&built)?.to_string_lossy().into_owned();
        inspect_name(&place, &kept_for_ever)?;
        packed.push(Packed::new(
            folder,
            ["widget/", &place].concat(),
            &read(&path)?,
        )?);
    }
    packed.sort_unstable_by(|one, other| one.file.cmp(&other.file));
    Ok(packed)
}

/// A folder of this machine that a package must not name, and what stands for it instead.
struct Folder {
    path: String,
    stands: &'static str,
}

/// Such folders; of two that lie in each other the inner comes later.
fn folders() -> anyhow::Result<Vec<Folder>> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(home.as_ref()?.join(".cargo")));
    let named = [
        (home, "home"),
        (cargo, "cargo"),
        (Some(workspace::root()), "leadlight"),
    ];
    let folder = |(path, stands): (Option<PathBuf>, &'static str)| {
        let path = path?.into_os_string().into_string();
        Some(path.map(|path| Folder { path, stands }))
    };
    let folders: Result<Vec<Folder>, OsString> = named.into_iter().filter_map(folder).collect();
    folders.map_err(|path| anyhow!("{} is not UTF-8", path.display()))
}

/// What is kept for ever has the hash of its content in its name, and what has one is kept for ever: neither must a page run on
/// what is out of date, nor ask for the same again.
fn inspect_name(file: &str, kept_for_ever: &[String]) -> anyhow::Result<()> {
    let hash = file
        .rsplit_once('.')
        .and_then(|(stem, _)| stem.rsplit_once('-'));
    let is_hashed = hash.is_some_and(|(_, hash)| {
        hash.len() == HASH_DIGITS && hash.chars().all(|digit| digit.is_ascii_hexdigit())
    });
    let is_kept = kept_for_ever.iter().any(|pattern| is_like(file, pattern));
    match (is_hashed, is_kept) {
        (true, true) | (false, false) => Ok(()),
        (false, true) => bail!("{file} has no hash in its name and would be kept for ever"),
        (true, false) => bail!("{file} has a hash in its name and would be kept for minutes"),
    }
}

/// Whether a path is like a pattern of the distribution: `*` stands for anything, `?` for one character.
fn is_like(path: &str, pattern: &str) -> bool {
    let mut rest = path.chars();
    let mut pattern = pattern.chars();
    match (pattern.next(), rest.next()) {
        (None, None) => true,
        (Some('*'), None) => is_like(path, pattern.as_str()),
        (Some('*'), Some(_)) => {
            is_like(path, pattern.as_str())
                || is_like(rest.as_str(), &["*", pattern.as_str()].concat())
        }
        (Some(one), Some(other)) => {
            (one == '?' || one == other) && is_like(rest.as_str(), pattern.as_str())
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// What a binary must not have in it.
fn inspect(binary: &[u8], folders: &[Folder]) -> anyhow::Result<()> {
    for Folder { path, .. } in folders {
        let path = [path, "/"].concat();
        if let Some(at) = find(binary, path.as_bytes()) {
            let named: Vec<u8> = binary.iter().skip(at).copied().take(120).collect();
            bail!(
                "it names a folder of this machine: {}",
                String::from_utf8_lossy(&named)
            );
        }
    }
    if object::File::parse(binary).is_ok_and(|file| file.has_debug_symbols()) {
        bail!("it was not stripped");
    }
    let newest = newest_glibc(binary);
    if newest > GLIBC_MINOR {
        bail!("it needs glibc 2.{newest}, and Lambda has 2.{GLIBC_MINOR}");
    }
    Ok(())
}

/// The minor version of the newest symbols that a binary asks of glibc.
fn newest_glibc(binary: &[u8]) -> u32 {
    let version = b"GLIBC_2.";
    let mut newest = 0;
    let mut rest = binary;
    while let Some(at) = find(rest, version) {
        rest = rest.get(at + version.len()..).unwrap_or_default();
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit());
        let minor = digits.fold(0, |minor: u32, digit| {
            minor
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0'))
        });
        newest = newest.max(minor);
    }
    newest
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_hash_in_its_name_is_kept_for_ever_and_nothing_else() {
        let template = template::kept_for_ever().unwrap();
        let said = |file: &str, patterns: &[String]| {
            let inspected = inspect_name(file, patterns);
            inspected.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
        };
        for file in [
            "bubbles-c8cb34efbb.wasm",
            "popover-873dcc4a9d.js",
            "lead-light.js",
            "auto.js",
            "texts/en.json",
            "custom-elements.json",
        ] {
            assert_eq!(said(file, &template), "fine");
        }
        let too_long = "lead-light.js has no hash in its name and would be kept for ever";
        assert_eq!(said("lead-light.js", &["*.js".to_owned()]), too_long);
        let too_short =
            "popover-873dcc4a9d.css has a hash in its name and would be kept for minutes";
        assert_eq!(said("popover-873dcc4a9d.css", &template), too_short);
    }

    #[test]
    fn a_binary_that_must_not_be_uploaded_is_refused() {
        let folders = [Folder {
            path: "/home/ann".to_owned(),
            stands: "home",
        }];
        let said = |binary: &str| {
            let inspected = inspect(binary.as_bytes(), &folders);
            inspected.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
        };
        assert_eq!(
            said("\0cargo/registry/tokio\0GLIBC_2.34\0GLIBC_2.2.5\0"),
            "fine"
        );
        assert_eq!(said("\0/home/anna/\0"), "fine");
        let named = "it names a folder of this machine: /home/ann/.cargo/registry";
        assert_eq!(said("\0/home/ann/.cargo/registry"), named);
        // The standard library names the sections that it looks for.
        assert_eq!(said("\0.debug_info\0"), "fine");
        let newer = "it needs glibc 2.38, and Lambda has 2.34";
        assert_eq!(said("\0GLIBC_2.17\0GLIBC_2.38\0GLIBC_2.34\0"), newer);
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let inspected = inspect(&this_test, &[]).unwrap_err();
        assert_eq!(inspected.to_string(), "it was not stripped");
    }
}
