//! A proxy between a controller and the API server, in which answers can be lost and watches be late.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, channel::mpsc};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

type AnswerBody = UnsyncBoxBody<Bytes, Hangup>;

/// What goes wrong with one write.
#[derive(Debug, Clone, Copy)]
pub enum Mishap {
    /// It never arrives.
    LoseRequest,
    /// It is carried out, and the connection breaks before the answer.
    LoseAnswer,
    /// It is carried out, and answered with this status all the same.
    AnswerWith(u16),
    /// It arrives late, even if nobody waits for the answer any more.
    DelayRequest(Duration),
    /// It is carried out, and its answer is late.
    DelayAnswer(Duration),
}

/// Speaks plain HTTP to the controller and as the controller to the API server. It ends when dropped.
pub struct ApiProxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    _end: DropGuard,
}

struct Shared {
    client: kube::Client,
    /// By the object's name; each meets one status write.
    mishaps: Mutex<Vec<(String, Mishap)>>,
    frozen: watch::Sender<Frozen>,
    away: watch::Sender<bool>,
    /// Requests about leases are lost.
    leases_lost: watch::Sender<bool>,
    /// Lists of this namespace wait.
    held: watch::Sender<Option<String>>,
    cut: Mutex<CancellationToken>,
}

/// The watches that are held back.
#[derive(Debug)]
enum Frozen {
    None,
    All,
    Of(String),
}

impl Frozen {
    /// Whether the watch of this path is.
    fn holds(&self, path: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(namespace) => path.ends_with(&format!("/namespaces/{namespace}/tenantpricings")),
        }
    }
}

/// The connection is to be closed.
#[derive(Debug)]
struct Hangup;

impl fmt::Display for Hangup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection is closed")
    }
}

impl std::error::Error for Hangup {}

impl ApiProxy {
    /// Starts one in front of the API server of `kubeconfig`, with that user's rights. What a controller
    /// needs to go through it is written to `directory`.
    pub async fn start(kubeconfig: &Path, directory: &Path) -> Self {
        let parsed = Kubeconfig::read_from(kubeconfig).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = directory.join("proxied.kubeconfig");
        write_kubeconfig(kubeconfig, &through, listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            client: kube::Client::try_from(config).unwrap(),
            mishaps: Mutex::default(),
            frozen: watch::Sender::new(Frozen::None),
            away: watch::Sender::new(false),
            leases_lost: watch::Sender::new(false),
            held: watch::Sender::new(None),
            cut: Mutex::default(),
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(
            listener,
            Arc::clone(&shared),
            end.clone(),
        )));
        Self { shared, kubeconfig: through, _end: end.drop_guard() }
    }

    /// For a controller that is to go through this proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// The next write of the status of the object of this name meets a mishap.
    pub fn at_next_status_write(&self, name: &str, mishap: Mishap) {
        self.shared.mishaps.lock().unwrap().push((name.to_owned(), mishap));
    }

    /// Whether all mishaps have happened.
    pub fn all_happened(&self) -> bool {
        self.shared.mishaps.lock().unwrap().is_empty()
    }

    /// Holds back what the watches say from now on, until they are thawed: the caches grow stale.
    pub fn freeze_watches(&self) {
        self.shared.frozen.send_replace(Frozen::All);
    }

    /// Likewise, for the watch of the `TenantPricing`s of one namespace alone.
    pub fn freeze_watch_of(&self, namespace: &str) {
        self.shared.frozen.send_replace(Frozen::Of(namespace.to_owned()));
    }

    /// Lets the watches go on.
    pub fn thaw_watches(&self) {
        self.shared.frozen.send_replace(Frozen::None);
    }

    /// Holds back the lists of `TenantPricing`s of one namespace, and lets go of any other.
    pub fn hold_list(&self, namespace: Option<&str>) {
        self.shared.held.send_replace(namespace.map(str::to_owned));
    }

    /// Breaks every watch that stands, and nothing else.
    pub fn cut_watches(&self) {
        let mut cut = self.shared.cut.lock().unwrap();
        cut.cancel();
        *cut = CancellationToken::new();
    }

    /// Loses every request about a Lease, and no other: a leader that cannot renew, and can do all the rest.
    pub fn lose_leases(&self, lost: bool) {
        self.shared.leases_lost.send_replace(lost);
    }

    /// The API server cannot be reached, or can be again.
    pub fn away(&self, away: bool) {
        self.shared.away.send_replace(away);
        if away {
            self.cut_watches();
        }
    }
}

