//! The tenants: what is kept of each, how one is described, and the store that holds them.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::billing;

/// The mode in which a customer is born.
pub const TRIAL: &str = "trial";
/// The mode in which a customer is billed.
pub const PRODUCTION: &str = "production";

/// What a tenant is. Only a customer has the one-way switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantKind {
    /// The top of the platform.
    Root,
    /// A reseller; the credentials act in one.
    Partner,
    /// A folder of customers.
    Folder,
    /// A customer, which is what is switched and billed.
    #[default]
    Customer,
    /// A part of a customer.
    Unit,
}

/// The pricing settings of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// `trial`, `production`, `suspended`, or any other word a test wants the platform to say.
    pub mode: String,
    /// Epoch milliseconds of the last write, strictly increasing.
    pub version: i64,
    /// The currency of the prices.
    pub currency: Option<String>,
    /// In trial, when the platform will switch by itself; afterwards, when the switch was.
    pub production_start_date: Option<Timestamp>,
}

/// One tenant as the platform keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRecord {
    /// A lower-case UUID. Changing it in an update has no effect.
    pub id: String,
    /// The tenant it stands below.
    pub parent_id: String,
    /// The name, which need not be unique.
    pub name: String,
    /// What it is.
    pub kind: TenantKind,
    /// A disabled tenant goes on being billed; changes below it are refused (1003).
    pub enabled: bool,
    /// When it was made: the trial counts from here.
    pub created_at: Timestamp,
    /// When it last changed. A change of the pricing does not count.
    pub updated_at: Timestamp,
    /// Soft deletion: it is missing from every answer unless deleted ones are asked for.
    pub deleted_at: Option<Timestamp>,
    /// The tenant's own version, which is not that of its pricing.
    pub version: i64,
    /// The pricing settings.
    pub pricing: Pricing,
    /// The settings before the last change, which a stale read gives.
    pub previous_pricing: Option<Pricing>,
    /// The tenant that holds the update lock. Others are refused (1012).
    pub locked_by: Option<String>,
    /// Whether deprovisioning is in progress: changes are refused (1011).
    pub deprovisioning: bool,
    /// Whether a parent counts as disabled, without disabling one: changes are refused (1003).
    pub parent_disabled: bool,
    /// `false` shuts the parents out: search skips it.
    pub ancestral_access: bool,
    /// Invisible to every client: missing from batches and lists, refused (1002) when asked for alone.
    pub hidden: bool,
}

/// A tenant to be added: a builder with the defaults of a newborn customer, and the form in which the
/// tenants file and the admin interface describe one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSpec {
    /// The name.
    pub name: String,
    /// A lower-case UUID; made up if absent.
    pub id: Option<String>,
    /// What it is; `customer` if absent.
    #[serde(default)]
    pub kind: TenantKind,
    /// Id or exact name of the tenant it stands below; the credentials' own if absent.
    pub parent: Option<String>,
    /// `trial` if absent.
    pub mode: Option<String>,
    /// `true` if absent.
    pub enabled: Option<bool>,
    /// The simulator's present instant if absent.
    pub created_at: Option<Timestamp>,
    /// By the billing rules if absent: the end of the trial, or the creation of a tenant born otherwise.
    pub production_start_date: Option<Timestamp>,
    /// The currency of its prices; `EUR` if absent.
    pub currency: Option<String>,
    /// Id of the tenant that holds the update lock.
    pub locked_by: Option<String>,
    /// Whether deprovisioning is in progress.
    #[serde(default)]
    pub deprovisioning: bool,
    /// Whether a parent counts as disabled.
    #[serde(default)]
    pub parent_disabled: bool,
    /// `true` if absent.
    pub ancestral_access: Option<bool>,
    /// Whether no client can see it.
    #[serde(default)]
    pub hidden: bool,
    /// Whether it is born deleted.
    #[serde(default)]
    pub deleted: bool,
}

