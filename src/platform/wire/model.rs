//! The types of the platform's answers: tenants, modes, pricing settings.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a tenant: a UUID, kept in lower case because UUIDs compare without case.
///
/// It is stored inline rather than on the heap, because each of ten thousand objects holds several.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId([u8; ID_LENGTH]);

/// 32 digits and four hyphens.
const ID_LENGTH: usize = 36;

/// The text is not a tenant id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tenant id: expected a UUID such as 0fcd4a69-8a40-4de8-b711-d9c83dc000f7")]
pub struct InvalidTenantId;

/// The version of a tenant's pricing settings.
///
/// It is opaque: it goes back to the platform unchanged, and is compared for equality only. It is not the version of
/// the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PricingVersion(i128);

/// The pricing mode of a tenant, an open set of words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not billed; can be switched to production once.
    Trial,
    /// Billed; there is no way back.
    Production,
    /// Past production. The platform does not document who sets it. The controller never writes to such a tenant.
    Suspended,
    /// A word this program does not know, reduced to at most 64 ASCII letters, digits, `-`, `_` and `.`.
    Other(String),
}

/// The kind of a tenant. Only customers have the one-way switch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TenantKind {
    /// The root of the whole tree.
    Root,
    /// A reseller.
    Partner,
    /// A folder for customers.
    Folder,
    /// A customer: the one kind that can be switched.
    Customer,
    /// A department of a customer.
    Unit,
    /// A word this program does not know, reduced as in [`Mode::Other`].
    Other(String),
}

/// A lock that lets only the users of one tenant change this one through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The tenant whose users may still write. `None` when the platform did not say; then assume another tenant.
    pub owner: Option<TenantId>,
}

/// A tenant as the platform describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The id that the platform assigned. It never changes.
    pub id: TenantId,
    /// The name, exactly as the platform has it. It is not unique.
    pub name: String,
    /// Whether it is a customer, a partner, or another kind of tenant.
    pub kind: TenantKind,
    /// False for a disabled tenant, which is still billed.
    pub enabled: bool,
    /// True for a soft-deleted tenant.
    pub deleted: bool,
    /// The tenant above it. `None` at the root, or where the platform did not say.
    pub parent_id: Option<TenantId>,
    /// The pricing mode.
    pub mode: Mode,
    /// Present only while the lock is on.
    pub lock: Option<Lock>,
    /// In trial: when the platform will switch the tenant automatically. Later: when the switch happened. It may be
    /// absent even in production, and never tells the mode.
    pub production_start: Option<Timestamp>,
}

/// The pricing settings of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pricing {
    /// The pricing mode.
    pub mode: Mode,
    /// The version that a write has to send back.
    pub version: PricingVersion,
    /// As in [`Tenant::production_start`].
    pub production_start: Option<Timestamp>,
}

/// A value read from the platform, with the platform's own time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// The `Date` header of the answer, in UTC and whole seconds; the earliest one where several requests
    /// were needed. `None` when the platform sent none, or when the value was remembered.
    pub date: Option<Timestamp>,
}

impl TenantId {
    /// The id in lower case, with hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes are always ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    /// Takes the hyphenated form of 36 characters in either case, and nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        let mut id = <[u8; ID_LENGTH]>::try_from(text.as_bytes()).map_err(|_| InvalidTenantId)?;
        let well_formed = id.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        id.make_ascii_lowercase();
        if well_formed { Ok(Self(id)) } else { Err(InvalidTenantId) }
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Parses the id without a copy.
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = TenantId;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a UUID")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TenantId, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl PricingVersion {
    /// A version for tests. The program itself only has versions from the platform.
    #[cfg(test)]
    #[must_use]
    pub const fn new(version: i128) -> Self {
        Self(version)
    }

    /// The version in a JSON answer: any whole number of 64 bits, signed or not.
    pub(in crate::platform) fn from_json(number: &serde_json::Number) -> Option<Self> {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).map(Self)
    }
}

