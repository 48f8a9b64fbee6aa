//! HTTP, as the events of API Gateway carry it.
//!
//! `lambda_http::run` does the same, and translates texts into every character set there is: its tables are 128 kB of a zip
//! (`encoding_rs`, measured). Ours are JSON.

use core::convert::Infallible;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Request, Response};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

/// Answers requests until the execution environment ends.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn serve(answer: impl AsyncFn(Request) -> Response<Body>) -> Result<(), Error> {
    let answer = &answer;
    run(service_fn(
        move |event: LambdaEvent<LambdaRequest>| async move {
            let response = Box::pin(answer(event.payload.into())).await;
            Ok::<_, Infallible>(carry(response))
        },
    ))
    .await
}

/// The answer, as API Gateway takes it.
#[must_use]
pub fn carry(response: Response<Body>) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut carried = ApiGatewayV2httpResponse::default();
    carried.status_code = parts.status.as_u16().into();
    carried.headers = parts.headers;
    carried.is_base64_encoded = matches!(body, Body::Binary(_));
    carried.body = Some(body).filter(|body| *body != Body::Empty);
    carried
}
