//! One request, from its arrival in the log to its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::http::request::Parts;
use tokio::sync::oneshot;

use crate::simulator::{
    answer::Answer,
    faults::{
        action::FaultAction,
        book::{Meanwhile, Pause, PauseKind, Plan},
    },
    http::{
        call::Call,
        ending::Ending,
        routes,
        wire::{self, Hangup, Reply},
    },
    operation::{Operation, Route},
    shared_state::SharedState,
    state::log::{Arrival, Outcome},
    times::http_date,
};

/// A request that has arrived and has not ended yet.
pub(crate) struct Exchange {
    shared: Arc<SharedState>,
    sequence: u64,
    tenants: Vec<String>,
    call: Call,
}

impl Exchange {
    /// Writes the request into the log.
    pub fn arrive(shared: &Arc<SharedState>, parts: &Parts) -> Self {
        let call = Call::new(parts);
        let tenants = call.route.tenants(&call.query);
        let arrival = Arrival {
            operation: call.route.operation(),
            tenants: tenants.clone(),
            single_tenant: call.route.single_tenant().map(str::to_owned),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: call.query.clone(),
        };
        let mut state = shared.state();
        let now = state.now();
        let sequence = state.log.arrive(arrival, now);
        drop(state);
        shared.changed();
        Self { shared: shared.clone(), sequence, tenants, call }
    }

    /// Writes the end of the request into the log when it is dropped.
    fn ending(&self, outcome: Outcome) -> Ending {
        let tenant = self.call.route.single_tenant().map(str::to_owned);
        Ending { shared: self.shared.clone(), sequence: self.sequence, tenant, outcome }
    }

    /// Ends the request before it could be carried out.
    pub fn end(&self, outcome: Outcome) {
        drop(self.ending(outcome));
    }

    /// Carries the request out, whether or not the client still waits for the reply.
    pub async fn run(mut self, body: Bytes, reply: oneshot::Sender<Reply>) {
        self.call.body = body;
        let Plan { pauses, replacement, distortions, changes } = self.plan();
        if !self.shared.latency.is_zero() {
            tokio::time::sleep(self.shared.latency).await;
        }
        wait(&pauses, false).await;
        let answer = self.answer(replacement);
        self.change(changes);
        wait(&pauses, true).await;

        let Some(answer) = answer else {
            self.end(Outcome::Dropped);
            let _ = reply.send(Err(Hangup)); // the client may be gone
            return;
        };
        if reply.is_closed() {
            self.end(Outcome::ClientGone);
            return;
        }
        let now = self.shared.state().now();
        let ending = self.ending(Outcome::Answered(answer.status));
        let response = wire::response(answer, &distortions, now, ending);
        let _ = reply.send(Ok(response)); // the client may be gone
    }

    /// The faults that the request meets.
    fn plan(&self) -> Plan {
        let mut state = self.shared.state();
        let operation = self.call.route.operation();
        if operation == Operation::PutPricing {
            state.log.body(self.sequence, &self.call.body);
        }
        let plan = state.faults.plan(operation, &self.tenants);
        drop(state);
        self.shared.changed();
        plan
    }

    /// The answer, or `None` where the connection is to be closed instead.
    fn answer(&self, replacement: Option<FaultAction>) -> Option<Answer> {
        let Some(action) = replacement else { return Some(self.take_effect()) };
        let after_effect = match &action {
            FaultAction::Answer { after_effect, .. } | FaultAction::Error { after_effect, .. } => {
                *after_effect
            }
            FaultAction::DropAfterEffect => true,
            _ => false,
        };
        if after_effect {
            self.take_effect();
        }
        self.replacement(action)
    }

    /// Applies the changes of tenants that faults order before the answer leaves.
    fn change(&self, changes: Vec<Meanwhile>) {
        let mut state = self.shared.state();
        let now = state.now();
        for Meanwhile { tenant, change, while_in } in changes {
            let mode = state.tenants.get(&tenant, now).map(|tenant| &tenant.pricing.mode);
            if while_in.is_none_or(|wanted| mode == Some(&wanted)) {
                state.tenants.update(&tenant, now, |tenant| change.apply(tenant, now));
            }
        }
    }

    fn take_effect(&self) -> Answer {
        let mut state = self.shared.state();
        let (answer, took_effect) = routes::answer(&mut state, &self.call);
        if took_effect {
            state.log.took_effect(self.sequence);
        }
        answer
    }

    fn replacement(&self, action: FaultAction) -> Option<Answer> {
        let error = |status, code: &crate::simulator::answer::Code| match self.call.route {
            Route::Token => Answer::token_error(status, &code.to_text(), "as an injected fault says"),
            _ => Answer::error(status, code, "as an injected fault says"),
        };
        let throttled = |status: u16| error(status, &i64::from(status).into());
        match action {
            FaultAction::Answer { status, body, headers, .. } => Some(Answer::text(status, body, headers)),
            FaultAction::Error { status, code, retry_after, .. } => {
                let answer = error(status, &code);
                Some(match retry_after {
                    Some(seconds) => answer.header("retry-after", seconds.to_string()),
                    None => answer,
                })
            }
            FaultAction::RetryAfterSeconds { status, seconds } => {
                Some(throttled(status).header("retry-after", seconds.to_string()))
            }
            FaultAction::RetryAfterDate { status, seconds } => {
                let pause = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
                let now = self.shared.state().now();
                let until = now.saturating_add(pause).unwrap_or(jiff::Timestamp::MAX);
                Some(throttled(status).header("retry-after", http_date(until)))
            }
            FaultAction::Redirect { status, location } => {
                let empty = Answer::text(status, String::new(), std::collections::BTreeMap::new());
                Some(empty.header("location", location))
            }
            _ => None,
        }
    }
}

async fn wait(pauses: &[Pause], after_effect: bool) {
    for pause in pauses.iter().filter(|pause| pause.after_effect == after_effect) {
        match &pause.kind {
            PauseKind::For(duration) => tokio::time::sleep(*duration).await,
            PauseKind::Until(released) => released.cancelled().await,
        }
    }
}
