//! The product of all cases: what is stored, requested, read, and remembered.

use std::time::Duration;

use super::fixtures::{NAME, NOW, OTHER_TENANT, Scene, TENANT, error, instant, tenant_id};
use crate::{
    api::{DesiredMode, Phase, SwitchAt},
    connections::ConnectionProblem,
    platform::{ErrorClass, TenantKind},
    pricing::{
        decide::STALE_LIMIT,
        facts::{Acceptance, Access, AttemptOutcome, Circumstances, Proof, TenantRead},
    },
};

const DESIRED: [Option<DesiredMode>; 3] = [None, Some(DesiredMode::Trial), Some(DesiredMode::Production)];
const MODES: [&str; 4] = ["trial", "production", "suspended", "barter"];

/// Objects with a status that the program itself has stored, in all possible ways.
pub(crate) fn stored_objects() -> Vec<Scene> {
    let mut objects = vec![Scene::new()];
    for desired in DESIRED {
        objects.extend(
            MODES.map(|mode| Scene::new().desired(desired).mode(mode)).into_iter().filter_map(reconciled),
        );
        objects.push(Scene::new().desired(desired).failed(ErrorClass::Unavailable).stored());
        objects.push(Scene::new().desired(desired).suspended().stored());
    }
    let scheduled = Scene::new().at(SwitchAt::MonthStart).stored();
    let in_flight = Scene::new().pricing("trial").announced("attempt-1");
    let refused = AttemptOutcome::Refused(error(ErrorClass::VersionMismatch));
    let completed = in_flight.clone().mode("production").stored();
    objects.extend(vec![
        Scene::new().named(NAME),
        Scene::new().named(NAME).at(SwitchAt::MonthStart).stored(),
        scheduled.clone().at_both_clocks("2026-12-05T00:00:00Z"),
        scheduled.clone().at_both_clocks("2027-01-05T00:00:00Z"),
        scheduled.clone().mode("production").stored(),
        scheduled.clone().duplicate().stored(),
        Scene::new().waits(12).stored(),
        Scene::new().exhausted(100, Some("2026-11-23T10:59:00Z")).stored(),
        in_flight.clone().mode("suspended").stored(),
        in_flight.clone().outcome(refused).stored(),
        in_flight.clone().accepted(Duration::ZERO).stored(),
        in_flight.clone().accepted(STALE_LIMIT).stored(),
        completed.clone().mode("trial").stored(),
        completed,
        in_flight,
        scheduled,
    ]);
    objects
}

/// The object after one reconcile, unless that leads to a switch.
fn reconciled(scene: Scene) -> Option<Scene> {
    use crate::pricing::decide::Verdict;
    (!matches!(scene.decide().verdict, Verdict::Switch { .. })).then(|| scene.stored())
}

/// All results of a read of the platform, with all ways to fail.
pub(crate) fn readings() -> Vec<(Access, TenantRead)> {
    let open = Scene::new();
    let mut seen = vec![
        open.clone().locked(),
        open.clone().seen(|seen| seen.tenant.deleted = true),
        open.clone().seen(|seen| seen.tenant.enabled = false),
        open.clone().seen(|seen| seen.tenant.kind = TenantKind::Partner),
        open.clone().seen(|seen| seen.tenant.name = "Acme AG".to_owned()),
        open.clone().seen(|seen| seen.date = None),
        open.clone().mode("production").seen(|seen| seen.tenant.production_start = None),
        open.clone().read(TenantRead::NoSuchName(None)),
        open.clone().read(TenantRead::AmbiguousName(vec![tenant_id(TENANT), tenant_id(OTHER_TENANT)])),
        open.clone().access(Access::NotFound),
        open.clone().access(Access::Forbidden),
        open.clone().access(Access::NotAllowed),
        open.clone().access(Access::Undecided),
        open.clone().access(Access::Unusable(ConnectionProblem::Url(
            "spec.url: the URL \"x\" has no host; write it as https://host.".to_owned(),
        ))),
    ];
    seen.extend(MODES.map(|mode| open.clone().mode(mode)));
    seen.extend(MODES.map(|mode| open.clone().pricing(mode)));
    seen.extend(ErrorClass::ALL.map(|class| open.clone().failed(class)));
    seen.into_iter().map(|scene| (scene.access, scene.read)).collect()
}

