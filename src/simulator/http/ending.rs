//! The end of a request, written into the log.

use std::sync::Arc;

use crate::simulator::{shared_state::SharedState, state::log::Outcome};

/// Writes the end of a request into the log when it is dropped. For a whole answer that is before it leaves, so that a
/// client with the answer finds the log complete. For a dripping body it is after the last piece.
pub(crate) struct Ending {
    pub shared: Arc<SharedState>,
    pub sequence: u64,
    pub tenant: Option<String>,
    pub outcome: Outcome,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let now = state.now();
        state.log.finish(self.sequence, self.tenant.as_deref(), self.outcome, now);
        drop(state);
        self.shared.changed();
    }
}
