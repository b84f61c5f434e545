//! Keeps what is logged, for tests that read it.

use std::sync::{Arc, LazyLock, Mutex};

use tracing::{Dispatch, subscriber::NoSubscriber};

/// With a single subscriber in the process, another thread that has none decides for all whether an event is
/// of interest. With this one besides, every subscriber is asked.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Where log lines go. Clones share them.
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
