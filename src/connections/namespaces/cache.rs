//! The cache of namespaces, and how it changes. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// The cached state of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The namespace has these labels.
    Labelled(Labels),
    /// The namespace was read and does not exist.
    Absent,
}

/// Labels as one text: there may be ten thousand namespaces, and most are never needed. Neither keys nor values can
/// contain a line break or an equals sign; the API server guarantees that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(Box<str>);

impl Labels {
    pub(super) fn of(labels: &BTreeMap<String, String>) -> Self {
        let lines: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Self(lines.join("\n").into())
    }

    pub(super) fn to_map(&self) -> BTreeMap<String, String> {
        let pairs = self.0.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// The cached state of all namespaces.
#[derive(Debug, Default)]
pub(super) struct NamespaceCache {
    /// Whether namespaces are read one by one. Then only requested ones are known.
    by_reads: bool,
    found: HashMap<Arc<str>, Found>,
    /// The requested namespaces. Their changes are reported.
    asked: HashSet<Arc<str>>,
    /// The namespaces whose last read failed.
    unread: HashSet<Arc<str>>,
    /// The list in progress.
    listed: HashMap<Arc<str>, Found>,
    /// The namespaces that are being deleted. Deletion cannot be cancelled.
    terminating: HashSet<Arc<str>>,
    /// The namespaces of the list in progress that are being deleted.
    listed_terminating: HashSet<Arc<str>>,
    /// A watch has delivered all namespaces, and goes on.
    watched: bool,
}

impl NamespaceCache {
    /// The state of a namespace. A watch that does not show it may lag: then nothing is known.
    pub(super) fn ask(&mut self, namespace: &str) -> Option<&Found> {
        if !self.asked.contains(namespace) {
            self.asked.insert(namespace.into());
        }
        self.found.get(namespace)
    }

    /// Whether a namespace must be read before its state is known. One whose read failed waits for the next interval.
    pub(super) fn is_to_be_read(&self, namespace: &str) -> bool {
        self.by_reads && !self.found.contains_key(namespace) && !self.unread.contains(namespace)
    }

    /// All requested namespaces, for the next interval.
    pub(super) fn all_to_read(&mut self) -> Vec<Arc<str>> {
        self.unread.clear();
        self.asked.iter().cloned().collect()
    }

    /// The requested namespaces that are not known yet.
    pub(super) fn new_to_read(&self) -> Vec<Arc<str>> {
        self.asked.iter().filter(|namespace| self.is_to_be_read(namespace)).cloned().collect()
    }

    /// Records the start of a list.
    pub(super) fn begin_list(&mut self) {
        self.listed = HashMap::new();
        self.listed_terminating = HashSet::new();
    }

    /// Records a namespace of a list in progress.
    pub(super) fn list(&mut self, namespace: &str, labels: Labels) {
        self.listed.insert(namespace.into(), Found::Labelled(labels));
    }

    /// Records the end of a list, which is now the state. Returns the requested namespaces that have changed.
    pub(super) fn end_list(&mut self) -> Vec<Arc<str>> {
        let before = std::mem::replace(&mut self.found, std::mem::take(&mut self.listed));
        self.terminating = std::mem::take(&mut self.listed_terminating);
        self.by_reads = false;
        self.watched = true;
        let differs = |namespace: &&Arc<str>| self.found.get(*namespace) != before.get(*namespace);
        self.asked.iter().filter(differs).cloned().collect()
    }

    /// Switches to reading namespaces one by one. Namespaces that were not requested are dropped, because nothing would
    /// update them.
    pub(super) fn read_from_now_on(&mut self) {
        self.by_reads = true;
        self.watched = false;
        let asked = &self.asked;
        self.found.retain(|namespace, _| asked.contains(namespace));
    }

    /// Records the state of a namespace. Returns the namespace if it was requested and has changed.
    pub(super) fn record(&mut self, namespace: &str, found: Found) -> Option<Arc<str>> {
        if self.found.get(namespace) == Some(&found) {
            return None;
        }
        if found == Found::Absent && !self.by_reads {
            // Nothing would ever remove an entry that a watch delivered.
            self.found.remove(namespace);
        } else {
            self.found.insert(namespace.into(), found);
        }
        self.asked.get(namespace).cloned()
    }

    /// Records that a read failed.
    pub(super) fn not_read(&mut self, namespace: &Arc<str>) {
        self.unread.insert(Arc::clone(namespace));
    }

    /// Forgets a namespace that may no longer be read, because its state would become stale.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.found.remove(namespace);
    }

    /// Records a namespace that is being deleted, from a list in progress.
    pub(super) fn list_terminating(&mut self, namespace: &str) {
        self.listed_terminating.insert(namespace.into());
    }

    /// Records that a namespace is being deleted.
    pub(super) fn begin_termination(&mut self, namespace: &str) {
        self.terminating.insert(namespace.into());
    }

    /// Records that a namespace is gone. A later one of the same name is a new one.
    pub(super) fn end_termination(&mut self, namespace: &str) {
        self.terminating.remove(namespace);
    }

    /// Records whether a read shows that a namespace is being deleted. A watch decides alone, because a read may arrive
    /// late.
    pub(super) fn read_termination(&mut self, namespace: &str, terminates: bool) {
        if self.watched {
            return;
        }
        if terminates {
            self.begin_termination(namespace);
            // It is read again until it is gone: the next namespace of that name is a new one.
            self.asked.insert(namespace.into());
        } else {
            self.end_termination(namespace);
        }
    }

    /// Whether a namespace is being deleted, as far as is known.
    pub(super) fn is_terminating(&self, namespace: &str) -> bool {
        self.terminating.contains(namespace)
    }

    /// Whether a watch keeps the cache up to date.
    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Labels::of(&pairs.collect())
    }

