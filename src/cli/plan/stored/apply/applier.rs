//! Which tool applies the manifests of an object, as far as the object tells. Pure.
//!
//! A tool that uses server-side apply is known by its managed fields, and one that uses client-side apply by its
//! annotation.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{get, leaves, parts};

/// The annotation of client-side apply: the manifest that was applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The managers that own fields by `Update` although they apply manifests: Helm 3, also in Flux's helm-controller.
const HELM: [&str; 2] = ["helm", "helm-controller"];

/// The manager of Flux's kustomize-controller.
const FLUX: &str = "kustomize-controller";

/// The managers whose fields Flux takes over, by the beginning of their names. See [`is_taken_over`].
const TAKEN_OVER: [&str; 3] = ["kubectl", "before-first-apply", FLUX];

/// The label or annotation by which Flux leaves the fields of others. Its value is [`MERGE`].
const FLUX_SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
const MERGE: &str = "Merge";

/// Who applies the manifests of an object.
pub(super) enum Applier {
    /// A tool with server-side apply. It removes what only these entries of the managed fields own.
    Owner(BTreeSet<usize>),
    /// Helm 3. It sends the difference between the manifests of two releases, and never reads a custom resource. So
    /// it leaves what a person changed, unless the new release changes that field, too. This entry of the managed
    /// fields shows what it set last, if one does.
    // `createPatch` in `pkg/kube/client.go` of helm.sh/helm/v3: `jsonpatch.CreateMergePatch(oldData, newData)`.
    Releases(Option<usize>),
    /// A tool with client-side apply. It removes what its last manifest had.
    LastApplied(Value),
    /// It is not known. It sets everything that the manifest has.
    Unknown,
}

/// The fields that one manager owns.
pub(super) struct Managed<'a> {
    /// The name of the manager.
    pub manager: &'a str,
    operation: &'a str,
    fields: &'a Value,
}

impl Managed<'_> {
    /// Whether the manager owns a field. The owner of a whole object owns its fields.
    pub(super) fn owns(&self, path: &[String]) -> bool {
        (2..path.len()).any(|length| self.owns_whole(&path[..length]))
            || get(self.fields, &parts(path), "f:").is_some()
    }

    /// Whether the manager owns the value at a path as a whole.
    pub(super) fn owns_whole(&self, path: &[String]) -> bool {
        matches!(get(self.fields, &parts(path), "f:"), Some(Value::Object(inner)) if inner.is_empty())
    }

    fn is_helm(&self) -> bool {
        self.operation == "Update" && HELM.contains(&self.manager)
    }

    fn is_flux(&self) -> bool {
        self.operation == "Apply" && self.manager == FLUX
    }
}

/// The entries of the managed fields, except for those of the status.
pub(super) fn managed(stored: &Value) -> Vec<Managed<'_>> {
    let entries = stored.pointer("/metadata/managedFields").and_then(Value::as_array);
    let entries =
        entries.into_iter().flatten().filter(|entry| entry["subresource"].as_str().is_none_or(str::is_empty));
    entries
        .map(|entry| Managed {
            manager: text(&entry["manager"]),
            operation: text(&entry["operation"]),
            fields: &entry["fieldsV1"],
        })
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The tool that applies the manifest. Of several that apply parts of the object, it is the one that owns most of what
/// the manifest has.
pub(super) fn of(stored: &Value, manifest: &Value, managed: &[Managed<'_>]) -> Applier {
    let fields = leaves(&manifest["spec"], &["spec".to_owned()]);
    let count = |entry: &Managed<'_>| fields.iter().filter(|field| entry.owns(field)).count();
    let appliers =
        managed.iter().enumerate().filter(|(_, entry)| entry.operation == "Apply" || entry.is_helm());
    let counts = appliers.map(|(at, entry)| (count(entry), at)).filter(|(count, _)| *count > 0);
    let counts: Vec<(usize, usize)> = counts.collect();
    if let Some(most) = counts.iter().map(|(count, _)| *count).max() {
        let first: Vec<usize> =
            counts.iter().filter(|(count, _)| *count == most).map(|(_, at)| *at).collect();
        return match first.as_slice() {
            [one] if managed[*one].is_helm() => Applier::Releases(Some(*one)),
            [one] => Applier::Owner(own(*one, stored, manifest, managed)),
            several if several.iter().any(|at| managed[*at].is_helm()) => Applier::Releases(None),
            _ => Applier::Unknown,
        };
    }
    let last =
        stored.pointer("/metadata/annotations").and_then(|annotations| annotations[LAST_APPLIED].as_str());
    match last.and_then(|text| serde_json::from_str(text).ok()) {
        Some(manifest) => Applier::LastApplied(manifest),
        None => Applier::Unknown,
    }
}

/// The entries of the managed fields that count as those of an applier.
fn own(applier: usize, stored: &Value, manifest: &Value, managed: &[Managed<'_>]) -> BTreeSet<usize> {
    let takes_over =
        managed[applier].is_flux() && ![stored, manifest].into_iter().any(leaves_fields_of_others);
    let taken = managed.iter().enumerate().filter(|(_, entry)| takes_over && is_taken_over(entry));
    taken.map(|(at, _)| at).chain([applier]).collect()
}

/// Whether Flux makes the fields of a manager its own. Those that its manifest lacks go then.
///
/// Before each apply, kustomize-controller merges the entries of these managers into its own entry. It applies then
/// even if nothing differs.
// `fieldManagers` in `internal/controller/kustomization_controller.go` of fluxcd/kustomize-controller, and
// `PatchReplaceFieldsManagers` in `ssa/patch.go` of fluxcd/pkg. Both compare the beginnings of names.
fn is_taken_over(entry: &Managed<'_>) -> bool {
    let is_operation =
        entry.operation == "Update" || (entry.operation == "Apply" && entry.manager.starts_with("kubectl"));
    is_operation && TAKEN_OVER.iter().any(|beginning| entry.manager.starts_with(beginning))
}

/// Whether an object tells Flux to leave the fields of others.
// `AnyInMetadata` in `ssa/utils/meta.go` of fluxcd/pkg compares without regard to case.
fn leaves_fields_of_others(object: &Value) -> bool {
    ["labels", "annotations"].into_iter().any(|kind| {
        object["metadata"][kind][FLUX_SSA].as_str().is_some_and(|value| value.eq_ignore_ascii_case(MERGE))
    })
}
