//! What may go wrong, and how often: bounded, so that the states can be counted.

/// The kinds of what may happen. What people do is among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    /// Somebody edits an object.
    Edit,
    /// Somebody deletes an object, and creates it again.
    Deletion,
    /// Somebody closes or opens the connection.
    Connection,
    /// A process dies.
    Crash,
    /// A replica fails to renew its lease for a while.
    Lease,
    /// The answer to a write of a status is lost, before or after it was stored.
    Write,
    /// The answer to a PUT is lost or late.
    Answer,
    /// A PUT is lost on its way.
    Request,
    /// The platform refuses a PUT.
    Refusal,
    /// No connection for a PUT comes up.
    Unsent,
    /// The platform cannot be read.
    Read,
    /// A watch falls behind for a while.
    Watch,
    /// The platform, or somebody there, switches a tenant.
    Switch,
    /// The platform takes a tenant back to trial.
    Reset,
    /// The platform suspends a tenant past trial.
    Suspension,
    /// Somebody changes the pricing settings otherwise: a new version.
    Version,
    /// More than 5 s pass between an announcement and its request.
    Slow,
    /// A machine sleeps for a minute: its monotonic clock stands still.
    Sleep,
    /// What the platform refused for good is tried again.
    Retry,
    /// Reads of a tenant show it as it was before its switch, for as long as they like. An attempt that follows from
    /// such a read is one as well.
    Stale,
}

impl Fault {
    pub const ALL: [Self; 20] = [
        Self::Edit,
        Self::Deletion,
        Self::Connection,
        Self::Crash,
        Self::Lease,
        Self::Write,
        Self::Answer,
        Self::Request,
        Self::Refusal,
        Self::Unsent,
        Self::Read,
        Self::Watch,
        Self::Switch,
        Self::Reset,
        Self::Suspension,
        Self::Version,
        Self::Slow,
        Self::Sleep,
        Self::Retry,
        Self::Stale,
    ];
}

const KINDS: usize = Fault::ALL.len();

/// What may still happen: so much of each kind, and so much of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    all: u8,
    each: [u8; KINDS],
}

impl Faults {
    /// Of these kinds each so often, and no more than `all` together.
    pub fn of(all: u8, each: &[(Fault, u8)]) -> Self {
        let mut faults = Self { all, each: [0; KINDS] };
        for (fault, times) in each {
            faults.each[*fault as usize] = *times;
        }
        faults
    }

    pub fn allow(&self, fault: Fault) -> bool {
        self.all > 0 && self.each[fault as usize] > 0
    }

    /// Takes one away.
    pub fn spend(&mut self, fault: Fault) {
        self.all -= 1;
        self.each[fault as usize] -= 1;
    }

    /// What can no longer happen is the same whatever was left of it.
    pub fn canonical(self) -> Self {
        if self.all == 0 { Self::default() } else { self }
    }

    /// The kinds of which there is some left here and less there.
    pub fn spent<'a>(&'a self, after: &'a Self) -> impl Iterator<Item = Fault> + 'a {
        Fault::ALL.into_iter().filter(|fault| self.each[*fault as usize] > after.each[*fault as usize])
    }
}