    fn labelled(pairs: &[(&str, &str)]) -> Found {
        Found::Labelled(labels(pairs))
    }

    fn listed(known: &mut NamespaceCache, namespaces: &[(&str, &[(&str, &str)])]) -> Vec<String> {
        known.begin_list();
        for (name, pairs) in namespaces {
            known.list(name, labels(pairs));
        }
        let mut changed: Vec<String> = known.end_list().iter().map(ToString::to_string).collect();
        changed.sort();
        changed
    }

    #[test]
    fn labels_are_what_they_were() {
        for pairs in [&[][..], &[("a", "")], &[("example.com/a", "b_c.d"), ("team", "x")]] {
            let map: BTreeMap<String, String> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            assert_eq!(Labels::of(&map).to_map(), map);
        }
    }

    #[test]
    fn only_changes_of_requested_namespaces_are_reported() {
        let mut known = NamespaceCache::default();
        assert_eq!(known.ask("a"), None);
        assert_eq!(known.ask("gone"), None);
        assert_eq!(listed(&mut known, &[("a", &[("x", "1")]), ("b", &[])]), ["a"], "known now");
        assert_eq!(known.ask("a"), Some(&labelled(&[("x", "1")])));
        assert_eq!(known.ask("gone"), None, "the watch may be behind");
        assert_eq!(known.record("a", labelled(&[("x", "1")])), None, "an annotation changes nothing");
        assert_eq!(known.record("b", labelled(&[("x", "1")])), None, "not requested");
        assert_eq!(known.record("a", labelled(&[("x", "2")])).as_deref(), Some("a"));
        assert_eq!(known.record("a", Found::Absent).as_deref(), Some("a"));
        assert_eq!(known.ask("a"), None);
        assert_eq!(known.record("gone", labelled(&[])).as_deref(), Some("gone"));
    }

    #[test]
    fn a_list_after_an_interruption_shows_the_missed_changes() {
        let mut known = NamespaceCache::default();
        for name in ["same", "changed", "gone", "new"] {
            known.ask(name);
        }
        listed(&mut known, &[("same", &[("x", "1")]), ("changed", &[]), ("gone", &[])]);
        let after: [(&str, &[(&str, &str)]); 3] =
            [("same", &[("x", "1")]), ("changed", &[("x", "1")]), ("new", &[])];
        assert_eq!(listed(&mut known, &after), ["changed", "gone", "new"]);
    }

    #[test]
    fn an_incomplete_list_changes_nothing() {
        let mut known = NamespaceCache::default();
        known.ask("a");
        listed(&mut known, &[("a", &[("x", "1")])]);
        known.begin_list();
        assert_eq!(known.ask("a"), Some(&labelled(&[("x", "1")])));
        assert_eq!(listed(&mut known, &[("a", &[("x", "1")])]), [""; 0]);
    }

    #[test]
    fn a_terminating_namespace_is_known_until_it_is_gone() {
        let mut known = NamespaceCache::default();
        assert!(!known.is_watched());
        known.begin_list();
        known.list("a", Labels::default());
        known.list_terminating("a");
        assert!(!known.is_terminating("a"), "the list is not complete");
        known.end_list();
        assert!(known.is_watched() && known.is_terminating("a") && !known.is_terminating("b"));
        known.begin_termination("b");
        known.end_termination("a");
        assert!(!known.is_terminating("a") && known.is_terminating("b"));
        known.begin_list();
        known.end_list();
        assert!(!known.is_terminating("b"), "it went while no watch said so");
        known.read_from_now_on();
        assert!(!known.is_watched());
    }

    #[test]
    fn a_termination_that_was_read_is_read_again_until_its_end() {
        let mut known = NamespaceCache::default();
        known.read_from_now_on();
        known.read_termination("a", true);
        assert!(known.is_terminating("a"));
        assert_eq!(known.all_to_read(), ["a".into()]);
        known.read_termination("a", false);
        assert!(!known.is_terminating("a"), "another namespace of that name");
        known.begin_list();
        known.list_terminating("a");
        known.end_list();
        known.read_termination("a", false);
        assert!(known.is_terminating("a"), "the watch knows better than a late read");
    }

    #[test]
    fn without_a_watch_the_requested_namespaces_are_read() {
        let mut known = NamespaceCache::default();
        known.ask("a");
        listed(&mut known, &[("a", &[]), ("b", &[("x", "1")])]);
        assert!(!known.is_to_be_read("c"), "a watch brings it");
        known.read_from_now_on();
        assert_eq!(known.ask("b"), None, "not requested before, so not kept up to date");
        assert_eq!(known.new_to_read(), ["b".into()]);
        let mut all = known.all_to_read();
        all.sort();
        assert_eq!(all, ["a".into(), "b".into()]);
        assert_eq!(known.record("b", Found::Absent).as_deref(), Some("b"));
        assert_eq!(known.ask("b"), Some(&Found::Absent));
        known.ask("c");
        known.not_read(&"c".into());
        assert!(!known.is_to_be_read("c") && known.new_to_read().is_empty(), "not before the next turn");
        assert_eq!(known.all_to_read().len(), 3);
        assert!(known.is_to_be_read("c"));
    }
}
