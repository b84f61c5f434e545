//! Scenes for tests: an object, what is known of it, and the time. A test starts from the ordinary case, and names only
//! what differs.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

use crate::{
    api::{
        AllowedNamespaces, ConnectionSwitch, DesiredMode, Journal, Phase, PlatformConnection,
        PlatformConnectionSpec, RECONCILE_NOW, SecretRef, SwitchAt, SwitchSpec, TenantPricing,
        TenantPricingSpec, TenantPricingStatus, TenantSelector,
    },
    cluster::Key,
    index::{TenantKey, Via},
    platform::{
        ErrorClass, Lock, Mode, Origin, PlatformError, Pricing, PricingVersion, Tenant, TenantId, TenantKind,
    },
    pricing::{
        budget::{Budget, Exhausted, Users},
        decide::{self, Decision},
        facts::{
            Acceptance, AcceptedSibling, Access, AttemptBackoff, AttemptOutcome, Circumstances,
            CompletedSibling, Connection, Facts, Proof, QueueState, Seen, TenantRead,
        },
        status::report::{self, Intent},
    },
};

pub(crate) const TENANT: &str = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7";
pub(crate) const OTHER_TENANT: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const PLATFORM: &str = "https://eu2-cloud.acronis.com";
pub(crate) const NAME: &str = "Acme GmbH";
pub(crate) const CONNECTION_UID: &str = "uid-of-connection";
/// A Monday in the middle of a month.
pub(crate) const NOW: &str = "2026-11-23T10:00:00Z";
/// The first day of the month after [`NOW`].
pub(crate) const DECEMBER: &str = "2026-12-01T00:00:00Z";
/// When the platform says that the tenant's trial ends.
pub(crate) const TRIAL_ENDS: &str = "2027-01-01T00:00:00Z";

pub(crate) fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn time(text: &str) -> Time {
    Time(instant(text))
}

pub(crate) fn tenant_id(text: &str) -> TenantId {
    text.parse().unwrap()
}

/// The key of a tenant on the platform of the fixtures.
pub(crate) fn tenant_key(id: &str) -> TenantKey {
    TenantKey { platform: origin(), tenant: tenant_id(id) }
}

pub(crate) fn origin() -> Origin {
    Origin::parse(PLATFORM).unwrap()
}

/// A connection that is present, admits every object, works, and leads to this platform.
pub(crate) fn via(platform: Origin) -> Via {
    Via { platform, uid: CONNECTION_UID.to_owned(), suspended: false, has_just_read: false }
}

/// A connection to [`PLATFORM`] named `eu2`, without a namespace, that admits these namespaces.
pub(crate) fn connection(allowed_namespaces: AllowedNamespaces) -> PlatformConnection {
    let spec = PlatformConnectionSpec {
        url: PLATFORM.to_owned(),
        credentials_secret_ref: SecretRef { name: "eu2".to_owned() },
        allowed_namespaces,
        requests_per_second: 10,
        poll_interval: "10m".to_owned(),
        switch: ConnectionSwitch::default(),
        ca_bundle: None,
        suspend: false,
    };
    PlatformConnection::new("eu2", spec)
}

pub(crate) fn error(class: ErrorClass) -> PlatformError {
    PlatformError::for_test(class, None)
}

/// Everything that a decision depends on.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub object: TenantPricing,
    pub access: Access,
    pub read: TenantRead,
    pub circumstances: Circumstances,
    pub now: Timestamp,
}

impl Scene {
    /// The ordinary case: a new object that requests production at once, for a customer tenant in trial.
    pub fn new() -> Self {
        let spec = TenantPricingSpec {
            tenant: TenantSelector { id: Some(TENANT.to_owned()), name: None },
            mode: Some(DesiredMode::Production),
            switch: None,
            connection_ref: crate::api::ConnectionRef::default(),
            suspend: false,
        };
        let metadata = ObjectMeta {
            name: Some("acme".to_owned()),
            namespace: Some("team".to_owned()),
            uid: Some("uid-of-acme".to_owned()),
            generation: Some(1),
            ..ObjectMeta::default()
        };
        let tenant = Tenant {
            id: tenant_id(TENANT),
            name: NAME.to_owned(),
            kind: TenantKind::Customer,
            enabled: true,
            deleted: false,
            parent_id: None,
            mode: Mode::Trial,
            lock: None,
            production_start: Some(instant(TRIAL_ENDS)),
        };
        let seen = Seen { tenant, pricing: None, date: Some(instant(NOW)), locked_by_another: false };
        Self {
            object: TenantPricing { metadata, spec, status: Some(TenantPricingStatus::default()) },
            access: Access::Open(Connection {
                key: "team/default".to_owned(),
                origin: origin(),
                switch_at: SwitchAt::Immediately,
            }),
            read: TenantRead::Seen(Box::new(seen)),
            circumstances: Circumstances::default(),
            now: instant(NOW),
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            object: &self.object,
            access: &self.access,
            read: &self.read,
            circumstances: &self.circumstances,
            now: self.now,
        }
    }

