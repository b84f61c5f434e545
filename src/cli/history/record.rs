//! Every switch that the stored objects record, as data: what `history -o json` prints, and what the other formats are
//! made from. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{
        ConditionType, Phase, ProductionReason, SwitchedBy, TenantPricing, TenantPricingStatus, conditions,
    },
    cli::output::time::month,
    cluster::Key,
};

/// The name of the format. It changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: &str = "tenantpricing.io/history/v1";

/// The switches of a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct History {
    /// The format: `tenantpricing.io/history/v1`.
    pub schema: String,
    /// The time of this report, in RFC 3339.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The namespace that was read. It is missing if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The beginning of the time, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
    /// The end of the time, in RFC 3339. A switch at this instant is not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// The switches. The oldest comes first.
    pub switches: Vec<Switch>,
    /// The totals of each month on the bill.
    pub months: Vec<MonthTotal>,
    /// The tenants that were in production before they were first read. Their switches are not in the list.
    pub switched_before: u32,
    /// The tenants that the platform has suspended, and of whose switch it gives no date. Their switches are not in the
    /// list.
    pub undated: u32,
    /// What the list cannot contain.
    pub limits: String,
}

/// One switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Switch {
    /// When the tenant was switched, in RFC 3339. For an attempt without an outcome: when it was announced or accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The month on the bill, as in `2026-11`. It is missing if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_month: Option<String>,
    /// What is known of the switch.
    pub outcome: Outcome,
    /// Who switched the tenant: Controller or Platform. It is missing while the outcome is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The id of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The name of the tenant, as last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// The field manager that set `spec.mode`. Each client chooses this name, so it is a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The generation of the object that asked for the switch: which edit it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The number of the attempt.
    pub attempt: u32,
    /// The id of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// When the attempt was announced, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub announced_at: Option<Timestamp>,
    /// The connection, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

impl Switch {
    /// Whether a journal records it. Otherwise the platform made it, and an object saw it.
    fn is_journaled(&self) -> bool {
        self.attempt > 0
    }
}

/// What is known of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// The tenant is in production.
    Switched,
    /// The platform accepted the switch, and the tenant does not show it yet. It is billed, as far as is known.
    Accepted,
    /// The request may have been sent. The tenant may be billed.
    Unknown,
}

impl Outcome {
    /// The outcome for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Switched => "switched",
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
        }
    }
}

/// The switches of one month on the bill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MonthTotal {
    /// The month, as in `2026-11`, or `unknown`.
    pub month: String,
    /// The number of switches.
    pub switches: u32,
    /// The switches that the controller made.
    pub by_controller: u32,
    /// The switches that the platform made, on its own or for a user of its console.
    pub by_platform: u32,
}

/// The time that a history covers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Period {
    /// Its beginning.
    pub since: Option<Timestamp>,
    /// Its end. A switch at this instant is outside.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether a switch is in it. One without a time always is: it would be lost otherwise.
    fn contains(self, at: Option<Timestamp>) -> bool {
        at.is_none_or(|at| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
        })
    }
}

/// Collects the switches of objects, one object after another.
#[derive(Default)]
pub(crate) struct Collector {
    period: Period,
    switches: Vec<Switch>,
    /// The tenants whose switch is in a journal, in the period or not.
    journaled: BTreeSet<String>,
    switched_before: u32,
    undated: u32,
}

impl Collector {
    /// Collects the switches of this period.
    pub(crate) fn of(period: Period) -> Self {
        Self { period, ..Self::default() }
    }

    /// Adds the switch of an object, if it records one in the period.
    pub(crate) fn add(&mut self, object: &TenantPricing) {
        let switch = switch(object);
        let journaled = switch.as_ref().filter(|switch| switch.is_journaled());
        self.journaled.extend(journaled.and_then(|switch| switch.tenant_id.clone()));
        match switch {
            Some(switch) if self.period.contains(switch.at) => self.switches.push(switch),
            Some(_) => {}
            None => match unlisted(object) {
                Some(Unlisted::SwitchedBefore) => self.switched_before += 1,
                Some(Unlisted::Undated) => self.undated += 1,
                None => {}
            },
        }
    }

    /// The history of what was collected.
    pub(crate) fn history(mut self, namespace: Option<String>, now: Timestamp) -> History {
        self.switches.sort_by(|one, other| {
            let place = |switch: &Switch| (switch.at, switch.namespace.clone(), switch.name.clone());
            place(one).cmp(&place(other))
        });
        // Another object for the same tenant sees the same switch. It is one switch, and the journal knows who made it.
        let mut listed = self.journaled;
        self.switches.retain(|switch| {
            switch.is_journaled() || switch.tenant_id.clone().is_none_or(|tenant| listed.insert(tenant))
        });
        let mut months: BTreeMap<String, MonthTotal> = BTreeMap::new();
        for switch in &self.switches {
            let month = switch.billed_month.as_deref().unwrap_or("unknown");
            let total = months.entry(month.to_owned()).or_default();
            total.switches += 1;
            let is_by = |by: SwitchedBy| switch.by.as_deref() == Some(words(by));
            total.by_controller += u32::from(is_by(SwitchedBy::Controller));
            total.by_platform += u32::from(is_by(SwitchedBy::Platform));
        }
        let months = months.into_iter().map(|(month, total)| MonthTotal { month, ..total });
        History {
            schema: SCHEMA.to_owned(),
            now,
            namespace,
            since: self.period.since,
            until: self.period.until,
            months: months.collect(),
            limits: limits(self.switched_before, self.undated),
            switched_before: self.switched_before,
            undated: self.undated,
            switches: self.switches,
        }
    }
}

