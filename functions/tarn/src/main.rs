//! The `tarn` binary: the lake by command line, in a folder or on AWS.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod cli;
mod cloud;
mod commands;
mod land;
mod session;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
// Only for their features: see the manifest.
use tarn_core::Result;
use {crc32fast as _, digest as _, regex_lite as _, serde_with as _};

use crate::cli::{Cli, Command, ContractCommand};
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.global.json, cli.global.quiet);
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("TARN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(terminal.is_colored())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.fail(&format!("the async runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli, &terminal)) {
        Ok(code) => code,
        // The reader of the output closed it, for example `| head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        || error.source().is_some_and(is_broken_pipe)
}

async fn run(cli: Cli, terminal: &Terminal) -> Result<ExitCode> {
    let global = cli.global;
    match cli.command {
        Command::Demo(args) => commands::demo::run(&global, &args, terminal).await,
        Command::Generate(args) => commands::generate::run(&args, terminal),
        Command::Ingest(args) => commands::ingest::run(&global, &args, terminal).await,
        Command::Stream(args) => commands::stream::run(&global, &args, terminal).await,
        Command::Marts(args) => commands::marts::run(&global, &args, terminal).await,
        Command::Query(args) => commands::query::run(&global, &args, terminal).await,
        Command::Serve(args) => commands::serve::run(&global, &args, terminal).await,
        Command::Tables => commands::tables::list(&global, terminal).await,
        Command::Versions(args) => commands::tables::versions(&global, &args, terminal).await,
        Command::Quality(args) => commands::quality::run(&global, &args, terminal).await,
        Command::Status(args) => commands::status::run(&global, &args, terminal).await,
        Command::Quarantine(args) => commands::quarantine::run(&global, &args, terminal).await,
        Command::Replay(args) => commands::replay::replay(&global, &args, terminal).await,
        Command::Backfill(args) => commands::replay::backfill(&global, &args, terminal).await,
        Command::Runs(args) => commands::runs::run(&global, &args, terminal).await,
        Command::Maintain(args) => commands::maintain::run(&global, &args, terminal).await,
        Command::Verify(args) => commands::verify::run(&global, &args, terminal).await,
        Command::Relocate(args) => commands::relocate::run(&global, &args, terminal).await,
        Command::Redrive(args) => commands::redrive::run(&global, &args, terminal).await,
        Command::Keys(command) => commands::keys::run(&global, &command, terminal).await,
        Command::Contract(ContractCommand::Lint(args)) => {
            commands::contract::lint(&global, &args, terminal)
        }
        Command::Contract(ContractCommand::Diff(args)) => commands::contract::diff(&args, terminal),
        Command::Contract(ContractCommand::Test(args)) => {
            commands::contract_test::run(&global, &args, terminal).await
        }
        Command::Contract(ContractCommand::Docs(args)) => {
            commands::contract::docs(&global, &args, terminal)
        }
        Command::Contract(ContractCommand::Infer(args)) => {
            commands::contract::infer(&args, terminal)
        }
        Command::Completions(args) => {
            commands::completions::run(&args);
            Ok(ExitCode::SUCCESS)
        }
    }
}
