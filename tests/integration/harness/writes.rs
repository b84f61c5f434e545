//! Who wrote what to the API server, from its audit log: exact, where counting versions is not.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// One write to the API server, refused ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural, with its group: `tenantpricings.tenantpricing.io`, `secrets`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for a write to a collection without a name, as `create` with `generateName` is.
    pub name: String,
    /// `admin` is the test, `controller` is the controller.
    pub user: String,
    pub user_agent: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Path and query, in which `fieldManager` and `dryRun` stand.
    pub uri: String,
}

impl Write {
    /// Written by the test itself, not by what it tests.
    pub fn by_the_test(&self) -> bool {
        self.user == "admin"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    namespace: String,
    resource: String,
    subresource: String,
    name: String,
    api_group: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// The audit log of an API server, from the length on that it had when the test began: the log is that of all tests
/// together, and grows to tens of megabytes.
pub struct AuditLog {
    path: PathBuf,
    from: u64,
}

impl AuditLog {
    /// Begins where the log ends now.
    pub fn from_now_on(path: &Path) -> Self {
        let from = path.metadata().map_or(0, |metadata| metadata.len());
        Self { path: path.to_owned(), from }
    }

    /// The writes to `namespace` in the order in which they were answered. The last line may still be in the
    /// making and is left out then.
    pub fn writes_to(&self, namespace: &str) -> Vec<Write> {
        let wanted = format!("\"namespace\":\"{namespace}\"");
        self.select(&wanted, |entry| entry.object_ref.namespace == namespace)
    }

    /// The writes of a user anywhere in the cluster, in the order in which they were answered.
    pub fn writes_of(&self, user: &str) -> Vec<Write> {
        let wanted = format!("\"username\":\"{user}\"");
        self.select(&wanted, |entry| entry.user.username == user)
    }

    /// The writes of the lines that contain this text and are wanted.
    fn select(&self, text_of_line: &str, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Write> {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.path) {
            file.seek(SeekFrom::Start(self.from)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
        }
        let text = String::from_utf8_lossy(&bytes);
        text.lines()
            // Only the own lines are worth parsing.
            .filter(|line| line.contains(text_of_line))
            .filter_map(|line| serde_json::from_str::<Entry>(line).ok())
            // Of a controller the log holds the reads as well.
            .filter(|entry| !matches!(&*entry.verb, "get" | "list" | "watch") && is_wanted(entry))
            .map(Write::from)
            .collect()
    }
}

impl From<Entry> for Write {
    fn from(entry: Entry) -> Self {
        let ObjectRef { resource, subresource, name, api_group, .. } = entry.object_ref;
        Self {
            verb: entry.verb,
            resource: if api_group.is_empty() { resource } else { format!("{resource}.{api_group}") },
            subresource,
            name,
            user: entry.user.username,
            user_agent: entry.user_agent,
            code: entry.response_status.code,
            uri: entry.request_uri,
        }
    }
}

/// How often the status of an object was written, refused writes included.
pub fn status_writes(writes: &[Write], name: &str) -> usize {
    let of = |write: &&Write| write.resource.starts_with("tenantpricings") && write.name == name;
    writes.iter().filter(of).count()
}
