//! The JSON Schemas of the wire types (2020-12, the dialect of OpenAPI 3.1), as they are taken and as they are given.

use std::borrow::Cow;

use anyhow::ensure;
use leadlight::lead::LeadId;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Where the schemas of all types are gathered.
pub(super) struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = Cow::Borrowed("/components/schemas");
            settings.with_transform(RecursiveTransform(plain_words))
        };
        let given = settings().for_serialize();
        Self {
            taken: settings().into_generator(),
            given: given.with_transform(leave_out).into_generator(),
        }
    }
}

impl Schemas {
    /// The schema of what is taken.
    pub(super) fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().into()
    }

    /// The schema of what is given.
    pub(super) fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().into()
    }

    /// All schemas that were asked for, and those that they refer to.
    pub(super) fn finish(mut self) -> anyhow::Result<Value> {
        let mut all: Map<String, Value> = Map::new();
        // Of no body, but of a path.
        let _in_paths = self.taken::<LeadId>();
        for (name, schema) in self
            .taken
            .take_definitions(true)
            .into_iter()
            .chain(self.given.take_definitions(true))
        {
            let other = all.insert(name.clone(), schema.clone());
            ensure!(
                other.is_none_or(|other| other == schema),
                "two types are called {name}, or one is taken in another form than it is given"
            );
        }
        Ok(Value::Object(all))
    }
}

/// Takes the brackets of Rust's documentation out of descriptions: ``[`Reason`](crate::Reason)`` is `Reason` for everybody else.
fn plain_words(schema: &mut Schema) {
    let Some(Value::String(text)) = schema.get_mut("description") else {
        return;
    };
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.replace('\n', " ");
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((name, after)) = link.split_once("`]") else {
            plain.push_str("[`");
            rest = link.to_owned();
            continue;
        };
        let name = name.rsplit("::").next().unwrap_or(name);
        plain.push_str(&["`", name, "`"].concat());
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after).to_owned();
    }
    plain.push_str(&rest);
    *text = plain;
}

/// A member that may be left out is never null.
fn leave_out(schema: &mut Schema) {
    transform_subschemas(&mut leave_out, schema);
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| {
        let names = required.as_array().into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        forbid_null(property);
    }
}

fn forbid_null(property: &mut Value) {
    let Some(members) = property.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
}
