//! Pages of hosts that embed the widget, each with the policy that it asks for.
//!
//! The page, the widget's files and the API have an origin each, as they have in production.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;
use leadlight_dev::stack::Stack;
use leadlight_dev::workspace;
use tokio::task::JoinHandle;
use tower_http::cors::CorsLayer;
use tower_http::services::ServeDir;

/// The policy that the widget's documentation gives, with the three places that it takes from a host.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self' {cdn} 'wasm-unsafe-eval'; connect-src {api} {cdn}; \
     require-trusted-types-for 'script'";

type Files = Arc<Mutex<HashMap<String, File>>>;

/// A server of pages, and one of the widget's files.
pub(crate) struct Host {
    pub(crate) origin: String,
    pub(crate) cdn: String,
    pub(crate) api: String,
    pub(crate) token: String,
    files: Files,
    servers: [JoinHandle<()>; 2],
}

#[derive(Clone)]
struct File {
    kind: &'static str,
    policy: Option<String>,
    octets: Vec<u8>,
}

impl Host {
    /// A host of the demo's account.
    pub(crate) async fn start(stack: &Stack) -> Self {
        let files = Files::default();
        let pages = Router::new()
            .route("/{*path}", get(serve))
            .with_state(Arc::clone(&files));
        let widget = workspace::target().join("widget");
        let widget = Router::new()
            .fallback_service(ServeDir::new(widget))
            .layer(CorsLayer::permissive());
        let (origin, pages) = start(pages).await;
        let (cdn, widget) = start(widget).await;
        Self {
            origin,
            cdn,
            api: stack.origin(),
            token: stack.account.widget_token(Timestamp::now()).unwrap().token,
            files,
            servers: [pages, widget],
        }
    }

    /// A page that embeds the widget. `{cdn}`, `{api}` and `{token}` are filled in. The script comes after what every host does.
    pub(crate) fn page(&self, path: &str, policy: &str, body: &str, script: &str) {
        let html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>A host</title>\
             <script type=module src={path}.js></script><body>{body}"
        );
        let begin = "import { configure, setStatuses, LeadLight } from '{cdn}/lead-light.js';
            import '{cdn}/auto.js';
            window.seen = [];
            for (const type of ['change', 'open', 'close', 'check', 'error']) {
                addEventListener(`lead-light-${type}`, ({ detail, target, composed, bubbles, cancelable }) => {
                    seen.push({ type, detail, target: target.localName, composed, bubbles, cancelable });
                });
            }
            Object.assign(window, { configure, setStatuses, LeadLight });";
        let script = format!("{begin}\n{script}");
        let policy = (!policy.is_empty()).then(|| self.filled(policy));
        self.keep(path, "text/html", policy, self.filled(&html).into_bytes());
        self.put(
            &format!("{path}.js"),
            "text/javascript",
            self.filled(&script),
        );
    }

    /// A file as it is.
    pub(crate) fn put(&self, path: &str, kind: &'static str, file: impl Into<Vec<u8>>) {
        self.keep(path, kind, None, file.into());
    }

    fn keep(&self, path: &str, kind: &'static str, policy: Option<String>, octets: Vec<u8>) {
        let file = File {
            kind,
            policy,
            octets,
        };
        self.files.lock().unwrap().insert(path.to_owned(), file);
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{cdn}", &self.cdn)
            .replace("{api}", &self.api)
            .replace("{token}", &self.token)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn start(router: Router) -> (String, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (origin, server)
}

async fn serve(State(files): State<Files>, Path(path): Path<String>) -> Response {
    let Some(file) = files.lock().unwrap().get(&format!("/{path}")).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = ([(header::CONTENT_TYPE, file.kind)], file.octets).into_response();
    if let Some(policy) = file.policy {
        let policy = HeaderValue::from_str(&policy).unwrap();
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
