use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::*;
use crate::{
    api::SwitchedBy,
    testing::fixtures::{Scene, TENANT, time},
};

/// An object, and what a process knows of the authors of its status.
struct Watched {
    own_statuses: OwnStatuses,
    key: Key,
    object: TenantPricing,
}

impl Watched {
    /// This process wrote the status of the scene, and the watch has shown it.
    fn of(scene: Scene) -> Self {
        let mut object = scene.object.clone();
        object.status = None;
        let mut watched = Self { own_statuses: OwnStatuses::default(), key: Key::of(&object), object };
        watched.write(&scene.object.status.unwrap());
        watched
    }

    fn write(&mut self, status: &TenantPricingStatus) {
        self.own_statuses.expect_status(&self.key, status);
        assert_eq!(self.show(status), None, "an own status is not foreign");
        self.own_statuses.record_written(&self.key, status, &self.object.clone());
    }

    fn show(&mut self, status: &TenantPricingStatus) -> Option<Foreign> {
        let before = self.object.status.replace(status.clone());
        self.own_statuses.observe(&self.key, before.as_ref(), &self.object)
    }

    fn due(&self) -> Option<TenantPricingStatus> {
        self.own_statuses.due(&self.key, &self.object)
    }
}

fn in_production() -> Scene {
    Scene::new().journaled(Phase::Completed).mode("production").stored()
}

fn status(scene: Scene) -> TenantPricingStatus {
    scene.object.status.unwrap()
}

fn wiped() -> TenantPricingStatus {
    TenantPricingStatus::default()
}

