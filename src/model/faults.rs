//! What may go wrong, and how often. The numbers are bounded, so that the number of states is finite.

/// The kinds of faults. Actions of users are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A user edits an object.
    Edit,
    /// A user deletes an object, and creates it again.
    Deletion,
    /// A user closes or opens the connection.
    Connection,
    /// A process dies.
    Crash,
    /// A replica fails to renew its lease for a while.
    Lease,
    /// The answer to a status write is lost, before or after the status was stored.
    Write,
    /// The answer to a PUT is lost or late.
    Answer,
    /// A PUT is lost.
    Request,
    /// The platform refuses a PUT.
    Refusal,
    /// A PUT cannot be sent, because no TCP connection is established.
    Unsent,
    /// The platform cannot be read.
    Read,
    /// A watch falls behind for a while.
    Watch,
    /// The platform, or somebody in its console, switches a tenant.
    Switch,
    /// The platform takes a tenant back to trial.
    Reset,
    /// The platform suspends a tenant past trial.
    Suspension,
    /// Somebody changes the pricing settings in another way, which gives them a new version.
    Version,
    /// More than 5 s pass between an announcement and its request.
    Slow,
    /// A machine sleeps for a minute: its monotonic clock stands still.
    Sleep,
    /// A switch that the platform refused permanently is retried.
    Retry,
    /// Reads of a tenant show it as it was before its switch, for any length of time. An attempt that follows from such
    /// a read counts as a fault as well.
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

/// The faults that may still happen: a number of each kind, and a number of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    all: u8,
    each: [u8; KINDS],
}

impl Faults {
    /// Allows this number of each kind, and at most `all` together.
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

    /// Uses up one fault.
    pub fn spend(&mut self, fault: Fault) {
        self.all -= 1;
        self.each[fault as usize] -= 1;
    }

    /// Sets the numbers of faults that can no longer happen to zero, so that such states are equal.
    pub fn canonical(self) -> Self {
        if self.all == 0 { Self::default() } else { self }
    }

    /// The kinds whose number is smaller in `after`.
    pub fn used<'a>(&'a self, after: &'a Self) -> impl Iterator<Item = Fault> + 'a {
        Fault::ALL.into_iter().filter(|fault| self.each[*fault as usize] > after.each[*fault as usize])
    }
}
