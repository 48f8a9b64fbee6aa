//! `cargo dev sbom`: which crates are in what is uploaded, as `CycloneDX` 1.5.
//!
//! All functions are binaries of one package: one document for a processor names the crates that any of them may link. The widget's
//! holds those of both of its modules; its npm package brings nothing else. What runs only while something is built is not in it, nor is
//! the standard library. The documents say neither when nor where they were made: the same sources give the same ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{
    Bom, Component, Components, Metadata, Purl, SpdxExpression, SpecVersion,
};
use serde::Deserialize;

use crate::lambdas::FUNCTIONS;
use crate::package::Processor;
use crate::tools::{self, WASM_TARGET};
use crate::workspace;

/// The package of the functions.
const FUNCTIONS_PACKAGE: &str = "leadlight-functions";
/// The packages of the widget's modules.
const WIDGET_PACKAGES: [&str; 2] = ["leadlight-bubbles", "leadlight-popover"];
/// The widget's package for npm.
const NPM_PACKAGE: &str = "lead-light";

/// A document, and the name of its file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Such as `functions-arm64.cdx.json`.
    pub file: String,
    bom: Bom,
}

/// A release of a crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    name: String,
    version: String,
}

/// What cargo and its lock file say of a release.
struct About {
    licence: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct PackageList {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// The releases that a package is made of, and which asks for which.
#[derive(Default)]
struct Graph(BTreeMap<Release, BTreeSet<Release>>);

/// The documents of everything that is uploaded for these processors.
///
/// # Errors
/// When cargo does not say what it is made of.
pub fn documents(processors: &[Processor]) -> anyhow::Result<Vec<Document>> {
    let about = about()?;
    let mut documents = Vec::new();
    for processor in processors {
        let mut graph = Graph::default();
        graph.add(FUNCTIONS_PACKAGE, processor.target())?;
        let mut subject = ours(Classification::Application, FUNCTIONS_PACKAGE);
        let binaries = FUNCTIONS.map(|name| ours(Classification::Application, name));
        subject.components = Some(Components(binaries.to_vec()));
        documents.push(Document {
            file: ["functions-", processor.name(), ".cdx.json"].concat(),
            bom: graph.document(subject, &[FUNCTIONS_PACKAGE], &about)?,
        });
    }
    let mut graph = Graph::default();
    for package in WIDGET_PACKAGES {
        graph.add(package, WASM_TARGET)?;
    }
    let mut subject = ours(Classification::Library, NPM_PACKAGE);
    subject.purl = Purl::new("npm", NPM_PACKAGE, env!("CARGO_PKG_VERSION")).ok();
    documents.push(Document {
        file: "widget.cdx.json".to_owned(),
        bom: graph.document(subject, &WIDGET_PACKAGES, &about)?,
    });
    Ok(documents)
}

impl Document {
    /// The document as JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self) -> anyhow::Result<Vec<u8>> {
        let mut json = Vec::new();
        let written = self.bom.clone().output_as_json_v1_5(&mut json);
        written.with_context(|| format!("write {}", self.file))?;
        Ok(json)
    }
}

impl Release {
    /// Its name within a document, and where it is from (package-url specification, type `cargo`).
    fn reference(&self) -> String {
        ["pkg:cargo/", &self.name, "@", &self.version].concat()
    }

