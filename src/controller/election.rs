//! The election of this process, beside its work: begun first, and ended last.

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::cluster::lease::{Elector, LeadershipState, Term};

/// An election under way, or none.
pub(super) struct Election {
    standing: watch::Receiver<LeadershipState>,
    /// The elector at work, and what has it give the lease up.
    at_work: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Election {
    /// Begins to stand for the lease. Without an elector there is one term, for good.
    pub(super) fn begin(elector: Option<Elector>) -> Self {
        let Some(elector) = elector else {
            let always = LeadershipState::Leading(Term::always());
            return Self { standing: watch::channel(always).1, at_work: None };
        };
        let (standing, give_up) = (elector.standing(), CancellationToken::new());
        let at_work = tokio::spawn(elector.run(give_up.clone()));
        Self { standing, at_work: Some((at_work, give_up)) }
    }

    /// What this process is to the others, as it changes.
    pub(super) fn standing(&self) -> watch::Receiver<LeadershipState> {
        self.standing.clone()
    }

    /// Waits until it is known who leads. A lease that is free is taken in a few milliseconds, and a list that is
    /// begun after that need not be repeated.
    pub(super) async fn settled(&mut self) {
        // It fails only when the election has ended, which the leadership logs.
        let _ = self.standing.wait_for(LeadershipState::is_known).await;
    }

    /// Gives the lease up. If something may still be under way it is left to run out instead: the next leader must
    /// not begin before.
    pub(super) async fn end(self, is_idle: bool) {
        let Some((at_work, give_up)) = self.at_work else { return };
        if is_idle {
            give_up.cancel();
            // It fails only if it panicked, which is in the log.
            let _ = at_work.await;
        } else {
            at_work.abort();
        }
    }
}
