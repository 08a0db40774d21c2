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
use crate::session::{Place, Session, create};
use crate::terminal::{Progress, Terminal, plural};

/// Archives the events and ingests the archived objects.
pub async fn run(global: &Global, args: &StreamArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = create(global).await?;
    let progress = terminal.progress();
    let local = match session.place() {
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
    let streaming = Streaming {
        session: &session,
        local,
        dataset: args.dataset.as_deref(),
        progress: &progress,
    };
    let (sent, records) = match &args.file {
        Some(path) => streaming.file(path, args.arrived_on).await?,
        None => {
            let mut input = BufReader::new(std::io::stdin());
            streaming.input(&mut input, &Arrival::Now).await?
        }
    };
    drop(progress);
    let code = ingest::end(&session, &records, terminal).await?;
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

/// Streams events into a lake in a folder: the archive step, then the ingest of what it put.
pub struct Streaming<'a> {
    pub session: &'a Session,
    pub local: &'a LocalLake,
    /// The dataset of the events, where it is named.
    pub dataset: Option<&'a str>,
    pub progress: &'a Progress,
}

impl Streaming<'_> {
    /// Streams a file; with a day, as a replay of that day. Returns the number of events, and the runs.
    pub async fn file(
        &self,
        path: &Path,
        arrived_on: Option<NaiveDate>,
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
        self.input(open(path)?.as_mut(), &arrival).await
    }

    /// Streams the lines of an input. Returns the number of events, and the runs.
    pub async fn input(
        &self,
        input: &mut (dyn BufRead + Send),
        arrival: &Arrival,
    ) -> Result<(u64, Vec<RunRecord>)> {
        let lake = &self.session.lake;
        let contract = stream_contract(lake, self.dataset)?;
        let mut keys = Vec::new();
        let sent = stream_lines(lake, contract, input, arrival, &mut |info, records| {
            self.progress
                .step(format!("archiving: {}", plural(records, "event")));
            keys.push(info.key.clone());
        })
        .await?;
        let mut records = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let place = format!("{}/{}", number + 1, keys.len());
            self.progress
                .step(format!("{place} ingesting archived events"));
            let _lock = self.local.ingest_lock(key).await?;
            records.push(tarn_ingest::ingest(lake, key).await?);
        }
        Ok((sent, records))
    }
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
