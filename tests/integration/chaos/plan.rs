//! What is to happen when: drawn from the seed, and from nothing else.

use std::{fmt, time::Duration};

use rand::{
    RngExt as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use tenant_pricing_controller::simulator::{Fault, Operation};

use super::{
    action::{
        Action, ConnectionEdit, Console, Disruption, Edit, Foreign, NewObject, Role, Through, Which, Whose,
    },
    faults,
};
use crate::harness::{RequestFault, Server, WriteFault};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How long things go wrong.
    pub lasts: Duration,
    /// How much longer, on a machine so busy that too little was tested by then.
    pub extra: Duration,
    pub replicas: usize,
    /// Objects at the beginning.
    pub objects: usize,
    /// The mean pause between two disruptions to replicas.
    pub disruptions: Duration,
    /// The mean pause between two disruptions to servers.
    pub servers: Duration,
    /// The mean pause between two edits of Secrets: it takes half a minute until a corrected one is read.
    pub secrets: Duration,
}

impl Shape {
    fn is_short(&self) -> bool {
        self.lasts < Duration::from_secs(120)
    }
}

/// Something to be done, and when.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: Duration,
    pub action: Action,
}

/// All that is to happen.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
    /// In the order of their time.
    pub steps: Vec<Step>,
}

/// Objects that stand for what cannot be switched, one for each reason.
pub const SPECIAL: [(Role, Through); 23] = [
    (Role::NotACustomer, Through::Own),
    (Role::Disabled, Through::Own),
    (Role::Locked, Through::Wide),
    (Role::NoSuchTenant, Through::Own),
    (Role::Ambiguous, Through::Wide),
    (Role::UnknownMode, Through::Own),
    (Role::SuspendedThere, Through::Own),
    (Role::ParentDisabled, Through::Wide),
    (Role::AlreadyProduction, Through::Own),
    (Role::Switched, Through::Broken),
    (Role::Switched, Through::Shut),
    (Role::Switched, Through::Closed),
    (Role::Switched, Through::Missing),
    (Role::Observed, Through::Own),
    (Role::Trial, Through::Own),
    (Role::MonthStart, Through::Own),
    (Role::MonthStart, Through::Wide),
    // More tenants that are refused for good than the budget counts, and some that are to have their turn.
    (Role::ParentDisabled, Through::Narrow),
    (Role::ParentDisabled, Through::Narrow),
    (Role::ParentDisabled, Through::Narrow),
    (Role::ParentDisabled, Through::Narrow),
    (Role::Switched, Through::Narrow),
    (Role::Switched, Through::Narrow),
];

/// The windows of all budgets but the widest, which nothing exhausts, and what a window takes longer: a stored time has
/// whole seconds.
const WINDOW: Duration = Duration::from_secs(61);

impl Plan {
    pub fn new(seed: u64, shape: Shape) -> Self {
        let mut draft = Draft { random: StdRng::seed_from_u64(seed), shape, steps: Vec::new(), objects: 0 };
        draft.fleet();
        draft.users();
        draft.console();
        draft.connections();
        draft.platform();
        draft.api();
        draft.clocks();
        draft.replicas();
        draft.servers();
        draft.foreign();
        let mut steps = draft.steps;
        steps.sort_by_key(|step| step.at);
        Self { seed, shape, steps }
    }
}

impl Plan {
    /// The number of switches a minute that go through the narrow connection: one, two or three.
    pub fn narrow(&self) -> u32 {
        u32::try_from(self.seed % 3).unwrap() + 1
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {}, {:?}", self.seed, self.shape)?;
        self.steps.iter().try_for_each(|Step { at, action }| {
            writeln!(formatter, "{:>9.3} s  {action:?}", at.as_secs_f64())
        })
    }
}

struct Draft {
    random: StdRng,
    shape: Shape,
    steps: Vec<Step>,
    objects: usize,
}

/// Cards in random order, shuffled again when all are dealt: each comes up if there is time for it.
struct Deck<T> {
    cards: Vec<T>,
    left: Vec<T>,
}

impl<T: Clone> Deck<T> {
    fn new(cards: Vec<T>) -> Self {
        Self { cards, left: Vec::new() }
    }

