//! Writing: at once, or in parts.
//!
//! Every content has a CRC32, computed here and compared by S3 when it arrives. An upload in parts
//! announces it when it begins, because S3 refuses parts whose checksum was not announced, and asks for
//! one of the whole content (`FULL_OBJECT`): S3 sends it along with the content later, so that a
//! reader of the whole content can compare it. S3's default, a checksum of checksums, cannot be compared.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use tarn_core::ports::{ObjectInfo, PutMode};
use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::{Found, Place, S3Objects, this_second};
use crate::failure::{CallError, code, failed, status};
use crate::pause;

/// A larger file (bytes) goes up in parts.
pub(super) const MULTIPART_ABOVE: u64 = 16 << 20;

/// The size of a part (bytes), unless the file would have more than [`MOST_PARTS`].
const PART_BYTES: u64 = 16 << 20;

/// S3 takes no more.
const MOST_PARTS: u64 = 10_000;

/// Parts that go up at once.
const CONCURRENT_PARTS: usize = 4;

/// Bytes that are read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// The metadata that says which put made an object.
const TOKEN: &str = "tarn-put";

/// How often a put is tried when another request for its key gets in the way.
const PUTS: u32 = 5;

/// What S3 says about an object that was put.
struct Stored {
    version_id: Option<String>,
    e_tag: Option<String>,
}

impl Stored {
    fn of(head: &HeadObjectOutput) -> Stored {
        Stored {
            version_id: head.version_id().map(str::to_owned),
            e_tag: head.e_tag().map(str::to_owned),
        }
    }
}

/// How a put failed.
enum Refusal {
    /// There is an object already (412), or was when a lost attempt had succeeded.
    Exists,
    /// Another request for the same key was under way (409), or an upload is gone.
    InTheWay(Error),
    /// Anything else.
    Failed(Error),
}

impl Refusal {
    fn of<E>(action: &str, place: Place<'_>, error: CallError<E>) -> Refusal
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let in_the_way = status(&error) == Some(409) || code(&error) == Some("NoSuchUpload");
        match status(&error) {
            Some(412) => Refusal::Exists,
            _ if in_the_way => Refusal::InTheWay(failed(action, &place.uri(), error)),
            _ => Refusal::Failed(failed(action, &place.uri(), error)),
        }
    }
}

fn condition(mode: PutMode) -> Option<String> {
    match mode {
        PutMode::IfAbsent => Some("*".to_owned()),
        PutMode::Overwrite => None,
    }
}

impl S3Objects {
    pub(super) async fn put_bytes(
        &self,
        place: Place<'_>,
        body: Bytes,
        mode: PutMode,
    ) -> Result<ObjectInfo> {
        let size = body.len() as u64;
        self.settled(place, size, mode, |token| {
            let body = body.clone();
            async move {
                let put = self
                    .client
                    .put_object()
                    .bucket(place.bucket)
                    .key(place.key)
                    .metadata(TOKEN, token)
                    .checksum_algorithm(ChecksumAlgorithm::Crc32)
                    .set_if_none_match(condition(mode))
                    .body(ByteStream::from(body))
                    .send()
                    .await
                    .map_err(|error| Refusal::of("s3:PutObject", place, error))?;
                Ok(Stored {
                    version_id: put.version_id,
                    e_tag: put.e_tag,
                })
            }
        })
        .await
    }