impl fmt::Display for PricingVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<&str> for Mode {
    fn from(word: &str) -> Self {
        match word {
            "trial" => Self::Trial,
            "production" => Self::Production,
            "suspended" => Self::Suspended,
            other => Self::Other(printable_word(other)),
        }
    }
}

impl fmt::Display for Mode {
    /// The platform's word.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Trial => "trial",
            Self::Production => "production",
            Self::Suspended => "suspended",
            Self::Other(word) => word,
        })
    }
}

impl From<&str> for TenantKind {
    fn from(word: &str) -> Self {
        match word {
            "root" => Self::Root,
            "partner" => Self::Partner,
            "folder" => Self::Folder,
            "customer" => Self::Customer,
            "unit" => Self::Unit,
            other => Self::Other(printable_word(other)),
        }
    }
}

impl fmt::Display for TenantKind {
    /// The platform's word.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root",
            Self::Partner => "partner",
            Self::Folder => "folder",
            Self::Customer => "customer",
            Self::Unit => "unit",
            Self::Other(word) => word,
        })
    }
}

/// Reduces a word from an answer to what may be shown, at most 64 characters. Each that is not an ASCII letter, digit,
/// `-`, `_` or `.` becomes `?`. A `?` or `(empty)` keeps an odd word from looking like a known one.
pub(in crate::platform) fn printable_word(word: &str) -> String {
    if word.is_empty() {
        return "(empty)".to_owned();
    }
    let harmless = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    word.chars().take(64).map(|character| if harmless(character) { character } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_in_lower_case() {
        let upper: TenantId = "0FCD4A69-8A40-4DE8-B711-D9C83DC000F7".parse().unwrap();
        let lower: TenantId = "0fcd4a69-8a40-4de8-b711-d9c83dc000f7".parse().unwrap();
        assert_eq!(upper, lower);
        assert_eq!(upper.to_string(), "0fcd4a69-8a40-4de8-b711-d9c83dc000f7");
        assert_eq!(serde_json::to_string(&upper).unwrap(), r#""0fcd4a69-8a40-4de8-b711-d9c83dc000f7""#);
    }

    #[test]
    fn what_is_no_hyphenated_uuid_is_no_id() {
        for text in [
            "",
            "0fcd4a698a404de8b711d9c83dc000f7",
            "{0fcd4a69-8a40-4de8-b711-d9c83dc000f7}",
            "urn:uuid:0fcd4a69-8a40-4de8-b711-d9c83dc000f7",
            "0fcd4a69-8a40-4de8-b711-d9c83dc000f",
            "0fcd4a69-8a40-4de8-b711-d9c83dc000f7 ",
            "0fcd4a69-8a40-4de8-b711-d9c83dc000fg",
            "0fcd4a69-8a40-4de8-b711/d9c83dc000f7",
            "0fcd4a69-8a40-4de8-b711-d9c83dc000é",
        ] {
            assert_eq!(text.parse::<TenantId>(), Err(InvalidTenantId), "{text:?}");
        }
        assert!(serde_json::from_str::<TenantId>(r#""../pricing""#).is_err());
    }

    #[test]
    fn only_the_exact_words_are_known_modes() {
        assert_eq!(Mode::from("trial"), Mode::Trial);
        assert_eq!(Mode::from("production"), Mode::Production);
        assert_eq!(Mode::from("suspended"), Mode::Suspended);
        for word in ["Trial", "production ", "production\0", "", "trial\n"] {
            let mode = Mode::from(word);
            assert!(matches!(mode, Mode::Other(_)), "{word:?}");
            assert!(!["trial", "production", "suspended"].contains(&mode.to_string().as_str()), "{word:?}");
        }
    }

    #[test]
    fn an_unknown_word_is_shown_short_and_harmless() {
        assert_eq!(Mode::from("pre-paid_2.0").to_string(), "pre-paid_2.0");
        assert_eq!(Mode::from("a\x1b[31m\u{202e}é").to_string(), "a??31m??");
        assert_eq!(Mode::from("x".repeat(1000).as_str()).to_string().len(), 64);
        assert_eq!(TenantKind::from("<b>").to_string(), "?b?");
    }
}
