//! YAML and JSON as values with positions. Pure.
//!
//! Scalars mean what they mean to `kubectl`: `yes` and `on` are booleans, `0755` is octal, and a whole number is an
//! integer however it is written. The integration test `admission::yaml` compares them, and lists what differs.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, Location, Options, Spanned, options::NonFiniteFloatPolicy};

/// The maximum nesting of a document. An object of this program has less than 10.
const MAX_DEPTH: usize = 64;

/// The maximum number of values in a document, such as a list of 10,000 objects.
const MAX_NODES: usize = 2_000_000;

/// The maximum number of values that aliases may repeat in a document.
const MAX_REPEATED: usize = 100_000;

const TOO_MUCH: &str = "the document has too many values, is nested too deeply, or its aliases repeat too much: split it, or \
                        write its values out";

/// A line and a column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    fn of(location: Location) -> Self {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Value),
    Sequence(Vec<Node>),
    /// The place of each entry is that of its key.
    Mapping(Vec<(String, Place, Node)>),
}

/// A document that is no YAML.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

/// The fields that say what an object is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
    /// Whether it has items. `kubectl` takes each such object for a list, whatever its kind.
    pub(super) is_list: bool,
}

/// The headers of the documents in a text, without their values. It is several times faster than [`parse`].
pub(super) fn headers(text: &str) -> Result<Vec<Header>, Fault> {
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| fault(text, &error))
}

/// The documents in a text.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Fault> {
    let nodes: Vec<Spanned<Content>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| fault(text, &error))?;
    Ok(nodes.into_iter().map(node).collect())
}

fn node(spanned: Spanned<Content>) -> Node {
    Node { place: Place::of(spanned.referenced), content: spanned.value }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 3 * MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        emit_comments: false,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
    }
}

/// The error in plain words, with the remedy.
fn fault(text: &str, error: &Error) -> Fault {
    let place = error.location().map_or_else(Place::default, Place::of);
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error.without_snippet(),
        error => error,
    };
    let line = (place.line as usize).checked_sub(1).and_then(|at| text.lines().nth(at)).unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    let message = match error {
        _ if indentation.contains('\t') => {
            "the line is indented with a tab, which YAML does not allow: use blanks".to_owned()
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key {key:?}"));
            format!("{key} is there twice in one mapping: keep one of them")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "the document is too deep, or its aliases repeat too much: write its values out, or split it"
                .to_owned()
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias stands inside its own anchor: write its value out".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "an alias (*name) has no anchor (&name) before it: add the anchor".to_owned()
        }
        Error::NonFiniteFloat { value, .. } => {
            format!("{value} is no number in JSON: put it in quotes, if it is a text")
        }
        _ if text.contains("{{") => {
            "it is a template, and no YAML yet: render it first, such as with helm template … | …".to_owned()
        }
        _ => {
            let shown = error.to_string();
            let shown = shown.lines().next().unwrap_or_default();
            // The parser has no error of its own for it.
            let is_too_deep = shown.contains("recursion limit");
            if is_too_deep { TOO_MUCH.to_owned() } else { format!("it is no YAML: {shown}") }
        }
    };
    Fault { place, message }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        number(value).map(Content::Scalar).ok_or_else(|| E::custom("the number is too large"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Content>>()? {
            nodes.push(node(item));
        }
        Ok(Content::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut mapping = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Key>>()? {
            let value = entries.next_value::<Spanned<Content>>()?;
            mapping.push((key.value.0, Place::of(key.referenced), node(value)));
        }
        Ok(Content::Mapping(mapping))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// The number as `kubectl` sends it: one without a fraction is an integer, if it fits.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::float_cmp)] // compared first
fn number(value: f64) -> Option<Value> {
    let whole = value as i64;
    if whole as f64 == value && whole != i64::MAX {
        return Some(whole.into());
    }
    Number::from_f64(value).map(Value::Number)
}

/// A key of a mapping. JSON has texts only, so other scalars become texts.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Content::deserialize(deserializer)? {
            Content::Scalar(Value::String(text)) => Ok(Self(text)),
            Content::Scalar(scalar) => Ok(Self(scalar.to_string())),
            _ => Err(D::Error::custom("a key must be a text")),
        }
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Header, E> {
                Ok(Header::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Header, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Header::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(Key(key)) = entries.next_key::<Key>()? {
                    match key.as_str() {
                        "apiVersion" => header.api_version = text(entries.next_value()?),
                        "kind" => header.kind = text(entries.next_value()?),
                        name => {
                            header.is_list |= name == "items";
                            entries.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_any(HeaderVisitor)
    }
}

fn text(content: Content) -> Option<String> {
    match content {
        Content::Scalar(Value::String(text)) => Some(text),
        _ => None,
    }
}

impl Node {
    /// The value of a key, if this is a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let Content::Mapping(entries) = &self.content else { return None };
        entries.iter().find(|(name, ..)| name == key).map(|(.., node)| node)
    }

    /// The text of a key, if it is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value, and the places of its fields.
    ///
    /// # Errors
    /// The place of a key that occurs twice, such as `1` and `"1"`, which are one key in JSON.
    pub(super) fn into_value(self) -> Result<(Value, Fields), Fault> {
        let mut fields = Fields { root: self.place, places: Vec::new() };
        let value = value(self, &mut String::new(), &mut fields.places)?;
        fields.places.sort_by(|(first, _), (second, _)| first.cmp(second));
        Ok((value, fields))
    }
}

fn value(node: Node, pointer: &mut String, places: &mut Vec<(Box<str>, Place)>) -> Result<Value, Fault> {
    let length = pointer.len();
    match node.content {
        Content::Scalar(scalar) => Ok(scalar),
        Content::Sequence(nodes) => {
            let mut items = Vec::with_capacity(nodes.len());
            for (index, node) in nodes.into_iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                places.push((pointer.as_str().into(), node.place));
                items.push(value(node, pointer, places)?);
                pointer.truncate(length);
            }
            Ok(Value::Array(items))
        }
        Content::Mapping(entries) => {
            let mut object = Map::new();
            for (key, place, node) in entries {
                pointer.push('/');
                pointer.push_str(&escaped(&key));
                places.push((pointer.as_str().into(), place));
                let value = value(node, pointer, places)?;
                pointer.truncate(length);
                if object.contains_key(&key) {
                    let message = format!("the key {key:?} is there twice in one mapping: keep one of them");
                    return Err(Fault { place, message });
                }
                object.insert(key, value);
            }
            Ok(Value::Object(object))
        }
    }
}

/// A part of a JSON pointer (RFC 6901, section 3).
fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// The places of the fields of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    root: Place,
    /// By JSON pointer, in its order.
    places: Vec<(Box<str>, Place)>,
}

impl Fields {
    /// The place of a field, or of the nearest field around it.
    pub(super) fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        while !pointer.is_empty() {
            if let Ok(at) = self.places.binary_search_by(|(known, _)| known.as_ref().cmp(pointer)) {
                return self.places[at].1;
            }
            pointer = pointer.rsplit_once('/').map_or("", |(around, _)| around);
        }
        self.root
    }

    /// The same fields, in a document that begins further down.
    pub(super) fn moved(mut self, by: impl Fn(Place) -> Place) -> Self {
        self.root = by(self.root);
        for (_, place) in &mut self.places {
            *place = by(*place);
        }
        self
    }
}
