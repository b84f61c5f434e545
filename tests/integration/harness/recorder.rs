//! Keeps every version of every object of a kind in a namespace that was ever stored.
//!
//! A user may have read a status that was stored only for a moment, and it may have been wrong. So the checks at the
//! end of a test cover all statuses, not only the last ones.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, pin_mut};
use kube::{
    Resource,
    api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams},
};
use tokio::{sync::watch, task::JoinHandle};

/// A watch and what came of it. Objects are kept as they are, so that one of the wrong shape does not end
/// the recording.
pub struct Recorder {
    record: Arc<Mutex<Record>>,
    changed: watch::Receiver<()>,
    task: JoinHandle<()>,
    api: Api<DynamicObject>,
}

#[derive(Default)]
struct Record {
    versions: Vec<DynamicObject>,
    latest: BTreeMap<String, DynamicObject>,
    /// The resource versions of `versions`; the API server gives each only once.
    known: HashSet<String>,
    /// Why the record may have a gap.
    gap: Option<String>,
}

impl Recorder {
    /// Records from now on. The namespace must still be empty.
    pub async fn start<K: Resource<DynamicType = ()>>(client: kube::Client, namespace: &str) -> Self {
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
        let list = api.list(&ListParams::default()).await.unwrap();
        assert!(list.items.is_empty(), "namespace {namespace} is not fresh");
        let from = list.metadata.resource_version.unwrap();
        let record = Arc::new(Mutex::new(Record::default()));
        let (notify, changed) = watch::channel(());
        let task = tokio::spawn(follow(api.clone(), from, Arc::clone(&record), notify));
        Self { record, changed, task, api }
    }

    /// Every version stored so far, in the order of storing.
    pub fn versions(&self) -> Vec<DynamicObject> {
        self.record.lock().unwrap().versions.clone()
    }

    /// The latest version of an object, unless it was deleted.
    pub fn latest(&self, name: &str) -> Option<DynamicObject> {
        self.record.lock().unwrap().latest.get(name).cloned()
    }

    /// Signals each change of the record.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.clone()
    }

    /// Waits until a version is in the record, or until the record has a gap.
    pub async fn until_known(&self, version: &str) {
        let mut changes = self.changes();
        loop {
            {
                let record = self.record.lock().unwrap();
                if record.known.contains(version) || record.gap.is_some() {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until all that is stored now is in the record.
    ///
    /// # Errors
    /// Why the record cannot be trusted.
    pub async fn catch_up(&self, limit: Duration) -> Result<(), String> {
        let stored = self.api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let mut changes = self.changes();
        let all_recorded = async {
            loop {
                {
                    let record = self.record.lock().unwrap();
                    let seen = |object: &DynamicObject| {
                        object.metadata.resource_version.as_ref().is_some_and(|it| record.known.contains(it))
                    };
                    if record.gap.is_some() || stored.items.iter().all(seen) {
                        break;
                    }
                }
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(limit, all_recorded).await;
        in_time.map_err(|_| "the record of objects did not catch up".to_owned())?;
        self.record.lock().unwrap().gap.clone().map_or(Ok(()), Err)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows the watch from `version` on without ever listing again, for a list would leave out what was
/// stored and replaced in between.
async fn follow(
    api: Api<DynamicObject>,
    mut version: String,
    record: Arc<Mutex<Record>>,
    notify: watch::Sender<()>,
) {
    loop {
        match api.watch(&WatchParams::default(), &version).await {
            Ok(stream) => {
                pin_mut!(stream);
                while let Some(Ok(event)) = stream.next().await {
                    let mut record = record.lock().unwrap();
                    match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.metadata.resource_version.clone().unwrap();
                            let name = object.metadata.name.clone().unwrap();
                            record.known.insert(version.clone());
                            record.versions.push(object.clone());
                            record.latest.insert(name, object);
                        }
                        WatchEvent::Deleted(object) => {
                            version = object.metadata.resource_version.unwrap();
                            record.latest.remove(&object.metadata.name.unwrap());
                        }
                        WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                        WatchEvent::Error(error) => {
                            record.gap = Some(format!("the watch of the test broke off: {error:?}"));
                        }
                    }
                    notify.send_replace(());
                }
            }
            // A control plane that is being shut down or is overloaded; the version to go on from is known.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        if record.lock().unwrap().gap.is_some() {
            return;
        }
    }
}
