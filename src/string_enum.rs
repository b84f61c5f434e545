//! Enums whose variants are fixed words: of a metric's label, of a condition, of a failpoint.

/// Declares an enum in which each variant stands for one fixed word.
///
/// The word is the text after the `=`, or else the name of the variant. `as_str` and `Display` return it.
macro_rules! string_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $(= $word:literal)?),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every variant, in the order of the documentation.
            #[allow(dead_code)] // not every enum is iterated
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that the variant stands for.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => string_enum!(@word $variant $($word)?)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
    (@word $variant:ident) => { stringify!($variant) };
    (@word $variant:ident $word:literal) => { $word };
}
pub(crate) use string_enum;

#[cfg(test)]
mod tests {
    string_enum! {
        /// A variant with a word of its own, and one without.
        Sample {
            /// With a word.
            Given = "given_word",
            /// Without.
            OwnName,
        }
    }

    #[test]
    fn a_variant_stands_for_its_word_or_its_own_name() {
        let words: Vec<String> = Sample::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["given_word", "OwnName"]);
    }
}
