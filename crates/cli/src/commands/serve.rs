//! `tapebook serve`: the server, until it is told to end or its database fails.

use std::io;
use std::time::Duration;

use tapebook::OpenReport;
use tapebook_server::{Server, ServerOptions, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Shared;
use crate::data_dir::{command_line, recovered};
use crate::error::{CliError, advice};
use crate::log_lines;
use crate::notify::notify;
use crate::settings::{SettingArgs, Settings};

/// The exit status of a process that a second signal ends.
const INTERRUPTED: i32 = 130;
/// Work in threads of its own gets so long to end after the server has.
const LET_GO_TIME_MAX: Duration = Duration::from_secs(1);

/// Arguments of `tapebook serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A flag counts for more than a variable of the environment (--connections-max is TAPEBOOK_CONNECTIONS_MAX), that for \
                  more than the file (connections_max = 4096), and that for more than the default. `tapebook config show` shows each \
                  value and where it comes from.\n\nSIGTERM and Ctrl-C end the server in order, a second one at once. SIGHUP reads the \
                  certificates again."
)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingArgs,
}

pub(crate) fn run(shared: &Shared, args: &ServeArgs) -> Result<(), CliError> {
    let resolved = args.settings.resolve(shared)?;
    let level = if shared.quiet { log::LevelFilter::Error } else { resolved.settings.log_level };
    log_lines::begin(level);
    for warning in &resolved.warnings {
        log::warn!("{warning}");
    }
    let options = server_options(&resolved.settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("tapebook-server")
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start threads: {error}")))?;
    let served = runtime.block_on(serve(options));
    // What still runs (a merge, a backup) must not hold up the end.
    runtime.shutdown_timeout(LET_GO_TIME_MAX);
    served
}

fn server_options(settings: &Settings) -> Result<ServerOptions, CliError> {
    let mut options = settings.server_options().map_err(CliError::usage)?;
    options.database.command = command_line();
    Ok(options)
}

async fn serve(options: ServerOptions) -> Result<(), CliError> {
    let mut signals =
        Signals::new().map_err(|error| CliError::failed(format!("cannot handle signals: {error}")))?;
    let door = describe_door(&options);
    let server = tokio::select! {
        started = Server::start(options) => started.map_err(failed_to_start)?,
        () = signals.end() => return Ok(()),
    };
    tell_of_recovery(server.node().db.open_report(), server.node().db.layout().root());
    for (protocol, address) in [("gRPC", server.grpc_address()), ("HTTP", server.http_address())] {
        if let Some(address) = address {
            log::info!("{protocol} on {address}, {door}");
        }
    }
    notify("READY=1");
    let failure = run_until_end(&server, &mut signals).await;
    notify("STOPPING=1");
    log::info!("ending: calls may finish, then the database is flushed and closed");
    let stopped = tokio::select! {
        stopped = server.stop() => stopped,
        () = signals.end() => {
            log::warn!("ended by a second signal; the log has everything that was acknowledged");
            std::process::exit(INTERRUPTED);
        }
    };
    match (failure, stopped) {
        (Some(reason), _) => Err(CliError::failed(format!(
            "{reason}; the server has ended, because only a restart can tell what the disk holds"
        ))),
        (None, Err(error)) => Err(CliError::failed(format!("the database could not be closed: {error}"))),
        (None, Ok(())) => {
            log::info!("ended");
            Ok(())
        }
    }
}

/// Serves until a signal, or until the database fails, which is the answer.
async fn run_until_end(server: &Server, signals: &mut Signals) -> Option<String> {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::End => return None,
                Asked::Reload => {
                    log::info!("reading the certificates again");
                    server.reload().await;
                }
            },
            reason = server.failed() => {
                log::error!("{reason}");
                return Some(reason);
            }
        }
    }
}

/// Whether whoever comes is seen by others, and asked for a name.
fn describe_door(options: &ServerOptions) -> String {
    let tls = if options.tls.is_some() { "TLS 1.3" } else { "no TLS" };
    let authentication = match options.authenticates() {
        true => "callers say who they are",
        false => "everyone who can connect may do everything",
    };
    format!("{tls}, {authentication}")
}

fn tell_of_recovery(report: &OpenReport, root: &std::path::Path) {
    for line in recovered(report, root) {
        log::warn!("{line}");
    }
    let (root, entries) = (root.display(), report.replayed_entries);
    log::info!("{root}: open, {entries} log entries replayed in {:.3} s", report.took.as_secs_f64());
}

fn failed_to_start(error: StartError) -> CliError {
    if let StartError::Exposed(_) = &error {
        return CliError::usage(error);
    }
    match advice(&error) {
        Some(advice) => CliError::failed(format!("{error}; {advice}")),
        None => CliError::failed(error),
    }
}

/// What a signal asks for.
enum Asked {
    End,
    Reload,
}

/// The signals that a server listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for a request to end.
    async fn end(&mut self) {
        while let Asked::Reload = self.next().await {}
    }
}
