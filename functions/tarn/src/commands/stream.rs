//! `tarn stream`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use chrono::NaiveDate;
use flate2::bufread::MultiGzDecoder;
use serde_json::json;
use tarn_archive::{Arrival, read_record, stream_contract, stream_lines};
use tarn_core::run::RunRecord;
use tarn_core::{Error, ErrorKind, Result};
use tarn_local::LocalLake;

use crate::cli::{Global, StreamArgs};
use crate::cloud::Remote;
use crate::commands::ingest;
use crate::setting::{Place, Setting, create};
use crate::terminal::{Progress, Terminal, plural};

/// Archives the events and ingests the archived objects.
pub async fn run(global: &Global, args: &StreamArgs, terminal: &Terminal) -> Result<ExitCode> {
    let setting = create(global).await?;
    let progress = terminal.progress();
    let local = match setting.place() {
        Place::Folder(local) => local,
        Place::Aws(remote) => {
            let sent = put_records(remote, args, &progress).await?;
            drop(progress);
            if terminal.is_json() {
                terminal.json(&json!({ "sent": sent }))?;
            } else {
                terminal.line(format!("{} sent", plural(sent, "event")))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (sent, records) = match &args.file {
        Some(path) => {
            stream_file(
                &setting,
                local,
                path,
                args.dataset.as_deref(),
                args.arrived_on,
                &progress,
            )
            .await?
        }
        None => {
            let mut input = BufReader::new(std::io::stdin());
            stream(
                &setting,
                local,
                &mut input,
                args.dataset.as_deref(),
                &Arrival::Now,
                &progress,
            )
            .await?
        }
    };
    drop(progress);
    let code = ingest::end(&setting, &records, terminal).await?;
    if !terminal.is_json() {
        terminal.note(&format!("{} sent", plural(sent, "event")));
    }
    Ok(code)
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    let unreadable = |error| {
        Error::new(
            ErrorKind::BadRequest,
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)
    };
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(unreadable)?);
    let gzip = file
        .fill_buf()
        .map_err(unreadable)?
        .starts_with(&[0x1f, 0x8b]);
    Ok(if gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

fn lines(path: &Path) -> Result<u64> {
    let mut input = open(path)?;
    let (mut lines, mut last) = (0, b'\n');
    loop {
        let available = input.fill_buf().map_err(|error| {
            Error::new(
                ErrorKind::BadRequest,
                format!("{} cannot be read", path.display()),
            )
            .with_source(error)
        })?;
        if available.is_empty() {
            // The last line may lack its newline.
            return Ok(lines + u64::from(last != b'\n'));
        }
        lines += available.iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = available.last().copied().unwrap_or(last);
        let read = available.len();
        input.consume(read);
    }
}

/// Streams a file; with a day, as a replay of that day.
pub async fn stream_file(
    setting: &Setting,
    local: &LocalLake,
    path: &Path,
    dataset: Option<&str>,
    arrived_on: Option<NaiveDate>,
    progress: &Progress,
) -> Result<(u64, Vec<RunRecord>)> {
    let arrival = match arrived_on {
        None => Arrival::Now,
        Some(day) => Arrival::On {
            day,
            lines: lines(path)?,
            name: path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default(),
        },
    };
    let mut input = open(path)?;
    stream(setting, local, input.as_mut(), dataset, &arrival, progress).await
}

async fn stream(
    setting: &Setting,
    local: &LocalLake,
    input: &mut (dyn BufRead + Send),
    dataset: Option<&str>,
    arrival: &Arrival,
    progress: &Progress,
) -> Result<(u64, Vec<RunRecord>)> {
    let contract = stream_contract(&setting.lake, dataset)?;
    let mut keys = Vec::new();
    let sent = stream_lines(
        &setting.lake,
        contract,
        input,
        arrival,
        &mut |info, records| {
            progress.step(format!("archiving: {}", plural(records, "event")));
            keys.push(info.key.clone());
        },
    )
    .await?;
    let mut records = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        progress.step(format!(
            "{}/{} ingesting archived events",
            number + 1,
            keys.len()
        ));
        let _lock = local.ingest_lock(key).await?;
        records.push(tarn_ingest::ingest(&setting.lake, key).await?);
    }
    Ok((sent, records))
}

/// Records that are handed to Kinesis together.
const PUT_RECORDS: usize = 5_000;
const PUT_BYTES: usize = 4 << 20;

/// A record of Kinesis holds at most 1 MiB, its partition key included.
const RECORD_BYTES: usize = (1 << 20) - 256;

/// Puts each line on the stream as a record; blank lines are none. Returns how many there were.
async fn put_records(remote: &Remote, args: &StreamArgs, progress: &Progress) -> Result<u64> {
    if args.dataset.is_some() || args.arrived_on.is_some() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "on AWS the stream says which dataset events are for and when they arrived: leave \
             --dataset and --arrived-on out",
        ));
    }
    let stream = remote.stream()?;
    let mut input: Box<dyn BufRead + Send> = match &args.file {
        Some(path) => open(path)?,
        None => Box::new(BufReader::new(std::io::stdin())),
    };
    let (mut sent, mut bytes, mut records) = (0, 0, Vec::new());
    loop {
        let mut data = Vec::new();
        let ended = read_record(input.as_mut(), &mut data, RECORD_BYTES)?;
        if !data.iter().all(u8::is_ascii_whitespace) {
            bytes += data.len();
            records.push(data);
        }
        if !records.is_empty() && (ended || records.len() >= PUT_RECORDS || bytes >= PUT_BYTES) {
            sent += stream.put(std::mem::take(&mut records)).await? as u64;
            bytes = 0;
            progress.step(format!("sending: {}", plural(sent, "event")));
        }
        if ended {
            return Ok(sent);
        }
    }
}
