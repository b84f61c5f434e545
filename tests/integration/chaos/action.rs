//! What can be done to the fleet, the platform, the replicas and the servers they stand on.

use std::time::Duration;

use tenant_pricing_controller::simulator::{Fault, TenantChange};

use crate::harness::{RequestFault, Server};

/// Something to be done at a planned time.
#[derive(Debug, Clone)]
pub enum Action {
    /// A user creates an object.
    Create(NewObject),
    /// A user edits an object.
    Edit { object: usize, edit: Edit },
    /// A user deletes an object.
    Delete { object: usize },
    /// A user deletes an object and creates it again at once.
    Recreate { object: usize },
    /// Another program writes the status of an object.
    Foreign { object: usize, write: Foreign, number: u32 },
    /// A user edits a connection, and mends it after this time.
    Connection { connection: Through, edit: ConnectionEdit, mended_after: Duration },
    /// A user of the platform's console changes a tenant that is in trial, and takes it back after this time.
    Console { tenant: usize, change: Console, undone_after: Duration },
    /// The platform, or the network path to it, misbehaves.
    Platform(Fault),
    /// Both reads of a tenant show it as before its switch, for longer than an outcome that is not known is waited for.
    StaleReads { tenant: usize, lasts: Duration },
    /// Every token is ended.
    RevokeTokens,
    /// A clock is wrong for a while.
    Clock { whose: Whose, seconds: i64, lasts: Duration },
    /// Both clocks cross the first of the month.
    MonthPasses,
    /// Something happens to a replica.
    Replica { which: Which, what: Disruption },
    /// Something fails between a replica and the API server, this many times.
    Api { which: Which, trouble: RequestFault, times: u32 },
    /// etcd or the API server is killed and comes back after this time.
    Kill { server: Server, back_after: Duration },
    /// etcd or the API server stands still for this time.
    Stop { server: Server, lasts: Duration },
}

/// An object that a user creates, and its tenant.
#[derive(Debug, Clone)]
pub struct NewObject {
    pub object: usize,
    /// The tenant, by its number; not necessarily one of its own.
    pub tenant: usize,
    pub by_name: bool,
    pub role: Role,
    pub through: Through,
}

/// What is special about an object, or its tenant, from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Switched,
    /// The platform switches the tenant automatically after this many seconds.
    PlatformFirst(u32),
    MonthStart,
    Observed,
    Trial,
    AlreadyProduction,
    NotACustomer,
    Disabled,
    Locked,
    ParentDisabled,
    UnknownMode,
    SuspendedThere,
    NoSuchTenant,
    Ambiguous,
}

/// The connection an object goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Through {
    /// The one of its own namespace.
    Own,
    /// One that admits everybody.
    Wide,
    /// One that admits everybody, with a budget of a few switches a minute.
    Narrow,
    /// One whose Secret is wrong for ever.
    Broken,
    /// One that is suspended for ever.
    Shut,
    /// One that does not admit the namespace.
    Closed,
    /// One that does not exist.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    Production,
    Trial,
    Observe,
    Suspend,
    Resume,
    ReconcileNow,
    NextMonth,
    Later,
    Immediately,
    Reconnect(Through),
}

/// How another program writes a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// All of it goes.
    Wipe,
    /// An older one comes back.
    Restore,
    /// Some of its texts are others.
    Patch,
    /// The object reports that a person must act.
    Stall,
}

impl Foreign {
    pub const ALL: [Self; 4] = [Self::Wipe, Self::Restore, Self::Patch, Self::Stall];
}

/// The type of the condition that a foreign writer leaves, with a message of its own each time.
pub const MARK: &str = "chaos.example.com/Foreign";

/// The reason that a foreign writer gives for a stall.
pub const DRILL: &str = "Drill";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEdit {
    Suspend,
    Budget(u32),
    Pace(u32),
    WrongSecret,
    NoSecret,
}

/// What a user does in the platform's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    Lock,
    Disable,
    Delete,
    /// To where the credentials see nothing.
    Move,
    Rename,
    /// The mode becomes an unknown word.
    OddMode,
    /// For good.
    Suspend,
    /// For good.
    Production,
    Deprovision,
    /// Only the version of the pricing changes.
    Currency,
}

impl Console {
    /// Whether it is taken back after a while.
    pub fn is_undone(self) -> bool {
        !matches!(self, Self::Suspend | Self::Production | Self::Currency)
    }

