//! The widget's build: Rust to wasm, wasm-bindgen's glue, and the one script that pages load, into `target/widget/`.
//!
//! wasm-bindgen is a library here, pinned to the version that the widget links, so there is no tool to install and none to
//! disagree with it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use wasm_bindgen_cli_support::Bindgen;

use crate::progress::Progress;
use crate::tools::{self, WASM_TARGET};
use crate::workspace;

/// Builds the widget if anything changed, and answers the folder of its files.
///
/// # Errors
/// When the target is missing and cannot be installed, or the build fails.
pub fn build(progress: &Progress) -> anyhow::Result<PathBuf> {
    let toolchain = tools::wasm_toolchain(progress)?;
    let _alone = tools::alone("widget")?;
    let mut cargo = toolchain.cargo();
    cargo.args([
        "build",
        "--package",
        "leadlight-widget",
        "--target",
        WASM_TARGET,
        "--profile",
        "wasm",
    ]);
    progress
        .run(&mut cargo)
        .with_context(|| format!("build the widget with {}", toolchain.name()))?;

    let module = workspace::target()
        .join(WASM_TARGET)
        .join("wasm/leadlight_widget.wasm");
    let scripts = scripts()?;
    let folder = workspace::target().join("widget");
    let stamp = folder.join(".built-from");
    let fingerprint = fingerprint(&module, &scripts)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|built_from| built_from == fingerprint) {
        return Ok(folder);
    }
    progress.say("binding the module to JavaScript");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    bind(&module, &folder)?;
    for script in &scripts {
        let name = script.file_name().unwrap_or_default();
        std::fs::copy(script, folder.join(name))
            .with_context(|| format!("copy {}", script.display()))?;
    }
    std::fs::write(&stamp, fingerprint)?;
    Ok(folder)
}

fn bind(module: &Path, folder: &Path) -> anyhow::Result<()> {
    let bound = Bindgen::new()
        .input_path(module)
        .out_name("leadlight_widget")
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder));
    bound
        .map_err(|error| anyhow!("{error:#}"))
        .context("bind the module to JavaScript")
}

/// The scripts that are served as they are written.
fn scripts() -> anyhow::Result<Vec<PathBuf>> {
    let folder = workspace::root().join("frontend/embed");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .collect();
    scripts.sort_unstable();
    Ok(scripts)
}

/// Of everything that ends up in the folder, and of what makes it.
fn fingerprint(module: &Path, scripts: &[PathBuf]) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    // The settings of `bind` are in this file; wasm-bindgen itself leaves its version in the module.
    include_str!("widget.rs").hash(&mut hasher);
    for file in scripts.iter().map(PathBuf::as_path).chain([module]) {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        (file, bytes).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
