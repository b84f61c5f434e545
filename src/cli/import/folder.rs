//! A folder with one manifest a file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    NewManifest, WriteError, Writing,
    existing::Existing,
    files::{self, FolderLock},
    kustomization::{self, Found},
    listing::{Listed, Listing},
    names::Names,
};
use crate::{cli::output::progress::Progress, platform::TenantId};

/// The name of a file without its ending that Kustomize claims for itself.
const KUSTOMIZATION: &str = "kustomization";

/// What was done in a folder.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// How many manifests were written.
    pub count: usize,
    /// The places that something else has.
    pub refused: Vec<(PathBuf, TenantId)>,
    /// The list of somebody else, and the new files that are missing in it.
    pub unlisted: Option<(PathBuf, Vec<String>)>,
    /// Whether the folder gets no list, because it had manifests and no list before.
    pub has_no_list: bool,
}

/// The names of the objects of new tenants, in their order.
pub(crate) fn object_names(existing: &Existing, new: &[(&TenantId, &Listed)]) -> Vec<String> {
    let mut names = Names::default();
    names.take(KUSTOMIZATION);
    for name in &existing.objects {
        names.take(name);
    }
    for stem in existing.files.iter().filter_map(|file| file.file_stem()) {
        names.take(stem.to_string_lossy());
    }
    let tenants: Vec<(&TenantId, &str)> = new.iter().map(|(id, tenant)| (*id, &*tenant.name)).collect();
    names.assign(&tenants)
}

/// The subfolder of each parent tenant of the new ones. A parent whose customers have a folder already keeps it.
pub(crate) fn group_folders(
    folder: &Path,
    existing: &Existing,
    listing: &Listing,
    new: &[(&TenantId, &Listed)],
) -> HashMap<TenantId, String> {
    let parent_of = |tenant: &Listed| tenant.parent.clone().unwrap_or_else(|| listing.root().clone());
    let mut known: HashMap<TenantId, String> = HashMap::new();
    for (id, entry) in &existing.by_id {
        let parts: Vec<_> = entry.file.iter().collect();
        if let (Some(tenant), [group, _]) = (listing.get(id), parts.as_slice()) {
            known.entry(parent_of(tenant)).or_insert_with(|| group.to_string_lossy().into_owned());
        }
    }
    let parents: BTreeSet<TenantId> = new
        .iter()
        .map(|(_, tenant)| parent_of(tenant))
        .filter(|parent| !known.contains_key(parent))
        .collect();
    let tenants: Vec<(&TenantId, &str)> = parents
        .iter()
        .map(|parent| (parent, listing.get(parent).map_or("", |tenant| &*tenant.name)))
        .collect();
    let mut names = Names::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_empty_folder = fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
        if !is_empty_folder {
            names.take(entry.file_name().to_string_lossy());
        }
    }
    for name in known.values() {
        names.take(name);
    }
    let assigned = names.assign(&tenants);
    known.extend(parents.iter().cloned().zip(assigned));
    known
}

/// Writes the new manifests and the list of Kustomize.
///
/// # Errors
/// The operating system refuses, or the person stops the command. What was written is whole, and the next run goes on.
pub(crate) fn write(
    folder: &Path,
    existing: &Existing,
    manifests: &[NewManifest<'_>],
    writing: &Writing<'_>,
) -> Result<Written, WriteError> {
    let failed = |path: &Path, count: usize| {
        let path = path.to_owned();
        move |error: io::Error| WriteError::Io { path, error, written: count, of: manifests.len() }
    };
    let mut written = Written::default();
    let found = kustomization::find(folder).map_err(failed(folder, 0))?;
    if manifests.is_empty() && !folder.exists() {
        return Ok(written);
    }
    fs::create_dir_all(folder).map_err(failed(folder, 0))?;
    let _lock = FolderLock::take(folder)?;
    files::remove_drafts(folder).map_err(failed(folder, 0))?;
    let mut places: BTreeMap<PathBuf, &NewManifest<'_>> = BTreeMap::new();
    for manifest in manifests {
        let place = manifest.place();
        let group = place.parent().filter(|group| !group.as_os_str().is_empty());
        let is_odd = |group: &Path| {
            let metadata = fs::symlink_metadata(folder.join(group));
            metadata.is_ok_and(|metadata| !metadata.is_dir())
        };
        if files::is_there(&folder.join(&place)) {
            written.refused.push((folder.join(&place), manifest.tenant.clone()));
        } else if let Some(group) = group.filter(|group| is_odd(group)) {
            written.refused.push((folder.join(group), manifest.tenant.clone()));
        } else {
            places.insert(place, manifest);
        }
    }
    let list = next_list(folder, existing, &found, places.keys());
    written.has_no_list = matches!(found, Found::Absent) && list.is_none() && !places.is_empty();
    if let Some(list) = list.as_ref().filter(|_| !places.is_empty()) {
        kustomization::prepare(folder, list).map_err(failed(folder, 0))?;
    }
    let progress = Progress::of(places.len(), "Writing");
    for (place, manifest) in &places {
        if writing.is_stopped() {
            return Err(WriteError::Stopped { written: written.count, of: manifests.len() });
        }
        let path = folder.join(place);
        if let Some(group) = path.parent() {
            fs::create_dir_all(group).map_err(failed(group, written.count))?;
        }
        let text = writing.manifest(manifest)?;
        files::create(folder, &path, &text).map_err(failed(&path, written.count))?;
        written.count += 1;
        progress.add(1);
    }
    kustomization::complete(folder, &found, list.as_ref())
        .map_err(failed(&folder.join(kustomization::FILE), written.count))?;
    if let Found::Foreign(path, listed) = found {
        let new = places.keys().map(|place| resource(place));
        let unlisted: Vec<String> = new.filter(|name| !listed.contains(name)).collect();
        written.unlisted = Some((path, unlisted)).filter(|(_, unlisted)| !unlisted.is_empty());
    }
    Ok(written)
}

/// The next list of Kustomize. `None` if the folder gets none: a list would leave out what is there already.
///
/// A line that a person took out does not return, and a file that is gone leaves the list.
fn next_list<'a>(
    folder: &Path,
    existing: &Existing,
    found: &Found,
    new: impl Iterator<Item = &'a PathBuf>,
) -> Option<BTreeSet<String>> {
    let pending = kustomization::pending(folder);
    let has_manifests = !(existing.files.is_empty() && existing.others.is_empty());
    let mut list: BTreeSet<String> = match found {
        Found::Foreign(..) => return None,
        Found::Absent if has_manifests && pending.is_empty() => return None,
        Found::Absent => pending,
        Found::Own(list) => list.union(&pending).cloned().collect(),
    };
    list.retain(|name| files::is_there(&folder.join(name)));
    list.extend(new.map(|place| resource(place)));
    Some(list)
}

/// A path as Kustomize writes it.
fn resource(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}
