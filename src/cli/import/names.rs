//! Names of objects and folders, made from the names of tenants. Pure.
//!
//! A name is a DNS-1123 label: at most 63 lower-case letters, digits and hyphens, and no hyphen at either end. That is
//! a valid name of an object, a folder, and a file.

use std::collections::{HashMap, HashSet};

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::platform::TenantId;

/// The maximum length of a name. (DNS-1123 label.)
const MAX_LENGTH: usize = 63;

/// How many digits of an id tell two tenants of one name apart.
const SHORT_ID: usize = 8;

/// The beginning of a name that has no letter and no digit of its own.
const NAMELESS: &str = "tenant";

/// The names that are in use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Marks a name as used.
    pub(crate) fn take(&mut self, name: impl Into<String>) {
        self.taken.insert(name.into());
    }

    /// Gives each tenant a name of its own, in the order of the tenants.
    ///
    /// Where the names of several tenants would be the same, each gets the first eight digits of its id. So does a
    /// tenant whose name is used already. The result does not depend on the order of the tenants.
    pub(crate) fn assign(&mut self, tenants: &[(&TenantId, &str)]) -> Vec<String> {
        let bases: Vec<String> = tenants.iter().map(|(_, name)| label(name)).collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for base in &bases {
            *counts.entry(base).or_default() += 1;
        }
        let is_own = |base: &str| !base.is_empty() && counts.get(base) == Some(&1);
        let mut names = vec![String::new(); tenants.len()];
        for (name, base) in names.iter_mut().zip(&bases).filter(|(_, base)| is_own(base)) {
            if self.taken.insert(base.clone()) {
                name.clone_from(base);
            }
        }
        let mut open: Vec<usize> = (0..tenants.len()).filter(|index| names[*index].is_empty()).collect();
        open.sort_by_key(|index| tenants[*index].0);
        for index in open {
            names[index] = self.with_id(&bases[index], tenants[index].0);
        }
        names
    }

    /// A free name with the id in it: its first digits, else all of it, else all of it and a number.
    fn with_id(&mut self, base: &str, id: &TenantId) -> String {
        let short: String = id.as_str().chars().take(SHORT_ID).collect();
        let ends =
            [short, id.to_string()].into_iter().chain((2_u32..).map(|number| format!("{id}-{number}")));
        for end in ends {
            let name = joined(base, &end);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
        String::new()
    }
}

/// A base with an end, cut so that the end fits.
fn joined(base: &str, end: &str) -> String {
    let room = MAX_LENGTH.saturating_sub(end.len() + 1);
    let cut = base.get(..room).unwrap_or(base).trim_end_matches('-');
    let base = if cut.is_empty() { NAMELESS } else { cut };
    format!("{base}-{end}")
}

