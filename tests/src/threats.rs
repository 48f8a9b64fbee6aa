//! The threat model names tests that there are.

use std::path::{Path, PathBuf};

use leadlight_dev::workspace;

/// What a row of the table of threats says proves it.
fn proofs(row: &str) -> Vec<&str> {
    let cells = row.trim().trim_matches('|').rsplit('|');
    let proof = cells.into_iter().next().unwrap_or_default();
    proof.split('`').skip(1).step_by(2).collect()
}

/// Whether a source has a test of this name: one that is marked as such, or one that runs on both engines.
fn has_test(source: &str, name: &str) -> bool {
    let defined = source.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let line = source[..at].rfind('\n').map_or(0, |end| end + 1);
        let above = source[..line].lines().rev().map(str::trim);
        let mut above = above.take_while(|line| !line.is_empty() && *line != "}");
        ["", "async"].contains(&source[line..at].trim())
            && above.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
    });
    let on_both_engines = source.split("on_both_engines!").skip(1).any(|rest| {
        let list = rest.trim_start_matches([' ', '(', '{']);
        let list = list.split([')', '}']).next().unwrap_or_default();
        list.split(',').any(|listed| listed.trim() == name)
    });
    defined || (on_both_engines && source.contains(&format!("fn {name}(")))
}

#[test]
fn every_threat_is_stopped_by_something_that_a_test_proves() {
    let root = workspace::root();
    let sources: Vec<String> = ["shared", "functions", "frontend", "infra", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let threats = std::fs::read_to_string(root.join("infra/THREATS.md")).unwrap();
    let rows: Vec<&str> = threats
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .collect();
    assert!(rows.len() >= 10, "the table of threats is read");
    for row in rows {
        let proofs = proofs(row);
        assert!(!proofs.is_empty(), "nothing proves: {row}");
        for name in proofs {
            let exists = sources.iter().any(|source| has_test(source, name));
            assert!(exists, "there is no test {name}");
        }
    }
}

#[test]
fn a_test_that_is_gone_or_never_runs_is_noticed() {
    let source = "on_both_engines!(\n    both,\n);\n\nasync fn both(world: World) {}\n\n\
        /// Why.\n#[tokio::test(flavor = \"x\")]\nasync fn marked() {}\n\n#[test]\nfn plain() {}\n\nfn no_test() {}\n";
    for (name, is_test) in [
        ("both", true),
        ("marked", true),
        ("plain", true),
        ("no_test", false),
        ("gone", false),
    ] {
        assert_eq!(has_test(source, name), is_test, "{name}");
    }
    assert_eq!(proofs("| 1 | `x` | y | `one`, `two` |"), ["one", "two"]);
    assert_eq!(proofs("| 1 | `x` | y | |"), [""; 0]);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
