//! A proxy between a controller and the API server, in which answers can be lost and watches be late.

mod faults;
mod recorded;
mod watches;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
pub use faults::RequestFault;
use faults::RequestFaults;
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER},
    http::request::Parts,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams},
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
pub use recorded::RecordedWrite;
use tenant_pricing_controller::api::TenantPricing;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::PATIENCE;

type AnswerBody = UnsyncBoxBody<Bytes, Hangup>;

/// What goes wrong with one write.
#[derive(Debug, Clone, Copy)]
pub enum WriteFault {
    /// It never arrives.
    LoseRequest,
    /// It is carried out, and the connection breaks before the answer.
    LoseAnswer,
    /// It is carried out, and answered with this status nevertheless.
    AnswerWith(u16),
    /// It never arrives, and is answered 200 with the object as it stands.
    AnswerFromThePast,
    /// It arrives late, even if its sender has given up.
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
    /// Edits objects at [`RequestFault::Conflict`].
    another: kube::Client,
    /// By the object's name; each meets one status write.
    write_faults: Mutex<Vec<(String, WriteFault)>>,
    frozen: watch::Sender<Frozen>,
    away: watch::Sender<bool>,
    /// Requests about leases are lost.
    leases_lost: watch::Sender<bool>,
    /// Lists of this namespace wait.
    held: watch::Sender<Option<String>>,
    /// How many lists have been held so far.
    held_lists: watch::Sender<usize>,
    cut: Mutex<CancellationToken>,
    /// The connections that are open now hear and say nothing any more.
    deaf: Mutex<CancellationToken>,
    troubles: Mutex<RequestFaults>,
    noted: Mutex<Vec<RecordedWrite>>,
    life: Mutex<usize>,
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
    /// needs to go through it is written to `directory`. `another` is the client that comes in between.
    pub async fn start(kubeconfig: &Path, directory: &Path, another: kube::Client) -> Self {
        let parsed = Kubeconfig::read_from(kubeconfig).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = directory.join("proxied.kubeconfig");
        write_kubeconfig(kubeconfig, &through, listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            client: kube::Client::try_from(config).unwrap(),
            another,
            write_faults: Mutex::default(),
            frozen: watch::Sender::new(Frozen::None),
            away: watch::Sender::new(false),
            leases_lost: watch::Sender::new(false),
            held: watch::Sender::new(None),
            held_lists: watch::Sender::new(0),
            cut: Mutex::default(),
            deaf: Mutex::default(),
            troubles: Mutex::default(),
            noted: Mutex::default(),
            life: Mutex::default(),
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

    /// The next write of the status of the object of this name meets a write fault.
    pub fn at_next_status_write(&self, name: &str, write_fault: WriteFault) {
        self.shared.write_faults.lock().unwrap().push((name.to_owned(), write_fault));
    }

    /// Whether all write faults have happened.
    pub fn all_happened(&self) -> bool {
        self.shared.write_faults.lock().unwrap().is_empty()
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

    /// Holds back the lists of `TenantPricing`s of one namespace, and releases any other.
    pub fn hold_list(&self, namespace: Option<&str>) {
        self.shared.held.send_replace(namespace.map(str::to_owned));
    }

    /// Waits until a list is held.
    pub async fn until_a_list_is_held(&self) {
        let mut held = self.shared.held_lists.subscribe();
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|count| *count > 0)).await;
        waited.expect("a list is held").expect("the proxy runs");
    }

    /// Breaks every watch that stands, and nothing else.
    pub fn cut_watches(&self) {
        let mut cut = self.shared.cut.lock().unwrap();
        cut.cancel();
        *cut = CancellationToken::new();
    }

    /// The connections that are open now stay open, and nothing goes through them any more, as behind a firewall
    /// that forgot them. New ones work.
    pub fn deafen(&self) {
        let mut deaf = self.shared.deaf.lock().unwrap();
        deaf.cancel();
        *deaf = CancellationToken::new();
    }

    /// Something goes wrong with the next request that can meet it.
    pub fn trouble(&self, trouble: RequestFault) {
        self.shared.troubles.lock().unwrap().add(trouble);
    }

    /// What has not met a request yet never will.
    pub fn clear_troubles(&self) {
        self.shared.troubles.lock().unwrap().clear();
    }

    /// How many troubles met a request, by [`RequestFault::name`].
    pub fn trouble_hits(&self) -> BTreeMap<&'static str, u32> {
        self.shared.troubles.lock().unwrap().hits()
    }

    /// From now on this process uses the proxy.
    pub fn set_life(&self, life: usize) {
        *self.shared.life.lock().unwrap() = life;
    }

