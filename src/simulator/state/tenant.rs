//! A tenant: its record, and the description of one to add.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The mode of a new customer.
pub const TRIAL: &str = "trial";
/// The mode in which a customer is billed.
pub const PRODUCTION: &str = "production";

/// The kind of a tenant. Only a customer has the one-way switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantKind {
    /// The top of the platform.
    Root,
    /// A reseller; the credentials act in one.
    Partner,
    /// A folder of customers.
    Folder,
    /// A customer: the kind that is switched and billed.
    #[default]
    Customer,
    /// A part of a customer.
    Unit,
}

/// The pricing settings of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// `trial`, `production`, `suspended`, or any other word that a test needs.
    pub mode: String,
    /// Epoch milliseconds of the last write, strictly increasing.
    pub version: i64,
    /// The currency of the prices.
    pub currency: Option<String>,
    /// In trial: when the platform will switch the tenant automatically. Later: when the switch happened.
    pub production_start_date: Option<Timestamp>,
}

/// The platform's record of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // each is a separate fact
pub struct TenantRecord {
    /// A lower-case UUID. Changing it in an update has no effect.
    pub id: String,
    /// The tenant it stands below.
    pub parent_id: String,
    /// The name, which need not be unique.
    pub name: String,
    /// Its kind.
    pub kind: TenantKind,
    /// A disabled tenant is still billed. Changes below it are refused (1003).
    pub enabled: bool,
    /// When it was created. The trial counts from here.
    pub created_at: Timestamp,
    /// When it last changed. A change of the pricing does not count.
    pub updated_at: Timestamp,
    /// Soft deletion: it is missing from every answer unless deleted ones are asked for.
    pub deleted_at: Option<Timestamp>,
    /// The tenant's own version, which is not that of its pricing.
    pub version: i64,
    /// The pricing settings.
    pub pricing: Pricing,
    /// The settings before the last change, which a stale read returns.
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

/// The description of a tenant to add: a builder with the defaults of a new customer. The tenants file and the admin
/// interface use the same form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // each is a separate fact
pub struct TenantSpec {
    /// The name.
    pub name: String,
    /// A lower-case UUID; random if absent.
    pub id: Option<String>,
    /// The kind; `customer` if absent.
    #[serde(default)]
    pub kind: TenantKind,
    /// Id or exact name of the tenant it stands below; the credentials' own if absent.
    pub parent: Option<String>,
    /// `trial` if absent.
    pub mode: Option<String>,
    /// `true` if absent.
    pub enabled: Option<bool>,
    /// The simulator's present instant if absent.
    #[serde(default, deserialize_with = "crate::simulator::times::read")]
    pub created_at: Option<Timestamp>,
    /// By the billing rules if absent: the end of the trial, or the creation of a tenant in another mode.
    #[serde(default, deserialize_with = "crate::simulator::times::read")]
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
    /// Whether it is deleted from the start.
    #[serde(default)]
    pub deleted: bool,
}

impl TenantSpec {
    /// A customer in trial, enabled, created now, below the credentials' own tenant.
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

    /// Sets when it was created, from which the trial counts.
    #[must_use]
    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.created_at = Some(at);
        self
    }

    /// Sets the end of the trial or the time of the switch, against the billing rules.
    #[must_use]
    pub fn production_start_date(mut self, at: Timestamp) -> Self {
        self.production_start_date = Some(at);
        self
    }

    /// Locks it for all but the tenant `owner`.
    #[must_use]
    pub fn locked_by(mut self, owner: impl Into<String>) -> Self {
        self.locked_by = Some(owner.into());
        self
    }
}

/// A tenant was not added. The text names the field and the value, and says what to do.
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