    pub fn change(self) -> TenantChange {
        const NOWHERE: &str = "00000000-0000-4000-8000-00000000dead";
        let mut change = TenantChange::default();
        match self {
            Self::Lock => change.locked_by = Some(Some(NOWHERE.into())),
            Self::Disable => change.enabled = Some(false),
            Self::Delete => change.deleted = Some(true),
            Self::Move => change.parent_id = Some(NOWHERE.into()),
            Self::Rename => change.name = Some("Renamed Inc".into()),
            Self::OddMode => change.mode = Some("frozen".into()),
            Self::Suspend => change.mode = Some("suspended".into()),
            Self::Production => change.mode = Some("production".into()),
            Self::Deprovision => change.deprovisioning = Some(true),
            Self::Currency => change.currency = Some(Some("GBP".into())),
        }
        change
    }

    pub const ALL: [Self; 10] = [
        Self::Lock,
        Self::Disable,
        Self::Delete,
        Self::Move,
        Self::Rename,
        Self::OddMode,
        Self::Suspend,
        Self::Production,
        Self::Deprovision,
        Self::Currency,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Platform,
    Replica(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The leader at that time.
    Leader,
    Number(usize),
}

/// What happens to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    /// SIGKILL; a new process starts after this time.
    Kill { back_after: Duration },
    /// SIGTERM; a new process starts when it has ended.
    Terminate,
    /// SIGSTOP, and SIGCONT after this time.
    Stop { lasts: Duration },
    /// It alone cannot reach the API server.
    ApiAway { lasts: Duration },
    /// It can do everything but renew its lease.
    LeasesLost { lasts: Duration },
    /// It alone cannot reach the platform.
    PlatformAway { lasts: Duration },
    /// Its watches deliver nothing.
    WatchesLate { lasts: Duration },
    /// Its watches break off.
    WatchesCut,
}

impl Action {
    /// The word under which it is counted.
    pub fn kind(&self) -> String {
        let word = match self {
            Self::Create(new) if new.tenant != new.object => "users: duplicate created",
            Self::Create(_) => "users: object created",
            Self::Foreign { write, .. } => match write {
                Foreign::Wipe => "users: status wiped",
                Foreign::Restore => "users: older status restored",
                Foreign::Patch => "users: status patched",
                Foreign::Stall => "users: stall written",
            },
            Self::Edit { edit, .. } => match edit {
                Edit::Production => "users: production asked for",
                Edit::Trial | Edit::Observe => "users: production taken back",
                Edit::Suspend => "users: object suspended",
                Edit::Resume => "users: object resumed",
                Edit::ReconcileNow => "users: reconcile requested",
                Edit::NextMonth | Edit::Later | Edit::Immediately => "users: schedule edited",
                Edit::Reconnect(_) => "users: connectionRef edited",
            },
            Self::Delete { .. } => "users: object deleted",
            Self::Recreate { .. } => "users: object deleted and created again",
            Self::Connection { edit, .. } => match edit {
                ConnectionEdit::Suspend => "users: connection suspended",
                ConnectionEdit::Budget(_) => "users: budget edited",
                ConnectionEdit::Pace(_) => "users: pace edited",
                ConnectionEdit::WrongSecret => "users: Secret wrong",
                ConnectionEdit::NoSecret => "users: Secret deleted",
            },
            Self::Console { change, .. } => return format!("console: {change:?}"),
            Self::Platform(fault) => return super::faults::kind(fault),
            Self::StaleReads { .. } => "platform: reads stay stale",
            Self::RevokeTokens => "platform: tokens revoked",
            Self::Clock { whose: Whose::Platform, .. } => "clock: platform's jumps",
            Self::Clock { .. } => "clock: a replica's jumps",
            Self::MonthPasses => "clock: a month passes",
            Self::Replica { what, .. } => match what {
                Disruption::Kill { .. } => "replica: SIGKILL",
                Disruption::Terminate => "replica: SIGTERM",
                Disruption::Stop { .. } => "replica: SIGSTOP and SIGCONT",
                Disruption::ApiAway { .. } => "replica: API server unreachable",
                Disruption::LeasesLost { .. } => "replica: lease not renewed",
                Disruption::PlatformAway { .. } => "replica: platform unreachable",
                Disruption::WatchesLate { .. } => "replica: watches late",
                Disruption::WatchesCut => "replica: watches cut",
            },
            Self::Api { trouble, .. } => return format!("API: {}", trouble.name()),
            Self::Kill { server: Server::Etcd, .. } => "server: etcd killed",
            Self::Kill { .. } => "server: API server killed",
            Self::Stop { server: Server::Etcd, .. } => "server: etcd stopped for a while",
            Self::Stop { .. } => "server: API server stopped for a while",
        };
        word.to_owned()
    }
}
