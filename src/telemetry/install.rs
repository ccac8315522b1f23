//! Sends the log where the settings say.

use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::fields::Quoted;
use super::outlet::Outlet;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line of text, on standard error; coloured on a terminal.
    Text,
    /// One JSON object a line, on standard error.
    Json,
    /// The journal's own protocol, fields and priorities kept.
    Journald,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("log level \"{level}\" is not a filter: {reason}")]
    Level { level: String, reason: String },
    #[error("the journal cannot be reached: {0}; use [log] format = \"text\" or \"json\" outside systemd")]
    Journal(#[source] std::io::Error),
    #[error("the log is already set up")]
    Twice,
}

/// Sets up the process's log. `level` is a filter such as `info` or `casebridge::exchange=debug,info`.
pub fn install(format: Format, level: &str) -> Result<(), InstallError> {
    let fault = |reason: String| InstallError::Level { level: level.to_owned(), reason };
    // What store and state have to say comes with our own events. The other libraries' chatter counts from a warning on;
    // whoever wants more says so in `level`.
    let directives = format!("tokio_cron_scheduler=warn,sqlx=off,sled=off,hyper_util=warn,reqwest=warn,{level}");
    EnvFilter::builder().parse(level).map_err(|error| fault(error.to_string()))?;
    let filter = EnvFilter::builder().parse(directives).map_err(|error| fault(error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match format {
        Format::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colour).fmt_fields(Quoted);
            registry.with(layer.with_writer(Mutex::new(Outlet::stderr()))).try_init()
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
            registry.with(layer.with_writer(Mutex::new(Outlet::stderr()))).try_init()
        }
        Format::Journald => {
            let layer = tracing_journald::layer().map_err(InstallError::Journal)?;
            registry.with(layer.with_syslog_identifier("casebridge".into())).try_init()
        }
    };
    installed.map_err(|_| InstallError::Twice)
}
