//! Which namespaces may use a connection.

mod cache;
mod updates;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cache::{Found, NamespaceCache};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::LabelSelector};
use kube::{
    Api, Client,
    core::{ParseExpressionError, Selector, SelectorExt},
};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, timeout},
};

use crate::{
    api::{NamespacesFrom, PlatformConnection},
    cluster::{Interrupted, READ_TIMEOUT, ReadError, in_time},
};

/// Whether a connection admits a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The connection admits it.
    Admitted,
    /// The connection does not admit it.
    Refused,
    /// The labels of the namespace are not known now.
    Undecided,
}

/// Which cached answers the API server must confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// No answers. The API server is asked only about namespaces that are not cached.
    Nothing,
    /// Refusals, because the watch may lag.
    Refusals,
}

/// The cached labels of namespaces. Cheap to clone; clones share everything.
///
/// Namespaces are watched as metadata, and only their labels are kept. Without the right to list and watch them, the
/// controller reads one by one those that are needed.
#[derive(Clone)]
pub struct Namespaces {
    client: Client,
    /// A client for the watch only.
    watching: Client,
    shared: Arc<Shared>,
}

struct Shared {
    known: Mutex<NamespaceCache>,
    /// Whether it is decided how the cache is filled: by a watch or by reads.
    source_known: watch::Sender<bool>,
    /// Notified when a namespace is requested that must be read.
    wanted: Notify,
    changed: mpsc::UnboundedSender<Arc<str>>,
    /// The reads of single namespaces that reconciles wait for.
    reads: Mutex<HashMap<Arc<str>, Arc<SharedRead>>>,
    /// Since when the watch is interrupted.
    interrupted: watch::Sender<Option<Instant>>,
}

/// When the last read of a namespace began, and its result. Locked during a read.
type SharedRead = tokio::sync::Mutex<Option<(Instant, Option<BTreeMap<String, String>>)>>;

impl Shared {
    fn reads(&self, namespace: &str) -> Arc<SharedRead> {
        let mut reads = self.reads.lock();
        reads.entry(namespace.into()).or_default().clone()
    }

    /// Drops a read that no other caller waits for.
    fn read_ended(&self, namespace: &str, read: &Arc<SharedRead>) {
        let mut reads = self.reads.lock();
        // One reference is the map's, the other the caller's.
        if Arc::strong_count(read) == 2 {
            reads.remove(namespace);
        }
    }
}

impl Namespaces {
    /// An empty cache, which [`Self::run`] fills. The receiver yields the requested namespaces whose labels changed,
    /// became known or went away. Enqueue the objects in them that use a connection with a selector.
    #[must_use]
    pub fn new(client: Client) -> (Self, mpsc::UnboundedReceiver<Arc<str>>) {
        let (changed, receiver) = mpsc::unbounded_channel();
        let shared = Shared {
            known: Mutex::default(),
            source_known: watch::Sender::new(false),
            wanted: Notify::new(),
            changed,
            reads: Mutex::default(),
            interrupted: watch::Sender::new(None),
        };
        (Self { watching: client.clone(), client, shared: Arc::new(shared) }, receiver)
    }

    /// The same, with a separate client for the watch.
    #[must_use]
    pub fn watching_with(self, watching: Client) -> Self {
        Self { watching, ..self }
    }

    /// Since when the watch is interrupted.
    #[must_use]
    pub fn interrupted(&self) -> Interrupted {
        self.shared.interrupted.subscribe()
    }

    /// Whether `connection` admits the objects of `namespace`, from the cache alone.
    #[must_use]
    pub fn admits(&self, connection: &PlatformConnection, namespace: &str) -> Admission {
        match rule(connection, namespace) {
            Rule::Decided(admission) => admission,
            Rule::Selector(selector) => {
                let mut known = self.known();
                match known.ask(namespace) {
                    Some(Found::Labelled(labels)) => by_labels(&selector, Some(&labels.to_map())),
                    Some(Found::Absent) => by_labels(&selector, None),
                    None => {
                        if known.is_to_be_read(namespace) {
                            self.shared.wanted.notify_one();
                        }
                        Admission::Undecided
                    }
                }
            }
        }
    }