#[tokio::test(start_paused = true)]
async fn an_own_status_is_at_rest() {
    let watched = Watched::of(in_production());
    assert_eq!(watched.due(), None);
    assert!(!watched.own_statuses.is_foreign(&watched.object));
    assert!(
        watched.own_statuses.inner.lock().overwritten.is_empty()
            && watched.own_statuses.inner.lock().open.is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_wiped_record_is_written_again_as_it_was() {
    let mut watched = Watched::of(in_production());
    let own = watched.object.status.clone().unwrap();
    let foreign = watched.show(&wiped()).unwrap();
    assert_eq!(foreign, Foreign { pause: Duration::ZERO, hides_attempt: false });
    assert!(watched.own_statuses.is_foreign(&watched.object));
    assert_eq!(watched.due(), Some(own.clone()));
    let journal = own.switch.as_ref().unwrap();
    assert_eq!((journal.by, journal.attempts), (Some(SwitchedBy::Controller), 1));
    watched.write(&own);
    assert_eq!(watched.due(), None);
}

#[tokio::test(start_paused = true)]
async fn an_older_status_that_is_restored_is_replaced() {
    let older = status(Scene::new().stored());
    let mut watched = Watched::of(in_production());
    let own = watched.object.status.clone();
    assert!(watched.show(&older).is_some());
    assert!(watched.show(&wiped()).is_some(), "a second one comes before the first is mended");
    assert_eq!(watched.due(), own);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_needs_no_mend() {
    let mut watched = Watched::of(in_production());
    let own = watched.object.status.clone().unwrap();
    assert!(watched.show(&wiped()).is_some());
    assert_eq!(watched.show(&own), None);
    assert_eq!(watched.due(), None);
}

#[tokio::test(start_paused = true)]
async fn an_open_attempt_that_is_wiped_is_the_same_attempt_again() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let own = watched.object.status.clone();
    for foreign in
        [wiped(), status(Scene::new().stored()), status(Scene::new().journaled(Phase::Scheduled).stored())]
    {
        assert!(watched.show(&foreign).unwrap().hides_attempt);
        assert_eq!(watched.due(), own);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_remembered_that_the_watch_skipped() {
    let mut watched = Watched::of(Scene::new().stored());
    let open = status(Scene::new().announced("attempt-1"));
    watched.own_statuses.expect_status(&watched.key, &open);
    let stored = TenantPricing { status: Some(open.clone()), ..watched.object.clone() };
    watched.own_statuses.record_written(&watched.key, &open, &stored);
    // A list that comes after the wipe skips the announcement.
    assert!(watched.show(&wiped()).unwrap().hides_attempt);
    assert_eq!(watched.due(), Some(open));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_of_another_program_is_not_mended_away() {
    let mut watched = Watched::of(Scene::new().stored());
    let theirs = status(Scene::new().announced("attempt-of-another"));
    assert_eq!(watched.show(&theirs), Some(Foreign { pause: Duration::ZERO, hides_attempt: false }));
    let mended = watched.due().unwrap_or(theirs.clone());
    assert_eq!(mended.switch, theirs.switch, "it is resolved by reading");
    assert_eq!(mended.tenant_id.as_deref(), Some(TENANT));
}

#[tokio::test(start_paused = true)]
async fn a_proof_of_production_is_not_mended_away() {
    let mut watched = Watched::of(Scene::new().stored());
    let proof = status(in_production());
    assert!(watched.show(&proof).is_some());
    let mended = watched.due().unwrap_or(proof);
    assert!(conditions::was_proven_past_trial(&mended), "no switch follows");
}

#[tokio::test(start_paused = true)]
async fn a_proof_without_a_journal_is_not_mended_away() {
    for own in [Scene::new().stored(), Scene::new().journaled(Phase::Scheduled).stored()] {
        let mut watched = Watched::of(own);
        let proof = TenantPricingStatus { switch: None, ..status(in_production()) };
        assert!(watched.show(&proof).is_some());
        let mended = watched.due().unwrap_or(proof);
        assert!(conditions::was_proven_past_trial(&mended), "no switch follows");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_over_one_never_written_is_judged_as_it_is() {
    let object = Scene::new().object;
    let mut watched = Watched { own_statuses: OwnStatuses::default(), key: Key::of(&object), object };
    watched.object.status = Some(wiped());
    assert!(watched.show(&status(in_production())).is_some(), "the tenant is read");
    assert_eq!(watched.due(), None);
}

#[tokio::test(start_paused = true)]
async fn the_condition_of_another_controller_stays() {
    let theirs = Condition {
        type_: "example.com/Audited".to_owned(),
        status: "True".to_owned(),
        reason: "Done".to_owned(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: time("2026-11-23T10:00:00Z"),
    };
    let mut watched = Watched::of(in_production());
    let mut with_theirs = watched.object.status.clone().unwrap();
    with_theirs.conditions.push(theirs.clone());
    assert_eq!(watched.show(&with_theirs), None);
    assert!(watched.show(&TenantPricingStatus { conditions: vec![theirs.clone()], ..wiped() }).is_some());
    assert!(watched.due().unwrap().conditions.contains(&theirs));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_refused_is_not_recognised_later() {
    let mut watched = Watched::of(in_production());
    watched.own_statuses.expect_status(&watched.key, &wiped());
    watched.own_statuses.withdraw(&watched.key, &wiped());
    assert!(watched.show(&wiped()).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_whole_is_written_again() {
    let mut watched = Watched::of(in_production());
    let (wanted, mut left_over) = (status(Scene::new().stored()), watched.object.status.clone().unwrap());
    left_over.tenant_id = None;
    watched.own_statuses.expect_status(&watched.key, &wanted);
    let stored = TenantPricing { status: Some(left_over.clone()), ..watched.object.clone() };
    watched.own_statuses.record_written(&watched.key, &wanted, &stored);
    assert!(watched.show(&left_over).is_some());
    assert!(watched.own_statuses.is_foreign(&watched.object));
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_same_name_inherits_nothing() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    watched.object.metadata.uid = Some("another".to_owned());
    watched.object.status = None;
    let _ = watched.show(&wiped());
    assert_eq!(watched.due(), None);
    assert!(!watched.own_statuses.is_foreign(&watched.object), "a switch of its own may begin");
    assert!(
        watched.own_statuses.inner.lock().overwritten.is_empty()
            && watched.own_statuses.inner.lock().open.is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_of_the_same_name_is_not_foreign_before_it_is_shown() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    assert!(watched.show(&wiped()).is_some());
    assert!(watched.own_statuses.is_foreign(&watched.object));
    watched.object.metadata.uid = Some("another".to_owned());
    assert!(!watched.own_statuses.is_foreign(&watched.object));
}

#[tokio::test(start_paused = true)]
async fn a_new_object_of_the_same_name_keeps_its_own_entry() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    watched.object.metadata.uid = Some("another".to_owned());
    watched.object.status = None;
    let restored = status(Scene::new().announced("attempt-1"));
    let _ = watched.show(&restored);
    assert_eq!(watched.due(), None, "it is resolved by reading");
}

impl Watched {
    fn version(&mut self, version: &str) {
        self.object.metadata.resource_version = Some(version.to_owned());
    }

    /// The object in another version, with another status, as a reconcile may hold it.
    fn view(&self, version: &str, status: &TenantPricingStatus) -> TenantPricing {
        let mut view = TenantPricing { status: Some(status.clone()), ..self.object.clone() };
        view.metadata.resource_version = Some(version.to_owned());
        view
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_view_cancels_no_mend() {
    for scene in [in_production(), Scene::new().announced("attempt-1")] {
        let mut watched = Watched::of(scene);
        let own = watched.object.status.clone().unwrap();
        watched.version("12");
        assert!(watched.show(&wiped()).is_some());
        assert_eq!(watched.own_statuses.due(&watched.key, &watched.view("9", &own)), None);
        assert!(watched.own_statuses.pause(&watched.key).is_some(), "it is not answered");
        assert_eq!(watched.due(), Some(own.clone()));
        let newer = watched.view("13", &wiped());
        assert_eq!(watched.own_statuses.due(&watched.key, &newer), Some(own), "the spec was edited since");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_the_watch_has_not_brought_is_mended() {
    let mut watched = Watched::of(Scene::new().stored());
    let open = status(Scene::new().announced("attempt-1"));
    watched.version("12");
    watched.write(&open);
    let wiped = watched.view("13", &wiped());
    assert_eq!(watched.own_statuses.due(&watched.key, &wiped), Some(open.clone()));
    assert_eq!(watched.own_statuses.due(&watched.key, &watched.view("12", &open)), None);
    let before = watched.view("11", &status(Scene::new().stored()));
    assert_eq!(watched.own_statuses.due(&watched.key, &before), None, "it is from before the attempt");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_ended_stays_ended_if_the_write_got_no_answer() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    watched.version("12");
    let closed = status(Scene::new().journaled(Phase::Scheduled).stored());
    watched.own_statuses.expect_status(&watched.key, &closed);
    assert_eq!(watched.own_statuses.due(&watched.key, &watched.view("13", &closed)), None);
}

#[tokio::test(start_paused = true)]
async fn a_restless_writer_causes_one_restore_at_a_time() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let own = watched.object.status.clone().unwrap();
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let foreign = watched.show(&wiped()).unwrap();
        pauses.push(foreign.restore_after().as_millis());
        assert!(watched.own_statuses.schedule_restore(&watched.key));
        assert!(!watched.own_statuses.schedule_restore(&watched.key), "one waits already");
        watched.own_statuses.restore_started(&watched.key);
        assert!(watched.due().is_some());
        watched.write(&own);
    }
    assert_eq!(pauses, [0, 1000, 1000, 1000], "until it is restored, the mode can be taken away");
}

/// The open entry of `attempt-1`, as it was announced, or with the acceptance that another process received.
fn entry(accepted_at: Option<&str>) -> TenantPricingStatus {
    let mut status = status(Scene::new().announced("attempt-1"));
    status.switch.as_mut().unwrap().accepted_at = accepted_at.map(time);
    status
}

fn completed(attempt_id: &str) -> TenantPricingStatus {
    let mut status = status(in_production());
    status.switch.as_mut().unwrap().attempt_id = Some(attempt_id.to_owned());
    status
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_that_another_process_stored_stays() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let accepted = entry(Some("2026-11-23T10:00:00Z"));
    assert!(!watched.show(&accepted).unwrap().hides_attempt);
    assert_eq!(watched.due().unwrap_or(accepted.clone()).switch, accepted.switch);
    // It is also remembered when the status is wiped afterwards.
    assert!(watched.show(&wiped()).unwrap().hides_attempt);
    assert_eq!(watched.due().unwrap().switch, accepted.switch);
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_stays_where_the_rest_is_mended() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let accepted = entry(Some("2026-11-23T10:00:00Z"));
    let mut theirs = accepted.clone();
    theirs.conditions.clear();
    theirs.switch.as_mut().unwrap().platform = Some("https://elsewhere.example".to_owned());
    assert!(watched.show(&theirs).is_some());
    let mended = watched.due().unwrap();
    assert_eq!(mended, accepted, "the platform is the one of the own entry");
    // The next foreign status comes before this one is replaced.
    watched.show(&entry(None));
    assert_eq!(watched.due(), Some(accepted));
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_that_others_remove_is_restored() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let accepted = entry(Some("2026-11-23T10:00:00Z"));
    watched.write(&accepted);
    assert!(watched.show(&entry(None)).is_some());
    assert_eq!(watched.due(), Some(accepted.clone()));
    assert!(watched.show(&entry(Some("2026-11-23T11:00:00Z"))).is_some());
    assert_eq!(watched.due(), Some(accepted), "the first acceptance counts");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_another_process_completed_stays() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let done = completed("attempt-1");
    assert!(watched.show(&done).is_some());
    let mended = watched.due().unwrap_or(done.clone());
    assert_eq!(mended.switch, done.switch);
    assert!(conditions::was_proven_past_trial(&mended));
    watched.show(&wiped());
    assert_eq!(watched.due().unwrap().switch, done.switch);
}

#[tokio::test(start_paused = true)]
async fn a_completed_record_does_not_become_an_open_entry() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let done = completed("attempt-1");
    watched.write(&done);
    assert!(watched.show(&entry(Some("2026-11-23T10:00:00Z"))).is_some());
    assert_eq!(watched.due().unwrap().switch.unwrap().phase, Phase::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_record_of_another_attempt_ends_no_open_one() {
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    assert!(watched.show(&completed("attempt-2")).unwrap().hides_attempt);
    assert_eq!(watched.due().unwrap().switch, entry(None).switch);
}

#[tokio::test(start_paused = true)]
async fn a_mend_that_is_invalid_is_given_up() {
    let mut watched = Watched::of(in_production());
    assert!(watched.show(&wiped()).is_some());
    watched.own_statuses.give_up(&watched.key);
    assert_eq!(watched.due(), None, "the tenant is read");
    assert!(!watched.own_statuses.is_foreign(&watched.object));
    let mut watched = Watched::of(Scene::new().announced("attempt-1"));
    let own = watched.object.status.clone();
    assert!(watched.show(&wiped()).is_some());
    watched.own_statuses.give_up(&watched.key);
    assert_eq!(watched.due(), own, "an open attempt is never forgotten");
}

/// A new leader has read an object with this status, and has not written it yet.
fn taken_over_with(scene: Scene, status: TenantPricingStatus) -> Watched {
    let mut object = scene.object;
    object.status = Some(status);
    Watched { own_statuses: OwnStatuses::default(), key: Key::of(&object), object }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_the_former_leader_pins_late_stays() {
    for scene in [Scene::new(), Scene::new().named("Acme")] {
        let pinned = status(scene.clone().stored());
        let unpinned = TenantPricingStatus { tenant_id: None, ..pinned.clone() };
        let mut watched = taken_over_with(scene, unpinned);
        let _ = watched.show(&TenantPricingStatus { observed_generation: 2, ..pinned.clone() });
        assert_eq!(watched.due().unwrap_or(pinned.clone()).tenant_id, pinned.tenant_id);
        // It also stays when the status is wiped afterwards.
        assert!(watched.show(&wiped()).is_some());
        assert_eq!(watched.due().unwrap().tenant_id, pinned.tenant_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_the_spec_does_not_name_is_not_pinned() {
    let unpinned = TenantPricingStatus { tenant_id: None, ..status(Scene::new().stored()) };
    let other = Some("7e4a4700-0000-4000-8000-00000000ffff".to_owned());
    let mut watched = taken_over_with(Scene::new(), unpinned.clone());
    assert!(watched.show(&TenantPricingStatus { tenant_id: other, ..unpinned }).is_some());
    assert_eq!(watched.due().unwrap().tenant_id, None);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_status_that_is_taken_over_gets_its_generation() {
    let mut foreign = status(Scene::new().announced("attempt-1"));
    for condition in &mut foreign.conditions {
        condition.observed_generation = None;
    }
    let mut watched = taken_over_with(Scene::new(), foreign.clone());
    assert!(watched.show(&wiped()).unwrap().hides_attempt);
    let due = watched.due().unwrap();
    assert_eq!(due.switch, foreign.switch, "the open attempt is not forgotten");
    let generation = Some(due.observed_generation);
    assert!(due.conditions.iter().all(|condition| condition.observed_generation == generation));
}

/// Another manager wrote conditions over a status that no controller has written.
#[tokio::test(start_paused = true)]
async fn conditions_without_a_controller_are_not_taken_over() {
    let unwritten = |scene: Scene| TenantPricingStatus { observed_generation: -1, ..status(scene) };
    let mut watched = taken_over_with(Scene::new(), unwritten(Scene::new().stored()));
    assert!(watched.show(&wiped()).is_some());
    assert_eq!(watched.due(), None, "the tenant is read");
    let mut watched = taken_over_with(Scene::new(), unwritten(Scene::new().announced("attempt-1")));
    assert!(watched.show(&wiped()).is_some());
    let due = watched.due().unwrap();
    assert!(due.switch.is_some(), "the open attempt is not forgotten");
    let generations = due.conditions.iter().filter_map(|condition| condition.observed_generation);
    assert!(generations.into_iter().all(|generation| generation >= 0), "the API server accepts it");
}

/// A status with a condition that server-side apply left, because it has another owner as well.
fn with_reconciling(mut status: TenantPricingStatus) -> TenantPricingStatus {
    let mut left = status.conditions[0].clone();
    left.type_ = "Reconciling".to_owned();
    left.observed_generation = Some(0);
    status.conditions.push(left);
    status
}

/// The own status is stored with a condition that was to go, and the answer is lost.
#[tokio::test(start_paused = true)]
async fn an_own_write_is_completed_if_a_condition_is_left() {
    let open = status(Scene::new().announced("attempt-1"));
    for earlier in [status(Scene::new().stored()), open] {
        let mut watched = taken_over_with(Scene::new().edited(), earlier);
        let closed = status(Scene::new().edited().journaled(Phase::Scheduled).stored());
        let wanted = TenantPricingStatus { observed_generation: 2, ..closed };
        watched.own_statuses.expect_status(&watched.key, &wanted);
        // The next reconcile meets the newer object before the watch shows it.
        let repeated = TenantPricingStatus { observed: None, ..wanted.clone() };
        watched.own_statuses.expect_status(&watched.key, &repeated);
        watched.own_statuses.withdraw(&watched.key, &repeated);
        assert!(watched.show(&with_reconciling(wanted.clone())).is_some());
        assert_eq!(watched.due(), Some(wanted.clone()), "the earlier status does not return");
        // The next foreign status comes before that.
        assert!(watched.show(&wiped()).is_some());
        assert_eq!(watched.due(), Some(wanted.clone()));
        watched.write(&wanted);
        assert_eq!(watched.due(), None);
        assert!(watched.own_statuses.inner.lock().written.is_empty(), "nothing is kept of an object at rest");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_without_all_of_the_own_write_is_foreign() {
    let mut watched = Watched::of(Scene::new().stored());
    let own = watched.object.status.clone().unwrap();
    let wanted = TenantPricingStatus { last_handled_reconcile_at: Some("now".to_owned()), ..own.clone() };
    watched.own_statuses.expect_status(&watched.key, &wanted);
    let mut other = with_reconciling(wanted);
    other.observed = None;
    assert!(watched.show(&other).is_some());
    assert_eq!(watched.due(), Some(own));
}

/// A status of the edited object, with this generation.
fn of_generation(generation: i64, scene: Scene) -> TenantPricingStatus {
    TenantPricingStatus { observed_generation: generation, ..status(scene) }
}

#[tokio::test(start_paused = true)]
async fn a_former_leaders_late_status_keeps_its_generation() {
    let before = of_generation(1, Scene::new().stored());
    let after = of_generation(2, Scene::new().journaled(Phase::Scheduled).stored());
    let mut watched = taken_over_with(Scene::new().edited(), before);
    assert!(watched.show(&after).is_some(), "the tenant is read");
    assert_eq!(watched.due(), None, "the generation does not go back");
}

#[tokio::test(start_paused = true)]
async fn a_newer_generation_makes_nothing_be_forgotten() {
    let pinned = of_generation(1, Scene::new().stored());
    let after = of_generation(2, Scene::new().stored());
    let unpinned = TenantPricingStatus { tenant_id: None, ..after.clone() };
    for (before, after) in [
        (of_generation(1, Scene::new().announced("attempt-1")), after.clone()),
        (of_generation(1, in_production()), after.clone()),
        (pinned.clone(), unpinned),
        (pinned.clone(), TenantPricingStatus { observed_generation: 3, ..after }),
        (pinned, TenantPricingStatus { observed_generation: 2, ..wiped() }),
    ] {
        let mut watched = taken_over_with(Scene::new().edited(), before.clone());
        assert!(watched.show(&after).is_some());
        let due = watched.due().unwrap();
        assert_eq!((due.switch, due.tenant_id), (before.switch, before.tenant_id));
        assert_eq!(due.observed, before.observed);
    }
}
