//! The widget's build, from Rust and scripts to the folder `target/widget/` that pages load and npm packs.
//!
//! Two modules: `bubbles` draws what a page shows at once, and lies in the very script that starts it; `popover` (Yew) comes when the
//! page is idle or somebody points. wasm-bindgen is a library here, pinned to the version that the widget links, so there is no tool to install and none to disagree with it;
//! Binaryen and esbuild come from npm, at the versions in `infra/dev/npm/`. Whatever a page may keep for ever has the hash of
//! its content in its name.

mod bench;
mod glue;
mod literal;
mod prune;
mod sizes;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384};
use wasm_bindgen_cli_support::Bindgen;

pub use self::bench::{Part, bench};
pub use self::sizes::sizes;
use crate::npm::Packages;
use crate::progress::Progress;
use crate::tools::{self, WASM_TARGET, WasmToolchain};
use crate::workspace;

/// The modules. Each is a crate `leadlight-<name>`.
const MODULES: [&str; 2] = ["bubbles", "popover"];
/// Leaves out what a panic would say: it ends the module either way, and costs a fifth of it.
const RUSTFLAGS: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none \
     -Zfmt-debug=none -Clink-arg=-zstack-size=131072";
/// What browsers of the last years understand, and rustc uses.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// What makes a module small. To flatten it first and to inline nothing then is worth a fiftieth of what travels. A trap stays one:
/// after it the page starts the popover anew.
const SHRINK: [&str; 8] = [
    "-Oz",
    "--flatten",
    "--rereloop",
    "-Oz",
    "--converge",
    "--always-inline-max-function-size=0",
    "--flexible-inline-max-function-size=0",
    "--one-caller-inline-max-function-size=0",
];
/// Stands in the script for the first module.
const BUBBLES: &str = "lead-light/bubbles.wasm";

