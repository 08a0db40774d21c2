//! Lists, and the order of the versions of a key.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use tarn_core::ports::ObjectInfo;
use tarn_core::{Error, ErrorKind, Result};

use super::{Found, Place, S3Objects, seconds, sequencer, size};
use crate::failure::failed;

/// How many versions are looked at in one call for the rank of one: versions of one second are few.
const RANK_PAGE: i32 = 20;

/// The pages of a list of versions; the SDK has no paginator for them.
struct Pages<'a> {
    client: &'a Client,
    place: Place<'a>,
    size: Option<i32>,
    /// The key and version after which the next page begins; None after the last page.
    next: Option<(Option<String>, Option<String>)>,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<ListObjectVersionsOutput>> {
        let Some((key, version)) = self.next.take() else {
            return Ok(None);
        };
        let page = self
            .client
            .list_object_versions()
            .bucket(self.place.bucket)
            .prefix(self.place.key)
            .encoding_type(EncodingType::Url)
            .set_max_keys(self.size)
            .set_key_marker(key)
            .set_version_id_marker(version)
            .send()
            .await
            .map_err(|error| failed("s3:ListBucketVersions", &self.place.uri(), error))?;
        if page.is_truncated() == Some(true) && page.next_key_marker().is_some() {
            let key = decoded(page.next_key_marker(), page.encoding_type())?;
            let version = page.next_version_id_marker().map(str::to_owned);
            self.next = Some((Some(key), version));
        }
        Ok(Some(page))
    }
}

impl S3Objects {
    fn pages<'a>(&'a self, place: Place<'a>, size: Option<i32>) -> Pages<'a> {
        Pages {
            client: &self.client,
            place,
            size,
            next: Some((None, None)),
        }
    }

    /// How many older versions of the key were put in the same second as version `id`.
    pub(super) async fn rank(&self, place: Place<'_>, id: &str, second: i64) -> Result<usize> {
        let mut older = 0;
        let mut seen = false;
        let mut pages = self.pages(place, Some(RANK_PAGE));
        while let Some(page) = pages.next().await? {
            for version in page.versions() {
                let key = decoded(version.key(), page.encoding_type())?;
                let at = seconds(version.last_modified());
                // Newest first; keys that only begin with this one come after it.
                if key != place.key || (seen && at < second) {
                    return Ok(older);
                }
                if seen && at == second {
                    older += 1;
                }
                seen |= version.version_id() == Some(id);
            }
        }
        Ok(older)
    }

    /// The current objects of a bucket whose versions matter.
    pub(super) async fn list_versions(&self, place: Place<'_>) -> Result<Vec<ObjectInfo>> {
        let mut objects: Vec<ObjectInfo> = Vec::new();
        // Second and rank of the last object, while its older versions pass by.
        let mut last: Option<(i64, usize)> = None;
        let mut pages = self.pages(place, None);
        while let Some(page) = pages.next().await? {
            for version in page.versions() {
                let key = decoded(version.key(), page.encoding_type())?;
                if is_folder(&key) {
                    continue;
                }
                let second = seconds(version.last_modified());
                if version.is_latest() == Some(true) {
                    let found = Found {
                        version_id: version.version_id(),
                        e_tag: version.e_tag(),
                        size: size(version.size()),
                        second,
                    };
                    let bucket = place.bucket;
                    objects.push(found.info(Place { bucket, key: &key }, 0));
                    // As in `ranked`: what has no id of its own has no rank.
                    last = (version.version_id() != Some("null")).then_some((second, 0));
                } else if let (Some(object), Some((at, rank))) = (objects.last_mut(), &mut last)
                    && object.key == key
                    && *at == second
                {
                    *rank += 1;
                    object.sequencer = sequencer(second, *rank);
                }
            }
        }
        Ok(objects)
    }

    /// The objects of a bucket whose versions do not matter.
    pub(super) async fn list_current(&self, place: Place<'_>) -> Result<Vec<ObjectInfo>> {
        let mut objects = Vec::new();
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(place.bucket)
            .prefix(place.key)
            .encoding_type(EncodingType::Url)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("s3:ListBucket", &place.uri(), error))?;
            for object in page.contents() {
                let key = decoded(object.key(), page.encoding_type())?;
                if is_folder(&key) {
                    continue;
                }
                let found = Found {
                    version_id: None,
                    e_tag: object.e_tag(),
                    size: size(object.size()),
                    second: seconds(object.last_modified()),
                };
                let bucket = place.bucket;
                objects.push(found.info(Place { bucket, key: &key }, 0));
            }
        }
        Ok(objects)
    }
}

/// Whether the object of this key only marks a folder. Such an object cannot be read or put here.
fn is_folder(key: &str) -> bool {
    key.ends_with('/')
}

/// A key of a list. Keys are asked for in URL encoding, because XML cannot hold every character; an
/// answer that does not say so has them as they are.
fn decoded(key: Option<&str>, encoding: Option<&EncodingType>) -> Result<String> {
    let key = key.unwrap_or_default();
    if encoding != Some(&EncodingType::Url) {
        return Ok(key.to_owned());
    }
    let text = key.replace('+', " ");
    match percent_decode_str(&text).decode_utf8() {
        Ok(key) => Ok(key.into_owned()),
        Err(error) => Err(Error::new(
            ErrorKind::Storage,
            format!("S3 lists the key {key:?}, which is not valid UTF-8"),
        )
        .with_source(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_where_the_list_says_that_they_are_encoded() {
        let url = Some(&EncodingType::Url);
        let cases = [
            ("raw/a+b%2Bc%20d.log", url, "raw/a b+c d.log"),
            ("raw/a+b%2Bc.log", None, "raw/a+b%2Bc.log"),
            ("raw/%C3%BC%0A", url, "raw/ü\n"),
        ];
        for (listed, encoding, key) in cases {
            assert_eq!(decoded(Some(listed), encoding).unwrap(), key);
        }
        assert!(decoded(Some("%FF"), url).is_err());
    }

    #[test]
    fn text_order_of_sequencers_is_the_order_of_puts() {
        let in_order = [
            (0, 0),
            (9, 9_999),
            (10, 0),
            (10, 1),
            (10, 10),
            (11, 0),
            (1 << 33, 0),
        ];
        let texts: Vec<_> = in_order
            .map(|(second, rank)| sequencer(second, rank))
            .into();
        assert!(texts.is_sorted(), "{texts:?}");
    }
}
