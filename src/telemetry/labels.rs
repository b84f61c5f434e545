//! The words that labels may hold. All of them are counted on one hand or two: a label never holds a name of an
//! object or a tenant, an address, or the text of an error.

use crate::platform::PutOutcome;

/// Declares an enum with the word of each variant.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands in the label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}
pub(super) use words;

words! {
    /// What became of a switch.
    SwitchOutcome {
        /// Proven by reading: this controller switched the tenant.
        Completed = "completed",
        /// The tenant was found switched, by the platform or by somebody else there.
        FoundSwitchedByPlatform = "found_switched_by_platform",
        /// An attempt was definitely refused by the platform.
        Refused = "refused",
        /// An attempt was announced, and no request left.
        NotSent = "not_sent",
        /// An attempt was sent, and its answer does not say what became of it. It is read afterwards.
        Unknown = "unknown",
    }
}

impl SwitchOutcome {
    /// What an attempt came to by its answer alone. `None` for one that was accepted: only what is read
    /// afterwards completes it.
    #[must_use]
    pub fn of_attempt(outcome: &PutOutcome) -> Option<Self> {
        match outcome {
            PutOutcome::Accepted => None,
            PutOutcome::NotSent(_) => Some(Self::NotSent),
            PutOutcome::Refused(_) => Some(Self::Refused),
            PutOutcome::Unknown(_) => Some(Self::Unknown),
        }
    }
}

words! {
    /// What a pass over one object came to.
    ReconcileOutcome {
        /// The stored status was right already.
        Unchanged = "unchanged",
        /// A new status was stored.
        Written = "written",
        /// The object had changed meanwhile, or it is not its turn: it is looked at again soon.
        Stale = "stale",
        /// The API server refused, or gave no certain answer.
        Failed = "failed",
        /// The pass broke off, which is a fault of this program.
        BrokenOff = "broken_off",
    }
}

words! {
    /// The status of the condition `Ready`, as Kubernetes writes it.
    ReadyStatus {
        /// All that is asked for by now is done.
        True = "True",
        /// It is not.
        False = "False",
        /// Nobody has looked yet.
        Unknown = "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{ErrorClass, PlatformError};

    #[test]
    fn an_accepted_attempt_is_not_counted_until_it_was_read() {
        assert_eq!(SwitchOutcome::of_attempt(&PutOutcome::Accepted), None);
        let error = PlatformError::of_class(ErrorClass::Refused);
        let refused = SwitchOutcome::of_attempt(&PutOutcome::Refused(error));
        assert_eq!(refused, Some(SwitchOutcome::Refused));
    }
}
