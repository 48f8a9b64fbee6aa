//! The deployment's template, `infra/template.yaml`: what local engines are created from.

use anyhow::Context as _;
use leadlight_functions::table::definition::{Definition, Template};

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
