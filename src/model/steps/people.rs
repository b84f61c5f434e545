//! The actions of users, and the API admission with the rules of the CRD itself.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use kube::core::cel::Validator;
use serde_json::Value;

use crate::{
    api::custom_resource_definitions,
    model::{
        Switching,
        faults::Fault,
        state::{History, Object, State},
        statuses::Status,
        steps::Step,
    },
};

/// The schema of a `TenantPricing` in the installed CRD.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = custom_resource_definitions().remove(0);
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.unwrap()).unwrap()
});

impl Switching {
    pub fn by_people(&self, mut next: State, step: Step) -> Option<State> {
        match step {
            Step::Edit(place, spec_mode) => {
                let object = next.object(place)?;
                self.edit(&mut next, place, Object { spec_mode, ..object });
            }
            Step::Suspend(place) => {
                let object = next.object(place)?;
                self.edit(&mut next, place, Object { suspended: !object.suspended, ..object });
            }
            Step::Delete(place) => {
                next.faults.spend(Fault::Deletion);
                self.count_step("delete", "");
                next.stored[usize::from(place)] = None;
            }
            Step::Create(place, spec_mode) => {
                self.count_step("create", "");
                let (uid, status) = (next.created, Status::first());
                next.created += 1;
                next.stored[usize::from(place)] =
                    Some(Object { uid, generation: 1, spec_mode, suspended: false, status });
                next.histories[usize::from(place)] = History::default();
            }
            Step::TurnConnection => {
                next.faults.spend(Fault::Connection);
                self.count_step("connection", "");
                next.connection_is_open = !next.connection_is_open;
            }
            _ => return None,
        }
        Some(next)
    }

    /// Edits an object, if API admission accepts that.
    fn edit(&self, next: &mut State, place: u8, after: Object) {
        next.faults.spend(Fault::Edit);
        let Some(before) = next.object(place) else { return };
        if !self.is_admitted(place, before, after) {
            self.count_step("edit", "refused");
            return;
        }
        self.count_step("edit", "stored");
        next.stored[usize::from(place)] = Some(Object { generation: after.generation + 1, ..after });
    }

    fn is_admitted(&self, place: u8, before: Object, after: Object) -> bool {
        static ANSWERS: LazyLock<Mutex<HashMap<(Object, Object), bool>>> = LazyLock::new(Mutex::default);
        if let Some(known) = ANSWERS.lock().unwrap().get(&(before, after)) {
            return *known;
        }
        let value = |object| serde_json::to_value(self.subject(object, place).get()).unwrap();
        let is_admitted = Validator::new().validate(&SCHEMA, &value(after), Some(&value(before))).is_ok();
        ANSWERS.lock().unwrap().insert((before, after), is_admitted);
        is_admitted
    }
}
