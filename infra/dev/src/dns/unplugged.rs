//! The same name server without sockets: a network for a resolver of this process, whose time may be simulated.
//!
//! Only UDP leads anywhere. What is sent is answered by the zone as over the wire, octet for octet.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::ready;
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use tokio::sync::mpsc;

use super::{State, Zone};

/// A network on which there is nothing but a name server.
#[derive(Clone)]
pub struct Unplugged {
    state: Arc<State>,
    runtime: TokioRuntimeProvider,
}

impl Unplugged {
    /// A network whose name server, at any address, knows `zone`.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            state: Arc::new(State {
                zone: RwLock::new(zone),
                questions: Mutex::default(),
            }),
            runtime: TokioRuntimeProvider::default(),
        }
    }

    /// Changes the zone: what is asked from now on sees the change.
    pub fn change(&self, change: impl FnOnce(Zone) -> Zone) {
        self.state.change(change);
    }
}

type Soon<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl RuntimeProvider for Unplugged {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Datagrams;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.runtime.create_handle()
    }

    fn connect_tcp(
        &self,
        _server: SocketAddr,
        _from: Option<SocketAddr>,
        _timeout: Option<Duration>,
    ) -> Soon<Self::Tcp> {
        Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }

    fn bind_udp(&self, _local: SocketAddr, _server: SocketAddr) -> Soon<Self::Udp> {
        let (answered, answers) = mpsc::unbounded_channel();
        let datagrams = Datagrams {
            state: Arc::clone(&self.state),
            answered,
            answers: Mutex::new(answers),
        };
        Box::pin(ready(Ok(datagrams)))
    }
}

/// An end of the network.
pub struct Datagrams {
    state: Arc<State>,
    answered: mpsc::UnboundedSender<(Vec<u8>, SocketAddr)>,
    answers: Mutex<mpsc::UnboundedReceiver<(Vec<u8>, SocketAddr)>>,
}

impl DnsUdpSocket for Datagrams {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let Poll::Ready(Some((answer, from))) = answers.poll_recv(context) else {
            return Poll::Pending;
        };
        let Some(room) = buffer.get_mut(..answer.len()) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        room.copy_from_slice(&answer);
        Poll::Ready(Ok((answer.len(), from)))
    }

    fn poll_send_to(
        &self,
        _context: &mut Context<'_>,
        octets: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let (state, answered, question) = (
            Arc::clone(&self.state),
            self.answered.clone(),
            octets.to_vec(),
        );
        tokio::spawn(async move {
            let Some(asked) = state.hear(&question, false) else {
                return;
            };
            if let Some(answer) = state.reply(asked, &question, false).await {
                // Whoever asked may have given up.
                let _ = answered.send((answer, to));
            }
        });
        Poll::Ready(Ok(octets.len()))
    }
}