    pub(super) async fn put_path(
        &self,
        place: Place<'_>,
        path: &Path,
        mode: PutMode,
    ) -> Result<ObjectInfo> {
        let unreadable = |error: std::io::Error| {
            Error::new(
                ErrorKind::BadRequest,
                format!("{} cannot be read", path.display()),
            )
            .with_source(error)
        };
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!("{} is not a regular file", path.display()),
            ));
        }
        // The same file, even if its name leads to another one later, and only its present length: a log
        // grows and is renamed.
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size <= MULTIPART_ABOVE {
            let read = tokio::task::spawn_blocking(move || {
                let mut body = Vec::new();
                file.take(size).read_to_end(&mut body).map(|_| body)
            });
            let body = read
                .await
                .map_err(|error| Error::internal("reading a file failed").with_source(error))?
                .map_err(unreadable)?;
            return self.put_bytes(place, body.into(), mode).await;
        }
        if mode == PutMode::IfAbsent && self.look(place, None).await?.is_some() {
            // Finding this out at the end of a large upload would be a waste.
            return Err(place.exists());
        }
        let same = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.settled(place, size, mode, |token| {
            let path = Path::new(&same);
            self.put_parts(place, LocalFile { path, size }, mode, token)
        })
        .await
    }

    /// Puts until the outcome is known, and returns the object that is there then.
    async fn settled<F>(
        &self,
        place: Place<'_>,
        size: u64,
        mode: PutMode,
        put: impl Fn(String) -> F,
    ) -> Result<ObjectInfo>
    where
        F: Future<Output = std::result::Result<Stored, Refusal>>,
    {
        let token = Uuid::new_v4().simple().to_string();
        let mut attempt = 1;
        let stored = loop {
            let (exists, error) = match put(token.clone()).await {
                Ok(stored) => break stored,
                Err(Refusal::Failed(error)) => return Err(error),
                Err(Refusal::Exists) => (true, place.exists()),
                Err(Refusal::InTheWay(error)) => (false, error),
            };
            match self.look(place, None).await? {
                Some(head) if is_ours(&head, &token) => break Stored::of(&head),
                Some(_) if mode == PutMode::IfAbsent => return Err(place.exists()),
                _ if attempt == PUTS => return Err(error),
                // The object that was there is gone again, or the other request has ended.
                _ => {
                    tracing::debug!(object = %place.uri(), exists, "a put is begun again");
                    pause(attempt, Duration::from_millis(50)).await;
                    attempt += 1;
                }
            }
        };
        self.described(place, size, mode, &stored).await
    }

    /// The info of what was put.
    async fn described(
        &self,
        place: Place<'_>,
        size: u64,
        mode: PutMode,
        stored: &Stored,
    ) -> Result<ObjectInfo> {
        if !place.is_versioned() {
            let found = Found {
                version_id: None,
                e_tag: stored.e_tag.as_deref(),
                size,
                second: this_second(),
            };
            return Ok(found.info(place, 0));
        }
        let gone = || {
            Error::new(
                ErrorKind::Conflict,
                format!("{:?} was deleted right after its put", place.key),
            )
        };
        let mut head = self.look(place, None).await?;
        if head.as_ref().and_then(|head| head.version_id()) != stored.version_id.as_deref() {
            // Another put was faster than this look.
            head = self.look(place, stored.version_id.as_deref()).await?;
        }
        let head = head.ok_or_else(gone)?;
        match mode {
            // Nothing was there, so that nothing of the same second is older, unless it was deleted
            // within it.
            PutMode::IfAbsent => Ok(Found::from(&head).info(place, 0)),
            PutMode::Overwrite => self.ranked(place, &head).await,
        }
    }

    async fn put_parts(
        &self,
        place: Place<'_>,
        file: LocalFile<'_>,
        mode: PutMode,
        token: String,
    ) -> std::result::Result<Stored, Refusal> {
        const ACTION: &str = "s3:PutObject";
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(place.bucket)
            .key(place.key)
            .metadata(TOKEN, token)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(|error| Refusal::of(ACTION, place, error))?;
        let id = begun.upload_id().unwrap_or_default();
        let upload = Upload { place, file, id };
        let result = match self.parts(upload).await {
            Ok(parts) => {
                let parts = CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build();
                self.client
                    .complete_multipart_upload()
                    .bucket(place.bucket)
                    .key(place.key)
                    .upload_id(id)
                    .multipart_upload(parts)
                    .checksum_type(ChecksumType::FullObject)
                    .set_mpu_object_size(i64::try_from(file.size).ok())
                    .set_if_none_match(condition(mode))
                    .send()
                    .await
                    .map_err(|error| Refusal::of(ACTION, place, error))
            }
            Err(error) => Err(Refusal::Failed(error)),
        };
        match result {
            Ok(completed) => Ok(Stored {
                version_id: completed.version_id,
                e_tag: completed.e_tag,
            }),
            Err(refusal) => {
                self.abort(place, id).await;
                Err(refusal)
            }
        }
    }

    /// Sends the parts of a file.
    async fn parts(&self, upload: Upload<'_>) -> Result<Vec<CompletedPart>> {
        let size = upload.file.size;
        let each = part_bytes(size);
        // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
        let sends: Vec<_> = (0..size.div_ceil(each))
            .map(|index| {
                let range = index * each..size.min((index + 1) * each);
                self.part(upload, index, range)
            })
            .collect();
        stream::iter(sends)
            .buffered(CONCURRENT_PARTS)
            .try_collect()
            .await
    }

    async fn part(
        &self,
        upload: Upload<'_>,
        index: u64,
        range: std::ops::Range<u64>,
    ) -> Result<CompletedPart> {
        let number = i32::try_from(index + 1)
            .map_err(|error| Error::internal("a file has too many parts").with_source(error))?;
        let body = ByteStream::read_from()
            .path(upload.file.path)
            .buffer_size(READ_BYTES)
            .offset(range.start)
            .length(Length::Exact(range.end - range.start))
            .build()
            .await
            .map_err(|error| {
                Error::new(
                    ErrorKind::BadRequest,
                    "the file cannot be read, or changes while it is uploaded",
                )
                .with_source(error)
            })?;
        let sent = self
            .client
            .upload_part()
            .bucket(upload.place.bucket)
            .key(upload.place.key)
            .upload_id(upload.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(body)
            .send()
            .await
            .map_err(|error| failed("s3:PutObject", &upload.place.uri(), error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build())
    }

    async fn abort(&self, place: Place<'_>, id: &str) {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(place.bucket)
            .key(place.key)
            .upload_id(id)
            .send()
            .await;
        match aborted {
            // Complete after all, or aborted before.
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => {
                let error = failed("s3:AbortMultipartUpload", &place.uri(), error);
                tracing::warn!(%error, "the parts of an upload stay behind");
            }
            Ok(_) => {}
        }
    }
}

/// A file to upload.
#[derive(Clone, Copy)]
struct LocalFile<'a> {
    path: &'a Path,
    /// Bytes.
    size: u64,
}

/// An upload in parts that was begun.
#[derive(Clone, Copy)]
struct Upload<'a> {
    place: Place<'a>,
    file: LocalFile<'a>,
    id: &'a str,
}

fn is_ours(head: &HeadObjectOutput, token: &str) -> bool {
    let known = head.metadata().and_then(|metadata| metadata.get(TOKEN));
    known.is_some_and(|known| known == token)
}

/// Bytes of a part of a file of `size` bytes.
fn part_bytes(size: u64) -> u64 {
    PART_BYTES.max(size.div_ceil(MOST_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_size_has_parts_that_s3_takes() {
        for size in [MULTIPART_ABOVE + 1, 1 << 30, 160 << 30, 5 << 40] {
            let each = part_bytes(size);
            assert!(each >= 5 << 20, "{size}: parts of {each}");
            assert!(size.div_ceil(each) <= MOST_PARTS, "{size}: parts of {each}");
        }
    }
}
