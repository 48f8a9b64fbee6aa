//! Where things lie in the repository and below `target/`.

use std::path::{Path, PathBuf};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds to.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// Where the local stack keeps its state between runs: below `target/`, or where `LEADLIGHT_DEV_STATE` says.
#[must_use]
pub fn state() -> PathBuf {
    std::env::var_os("LEADLIGHT_DEV_STATE").map_or_else(
        || target().join("leadlight-dev"),
        |folder| root().join(folder),
    )
}

/// Where what was fetched for the tests is kept.
#[must_use]
pub fn downloads() -> PathBuf {
    target().join("leadlight-downloads")
}
