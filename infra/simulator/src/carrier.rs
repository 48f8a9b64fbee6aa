//! What carries the functions' requests in a simulated world: latency and death on the way, a table and SES at its end.
//!
//! The table is the embedded engine itself, without its server. Everything is answered in this process, on this thread.

use std::sync::Arc;

use anyhow::Context as _;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use dynoxide::Database;
use leadlight::evidence::AddressRecord;
use leadlight::lead::Lead;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::{Invocation, World};
use crate::{ACCOUNT, Plant, address_secret};
use leadlight_dev::faults::{self, Faults};

tokio::task_local! {
    /// The invocation that a request is made by.
    pub(crate) static INVOCATION: Arc<Invocation>;
}

/// The client that the functions are given: the way, the faults on it, and what is at its end.
pub(crate) fn client(world: &Arc<World>, faults: &Faults, database: &Database) -> SharedHttpClient {
    let end = End {
        world: Arc::clone(world),
        database: database.clone(),
    };
    let end = SharedHttpConnector::new(end);
    let end = http_client_fn(move |_, _| end.clone());
    let disturbed = faults.over(end);
    let world = Arc::clone(world);
    http_client_fn(move |settings, components| {
        use aws_smithy_runtime_api::client::http::HttpClient as _;
        SharedHttpConnector::new(Way {
            world: Arc::clone(&world),
            carrier: disturbed.http_connector(settings, components),
        })
    })
}

#[derive(Clone, Debug)]
struct Way {
    world: Arc<World>,
    carrier: SharedHttpConnector,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = self.clone();
        HttpConnectorFuture::new(async move { way.carry(request).await })
    }
}

impl Way {
    async fn carry(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let world = &self.world;
        let invocation = INVOCATION.try_with(Arc::clone).ok();
        let label = label(&request);
        let number = invocation
            .as_ref()
            .map_or(0, |invocation| invocation.number());
        tokio::time::sleep(world.millis(0..12)).await;
        let (dies_before, dies_after) = invocation
            .as_ref()
            .map_or((false, false), |invocation| invocation.call());
        if let Some(invocation) = invocation {
            if dies_before {
                invocation.crashed.notify_one();
                core::future::pending::<()>().await;
            }
            request.add_extension(Arc::clone(&invocation));
            let answer = self.carrier.call(request).await;
            let said = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            world.trace(&format!("#{number} {label} {said}"));
            if dies_after {
                invocation.crashed.notify_one();
                core::future::pending::<()>().await;
            }
            tokio::time::sleep(world.millis(0..6)).await;
            return answer;
        }
        self.carrier.call(request).await
    }
}

/// The operation, and of a write the sort key.
fn label(request: &HttpRequest) -> String {
    let Some(operation) = faults::operation(request) else {
        return [request.method(), " ", request.uri()].concat();
    };
    let body = request.body().bytes().unwrap_or_default();
    let body: Value = match operation {
        "PutItem" => serde_json::from_slice(body).unwrap_or_default(),
        _ => Value::Null,
    };
    let key = body.pointer("/Item/sk/S").and_then(Value::as_str);
    [operation, " ", key.unwrap_or_default()].concat()
}

/// Where requests arrive.
struct End {
    world: Arc<World>,
    database: Database,
}

impl core::fmt::Debug for End {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}

impl HttpConnector for End {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let invocation = request.extension::<Arc<Invocation>>().cloned();
        let answer = match faults::operation(&request) {
            Some(operation) => self.answer_table(operation, &request, invocation.as_deref()),
            None => self.world.answer_mail(&request, invocation.as_deref()),
        };
        HttpConnectorFuture::ready(answer.map_err(|error| ConnectorError::user(error.into())))
    }
}

