//! The objects in a text.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::Arc,
};

use kube::Resource;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Manifest, ManifestKind, Manifests, Position, Problem, ReadOptions, Severity,
    documents::{self, BYTE_ORDER_MARK, Document, MAX_DOCUMENT_BYTES},
    mention,
    yaml::{self, Content, Fault, Header, Node, Place},
};
use crate::api::{GROUP, PlatformConnection, TenantPricing};

/// The maximum number of documents and list items of one input.
pub const MAX_DOCUMENTS: usize = 100_000;

/// The maximum size of an object in bytes, as JSON. The API server stores no larger one.
pub const MAX_OBJECT_BYTES: usize = 1024 * 1024;

/// The maximum nesting of lists in lists.
const MAX_LISTS: usize = 4;

/// The annotation of Kustomize that names the file that an object comes from.
pub(crate) const KUSTOMIZE_ORIGIN: &str = "config.kubernetes.io/origin";

/// The annotation of an object that Kustomize does not apply, unless its value is `false`.
const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// The characters at which YAML 1.1 ends a line, and YAML 1.2 does not. Two readers see different objects.
const DISPUTED_LINE_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Gathers the objects of all texts.
pub(super) struct Reader<'a> {
    options: &'a ReadOptions,
    /// What each object is handed to.
    visit: &'a mut dyn FnMut(Manifest),
    found: Manifests,
    /// Where each object was found first.
    seen: HashMap<(ManifestKind, String, String), Position>,
    /// The files with an object of this program.
    files: BTreeSet<Arc<str>>,
    documents: usize,
    max_documents: usize,
}

/// The part of a file that an object is in.
struct Origin<'a> {
    file: &'a Arc<str>,
    document: Document<'a>,
    helm_source: Option<Arc<str>>,
}

