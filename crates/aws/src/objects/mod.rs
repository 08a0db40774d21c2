//! Objects on S3, one bucket per zone.
//!
//! What identifies a content and orders the puts of a key differs by zone, as in a folder:
//!
//! - **`raw/`**: `version` is the S3 version id. `sequencer` is `<second>-<rank>`: the second of the
//!   object's last change since 1970, eleven digits, and how many older versions of the key have the
//!   same second, four digits. S3 has times in whole seconds, so the rank orders two puts within
//!   one; it comes from `ListObjectVersions`, which lists versions in their order. A version
//!   keeps its sequencer as long as the older ones of its second are kept, which lifecycle rules
//!   delete days later.
//! - **Everywhere else** the lake writes each key once, under a name of its own (the quality summary
//!   aside), so `version` is the ETag (`etag:…`), the rank is always 0, and neither costs a call.
//!   After a put outside `raw/` the time is that of this machine's clock.
//!
//! A raw bucket without versioning has ETags for versions, and no order within a second.
//!
//! Calls: a put to `raw/` needs `s3:PutObject` and `s3:GetObject`, and with `Overwrite` also
//! `s3:ListBucketVersions`; head and list there need the latter too. Every put carries a random token
//! as metadata (`tarn-put`): if its reply is lost and the SDK's second attempt finds the object
//! there, the token shows that it is our own.

mod download;
mod upload;
mod versions;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tarn_core::digest::Digest;
use tarn_core::layout::RAW;
use tarn_core::ports::{LocalCopy, ObjectInfo, Objects, Original, PutMode, check, digest_of};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::{code, failed, status};
use crate::settings::Settings;

/// S3 signs URLs for a week at most.
const LONGEST_PRESIGN_SECONDS: u64 = 7 * 24 * 3600;

/// The port [`Objects`] on S3.
#[derive(Debug, Clone)]
pub(crate) struct S3Objects {
    client: Client,
    settings: Arc<Settings>,
}

/// Where an object is.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    bucket: &'a str,
    key: &'a str,
}

impl Place<'_> {
    fn uri(self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    fn not_found(self) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "there is no object {:?} in bucket {}",
                self.key, self.bucket
            ),
        )
    }

    fn exists(self) -> Error {
        Error::new(
            ErrorKind::Conflict,
            format!("there is an object {:?} already", self.key),
        )
    }

    /// Whether versions of this key are identified by their ids.
    fn is_versioned(self) -> bool {
        self.key.starts_with(RAW)
    }
}

/// The version of a content: its id where it has one that no other shares, its ETag otherwise.
fn version(place: Place<'_>, version_id: Option<&str>, e_tag: Option<&str>) -> String {
    match version_id {
        Some(id) if place.is_versioned() && id != "null" => id.to_owned(),
        _ => format!("{ETAG}{}", e_tag.unwrap_or_default().trim_matches('"')),
    }
}

/// In front of a version that is an ETag. No version id has a colon.
const ETAG: &str = "etag:";

fn sequencer(second: i64, rank: usize) -> String {
    format!("{second:011}-{rank:04}")
}

fn seconds(time: Option<&aws_sdk_s3::primitives::DateTime>) -> i64 {
    time.map_or(0, |time| time.secs())
}

fn size(bytes: Option<i64>) -> u64 {
    bytes.map_or(0, |bytes| u64::try_from(bytes).unwrap_or_default())
}

/// What is known of one version of an object.
struct Found<'a> {
    version_id: Option<&'a str>,
    e_tag: Option<&'a str>,
    size: u64,
    second: i64,
}

impl Found<'_> {
    fn info(&self, place: Place<'_>, rank: usize) -> ObjectInfo {
        ObjectInfo {
            key: place.key.to_owned(),
            size: self.size,
            version: version(place, self.version_id, self.e_tag),
            sequencer: sequencer(self.second, rank),
            last_modified: DateTime::from_timestamp(self.second, 0).unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a HeadObjectOutput> for Found<'a> {
    fn from(head: &'a HeadObjectOutput) -> Self {
        Found {
            version_id: head.version_id(),
            e_tag: head.e_tag(),
            size: size(head.content_length()),
            second: seconds(head.last_modified()),
        }
    }
}

impl S3Objects {
    pub(crate) fn new(client: Client, settings: Arc<Settings>) -> Self {
        S3Objects { client, settings }
    }

    fn place<'a>(&'a self, key: &'a str) -> Result<Place<'a>> {
        let bucket = self.settings.bucket_of(key)?;
        if key.ends_with('/') || key.len() > 1024 {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "{key:?} cannot be a key: it ends with a slash, or has more than 1,024 bytes"
                ),
            ));
        }
        Ok(Place { bucket, key })
    }

    /// What S3 says about an object or one of its versions; None where there is none.
    async fn look(
        &self,
        place: Place<'_>,
        version_id: Option<&str>,
    ) -> Result<Option<HeadObjectOutput>> {
        let result = self
            .client
            .head_object()
            .bucket(place.bucket)
            .key(place.key)
            .set_version_id(version_id.map(str::to_owned))
            .send()
            .await;
        match result {
            Ok(head) => Ok(Some(head)),
            // The answer to a HEAD has no body, so that its status is all there is.
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed("s3:GetObject", &place.uri(), error)),
        }
    }

    /// The info of what a HEAD found, with its rank.
    async fn ranked(&self, place: Place<'_>, head: &HeadObjectOutput) -> Result<ObjectInfo> {
        let found = Found::from(head);
        let rank = match found.version_id {
            Some(id) if place.is_versioned() && id != "null" => {
                self.rank(place, id, found.second).await?
            }
            _ => 0,
        };
        Ok(found.info(place, rank))
    }

    async fn open(&self, place: Place<'_>, version: Option<&str>) -> Result<LocalCopy> {
        let not_written = |error: std::io::Error| {
            Error::new(
                ErrorKind::Storage,
                format!(
                    "a temporary file for {} cannot be written; is the disk full?",
                    place.uri()
                ),
            )
            .with_source(error)
        };
        let file = tempfile::Builder::new()
            .prefix("tarn-")
            .tempfile()
            .map_err(not_written)?;
        let (file, path) = file.into_parts();
        self.download(place, version, file).await?;
        Ok(LocalCopy::temporary(path.to_path_buf(), path))
    }
}

