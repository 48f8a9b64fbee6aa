//! What a module links and never reaches, left out of it: the linker cannot know what Yew will never be asked to draw.
//!
//! The body of such a function becomes a trap, and with it goes whatever only that called. Nothing is left out that the popover of
//! the gallery reaches, in any of its states; should it ever, the page starts the popover anew, as after any trap.

use anyhow::Context as _;
use walrus::{FunctionBuilder, FunctionId, FunctionKind, Module, ModuleConfig};

/// Of Yew and what is under it, by parts of their names. The popover is one component of elements, texts and lists without keys, and
/// its elements share one list of attributes.
const UNREACHED_BY_POPOVER: [&str; 15] = [
    // Nothing is waited for.
    "::VSuspense",
    "::BaseSuspense",
    // Nothing is drawn elsewhere.
    "::VPortal",
    // No markup is parsed.
    "::VRaw",
    "::BRaw",
    // No component is inside another.
    "::VComp",
    // No list has keys.
    "::KeyedEntry",
    // No attributes are made by other means than `html!`, or in two places.
    "indexmap::",
    "::apply_diff_as_maps",
    "(&str, &yew::virtual_dom::AttributeOrProperty)",
    // Where one component waits, no tree of those that wait is out of balance.
    "::BalancingContext<usize, yew::scheduler::QueueEntry>",
    // The popover is there for as long as the page.
    "Rc<yew::dom_bundle::subtree_root::SubtreeData>>::drop_slow",
    "::AppData>>>::drop_slow",
    "::ComponentState>>>>::drop_slow",
    // Of the ways in which js-sys lets itself be called, only an event, a promise and a moment are used.
    "closures::_::invoke::<",
];
/// What names one of these is reached: an absent one is dropped too, and these are the ways that are used.
const REACHED: [&str; 4] = [
    "drop_in_place::<core::option::Option<",
    "invoke::<web_sys::features::gen_Event::Event, ()",
    "invoke::<wasm_bindgen::JsValue, core::result::Result<(), wasm_bindgen::JsError>",
    "invoke::<(), ",
];

/// What is left out of a module.
pub(super) fn unreached(module: &str) -> &'static [&'static str] {
    if module == "popover" {
        &UNREACHED_BY_POPOVER
    } else {
        &[]
    }
}

/// The linked module, less the functions whose names contain one of `unreached`.
pub(super) fn prune(linked: &[u8], unreached: &[&str]) -> anyhow::Result<Module> {
    let mut config = ModuleConfig::new();
    config.generate_producers_section(false);
    let mut module = config.parse(linked).context("read the linked module")?;
    let functions = module.funcs.iter_local();
    let named: Vec<(FunctionId, String)> = functions
        .filter_map(|(id, _)| Some((id, plain(module.funcs.get(id).name.as_deref()?))))
        .filter(|(_, name)| !REACHED.iter().any(|part| name.contains(part)))
        .collect();
    for (id, name) in &named {
        // Another compiler may have none of that name, for it is inlined, or gone.
        if unreached.iter().any(|part| name.contains(part)) {
            empty(&mut module, *id);
        }
    }
    Ok(module)
}

/// A function's name as people write it, without the hashes of crates.
fn plain(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

fn empty(module: &mut Module, id: FunctionId) {
    let (parameters, results) = module.types.params_results(module.funcs.get(id).ty());
    let (parameters, results) = (parameters.to_vec(), results.to_vec());
    let mut trap = FunctionBuilder::new(&mut module.types, &parameters, &results);
    trap.func_body().unreachable();
    let arguments = parameters
        .iter()
        .map(|kind| module.locals.add(*kind))
        .collect();
    module.funcs.get_mut(id).kind = FunctionKind::Local(trap.local_func(arguments));
}

#[cfg(test)]
mod tests {
    use walrus::ValType;

    use super::*;

    /// A module of functions with these names, which return a number.
    fn module(names: &[&str]) -> Vec<u8> {
        let mut module = Module::default();
        for name in names {
            let mut function = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
            function.name((*name).to_owned()).func_body().i32_const(7);
            let id = function.finish(Vec::new(), &mut module.funcs);
            module.exports.add(name, id);
        }
        module.emit_wasm()
    }

    /// How many functions of a module only trap.
    fn traps(module: &Module) -> usize {
        let traps = module.funcs.iter_local().filter(|(_, function)| {
            let (first, _) = &function.block(function.entry_block()).instrs[0];
            first.is_unreachable()
        });
        traps.count()
    }

    #[test]
    fn only_what_is_named_is_left_out() {
        let linked = module(&["yew::VRaw::attach", "yew::VTag::attach"]);
        assert_eq!(traps(&prune(&linked, &["::VRaw"]).unwrap()), 1);
        assert_eq!(traps(&prune(&linked, &["::VPortal"]).unwrap()), 0);
        let absent = "core::ptr::drop_in_place::<core::option::Option<yew::VRaw>>";
        let kept = prune(&module(&["yew::VRaw", absent]), &["::VRaw"]).unwrap();
        assert_eq!(traps(&kept), 1, "to drop nothing is no use of it");
    }
}
