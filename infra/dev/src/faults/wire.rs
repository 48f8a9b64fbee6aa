//! The same faults for functions that are processes of their own: a server in front of a service's stand-in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::response::Response;
use futures_util::stream;

use super::{DisturbedConnector, Faults, reset};
use crate::task::Task;

/// The most octets of a request that is passed on.
const MAX_BODY_OCTETS: usize = 16 * 1024 * 1024;
/// Where a message is handed to SES.
const MAIL: &str = "/v2/email/outbound-emails";

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    _server: Task,
}

/// What befalls messages to SES, and what befalls every other request.
#[derive(Debug)]
struct Way {
    mail: DisturbedConnector,
    other: DisturbedConnector,
}

impl Wire {
    /// Starts a server in front of `service`, on a free port of 127.0.0.1.
    pub(crate) async fn start(
        service: String,
        of_aws: &Faults,
        of_mail: &Faults,
    ) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.with_context(|| format!("open a port in front of {service}"))?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let service = SharedHttpConnector::new(Service {
            http,
            root: service.into(),
        });
        let disturbed = |faults: &Faults| DisturbedConnector {
            faults: faults.clone(),
            carrier: service.clone(),
        };
        let way = Way {
            mail: disturbed(of_mail),
            other: disturbed(of_aws),
        };
        let router = Router::new().fallback(pass).with_state(Arc::new(way));
        let server = Task::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            _server: server,
        })
    }

    /// The endpoint, for the functions.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    let connector = if request.uri().path() == MAIL {
        &way.mail
    } else {
        &way.other
    };
    carry(connector, request).await.unwrap_or_else(|_| broken())
}

async fn carry(connector: &DisturbedConnector, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_OCTETS).await?;
    let request = axum::http::Request::from_parts(parts, SdkBody::from(body.as_ref()));
    let answer = connector.call(HttpRequest::try_from(request)?).await?;
    Ok(answer.try_into_http1x()?.map(|body| {
        let whole = body.bytes().unwrap_or_default().to_vec();
        Body::from(whole)
    }))
}

/// A status without the body that belongs to it, and the end of the connection: no server can break one in another way.
fn broken() -> Response {
    let end = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Response::new(Body::from_stream(stream::iter([Err::<Vec<u8>, _>(end)])))
}

/// A service's stand-in, over the network.
#[derive(Clone, Debug)]
struct Service {
    http: reqwest::Client,
    root: Arc<str>,
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.clone();
        HttpConnectorFuture::new(async move { service.ask(request).await.map_err(|_| reset()) })
    }
}

impl Service {
    async fn ask(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let (parts, body) = request.try_into_http1x()?.into_parts();
        let path = parts.uri.path_and_query();
        let path = path.context("find the path of a request")?.as_str();
        let mut headers = parts.headers;
        // What they say is about another connection, or another body.
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let asked = self
            .http
            .request(parts.method, [&*self.root, path].concat())
            .headers(headers)
            .body(body.bytes().unwrap_or_default().to_vec());
        let answer: axum::http::Response<reqwest::Body> = asked.send().await?.into();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(Body::new(body), MAX_BODY_OCTETS).await?;
        let answer = axum::http::Response::from_parts(parts, SdkBody::from(body.as_ref()));
        Ok(HttpResponse::try_from(answer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fault;
    use super::*;
    use axum::routing::post;

    /// What a client is told of a call through a wire on which `fault` befalls everything, and whether the call arrived.
    async fn asked(fault: Option<Fault>) -> (Result<(u16, String), &'static str>, bool) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let echo = async move |body: String| {
            told.send(()).unwrap();
            [body.as_str(), " it is"].concat()
        };
        let router = Router::new().route("/there", post(echo));
        let _service = Task::spawn(async move { drop(axum::serve(listener, router).await) });
        let faults = Faults::new(
            1,
            if fault.is_some() { 1_000 } else { 0 },
            &[fault.unwrap_or(Fault::Slow)],
        );
        let wire = Wire::start(root, &faults, &faults).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = client.post(wire.endpoint() + "/there?x=1").body("as");
        let call = async {
            let answer = call.send().await.map_err(|_| "broken")?;
            let status = answer.status().as_u16();
            Ok((status, answer.text().await.map_err(|_| "broken")?))
        };
        let time = std::time::Duration::from_secs(2);
        let answer = tokio::time::timeout(time, call).await;
        (answer.unwrap_or(Err("silence")), heard.try_recv().is_ok())
    }

    #[tokio::test]
    async fn what_befalls_a_call_befalls_it_on_the_wire() {
        let whole = Ok((200, "as it is".to_owned()));
        assert_eq!(asked(None).await, (whole.clone(), true));
        assert_eq!(asked(Some(Fault::Slow)).await, (whole, true));
        for (fault, told, arrives) in [
            (Fault::ResetBefore, "broken", false),
            (Fault::ResetAfter, "broken", true),
            (Fault::LostRequest, "silence", false),
            (Fault::LostAnswer, "silence", true),
        ] {
            assert_eq!(asked(Some(fault)).await, (Err(told), arrives), "{fault:?}");
        }
        let (refused, arrives) = asked(Some(Fault::Throttled)).await;
        assert!(refused.is_ok_and(|(status, _)| status == 429) && !arrives);
    }
}
