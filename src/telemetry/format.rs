//! The text format of a scrape.

/// A text format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older format of Prometheus, 0.0.4.
    Prometheus,
}

/// How much a client wants a format: the weight, and how specifically the client names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Wanted {
    weight: f64,
    closeness: u8,
}

impl Format {
    /// The format that the header `Accept` asks for. A client without a preference gets OpenMetrics. A client that
    /// accepts neither format gets the older one, which every scraper can read.
    #[must_use]
    pub fn asked_for(accept: Option<&str>) -> Self {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
            return Self::OpenMetrics;
        };
        let (open, older) = (Self::OpenMetrics.wanted(accept), Self::Prometheus.wanted(accept));
        if open.weight > 0.0 && open >= older { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The value of the header `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    fn wanted(self, accept: &str) -> Wanted {
        let mut wanted = Wanted::default();
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(closeness) = self.closeness(parts.next().unwrap_or_default()) else { continue };
            let mut range = Wanted { weight: 1.0, closeness };
            let mut is_ours = true;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => range.weight = value.parse().unwrap_or(0.0),
                    "version" => is_ours = self.versions().contains(&value),
                    _ => {}
                }
            }
            // The most specific range counts. Of several equally specific ranges, the one with the largest weight
            // counts.
            let is_closer = (range.closeness, range.weight) > (wanted.closeness, wanted.weight);
            if is_ours && is_closer {
                wanted = range;
            }
        }
        wanted
    }

    fn closeness(self, range: &str) -> Option<u8> {
        let (kind, group) = match self {
            Self::OpenMetrics => ("application/openmetrics-text", "application/*"),
            Self::Prometheus => ("text/plain", "text/*"),
        };
        match range.to_ascii_lowercase() {
            range if range == kind => Some(3),
            range if range == group => Some(2),
            range if range == "*/*" => Some(1),
            _ => None,
        }
    }

    fn versions(self) -> &'static [&'static str] {
        match self {
            Self::OpenMetrics => &["1.0.0", "0.0.1"],
            Self::Prometheus => &["0.0.4"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let open = [
            "",
            " ",
            "*/*",
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "text/html, application/*;q=0.9",
            "text/plain;version=0.0.4;q=0.3, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.2",
            // The headers of Prometheus 2 and 3.
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain;q=0, */*",
        ];
        let older = [
            "text/plain",
            "text/plain;version=0.0.4",
            "TEXT/PLAIN; Version=\"0.0.4\"",
            "text/plain, */*",
            "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5",
            "application/openmetrics-text;q=0, */*;q=0.1",
            "text/*",
            // Accepts neither format.
            "application/json",
            "text/html",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=often",
            ";;q=,,=",
        ];
        assert_eq!(Format::asked_for(None), Format::OpenMetrics);
        for accept in open {
            assert_eq!(Format::asked_for(Some(accept)), Format::OpenMetrics, "{accept}");
        }
        for accept in older {
            assert_eq!(Format::asked_for(Some(accept)), Format::Prometheus, "{accept}");
        }
    }
}
