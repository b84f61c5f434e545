//! What the policies of the chart's `switchAuthorization` add to a write.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Measured, accounts,
    api_server::ApiServer,
    bench::Bench,
    fleet::{Fleet, PATIENCE},
    manifests,
    measurements::{Amount, Measurement, Samples},
};

/// How many edits are measured in a row.
const EDITS: usize = 250;
/// How often the policies are installed and removed again, so that a slow minute of the machine hurts both sides.
const ROUNDS: usize = 4;
/// May edit and has the verb `switch`.
const SWITCHER: &str = "switcher";
/// May edit, and is refused where the policies are in force.
const EDITOR: &str = "editor";

/// The edit of a waiting object for which the policies have the most to do: it needs the verb, and the user has it.
pub async fn policies(bench: &mut Bench) -> Measured<()> {
    bench.end_controller().await?;
    let fleet = &bench.fleet;
    let number = fleet.next_tenant()?;
    let path = manifests::path(&manifests::object_name(number));
    fleet.admin().create(manifests::FLEET, &manifests::tenant_pricing(number, "production")).await?;
    let policies = rendered(fleet).await?;
    fleet.run("kubectl", &["apply", "-f", "-"], &users().to_string()).await?;
    let (switcher, editor) = (fleet.user(SWITCHER).await?, fleet.user(EDITOR).await?);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        until(&editor, &path, true).await?;
        edit(&switcher, &path, &mut without).await?;
        fleet.run("kubectl", &["apply", "-f", "-"], &policies).await?;
        until(&editor, &path, false).await?;
        edit(&switcher, &path, &mut with).await?;
        fleet.run("kubectl", &["delete", "-f", "-"], &policies).await?;
    }
    fleet.run("kubectl", &["delete", "-f", "-"], &users().to_string()).await?;
    fleet.admin().delete(&path).await?;

    let (without, with) = (Samples::new(without), Samples::new(with));
    let added = |percent| {
        let (with, without) = (with.percentile(percent), without.percentile(percent));
        (Amount::milliseconds(with.saturating_sub(without)), format!("{with:.1?} instead of {without:.1?}"))
    };
    let ((median, of_median), (tail, of_tail)) = (added(50), added(99));
    bench.add(Measurement::shown("policies: added to a write, p50", median).note(of_median));
    bench.add(Measurement::at_most("policies: added to a write, p99", tail, 2.0, "≤ 2 ms").note(of_tail));
    Ok(())
}

/// The policies, as the chart installs them.
async fn rendered(fleet: &Fleet) -> Measured<String> {
    let template = ["template", accounts::RELEASE, accounts::CHART, "--namespace", accounts::SYSTEM];
    let only =
        ["--set", "switchAuthorization.enabled=true", "--show-only", "templates/switchauthorization.yaml"];
    fleet.run("helm", &[&template[..], &only[..]].concat(), "").await
}

/// The two users, who may edit, and of whom one has the verb.
fn users() -> Value {
    let role = |name: &str, verbs: &[&str], users: &[&str]| {
        let metadata = json!({"name": name, "namespace": manifests::NAMESPACE});
        let subject =
            |user: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
        let subjects: Vec<Value> = users.iter().map(subject).collect();
        let rule =
            json!({"apiGroups": ["tenantpricing.io"], "resources": ["tenantpricings"], "verbs": verbs});
        [
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": subjects}),
        ]
    };
    let items = [
        role("bench-edit", &["get", "patch"], &[EDITOR, SWITCHER]),
        role("bench-switch", &["switch"], &[SWITCHER]),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items.as_flattened()})
}

/// An edit that moves the switch, each time to another day.
fn moved(day: usize) -> Value {
    json!({"spec": {"switch": {"notBefore": format!("2100-05-{:02}T00:00:00Z", 1 + day % 28)}}})
}

/// Waits until the editor's edit is let through, or refused.
async fn until(editor: &ApiServer, path: &str, admitted: bool) -> Measured<()> {
    let started = Instant::now();
    while editor.merge(&format!("{path}?dryRun=All"), &moved(0)).await.is_ok() != admitted {
        if started.elapsed() > PATIENCE {
            return Err(format!("the edit is not {}", if admitted { "admitted" } else { "refused" }).into());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Edits one after another, and adds how long each took.
async fn edit(user: &ApiServer, path: &str, samples: &mut Vec<Duration>) -> Measured<()> {
    for day in 1..=EDITS {
        let (edit, started) = (moved(day), Instant::now());
        user.merge(path, &edit).await?;
        samples.push(started.elapsed());
    }
    Ok(())
}
