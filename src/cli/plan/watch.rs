//! Which objects a controller watches, by the settings of the controllers that are installed.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, Selector, SelectorExt};

use crate::{
    api::TenantPricing,
    cli::{
        check::controller::{self, installation::Installation},
        cluster::Cluster,
    },
    cluster::Key,
};

/// What the installed controllers watch. Without any of them, it is not known.
#[derive(Debug, Default)]
pub(crate) struct Watch(Vec<Watched>);

/// What one controller watches.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The Deployment.
    pub name: Key,
    /// The namespaces. Empty: all.
    pub namespaces: Vec<String>,
    /// The label selector, with its text.
    pub selector: Option<(String, Selector)>,
}

/// Reads the installed controllers. The error is a sentence that says why it is not known what they watch.
/// `namespace`: that of the controller, if it is named.
pub(crate) async fn read(cluster: &Cluster, namespace: Option<&str>) -> Result<Watch, String> {
    let installations = controller::installations(cluster, namespace).await.map_err(|unread| unread.why)?;
    if installations.is_empty() {
        return Err(
            "no Deployment of the chart was found. --controller-namespace names its namespace".to_owned()
        );
    }
    installations.iter().map(Watched::of).collect::<Result<_, _>>().map(Watch)
}

impl Watch {
    /// What these controllers watch.
    #[cfg(test)]
    pub(crate) fn of(watched: Vec<Watched>) -> Self {
        Self(watched)
    }

    /// Why no controller watches an object, and what to do. `None`: one does, or it is not known.
    pub(crate) fn misses(&self, object: &TenantPricing) -> Option<String> {
        let obstacles: Option<Vec<String>> = self.0.iter().map(|watched| watched.misses(object)).collect();
        let obstacles = obstacles.filter(|obstacles| !obstacles.is_empty())?;
        Some(format!(
            "No controller of the chart watches this object: {}. Without one, nothing is switched and no condition says so. \
             Extend watchNamespaces or watchLabelSelector of the chart, or correct the labels of the object.",
            obstacles.join("; ")
        ))
    }
}

impl Watched {
    fn of(installation: &Installation) -> Result<Self, String> {
        let key = &installation.key;
        let settings = installation.settings.as_ref();
        let settings =
            settings.map_err(|why| format!("the settings of Deployment {key} are not known: {why}"))?;
        let selector = settings.watch_label_selector.as_ref().map(|text| {
            let parsed = selector(text);
            let parsed = parsed
                .ok_or_else(|| format!("the label selector {text:?} of Deployment {key} cannot be read"))?;
            Ok::<_, String>((text.clone(), parsed))
        });
        Ok(Self {
            name: key.clone(),
            namespaces: settings.watch_namespaces.clone(),
            selector: selector.transpose()?,
        })
    }

    /// Why this controller does not watch an object.
    fn misses(&self, object: &TenantPricing) -> Option<String> {
        let Self { name, namespaces, selector } = self;
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        if !namespaces.is_empty() && !namespaces.iter().any(|watched| watched == namespace) {
            return Some(format!("Deployment {name} watches only the namespaces {}", namespaces.join(", ")));
        }
        let none = BTreeMap::new();
        let labels = object.metadata.labels.as_ref().unwrap_or(&none);
        let (text, _) = selector.as_ref().filter(|(_, selector)| !selector.matches(labels))?;
        Some(format!("Deployment {name} watches only objects with the labels {text}"))
    }
}

/// A label selector in the syntax of `kubectl get -l`. `None`: it is invalid, or compares numbers.
fn selector(text: &str) -> Option<Selector> {
    let mut expressions = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let end = end_of_first(rest);
        expressions.push(expression(rest[..end].trim())?);
        rest = rest[end..].strip_prefix(',').unwrap_or_default();
    }
    Some(expressions.into_iter().collect())
}

/// Where the first expression ends: at a comma outside parentheses.
fn end_of_first(text: &str) -> usize {
    let mut is_inside = false;
    let end = text.char_indices().find(|(_, letter)| {
        match letter {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        *letter == ',' && !is_inside
    });
    end.map_or(text.len(), |(at, _)| at)
}

fn expression(text: &str) -> Option<Expression> {
    let key = |key: &str| {
        let key = key.trim();
        let is_key = !key.is_empty()
            && !key.contains(|letter: char| letter.is_whitespace() || "!=<>(),".contains(letter));
        is_key.then(|| key.to_owned())
    };
    if let Some(absent) = text.strip_prefix('!') {
        return key(absent).map(Expression::DoesNotExist);
    }
    if let Some((start, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values: BTreeSet<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (name, operator) = start.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Expression::In(key(name)?, values)),
            "notin" => Some(Expression::NotIn(key(name)?, values)),
            _ => None,
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key(name)?, value.trim().to_owned()));
    }
    if let Some((name, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Some(Expression::Equal(key(name)?, value.trim().to_owned()));
    }
    key(text).map(Expression::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::Scene;

    fn labelled(labels: &[(&str, &str)]) -> TenantPricing {
        let mut object = Scene::new().object;
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        object.metadata.labels = Some(labels.collect());
        object
    }

    fn shard(text: &str) -> Watched {
        let selector = Some((text.to_owned(), selector(text).unwrap()));
        Watched { name: Key::new("system", "controller"), namespaces: Vec::new(), selector }
    }

    /// A selector, the labels of an object, and whether they match.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

    #[test]
    fn selectors_are_read_as_kubectl_reads_them() {
        let cases: [Case<'_>; 12] = [
            ("shard=a", &[("shard", "a")], true),
            ("shard==a", &[("shard", "b")], false),
            ("shard = a , !test", &[("shard", "a")], true),
            ("shard in (a, b),!test", &[("shard", "b"), ("test", "")], false),
            ("shard in (a,b)", &[("shard", "b")], true),
            ("shard notin (a,b)", &[("shard", "b")], false),
            ("shard notin (a,b)", &[], true),
            ("shard!=a", &[], true),
            ("shard", &[("shard", "")], true),
            ("shard", &[], false),
            ("team.example/shard=a,b=c", &[("team.example/shard", "a"), ("b", "c")], true),
            ("shard=", &[("shard", "")], true),
        ];
        for (text, labels, matches) in cases {
            let misses = Watch::of(vec![shard(text)]).misses(&labelled(labels));
            assert_eq!(misses.is_none(), matches, "{text}: {misses:?}");
        }
        for text in ["shard>1", "shard near (a)", "shard in a", "=a", "a b"] {
            assert!(selector(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_object_is_missed_if_no_controller_watches_it() {
        let of_namespace = |name: &str| Watched {
            name: Key::new("system", name),
            namespaces: vec![name.to_owned()],
            selector: None,
        };
        let object = labelled(&[("shard", "a")]);
        assert_eq!(Watch::default().misses(&object), None);
        assert_eq!(Watch::of(vec![of_namespace("other"), of_namespace("team")]).misses(&object), None);
        assert_eq!(Watch::of(vec![shard("shard=b"), shard("shard=a")]).misses(&object), None);
        let why = Watch::of(vec![of_namespace("other"), shard("shard=b")]).misses(&object).unwrap();
        for part in ["Deployment system/other watches only the namespaces other", "with the labels shard=b"] {
            assert!(why.contains(part), "{why}");
        }
    }
}