    fn deal(&mut self, random: &mut StdRng) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.cards);
            self.left.shuffle(random);
        }
        self.left.pop().expect("a deck has cards")
    }
}

impl Draft {
    fn add(&mut self, at: Duration, action: Action) {
        self.steps.push(Step { at, action });
    }

    /// Instants over the whole run, about so far apart.
    fn instants(&mut self, mean: Duration) -> Vec<Duration> {
        let mut at = Duration::ZERO;
        let mut all = Vec::new();
        loop {
            at += self.between(mean / 2, mean * 3 / 2);
            if at >= self.shape.lasts + self.shape.extra {
                return all;
            }
            all.push(at);
        }
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        self.random.random_range(least..=most)
    }

    fn seconds(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_secs(least), Duration::from_secs(most))
    }

    /// One of those that exist by then; not one of the special ones.
    fn object(&mut self, at: Duration) -> usize {
        let exist = self.steps.iter().filter(|step| step.at <= at);
        let created = exist.filter(|step| matches!(&step.action, Action::Create(_))).count();
        self.random.random_range(SPECIAL.len()..created.max(SPECIAL.len() + 1))
    }

    /// Objects from the beginning, and new ones as time goes by.
    fn fleet(&mut self) {
        for (role, through) in SPECIAL {
            // What is refused for good becomes due first, so that it stands before the others.
            let begins =
                Duration::from_secs(if through == Through::Narrow && role == Role::Switched { 3 } else { 0 });
            let at = self.between(begins, begins + Duration::from_secs(1));
            self.create(at, role, through, None);
        }
        for _ in 0..self.shape.objects {
            let at = self.between(Duration::from_secs(1), Duration::from_secs(3));
            self.ordinary(at);
        }
        for at in self.instants(Duration::from_millis(900)) {
            self.ordinary(at.max(Duration::from_secs(3)));
        }
        // Few enough that the narrow budget has room for all of them in time.
        for at in self.instants(2 * WINDOW) {
            self.create(at, Role::Switched, Through::Narrow, None);
        }
    }

    fn ordinary(&mut self, at: Duration) {
        let role = match self.random.random_range(0..20) {
            0 => Role::PlatformFirst(self.random.random_range(5..40)),
            1 => Role::MonthStart,
            2 => Role::Observed,
            3 => Role::Trial,
            _ => Role::Switched,
        };
        let through = if self.random.random_bool(0.5) { Through::Own } else { Through::Wide };
        // Some are duplicates of one before.
        let duplicate = self.random.random_bool(0.12) && self.objects > SPECIAL.len() + 5;
        let of = duplicate.then(|| self.random.random_range(SPECIAL.len()..self.objects));
        self.create(at, role, through, of);
    }

    fn create(&mut self, at: Duration, role: Role, through: Through, of: Option<usize>) {
        let object = self.objects;
        self.objects += 1;
        let by_name = role == Role::Ambiguous || (role == Role::Switched && self.random.random_bool(0.15));
        let new = NewObject {
            object,
            tenant: of.unwrap_or(object),
            by_name: by_name && of.is_none(),
            role,
            through,
        };
        self.add(at, Action::Create(new));
    }

    fn users(&mut self) {
        let edits = [
            Edit::Production,
            Edit::Production,
            Edit::Production,
            Edit::Trial,
            Edit::Observe,
            Edit::Suspend,
            Edit::Resume,
            Edit::Resume,
            Edit::ReconcileNow,
            Edit::NextMonth,
            Edit::Later,
            Edit::Immediately,
            Edit::Immediately,
            Edit::Reconnect(Through::Own),
            Edit::Reconnect(Through::Wide),
            Edit::Reconnect(Through::Missing),
        ];
        for at in self.instants(Duration::from_millis(450)) {
            let object = self.object(at);
            let action = match self.random.random_range(0..12) {
                0 => Action::Delete { object },
                1 => Action::Recreate { object },
                _ => Action::Edit { object, edit: *edits.choose(&mut self.random).unwrap() },
            };
            self.add(at, action);
        }
    }

    fn console(&mut self) {
        let mut deck = Deck::new(Console::ALL.to_vec());
        for at in self.instants(Duration::from_millis(1200)) {
            let (tenant, undone_after) = (self.object(at), self.seconds(1, 12));
            let change = deck.deal(&mut self.random);
            self.add(at, Action::Console { tenant, change, undone_after });
        }
    }

    fn connections(&mut self) {
        let limits = [
            ConnectionEdit::Suspend,
            ConnectionEdit::Suspend,
            ConnectionEdit::Budget(0),
            ConnectionEdit::Budget(3),
            ConnectionEdit::Pace(2),
        ];
        self.edit_connections(Duration::from_secs(6), &limits);
        self.edit_connections(self.shape.secrets, &[ConnectionEdit::WrongSecret, ConnectionEdit::NoSecret]);
    }

    fn edit_connections(&mut self, mean: Duration, edits: &[ConnectionEdit]) {
        let mut deck = Deck::new(edits.to_vec());
        for at in self.instants(mean) {
            let edit = deck.deal(&mut self.random);
            let connection = if self.random.random_bool(0.5) { Through::Wide } else { Through::Own };
            let mended_after = self.between(Duration::from_millis(800), Duration::from_secs(4));
            self.add(at, Action::Connection { connection, edit, mended_after });
        }
    }

    fn platform(&mut self) {
        // A short run has no time for what keeps everything from going on.
        let short = self.shape.is_short();
        let all: Vec<Fault> =
            faults::all().into_iter().filter(|fault| !(short && faults::rejects(fault))).collect();
        let on =
            |call| Deck::new(all.iter().filter(|fault| fault.operation == Some(call)).cloned().collect());
        let (mut on_put, mut on_token) = (on(Operation::PutPricing), on(Operation::Token));
        let mut deck = Deck::new(all.clone());
        for at in self.instants(Duration::from_millis(400)) {
            let on_a_put = self.random.random_bool(0.5);
            let fault = if on_a_put { on_put.deal(&mut self.random) } else { deck.deal(&mut self.random) };
            let times = match self.random.random_range(0..10) {
                // A storm.
                0 if on_a_put => self.random.random_range(5..9),
                _ => self.random.random_range(1..3),
            };
            self.add(at, Action::Platform(fault.times(times)));
        }
        // A replica that lags: of objects that are created while it does, and switched.
        for at in self.instants(Duration::from_secs(8)) {
            let next = |step: &&Step| {
                step.at > at && matches!(&step.action, Action::Create(new) if new.role == Role::Switched)
            };
            let created = self.steps.iter().filter(next).min_by_key(|step| step.at);
            if let Some(Step { action: Action::Create(new), .. }) = created {
                let tenant = new.tenant;
                let lasts = self.seconds(65, 90);
                self.add(at, Action::StaleReads { tenant, lasts });
            }
        }
        // Tokens are fetched when there is none, so that is when something can go wrong with it.
        for at in self.instants(Duration::from_secs(10)) {
            let fault = on_token.deal(&mut self.random);
            self.add(at, Action::Platform(fault.times(2)));
            self.add(at + Duration::from_millis(1), Action::RevokeTokens);
        }
    }

    fn api(&mut self) {
        let mut deck = Deck::new(vec![
            RequestFault::Write(WriteFault::LoseRequest),
            RequestFault::Write(WriteFault::LoseAnswer),
            RequestFault::Write(WriteFault::AnswerWith(500)),
            RequestFault::Write(WriteFault::AnswerWith(504)),
            RequestFault::Write(WriteFault::DelayRequest(Duration::from_secs(6))),
            RequestFault::Write(WriteFault::DelayAnswer(Duration::from_secs(6))),
            RequestFault::Write(WriteFault::DelayAnswer(Duration::from_millis(700))),
            RequestFault::Conflict,
            RequestFault::Conflict,
            RequestFault::Throttle,
            RequestFault::WatchGone,
            RequestFault::WatchExpired,
            RequestFault::WatchRepeats,
            RequestFault::BookmarkLost,
        ]);
        for at in self.instants(Duration::from_millis(700)) {
            let trouble = deck.deal(&mut self.random);
            let times = self.random.random_range(1..4);
            self.add(at, Action::Api { which: Which::Leader, trouble, times });
        }
    }

    fn clocks(&mut self) {
        for at in self.instants(Duration::from_secs(6)) {
            let whose = if self.random.random_bool(0.5) {
                Whose::Platform
            } else {
                Whose::Replica(self.random.random_range(0..self.shape.replicas))
            };
            // Not over a month: that changes what is asked for, not only when it is done.
            let seconds = *[-7200, -600, -20, -3, 3, 20, 600, 7200].choose(&mut self.random).unwrap();
            let lasts = self.seconds(1, 6);
            self.add(at, Action::Clock { whose, seconds, lasts });
        }
        let at = self.shape.lasts.mul_f64(0.6);
        self.add(at, Action::MonthPasses);
    }

    fn replicas(&mut self) {
        let brief = Duration::from_millis(1500);
        let mut disruptions = vec![
            Disruption::Terminate,
            Disruption::Stop { lasts: brief },
            Disruption::ApiAway { lasts: brief },
            Disruption::LeasesLost { lasts: brief },
            Disruption::PlatformAway { lasts: brief },
            Disruption::WatchesLate { lasts: Duration::from_secs(3) },
            Disruption::WatchesCut,
        ];
        // After these another replica leads, or none until the lease has run out.
        let kill = Disruption::Kill { back_after: Duration::from_millis(300) };
        let absences = [
            kill,
            Disruption::Stop { lasts: Duration::from_secs(18) },
            Disruption::ApiAway { lasts: Duration::from_secs(13) },
            Disruption::LeasesLost { lasts: Duration::from_secs(13) },
        ];
        if self.shape.is_short() {
            // There is time for one.
            let at = self.shape.lasts.mul_f64(self.random.random_range(0.5..0.6));
            let what = *absences.choose(&mut self.random).unwrap();
            self.add(at, Action::Replica { which: Which::Leader, what });
        } else {
            disruptions.extend(absences);
            disruptions.extend([
                Disruption::Kill { back_after: Duration::from_secs(4) },
                Disruption::Stop { lasts: Duration::from_secs(60) },
                Disruption::PlatformAway { lasts: Duration::from_secs(25) },
                Disruption::WatchesLate { lasts: Duration::from_secs(40) },
            ]);
        }
        let mut deck = Deck::new(disruptions);
        for at in self.instants(self.shape.disruptions) {
            let what = deck.deal(&mut self.random);
            let which = if self.random.random_bool(0.7) { Which::Leader } else { self.anyone() };
            self.add(at, Action::Replica { which, what });
        }
        for at in self.instants(self.shape.disruptions * 3) {
            let which = self.anyone();
            self.add(at, Action::Replica { which, what: kill });
        }
    }

    fn anyone(&mut self) -> Which {
        Which::Number(self.random.random_range(0..self.shape.replicas))
    }

    /// Other programs write statuses. The last, so that a seed makes the same plan for all else.
    fn foreign(&mut self) {
        let mut deck = Deck::new(Foreign::ALL.to_vec());
        for (number, at) in (1..).zip(self.instants(Duration::from_millis(1500))) {
            let (object, write) = (self.object(at), deck.deal(&mut self.random));
            self.add(at, Action::Foreign { object, write, number });
        }
    }

    fn servers(&mut self) {
        // First the two that matter most, for a short run has no time for more.
        let mut deck = Deck::new(vec![
            Action::Kill { server: Server::Etcd, back_after: Duration::from_secs(1) },
            Action::Kill { server: Server::ApiServer, back_after: Duration::from_millis(500) },
            Action::Stop { server: Server::Etcd, lasts: Duration::from_millis(1500) },
            Action::Stop { server: Server::ApiServer, lasts: Duration::from_millis(1500) },
        ]);
        deck.left = vec![deck.cards[0].clone(), deck.cards[1].clone()];
        for at in self.instants(self.shape.servers) {
            let action = deck.deal(&mut self.random);
            self.add(at, action);
        }
    }
}
