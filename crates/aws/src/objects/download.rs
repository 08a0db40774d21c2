//! Reading: a transfer that breaks off goes on where it stopped, from the same content.
//!
//! A content that is read as a whole in one go is compared with the checksum that S3 sends along, where
//! that is one of the whole content: of everything that the lake has put, and of what others put, unless
//! it went up in parts with a checksum of checksums. A difference is an error. S3 sends no checksum with
//! a range, so neither a range nor the rest after a break is compared; these rely on TLS.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use tarn_core::{Error, ErrorKind, Result};

use super::{ETAG, Place, S3Objects};
use crate::failure::{code, failed, status};
use crate::pause;

/// How often one transfer is begun.
const TRANSFERS: u32 = 5;

/// Bytes that are written to a file at once.
const WRITE_BYTES: usize = 1 << 20;

/// Which content of a key is read.
#[derive(Debug, Clone)]
enum Which {
    Current,
    Version(String),
    Tagged(String),
}

/// Where the bytes go.
enum Sink {
    Memory(Vec<u8>),
    File { file: Arc<File>, buffer: Vec<u8> },
}

impl Sink {
    async fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Sink::Memory(memory) => memory.extend_from_slice(bytes),
            Sink::File { buffer, .. } => {
                buffer.extend_from_slice(bytes);
                if buffer.len() >= WRITE_BYTES {
                    self.flush().await?;
                }
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        let Sink::File { file, buffer } = self else {
            return Ok(());
        };
        let (file, mut full) = (Arc::clone(file), std::mem::take(buffer));
        let write = move || {
            (&*file).write_all(&full)?;
            full.clear();
            Ok::<_, std::io::Error>(full)
        };
        *buffer = tokio::task::spawn_blocking(write)
            .await
            .map_err(std::io::Error::other)??;
        Ok(())
    }
}

impl S3Objects {
    /// The bytes of an object, or of a range of it; a range is cut to the object's end.
    pub(super) async fn read(&self, place: Place<'_>, range: Option<Range<u64>>) -> Result<Bytes> {
        let mut sink = Sink::Memory(Vec::new());
        self.transfer(place, Which::Current, range, &mut sink)
            .await?;
        match sink {
            Sink::Memory(bytes) => Ok(bytes.into()),
            Sink::File { .. } => Ok(Bytes::new()),
        }
    }

    /// Writes an object, or the version of it that a text of [`super::version`] names, to a file.
    pub(super) async fn download(
        &self,
        place: Place<'_>,
        version: Option<&str>,
        file: File,
    ) -> Result<()> {
        let which = match version {
            None => Which::Current,
            Some(version) => match version.strip_prefix(ETAG) {
                Some(tag) => Which::Tagged(format!("\"{tag}\"")),
                None => Which::Version(version.to_owned()),
            },
        };
        let mut sink = Sink::File {
            file: Arc::new(file),
            buffer: Vec::new(),
        };
        self.transfer(place, which, None, &mut sink).await?;
        sink.flush().await.map_err(|error| unwritten(place, error))
    }

    async fn transfer(
        &self,
        place: Place<'_>,
        mut which: Which,
        range: Option<Range<u64>>,
        sink: &mut Sink,
    ) -> Result<()> {
        let range = range.unwrap_or(0..u64::MAX);
        let mut at = range.start;
        let mut failure = String::new();
        for attempt in 0..TRANSFERS {
            if attempt > 0 {
                tracing::warn!(object = %place.uri(), at, failure, "a transfer broke off and goes on");
                pause(attempt, Duration::from_millis(100)).await;
            }
            let Some(mut answer) = self.begin(place, &which, at..range.end).await? else {
                return Ok(());
            };
            // What goes on must be what was begun.
            if let (Which::Current, Some(tag)) = (&which, answer.e_tag()) {
                which = Which::Tagged(tag.to_owned());
            }
            let end = answer
                .content_length()
                .and_then(|length| u64::try_from(length).ok())
                .map(|length| at.saturating_add(length));
            loop {
                match answer.body.next().await {
                    Some(Ok(bytes)) => {
                        at = at.saturating_add(bytes.len() as u64);
                        sink.take(&bytes)
                            .await
                            .map_err(|error| unwritten(place, error))?;
                    }
                    None if end.is_none_or(|end| end == at) => return Ok(()),
                    None => {
                        "the answer ended early".clone_into(&mut failure);
                        break;
                    }
                    Some(Err(error)) if end == Some(at) => {
                        // All bytes are there, and are not those that were put.
                        return Err(Error::new(
                            ErrorKind::Storage,
                            format!("{} arrived damaged; try again", place.uri()),
                        )
                        .with_source(error)
                        .retryable(true));
                    }
                    Some(Err(error)) => {
                        failure = error.to_string();
                        break;
                    }
                }
            }
        }
        Err(Error::new(
            ErrorKind::Storage,
            format!(
                "reading {} broke off {TRANSFERS} times ({failure}); try again",
                place.uri()
            ),
        )
        .retryable(true))
    }

    /// The answer with the bytes of a range; None where the content ends before it.
    async fn begin(
        &self,
        place: Place<'_>,
        which: &Which,
        range: Range<u64>,
    ) -> Result<Option<GetObjectOutput>> {
        let mut request = self.client.get_object().bucket(place.bucket).key(place.key);
        request = match which {
            Which::Current => request,
            Which::Version(id) => request.version_id(id),
            Which::Tagged(tag) => request.if_match(tag),
        };
        if range == (0..u64::MAX) {
            request = request.checksum_mode(ChecksumMode::Enabled);
        } else {
            let last = range.end.saturating_sub(1);
            let text = match range.end {
                u64::MAX => format!("bytes={}-", range.start),
                _ => format!("bytes={}-{last}", range.start),
            };
            request = request.range(text);
        }
        match request.send().await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if code(&error) == Some("NoSuchBucket") => {
                Err(failed("s3:GetObject", &place.uri(), error))
            }
            Err(error) => match (status(&error), which) {
                (Some(416), _) => Ok(None),
                (Some(404), Which::Current) => Err(place.not_found()),
                (Some(404 | 412), _) => Err(Error::new(
                    ErrorKind::NotFound,
                    format!("the version asked for of {} is not kept", place.uri()),
                )),
                // Not a version id.
                (Some(400), Which::Version(id)) if code(&error) == Some("InvalidArgument") => {
                    Err(Error::new(
                        ErrorKind::NotFound,
                        format!("{} never had a version {id:?}", place.uri()),
                    ))
                }
                (_, Which::Version(_)) => Err(failed("s3:GetObjectVersion", &place.uri(), error)),
                _ => Err(failed("s3:GetObject", &place.uri(), error)),
            },
        }
    }
}

fn unwritten(place: Place<'_>, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!(
            "the copy of {} cannot be written; is the disk full?",
            place.uri()
        ),
    )
    .with_source(error)
}