impl Origin<'_> {
    fn place(&self, place: Place) -> Place {
        let columns = if place.line == 1 { self.document.columns_before } else { 0 };
        Place { line: place.line + self.document.lines_before, column: place.column + columns }
    }

    fn position(&self, place: Place) -> Position {
        let place = self.place(Place { line: place.line.max(1), column: place.column.max(1) });
        Position {
            file: self.file.to_string(),
            line: place.line,
            column: place.column,
            rendered_from: self.helm_source.as_deref().map(ToOwned::to_owned),
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        options: &'a ReadOptions,
        max_documents: usize,
        visit: &'a mut dyn FnMut(Manifest),
    ) -> Self {
        Self {
            options,
            visit,
            found: Manifests::default(),
            seen: HashMap::new(),
            files: BTreeSet::new(),
            documents: 0,
            max_documents,
        }
    }

    pub(super) fn finish(self) -> Manifests {
        self.found
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.found.problems.push(problem);
    }

    /// Doubts that the objects of a file are what is applied. A file without any does not matter.
    pub(super) fn doubt(&mut self, file: String, problem: Option<Problem>) {
        if self.files.contains(file.as_str()) {
            self.found.problems.extend(problem);
            self.found.doubtful.insert(file);
        }
    }

    /// Reads a text. The answer is false after the last document that may be read.
    pub(super) fn read(&mut self, file: &str, text: &str) -> bool {
        let file: Arc<str> = file.into();
        // One more than may be read, so that it is named.
        let max = self.max_documents.saturating_sub(self.documents) + 1;
        for document in documents::split(text, max) {
            let helm_source = documents::helm_source(document.text).map(Into::into);
            let origin = Origin { file: &file, document, helm_source };
            if let Err(TooMany) = self.document(&origin) {
                return false;
            }
        }
        true
    }

    fn document(&mut self, origin: &Origin<'_>) -> Result<(), TooMany> {
        self.count(origin, Place::default())?;
        let text = origin.document.text;
        // A document of another kind, or no YAML at all, matters only if one of our objects can be in it. Another
        // reader may see the object in spite of the fault.
        let may_be_ours = mention::may_mention(text, GROUP);
        let severity = if may_be_ours { Severity::Error } else { Severity::Note };
        if text.len() > MAX_DOCUMENT_BYTES {
            let message =
                format!("the document has more than {} MiB: split it", MAX_DOCUMENT_BYTES / 1024 / 1024);
            self.add(severity, origin, Place::default(), message);
            return Ok(());
        }
        if may_be_ours && text.contains(DISPUTED_LINE_BREAKS) {
            let message = "it contains a Unicode line break (U+0085, U+2028 or U+2029), which some YAML readers take \
                           for the end of a line and others do not: remove it";
            self.add(Severity::Error, origin, Place::default(), message.to_owned());
            return Ok(());
        }
        if may_be_ours && text.split(['\n', '\r']).any(|line| line.starts_with(BYTE_ORDER_MARK)) {
            let message = "a byte order mark (U+FEFF) begins a line in the middle of it, which some YAML readers skip \
                           and others do not: remove it";
            self.add(Severity::Error, origin, Place::default(), message.to_owned());
            return Ok(());
        }
        if let Err(Fault { place, message }) = self.objects(origin)? {
            self.add(severity, origin, place, message);
        }
        Ok(())
    }

    /// The objects of a document. First only what each of them is, since most are of other kinds.
    fn objects(&mut self, origin: &Origin<'_>) -> Result<Result<(), Fault>, TooMany> {
        let headers = match yaml::headers(origin.document.text) {
            Ok(headers) => headers,
            Err(fault) => return Ok(Err(fault)),
        };
        if headers.iter().all(|header| matches!(meaning(header), Meaning::Other)) {
            for header in headers {
                self.skip(header.kind);
            }
            return Ok(Ok(()));
        }
        let nodes = match yaml::parse(origin.document.text) {
            Ok(nodes) => nodes,
            Err(fault) => return Ok(Err(fault)),
        };
        for node in nodes {
            self.object(origin, node, 0)?;
        }
        Ok(Ok(()))
    }

    fn object(&mut self, origin: &Origin<'_>, node: Node, lists: usize) -> Result<(), TooMany> {
        let header = Header {
            api_version: node.text("apiVersion").map(ToOwned::to_owned),
            kind: node.text("kind").map(ToOwned::to_owned),
            is_list: matches!(node.get("items"), Some(Node { content: Content::Sequence(_), .. })),
        };
        match meaning(&header) {
            Meaning::Ours(kind) => self.ours(origin, kind, node),
            Meaning::List => return self.list(origin, &header, node, lists),
            Meaning::Problem(message) => {
                let place = node.get("kind").or(node.get("apiVersion")).map_or(node.place, |node| node.place);
                self.add(Severity::Error, origin, place, message);
            }
            Meaning::Other => self.skip(header.kind),
        }
        Ok(())
    }

    fn list(
        &mut self,
        origin: &Origin<'_>,
        header: &Header,
        node: Node,
        lists: usize,
    ) -> Result<(), TooMany> {
        if lists == MAX_LISTS {
            let message = "lists are nested too deeply: write them out".to_owned();
            self.add(Severity::Error, origin, node.place, message);
            return Ok(());
        }
        let Content::Mapping(entries) = node.content else { return Ok(()) };
        let items = entries.into_iter().find(|(key, ..)| key == "items").map(|(.., node)| node.content);
        let Some(Content::Sequence(items)) = items else { return Ok(()) };
        // The items of a typed list need not say what they are.
        let of =
            header.kind.as_deref().and_then(|kind| kind.strip_suffix("List")).filter(|of| !of.is_empty());
        for mut item in items {
            self.count(origin, item.place)?;
            let is_silent = item.text("kind").is_none() && item.text("apiVersion").is_none();
            if let (Content::Mapping(fields), Some(of), true) = (&mut item.content, of, is_silent) {
                for (key, text) in [("apiVersion", header.api_version.as_deref()), ("kind", Some(of))] {
                    fields.retain(|(name, ..)| name != key);
                    let content = Content::Scalar(text.into());
                    fields.push((key.to_owned(), item.place, Node { place: item.place, content }));
                }
            }
            self.object(origin, item, lists + 1)?;
        }
        Ok(())
    }

    fn ours(&mut self, origin: &Origin<'_>, kind: ManifestKind, node: Node) {
        let place = node.place;
        let severity = severity_of(kind);
        let (mut value, fields) = match node.into_value() {
            Ok(read) => read,
            Err(Fault { place, message }) => return self.add(severity, origin, place, message),
        };
        let of_kind = kind.name();
        if json_size(&value) > MAX_OBJECT_BYTES {
            let message =
                format!("the {of_kind} has more than 1 MiB, and no API server stores it: shorten it");
            return self.add(severity, origin, place, message);
        }
        let name = match value.pointer("/metadata/name") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            Some(Value::String(_) | Value::Null) | None => {
                let message = format!("the {of_kind} has no name: add metadata.name");
                return self.add(severity, origin, fields.place("/metadata/name"), message);
            }
            Some(_) => {
                let message = format!("the name of the {of_kind} is no text: put metadata.name in quotes");
                return self.add(severity, origin, fields.place("/metadata/name"), message);
            }
        };
        let namespace = match value.pointer("/metadata/namespace") {
            Some(Value::String(namespace)) if !namespace.is_empty() => namespace.clone(),
            Some(Value::String(_) | Value::Null) | None => {
                let Some(namespace) = self.options.default_namespace.clone() else {
                    let message = format!(
                        "the {of_kind} {name} names no namespace: add metadata.namespace, or give one with -n"
                    );
                    return self.add(severity, origin, fields.place("/metadata/namespace"), message);
                };
                if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                    metadata.insert("namespace".to_owned(), namespace.clone().into());
                }
                namespace
            }
            Some(_) => {
                let message = format!("the namespace of the {of_kind} {name} is no text: put it in quotes");
                return self.add(severity, origin, fields.place("/metadata/namespace"), message);
            }
        };
        let manifest = Manifest {
            kind,
            rendered_from: kustomize_origin(&value).map(Into::into).or_else(|| origin.helm_source.clone()),
            namespace,
            name,
            value,
            file: origin.file.clone(),
            fields: fields.moved(|place| origin.place(place)),
        };
        self.keep(manifest);
    }

    /// Hands an object on, unless it is there already.
    fn keep(&mut self, manifest: Manifest) {
        if manifest.kind != ManifestKind::Secret {
            if !self.files.contains(&manifest.file) {
                self.files.insert(manifest.file.clone());
            }
            self.doubt_local_config(&manifest);
        }
        let key = (manifest.kind, manifest.namespace.clone(), manifest.name.clone());
        let position = manifest.position("/metadata/name");
        if let Some(first) = self.seen.get(&key) {
            let message = format!(
                "there is another {} {}/{} at {first}, and only that one counts here: remove one of them, or rename it",
                key.0.name(),
                key.1,
                key.2
            );
            self.found.problems.push(Problem { severity: severity_of(key.0), position, message });
            return;
        }
        self.seen.insert(key, position);
        (self.visit)(manifest);
    }

    /// Doubts that an object is applied, if it has the annotation by which Kustomize leaves it out.
    fn doubt_local_config(&mut self, manifest: &Manifest) {
        let annotations = manifest.value.pointer("/metadata/annotations").and_then(Value::as_object);
        let annotation = annotations.and_then(|annotations| annotations.get(LOCAL_CONFIG));
        if annotation.is_none_or(|value| value == "false") {
            return;
        }
        let message =
            format!("with the annotation {LOCAL_CONFIG}, Kustomize leaves the object out: remove it");
        let position = manifest.position("/metadata/annotations");
        self.found.problems.push(Problem { severity: Severity::Error, position, message });
        self.found.doubtful.insert(manifest.file.to_string());
    }

    fn skip(&mut self, kind: Option<String>) {
        *self.found.skipped.entry(kind.unwrap_or_else(|| "no kind".to_owned())).or_default() += 1;
    }

    fn count(&mut self, origin: &Origin<'_>, place: Place) -> Result<(), TooMany> {
        self.documents += 1;
        if self.documents <= self.max_documents {
            return Ok(());
        }
        let message = format!(
            "these are more than {} documents, and nothing is read from here on: name fewer files or folders",
            self.max_documents
        );
        self.add(Severity::Error, origin, place, message);
        Err(TooMany)
    }

    fn add(&mut self, severity: Severity, origin: &Origin<'_>, place: Place, message: String) {
        self.found.problems.push(Problem { severity, position: origin.position(place), message });
    }
}

