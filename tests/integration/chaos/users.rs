//! Users at work. They retry until the API server has answered, and accept a refusal.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Client, Error,
    api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tenant_pricing_controller::api::{PlatformConnection, RECONCILE_NOW, TenantPricing};

use super::{
    action::{DRILL, Edit, Foreign, MARK, NewObject, Role, Through},
    environment::{TEAMS, connection},
    history::History,
};

/// How long a user waits for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a user repeats a request.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Users {
    client: Client,
    history: Arc<History>,
}

/// The answer to a user's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Yes,
    /// It was refused, or is not there.
    No(u16),
    /// No answer came.
    Nothing,
}

/// The name of an object.
pub fn name(object: usize) -> String {
    format!("object-{object:05}")
}

/// The namespace of an object.
pub fn team(object: usize) -> &'static str {
    TEAMS[object % TEAMS.len()]
}

/// The id of a tenant.
pub fn tenant_id(tenant: usize) -> String {
    format!("7e4a4700-0000-4000-8000-{tenant:012}")
}

/// The name of a tenant; both of two share it where it is to be ambiguous.
pub fn tenant_name(tenant: usize, role: Role) -> String {
    if role == Role::Ambiguous { "Twice GmbH".to_owned() } else { format!("Tenant{tenant:05} GmbH") }
}

impl Users {
    pub fn new(client: Client, history: Arc<History>) -> Self {
        Self { client, history }
    }

    /// Tries until there is an answer. Whether one that was lost was stored, the next try finds out.
    async fn insist<T, F>(&self, what: &str, attempt: impl Fn() -> F) -> Heard
    where
        F: Future<Output = Result<T, Error>>,
    {
        let begun = Instant::now();
        let heard = loop {
            match tokio::time::timeout(ANSWER, attempt()).await {
                Ok(Ok(_)) => break Heard::Yes,
                Ok(Err(Error::Api(error))) if (400..500).contains(&error.code) && error.code != 429 => {
                    break Heard::No(error.code);
                }
                _ if begun.elapsed() > PATIENCE => break Heard::Nothing,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        let took = begun.elapsed().as_secs_f64();
        self.history.say(format!("users: {what}: {heard:?} after {took:.3} s"));
        heard
    }

    pub async fn create_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let parameters = PostParams::default();
        self.insist(name, || api.create(&parameters, &object)).await;
    }

    /// The Secret of the usual name, with these values or not at all.
    pub async fn secret(&self, namespace: &str, values: Option<&Value>) -> Heard {
        self.secret_named(namespace, "platform", values).await
    }

    pub async fn secret_named(&self, namespace: &str, name: &str, values: Option<&Value>) -> Heard {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("Secret {namespace}/{name}");
        let Some(values) = values else {
            let parameters = DeleteParams::default();
            return self.insist(&what, || api.delete(name, &parameters)).await;
        };
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values,
        });
        let parameters = PatchParams::apply("users").force();
        let patch = Patch::Apply(&secret);
        self.insist(&what, || api.patch(name, &parameters, &patch)).await
    }

    pub async fn create_connection(&self, namespace: &str, name: &str, spec: &Value) {
        let resource = ApiResource::erase::<PlatformConnection>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let (what, parameters) = (format!("create {namespace}/{name}"), PostParams::default());
        let heard = self.insist(&what, || api.create(&parameters, &object)).await;
        assert_eq!(heard, Heard::Yes, "{namespace}/{name}: {spec:#}");
    }

    pub async fn edit_connection(&self, namespace: &str, name: &str, spec: &Value) -> Heard {
        let api: Api<PlatformConnection> = Api::namespaced(self.client.clone(), namespace);
        let (patch, parameters) = (Patch::Merge(json!({"spec": spec})), PatchParams::default());
        let what = format!("connection {namespace}/{name} {spec}");
        self.insist(&what, || api.patch(name, &parameters, &patch)).await
    }

    pub async fn create(&self, new: &NewObject) -> Heard {
        let resource = ApiResource::erase::<TenantPricing>(&());
        let object = DynamicObject::new(&name(new.object), &resource).data(json!({"spec": spec(new)}));
        let api = self.objects(team(new.object));
        let what = format!("create {}", name(new.object));
        let parameters = PostParams::default();
        let heard = self.insist(&what, || api.create(&parameters, &object)).await;
        // An answer may have been lost.
        if heard == Heard::No(409) { Heard::Yes } else { heard }
    }

    pub async fn delete(&self, object: usize) -> Heard {
        let api = self.objects(team(object));
        let (name, parameters) = (name(object), DeleteParams::default());
        self.insist(&format!("delete {name}"), || api.delete(&name, &parameters)).await
    }

    pub async fn edit(&self, object: usize, edit: Edit) -> Heard {
        let api = self.objects(team(object));
        let (name, patch, parameters) =
            (name(object), Patch::Merge(patch(object, edit)), PatchParams::default());
        self.insist(&format!("edit {name} {edit:?}"), || api.patch(&name, &parameters, &patch)).await
    }

    /// Writes a status as another program does, over the version that it has just read.
    pub async fn write_foreign(&self, object: usize, write: Foreign, number: u32) -> Heard {
        let (api, name) = (self.objects(team(object)), name(object));
        let parameters = PatchParams { field_manager: Some("foreign".into()), ..PatchParams::default() };
        self.insist(&format!("foreign status of {name} {write:?}"), || async {
            let stored = api.get(&name).await?;
            let patch = Patch::Merge(foreign(&stored, write, &format!("foreign {number}")));
            api.patch_status(&name, &parameters, &patch).await
        })
        .await
    }

    /// All objects and all connections, as they are stored now.
    ///
    /// # Errors
    /// The API server did not answer.
    pub async fn read_all(&self) -> Result<(Vec<TenantPricing>, Vec<PlatformConnection>), Error> {
        let objects: Api<TenantPricing> = Api::all(self.client.clone());
        let connections: Api<PlatformConnection> = Api::all(self.client.clone());
        let objects = objects.list(&ListParams::default()).await?.items;
        Ok((objects, connections.list(&ListParams::default()).await?.items))
    }

    fn objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<TenantPricing>(&()))
    }
}

