//! The active faults, and the number of requests that each has met.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::simulator::{
    faults::{
        action::FaultAction,
        fault::{Fault, FaultId},
    },
    operation::Operation,
    state::tenant_change::TenantChange,
};

/// An active fault, and how often it met a request.
#[derive(Clone, Debug, Serialize)]
pub struct InjectedFault {
    /// The handle of the fault.
    pub id: FaultId,
    /// The number of requests that it has met.
    pub hits: u32,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
}

struct Entry {
    id: FaultId,
    fault: Fault,
    hits: u32,
    skipped: u32,
    /// Cancelled when held requests may continue.
    released: CancellationToken,
}

/// All faults, in the order of their injection. Of cleared faults only the hits are kept.
#[derive(Default)]
pub(crate) struct FaultBook {
    entries: Vec<Entry>,
    cleared: Vec<(FaultId, u32)>,
    next: u64,
}

/// The faults that a request meets, except the habits that shape its true answer.
pub(crate) struct Plan {
    pub pauses: Vec<Pause>,
    pub replacement: Option<FaultAction>,
    pub distortions: Vec<FaultAction>,
    pub changes: Vec<Meanwhile>,
}

/// A change of a tenant before the answer leaves.
pub(crate) struct Meanwhile {
    pub tenant: String,
    pub change: TenantChange,
    pub while_in: Option<String>,
}

/// A wait before or after the request is carried out.
pub(crate) struct Pause {
    pub after_effect: bool,
    pub kind: PauseKind,
}

/// How long a wait lasts.
pub(crate) enum PauseKind {
    For(std::time::Duration),
    Until(CancellationToken),
}

impl FaultBook {
    pub fn inject(&mut self, fault: Fault) -> FaultId {
        self.next += 1;
        let id = FaultId(self.next);
        self.entries.push(Entry { id, fault, hits: 0, skipped: 0, released: CancellationToken::new() });
        id
    }

    /// Clears all faults. Held requests continue.
    pub fn clear_all(&mut self) {
        for entry in self.entries.drain(..) {
            entry.released.cancel();
            self.cleared.push((entry.id, entry.hits));
        }
    }

    /// Clears one fault. Returns whether it was active.
    pub fn clear(&mut self, id: FaultId) -> bool {
        let Some(index) = self.entries.iter().position(|entry| entry.id == id) else { return false };
        let entry = self.entries.remove(index);
        entry.released.cancel();
        self.cleared.push((entry.id, entry.hits));
        true
    }

    /// Releases the requests that the fault holds, and those that meet it later. Returns whether it was active.
    pub fn release(&mut self, id: FaultId) -> bool {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        entry.map(|entry| entry.released.cancel()).is_some()
    }

    /// The number of requests that the fault has met, also after it was cleared.
    pub fn hits(&self, id: FaultId) -> u32 {
        let current = self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.hits);
        let cleared = || self.cleared.iter().find(|(cleared, _)| *cleared == id).map(|(_, hits)| *hits);
        current.or_else(cleared).unwrap_or(0)
    }

    pub fn list(&self) -> Vec<InjectedFault> {
        let injected =
            |entry: &Entry| InjectedFault { id: entry.id, hits: entry.hits, fault: entry.fault.clone() };
        self.entries.iter().map(injected).collect()
    }

    /// Selects the faults that a request meets, and counts it for each.
    pub fn plan(&mut self, operation: Operation, tenants: &[String]) -> Plan {
        let mut plan =
            Plan { pauses: Vec::new(), replacement: None, distortions: Vec::new(), changes: Vec::new() };
        for entry in &mut self.entries {
            let action = &entry.fault.action;
            let relevant = action.pauses()
                || action.distorts()
                || matches!(action, FaultAction::Change { .. })
                || (action.replaces_answer() && plan.replacement.is_none());
            if !relevant || !entry.meets(operation, tenants) || !entry.count() {
                continue;
            }
            match &entry.fault.action {
                FaultAction::Delay { milliseconds, after_effect } => {
                    let kind = PauseKind::For(std::time::Duration::from_millis(*milliseconds));
                    plan.pauses.push(Pause { after_effect: *after_effect, kind });
                }
                FaultAction::Hold { after_effect } => {
                    let kind = PauseKind::Until(entry.released.clone());
                    plan.pauses.push(Pause { after_effect: *after_effect, kind });
                }
                FaultAction::Change { change, while_in } => plan.changes.push(Meanwhile {
                    // It meets nothing else.
                    tenant: entry.fault.tenant.clone().unwrap_or_else(|| tenants.concat()),
                    change: change.clone(),
                    while_in: while_in.clone(),
                }),
                action if action.distorts() => plan.distortions.push(action.clone()),
                action => plan.replacement = Some(action.clone()),
            }
        }
        plan
    }
}

impl Entry {
    fn meets(&self, operation: Operation, tenants: &[String]) -> bool {
        let of_several = self.fault.tenant.is_none() && tenants.len() != 1;
        self.fault.operation.is_none_or(|wanted| wanted == operation)
            && self.fault.tenant.as_ref().is_none_or(|wanted| tenants.contains(wanted))
            && !(of_several && matches!(self.fault.action, FaultAction::Change { .. }))
    }

    /// Counts a request that it meets. Returns `false` while it still skips requests, or when it is used up.
    fn count(&mut self) -> bool {
        if self.fault.times.is_some_and(|times| self.hits >= times) {
            return false;
        }
        if self.skipped < self.fault.skip {
            self.skipped += 1;
            return false;
        }
        self.hits += 1;
        true
    }
}

/// The platform's habits during one request. A habit is counted once per request, when it first shapes the answer.
pub(crate) struct Habits<'a> {
    book: &'a mut FaultBook,
    operation: Operation,
    decided: Vec<(FaultId, bool)>,
}

impl<'a> Habits<'a> {
    pub fn new(book: &'a mut FaultBook, operation: Operation) -> Self {
        Self { book, operation, decided: Vec::new() }
    }

    /// The first habit that `pick` accepts, for this tenant or for any.
    pub fn find<T>(&mut self, tenant: Option<&str>, pick: impl Fn(&FaultAction) -> Option<T>) -> Option<T> {
        for entry in &mut self.book.entries {
            let for_tenant = entry.fault.tenant.as_deref().is_none_or(|wanted| Some(wanted) == tenant);
            if !for_tenant || entry.fault.operation.is_some_and(|wanted| wanted != self.operation) {
                continue;
            }
            let Some(value) = pick(&entry.fault.action) else { continue };
            let earlier = self.decided.iter().find(|(id, _)| *id == entry.id).map(|(_, applies)| *applies);
            let applies = earlier.unwrap_or_else(|| {
                let applies = entry.count();
                self.decided.push((entry.id, applies));
                applies
            });
            if applies {
                return Some(value);
            }
        }
        None
    }

    /// Whether a habit without values is active.
    pub fn has(&mut self, tenant: Option<&str>, habit: &FaultAction) -> bool {
        self.find(tenant, |action| (action == habit).then_some(())).is_some()
    }
}
