//! The pages that have to be built before they can be served: the examples of the widget's package, and the gallery's fonts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::npm::Packages;
use crate::progress::Progress;
use crate::{tools, workspace};

/// Where the examples are built to, each in a folder of its own.
#[must_use]
pub fn examples() -> PathBuf {
    workspace::target().join("examples")
}

/// Where the gallery's fonts are, each in a folder of its own.
#[must_use]
pub fn fonts() -> PathBuf {
    workspace::target().join("fonts")
}

/// Bundles the examples and puts the fonts in their place.
///
/// # Errors
/// When the packages from npm cannot be had, or an example does not compile.
pub fn build(progress: &Progress) -> anyhow::Result<()> {
    let packages = Packages::fetch(progress)?;
    let _alone = tools::alone("pages")?;
    let (from, to) = (
        workspace::root().join("frontend/package/examples"),
        examples(),
    );
    let mut bundler = Command::new("node");
    bundler
        .arg(workspace::root().join("infra/dev/npm/examples.mjs"))
        .args([&from, &to])
        .current_dir(packages.folder());
    progress
        .run(&mut bundler)
        .context("bundle the examples of the widget's package")?;
    for page in ["", "plain", "react", "vue"] {
        copy(&from.join(page).join("index.html"), &to.join(page))?;
    }
    copy(&from.join("example.css"), &to)?;
    let modules = packages.file("@fontsource-variable");
    for font in ["noto-sans", "noto-sans-arabic", "noto-sans-jp"] {
        let files = modules.join(font).join("files");
        copy(&modules.join(font).join("wght.css"), &fonts().join(font))?;
        for file in
            std::fs::read_dir(&files).with_context(|| format!("read {}", files.display()))?
        {
            copy(&file?.path(), &fonts().join(font).join("files"))?;
        }
    }
    Ok(())
}

/// Copies a file into a folder, unless it is there already as it is.
fn copy(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let new = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let copied = folder.join(file.file_name().unwrap_or_default());
    if std::fs::read(&copied).is_ok_and(|old| old == new) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    std::fs::write(&copied, new).with_context(|| format!("write {}", copied.display()))
}
