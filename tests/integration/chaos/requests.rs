//! Follows the platform's log, which forgets in time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tenant_pricing_controller::simulator::{LoggedRequest, Operation, Simulator};
use tokio::task::JoinHandle;

const PAUSE: Duration = Duration::from_millis(300);

/// Every PUT, and the number of all requests.
pub struct Requests {
    simulator: Simulator,
    followed: Arc<Mutex<Followed>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Followed {
    puts: BTreeMap<u64, LoggedRequest>,
    calls: BTreeMap<String, u32>,
    /// All up to here have come, and have ended.
    done: u64,
    /// All up to here are counted.
    counted: u64,
}

impl Requests {
    pub fn follow(simulator: &Simulator) -> Self {
        let followed = Arc::new(Mutex::new(Followed::default()));
        let (log, into) = (simulator.clone(), Arc::clone(&followed));
        let task = tokio::spawn(async move {
            loop {
                into.lock().unwrap().read(&log);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { simulator: simulator.clone(), followed, task }
    }

    /// The PUTs so far, in the order in which they came.
    pub fn puts(&self) -> Vec<LoggedRequest> {
        let mut followed = self.followed.lock().unwrap();
        followed.read(&self.simulator);
        followed.puts.values().cloned().collect()
    }

    /// How often each call came.
    pub fn calls(&self) -> BTreeMap<String, u32> {
        self.followed.lock().unwrap().calls.clone()
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followed {
    fn read(&mut self, simulator: &Simulator) {
        let new = simulator.requests_since(self.done);
        let mut all_ended = true;
        for request in new {
            all_ended &= request.outcome.is_some();
            if all_ended {
                self.done = request.sequence;
            }
            if request.sequence > self.counted {
                self.counted = request.sequence;
                *self.calls.entry(format!("{:?}", request.operation)).or_default() += 1;
            }
            if request.operation == Operation::PutPricing {
                self.puts.insert(request.sequence, request);
            }
        }
    }
}