/// The words for who switched a tenant, as in the journal.
pub(crate) fn words(by: SwitchedBy) -> &'static str {
    match by {
        SwitchedBy::Controller => "Controller",
        SwitchedBy::Platform => "Platform",
    }
}

fn limits(switched_before: u32, undated: u32) -> String {
    let before = match switched_before {
        0 => String::new(),
        1 => " Nor is that of 1 tenant that was in production before it was first read.".to_owned(),
        many => {
            format!(" Nor are those of {many} tenants that were in production before they were first read.")
        }
    };
    let undated = match undated {
        0 => String::new(),
        1 => " Nor is that of 1 suspended tenant: the platform gives no date for it.".to_owned(),
        many => {
            format!(" Nor are those of {many} suspended tenants: the platform gives no date for them.")
        }
    };
    format!(
        "Switches of objects that were deleted since are not in this list.{before}{undated} The platform's bill and the \
         audit log of the API server have them."
    )
}

/// The switch that an object records.
fn switch(object: &TenantPricing) -> Option<Switch> {
    let status = object.status.as_ref()?;
    match &status.switch {
        Some(journal) if journal.phase != Phase::Scheduled => Some(journaled(object, status)),
        _ => by_the_platform(object, status),
    }
}

/// The switch of an object without any detail.
fn blank(object: &TenantPricing, status: &TenantPricingStatus) -> Switch {
    let key = Key::of(object);
    Switch {
        at: None,
        billed_month: None,
        outcome: Outcome::Switched,
        by: None,
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
        tenant_id: status.tenant_id.clone(),
        tenant_name: status.observed.as_ref().and_then(|observed| observed.tenant_name.clone()),
        requested_by: None,
        generation: None,
        attempt: 0,
        attempt_id: None,
        announced_at: None,
        connection: Some(object.connection_key().to_string()),
        platform: None,
    }
}

/// The switch that the journal records.
fn journaled(object: &TenantPricing, status: &TenantPricingStatus) -> Switch {
    let blank = blank(object, status);
    let Some(journal) = &status.switch else { return blank };
    let accepted = journal.accepted_at.as_ref().map(|at| at.0);
    let announced_at = journal.intent_at.as_ref().map(|at| at.0);
    let (outcome, at, billed) = match (journal.phase, accepted) {
        (Phase::Completed, _) => {
            let at = journal.completed_at.as_ref().map(|at| at.0);
            (Outcome::Switched, at, at)
        }
        (_, Some(accepted)) => (Outcome::Accepted, Some(accepted), Some(accepted)),
        (_, None) => (Outcome::Unknown, announced_at, None),
    };
    let by = match outcome {
        Outcome::Switched => journal.by,
        Outcome::Accepted => Some(SwitchedBy::Controller),
        Outcome::Unknown => None,
    };
    Switch {
        at,
        billed_month: billed.map(month),
        outcome,
        by: by.map(|by| words(by).to_owned()),
        requested_by: journal.requested_by.clone(),
        generation: journal.intent_generation,
        attempt: journal.attempts,
        attempt_id: journal.attempt_id.clone(),
        announced_at,
        connection: journal.connection.clone().or_else(|| blank.connection.clone()),
        platform: journal.platform.clone(),
        ..blank
    }
}

/// The switch of a tenant that was found in production, and whose object asked for none. Without a date of the
/// platform, the month on the bill is not known: the tenant may have been found later.
///
/// The condition says so only until the tenant is suspended. After that, a date of the platform that is younger than
/// the object says the same.
fn by_the_platform(object: &TenantPricing, status: &TenantPricingStatus) -> Option<Switch> {
    let (reason, found) = past_trial(status)?;
    let date = dated(status, found);
    let created = object.metadata.creation_timestamp.as_ref();
    // The API server notes the whole second in which it was created.
    let is_younger = date
        .zip(created)
        .is_some_and(|(date, created)| date.duration_since(created.0) >= SignedDuration::from_secs(1));
    (reason == ProductionReason::SwitchedByPlatform || is_younger).then(|| Switch {
        at: Some(date.unwrap_or(found)),
        billed_month: date.map(month),
        by: Some(words(SwitchedBy::Platform).to_owned()),
        ..blank(object, status)
    })
}

/// Why the switch of a tenant that is past trial is not in the list.
enum Unlisted {
    /// The tenant was in production before it was first read.
    SwitchedBefore,
    /// The tenant is suspended, and the platform gives no date.
    Undated,
}

/// Why the switch of an object is not in the list, if its tenant was switched.
fn unlisted(object: &TenantPricing) -> Option<Unlisted> {
    let status = object.status.as_ref()?;
    let (reason, found) = past_trial(status)?;
    let is_undated = reason == ProductionReason::SuspendedOnPlatform && dated(status, found).is_none();
    Some(if is_undated { Unlisted::Undated } else { Unlisted::SwitchedBefore })
}

/// What the condition `Production` says of a tenant that is past trial without a journal of its switch, and since when.
fn past_trial(status: &TenantPricingStatus) -> Option<(ProductionReason, Timestamp)> {
    let condition = conditions::find(&status.conditions, ConditionType::Production)?;
    let reasons = [
        ProductionReason::SwitchedByPlatform,
        ProductionReason::AlreadyProduction,
        ProductionReason::SuspendedOnPlatform,
    ];
    let reason = reasons.into_iter().find(|reason| condition.reason == reason.as_str())?;
    Some((reason, condition.last_transition_time.0))
}

/// When the platform says that it switched a tenant which was found past trial at `found`. A later date is that of
/// another switch.
fn dated(status: &TenantPricingStatus, found: Timestamp) -> Option<Timestamp> {
    let date = status.observed.as_ref()?.production_start_date.as_ref()?.0;
    (date <= found).then_some(date)
}