    /// A line of `cargo tree`: `serde v1.0.0`, and perhaps where it lies or that it was shown before.
    fn read(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split(' ');
        let (name, version) = (words.next(), words.next());
        let release = name.zip(version.and_then(|version| version.strip_prefix('v')));
        let (name, version) = release.with_context(|| format!("read {line:?} of `cargo tree`"))?;
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

impl Graph {
    /// Adds what `package` is linked of for `target`, itself included.
    fn add(&mut self, package: &str, target: &str) -> anyhow::Result<()> {
        let mut tree = tools::cargo();
        tree.args(["tree", "--locked", "--package", package])
            .args(["--target", target, "--edges", "normal,no-proc-macro"])
            .args(["--prefix", "depth", "--format", " {p}"]);
        let output = tree.output().context("start `cargo tree`")?;
        if !output.status.success() {
            bail!(
                "`cargo tree` failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let mut path: Vec<Release> = Vec::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let (depth, release) = line
                .split_once(' ')
                .with_context(|| format!("read {line:?} of `cargo tree`"))?;
            let release = Release::read(release)?;
            path.truncate(depth.parse().context("read a depth of `cargo tree`")?);
            if let Some(asking) = path.last() {
                let asked = self.0.entry(asking.clone()).or_default();
                asked.insert(release.clone());
            }
            self.0.entry(release.clone()).or_default();
            path.push(release);
        }
        Ok(())
    }

    fn document(
        &self,
        subject: Component,
        roots: &[&str],
        about: &BTreeMap<Release, About>,
    ) -> anyhow::Result<Bom> {
        let components: anyhow::Result<Vec<Component>> = self
            .0
            .keys()
            .map(|release| component(release, about))
            .collect();
        let reference = subject.bom_ref.clone().unwrap_or_default();
        let roots = self
            .0
            .keys()
            .filter(|release| roots.contains(&release.name.as_str()));
        let of_subject = Dependency {
            dependency_ref: reference,
            dependencies: roots.map(Release::reference).collect(),
        };
        let of_releases = self.0.iter().map(|(release, asked)| Dependency {
            dependency_ref: release.reference(),
            dependencies: asked.iter().map(Release::reference).collect(),
        });
        Ok(Bom {
            spec_version: SpecVersion::V1_5,
            serial_number: None,
            metadata: Some(Metadata {
                component: Some(subject),
                ..Metadata::default()
            }),
            components: Some(Components(components?)),
            dependencies: Some(Dependencies(
                std::iter::once(of_subject).chain(of_releases).collect(),
            )),
            ..Bom::default()
        })
    }
}

/// Something of ours that crates are in.
fn ours(kind: Classification, name: &str) -> Component {
    let reference = ["leadlight:", name].concat();
    Component::new(kind, name, env!("CARGO_PKG_VERSION"), Some(reference))
}

fn component(release: &Release, about: &BTreeMap<Release, About>) -> anyhow::Result<Component> {
    let About { licence, checksum } = about
        .get(release)
        .with_context(|| format!("find {} {}", release.name, release.version))?;
    let reference = release.reference();
    let purl = Purl::new("cargo", &release.name, &release.version);
    let mut component = Component::new(
        Classification::Library,
        &release.name,
        &release.version,
        Some(reference.clone()),
    );
    component.purl = Some(purl.with_context(|| format!("write {reference}"))?);
    if let Some(licence) = licence {
        // Older crates have a slash for OR.
        let expression = SpdxExpression::parse_lax(licence.clone());
        let expression = expression.with_context(|| format!("read the licence of {reference}"))?;
        component.licenses = Some(Licenses(vec![LicenseChoice::Expression(expression)]));
    }
    component.hashes = checksum.as_ref().map(|checksum| {
        Hashes(vec![Hash {
            alg: HashAlgorithm::SHA_256,
            content: HashValue(checksum.clone()),
        }])
    });
    Ok(component)
}

/// What is known of every release in the lock file.
fn about() -> anyhow::Result<BTreeMap<Release, About>> {
    let mut metadata = tools::cargo();
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    let output = metadata.output().context("start `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let list: PackageList =
        serde_json::from_slice(&output.stdout).context("read `cargo metadata`")?;
    let lock = workspace::root().join("Cargo.lock");
    let lock =
        std::fs::read_to_string(&lock).with_context(|| format!("read {}", lock.display()))?;
    let mut checksums = checksums(&lock);
    let about = list.packages.into_iter().map(|package| {
        let release = Release {
            name: package.name,
            version: package.version,
        };
        let about = About {
            licence: package.license,
            checksum: checksums.remove(&release),
        };
        (release, about)
    });
    Ok(about.collect())
}

/// The SHA-256 of each release that came from the registry, by the lock file.
fn checksums(lock: &str) -> BTreeMap<Release, String> {
    let package = |text: &str| {
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            Some(line?.strip_suffix('"')?.to_owned())
        };
        let release = Release {
            name: value("name")?,
            version: value("version")?,
        };
        Some((release, value("checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use cyclonedx_bom::prelude::Validate as _;
    use serde_json::Value;

    use super::*;

    const NATIVE: &str = "x86_64-unknown-linux-gnu";

    /// The crates in a document, as `name version`.
    fn named(document: &Document) -> BTreeSet<String> {
        let components = document.bom.components.as_ref().unwrap();
        let named = components.0.iter().map(|component| {
            let version = component.version.as_ref().unwrap();
            format!("{} {version}", component.name)
        });
        named.collect()
    }

    fn of_functions() -> Document {
        documents(&[Processor::X8664]).unwrap().remove(0)
    }

    #[test]
    fn a_document_is_valid_and_the_same_each_time() {
        let all = [Processor::Arm64, Processor::X8664];
        let (once, again) = (documents(&all).unwrap(), documents(&all).unwrap());
        let files: Vec<&str> = once.iter().map(|document| document.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "functions-arm64.cdx.json",
                "functions-x86-64.cdx.json",
                "widget.cdx.json"
            ]
        );
        for (document, again) in once.iter().zip(&again) {
            let json = document.json().unwrap();
            assert_eq!(json, again.json().unwrap(), "{}", document.file);
            let read = Bom::parse_from_json(json.as_slice()).unwrap();
            let valid = read.validate_version(SpecVersion::V1_5);
            assert!(valid.passed(), "{}: {valid:?}", document.file);
            let text: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(
                (&text["bomFormat"], &text["specVersion"]),
                (&"CycloneDX".into(), &"1.5".into())
            );
            for absent in ["serialNumber", "/metadata/timestamp"] {
                assert_eq!(text.pointer(absent).or(text.get(absent)), None);
            }
            for component in text["components"].as_array().unwrap() {
                assert!(
                    component["licenses"][0]["expression"].is_string(),
                    "{component}"
                );
                let is_ours = component["name"].as_str().unwrap().starts_with("leadlight");
                assert_eq!(component.get("hashes").is_none(), is_ours, "{component}");
            }
        }
        // A fault would be told.
        let mut broken = once[0].bom.clone();
        broken.components.as_mut().unwrap().0[0].bom_ref =
            broken.components.as_ref().unwrap().0[1].bom_ref.clone();
        assert!(!broken.validate_version(SpecVersion::V1_5).passed());
    }

    #[test]
    fn a_document_names_the_crates_of_cargo_tree() {
        let tree = tools::cargo()
            .args(["tree", "--package", FUNCTIONS_PACKAGE, "--target", NATIVE])
            .args([
                "--edges",
                "normal,no-proc-macro",
                "--prefix",
                "none",
                "--no-dedupe",
            ])
            .output()
            .unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        let crates = tree.lines().map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            format!("{name} {}", version.trim_start_matches('v'))
        });
        assert_eq!(named(&of_functions()), crates.collect());
    }

    /// What cargo would compile for a binary says the same, and is found out in another way.
    #[test]
    fn a_document_names_what_is_compiled_into_a_binary() {
        let graph = tools::cargo()
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["build", "--package", FUNCTIONS_PACKAGE, "--bin", "leads"])
            .args(["--target", NATIVE, "--unit-graph", "-Z", "unstable-options"])
            .output()
            .unwrap();
        let graph: Value = serde_json::from_slice(&graph.stdout).unwrap();
        let units = graph["units"].as_array().unwrap().iter();
        let linked = units.filter(|unit| {
            unit["platform"] == NATIVE && unit["mode"] == "build" && unit["target"]["kind"] != "bin"
        });
        let named_by_id = |unit: &Value| {
            let (place, release) = unit["pkg_id"].as_str().unwrap().rsplit_once('#').unwrap();
            // A crate in a folder of its own name is not named again.
            let folder = place.rsplit('/').next().unwrap();
            let (name, version) = release.split_once('@').unwrap_or((folder, release));
            format!("{name} {version}")
        };
        assert_eq!(named(&of_functions()), linked.map(named_by_id).collect());
    }
}
