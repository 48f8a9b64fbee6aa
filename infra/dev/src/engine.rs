//! The two DynamoDB engines that Leadlight runs on off AWS: an embedded one, and AWS's own DynamoDB Local.
//!
//! Both speak DynamoDB's HTTP API on a free port of 127.0.0.1; code meets them through the official SDK only. Neither ever
//! conflicts or throttles by itself (facts of the platform), so a test that needs that puts a proxy in front.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::oneshot;

/// How long DynamoDB Local may take to answer; on a busy machine its JVM needs several seconds.
const JAVA_START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running engine; it ends when this is dropped.
#[derive(Debug)]
pub enum Engine {
    /// `dynoxide`, inside this process.
    Embedded(Embedded),
    /// DynamoDB Local, a Java process.
    DynamoDbLocal(DynamoDbLocal),
}

/// The embedded engine, on a thread of its own so that it outlives any one test's runtime.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// DynamoDB Local, in memory.
#[derive(Debug)]
pub struct DynamoDbLocal {
    address: SocketAddr,
    watchdog: Child,
}

impl Engine {
    /// Starts the embedded engine with an empty database in memory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn memory() -> anyhow::Result<Self> {
        Self::over(dynoxide::Database::memory().context("open a database in memory")?)
    }

    /// Starts the embedded engine over a database that is open already.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn over(database: dynoxide::Database) -> anyhow::Result<Self> {
        Embedded::serve(database).map(Self::Embedded)
    }

    /// Starts the embedded engine on a database file, which is made if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn file(path: &Path) -> anyhow::Result<Self> {
        let text = path
            .to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        let database =
            dynoxide::Database::new(text).with_context(|| format!("open the database {text}"))?;
        Self::over(database)
    }

    /// Starts DynamoDB Local from the folder that holds its jar (see `tools::dynamodb_local`), empty and in memory.
    ///
    /// # Errors
    /// When Java or the jar is missing, or it does not answer in time.
    pub fn dynamodb_local(folder: &Path) -> anyhow::Result<Self> {
        DynamoDbLocal::start(folder).map(Self::DynamoDbLocal)
    }

    /// The endpoint, as `AWS_ENDPOINT_URL_DYNAMODB` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let address = match self {
            Self::Embedded(embedded) => embedded.address,
            Self::DynamoDbLocal(local) => local.address,
        };
        format!("http://{address}")
    }

    /// The engine's name, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::DynamoDbLocal(_) => "DynamoDB Local",
        }
    }
}

impl Embedded {
    fn serve(database: dynoxide::Database) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.context("open a port on 127.0.0.1 for the embedded engine")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = dynoxide::server::serve_on(listener, database) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("embedded-dynamodb".to_owned())
            .spawn(serve)?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The file is closed when the thread has ended; a panic in it was already reported.
            let _ = thread.join();
        }
    }
}

impl DynamoDbLocal {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let jar = folder.join("DynamoDBLocal.jar");
        if !jar.is_file() {
            bail!("{} is missing; `cargo dev test` fetches it", jar.display());
        }
        // A port that was free may be taken by the time that Java comes to it: then another is tried.
        Self::start_on(free_port()?, folder, &jar)
            .or_else(|_| Self::start_on(free_port()?, folder, &jar))
    }

    fn start_on(port: u16, folder: &Path, jar: &Path) -> anyhow::Result<Self> {
        let log = log_file(port)?;
        // The shell ends Java as soon as its standard input closes, which the kernel does for us however this process ends.
        let script = concat!(
            r#"exec 3<&0; java "$@" </dev/null 3<&- & java=$!; "#,
            "(read _ <&3; kill $java) 2>/dev/null & reader=$!; ",
            "wait $java; status=$?; kill $reader 2>/dev/null; exit $status",
        );
        let mut watchdog = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(format!(
                "-Djava.library.path={}",
                folder.join("DynamoDBLocal_lib").display()
            ))
            .args(["-Xmx512m", "-jar"])
            .arg(jar)
            .args(["-inMemory", "-disableTelemetry", "-port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start a shell")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let started = Instant::now();
        while !answers(address) {
            if let Some(status) = watchdog.try_wait()? {
                bail!(
                    "DynamoDB Local ended at once ({status}); see {}",
                    log_path(port).display()
                );
            }
            if started.elapsed() > JAVA_START_TIMEOUT {
                drop(watchdog.stdin.take());
                bail!(
                    "DynamoDB Local does not answer; see {}",
                    log_path(port).display()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { address, watchdog })
    }
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // Waits for Java's end; a shell that is gone already is as good.
        let _ = self.watchdog.wait();
    }
}

/// A port that was free a moment ago. Java cannot be handed an open socket.
fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("find a free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

fn log_path(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("leadlight-dynamodb-local-{port}.log"))
}

fn log_file(port: u16) -> anyhow::Result<std::fs::File> {
    let path = log_path(port);
    std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))
}

/// Whether something speaks HTTP there. DynamoDB Local accepts connections a little before it answers.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream =
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0_u8; 4];
        std::io::Read::read_exact(&mut stream, &mut start)?;
        Ok(start == *b"HTTP")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
    use leadlight_functions::table::Table;

    use super::*;
    use crate::{aws, progress::Progress, template, tools};

    fn client(engine: &Engine) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(aws::REGION))
            .credentials_provider(aws::credentials())
            .endpoint_url(engine.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    async fn tables(engine: &Engine) -> Vec<String> {
        client(engine)
            .list_tables()
            .send()
            .await
            .unwrap()
            .table_names
            .unwrap()
    }

    #[tokio::test]
    async fn a_database_file_outlives_its_engine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("table.sqlite");
        let engine = Engine::file(&file).unwrap();
        Table::new(client(&engine), "leads".to_owned())
            .create(&template::table().unwrap())
            .await
            .unwrap();
        drop(engine);
        assert_eq!(tables(&Engine::file(&file).unwrap()).await, ["leads"]);
        assert!(tables(&Engine::memory().unwrap()).await.is_empty());
    }

    #[tokio::test]
    async fn dynamodb_local_takes_the_table_and_ends_with_its_value() {
        let folder = tools::dynamodb_local(&Progress::silent()).unwrap();
        let engine = Engine::dynamodb_local(&folder).unwrap();
        Table::new(client(&engine), "leads".to_owned())
            .create(&template::table().unwrap())
            .await
            .unwrap();
        assert_eq!(tables(&engine).await, ["leads"]);
        let address = engine.endpoint().replace("http://", "").parse().unwrap();
        assert!(answers(address));
        drop(engine);
        assert!(!answers(address));
    }
}
