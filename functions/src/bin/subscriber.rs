//! The function `subscriber`: takes what SNS delivers by HTTPS, see [`leadlight_functions::subscriber`].

use lambda_runtime::Error;
use leadlight_functions::app::App;
use leadlight_functions::config::start_log;
use leadlight_functions::http::serve;
use leadlight_functions::subscriber;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::from_env()?;
    app.warm().await;
    serve(async |request| subscriber::handle(app, request).await).await
}
