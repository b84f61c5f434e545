//! The customers below one tenant, from one listing: which have a name, and which have a similar one.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use icu_normalizer::ComposingNormalizerBorrowed;

use super::{ErrorClass, PlatformError, Tenant, TenantId, TenantKind, wire::json::BrokenTenant};

/// The maximum length of a quoted name, in characters.
const MAX_QUOTED_CHARS: usize = 128;

/// The customers that have a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameMatches {
    /// The ids of all customers with exactly this name.
    pub ids: Vec<TenantId>,
    /// A customer whose name differs only in its spelling, if no customer has exactly this name.
    pub similar: Option<SimilarName>,
}

/// A customer whose name differs only in case, blanks or Unicode form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimilarName {
    /// The id of the customer.
    pub id: TenantId,
    /// The name of the customer, cut if it is long.
    pub name: String,
    /// The difference in words: `case`, `blanks`, `Unicode form`, or several of them.
    pub differs_in: String,
}

/// All customers of one listing. Names are stored as hashes: ten thousand customers take a quarter of a mebibyte. Two
/// names with the same hash, one pair in 10¹⁹, count as one name with two matches, and neither is switched.
#[derive(Debug)]
pub struct Customers {
    root: TenantId,
    hasher: RandomState,
    /// Hash and id, sorted once the listing is complete.
    by_name: Vec<(u64, TenantId)>,
    /// The names of tenants that cannot be understood.
    unreadable: HashSet<u64>,
    /// Whether a tenant has no readable name. It may have any name.
    nameless: bool,
    /// The names that were asked for, by their normalised form.
    asked: HashMap<String, Vec<String>>,
    similar: HashMap<String, SimilarName>,
}

impl Customers {
    /// An empty collection for a listing below `root`. Names similar to the `asked` ones are kept too.
    pub(super) fn below(root: TenantId, asked: &HashSet<String>) -> Self {
        let mut by_form: HashMap<String, Vec<String>> = HashMap::new();
        for name in asked {
            by_form.entry(plain(name, &Aspect::ALL)).or_default().push(name.clone());
        }
        Self {
            root,
            hasher: RandomState::new(),
            by_name: Vec::new(),
            unreadable: HashSet::new(),
            nameless: false,
            asked: by_form,
            similar: HashMap::new(),
        }
    }

    /// Adds one tenant of a page.
    pub(super) fn add(&mut self, tenant: Result<Tenant, BrokenTenant>) {
        match tenant {
            Ok(tenant) => {
                let is_meant =
                    tenant.kind == TenantKind::Customer && !tenant.deleted && tenant.id != self.root;
                if is_meant {
                    self.compare(&tenant);
                    self.by_name.push((self.hasher.hash_one(&tenant.name), tenant.id));
                }
            }
            Err(BrokenTenant { name: Some(name) }) => {
                self.unreadable.insert(self.hasher.hash_one(&name));
            }
            Err(BrokenTenant { name: None }) => self.nameless = true,
        }
    }

    fn compare(&mut self, tenant: &Tenant) {
        if self.asked.is_empty() {
            return;
        }
        for asked in self.asked.get(&plain(&tenant.name, &Aspect::ALL)).into_iter().flatten() {
            if *asked != tenant.name && !self.similar.contains_key(asked) {
                let similar = SimilarName {
                    id: tenant.id.clone(),
                    name: quoted(&tenant.name),
                    differs_in: difference(asked, &tenant.name),
                };
                self.similar.insert(asked.clone(), similar);
            }
        }
    }

    /// Ends the listing.
    ///
    /// # Errors
    /// [`ErrorClass::Malformed`] for a tenant that cannot be understood and may have any name.
    pub(super) fn complete(mut self) -> Result<Self, PlatformError> {
        if self.nameless {
            return Err(malformed());
        }
        // Paging over a changing tree may show a customer twice.
        self.by_name.sort_unstable();
        self.by_name.dedup();
        self.by_name.shrink_to_fit();
        self.asked = HashMap::new();
        Ok(self)
    }

