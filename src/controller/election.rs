//! The election of this process, beside its work: started first, and stopped last.

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::cluster::lease::{Elector, LeadershipState, Term};

/// An election in progress, or none.
pub(super) struct Election {
    leadership: watch::Receiver<LeadershipState>,
    /// The running elector, and the token that makes it release the lease.
    task: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Election {
    /// Starts the election. Without an elector there is one term that never ends.
    pub(super) fn begin(elector: Option<Elector>) -> Self {
        let Some(elector) = elector else {
            let always = LeadershipState::Leading(Term::always());
            return Self { leadership: watch::channel(always).1, task: None };
        };
        let (leadership, give_up) = (elector.leadership(), CancellationToken::new());
        let task = tokio::spawn(elector.run(give_up.clone()));
        Self { leadership, task: Some((task, give_up)) }
    }

    /// The leadership of this process, as it changes.
    pub(super) fn leadership(&self) -> watch::Receiver<LeadershipState> {
        self.leadership.clone()
    }

    /// Waits until the leader is known. A free lease is acquired within a few milliseconds, and a list that begins
    /// after that need not be repeated.
    pub(super) async fn wait_until_known(&mut self) {
        // The wait fails only when the election has ended. The leadership logs that.
        let _ = self.leadership.wait_for(LeadershipState::is_known).await;
    }

    /// Releases the lease. If work may still be in progress, the lease expires instead, because the next leader must
    /// not begin before that work ends.
    pub(super) async fn end(self, is_idle: bool) {
        let Some((task, give_up)) = self.task else { return };
        if is_idle {
            give_up.cancel();
            // The join fails only after a panic, which is logged.
            let _ = task.await;
        } else {
            task.abort();
        }
    }
}