/// The letters and digits of a text in ASCII, with a hyphen for whatever stands between them. Empty if there are none.
fn label(text: &str) -> String {
    // Composed first, because a letter and its accent as two characters are one letter.
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let mut label = String::new();
    for character in composed.chars() {
        for ascii in deunicode::deunicode_char(character).unwrap_or("-").chars() {
            if ascii.is_ascii_alphanumeric() {
                label.push(ascii.to_ascii_lowercase());
            } else if !label.is_empty() && !label.ends_with('-') {
                label.push('-');
            }
        }
        if label.len() > MAX_LENGTH {
            break;
        }
    }
    label.truncate(MAX_LENGTH);
    label.truncate(label.trim_end_matches('-').len());
    label
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u64) -> TenantId {
        format!("{number:08x}-8a40-4de8-b711-d9c83dc000f7").parse().unwrap()
    }

    fn assigned(tenants: &[(TenantId, String)]) -> Vec<String> {
        let tenants: Vec<(&TenantId, &str)> = tenants.iter().map(|(id, name)| (id, name.as_str())).collect();
        Names::default().assign(&tenants)
    }

    fn is_label(name: &str) -> bool {
        let is_inner = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        (1..=MAX_LENGTH).contains(&name.len())
            && name.chars().all(|character| is_inner(character) || character == '-')
            && name.starts_with(is_inner)
            && name.ends_with(is_inner)
    }

    #[test]
    fn a_name_becomes_a_label() {
        for (name, expected) in [
            ("Acme GmbH", "acme-gmbh"),
            ("  Bolt & Sons, Inc. ", "bolt-sons-inc"),
            ("Zürich Ärzte", "zurich-arzte"),
            ("Zu\u{308}rich", "zurich"),
            ("Straße 7", "strasse-7"),
            ("Œuvre", "oeuvre"),
            ("北京", "bei-jing"),
            ("ООО Ромашка", "ooo-romashka"),
            ("7-Eleven", "7-eleven"),
            ("O'Brien", "o-brien"),
            ("a\u{202e}b\u{200b}c", "ab-c"),
            ("\u{1b}[31mred", "31mred"),
            ("ＡＢＣ", "abc"),
            ("---", ""),
            ("", ""),
            ("\u{10FFFD}\u{E000}", ""),
        ] {
            assert_eq!(label(name), expected, "{name:?}");
        }
        assert_eq!(label(&"x".repeat(1000)), "x".repeat(63));
        assert_eq!(label(&format!("{} y", "x".repeat(62))), "x".repeat(62));
    }

    #[test]
    fn names_that_meet_get_the_first_digits_of_the_id() {
        let tenants = [
            (id(1), "Acme".to_owned()),
            (id(2), "ACME".to_owned()),
            (id(3), "Bolt".to_owned()),
            (id(4), "!".to_owned()),
        ];
        assert_eq!(assigned(&tenants), ["acme-00000001", "acme-00000002", "bolt", "tenant-00000004"]);
        let long = "x".repeat(70);
        let tenants = [(id(1), long.clone()), (id(2), long)];
        assert_eq!(assigned(&tenants)[0], format!("{}-00000001", "x".repeat(54)));
    }

    #[test]
    fn a_name_that_is_used_is_not_given_again() {
        let mut names = Names::default();
        names.take("acme");
        assert_eq!(names.assign(&[(&id(1), "Acme")]), ["acme-00000001"]);
        let other: TenantId = "00000001-0000-4000-8000-000000000000".parse().unwrap();
        assert_eq!(names.assign(&[(&other, "Acme")]), [format!("acme-{other}")]);
        // Even a tenant that is called like the name of another one.
        names.take(format!("bolt-{}", id(2)));
        names.take("bolt");
        names.take("bolt-00000002");
        assert_eq!(names.assign(&[(&id(2), "Bolt")]), [format!("bolt-{}-2", id(2))]);
    }

    proptest! {
        #[test]
        fn every_tenant_gets_a_label_of_its_own(
            given in prop::collection::vec((0_u64..6, "(Acme|acme 0000000[0-3]|\\PC{0,80}|[\\x00-\\x7f]{0,5})"), 0..20),
        ) {
            let mut tenants: Vec<(TenantId, String)> = Vec::new();
            for (number, (digits, name)) in given.into_iter().enumerate() {
                // Ids that share their first digits.
                let id = format!("{digits:08x}-0000-4000-8000-{number:012x}").parse().unwrap();
                tenants.push((id, name));
            }
            let names = assigned(&tenants);
            prop_assert!(names.iter().all(|name| is_label(name)), "{names:?}");
            prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{:?}", names);
            let mut reversed = tenants.clone();
            reversed.reverse();
            let again = assigned(&reversed);
            let mut pairs: Vec<_> = tenants.iter().zip(&names).collect();
            let mut others: Vec<_> = reversed.iter().zip(&again).collect();
            pairs.sort();
            others.sort();
            // Names of one label differ by id alone, so the order does not matter.
            prop_assert_eq!(pairs, others);
        }
    }
}
