//! `cargo dev bench widget`: the built widget in headless Chromium, beside hand-written JavaScript, Lit and Preact.
//!
//! What is measured and how is in `infra/dev/bench/widget/`.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::{Build, build, files};
use crate::npm::Packages;
use crate::progress::Progress;
use crate::{tools, workspace};

/// A part of the benchmark: the whole takes a quarter of an hour of a machine that does nothing else.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Part {
    /// The processor as it is.
    #[value(name = "1x")]
    Normal,
    /// A processor that is four times as slow.
    #[value(name = "4x")]
    Slow,
    /// A slow line.
    Line,
}

impl Part {
    fn flag(self) -> &'static str {
        match self {
            Self::Normal => "--1x",
            Self::Slow => "--4x",
            Self::Line => "--line",
        }
    }
}

/// Builds everything, runs the benchmark and answers its report. Its progress goes to the standard error.
///
/// # Errors
/// When something cannot be built or started, or a page throws.
pub fn bench(progress: &Progress, quick: bool, part: Option<Part>) -> anyhow::Result<String> {
    let widget = build(progress)?;
    let browser = tools::browser(progress)?;
    let packages = Packages::fetch(progress)?;
    let sources = workspace::root().join("infra/dev/bench/widget");
    let out = workspace::target().join("widget.bench");
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let build = Build {
        progress,
        packages: &packages,
        work: out.clone(),
        out: out.clone(),
    };
    for peer in files(&sources.join("peers"))? {
        build.esbuild(&[
            peer.display().to_string(),
            "--bundle".to_owned(),
            "--format=esm".to_owned(),
            format!("--outdir={}", out.display()),
        ])?;
    }
    // Where scripts look for what they import.
    let modules = out.join("node_modules");
    std::os::unix::fs::symlink(packages.modules(), &modules)
        .with_context(|| format!("create {}", modules.display()))?;
    let output = Command::new("node")
        .arg(sources.join("bench.mjs"))
        .args([&widget, &out, &browser.chromium])
        .args(quick.then_some("--quick"))
        .args(part.map(Part::flag))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("start node")?;
    if !output.status.success() {
        bail!("the benchmark failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}
