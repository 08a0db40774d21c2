//! `tarn serve`

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tarn_api::{Limits, router};
use tarn_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

use crate::cli::{Global, ServeArgs};
use crate::commands::query::mebibytes;
use crate::session::open;
use crate::terminal::Terminal;

/// Serves until it is interrupted.
pub async fn run(global: &Global, args: &ServeArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let taken = |error| {
        Error::new(
            ErrorKind::BadRequest,
            format!(
                "port {} cannot be used; choose another with --port",
                args.port
            ),
        )
        .with_source(error)
    };
    // Localhost only: the API has no authorization of its own.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .await
        .map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let url = format!("http://{address}");
    if terminal.is_json() {
        terminal.json(&json!({ "url": url }))?;
    } else {
        terminal.line(format!("Serving {} on {url}", session.name()))?;
        terminal.note(&format!(
            "Try: curl {url}/query --json '{{\"sql\": \"SELECT * FROM daily_sales LIMIT 5\"}}'"
        ));
    }
    let memory = mebibytes(args.memory);
    let lake = session.lake.with_limits(tarn_query::Limits {
        query_memory: memory / 2,
        memory,
        ..tarn_query::Limits::default()
    });
    let limits = Limits {
        timeout: Duration::from_secs(args.timeout.into()),
        ..Limits::default()
    };
    axum::serve(listener, router(lake, limits))
        .with_graceful_shutdown(interrupted())
        .await
        .map_err(|error| Error::new(ErrorKind::Storage, "the server stopped").with_source(error))?;
    Ok(ExitCode::SUCCESS)
}

async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => {
            if let Err(error) = result {
                tracing::warn!(%error, "Ctrl-C cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
        () = terminate => {}
    }
}
