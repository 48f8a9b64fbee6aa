//! The deployment's template, `infra/template.yaml`: what local engines are created from, and the checks that it has to pass.
//!
//! What is checked is the translated template: the tools miss faults in what SAM generates. Translation and the published rules are
//! Python's (`infra/template_checks.py`); the rules of our own are in `rules`. Nothing here asks AWS.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use leadlight_functions::table::definition::{Definition, Template};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::progress::Progress;
use crate::{tools, workspace};

/// The template.
pub const TEXT: &str = include_str!("../../template.yaml");

/// The table's definition, which the template alone holds.
///
/// # Errors
/// When the template is no template, or defines no table.
pub fn table() -> anyhow::Result<Definition> {
    let template: Template =
        serde_saphyr::from_str(TEXT).context("read the table of infra/template.yaml")?;
    Ok(template.table())
}

/// The patterns of the widget's files that browsers and caches may keep for ever.
///
/// # Errors
/// When the template is no template.
pub fn kept_for_ever() -> anyhow::Result<Vec<String>> {
    let template: Value = serde_saphyr::from_str(TEXT).context("read infra/template.yaml")?;
    let behaviors =
        template.pointer("/Resources/Widget/Properties/DistributionConfig/CacheBehaviors");
    let behaviors = behaviors.and_then(Value::as_array).into_iter().flatten();
    let patterns = behaviors.filter_map(|behavior| behavior.get("PathPattern")?.as_str());
    Ok(patterns.map(str::to_owned).collect())
}

/// The routes of the API, such as `GET /v1/webhook`, each with the function that answers it.
///
/// # Errors
/// When the template is no template, or a function with a route names no binary.
pub fn routes() -> anyhow::Result<BTreeMap<String, String>> {
    let template: Value = serde_saphyr::from_str(TEXT).context("read infra/template.yaml")?;
    let resources = template.get("Resources").and_then(Value::as_object);
    let mut routes = BTreeMap::new();
    for (name, resource) in resources.context("find the template's resources")? {
        let events = resource.pointer("/Properties/Events");
        for event in events
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::values)
        {
            let text = |way: &str| event.pointer(way).and_then(Value::as_str);
            if text("/Type") != Some("HttpApi") {
                continue;
            }
            let binary = resource.pointer("/Metadata/BuildProperties/Binary");
            let binary = binary
                .and_then(Value::as_str)
                .with_context(|| format!("find the binary of {name}"))?;
            let route = text("/Properties/Method").zip(text("/Properties/Path"));
            let (method, path) = route.with_context(|| format!("read the routes of {name}"))?;
            routes.insert(format!("{method} {path}"), binary.to_owned());
        }
    }
    Ok(routes)
}

/// A template after its translation, as if deployed with everything switched on.
#[derive(Debug, Deserialize)]
pub struct Translated {
    /// The resources by their names; references are names and ARNs that end in names.
    pub resources: Map<String, Value>,
    /// What is wrong with it, a sentence each; empty if nothing is.
    pub findings: Vec<String>,
}

/// Translates templates and holds them against every rule.
///
/// # Errors
/// When the tools cannot be had or fail; a faulty template is no error.
pub fn check(templates: &[String], progress: &Progress) -> anyhow::Result<Vec<Translated>> {
    translate(templates, &[], progress)
}

/// The same but for cfn-lint, which takes nine tenths of the time.
///
/// # Errors
/// As [`check`].
pub fn check_briefly(templates: &[String], progress: &Progress) -> anyhow::Result<Vec<Translated>> {
    translate(templates, &["--without-cfn-lint"], progress)
}

fn translate(
    templates: &[String],
    flags: &[&str],
    progress: &Progress,
) -> anyhow::Result<Vec<Translated>> {
    let python = tools::python(progress)?;
    let folder = tempfile::tempdir().context("make a folder for the templates")?;
    let mut command = Command::new(python.program("python"));
    command.arg(workspace::root().join("infra/template_checks.py"));
    command.args(flags);
    for (index, template) in templates.iter().enumerate() {
        let file = folder.path().join(format!("{index}.yaml"));
        std::fs::write(&file, template).with_context(|| format!("write {}", file.display()))?;
        command.arg(file);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("start the template's checks")?;
    if !output.status.success() {
        bail!(
            "the template's checks failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut translated: Vec<Translated> =
        serde_json::from_slice(&output.stdout).context("read what the template's checks say")?;
    for template in &mut translated {
        if !template.resources.is_empty() {
            template.findings.extend(rules::judge(&template.resources)?);
        }
    }
    Ok(translated)
}
