//! The exit codes of `kubectl-tenantpricing`.

use crate::string_enum::string_enum;

string_enum! {
    /// How a command ended, as its exit code says it.
    Exit {
        /// 0: done, and for `plan`: nothing changes.
        Success = "success",
        /// 1: the command failed, or its command line is invalid.
        Error = "error",
        /// 2: `plan` found changes. `check` found only warnings.
        Changes = "changes",
        /// 3: `plan` found something that is refused. After an edit: the object is stalled, and a person must act.
        Refused = "refused",
        /// 4: a policy of `plan --fail-on` applies.
        Policy = "policy",
        /// 130: the person pressed Ctrl-C while a command waited, as shells report it.
        Interrupted = "interrupted",
    }
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Policy => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
