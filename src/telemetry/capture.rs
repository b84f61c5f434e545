//! Keeps the log output, for tests that read it.

use std::sync::{Arc, LazyLock, Mutex};

use tracing::{Dispatch, subscriber::NoSubscriber};

/// An additional subscriber. With a single one in the process, a thread without a subscriber decides for all threads
/// whether an event is of interest. With this one, every subscriber is asked.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// A buffer for log lines. Clones share it.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn new() -> Self {
        LazyLock::force(&ANOTHER);
        Self(Arc::default())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