impl End {
    fn answer_table(
        &self,
        operation: &str,
        request: &HttpRequest,
        invocation: Option<&Invocation>,
    ) -> anyhow::Result<HttpResponse> {
        let body = request
            .body()
            .bytes()
            .context("read the body of a request")?;
        let mut asked: Value = serde_json::from_slice(body)?;
        let is_evidence = asked.pointer("/Item/sk/S").and_then(Value::as_str) == Some("evidence");
        match self.world.plant {
            Some(Plant::SkipVersion) if is_evidence => {
                for name in [
                    "ConditionExpression",
                    "ExpressionAttributeNames",
                    "ExpressionAttributeValues",
                ] {
                    asked.as_object_mut().map(|asked| asked.remove(name));
                }
            }
            Some(Plant::AcknowledgeFirst) if is_evidence && self.world.happens(5) => {
                return Ok(faults::response(StatusCode::try_from(200)?, &json!({})));
            }
            Some(Plant::SkipVersion | Plant::AcknowledgeFirst | Plant::ForgivingOracle) | None => {}
        }
        let item = asked.get("Item").cloned();
        let said = dispatch(&self.database, operation, asked);
        if operation == "PutItem"
            && said.is_ok()
            && let Some(item) = item
        {
            self.heed(item, invocation)?;
        }
        let (status, body) =
            said.unwrap_or_else(|refusal| (refusal.status_code(), refusal.to_json()));
        let body: Value = serde_json::from_str(&body)?;
        Ok(faults::response(StatusCode::try_from(status)?, &body))
    }

    /// Tells the world what was stored.
    fn heed(&self, item: Value, invocation: Option<&Invocation>) -> anyhow::Result<()> {
        let key = |name: &str| {
            let pointer = ["/", name, "/S"].concat();
            item.pointer(&pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let (Some(pk), Some(sk)) = (key("pk"), key("sk")) else {
            return Ok(());
        };
        let of_address = pk.strip_prefix(&format!("{ACCOUNT}#address#"));
        match (of_address, sk.as_str()) {
            (Some(address), "evidence") => {
                let item: serde_dynamo::Item = serde_json::from_value(item)?;
                self.world
                    .stored(address, serde_dynamo::from_item::<_, AddressRecord>(item)?);
            }
            (Some(address), sk) => {
                if let Some(lead) = sk.strip_prefix("lead#") {
                    let link = (address.to_owned(), lead.to_owned());
                    self.world.state().links.insert(link);
                }
            }
            (None, "lead") => {
                let item: serde_dynamo::Item = serde_json::from_value(item)?;
                let lead: Lead = serde_dynamo::from_item(item)?;
                let address = address_secret()?.key_of(&lead.address);
                if let Some(invocation) = invocation {
                    self.world.stored_lead(&lead, address.as_str(), invocation);
                }
            }
            (None, _) => {}
        }
        Ok(())
    }
}

type Said = Result<(u16, String), dynoxide::DynoxideError>;

/// Has the engine do what is asked.
fn dispatch(database: &Database, operation: &str, asked: Value) -> Said {
    match operation {
        "CreateTable" => run(asked, |asked| database.create_table(asked)),
        "UpdateTimeToLive" => run(asked, |asked| database.update_time_to_live(asked)),
        "DescribeTable" => run(asked, |asked| database.describe_table(asked)),
        "GetItem" => run(asked, |asked| database.get_item(asked)),
        "BatchGetItem" => run(asked, |asked| database.batch_get_item(asked)),
        "Query" => run(asked, |asked| database.query(asked)),
        "PutItem" => run(asked, |asked| database.put_item(asked)),
        "UpdateItem" => run(asked, |asked| database.update_item(asked)),
        "DeleteItem" => run(asked, |asked| database.delete_item(asked)),
        "TransactWriteItems" => run(asked, |asked| database.transact_write_items(asked)),
        unknown => Err(dynoxide::DynoxideError::ValidationException(format!(
            "the simulated table does not know {unknown}"
        ))),
    }
}

fn run<A: DeserializeOwned, B: Serialize>(
    asked: Value,
    work: impl FnOnce(A) -> Result<B, dynoxide::DynoxideError>,
) -> Said {
    let unreadable = |error: serde_json::Error| {
        dynoxide::DynoxideError::SerializationException(error.to_string())
    };
    let done = work(serde_json::from_value(asked).map_err(unreadable)?)?;
    Ok((200, serde_json::to_string(&done).map_err(unreadable)?))
}
