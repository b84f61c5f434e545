//! The text of a cached object, compressed.

use std::fmt;

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::{Serialize, de::DeserializeOwned};

/// Text that most objects share: the names of their fields, and the sentences of a fleet at rest.
///
/// A text that is not in here is only compressed less. So nothing depends on the wording, and an old one is no error.
const DICTIONARY: &str = concat!(
    r#","switch":{"phase":"Completed","scheduledFor":"2027-01-01T00:00:00Z","intentAt":"2027-01-01T00:00:00Z","#,
    r#""intentGeneration":1,"attempts":1,"attemptId":"00000000-0000-4000-8000-000000000000","#,
    r#""platform":"https://eu2-cloud.acronis.com","connection":"acronis/default","acceptedAt":"2027-01-01T00:00:00Z","#,
    r#""completedAt":"2027-01-01T00:00:00Z","by":"Controller","requestedBy":"kubectl"}"#,
    r#","switch":{"at":"MonthStart","notBefore":"2027-01-01T00:00:00Z"},"#,
    r#""The switch to production takes place on 2027-01-01T00:00:00Z and puts the whole of January 2027 on the bill. "#,
    "Until then it is cancelled by changing spec.mode or deleting the object, and held by spec.suspend.",
    r#"","reason":"SwitchScheduled","phase":"Scheduled","#,
    r#""message":"The tenant is in production, as asked.","reason":"InSync","status":"True","#,
    r#""message":"The tenant was in production when it was first read.","reason":"AlreadyProduction","#,
    "The tenant is in production, switched by this controller; the whole of January 2027 is on the bill.",
    r#""message":"This controller switched the tenant to production.","reason":"SwitchedByController","#,
    r#"{"apiVersion":"tenantpricing.io/v1alpha1","kind":"TenantPricing","metadata":{"#,
    r#""creationTimestamp":"2027-01-01T00:00:00Z","generation":1,"name":"tenant-","namespace":"","#,
    r#""resourceVersion":"1","uid":"00000000-0000-4000-8000-000000000000"},"#,
    r#""spec":{"tenant":{"id":"00000000-0000-4000-8000-000000000000"},"mode":"production","#,
    r#""spec":{"tenant":{"name":""},"mode":"trial","connectionRef":{"name":"default"},"suspend":false},"#,
    r#""status":{"observedGeneration":1,"tenantId":"00000000-0000-4000-8000-000000000000","#,
    r#""observed":{"mode":"production","observed":{"mode":"trial","tenantName":"","#,
    r#""productionStartDate":"2027-01-01T00:00:00Z"},"conditions":["#,
    r#"{"lastTransitionTime":"2027-01-01T00:00:00Z","message":"The tenant is in trial, as asked. Nothing is billed. "#,
    "The platform will switch it to production automatically on 2027-01-01T00:00:00Z.",
    r#"","observedGeneration":1,"reason":"InSync","status":"True","type":"Ready"},"#,
    r#"{"lastTransitionTime":"2027-01-01T00:00:00Z","message":"The tenant is in trial; nothing is billed.","#,
    r#""observedGeneration":1,"reason":"Trial","status":"False","type":"Production"}]}}"#,
);

/// An object as JSON, compressed with a dictionary. It takes a third of the memory of the text.
///
/// Two equal objects have the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs an object. `None` only for a map whose keys are not text, which no object has.
    pub(super) fn of(object: &impl Serialize) -> Option<Self> {
        let text = serde_json::to_vec(object).ok()?;
        Some(Self(compress_prepend_size_with_dict(&text, DICTIONARY.as_bytes()).into_boxed_slice()))
    }

    /// Parses the object. `None` if it is not of this type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let text = decompress_size_prepended_with_dict(&self.0, DICTIONARY.as_bytes()).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Packed({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        api::{Phase, TenantPricing},
        testing::{adversarial::corpus, fixtures::Scene},
    };

    #[test]
    fn an_object_takes_less_than_half_of_its_text() {
        for object in [Scene::new().stored().object, Scene::new().journaled(Phase::Completed).stored().object]
        {
            let (text, packed) = (json!(object).to_string(), Packed::of(&object).unwrap());
            assert!(packed.0.len() * 2 < text.len(), "{} of {}: {text}", packed.0.len(), text.len());
            assert_eq!(packed.read(), Some(object));
        }
    }

    #[test]
    fn objects_with_one_other_byte_are_not_equal() {
        let object = Scene::new().stored().object;
        let mut other = object.clone();
        other.metadata.resource_version = Some("another".into());
        let [packed, again, other] = [&object, &object, &other].map(|object| Packed::of(object).unwrap());
        assert_eq!(packed, again);
        assert_ne!(packed, other);
    }

    #[test]
    fn the_corpus_comes_back_as_it_was() {
        let read = corpus("objects").into_iter().filter_map(|(name, bytes)| {
            let object: TenantPricing = serde_json::from_slice(&bytes).ok()?;
            // JSON has no years before Christ.
            let text = serde_json::to_vec(&object).ok()?;
            let plain: TenantPricing = serde_json::from_slice(&text).ok()?;
            assert_eq!(Packed::of(&object)?.read(), Some(plain), "{name}");
            Some(name)
        });
        assert!(read.count() > 0, "none of them can be read");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in ".{0,3000}", part in 0..DICTIONARY.len()) {
            // Parts of the dictionary, too.
            let part = DICTIONARY.get(part..).unwrap_or_default();
            let both = format!("{text}{part}{text}");
            prop_assert_eq!(Packed::of(&both).unwrap().read(), Some(both));
        }
    }
}
