//! A proxy between the functions and an AWS service's stand-in: it counts calls, and misbehaves where it is told to.
//!
//! No engine conflicts, throttles or breaks down by itself, so every such thing a test needs is done here, call by call and by
//! script. It speaks as much HTTP/1.1 as the SDK does and never changes what it is not told to change.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A call that an SDK made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// What DynamoDB calls the operation; for other services method and path, such as `GET /v2/email/…`.
    pub(crate) operation: String,
    /// The body, if it is JSON.
    pub(crate) body: Value,
}

impl Call {
    /// What kind of item it writes: the sort key up to the first `#`. `None` unless it changes the table.
    pub(crate) fn written(&self) -> Option<&str> {
        let item = match self.operation.as_str() {
            "PutItem" => &self.body["Item"],
            "UpdateItem" | "DeleteItem" => &self.body["Key"],
            _ => return None,
        };
        item["sk"]["S"].as_str()?.split('#').next()
    }
}

/// What becomes of a call.
pub(crate) enum Act {
    /// It is carried out.
    Pass,
    /// It is carried out once this has happened.
    PassAfter(BoxFuture<'static, ()>),
    /// It is not carried out, and the connection breaks.
    CutBefore,
    /// It is carried out, and the connection breaks before the answer.
    CutAfter,
    /// It is not carried out; this is answered.
    Refuse(u16, Value),
    /// It is carried out for the first of its keys only; the others come back as unprocessed.
    LeaveUnprocessed {
        /// How many keys are read.
        read: usize,
    },
}

impl Act {
    /// DynamoDB's answer to more than it can take.
    pub(crate) fn throttle() -> Self {
        let kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
        Self::Refuse(400, json!({ "__type": kind, "message": "slow down" }))
    }
}

/// A way to misbehave, time after time.
pub(crate) type Misbehaviour = fn() -> Act;

type Script = Box<dyn FnMut(&Call) -> Act + Send>;

struct State {
    upstream: String,
    client: reqwest::Client,
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
}

/// A running proxy; it ends when this is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts a proxy to `upstream` on a free port of 127.0.0.1.
    pub(crate) async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream,
            client: reqwest::Client::new(),
            script: Mutex::new(Box::new(|_| Act::Pass)),
            calls: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                tokio::spawn(async move { state.serve(connection).await });
            }
        });
        Self {
            address,
            state,
            server,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, `script` says what becomes of each call.
    pub(crate) fn script(&self, script: impl FnMut(&Call) -> Act + Send + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    /// From now on, every call passes.
    pub(crate) fn behave(&self) {
        self.script(|_| Act::Pass);
    }

    /// The calls since this was last asked, oldest first; repetitions by the SDK itself are not told.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.calls.lock().unwrap())
    }

    /// The operations since the calls were last asked for, oldest first.
    pub(crate) fn take_operations(&self) -> Vec<String> {
        self.take_calls()
            .into_iter()
            .map(|call| call.operation)
            .collect()
    }
}

/// A request, as far as it is looked at.
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What a service answered.
struct Answer {
    status: u16,
    /// Where SES puts the name of an error; DynamoDB has it in the body.
    error: Option<String>,
    body: Vec<u8>,
}

impl State {
    /// Answers requests until either side has had enough.
    async fn serve(&self, connection: TcpStream) -> Option<()> {
        let (reader, mut writer) = connection.into_split();
        let mut reader = BufReader::new(reader);
        loop {
            let request = Request::read(&mut reader).await?;
            let call = request.call();
            // A busy machine makes the SDK impatient: its own repetitions count as one call.
            if request
                .header("amz-sdk-request")
                .is_none_or(|sdk| sdk.contains("attempt=1"))
            {
                self.calls.lock().unwrap().push(call.clone());
            }
            let act = (self.script.lock().unwrap())(&call);
            let answer = match act {
                Act::Pass => self.forward(&request, request.body.clone()).await?,
                Act::PassAfter(event) => {
                    event.await;
                    self.forward(&request, request.body.clone()).await?
                }
                Act::CutBefore => return None,
                Act::CutAfter => {
                    self.forward(&request, request.body.clone()).await?;
                    return None;
                }
                Act::Refuse(status, body) => Answer {
                    status,
                    error: None,
                    body: body.to_string().into_bytes(),
                },
                Act::LeaveUnprocessed { read } => {
                    self.forward_some(&request, call.body, read).await?
                }
            };
            writer.write_all(&answer.bytes()).await.ok()?;
        }
    }

    /// Carries the call out.
    async fn forward(&self, request: &Request, body: Vec<u8>) -> Option<Answer> {
        let url = [self.upstream.as_str(), &request.path].concat();
        let method = request.method.parse().ok()?;
        let mut forwarded = self.client.request(method, url).body(body);
        for (name, value) in &request.headers {
            if !["host", "content-length", "connection"].contains(&name.as_str()) {
                forwarded = forwarded.header(name, value);
            }
        }
        let answer = forwarded.send().await.ok()?;
        let error = answer.headers().get("x-amzn-errortype");
        Some(Answer {
            status: answer.status().as_u16(),
            error: error.map(|name| name.to_str().unwrap().to_owned()),
            body: answer.bytes().await.ok()?.to_vec(),
        })
    }

    /// Carries a batch of reads out for its first keys.
    async fn forward_some(
        &self,
        request: &Request,
        mut body: Value,
        read: usize,
    ) -> Option<Answer> {
        let mut left_over = body["RequestItems"].clone();
        for (table, wanted) in body["RequestItems"].as_object_mut()? {
            let keys = wanted["Keys"].as_array_mut()?;
            left_over[table]["Keys"] = keys.split_off(read.min(keys.len())).into();
        }
        let mut answer = self.forward(request, body.to_string().into_bytes()).await?;
        let mut found: Value = serde_json::from_slice(&answer.body).ok()?;
        found["UnprocessedKeys"] = left_over;
        answer.body = found.to_string().into_bytes();
        Some(answer)
    }
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let error = self
            .error
            .as_deref()
            .map(|name| format!("x-amzn-errortype: {name}\r\n"));
        let head = format!(
            "HTTP/1.1 {} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n",
            self.status,
            self.body.len(),
            error.unwrap_or_default(),
        );
        [head.as_bytes(), &self.body].concat()
    }
}

impl Request {
    /// The next request on a connection; `None` at its end.
    async fn read(connection: &mut BufReader<OwnedReadHalf>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let octets = connection.read_line(&mut head).await.ok()?;
            if octets == 0 {
                return None;
            }
        }
        let mut lines = head.lines();
        let mut start = lines.next()?.split(' ');
        let (method, path) = (start.next()?.to_owned(), start.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut request = Self {
            method,
            path,
            headers,
            body: Vec::new(),
        };
        let length = request.header("content-length").unwrap_or("0").parse();
        request.body = vec![0; length.ok()?];
        connection.read_exact(&mut request.body).await.ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    fn call(&self) -> Call {
        let target = self.header("x-amz-target");
        let operation = match target.and_then(|target| target.rsplit_once('.')) {
            Some((_, operation)) => operation.to_owned(),
            None => [self.method.as_str(), " ", &self.path].concat(),
        };
        Call {
            operation,
            body: serde_json::from_slice(&self.body).unwrap_or_default(),
        }
    }
}
