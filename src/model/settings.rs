//! The settings to explore. Several small settings with everything that can happen in them find more than a part of a
//! large one.

use super::{
    Setting,
    faults::{Fault, Faults},
    state::SpecMode,
};

const WANTED: (SpecMode, bool) = (SpecMode::Production, false);

fn setting(name: &'static str) -> Setting {
    Setting {
        name,
        objects: vec![WANTED],
        tenants_differ: false,
        replicas: 1,
        month_start: false,
        budget: 100,
        first_is_refused: false,
        faults: Faults::default(),
    }
}

/// One object and one process, and everything that can go wrong between them and the platform.
pub(super) fn one_process(all: u8) -> Setting {
    let each = [
        (Fault::Edit, 2),
        (Fault::Connection, 1),
        (Fault::Watch, 1),
        (Fault::Crash, 2),
        (Fault::Write, 2),
        (Fault::Answer, 2),
        (Fault::Request, 1),
        (Fault::Refusal, 1),
        (Fault::Unsent, 1),
        (Fault::Read, 1),
        (Fault::Switch, 1),
        (Fault::Version, 1),
        (Fault::Slow, 1),
    ];
    Setting { faults: Faults::of(all, &each), ..setting("one process") }
}

/// One object and two replicas: the lease changes hands during a switch.
pub(super) fn two_replicas(all: u8) -> Setting {
    let each = [
        (Fault::Edit, 1),
        (Fault::Lease, 2),
        (Fault::Watch, 1),
        (Fault::Crash, 1),
        (Fault::Write, 1),
        (Fault::Answer, 1),
        (Fault::Slow, 1),
    ];
    Setting { replicas: 2, faults: Faults::of(all, &each), ..setting("two replicas") }
}

/// Two objects with one tenant, and one process.
pub(super) fn two_objects(all: u8) -> Setting {
    let each = [
        (Fault::Edit, 2),
        (Fault::Watch, 1),
        (Fault::Crash, 1),
        (Fault::Write, 1),
        (Fault::Answer, 2),
        (Fault::Refusal, 1),
    ];
    let objects = vec![WANTED, WANTED];
    Setting { objects, faults: Faults::of(all, &each), ..setting("two objects") }
}

/// Two objects with one tenant, and two replicas. The older object is suspended at first.
pub(super) fn two_of_both(all: u8) -> Setting {
    let each =
        [(Fault::Edit, 1), (Fault::Lease, 1), (Fault::Watch, 1), (Fault::Crash, 1), (Fault::Answer, 1)];
    Setting {
        objects: vec![(SpecMode::Production, true), WANTED],
        replicas: 2,
        faults: Faults::of(all, &each),
        ..setting("two objects, two replicas")
    }
}

/// A switch that waits for the first of the month, with clocks that are ahead or behind, and edits meanwhile.
pub(super) fn month_start(all: u8) -> Setting {
    let each = [
        (Fault::Edit, 2),
        (Fault::Watch, 1),
        (Fault::Crash, 1),
        (Fault::Write, 1),
        (Fault::Switch, 1),
        (Fault::Answer, 1),
    ];
    Setting { month_start: true, faults: Faults::of(all, &each), ..setting("month start") }
}

/// Two tenants, and a budget of one switch.
pub(super) fn budget(all: u8) -> Setting {
    let each =
        [(Fault::Lease, 1), (Fault::Watch, 1), (Fault::Crash, 1), (Fault::Write, 1), (Fault::Answer, 1)];
    Setting {
        objects: vec![WANTED, WANTED],
        tenants_differ: true,
        replicas: 2,
        budget: 1,
        faults: Faults::of(all, &each),
        ..setting("budget")
    }
}

/// Two tenants, a budget of one switch, and a platform that always refuses the first tenant.
pub(super) fn refused(all: u8) -> Setting {
    let each =
        [(Fault::Retry, 2), (Fault::Watch, 1), (Fault::Crash, 1), (Fault::Write, 1), (Fault::Answer, 1)];
    Setting {
        name: "refused",
        first_is_refused: true,
        replicas: 1,
        faults: Faults::of(all, &each),
        ..budget(all)
    }
}

/// An object that is deleted and created again, and a platform that takes a tenant back to trial.
pub(super) fn created_again(all: u8) -> Setting {
    let each = [
        (Fault::Deletion, 1),
        (Fault::Watch, 1),
        (Fault::Crash, 1),
        (Fault::Answer, 1),
        (Fault::Switch, 1),
        (Fault::Reset, 1),
        (Fault::Suspension, 1),
        (Fault::Edit, 1),
    ];
    Setting { faults: Faults::of(all, &each), ..setting("created again") }
}

/// Two replicas, and a machine that sleeps for a minute.
pub(super) fn asleep(all: u8) -> Setting {
    let each =
        [(Fault::Sleep, 1), (Fault::Watch, 1), (Fault::Lease, 1), (Fault::Answer, 1), (Fault::Edit, 1)];
    Setting { replicas: 2, faults: Faults::of(all, &each), ..setting("asleep") }
}

/// Two objects with one tenant, and a leader that dies. The older object is suspended at first.
pub(super) fn takeover(all: u8) -> Setting {
    let each = [(Fault::Edit, 1), (Fault::Watch, 1), (Fault::Crash, 1)];
    Setting { name: "takeover", faults: Faults::of(all, &each), ..two_of_both(all) }
}

/// Two objects with one tenant, and reads that are stale after the older object's switch is recorded. A user suspends
/// that object, so that the younger one owns the tenant.
pub(super) fn stale_record(all: u8) -> Setting {
    let each = [(Fault::Stale, 2), (Fault::Edit, 1), (Fault::Answer, 1)];
    let objects = vec![WANTED, WANTED];
    Setting { objects, faults: Faults::of(all, &each), ..setting("stale record") }
}

/// Two objects with one tenant, and reads that stay stale for longer than any process waits.
pub(super) fn stale_reads(all: u8) -> Setting {
    let each = [(Fault::Stale, 2), (Fault::Deletion, 1), (Fault::Crash, 1), (Fault::Write, 1)];
    let objects = vec![WANTED, WANTED];
    Setting { objects, faults: Faults::of(all, &each), ..setting("stale reads") }
}
