//! A change of a tenant, as a person in the platform's console would make it.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::simulator::state::tenant::{TenantKind, TenantRecord};

/// The fields of a tenant to change. An omitted field stays as it is, and an explicit null empties one that may be
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(clippy::option_option)]
pub struct TenantChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TenantKind>,
    /// The tenant it stands below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Whether it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The pricing mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The currency of the prices.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub currency: Option<Option<String>>,
    /// When the trial ends, or when the switch happened.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub production_start_date: Option<Option<Timestamp>>,
    /// The tenant that holds the update lock.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub locked_by: Option<Option<String>>,
    /// Whether deprovisioning is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprovisioning: Option<bool>,
    /// Whether a parent counts as disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_disabled: Option<bool>,
    /// `false` shuts the parents out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestral_access: Option<bool>,
    /// Whether no client can see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Whether it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

#[allow(clippy::option_option)]
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl TenantChange {
    /// Applies the change to a tenant.
    pub fn apply(self, tenant: &mut TenantRecord, now: Timestamp) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut tenant.name, self.name);
        set(&mut tenant.kind, self.kind);
        set(&mut tenant.parent_id, self.parent_id);
        set(&mut tenant.enabled, self.enabled);
        set(&mut tenant.pricing.mode, self.mode);
        set(&mut tenant.pricing.currency, self.currency);
        set(&mut tenant.pricing.production_start_date, self.production_start_date);
        set(&mut tenant.locked_by, self.locked_by);
        set(&mut tenant.deprovisioning, self.deprovisioning);
        set(&mut tenant.parent_disabled, self.parent_disabled);
        set(&mut tenant.ancestral_access, self.ancestral_access);
        set(&mut tenant.hidden, self.hidden);
        if let Some(deleted) = self.deleted {
            tenant.deleted_at = deleted.then(|| tenant.deleted_at.unwrap_or(now));
        }
    }
}
