//! What users receive beside the program: the chart and the documents.

mod alerts;
mod apply_set;
mod chart;
mod documents;
mod emergency_stop;
mod gitops;
mod krew;
mod prose;
mod runbook;
mod state_metrics;
