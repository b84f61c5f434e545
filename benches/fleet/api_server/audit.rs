//! Who wrote what to the API server, from its audit log, read as it grows: it costs the API server nothing that
//! it would not do anyway.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::Measured;

/// One write, refused ones included.
#[derive(Clone, Debug)]
pub struct Write {
    pub verb: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    pub code: u16,
    /// When it had been answered.
    pub answered: Timestamp,
}

impl Write {
    /// Whether a status of a `TenantPricing` was stored by it.
    pub fn stored_a_status(&self) -> bool {
        self.resource == "tenantpricings" && self.subresource == "status" && (200..300).contains(&self.code)
    }

    /// Whether it renews a lease, which is no news.
    pub fn renews_a_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// Such as `patch tenantpricings/status`.
    pub fn kind(&self) -> String {
        match self.subresource.as_str() {
            "" => format!("{} {}", self.verb, self.resource),
            subresource => format!("{} {}/{subresource}", self.verb, self.resource),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    stage_timestamp: Timestamp,
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
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

/// Reads what one user wrote since it was last asked.
pub struct Audit {
    file: PathBuf,
    user: String,
    read_to: u64,
}

impl Audit {
    pub fn new(file: PathBuf, user: &str) -> Self {
        Self { file, user: user.to_owned(), read_to: 0 }
    }

    /// The writes that stand in the log since the last call, in the order in which they were answered. A line
    /// that is still in the making is left for the next call.
    pub fn news(&mut self) -> Measured<Vec<Write>> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.read_to += whole as u64;
        let text = String::from_utf8_lossy(&text[..whole]);
        let mut writes = Vec::new();
        // Most lines belong to other users, and are not worth parsing.
        for line in text.lines().filter(|line| line.contains(&self.user)) {
            let Entry { verb, user, stage_timestamp, object_ref, response_status } =
                serde_json::from_str(line)?;
            if user.username == self.user {
                let ObjectRef { resource, subresource, name } = object_ref;
                let code = response_status.code;
                writes.push(Write { verb, resource, subresource, name, code, answered: stage_timestamp });
            }
        }
        Ok(writes)
    }
}