#[async_trait]
impl Objects for S3Objects {
    /// `s3://bucket/key`, with nothing encoded. A key of a bucket that is not set here has a URI
    /// without a bucket, which leads nowhere.
    fn uri(&self, key: &str) -> String {
        let bucket = self.settings.bucket_of(key).unwrap_or_default();
        format!("s3://{bucket}/{key}")
    }

    fn key_of(&self, uri: &str) -> Option<String> {
        let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
        let is_ours = self
            .settings
            .bucket_of(key)
            .is_ok_and(|ours| ours == bucket);
        is_ours.then(|| key.to_owned())
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        let place = self.place(key)?;
        match self.look(place, None).await? {
            Some(head) => self.ranked(place, &head).await,
            None => Err(place.not_found()),
        }
    }

    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        let place = self.place(key)?;
        if version.starts_with(ETAG) {
            // An ETag names no former version.
            let info = self.head(key).await?;
            return if info.version == version {
                Ok(info)
            } else {
                Err(place.not_found())
            };
        }
        match self.look(place, Some(version)).await? {
            Some(head) => self.ranked(place, &head).await,
            None => Err(place.not_found()),
        }
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let place = self.place(key)?;
        if range.as_ref().is_some_and(|range| range.is_empty()) {
            // HTTP has no words for a range without a byte.
            return match self.look(place, None).await? {
                Some(_) => Ok(Bytes::new()),
                None => Err(place.not_found()),
            };
        }
        self.read(place, range).await
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        self.put_bytes(self.place(key)?, body, mode).await
    }

    /// Files of more than [`upload::MULTIPART_ABOVE`] bytes go up in parts. If this stops before its
    /// end, the parts stay until a lifecycle rule of the bucket removes incomplete uploads.
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        _original: Original,
    ) -> Result<ObjectInfo> {
        self.put_path(self.place(key)?, path, mode).await
    }

    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.open(self.place(key)?, None).await
    }

    /// S3's checksum of an upload in parts is one of checksums, which no reader of the whole object can
    /// compare, so the digest in the name is compared.
    async fn fetch_checked(&self, key: &str) -> Result<LocalCopy> {
        let copy = self.fetch(key).await?;
        let Some(written) = Digest::in_name(key) else {
            return Ok(copy);
        };
        let name = key.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            check(&name, written, digest_of(&name, &copy)?.0)?;
            Ok(copy)
        });
        checked.await.map_err(|error| {
            Error::internal("an object was not checked to its end").with_source(error)
        })?
    }

    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.open(self.place(&info.key)?, Some(&info.version)).await
    }

    /// The prefix begins with its zone and a slash: a list does not reach over buckets.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let bucket = self.settings.bucket_of(prefix)?;
        let place = Place {
            bucket,
            key: prefix,
        };
        if place.is_versioned() {
            self.list_versions(place).await
        } else {
            self.list_current(place).await
        }
    }

    /// In a bucket with versions, the content stays as a former version until a lifecycle rule
    /// removes it.
    async fn delete(&self, key: &str) -> Result<()> {
        let place = self.place(key)?;
        let request = self
            .client
            .delete_object()
            .bucket(place.bucket)
            .key(place.key);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(failed("s3:DeleteObject", &place.uri(), error)),
        }
    }

    /// The URL reads no longer than the credentials that signed it are valid.
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        let place = self.place(key)?;
        if !(1..=LONGEST_PRESIGN_SECONDS).contains(&seconds) {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "a URL can be valid for 1 to {LONGEST_PRESIGN_SECONDS} seconds, not {seconds}"
                ),
            ));
        }
        let config = PresigningConfig::expires_in(Duration::from_secs(seconds))
            .map_err(|error| Error::internal("a URL cannot be signed").with_source(error))?;
        let request = self.client.get_object().bucket(place.bucket).key(place.key);
        let signed = request
            .presigned(config)
            .await
            .map_err(|error| failed("s3:GetObject", &place.uri(), error))?;
        Ok(signed.uri().to_owned())
    }
}

/// The second that this machine's clock shows.
fn this_second() -> i64 {
    Utc::now().timestamp()
}