/// How much it matters that an object cannot be used. Most Secrets have nothing to do with this program, and one that a
/// connection needs is missed where it is used.
fn severity_of(kind: ManifestKind) -> Severity {
    if kind == ManifestKind::Secret { Severity::Note } else { Severity::Error }
}

/// The limit of documents is reached.
struct TooMany;

/// What a document is, by its header.
enum Meaning {
    Ours(ManifestKind),
    /// A list of objects.
    List,
    /// An object of this program's group that cannot be used.
    Problem(String),
    Other,
}

fn meaning(header: &Header) -> Meaning {
    if header.is_list {
        return Meaning::List;
    }
    let version = header.api_version.as_deref().unwrap_or_default();
    let Some(kind) = header.kind.as_deref() else {
        return if is_our_group(version) {
            Meaning::Problem(format!("an object of {GROUP} has no kind: add kind: TenantPricing"))
        } else {
            Meaning::Other
        };
    };
    if kind == ManifestKind::Secret.name() && version == "v1" {
        return Meaning::Ours(ManifestKind::Secret);
    }
    let known = [ManifestKind::TenantPricing, ManifestKind::PlatformConnection];
    let ours = known.into_iter().find(|known| known.name() == kind);
    if !is_our_group(version) {
        return match ours {
            Some(_) => Meaning::Problem(format!(
                "apiVersion {version:?} is not that of a {kind}: write {}",
                TenantPricing::api_version(&())
            )),
            None => Meaning::Other,
        };
    }
    match ours {
        Some(ManifestKind::TenantPricing) if version == TenantPricing::api_version(&()) => {
            Meaning::Ours(ManifestKind::TenantPricing)
        }
        Some(ManifestKind::PlatformConnection) if version == PlatformConnection::api_version(&()) => {
            Meaning::Ours(ManifestKind::PlatformConnection)
        }
        Some(_) => Meaning::Problem(format!(
            "this program does not know {version}: write {}, or use the program of the version that does",
            TenantPricing::api_version(&())
        )),
        None => {
            let similarity = |known: &ManifestKind| strsim::jaro_winkler(known.name(), kind);
            let nearest =
                known.into_iter().max_by(|first, second| similarity(first).total_cmp(&similarity(second)));
            let nearest =
                nearest.map_or_else(String::new, |known| format!(": did you mean {}?", known.name()));
            Meaning::Problem(format!("{GROUP} has no kind {kind:?}{nearest}"))
        }
    }
}

fn is_our_group(version: &str) -> bool {
    version.split_once('/').is_some_and(|(group, _)| group == GROUP)
}

/// The length of a value as JSON, in bytes. No copy is made.
fn json_size(value: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// The file that Kustomize says an object comes from.
fn kustomize_origin(object: &Value) -> Option<String> {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object)?;
    origin(annotations.get(KUSTOMIZE_ORIGIN)?.as_str()?)
}

/// The file in the value of the annotation [`KUSTOMIZE_ORIGIN`], which is YAML itself.
pub(crate) fn origin(annotation: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Origin {
        path: Option<String>,
        repo: Option<String>,
        #[serde(rename = "ref")]
        reference: Option<String>,
    }
    let Origin { path, repo, reference } = serde_saphyr::from_str(annotation).ok()?;
    let (path, repo) = (path?, repo.unwrap_or_default());
    let reference = reference.map(|reference| format!("@{reference}")).unwrap_or_default();
    Some(if repo.is_empty() { path } else { format!("{repo}{reference}//{path}") })
}