    pub fn decide(&self) -> Decision {
        decide::decide(&self.facts())
    }

    /// The status that a reconcile would write.
    pub fn report(&self) -> TenantPricingStatus {
        report::status(&self.facts(), &self.decide())
    }

    pub fn status(&self) -> &TenantPricingStatus {
        self.object.status.as_ref().unwrap()
    }

    pub fn journal(&self) -> Option<&Journal> {
        self.status().switch.as_ref()
    }

    /// Stores the reported status, as the API server would return it.
    pub fn stored(self) -> Self {
        let status = self.report();
        self.with_stored(&status)
    }

    pub fn with_stored(mut self, status: &TenantPricingStatus) -> Self {
        let text = serde_json::to_string(status).unwrap();
        self.object.status = Some(serde_json::from_str(&text).unwrap());
        self
    }

    /// Announces the switch of the decision, and stores that.
    pub fn announced(self, attempt_id: &str) -> Self {
        let decision = self.decide();
        let decide::Verdict::Switch { scheduled_for } = decision.verdict else {
            panic!("the decision is not to switch: {decision:?}")
        };
        let intent = Intent { attempt_id: attempt_id.to_owned(), scheduled_for };
        let status = report::announcing(&self.facts(), &decision, &intent);
        self.with_stored(&status)
    }

    pub fn desired(mut self, mode: Option<DesiredMode>) -> Self {
        self.object.spec.mode = mode;
        self
    }

    pub fn suspended(mut self) -> Self {
        self.object.spec.suspend = true;
        self
    }

    /// An edit of the spec: the stored status describes an older generation.
    pub fn edited(mut self) -> Self {
        *self.object.metadata.generation.get_or_insert_default() += 1;
        self
    }

    /// The tenant is given by its name. A listing has shown that no other customer has it.
    pub fn named(mut self, name: &str) -> Self {
        self.object.spec.tenant = TenantSelector { id: None, name: Some(name.to_owned()) };
        self.proof(Proof::Customers(vec![tenant_id(TENANT)]))
    }

    pub fn proof(mut self, proof: Proof) -> Self {
        self.circumstances.proof = proof;
        self
    }

    /// Sets `switch.at` of the object.
    pub fn at(mut self, at: SwitchAt) -> Self {
        self.object.spec.switch.get_or_insert_with(SwitchSpec::default).at = Some(at);
        self
    }

    pub fn not_before(mut self, instant: &str) -> Self {
        self.object.spec.switch.get_or_insert_with(SwitchSpec::default).not_before = Some(time(instant));
        self
    }

    /// Sets `switch.at` of the connection.
    pub fn connection_at(mut self, at: SwitchAt) -> Self {
        if let Access::Open(connection) = &mut self.access {
            connection.switch_at = at;
        }
        self
    }

