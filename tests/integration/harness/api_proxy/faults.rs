//! What can go wrong with any request, whichever comes next.

use std::collections::BTreeMap;

use super::WriteFault;

/// A fault of a request that an API server, or what stands before it, makes.
#[derive(Debug, Clone, Copy)]
pub enum RequestFault {
    /// A status write of a `TenantPricing` meets a write fault.
    Write(WriteFault),
    /// Another client writes the object just before a status write.
    Conflict,
    /// A request is answered 429 with a `Retry-After` of a second.
    Throttle,
    /// A watch that is begun is answered 410: its resource version is too old.
    WatchGone,
    /// A standing watch ends with the event that its resource version is too old.
    WatchExpired,
    /// A standing watch repeats its latest events.
    WatchRepeats,
    /// A standing watch loses a bookmark.
    BookmarkLost,
}

impl RequestFault {
    /// The word under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write(WriteFault::LoseRequest) => "status write lost on its way",
            Self::Write(WriteFault::LoseAnswer) => "answer to a status write lost",
            Self::Write(WriteFault::AnswerWith(_)) => "status write stored and answered 5xx",
            Self::Write(WriteFault::AnswerFromThePast) => "status write lost and answered from the past",
            Self::Write(WriteFault::DelayRequest(_)) => "status write late",
            Self::Write(WriteFault::DelayAnswer(_)) => "answer to a status write late",
            Self::Conflict => "conflict of a status write",
            Self::Throttle => "request throttled by the API server",
            Self::WatchGone => "watch answered 410 Gone",
            Self::WatchExpired => "watch expired in the middle",
            Self::WatchRepeats => "watch repeats events",
            Self::BookmarkLost => "bookmark lost",
        }
    }
}

/// The troubles that wait for their request, and how many have met one.
#[derive(Default)]
pub(super) struct RequestFaults {
    waiting: Vec<RequestFault>,
    hits: BTreeMap<&'static str, u32>,
}

impl RequestFaults {
    pub fn add(&mut self, trouble: RequestFault) {
        self.waiting.push(trouble);
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Takes the first that `meets`, and counts it.
    pub fn take(&mut self, meets: impl Fn(RequestFault) -> bool) -> Option<RequestFault> {
        let place = self.waiting.iter().position(|trouble| meets(*trouble))?;
        let trouble = self.waiting.remove(place);
        *self.hits.entry(trouble.name()).or_default() += 1;
        Some(trouble)
    }

    pub fn hits(&self) -> BTreeMap<&'static str, u32> {
        self.hits.clone()
    }
}
