//! What is known of namespaces, and how it changes. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// What is known of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It has these labels.
    Labelled(Labels),
    /// It was asked for and is not there.
    Absent,
}

/// Labels in one piece: there may be ten thousand namespaces, and most are never asked about. Neither keys nor
/// values can hold a line break or an equals sign, as the API server sees to.
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

/// What is known of all namespaces.
#[derive(Debug, Default)]
pub(super) struct NamespaceCache {
    /// Whether namespaces are read one by one: then only those that were asked about are known.
    by_reads: bool,
    found: HashMap<Arc<str>, Found>,
    /// The namespaces that were asked about. Their changes are passed on.
    asked: HashSet<Arc<str>>,
    /// Those that could not be read the last time.
    unread: HashSet<Arc<str>>,
    /// The list that is coming in.
    listed: HashMap<Arc<str>, Found>,
    /// The namespaces that are being deleted. None of them ever stops.
    terminating: HashSet<Arc<str>>,
    /// Those of them that a list has brought so far.
    listed_terminating: HashSet<Arc<str>>,
    /// A watch has brought all namespaces, and goes on.
    watched: bool,
}

impl NamespaceCache {
    /// What is known of a namespace. A watch that does not have it may be behind: then nothing is.
    pub(super) fn ask(&mut self, namespace: &str) -> Option<&Found> {
        if !self.asked.contains(namespace) {
            self.asked.insert(namespace.into());
        }
        self.found.get(namespace)
    }

    /// Whether a namespace is to be read before it can be known. One that could not be has its time again.
    pub(super) fn is_to_be_read(&self, namespace: &str) -> bool {
        self.by_reads && !self.found.contains_key(namespace) && !self.unread.contains(namespace)
    }

    /// All namespaces that were asked about: it is time to read them again.
    pub(super) fn all_to_read(&mut self) -> Vec<Arc<str>> {
        self.unread.clear();
        self.asked.iter().cloned().collect()
    }

    /// Those that were asked about and are not known yet.
    pub(super) fn new_to_read(&self) -> Vec<Arc<str>> {
        self.asked.iter().filter(|namespace| self.is_to_be_read(namespace)).cloned().collect()
    }

    /// A list begins.
    pub(super) fn begin_list(&mut self) {
        self.listed = HashMap::new();
        self.listed_terminating = HashSet::new();
    }

    /// A namespace of a list that is not complete yet.
    pub(super) fn list(&mut self, namespace: &str, labels: Labels) {
        self.listed.insert(namespace.into(), Found::Labelled(labels));
    }

    /// A list is complete: it is what there is. Returns those asked about whose state is known to be another now.
    pub(super) fn end_list(&mut self) -> Vec<Arc<str>> {
        let before = std::mem::replace(&mut self.found, std::mem::take(&mut self.listed));
        self.terminating = std::mem::take(&mut self.listed_terminating);
        self.by_reads = false;
        self.watched = true;
        let differs = |namespace: &&Arc<str>| self.found.get(*namespace) != before.get(*namespace);
        self.asked.iter().filter(differs).cloned().collect()
    }

    /// From now on namespaces are read one by one. What is known of those nobody asked about is dropped, as
    /// nobody would notice when it is no longer true.
    pub(super) fn read_from_now_on(&mut self) {
        self.by_reads = true;
        self.watched = false;
        let asked = &self.asked;
        self.found.retain(|namespace, _| asked.contains(namespace));
    }

    /// This was found of a namespace. Returns it if somebody asked, and something else was known before.
    pub(super) fn note(&mut self, namespace: &str, found: Found) -> Option<Arc<str>> {
        if self.found.get(namespace) == Some(&found) {
            return None;
        }
        if found == Found::Absent && !self.by_reads {
            // Of a watch nobody would ever take it out again.
            self.found.remove(namespace);
        } else {
            self.found.insert(namespace.into(), found);
        }
        self.asked.get(namespace).cloned()
    }

    /// A namespace could not be read.
    pub(super) fn not_read(&mut self, namespace: &Arc<str>) {
        self.unread.insert(Arc::clone(namespace));
    }

    /// A namespace may not be read any more, so that what is known of it is no longer good.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.found.remove(namespace);
    }

    /// A list has brought a namespace that is being deleted.
    pub(super) fn list_terminating(&mut self, namespace: &str) {
        self.listed_terminating.insert(namespace.into());
    }

    /// A namespace is being deleted.
    pub(super) fn begin_termination(&mut self, namespace: &str) {
        self.terminating.insert(namespace.into());
    }

    /// A namespace is gone. One of the same name is another one.
    pub(super) fn end_termination(&mut self, namespace: &str) {
        self.terminating.remove(namespace);
    }

    /// A read shows whether a namespace is being deleted. Where a watch says so, a read that comes late says nothing.
    pub(super) fn read_termination(&mut self, namespace: &str, terminates: bool) {
        if self.watched {
            return;
        }
        if terminates {
            self.begin_termination(namespace);
            // It is read again until it is gone: the next namespace of that name is another one.
            self.asked.insert(namespace.into());
        } else {
            self.end_termination(namespace);
        }
    }

    /// Whether a namespace is known to be being deleted.
    pub(super) fn is_terminating(&self, namespace: &str) -> bool {
        self.terminating.contains(namespace)
    }

    /// Whether a watch keeps what is known up to date.
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
    fn only_changes_of_what_was_asked_about_are_passed_on() {
        let mut known = NamespaceCache::default();
        assert_eq!(known.ask("a"), None);
        assert_eq!(known.ask("gone"), None);
        assert_eq!(listed(&mut known, &[("a", &[("x", "1")]), ("b", &[])]), ["a"], "known now");
        assert_eq!(known.ask("a"), Some(&labelled(&[("x", "1")])));
        assert_eq!(known.ask("gone"), None, "the watch may be behind");
        assert_eq!(known.note("a", labelled(&[("x", "1")])), None, "an annotation changes nothing");
        assert_eq!(known.note("b", labelled(&[("x", "1")])), None, "nobody asked");
        assert_eq!(known.note("a", labelled(&[("x", "2")])).as_deref(), Some("a"));
        assert_eq!(known.note("a", Found::Absent).as_deref(), Some("a"));
        assert_eq!(known.ask("a"), None);
        assert_eq!(known.note("gone", labelled(&[])).as_deref(), Some("gone"));
    }

    #[test]
    fn a_list_after_an_interruption_brings_what_was_missed() {
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
    fn a_list_that_was_broken_off_changes_nothing() {
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
    fn a_termination_that_was_read_is_read_again_until_it_is_over() {
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
    fn without_a_watch_all_that_was_asked_about_is_read_in_turn_and_what_is_new_at_once() {
        let mut known = NamespaceCache::default();
        known.ask("a");
        listed(&mut known, &[("a", &[]), ("b", &[("x", "1")])]);
        assert!(!known.is_to_be_read("c"), "a watch brings it");
        known.read_from_now_on();
        assert_eq!(known.ask("b"), None, "nobody asked about it before, so nobody kept it up to date");
        assert_eq!(known.new_to_read(), ["b".into()]);
        let mut all = known.all_to_read();
        all.sort();
        assert_eq!(all, ["a".into(), "b".into()]);
        assert_eq!(known.note("b", Found::Absent).as_deref(), Some("b"));
        assert_eq!(known.ask("b"), Some(&Found::Absent));
        known.ask("c");
        known.not_read(&"c".into());
        assert!(!known.is_to_be_read("c") && known.new_to_read().is_empty(), "not before the next turn");
        assert_eq!(known.all_to_read().len(), 3);
        assert!(known.is_to_be_read("c"));
    }
}