impl TenantSpec {
    /// A customer in trial, enabled, made now, below the credentials' own tenant.
    #[must_use]
    pub fn customer(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A partner below the credentials' own tenant.
    #[must_use]
    pub fn partner(name: impl Into<String>) -> Self {
        Self::customer(name).kind(TenantKind::Partner)
    }

    /// Sets the kind.
    #[must_use]
    pub fn kind(mut self, kind: TenantKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the id, a lower-case UUID.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Puts it below another tenant, named by id or exact name.
    #[must_use]
    pub fn below(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Sets the pricing mode, which may be any word.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Makes it disabled.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = Some(false);
        self
    }

    /// Sets when it was made, from which the trial counts.
    #[must_use]
    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.created_at = Some(at);
        self
    }

    /// Sets when the trial ends or the switch was, against the billing rules.
    #[must_use]
    pub fn production_start_date(mut self, at: Timestamp) -> Self {
        self.production_start_date = Some(at);
        self
    }

    /// Locks it for everybody but the tenant `owner`.
    #[must_use]
    pub fn locked_by(mut self, owner: impl Into<String>) -> Self {
        self.locked_by = Some(owner.into());
        self
    }
}

/// Why a tenant was not added. The text names the field, the value and the way out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TenantError {
    /// The name is empty.
    #[error("name: a tenant needs a name that is not empty")]
    NoName,
    /// The id is not in the platform's form.
    #[error("id: {0:?} is not a UUID in lower-case letters; leave `id` out to have one made up")]
    MalformedId(String),
    /// The id is taken.
    #[error("id: a tenant {0} exists already; give each tenant its own id, or leave `id` out")]
    DuplicateId(String),
    /// There is no such parent.
    #[error(
        "parent: no tenant has the id or name {0:?}; name one that was added before, or leave `parent` out"
    )]
    UnknownParent(String),
}

struct Stored {
    record: TenantRecord,
    /// Lower-case words of the name, each after a blank, so that a search is one look for ` prefix`.
    words: String,
}

/// All tenants, in the order in which they were added. None is ever taken out.
#[derive(Default)]
pub(super) struct Tenants {
    stored: Vec<Stored>,
    by_id: HashMap<String, usize>,
    children: HashMap<String, Vec<String>>,
}

impl Tenants {
    /// Adds a tenant; `root` is the parent of one that names none.
    pub fn add(&mut self, spec: TenantSpec, root: &str, now: Timestamp) -> Result<String, TenantError> {
        if spec.name.is_empty() {
            return Err(TenantError::NoName);
        }
        let id = spec.id.unwrap_or_else(random_id);
        if !is_id(&id) {
            return Err(TenantError::MalformedId(id));
        }
        if self.by_id.contains_key(&id) {
            return Err(TenantError::DuplicateId(id));
        }
        let parent_id = match spec.parent {
            None => root.to_owned(),
            Some(parent) if self.by_id.contains_key(&parent) => parent,
            Some(parent) => match self.stored.iter().find(|stored| stored.record.name == parent) {
                Some(found) => found.record.id.clone(),
                None => return Err(TenantError::UnknownParent(parent)),
            },
        };
        let created_at = spec.created_at.unwrap_or(now);
        let mode = spec.mode.unwrap_or_else(|| TRIAL.to_owned());
        let billed_from = if mode == TRIAL { billing::trial_end(created_at) } else { Some(created_at) };
        let pricing = Pricing {
            mode,
            version: created_at.as_millisecond(),
            currency: Some(spec.currency.unwrap_or_else(|| "EUR".to_owned())),
            production_start_date: spec.production_start_date.or(billed_from),
        };
        self.insert(TenantRecord {
            id: id.clone(),
            parent_id,
            name: spec.name,
            kind: spec.kind,
            enabled: spec.enabled.unwrap_or(true),
            created_at,
            updated_at: created_at,
            deleted_at: spec.deleted.then_some(now),
            version: created_at.as_millisecond(),
            pricing,
            previous_pricing: None,
            locked_by: spec.locked_by,
            deprovisioning: spec.deprovisioning,
            parent_disabled: spec.parent_disabled,
            ancestral_access: spec.ancestral_access.unwrap_or(true),
            hidden: spec.hidden,
        });
        Ok(id)
    }

    fn insert(&mut self, record: TenantRecord) {
        self.by_id.insert(record.id.clone(), self.stored.len());
        self.children.entry(record.parent_id.clone()).or_default().push(record.id.clone());
        self.stored.push(Stored { words: words(&record.name), record });
    }

    /// The tenant as it is at `now`, after the automatic switch if that was due.
    pub fn get(&mut self, id: &str, now: Timestamp) -> Option<&TenantRecord> {
        let index = *self.by_id.get(id)?;
        let record = &mut self.stored[index].record;
        settle(record, now);
        Some(record)
    }

    /// All tenants as they are at `now`.
    pub fn all(&mut self, now: Timestamp) -> impl Iterator<Item = &TenantRecord> {
        self.settle_all(now);
        self.stored.iter().map(|stored| &stored.record)
    }

    /// Carries out every automatic switch that is due.
    pub fn settle_all(&mut self, now: Timestamp) {
        for stored in &mut self.stored {
            settle(&mut stored.record, now);
        }
    }