fn spec(new: &NewObject) -> Value {
    let mut spec = json!({"connectionRef": reference(new.through, team(new.object))});
    spec["tenant"] = if new.by_name {
        json!({"name": tenant_name(new.tenant, new.role)})
    } else {
        json!({"id": tenant_id(new.tenant)})
    };
    match new.role {
        Role::Observed => {}
        Role::Trial => spec["mode"] = json!("trial"),
        _ => spec["mode"] = json!("production"),
    }
    if new.role == Role::MonthStart {
        spec["switch"] = json!({"at": "MonthStart"});
    }
    spec
}

/// What another program makes of a status.
///
/// An open journal and a proof of production stay. A process that is killed at once has no other record of them: then
/// two requests may meet, and one takes effect. Here no two may. A completed journal goes: the proof stays beside it.
fn foreign(stored: &DynamicObject, write: Foreign, message: &str) -> Value {
    let status = &stored.data["status"];
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != MARK);
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        })
    };
    let proves_nothing = status["switch"].is_null() && status["observed"]["mode"] == "trial";
    let is_stalled = conditions.iter().any(|condition| condition["type"] == "Stalled");
    let mut fields = json!({});
    match write {
        Foreign::Wipe if proves_nothing => {
            conditions.clear();
            fields = json!({
                "observed": null, "tenantId": null, "lastHandledReconcileAt": null, "observedGeneration": -1,
            });
        }
        Foreign::Restore if proves_nothing => {
            let ready = condition("Ready", "True", "SwitchScheduled");
            conditions = vec![ready, condition("Production", "False", "Trial")];
        }
        Foreign::Wipe if status["switch"]["phase"] == "Completed" => fields = json!({"switch": null}),
        Foreign::Stall if !is_stalled => conditions.push(condition("Stalled", "True", DRILL)),
        _ => conditions.iter_mut().for_each(|condition| condition["message"] = json!(message)),
    }
    conditions.push(condition(MARK, "True", "Marked"));
    fields["conditions"] = json!(conditions);
    json!({"metadata": {"resourceVersion": stored.metadata.resource_version}, "status": fields})
}

fn reference(through: Through, team: &str) -> Value {
    let (namespace, name) = connection(through, team);
    json!({"namespace": namespace, "name": name})
}

fn patch(object: usize, edit: Edit) -> Value {
    let spec = match edit {
        Edit::Production => json!({"mode": "production"}),
        Edit::Trial => json!({"mode": "trial"}),
        Edit::Observe => json!({"mode": null}),
        Edit::Suspend => json!({"suspend": true}),
        Edit::Resume => json!({"suspend": false}),
        Edit::NextMonth => json!({"switch": {"at": "MonthStart"}}),
        Edit::Later => json!({"switch": {"notBefore": "2027-06-01T00:00:00Z"}}),
        Edit::Immediately => json!({"switch": null}),
        Edit::Reconnect(through) => json!({"connectionRef": reference(through, team(object))}),
        Edit::ReconcileNow => {
            let value = format!("{:?}", Instant::now());
            return json!({"metadata": {"annotations": {RECONCILE_NOW: value}}});
        }
    };
    json!({"spec": spec})
}