    pub fn asked_to_reconcile(mut self, value: &str) -> Self {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        annotations.insert(RECONCILE_NOW.to_owned(), value.to_owned());
        self
    }

    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self.read = TenantRead::NotRead;
        self
    }

    pub fn read(mut self, read: TenantRead) -> Self {
        self.read = read;
        self
    }

    pub fn failed(self, class: ErrorClass) -> Self {
        self.read(TenantRead::Failed(error(class)))
    }

    /// Changes what a read shows of the tenant.
    pub fn seen(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        if let TenantRead::Seen(seen) = &mut self.read {
            change(seen);
        }
        self
    }

    /// Sets the mode of the tenant. Past trial, the platform reports the date of the switch.
    pub fn mode(self, word: &str) -> Self {
        self.seen(|seen| {
            seen.tenant.mode = Mode::from(word);
            if word != "trial" {
                seen.tenant.production_start = Some(instant("2026-11-20T08:00:00Z"));
            }
        })
    }

    /// Sets the mode of the pricing settings, which are read together with the tenant.
    pub fn pricing(self, word: &str) -> Self {
        self.seen(|seen| {
            let mode = Mode::from(word);
            seen.pricing = Some(Pricing { mode, version: PricingVersion::new(7), production_start: None });
        })
    }

    pub fn locked(self) -> Self {
        self.seen(|seen| {
            seen.tenant.lock = Some(Lock { owner: Some(tenant_id(OTHER_TENANT)) });
            seen.locked_by_another = true;
        })
    }

    /// Sets both clocks.
    pub fn at_both_clocks(mut self, now: &str) -> Self {
        self.now = instant(now);
        self.seen(|seen| seen.date = Some(instant(now)))
    }

    pub fn outcome(mut self, outcome: AttemptOutcome) -> Self {
        self.circumstances.outcome = Some(outcome);
        self
    }

    /// The platform accepted the attempt `since` ago.
    pub fn accepted(self, since: Duration) -> Self {
        self.outcome(AttemptOutcome::Accepted(Acceptance { at: instant(NOW), since }))
    }

    pub fn backing_off(mut self, class: ErrorClass) -> Self {
        self.circumstances.backoff =
            Some(AttemptBackoff { error: error(class), remaining: Duration::from_secs(40) });
        self
    }

    /// An older object, `team/older`, owns the same tenant.
    pub fn duplicate(mut self) -> Self {
        self.circumstances.older_owner = Some(Key::new("team", "older"));
        self
    }

    /// The other object `team/younger` has an open attempt for the same tenant, and is stalled.
    pub fn sibling_stalled(mut self) -> Self {
        self.circumstances.sibling_stalled = Some(Key::new("team", "younger"));
        self
    }

    /// The platform accepted a switch of the same tenant for `team/younger`.
    pub fn sibling_accepted(mut self, for_long: bool) -> Self {
        let key = Some(Key::new("team", "younger"));
        self.circumstances.sibling_accepted = Some(AcceptedSibling { key, for_long });
        self
    }

    /// The journal of `team/younger` says that this controller switched the same tenant.
    pub fn sibling_completed(mut self, for_long: bool) -> Self {
        let key = Key::new("team", "younger");
        self.circumstances.sibling_completed = Some(CompletedSibling { key, for_long });
        self
    }

    /// The number of switches that became due earlier and are admitted first.
    pub fn waits(mut self, ahead: usize) -> Self {
        self.circumstances.queue_state = QueueState::Waits { ahead };
        self
    }

    /// The connection's budget, this many switches an hour, is used up until `next`.
    pub fn exhausted(mut self, count: u32, next: Option<&str>) -> Self {
        let budget = Budget { count, window: Duration::from_hours(1) };
        let (used, next) = (count as usize, next.map(instant));
        let users = Users { names: vec!["another".to_owned()], ..Users::default() };
        self.circumstances.queue_state = QueueState::Exhausted(Exhausted { used, budget, next, users });
        self
    }

    /// Forgets everything: nothing prevents a switch.
    pub fn forgotten(mut self) -> Self {
        self.circumstances = Circumstances::default();
        self
    }

    /// Stores a journal in this phase, with the fields that the phase needs.
    pub fn journaled(mut self, phase: Phase) -> Self {
        let generation = self.object.metadata.generation;
        let announced = phase != Phase::Scheduled;
        let status = self.object.status.get_or_insert_default();
        status.switch = Some(Journal {
            phase,
            scheduled_for: Some(time("2026-11-23T09:00:00Z")),
            intent_at: announced.then(|| time("2026-11-23T09:59:50Z")),
            intent_generation: generation,
            attempts: u32::from(announced),
            attempt_id: announced.then(|| "attempt-1".to_owned()),
            platform: Some(PLATFORM.to_owned()),
            connection: Some("team/default".to_owned()),
            accepted_at: None,
            completed_at: (phase == Phase::Completed).then(|| time("2026-11-23T09:59:51Z")),
            by: (phase == Phase::Completed).then_some(crate::api::SwitchedBy::Controller),
            requested_by: None,
        });
        self
    }
}
