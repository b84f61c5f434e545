//! A network path to the platform that can be closed in the middle.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex as Lock},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};

use super::PATIENCE;

/// Forwards connections. Closed, it refuses new ones while those that stand go on: so a request that needs
/// a connection of its own never leaves, and reads on kept connections go through.
pub struct Gateway {
    address: SocketAddr,
    target: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
    standing: Standing,
}

/// The connections that stand.
type Standing = Arc<Lock<JoinSet<()>>>;

impl Gateway {
    /// An open gateway to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let standing = Standing::default();
        let accepting = Mutex::new(Some(accept(listener, target, standing.clone())));
        Self { address, target, accepting, standing }
    }

    /// The base URL, as it belongs in a connection.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses every further connection.
    pub async fn close(&self) {
        if let Some(accepting) = self.accepting.lock().await.take() {
            accepting.abort();
            // The listener is gone when its task is.
            let _ = accepting.await;
        }
    }

    /// Refuses every further connection and breaks off those that stand: the peer has vanished.
    pub async fn cut(&self) {
        self.close().await;
        self.standing.lock().unwrap().abort_all();
    }

    /// Takes connections again.
    pub async fn reopen(&self) {
        // A connection of another process may have the port as its own end just now.
        let bound = async {
            loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let listener = tokio::time::timeout(PATIENCE, bound).await.expect("the port is free again");
        *self.accepting.lock().await = Some(accept(listener, self.target, self.standing.clone()));
    }
}

fn accept(listener: TcpListener, target: SocketAddr, standing: Standing) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            standing.lock().unwrap().spawn(async move {
                let Ok(mut to) = TcpStream::connect(target).await else { return };
                // It ends with an error whenever one side breaks off.
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    })
}