    /// Whether `connection` admits the objects of `namespace`, for a reconcile, which can wait for the answer.
    ///
    /// Only the API server itself may refuse. A user may create an object right after its namespace or label, and the
    /// object's watch may be the faster one.
    pub async fn admission(
        &self,
        connection: &PlatformConnection,
        namespace: &str,
        confirm: Confirm,
    ) -> Admission {
        if self.admits(connection, namespace) == Admission::Undecided {
            let mut source_known = self.shared.source_known.subscribe();
            // After the timeout the namespace itself is read.
            let _ = timeout(READ_TIMEOUT, source_known.wait_for(|source_known| *source_known)).await;
        }
        match self.admits(connection, namespace) {
            Admission::Admitted => Admission::Admitted,
            Admission::Refused if confirm == Confirm::Nothing => Admission::Refused,
            Admission::Refused | Admission::Undecided => match rule(connection, namespace) {
                Rule::Decided(admission) => admission,
                Rule::Selector(selector) => {
                    by_read(&selector, namespace, self.read_together(namespace).await)
                }
            },
        }
    }

    /// Reads a namespace once for all concurrent callers. A read answers a caller only if it began after the call.
    async fn read_together(&self, namespace: &str) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let asked = Instant::now();
        let shared = self.shared.reads(namespace);
        let mut last = shared.lock().await;
        let answered = last.as_ref().filter(|(begun, _)| *begun >= asked).map(|(_, labels)| labels.clone());
        let labels = if let Some(labels) = answered {
            Ok(labels)
        } else {
            let begun = Instant::now();
            let labels = self.read(namespace).await;
            *last = labels.as_ref().ok().map(|labels| (begun, labels.clone()));
            labels
        };
        drop(last);
        self.shared.read_ended(namespace, &shared);
        labels
    }

    /// Whether `connection` admits the objects of `namespace` at this moment. The labels are read from the API server
    /// and not from the cache. The pre-write read must not rely on a watch that may lag: a removed label is a removed
    /// permission, and a switch cannot be undone.
    pub async fn admits_afresh(&self, connection: &PlatformConnection, namespace: &str) -> Admission {
        let selector = match rule(connection, namespace) {
            Rule::Decided(admission) => return admission,
            Rule::Selector(selector) => selector,
        };
        by_read(&selector, namespace, self.read(namespace).await)
    }

    /// Whether the cache says that a namespace is being deleted. Then no switch may begin for its objects.
    #[must_use]
    pub fn is_terminating(&self, namespace: &str) -> bool {
        self.known().is_terminating(namespace)
    }

    /// Reads whether a namespace is being deleted, if no watch delivers that. Returns false if the API server does not
    /// answer now. Without the right to read it, nothing will be known, and the switch does not wait.
    #[must_use]
    pub async fn learn_of_termination(&self, namespace: &str) -> bool {
        if self.known().is_watched() {
            return true;
        }
        // An error is logged where the labels are read.
        !self.read(namespace).await.is_err_and(|error| error.is_temporary())
    }

    /// The labels of a namespace; `None` if it does not exist.
    async fn read(&self, namespace: &str) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = in_time(api.get_metadata_opt(namespace)).await?;
        let terminates =
            found.as_ref().is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some());
        self.known().read_termination(namespace, terminates);
        Ok(found.map(|namespace| namespace.metadata.labels.unwrap_or_default()))
    }

    fn known(&self) -> MutexGuard<'_, NamespaceCache> {
        self.shared.known.lock()
    }

    fn notify(&self, changed: impl IntoIterator<Item = Arc<str>>) {
        for namespace in changed {
            // The send fails only if the receiver is gone.
            let _ = self.shared.changed.send(namespace);
        }
    }
}