fn write_kubeconfig(from: &Path, to: &Path, address: SocketAddr) {
    let text = std::fs::read_to_string(from).unwrap();
    let lines = text.lines().filter(|line| !line.contains("certificate-authority-data:"));
    let lines = lines.map(|line| match line.split_once("server:") {
        Some((before, _)) => format!("{before}server: http://{address}"),
        None => line.to_owned(),
    });
    std::fs::write(to, lines.collect::<Vec<_>>().join("\n")).unwrap();
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { shared.serve(request).await }
        });
        let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let end = end.clone();
        // It ends with an error whenever it is broken off, which is what it is for.
        tokio::spawn(async move { end.run_until_cancelled_owned(http).await.map(drop) });
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Hangup> {
        let is_lost = *self.leases_lost.borrow() && request.uri().path().contains("/leases");
        if is_lost || *self.away.borrow() {
            return Err(Hangup);
        }
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
        for header in [HOST, CONNECTION, AUTHORIZATION] {
            parts.headers.remove(header);
        }
        let path = parts.uri.path();
        let is_held = |namespace: &String| path.ends_with(&format!("/namespaces/{namespace}/tenantpricings"));
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held.as_ref().is_some_and(is_held)).await.map_err(|_| Hangup)?;
        let watches =
            parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
        let mishap = self.mishap(&parts.method, parts.uri.path());
        let path = parts.uri.path().to_owned();
        if let Some(Mishap::LoseRequest) = mishap {
            return Err(Hangup);
        }
        let shared = Arc::clone(&self);
        // In a task of its own: what has left is carried out, whether or not anybody waits for the answer.
        let forward = tokio::spawn(async move {
            if let Some(Mishap::DelayRequest(delay)) = mishap {
                tokio::time::sleep(delay).await;
            }
            shared.client.send(Request::from_parts(parts, Body::from(body))).await
        });
        let answer = forward.await.map_err(|_| Hangup)?.map_err(|_| Hangup)?;
        match mishap {
            Some(Mishap::LoseAnswer) => Err(Hangup),
            Some(Mishap::AnswerWith(status)) => {
                let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(answer)
            }
            Some(Mishap::DelayAnswer(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(answer.map(whole))
            }
            _ if watches => Ok(answer.map(|body| self.watch(path, body))),
            _ => Ok(answer.map(whole)),
        }
    }

    fn mishap(&self, method: &Method, path: &str) -> Option<Mishap> {
        let mut mishaps = self.mishaps.lock().unwrap();
        let meets = |name: &str| {
            *method == Method::PATCH && path.ends_with(&format!("/tenantpricings/{name}/status"))
        };
        let place = mishaps.iter().position(|(name, _)| meets(name))?;
        Some(mishaps.remove(place).1)
    }

    /// The body of a watch, which can be frozen and cut.
    fn watch(&self, path: String, body: Body) -> AnswerBody {
        let (mut sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Hangup>>(1);
        let cut = self.cut.lock().unwrap().clone();
        let mut frozen = self.frozen.subscribe();
        tokio::spawn(async move {
            let mut frames = BodyStream::new(body);
            let pass_on = async {
                while let Some(frame) = frames.next().await {
                    let thawed = frozen.wait_for(|frozen| !frozen.holds(&path)).await.is_ok();
                    if !thawed || sender.send(frame.map_err(|_| Hangup)).await.is_err() {
                        return;
                    }
                }
            };
            if cut.run_until_cancelled(pass_on).await.is_none() {
                // Nobody may be listening any more.
                let _ = sender.send(Err(Hangup)).await;
            }
        });
        StreamBody::new(receiver).boxed_unsync()
    }
}

fn whole(body: Body) -> AnswerBody {
    body.map_err(|_| Hangup).boxed_unsync()
}
