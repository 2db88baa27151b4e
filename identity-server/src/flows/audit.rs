//! The audit trail: who changed what. One line each under the log target `audit`, never with a secret.

/// Records a change that has been made.
pub fn record(by: &str, action: &str, subject: &str, detail: &str) {
    log::info!(target: "audit", by = by, action = action, subject = subject, detail = detail; "{action}");
}