fn log_failure(namespace: &str, error: &ReadError) {
    let message = "failed to read the labels of a namespace; will retry";
    match error {
        ReadError::Forbidden(_) => {
            tracing::warn!(namespace, missing_right = "get namespaces", "{message}");
        }
        ReadError::Unreadable(_) | ReadError::Unavailable(_) | ReadError::Timeout => {
            tracing::warn!(namespace, %error, "{message}");
        }
    }
}

/// What a connection's spec says about a namespace.
enum Rule {
    /// The spec alone decides.
    Decided(Admission),
    /// The labels of the namespace decide.
    Selector(Selector),
}

fn rule(connection: &PlatformConnection, namespace: &str) -> Rule {
    let allowed = &connection.spec.allowed_namespaces;
    Rule::Decided(match allowed.from {
        NamespacesFrom::All => Admission::Admitted,
        NamespacesFrom::Same if connection.metadata.namespace.as_deref() == Some(namespace) => {
            Admission::Admitted
        }
        NamespacesFrom::Same => Admission::Refused,
        NamespacesFrom::Selector => match selector(allowed.selector.as_ref()) {
            Ok(selector) => return Rule::Selector(selector),
            // The selector selects nothing; the connection's own condition reports it.
            Err(_) => Admission::Refused,
        },
    })
}

/// The admission that follows from a read of the labels.
fn by_read(
    selector: &Selector,
    namespace: &str,
    read: Result<Option<BTreeMap<String, String>>, ReadError>,
) -> Admission {
    match read {
        Ok(labels) => by_labels(selector, labels.as_ref()),
        Err(error) => {
            log_failure(namespace, &error);
            Admission::Undecided
        }
    }
}

/// Whether `connection` admits a namespace with these labels, without a cache. `None`: the labels are not known.
#[cfg(feature = "cli")]
#[must_use]
pub fn admission_by_labels(
    connection: &PlatformConnection,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Admission {
    match (rule(connection, namespace), labels) {
        (Rule::Decided(admission), _) => admission,
        (Rule::Selector(_), None) => Admission::Undecided,
        (Rule::Selector(selector), Some(labels)) => by_labels(&selector, Some(labels)),
    }
}

/// Whether `connection` admits a namespace with these labels that is not its own.
#[cfg(test)]
pub(super) fn admits_labels(connection: &PlatformConnection, labels: &BTreeMap<String, String>) -> bool {
    let admission = match rule(connection, "not/a/name") {
        Rule::Decided(admission) => admission,
        Rule::Selector(selector) => by_labels(&selector, Some(labels)),
    };
    admission == Admission::Admitted
}

/// The admission by the labels. A namespace that does not exist is not admitted.
fn by_labels(selector: &Selector, labels: Option<&BTreeMap<String, String>>) -> Admission {
    if labels.is_some_and(|labels| selector.matches(labels)) {
        Admission::Admitted
    } else {
        Admission::Refused
    }
}

fn selector(selector: Option<&LabelSelector>) -> Result<Selector, ParseExpressionError> {
    match selector {
        Some(selector) => Selector::try_from(selector.clone()),
        None => Err(ParseExpressionError("there is none".to_owned())),
    }
}

/// The error in a connection's selector, if any: then the connection admits no namespace. The API server checks
/// selectors when they are stored, but an older CRD may have admitted an invalid one.
pub(super) fn selector_fault(connection: &PlatformConnection) -> Option<String> {
    let allowed = &connection.spec.allowed_namespaces;
    if allowed.from != NamespacesFrom::Selector {
        return None;
    }
    let fault = selector(allowed.selector.as_ref()).err()?;
    let known = ["In", "NotIn", "Exists", "DoesNotExist"];
    let expressions =
        allowed.selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    let odd = expressions.into_iter().find(|expression| !known.contains(&expression.operator.as_str()));
    let what = match odd {
        Some(odd) => format!(
            "the operator {:?} of the key {:?} is none of In, NotIn, Exists and DoesNotExist",
            odd.operator, odd.key
        ),
        None if allowed.selector.is_none() => "from: Selector needs a selector".to_owned(),
        None => fault.0,
    };
    Some(what)
}

#[cfg(test)]
mod tests;
