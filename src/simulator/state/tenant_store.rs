//! The store of the tenants. An automatic switch that is due happens when the tenant is read.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use jiff::Timestamp;

use crate::simulator::state::{
    billing,
    tenant::{PRODUCTION, Pricing, TRIAL, TenantError, TenantKind, TenantRecord, TenantSpec},
};

struct Stored {
    record: TenantRecord,
    /// The lower-case words of the name, each after a blank. So one search for ` prefix` finds a word that begins so.
    words: String,
}

/// All tenants, in the order of their addition. A deleted tenant stays, marked as deleted.
#[derive(Default)]
pub(crate) struct Tenants {
    stored: Vec<Stored>,
    by_id: HashMap<String, usize>,
    children: HashMap<String, Vec<String>>,
    /// Every state of every tenant, if recording is on.
    history: Option<Vec<TenantState>>,
}

/// The state of a tenant from an instant until its next state.
#[derive(Clone, Debug)]
pub struct TenantState {
    /// The start of the state, by the monotonic clock.
    pub since: Instant,
    /// The tenant.
    pub tenant: TenantRecord,
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
        self.remember(self.stored.len() - 1);
    }

    /// Records every state of every tenant from now on.
    pub fn keep_history(&mut self) {
        let now = Instant::now();
        let state = |stored: &Stored| TenantState { since: now, tenant: stored.record.clone() };
        self.history.get_or_insert_with(|| self.stored.iter().map(state).collect());
    }

    /// The recorded states, in order.
    pub fn history(&self) -> &[TenantState] {
        self.history.as_deref().unwrap_or_default()
    }

    fn remember(&mut self, index: usize) {
        if let Some(history) = &mut self.history {
            let tenant = self.stored[index].record.clone();
            history.push(TenantState { since: Instant::now(), tenant });
        }
    }

    /// The number of tenants, deleted ones included.
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// Removes the tenants that were added last, down to `len`.
    pub fn forget_from(&mut self, len: usize) {
        for stored in self.stored.drain(len.min(self.stored.len())..) {
            self.by_id.remove(&stored.record.id);
            if let Some(siblings) = self.children.get_mut(&stored.record.parent_id) {
                siblings.retain(|sibling| *sibling != stored.record.id);
            }
        }
    }

    /// The tenant as it is at `now`, after the automatic switch if that was due.
    pub fn get(&mut self, id: &str, now: Timestamp) -> Option<&TenantRecord> {
        let index = *self.by_id.get(id)?;
        self.settle(index, now);
        Some(&self.stored[index].record)
    }

    /// All tenants as they are at `now`.
    pub fn all(&mut self, now: Timestamp) -> impl Iterator<Item = &TenantRecord> {
        self.settle_all(now);
        self.stored.iter().map(|stored| &stored.record)
    }

    /// Carries out every automatic switch that is due.
    pub fn settle_all(&mut self, now: Timestamp) {
        for index in 0..self.stored.len() {
            self.settle(index, now);
        }
    }

    fn settle(&mut self, index: usize, now: Timestamp) {
        if settle(&mut self.stored[index].record, now) {
            self.remember(index);
        }
    }

    /// Changes a tenant as a person in the platform's console would; `None` if there is none.
    ///
    /// A change of the mode also sets a new version. Unless the change sets a date, it also sets the matching one: the
    /// present instant, or a new end of the trial.
    pub fn update(&mut self, id: &str, now: Timestamp, change: impl FnOnce(&mut TenantRecord)) -> Option<()> {
        let index = *self.by_id.get(id)?;
        self.settle(index, now);
        let stored = &mut self.stored[index];
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
        self.remember(index);
        Some(())
    }

    /// Ids of the direct children, in the order of their addition.
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

    /// The tenants above `id`, the nearest first. A circle ends the walk; an update can make one.
    pub fn ancestors(&self, id: &str) -> impl Iterator<Item = &TenantRecord> {
        let start = self.parent(id);
        std::iter::successors(start, |record| self.parent(&record.id)).take(64)
    }

    fn parent(&self, id: &str) -> Option<&TenantRecord> {
        let parent = &self.stored[*self.by_id.get(id)?].record.parent_id;
        self.by_id.get(parent).map(|index| &self.stored[*index].record)
    }

    /// The tenants whose name has a word with each of `prefixes` (lower-case, each after a blank).
    pub fn with_words<'a>(&'a self, prefixes: &'a [String]) -> impl Iterator<Item = &'a TenantRecord> {
        self.stored
            .iter()
            .filter(|stored| prefixes.iter().all(|prefix| stored.words.contains(prefix.as_str())))
            .map(|stored| &stored.record)
    }
}

/// Carries out the automatic switch if it is due, and returns whether it was.
fn settle(record: &mut TenantRecord, now: Timestamp) -> bool {
    let switches = record.kind == TenantKind::Customer && record.deleted_at.is_none();
    let due = switches && billing::is_due(&record.pricing, now);
    if due {
        let at = record.pricing.production_start_date.unwrap_or(now);
        record.previous_pricing = Some(record.pricing.clone());
        PRODUCTION.clone_into(&mut record.pricing.mode);
        record.pricing.version = billing::next_version(record.pricing.version, at);
    }
    due
}

/// The instant without its fraction of a second.
pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A new random id.
pub(crate) fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whether `text` has the form of an id: a UUID with hyphens and lower-case digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The lower-case words of a text, each after a blank.
pub(crate) fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len() + 1);
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        words.push(' ');
        words.push_str(&word.to_lowercase());
    }
    words
}
