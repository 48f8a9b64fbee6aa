//! How the table is made: what its resource in the deployment's template says.
//!
//! Only local engines and tests are told; in AWS the deployment reads the same lines itself. Names and shapes are those of the
//! resource `AWS::DynamoDB::Table`, which are those of `CreateTable`.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use serde::Deserialize;

use super::{Table, TableError};

/// As much of the template as defines the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Template {
    resources: Resources,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    table: Resource,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    properties: Definition,
}

impl Template {
    /// The table's definition.
    #[must_use]
    pub fn table(self) -> Definition {
        self.resources.table.properties
    }
}

/// The table's definition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Definition {
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<KeyElement>,
    billing_mode: String,
    stream_specification: Stream,
    time_to_live_specification: TimeToLive,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stream {
    stream_view_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

impl Table {
    /// Creates the table.
    ///
    /// # Errors
    /// When the engine refuses, for one because the table exists.
    pub async fn create(&self, definition: &Definition) -> Result<(), TableError> {
        let operation = "CreateTable";
        let refused = |error| TableError::Unavailable {
            operation,
            source: Box::new(error),
        };
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::from(
                definition.stream_specification.stream_view_type.as_str(),
            ));
        let mut table = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::from(definition.billing_mode.as_str()))
            .stream_specification(stream.build().map_err(refused)?);
        for attribute in &definition.attribute_definitions {
            let attribute = AttributeDefinition::builder()
                .attribute_name(&attribute.attribute_name)
                .attribute_type(ScalarAttributeType::from(attribute.attribute_type.as_str()));
            table = table.attribute_definitions(attribute.build().map_err(refused)?);
        }
        for element in &definition.key_schema {
            let element = KeySchemaElement::builder()
                .attribute_name(&element.attribute_name)
                .key_type(KeyType::from(element.key_type.as_str()));
            table = table.key_schema(element.build().map_err(refused)?);
        }
        table
            .send()
            .await
            .map_err(TableError::unavailable(operation))?;
        let expiry = TimeToLiveSpecification::builder()
            .attribute_name(&definition.time_to_live_specification.attribute_name)
            .enabled(definition.time_to_live_specification.enabled);
        self.client
            .update_time_to_live()
            .table_name(&self.name)
            .time_to_live_specification(expiry.build().map_err(refused)?)
            .send()
            .await
            .map(drop)
            .map_err(TableError::unavailable("UpdateTimeToLive"))
    }
}