/// Everything that a process can remember: the outcome of an open entry, otherwise what makes a switch wait.
pub(crate) fn circumstances(in_flight: bool) -> Vec<Circumstances> {
    if !in_flight {
        let elsewhere = Circumstances { sibling_open: true, ..Circumstances::default() };
        let new = Scene::new();
        let sibling_stalled =
            Circumstances { sibling_open: true, ..new.clone().sibling_stalled().circumstances };
        let scenes = [
            new.clone().backing_off(ErrorClass::BusinessRules),
            new.clone().duplicate(),
            new.clone().waits(12),
            new.clone().sibling_accepted(false),
            new.clone().sibling_accepted(true),
            new.clone().sibling_completed(false),
            new.clone().sibling_completed(true),
            new.exhausted(100, Some("2026-11-23T10:59:00Z")),
        ];
        return [Circumstances::default(), elsewhere, sibling_stalled]
            .into_iter()
            .chain(scenes.map(|scene| scene.circumstances))
            .collect();
    }
    let unknown = |seconds| AttemptOutcome::Unknown(Duration::from_secs(seconds));
    let refused = AttemptOutcome::Refused(error(ErrorClass::BusinessRules));
    let unsent = AttemptOutcome::NotSent(Some(error(ErrorClass::Unavailable)));
    let accepted = |since| AttemptOutcome::Accepted(Acceptance { at: instant(NOW), since });
    let (now, long_ago) = (accepted(Duration::ZERO), accepted(STALE_LIMIT));
    let outcomes = [unknown(0), unknown(61), refused, unsent, AttemptOutcome::NotSent(None), now, long_ago];
    outcomes.map(|outcome| Circumstances { outcome: Some(outcome), ..Circumstances::default() }).into()
}

/// Everything that can be known about the customers of a name.
pub(crate) fn proofs() -> Vec<Circumstances> {
    let (one, other) = (tenant_id(TENANT), tenant_id(OTHER_TENANT));
    let proofs = [
        Proof::Awaited,
        Proof::Failed(error(ErrorClass::Unavailable)),
        Proof::Failed(error(ErrorClass::AccessDenied)),
        Proof::Customers(Vec::new()),
        Proof::Customers(vec![one.clone()]),
        Proof::Customers(vec![other.clone()]),
        Proof::Customers(vec![other, one]),
    ];
    proofs.map(|proof| Circumstances { proof, ..Circumstances::default() }).into()
}

/// Whether the API server admits this edit.
fn is_admitted(stored: &Scene, desired: Option<DesiredMode>) -> bool {
    let phase = stored.journal().map(|journal| journal.phase);
    let observed = stored.status().observed.as_ref().map(|observed| observed.mode.as_str());
    let past_trial = phase == Some(Phase::Completed) || matches!(observed, Some("production" | "suspended"));
    match desired {
        Some(DesiredMode::Production) => true,
        Some(DesiredMode::Trial) if past_trial => stored.object.spec.mode == desired,
        _ => phase != Some(Phase::InFlight),
    }
}

/// Every combination of a stored object with an edit, a reading and a memory.
pub(crate) fn every_scene() -> impl Iterator<Item = Scene> {
    let edits = DESIRED.into_iter().flat_map(|desired| [false, true].map(|suspend| (desired, suspend)));
    let edits: Vec<_> = edits.collect();
    let readings = readings();
    stored_objects().into_iter().flat_map(move |stored| {
        let edits = edits.iter().filter(|(desired, _)| is_admitted(&stored, *desired));
        let mut all_circumstances = circumstances(stored.facts().in_flight());
        if stored.object.spec.tenant.name.is_some() {
            all_circumstances.extend(proofs());
        }
        let mut scenes = Vec::new();
        for (desired, suspend) in edits {
            let spec = &stored.object.spec;
            let unchanged = (spec.mode, spec.suspend) == (*desired, *suspend);
            let mut edited =
                if unchanged { stored.clone() } else { stored.clone().edited() }.desired(*desired);
            edited.object.spec.suspend = *suspend;
            for (access, read) in readings.iter().filter(|(_, read)| is_possible(&stored, read)) {
                for circumstances in &all_circumstances {
                    let (access, read, circumstances) = (access.clone(), read.clone(), circumstances.clone());
                    let scene = Scene { access, read, circumstances, ..edited.clone() };
                    let undated = matches!(&scene.read, TenantRead::Seen(seen) if seen.date.is_none());
                    let now = scene.now;
                    scenes.push(if undated { scene } else { scene.seen(|seen| seen.date = Some(now)) });
                }
            }
        }
        scenes
    })
}

/// Only a name that is not pinned to a tenant yet is resolved.
fn is_possible(stored: &Scene, read: &TenantRead) -> bool {
    let by_name = stored.object.spec.tenant.name.is_some() && stored.status().tenant_id.is_none();
    by_name || !matches!(read, TenantRead::NoSuchName(_) | TenantRead::AmbiguousName(_))
}
