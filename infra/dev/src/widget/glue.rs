//! wasm-bindgen's glue with the short names that the optimiser gave to what crosses between script and module.
//!
//! A name of wasm-bindgen's is long and random, is on both sides, and no compressor can guess it: the short ones save a tenth of
//! what a page loads.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Deserialize;

/// What `wasm-opt --minify-imports-and-exports-and-modules` says that it renamed.
#[derive(Debug, Deserialize)]
pub(super) struct Renamed {
    /// Module, old name, new name.
    imports: Vec<(String, String, String)>,
    /// Old name, new name.
    exports: Vec<(String, String)>,
}

/// The glue for a module with short names: `imports` is what to instantiate it with, `begin` is to be given what it exports.
pub(super) fn shorten(glue: &str, own: &str, renamed: &Renamed) -> anyhow::Result<String> {
    let mut script = String::with_capacity(glue.len());
    let mut rest = glue;
    while let Some((before, after)) = rest.split_once("wasm.") {
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$')
            .unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        script.push_str(before);
        write!(script, "wasm[{:?}]", renamed.export(name)?)?;
        rest = behind;
    }
    script.push_str(rest);
    for (module, name, _) in &renamed.imports {
        if module != own {
            writeln!(script, "import {{ {name} }} from {module:?};")?;
        }
    }
    // A function, for what the page defines is there only once every script has run.
    script.push_str("export const imports = () => ({");
    for (_, name, short) in &renamed.imports {
        write!(script, "{short:?}: {name},")?;
    }
    let start = renamed.export("__wbindgen_start")?;
    writeln!(
        script,
        "}});\nexport const begin = (exports) => {{ wasm = exports; wasm[{start:?}](); }};"
    )?;
    Ok(script)
}

impl Renamed {
    fn export(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.exports.iter().find(|(old, _)| old == name);
        found
            .map(|(_, new)| new.as_str())
            .with_context(|| format!("the module does not export {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed() -> Renamed {
        serde_json::from_str(
            r#"{ "imports": [["./own.js", "__wbg_log_1", "a"], ["page", "paint", "b"]],
                 "exports": [["__wbindgen_start", "c"], ["connect", "d"]] }"#,
        )
        .unwrap()
    }

    #[test]
    fn both_sides_get_the_same_names() {
        let glue =
            "export function connect(x) { wasm.connect(x); }\nexport function __wbg_log_1() {}\n";
        let script = shorten(glue, "./own.js", &renamed()).unwrap();
        assert!(script.contains(r#"{ wasm["d"](x); }"#), "{script}");
        assert!(
            script.contains(r#"imports = () => ({"a": __wbg_log_1,"b": paint,});"#),
            "{script}"
        );
        assert!(
            script.contains(r#"import { paint } from "page";"#),
            "{script}"
        );
        assert!(script.contains(r#"wasm["c"]()"#), "{script}");
    }

    #[test]
    fn a_name_that_the_module_does_not_export_is_an_error() {
        let error = shorten("wasm.absent()", "./own.js", &renamed()).unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
