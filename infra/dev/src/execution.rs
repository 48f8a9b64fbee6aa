//! The execution environment of the functions inside this process: one thread with a current-thread runtime, as Lambda gives
//! them, so that nothing is asked of a handler here that Lambda does not ask.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::LocalBoxFuture;
use leadlight_functions::config::App;
use tokio::sync::{mpsc, oneshot};

type Work = Box<dyn FnOnce(Arc<App>) -> LocalBoxFuture<'static, ()> + Send>;

/// Runs invocations, any number at the same time. Clones share the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    work: mpsc::UnboundedSender<Work>,
}

impl Execution {
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(app: Arc<App>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the functions' runtime")?;
        let (work, mut received) = mpsc::unbounded_channel::<Work>();
        let serve = async move {
            while let Some(work) = received.recv().await {
                tokio::task::spawn_local(work(Arc::clone(&app)));
            }
        };
        std::thread::Builder::new()
            .name("functions".to_owned())
            .spawn(move || tokio::task::LocalSet::new().block_on(&runtime, serve))
            .context("start the functions' thread")?;
        Ok(Self { work })
    }

    /// Runs one invocation.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        invocation: impl FnOnce(Arc<App>) -> LocalBoxFuture<'static, T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |app| {
            let invocation = invocation(app);
            Box::pin(async move {
                // Whoever asked may have gone.
                let _ = answer.send(invocation.await);
            })
        });
        self.work
            .send(work)
            .ok()
            .context("the functions' thread has ended")?;
        answered.await.context("the function panicked")
    }
}
