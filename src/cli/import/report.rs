//! What an import did, in words. Pure.

use std::path::Path;

use super::{changes::Changes, existing::Entry, folder::Written, target::Target};
use crate::{
    cli::output::escape,
    platform::{Mode, TenantId},
};

/// The most names of tenants that cannot be understood.
const MAX_NAMES: usize = 10;

/// Everything that is reported.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Where the manifests went, as `--output` has it.
    pub output: &'a Path,
    /// What that is.
    pub target: &'a Target,
    /// What was compared.
    pub changes: &'a Changes<'a>,
    /// The tenants that are gone, each with its manifest.
    pub gone: Vec<(&'a TenantId, &'a Entry)>,
    /// What was written.
    pub written: Written,
    /// The readable names of the tenants that cannot be understood, and the number of all.
    pub unreadable: (&'a [String], usize),
    /// Whether the mode is pinned.
    pub pins_mode: bool,
}

impl Report<'_> {
    /// Whether something was left out that should have been written.
    pub(crate) fn has_errors(&self) -> bool {
        !self.written.refused.is_empty() || self.unreadable.1 > 0
    }

    /// The lines, the summary last.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for renamed in &self.changes.renamed {
            lines.push(format!(
                "renamed: {}: tenant {} was {} and is {} now. File and object keep their names.",
                self.shown(renamed.entry),
                renamed.tenant,
                quoted(renamed.before),
                quoted(renamed.now)
            ));
        }
        for (id, entry) in &self.gone {
            let name = entry.recorded_name.as_deref().map(|name| format!(" ({})", quoted(name)));
            lines.push(format!(
                "gone: {}: tenant {id}{} is no longer listed. The file is kept. Remove it if the tenant is deleted; \
                 that changes nothing on the platform.",
                self.shown(entry),
                name.unwrap_or_default()
            ));
        }
        if let Some((path, unlisted)) = &self.written.unlisted {
            lines.push(format!(
                "note: {} was not written by this program, or was edited. Add to its resources: {}",
                escape::path(path),
                unlisted.join(", ")
            ));
        }
        if self.written.has_no_list {
            lines.push(
                "note: the folder had manifests before, so it gets no kustomization.yaml: Flux and Argo CD would then \
                 leave those out."
                    .to_owned(),
            );
        }
        let is_unpinned = |mode: &Mode| matches!(mode, Mode::Suspended | Mode::Other(_));
        let unpinned = self.changes.new.iter().filter(|(_, tenant)| is_unpinned(&tenant.mode)).count();
        if self.pins_mode && unpinned > 0 {
            lines.push(format!(
                "note: in suspended or unknown mode: {unpinned}. These manifests have no mode, and only observe."
            ));
        }
        for (path, id) in &self.written.refused {
            lines.push(format!(
                "error: {} is in the way of tenant {id}, and is no manifest of it. Move it, and run the command again.",
                escape::path(path)
            ));
        }
        if self.unreadable.1 > 0 {
            let names: Vec<String> =
                self.unreadable.0.iter().take(MAX_NAMES).map(|name| quoted(name)).collect();
            let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
            let (count, verb, whom) = match self.unreadable.1 {
                1 => ("1 tenant".to_owned(), "is", "it"),
                count => (format!("{count} tenants"), "are", "them"),
            };
            lines.push(format!(
                "error: {count} {verb} left out: what the platform says about {whom} cannot be understood{names}. What \
                 is gone is not reported."
            ));
        }
        lines.push(self.summary());
        lines.iter().map(|line| escape::terminal(line)).collect()
    }

    /// The file of a manifest, as a person finds it.
    fn shown(&self, entry: &Entry) -> String {
        match self.target {
            Target::Folder(folder) => escape::path(&folder.join(&entry.file)),
            Target::File(_) | Target::StandardOutput => escape::path(self.output),
        }
    }

    fn summary(&self) -> String {
        let counts = [
            (self.changes.kept, "unchanged"),
            (self.changes.renamed.len(), "renamed"),
            (self.gone.len(), "gone"),
            (self.written.refused.len(), "refused"),
        ];
        let mut summary = format!("{}: {} written", escape::path(self.output), self.written.count);
        for (count, word) in counts {
            if count > 0 {
                summary = format!("{summary}, {count} {word}");
            }
        }
        summary + "."
    }
}

/// A name in quotes, on one line.
fn quoted(name: &str) -> String {
    format!("\"{}\"", escape::terminal(name))
}