    /// Announcements and lease writes so far, in the order in which they came.
    pub fn noted(&self) -> Vec<RecordedWrite> {
        self.shared.noted.lock().unwrap().clone()
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
        let deaf = shared.deaf.lock().unwrap().clone();
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { shared.serve(request).await }
        });
        let http = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let end = end.clone();
        // It ends with an error whenever it is broken off, which is what it is for.
        tokio::spawn(end.run_until_cancelled_owned(async move {
            let mut http = std::pin::pin!(http);
            tokio::select! {
                _ = &mut http => {}
                // It keeps the socket.
                () = deaf.cancelled() => std::future::pending().await,
            }
        }));
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
        if held.borrow().as_ref().is_some_and(is_held) {
            self.held_lists.send_modify(|count| *count += 1);
        }
        held.wait_for(|held| !held.as_ref().is_some_and(is_held)).await.map_err(|_| Hangup)?;
        let lists = parts.uri.query().is_some_and(|query| query.contains("sendInitialEvents=true"));
        let watches =
            parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
        if let Some(refusal) = self.refusal(watches) {
            return Ok(refusal);
        }
        let noted = recorded::note(&parts.method, path, &body, *self.life.lock().unwrap());
        let place = noted.map(|noted| {
            let mut all = self.noted.lock().unwrap();
            all.push(noted);
            all.len() - 1
        });
        let answer = Arc::clone(&self).carry_out(parts, body, watches, lists).await;
        if let (Some(place), Ok(answer)) = (place, &answer) {
            let given = Some((Instant::now(), answer.status().as_u16()));
            self.noted.lock().unwrap()[place].answered = given;
        }
        answer
    }

    /// An answer that the API server knows nothing of.
    fn refusal(&self, watches: bool) -> Option<Response<AnswerBody>> {
        let mut troubles = self.troubles.lock().unwrap();
        if watches && troubles.take(|trouble| matches!(trouble, RequestFault::WatchGone)).is_some() {
            return Some(status_answer(410, watches::EXPIRED));
        }
        troubles.take(|trouble| matches!(trouble, RequestFault::Throttle)).map(|_| {
            let mut answer = status_answer(429, THROTTLED);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        })
    }

    async fn carry_out(
        self: Arc<Self>,
        parts: Parts,
        body: Bytes,
        watches: bool,
        lists: bool,
    ) -> Result<Response<AnswerBody>, Hangup> {
        let write_fault = self.write_fault(&parts.method, parts.uri.path());
        let path = parts.uri.path().to_owned();
        if let Some(WriteFault::LoseRequest) = write_fault {
            return Err(Hangup);
        }
        if status_of(&parts.method, parts.uri.path()).is_some()
            && self
                .troubles
                .lock()
                .unwrap()
                .take(|trouble| matches!(trouble, RequestFault::Conflict))
                .is_some()
        {
            self.touch(parts.uri.path()).await;
        }
        let (parts, body) = match write_fault {
            Some(WriteFault::AnswerFromThePast) => read_instead(&path),
            _ => (parts, body),
        };
        let shared = Arc::clone(&self);
        // In a task of its own: what has left is carried out, whether or not anybody waits for the answer.
        let forward = tokio::spawn(async move {
            if let Some(WriteFault::DelayRequest(delay)) = write_fault {
                tokio::time::sleep(delay).await;
            }
            shared.client.send(Request::from_parts(parts, Body::from(body))).await
        });
        let answer = forward.await.map_err(|_| Hangup)?.map_err(|_| Hangup)?;
        match write_fault {
            Some(WriteFault::LoseAnswer) => Err(Hangup),
            Some(WriteFault::AnswerWith(status)) => {
                let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(answer)
            }
            Some(WriteFault::DelayAnswer(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(answer.map(whole))
            }
            _ if watches => Ok(answer.map(|body| watches::body(self, path, body, lists))),
            _ => Ok(answer.map(whole)),
        }
    }

    /// Another client edits the object whose status is about to be written.
    async fn touch(&self, path: &str) {
        let mut segments = path.split('/').skip_while(|segment| *segment != "namespaces").skip(1);
        let (Some(namespace), Some(name)) = (segments.next(), segments.nth(1)) else { return };
        let resource = ApiResource::erase::<TenantPricing>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.another.clone(), namespace, &resource);
        let value = format!("{:08x}", rand::random::<u32>());
        let note = serde_json::json!({"metadata": {"annotations": {"example.com/touched": value}}});
        // Without success there is no conflict.
        let _ = api.patch(name, &PatchParams::default(), &Patch::Merge(&note)).await;
    }

    fn write_fault(&self, method: &Method, path: &str) -> Option<WriteFault> {
        let written = status_of(method, path)?;
        let mut write_faults = self.write_faults.lock().unwrap();
        if let Some(place) = write_faults.iter().position(|(name, _)| name == written) {
            return Some(write_faults.remove(place).1);
        }
        let taken = self.troubles.lock().unwrap().take(|trouble| matches!(trouble, RequestFault::Write(_)));
        taken.and_then(|trouble| match trouble {
            RequestFault::Write(write_fault) => Some(write_fault),
            _ => None,
        })
    }
}

/// The name of the `TenantPricing` whose status is written, if one is.
fn status_of<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let (_, name) = path.strip_suffix("/status")?.split_once("/tenantpricings/")?;
    (*method == Method::PATCH).then_some(name)
}

/// The reading of an object, in the place of a write of its status.
fn read_instead(path: &str) -> (Parts, Bytes) {
    let (parts, ()) = Request::get(path.trim_end_matches("/status")).body(()).unwrap().into_parts();
    (parts, Bytes::new())
}

/// The answer of an overloaded API server.
const THROTTLED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Too many requests, please try again later.","reason":"TooManyRequests","code":429}"#;

fn status_answer(status: u16, body: &'static str) -> Response<AnswerBody> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn whole(body: Body) -> AnswerBody {
    body.map_err(|_| Hangup).boxed_unsync()
}