/// Builds the widget if anything changed, and answers the folder of its files.
///
/// # Errors
/// When the toolchain or a tool cannot be had, or the build fails.
pub fn build(progress: &Progress) -> anyhow::Result<PathBuf> {
    let toolchain = tools::wasm_toolchain(progress)?;
    let packages = Packages::fetch(progress)?;
    let _alone = tools::alone("widget")?;
    compile(&MODULES, toolchain, progress)?;

    let folder = workspace::target().join("widget");
    let stamp = folder.join(".built-from");
    let fingerprint = fingerprint()?;
    if std::fs::read_to_string(&stamp).is_ok_and(|built_from| built_from == fingerprint) {
        return Ok(folder);
    }
    let build = Build {
        progress,
        packages: &packages,
        work: workspace::target().join("widget.work"),
        out: workspace::target().join("widget.new"),
    };
    build.run()?;
    std::fs::write(build.out.join(".built-from"), fingerprint)?;
    // Whoever serves the folder never sees half of it.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::rename(&build.out, &folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Builds a page of a host that is drawn by Yew too, and answers the folder of its script and module.
///
/// # Errors
/// As [`build`].
pub fn yew_host(progress: &Progress) -> anyhow::Result<PathBuf> {
    let toolchain = tools::wasm_toolchain(progress)?;
    let _alone = tools::alone("widget")?;
    compile(&["yew-host"], toolchain, progress)?;
    let folder = workspace::target().join("yew_host");
    let bound = Bindgen::new()
        .input_path(linked("yew_host"))
        .out_name("yew_host")
        .typescript(false)
        .web(true)
        .and_then(|bindgen| bindgen.generate(&folder));
    bound
        .map_err(|error| anyhow!("{error:#}"))
        .context("bind the host to JavaScript")?;
    Ok(folder)
}

/// Compiles the crates `leadlight-<name>` to modules.
fn compile(names: &[&str], toolchain: WasmToolchain, progress: &Progress) -> anyhow::Result<()> {
    let mut cargo = toolchain.cargo();
    cargo
        .arg("build")
        .args(
            names
                .iter()
                .flat_map(|name| ["--package".to_owned(), format!("leadlight-{name}")]),
        )
        .args(["--target", WASM_TARGET, "--profile", "wasm"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
        .env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size")
        .env("RUSTFLAGS", RUSTFLAGS);
    progress
        .run(&mut cargo)
        .with_context(|| format!("build {} with {}", names.join(", "), toolchain.name()))
}

struct Build<'a> {
    progress: &'a Progress,
    packages: &'a Packages,
    /// What lies between the steps.
    work: PathBuf,
    /// What is made.
    out: PathBuf,
}

impl Build<'_> {
    fn run(&self) -> anyhow::Result<()> {
        for folder in [&self.work, &self.out] {
            let _ = std::fs::remove_dir_all(folder);
            std::fs::create_dir_all(folder)
                .with_context(|| format!("create {}", folder.display()))?;
        }
        std::fs::create_dir(self.out.join("texts"))?;
        for name in ["bubble.css", "popover.css"] {
            let sheet = embed().join(name);
            let out = format!("--outfile={}", self.work.join(name).display());
            self.esbuild(&[sheet.display().to_string(), out])?;
        }
        let texts = self.texts()?;
        let [bubbles, popover] = MODULES.map(|module| self.module(module));
        let (bubbles, popover) = (bubbles?, popover?);

        let popover = self.keep("popover", "wasm", &popover)?;
        let wasm = format!("--define:WASM={:?}", format!("./{popover}"));
        let script = self.bundle("popover", "hands", &embed().join("popover.js"), &[wasm])?;
        let hands = self.keep("popover", "js", &script)?;
        let defines = [
            format!("--define:BUBBLES={BUBBLES:?}"),
            format!("--define:POPOVER={:?}", format!("./{hands}")),
            format!("--define:TEXTS={}", serde_json::to_string(&texts)?),
            format!("--define:VERSION={:?}", env!("CARGO_PKG_VERSION")),
        ];
        let script = self.bundle("bubbles", "page", &embed().join("lead-light.js"), &defines)?;
        let script = String::from_utf8(script).context("read the script")?;
        let script = literal::put(&script, BUBBLES, &bubbles)?;
        std::fs::write(self.out.join("lead-light.js"), script)?;
        let auto = embed().join("auto.js").display().to_string();
        let out = format!("--outfile={}", self.out.join("auto.js").display());
        self.esbuild(&[auto, out, "--format=esm".to_owned()])?;
        self.package()
    }

    /// Makes one module small. Its glue is left in the work folder.
    fn module(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        self.progress.say(&format!("binding {name} to JavaScript"));
        let linked = std::fs::read(linked(name)).with_context(|| format!("read {name}"))?;
        let pruned = prune::prune(&linked, prune::unreached(name))?;
        let bound = Bindgen::new()
            .input_module(name, pruned)
            .out_name(name)
            .typescript(false)
            .remove_name_section(true)
            .remove_producers_section(true)
            .bundler(true)
            .and_then(|bindgen| bindgen.generate(&self.work));
        bound
            .map_err(|error| anyhow!("{error:#}"))
            .with_context(|| format!("bind {name} to JavaScript"))?;

        self.progress.say(&format!("making {name} small"));
        let [bound, small, named] = ["_bg.wasm", ".small.wasm", ".named.wasm"]
            .map(|end| self.work.join(format!("{name}{end}")));
        self.optimise(&SHRINK, &bound, &small)?;
        let strip = [
            "--strip-debug",
            "--strip-producers",
            "--strip-target-features",
            "--minify-imports-and-exports-and-modules",
        ];
        let renamed = self.optimise(&strip, &small, &named)?;
        let renamed: glue::Renamed =
            serde_json::from_slice(&renamed).context("read what wasm-opt renamed")?;
        let script = self.work.join(format!("{name}_bg.js"));
        let text = std::fs::read_to_string(&script)?;
        let text = glue::shorten(&text, &format!("./{name}_bg.js"), &renamed)?;
        std::fs::write(script, text)?;
        Ok(std::fs::read(named)?)
    }

    fn optimise(&self, passes: &[&str], from: &Path, to: &Path) -> anyhow::Result<Vec<u8>> {
        let mut command = self.packages.program("wasm-opt");
        command
            .args(passes)
            .args(FEATURES)
            .arg(from)
            .arg("-o")
            .arg(to);
        let output = command.output().context("start wasm-opt")?;
        ensure!(
            output.status.success(),
            "wasm-opt failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }

    /// Makes one script of `entry`, the glue of `module` and whatever else they import. The module imports its page's side as
    /// `lead-light/<side>`.
    fn bundle(
        &self,
        module: &str,
        side: &str,
        entry: &Path,
        more: &[String],
    ) -> anyhow::Result<Vec<u8>> {
        let out = self.work.join(format!("{module}.bundle.js"));
        let alias =
            |name: &str, file: PathBuf| format!("--alias:lead-light/{name}={}", file.display());
        let script = if side == "page" {
            "page.js"
        } else {
            "popover.js"
        };
        let mut arguments = vec![
            entry.display().to_string(),
            "--bundle".to_owned(),
            "--format=esm".to_owned(),
            "--loader:.css=text".to_owned(),
            format!("--outfile={}", out.display()),
            alias(module, self.work.join(format!("{module}_bg.js"))),
            alias(side, embed().join(script)),
            alias("bubble.css", self.work.join("bubble.css")),
            alias("popover.css", self.work.join("popover.css")),
        ];
        arguments.extend_from_slice(more);
        self.esbuild(&arguments)?;
        Ok(std::fs::read(out)?)
    }

    fn esbuild(&self, arguments: &[String]) -> anyhow::Result<()> {
        let mut command = self.packages.program("esbuild");
        command
            .args(arguments)
            .args(["--minify", "--target=es2022", "--charset=utf8"])
            .args(["--legal-comments=none", "--log-level=warning"])
            .env("NODE_PATH", self.packages.modules());
        self.progress.run(&mut command)
    }

    /// Writes a file that never changes under its name, and answers that.
    fn keep(&self, name: &str, extension: &str, content: &[u8]) -> anyhow::Result<String> {
        let file = format!("{name}-{}.{extension}", short_hash(content));
        std::fs::write(self.out.join(&file), content)?;
        Ok(file)
    }

    /// Copies the catalogues, and answers the path of each by its language.
    fn texts(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut paths = BTreeMap::new();
        for path in files(&workspace::root().join("frontend/texts"))? {
            let texts: Value = serde_json::from_slice(&std::fs::read(&path)?)
                .with_context(|| format!("read {}", path.display()))?;
            let content = texts.to_string();
            let language = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = format!("texts/{language}.json");
            std::fs::write(self.out.join(&name), &content)?;
            let version = short_hash(content.as_bytes());
            paths.insert(language.into_owned(), format!("./{name}?{version}"));
        }
        Ok(paths)
    }

    /// Adds what npm and editors want to know, and the digests of everything.
    fn package(&self) -> anyhow::Result<()> {
        let frontend = workspace::root().join("frontend");
        for folder in PACKAGED {
            let to = self.out.join(folder);
            std::fs::create_dir_all(&to).with_context(|| format!("create {}", to.display()))?;
            for path in files(&frontend.join("package").join(folder))? {
                copy_into(&path, &to)?;
            }
        }
        copy_into(&frontend.join("README.md"), &self.out)?;
        let described = self.out.join("package.json");
        // As text, for the order of an export's conditions says which is asked first.
        let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
        let package = std::fs::read_to_string(&described)?;
        std::fs::write(
            &described,
            package.replacen("\"version\": \"0.0.0\"", version, 1),
        )?;
        let mut digests = BTreeMap::new();
        for folder in ["", "texts"] {
            for path in files(&self.out.join(folder))? {
                let name = path.strip_prefix(&self.out)?.to_string_lossy().into_owned();
                let served = [".js", ".wasm", ".json"]
                    .iter()
                    .any(|end| name.ends_with(end));
                if served && name != "package.json" && name != "custom-elements.json" {
                    let digest = STANDARD.encode(Sha384::digest(std::fs::read(&path)?));
                    digests.insert(name, format!("sha384-{digest}"));
                }
            }
        }
        let digests = serde_json::to_string_pretty(&digests)?;
        std::fs::write(self.out.join("integrity.json"), format!("{digests}\n"))?;
        Ok(())
    }
}

/// The folders of the package that are written by hand.
const PACKAGED: [&str; 5] = [
    "",
    "examples",
    "examples/plain",
    "examples/react",
    "examples/vue",
];

fn embed() -> PathBuf {
    workspace::root().join("frontend/embed")
}

/// A module as it was linked.
fn linked(name: &str) -> PathBuf {
    workspace::target().join(format!("{WASM_TARGET}/wasm/leadlight_{name}.wasm"))
}

/// Of ten letters: enough to tell versions of one file apart.
fn short_hash(content: &[u8]) -> String {
    let digest: String = Sha256::digest(content)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    digest.chars().take(10).collect()
}

fn copy_into(path: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default();
    std::fs::copy(path, folder.join(name)).with_context(|| format!("copy {}", path.display()))?;
    Ok(())
}

/// The files of a folder, in order.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// Of everything that ends up in the folder, and of what makes it.
fn fingerprint() -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    // The steps are in these files; wasm-bindgen itself leaves its version in the module.
    [
        include_str!("widget.rs"),
        include_str!("widget/glue.rs"),
        include_str!("widget/literal.rs"),
        include_str!("widget/prune.rs"),
    ]
    .hash(&mut hasher);
    let frontend = workspace::root().join("frontend");
    let mut paths: Vec<PathBuf> = MODULES.map(linked).to_vec();
    paths.push(frontend.join("README.md"));
    paths.push(workspace::root().join("infra/dev/npm/package-lock.json"));
    for folder in ["embed", "texts"] {
        paths.extend(files(&frontend.join(folder))?);
    }
    for folder in PACKAGED {
        paths.extend(files(&frontend.join("package").join(folder))?);
    }
    for path in paths {
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        (path, bytes).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