    /// Changes a tenant as a person in the platform's own console would; `None` if there is none.
    ///
    /// A changed mode takes a new version with it and, unless the change set a date itself, the date that
    /// belongs to it: the present instant, or a new end of the trial.
    pub fn update(&mut self, id: &str, now: Timestamp, change: impl FnOnce(&mut TenantRecord)) -> Option<()> {
        let index = *self.by_id.get(id)?;
        let stored = &mut self.stored[index];
        settle(&mut stored.record, now);
        let before = stored.record.clone();
        change(&mut stored.record);
        let record = &mut stored.record;
        record.id.clone_from(&before.id);
        if record.pricing.mode != before.pricing.mode
            && record.pricing.production_start_date == before.pricing.production_start_date
        {
            record.pricing.production_start_date =
                if record.pricing.mode == TRIAL { billing::trial_end(now) } else { Some(whole_seconds(now)) };
        }
        if record.pricing != before.pricing {
            if record.pricing.version == before.pricing.version {
                record.pricing.version = billing::next_version(before.pricing.version, now);
            }
            record.previous_pricing = Some(before.pricing.clone());
        }
        let mut without_pricing = before.clone();
        without_pricing.pricing.clone_from(&record.pricing);
        without_pricing.previous_pricing.clone_from(&record.previous_pricing);
        if without_pricing != *record {
            record.version = billing::next_version(before.version, now);
            record.updated_at = now;
        }
        if record.name != before.name {
            stored.words = words(&stored.record.name);
        }
        let parent = stored.record.parent_id.clone();
        if parent != before.parent_id {
            if let Some(siblings) = self.children.get_mut(&before.parent_id) {
                siblings.retain(|sibling| sibling != id);
            }
            self.children.entry(parent).or_default().push(id.to_owned());
        }
        Some(())
    }

    /// Ids of the direct children, in the order in which they came.
    pub fn children(&self, id: &str) -> &[String] {
        self.children.get(id).map_or(&[], Vec::as_slice)
    }

    /// Ids of the tenant and everything below it, level by level.
    pub fn subtree(&self, root: &str) -> Vec<String> {
        let mut ids = vec![root.to_owned()];
        let mut seen = HashSet::from([root.to_owned()]); // an update can make a circle
        let mut next = 0;
        while let Some(id) = ids.get(next) {
            let below: Vec<String> =
                self.children(id).iter().filter(|id| seen.insert((*id).clone())).cloned().collect();
            ids.extend(below);
            next += 1;
        }
        ids
    }

    /// Whether `id` is `root` or stands anywhere below it.
    pub fn is_below(&self, id: &str, root: &str) -> bool {
        id == root || self.ancestors(id).any(|ancestor| ancestor.id == root)
    }

    /// The tenants above `id`, the nearest first. A circle, which an update can make, ends it.
    pub fn ancestors(&self, id: &str) -> impl Iterator<Item = &TenantRecord> {
        let start = self.parent(id);
        std::iter::successors(start, |record| self.parent(&record.id)).take(64)
    }

    fn parent(&self, id: &str) -> Option<&TenantRecord> {
        let parent = &self.stored[*self.by_id.get(id)?].record.parent_id;
        self.by_id.get(parent).map(|index| &self.stored[*index].record)
    }

    /// The tenants whose name has, for each of `prefixes` (lower-case, each after a blank), a word that
    /// begins so.
    pub fn with_words<'a>(&'a self, prefixes: &'a [String]) -> impl Iterator<Item = &'a TenantRecord> {
        self.stored
            .iter()
            .filter(|stored| prefixes.iter().all(|prefix| stored.words.contains(prefix.as_str())))
            .map(|stored| &stored.record)
    }
}

fn settle(record: &mut TenantRecord, now: Timestamp) {
    let switches = record.kind == TenantKind::Customer && record.deleted_at.is_none();
    if switches && billing::is_due(&record.pricing, now) {
        let at = record.pricing.production_start_date.unwrap_or(now);
        record.previous_pricing = Some(record.pricing.clone());
        PRODUCTION.clone_into(&mut record.pricing.mode);
        record.pricing.version = billing::next_version(record.pricing.version, at);
    }
}

/// The instant without its fraction of a second.
pub(super) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A new random id.
pub(super) fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whether `text` has the form of an id: a UUID with hyphens and lower-case digits.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The lower-case words of a text, each after a blank.
pub(super) fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len() + 1);
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        words.push(' ');
        words.push_str(&word.to_lowercase());
    }
    words
}