    /// The customers that have a name.
    ///
    /// # Errors
    /// [`ErrorClass::Malformed`] for a tenant of this name that cannot be understood, because no second match may be
    /// overlooked.
    pub fn named(&self, name: &str) -> Result<NameMatches, PlatformError> {
        let hash = self.hasher.hash_one(name);
        if self.unreadable.contains(&hash) {
            return Err(malformed());
        }
        let first = self.by_name.partition_point(|(other, _)| *other < hash);
        let same = self.by_name.iter().skip(first).take_while(|(other, _)| *other == hash);
        let ids: Vec<TenantId> = same.map(|(_, id)| id.clone()).collect();
        let similar = if ids.is_empty() { self.similar.get(name).cloned() } else { None };
        Ok(NameMatches { ids, similar })
    }
}

fn malformed() -> PlatformError {
    PlatformError::new("listing tenants by name", ErrorClass::Malformed)
        .with_detail("a tenant that may have the name cannot be understood")
        .lasting()
}

/// An aspect in which two names can differ and still seem equal to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aspect {
    Case,
    Blanks,
    Form,
}

impl Aspect {
    const ALL: [Self; 3] = [Self::Case, Self::Blanks, Self::Form];

    fn word(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Blanks => "blanks",
            Self::Form => "Unicode form",
        }
    }
}

/// A name normalised in these aspects.
fn plain(name: &str, aspects: &[Aspect]) -> String {
    let has = |aspect| aspects.contains(&aspect);
    let form = |text: String| if has(Aspect::Form) { in_one_form(&text) } else { text };
    let mut text = form(name.to_owned());
    if has(Aspect::Case) {
        // Again, because the lower case of a composed letter may be decomposed.
        text = form(text.to_lowercase());
    }
    if has(Aspect::Blanks) {
        let visible: String = text.chars().filter(|letter| !is_invisible(*letter)).collect();
        text = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    text
}

/// The text in one Unicode form. Blanks are unchanged.
fn in_one_form(text: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let part = |part: &str| {
        let end = part.trim_end_matches(char::is_whitespace).len();
        let (word, blanks) = part.split_at(end);
        normalizer.normalize(word).into_owned() + blanks
    };
    text.split_inclusive(char::is_whitespace).map(part).collect()
}

/// Whether a character has no width and is not a blank to Unicode.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// The aspects in which two similar names differ.
fn difference(one: &str, other: &str) -> String {
    let differs = |aspect: &Aspect| {
        let others: Vec<Aspect> = Aspect::ALL.into_iter().filter(|kept| kept != aspect).collect();
        plain(one, &others) != plain(other, &others)
    };
    let words: Vec<&str> =
        Aspect::ALL.into_iter().filter(|aspect| differs(aspect)).map(Aspect::word).collect();
    // Each aspect alone may make no difference, as for a compatibility form that also differs in case.
    if words.is_empty() { Aspect::Form.word().to_owned() } else { words.join(", ") }
}

/// A name as it is quoted in a message, cut if it is long.
fn quoted(name: &str) -> String {
    let mut quoted: String = name.chars().take(MAX_QUOTED_CHARS).collect();
    if quoted.len() < name.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_take_for_one_differ_in_a_named_way() {
        for (one, other, words) in [
            ("Acme GmbH", "ACME GmbH", "case"),
            ("Trailing Space Ltd", "Trailing Space Ltd ", "blanks"),
            ("Double Blank Ltd", "Double  Blank Ltd", "blanks"),
            ("Non Breaking Corp", "Non\u{A0}Breaking Corp", "blanks"),
            ("Zero Width Ltd", "Zero Width\u{200B} Ltd", "blanks"),
            ("Bom Ltd", "\u{FEFF}Bom Ltd", "blanks"),
            ("Caf\u{E9} Z\u{FC}rich", "Cafe\u{301} Zu\u{308}rich", "Unicode form"),
            ("ABC", "\u{FF21}\u{FF22}\u{FF23}", "Unicode form"),
            ("Caf\u{E9}", " cafe\u{301}", "case, blanks, Unicode form"),
        ] {
            assert_eq!(plain(one, &Aspect::ALL), plain(other, &Aspect::ALL), "{one:?} {other:?}");
            assert_eq!(difference(one, other), words, "{one:?} {other:?}");
        }
        for (one, other) in [("Acme GmbH", "AcmeGmbH"), ("Cafe", "Caf\u{E9}"), ("Acme GmbH", "Acme G.m.b.H")]
        {
            assert_ne!(plain(one, &Aspect::ALL), plain(other, &Aspect::ALL), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(quoted(&"ü".repeat(128)), "ü".repeat(128));
        assert_eq!(quoted(&"ü".repeat(129)), format!("{}…", "ü".repeat(128)));
    }
}
