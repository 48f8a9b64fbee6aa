//! The widget's package, as npm packs it and a host's project installs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use leadlight_dev::npm::Packages;
use leadlight_dev::progress::Progress;
use leadlight_dev::{widget, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A project that has installed the package.
struct Project {
    folder: TempDir,
    packages: Packages,
}

#[test]
fn the_package_installs_and_is_complete() {
    let project = Project::new();
    let package = project.package();
    let described = read(&package.join("package.json"));
    assert_eq!(described["name"], "lead-light");
    assert_eq!(described["type"], "module");
    assert!(
        !described["version"].as_str().unwrap().starts_with("0.0.0"),
        "{described}"
    );
    for (name, target) in described["exports"].as_object().unwrap() {
        let conditions = target.as_object().map(|conditions| conditions.values());
        let files = conditions.into_iter().flatten().chain([target]);
        for file in files.filter_map(Value::as_str) {
            let file = file.trim_end_matches('*');
            assert!(package.join(file).exists(), "{name} names {file}");
        }
    }
    for language in ["en", "de", "fr", "es", "ar", "ja"] {
        let texts = |folder: &Path| read(&folder.join(format!("texts/{language}.json")));
        let packed = texts(&package);
        assert_eq!(
            packed,
            texts(&workspace::root().join("frontend")),
            "{language}"
        );
    }
    // Nothing runs when it is installed, and it brings nothing along.
    for absent in ["scripts", "dependencies", "peerDependencies"] {
        assert_eq!(described.get(absent), None, "{absent}");
    }
}

#[test]
fn a_page_loads_no_more_than_its_budget() {
    let folder = widget::build(&Progress::silent()).unwrap();
    let sizes = widget::sizes(&folder).unwrap();
    let brotli = |what: &str| -> usize {
        let line = sizes.lines().find(|line| line.ends_with(what)).unwrap();
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let first = brotli("before the first bubble, in English");
    assert!(first <= 16 * 1024, "{sizes}");
    let all = brotli("in all");
    assert!(first < all && all <= 48 * 1024, "{sizes}");
}

#[test]
fn both_entries_are_modules_that_node_can_parse() {
    // They are not run: what they are made of is there in a page only.
    let project = Project::new();
    project.run(Command::new("node").args(["--check", "node_modules/lead-light/lead-light.js"]));
    project.run(Command::new("node").args(["--check", "node_modules/lead-light/auto.js"]));
}

#[test]
fn types_hold_for_plain_pages_react_and_vue() {
    let project = Project::new();
    // Strictly, and the declarations too. A plain page has neither React nor Vue.
    project.check("plain.ts");
    let modules = project.packages.file("");
    for entry in fs::read_dir(modules).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let place = project
            .folder
            .path()
            .join("node_modules")
            .join(entry.file_name());
        std::os::unix::fs::symlink(entry.path(), place).unwrap();
    }
    project.check("react.tsx");
    project.check("vue.ts");
    for example in ["plain/plain.ts", "react/app.tsx"] {
        let packed = project.package().join("examples").join(example);
        // An installed package is not compiled; the example is, where its reader would copy it to.
        let copied = project.folder.path().join("examples").join(example);
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(packed, &copied).unwrap();
        fs::copy(
            project.package().join("examples/connect.ts"),
            project.folder.path().join("examples/connect.ts"),
        )
        .unwrap();
        project.compile(&copied);
    }
}

#[test]
fn the_manifest_is_valid() {
    let project = Project::new();
    let script = "const [schema, manifest] = process.argv.slice(1).map((path) => JSON.parse(require('fs').readFileSync(path)));
        const ajv = new (require('ajv'))({ allErrors: true, strict: false });
        if (!ajv.validate(schema, manifest)) throw new Error(ajv.errorsText());";
    let mut node = Command::new("node");
    node.args(["-e", script])
        .arg(
            project
                .packages
                .file("custom-elements-manifest/schema.json"),
        )
        .arg(project.package().join("custom-elements.json"))
        .current_dir(project.packages.folder());
    run(&mut node);
    let manifest = read(&project.package().join("custom-elements.json"));
    assert_eq!(manifest["schemaVersion"], "2.1.0");
    for module in manifest["modules"].as_array().unwrap() {
        let path = module["path"].as_str().unwrap();
        assert!(project.package().join(path).is_file(), "{path}");
    }
}

#[test]
fn the_manifest_names_every_part_and_property_that_there_is() {
    let root = workspace::root().join("frontend");
    let manifest = read(&root.join("package/custom-elements.json"));
    let element = &manifest["modules"][0]["declarations"][0];
    let named = |group: &str| -> BTreeSet<String> {
        let all = element[group].as_array().unwrap().iter();
        all.map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let sheets = ["bubble.css", "popover.css"]
        .map(|sheet| fs::read_to_string(root.join("embed").join(sheet)).unwrap())
        .concat();
    let used: BTreeSet<String> = sheets
        .split("var(")
        .filter(|rest| rest.starts_with("--lead-light-"))
        .filter_map(|rest| rest.split([',', ')']).next())
        .map(str::to_owned)
        .collect();
    assert_eq!(named("cssProperties"), used);
    let sources = ["embed/page.js", "embed/popover.js", "popover/src/body.rs"]
        .map(|source| fs::read_to_string(root.join(source)).unwrap())
        .concat();
    for part in named("cssParts") {
        assert!(
            sources.contains(&format!("\"{part}\"")),
            "nothing has the part {part}"
        );
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for group in [
        "attributes",
        "events",
        "cssParts",
        "cssProperties",
        "cssStates",
    ] {
        for name in named(group) {
            assert!(readme.contains(&name), "README.md says nothing of {name}");
        }
    }
}

impl Project {
    fn new() -> Self {
        let packages = Packages::fetch(&Progress::silent()).unwrap();
        let built = widget::build(&Progress::silent()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("package.json"),
            json!({ "name": "host", "private": true, "type": "module" }).to_string(),
        )
        .unwrap();
        let packed = Command::new("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(folder.path())
            .current_dir(built)
            .output()
            .unwrap();
        assert!(packed.status.success(), "{packed:?}");
        let archive = String::from_utf8(packed.stdout).unwrap();
        let project = Self { folder, packages };
        project.run(
            Command::new("npm")
                .args(["install", "--offline", "--no-audit", "--no-fund"])
                .arg(format!("./{}", archive.trim())),
        );
        project
    }

    /// Where the package was installed.
    fn package(&self) -> PathBuf {
        self.folder.path().join("node_modules/lead-light")
    }

    /// Has TypeScript read one of our files in this project.
    #[track_caller]
    fn check(&self, file: &str) {
        let ours = workspace::root().join("tests/typescript").join(file);
        let copied = self.folder.path().join(file);
        fs::copy(ours, &copied).unwrap();
        self.compile(&copied);
    }

    #[track_caller]
    fn compile(&self, file: &Path) {
        let mut tsc = self.packages.program("tsc");
        tsc.args(["--noEmit", "--strict", "--target", "es2022"])
            .args(["--module", "esnext", "--moduleResolution", "bundler"])
            .args(["--lib", "es2023,dom,dom.iterable", "--jsx", "react-jsx"])
            .arg(file);
        self.run(&mut tsc);
    }

    #[track_caller]
    fn run(&self, command: &mut Command) {
        run(command.current_dir(self.folder.path()));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{said}{complained}");
}

fn read(file: &Path) -> Value {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}
